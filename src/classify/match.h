/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * match.h - struct pkt and image to a match: the one classifier of both tiers.
 *
 * Freestanding like parse.h. Three things differ between kernel and user space: the file that includes this one defines struct
 * match_env and the three functions declared below. The XDP tier answers every deep question with DEEP_ASK_USER_TIER.
 *
 * Who counts: a rule's hit is counted by the tier that reaches the rule first. The XDP tier counts up to the point where it hands
 * the packet over; the user tier walks the same steps again and counts behind that point only (match.counting).
 */
#ifndef SPILLWAY_CLASSIFY_MATCH_H
#define SPILLWAY_CLASSIFY_MATCH_H

#include "classify/parse.h"

enum deep_answer { DEEP_NO, DEEP_YES, DEEP_ASK_USER_TIER };

struct match_env; /* where the frame and the counters are, as this tier knows them */

/* Copy `len` frame bytes at `off`: 0, or negative if they are not all there. */
static __always_inline int match_load(const struct match_env *env, __u32 off, void *to, __u32 len);
/* Count a packet of a rule. */
static __always_inline void match_hit(const struct match_env *env, __u32 counter, __u32 bytes);
/* Answer a question about the payload's meaning (DNS name). */
static __always_inline enum deep_answer match_deep(const struct match_env *env, const struct image *image,
						   const struct image_step *step, const struct pkt *pkt);

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
	default:
		return 0;
	}
}

/* One packet's walk through the image. */
struct match_walk {
	const struct match_env *env;
	const struct image *image;
	const struct pkt *pkt;
	struct match *match;
	__u32 at; /* the step to ask next */
	__u32 counting;
	__u32 decided; /* match is final; else the steps ended without a rule deciding */
};

/* Ask one step. 0: go on at walk->at, 1: the walk is over. */
static __always_inline long match_turn(struct match_walk *walk)
{
	const struct image *image = walk->image;
	const struct image_step *step = &image->steps[walk->at & (IMAGE_STEPS_MAX - 1)];
	struct match *match = walk->match;
	int yes = 0;

	if (step->kind == STEP_END)
		return 1;
	if (step->kind == STEP_RULE) {
		__u32 index = step->rule & (IMAGE_RULES_MAX - 1);
		const struct image_rule *rule = &image->rules[index];

		if (walk->counting)
			match_hit(walk->env, rule->counter, walk->pkt->frame_len);
		if (rule->action == ACTION_DIVERT) {
			match->diverted = 1;
			match->divert_rule = (__u16)index;
		} else if (rule->action > ACTION_LIMIT) {
			match->action = rule->action;
			match->rule = (__u16)index;
			walk->decided = 1;
			return 1;
		}
		yes = 1;
	} else if (step->kind >= STEP_DNS_UNDER) {
		/* Asked of diverted packets only: no other ever reaches the tier that can answer. */
		if (match->diverted) {
			enum deep_answer answer = match_deep(walk->env, image, step, walk->pkt);

			if (answer == DEEP_ASK_USER_TIER) {
				match->ask_user = 1;
				walk->decided = 1;
				return 1;
			}
			walk->counting = 1;
			yes = answer == DEEP_YES;
		}
	} else {
		yes = match_step(walk->env, step, walk->pkt);
	}
	walk->at = yes ? step->next_yes : step->next_no;
	return 0;
}

#ifdef __bpf__
#define MATCH_TURNS 8
/* A callback is verified once, a plain loop once per step: the sum of both keeps the verifier's work and the calls few. */
static long match_turns(__u32 n, void *walk)
{
	(void)n;
	for (int i = 0; i < MATCH_TURNS; i++) {
		if (match_turn(walk))
			return 1;
	}
	return 0;
}

static __always_inline void match_walk(struct match_walk *walk)
{
	bpf_loop(IMAGE_STEPS_MAX / MATCH_TURNS, match_turns, walk, 0);
}
#else
static __always_inline void match_walk(struct match_walk *walk)
{
	for (__u32 n = 0; n < IMAGE_STEPS_MAX && !match_turn(walk); n++)
		;
}
#endif

/*
 * Classify one packet: *ret gets what the rules decided. `counting` is 1 in the XDP tier and for packets that came from nowhere
 * else (offline tests), 0 in the user tier.
 */
static __always_inline void match_run(const struct match_env *env, const struct image *image, const struct pkt *pkt, int counting,
				      struct match *ret)
{
	struct match_walk walk = { .env = env, .image = image, .pkt = pkt, .match = ret, .counting = (__u32)counting };

	__builtin_memset(ret, 0, sizeof(*ret));
	ret->rule = IMAGE_RULES_MAX;
	match_walk(&walk);
	if (walk.decided)
		return;
	ret->condition = pkt->condition;
	ret->action = image->policy[pkt->condition & (CONDITION_COUNT - 1)];
	if (pkt->condition == CONDITION_NONE || !ret->action)
		ret->action = image->default_action;
}

/* Is the packet's source on the allow-list of an OVERLOAD_ALLOW rule? The list is a row of STEP_SRC_NET steps (build.c). */
static __always_inline int match_overload_listed(const struct image *image, const struct image_rule *rule, const struct pkt *pkt)
{
	__u32 at = rule->overload_step, n;

	for (n = 0; n <= IMAGE_OVERLOAD_MAX; n++) {
		const struct image_step *step = &image->steps[at & (IMAGE_STEPS_MAX - 1)];

		if (step->kind == STEP_RULE)
			return 1;
		if (step->kind != STEP_SRC_NET)
			return 0;
		at = pkt->family == step->lo && match_net(pkt->src, step) ? step->next_yes : step->next_no;
	}
	return 0;
}

#endif
