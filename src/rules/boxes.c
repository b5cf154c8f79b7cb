/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A match to boxes. `or` is more boxes, `and` what two have in common, and a question that is no box (a length, a byte, `not`)
 * is the box of everything, with the residual program left to say the rest.
 */
#include <errno.h>
#include <string.h>

#include "classify/parse.h"
#include "rules/build.h"

#define BOXES_MAX 65536	       /* of one rule: as many addresses may stand in one list */
#define BOXES_PRODUCT_MAX 4096 /* of one `and`: beyond, the longer factor is left to the residual program */

struct boxes {
	struct arena *arena;
	struct row_box *boxes;
	size_t n;
	bool more;
};

static const struct row_box everything = {
	.range = { .hi = { UINT16_MAX, UINT16_MAX, UINT16_MAX, UINT16_MAX } },
};

static int boxes_add(struct boxes *boxes, const struct row_box *box)
{
	struct row_box *grown = arena_grow(boxes->arena, boxes->boxes, boxes->n, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	boxes->boxes = grown;
	grown[boxes->n++] = *box;
	return 0;
}

/* Instead of too many, one that holds them all. */
static int boxes_give_up(struct boxes *boxes)
{
	boxes->n = 0;
	boxes->more = true;
	return boxes_add(boxes, &everything);
}

static bool prefix_shared(const uint64_t a[2], unsigned a_len, const uint64_t b[2], unsigned b_len, uint64_t ret[2],
			  uint8_t *ret_len)
{
	unsigned len = a_len < b_len ? a_len : b_len;
	uint64_t high = len ? ~0ull << (len < 64 ? 64 - len : 0) : 0;
	uint64_t low = len > 64 ? ~0ull << (128 - len) : 0;

	if (((a[0] ^ b[0]) & high) | ((a[1] ^ b[1]) & low))
		return false;
	memcpy(ret, a_len < b_len ? b : a, 2 * sizeof(*ret));
	*ret_len = (uint8_t)(a_len < b_len ? b_len : a_len);
	return true;
}

/* What both hold: false if nothing. */
static bool box_shared(const struct row_box *a, const struct row_box *b, struct row_box *ret)
{
	*ret = *a;
	if (a->family && b->family && a->family != b->family)
		return false;
	ret->family = a->family ? a->family : b->family;
	for (int i = 0; i < LANE_COUNT; i++) {
		ret->range.lo[i] = a->range.lo[i] > b->range.lo[i] ? a->range.lo[i] : b->range.lo[i];
		ret->range.hi[i] = a->range.hi[i] < b->range.hi[i] ? a->range.hi[i] : b->range.hi[i];
		if (ret->range.lo[i] > ret->range.hi[i])
			return false;
	}
	return prefix_shared(a->src, a->src_len, b->src, b->src_len, ret->src, &ret->src_len) &&
	       prefix_shared(a->dst, a->dst_len, b->dst, b->dst_len, ret->dst, &ret->dst_len);
}

static uint64_t word_of(const uint8_t *bytes)
{
	uint64_t word = 0;

	for (int i = 0; i < 8; i++)
		word = word << 8 | bytes[i];
	return word;
}

/* One value in one direction. */
static struct row_box value_box(const struct test *test, const union value *value, bool src)
{
	struct row_box box = everything;
	int lane = src ? LANE_SRC_PORT : LANE_DST_PORT;

	if (test->kind == TEST_ADDR) {
		uint64_t *addr = src ? box.src : box.dst;

		addr[0] = word_of(value->prefix.addr);
		addr[1] = word_of(value->prefix.addr + 8);
		*(src ? &box.src_len : &box.dst_len) = value->prefix.len;
		box.family = value->prefix.family;
		return box;
	}
	if (test->kind == TEST_PORT)
		box.range.lo[LANE_HAS_PORTS] = 1;
	else
		lane = LANE_PROTO;
	box.range.lo[lane] = (uint16_t)value->range.lo;
	box.range.hi[lane] = (uint16_t)value->range.hi;
	return box;
}

/* The protocol word, or what a question about a DNS name says of it. */
static struct row_box protocol_box(const struct test *test)
{
	const struct protocol *protocol = test->protocol;
	int l4_proto = test_is_deep(test) && test->kind != TEST_BPF ? PROTO_UDP : protocol ? protocol->l4_proto : -1;
	struct row_box box = everything;

	if (l4_proto >= 0)
		box.range.lo[LANE_PROTO] = box.range.hi[LANE_PROTO] = (uint16_t)l4_proto;
	if (protocol)
		box.family = protocol->family;
	return box;
}

static int list_boxes(const struct test *test, bool src, const struct row_box *within, struct boxes *ret)
{
	int r = 0;

	for (size_t i = 0; i < test->list.n && r == 0; i++) {
		union value value = test->list.values[i];
		struct row_box box;

		if (!test_uses(test, &value))
			continue;
		box = value_box(test, &value, src);
		if (box_shared(&box, within, &box))
			r = ret->n < BOXES_MAX ? boxes_add(ret, &box) : boxes_give_up(ret);
		if (ret->more)
			break;
	}
	return r;
}

/* A set has values too, but they change: it is a question. */
static bool test_has_values(const struct test *test)
{
	return !test->list.set && (test->kind == TEST_ADDR || test->kind == TEST_PORT || test->kind == TEST_PROTO);
}

static int both_boxes(const struct test *test, const struct row_box *within, struct boxes *ret)
{
	struct boxes src = { .arena = ret->arena };
	int r = list_boxes(test, true, within, &src);

	for (size_t i = 0; i < src.n && r == 0 && !ret->more; i++)
		r = list_boxes(test, false, &src.boxes[i], ret);
	ret->more = ret->more || src.more;
	return r;
}

static int test_boxes(const struct test *test, struct boxes *ret)
{
	struct row_box within = protocol_box(test);
	int r = 0;

	if (!test_has_values(test))
		return boxes_add(ret, &within);
	if (test->direction == DIRECTION_BOTH)
		return both_boxes(test, &within, ret);
	if (test->direction != DIRECTION_DST)
		r = list_boxes(test, true, &within, ret);
	if (r == 0 && !ret->more && test->direction != DIRECTION_SRC && test->kind != TEST_PROTO)
		r = list_boxes(test, false, &within, ret);
	return r;
}

static int expr_boxes(const struct expr *expr, struct boxes *ret);

static int and_boxes(struct boxes *all, const struct boxes *factor)
{
	struct boxes product = { .arena = all->arena, .more = all->more || factor->more };

	if (all->n * factor->n > BOXES_PRODUCT_MAX && all->n > 1 && factor->n > 1) {
		product.more = true;
		if (factor->n < all->n)
			all->boxes = factor->boxes, all->n = factor->n;
		all->more = product.more;
		return 0;
	}
	for (size_t i = 0; i < all->n; i++) {
		for (size_t j = 0; j < factor->n; j++) {
			struct row_box box;

			if (box_shared(&all->boxes[i], &factor->boxes[j], &box) && boxes_add(&product, &box))
				return -ENOMEM;
		}
	}
	*all = product;
	return 0;
}

static int chain_boxes(const struct expr *expr, struct boxes *ret)
{
	for (size_t i = 0; i < expr->n; i++) {
		struct boxes child = { .arena = ret->arena };
		int r = expr_boxes(expr->children[i], &child);

		if (r == 0 && expr->kind == EXPR_AND) {
			r = i ? and_boxes(ret, &child) : (*ret = child, 0);
		} else if (r == 0) {
			ret->more = ret->more || child.more;
			if (ret->n + child.n > BOXES_MAX)
				return boxes_give_up(ret);
			for (size_t j = 0; j < child.n && r == 0; j++)
				r = boxes_add(ret, &child.boxes[j]);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int expr_boxes(const struct expr *expr, struct boxes *ret)
{
	enum constant constant = expr_constant(expr, CONSTANT_NONE);

	if (constant == CONSTANT_FALSE)
		return 0;
	if (constant == CONSTANT_TRUE || expr->kind == EXPR_NOT)
		return boxes_add(ret, &everything);
	return expr->kind == EXPR_TEST ? test_boxes(expr->test, ret) : chain_boxes(expr, ret);
}

bool expr_is_boxes(const struct expr *expr)
{
	if (expr_constant(expr, CONSTANT_NONE) != CONSTANT_NONE)
		return true;
	if (expr->kind == EXPR_TEST)
		return !(expr->test->protocol && expr->test->protocol->eth_type) &&
		       (expr->test->kind == TEST_PROTOCOL || test_has_values(expr->test));
	if (expr->kind == EXPR_NOT)
		return false;
	for (size_t i = 0; i < expr->n; i++)
		if (!expr_is_boxes(expr->children[i]))
			return false;
	return true;
}

int boxes_build(struct arena *arena, const struct expr *expr, struct row_box **ret_boxes, size_t *ret_n, bool *ret_more)
{
	struct boxes boxes = { .arena = arena };
	int r = expr_boxes(expr, &boxes);

	if (r < 0)
		return r;
	*ret_boxes = boxes.boxes;
	*ret_n = boxes.n;
	*ret_more = boxes.more;
	return 0;
}
