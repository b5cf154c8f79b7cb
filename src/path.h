/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path.h - the user tier: what happens to a diverted frame, from the ring to its end. Read path.c first.
 */
#ifndef SPILLWAY_PATH_H
#define SPILLWAY_PATH_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "classify/classify.h"
#include "port/cell.h"
#include "port/port.h"
#include "reinject/reinject.h"

#define PATH_PORTS_MAX CELL_QUEUES_MAX
#define PATH_BATCH 256 /* frames a turn takes from one port */

struct path {
	struct port *ports[PATH_PORTS_MAX];
	uint32_t n_ports;
	struct cells *cells; /* shared with the XDP program: heartbeat, backlog */
	struct reinject *reinject;
	_Atomic(const struct classifier *) classifier; /* swapped by the control thread, see path_set_classifier() */
	atomic_bool stop;
	atomic_ulong turns;	      /* of the loop: each is a moment at which the worker holds no classifier */
	struct tally tally;	      /* written by the worker only */
	struct sample_ring samples;   /* what its sample rules take */
	struct robust_list_head will; /* what the kernel does when the worker dies: see path_claim() */
	struct robust_list bequest;
};

/* The worker: runs until path->stop. Returns 0, or negative errno if the ports cannot be waited for any more. */
int path_run(struct path *path);

/*
 * Let the worker use another classifier. 0 once it no longer reads the old one, or does not run; -ETIMEDOUT if it hangs: then it
 * may read the old one when it wakes up, which must stay.
 */
int path_set_classifier(struct path *path, const struct classifier *classifier, bool running);
/* The same wait for what a classifier leads to and has been changed in place. */
int path_wait_turn(struct path *path, bool running);

#endif
