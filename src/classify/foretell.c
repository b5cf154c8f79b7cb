/* SPDX-License-Identifier: BSD-2-Clause */
#include "classify/foretell.h"

#include <string.h>

#include "classify/match_offline.h"
#include "classify/set_field.h"

struct match_env {
	const struct set_block *block;
	const uint8_t *data;
	uint32_t len;
	struct tally *tally;
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

static int match_set(const struct match_env *env, const struct image_step *step, const struct pkt *pkt)
{
	return env->block && set_has_field(env->block, step, pkt);
}

static __always_inline enum deep_answer match_deep(const struct match_env *env, const struct image *image,
						   const struct image_step *step, const struct pkt *pkt)
{
	(void)env, (void)image, (void)step, (void)pkt;
	return DEEP_ASK_USER_TIER;
}

void foretell(const struct classifier *classifier, const uint8_t *data, uint32_t len, struct tally *tally, struct pkt *ret_pkt,
	      struct match *ret_match)
{
	struct match_env env = { .block = classifier->block, .data = data, .len = len, .tally = tally };

	parse_frame(data, data + len, ret_pkt);
	match_run(&env, classifier->image, ret_pkt, 1, ret_match);
}

enum verdict foretell_verdict(const struct match *match)
{
	static const enum verdict unread[CONDITION_COUNT][2] = {
		[CONDITION_FRAGMENT] = { VERDICT_FRAGMENT_PASS, VERDICT_FRAGMENT_DROP },
		[CONDITION_UNPARSED] = { VERDICT_UNPARSED_PASS, VERDICT_UNPARSED_DROP },
		[CONDITION_TRUNCATED] = { VERDICT_TRUNCATED_PASS, VERDICT_TRUNCATED_DROP },
	};

	if (match->ask_user || (match->diverted && match->action == ACTION_PASS))
		return VERDICT_DIVERT;
	if (match->condition != CONDITION_NONE)
		return unread[match->condition & (CONDITION_COUNT - 1)][match->action == ACTION_DROP];
	if (match->action == ACTION_DROP)
		return VERDICT_DROP;
	return match->action == ACTION_ALLOW ? VERDICT_ALLOW : VERDICT_PASS;
}
