/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record.h - what a `sample` rule keeps of a packet: the record that both tiers write and the daemon reads.
 *
 * Freestanding like classify/parse.h. The XDP tier writes records into the ring buffer map `samples`, the user tier into its
 * own ring (ring.h). Neither knows the packet's verdict yet: the search goes on behind a sample rule.
 */
#ifndef SPILLWAY_SAMPLE_RECORD_H
#define SPILLWAY_SAMPLE_RECORD_H

#include <linux/types.h>

#define SAMPLE_BYTES 256u	     /* of the frame, at most: headers, and what a DNS question needs */
#define SAMPLE_RING_BYTES (1u << 20) /* the map `samples`: some 3,500 records; power of two, whole pages */

struct sample {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u32 rule;    /* index in the image that ran; a later one may have another rule there, so: */
	__u32 counter; /* of the rule, which is its own for as long as its text stays */
	__u32 line;    /* of the rules' text */
	__u32 frame_len;
	__u32 captured; /* bytes in data[] */
	__u16 queue;
	__u8 user_tier;
	__u8 pad0;
	__u8 data[SAMPLE_BYTES];
};
_Static_assert(sizeof(struct sample) == 32 + SAMPLE_BYTES, "no holes");

#endif
