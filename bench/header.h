/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* header.h - one packet of a trace: what harness.bpf.c writes into the frame, and what the oracles decide from. */
#ifndef SPILLWAY_BENCH_HEADER_H
#define SPILLWAY_BENCH_HEADER_H

#include <linux/types.h>

#define HEADER_LEN_MIN 74u /* Ethernet, IPv6, TCP */
#define HEADER_LEN_MAX 1514u

struct header {
	__u8 src[16], dst[16];	  /* IPv4 in the first four bytes, the rest zero */
	__u16 src_port, dst_port; /* network byte order */
	__u16 len;		  /* of the frame, HEADER_LEN_MIN to HEADER_LEN_MAX */
	__u8 family;		  /* 4 or 6 */
	__u8 proto;		  /* TCP or UDP */
} __attribute__((aligned(8)));

#endif
