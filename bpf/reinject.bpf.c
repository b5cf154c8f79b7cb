/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * reinject.bpf.c - turn the frames of a ring into arrivals on an interface, one a run.
 *
 * Run by BPF_PROG_TEST_RUN with BPF_F_TEST_XDP_LIVE_FRAMES and the interface as ingress_ifindex (kernel: net/bpf/test_run.c). Each
 * run starts from an empty frame of the kernel's own: it gets the length, then the bytes, and XDP_PASS sends it up the stack.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "reinject/live_ring.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct live_ring);
} ring SEC(".maps");

SEC("xdp")
int spillway_inject(struct xdp_md *ctx)
{
	__u32 zero = 0, slot, len;
	struct live_ring *frames = bpf_map_lookup_elem(&ring, &zero);

	if (!frames)
		return XDP_DROP;
	slot = frames->next++ & (LIVE_SLOTS - 1);
	len = frames->len[slot];
	if (len < 14 || len >= LIVE_SLOT_SIZE)
		return XDP_DROP;
	if (bpf_xdp_adjust_tail(ctx, (int)len - LIVE_TEMPLATE_SIZE))
		return XDP_DROP;
	if (bpf_xdp_store_bytes(ctx, 0, frames->data[slot], len))
		return XDP_DROP;
	frames->accepted++;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
