/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An expression to a program of questions (image.h, steps).
 *
 * A program is written from its end to its beginning: first the answer yes (STEP_RULE), then the last question, then the one
 * before. So the targets of a step's yes and no are always there already and nothing is patched; at the end the block is turned
 * round, which makes every jump a jump forward.
 *
 * A `label` names a step of the block by how many were written up to and with it; label 0 is the step behind the block, the
 * answer no. `not` is yes and no exchanged. Questions that only the user tier can answer come last in each chain, which changes
 * no answer (questions have no effects) but leaves most packets to the XDP tier.
 */
#include <errno.h>
#include <string.h>

#include "classify/parse.h"
#include "rules/build.h"

#define NAMES_SEARCHED 8192 /* bytes of the pool within which equal names are looked for */

static int steps_reserve(struct builder *builder)
{
	size_t n = builder->base + builder->n + 2; /* this one, and the END */
	struct image_step *grown;

	if (n > IMAGE_STEPS_MAX) {
		builder->full = "questions in all";
		return -E2BIG;
	}
	grown = builder_grow(builder, builder->steps, &builder->steps_room, n, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	builder->steps = grown;
	return 0;
}

typedef unsigned label;

static label emit(struct builder *builder, const struct image_step *step, label yes, label no)
{
	struct image_step *to;

	if (builder->n >= IMAGE_STEPS_RULE_MAX - 1) /* one is left for the END behind it */
		builder->full = "questions";
	if (builder->full || steps_reserve(builder))
		return 0;
	to = &builder->steps[builder->base + builder->n];
	*to = *step;
	to->next_yes = yes;
	to->next_no = no;
	return ++builder->n;
}

static label emit_number(struct builder *builder, enum step_kind kind, uint32_t lo, uint32_t hi, label yes, label no)
{
	struct image_step step = { .kind = (__u8)kind, .lo = lo, .hi = hi };

	return emit(builder, &step, yes, no);
}

static label emit_net(struct builder *builder, enum step_kind kind, const struct prefix *prefix, label yes, label no)
{
	struct image_step step = { .kind = (__u8)kind, .lo = prefix->family };
	uint8_t mask[16] = { 0 };

	for (unsigned bit = 0; bit < prefix->len; bit++)
		mask[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
	memcpy(step.mask, mask, sizeof(mask));
	memcpy(step.value, prefix->addr, sizeof(prefix->addr));
	return emit(builder, &step, yes, no);
}

static label emit_payload(struct builder *builder, const struct test *test, label yes, label no)
{
	struct image_step step = { .kind = STEP_PAYLOAD, .offset = test->payload_at, .len = test->payload_len };

	memcpy(step.mask, test->payload_mask, sizeof(step.mask));
	memcpy(step.value, test->payload_value, sizeof(step.value));
	return emit(builder, &step, yes, no);
}

/* Where the name's bytes stand in the pool. The same name, asked again, stands there once. */
static size_t intern_name(struct builder *builder, const struct wire_name *name)
{
	uint8_t *grown;

	for (size_t at = 0; at + name->len <= builder->n_names && builder->n_names < NAMES_SEARCHED; at++)
		if (!memcmp(builder->names + at, name->bytes, name->len))
			return at;
	if (builder->n_names + name->len > IMAGE_NAMES_MAX) {
		builder->full = "bytes of DNS names";
		return 0;
	}
	grown = builder_grow(builder, builder->names, &builder->names_room, builder->n_names + name->len, 1);
	if (!grown)
		return 0;
	builder->names = grown;
	memcpy(builder->names + builder->n_names, name->bytes, name->len);
	builder->n_names += name->len;
	return builder->n_names - name->len;
}

static label emit_name(struct builder *builder, enum test_kind kind, const struct wire_name *name, label yes, label no)
{
	struct image_step step = {
		.kind = kind == TEST_DNS_UNDER ? STEP_DNS_UNDER : STEP_DNS_NAME,
		.offset = (__u32)intern_name(builder, name),
		.len = name->len,
	};

	return emit(builder, &step, yes, no);
}

static label emit_mac(struct builder *builder, const struct mac *mac, bool src, label yes, label no)
{
	struct image_step step = { .kind = STEP_ETHER, .offset = src ? 6 : 0, .len = 6 };

	memset(step.mask, 0xff, 6);
	memcpy(step.value, mac->addr, 6);
	return emit(builder, &step, yes, no);
}

static label emit_vlan(struct builder *builder, const struct test *test, const struct range *range, label yes, label no)
{
	struct image_step step = { .kind = STEP_VLAN, .offset = test->vlan_tag, .lo = range->lo, .hi = range->hi };

	return emit(builder, &step, yes, no);
}

/* The number that a set of numbers is asked for. */
static enum set_field number_field(const struct test *test, bool src)
{
	switch (test->kind) {
	case TEST_PORT:
		return src ? SET_SRC_PORT : SET_DST_PORT;
	case TEST_PROTO:
		return SET_L4_PROTO;
	case TEST_IP_LEN:
		return SET_IP_LEN;
	case TEST_TTL:
		return SET_TTL;
	case TEST_DSCP:
		return SET_DSCP;
	case TEST_VLAN:
		return test->vlan_tag ? SET_INNER_VLAN : SET_VLAN;
	default: /* TEST_LEN: the language lets a set stand nowhere else */
		return SET_LEN;
	}
}

/* A named set, in one direction: asked by its id, since what it holds changes. */
static label emit_set(struct builder *builder, const struct test *test, bool src, label yes, label no)
{
	const struct set *set = test->list.set;
	struct image_step step = { .kind = STEP_SET, .lo = rules_set_id(builder->rules, set) };

	switch (test->kind) {
	case TEST_ADDR:
		if (set->kind == LIST_TUPLES)
			step.offset = src ? SET_SRC_TUPLE : SET_DST_TUPLE;
		else
			step.offset = src ? SET_SRC : SET_DST;
		step.hi = test->protocol ? test->protocol->family : 0;
		break;
	case TEST_DNS_NAME:
	case TEST_DNS_UNDER:
		step.kind = test->kind == TEST_DNS_UNDER ? STEP_DNS_UNDER_SET : STEP_DNS_NAME_SET;
		step.lo = set->index;
		break;
	case TEST_DNS_TYPE:
		step.kind = STEP_DNS_TYPE_SET;
		break;
	default:
		step.offset = number_field(test, src);
	}
	return emit(builder, &step, yes, no);
}

static label emit_bpf(struct builder *builder, const struct test *test, label yes, label no)
{
	struct image_step step = { .kind = STEP_BPF, .offset = (__u32)builder->n_insns, .len = test->n_insns };
	struct image_insn *grown;

	if (builder->n_insns + test->n_insns > IMAGE_INSNS_MAX) {
		builder->full = "instructions of tcpdump expressions";
		return 0;
	}
	grown = builder_grow(builder, builder->insns, &builder->insns_room, builder->n_insns + test->n_insns, sizeof(*grown));
	if (!grown)
		return 0;
	builder->insns = grown;
	memcpy(grown + builder->n_insns, test->insns, test->n_insns * sizeof(*grown));
	builder->n_insns += test->n_insns;
	return emit(builder, &step, yes, no);
}

/* One value of a list in one direction. */
static label emit_value(struct builder *builder, const struct test *test, const union value *value, bool src, label yes, label no)
{
	const struct range *range = &value->range;

	switch (test->kind) {
	case TEST_ADDR:
		return emit_net(builder, src ? STEP_SRC_NET : STEP_DST_NET, &value->prefix, yes, no);
	case TEST_PORT:
		return emit_number(builder, src ? STEP_SRC_PORT : STEP_DST_PORT, range->lo, range->hi, yes, no);
	case TEST_ETHER_PROTO:
		return emit_number(builder, STEP_ETH_TYPE, range->lo, 0, yes, no);
	case TEST_LEN:
		return emit_number(builder, STEP_LEN, range->lo, range->hi, yes, no);
	case TEST_IP_LEN:
		return emit_number(builder, STEP_IP_LEN, range->lo, range->hi, yes, no);
	case TEST_TTL:
		return emit_number(builder, STEP_TTL, range->lo, range->hi, yes, no);
	case TEST_DSCP:
		return emit_number(builder, STEP_DSCP, range->lo, range->hi, yes, no);
	case TEST_FLAGS:
		return emit_number(builder, STEP_TCP_FLAGS, range->lo, range->hi, yes, no);
	case TEST_ICMP_TYPE:
		return emit_number(builder, STEP_ICMP, range->lo, range->hi, yes, no);
	case TEST_ICMP_CODE:
		return emit_number(builder, STEP_ICMP_CODE, range->lo, range->hi, yes, no);
	case TEST_FRAG:
		return emit_number(builder, STEP_FRAG, range->lo, 0, yes, no);
	case TEST_ETHER_ADDR:
		return emit_mac(builder, &value->mac, src, yes, no);
	case TEST_VLAN:
		return emit_vlan(builder, test, range, yes, no);
	case TEST_DNS_TYPE:
		return emit_number(builder, STEP_DNS_TYPE, range->lo, range->hi, yes, no);
	case TEST_DNS_NAME:
	case TEST_DNS_UNDER:
		return emit_name(builder, test->kind, &value->name, yes, no);
	default: /* TEST_PROTO: the image asks for one protocol at a time */
		for (uint32_t proto = range->hi + 1; proto-- > range->lo;)
			no = emit_number(builder, STEP_L4_PROTO, proto, 0, yes, no);
		return no;
	}
}

/* Is any value of the list there, in this direction? */
static label emit_list(struct builder *builder, const struct test *test, bool src, label yes, label no)
{
	if (test->list.set)
		return emit_set(builder, test, src, yes, no);
	for (size_t i = test->list.n; i-- > 0 && !builder->full;) {
		union value value = test->list.values[i];

		if (test_uses(test, &value))
			no = emit_value(builder, test, &value, src, yes, no);
	}
	return no;
}

static bool has_direction(const struct test *test)
{
	return test->kind == TEST_ADDR || test->kind == TEST_PORT || test->kind == TEST_ETHER_ADDR;
}

static label emit_directions(struct builder *builder, const struct test *test, label yes, label no)
{
	if (!has_direction(test))
		return emit_list(builder, test, false, yes, no);
	switch (test->direction) {
	case DIRECTION_SRC:
		return emit_list(builder, test, true, yes, no);
	case DIRECTION_DST:
		return emit_list(builder, test, false, yes, no);
	case DIRECTION_BOTH:
		return emit_list(builder, test, true, emit_list(builder, test, false, yes, no), no);
	default:
		return emit_list(builder, test, true, yes, emit_list(builder, test, false, yes, no));
	}
}

/* The protocol word, alone or in front of `next`; an address of a family says its family itself. */
static label emit_protocol(struct builder *builder, const struct test *test, label yes, label no)
{
	const struct protocol *protocol = test->protocol;

	if (test_is_deep(test) && test->kind != TEST_BPF) /* DNS is looked for in UDP only */
		return emit_number(builder, STEP_L4_PROTO, PROTO_UDP, 0, yes, no);
	if (!protocol)
		return yes;
	if (protocol->l4_proto >= 0)
		yes = emit_number(builder, STEP_L4_PROTO, (uint32_t)protocol->l4_proto, 0, yes, no);
	if (protocol->family && test->kind != TEST_ADDR)
		yes = emit_number(builder, STEP_FAMILY, protocol->family, 0, yes, no);
	if (protocol->eth_type)
		yes = emit_number(builder, STEP_ETH_TYPE, protocol->eth_type, 0, yes, no);
	return yes;
}

static label emit_test(struct builder *builder, const struct test *test, label yes, label no)
{
	if (test->kind == TEST_PAYLOAD)
		yes = emit_payload(builder, test, yes, no);
	else if (test->kind == TEST_OPTIONS)
		yes = emit_number(builder, STEP_OPTIONS, 0, 0, yes, no);
	else if (test->kind == TEST_DNS_VALID)
		yes = emit_number(builder, STEP_DNS_VALID, 0, 0, yes, no);
	else if (test->kind == TEST_BPF)
		yes = emit_bpf(builder, test, yes, no);
	else if (test->kind != TEST_PROTOCOL)
		yes = emit_directions(builder, test, yes, no);
	return emit_protocol(builder, test, yes, no);
}

static label emit_expr(struct builder *builder, const struct expr *expr, label yes, label no);

/* Children of a chain, the last first; those that may be asked late are `deep`. */
static label emit_children(struct builder *builder, const struct expr *expr, bool deep, label yes, label no)
{
	for (size_t i = expr->n; i-- > 0 && !builder->full;) {
		const struct expr *child = expr->children[i];

		if (child->deep != deep || expr_constant(child, CONSTANT_NONE) != CONSTANT_NONE)
			continue; /* a constant that decided would have made the whole chain one */
		if (expr->kind == EXPR_AND)
			yes = emit_expr(builder, child, yes, no);
		else
			no = emit_expr(builder, child, yes, no);
	}
	return expr->kind == EXPR_AND ? yes : no;
}

/* The expression is not a constant. Returns the label of its first question. */
static label emit_expr(struct builder *builder, const struct expr *expr, label yes, label no)
{
	label deep;

	switch (expr->kind) {
	case EXPR_TEST:
		return emit_test(builder, expr->test, yes, no);
	case EXPR_NOT:
		return emit_expr(builder, expr->children[0], no, yes);
	case EXPR_AND:
		deep = emit_children(builder, expr, true, yes, no);
		return emit_children(builder, expr, false, deep, no);
	default:
		deep = emit_children(builder, expr, true, yes, no);
		return emit_children(builder, expr, false, yes, deep);
	}
}

/* Turn the block round, its labels into indices, and write the END behind it. Returns where label `entry` is. */
static uint32_t block_finish(struct builder *builder, label entry)
{
	struct image_step *block = &builder->steps[builder->base];
	uint32_t end = (uint32_t)(builder->base + builder->n);

	for (size_t i = 0; i < builder->n / 2; i++) {
		struct image_step step = block[i];

		block[i] = block[builder->n - 1 - i];
		block[builder->n - 1 - i] = step;
	}
	for (size_t i = 0; i < builder->n; i++) {
		block[i].next_yes = end - block[i].next_yes;
		block[i].next_no = end - block[i].next_no;
	}
	block[0].alone =
		builder->n == 2 && block[0].kind < STEP_DNS_UNDER && block[0].next_yes == end - 1 && block[0].next_no == end;
	builder->steps[end] = (struct image_step){ .kind = STEP_END };
	builder->base = end + 1;
	builder->n = 0;
	return end - entry;
}

int steps_build(struct builder *builder, const struct expr *expr, bool (*skip)(const struct expr *child), uint32_t *ret_step)
{
	struct image_step step = { .kind = STEP_RULE };
	label entry = emit(builder, &step, 0, 0);

	if (expr->kind == EXPR_AND && skip) {
		for (int deep = 1; deep >= 0; deep--)
			for (size_t i = expr->n; i-- > 0 && !builder->full;)
				if (expr->children[i]->deep == deep && !skip(expr->children[i]))
					entry = emit_expr(builder, expr->children[i], entry, 0);
	} else {
		entry = emit_expr(builder, expr, entry, 0);
	}
	if (builder->full || builder->failed)
		return builder->failed ? -ENOMEM : -E2BIG;
	*ret_step = block_finish(builder, entry);
	return 0;
}

int steps_build_overload(struct builder *builder, const struct list *list, uint32_t *ret_step)
{
	struct image_step step = { .kind = STEP_RULE };
	label listed = emit(builder, &step, 0, 0), no = 0;

	if (list->set) {
		struct image_step in_set = { .kind = STEP_SET, .offset = SET_SRC, .lo = rules_set_id(builder->rules, list->set) };

		no = emit(builder, &in_set, listed, no);
	}
	for (size_t i = list->n; i-- > 0;)
		no = emit_net(builder, STEP_SRC_NET, &list->values[i].prefix, listed, no);
	if (builder->full || builder->failed)
		return builder->failed ? -ENOMEM : -E2BIG;
	*ret_step = block_finish(builder, no);
	return 0;
}
