/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * flood.h - what the flood generator's BPF program (flood.bpf.c) and its threads (flood.c) share.
 */
#ifndef SPILLWAY_LAB_FLOOD_H
#define SPILLWAY_LAB_FLOOD_H

#include <linux/types.h>

#define FLOOD_FRAME 132 /* bytes of the frame handed in; the program cuts it to the packet's length */
#define FLOOD_DNS_PORT 53

struct flood_config {
	__u64 dst6[2];		      /* as in the packet */
	__u32 dst4;		      /* as in the packet */
	__u32 ifindex;		      /* the wire */
	__u32 dns_share;	      /* of 2^32: how many of the packets are DNS */
	__u32 share6;		      /* of 256: how many are IPv6 */
	__u16 dst_mac[3], src_mac[3]; /* as in the packet */
};

struct flood_counters {
	__u64 dns, garbage; /* packets made */
};

#endif
