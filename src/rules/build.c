/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A rule set to an image (classify/image.h).
 *
 * The steps of one rule are written from its end to its beginning: first what happens on a match (STEP_RULE), then the last
 * question, then the one before. So the targets of a step's yes and no are always there already and nothing is patched; at the
 * end the block is turned round, which makes every jump a jump forward.
 *
 * A `label` names a step of the block by how many were written up to and with it; label 0 is the step behind the block, where
 * the next rule begins. `not` is yes and no exchanged. Questions that only the user tier can answer come last in each chain,
 * which changes no answer (questions have no effects) but leaves most packets to the XDP tier.
 */
#include <errno.h>
#include <pcap/pcap.h>
#include <string.h>
#include <xxhash.h>

#include "classify/parse.h"
#include "rules/ast.h"

_Static_assert(sizeof(struct image_insn) == sizeof(struct bpf_insn), "instructions are libpcap's");

struct builder {
	struct image *image;
	unsigned base;	  /* first step of the block */
	unsigned n;	  /* steps of the block so far */
	const char *full; /* what ran out, or NULL */
};

typedef unsigned label;

static label emit(struct builder *builder, const struct image_step *step, label yes, label no)
{
	struct image_step *to;

	if (builder->base + builder->n >= IMAGE_STEPS_MAX - 1) /* one is left for the END behind the last block */
		builder->full = "steps";
	if (builder->full)
		return 0;
	to = &builder->image->steps[builder->base + builder->n];
	*to = *step;
	to->next_yes = (__u16)yes;
	to->next_no = (__u16)no;
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

/* Where the name's bytes stand in the pool; any place where they already do is as good as a new one. */
static size_t intern_name(struct builder *builder, const struct wire_name *name)
{
	struct image *image = builder->image;
	const __u8 *found = memmem(image->names, image->n_names, name->bytes, name->len);

	if (found)
		return (size_t)(found - image->names);
	if (image->n_names + name->len > IMAGE_NAMES_MAX) {
		builder->full = "name bytes";
		return 0;
	}
	memcpy(image->names + image->n_names, name->bytes, name->len);
	image->n_names += name->len;
	return image->n_names - name->len;
}

static label emit_name(struct builder *builder, enum test_kind kind, const struct wire_name *name, label yes, label no)
{
	struct image_step step = {
		.kind = kind == TEST_DNS_UNDER ? STEP_DNS_UNDER : STEP_DNS_NAME,
		.offset = (__u16)intern_name(builder, name),
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

/* Address, protocol and port of one side. */
static label emit_tuple(struct builder *builder, const struct tuple *tuple, bool src, label yes, label no)
{
	if (tuple->port_lo || tuple->port_hi < UINT16_MAX)
		yes = emit_number(builder, src ? STEP_SRC_PORT : STEP_DST_PORT, tuple->port_lo, tuple->port_hi, yes, no);
	yes = emit_net(builder, src ? STEP_SRC_NET : STEP_DST_NET, &tuple->prefix, yes, no);
	return emit_number(builder, STEP_L4_PROTO, tuple->proto, 0, yes, no);
}

static label emit_bpf(struct builder *builder, const struct test *test, label yes, label no)
{
	struct image *image = builder->image;
	struct image_step step = { .kind = STEP_BPF, .offset = (__u16)image->n_insns, .len = test->n_insns };

	if (image->n_insns + test->n_insns > IMAGE_INSNS_MAX) {
		builder->full = "instructions of tcpdump expressions";
		return 0;
	}
	memcpy(image->insns + image->n_insns, test->insns, test->n_insns * sizeof(*test->insns));
	image->n_insns += test->n_insns;
	return emit(builder, &step, yes, no);
}

/* One value of a list in one direction. */
static label emit_value(struct builder *builder, const struct test *test, const union value *value, bool src, label yes, label no)
{
	const struct range *range = &value->range;

	switch (test->kind) {
	case TEST_ADDR:
		if (test->list.set && test->list.set->kind == LIST_TUPLES)
			return emit_tuple(builder, &value->tuple, src, yes, no);
		return emit_net(builder, src ? STEP_SRC_NET : STEP_DST_NET, &value->prefix, yes, no);
	case TEST_PORT:
		return emit_number(builder, src ? STEP_SRC_PORT : STEP_DST_PORT, range->lo, range->hi, yes, no);
	case TEST_ETHER_PROTO:
		return emit_number(builder, STEP_ETH_TYPE, range->lo, 0, yes, no);
	case TEST_LEN:
		return emit_number(builder, STEP_LEN, range->lo, range->hi, yes, no);
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
	for (size_t i = list_count(&test->list); i-- > 0 && !builder->full;) {
		union value value = list_value(&test->list, i);

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

/* Turn the block round and its labels into indices. */
static void block_finish(struct builder *builder)
{
	struct image_step *block = &builder->image->steps[builder->base];
	unsigned end = builder->base + builder->n;

	for (unsigned i = 0; i < builder->n / 2; i++) {
		struct image_step step = block[i];

		block[i] = block[builder->n - 1 - i];
		block[builder->n - 1 - i] = step;
	}
	for (unsigned i = 0; i < builder->n; i++) {
		block[i].next_yes = (__u16)(end - block[i].next_yes);
		block[i].next_no = (__u16)(end - block[i].next_no);
	}
	builder->base = end;
	builder->n = 0;
}

/* The steps of rule `index`; none if it never matches. */
static void build_rule(struct builder *builder, const struct rule *rule, unsigned index)
{
	struct image_step step = { .kind = STEP_RULE, .rule = (__u16)index };
	enum constant constant = expr_constant(rule->match, CONSTANT_NONE);
	label matched;

	if (constant == CONSTANT_FALSE)
		return;
	matched = emit(builder, &step, 0, 0);
	if (constant == CONSTANT_NONE)
		emit_expr(builder, rule->match, matched, 0);
	block_finish(builder);
}

static void build_end(struct builder *builder)
{
	struct image_step step = { .kind = STEP_END };

	builder->image->steps[builder->base] = step;
	builder->base++;
}

/* The allow-list of a divert rule: a program of its own behind the others. */
static void build_overload(struct builder *builder, const struct rule *rule, unsigned index)
{
	struct image_step step = { .kind = STEP_RULE, .rule = (__u16)index };
	label listed, no = 0;

	listed = emit(builder, &step, 0, 0);
	for (size_t i = list_count(&rule->overload_list); i-- > 0;) {
		union value value = list_value(&rule->overload_list, i);

		no = emit_net(builder, STEP_SRC_NET, &value.prefix, listed, no);
	}
	builder->image->rules[index].overload_step = (__u16)(builder->base + builder->n - no);
	block_finish(builder);
	if (!builder->full)
		build_end(builder);
}

static int build_full(const struct rules *rules, const struct rule *rule, const char *what, unsigned max,
		      struct rules_error *ret_error)
{
	source_error(&rules->source, rule->statement->at, rule->statement->len, ret_error,
		     "an image has room for %u %s: this rule is the first that does not fit", max, what);
	return -E2BIG;
}

static int build_check_full(const struct builder *builder, const struct rules *rules, const struct rule *rule,
			    struct rules_error *ret_error)
{
	if (!builder->full)
		return 0;
	return build_full(rules, rule, builder->full, *builder->full == 's' ? IMAGE_STEPS_MAX : IMAGE_NAMES_MAX, ret_error);
}

static int build_rules(struct builder *builder, const struct rules *rules, const uint32_t *counter_of,
		       struct rules_error *ret_error)
{
	struct image *image = builder->image;
	int r;

	for (unsigned i = 0; i < rules->n_rules; i++) {
		const struct rule *rule = rules->rules[i];

		if (i == IMAGE_RULES_MAX)
			return build_full(rules, rule, "rules", IMAGE_RULES_MAX, ret_error);
		image->rules[i] = (struct image_rule){
			.action = (__u8)rule->action,
			.overload = (__u8)rule->overload,
			.overload_n = rule->overload_n,
			.counter = counter_of ? counter_of[i] : i,
			.line = rule->statement->line,
		};
		image->has_divert |= rule->action == ACTION_DIVERT;
		build_rule(builder, rule, i);
		r = build_check_full(builder, rules, rule, ret_error);
		if (r < 0)
			return r;
	}
	build_end(builder);
	for (unsigned i = 0; i < rules->n_rules; i++) {
		const struct rule *rule = rules->rules[i];

		if (rule->overload != OVERLOAD_ALLOW)
			continue;
		build_overload(builder, rule, i);
		r = build_check_full(builder, rules, rule, ret_error);
		if (r < 0)
			return r;
	}
	return 0;
}

static __u64 image_checksum(const struct image *image)
{
	size_t from = offsetof(struct image, checksum) + sizeof(image->checksum);

	return XXH3_64bits((const char *)image + from, sizeof(*image) - from);
}

int image_build(const struct rules *rules, uint32_t generation, const uint32_t *counter_of, struct image *image,
		struct rules_error *ret_error)
{
	struct builder builder = { .image = image };
	int r;

	memset(image, 0, sizeof(*image));
	image->magic = IMAGE_MAGIC;
	image->version = IMAGE_VERSION;
	image->bytes = sizeof(*image);
	image->generation = generation;
	image->default_action = (__u8)rules->default_action;
	for (unsigned i = 0; i < CONDITION_COUNT; i++)
		image->policy[i] = (__u8)rules->policy[i];
	r = build_rules(&builder, rules, counter_of, ret_error);
	if (r < 0)
		return r;
	image->n_rules = (__u32)rules->n_rules;
	image->n_steps = builder.base;
	image->checksum = image_checksum(image);
	return 0;
}

static bool step_is_sound(const struct image *image, unsigned index)
{
	const struct image_step *step = &image->steps[index];

	if (step->kind >= STEP_KIND_COUNT)
		return false;
	if (step->kind == STEP_END)
		return true;
	if (step->next_yes <= index || step->next_yes >= image->n_steps || step->next_no <= index ||
	    step->next_no >= image->n_steps)
		return false;
	switch (step->kind) {
	case STEP_RULE:
		return step->rule < image->n_rules;
	case STEP_PAYLOAD:
		return step->offset < IMAGE_PAYLOAD_REACH && step->len >= 1 && step->len <= IMAGE_PAYLOAD_MAX;
	case STEP_ETHER:
		return step->offset < IMAGE_PAYLOAD_REACH && step->len >= 1 && step->len <= IMAGE_PAYLOAD_MAX;
	case STEP_VLAN:
		return step->offset < 2;
	case STEP_BPF:
		return step->len >= 1 && (__u32)step->offset + step->len <= image->n_insns &&
		       bpf_validate((const struct bpf_insn *)image->insns + step->offset, step->len);
	case STEP_DNS_UNDER:
	case STEP_DNS_NAME:
		return step->len >= 1 && (__u32)step->offset + step->len <= image->n_names;
	default:
		return true;
	}
}

static bool rule_is_sound(const struct image *image, const struct image_rule *rule)
{
	return rule->action < ACTION_KIND_COUNT && rule->overload < OVERLOAD_POLICY_COUNT && rule->counter < IMAGE_COUNTERS_MAX &&
	       rule->overload_step < image->n_steps;
}

static bool action_is_verdict(unsigned action)
{
	return action == ACTION_PASS || action == ACTION_DROP;
}

int image_check(const struct image *image)
{
	if (image->magic != IMAGE_MAGIC || image->version != IMAGE_VERSION || image->bytes != sizeof(*image))
		return -EINVAL;
	if (image->n_steps < 1 || image->n_steps > IMAGE_STEPS_MAX || image->n_rules > IMAGE_RULES_MAX ||
	    image->n_names > IMAGE_NAMES_MAX || image->n_insns > IMAGE_INSNS_MAX)
		return -EINVAL;
	if (image->checksum != image_checksum(image) || !action_is_verdict(image->default_action))
		return -EINVAL;
	for (unsigned i = 0; i < CONDITION_COUNT; i++)
		if (image->policy[i] && !action_is_verdict(image->policy[i]))
			return -EINVAL;
	for (unsigned i = 0; i < image->n_steps; i++)
		if (!step_is_sound(image, i))
			return -EINVAL;
	for (unsigned i = 0; i < image->n_rules; i++)
		if (!rule_is_sound(image, &image->rules[i]))
			return -EINVAL;
	return 0;
}
