/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.h - the sets of one interface: elements are added and deleted here, readers see them in the block at once.
 *
 * The table owns what was written (elements.h); the block (block.h) is memory of the caller, usually a mapped BPF array, that says
 * the same in the form readers want. One thread uses a table; readers of the block need nothing.
 *
 *	add, del, expire	change both. -ENOSPC: the change is in the table, the block has no room for it (or it was a replacement);
 *				readers see the last state that fitted, and further changes wait with it, until:
 *	set_table_bytes()	how large a block the table wants now,
 *	set_table_place()	fills such a block aside; from then on changes go there. Publish it, then free the old one.
 *
 * So a change of any size is atomic if it goes through a new block, and one element's change is atomic in place.
 */
#ifndef SPILLWAY_SETS_TABLE_H
#define SPILLWAY_SETS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "classify/set.h"
#include "sets/elements.h"

struct set_table;

struct set_table *set_table_new(void);			   /* NULL: out of memory */
struct set_table *set_table_free(struct set_table *table); /* NULL is fine; returns NULL; the block stays the caller's */

/* A new empty set of one kind. Its id (from 1 on), or -ENFILE: SET_IDS_MAX, -ENOMEM. */
int set_table_open(struct set_table *table, enum element_kind kind);
/* All its elements go; the id may be given to a later set, so no reader's rules may name it any more. */
void set_table_close(struct set_table *table, uint32_t set);

/* Host bits are cleared. `addr` in network order, IPv4 in the first four bytes; `len` at most 32 or 128. */
struct element element_prefix(unsigned family, const uint8_t addr[16], unsigned len);
/* Ports 0 to 65535: any, and packets without ports too. */
struct element element_tuple(unsigned family, const uint8_t addr[16], unsigned len, uint8_t proto, uint16_t port_lo,
			     uint16_t port_hi);
struct element element_numbers(uint32_t lo, uint32_t hi); /* lo <= hi < SET_NUMBERS */

/*
 * Elements of the set's kind. `deadline_ns` as expire() is told later, 0: they stay; of an element that is there already the
 * deadline is set anew. *ret_n, if not NULL: how many were not there before. 0, -EINVAL: another kind, -ENOMEM: some are in,
 * -ENOSPC: see above.
 */
int set_table_add(struct set_table *table, uint32_t set, const struct element *elements, size_t n, uint64_t deadline_ns,
		  size_t *ret_n);
int set_table_del(struct set_table *table, uint32_t set, const struct element *elements, size_t n, size_t *ret_n);
/* These elements and no others; always through a new block (-ENOSPC) if there is a block and anything changes. */
int set_table_replace(struct set_table *table, uint32_t set, const struct element *elements, size_t n, uint64_t deadline_ns);
/* Delete what has a deadline at or before now. */
int set_table_expire(struct set_table *table, uint64_t now_ns, size_t *ret_n);
uint64_t set_table_deadline(const struct set_table *table); /* when expire() has something to do next; 0: never */

bool set_table_has(const struct set_table *table, uint32_t set, const struct element *element); /* exactly this element */
size_t set_table_count(const struct set_table *table, uint32_t set);
/* The next element of the set from *at (0 at first) on, in no order; NULL: no more. No change between. */
const struct element_slot *set_table_next(const struct set_table *table, uint32_t set, size_t *at);

/* A power of two; 0: more than a block can be. */
uint64_t set_table_bytes(const struct set_table *table);
/* `memory`: zeroed, page-aligned, at least set_table_bytes(); NULL: no block from now on. 0, or -ENOSPC: try twice the size. */
int set_table_place(struct set_table *table, void *memory, uint64_t bytes);
bool set_table_waits(const struct set_table *table); /* the block does not say what the table says */
/* Deletions have left the block slower than a new one would be: place it anew when there is time. */
bool set_table_stale(const struct set_table *table);

#endif
