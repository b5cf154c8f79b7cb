/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cell.h - the memory the XDP program and the worker share, beside the image: whether the worker lives and, per queue, how much is on its way.
 *
 * It is the single value of the mmap-able array map `cells`. `beat_ns` and `done` are written by the worker only, `sent` by the XDP
 * program only, each in a cache line of its own. Differences are read as signed numbers: either side may be a moment ahead.
 */
#ifndef SPILLWAY_PORT_CELL_H
#define SPILLWAY_PORT_CELL_H

#include <linux/types.h>

#define CELL_QUEUES_MAX 128u	    /* power of two */
#define CELL_OWNER_DIED 0x40000000u /* FUTEX_OWNER_DIED, linux/futex.h */

struct queue_cell {
	__u64 sent; /* frames the XDP program redirected to this queue's socket */
	__u64 pad0[7];
	__u64 done;	 /* frames the worker has taken from it and given back */
	__u64 limit;	 /* sent - done at which the user tier counts as overloaded; 0: no port */
	__u64 frame_max; /* bytes a buffer of this port holds */
	__u64 pad1[5];
};

/* Read for each packet of a sample rule, so not beside what is written all the time. */
struct sample_cell {
	__u32 watched; /* somebody watches: else nothing is taken */
	__u32 pad0;
	__u64 lost; /* samples that found the ring full; atomic */
	__u64 pad1[6];
};

struct cells {
	__u64 beat_ns;	   /* CLOCK_MONOTONIC at the worker's last turn */
	__u64 patience_ns; /* a beat older than this stops diversion */
	__u32 owner;	   /* the worker's thread id; 0: none. The kernel sets CELL_OWNER_DIED in it when the thread dies */
	__u32 unlimited;   /* 1: no rate is ever exceeded; for test runs, in which time does not pass as it did */
	__u64 pad[5];
	struct sample_cell samples; /* of the XDP tier */
	struct queue_cell queues[CELL_QUEUES_MAX];
};

#endif
