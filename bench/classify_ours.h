/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * classify_ours.h - spillway's side of bench `classify`: the filters as rules text, through the parser and the image builder that
 * the product uses; packets as parse_frame() leaves them; asked in batches.
 */
#ifndef SPILLWAY_BENCH_CLASSIFY_OURS_H
#define SPILLWAY_BENCH_CLASSIFY_OURS_H

#include "classbench.h"
#include "classify/image.h"
#include "classify/parse.h"

#define OURS_BATCH 64u

struct keys;

struct ours {
	struct image *image;
	struct keys *keys;
	size_t n_rules, bytes;
	double parse_ms, build_ms;
};

/* 0, or negative errno with *ret_error filled. */
int ours_new(const struct filter_set *set, struct ours **ret_ours, char ret_error[512]);
struct ours *ours_free(struct ours *ours); /* NULL is fine; returns NULL */

/* What parse_frame() makes of a minimal frame with this header. */
void ours_pkt_fill(uint8_t ip, const struct five_tuple *header, struct pkt *ret_pkt);

void ours_classify(const struct ours *ours, const struct pkt *pkts, uint32_t n, struct match *ret_matches);
/* The index of the filter that decided plus 1, or 0. */
uint32_t ours_result(const struct ours *ours, const struct match *match);

#endif
