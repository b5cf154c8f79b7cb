/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon.h - what spillwayd is made of: the armed interfaces, the journal of what was changed for them, and the socket by which
 * it is told. main.c starts it, waits and ends it; requests.c is what it can be asked; samples.c is what it tells by itself.
 */
#ifndef SPILLWAY_DAEMON_DAEMON_H
#define SPILLWAY_DAEMON_DAEMON_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "control/guard.h"
#include "control/ipc.h"
#include "control/journal.h"

#define DAEMON_GUARDS_MAX 64

struct daemon {
	char rundir[PATH_MAX];
	struct journal *journal;
	struct ipc_server *server;
	struct guard *guards[DAEMON_GUARDS_MAX]; /* in the order they were armed */
	unsigned n_guards;
	int epoll_fd;
	bool exit_when_idle;
	bool was_asked; /* to arm or to take down, if in vain: nobody is about to ask for the first time */
	bool ending;
};

/* ipc_handler: userdata is the struct daemon. */
json_t *request_answer(void *userdata, const struct ipc_peer *peer, const json_t *request);

/* samples.c */

/* The peer that is being answered watches the guard's samples from its reply on. 0, -EBUSY: too many do, -ENOMEM. */
int samples_watch(struct daemon *daemon, struct guard *guard, const struct ipc_peer *peer);
/* What was taken since the last call goes to those who watch. At least every SAMPLES_MS while somebody does. */
void samples_turn(struct daemon *daemon);
#define SAMPLES_MS 10 /* a ring of 3,500 records is full after that at 350,000 a second */
/* Tell those who watch the guard the rest, and that there is no more. */
void samples_end(struct daemon *daemon, struct guard *guard);

/* Take an armed interface down and forget it. */
void daemon_guard_close(struct daemon *daemon, unsigned index);

#endif
