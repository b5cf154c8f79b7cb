/* SPDX-License-Identifier: BSD-2-Clause */
/* trie.c - IPv6 prefixes to a multibit trie. */
#include "classify/trie.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TRIE_BITS_MAX 16u
#define TRIE_BITS_MORE 3u    /* than there are prefixes, so that most get an entry of their own */
#define TRIE_DEPTH_MAX 24u   /* nodes on a way */
#define TRIES_MAX (1u << 23) /* words, 64 MiB */

/* `n` words at the trie's end, set to zero. Returns their place; 0 if trie->failed. */
static size_t trie_take(struct trie *trie, size_t n)
{
	size_t at = trie->n, room = trie->room ? trie->room : 1024;
	uint64_t *grown;

	while (room < at + n)
		room *= 2;
	if (at + n > TRIES_MAX) {
		trie->failed = -E2BIG;
		return 0;
	}
	if (room != trie->room) {
		grown = realloc(trie->words, room * sizeof(*grown));
		if (!grown) {
			trie->failed = -ENOMEM;
			return 0;
		}
		trie->words = grown;
		trie->room = room;
	}
	memset(trie->words + at, 0, n * sizeof(*trie->words));
	trie->n = at + n;
	return at;
}

/* `bits` bits of the address from bit `at` on, all of one half. */
static uint64_t address_bits(const __u64 addr[2], unsigned at, unsigned bits)
{
	return bits ? addr[at / 64] << at % 64 >> (64 - bits) : 0;
}

static unsigned common_bits(const __u64 a[2], const __u64 b[2])
{
	if (a[0] != b[0])
		return (unsigned)__builtin_clzll(a[0] ^ b[0]);
	return a[1] != b[1] ? 64 + (unsigned)__builtin_clzll(a[1] ^ b[1]) : 128;
}

/* The prefixes below one point of a trie: sorted, and with the same first bits. */
struct branch {
	const struct class_prefix *prefixes;
	size_t n;
	uint32_t class; /* of addresses in none of them */
};

/* A prefix that is all of what lies below the point is not below it. */
static void branch_strip(struct branch *branch, unsigned at)
{
	if (!branch->n || branch->prefixes->len != at)
		return;
	branch->class = branch->prefixes++->class;
	branch->n--;
}

/* Where the prefixes part, or the shortest of them ends. */
static unsigned branch_point(const struct branch *branch, unsigned at)
{
	unsigned point = common_bits(branch->prefixes[0].addr, branch->prefixes[branch->n - 1].addr);

	for (size_t i = 0; i < branch->n && point > at; i++)
		point = branch->prefixes[i].len < point ? branch->prefixes[i].len : point;
	return point;
}

/* Bits of the index of a node for what is left of the branch at its point. */
static unsigned branch_bits(const struct branch *branch, unsigned point)
{
	unsigned bits = keys_bits(branch->n) + TRIE_BITS_MORE, longest = 0, span, half_end = point < 64 ? 64 : 128;

	for (size_t i = 0; i < branch->n; i++)
		longest = branch->prefixes[i].len > longest ? branch->prefixes[i].len : longest;
	span = longest - point;
	if (span <= bits + 1)
		bits = span; /* nothing is left behind it */
	if (bits > TRIE_BITS_MAX)
		bits = TRIE_BITS_MAX;
	return point + bits > half_end ? half_end - point : bits;
}

static uint64_t trie_build(struct trie *trie, struct branch branch, unsigned at, unsigned depth);

/* The entries of a node whose index is the `bits` bits from `point` on. */
static void trie_fill(struct trie *trie, size_t entries, const struct branch *branch, unsigned point, unsigned bits,
		      unsigned depth)
{
	const struct class_prefix *prefixes = branch->prefixes;
	size_t n_entries = (size_t)1 << bits, i = 0;

	for (size_t e = 0; e < n_entries; e++)
		trie->words[entries + e] = branch->class;
	/* Prefixes that end within the index; the longer of two that nest comes later. */
	for (size_t k = 0; k < branch->n; k++) {
		size_t first = address_bits(prefixes[k].addr, point, bits);

		if (prefixes[k].len >= point + bits)
			continue;
		for (size_t e = first; e < first + ((size_t)1 << (point + bits - prefixes[k].len)); e++)
			trie->words[entries + e] = prefixes[k].class;
	}
	for (size_t e = 0; e < n_entries && !trie->failed; e++) {
		struct branch below = { .class = (uint32_t)trie->words[entries + e] };
		uint64_t entry;

		while (i < branch->n && prefixes[i].len < point + bits)
			i++;
		below.prefixes = prefixes + i;
		while (i < branch->n && prefixes[i].len >= point + bits && address_bits(prefixes[i].addr, point, bits) == e)
			i++;
		below.n = (size_t)(prefixes + i - below.prefixes);
		entry = trie_build(trie, below, point + bits, depth + 1);
		trie->words[entries + e] = entry;
	}
}

/* The entry for addresses whose first `at` bits are the branch's. The node skips what all prefixes share. */
static uint64_t trie_build(struct trie *trie, struct branch branch, unsigned at, unsigned depth)
{
	unsigned point, bits, half;
	size_t node;

	branch_strip(&branch, at);
	if (branch.n < 2)
		return branch.n ? branch.prefixes->class : branch.class;
	point = branch_point(&branch, at);
	branch_strip(&branch, point);
	bits = branch_bits(&branch, point);
	half = point / 64;
	node = trie_take(trie, (size_t)1 << bits);
	if (depth == TRIE_DEPTH_MAX)
		trie->failed = -E2BIG;
	if (trie->failed)
		return 0;
	trie_fill(trie, node, &branch, point, bits, depth);
	return TRIE_MORE | (half ? TRIE_LOW : 0) | (uint64_t)(64 * half + 64 - point - bits) << TRIE_SHIFT_AT |
	       ((1ull << bits) - 1) << TRIE_MASK_AT | node;
}

void trie_begin(struct trie *trie, uint32_t n_classes)
{
	trie_take(trie, n_classes);
	for (uint32_t class = 0; class < n_classes && !trie->failed; class ++)
		trie->words[class] = class;
}

uint64_t trie_add(struct trie *trie, const struct prefixes *prefixes)
{
	return trie->failed ? 0 : trie_build(trie, (struct branch){ prefixes->at, prefixes->n, CLASS_REST_IP6 }, 0, 0);
}
