/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * quick.h - match.h for the plainest packets and rules, of the XDP tier alone: straight, and everything in registers.
 *
 * A packet that could be read to its end, and rules that do nothing but end the search and ask one question at most. What does not fit
 * is left to match.h, and nothing has been done or counted then. The file that includes this one defines what match.h wants, and
 * quick_set().
 */
#ifndef SPILLWAY_CLASSIFY_QUICK_H
#define SPILLWAY_CLASSIFY_QUICK_H

#include "classify/bits.h"
#include "classify/match.h"

#define QUICK_ROWS 3	/* looked at, of those that have their bit */
#define QUICK_GROUPS 16 /* looked at */

/* Is the address in the step's set? */
static __always_inline int quick_set(const struct match_env *env, const struct image_step *step, __u32 family,
				     const __u64 addr[2]);

/* The run of rows for the key in this group: 0, or a slot. */
static __always_inline __u64 quick_slot_of(const struct image *image, const struct lookup_key *key,
					   const struct image_group *group)
{
	return lookup_slot_at(image, key->family == 1 ? lookup_hash4(key, group) : lookup_hash(key, group));
}

static __always_inline int quick_box(const struct image_row *row, const struct lookup_key *key)
{
	return lookup_row_box(row, key) && lookup_range_any(&row->range, key);
}

/* The answer of a program that is one question, if it is one of those that need nothing but registers. 0: it is not. */
static __always_inline int quick_step(const struct match_env *env, const struct image_step *step, const struct pkt *pkt,
				      int *ret_answer)
{
	if (!step->alone)
		return 0;
	if (step->kind == STEP_LEN)
		*ret_answer = pkt->frame_len >= step->lo && pkt->frame_len <= step->hi;
	else if (step->kind == STEP_SET && step->offset == SET_SRC)
		*ret_answer = quick_set(env, step, pkt->family, pkt->src);
	else if (step->kind == STEP_SET && step->offset == SET_DST)
		*ret_answer = quick_set(env, step, pkt->family, pkt->dst);
	else
		return 0;
	return 1;
}

/* What a row says. */
enum quick_answer { QUICK_NO, QUICK_YES, QUICK_UNSURE };

/* The row's box fits. Is that all, or one plain question, and then the packet's end? */
static __always_inline enum quick_answer quick_ask(const struct match_env *env, const struct image *image,
						   const struct image_row *row, const struct pkt *pkt)
{
	int answer = 1;

	if (row->action == ROW_ASK_RULE)
		return QUICK_UNSURE;
	if (row->step != ROW_NO_STEP && !quick_step(env, lookup_step_at(image, row->step), pkt, &answer))
		return QUICK_UNSURE;
	return answer ? QUICK_YES : QUICK_NO;
}

static __always_inline __u32 quick_end(const struct match_env *env, const struct image_row *row, const struct pkt *pkt)
{
	match_hit(env, row->counter, pkt->frame_len);
	return row->action;
}

/* The tables have one group. Here and below: the action, or 0. */
static __always_inline __u32 quick_slot(const struct match_env *env, const struct image *image, const struct pkt *pkt,
					const struct lookup_key *key)
{
	const struct image_group *group = lookup_group(image, 0);
	const struct image_row *row;
	enum quick_answer answer;
	__u64 slot = image->lone_slot;

	if (!slot && image->n_groups)
		slot = quick_slot_of(image, key, group);
	if (!slot)
		return image->default_action;
	row = lookup_row_at(image, SLOT_ROW(slot));
	answer = quick_box(row, key) ? quick_ask(env, image, row, pkt) : QUICK_NO;
	if (answer == QUICK_YES)
		return quick_end(env, row, pkt);
	return answer == QUICK_NO && SLOT_ROWS(slot) == 1 ? image->default_action : 0;
}

/* There are bit vectors. */
static __always_inline __u32 quick_bits(const struct match_env *env, const struct image *image, const struct pkt *pkt,
					const struct lookup_key *key)
{
	__u64 rows[BITS_WORDS];

	bits_rows(image, key, rows);
#pragma clang loop unroll(disable)
	for (__u32 n = 0; n < QUICK_ROWS; n++) {
		const struct image_row *row;
		enum quick_answer answer;
		__u32 first = 0;
		__u64 word = rows[0];

		if (!word) {
			first = rows[1] ? 64 : rows[2] ? 128 : 192;
			word = rows[1] ? rows[1] : rows[2] ? rows[2] : rows[3];
		}
		if (!word)
			return image->default_action;
		row = bits_row_at(image, first + lookup_lowest(word));
		answer = lookup_row_box(row, key) ? quick_ask(env, image, row, pkt) : QUICK_NO;
		if (answer == QUICK_YES)
			return quick_end(env, row, pkt);
		if (answer == QUICK_UNSURE)
			return 0;
		word &= word - 1;
		if (!first)
			rows[0] = word;
		else if (first == 64)
			rows[1] = word;
		else if (first == 128)
			rows[2] = word;
		else
			rows[3] = word;
	}
	return 0;
}

/* Groups fit into one word, and few are left; of each run two rows are looked at. */
static __always_inline __u32 quick_groups(const struct match_env *env, const struct image *image, const struct pkt *pkt,
					  const struct lookup_key *key)
{
	__u64 candidates[IMAGE_WORDS_MAX], left;
	__u32 best = IMAGE_NO_RULE, best_row = 0;
	const struct image_row *row;
	enum quick_answer answer;

	lookup_candidates(image, key, candidates);
	left = candidates[0];
#pragma clang loop unroll(disable)
	for (__u32 n = 0; n < QUICK_GROUPS && left; n++) {
		const struct image_group *group = lookup_group(image, lookup_lowest(left));
		__u64 slot;
		__u32 at;
		int fits;

		if (group->first_rule >= best)
			break;
		left &= left - 1;
		slot = quick_slot_of(image, key, group);
		if (!slot)
			continue;
		at = SLOT_ROW(slot);
		row = lookup_row_at(image, at);
		fits = quick_box(row, key);
		if (!fits && SLOT_ROWS(slot) > 1) {
			row = lookup_row_at(image, ++at);
			fits = quick_box(row, key);
			if (!fits && SLOT_ROWS(slot) > 2)
				return 0;
		}
		if (fits && row->rule < best) {
			best = row->rule;
			best_row = at;
		}
	}
	if (left && lookup_group(image, lookup_lowest(left))->first_rule < best)
		return 0; /* more groups than we look at */
	if (best == IMAGE_NO_RULE)
		return image->default_action;
	row = lookup_row_at(image, best_row);
	answer = quick_ask(env, image, row, pkt);
	return answer == QUICK_YES ? quick_end(env, row, pkt) : 0;
}

/* As match_run_in() of the XDP tier. The action; 0: ask that one. */
static __always_inline __u32 quick_run(const struct match_env *env, const struct image *image, const struct pkt *pkt)
{
	struct lookup_key key;

	if (image->lone_row) {
		const struct image_row *row = lookup_row_at(image, SLOT_ROW(image->lone_slot));
		enum quick_answer answer = quick_ask(env, image, row, pkt);

		if (answer == QUICK_YES)
			return quick_end(env, row, pkt);
		return answer == QUICK_NO ? image->default_action : 0;
	}
	lookup_key_init(pkt, &key);
	if (image->one_group)
		return quick_slot(env, image, pkt, &key);
	return image->bits_protos ? quick_bits(env, image, pkt, &key) : quick_groups(env, image, pkt, &key);
}

#endif
