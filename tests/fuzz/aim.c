/* SPDX-License-Identifier: BSD-2-Clause */
#include "aim.h"

#include <string.h>

#include "classify/parse.h"

#define AIMS_FRAME 4 /* at most, values a frame gets */

static uint32_t below(uint64_t *dice, uint32_t n)
{
	*dice ^= *dice << 13;
	*dice ^= *dice >> 7;
	*dice ^= *dice << 17;
	return (uint32_t)(*dice >> 16) % n;
}

static void put16(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

static void expr_collect(struct aims *aims, const struct expr *expr)
{
	if (expr->kind == EXPR_TEST && aims->n < AIM_TESTS_MAX)
		aims->tests[aims->n++] = expr->test;
	for (size_t i = 0; i < expr->n; i++)
		expr_collect(aims, expr->children[i]);
}

void aims_init(struct aims *aims, const struct rules *rules)
{
	aims->n = 0;
	for (size_t i = 0; i < rules->n_rules; i++)
		expr_collect(aims, rules->rules[i]->match);
}

/* ---- shapes ---- */

struct shape {
	uint8_t family, proto, vlans, ip_words; /* words of options, or of extension header */
	uint16_t frag;				/* as in the header */
	bool dns;
};

static const struct shape shapes[] = {
	{ .family = 4, .proto = PROTO_UDP, .dns = true },
	{ .family = 6, .proto = PROTO_UDP, .dns = true },
	{ .family = 4, .proto = PROTO_TCP },
	{ .family = 6, .proto = PROTO_TCP },
	{ .family = 4, .proto = PROTO_ICMP },
	{ .family = 6, .proto = PROTO_ICMP6 },
	{ .family = 4, .proto = PROTO_SCTP, .vlans = 1 },
	{ .family = 6, .proto = PROTO_UDP, .vlans = 2 },
	{ .family = 4, .proto = PROTO_TCP, .vlans = 2 },
	{ .family = 4, .proto = PROTO_UDP, .ip_words = 2, .dns = true },
	{ .family = 6, .proto = PROTO_UDP, .ip_words = 2, .dns = true },
	{ .family = 4, .proto = PROTO_UDP, .frag = 0x2000 },
	{ .family = 4, .proto = PROTO_UDP, .frag = 0x2010 },
	{ .family = 4, .proto = PROTO_TCP, .frag = 0x4000 },
	{ .family = 4, .proto = 47 },
	{ .family = 0 },
};

static const uint8_t query[] = "\0\1\1\0\0\1\0\0\0\0\0\0\3www\5flood\7example\0\0\1\0\1";

static uint32_t put_ip4(uint8_t *ip, const struct shape *shape, uint32_t payload_len)
{
	uint32_t len = 20 + 4u * shape->ip_words;

	ip[0] = (uint8_t)(0x40 | len / 4);
	put16(ip + 2, len + payload_len);
	put16(ip + 6, shape->frag);
	ip[8] = 64;
	ip[9] = shape->proto;
	memcpy(ip + 12, (uint8_t[]){ 192, 0, 2, 1, 10, 0, 0, 1 }, 8);
	memset(ip + 20, 1, len - 20); /* no operation */
	return len;
}

/* The extension header is destination options. */
static uint32_t put_ip6(uint8_t *ip, const struct shape *shape, uint32_t payload_len)
{
	uint32_t len = 40 + 4u * shape->ip_words;

	ip[0] = 0x60;
	put16(ip + 4, len - 40 + payload_len);
	ip[6] = len > 40 ? PROTO_DEST_OPTIONS : shape->proto;
	ip[7] = 64;
	memcpy(ip + 8, (uint8_t[]){ 0x20, 0x01, 0x0d, 0xb8 }, 4);
	memcpy(ip + 24, (uint8_t[]){ 0x20, 0x01, 0x0d, 0xb8 }, 4);
	if (len > 40) {
		ip[40] = shape->proto;
		ip[42] = 1; /* PadN */
		ip[43] = 4;
	}
	return len;
}

static uint32_t put_l4(uint8_t *l4, const struct shape *shape)
{
	uint32_t len = shape->proto == PROTO_TCP ? 20 : shape->proto == PROTO_SCTP ? 12 : 8;

	put16(l4, shape->proto == PROTO_ICMP ? 0x0800 : shape->proto == PROTO_ICMP6 ? 0x8000 : 1024);
	put16(l4 + 2, 53);
	if (shape->proto == PROTO_TCP)
		put16(l4 + 12, 0x5012);
	if (shape->dns)
		memcpy(l4 + len, query, sizeof(query) - 1);
	return len + (shape->dns ? sizeof(query) - 1 : 24);
}

static uint32_t put_frame(uint8_t *frame, const struct shape *shape)
{
	uint8_t l4[128] = { 0 };
	uint32_t off = 14 + 4u * shape->vlans, l4_len;

	memset(frame, 0, AIM_FRAME_MAX);
	for (unsigned i = 0; i < shape->vlans; i++) {
		put16(frame + 12 + 4 * i, i + 1 < shape->vlans ? 0x88a8 : 0x8100);
		put16(frame + 14 + 4 * i, 100);
	}
	put16(frame + off - 2, shape->family == 4 ? ETH_TYPE_IP4 : shape->family == 6 ? ETH_TYPE_IP6 : ETH_TYPE_ARP);
	if (!shape->family)
		return 60;
	l4_len = put_l4(l4, shape);
	off += shape->family == 4 ? put_ip4(frame + off, shape, l4_len) : put_ip6(frame + off, shape, l4_len);
	memcpy(frame + off, l4, l4_len);
	return off + l4_len;
}

/* ---- values ---- */

/* Within the range, at its ends, or one beside them. */
static uint32_t number_near(const struct range *range, uint64_t *dice)
{
	switch (below(dice, 8)) {
	case 0:
		return range->lo - 1;
	case 1:
		return range->hi + 1;
	case 2:
		return range->hi;
	case 3:
		return range->lo + below(dice, range->hi - range->lo + 1 ? range->hi - range->lo + 1 : 1);
	default:
		return range->lo;
	}
}

static void put_addr(uint8_t *ip, const struct pkt *pkt, const struct prefix *prefix, bool src, uint64_t *dice)
{
	uint8_t *addr = pkt->family == 4 ? ip + (src ? 12 : 16) : ip + (src ? 8 : 24);
	uint32_t bits = pkt->family == 4 ? 32 : 128, bit;

	if (pkt->family != prefix->family)
		return;
	memcpy(addr, prefix->addr, bits / 8);
	bit = below(dice, 4) ? prefix->len + below(dice, bits) : below(dice, bits); /* mostly within */
	if (bit < bits)
		addr[bit / 8] ^= (uint8_t)(0x80u >> bit % 8);
}

static void put_side(uint8_t *frame, const struct pkt *pkt, const struct test *test, const union value *value, uint64_t *dice)
{
	bool src = test->direction == DIRECTION_SRC || (test->direction != DIRECTION_DST && below(dice, 2));
	bool tuple = test->list.set && test->list.set->kind == LIST_TUPLES;
	struct range ports = tuple ? (struct range){ value->tuple.port_lo, value->tuple.port_hi } : value->range;

	if (test->kind == TEST_ETHER_ADDR)
		memcpy(frame + (src ? 6 : 0), value->mac.addr, 6);
	if (test->kind == TEST_ADDR && pkt->family)
		put_addr(frame + pkt->l3_off, pkt, &value->prefix, src, dice);
	if ((test->kind == TEST_PORT || tuple) && pkt->has_ports)
		put16(frame + pkt->l4_off + (src ? 0 : 2), number_near(&ports, dice));
}

static void put_ip_field(uint8_t *ip, const struct pkt *pkt, const struct test *test, uint32_t number)
{
	bool ip4 = pkt->family == 4;

	if (test->kind == TEST_TTL)
		ip[ip4 ? 8 : 7] = (uint8_t)number;
	else if (test->kind == TEST_PROTO)
		ip[ip4 ? 9 : 6] = (uint8_t)number;
	else if (test->kind == TEST_DSCP && ip4)
		ip[1] = (uint8_t)(number << 2);
	else if (test->kind == TEST_DSCP)
		put16(ip, 0x6000 | (number & 63) << 6);
	else if (test->kind == TEST_IP_LEN)
		put16(ip + (ip4 ? 2 : 4), ip4 ? number : number - 40);
	else if (test->kind == TEST_FRAG && ip4)
		put16(ip + 6, number & FRAG_DF	    ? 0x4000
			      : number & FRAG_FIRST ? 0x2000
			      : number & FRAG_LATER ? 0x2001
						    : number & FRAG_LAST);
}

static void put_payload(uint8_t *frame, uint32_t len, const struct pkt *pkt, const struct test *test)
{
	uint32_t at = pkt->payload_off + (uint32_t)test->payload_at;

	for (unsigned i = 0; pkt->payload_off && i < test->payload_len && at + i < len; i++)
		frame[at + i] = (uint8_t)((frame[at + i] & ~test->payload_mask[i]) | test->payload_value[i]);
}

/* The name, and a question behind it. */
static void put_name(uint8_t *frame, uint32_t *len, const struct pkt *pkt, const struct wire_name *name)
{
	uint32_t at = pkt->payload_off + 12u;

	if (!pkt->payload_off || pkt->l4_proto != PROTO_UDP || at + name->len + 4 > AIM_FRAME_MAX)
		return;
	memcpy(frame + at, name->bytes, name->len);
	memcpy(frame + at + name->len, "\0\1\0\1", 4);
	if (*len < at + name->len + 4)
		*len = at + name->len + 4;
	if (pkt->family == 4)
		put16(frame + pkt->l3_off + 2, *len - pkt->l3_off);
	else
		put16(frame + pkt->l3_off + 4, *len - pkt->l3_off - 40);
}

static void put_value(uint8_t *frame, uint32_t *len, const struct pkt *pkt, const struct test *test, const union value *value,
		      uint64_t *dice)
{
	uint32_t number = test->kind == TEST_FLAGS ? value->range.lo : number_near(&value->range, dice);

	switch (test->kind) {
	case TEST_ADDR:
	case TEST_PORT:
	case TEST_ETHER_ADDR:
		put_side(frame, pkt, test, value, dice);
		break;
	case TEST_DNS_NAME:
	case TEST_DNS_UNDER:
		put_name(frame, len, pkt, &value->name);
		break;
	case TEST_ETHER_PROTO:
		put16(frame + 12 + 4 * pkt->n_vlans, number);
		break;
	case TEST_VLAN:
		put16(frame + 14 + 4 * test->vlan_tag, number);
		break;
	case TEST_LEN:
		*len = number < 14 ? 14 : number > AIM_FRAME_MAX ? AIM_FRAME_MAX : number;
		break;
	case TEST_FLAGS:
		if (pkt->has_l4 && pkt->l4_proto == PROTO_TCP)
			put16(frame + pkt->l4_off + 12, 0x5000 | number);
		break;
	case TEST_ICMP_TYPE:
		if (pkt->has_l4)
			put16(frame + pkt->l4_off, number);
		break;
	case TEST_ICMP_CODE:
		if (pkt->has_l4)
			frame[pkt->l4_off + 1] = (uint8_t)number;
		break;
	default:
		if (pkt->family)
			put_ip_field(frame + pkt->l3_off, pkt, test, number);
	}
}

static void put_aim(uint8_t *frame, uint32_t *len, const struct aims *aims, uint64_t *dice)
{
	const struct test *test = aims->tests[below(dice, aims->n)];
	size_t n = list_count(&test->list);
	union value value;
	struct pkt pkt;

	parse_frame(frame, frame + *len, &pkt);
	if (test->kind == TEST_PAYLOAD)
		put_payload(frame, *len, &pkt, test);
	if (n == 0)
		return;
	value = list_value(&test->list, below(dice, (uint32_t)n));
	put_value(frame, len, &pkt, test, &value, dice);
}

uint32_t aim_frame(const struct aims *aims, uint64_t *dice, uint8_t ret_frame[AIM_FRAME_MAX])
{
	uint32_t len = put_frame(ret_frame, &shapes[below(dice, COUNT_OF(shapes))]);

	for (uint32_t n = aims->n ? below(dice, AIMS_FRAME + 1) : 0; n > 0; n--)
		put_aim(ret_frame, &len, aims, dice);
	if (below(dice, 16) == 0) /* cut short */
		len = 14 + below(dice, len - 13);
	return len;
}
