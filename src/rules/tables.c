/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rows to the tables that match.h reads: groups, filters, slots.
 *
 * Theory of operation. Rows with the same family and prefix lengths form a group: one hash of the packet's masked header finds all
 * of them that can match. Where too many rows share a value (port lists between the same two networks), those with narrow port
 * ranges move to a group that has the upper bits of a port in its key as well; a range that straddles two blocks of ports is
 * entered in both. If there are more groups than an image has room for, lengths are rounded down until they fit: a row compares
 * its full prefixes anyway, so a shorter key costs time, never truth. For the same reason two values may share a slot.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "classify/lookup.h"
#include "rules/build.h"

#define RUN_LONG 8	   /* rows of one value, from which on ports are looked at */
#define FILTERS_FROM 3	   /* groups; with fewer, asking them all is cheaper than asking first */
#define FILTER_BITS_MAX 16 /* 65,536 entries */
#define PORT_FILTER_BITS 12

static uint64_t high_mask(unsigned len)
{
	return len ? ~0ull << (len < 64 ? 64 - len : 0) : 0;
}

static uint64_t low_mask(unsigned len)
{
	return len > 64 ? ~0ull << (128 - len) : 0;
}

/* What makes a group. */
struct shape {
	uint8_t family, src_len, dst_len, src_bits, dst_bits;
};

static struct shape row_shape(const struct build_row *row, unsigned step)
{
	struct shape shape = { row->box.family, row->box.src_len, row->box.dst_len, row->src_bits, row->dst_bits };

	shape.src_len = (uint8_t)(shape.src_len / step * step);
	shape.dst_len = (uint8_t)(shape.dst_len / step * step);
	if (step > 4) /* at last the ports too */
		shape.src_bits = 0;
	if (step > 16)
		shape.dst_bits = 0;
	return shape;
}

static uint32_t shape_number(struct shape shape)
{
	uint32_t family = shape.family == FAMILY_IP4 ? 1 : shape.family == FAMILY_IP6 ? 2 : 0;

	return family | (uint32_t)shape.src_len << 2 | (uint32_t)shape.dst_len << 10 | (uint32_t)(shape.src_bits / 4) << 18 |
	       (uint32_t)(shape.dst_bits / 4) << 21;
}

#define SHAPES (1u << 24)

static int number_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static struct lookup_key row_key(const struct build_row *row)
{
	struct lookup_key key = { .ports = (uint32_t)row->box.range.lo[LANE_SRC_PORT] << 16 | row->box.range.lo[LANE_DST_PORT] };

	memcpy(key.src, row->box.src, sizeof(key.src));
	memcpy(key.dst, row->box.dst, sizeof(key.dst));
	return key;
}

static uint32_t port_mask(unsigned bits)
{
	return bits ? 0xffffu << (16 - bits) & 0xffffu : 0;
}

static struct image_group shape_group(struct shape shape, uint32_t number)
{
	return (struct image_group){
		.src_mask = { high_mask(shape.src_len), low_mask(shape.src_len) },
		.dst_mask = { high_mask(shape.dst_len), low_mask(shape.dst_len) },
		.ports_mask = port_mask(shape.src_bits) << 16 | port_mask(shape.dst_bits),
		.first_rule = UINT32_MAX,
		.salt = number + 1,
	};
}

/* How many upper bits of a port two neighbouring blocks need to hold the range: 0, 4, 8, 12 or 16. */
static unsigned range_bits(uint32_t lo, uint32_t hi)
{
	unsigned bits = 16;

	while (bits && hi - lo + 1 > 1u << (16 - bits))
		bits -= 4;
	return bits;
}

struct numbered {
	uint64_t hash;
	size_t row;
};

static int numbered_compare(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return (x->row > y->row) - (x->row < y->row);
}

/* The same row once more, for the second block of ports its range reaches into. */
static int row_again(struct builder *builder, size_t row, bool src, uint32_t from)
{
	struct build_row *grown = builder_grow(builder, builder->rows, &builder->rows_room, builder->n_rows + 1, sizeof(*grown));
	int lane = src ? LANE_SRC_PORT : LANE_DST_PORT;

	if (!grown)
		return -ENOMEM;
	builder->rows = grown;
	grown[builder->n_rows] = grown[row];
	grown[builder->n_rows].box.range.lo[lane] = (uint16_t)from;
	grown[row].box.range.hi[lane] = (uint16_t)(from - 1);
	builder->n_rows++;
	return 0;
}

/* Let a row of a long run have ports in its key, if its ranges are narrow enough. */
static int row_narrow(struct builder *builder, size_t index)
{
	struct build_row *row = &builder->rows[index];
	const struct image_range *range = &row->box.range;
	unsigned dst = range_bits(range->lo[LANE_DST_PORT], range->hi[LANE_DST_PORT]);
	unsigned src = range_bits(range->lo[LANE_SRC_PORT], range->hi[LANE_SRC_PORT]);
	bool by_src = src > dst;
	int lane = by_src ? LANE_SRC_PORT : LANE_DST_PORT;
	uint32_t last;

	if (!src && !dst)
		return 0;
	*(by_src ? &row->src_bits : &row->dst_bits) = (uint8_t)(by_src ? src : dst);
	last = range->lo[lane] | (~port_mask(by_src ? src : dst) & 0xffffu);
	return range->hi[lane] > last ? row_again(builder, index, by_src, last + 1) : 0;
}

/* Rows of one value, more than a few: see which of them ports can tell apart. */
static int rows_narrow(struct builder *builder)
{
	size_t n = builder->n_rows;
	struct numbered *numbered = malloc((n + 1) * sizeof(*numbered));
	int r = numbered ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && r == 0; i++) {
		struct lookup_key key = row_key(&builder->rows[i]);
		struct image_group group =
			shape_group(row_shape(&builder->rows[i], 1), shape_number(row_shape(&builder->rows[i], 1)));

		numbered[i] = (struct numbered){ lookup_hash(&key, &group), i };
	}
	if (r == 0)
		qsort(numbered, n, sizeof(*numbered), numbered_compare);
	for (size_t from = 0, to; from < n && r == 0; from = to) {
		for (to = from + 1; to < n && numbered[to].hash == numbered[from].hash;)
			to++;
		if (to - from <= RUN_LONG)
			continue;
		for (size_t i = from; i < to && r == 0; i++)
			r = row_narrow(builder, numbered[i].row);
	}
	free(numbered);
	return r;
}

/* The distinct shapes of all rows when lengths are rounded down to multiples of `step`. Returns how many. */
static size_t shapes_find(const struct builder *builder, unsigned step, uint64_t *seen, uint32_t *ret_numbers)
{
	size_t n = 0;

	memset(seen, 0, SHAPES / 8);
	for (size_t i = 0; i < builder->n_rows; i++) {
		uint32_t number = shape_number(row_shape(&builder->rows[i], step));

		if (seen[number / 64] >> number % 64 & 1)
			continue;
		seen[number / 64] |= 1ull << number % 64;
		if (n < IMAGE_GROUPS_MAX)
			ret_numbers[n] = number;
		n++;
	}
	return n;
}

struct order {
	uint32_t number, first_rule;
};

static int order_compare(const void *a, const void *b)
{
	const struct order *x = a, *y = b;

	if (x->first_rule != y->first_rule)
		return x->first_rule < y->first_rule ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

/* Give each row its group; groups with the lowest rules come first. */
static int groups_assign(struct builder *builder, struct tables *tables)
{
	uint32_t numbers[IMAGE_GROUPS_MAX];
	struct order order[IMAGE_GROUPS_MAX];
	uint64_t *seen = malloc(SHAPES / 8);
	unsigned step = 1;

	if (!seen)
		return -ENOMEM;
	while ((tables->n_groups = shapes_find(builder, step, seen, numbers)) > IMAGE_GROUPS_MAX)
		step *= 2;
	free(seen);
	qsort(numbers, tables->n_groups, sizeof(*numbers), number_compare);
	for (size_t i = 0; i < tables->n_groups; i++)
		order[i] = (struct order){ numbers[i], UINT32_MAX };
	for (size_t i = 0; i < builder->n_rows; i++) {
		struct build_row *row = &builder->rows[i];
		uint32_t number = shape_number(row_shape(row, step));
		uint32_t *found = bsearch(&number, numbers, tables->n_groups, sizeof(*numbers), number_compare);
		struct order *at = &order[found - numbers];

		if (row->rule < at->first_rule)
			at->first_rule = row->rule;
	}
	qsort(order, tables->n_groups, sizeof(*order), order_compare);
	for (size_t i = 0; i < builder->n_rows; i++) {
		struct build_row *row = &builder->rows[i];
		struct shape shape = row_shape(row, step);
		uint32_t number = shape_number(shape);
		struct lookup_key key = row_key(row);
		size_t at = 0;

		while (order[at].number != number)
			at++;
		row->group = (uint16_t)at;
		if (!tables->groups[at].salt)
			tables->groups[at] = shape_group(shape, number);
		tables->groups[at].first_rule = order[at].first_rule;
		row->hash = lookup_hash(&key, &tables->groups[at]);
	}
	tables->n_words = tables->n_groups > 64 ? IMAGE_WORDS_MAX : 1;
	return 0;
}

static void families_fill(const struct builder *builder, struct tables *tables)
{
	for (size_t i = 0; i < builder->n_rows; i++) {
		const struct build_row *row = &builder->rows[i];

		for (int family = 0; family < 3; family++)
			if (!row->box.family || row->box.family == (family == 1 ? FAMILY_IP4 : family == 2 ? FAMILY_IP6 : -1))
				tables->family_groups[family][row->group / 64] |= 1ull << row->group % 64;
	}
}

/* Does the group's key say enough for the filter's value to be known? Then the filter can rule it out. */
static bool filter_knows(unsigned kind, const uint8_t *bits, const struct image_group *group)
{
	unsigned at = kind < FILTER_PAIR_SHORT ? kind % FILTER_DST_SHORT : kind - FILTER_PAIR_SHORT;
	uint64_t src = high_mask(bits[FILTER_SRC_SHORT + at]), dst = high_mask(bits[FILTER_DST_SHORT + at]);
	bool src_known = (group->src_mask[0] & src) == src, dst_known = (group->dst_mask[0] & dst) == dst;

	if (kind == FILTER_DST_PORT)
		return group->ports_mask & 0xffffu;
	if (kind >= FILTER_PAIR_SHORT)
		return src_known && dst_known;
	return kind < FILTER_DST_SHORT ? src_known : dst_known;
}

static unsigned mask_length(uint64_t mask)
{
	return (unsigned)__builtin_popcountll(mask);
}

/* How many bits of the groups' prefixes no filter would see, with these three lengths. */
static unsigned bits_unseen(const struct tables *tables, int family, bool src, const uint8_t lengths[3])
{
	unsigned unseen = 0;

	for (size_t i = 0; i < tables->n_groups; i++) {
		const struct image_group *group = &tables->groups[i];
		unsigned len = mask_length(src ? group->src_mask[0] : group->dst_mask[0]), seen = 0;

		if (!(tables->family_groups[family][i / 64] >> i % 64 & 1))
			continue;
		for (int at = 0; at < 3; at++)
			if (lengths[at] <= len)
				seen = lengths[at];
		unseen += len - seen;
	}
	return unseen;
}

/* The three lengths of an address that tell the groups of a family apart best: out of those they have. */
static void bits_choose(struct tables *tables, int family, bool src)
{
	uint8_t *ret = &tables->bits[family][src ? FILTER_SRC_SHORT : FILTER_DST_SHORT], used[64];
	unsigned best = UINT32_MAX, n = 0;

	for (unsigned len = 1; len <= 64; len++) {
		bool there = false;

		for (size_t i = 0; i < tables->n_groups; i++)
			there = there ||
				((tables->family_groups[family][i / 64] >> i % 64 & 1) &&
				 mask_length(src ? tables->groups[i].src_mask[0] : tables->groups[i].dst_mask[0]) == len);
		if (there)
			used[n++] = (uint8_t)len;
	}
	for (unsigned a = 0; a < n; a++) {
		for (unsigned b = a; b < n; b++) {
			for (unsigned c = b; c < n; c++) {
				uint8_t lengths[3] = { used[a], used[b], used[c] };
				unsigned unseen = bits_unseen(tables, family, src, lengths);

				if (unseen >= best)
					continue;
				best = unseen;
				memcpy(ret, lengths, sizeof(lengths));
			}
		}
	}
}

static unsigned family_index(const struct build_row *row)
{
	return row->box.family == FAMILY_IP4 ? 1 : 2;
}

static void filter_add_ports(struct tables *tables, const struct build_row *row)
{
	uint32_t block = ~tables->groups[row->group].ports_mask & 0xffffu;
	uint32_t from = row->box.range.lo[LANE_DST_PORT] & ~block, mask = tables->filters[FILTER_DST_PORT].mask;
	uint64_t *entries = tables->filters[FILTER_DST_PORT].entries;

	for (uint32_t port = from; port <= (from | block) && port - from <= mask; port++)
		entries[(port & mask) * tables->n_words + row->group / 64] |= 1ull << row->group % 64;
}

static void filter_add(struct tables *tables, unsigned kind, const struct build_row *row)
{
	const uint8_t *bits = tables->bits[family_index(row)];
	struct lookup_key key = row_key(row);
	struct image_filter filter = { .shift = tables->filters[kind].shift, .mask = tables->filters[kind].mask };
	size_t entry = lookup_filter_entry(&filter, kind, bits, &key);

	tables->filters[kind].entries[entry * tables->n_words + row->group / 64] |= 1ull << row->group % 64;
}

/* How many values of the filter's bits there are among the rows of groups it knows. */
static int filter_values(const struct builder *builder, const struct tables *tables, unsigned kind,
			 const uint64_t unknown[IMAGE_WORDS_MAX], size_t *ret_n)
{
	static const struct image_filter whole = { .mask = UINT32_MAX };
	uint32_t *values = malloc((builder->n_rows + 1) * sizeof(*values));
	size_t n = 0, distinct = 0;

	if (!values)
		return -ENOMEM;
	for (size_t i = 0; i < builder->n_rows; i++) {
		const struct build_row *row = &builder->rows[i];
		struct lookup_key key = row_key(row);

		if (!(unknown[row->group / 64] >> row->group % 64 & 1))
			values[n++] = kind == FILTER_DST_PORT
					      ? 0
					      : lookup_filter_entry(&whole, kind, tables->bits[family_index(row)], &key);
	}
	qsort(values, n, sizeof(*values), number_compare);
	for (size_t i = 0; i < n; i++)
		distinct += i == 0 || values[i] != values[i - 1];
	free(values);
	*ret_n = distinct;
	return 0;
}

static int filter_make(struct tables *tables, unsigned kind, size_t n_known)
{
	unsigned bits = kind == FILTER_DST_PORT ? PORT_FILTER_BITS : 6;
	size_t n;

	while (bits < FILTER_BITS_MAX && kind != FILTER_DST_PORT && (1u << bits) < 4 * n_known)
		bits++;
	tables->filters[kind].mask = (1u << bits) - 1;
	tables->filters[kind].shift = 64 - bits;
	n = (size_t)tables->n_words << bits;
	tables->filters[kind].entries = calloc(n, sizeof(uint64_t));
	return tables->filters[kind].entries ? 0 : -ENOMEM;
}

/* Groups of which the filter knows nothing stay candidates whatever it says. */
static void filter_let_pass(struct tables *tables, unsigned kind, const uint64_t unknown[IMAGE_WORDS_MAX])
{
	uint64_t *entries = tables->filters[kind].entries;

	for (size_t i = 0; i <= tables->filters[kind].mask; i++)
		for (size_t w = 0; w < tables->n_words; w++)
			entries[i * tables->n_words + w] |= unknown[w];
}

static bool group_knows(const struct tables *tables, unsigned kind, size_t group)
{
	const uint64_t bit = 1ull << group % 64;
	bool any = false;

	/* A group of any family has no prefixes, so no filter but that of ports knows anything of it. */
	for (int family = 1; family < 3; family++) {
		if (!(tables->family_groups[family][group / 64] & bit))
			continue;
		any = true;
		if (!filter_knows(kind, tables->bits[family], &tables->groups[group]))
			return false;
	}
	return any && !((tables->family_groups[0][group / 64] & bit) && kind != FILTER_DST_PORT);
}

static int filter_build(const struct builder *builder, struct tables *tables, unsigned kind)
{
	uint64_t unknown[IMAGE_WORDS_MAX] = { 0 };
	size_t n_known = 0;
	int r;

	for (size_t i = 0; i < tables->n_groups; i++)
		if (!group_knows(tables, kind, i))
			unknown[i / 64] |= 1ull << i % 64;
	r = filter_values(builder, tables, kind, unknown, &n_known);
	if (r < 0 || !n_known)
		return r;
	r = filter_make(tables, kind, n_known);
	if (r < 0)
		return r;
	for (size_t i = 0; i < builder->n_rows; i++) {
		const struct build_row *row = &builder->rows[i];

		if (unknown[row->group / 64] >> row->group % 64 & 1)
			continue;
		if (kind == FILTER_DST_PORT)
			filter_add_ports(tables, row);
		else
			filter_add(tables, kind, row);
	}
	filter_let_pass(tables, kind, unknown);
	return 0;
}

#define SAMPLES 512
#define COST_FILTER 2 /* of asking one, against */
#define COST_GROUP 7  /* that of a group that is left */

/* A header that could come: half of them from within a row, half from anywhere. Always the same ones. */
static struct lookup_key sample_key(const struct builder *builder, unsigned n, uint64_t *random)
{
	const struct build_row *row = &builder->rows[(size_t)n * builder->n_rows / SAMPLES];
	struct lookup_key key = row_key(row);

	key.lanes[LANE_DST_PORT] = row->box.range.lo[LANE_DST_PORT];
	key.family = row->box.family ? family_index(row) : 1 + n / 2 % 2;
	for (int i = 0; i < 2; i++) {
		__u64 *addr = i ? key.dst : key.src;
		unsigned known = n % 2 ? 0 : i ? row->box.dst_len : row->box.src_len;

		*random = *random * 6364136223846793005u + 1442695040888963407u;
		addr[0] = (addr[0] & high_mask(known)) | (*random & ~high_mask(known) & high_mask(key.family == 1 ? 32 : 64));
	}
	return key;
}

static uint64_t filter_word(const struct tables *tables, unsigned kind, const struct lookup_key *key, size_t w)
{
	struct image_filter filter = { .shift = tables->filters[kind].shift, .mask = tables->filters[kind].mask };

	return tables->filters[kind]
		.entries[lookup_filter_entry(&filter, kind, tables->bits[key->family], key) * tables->n_words + w];
}

/* What the sample's searches would cost with the filters chosen so far and one more. */
static uint64_t filters_cost(const struct tables *tables, const struct lookup_key keys[SAMPLES],
			     uint64_t left[SAMPLES][IMAGE_WORDS_MAX], unsigned kind, bool keep)
{
	uint64_t cost = 0;

	for (unsigned n = 0; n < SAMPLES; n++) {
		cost += COST_FILTER;
		for (size_t w = 0; w < tables->n_words; w++) {
			uint64_t groups = left[n][w] & filter_word(tables, kind, &keys[n], w);

			cost += COST_GROUP * (unsigned)__builtin_popcountll(groups);
			if (keep)
				left[n][w] = groups;
		}
	}
	return cost;
}

/* Keep the filters that save more than they cost, the best first. */
static void filters_choose(const struct builder *builder, struct tables *tables)
{
	static const unsigned none = FILTER_COUNT;
	uint64_t left[SAMPLES][IMAGE_WORDS_MAX], random = 1, cost = 0;
	struct lookup_key keys[SAMPLES];
	bool kept[FILTER_COUNT] = { false };

	for (unsigned n = 0; n < SAMPLES; n++) {
		keys[n] = sample_key(builder, n, &random);
		memcpy(left[n], tables->family_groups[keys[n].family], sizeof(left[n]));
		for (size_t w = 0; w < tables->n_words; w++)
			cost += COST_GROUP * (unsigned)__builtin_popcountll(left[n][w]);
	}
	for (unsigned best = 0; best != none;) {
		best = none;
		for (unsigned kind = 0; kind < FILTER_COUNT; kind++) {
			uint64_t with = kept[kind] || !tables->filters[kind].entries
						? UINT64_MAX
						: filters_cost(tables, keys, left, kind, false);

			if (with < cost) {
				cost = with;
				best = kind;
			}
		}
		if (best == none)
			break;
		kept[best] = true;
		filters_cost(tables, keys, left, best, true);
	}
	for (unsigned kind = 0; kind < FILTER_COUNT; kind++) {
		if (kept[kind])
			continue;
		free(tables->filters[kind].entries);
		tables->filters[kind].entries = NULL;
		tables->filters[kind].mask = 0;
	}
}

static int row_order(const void *a, const void *b)
{
	const struct build_row *x = a, *y = b;

	return (x->rule > y->rule) - (x->rule < y->rule);
}

/* Rows to runs, one a slot: a counting sort that keeps the order of the rules. */
static int slots_build(struct builder *builder, struct tables *tables)
{
	size_t n_slots, n = builder->n_rows;
	struct build_row *sorted;
	uint32_t *starts;

	tables->slot_bits = 6;
	while ((1u << tables->slot_bits) < 4 * n)
		tables->slot_bits++;
	n_slots = 1u << tables->slot_bits;
	tables->slots = calloc(n_slots, sizeof(*tables->slots));
	starts = calloc(n_slots + 1, sizeof(*starts));
	sorted = malloc((n + 1) * sizeof(*sorted));
	if (!tables->slots || !starts || !sorted) {
		free(starts);
		free(sorted);
		return -ENOMEM;
	}
	if (n) /* there is no array without a row */
		qsort(builder->rows, n, sizeof(*builder->rows), row_order);
	for (size_t i = 0; i < n; i++)
		starts[(builder->rows[i].hash >> (64 - tables->slot_bits)) + 1]++;
	for (size_t i = 0; i < n_slots; i++)
		starts[i + 1] += starts[i];
	for (size_t i = 0; i < n; i++) {
		size_t slot = builder->rows[i].hash >> (64 - tables->slot_bits);
		uint64_t *at = &tables->slots[slot];
		uint32_t tag = lookup_tag(builder->rows[i].hash);

		if (*at && SLOT_TAG(*at) != tag)
			tag = SLOT_TAG_ANY;
		sorted[starts[slot] + SLOT_ROWS(*at)] = builder->rows[i];
		*at = (uint64_t)tag << 48 | (uint64_t)(SLOT_ROWS(*at) + 1) << 24 | starts[slot];
	}
	free(starts);
	free(builder->rows);
	builder->rows = sorted;
	builder->rows_room = n + 1;
	return 0;
}

int tables_build(struct builder *builder, struct tables *ret_tables)
{
	int r;

	memset(ret_tables, 0, sizeof(*ret_tables));
	memset(ret_tables->bits, 1, sizeof(ret_tables->bits));
	r = rows_narrow(builder);
	if (r == 0)
		r = groups_assign(builder, ret_tables);
	if (r == 0)
		families_fill(builder, ret_tables);
	for (int family = 1; family < 3 && r == 0 && ret_tables->n_groups >= FILTERS_FROM; family++) {
		bits_choose(ret_tables, family, true);
		bits_choose(ret_tables, family, false);
	}
	for (unsigned kind = 0; kind < FILTER_COUNT && r == 0 && ret_tables->n_groups >= FILTERS_FROM; kind++)
		r = filter_build(builder, ret_tables, kind);
	if (r == 0 && ret_tables->n_groups >= FILTERS_FROM)
		filters_choose(builder, ret_tables);
	if (r == 0)
		r = slots_build(builder, ret_tables);
	ret_tables->n_rows = builder->n_rows;
	if (r < 0)
		tables_fini(ret_tables);
	return r;
}

void tables_fini(struct tables *tables)
{
	for (unsigned kind = 0; kind < FILTER_COUNT; kind++)
		free(tables->filters[kind].entries);
	free(tables->slots);
	memset(tables, 0, sizeof(*tables));
}
