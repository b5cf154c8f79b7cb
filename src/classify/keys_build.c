/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keys_build.c - an image's rows to classes, and those to keys.
 *
 * Where few rows have the same addresses, those make the key, and rows are asked for ports and protocol one after the other. Else
 * ports and protocol are part of the key, if their classes have room in it.
 */
#include "classify/keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "classify/service.h"
#include "classify/table.h"
#include "classify/trie.h"

#define LINES_MIN (1u << 16) /* 4 MiB */
#define LINES_MAX (1u << 20) /* 64 MiB */
#define LINES_PER_ROW 32u    /* with half as many, 1.5 % of packets met a line that others had taken (10,000 rules) */
#define SAMPLES_MAX 512u
#define SAMPLED_ROWS (1u << 22) /* looked at in all */
#define PAIR_ROWS_MEAN 3u	/* rows of a pair of address classes, so that ports need not be part of the key */
#define PAIR_ROWS_MAX 16u

/* Memory on large pages, where there are any: it is met at random. Zeroed; NULL: none. */
static void *pages_new(size_t bytes)
{
	size_t large = 1u << 21, rounded = (bytes + large) / large * large;
	void *memory = bytes < large / 4 ? aligned_alloc(64, (bytes + 64) / 64 * 64) : aligned_alloc(large, rounded);

	if (!memory)
		return NULL;
	if (bytes >= large / 4)
		madvise(memory, rounded, MADV_HUGEPAGE);
	memset(memory, 0, bytes);
	return memory;
}

/* A copy on large pages, or NULL. */
static void *pages_copy(const void *from, size_t bytes)
{
	void *to = pages_new(bytes);

	if (to && bytes)
		memcpy(to, from, bytes);
	return to;
}

/* A header from within the row. */
static struct lookup_key row_sample(const struct image_row *row, uint64_t *random)
{
	struct lookup_key key = { .family = row->family == FAMILY_IP6 ? 2 : 1 };

	for (unsigned i = 0; i < 4; i++) {
		unsigned len = i < 2 ? row->src_len : row->dst_len, low = i % 2;
		uint64_t known = (i < 2 ? row->src : row->dst)[low];
		__u64 *to = &(i < 2 ? key.src : key.dst)[low];
		uint64_t free = len <= 64 * low ? ~0ull : len >= 64 * low + 64 ? 0 : ~0ull >> (len - 64 * low);

		*random = *random * 6364136223846793005u + 1442695040888963407u;
		*to = known | (*random & (key.family == 1 ? (low ? 0 : free & ~0ull << 32) : free));
	}
	return key;
}

/* Do few rows have a header's addresses, whatever its ports? By a sample, always the same one. */
static bool pairs_are_few(const struct keys *keys)
{
	const struct image *image = keys->image;
	size_t n_samples = image->n_rows ? SAMPLED_ROWS / image->n_rows + 16 : 0, sum = 0;
	uint64_t random = 1;

	for (uint32_t i = 0; i < image->n_groups; i++)
		if (lookup_group(image, i)->ports_mask)
			return false; /* ports were needed to tell rows apart (tables.c) */
	if (n_samples > SAMPLES_MAX)
		n_samples = SAMPLES_MAX;
	for (size_t i = 0; i < n_samples; i++) {
		struct lookup_key key = row_sample(&keys->rows[i * image->n_rows / n_samples], &random);
		size_t n = 0;

		for (size_t k = 0; k < image->n_rows && n <= PAIR_ROWS_MAX; k++)
			n += (size_t)lookup_row_box(&keys->rows[k], &key);
		if (n > PAIR_ROWS_MAX)
			return false;
		sum += n;
	}
	return sum <= PAIR_ROWS_MEAN * n_samples;
}

static int tries_fill(struct keys *keys, const struct addresses *addresses)
{
	struct trie trie = { 0 };

	trie_begin(&trie, addresses->n_classes);
	for (unsigned side = 0; side < 2; side++)
		keys->trie_roots[side] = trie_add(&trie, &addresses->prefixes[side][1]);
	if (!trie.failed) {
		keys->n_tries = trie.n;
		keys->tries = pages_copy(trie.words, trie.n * sizeof(*trie.words));
	}
	free(trie.words);
	return trie.failed ? trie.failed : keys->tries ? 0 : -ENOMEM;
}

static int tables_fill(struct keys *keys, struct addresses *addresses)
{
	struct tables4 tables;
	int r = 0;

	tables4_init(&tables, &addresses->prefixes[0][0], &addresses->prefixes[1][0]);
	keys->table_ends = tables.ends;
	for (unsigned side = 0; side < 2 && r == 0; side++)
		r = tables4_add(&tables, &addresses->prefixes[side][0], &keys->table_roots[side]);
	if (r == 0) {
		keys->n_tables = tables.n;
		keys->tables = pages_copy(tables.entries, tables.n * sizeof(*tables.entries));
		r = keys->tables ? 0 : -ENOMEM;
	}
	free(tables.entries);
	return r;
}

static int addresses_keep(struct keys *keys)
{
	struct addresses addresses;
	int r = addresses_find(keys->rows, keys->image->n_rows, &addresses);

	keys->n_classes = addresses.n_classes;
	keys->dst_shift = keys_bits(keys->n_classes - 1);
	if (r == 0) {
		keys->classes = pages_new(keys->n_classes * sizeof(*keys->classes));
		r = keys->classes ? 0 : -ENOMEM;
	}
	if (r == 0) {
		addresses_fill(&addresses, keys->classes);
		r = tries_fill(keys, &addresses);
	}
	if (r == 0)
		r = tables_fill(keys, &addresses);
	addresses_fini(&addresses);
	return r;
}

/* Where in a key each class of ports and protocol begins, from above the addresses' on. -E2BIG: there is no room. */
static int shifts_set(struct keys *keys, const struct services *services)
{
	unsigned at = 2 * keys->dst_shift;

	keys->shifts[0] = (uint8_t)at;
	at += keys_bits(services->n_protos - 1);
	for (unsigned side = 0; side < 2; side++) {
		keys->shifts[1 + side] = (uint8_t)(at & 63); /* of a class that is always 0, if it was 64 */
		at += keys_bits(services->n_ports[side] - 1);
	}
	return at <= 64 ? 0 : -E2BIG;
}

static int services_keep(struct keys *keys)
{
	struct services services;
	int r = services_find(keys->rows, keys->image->n_rows, &services);

	if (r == 0)
		r = shifts_set(keys, &services);
	if (r == 0) {
		keys->by_ports = true;
		memcpy(keys->n_port_classes, services.n_ports, sizeof(keys->n_port_classes));
		memcpy(keys->ports, services.ports, sizeof(keys->ports));
		memcpy(keys->protos, services.protos, sizeof(keys->protos));
		keys->n_pages = services.n_pages;
		keys->pages = services.pages;
		services.pages = NULL;
	}
	services_fini(&services);
	return r;
}

static int known_new(struct keys *keys)
{
	unsigned bits = 0;

	while (1u << bits < LINES_MIN || (1u << bits < LINES_MAX && 1u << bits < LINES_PER_ROW * keys->image->n_rows))
		bits++;
	keys->lines_shift = 64 - bits;
	keys->known = pages_new(2 * sizeof(*keys->known) << bits);
	return keys->known ? 0 : -ENOMEM;
}

static int keys_fill(struct keys *keys)
{
	int r;

	keys->rows = pages_copy(lookup_row_at(keys->image, 0), keys->image->n_rows * sizeof(*keys->rows));
	r = keys->rows ? addresses_keep(keys) : -ENOMEM;
	if (r == 0 && !pairs_are_few(keys))
		r = services_keep(keys);
	return r == 0 ? known_new(keys) : r;
}

int keys_new(const struct image *image, struct keys **ret_keys)
{
	struct keys *keys = calloc(1, sizeof(*keys));
	int r;

	if (!keys)
		return -ENOMEM;
	keys->image = image;
	r = keys_fill(keys);
	if (r < 0)
		keys_free(keys);
	else
		*ret_keys = keys;
	return r;
}

struct keys *keys_free(struct keys *keys)
{
	if (keys) {
		free(keys->rows);
		free(keys->classes);
		free(keys->tries);
		free(keys->tables);
		free(keys->pages);
		free(keys->known);
		free(keys);
	}
	return NULL;
}

size_t keys_bytes(const struct keys *keys)
{
	return sizeof(*keys) + keys->image->n_rows * sizeof(*keys->rows) + keys->n_classes * sizeof(*keys->classes) +
	       keys->n_tries * sizeof(*keys->tries) + keys->n_tables * sizeof(*keys->tables) +
	       keys->n_pages * 256 * sizeof(*keys->pages) + (2 * sizeof(*keys->known) << (64 - keys->lines_shift));
}
