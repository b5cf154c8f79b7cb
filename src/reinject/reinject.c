/* SPDX-License-Identifier: BSD-2-Clause */
#include "reinject/reinject.h"

#include <errno.h>
#include <net/if.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reinject/live.h"
#include "reinject/live_ring.h"
#include "reinject/tap.h"

#define LIVE_WORTH 16 /* frames from which on one live call is cheaper than that many writes */

struct reinject {
	char ifname[IF_NAMESIZE];
	struct tap tap;	   /* TAP_NONE: not by TAP */
	struct live *live; /* NULL: no live frames */
	atomic_bool live_allowed;
	char reason[160];
};

static bool by_tap(const struct reinject *reinject)
{
	return reinject->tap.fd >= 0;
}

static int tap_ready(struct reinject *reinject, unsigned ifindex)
{
	char device[IF_NAMESIZE];
	int r;

	snprintf(device, sizeof(device), "spw%u", ifindex);
	r = tap_open(device, &reinject->tap);
	if (!r)
		r = tap_follow_address(&reinject->tap, reinject->ifname);
	if (!r)
		r = tap_redirect(&reinject->tap, ifindex);
	if (r)
		tap_close(&reinject->tap);
	return r;
}

static int ways_open(struct reinject *reinject, enum reinject_kind kind, char *ret_message, size_t size)
{
	unsigned ifindex = if_nametoindex(reinject->ifname);
	int tap = kind != REINJECT_LIVE ? tap_ready(reinject, ifindex) : -EOPNOTSUPP;
	int live = kind != REINJECT_TAP ? live_open(ifindex, &reinject->live) : -EOPNOTSUPP;

	if (!tap && !live)
		snprintf(reinject->reason, sizeof(reinject->reason), "tap for few frames at a time, live frames for %d and more",
			 LIVE_WORTH);
	else if (kind != REINJECT_AUTO)
		snprintf(reinject->reason, sizeof(reinject->reason), "asked for");
	else if (!tap)
		snprintf(reinject->reason, sizeof(reinject->reason), "live frames: %s", strerror(-live));
	else
		snprintf(reinject->reason, sizeof(reinject->reason), "TAP device with redirected ingress: %s", strerror(-tap));
	if (!tap || !live)
		return 0;
	snprintf(ret_message, size,
		 "cannot reinject: TAP device with redirected ingress: %s; load `modprobe -a tun sch_ingress cls_u32 act_mirred`",
		 strerror(-tap));
	return tap;
}

int reinject_open(const char *ifname, enum reinject_kind kind, struct reinject **ret_reinject, char *ret_message, size_t size)
{
	struct reinject *reinject = calloc(1, sizeof(*reinject));
	int r;

	if (!reinject) {
		snprintf(ret_message, size, "cannot reinject: out of memory");
		return -ENOMEM;
	}
	reinject->tap = TAP_NONE;
	snprintf(reinject->ifname, sizeof(reinject->ifname), "%s", ifname);
	r = ways_open(reinject, kind, ret_message, size);
	if (r) {
		reinject_close(reinject);
		return r;
	}
	*ret_reinject = reinject;
	return 0;
}

int reinject_attached(struct reinject *reinject, bool native)
{
	if (!native && !by_tap(reinject))
		return -EOPNOTSUPP;
	if (!native)
		snprintf(reinject->reason, sizeof(reinject->reason), "generic XDP would meet live frames again");
	atomic_store_explicit(&reinject->live_allowed, native && reinject->live, memory_order_release);
	return 0;
}

/* Is one call cheaper than so many writes, and does each frame fit the page that a live frame is? */
static bool live_is_better(const struct reinject *reinject, const struct frame *frames, uint32_t n)
{
	if (!atomic_load_explicit(&reinject->live_allowed, memory_order_acquire))
		return false;
	if (!by_tap(reinject))
		return true;
	if (n < LIVE_WORTH)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		if (frames[i].len > LIVE_FRAME_MAX)
			return false;
	}
	return true;
}

struct reinject *reinject_close(struct reinject *reinject)
{
	if (!reinject)
		return NULL;
	live_close(reinject->live);
	tap_close(&reinject->tap);
	free(reinject);
	return NULL;
}

uint32_t reinject_send(struct reinject *reinject, const struct frame *frames, uint32_t n)
{
	uint32_t taken = 0;

	if (live_is_better(reinject, frames, n))
		return live_send(reinject->live, frames, n);
	for (uint32_t i = 0; i < n; i++)
		taken += write(reinject->tap.fd, frames[i].data, frames[i].len) == (ssize_t)frames[i].len;
	return taken;
}

int reinject_follow_address(struct reinject *reinject)
{
	return by_tap(reinject) ? tap_follow_address(&reinject->tap, reinject->ifname) : 0;
}

const char *reinject_text(const struct reinject *reinject)
{
	if (!by_tap(reinject))
		return "live";
	return reinject->live_allowed ? "tap+live" : "tap";
}

const char *reinject_reason(const struct reinject *reinject)
{
	return reinject->reason;
}

const char *reinject_device(const struct reinject *reinject)
{
	return reinject->tap.ifname;
}
