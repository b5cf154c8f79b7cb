/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * match.h - struct pkt and image to a match: the one classifier of both tiers.
 *
 * Freestanding like parse.h. A few things differ between kernel and user space: the file that includes this one defines struct
 * match_env and the functions declared below. The XDP tier answers every deep question with DEEP_ASK_USER_TIER.
 *
 * Theory of operation. lookup_candidates() turns the packet's header into one bit a group: may any row of it match? Each group that
 * is left is one hash and one slot; a slot names a run of rows, in the order of their rules; a row is compared by ports and
 * protocol first, then by prefixes, then by its residual program. match_search() is the lowest rule not yet tried that matches.
 * count, divert and sample go on to the next search, the other actions end it: so the first match wins, exactly.
 *
 * Who counts: a rule's hit is counted by the tier that reaches the rule first. The XDP tier counts up to the point where it hands
 * the packet over; the user tier searches the same way again and counts behind that point only (walk.counting).
 */
#ifndef SPILLWAY_CLASSIFY_MATCH_H
#define SPILLWAY_CLASSIFY_MATCH_H

#include "classify/lookup.h"
#include "classify/parse.h"

enum deep_answer { DEEP_NO, DEEP_YES, DEEP_ASK_USER_TIER };

struct match_env; /* where the frame and the counters are, as this tier knows them */

/* Copy `len` frame bytes at `off`: 0, or negative if they are not all there. */
static __always_inline int match_load(const struct match_env *env, __u32 off, void *to, __u32 len);
/* Count a packet of a rule. */
static __always_inline void match_hit(const struct match_env *env, __u32 counter, __u32 bytes);
/* Is the packet above the rate of a limit rule? */
static __always_inline int match_limit(const struct match_env *env, const struct image_rule *rule, const struct lookup_key *key,
				       __u32 bytes);
/* Offer the first bytes of the packet, if it is the n-th of sample rule number `index`. It has been counted. */
static __always_inline void match_sample(const struct match_env *env, const struct image_rule *rule, __u32 index,
					 const struct pkt *pkt);
/* STEP_SET: set_has_field() of the image's set block (set_field.h); no if there is none. */
static __always_inline int match_set(const struct match_env *env, const struct image_step *step, const struct pkt *pkt);
/* Answer a question about the payload's meaning (DNS name). */
static __always_inline enum deep_answer match_deep(const struct match_env *env, const struct image *image,
						   const struct image_step *step, const struct pkt *pkt);

#ifndef MATCH_TURNS
#define MATCH_TURNS 8
#endif
#define MATCH_TURNS_FIRST 4
#define MATCH_TURNS_MAX (1u << 23) /* more than the largest image needs: what a kernel allows is eight times that */

static __always_inline int match_net(const __u64 addr[2], const struct image_step *step)
{
	return (((addr[0] & step->mask[0]) ^ step->value[0]) | ((addr[1] & step->mask[1]) ^ step->value[1])) == 0;
}

/* STEP_PAYLOAD and STEP_ETHER in one, so that there is one place that loads. */
static __always_inline int match_bytes(const struct match_env *env, const struct image_step *step, const struct pkt *pkt)
{
	__u64 bytes[2] = { 0, 0 };
	__u32 off = step->offset & (IMAGE_PAYLOAD_REACH - 1), end = pkt->frame_len;
	__u32 len = step->len;

	if (step->kind == STEP_PAYLOAD) {
		if (!pkt->payload_off)
			return 0;
		off += pkt->payload_off;
		end = pkt->l3_end;
	}
	if (len < 1 || len > IMAGE_PAYLOAD_MAX || off + len > end)
		return 0;
	if (match_load(env, off, bytes, len))
		return 0;
	return match_net(bytes, step);
}

static __always_inline int match_vlan(const struct image_step *step, const struct pkt *pkt)
{
	__u32 vlan = step->offset ? pkt->vlan[1] : pkt->vlan[0];

	return pkt->n_vlans > step->offset && vlan >= step->lo && vlan <= step->hi;
}

static __always_inline int match_icmp(const struct image_step *step, const struct pkt *pkt, __u32 word)
{
	return pkt->has_l4 && (pkt->l4_proto == PROTO_ICMP || pkt->l4_proto == PROTO_ICMP6) && word >= step->lo &&
	       word <= step->hi;
}

/* The answer to one question, 0 or 1. Deep questions are not asked here. */
static __always_inline int match_step(const struct match_env *env, const struct image_step *step, const struct pkt *pkt)
{
	switch (step->kind) {
	case STEP_FAMILY:
		return pkt->family == step->lo;
	case STEP_ETH_TYPE:
		return pkt->eth_type == step->lo;
	case STEP_L4_PROTO:
		return pkt->family && pkt->l4_proto == step->lo;
	case STEP_SRC_NET:
		return pkt->family == step->lo && match_net(pkt->src, step);
	case STEP_DST_NET:
		return pkt->family == step->lo && match_net(pkt->dst, step);
	case STEP_SRC_PORT:
		return pkt->has_ports && pkt->src_port >= step->lo && pkt->src_port <= step->hi;
	case STEP_DST_PORT:
		return pkt->has_ports && pkt->dst_port >= step->lo && pkt->dst_port <= step->hi;
	case STEP_LEN:
		return pkt->frame_len >= step->lo && pkt->frame_len <= step->hi;
	case STEP_IP_LEN:
		return pkt->family && pkt->l3_end - pkt->l3_off >= step->lo && pkt->l3_end - pkt->l3_off <= step->hi;
	case STEP_PAYLOAD:
	case STEP_ETHER:
		return match_bytes(env, step, pkt);
	case STEP_TTL:
		return pkt->family && pkt->ttl >= step->lo && pkt->ttl <= step->hi;
	case STEP_DSCP:
		return pkt->family && pkt->dscp >= step->lo && pkt->dscp <= step->hi;
	case STEP_TCP_FLAGS:
		return pkt->has_l4 && pkt->l4_proto == PROTO_TCP && (pkt->l4_word & step->hi) == step->lo;
	case STEP_ICMP:
		return match_icmp(step, pkt, pkt->l4_word);
	case STEP_ICMP_CODE:
		return match_icmp(step, pkt, pkt->l4_word & 0xff);
	case STEP_FRAG:
		return (pkt->frag & step->lo) != 0;
	case STEP_OPTIONS:
		return pkt->options;
	case STEP_VLAN:
		return match_vlan(step, pkt);
	case STEP_SET:
		return match_set(env, step, pkt);
	default:
		return 0;
	}
}

/*
 * How good a match is, the lower the better: by rule, and for one rule a sure match before one that is open, because only the
 * user tier can answer what it depends on.
 */
#define SCORE(rule, open) ((rule) << 1 | (open))
#define SCORE_RULE(score) ((score) >> 1)
#define SCORE_OPEN(score) ((score)&1)
#define SCORE_NONE SCORE(IMAGE_NO_RULE, 0)

/*
 * Where one packet's search stands. The XDP tier keeps it, like struct pkt, in a map of its own and not on the stack: of memory
 * the verifier knows no values, so it has nothing to tell apart and follows each way once.
 */
struct match_state {
	struct lookup_key key;
	__u64 candidates[IMAGE_WORDS_MAX];
	__u32 counting;
	__u32 next;			 /* lowest rule not tried yet */
	__u32 best;			 /* score of the best match so far */
	__u32 best_action, best_counter; /* of its row */
	__u32 asked;			 /* lowest rule for which a deep question was asked, or IMAGE_NO_RULE */
	__u32 decided;			 /* match is final; else the rules ended without one deciding */
	__u32 step;			 /* of the residual program at hand */
	/* Of the XDP tier, between two turns. */
	__u32 first_group;	     /* of the word at hand */
	__u32 row, n_rows;	     /* those to look at next */
	__u32 skip;		     /* how far ahead to look for rules that have not had their turn */
	__u32 residual;		     /* the program of the row before `row` is at hand */
	__u64 left[IMAGE_WORDS_MAX]; /* candidates; the word at hand first */
};

struct match_walk {
	const struct match_env *env;
	const struct image *image;
	const struct pkt *pkt;
	struct match *match;
	struct match_state *state;
};

/* Ask one step. DEEP_NO: go on at walk->state->step; else or at STEP_END, the program's answer is in *ret_answer. */
static __always_inline int match_turn(struct match_walk *walk, __u32 rule, enum deep_answer *ret_answer)
{
	const struct image *image = walk->image;
	const struct image_step *step = lookup_step_at(image, walk->state->step);
	enum deep_answer answer = DEEP_NO;

	if (step->kind == STEP_END || step->kind == STEP_RULE) {
		*ret_answer = step->kind == STEP_RULE ? DEEP_YES : DEEP_NO;
		return 1;
	}
	if (step->kind < STEP_DNS_UNDER) {
		answer = match_step(walk->env, step, walk->pkt) ? DEEP_YES : DEEP_NO;
	} else if (walk->match->diverted) {
		/* Asked of diverted packets only: no other ever reaches the tier that can answer. */
		answer = match_deep(walk->env, image, step, walk->pkt);
		if (rule < walk->state->asked)
			walk->state->asked = rule;
		if (answer == DEEP_ASK_USER_TIER) {
			*ret_answer = answer;
			return 1;
		}
	}
	walk->state->step = answer == DEEP_YES ? step->next_yes : step->next_no;
	return 0;
}

static __always_inline void match_found(struct match_walk *walk, const struct image_row *row, enum deep_answer answer)
{
	__u32 score = SCORE(row->rule, answer == DEEP_ASK_USER_TIER);

	if (answer == DEEP_NO || score >= walk->state->best)
		return;
	walk->state->best = score;
	walk->state->best_action = row->action;
	walk->state->best_counter = row->counter;
}

static __always_inline long match_end(struct match_walk *walk, __u32 rule, __u32 action)
{
	walk->match->action = (__u8)action;
	walk->match->rule = rule;
	walk->state->decided = 1;
	return 1;
}

/* The rule does more than end the search. 0: go on to the next rule, 1: the packet's end. */
static __always_inline long match_act_rule(struct match_walk *walk, __u32 found)
{
	const struct image_rule *rule = lookup_rule_at(walk->image, found);

	if (rule->expired)
		return 0;
	if (walk->state->counting)
		match_hit(walk->env, rule->counter, walk->pkt->frame_len);
	if (rule->action > ACTION_LIMIT)
		return match_end(walk, found, rule->action);
	if (rule->action == ACTION_DIVERT) {
		walk->match->diverted = 1;
		walk->match->divert_rule = found;
	}
	if (rule->action == ACTION_SAMPLE && walk->state->counting)
		match_sample(walk->env, rule, found, walk->pkt);
	/* What the tier in front has let through a limit is within the rate. */
	if (rule->action == ACTION_LIMIT && walk->state->counting &&
	    match_limit(walk->env, rule, &walk->state->key, walk->pkt->frame_len))
		return match_end(walk, found, ACTION_DROP);
	return 0;
}

/* What a search has found is done. 0: go on to the next rule, 1: the packet's end. */
static __always_inline long match_act(struct match_walk *walk)
{
	__u32 found = SCORE_RULE(walk->state->best);

	if (walk->state->asked <= found)
		walk->state->counting = 1; /* the tier in front stopped at that question */
	if (found == IMAGE_NO_RULE)
		return 1;
	if (SCORE_OPEN(walk->state->best)) {
		walk->match->ask_user = 1;
		walk->state->decided = 1;
		return 1;
	}
	walk->state->next = found + 1;
	if (walk->state->best_action == ROW_ASK_RULE)
		return match_act_rule(walk, found);
	if (walk->state->counting)
		match_hit(walk->env, walk->state->best_counter, walk->pkt->frame_len);
	return match_end(walk, found, walk->state->best_action);
}

#ifdef __bpf__
/* The search as one flat loop, a row, a group or a question a turn: loops within loops are too much for the verifier. */
static __always_inline void match_restart(struct match_walk *walk)
{
	for (__u32 w = 0; w < IMAGE_WORDS_MAX; w++)
		walk->state->left[w] = walk->state->candidates[w];
	walk->state->first_group = walk->state->n_rows = 0;
	walk->state->best = SCORE_NONE;
	walk->state->asked = IMAGE_NO_RULE;
}

static __always_inline void match_turn_residual(struct match_walk *walk)
{
	const struct image_row *row = lookup_row_at(walk->image, walk->state->row - 1);
	enum deep_answer answer;

	if (!match_turn(walk, row->rule, &answer))
		return;
	walk->state->residual = 0;
	match_found(walk, row, answer);
}

/*
 * The row at hand is of a rule that has had its turn, as may be thousands behind it: `count` rules that all match. Go on by steps that
 * double as long as they lead to another of these, and then halve: from each rule to the next it is the logarithm of the run.
 */
static __always_inline void match_turn_skip(struct match_walk *walk)
{
	struct match_state *state = walk->state;
	const struct image_row *ahead = lookup_row_at(walk->image, state->row + state->skip);

	if (state->skip < state->n_rows && ahead->rule < state->next) {
		state->row += state->skip;
		state->n_rows -= state->skip;
		state->skip *= 2;
	} else if (state->skip > 1) {
		state->skip /= 2;
	} else {
		state->row++;
		state->n_rows--;
	}
}

static __always_inline void match_turn_row(struct match_walk *walk)
{
	const struct image_row *row = lookup_row_at(walk->image, walk->state->row);

	if (row->rule < walk->state->next) {
		match_turn_skip(walk);
		return;
	}
	if (SCORE(row->rule, 0) >= walk->state->best) {
		walk->state->n_rows = 0; /* and so are the rules behind it */
		return;
	}
	walk->state->row++;
	walk->state->n_rows--;
	if (!lookup_range(&row->range, &walk->state->key) || !lookup_row_box(row, &walk->state->key))
		return;
	walk->state->step = row->step;
	walk->state->residual = row->step != ROW_NO_STEP;
	if (walk->state->residual)
		return;
	match_found(walk, row, DEEP_YES);
	walk->state->n_rows = 0; /* the rest of the run are later rules */
}

/* 1: no group is left that could be better. */
static __always_inline int match_turn_group(struct match_walk *walk)
{
	const struct image_group *group;
	__u64 slot;

	group = lookup_group(walk->image, walk->state->first_group + lookup_lowest(walk->state->left[0]));
	walk->state->left[0] &= walk->state->left[0] - 1;
	if (SCORE(group->first_rule, 0) >= walk->state->best)
		return 1;
	slot = lookup_slot(walk->image, &walk->state->key, group);
	walk->state->row = SLOT_ROW(slot);
	walk->state->n_rows = SLOT_ROWS(slot);
	walk->state->skip = 1;
	return 0;
}

/* The next word of groups, by assignment, not by index: the verifier would tell each value of an index into memory apart. */
static __always_inline void match_turn_word(struct match_walk *walk)
{
	walk->state->left[0] = walk->state->left[1];
	walk->state->left[1] = walk->state->left[2];
	walk->state->left[2] = walk->state->left[3];
	walk->state->left[3] = 0;
	walk->state->first_group += 64;
}

/* One question; or the next group, if its turn has come, and a row. 1: the packet's search is over. */
static __always_inline long match_turn_any(struct match_walk *walk)
{
	int over = 0;

	if (walk->state->residual) {
		match_turn_residual(walk);
		return 0;
	}
	if (!walk->state->n_rows) {
		if (walk->state->left[0])
			over = match_turn_group(walk);
		else if (walk->state->first_group + 64 >= 64 * walk->image->n_words)
			over = 1;
		else
			match_turn_word(walk);
	}
	if (walk->state->n_rows)
		match_turn_row(walk);
	if (!over)
		return 0;
	if (match_act(walk))
		return 1;
	match_restart(walk);
	return 0;
}

static long match_turns(__u32 n, void *walk)
{
	(void)n;
	/* A call costs as much as a turn or two. */
	for (int i = 0; i < MATCH_TURNS; i++) {
		if (match_turn_any(walk))
			return 1;
	}
	return 0;
}

static __always_inline void match_walk(struct match_walk *walk)
{
	match_restart(walk);
	walk->state->residual = 0;
	/* Most packets need a few turns only, and a callback costs as much as two. */
	for (int i = 0; i < MATCH_TURNS_FIRST; i++) {
		if (match_turn_any(walk))
			return;
	}
	bpf_loop(MATCH_TURNS_MAX / MATCH_TURNS, match_turns, walk, 0);
}
#else
static inline enum deep_answer match_residual(struct match_walk *walk, const struct image_row *row)
{
	enum deep_answer answer = DEEP_NO;

	walk->state->step = row->step;
	while (!match_turn(walk, row->rule, &answer))
		; /* ends: each step's targets lie behind it, and the last is an answer */
	return answer;
}

/* The first row of the run whose rule has not had its turn, or its end. */
static inline __u32 match_rows_from(const struct match_walk *walk, __u32 from, __u32 end)
{
	while (from < end) {
		__u32 middle = from + (end - from) / 2;

		if (lookup_row_at(walk->image, middle)->rule < walk->state->next)
			from = middle + 1;
		else
			end = middle;
	}
	return from;
}

static inline void match_rows(struct match_walk *walk, __u64 slot)
{
	__u32 from = SLOT_ROW(slot), end = from + SLOT_ROWS(slot);

	for (__u32 at = walk->state->next ? match_rows_from(walk, from, end) : from; at < end; at++) {
		const struct image_row *row = lookup_row_at(walk->image, at);

		if (SCORE(row->rule, 0) >= walk->state->best)
			return;
		if (!lookup_range(&row->range, &walk->state->key) || !lookup_row_box(row, &walk->state->key))
			continue;
		match_found(walk, row, row->step != ROW_NO_STEP ? match_residual(walk, row) : DEEP_YES);
		if (SCORE(row->rule, 0) == walk->state->best)
			return; /* the rest of the run are later rules */
	}
}

static inline void match_search(struct match_walk *walk)
{
	const struct image *image = walk->image;

	walk->state->best = SCORE_NONE;
	walk->state->asked = IMAGE_NO_RULE;
	for (__u32 w = 0; w < image->n_words; w++) {
		for (__u64 left = walk->state->candidates[w]; left; left &= left - 1) {
			const struct image_group *group = lookup_group(image, 64 * w + lookup_lowest(left));

			if (SCORE(group->first_rule, 0) >= walk->state->best)
				return;
			match_rows(walk, lookup_slot(image, &walk->state->key, group));
		}
	}
}

static inline void match_walk(struct match_walk *walk)
{
	do
		match_search(walk);
	while (!match_act(walk));
}
#endif

static __always_inline void match_default(const struct image *image, const struct pkt *pkt, struct match *match)
{
	match->condition = pkt->condition;
	match->action = image->policy[pkt->condition & (CONDITION_COUNT - 1)];
	if (pkt->condition == CONDITION_NONE || !match->action)
		match->action = image->default_action;
}

/*
 * Classify one packet: *ret gets what the rules decided. `counting` is 1 in the XDP tier and for packets that came from nowhere
 * else (offline tests), 0 in the user tier. *state is working memory, state->key the packet's.
 */
static __always_inline void match_run_in(struct match_state *state, const struct match_env *env, const struct image *image,
					 const struct pkt *pkt, int counting, struct match *ret)
{
	struct match_walk walk = { .env = env, .image = image, .pkt = pkt, .match = ret, .state = state };

	__builtin_memset(ret, 0, sizeof(*ret));
	ret->rule = IMAGE_NO_RULE;
	state->counting = (__u32)counting;
	state->next = state->decided = 0;
	lookup_candidates(image, &state->key, state->candidates);
	match_walk(&walk);
	if (!state->decided)
		match_default(image, pkt, ret);
}

#ifndef __bpf__
static inline void match_run(const struct match_env *env, const struct image *image, const struct pkt *pkt, int counting,
			     struct match *ret)
{
	struct match_state state;

	lookup_key_init(pkt, &state.key);
	match_run_in(&state, env, image, pkt, counting, ret);
}
#endif

/* Is the packet's source on the allow-list of an OVERLOAD_ALLOW rule? The list is a row of STEP_SRC_NET steps or one STEP_SET (steps.c). */
static __always_inline int match_overload_listed(const struct match_env *env, const struct image *image,
						 const struct image_rule *rule, const struct pkt *pkt)
{
	__u32 at = rule->overload_step, n;

	for (n = 0; n <= IMAGE_OVERLOAD_MAX; n++) {
		const struct image_step *step = lookup_step_at(image, at);

		if (step->kind == STEP_RULE)
			return 1;
		if (step->kind == STEP_SET)
			return match_set(env, step, pkt);
		if (step->kind != STEP_SRC_NET)
			return 0;
		at = pkt->family == step->lo && match_net(pkt->src, step) ? step->next_yes : step->next_no;
	}
	return 0;
}

#endif
