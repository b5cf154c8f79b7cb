/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * director.bpf.c - what the demo's veth "NIC" lacks: a hash over its receive queues, a flow director, and a ring for all packets.
 *
 * A veth end receives on the queue its peer sent from, so the choice is made at the peer: `director_tc`, a tc egress program on the
 * wire, writes the queue a NIC would have picked. Live XDP frames do not pass tc; they arrive on the queue of their CPU number.
 *
 * `ring_xdp` is the unprotected server's program. It passes everything, but a veth end with an XDP program receives all packets
 * through the ring of their queue; without one, flood and innocents would never meet where they meet on a NIC.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#define QUEUE_NONE 0xffffffffu
#define ROUTER_MAC 0x0200000000feULL

struct table {
	__u32 first, count; /* hash over queues first .. first+count-1 */
	__u32 port;	    /* flow rule: UDP to this port, host order ... */
	__u32 queue;	    /* ... goes to this queue; QUEUE_NONE: no rule */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct table);
} director SEC(".maps");

/* The UDP destination port, or 0. Like the NICs it stands for, it knows plain IPv4 and IPv6 only. */
static __always_inline __u32 udp_port(struct __sk_buff *skb)
{
	__u32 l4 = ETH_HLEN + sizeof(struct iphdr), proto_at = ETH_HLEN + __builtin_offsetof(struct iphdr, protocol);
	__u8 proto = 0;
	__u16 port = 0;

	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		l4 = ETH_HLEN + sizeof(struct ipv6hdr);
		proto_at = ETH_HLEN + __builtin_offsetof(struct ipv6hdr, nexthdr);
	} else if (skb->protocol != bpf_htons(ETH_P_IP)) {
		return 0;
	}
	if (bpf_skb_load_bytes(skb, proto_at, &proto, sizeof(proto)) || proto != IPPROTO_UDP ||
	    bpf_skb_load_bytes(skb, l4 + __builtin_offsetof(struct udphdr, dest), &port, sizeof(port)))
		return 0;
	return bpf_ntohs(port);
}

SEC("tc/director")
int director_tc(struct __sk_buff *skb)
{
	__u32 zero = 0, queue;
	const struct table *table = bpf_map_lookup_elem(&director, &zero);

	if (!table || !table->count)
		return TC_ACT_OK;
	queue = table->first + bpf_get_hash_recalc(skb) % table->count;
	if (table->queue != QUEUE_NONE && udp_port(skb) == table->port)
		queue = table->queue;
	skb->queue_mapping = queue + 1; /* the stack keeps queue + 1, 0 means: not chosen */
	return TC_ACT_OK;
}

/* Ingress of the wire: the server's answers to forged sources go to its router, and that is where this stage ends. */
SEC("tc/router")
int router_tc(struct __sk_buff *skb)
{
	__u64 to = 0;

	if (bpf_skb_load_bytes(skb, 0, &to, ETH_ALEN) || to != bpf_cpu_to_be64(ROUTER_MAC << 16))
		return TC_ACT_OK;
	return TC_ACT_SHOT;
}

SEC("xdp")
int ring_xdp(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

/* The end of the bare wire, for its own rate. */
SEC("xdp")
int drop_xdp(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
