/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/near.h"

#include <string.h>

#define NEAR_MAX 32

static unsigned min(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Optimal string alignment, three rows of the table at a time. */
unsigned near_distance(const char *a, const char *b)
{
	unsigned rows[3][NEAR_MAX + 1];
	unsigned *before = rows[0], *above = rows[1], *row = rows[2];
	size_t a_len = strnlen(a, NEAR_MAX), b_len = strnlen(b, NEAR_MAX);

	for (unsigned j = 0; j <= b_len; j++)
		above[j] = j;
	for (unsigned i = 1; i <= a_len; i++) {
		unsigned *spare = before;

		row[0] = i;
		for (unsigned j = 1; j <= b_len; j++) {
			row[j] = min(min(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = min(row[j], before[j - 2] + 1);
		}
		before = above;
		above = row;
		row = spare;
	}
	return above[b_len];
}

const char *near_find(const char *word, const char *const *candidates, size_t count)
{
	unsigned best = strlen(word) <= 3 ? 2 : 3; /* must be beaten */
	const char *found = NULL;

	for (size_t i = 0; i < count; i++) {
		unsigned distance = near_distance(word, candidates[i]);

		if (distance < best) {
			best = distance;
			found = candidates[i];
		}
	}
	return found;
}
