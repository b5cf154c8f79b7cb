/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.h - IPv4 prefixes to the tables of struct keys: how they are built. How they are read is in keys.c and keys_lanes.h.
 *
 * Each level is indexed by the next bits of the address: 16, 8 and 8; the last by 4 and 4, if there are very many of it. An entry is
 * a class, or says where the next table begins.
 */
#ifndef SPILLWAY_CLASSIFY_TABLE_H
#define SPILLWAY_CLASSIFY_TABLE_H

#include "classify/address.h"

struct tables4 {
	const uint8_t *ends; /* which bit of the address each level's index ends at; the last is 32 */
	uint32_t *entries;   /* malloc()ed */
	size_t n, room;
};

/* For these prefixes, by source and destination, sorted. */
void tables4_init(struct tables4 *tables, const struct prefixes *src, const struct prefixes *dst);
/* The tables of those of one side, whose order changes, behind those that are there. 0, -ENOMEM, or -E2BIG: too many entries. */
int tables4_add(struct tables4 *tables, struct prefixes *prefixes, uint32_t *ret_root);

#endif
