/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parse.h - frame bytes to struct pkt: Ethernet, up to two VLAN tags, IPv4 with options, IPv6 with the extension headers the kernel
 * walks (net/ipv6/exthdrs_core.c), TCP, UDP, SCTP, ICMP, ICMPv6.
 *
 * Freestanding: the same source is compiled for BPF and for the host, so a packet cannot be read in two ways. Reads no byte at
 * or behind `end`. Whatever cannot be read is left at zero and named in `condition`.
 *
 * Nearly every packet is TCP or UDP right behind a plain IP header, with no VLAN tag or one. parse_plain() reads those in a
 * straight line and refuses all others, also the broken ones, which parse_any() then walks header by header. Both agree on what
 * both can read (unit/test_parse.c).
 */
#ifndef SPILLWAY_CLASSIFY_PARSE_H
#define SPILLWAY_CLASSIFY_PARSE_H

#include "classify/image.h"

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#define PKT_VLANS_MAX 2
#define PKT_EXT_HEADERS_MAX 8 /* more is not seen on the Internet (RFC 8200 knows six kinds) and would be unbounded work */
#define PKT_REACH 4096u	      /* no header starts behind this many bytes: the verifier wants a bound */

enum pkt_family { FAMILY_NONE = 0, FAMILY_IP4 = 4, FAMILY_IP6 = 6 };

enum {
	ETH_TYPE_IP4 = 0x0800,
	ETH_TYPE_ARP = 0x0806,
	ETH_TYPE_VLAN = 0x8100, /* 802.1Q */
	ETH_TYPE_IP6 = 0x86dd,
	ETH_TYPE_SVLAN = 0x88a8, /* 802.1ad */
	ETH_TYPE_QINQ = 0x9100,	 /* before 802.1ad; to tcpdump it is a tag, so it is here */
	PROTO_HOP_BY_HOP = 0,
	PROTO_ICMP = 1,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_AH = 51,
	PROTO_ICMP6 = 58,
	PROTO_NONE = 59,
	PROTO_DEST_OPTIONS = 60,
	PROTO_SCTP = 132,
};

struct pkt {
	__u64 src[2], dst[2];	   /* as in the packet (network byte order); IPv4 in the first four bytes, the rest zero */
	__u32 frame_len;	   /* bytes, Ethernet header to end of data */
	__u32 l3_end;		   /* end of the IP packet, at most frame_len: Ethernet padding lies behind it */
	__u16 eth_type;		   /* host order, behind the VLAN tags */
	__u16 l3_off, l4_off;	   /* bytes from the start of the frame; 0: none */
	__u16 payload_off;	   /* behind the transport header; 0: none */
	__u16 src_port, dst_port;  /* host order; valid if has_ports */
	__u16 l4_word;		   /* valid if has_l4. TCP: reserved bits and flags, 12 bits; ICMP, ICMPv6: type << 8 | code */
	__u16 vlan[PKT_VLANS_MAX]; /* VLAN identifiers, the outer first; n_vlans of them are valid */
	__u8 family;		   /* enum pkt_family */
	__u8 l4_proto;		   /* valid if family */
	__u8 ttl;		   /* valid if family; IPv6: hop limit */
	__u8 dscp;		   /* valid if family */
	__u8 frag;		   /* FRAG_ bits (image.h); 0 without family */
	__u8 options;		   /* IPv4 options, or IPv6 hop-by-hop or destination options */
	__u8 has_ports;
	__u8 has_l4; /* the fixed part of a TCP, UDP, SCTP, ICMP or ICMPv6 header could be read */
	__u8 n_vlans;
	__u8 condition; /* enum pkt_condition */
};

/* Unaligned; the BPF target would take a byte-wise copy for a byte-wise load. */
static __always_inline __u16 load_be16(const __u8 *p)
{
#ifdef __bpf__
	return __builtin_bswap16(*(const __u16 *)p);
#else
	return (__u16)(p[0] << 8 | p[1]);
#endif
}

static __always_inline __u32 load_u32(const __u8 *p)
{
	__u32 value;

#ifdef __bpf__
	value = *(const __u32 *)p;
#else
	__builtin_memcpy(&value, p, 4);
#endif
	return value;
}

static __always_inline void load_address6(__u64 to[2], const __u8 *p)
{
#ifdef __bpf__
	to[0] = *(const __u64 *)p;
	to[1] = *(const __u64 *)(p + 8);
#else
	__builtin_memcpy(to, p, 16);
#endif
}

/* Pointer to `len` bytes at `off`, or NULL if they are not all there. */
static __always_inline const __u8 *pkt_at(const __u8 *data, const __u8 *end, __u32 off, __u32 len)
{
	if (off > PKT_REACH)
		return 0;
	const __u8 *at = data + off;
#ifdef __bpf__
	asm volatile("" : "+r"(at)); /* keep one checked pointer: the verifier follows registers, not expressions */
#endif
	if (at + len > end)
		return 0;
	return at;
}

/*
 * The same offset, but as one that could be anything: the verifier would otherwise tell every combination of extension headers
 * apart and follow each of them to its end.
 */
static __always_inline __u32 offset_any(__u32 off)
{
	volatile __u16 any = (__u16)off;

	return any;
}

static __always_inline void parse_l4(const __u8 *data, const __u8 *end, struct pkt *pkt)
{
	__u32 off = pkt->l4_off;
	__u32 header_len;
	const __u8 *at;

	switch (pkt->l4_proto) {
	case PROTO_TCP:
		header_len = 20;
		break;
	case PROTO_SCTP:
		header_len = 12;
		break;
	case PROTO_UDP:
	case PROTO_ICMP:
	case PROTO_ICMP6:
		header_len = 8;
		break;
	default:
		return;
	}
	if (pkt->l4_proto != PROTO_ICMP && pkt->l4_proto != PROTO_ICMP6) {
		at = pkt_at(data, end, off, 4);
		if (!at || off + 4 > pkt->l3_end) {
			pkt->condition = CONDITION_TRUNCATED;
			return;
		}
		pkt->src_port = load_be16(at);
		pkt->dst_port = load_be16(at + 2);
		pkt->has_ports = 1;
	}
	at = pkt_at(data, end, off, header_len);
	if (!at || off + header_len > pkt->l3_end) {
		pkt->condition = CONDITION_TRUNCATED;
		return;
	}
	pkt->has_l4 = 1;
	if (pkt->l4_proto == PROTO_ICMP || pkt->l4_proto == PROTO_ICMP6)
		pkt->l4_word = load_be16(at);
	if (pkt->l4_proto == PROTO_TCP) {
		at = pkt_at(data, end, off, 20);
		if (!at)
			return;
		header_len = (at[12] >> 4) * 4;
		pkt->l4_word = load_be16(at + 12) & 0x0fff;
		if (header_len < 20) {
			pkt->condition = CONDITION_UNPARSED;
			return;
		}
	}
	if (off + header_len > pkt->l3_end) {
		pkt->condition = CONDITION_TRUNCATED;
		return;
	}
	pkt->payload_off = (__u16)(off + header_len);
}

static __always_inline __u8 frag_bits(__u32 offset, __u32 more)
{
	if (offset)
		return more ? FRAG_LATER : FRAG_LATER | FRAG_LAST;
	return more ? FRAG_FIRST : FRAG_NONE;
}

static __always_inline void parse_ip4(const __u8 *data, const __u8 *end, struct pkt *pkt)
{
	const __u8 *ip = pkt_at(data, end, pkt->l3_off, 20);
	__u32 header_len, total_len, frag_off;

	if (!ip) {
		pkt->condition = CONDITION_TRUNCATED;
		return;
	}
	header_len = (ip[0] & 0x0f) * 4;
	total_len = load_be16(ip + 2);
	if (ip[0] >> 4 != 4 || header_len < 20 || total_len < header_len) {
		pkt->condition = CONDITION_UNPARSED;
		return;
	}
	pkt->family = FAMILY_IP4;
	pkt->l4_proto = ip[9];
	pkt->ttl = ip[8];
	pkt->dscp = ip[1] >> 2;
	pkt->options = header_len > 20;
	pkt->src[0] = load_u32(ip + 12);
	pkt->dst[0] = load_u32(ip + 16);
	pkt->l3_end = pkt->l3_off + total_len;
	if (pkt->l3_off + total_len > pkt->frame_len) {
		pkt->condition = CONDITION_TRUNCATED; /* the ports may still be there, so read on */
		pkt->l3_end = pkt->frame_len;
	}
	frag_off = load_be16(ip + 6);
	pkt->frag = frag_bits(frag_off & 0x1fff, frag_off & 0x2000) | (frag_off & 0x4000 ? FRAG_DF : 0);
	if (frag_off & 0x1fff) {
		pkt->condition = CONDITION_FRAGMENT;
		return;
	}
	pkt->l4_off = (__u16)(pkt->l3_off + header_len);
}

static __always_inline void parse_ip6(const __u8 *data, const __u8 *end, struct pkt *pkt)
{
	const __u8 *ip = pkt_at(data, end, pkt->l3_off, 40);
	__u32 payload_len, off, n;
	__u8 next;

	if (!ip) {
		pkt->condition = CONDITION_TRUNCATED;
		return;
	}
	if (ip[0] >> 4 != 6) {
		pkt->condition = CONDITION_UNPARSED;
		return;
	}
	pkt->family = FAMILY_IP6;
	payload_len = load_be16(ip + 4);
	next = ip[6];
	pkt->ttl = ip[7];
	pkt->dscp = (load_be16(ip) & 0x0fc0) >> 6;
	pkt->frag = FRAG_NONE;
	load_address6(pkt->src, ip + 8);
	load_address6(pkt->dst, ip + 24);
	off = pkt->l3_off + 40u;
	pkt->l4_proto = next;
	pkt->l3_end = off + payload_len;
	if (off + payload_len > pkt->frame_len) {
		pkt->condition = CONDITION_TRUNCATED;
		pkt->l3_end = pkt->frame_len;
	}

	for (n = 0; n <= PKT_EXT_HEADERS_MAX; n++) {
		const __u8 *ext;
		__u32 ext_len;

		if (next != PROTO_HOP_BY_HOP && next != PROTO_ROUTING && next != PROTO_FRAGMENT && next != PROTO_AH &&
		    next != PROTO_DEST_OPTIONS) {
			pkt->l4_proto = next;
			if (next == PROTO_NONE)
				return; /* nothing follows, by declaration */
			pkt->l4_off = (__u16)off;
			return;
		}
		ext = pkt_at(data, end, off, 8);
		if (!ext || off + 8 > pkt->l3_end) {
			pkt->condition = CONDITION_TRUNCATED;
			return;
		}
		pkt->l4_proto = ext[0];
		if (next == PROTO_FRAGMENT) {
			pkt->frag = frag_bits(load_be16(ext + 2) & 0xfff8, load_be16(ext + 2) & 1); /* atomic: none, RFC 6946 */
			if (load_be16(ext + 2) & 0xfff8) {
				pkt->condition = CONDITION_FRAGMENT;
				return;
			}
			ext_len = 8;
		} else if (next == PROTO_AH) {
			ext_len = (ext[1] + 2u) * 4;
		} else {
			pkt->options |= next != PROTO_ROUTING;
			ext_len = (ext[1] + 1u) * 8;
		}
		next = ext[0];
		off = offset_any(off + ext_len);
		if (off > PKT_REACH) {
			pkt->condition = CONDITION_TRUNCATED;
			return;
		}
	}
	pkt->condition = CONDITION_UNPARSED; /* a longer chain than anybody honest sends */
}

static __always_inline int eth_type_is_tag(__u32 eth_type)
{
	return eth_type == ETH_TYPE_VLAN || eth_type == ETH_TYPE_SVLAN || eth_type == ETH_TYPE_QINQ;
}

/* Header by header, whatever comes. */
static
#ifdef __bpf__
	__attribute__((noinline)) /* keeps registers and the verifier's work of the plain way out of this one's */
#else
	__always_inline
#endif
	void
	parse_any(const __u8 *data, const __u8 *end, struct pkt *pkt)
{
	const __u8 *at = pkt_at(data, end, 0, 14);
	__u32 off = 12, n;

	__builtin_memset(pkt, 0, sizeof(*pkt));
	pkt->frame_len = (__u32)(end - data);
	if (!at) {
		pkt->condition = CONDITION_TRUNCATED;
		return;
	}
	pkt->eth_type = load_be16(at + 12);
	for (n = 0; n < PKT_VLANS_MAX; n++) {
		if (!eth_type_is_tag(pkt->eth_type))
			break;
		off += 4;
		at = pkt_at(data, end, off - 2, 4);
		if (!at) {
			pkt->condition = CONDITION_TRUNCATED;
			return;
		}
		pkt->vlan[n] = load_be16(at) & 0x0fff;
		pkt->eth_type = load_be16(at + 2);
		pkt->n_vlans++;
	}
	pkt->l3_off = (__u16)(off + 2);
	if (pkt->eth_type == ETH_TYPE_IP4)
		parse_ip4(data, end, pkt);
	else if (pkt->eth_type == ETH_TYPE_IP6)
		parse_ip6(data, end, pkt);
	else if (eth_type_is_tag(pkt->eth_type))
		pkt->condition = CONDITION_UNPARSED; /* a third tag */
	if (pkt->l4_off)
		parse_l4(data, end, pkt);
}

/* The TCP or UDP header at `off` behind a plain IP header that ends the packet at l3_end, within the frame. 0: not plain. */
static __always_inline int parse_plain_l4(const __u8 *data, const __u8 *end, __u32 off, __u32 l3_end, __u32 proto,
					  struct pkt *pkt)
{
	const __u8 *at = data + off;
	__u32 payload_off = off + 8;

	pkt->l4_word = 0;
	if (proto == PROTO_TCP) {
		if (at + 20 > end)
			return 0;
		payload_off = off + (at[12] >> 4) * 4;
		pkt->l4_word = load_be16(at + 12) & 0x0fff;
		if (payload_off < off + 20)
			return 0;
	} else if (proto != PROTO_UDP || at + 8 > end) {
		return 0;
	}
	if (payload_off > l3_end)
		return 0;
	pkt->l3_end = l3_end;
	pkt->l4_off = (__u16)off;
	pkt->payload_off = (__u16)payload_off;
	pkt->src_port = load_be16(at);
	pkt->dst_port = load_be16(at + 2);
	pkt->vlan[1] = 0;
	pkt->l4_proto = (__u8)proto;
	pkt->options = 0;
	pkt->has_ports = 1;
	pkt->has_l4 = 1;
	pkt->condition = CONDITION_NONE;
	return 1;
}

/* The IP packet at l3_off, which is a constant. */
static __always_inline int parse_plain_l3(const __u8 *data, const __u8 *end, __u32 l3_off, __u32 eth_type, struct pkt *pkt)
{
	const __u8 *ip = data + l3_off;
	__u32 l3_end;

	if (ip + 20 > end)
		return 0;
	pkt->eth_type = (__u16)eth_type;
	pkt->frame_len = (__u32)(end - data);
	pkt->l3_off = (__u16)l3_off;
	if (eth_type == ETH_TYPE_IP4) {
		__u32 frag_off = load_be16(ip + 6);

		l3_end = l3_off + load_be16(ip + 2);
		if (ip[0] != 0x45 || frag_off & 0x3fff || l3_end > pkt->frame_len)
			return 0;
		pkt->src[0] = load_u32(ip + 12);
		pkt->dst[0] = load_u32(ip + 16);
		pkt->src[1] = pkt->dst[1] = 0;
		pkt->family = FAMILY_IP4;
		pkt->ttl = ip[8];
		pkt->dscp = ip[1] >> 2;
		pkt->frag = frag_off & 0x4000 ? FRAG_NONE | FRAG_DF : FRAG_NONE;
		return parse_plain_l4(data, end, l3_off + 20, l3_end, ip[9], pkt);
	}
	if (eth_type != ETH_TYPE_IP6 || ip + 40 > end)
		return 0;
	l3_end = l3_off + 40 + load_be16(ip + 4);
	if (ip[0] >> 4 != 6 || l3_end > pkt->frame_len)
		return 0;
	load_address6(pkt->src, ip + 8);
	load_address6(pkt->dst, ip + 24);
	pkt->family = FAMILY_IP6;
	pkt->ttl = ip[7];
	pkt->dscp = (load_be16(ip) & 0x0fc0) >> 6;
	pkt->frag = FRAG_NONE;
	return parse_plain_l4(data, end, l3_off + 40, l3_end, ip[6], pkt);
}

/* At most one tag, IPv4 without options or IPv6 without extension headers, no fragment, TCP or UDP, nothing cut off. 0: it is not. */
static __always_inline int parse_plain(const __u8 *data, const __u8 *end, struct pkt *pkt)
{
	__u32 eth_type;

	if (data + 18 > end)
		return 0;
	eth_type = load_be16(data + 12);
	if (eth_type_is_tag(eth_type)) {
		pkt->vlan[0] = load_be16(data + 14) & 0x0fff;
		pkt->n_vlans = 1;
		return parse_plain_l3(data, end, 18, load_be16(data + 16), pkt);
	}
	pkt->vlan[0] = 0;
	pkt->n_vlans = 0;
	return parse_plain_l3(data, end, 14, eth_type, pkt);
}

/* Fill *pkt from the frame at data..end. Never fails: what could not be read is in pkt->condition. */
static __always_inline void parse_frame(const __u8 *data, const __u8 *end, struct pkt *pkt)
{
	if (!parse_plain(data, end, pkt))
		parse_any(data, end, pkt);
}

#endif
