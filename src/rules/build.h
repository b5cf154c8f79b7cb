/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * build.h - a rule set on its way to an image: what steps.c, boxes.c, tables.c and build.c make of it, one after the other.
 *
 *	boxes.c   a match to boxes: prefixes, port ranges, protocol; and whether they say all of it
 *	steps.c   what boxes do not say, to a program of questions
 *	tables.c  boxes to rows, groups, filters and slots
 *	bits.c    the same boxes, if they are few, to bit vectors
 *	build.c   all of it to one flat block, and the check of such a block
 *
 * Internal to src/rules. Everything grows in the builder and goes with it.
 */
#ifndef SPILLWAY_RULES_BUILD_H
#define SPILLWAY_RULES_BUILD_H

#include "rules/ast.h"

/* Prefixes as numbers (image.h), ranges inclusive. */
struct row_box {
	uint64_t src[2], dst[2];
	struct image_range range;
	uint8_t src_len, dst_len;
	uint8_t family; /* 4, 6 or 0: either, or none */
};

/* One box of one rule. */
struct build_row {
	struct row_box box;
	uint32_t rule;
	uint32_t step;
	bool has_step;
	uint8_t src_bits, dst_bits; /* of the ports, that are part of the key */
	uint16_t group;
	uint64_t hash;
};

struct builder {
	const struct rules *rules;
	struct image_step *steps;
	size_t steps_room;
	size_t base; /* first step of the block at hand */
	size_t n;    /* steps of the block so far */
	uint8_t *names;
	size_t n_names, names_room;
	struct image_insn *insns;
	size_t n_insns, insns_room;
	struct build_row *rows;
	size_t n_rows, rows_room;
	const char *full; /* what ran out, or NULL */
	bool failed;	  /* out of memory */
};

/* `array` with room for `n` elements, maybe moved; grows by doubling. NULL: out of memory, noted in builder->failed. */
void *builder_grow(struct builder *builder, void *array, size_t *room, size_t n, size_t element);

/*
 * A program that says yes where `expr` (no constant) is true. If `expr` is a chain of `and`, children that `skip` names are left
 * out. 0, -E2BIG with builder->full, -ENOMEM.
 */
int steps_build(struct builder *builder, const struct expr *expr, bool (*skip)(const struct expr *child), uint32_t *ret_step);
/* A program that says yes to sources on the list. */
int steps_build_overload(struct builder *builder, const struct list *list, uint32_t *ret_step);

/* Do the boxes of `expr` say all of it? */
bool expr_is_boxes(const struct expr *expr);
/*
 * Boxes that hold every packet for which `expr` is true, and no other if expr_is_boxes() and !*ret_more. *ret_more: there would be
 * too many, so they hold other packets too. The array is the arena's. 0 or -ENOMEM.
 */
int boxes_build(struct arena *arena, const struct expr *expr, struct row_box **ret_boxes, size_t *ret_n, bool *ret_more);

#define BITS_ROWS_MIN 2u       /* with fewer there is nothing to choose between */
#define BITS_VECTORS_MAX 4096u /* different ones */

/* The bit vectors of an image and all that leads to them. Offsets are those in the image, where `memory` lies at `begin`. */
struct bits {
	uint8_t *memory;
	size_t n, room; /* bytes; 0: there are none */
	uint32_t begin;
	uint32_t vectors[BITS_VECTORS_MAX];
	uint32_t n_vectors;
	uint64_t roots[3][2];
	uint32_t ports[2], protos;
	struct build_row rows[BITS_ROWS_MAX];
	size_t n_rows;
	bool failed; /* out of memory */
	bool unfit;  /* too much of it */
};

/* Bit n is the builder's n-th row, which are in the order of their rules. 0 or -ENOMEM; *ret_bits then is a null object. */
int bits_build(const struct builder *builder, uint32_t begin, struct bits *ret_bits);
void bits_fini(struct bits *bits);

/* The tables of an image, and where in it each begins. */
struct tables {
	struct image_group groups[IMAGE_GROUPS_MAX];
	size_t n_groups, n_words;
	uint64_t family_groups[3][IMAGE_WORDS_MAX];
	uint8_t bits[3][FILTER_COUNT];
	struct {
		uint32_t shift, mask;
		uint64_t *entries; /* (mask + 1) * n_words, or NULL: this filter would tell nothing */
	} filters[FILTER_COUNT];
	uint64_t *slots;
	unsigned slot_bits;
	size_t n_rows; /* of the builder's, sorted as the slots name them */
};

/* 0 or -ENOMEM; *ret_tables then is a null object. */
int tables_build(struct builder *builder, struct tables *ret_tables);
void tables_fini(struct tables *tables);

#endif
