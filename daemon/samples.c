/* SPDX-License-Identifier: BSD-2-Clause */
/* samples.c - from the guards' rings to the clients that watch. */
#include <errno.h>

#include "daemon.h"

struct offer {
	struct daemon *daemon;
	const struct guard *guard;
};

static void offer_line(void *userdata, const json_t *line)
{
	const struct offer *offer = userdata;

	ipc_tell(offer->daemon->server, offer->guard, line);
}

static void guard_turn(struct daemon *daemon, struct guard *guard)
{
	struct offer offer = { daemon, guard };
	unsigned watchers = ipc_watchers(daemon->server, guard);
	uint64_t lost;

	guard_watch_samples(guard, watchers);
	if (!watchers)
		return;
	lost = guard_samples(guard, offer_line, &offer);
	if (lost)
		ipc_tell_lost(daemon->server, guard, lost);
}

void samples_turn(struct daemon *daemon)
{
	for (unsigned i = 0; i < daemon->n_guards; i++)
		guard_turn(daemon, daemon->guards[i]);
}

int samples_watch(struct daemon *daemon, struct guard *guard, const struct ipc_peer *peer)
{
	int r = ipc_watch(daemon->server, peer, guard);

	if (r == 0)
		guard_watch_samples(guard, ipc_watchers(daemon->server, guard));
	return r;
}

void samples_end(struct daemon *daemon, struct guard *guard)
{
	json_t *last = json_pack("{s:s}", "end", daemon->ending ? "the daemon ends" : "it was taken down");

	guard_turn(daemon, guard);
	ipc_watch_end(daemon->server, guard, last);
	json_decref(last);
}
