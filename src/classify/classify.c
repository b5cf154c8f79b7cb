/* SPDX-License-Identifier: BSD-2-Clause */
#include "classify/classify.h"

#include <pcap/pcap.h>
#include <string.h>
#include <time.h>

#include "classify/batch.h"
#include "classify/dns.h"
#include "classify/match.h"
#include "classify/set_field.h"
#include "port/port.h"
#include "sets/store.h"

_Static_assert(CLASSIFY_BATCH == KEYS_BATCH, "one batch, two names");

#define FETCH_AHEAD 8u /* frames whose headers are on their way while one is parsed */

/* The question name of the packet at hand: parsed when the first rule asks, kept for the next. */
struct question {
	bool parsed;
	size_t len; /* 0: no name */
	int type;   /* -1: none */
	uint8_t name[256];
};

struct match_env {
	const struct classifier *classifier;
	const uint8_t *data;
	uint32_t len;
	struct tally *tally;
	struct question *question;
};

static __always_inline int match_load(const struct match_env *env, __u32 off, void *to, __u32 len)
{
	if (off + len > env->len)
		return -1;
	memcpy(to, env->data + off, len);
	return 0;
}

static __always_inline void match_hit(const struct match_env *env, __u32 counter, __u32 bytes)
{
	tally_rule(env->tally, counter, bytes);
}

static __always_inline int match_limit(const struct match_env *env, const struct image_rule *rule, const struct lookup_key *key,
				       __u32 bytes)
{
	struct timespec now;

	if (!env->tally->limits)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return limit_exceeded(env->tally->limits, rule, key, bytes, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
}

/* Every n-th that this thread counted for the rule: match_hit() was there before. */
static __always_inline void match_sample(const struct match_env *env, const struct image_rule *rule, __u32 index,
					 const struct pkt *pkt)
{
	struct sample_ring *ring = env->tally->samples;
	const struct hits *hits = &env->tally->rules[rule->counter & (IMAGE_COUNTERS_MAX - 1)];

	(void)pkt;
	if (!ring || !atomic_load_explicit(&ring->watched, memory_order_relaxed))
		return;
	if (rule->sample_n && hits->packets % rule->sample_n == 0)
		sample_ring_put(ring, rule, index, env->data, env->len);
}

static int match_set(const struct match_env *env, const struct image_step *step, const struct pkt *pkt)
{
	return env->classifier->block && set_has_field(env->classifier->block, step, pkt);
}

static const struct question *question_of(const struct match_env *env, const struct pkt *pkt)
{
	struct question *question = env->question;
	const uint8_t *payload = env->data + pkt->payload_off;
	size_t len = (size_t)(pkt->l3_end - pkt->payload_off);

	if (question->parsed)
		return question;
	question->parsed = true;
	question->len = 0;
	question->type = -1;
	if (pkt->l4_proto != PROTO_UDP || !pkt->payload_off || pkt->payload_off >= pkt->l3_end)
		return question;
	if (dns_question(payload, len, question->name, &question->len))
		question->len = 0;
	else
		question->type = dns_question_type(payload, len, question->len);
	return question;
}

static bool match_name(const struct question *question, const struct image *image, const struct image_step *step)
{
	const uint8_t *name = IMAGE_AT(image, image->names + step->offset, uint8_t);

	if (!question->len)
		return false;
	if (step->kind == STEP_DNS_UNDER)
		return dns_name_under(question->name, question->len, name, step->len);
	return question->len == step->len && !memcmp(question->name, name, step->len);
}

static bool match_name_set(const struct match_env *env, const struct image_step *step, const struct pkt *pkt)
{
	const struct question *question = question_of(env, pkt);
	const struct names *names = env->classifier->store ? set_store_names(env->classifier->store, step->lo) : NULL;

	if (!question->len || !names)
		return false;
	return step->kind == STEP_DNS_UNDER_SET ? names_under(names, question->name, question->len)
						: names_has(names, question->name, question->len);
}

static bool match_type_set(const struct match_env *env, const struct image_step *step, const struct pkt *pkt)
{
	const struct set_block *block = env->classifier->block;
	int type = question_of(env, pkt)->type;

	return type >= 0 && block && set_has_number(block, step->lo, (uint32_t)type);
}

/* The tcpdump expression's program. Before an image is published, image_check() has let libpcap judge each. */
static bool match_bpf(const struct match_env *env, const struct image *image, const struct image_step *step)
{
	return bpf_filter((const struct bpf_insn *)lookup_insn_at(image, step->offset), env->data, env->len, env->len) != 0;
}

static bool match_answer(const struct match_env *env, const struct image *image, const struct image_step *step,
			 const struct pkt *pkt)
{
	switch (step->kind) {
	case STEP_BPF:
		return match_bpf(env, image, step);
	case STEP_DNS_TYPE: {
		int type = question_of(env, pkt)->type;

		return type >= 0 && (uint32_t)type >= step->lo && (uint32_t)type <= step->hi;
	}
	case STEP_DNS_VALID:
		return question_of(env, pkt)->type >= 0;
	case STEP_DNS_UNDER_SET:
	case STEP_DNS_NAME_SET:
		return match_name_set(env, step, pkt);
	case STEP_DNS_TYPE_SET:
		return match_type_set(env, step, pkt);
	default:
		return match_name(question_of(env, pkt), image, step);
	}
}

static __always_inline enum deep_answer match_deep(const struct match_env *env, const struct image *image,
						   const struct image_step *step, const struct pkt *pkt)
{
	return match_answer(env, image, step, pkt) ? DEEP_YES : DEEP_NO;
}

void classify(const struct classifier *classifier, const uint8_t *data, uint32_t len, bool counting, struct tally *tally,
	      struct pkt *ret_pkt, struct match *ret_match)
{
	struct question question;
	struct match_env env = { .classifier = classifier, .data = data, .len = len, .tally = tally, .question = &question };

	question.parsed = false; /* the name itself need not be cleared a million times a second */
	parse_frame(data, data + len, ret_pkt);
	match_run(&env, classifier->image, ret_pkt, counting, ret_match);
}

/* The kernel wrote the frames, so their first lines are not in this core's caches. */
static void parse_batch(const struct frame *frames, uint32_t n, struct pkt *ret_pkts)
{
	for (uint32_t i = 0; i < n && i < FETCH_AHEAD; i++)
		__builtin_prefetch(frames[i].data);
	for (uint32_t i = 0; i < n; i++) {
		if (i + FETCH_AHEAD < n)
			__builtin_prefetch(frames[i + FETCH_AHEAD].data);
		parse_frame(frames[i].data, frames[i].data + frames[i].len, &ret_pkts[i]);
	}
}

void classify_batch(const struct classifier *classifier, const struct frame *frames, uint32_t n, bool counting,
		    struct tally *tally, struct pkt *ret_pkts, struct match *ret_matches)
{
	struct keys *keys = classifier->keys;
	struct question question;
	struct match_env env = { .classifier = classifier, .tally = tally, .question = &question };
	uint64_t found[KEYS_BATCH];

	parse_batch(frames, n, ret_pkts);
	if (keys)
		keys_find(keys, ret_pkts, n, found);
	for (uint32_t i = 0; i < n; i++) {
		question.parsed = false;
		env.data = frames[i].data;
		env.len = frames[i].len;
		if (keys)
			batch_run(&env, keys, &ret_pkts[i], found[i], counting, &ret_matches[i]);
		else
			match_run(&env, classifier->image, &ret_pkts[i], counting, &ret_matches[i]);
	}
}
