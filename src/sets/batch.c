/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each stage goes over the whole group and asks for the line that the next one reads: what is a wait for one address is one wait
 * for all.
 */
#include "sets/batch.h"

#include <stdbool.h>

#define GROUP 32

enum { NO, YES, OPEN };

/* Down to the line of the /16, which is where the caches end. */
static void lines_fetch(const struct set_block *block, uint32_t node, const uint32_t *addrs, uint32_t n, uint8_t *has,
			const uint64_t **words)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t b = addrs[i] >> 16 & 255, c = addrs[i] >> 8 & 255;
		uint64_t entry = set_node_entry(block, node, addrs[i] >> 24);

		has[i] = entry & SET_COVERED ? YES : entry >> (b >> 3) & 1 ? OPEN : NO;
		if (has[i] != OPEN)
			continue;
		entry = set_node_entry(block, set_child(entry), b);
		has[i] = entry & SET_COVERED ? YES : entry >> (c >> 3) & 1 ? OPEN : NO;
		if (has[i] != OPEN)
			continue;
		words[i] = set_at(block, (uint64_t)set_child(entry) * SET_UNIT + (c >> 5) * 8, 8);
		__builtin_prefetch(words[i]);
	}
}

static void hosts_fetch(const struct set_block *block, uint32_t set, const uint32_t *addrs, uint32_t n, uint8_t *has,
			const uint64_t **words)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t hash, word;

		if (has[i] != OPEN)
			continue;
		word = __atomic_load_n(words[i], __ATOMIC_ACQUIRE) >> (addrs[i] >> 8 & 31) * 2;
		has[i] = word & SET_LINE_COVERED ? YES : word & SET_LINE_DEEPER ? OPEN : NO;
		if (has[i] != OPEN)
			continue;
		hash = set_host_hash(block, set, addrs[i]);
		__builtin_prefetch(
			set_at(block, set_line_offset(block->hosts, block->host_lines, (uint32_t)(hash >> 32)), SET_UNIT));
	}
}

static void group4(const struct set_block *block, uint32_t set, const __u64 (*packet_addrs)[2], uint32_t n, uint8_t *has)
{
	uint32_t node = set_load(&block->heads[set & (SET_IDS_MAX - 1)].node4), addrs[GROUP];
	const uint64_t *words[GROUP];

	for (uint32_t i = 0; i < n; i++) {
		addrs[i] = set_be32((uint32_t)packet_addrs[i][0]);
		has[i] = NO;
	}
	if (!node)
		return;
	lines_fetch(block, node, addrs, n, has, words);
	hosts_fetch(block, set, addrs, n, has, words);
	for (uint32_t i = 0; i < n; i++) {
		if (has[i] == OPEN)
			has[i] = (uint8_t)set_host_has(block, set, addrs[i]);
	}
}

static void prune_fetch(const struct set_block *block, const struct set_query *query)
{
	__builtin_prefetch(set_at(block, set_prune_offset(block, query->tag, query->hi >> SET_TOP6_SHIFT), 1));
	__builtin_prefetch(set_at(block, set_prune_offset(block, query->tag, query->hi >> SET_FAR6_SHIFT | SET_FAR6_MARK), 1));
}

static void group6(const struct set_block *block, uint32_t set, const __u64 (*addrs)[2], uint32_t n, uint8_t *has)
{
	const struct set_head *head = &block->heads[set & (SET_IDS_MAX - 1)];
	uint32_t depths = set_load(&head->depths6), first = set_load(&head->first6);
	struct set_search searches[GROUP];

	for (uint32_t i = 0; i < n; i++) {
		searches[i] = (struct set_search){ .block = block, .first = (__u8)first };
		searches[i].query = (struct set_query){ .hi = set_be64(addrs[i][0]),
							.lo = set_be64(addrs[i][1]),
							.tag = (uint64_t)set << SET_TAG_SET_SHIFT | SET_TAG_IP6 };
		has[i] = NO;
		if (depths)
			prune_fetch(block, &searches[i].query);
	}
	for (uint32_t i = 0; i < n && depths; i++) {
		searches[i].depths = set_prune(block, &searches[i].query, depths, 0);
		if (!searches[i].depths)
			continue;
		has[i] = OPEN;
		set_search_depth(&searches[i]);
		__builtin_prefetch(set_at(block, set_line_offset(block->wide, block->wide_lines, searches[i].at), SET_UNIT));
	}
	for (uint32_t i = 0; i < n; i++) {
		if (has[i] != OPEN)
			continue;
		set_search_run(&searches[i]);
		has[i] = searches[i].found != 0;
	}
}

void set_has_addrs(const struct set_block *block, uint32_t set, uint32_t family, const __u64 (*addrs)[2], uint32_t n,
		   uint8_t *ret_has)
{
	for (uint32_t done = 0; done < n; done += GROUP) {
		uint32_t some = n - done < GROUP ? n - done : GROUP;

		if (family == 4)
			group4(block, set, addrs + done, some, ret_has + done);
		else
			group6(block, set, addrs + done, some, ret_has + done);
	}
}
