/* SPDX-License-Identifier: BSD-2-Clause */
#include "sets/store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "classify/dns.h"
#include "rules/literal.h"

#define BATCH 4096
#define STAGES_MAX 4
#define NS_PER_S 1000000000ull

struct stage {
	int64_t number;
	char *text; /* NULL: free */
	size_t len;
};

struct set_store {
	struct stage stages[STAGES_MAX];
	unsigned next_stage;
	struct set_table *table;
	struct stored_set *sets;
	size_t n;
	struct names **retired;
	size_t n_retired;
};

static void stage_clear(struct stage *stage)
{
	free(stage->text);
	*stage = (struct stage){ 0 };
}

struct set_store *set_store_free(struct set_store *store)
{
	struct names *names;

	if (!store)
		return NULL;
	for (unsigned i = 0; i < STAGES_MAX; i++)
		stage_clear(&store->stages[i]);
	while ((names = set_store_retired(store)))
		names_free(names);
	for (size_t i = 0; i < store->n; i++) {
		names_free(store->sets[i].names);
		free((char *)store->sets[i].name);
	}
	set_table_free(store->table);
	free(store->sets);
	free(store->retired);
	free(store);
	return NULL;
}

static enum element_kind element_kind_of(enum list_kind kind)
{
	switch (kind) {
	case LIST_TUPLES:
		return ELEMENT_TUPLE;
	case LIST_RANGES:
		return ELEMENT_NUMBERS;
	default:
		return ELEMENT_PREFIX; /* an empty set of no kind holds addresses from now on */
	}
}

static int stored_set_open(struct set_store *store, const struct set *set)
{
	struct stored_set *stored = &store->sets[store->n];
	int id;

	*stored = (struct stored_set){ .kind = set_kind(set), .ttl_s = set->ttl_s };
	stored->name = strdup(set->name);
	if (!stored->name)
		return -ENOMEM;
	store->n++;
	if (stored->kind == LIST_NAMES) {
		stored->names = names_new();
		return stored->names ? 0 : -ENOMEM;
	}
	id = set_table_open(store->table, element_kind_of(stored->kind));
	stored->id = id > 0 ? (uint32_t)id : 0;
	return id > 0 ? 0 : id;
}

int set_store_new(const struct rules *rules, uint64_t now_ns, struct set_store **ret_store)
{
	struct set_store *store = calloc(1, sizeof(*store));
	int r = 0;

	if (!store)
		return -ENOMEM;
	store->table = set_table_new();
	store->sets = calloc(rules->n_sets + 1, sizeof(*store->sets));
	if (!store->table || !store->sets)
		r = -ENOMEM;
	for (size_t i = 0; i < rules->n_sets && r == 0; i++) {
		r = stored_set_open(store, rules->sets[i]);
		assert(r || store->sets[i].names || store->sets[i].id == rules_set_id(rules, rules->sets[i]));
		if (r == 0)
			r = set_store_change(store, &store->sets[i], SET_CHANGE_ADD, rules->sets[i], 0, now_ns, NULL);
	}
	if (r < 0) {
		set_store_free(store);
		return r;
	}
	*ret_store = store;
	return 0;
}

struct set_table *set_store_table(struct set_store *store)
{
	return store->table;
}

size_t set_store_count(const struct set_store *store)
{
	return store->n;
}

const struct stored_set *set_store_at(const struct set_store *store, size_t index)
{
	return index < store->n ? &store->sets[index] : NULL;
}

const struct names *set_store_names(const struct set_store *store, size_t index)
{
	return index < store->n ? __atomic_load_n(&store->sets[index].names, __ATOMIC_ACQUIRE) : NULL;
}

const struct stored_set *set_store_find(const struct set_store *store, const char *name)
{
	for (size_t i = 0; i < store->n; i++) {
		if (strcmp(store->sets[i].name, name) == 0)
			return &store->sets[i];
	}
	return NULL;
}

/*
 * Changes
 */

static struct element element_of(const struct set *items, size_t i)
{
	const struct tuple *tuple;

	switch (items->kind) {
	case LIST_TUPLES:
		tuple = &items->tuples[i];
		return element_tuple(tuple->prefix.family, tuple->prefix.addr, tuple->prefix.len, tuple->proto, tuple->port_lo,
				     tuple->port_hi);
	case LIST_RANGES:
		return element_numbers(items->ranges[i].lo, items->ranges[i].hi);
	default:
		return element_prefix(items->prefixes[i].family, items->prefixes[i].addr, items->prefixes[i].len);
	}
}

/* What the caller asked for, as all steps below need it. */
struct order {
	struct set_store *store;
	const struct stored_set *set;
	enum set_change change;
	const struct set *items;
	uint32_t ttl_s;
	uint64_t now_ns;
};

static uint64_t item_deadline(const struct order *order, size_t i)
{
	uint32_t ttl_s = order->items->ttls_s ? order->items->ttls_s[i] : 0;

	if (!ttl_s)
		ttl_s = order->ttl_s ? order->ttl_s : order->set->ttl_s;
	return ttl_s ? order->now_ns + ttl_s * NS_PER_S : 0;
}

/* That the block has no room, or that it is a replacement, is the owner's matter: set_table_waits(). */
static int but_for_room(int r)
{
	return r == -ENOSPC ? 0 : r;
}

/* From item *i on, as many as have one deadline. */
static int elements_some(const struct order *order, size_t *i, struct element batch[BATCH], size_t *n_changed)
{
	struct set_table *table = order->store->table;
	uint64_t deadline_ns = item_deadline(order, *i);
	size_t n = 0, changed = 0;
	int r;

	for (; *i < order->items->n && n < BATCH && item_deadline(order, *i) == deadline_ns; ++*i)
		batch[n++] = element_of(order->items, *i);
	if (order->change == SET_CHANGE_DEL)
		r = set_table_del(table, order->set->id, batch, n, &changed);
	else
		r = set_table_add(table, order->set->id, batch, n, deadline_ns, &changed);
	*n_changed += changed;
	return but_for_room(r);
}

static int elements_change(const struct order *order, size_t *n_changed)
{
	struct element *batch = malloc(BATCH * sizeof(*batch));
	int r = batch ? 0 : -ENOMEM;

	for (size_t i = 0; i < order->items->n && r == 0;)
		r = elements_some(order, &i, batch, n_changed);
	free(batch);
	return r;
}

/* All at once, then those that end get their time: they are there already, so readers notice nothing. */
static int elements_replace(const struct order *order)
{
	struct element *elements = malloc((order->items->n + 1) * sizeof(*elements));
	size_t ignored = 0;
	int r;

	if (!elements)
		return -ENOMEM;
	for (size_t i = 0; i < order->items->n; i++)
		elements[i] = element_of(order->items, i);
	r = but_for_room(set_table_replace(order->store->table, order->set->id, elements, order->items->n, 0));
	free(elements);
	if (r || !(order->items->ttls_s || order->ttl_s || order->set->ttl_s))
		return r;
	return elements_change(order, &ignored);
}

static int names_change(const struct order *order, struct names *names, size_t *n_changed)
{
	for (size_t i = 0; i < order->items->n; i++) {
		const struct wire_name *name = &order->items->names[i];
		int r;

		if (order->change == SET_CHANGE_DEL)
			r = names_del(names, name->bytes, name->len);
		else
			r = names_add(names, name->bytes, name->len, item_deadline(order, i));
		if (r < 0)
			return r;
		*n_changed += (size_t)r;
	}
	return 0;
}

/* Another takes the place of a set's names. */
static int names_swap(struct set_store *store, const struct stored_set *set, struct names *names)
{
	struct stored_set *stored = &store->sets[set - store->sets];
	struct names **retired = reallocarray(store->retired, store->n_retired + 1, sizeof(*retired));

	if (!retired)
		return -ENOMEM;
	store->retired = retired;
	retired[store->n_retired++] = stored->names;
	__atomic_store_n(&stored->names, names, __ATOMIC_RELEASE);
	return 0;
}

static int names_replace(const struct order *order)
{
	struct names *names = names_new();
	size_t n = 0;
	int r = names ? names_change(order, names, &n) : -ENOMEM;

	if (r == 0)
		r = names_swap(order->store, order->set, names);
	if (r)
		names_free(names);
	return r;
}

/* Deleted names leave something behind: a copy does not. Not made, it is made next time. */
static void names_renew(struct set_store *store, const struct stored_set *set)
{
	struct names *copy = names_stale(set->names) ? names_copy(set->names) : NULL;

	if (copy && names_swap(store, set, copy))
		names_free(copy);
}

int set_store_change(struct set_store *store, const struct stored_set *set, enum set_change change, const struct set *items,
		     uint32_t ttl_s, uint64_t now_ns, size_t *ret_n)
{
	struct order order = { store, set, change, items, ttl_s, now_ns };
	size_t n = 0;
	int r;

	if (items->n && items->kind != set->kind)
		return -EINVAL;
	if (set->kind == LIST_NAMES) {
		r = change == SET_CHANGE_REPLACE ? names_replace(&order) : names_change(&order, set->names, &n);
		if (r == 0)
			names_renew(store, set);
	} else {
		r = change == SET_CHANGE_REPLACE ? elements_replace(&order) : elements_change(&order, &n);
	}
	if (ret_n && r == 0)
		*ret_n = n;
	return r;
}

size_t set_store_expire(struct set_store *store, uint64_t now_ns)
{
	size_t n = 0;

	set_table_expire(store->table, now_ns, &n);
	for (size_t i = 0; i < store->n; i++) {
		if (!store->sets[i].names)
			continue;
		n += names_expire(store->sets[i].names, now_ns);
		names_renew(store, &store->sets[i]);
	}
	return n;
}

uint64_t set_store_deadline(const struct set_store *store)
{
	uint64_t first = set_table_deadline(store->table);

	for (size_t i = 0; i < store->n; i++) {
		uint64_t at = store->sets[i].names ? names_deadline(store->sets[i].names) : 0;

		if (at && (!first || at < first))
			first = at;
	}
	return first;
}

bool set_store_has_retired(const struct set_store *store)
{
	return store->n_retired > 0;
}

struct names *set_store_retired(struct set_store *store)
{
	return store->n_retired ? store->retired[--store->n_retired] : NULL;
}

/*
 * Listing
 */

size_t stored_set_size(const struct set_store *store, const struct stored_set *set)
{
	return set->names ? names_count(set->names) : set_table_count(store->table, set->id);
}

static void range_print(uint32_t lo, uint32_t hi, FILE *out)
{
	if (lo == hi)
		fprintf(out, "%u", lo);
	else
		fprintf(out, "%u-%u", lo, hi);
}

static void prefix_print(const struct element *element, FILE *out)
{
	struct prefix prefix = { .family = (uint8_t)element->family, .len = (uint8_t)element->len };
	uint64_t words[2] = { set_be64(element->hi), set_be64(element->lo) };
	char text[PREFIX_TEXT_MAX];

	memcpy(prefix.addr, words, prefix.family == 4 ? 4 : 16);
	prefix_to_text(&prefix, text);
	fputs(text, out);
}

static void element_print(const struct element *element, FILE *out)
{
	if (element->kind == ELEMENT_NUMBERS) {
		range_print((uint32_t)element->hi, (uint32_t)element->lo, out);
		return;
	}
	prefix_print(element, out);
	if (element->kind == ELEMENT_TUPLE) {
		const char *proto = vocabulary_word(VOCABULARY_PROTO, element->proto);

		if (proto)
			fprintf(out, " . %s . ", proto);
		else
			fprintf(out, " . %u . ", element->proto);
		if (element->port_lo == 0 && element->port_hi == UINT16_MAX)
			fputs("any", out);
		else
			range_print(element->port_lo, element->port_hi, out);
	}
}

/* What is left, rounded up: an item that is listed has not ended. */
static void ttl_print(uint64_t deadline_ns, uint64_t now_ns, FILE *out)
{
	char text[DURATION_TEXT_MAX];

	if (deadline_ns) {
		duration_to_text(deadline_ns > now_ns ? (uint32_t)((deadline_ns - now_ns + NS_PER_S - 1) / NS_PER_S) : 1, text);
		fprintf(out, " ttl %s", text);
	}
	fputc('\n', out);
}

static bool names_print(const struct names *names, uint64_t now_ns, size_t *at, long bytes, FILE *out)
{
	char text[DNS_TEXT_MAX];
	uint64_t deadline_ns;
	const uint8_t *name;
	size_t len;

	while (ftell(out) < bytes) {
		name = names_next(names, at, &len, &deadline_ns);
		if (!name)
			return false;
		dns_name_to_text(name, text);
		fputs(text, out);
		ttl_print(deadline_ns, now_ns, out);
	}
	return true;
}

bool stored_set_print(const struct set_store *store, const struct stored_set *set, uint64_t now_ns, size_t *at, long bytes,
		      FILE *out)
{
	const struct element_slot *slot;

	if (set->names)
		return names_print(set->names, now_ns, at, bytes, out);
	while (ftell(out) < bytes) {
		slot = set_table_next(store->table, set->id, at);
		if (!slot)
			return false;
		element_print(&slot->element, out);
		ttl_print(slot->deadline_ns, now_ns, out);
	}
	return true;
}

/*
 * Text in pieces
 */

static struct stage *stage_find(struct set_store *store, int64_t number)
{
	for (unsigned i = 0; i < STAGES_MAX; i++) {
		if (store->stages[i].text && store->stages[i].number == number)
			return &store->stages[i];
	}
	return NULL;
}

static struct stage *stage_new(struct set_store *store, int64_t number)
{
	struct stage *stage = NULL;

	for (unsigned i = 0; i < STAGES_MAX && !stage; i++)
		stage = store->stages[i].text ? NULL : &store->stages[i];
	if (!stage)
		stage = &store->stages[store->next_stage++ % STAGES_MAX];
	stage_clear(stage);
	stage->number = number;
	return stage;
}

int set_store_stage(struct set_store *store, int64_t number, const char *text, size_t len)
{
	struct stage *stage = stage_find(store, number);
	char *grown;

	if (!stage)
		stage = stage_new(store, number);
	if (len > TEXT_MAX - stage->len) {
		stage_clear(stage);
		return -E2BIG;
	}
	grown = realloc(stage->text, stage->len + len + 1);
	if (!grown) {
		stage_clear(stage);
		return -ENOMEM;
	}
	memcpy(grown + stage->len, text, len);
	stage->text = grown;
	stage->len += len;
	return 0;
}

char *set_store_unstage(struct set_store *store, int64_t number, size_t *ret_len)
{
	struct stage *stage = stage_find(store, number);
	char *text;

	if (!stage)
		return NULL;
	text = stage->text;
	*ret_len = stage->len;
	*stage = (struct stage){ 0 };
	return text;
}
