/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guard_sets.c - the named sets of an armed interface: placed in a block that the XDP program and the worker read, changed in it.
 *
 * Theory of operation. The store (sets/store.h) is what the sets hold; the block is what packets are compared with. A change of some
 * items is in the block at once, one by one. When the block has no room for it, or it is a replacement, the block stays as it is,
 * and sets_settle() fills a new one aside and publishes it with a copy of the running image: so a packet meets all of the change or
 * nothing of it. If that fails, packets go on meeting what they met, and guard_tick() tries again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/refuse.h"
#include "control/guard_inside.h"
#include "control/ipc.h"
#include "sets/request.h"

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int sets_new(const struct rules *rules, struct set_store **ret_store)
{
	return set_store_new(rules, now_ns(), ret_store);
}

/* Does the store hold anything but DNS names? */
static bool needs_block(const struct set_store *store)
{
	for (size_t i = 0; i < set_store_count(store); i++) {
		if (!set_store_at(store, i)->names)
			return true;
	}
	return false;
}

static int block_fill(const struct xdp *xdp, struct set_table *table, struct xdp_block *ret_block)
{
	struct xdp_block block;
	int r = xdp_block_new(xdp, &block);

	if (r)
		return r;
	r = set_table_place(table, block.at, block.bytes);
	if (r)
		xdp_block_free(&block);
	else
		*ret_block = block;
	return r;
}

int sets_place(struct guard *guard, struct set_store *store, size_t image_bytes, uint32_t n_counters, struct xdp_block *ret_block,
	       char *ret_message, size_t size)
{
	struct set_table *table = set_store_table(store);
	uint64_t bytes = needs_block(store) ? set_table_bytes(table) : 0;
	int r = 0;

	*ret_block = (struct xdp_block){ .at = NULL };
	if (needs_block(store) && !bytes)
		return refuse(-E2BIG, ret_message, size, "the sets need more than the %u MiB of the largest block",
			      SET_BYTES_MAX >> 20);
	do {
		r = xdp_reserve(guard->xdp, image_bytes, bytes, n_counters, ret_message, size);
		if (r < 0)
			return r;
		if (r > 0)
			guard->sets_wait = true; /* until something is published */
		r = bytes ? block_fill(guard->xdp, table, ret_block) : 0;
		bytes *= 2;
	} while (r == -ENOSPC && bytes <= SET_BYTES_MAX);
	return r ? refuse(r, ret_message, size, "cannot place the sets: %s", strerror(-r)) : 0;
}

/* Classifiers, stores and names of before can go when the worker has none of them any more. A worker that hangs keeps them. */
static void older_free(struct guard *guard)
{
	struct names *names;

	xdp_forget_older(guard->xdp);
	while (guard->n_stores)
		set_store_free(guard->stores[--guard->n_stores]);
	while ((names = set_store_retired(guard->store)))
		names_free(names);
}

int sets_publish(struct guard *guard, const struct image *image, struct xdp_block *block, struct set_store *store,
		 char *ret_message, size_t size)
{
	struct set_store **stores = reallocarray(guard->stores, guard->n_stores + 1, sizeof(struct set_store *));
	const struct classifier *published;
	int r = stores ? 0 : -ENOMEM;

	if (stores)
		guard->stores = stores;
	if (!r)
		r = xdp_publish(guard->xdp, image, block, store, &published);
	if (r)
		return refuse(r, ret_message, size, "cannot publish the rules: %s", strerror(-r));
	if (guard->store && guard->store != store)
		stores[guard->n_stores++] = guard->store;
	guard->store = store;
	guard->sets_wait = false;
	if (path_set_classifier(&guard->path, published, guard->worker_running) == 0)
		older_free(guard);
	return 0;
}

/* Let packets meet what the store says. 0 or negative errno with a message: they meet what they met. */
static int sets_settle(struct guard *guard, char *ret_message, size_t size)
{
	const struct image *image = xdp_published(guard->xdp)->image;
	struct set_table *table = set_store_table(guard->store);
	struct xdp_block block;
	int r = sets_place(guard, guard->store, image->bytes, guard->rows->counters_end, &block, ret_message, size);

	if (!r)
		r = sets_publish(guard, image, &block, guard->store, ret_message, size);
	if (!r)
		return 0;
	if (block.at)
		set_table_place(table, NULL, 0); /* or it would write where nothing is */
	xdp_block_free(&block);
	guard->sets_wait = true;
	return r;
}

static bool needs_settling(const struct guard *guard)
{
	return guard->sets_wait || set_table_waits(set_store_table(guard->store));
}

static void retired_free(struct guard *guard)
{
	if (set_store_has_retired(guard->store) && path_wait_turn(&guard->path, guard->worker_running) == 0)
		older_free(guard);
}

static bool request_changes(const json_t *request)
{
	const char *op = json_string_value(json_object_get(request, "op"));

	return op && strcmp(op, "list") != 0 && strcmp(op, "stage") != 0;
}

json_t *guard_set(struct guard *guard, const json_t *request)
{
	json_t *reply = set_request_answer(guard->store, request, now_ns());
	char message[300] = "";

	if (!request_changes(request))
		return reply;
	if (needs_settling(guard) && sets_settle(guard, message, sizeof(message))) {
		json_decref(reply);
		return ipc_reply_error(CODE_REFUSED,
				       "%s: the set is changed but not in force yet, which is tried every second: %s",
				       guard->facts.ifname, message);
	}
	retired_free(guard);
	return reply;
}

void sets_tick(struct guard *guard, void (*say)(const char *line))
{
	bool waited = guard->sets_wait;
	char message[300], line[400];

	set_store_expire(guard->store, now_ns());
	if (needs_settling(guard) || set_table_stale(set_store_table(guard->store))) {
		if (sets_settle(guard, message, sizeof(message)) && !waited) {
			snprintf(line, sizeof(line), "%s: sets: %s; trying again every second", guard->facts.ifname, message);
			say(line);
		}
	}
	retired_free(guard);
}

void sets_free(struct guard *guard)
{
	while (guard->n_stores)
		set_store_free(guard->stores[--guard->n_stores]);
	free(guard->stores);
	set_store_free(guard->store);
}
