/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

/* Old rules by their text, so that a set of many thousands is not compared with itself line by line. */
struct texts {
	const struct rows *old;
	uint32_t *slots; /* index of the row + 1, or 0 */
	size_t mask;
	bool *taken;	 /* of the old rows: whose counter is given out already, as twins get one each */
	bool *used;	 /* of all counters */
	uint32_t unused; /* none below is free */
};

static size_t texts_slot(const struct texts *texts, const char *text)
{
	return XXH3_64bits(text, strlen(text)) & texts->mask;
}

static int texts_init(struct texts *texts, const struct rows *old)
{
	size_t n = old ? old->n : 0;

	*texts = (struct texts){ .old = old, .mask = 15 };
	while (texts->mask < 2 * n)
		texts->mask = 2 * texts->mask + 1;
	texts->slots = calloc(texts->mask + 1, sizeof(*texts->slots));
	texts->taken = calloc(n + 1, sizeof(*texts->taken));
	texts->used = calloc(IMAGE_COUNTERS_MAX, sizeof(*texts->used));
	if (!texts->slots || !texts->taken || !texts->used)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		size_t slot = texts_slot(texts, old->rows[i].text);

		while (texts->slots[slot])
			slot = (slot + 1) & texts->mask;
		texts->slots[slot] = (uint32_t)i + 1;
		texts->used[old->rows[i].counter] = true; /* packets may still be counted there until the swap */
	}
	return 0;
}

static void texts_fini(struct texts *texts)
{
	free(texts->slots);
	free(texts->taken);
	free(texts->used);
}

/* The old rule with this text, or NULL. */
static const struct row *row_kept(struct texts *texts, const char *text)
{
	for (size_t slot = texts_slot(texts, text); texts->slots[slot]; slot = (slot + 1) & texts->mask) {
		uint32_t row = texts->slots[slot] - 1;

		if (texts->taken[row] || strcmp(texts->old->rows[row].text, text))
			continue;
		texts->taken[row] = true;
		return &texts->old->rows[row];
	}
	return NULL;
}

/* A counter nobody has, not in the old set either. There is one: old and new together have at most IMAGE_COUNTERS_MAX rules. */
static uint32_t counter_new(struct texts *texts)
{
	while (texts->used[texts->unused])
		texts->unused++;
	return texts->unused++;
}

static int row_fill(struct row *row, const struct rule_info *info)
{
	row->line = info->line;
	row->action = info->action;
	row->tier = info->tier;
	row->reason = info->reason;
	row->log = info->log;
	row->text = strdup(info->text);
	row->name = info->name ? strdup(info->name) : NULL;
	return row->text && (row->name || !info->name) ? 0 : -ENOMEM;
}

static uint64_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec;
}

static void row_go_on(struct row *row, const struct row *kept)
{
	row->counter = kept->counter;
	row->ends_s = kept->ends_s;
	row->expired = kept->expired;
	row->logged = kept->logged;
}

static int rows_fill(struct rows *rows, const struct rules *rules, struct texts *texts)
{
	for (size_t i = 0; i < rows->n; i++) {
		struct rule_info info = rules_info(rules, i);
		const struct row *kept;

		if (row_fill(&rows->rows[i], &info))
			return -ENOMEM;
		kept = row_kept(texts, info.text);
		rows->rows[i].fresh = !kept;
		if (kept) {
			row_go_on(&rows->rows[i], kept);
		} else {
			rows->rows[i].counter = counter_new(texts);
			rows->rows[i].ends_s = info.ttl_s ? now_s() + info.ttl_s : 0;
		}
		rows->counters[i] = rows->rows[i].counter;
		if (rows->counters[i] >= rows->counters_end)
			rows->counters_end = rows->counters[i] + 1;
	}
	return 0;
}

int rows_build(const struct rules *rules, const struct rows *old, struct rows **ret_rows)
{
	struct texts texts = { 0 };
	struct rows *rows;
	int r;

	if (rules_count(rules) > IMAGE_RULES_MAX)
		return -E2BIG;
	rows = calloc(1, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	rows->n = rules_count(rules);
	rows->rows = calloc(rows->n + 1, sizeof(*rows->rows));
	rows->counters = calloc(rows->n + 1, sizeof(*rows->counters));
	r = rows->rows && rows->counters ? texts_init(&texts, old) : -ENOMEM;
	if (r == 0)
		r = rows_fill(rows, rules, &texts);
	texts_fini(&texts);
	if (r < 0) {
		rows_free(rows);
		return r;
	}
	*ret_rows = rows;
	return 0;
}

struct rows *rows_free(struct rows *rows)
{
	if (!rows)
		return NULL;
	for (size_t i = 0; rows->rows && i < rows->n; i++) {
		free(rows->rows[i].text);
		free(rows->rows[i].name);
	}
	free(rows->rows);
	free(rows->counters);
	free(rows);
	return NULL;
}
