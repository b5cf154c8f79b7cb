/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parse.h - frame bytes to struct pkt: Ethernet, up to two VLAN tags, IPv4 with options, IPv6 with the extension headers the kernel
 * walks (net/ipv6/exthdrs_core.c), TCP, UDP, SCTP, ICMP, ICMPv6.
 *
 * Freestanding: the same source is compiled for BPF and for the host, so a packet cannot be read in two ways. Reads no byte at
 * or behind `end`. Whatever cannot be read is left at zero and named in `condition`.
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
	__u64 src[2], dst[2];	  /* as in the packet (network byte order); IPv4 in the first four bytes, the rest zero */
	__u32 frame_len;	  /* bytes, Ethernet header to end of data */
	__u16 eth_type;		  /* host order, behind the VLAN tags */
	__u16 src_port, dst_port; /* host order; valid if has_ports */
	__u16 l3_off, l4_off;	  /* bytes from the start of the frame; 0: none */
	__u16 payload_off;	  /* behind the transport header; 0: none */
	__u32 l3_end;		  /* end of the IP packet, at most frame_len: Ethernet padding lies behind it */
	__u8 family;		  /* enum pkt_family */
	__u8 l4_proto;		  /* valid if family */
	__u8 has_ports;
	__u8 n_vlans;
	__u8 is_fragment; /* first or later */
	__u8 condition;	  /* enum pkt_condition */
};

static __always_inline __u16 load_be16(const __u8 *p)
{
	return (__u16)(p[0] << 8 | p[1]);
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
	if (pkt->l4_proto == PROTO_TCP) {
		at = pkt_at(data, end, off, 20);
		if (!at)
			return;
		header_len = (at[12] >> 4) * 4;
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

static __always_inline void parse_ip4(const __u8 *data, const __u8 *end, struct pkt *pkt)
{
	const __u8 *ip = pkt_at(data, end, pkt->l3_off, 20);
	__u32 header_len, total_len, frag_off;
	__u32 addr;

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
	__builtin_memcpy(&addr, ip + 12, 4);
	pkt->src[0] = addr;
	__builtin_memcpy(&addr, ip + 16, 4);
	pkt->dst[0] = addr;
	pkt->l3_end = pkt->l3_off + total_len;
	if (pkt->l3_off + total_len > pkt->frame_len) {
		pkt->condition = CONDITION_TRUNCATED; /* the ports may still be there, so read on */
		pkt->l3_end = pkt->frame_len;
	}
	frag_off = load_be16(ip + 6);
	pkt->is_fragment = (frag_off & 0x3fff) != 0; /* offset, or more to come */
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
	__builtin_memcpy(pkt->src, ip + 8, 16);
	__builtin_memcpy(pkt->dst, ip + 24, 16);
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
			pkt->is_fragment = (load_be16(ext + 2) & 0xfff9) != 0; /* an atomic fragment is none (RFC 6946) */
			if (load_be16(ext + 2) & 0xfff8) {
				pkt->condition = CONDITION_FRAGMENT;
				return;
			}
			ext_len = 8;
		} else if (next == PROTO_AH) {
			ext_len = (ext[1] + 2u) * 4;
		} else {
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

/* Fill *pkt from the frame at data..end. Never fails: what could not be read is in pkt->condition. */
static __always_inline void parse_frame(const __u8 *data, const __u8 *end, struct pkt *pkt)
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
		if (pkt->eth_type != ETH_TYPE_VLAN && pkt->eth_type != ETH_TYPE_SVLAN)
			break;
		off += 4;
		at = pkt_at(data, end, off, 2);
		if (!at) {
			pkt->condition = CONDITION_TRUNCATED;
			return;
		}
		pkt->eth_type = load_be16(at);
		pkt->n_vlans++;
	}
	pkt->l3_off = (__u16)(off + 2);
	if (pkt->eth_type == ETH_TYPE_IP4)
		parse_ip4(data, end, pkt);
	else if (pkt->eth_type == ETH_TYPE_IP6)
		parse_ip6(data, end, pkt);
	else if (pkt->eth_type == ETH_TYPE_VLAN || pkt->eth_type == ETH_TYPE_SVLAN)
		pkt->condition = CONDITION_UNPARSED; /* a third tag */
	if (pkt->l4_off)
		parse_l4(data, end, pkt);
}

#endif
