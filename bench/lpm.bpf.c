/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lpm.bpf.c - the peer for prefixes: drop what an LPM trie of the kernel holds the source of.
 *
 * Twice: `lpm_wrapped` has the same wrapper as spillway's program, that is its parser and a counter of verdicts; `lpm_lean` is what
 * one would write by hand for this purpose alone: it looks at the addresses only, and counts nothing.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "act/verdict.h"
#include "classify/parse.h"

struct key4 {
	__u32 len;
	__u8 addr[4];
};

struct key6 {
	__u32 len;
	__u8 addr[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 20);
	__type(key, struct key4);
	__type(value, __u8);
} prefixes4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 20);
	__type(key, struct key6);
	__type(value, __u8);
} prefixes6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VERDICT_COUNT);
	__type(key, __u32);
	__type(value, struct hits);
} verdicts SEC(".maps");

static __always_inline int listed4(const void *addr)
{
	struct key4 key = { .len = 32 };

	__builtin_memcpy(key.addr, addr, sizeof(key.addr));
	return bpf_map_lookup_elem(&prefixes4, &key) != 0;
}

static __always_inline int listed6(const void *addr)
{
	struct key6 key = { .len = 128 };

	__builtin_memcpy(key.addr, addr, sizeof(key.addr));
	return bpf_map_lookup_elem(&prefixes6, &key) != 0;
}

static __always_inline int end(__u32 verdict, __u32 bytes, int action)
{
	struct hits *hits = bpf_map_lookup_elem(&verdicts, &verdict);

	if (hits) {
		hits->packets++;
		hits->bytes += bytes;
	}
	return action;
}

SEC("xdp")
int lpm_wrapped(struct xdp_md *ctx)
{
	struct pkt pkt;

	parse_frame((const __u8 *)(long)ctx->data, (const __u8 *)(long)ctx->data_end, &pkt);
	if (pkt.family == FAMILY_IP4 ? listed4(pkt.src) : pkt.family == FAMILY_IP6 && listed6(pkt.src))
		return end(VERDICT_DROP, pkt.frame_len, XDP_DROP);
	return end(VERDICT_PASS, pkt.frame_len, XDP_PASS);
}

SEC("xdp")
int lpm_lean(struct xdp_md *ctx)
{
	void *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct ipv6hdr *ip6 = (struct ipv6hdr *)(eth + 1);
	struct iphdr *ip4 = (struct iphdr *)(eth + 1);

	if ((void *)(ip4 + 1) > data_end)
		return XDP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		return listed4(&ip4->saddr) ? XDP_DROP : XDP_PASS;
	if (eth->h_proto != bpf_htons(ETH_P_IPV6) || (void *)(ip6 + 1) > data_end)
		return XDP_PASS;
	return listed6(&ip6->saddr) ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
