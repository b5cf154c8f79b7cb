/* SPDX-License-Identifier: BSD-2-Clause */
/* near.h - "did you mean": the candidate that a misspelt word most likely stands for. */
#ifndef SPILLWAY_BASE_NEAR_H
#define SPILLWAY_BASE_NEAR_H

#include <stddef.h>

/* Inserted, lost, changed and swapped neighbour letters that lead from one word to the other; words are cut at 32 bytes. */
unsigned near_distance(const char *a, const char *b);
/* The nearest of `count` candidates, or NULL when none is near enough to be worth a question. The first of equals wins. */
const char *near_find(const char *word, const char *const *candidates, size_t count);

#endif
