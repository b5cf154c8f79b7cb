/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A rule set to an image (classify/image.h): boxes and residual programs of each rule, then the tables over all of them, then one
 * flat block. And the check of such a block, which promises a reader that nothing in it leads out of it or round in it.
 */
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "act/limit.h"
#include "classify/lookup.h"
#include "classify/set.h"
#include "rules/build.h"

_Static_assert(sizeof(struct image_insn) == sizeof(struct bpf_insn), "instructions are libpcap's");

void *builder_grow(struct builder *builder, void *array, size_t *room, size_t n, size_t element)
{
	size_t more = *room ? *room : 64;
	void *grown;

	if (n <= *room)
		return array;
	while (more < n)
		more *= 2;
	grown = realloc(array, more * element);
	if (!grown)
		builder->failed = true;
	else
		*room = more;
	return grown;
}

static void builder_fini(struct builder *builder)
{
	free(builder->steps);
	free(builder->names);
	free(builder->insns);
	free(builder->rows);
}

static int refuse_full(const struct rules *rules, const struct rule *rule, const char *what, unsigned max,
		       struct rules_error *ret_error)
{
	source_error(&rules->source, rule->statement->at, rule->statement->len, ret_error,
		     "an image has room for %u %s: this rule is the first that does not fit", max, what);
	return -E2BIG;
}

static int row_add(struct builder *builder, const struct row_box *box, uint32_t rule, bool has_step, uint32_t step)
{
	struct build_row *grown = builder_grow(builder, builder->rows, &builder->rows_room, builder->n_rows + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	builder->rows = grown;
	grown[builder->n_rows++] = (struct build_row){ .box = *box, .rule = rule, .has_step = has_step, .step = step };
	return 0;
}

/* The rows of rule `index`; none if it never matches. */
static int build_rule(struct builder *builder, const struct rule *rule, uint32_t index)
{
	bool constant = expr_constant(rule->match, CONSTANT_NONE) != CONSTANT_NONE;
	struct arena arena = { 0 };
	struct row_box *boxes;
	uint32_t step = 0;
	bool more, has_step;
	size_t n;
	int r = boxes_build(&arena, rule->match, &boxes, &n, &more);

	has_step = r == 0 && n && !constant && (more || !expr_is_boxes(rule->match));
	if (has_step)
		r = steps_build(builder, rule->match, more ? NULL : expr_is_boxes, &step);
	if (r == -E2BIG && more)
		builder->full = "addresses, ports or protocols (65,536 fit)";
	for (size_t i = 0; i < n && r == 0; i++)
		r = row_add(builder, &boxes[i], index, has_step, step);
	arena_fini(&arena);
	if (r == 0 && builder->n_rows > IMAGE_ROWS_MAX / 2) { /* tables.c may double them */
		builder->full = "rows";
		r = -E2BIG;
	}
	return r;
}

/* A limit's rate as what a packet or byte costs, in time. */
static void build_limit(const struct rule *rule, struct image_rule *ret)
{
	uint64_t second = 1000000000ull << LIMIT_SHIFT;
	bool by_bits = rule->unit == LIMIT_BPS;
	double cost = (double)second / (double)rule->rate * (by_bits ? 8 : 1);

	ret->by_bits = by_bits;
	ret->cost = cost < 1 ? 1 : (__u64)(cost + 0.5);
	ret->burst = (__u64)((double)rule_burst(rule) / (by_bits ? 8 : 1) * (double)ret->cost);
	ret->per = rule->per == LIMIT_PER_SRC ? PER_SRC : rule->per == LIMIT_PER_DST ? PER_DST : PER_RULE;
	ret->per_len4 = rule->per_len4;
	ret->per_len6 = rule->per_len6;
}

static int build_rules(struct builder *builder, const struct rules *rules, const uint32_t *counter_of,
		       struct image_rule *ret_rules, bool *ret_has_divert, struct rules_error *ret_error)
{
	for (uint32_t i = 0; i < rules->n_rules; i++) {
		const struct rule *rule = rules->rules[i];
		int r;

		ret_rules[i] = (struct image_rule){
			.action = (__u8)rule->action,
			.overload = (__u8)rule->overload,
			.overload_n = rule->overload_n,
			.sample_n = rule->action == ACTION_SAMPLE ? rule->sample_n : 0,
			.counter = counter_of ? counter_of[i] : i,
			.line = rule->statement->line,
			.expires = rule->ttl_s != 0,
			.queue = rule->action == ACTION_DIVERT ? rule->queue : -1,
		};
		if (rule->action == ACTION_LIMIT)
			build_limit(rule, &ret_rules[i]);
		*ret_has_divert = *ret_has_divert || rule->action == ACTION_DIVERT;
		r = build_rule(builder, rule, i);
		if (r == 0 && rule->overload == OVERLOAD_ALLOW)
			r = steps_build_overload(builder, &rule->overload_list, &ret_rules[i].overload_step);
		if (r == -E2BIG)
			source_error(&rules->source, rule->statement->at, rule->statement->len, ret_error,
				     "too many %s: this rule is the first that does not fit; split it into several",
				     builder->full);
		if (r < 0)
			return r;
	}
	return 0;
}

static __u64 image_checksum(const struct image *image)
{
	size_t from = offsetof(struct image, checksum) + sizeof(image->checksum);

	return XXH3_64bits((const char *)image + from, image->bytes - from);
}

/* Where the next region begins: each on a line of its own, and no larger than what it holds. */
static __u32 place(size_t *at, size_t bytes)
{
	size_t here = *at;

	*at += (bytes + 63) / 64 * 64;
	return (__u32)here;
}

/* Offsets and counts, into *head. -E2BIG if the whole is too large. */
static int image_lay_out(struct image *head, const struct builder *builder, const struct tables *tables, const struct bits *bits)
{
	size_t at = IMAGE_BITS;

	place(&at, bits->n);
	if (bits->n) {
		head->bits_rows = place(&at, bits->n_rows * sizeof(struct image_row));
		memcpy(head->bits_roots, bits->roots, sizeof(head->bits_roots));
		memcpy(head->bits_ports, bits->ports, sizeof(head->bits_ports));
		head->bits_protos = bits->protos;
	}
	head->n_groups = (__u32)tables->n_groups;
	head->n_words = (__u32)tables->n_words;
	head->one_group = tables->n_groups <= 1;
	head->n_rows = (__u32)tables->n_rows;
	head->n_steps = (__u32)builder->base;
	head->n_names = (__u32)builder->n_names;
	head->n_insns = (__u32)builder->n_insns;
	head->slot_shift = 64 - tables->slot_bits;
	head->slot_mask = (1u << tables->slot_bits) - 1;
	head->rules = place(&at, head->n_rules * sizeof(struct image_rule));
	head->groups = place(&at, IMAGE_GROUPS_MAX * sizeof(struct image_group));
	for (unsigned kind = 0; kind < FILTER_COUNT; kind++) {
		struct image_filter *filter = &head->filters[kind];

		filter->mask = tables->filters[kind].mask;
		filter->shift = tables->filters[kind].entries ? tables->filters[kind].shift : 63;
		filter->entry_shift = tables->n_words == 1 ? 3 : 5;
		/* A reader takes four words in any case. */
		filter->offset = place(&at, ((filter->mask + 1) << filter->entry_shift) + IMAGE_WORDS_MAX * sizeof(__u64));
		head->has_filters |= tables->filters[kind].entries != NULL;
	}
	head->slots = place(&at, (head->slot_mask + 1) * sizeof(__u64));
	head->rows = place(&at, head->n_rows * sizeof(struct image_row));
	head->steps = place(&at, head->n_steps * sizeof(struct image_step));
	head->names = place(&at, head->n_names);
	head->insns = place(&at, head->n_insns * sizeof(struct image_insn));
	memcpy(head->bits, tables->bits, sizeof(head->bits));
	memcpy(head->family_groups, tables->family_groups, sizeof(head->family_groups));
	if (at > IMAGE_BYTES_MAX)
		return -E2BIG;
	head->bytes = (__u32)at;
	return 0;
}

static void copy_to(struct image *image, __u32 offset, const void *from, size_t bytes)
{
	if (bytes)
		memcpy((char *)image + offset, from, bytes);
}

/* The run that no header has to be looked at for, or 0. */
static __u64 image_lone_slot(const struct image *image)
{
	const struct image_group *group = lookup_group(image, 0);
	struct lookup_key key = { 0 };

	if (image->n_groups != 1 || group->src_mask[0] | group->src_mask[1] | group->dst_mask[0] | group->dst_mask[1] ||
	    group->ports_mask)
		return 0;
	return lookup_slot(image, &key, group);
}

/* Is that run one row, and does it hold every packet, of IPv4 and of IPv6? */
static bool image_lone_row(const struct image *image)
{
	const struct image_row *row = lookup_row_at(image, SLOT_ROW(image->lone_slot));
	static const struct image_range any = { .hi = { 0xffff, 0xffff, 0xffff, 0xffff } };

	return SLOT_ROWS(image->lone_slot) == 1 && row->family == ROW_FAMILY_ANY && !memcmp(&row->range, &any, sizeof(any));
}

static struct image_row image_row_of(const struct build_row *from, const struct image_rule *rules)
{
	const struct image_rule *rule = &rules[from->rule];

	return (struct image_row){
		.range = from->box.range,
		.src = { from->box.src[0], from->box.src[1] },
		.dst = { from->box.dst[0], from->box.dst[1] },
		.src_len = from->box.src_len,
		.dst_len = from->box.dst_len,
		.family = from->box.family,
		.rule = from->rule,
		.step = from->has_step ? from->step : ROW_NO_STEP,
		.action = rule->action > ACTION_LIMIT && !rule->expires ? rule->action : ROW_ASK_RULE,
		.counter = rule->counter,
	};
}

static void image_fill_bits(struct image *image, const struct bits *bits, const struct image_rule *rules)
{
	struct image_row *rows = (struct image_row *)((char *)image + image->bits_rows);

	copy_to(image, IMAGE_BITS, bits->memory, bits->n);
	for (size_t i = 0; i < bits->n_rows && bits->n; i++)
		rows[i] = image_row_of(&bits->rows[i], rules);
}

static void image_fill(struct image *image, const struct builder *builder, const struct tables *tables, const struct bits *bits,
		       const struct image_rule *rules)
{
	struct image_row *rows = (struct image_row *)((char *)image + image->rows);

	copy_to(image, image->rules, rules, image->n_rules * sizeof(*rules));
	copy_to(image, image->groups, tables->groups, image->n_groups * sizeof(struct image_group));
	for (unsigned kind = 0; kind < FILTER_COUNT; kind++)
		if (tables->filters[kind].entries)
			copy_to(image, image->filters[kind].offset, tables->filters[kind].entries,
				(image->filters[kind].mask + 1) * tables->n_words * sizeof(__u64));
		else
			memset((char *)image + image->filters[kind].offset, 0xff, IMAGE_WORDS_MAX * sizeof(__u64));
	copy_to(image, image->slots, tables->slots, (image->slot_mask + 1) * sizeof(__u64));
	for (size_t i = 0; i < image->n_rows; i++)
		rows[i] = image_row_of(&builder->rows[i], rules);
	image_fill_bits(image, bits, rules);
	copy_to(image, image->steps, builder->steps, image->n_steps * sizeof(struct image_step));
	copy_to(image, image->names, builder->names, image->n_names);
	copy_to(image, image->insns, builder->insns, image->n_insns * sizeof(struct image_insn));
	image->lone_slot = image_lone_slot(image);
	image->lone_row = image_lone_row(image);
}

static int image_assemble(const struct image *head, const struct builder *builder, const struct tables *tables,
			  const struct bits *bits, const struct image_rule *rules, struct image **ret_image)
{
	struct image whole = *head, *image;
	int r = image_lay_out(&whole, builder, tables, bits);

	if (r < 0)
		return r;
	image = calloc(1, whole.bytes);
	if (!image)
		return -ENOMEM;
	*image = whole;
	image_fill(image, builder, tables, bits, rules);
	image->checksum = image_checksum(image);
	*ret_image = image;
	return 0;
}

/* The vectors first: the tables put the rows into another order. */
static int image_make(const struct image *head, struct builder *builder, const struct image_rule *rules, struct image **ret_image)
{
	struct tables *tables = malloc(sizeof(*tables));
	struct bits *bits = malloc(sizeof(*bits));
	int r = tables && bits ? bits_build(builder, IMAGE_BITS, bits) : -ENOMEM;

	if (r == 0) {
		r = tables_build(builder, tables);
		if (r == 0) {
			r = image_assemble(head, builder, tables, bits, rules, ret_image);
			tables_fini(tables);
		}
		bits_fini(bits);
	}
	free(tables);
	free(bits);
	return r;
}

int image_build(const struct rules *rules, uint32_t generation, const uint32_t *counter_of, struct image **ret_image,
		struct rules_error *ret_error)
{
	struct image head = {
		.magic = IMAGE_MAGIC,
		.version = IMAGE_VERSION,
		.generation = generation,
		.n_rules = (__u32)rules->n_rules,
		.default_action = (__u8)rules->default_action,
	};
	struct builder builder = { .rules = rules };
	struct image_rule *image_rules;
	bool has_divert = false;
	int r;

	memset(ret_error, 0, sizeof(*ret_error));
	if (rules->n_rules > IMAGE_RULES_MAX)
		return refuse_full(rules, rules->rules[IMAGE_RULES_MAX], "rules", IMAGE_RULES_MAX, ret_error);
	image_rules = calloc(rules->n_rules + 1, sizeof(*image_rules));
	if (!image_rules)
		return -ENOMEM;
	for (unsigned i = 0; i < CONDITION_COUNT; i++)
		head.policy[i] = (__u8)rules->policy[i];
	r = build_rules(&builder, rules, counter_of, image_rules, &has_divert, ret_error);
	head.has_divert = has_divert;
	if (r == 0)
		r = image_make(&head, &builder, image_rules, ret_image);
	if (r == -E2BIG && !*ret_error->message)
		file_error(rules->source.file, r, ret_error, "the rules need more than the %u MiB of the largest image",
			   IMAGE_BYTES_MAX >> 20);
	builder_fini(&builder);
	free(image_rules);
	return r;
}

struct image *image_free(struct image *image)
{
	free(image);
	return NULL;
}

/* Is the region inside, behind the header, and on a line of its own? */
static bool region_is_sound(const struct image *image, __u32 offset, __u64 n, size_t element)
{
	return offset % 64 == 0 && offset >= sizeof(*image) && n <= IMAGE_BYTES_MAX && offset + n * element <= image->bytes;
}

static bool regions_are_sound(const struct image *image)
{
	if (image->n_rules > IMAGE_RULES_MAX || image->n_groups > IMAGE_GROUPS_MAX || image->n_rows > IMAGE_ROWS_MAX ||
	    image->n_steps > IMAGE_STEPS_MAX || image->n_names > IMAGE_NAMES_MAX || image->n_insns > IMAGE_INSNS_MAX)
		return false;
	if ((image->n_words != 1 && image->n_words != IMAGE_WORDS_MAX) || image->n_groups > 64 * image->n_words)
		return false;
	if (image->slot_mask & (image->slot_mask + 1) || image->slot_shift > 63 || ~0ull >> image->slot_shift != image->slot_mask)
		return false;
	for (unsigned kind = 0; kind < FILTER_COUNT; kind++) {
		const struct image_filter *filter = &image->filters[kind];

		if (filter->mask & (filter->mask + 1) || filter->shift > 63 ||
		    filter->entry_shift != (image->n_words == 1 ? 3 : 5))
			return false;
		if (!region_is_sound(image, filter->offset, ((__u64)filter->mask + 1) * (1u << filter->entry_shift) + 32, 1))
			return false;
	}
	return region_is_sound(image, image->rules, image->n_rules, sizeof(struct image_rule)) &&
	       region_is_sound(image, image->groups, IMAGE_GROUPS_MAX, sizeof(struct image_group)) &&
	       region_is_sound(image, image->slots, (__u64)image->slot_mask + 1, sizeof(__u64)) &&
	       region_is_sound(image, image->rows, image->n_rows, sizeof(struct image_row)) &&
	       region_is_sound(image, image->steps, image->n_steps, sizeof(struct image_step)) &&
	       region_is_sound(image, image->names, image->n_names, 1) &&
	       region_is_sound(image, image->insns, image->n_insns, sizeof(struct image_insn));
}

/* Of the prefixes of a row: readers shift by what is left. */
static unsigned row_len_max(const struct image_row *row)
{
	return row->family == FAMILY_IP4 ? 32 : row->family == FAMILY_IP6 ? 128 : 0;
}

static bool tables_are_sound(const struct image *image)
{
	for (__u32 i = 0; i <= image->slot_mask; i++) {
		__u64 slot = *IMAGE_AT(image, image->slots + 8 * i, __u64);

		if (SLOT_ROW(slot) + SLOT_ROWS(slot) > image->n_rows)
			return false;
	}
	if (SLOT_ROW(image->lone_slot) + SLOT_ROWS(image->lone_slot) > image->n_rows)
		return false;
	for (__u32 i = 0; i < image->n_rows; i++) {
		const struct image_row *row = lookup_row_at(image, i);

		if (row->rule >= image->n_rules || row->src_len > row_len_max(row) || row->dst_len > row_len_max(row) ||
		    (row->step != ROW_NO_STEP && row->step >= image->n_steps) ||
		    (row->action != ROW_ASK_RULE && row->action != lookup_rule_at(image, row->rule)->action) ||
		    row->counter != lookup_rule_at(image, row->rule)->counter)
			return false;
	}
	/* A bit without a group is not read past its end: the region has room for all. */
	return true;
}

static bool step_is_sound(const struct image *image, unsigned index)
{
	const struct image_step *step = IMAGE_AT(image, image->steps + index * (__u32)sizeof(*step), struct image_step);

	if (step->kind >= STEP_KIND_COUNT)
		return false;
	if (step->kind == STEP_END || step->kind == STEP_RULE)
		return true;
	if (step->next_yes <= index || step->next_yes >= image->n_steps || step->next_no <= index ||
	    step->next_no >= image->n_steps)
		return false;
	switch (step->kind) {
	case STEP_PAYLOAD:
	case STEP_ETHER:
		return step->offset < IMAGE_PAYLOAD_REACH && step->len >= 1 && step->len <= IMAGE_PAYLOAD_MAX;
	case STEP_VLAN:
		return step->offset < 2;
	case STEP_SET:
		return step->offset < SET_FIELD_COUNT && step->lo < SET_IDS_MAX;
	case STEP_DNS_TYPE_SET:
		return step->lo < SET_IDS_MAX;
	case STEP_BPF:
		return step->len >= 1 && step->offset < image->n_insns && step->offset + step->len <= image->n_insns &&
		       bpf_validate((const struct bpf_insn *)lookup_insn_at(image, step->offset), step->len);
	case STEP_DNS_UNDER:
	case STEP_DNS_NAME:
		return step->len >= 1 && step->offset < image->n_names && step->offset + step->len <= image->n_names;
	default:
		return true;
	}
}

static bool rule_is_sound(const struct image *image, const struct image_rule *rule)
{
	return rule->action < ACTION_KIND_COUNT && rule->per <= PER_DST && rule->per_len4 <= 32 && rule->per_len6 <= 128 &&
	       rule->overload < OVERLOAD_POLICY_COUNT && rule->counter < IMAGE_COUNTERS_MAX &&
	       (rule->overload == OVERLOAD_ALLOW ? rule->overload_step < image->n_steps : !rule->overload_step);
}

static bool action_is_verdict(unsigned action)
{
	return action == ACTION_PASS || action == ACTION_DROP;
}

int image_check(const struct image *image, size_t size)
{
	if (size < sizeof(*image) || image->magic != IMAGE_MAGIC || image->version != IMAGE_VERSION ||
	    image->bytes < sizeof(*image) || image->bytes > size || image->bytes > IMAGE_BYTES_MAX)
		return -EINVAL;
	if (image->checksum != image_checksum(image) || !action_is_verdict(image->default_action))
		return -EINVAL;
	if (!regions_are_sound(image) || !tables_are_sound(image))
		return -EINVAL;
	for (unsigned i = 0; i < CONDITION_COUNT; i++)
		if (image->policy[i] && !action_is_verdict(image->policy[i]))
			return -EINVAL;
	for (unsigned i = 0; i < image->n_steps; i++)
		if (!step_is_sound(image, i))
			return -EINVAL;
	for (unsigned i = 0; i < image->n_rules; i++)
		if (!rule_is_sound(image, lookup_rule_at(image, i)))
			return -EINVAL;
	return 0;
}
