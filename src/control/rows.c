/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The counter of the old rule with this text, or -1. `taken` says which counters are given out already: twins get one each. */
static int counter_kept(const struct rows *old, const char *text, const bool *taken)
{
	for (size_t i = 0; old && i < old->n; i++) {
		if (!taken[old->rows[i].counter] && !strcmp(old->rows[i].text, text))
			return (int)old->rows[i].counter;
	}
	return -1;
}

/* A counter nobody has, not in the old set either: packets may still be counted there until the swap. */
static uint32_t counter_new(const struct rows *old, bool *taken)
{
	bool used[IMAGE_COUNTERS_MAX];
	uint32_t counter = 0;

	memcpy(used, taken, sizeof(used));
	for (size_t i = 0; old && i < old->n; i++)
		used[old->rows[i].counter] = true;
	while (used[counter])
		counter++; /* ends: an old and a new set together have at most IMAGE_COUNTERS_MAX rules */
	return counter;
}

static int row_fill(struct row *row, const struct rule_info *info)
{
	row->line = info->line;
	row->action = info->action;
	row->tier = info->tier;
	row->reason = info->reason;
	row->text = strdup(info->text);
	row->name = info->name ? strdup(info->name) : NULL;
	return row->text && (row->name || !info->name) ? 0 : -ENOMEM;
}

int rows_build(const struct rules *rules, const struct rows *old, struct rows **ret_rows)
{
	bool taken[IMAGE_COUNTERS_MAX] = { false };
	struct rows *rows;

	if (rules_count(rules) > IMAGE_RULES_MAX)
		return -E2BIG;
	rows = calloc(1, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	rows->n = rules_count(rules);
	for (size_t i = 0; i < rows->n; i++) {
		struct rule_info info = rules_info(rules, i);
		int counter;

		if (row_fill(&rows->rows[i], &info)) {
			rows_free(rows);
			return -ENOMEM;
		}
		counter = counter_kept(old, info.text, taken);
		rows->rows[i].fresh = counter < 0;
		rows->rows[i].counter = counter < 0 ? counter_new(old, taken) : (uint32_t)counter;
		rows->counters[i] = rows->rows[i].counter;
		taken[rows->rows[i].counter] = true;
	}
	*ret_rows = rows;
	return 0;
}

struct rows *rows_free(struct rows *rows)
{
	if (!rows)
		return NULL;
	for (size_t i = 0; i < IMAGE_RULES_MAX; i++) {
		free(rows->rows[i].text);
		free(rows->rows[i].name);
	}
	free(rows);
	return NULL;
}
