/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * block.h - the writer's side of the set block (classify/set.h): cover and uncover addresses while readers read.
 *
 * A block knows what is covered, and beside it, in memory of its own, which IPv4 prefixes up to /24 did that. One thread writes. Every function leaves a block that readers understand at
 * each instant, and also when the process is killed in the middle of it.
 */
#ifndef SPILLWAY_SETS_BLOCK_H
#define SPILLWAY_SETS_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "classify/set.h"

/* How much must fit in, or is in. */
struct block_load {
	uint64_t units; /* of the heap: nodes, lines, bitmaps */
	uint64_t hosts; /* host entries */
	uint64_t wide;	/* wide entries */
};

struct block {
	struct set_block *at; /* NULL: none */
	uint64_t bytes;
	struct block_load used, room;
	struct block_written *written; /* of each unit of the heap, where it is a node or a line */
};

/* The power of two of bytes that holds the load with room to grow, or 0: more than SET_BYTES_MAX. */
uint64_t block_bytes(const struct block_load *load);
/* Lay out an empty block in `bytes` (from block_bytes() of this load, or more) of zeroed memory. 0 or -ENOMEM. */
int block_init(struct block *block, void *memory, uint64_t bytes, const struct block_load *load, const uint64_t seeds[2]);
void block_fini(struct block *block); /* the memory stays the caller's */

/* Some of the 256 slots of a level of the IPv4 trie (level 0: /0 to /8, level 3: /25 to /32), or of the 16 of a wide entry. */
struct block_slots {
	uint64_t bits[4];
};

void block_slots_add(struct block_slots *slots, unsigned first, unsigned n); /* n a power of two that divides first */

/* 0 or -ENOSPC: covered in part, or not at all. */
int block_cover4(struct block *block, uint32_t set, uint32_t addr, uint32_t len);
/* `kept`: slots below the /24 that other prefixes of /25 and longer cover. Of shorter ones the block knows itself. */
void block_uncover4(struct block *block, uint32_t set, uint32_t addr, uint32_t len, const struct block_slots *kept);

/* `key`: hi and lo cut at 4 * depth, tag with depth and set, its lower 16 bits those to cover. */
int block_cover_wide(struct block *block, const struct set_wide *key, int is_tuple);
void block_uncover_wide(struct block *block, const struct set_wide *key);

/* `lo` to `hi`, all below SET_NUMBERS. */
int block_cover_numbers(struct block *block, uint32_t set, uint32_t lo, uint32_t hi);
void block_uncover_number(struct block *block, uint32_t set, uint32_t number);

/* The depths at which a set has wide entries now (a bit each), and the most frequent of them. */
void block_depths(struct block *block, uint32_t set, uint32_t family, uint32_t depths, uint32_t first);
void block_port_lens(struct block *block, uint32_t set, uint32_t port_lens); /* of tuples: see struct set_head */
/* Forget everything below the set's head; wide and host entries must have been uncovered. */
void block_forget(struct block *block, uint32_t set);

void block_prefetch4(const struct block *block, uint32_t set, uint32_t addr, uint32_t len);
void block_prefetch_wide(const struct block *block, const struct set_wide *key);

#endif
