/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * elements.h - the elements of all sets as they were written: what a block (block.h) can be made from again.
 *
 * User memory only. A block says whether an address is covered; which prefixes cover it, until when, and what stays covered when
 * one of them goes, is known here. One hash, an element a slot of 32 bytes, growing by doubling.
 */
#ifndef SPILLWAY_SETS_ELEMENTS_H
#define SPILLWAY_SETS_ELEMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum element_kind { ELEMENT_NONE, ELEMENT_PREFIX, ELEMENT_TUPLE, ELEMENT_NUMBERS };

/* Equal elements have equal bytes. Made by element_prefix() and its like. */
struct element {
	uint64_t hi, lo; /* prefix as a number, host bits zero, IPv4 in the upper half of hi; of numbers the first and the last */
	uint32_t set : 10;	   /* filled by the table */
	uint32_t kind : 3;	   /* enum element_kind */
	uint32_t family : 3;	   /* 4 or 6; 0 of numbers */
	uint32_t len : 8;	   /* of the prefix */
	uint32_t proto : 8;	   /* of a tuple */
	uint16_t port_lo, port_hi; /* of a tuple; 0 and 65535: any, and none */
};

struct element_slot {
	struct element element; /* kind ELEMENT_NONE: free */
	union {
		uint64_t deadline_ns; /* 0: stays */
		uint64_t count;	      /* of a piece (table.c): elements that have it */
	};
};

struct elements {
	struct element_slot *slots;
	size_t mask; /* slots minus one */
	size_t n;
	uint64_t seed;
};

int elements_init(struct elements *elements, uint64_t seed); /* 0 or -ENOMEM */
void elements_fini(struct elements *elements);
int elements_reserve(struct elements *elements, size_t n); /* room for n in all without growing; 0 or -ENOMEM */

/* The slot of an equal element, or NULL. Good until the next add or del. */
struct element_slot *elements_find(const struct elements *elements, const struct element *element);
/* As find, or a new slot with deadline (count) 0. NULL: out of memory. */
struct element_slot *elements_add(struct elements *elements, const struct element *element, bool *ret_new);
void elements_del(struct elements *elements, struct element_slot *slot);
/* Bring the memory near that the next find, add or del of this element will look at. */
void elements_prefetch(const struct elements *elements, const struct element *element);

/* The next used slot from *at on, or NULL; *at starts at 0. No add or del between. */
const struct element_slot *elements_next(const struct elements *elements, size_t *at);

#endif
