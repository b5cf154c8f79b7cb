/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.h - IPv4 prefixes to the tables of struct keys: how they are built. How they are read is in keys.c and keys_lanes.h.
 *
 * Each level is indexed by the next bits of the address: 8, 8, 8, 4 and 4. An entry is a class, or says where the next table begins.
 */
#ifndef SPILLWAY_CLASSIFY_TABLE_H
#define SPILLWAY_CLASSIFY_TABLE_H

#include "classify/address.h"

struct tables4 {
	uint32_t *entries; /* malloc()ed */
	size_t n, room;
};

/* The tables of these prefixes, whose order changes, behind those that are there. 0, -ENOMEM, or -E2BIG: too many entries. */
int tables4_add(struct tables4 *tables, struct prefixes *prefixes, uint32_t *ret_root);

#endif
