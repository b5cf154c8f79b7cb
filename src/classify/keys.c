/* SPDX-License-Identifier: BSD-2-Clause */
/* keys.c - headers to keys, a batch at a time. */
#include "classify/keys.h"

#include <string.h>

/* One table further, if the entry leads to one. Without a branch: which ones do is anybody's guess. */
static inline uint32_t table_step(const uint32_t *tables, uint32_t entry, uint32_t index)
{
	uint32_t more = (uint32_t)((int32_t)entry >> 31), next = tables[(entry & ~TABLE_MORE & more) + (index & more)];

	return entry ^ ((entry ^ next) & more);
}

/* Level by level for all of the batch: its packets wait for memory together. */
static void classes4(const struct keys *keys, unsigned side, const uint32_t *restrict addresses, size_t n,
		     uint32_t *restrict ret_classes)
{
	const uint32_t *tables = keys->tables;

	for (size_t i = 0; i < n; i++)
		ret_classes[i] = tables[keys->table_roots[side] + (addresses[i] >> 24)];
	for (size_t i = 0; i < n; i++)
		ret_classes[i] = table_step(tables, ret_classes[i], addresses[i] >> 16 & 255);
	for (size_t i = 0; i < n; i++)
		ret_classes[i] = table_step(tables, ret_classes[i], addresses[i] >> 8 & 255);
	for (size_t i = 0; i < n; i++)
		ret_classes[i] = table_step(tables, ret_classes[i], addresses[i] >> 4 & 15);
	for (size_t i = 0; i < n; i++)
		ret_classes[i] = table_step(tables, ret_classes[i], addresses[i] & 15);
}

/* One node further. An end leads to itself: a node of one entry. */
static inline uint64_t trie_step(const uint64_t *tries, uint64_t entry, uint64_t high, uint64_t low)
{
	uint64_t half = high ^ ((high ^ low) & (entry & TRIE_LOW ? ~0ull : 0));

	return tries[(uint32_t)entry + (entry >> TRIE_MASK_AT & half >> (entry >> TRIE_SHIFT_AT & 63))];
}

/* All ones if the address is not in the class's prefix. */
static inline uint32_t class_astray6(const struct address_class *class, uint64_t high, uint64_t low)
{
	uint32_t len = class->len, high_len = len < 64 ? len : 64, low_len = len - high_len;
	uint64_t high_mask = high_len ? ~0ull << (64 - high_len) : 0, low_mask = low_len ? ~0ull << (64 - low_len) : 0;

	return ((high ^ class->addr[0]) & high_mask) | ((low ^ class->addr[1]) & low_mask) ? ~0u : 0;
}

static void classes6(const struct keys *keys, unsigned side, uint64_t addresses[2][KEYS_BATCH], size_t n,
		     uint32_t *restrict ret_classes)
{
	const uint64_t *restrict high = addresses[0], *restrict low = addresses[1], *tries = keys->tries;
	const struct address_class *classes = keys->classes;
	uint64_t entries[KEYS_BATCH], root = keys->trie_roots[side], more = root;

	for (size_t i = 0; i < n; i++)
		entries[i] = root;
	/* Those that have come to their end stay there until all have. */
	while (more & TRIE_MORE) {
		more = 0;
		for (size_t i = 0; i < n; i++) {
			entries[i] = trie_step(tries, entries[i], high[i], low[i]);
			more |= entries[i];
		}
	}
	for (size_t i = 0; i < n; i++) {
		uint32_t class = (uint32_t)entries[i], around = classes[class].around;

		ret_classes[i] = class ^ ((class ^ around) & class_astray6(&classes[class], high[i], low[i]));
	}
	for (size_t i = 0; i < n; i++)
		while (class_astray6(&classes[ret_classes[i]], high[i], low[i]))
			ret_classes[i] = classes[ret_classes[i]].around;
}

static void ports_add(const struct keys *keys, const struct pkt *pkts, size_t n, uint64_t *keys_of)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t family = keys_family(&pkts[i]);
		uint32_t proto = family ? keys_proto(family, pkts[i].has_ports & 1, pkts[i].l4_proto) : 0;
		uint32_t src = pkts[i].src_port, dst = pkts[i].dst_port;

		keys_of[i] |= (uint64_t)keys->protos[proto] << keys->shifts[0] |
			      (uint64_t)keys->pages[keys->ports[0][src >> 8] * 256 + (src & 255)] << keys->shifts[1] |
			      (uint64_t)keys->pages[keys->ports[1][dst >> 8] * 256 + (dst & 255)] << keys->shifts[2];
	}
}

/* `n` packets of one family, 1 or 2. */
static void find_family(const struct keys *keys, const struct pkt *pkts, size_t n, uint32_t family, uint64_t *ret_keys)
{
	uint32_t addr4[2][KEYS_BATCH], classes[2][KEYS_BATCH];
	uint64_t addr6[2][2][KEYS_BATCH];

	for (size_t i = 0; i < n; i++) {
		addr4[0][i] = (uint32_t)(lookup_word(pkts[i].src[0]) >> 32);
		addr4[1][i] = (uint32_t)(lookup_word(pkts[i].dst[0]) >> 32);
		for (unsigned half = 0; half < 2 && family == 2; half++) {
			addr6[0][half][i] = lookup_word(pkts[i].src[half]);
			addr6[1][half][i] = lookup_word(pkts[i].dst[half]);
		}
	}
	for (unsigned side = 0; side < 2; side++)
		if (family == 1)
			classes4(keys, side, addr4[side], n, classes[side]);
		else
			classes6(keys, side, addr6[side], n, classes[side]);
	for (size_t i = 0; i < n; i++)
		ret_keys[i] = classes[0][i] | (uint64_t)classes[1][i] << keys->dst_shift;
}

void keys_find(const struct keys *keys, const struct pkt *pkts, size_t n, uint64_t *ret_keys)
{
	size_t at = keys->find4 ? keys->find4(keys, pkts, n, ret_keys) : 0, end, from = at;

	for (; at < n; at = end) {
		uint32_t family = keys_family(&pkts[at]);

		for (end = at + 1; end < n && keys_family(&pkts[end]) == family; end++)
			;
		if (family)
			find_family(keys, &pkts[at], end - at, family, &ret_keys[at]);
		else
			memset(&ret_keys[at], 0, (end - at) * sizeof(*ret_keys));
	}
	if (keys->by_ports)
		ports_add(keys, &pkts[from], n - from, &ret_keys[from]);
	for (size_t i = from; i < n; i++)
		__builtin_prefetch(keys_line(keys, ret_keys[i]), 1);
}
