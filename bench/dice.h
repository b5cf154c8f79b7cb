/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dice.h - the same numbers from the same seed on every machine, evenly drawn (splitmix64) or as popularity goes (Zipf). Not for
 * anything that an enemy may not guess.
 */
#ifndef SPILLWAY_BENCH_DICE_H
#define SPILLWAY_BENCH_DICE_H

#include <stdint.h>

struct dice {
	uint64_t state;
};

static inline uint64_t dice_roll(struct dice *dice)
{
	uint64_t x = dice->state += 0x9e3779b97f4a7c15ull;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static inline uint32_t dice_below(struct dice *dice, uint32_t n)
{
	return (uint32_t)(((dice_roll(dice) >> 32) * n) >> 32);
}

static inline int dice_percent(struct dice *dice, uint32_t percent)
{
	return dice_below(dice, 100) < percent;
}

static inline void dice_fill(struct dice *dice, uint8_t *bytes, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(dice_roll(dice) >> 56);
}

/* An index into a row of `n` weights that add up to 100. */
static inline uint32_t dice_weighted(struct dice *dice, const uint8_t *weights, uint32_t n)
{
	uint32_t at = dice_below(dice, 100), i;

	for (i = 0; i + 1 < n && at >= weights[i]; i++)
		at -= weights[i];
	return i;
}

/* Ranks 0..n-1, rank k as often as 1 / (k + 1)^exponent. */
struct zipf {
	double *sums;
	uint32_t n;
};

int zipf_init(struct zipf *zipf, uint32_t n, double exponent); /* 0 or -ENOMEM */
void zipf_fini(struct zipf *zipf);
uint32_t zipf_roll(const struct zipf *zipf, struct dice *dice);

#endif
