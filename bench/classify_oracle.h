/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * classify_oracle.h - which filter comes first, by asking one after the other: slow, and too simple to be wrong. What both sides
 * of the bench are held against before they are timed.
 */
#ifndef SPILLWAY_BENCH_CLASSIFY_ORACLE_H
#define SPILLWAY_BENCH_CLASSIFY_ORACLE_H

#include "classbench.h"

#define NO_FILTER UINT32_MAX

struct oracle;

struct oracle *oracle_new(const struct filter_set *set); /* NULL: out of memory. *set is not needed afterwards */
struct oracle *oracle_free(struct oracle *oracle);	 /* NULL is fine; returns NULL */

/* Index of the first filter that matches, or NO_FILTER. A port restriction is false of a header without ports. */
uint32_t oracle_first(const struct oracle *oracle, const struct five_tuple *header);

#endif
