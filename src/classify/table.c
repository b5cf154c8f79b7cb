/* SPDX-License-Identifier: BSD-2-Clause */
/* table.c - IPv4 prefixes to tables. */
#include "classify/table.h"

#include <errno.h>
#include <stdlib.h>

#define ENTRIES_MAX (1u << 26) /* 256 MiB; 131,072 random addresses of either side take 168 MiB */

#define WIDE_MAX 32768u /* tables of 256 entries at the end: 32 MiB */

static const uint8_t wide_ends[] = { 16, 24, 32 }, narrow_ends[] = { 16, 24, 28, 32 };

/* Tables behind bit 24. */
static size_t prefixes_tails(const struct prefixes *prefixes)
{
	uint64_t last = UINT64_MAX;
	size_t n = 0;

	for (size_t i = 0; i < prefixes->n; i++) {
		uint64_t first_bits = prefixes->at[i].addr[0] >> 40;

		if (prefixes->at[i].len <= 24 || first_bits == last)
			continue;
		last = first_bits;
		n++;
	}
	return n;
}

void tables4_init(struct tables4 *tables, const struct prefixes *src, const struct prefixes *dst)
{
	bool wide = prefixes_tails(src) + prefixes_tails(dst) <= WIDE_MAX;

	*tables = (struct tables4){ .ends = wide ? wide_ends : narrow_ends };
}

/* `n` more entries, all set to `entry`. */
static int tables4_take(struct tables4 *tables, size_t n, uint32_t entry, uint32_t *ret_at)
{
	size_t room = tables->room ? tables->room : 1u << 17;
	uint32_t *grown;

	while (room < tables->n + n)
		room *= 2;
	if (room > ENTRIES_MAX)
		return -E2BIG;
	if (room != tables->room) {
		grown = realloc(tables->entries, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		tables->entries = grown;
		tables->room = room;
	}
	for (size_t i = 0; i < n; i++)
		tables->entries[tables->n + i] = entry;
	*ret_at = (uint32_t)tables->n;
	tables->n += n;
	return 0;
}

/* One prefix. Those that are shorter are there already. */
static int tables4_put(struct tables4 *tables, uint32_t root, const struct class_prefix *prefix)
{
	uint32_t address = (uint32_t)(prefix->addr[0] >> 32), table = root, begin = 0;

	for (unsigned level = 0;; level++) {
		unsigned end = tables->ends[level], bits = end - begin;
		uint32_t at = table + (address >> (32 - end) & ((1u << bits) - 1)), below;
		int r;

		if (prefix->len <= end) {
			for (uint32_t i = 0; i < 1u << (end - prefix->len); i++)
				tables->entries[at + i] = prefix->class;
			return 0;
		}
		if (!(tables->entries[at] & TABLE_MORE)) {
			r = tables4_take(tables, 1u << (tables->ends[level + 1] - end), tables->entries[at], &below);
			if (r)
				return r;
			tables->entries[at] = TABLE_MORE | below;
		}
		table = tables->entries[at] & ~TABLE_MORE;
		begin = end;
	}
}

static int prefix_shorter(const void *a, const void *b)
{
	const struct class_prefix *x = a, *y = b;

	return (int)x->len - (int)y->len;
}

int tables4_add(struct tables4 *tables, struct prefixes *prefixes, uint32_t *ret_root)
{
	int r = tables4_take(tables, (size_t)1 << tables->ends[0], CLASS_REST_IP4, ret_root);

	qsort(prefixes->at, prefixes->n, sizeof(*prefixes->at), prefix_shorter);
	for (size_t i = 0; i < prefixes->n && r == 0; i++)
		r = tables4_put(tables, *ret_root, &prefixes->at[i]);
	return r;
}
