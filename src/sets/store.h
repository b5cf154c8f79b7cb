/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store.h - the named sets of one interface: filled from its rules, changed by text while the rules run.
 *
 * Addresses, tuples and numbers go to one set_table (table.h), each list of DNS names to a `struct names` of its own. After each
 * change ask set_table_waits(): a new block may be due. One thread uses a store; readers of the block and of names need nothing.
 */
#ifndef SPILLWAY_SETS_STORE_H
#define SPILLWAY_SETS_STORE_H

#include <stdio.h>

#include "rules/ast.h"
#include "sets/names.h"
#include "sets/table.h"

struct set_store;

struct stored_set {
	const char *name;
	enum list_kind kind;
	uint32_t id;	     /* in the table; 0 of LIST_NAMES */
	struct names *names; /* of LIST_NAMES; replaced by another when the set is (see set_store_retired()) */
	uint32_t ttl_s;	     /* of items without their own; 0: they stay */
};

/* A store of the rules' sets, in their order, with the ids that an image of the rules asks for. 0, -ENOMEM. */
int set_store_new(const struct rules *rules, uint64_t now_ns, struct set_store **ret_store);
struct set_store *set_store_free(struct set_store *store); /* NULL is fine; returns NULL */

struct set_table *set_store_table(struct set_store *store);
size_t set_store_count(const struct set_store *store);
const struct stored_set *set_store_at(const struct set_store *store, size_t index);	  /* as `index` of the rules' set */
const struct stored_set *set_store_find(const struct set_store *store, const char *name); /* or NULL */

/* Any thread: the names of set `index`, or NULL: it holds none. Good until they are retired. */
const struct names *set_store_names(const struct set_store *store, size_t index);

enum set_change { SET_CHANGE_ADD, SET_CHANGE_DEL, SET_CHANGE_REPLACE };

/*
 * `items` of the set's kind. `ttl_s` is for those without their own; 0: the set's. *ret_n: items that came or went (not counted for
 * a replacement). 0, -EINVAL: another kind, -ENOMEM.
 */
int set_store_change(struct set_store *store, const struct stored_set *set, enum set_change change, const struct set *items,
		     uint32_t ttl_s, uint64_t now_ns, size_t *ret_n);
size_t set_store_expire(struct set_store *store, uint64_t now_ns);
uint64_t set_store_deadline(const struct set_store *store); /* when expire() may have something to do; 0: never */

/* Names that no set leads to any more: free them when no reader can be in them. NULL: none. */
bool set_store_has_retired(const struct set_store *store);
struct names *set_store_retired(struct set_store *store);

size_t stored_set_size(const struct set_store *store, const struct stored_set *set);
/*
 * One item a line, as `file` reads them; with `ttl TIME` behind those that end. From *at on (0 at first), about `bytes` of them;
 * false: that was all. If the set changes between two calls, an item may come twice or not at all.
 */
bool stored_set_print(const struct set_store *store, const struct stored_set *set, uint64_t now_ns, size_t *at, long bytes,
		      FILE *out);

/*
 * Text in pieces, kept under a number of the sender's choice until it is whole. A few at a time: the oldest goes. -ENOMEM, -E2BIG:
 * over TEXT_MAX, and all of it is forgotten.
 */
int set_store_stage(struct set_store *store, int64_t stage, const char *text, size_t len);
char *set_store_unstage(struct set_store *store, int64_t stage, size_t *ret_len); /* the caller frees it; NULL: no such */

#endif
