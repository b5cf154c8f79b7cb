/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * live_ring.h - the memory through which live.c hands frames to bpf/reinject.bpf.c: filled, then one run of the program for each.
 */
#ifndef SPILLWAY_REINJECT_LIVE_RING_H
#define SPILLWAY_REINJECT_LIVE_RING_H

#include <linux/types.h>

#define LIVE_SLOTS 256u	      /* frames one call hands over; a power of two */
#define LIVE_SLOT_SIZE 4096u  /* bytes; a power of two */
#define LIVE_FRAME_MAX 3072u  /* bytes; a page less its headroom, shared info and the kernel's own head */
#define LIVE_TEMPLATE_SIZE 64 /* bytes of the empty frame each run starts from */

struct live_ring {
	__u32 next;	/* slot of the next run; set to 0 before a call */
	__u32 accepted; /* runs that passed their frame on; set to 0 before a call */
	__u32 pad[14];
	__u32 len[LIVE_SLOTS];
	__u8 data[LIVE_SLOTS][LIVE_SLOT_SIZE];
};

#endif
