/* SPDX-License-Identifier: BSD-2-Clause */
/* keys.c - headers to keys, a batch at a time. */
#include "classify/keys.h"

#include <assert.h>

/* One table further, if the entry leads to one. Without a branch: which ones do is anybody's guess. */
static inline uint32_t table_step(const uint32_t *tables, uint32_t entry, uint32_t index)
{
	int32_t more = (int32_t)entry >> 31;
	uint32_t next = tables[(entry + index) & (uint32_t)more & ~TABLE_MORE];

	return more ? next : entry;
}

/* Level by level for all of the batch: its packets wait for memory together. Both sides beside each other. */
static void classes4(const struct keys *keys, uint32_t addr[2][KEYS_BATCH], size_t n, uint32_t ret_classes[2][KEYS_BATCH])
{
	const uint32_t *tables = keys->tables, *src = tables + keys->table_roots[0], *dst = tables + keys->table_roots[1];
	const uint8_t *end = keys->table_ends;

	for (size_t i = 0; i < n; i++) {
		ret_classes[0][i] = src[addr[0][i] >> 16];
		ret_classes[1][i] = dst[addr[1][i] >> 16];
	}
	do {
		unsigned bits = end[1] - end[0], shift = 32u - *++end;
		uint32_t mask = (1u << bits) - 1;

		for (size_t i = 0; i < n; i++) {
			ret_classes[0][i] = table_step(tables, ret_classes[0][i], addr[0][i] >> shift & mask);
			ret_classes[1][i] = table_step(tables, ret_classes[1][i], addr[1][i] >> shift & mask);
		}
	} while (*end < 32);
}

/* One node further. An end leads to itself: a node of one entry. */
static inline uint64_t trie_step(const uint64_t *tries, uint64_t entry, const uint64_t addr[2])
{
	uint64_t half = addr[entry >> TRIE_LOW_AT & 1];

	return tries[(uint32_t)entry + (entry >> TRIE_MASK_AT & half >> (entry >> TRIE_SHIFT_AT & 63))];
}

static inline bool class_astray(const struct address_class *class, const uint64_t addr[2])
{
	return (((addr[0] ^ class->addr[0]) & class->mask[0]) | ((addr[1] ^ class->addr[1]) & class->mask[1])) != 0;
}

static void classes6(const struct keys *keys, unsigned side, uint64_t addr[KEYS_BATCH][2], size_t n,
		     uint32_t *restrict ret_classes)
{
	const uint64_t *tries = keys->tries;
	const struct address_class *classes = keys->classes;
	uint64_t entries[KEYS_BATCH], root = keys->trie_roots[side], more = root;

	for (size_t i = 0; i < n; i++)
		entries[i] = root;
	/* Those that have come to their end stay there until all have. */
	while (more & TRIE_MORE) {
		more = 0;
		for (size_t i = 0; i < n; i++) {
			entries[i] = trie_step(tries, entries[i], addr[i]);
			more |= entries[i];
		}
	}
	for (size_t i = 0; i < n; i++) {
		uint32_t class = (uint32_t)entries[i], around = classes[class].around;

		ret_classes[i] = class_astray(&classes[class], addr[i]) ? around : class;
	}
	for (size_t i = 0; i < n; i++)
		while (class_astray(&classes[ret_classes[i]], addr[i]))
			ret_classes[i] = classes[ret_classes[i]].around;
}

/* The packets of one family: which they are, and what is known of each. */
struct lot {
	size_t n;
	uint8_t at[KEYS_BATCH]; /* in the batch */
};

static void find4(const struct keys *keys, const struct pkt *pkts, const struct lot *lot, uint64_t *ret_keys)
{
	uint32_t addr[2][KEYS_BATCH], classes[2][KEYS_BATCH];

	for (size_t i = 0; i < lot->n; i++) {
		addr[0][i] = (uint32_t)(lookup_word(pkts[lot->at[i]].src[0]) >> 32);
		addr[1][i] = (uint32_t)(lookup_word(pkts[lot->at[i]].dst[0]) >> 32);
	}
	classes4(keys, addr, lot->n, classes);
	for (size_t i = 0; i < lot->n; i++)
		ret_keys[lot->at[i]] = classes[0][i] | (uint64_t)classes[1][i] << keys->dst_shift;
}

static void find6(const struct keys *keys, const struct pkt *pkts, const struct lot *lot, uint64_t *ret_keys)
{
	uint64_t addr[2][KEYS_BATCH][2];
	uint32_t classes[2][KEYS_BATCH];

	for (size_t i = 0; i < lot->n; i++) {
		for (unsigned half = 0; half < 2; half++) {
			addr[0][i][half] = lookup_word(pkts[lot->at[i]].src[half]);
			addr[1][i][half] = lookup_word(pkts[lot->at[i]].dst[half]);
		}
	}
	for (unsigned side = 0; side < 2; side++)
		classes6(keys, side, addr[side], lot->n, classes[side]);
	for (size_t i = 0; i < lot->n; i++)
		ret_keys[lot->at[i]] = classes[0][i] | (uint64_t)classes[1][i] << keys->dst_shift;
}

static inline uint64_t port_class(const struct keys *keys, unsigned side, uint32_t port)
{
	return (uint64_t)keys->pages[keys->ports[side][port >> 8] * 256 + (port & 255)] << keys->shifts[1 + side];
}

static void services_add(const struct keys *keys, const struct pkt *pkts, size_t n, uint64_t *ret_keys)
{
	bool by_src = keys->n_port_classes[0] > 1, by_dst = keys->n_port_classes[1] > 1;

	for (size_t i = 0; i < n; i++) {
		uint32_t family = keys_family(&pkts[i]);
		uint64_t key =
			family ? keys->protos[keys_proto(family, pkts[i].has_ports & 1, pkts[i].l4_proto)] : keys->protos[0];

		key <<= keys->shifts[0];
		if (by_src)
			key |= port_class(keys, 0, pkts[i].src_port);
		if (by_dst)
			key |= port_class(keys, 1, pkts[i].dst_port);
		ret_keys[i] |= key;
	}
}

void keys_find(const struct keys *keys, const struct pkt *pkts, size_t n, uint64_t *ret_keys)
{
	struct lot ip4, ip6;

	assert(n <= KEYS_BATCH);
	ip4.n = ip6.n = 0;
	/* Without branches; the place behind the last is written to in vain. */
	for (size_t i = 0; i < n; i++) {
		uint32_t family = keys_family(&pkts[i]);

		ret_keys[i] = 0;
		ip4.at[ip4.n] = ip6.at[ip6.n] = (uint8_t)i;
		ip4.n += family == 1;
		ip6.n += family == 2;
	}
	find4(keys, pkts, &ip4, ret_keys);
	find6(keys, pkts, &ip6, ret_keys);
	if (keys->by_ports)
		services_add(keys, pkts, n, ret_keys);
	for (size_t i = 0; i < n; i++)
		__builtin_prefetch(keys_line(keys, ret_keys[i]), 1);
}
