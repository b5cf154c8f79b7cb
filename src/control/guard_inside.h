/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guard_inside.h - what an armed interface consists of, for the two files that need to know: guard.c, which changes it, and
 * report.c, which tells of it.
 */
#ifndef SPILLWAY_CONTROL_GUARD_INSIDE_H
#define SPILLWAY_CONTROL_GUARD_INSIDE_H

#include <pthread.h>
#include <time.h>

#include "control/guard.h"
#include "control/rows.h"
#include "control/xdp.h"
#include "host/bpffs.h"
#include "host/link.h"
#include "path.h"
#include "steer/steer.h"

struct guard {
	struct guard_config config;
	struct link_facts facts;
	struct steer_plan plan;
	struct journal *journal; /* the daemon's */
	struct xdp *xdp;
	struct path path;
	struct rows *rows; /* the running rules */
	uint32_t generation;

	pthread_t worker;
	bool worker_running; /* started and not joined; it may have ended by itself */
	int worker_result;   /* why it ended, valid once `event` is readable */
	int event;

	bool native;
	char mode_reason[200];
	struct bpffs_dir pins;
	uint64_t link_entry; /* of the journal */
	struct timespec armed_at;
};

#endif
