/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "classify/parse.h"
#include "rules/box.h"

static const struct interval any[DIMENSION_COUNT] = {
	[DIMENSION_FAMILY] = { -1, 6 },
	[DIMENSION_ETH_TYPE] = { 0, UINT16_MAX },
	[DIMENSION_PROTO] = { -1, UINT8_MAX },
	[DIMENSION_SRC_PORT] = { -1, UINT16_MAX },
	[DIMENSION_DST_PORT] = { -1, UINT16_MAX },
	[DIMENSION_LEN] = { 0, UINT16_MAX },
	[DIMENSION_TTL] = { -1, UINT8_MAX },
	[DIMENSION_DSCP] = { -1, 63 },
	[DIMENSION_ICMP] = { -1, UINT16_MAX },
	[DIMENSION_VLAN] = { -1, 4095 },
	[DIMENSION_INNER_VLAN] = { -1, 4095 },
};

static struct box everything(void)
{
	struct box box = { 0 };

	memcpy(box.in, any, sizeof(any));
	return box;
}

bool box_is_any(const struct box *box, enum dimension dimension)
{
	return box->in[dimension].lo == any[dimension].lo && box->in[dimension].hi == any[dimension].hi;
}

static bool prefix_covers(const struct prefix *outer, const struct prefix *inner)
{
	if (!outer->family)
		return true;
	if (outer->family != inner->family || outer->len > inner->len)
		return false;
	for (unsigned bit = 0; bit < outer->len; bit += 8) {
		uint8_t mask = outer->len - bit >= 8 ? 0xff : (uint8_t)(0xff00u >> (outer->len - bit));

		if ((outer->addr[bit / 8] ^ inner->addr[bit / 8]) & mask)
			return false;
	}
	return true;
}

bool box_covers(const struct box *outer, const struct box *inner)
{
	for (unsigned i = 0; i < DIMENSION_COUNT; i++)
		if (outer->in[i].lo > inner->in[i].lo || outer->in[i].hi < inner->in[i].hi)
			return false;
	return prefix_covers(&outer->src, &inner->src) && prefix_covers(&outer->dst, &inner->dst);
}

static bool interval_has(const struct box *box, enum dimension dimension, int32_t value)
{
	return box->in[dimension].lo <= value && value <= box->in[dimension].hi;
}

/* Fields depend on each other: ports belong to three protocols, a protocol to an IP packet, and that to an EtherType. */
static bool box_is_possible(const struct box *box)
{
	bool ports = box->in[DIMENSION_SRC_PORT].lo >= 0 || box->in[DIMENSION_DST_PORT].lo >= 0;
	bool ip = ports || box->in[DIMENSION_PROTO].lo >= 0 || box->in[DIMENSION_TTL].lo >= 0 ||
		  box->in[DIMENSION_DSCP].lo >= 0 || box->in[DIMENSION_FAMILY].lo > 0 || box->src.family || box->dst.family;
	bool ip4 = interval_has(box, DIMENSION_FAMILY, 4) && interval_has(box, DIMENSION_ETH_TYPE, ETH_TYPE_IP4) &&
		   box->src.family != 6 && box->dst.family != 6;
	bool ip6 = interval_has(box, DIMENSION_FAMILY, 6) && interval_has(box, DIMENSION_ETH_TYPE, ETH_TYPE_IP6) &&
		   box->src.family != 4 && box->dst.family != 4;

	for (unsigned i = 0; i < DIMENSION_COUNT; i++)
		if (box->in[i].lo > box->in[i].hi)
			return false;
	if (ports && !interval_has(box, DIMENSION_PROTO, PROTO_TCP) && !interval_has(box, DIMENSION_PROTO, PROTO_UDP) &&
	    !interval_has(box, DIMENSION_PROTO, PROTO_SCTP))
		return false;
	if (ip && (box->in[DIMENSION_TTL].hi < 0 || box->in[DIMENSION_DSCP].hi < 0 || box->in[DIMENSION_PROTO].hi < 0))
		return false;
	return !ip || ip4 || ip6;
}

/* The packets in both, into *ret: false if there are none. */
static bool box_intersect(const struct box *a, const struct box *b, struct box *ret)
{
	struct box box;

	for (unsigned i = 0; i < DIMENSION_COUNT; i++) {
		box.in[i].lo = a->in[i].lo > b->in[i].lo ? a->in[i].lo : b->in[i].lo;
		box.in[i].hi = a->in[i].hi < b->in[i].hi ? a->in[i].hi : b->in[i].hi;
	}
	if (!prefix_covers(&a->src, &b->src) && !prefix_covers(&b->src, &a->src))
		return false;
	if (!prefix_covers(&a->dst, &b->dst) && !prefix_covers(&b->dst, &a->dst))
		return false;
	box.src = prefix_covers(&a->src, &b->src) ? b->src : a->src;
	box.dst = prefix_covers(&a->dst, &b->dst) ? b->dst : a->dst;
	if (!box_is_possible(&box))
		return false;
	*ret = box;
	return true;
}

bool box_meet(const struct box *a, const struct box *b)
{
	struct box box;

	return box_intersect(a, b, &box);
}

/* Everything, as an answer that holds more than it should, or exactly what was meant. */
static void boxes_all(struct boxes *boxes, bool exact)
{
	boxes->box[0] = everything();
	boxes->n = 1;
	boxes->exact = exact;
}

static void boxes_or_box(struct boxes *boxes, const struct box *box)
{
	if (!box_is_possible(box))
		return;
	if (boxes->n == BOXES_MAX)
		boxes_all(boxes, false);
	else
		boxes->box[boxes->n++] = *box;
}

static void boxes_or(struct boxes *boxes, const struct boxes *more)
{
	struct box all = everything();

	if (boxes->n == 1 && !boxes->exact && box_covers(&boxes->box[0], &all))
		return; /* given up already */
	for (size_t i = 0; i < more->n; i++)
		boxes_or_box(boxes, &more->box[i]);
	boxes->exact = boxes->exact && more->exact;
}

/* Leaves `boxes` as they are, and not exact, if there would be too many. */
static int boxes_and(struct boxes *boxes, const struct boxes *with)
{
	struct boxes *both = malloc(sizeof(*both));
	struct box box;

	if (!both)
		return -ENOMEM;
	both->n = 0;
	both->exact = boxes->exact && with->exact;
	for (size_t i = 0; i < boxes->n; i++) {
		for (size_t j = 0; j < with->n; j++) {
			if (!box_intersect(&boxes->box[i], &with->box[j], &box))
				continue;
			if (both->n == BOXES_MAX) {
				boxes->exact = false;
				free(both);
				return 0;
			}
			both->box[both->n++] = box;
		}
	}
	memcpy(boxes->box, both->box, both->n * sizeof(box));
	boxes->n = both->n;
	boxes->exact = both->exact;
	free(both);
	return 0;
}

/* What one field may be, or with `not` may not be. */
static void boxes_of_interval(enum dimension dimension, struct interval in, bool negated, struct boxes *boxes)
{
	struct box box = everything();

	boxes->n = 0;
	boxes->exact = true;
	if (!negated) {
		box.in[dimension] = in;
		boxes_or_box(boxes, &box);
		return;
	}
	box.in[dimension] = (struct interval){ any[dimension].lo, in.lo - 1 };
	boxes_or_box(boxes, &box);
	box.in[dimension] = (struct interval){ in.hi + 1, any[dimension].hi };
	boxes_or_box(boxes, &box);
}

static void boxes_of_prefix(const struct prefix *prefix, bool src, bool negated, struct boxes *boxes)
{
	struct box box = everything();

	boxes_all(boxes, false);
	if (negated)
		return;
	*(src ? &box.src : &box.dst) = *prefix;
	box.in[DIMENSION_FAMILY] = (struct interval){ prefix->family, prefix->family };
	boxes->box[0] = box;
	boxes->exact = true;
}

/* The field a test of ranges is about, or DIMENSION_COUNT. */
static enum dimension test_dimension(const struct test *test, bool src)
{
	switch (test->kind) {
	case TEST_PORT:
		return src ? DIMENSION_SRC_PORT : DIMENSION_DST_PORT;
	case TEST_PROTO:
		return DIMENSION_PROTO;
	case TEST_ETHER_PROTO:
		return DIMENSION_ETH_TYPE;
	case TEST_LEN:
		return DIMENSION_LEN;
	case TEST_TTL:
		return DIMENSION_TTL;
	case TEST_DSCP:
		return DIMENSION_DSCP;
	case TEST_ICMP_TYPE:
		return DIMENSION_ICMP;
	case TEST_VLAN:
		return test->vlan_tag ? DIMENSION_INNER_VLAN : DIMENSION_VLAN;
	default:
		return DIMENSION_COUNT;
	}
}

/* `boxes` and, or, `more`: what joins the values of a list, or the directions; `not` turns it round. */
static int boxes_join(struct boxes *boxes, const struct boxes *more, bool conjunction)
{
	if (conjunction)
		return boxes_and(boxes, more);
	boxes_or(boxes, more);
	return 0;
}

/* The values of a test on one side. */
static int boxes_of_side(const struct test *test, bool src, bool negated, struct boxes *boxes)
{
	enum dimension dimension = test_dimension(test, src);
	struct boxes *one;
	int r = 0;

	/* What a set holds changes while the rules stay. */
	if ((dimension == DIMENSION_COUNT && test->kind != TEST_ADDR) || test->list.set || test->list.n > BOXES_MAX) {
		boxes_all(boxes, false);
		return 0;
	}
	one = malloc(sizeof(*one));
	if (!one)
		return -ENOMEM;
	boxes_all(boxes, true);
	if (!negated)
		boxes->n = 0;
	for (size_t i = 0; i < test->list.n && r == 0; i++) {
		union value value = test->list.values[i];

		if (test->kind == TEST_ADDR)
			boxes_of_prefix(&value.prefix, src, negated, one);
		else
			boxes_of_interval(dimension, (struct interval){ (int32_t)value.range.lo, (int32_t)value.range.hi },
					  negated, one);
		r = boxes_join(boxes, one, negated);
	}
	free(one);
	return r;
}

static int boxes_of_sides(const struct test *test, bool negated, struct boxes *boxes)
{
	bool both = test->direction == DIRECTION_BOTH;
	struct boxes *dst;
	int r;

	if ((test->kind != TEST_ADDR && test->kind != TEST_PORT) || test->direction == DIRECTION_SRC)
		return boxes_of_side(test, true, negated, boxes);
	if (test->direction == DIRECTION_DST)
		return boxes_of_side(test, false, negated, boxes);
	dst = malloc(sizeof(*dst));
	r = dst ? boxes_of_side(test, true, negated, boxes) : -ENOMEM;
	if (r == 0)
		r = boxes_of_side(test, false, negated, dst);
	if (r == 0)
		r = boxes_join(boxes, dst, both != negated);
	free(dst);
	return r;
}

/* Join what the protocol word in front says. */
static int boxes_join_protocol(const struct test *test, bool negated, struct boxes *boxes)
{
	const struct protocol *protocol = test->protocol;
	bool udp = test_is_deep(test) && test->kind != TEST_BPF;
	struct boxes *one = malloc(sizeof(*one));
	int32_t proto = udp ? PROTO_UDP : protocol ? protocol->l4_proto : -1;
	int r = 0;

	if (!one)
		return -ENOMEM;
	if (proto >= 0) {
		boxes_of_interval(DIMENSION_PROTO, (struct interval){ proto, proto }, negated, one);
		r = boxes_join(boxes, one, !negated);
	}
	if (r == 0 && protocol && protocol->family) {
		boxes_of_interval(DIMENSION_FAMILY, (struct interval){ protocol->family, protocol->family }, negated, one);
		r = boxes_join(boxes, one, !negated);
	}
	if (r == 0 && protocol && protocol->eth_type) {
		boxes_of_interval(DIMENSION_ETH_TYPE, (struct interval){ protocol->eth_type, protocol->eth_type }, negated, one);
		r = boxes_join(boxes, one, !negated);
	}
	free(one);
	return r;
}

static int boxes_of_test(const struct test *test, bool negated, struct boxes *boxes)
{
	int r = 0;

	if (test->kind == TEST_PROTOCOL) {
		boxes_all(boxes, true);
		boxes->n = negated ? 0 : 1;
	} else {
		r = boxes_of_sides(test, negated, boxes);
	}
	return r < 0 ? r : boxes_join_protocol(test, negated, boxes);
}

static int boxes_of_expr(const struct expr *expr, bool negated, struct boxes *boxes)
{
	bool conjunction = (expr->kind == EXPR_AND) != negated;
	struct boxes *child;
	int r = 0;

	if (expr->kind == EXPR_TEST)
		return boxes_of_test(expr->test, negated, boxes);
	if (expr->kind == EXPR_NOT)
		return boxes_of_expr(expr->children[0], !negated, boxes);
	child = malloc(sizeof(*child));
	if (!child)
		return -ENOMEM;
	boxes_all(boxes, true);
	boxes->n = conjunction;
	for (size_t i = 0; i < expr->n && r == 0; i++) {
		r = boxes_of_expr(expr->children[i], negated, child);
		if (r == 0)
			r = boxes_join(boxes, child, conjunction);
	}
	free(child);
	return r;
}

int boxes_of(const struct expr *expr, struct boxes *ret_boxes)
{
	return boxes_of_expr(expr, false, ret_boxes);
}
