/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * steer.h - which queues the diverted flows arrive on, and so where ports are opened. Pure: facts in, plan out, no system calls.
 */
#ifndef SPILLWAY_STEER_STEER_H
#define SPILLWAY_STEER_STEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/link.h"
#include "port/cell.h"

enum steer_rung {
	STEER_NIC, /* the operator's own ntuple rule or RSS table brings the flows to one queue */
	STEER_XDP, /* nothing does: a port on every queue, the XDP program picks the flows there */
};

struct steer_plan {
	enum steer_rung rung;
	uint32_t first_queue, n_queues; /* ports are opened on these */
	uint32_t ring_size;		/* RX descriptors a port: many queues share the memory */
	bool copy_only;			/* queues the kernel keeps using stay out of zero-copy */
	char reason[160];		/* one line, for `status` */
};

/* `queue` -1: any. 0, or -EINVAL with the reason in *ret_message. */
int steer_plan_build(const struct link_facts *facts, int queue, struct steer_plan *ret_plan, char *ret_message, size_t size);

const char *steer_rung_text(enum steer_rung rung);

#endif
