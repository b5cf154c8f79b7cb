/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * classify.h - match.h for user space: the worker's and the offline tools' way to ask an image about a frame.
 */
#ifndef SPILLWAY_CLASSIFY_CLASSIFY_H
#define SPILLWAY_CLASSIFY_CLASSIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "act/limit.h"
#include "act/verdict.h"
#include "classify/parse.h"
#include "sample/ring.h"

/* Counted by one thread, read by others: each value is read whole, their sum may be a packet behind. */
struct tally {
	struct hits verdicts[VERDICT_COUNT];
	struct hits rules[IMAGE_COUNTERS_MAX]; /* by image_rule.counter */
	struct limits *limits;		       /* buckets shared with the XDP program; NULL: no rate is ever exceeded */
	struct sample_ring *samples;	       /* where sample rules leave theirs; NULL: they only count */
};

struct frame;
struct keys;
struct set_block;
struct set_store;

#define CLASSIFY_BATCH 64u /* frames at most, that one call takes */

/*
 * What a frame is asked: an image, the sets that its steps name, and what makes batches fast. They are swapped together. All
 * borrowed; `keys` are written to by the one thread that classifies batches.
 */
struct classifier {
	const struct image *image;
	const struct set_block *block; /* addresses, tuples and numbers; NULL: every set is empty */
	const struct set_store *store; /* DNS names; NULL likewise */
	struct keys *keys;	       /* of the image; NULL: batches are asked packet by packet */
};

/*
 * What the rules say of the frame, deep questions included. *ret_pkt gets the headers. `counting`: count rule hits from the first
 * rule on (nobody has seen the packet before), or only what the XDP tier left open.
 */
void classify(const struct classifier *classifier, const uint8_t *data, uint32_t len, bool counting, struct tally *tally,
	      struct pkt *ret_pkt, struct match *ret_match);

/* The same for up to CLASSIFY_BATCH frames, one after the other, and with the same answers. */
void classify_batch(const struct classifier *classifier, const struct frame *frames, uint32_t n, bool counting,
		    struct tally *tally, struct pkt *ret_pkts, struct match *ret_matches);

static inline void tally_rule(struct tally *tally, uint32_t counter, uint32_t bytes)
{
	struct hits *hits = &tally->rules[counter & (IMAGE_COUNTERS_MAX - 1)];

	hits->packets++;
	hits->bytes += bytes;
}

static inline void tally_add(struct tally *tally, enum verdict verdict, uint64_t packets, uint64_t bytes)
{
	tally->verdicts[verdict].packets += packets;
	tally->verdicts[verdict].bytes += bytes;
}

#endif
