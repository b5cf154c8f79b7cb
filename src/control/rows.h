/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows.h - the rules that run on an interface, and which counter each has. A rule keeps its counter from one rule set to the next
 * while its canonical text stays the same.
 */
#ifndef SPILLWAY_CONTROL_ROWS_H
#define SPILLWAY_CONTROL_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/rules.h"

struct row {
	char *name, *text;  /* name may be NULL */
	const char *reason; /* a constant of rules/build.c */
	unsigned line;
	enum rule_action action;
	enum rule_tier tier;
	uint32_t counter; /* below IMAGE_COUNTERS_MAX */
	bool fresh;	  /* the counter is new to this rule: clear it before use */
	uint64_t ends_s;  /* CLOCK_MONOTONIC; 0: never. Kept with the counter: the same rule does not begin anew */
	bool expired;
	bool log;
	uint64_t logged; /* packets told of so far */
};

struct rows {
	struct row *rows;
	uint32_t *counters; /* the same numbers, as image_build() wants them */
	size_t n;
	uint32_t counters_end; /* above all of them */
};

/* The rows of `rules`, with the counters of `old` (NULL: none) where the text is the same. 0, -ENOMEM, or -E2BIG. */
int rows_build(const struct rules *rules, const struct rows *old, struct rows **ret_rows);
struct rows *rows_free(struct rows *rows); /* NULL is fine; returns NULL */

#endif
