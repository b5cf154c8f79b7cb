/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * match_offline.h - what match.h wants to be told where no packet is on its way: time does not pass, so no rate is ever exceeded, and
 * nobody watches samples; they are counted. Included by readers that are neither XDP program nor worker.
 */
#ifndef SPILLWAY_CLASSIFY_MATCH_OFFLINE_H
#define SPILLWAY_CLASSIFY_MATCH_OFFLINE_H

#include "classify/match.h"

static __always_inline int match_limit(const struct match_env *env, const struct image_rule *rule, const struct lookup_key *key,
				       __u32 bytes)
{
	(void)env, (void)rule, (void)key, (void)bytes;
	return 0;
}

static __always_inline void match_sample(const struct match_env *env, const struct image_rule *rule, __u32 index,
					 const struct pkt *pkt)
{
	(void)env, (void)rule, (void)index, (void)pkt;
}

#endif
