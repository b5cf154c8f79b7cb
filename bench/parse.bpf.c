/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* parse.bpf.c - the part of spillway's XDP program before the first question is asked: headers to struct pkt, and nothing else. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "classify/parse.h"

SEC("xdp")
int parse_only(struct xdp_md *ctx)
{
	struct pkt pkt;

	parse_frame((const __u8 *)(long)ctx->data, (const __u8 *)(long)ctx->data_end, &pkt);
	asm volatile("" : : "r"(&pkt) : "memory"); /* somebody might read all of it */
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
