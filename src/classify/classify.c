/* SPDX-License-Identifier: BSD-2-Clause */
#include "classify/classify.h"

#include <string.h>

#include "classify/dns.h"
#include "classify/match.h"

/* The question name of the packet at hand: parsed when the first rule asks, kept for the next. */
struct question {
	bool parsed;
	size_t len; /* 0: no name */
	uint8_t name[256];
};

struct match_env {
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
	struct hits *hits = &env->tally->rules[counter & (IMAGE_COUNTERS_MAX - 1)];

	hits->packets++;
	hits->bytes += bytes;
}

static const struct question *question_of(const struct match_env *env, const struct pkt *pkt)
{
	struct question *question = env->question;

	if (question->parsed)
		return question;
	question->parsed = true;
	question->len = 0;
	if (pkt->l4_proto != PROTO_UDP || !pkt->payload_off || pkt->payload_off >= pkt->l3_end)
		return question;
	if (dns_question(env->data + pkt->payload_off, (size_t)(pkt->l3_end - pkt->payload_off), question->name, &question->len))
		question->len = 0;
	return question;
}

static __always_inline enum deep_answer match_deep(const struct match_env *env, const struct image *image,
						   const struct image_step *step, const struct pkt *pkt)
{
	const struct question *question = question_of(env, pkt);
	const uint8_t *name;

	if (!question->len)
		return DEEP_NO;
	name = IMAGE_AT(image, image->names + step->offset, __u8);
	if (step->kind == STEP_DNS_UNDER)
		return dns_name_under(question->name, question->len, name, step->len) ? DEEP_YES : DEEP_NO;
	return question->len == step->len && !memcmp(question->name, name, step->len) ? DEEP_YES : DEEP_NO;
}

void classify(const struct image *image, const uint8_t *data, uint32_t len, bool counting, struct tally *tally,
	      struct pkt *ret_pkt, struct match *ret_match)
{
	struct question question;
	struct match_env env = { .data = data, .len = len, .tally = tally, .question = &question };

	question.parsed = false; /* the name itself need not be cleared a million times a second */
	parse_frame(data, data + len, ret_pkt);
	match_run(&env, image, ret_pkt, counting, ret_match);
}
