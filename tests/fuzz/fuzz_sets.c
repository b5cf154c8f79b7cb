/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any sequence of additions, deletions, replacements, new blocks and expiries of prefixes and tuples leaves a block that answers
 * as a list of the elements does.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "replay.h"
#include "sets/table.h"

#define LIST_MAX 48

static void check(int good)
{
	if (!good)
		abort();
}

struct input {
	const uint8_t *at, *end;
};

static uint8_t take(struct input *input)
{
	return input->at < input->end ? *input->at++ : 0;
}

struct listed {
	bool is_tuple;
	struct element element;
	uint64_t deadline_ns;
};

struct world {
	struct set_table *table;
	void *memory;
	uint64_t bytes;
	uint32_t prefixes, tuples;
	struct listed list[LIST_MAX];
	size_t n;
	uint64_t now_ns;
};

static void place(struct world *world)
{
	uint64_t bytes = set_table_bytes(world->table);

	check(bytes != 0 && (bytes & (bytes - 1)) == 0);
	for (;; bytes *= 2) {
		void *memory = aligned_alloc(4096, bytes);
		int r;

		check(memory != NULL);
		memset(memory, 0, bytes);
		r = set_table_place(world->table, memory, bytes);
		check(r == 0 || r == -ENOSPC);
		free(r == 0 ? world->memory : memory);
		if (r == 0) {
			world->memory = memory;
			world->bytes = bytes;
			return;
		}
	}
}

static struct listed listed_take(struct input *input)
{
	uint8_t flags = take(input), addr[16];
	unsigned family = flags & 1 ? 6 : 4, most = family == 4 ? 32 : 128, len = take(input) % (most + 1), port = take(input);
	struct listed listed = { .is_tuple = flags & 2 };

	memset(addr, flags & 4 ? 0xff : 0, sizeof(addr));
	for (unsigned i = 0; i < (flags >> 4 & 3); i++) {
		unsigned at = take(input) % (most / 8);

		addr[at] = take(input);
	}
	listed.deadline_ns = flags & 8 ? 1 + take(input) : 0;
	listed.element = listed.is_tuple ? element_tuple(family, addr, len, flags >> 6, (uint16_t)(port & 15),
							 (uint16_t)((port & 15) + (port >> 4)))
					 : element_prefix(family, addr, len);
	return listed;
}

static bool covers(const struct listed *listed, const struct listed *question)
{
	const struct element *a = &listed->element, *b = &question->element;
	uint64_t hi_mask = a->len == 0 ? 0 : a->len >= 64 ? ~0ull : ~0ull << (64 - a->len);
	uint64_t lo_mask = a->len <= 64 ? 0 : ~0ull << (128 - a->len);

	if (listed->is_tuple != question->is_tuple || a->family != b->family || (a->hi ^ b->hi) & hi_mask ||
	    (a->lo ^ b->lo) & lo_mask)
		return false;
	return !listed->is_tuple || (a->proto == b->proto && b->port_lo >= a->port_lo && b->port_lo <= a->port_hi);
}

static bool same(const struct listed *a, const struct listed *b)
{
	return a->is_tuple == b->is_tuple && memcmp(&a->element, &b->element, sizeof(a->element)) == 0;
}

/* The question's address, whole, and its first port. */
static void ask(const struct world *world, const struct listed *question)
{
	const struct element *element = &question->element;
	uint64_t addr[2] = { element->family == 4 ? set_be32((uint32_t)(element->hi >> 32)) : set_be64(element->hi),
			     set_be64(element->lo) };
	bool want = false;
	int have;

	if (element->family == 4)
		addr[1] = 0;
	for (size_t i = 0; i < world->n; i++)
		want |= covers(&world->list[i], question);
	if (question->is_tuple)
		have = set_has_tuple(world->memory, world->tuples, element->family, (__u64 *)addr, (uint8_t)element->proto,
				     element->port_lo);
	else
		have = set_has_addr(world->memory, world->prefixes, element->family, (__u64 *)addr);
	check(have == want);
}

static void ask_all(const struct world *world, struct input *input)
{
	struct listed question = listed_take(input);

	question.element.len = question.element.family == 4 ? 32 : 128;
	ask(world, &question);
	for (size_t i = 0; i < world->n; i++) {
		ask(world, &world->list[i]);
		question = world->list[i];
		question.element.hi ^= 1ull << 32 | 1ull << (take(input) & 63);
		if (question.element.family == 4)
			question.element.hi &= ~0ull << 32;
		ask(world, &question);
	}
	check(set_table_count(world->table, world->prefixes) + set_table_count(world->table, world->tuples) == world->n);
}

static long list_find(const struct world *world, const struct listed *listed)
{
	for (size_t i = 0; i < world->n; i++) {
		if (same(&world->list[i], listed))
			return (long)i;
	}
	return -1;
}

static void settle(struct world *world, int r)
{
	check(r == 0 || r == -ENOSPC);
	check(set_table_waits(world->table) == (r == -ENOSPC));
	if (r)
		place(world);
}

static void add(struct world *world, struct input *input)
{
	struct listed listed = listed_take(input);
	long at = list_find(world, &listed);

	if (at < 0 && world->n == LIST_MAX)
		return;
	if (at < 0)
		at = (long)world->n++;
	world->list[at] = listed;
	settle(world, set_table_add(world->table, listed.is_tuple ? world->tuples : world->prefixes, &listed.element, 1,
				    listed.deadline_ns ? world->now_ns + listed.deadline_ns : 0, NULL));
	if (listed.deadline_ns)
		world->list[at].deadline_ns += world->now_ns;
}

static void del(struct world *world, struct input *input)
{
	struct listed listed = listed_take(input);
	size_t n = 9;
	long at;

	if (world->n && (take(input) & 3))
		listed = world->list[take(input) % world->n];
	at = list_find(world, &listed);
	settle(world, set_table_del(world->table, listed.is_tuple ? world->tuples : world->prefixes, &listed.element, 1, &n));
	check(n == (at >= 0));
	if (at >= 0)
		world->list[at] = world->list[--world->n];
}

static void expire(struct world *world, struct input *input)
{
	world->now_ns += take(input);
	settle(world, set_table_expire(world->table, world->now_ns, NULL));
	for (size_t i = 0; i < world->n;) {
		if (world->list[i].deadline_ns && world->list[i].deadline_ns <= world->now_ns)
			world->list[i] = world->list[--world->n];
		else
			i++;
	}
}

/* Every second prefix stays, and one comes. */
static void replace(struct world *world, struct input *input)
{
	struct listed wanted[LIST_MAX + 1], others[LIST_MAX];
	struct element elements[LIST_MAX + 1];
	size_t n = 0, n_others = 0;

	for (size_t i = 0; i < world->n; i++) {
		if (world->list[i].is_tuple)
			others[n_others++] = world->list[i];
		else if (i % 2)
			wanted[n++] = world->list[i];
	}
	wanted[n] = listed_take(input);
	world->n = n;
	memcpy(world->list, wanted, n * sizeof(*wanted));
	if (!wanted[n].is_tuple && list_find(world, &wanted[n]) < 0 && n + n_others < LIST_MAX)
		n++;
	for (size_t i = 0; i < n; i++) {
		wanted[i].deadline_ns = 0;
		elements[i] = wanted[i].element;
	}
	memcpy(world->list, wanted, n * sizeof(*wanted));
	memcpy(world->list + n, others, n_others * sizeof(*others));
	world->n = n + n_others;
	settle(world, set_table_replace(world->table, world->prefixes, elements, n, 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world world;
	struct input input = { data, data + size };

	world = (struct world){ .table = set_table_new() };
	check(world.table != NULL);
	world.prefixes = (uint32_t)set_table_open(world.table, ELEMENT_PREFIX);
	world.tuples = (uint32_t)set_table_open(world.table, ELEMENT_TUPLE);
	place(&world);
	while (input.at < input.end) {
		uint8_t what = take(&input) % 16;

		if (what < 8)
			add(&world, &input);
		else if (what < 12)
			del(&world, &input);
		else if (what == 12)
			expire(&world, &input);
		else if (what == 13)
			replace(&world, &input);
		else if (what == 14)
			place(&world);
		ask_all(&world, &input);
	}
	set_table_free(world.table);
	free(world.memory);
	return 0;
}
