/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limit.h - the rate limits of `limit` rules: token buckets in memory of a fixed size, shared by both tiers.
 *
 * Freestanding like classify/parse.h. A bucket is the one number of the generic cell rate algorithm (ITU-T I.371): the time at which
 * it would be full again. A packet is within the rate if that time is at most the burst ahead of now; it then moves ahead by the
 * packet's cost. Buckets live in lines of four by hash of rule and prefix: a flood of ever new sources takes over the bucket of its
 * line that has been idle longest, so memory is bounded and a source that keeps sending keeps its bucket.
 */
#ifndef SPILLWAY_ACT_LIMIT_H
#define SPILLWAY_ACT_LIMIT_H

#include "classify/lookup.h"

#define LIMIT_WAYS 4u
#define LIMIT_LINES 16384u /* power of two: 1 MiB, 65,536 buckets */
#define LIMIT_SHIFT 10	   /* times are in ns << LIMIT_SHIFT, which wraps after 208 days: only differences are looked at */
#define LIMIT_TRIES 4	   /* how often another CPU may come between; then the packet passes */

struct limit_bucket {
	__u64 tag;  /* of rule and prefix; 0: nobody's */
	__u64 full; /* when it would be full again */
};

struct limits {
	struct limit_bucket lines[LIMIT_LINES][LIMIT_WAYS];
};

/* Which bucket a packet's address belongs to, as a hash. */
static __always_inline __u64 limit_hash(const struct image_rule *rule, const struct lookup_key *key)
{
	__u32 len = key->family == 2 ? rule->per_len6 : rule->per_len4;
	__u64 high = len < 64 ? ~(~0ull >> (len & 63)) : ~0ull, low = len > 64 ? ~(~0ull >> ((len - 64) & 63)) : 0;
	__u64 hash = (rule->counter + 1) * LOOKUP_HASH_SALT;

	if (len == 128)
		low = ~0ull;
	if (rule->per == PER_SRC)
		hash += (key->src[0] & high) * LOOKUP_HASH_SRC + (key->src[1] & low) * LOOKUP_HASH_SRC_LOW + key->family;
	else if (rule->per == PER_DST)
		hash += (key->dst[0] & high) * LOOKUP_HASH_DST + (key->dst[1] & low) * LOOKUP_HASH_DST_LOW + key->family;
	hash ^= hash >> 32;
	return hash * LOOKUP_HASH_LAST;
}

/* The packet's own bucket, or the one of its line that it takes over. */
static __always_inline struct limit_bucket *limit_find(struct limits *limits, __u64 hash, __u64 now)
{
	struct limit_bucket *line = limits->lines[(hash >> 40) & (LIMIT_LINES - 1)];
	__u64 tag = hash | 1;
	__u32 oldest = 0;

	for (__u32 way = 0; way < LIMIT_WAYS; way++) {
		if (line[way].tag == tag)
			return &line[way];
	}
	for (__u32 way = 1; way < LIMIT_WAYS; way++) {
		if (!line[way].tag ||
		    (line[oldest & (LIMIT_WAYS - 1)].tag && (__s64)(line[way].full - line[oldest & (LIMIT_WAYS - 1)].full) < 0))
			oldest = way;
	}
	line += oldest & (LIMIT_WAYS - 1);
	line->full = now;
	line->tag = tag;
	return line;
}

/* Is this packet above the rule's rate? `now_ns` is CLOCK_MONOTONIC. If it is not, its cost is taken from the bucket. */
static __always_inline int limit_exceeded(struct limits *limits, const struct image_rule *rule, const struct lookup_key *key,
					  __u32 bytes, __u64 now_ns)
{
	__u64 now = now_ns << LIMIT_SHIFT, cost = rule->by_bits ? rule->cost * bytes : rule->cost;
	struct limit_bucket *bucket = limit_find(limits, limit_hash(rule, key), now);

	for (int i = 0; i < LIMIT_TRIES; i++) {
		__u64 full = bucket->full, from = (__s64)(full - now) > 0 ? full : now;

		/* The burst is what may be taken at once, this packet included. */
		if ((__s64)(from + cost - now) > (__s64)rule->burst)
			return 1;
		if (__sync_val_compare_and_swap(&bucket->full, full, from + cost) == full)
			return 0;
	}
	return 0;
}

#endif
