/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * harness.bpf.c - in front of the program under test: write the next header of the trace into the frame, then a tail call.
 *
 * BPF_PROG_TEST_RUN alone runs the same frame again and again, all of it in L1 and every branch predicted. Here each run meets
 * another packet. The frame keeps what the run before left in it, length included; so it is written whole, and its length changed
 * only where the trace changes it. Runs of one process on one CPU: the variables need no care.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "harness.h"
#include "header.h"

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

__u32 position, mask;
__u32 turns;
__u64 first_ns, last_ns; /* the clock every HARNESS_STAMP turns: so the start and end of a call are not measured */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, HARNESS_TRACE_MAX);
	__type(key, __u32);
	__type(value, struct header);
} trace SEC(".maps");

/* One slot, changed from outside: a constant index makes the tail call a direct jump. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} slot SEC(".maps");

typedef __u32 __attribute__((may_alias)) word32;
typedef __u64 __attribute__((may_alias)) word64;

struct transport {
	__be16 src_port, dst_port;
	__be16 udp_len, udp_check;
	__u8 tcp_rest[12];
};

static __always_inline void write_transport(struct transport *transport, const struct header *header, __u32 len)
{
	*(word32 *)&transport->src_port = *(const word32 *)&header->src_port;
	*(word32 *)&transport->udp_len = bpf_htonl(len << 16); /* and no checksum */
	transport->tcp_rest[4] = 0x50;			       /* for TCP: a header of 20 bytes */
}

/*
 * In stores as wide as they come. A frame that was written in small pieces can be read in large ones only when all pieces have left
 * the store buffer; a program under test would pay for that, and no frame from a NIC would have made it.
 */
static __always_inline void copy_address(void *to, const __u8 *from)
{
	((word64 *)to)[0] = ((const word64 *)from)[0];
	((word64 *)to)[1] = ((const word64 *)from)[1];
}

static __always_inline int write_ip4(void *data, void *data_end, const struct header *header)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = (struct iphdr *)(eth + 1);
	struct transport *transport = (struct transport *)(ip + 1);

	if ((void *)(transport + 1) > data_end)
		return -1;
	((word32 *)(data + 12))[0] = bpf_htonl(ETH_P_IP << 16 | 0x4500); /* type; version and header length, no TOS */
	((word32 *)(data + 16))[0] = bpf_htonl((header->len - (__u32)sizeof(*eth)) << 16);
	((word32 *)(data + 20))[0] = bpf_htonl(64u << 8 | header->proto); /* no fragment, TTL */
	ip->check = 0;
	ip->saddr = *(const word32 *)header->src;
	ip->daddr = *(const word32 *)header->dst;
	write_transport(transport, header, header->len - sizeof(*eth) - sizeof(*ip));
	return 0;
}

static __always_inline int write_ip6(void *data, void *data_end, const struct header *header)
{
	struct ethhdr *eth = data;
	struct ipv6hdr *ip = (struct ipv6hdr *)(eth + 1);
	struct transport *transport = (struct transport *)(ip + 1);
	__u32 len = header->len - sizeof(*eth) - sizeof(*ip);

	if ((void *)(transport + 1) > data_end)
		return -1;
	((word32 *)(data + 12))[0] = bpf_htonl((__u32)ETH_P_IPV6 << 16 | 0x6000); /* type, version, half of the flow label */
	((word32 *)(data + 16))[0] = bpf_htonl(len);
	((__u16 *)(data + 20))[0] = bpf_htons((__u16)(header->proto << 8 | 64)); /* hop limit */
	copy_address(&ip->saddr, header->src);
	copy_address(&ip->daddr, header->dst);
	write_transport(transport, header, len);
	return 0;
}

SEC("xdp")
int harness(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	__u32 at = position++ & mask;
	struct header *header = bpf_map_lookup_elem(&trace, &at);
	int delta;

	if (!(turns++ % HARNESS_STAMP)) {
		last_ns = bpf_ktime_get_ns();
		if (!first_ns)
			first_ns = last_ns;
	}
	if (!header)
		return XDP_ABORTED;
	delta = header->len - (int)(data_end - data);
	if (delta) {
		if (bpf_xdp_adjust_tail(ctx, delta))
			return XDP_ABORTED;
		data = (void *)(long)ctx->data;
		data_end = (void *)(long)ctx->data_end;
	}
	if (header->family == 4 ? write_ip4(data, data_end, header) : write_ip6(data, data_end, header))
		return XDP_ABORTED;
	bpf_tail_call_static(ctx, &slot, 0);
	return XDP_ABORTED;
}

/* What the harness itself costs. */
SEC("xdp")
int bare(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
