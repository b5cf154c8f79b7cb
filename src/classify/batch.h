/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * batch.h - match.h for many packets at once, in user space: the same answers, in the same order, with less waiting for memory.
 *
 * The file that includes this one defines what match.h wants. The stages of a batch: headers to keys (keys.c), keys to the rows that
 * are known of them, and then packet by packet those rows, one after the other, until one ends the search. What is not known is
 * searched for in the tables, by an address that stands for the class and not by the packet's own: it has to hold for all of a key.
 */
#ifndef SPILLWAY_CLASSIFY_BATCH_H
#define SPILLWAY_CLASSIFY_BATCH_H

#include "classify/keys.h"
#include "classify/match.h"

/* Rows of a key come in this order: by rule, and those of one rule as they lie. */
#define BATCH_ORDER(rule, row) ((__u64)(rule) << 32 | (row))

/* What a key stands for: its classes' own prefixes, and the ports and protocol of a header that has it. */
struct cell {
	struct lookup_key header;
	uint32_t src_len, dst_len;
};

static inline struct cell batch_cell(const struct keys *keys, const struct lookup_key *header, uint64_t key)
{
	uint64_t mask = ~(~0ull << keys->dst_shift);
	const struct address_class *src = &keys->classes[key & mask], *dst = &keys->classes[key >> keys->dst_shift & mask];
	struct cell cell = { .header = *header, .src_len = src->len, .dst_len = dst->len };

	memcpy(cell.header.src, src->addr, sizeof(cell.header.src));
	memcpy(cell.header.dst, dst->addr, sizeof(cell.header.dst));
	return cell;
}

/* Does the row match all headers of the cell? Its prefixes must not be longer than the classes', or some are outside. */
static inline bool batch_cell_matches(const struct keys *keys, const struct cell *cell, const struct image_row *row)
{
	return row->src_len <= cell->src_len && row->dst_len <= cell->dst_len && lookup_row_box(row, &cell->header) &&
	       (!keys->by_ports || lookup_range(&row->range, &cell->header));
}

/* The first matching row of a run in the order from `after` to *best on, which becomes its. */
static inline void batch_search_run(const struct keys *keys, const struct cell *cell, uint64_t slot, uint64_t after,
				    uint64_t *best)
{
	for (uint32_t at = SLOT_ROW(slot); at < SLOT_ROW(slot) + SLOT_ROWS(slot); at++) {
		uint64_t order = BATCH_ORDER(keys->rows[at].rule, at);

		if (order >= *best)
			return;
		if (order < after || !batch_cell_matches(keys, cell, &keys->rows[at]))
			continue;
		*best = order;
		return; /* the rest of the run are later rules */
	}
}

/* The first row from the order `after` on that matches all headers of the key; the number of rows: none. */
static inline uint32_t batch_search(const struct keys *keys, const struct lookup_key *header, uint64_t key, uint64_t after)
{
	const struct image *image = keys->image;
	struct cell cell = batch_cell(keys, header, key);
	uint64_t best = BATCH_ORDER(IMAGE_NO_RULE, image->n_rows);
	__u64 candidates[IMAGE_WORDS_MAX];

	/* Ports that are no part of the key narrow nothing: its rows are those of any port. */
	if (keys->by_ports)
		lookup_candidates(image, &cell.header, candidates);
	else
		lookup_candidates_addresses(image, &cell.header, candidates);
	for (uint32_t w = 0; w < image->n_words; w++) {
		for (__u64 left = candidates[w]; left; left &= left - 1) {
			const struct image_group *group = lookup_group(image, 64 * w + lookup_lowest(left));

			if (BATCH_ORDER(group->first_rule, 0) >= best)
				return (uint32_t)best;
			batch_search_run(keys, &cell, lookup_slot(image, &cell.header, group), after, &best);
		}
	}
	return (uint32_t)best;
}

/* The row has been asked all it asks. 0: go on to the next, 1: the packet's end. */
static inline long batch_act(struct match_walk *walk, const struct image_row *row, enum deep_answer answer)
{
	if (walk->state->asked != IMAGE_NO_RULE)
		walk->state->counting = 1; /* the tier in front stopped at that question */
	if (answer == DEEP_NO)
		return 0;
	walk->state->best = SCORE_NONE;
	match_found(walk, row, answer);
	return match_act(walk);
}

/* Does the key's first row decide without being asked anything? */
static inline void batch_learn_end(const struct keys *keys, struct known *known, uint32_t at)
{
	const struct image_row *row = &keys->rows[at];

	if (at == keys->image->n_rows || !keys->by_ports || row->step != ROW_NO_STEP || row->action == ROW_ASK_RULE)
		return;
	known->rule = row->rule;
	known->end = row->action | row->counter << 8;
}

/* The rows of the packet's key. 0: there are more than are remembered, and none of these has ended the search. */
static inline int batch_rows(struct match_walk *walk, const struct keys *keys, struct known *known)
{
	struct match_state *state = walk->state;
	uint64_t after = 0;

	for (uint32_t n = 0; n < KEYS_ROWS; n++) {
		const struct image_row *row;
		uint32_t at;

		if (!known->rows[n]) {
			known->rows[n] = batch_search(keys, &state->key, known->key, after) + 1;
			if (!n)
				batch_learn_end(keys, known, known->rows[0] - 1);
		}
		at = known->rows[n] - 1;
		if (at == keys->image->n_rows)
			return 1;
		row = &keys->rows[at];
		after = BATCH_ORDER(row->rule, at + 1);
		if (row->rule < state->next || (!keys->by_ports && !lookup_range(&row->range, &state->key)))
			continue;
		if (batch_act(walk, row, row->step != ROW_NO_STEP ? match_residual(walk, row) : DEEP_YES))
			return 1;
	}
	return 0;
}

static inline void batch_walk(const struct match_env *env, const struct keys *keys, const struct pkt *pkt, struct known *known,
			      int counting, struct match *ret)
{
	struct match_state state = { .asked = IMAGE_NO_RULE, .counting = (__u32)counting };
	struct match_walk walk = { .env = env, .image = keys->image, .pkt = pkt, .match = ret, .state = &state };

	lookup_key_init(pkt, &state.key);
	if (!batch_rows(&walk, keys, known)) {
		lookup_candidates(keys->image, &state.key, state.candidates);
		match_walk(&walk);
	}
	if (!state.decided)
		match_default(keys->image, pkt, ret);
}

/* As match_run(), for a packet whose key is there. */
static inline void batch_run(const struct match_env *env, const struct keys *keys, const struct pkt *pkt, uint64_t key,
			     int counting, struct match *ret)
{
	struct known *known = keys_known(keys, key);

	memset(ret, 0, sizeof(*ret));
	ret->rule = IMAGE_NO_RULE;
	if (!known->end) {
		batch_walk(env, keys, pkt, known, counting, ret);
		return;
	}
	if (counting)
		match_hit(env, known->end >> 8, pkt->frame_len);
	ret->rule = known->rule;
	ret->action = (__u8)known->end;
}

#endif
