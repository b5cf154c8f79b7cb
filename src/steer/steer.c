/* SPDX-License-Identifier: BSD-2-Clause */
#include "steer/steer.h"

#include <errno.h>
#include <stdio.h>

#include "base/refuse.h"

const char *steer_rung_text(enum steer_rung rung)
{
	return rung == STEER_NIC ? "nic" : "xdp";
}

/*
 * What a ring can hold is how long the worker may be off its CPU: 8,192 frames are 8 ms at 1 Mpps. Twice as many 2 KiB buffers
 * belong to it, so all queues together get at most 256 MiB.
 */
static uint32_t ring_size_for(uint32_t n_queues)
{
	if (n_queues <= 8)
		return 8192;
	if (n_queues <= 32)
		return 2048;
	return 512;
}

int steer_plan_build(const struct link_facts *facts, int queue, struct steer_plan *ret_plan, char *ret_message, size_t size)
{
	struct steer_plan plan = { 0 };

	if (facts->n_queues > CELL_QUEUES_MAX && queue < 0)
		return refuse(-EINVAL, ret_message, size,
			      "%s has %u RX queues, ports can be opened on %u at most; name one with --queue N", facts->ifname,
			      facts->n_queues, CELL_QUEUES_MAX);
	if (queue >= (int)facts->n_queues)
		return refuse(-EINVAL, ret_message, size,
			      "%s has no RX queue %d: it has %u, numbered 0 to %u (see `ethtool -l %s`)", facts->ifname, queue,
			      facts->n_queues, facts->n_queues - 1, facts->ifname);
	if (queue >= (int)CELL_QUEUES_MAX)
		return refuse(-EINVAL, ret_message, size, "%s: queue %d is out of reach: ports can be opened on queues 0 to %u",
			      facts->ifname, queue, CELL_QUEUES_MAX - 1);
	if (queue >= 0) {
		plan.rung = STEER_NIC;
		plan.first_queue = (uint32_t)queue;
		plan.n_queues = 1;
		snprintf(plan.reason, sizeof(plan.reason), "queue %d was named: the NIC must bring the diverted flows there",
			 queue);
	} else {
		plan.rung = STEER_XDP;
		plan.n_queues = facts->n_queues;
		plan.copy_only = true;
		snprintf(plan.reason, sizeof(plan.reason),
			 "no queue was named: flows are picked by the XDP program on all %u queues, CPU cost is not isolated",
			 facts->n_queues);
	}
	plan.ring_size = ring_size_for(plan.n_queues);
	*ret_plan = plan;
	return 0;
}
