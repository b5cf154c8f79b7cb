/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rows to bit vectors (classify/bits.h), where there are few enough: tries for addresses, pages for ports, a table for protocols.
 *
 * All of it is one piece of memory that grows by objects of 64 bytes and more; offsets in it count from where it will lie in the image.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "classify/bits.h"
#include "rules/build.h"

#define NODE_BITS_MAX 10u
#define NODE_BITS_MORE 1u /* than there are prefixes, so that most get an entry of their own */
#define NODE_SPAN_MAX 8u  /* prefixes that end so few bits behind a point get a node for all of these */
#define BITS_BYTES_MAX (4u << 20)

struct vector {
	uint64_t rows[BITS_WORDS];
};

static void vector_set(struct vector *vector, unsigned bit)
{
	vector->rows[bit / 64] |= 1ull << bit % 64;
}

static void vector_add(struct vector *to, const struct vector *what)
{
	for (unsigned i = 0; i < BITS_WORDS; i++)
		to->rows[i] |= what->rows[i];
}

/* `bytes`, a multiple of 64, more. Their offset; 0 with bits->failed, or bits->unfit: it is too much. */
static uint32_t bits_take(struct bits *bits, size_t bytes)
{
	size_t at = bits->n;

	if (bits->failed || bits->unfit)
		return 0;
	if (at + bytes > bits->room) {
		size_t room = bits->room ? 2 * bits->room : 1u << 16;
		uint8_t *grown;

		while (room < at + bytes)
			room *= 2;
		bits->unfit = room > BITS_BYTES_MAX;
		grown = bits->unfit ? NULL : realloc(bits->memory, room);
		bits->failed = !grown;
		if (!grown)
			return 0;
		memset(grown + bits->room, 0, room - bits->room);
		bits->memory = grown;
		bits->room = room;
	}
	bits->n += bytes;
	return bits->begin + (uint32_t)at;
}

static void *bits_at(struct bits *bits, uint32_t offset)
{
	return bits->memory + (offset - bits->begin);
}

/* The offset of this vector: of one that is there already, or a new one. */
static uint32_t vector_find(struct bits *bits, const struct vector *vector)
{
	uint32_t at;

	for (uint32_t i = 0; i < bits->n_vectors; i++)
		if (!memcmp(bits_at(bits, bits->vectors[i]), vector, sizeof(*vector)))
			return bits->vectors[i];
	if (bits->n_vectors == BITS_VECTORS_MAX) {
		bits->unfit = true;
		return 0;
	}
	at = bits_take(bits, sizeof(struct image_bits));
	if (!at)
		return 0;
	memcpy(bits_at(bits, at), vector, sizeof(*vector));
	((struct image_bits *)bits_at(bits, at))->self = at + offsetof(struct image_bits, self);
	bits->vectors[bits->n_vectors++] = at;
	return at;
}

static uint64_t vector_entry(struct bits *bits, const struct vector *vector)
{
	return vector_find(bits, vector) + offsetof(struct image_bits, self);
}

/* A prefix of one side and family, and the rows that have it. */
struct part {
	uint64_t addr[2];
	unsigned len;
	struct vector rows;
};

struct parts {
	struct part parts[BITS_ROWS_MAX];
	size_t n;
	struct vector any; /* rows that take every address of the family */
};

static void parts_add(struct parts *parts, const uint64_t addr[2], unsigned len, unsigned bit)
{
	struct part *part;
	size_t i;

	if (!len) {
		vector_set(&parts->any, bit);
		return;
	}
	for (i = 0; i < parts->n; i++)
		if (parts->parts[i].len == len && !memcmp(parts->parts[i].addr, addr, sizeof(parts->parts[i].addr)))
			break;
	part = &parts->parts[i];
	if (i == parts->n) {
		parts->n++;
		memcpy(part->addr, addr, sizeof(part->addr));
		part->len = len;
	}
	vector_set(&part->rows, bit);
}

/* Prefixes below one point of a trie, which share their bits up to there, and the rows that all addresses below it have. */
struct below {
	const struct part *parts[BITS_ROWS_MAX];
	size_t n;
	struct vector rows;
};

/* Those that end at the point are had by all below it. */
static void below_strip(struct below *below, unsigned at)
{
	size_t kept = 0;

	for (size_t i = 0; i < below->n; i++) {
		if (below->parts[i]->len == at)
			vector_add(&below->rows, &below->parts[i]->rows);
		else
			below->parts[kept++] = below->parts[i];
	}
	below->n = kept;
}

static unsigned common_bits(const uint64_t a[2], const uint64_t b[2])
{
	if (a[0] != b[0])
		return (unsigned)__builtin_clzll(a[0] ^ b[0]);
	return a[1] != b[1] ? 64 + (unsigned)__builtin_clzll(a[1] ^ b[1]) : 128;
}

/* Where they part, or the shortest of them ends. */
static unsigned below_point(const struct below *below)
{
	unsigned point = below->parts[0]->len;

	for (size_t i = 1; i < below->n; i++) {
		unsigned common = common_bits(below->parts[0]->addr, below->parts[i]->addr);

		point = common < point ? common : point;
		point = below->parts[i]->len < point ? below->parts[i]->len : point;
	}
	return point;
}

static unsigned below_bits(const struct below *below, unsigned point)
{
	unsigned bits = NODE_BITS_MORE, longest = 0, half_end = point < 64 ? 64 : 128;

	for (size_t n = below->n; n; n /= 2)
		bits++;
	for (size_t i = 0; i < below->n; i++)
		longest = below->parts[i]->len > longest ? below->parts[i]->len : longest;
	if (longest - point <= NODE_SPAN_MAX || longest - point <= bits)
		bits = longest - point;
	if (bits > NODE_BITS_MAX)
		bits = NODE_BITS_MAX;
	return point + bits > half_end ? half_end - point : bits;
}

static unsigned address_bits(const uint64_t addr[2], unsigned at, unsigned bits)
{
	return (unsigned)(addr[at / 64] << at % 64 >> (64 - bits));
}

/* What lies below entry `index` of the node whose index is the `bits` bits from `point` on. */
static void below_entry(const struct below *below, unsigned point, unsigned bits, unsigned index, struct below *ret)
{
	ret->n = 0;
	ret->rows = below->rows;
	for (size_t i = 0; i < below->n; i++) {
		const struct part *part = below->parts[i];
		unsigned first = address_bits(part->addr, point, bits), end = point + bits;

		if (part->len >= end) {
			if (first == index)
				ret->parts[ret->n++] = part;
		} else if (index >> (end - part->len) == first >> (end - part->len)) {
			vector_add(&ret->rows, &part->rows);
		}
	}
}

static uint64_t trie_build(struct bits *bits, struct below *below, unsigned at, unsigned depth)
{
	unsigned point, width, half;
	struct below *entry;
	uint32_t node;

	below_strip(below, at);
	if (!below->n)
		return vector_entry(bits, &below->rows);
	point = below_point(below);
	below_strip(below, point);
	if (!below->n)
		return vector_entry(bits, &below->rows);
	width = below_bits(below, point);
	half = point / 64;
	node = bits_take(bits, ((sizeof(uint64_t) << width) + 63) / 64 * 64);
	entry = malloc(sizeof(*entry));
	bits->failed = bits->failed || !entry;
	bits->unfit = bits->unfit || depth == BITS_DEPTH_MAX;
	for (unsigned index = 0; index < 1u << width && !bits->failed && !bits->unfit; index++) {
		uint64_t to;

		below_entry(below, point, width, index, entry);
		to = trie_build(bits, entry, point + width, depth + 1);
		if (!bits->failed && !bits->unfit)
			((uint64_t *)bits_at(bits, node))[index] = to;
	}
	free(entry);
	return BITS_MORE | (half ? BITS_LOW : 0) | (uint64_t)(64 * half + 64 - point - width) << BITS_SHIFT_SHIFT |
	       ((1ull << width) - 1) << BITS_MASK_SHIFT | node;
}

static void address_build(struct bits *bits, const struct builder *builder, unsigned family, bool src)
{
	struct parts *parts = calloc(1, sizeof(*parts));
	struct below *all = calloc(1, sizeof(*all));

	bits->failed = bits->failed || !parts || !all;
	for (unsigned i = 0; i < builder->n_rows && !bits->failed; i++) {
		const struct row_box *box = &builder->rows[i].box;

		if (!box->family || (box->family == FAMILY_IP4) == (family == 1))
			parts_add(parts, src ? box->src : box->dst, src ? box->src_len : box->dst_len, i);
	}
	if (!bits->failed) {
		all->rows = parts->any;
		all->n = parts->n;
		for (size_t i = 0; i < parts->n; i++)
			all->parts[i] = &parts->parts[i];
		bits->roots[family][!src] = trie_build(bits, all, 0, 0);
	}
	free(parts);
	free(all);
}

/* Where the rows that take a port are others than those that take the one before. */
static void port_edges(const struct builder *builder, unsigned lane, bool *ret_edges)
{
	for (unsigned i = 0; i < builder->n_rows; i++) {
		ret_edges[builder->rows[i].box.range.lo[lane]] = true;
		ret_edges[builder->rows[i].box.range.hi[lane] + 1] = true;
	}
}

static uint32_t port_vector(struct bits *bits, const struct builder *builder, unsigned lane, unsigned port)
{
	struct vector vector = { { 0 } };

	for (unsigned i = 0; i < builder->n_rows; i++) {
		const struct image_range *range = &builder->rows[i].box.range;

		if (port >= range->lo[lane] && port <= range->hi[lane])
			vector_set(&vector, i);
	}
	return vector_find(bits, &vector);
}

/* The offset of a page like this: the one before is, most often. */
static uint32_t page_find(struct bits *bits, uint32_t last, const uint32_t page[256])
{
	uint32_t at;

	if (last && !memcmp(bits_at(bits, last), page, 256 * sizeof(*page)))
		return last;
	at = bits_take(bits, 256 * sizeof(*page));
	if (at)
		memcpy(bits_at(bits, at), page, 256 * sizeof(*page));
	return at;
}

static void ports_build(struct bits *bits, const struct builder *builder, unsigned side)
{
	unsigned lane = side ? LANE_DST_PORT : LANE_SRC_PORT;
	bool *edges = calloc(65537, sizeof(*edges));
	uint32_t page[256], last = 0, vector = 0;

	bits->ports[side] = bits_take(bits, sizeof(page));
	bits->failed = bits->failed || !edges;
	if (edges)
		port_edges(builder, lane, edges);
	for (unsigned port = 0; port < 65536 && !bits->failed && !bits->unfit; port++) {
		if (!port || edges[port])
			vector = port_vector(bits, builder, lane, port);
		page[port % 256] = vector;
		if (port % 256 < 255)
			continue;
		last = page_find(bits, last, page);
		if (last)
			((uint32_t *)bits_at(bits, bits->ports[side]))[port / 256] = last;
	}
	free(edges);
}

static void protos_build(struct bits *bits, const struct builder *builder)
{
	bits->protos = bits_take(bits, BITS_PROTOS * sizeof(uint32_t));
	for (unsigned family = 1; family < 3; family++)
		for (unsigned has_ports = 0; has_ports < 2; has_ports++)
			for (unsigned proto = 0; proto < 256; proto++) {
				struct vector vector = { { 0 } };
				uint32_t at;

				for (unsigned i = 0; i < builder->n_rows; i++) {
					const struct row_box *box = &builder->rows[i].box;

					if ((!box->family || (box->family == FAMILY_IP4) == (family == 1)) &&
					    proto >= box->range.lo[LANE_PROTO] && proto <= box->range.hi[LANE_PROTO] &&
					    has_ports >= box->range.lo[LANE_HAS_PORTS] &&
					    has_ports <= box->range.hi[LANE_HAS_PORTS])
						vector_set(&vector, i);
				}
				at = vector_find(bits, &vector);
				if (bits->failed || bits->unfit)
					return;
				((uint32_t *)bits_at(bits, bits->protos))[bits_proto_index(family, has_ports, proto)] = at;
			}
}

int bits_build(const struct builder *builder, uint32_t begin, struct bits *ret)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->begin = begin;
	if (builder->n_rows < BITS_ROWS_MIN || builder->n_rows > BITS_ROWS_MAX)
		return 0;
	memcpy(ret->rows, builder->rows, builder->n_rows * sizeof(*builder->rows));
	ret->n_rows = builder->n_rows;
	protos_build(ret, builder);
	for (unsigned side = 0; side < 2; side++)
		ports_build(ret, builder, side);
	for (unsigned family = 1; family < 3; family++)
		for (unsigned src = 0; src < 2; src++)
			address_build(ret, builder, family, src);
	if (!ret->failed && !ret->unfit)
		return 0;
	r = ret->unfit ? 0 : -ENOMEM;
	bits_fini(ret);
	return r;
}

void bits_fini(struct bits *bits)
{
	free(bits->memory);
	memset(bits, 0, sizeof(*bits));
}
