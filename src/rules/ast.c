/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "classify/parse.h"
#include "rules/ast.h"

#define CHUNK_SIZE 16384

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, size;
	_Alignas(16) unsigned char bytes[];
};

void *arena_alloc(struct arena *arena, size_t size)
{
	struct arena_chunk *chunk = arena->chunks;
	void *bytes;

	size = (size + 15) & ~(size_t)15;
	if (!chunk || chunk->size - chunk->used < size) {
		size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;

		chunk = calloc(1, sizeof(*chunk) + room);
		if (!chunk)
			return NULL;
		chunk->size = room;
		chunk->next = arena->chunks;
		arena->chunks = chunk;
	}
	bytes = chunk->bytes + chunk->used;
	chunk->used += size;
	return bytes;
}

void *arena_grow(struct arena *arena, void *array, size_t n, size_t element)
{
	void *grown;

	if (n == 0)
		return arena_alloc(arena, element);
	if (n & (n - 1)) /* room for the next power of two */
		return array;
	grown = arena_alloc(arena, 2 * n * element);
	if (grown)
		memcpy(grown, array, n * element);
	return grown;
}

char *arena_copy(struct arena *arena, const char *text, size_t len)
{
	char *copy = arena_alloc(arena, len + 1);

	if (copy && len)
		memcpy(copy, text, len);
	return copy;
}

void arena_fini(struct arena *arena)
{
	while (arena->chunks) {
		struct arena_chunk *chunk = arena->chunks;

		arena->chunks = chunk->next;
		free(chunk);
	}
}

const char *const action_names[ACTION_KIND_COUNT] = {
	[ACTION_COUNT] = "count", [ACTION_DIVERT] = "divert", [ACTION_SAMPLE] = "sample", [ACTION_LIMIT] = "limit",
	[ACTION_ALLOW] = "allow", [ACTION_DROP] = "drop",     [ACTION_PASS] = "pass",
};

const char *const list_kind_names[LIST_KIND_COUNT] = {
	[LIST_PREFIXES] = "prefixes",
	[LIST_RANGES] = "numbers",
	[LIST_TUPLES] = "tuples",
	[LIST_NAMES] = "names",
};

const char *const condition_names[CONDITION_COUNT] = {
	[CONDITION_FRAGMENT] = "fragment",
	[CONDITION_UNPARSED] = "unparsed",
	[CONDITION_TRUNCATED] = "truncated",
};

static const struct protocol protocols[] = {
	{ "ip", 4, -1, 0, true },
	{ "ip6", 6, -1, 0, true },
	{ "arp", 0, -1, ETH_TYPE_ARP, false },
	{ "tcp", 0, PROTO_TCP, 0, true },
	{ "udp", 0, PROTO_UDP, 0, true },
	{ "sctp", 0, PROTO_SCTP, 0, true },
	{ "icmp", 4, PROTO_ICMP, 0, false },
	{ "icmp6", 6, PROTO_ICMP6, 0, false },
	{ "gre", 0, 47, 0, false },
};

const struct protocol *protocol_find(const char *word, size_t len)
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (strlen(protocols[i].word) == len && !memcmp(protocols[i].word, word, len))
			return &protocols[i];
	return NULL;
}

struct expr *expr_new_test(struct arena *arena, const struct test *test)
{
	struct expr *expr = arena_alloc(arena, sizeof(*expr));

	if (!expr)
		return NULL;
	expr->test = arena_alloc(arena, sizeof(*test));
	if (!expr->test)
		return NULL;
	*expr->test = *test;
	expr->kind = EXPR_TEST;
	expr->depth = 1;
	expr->deep = test_is_deep(test);
	return expr;
}

int expr_add(struct arena *arena, struct expr *expr, struct expr *child)
{
	struct expr **children = arena_grow(arena, expr->children, expr->n, sizeof(*children));

	if (!children)
		return -ENOMEM;
	expr->children = children;
	children[expr->n++] = child;
	if (expr->depth <= child->depth)
		expr->depth = child->depth + 1;
	expr->deep = expr->deep || child->deep;
	return 0;
}

struct expr *expr_new(struct arena *arena, enum expr_kind kind, struct expr *child)
{
	struct expr *expr = arena_alloc(arena, sizeof(*expr));

	if (!expr)
		return NULL;
	expr->kind = kind;
	return expr_add(arena, expr, child) ? NULL : expr;
}

size_t list_count(const struct list *list)
{
	return list->set ? list->set->n : list->n;
}

static const size_t item_sizes[LIST_KIND_COUNT] = {
	[LIST_PREFIXES] = sizeof(struct prefix),
	[LIST_RANGES] = sizeof(struct range),
	[LIST_TUPLES] = sizeof(struct tuple),
	[LIST_NAMES] = sizeof(struct wire_name),
};

union value list_value(const struct list *list, size_t index)
{
	const struct set *set = list->set;
	union value value = { 0 };

	if (!set)
		return list->values[index];
	memcpy(&value, (const char *)set->items + index * item_sizes[set->kind], item_sizes[set->kind]);
	return value;
}

/* Double the room of a set that is full. */
static int set_grow(struct set *set)
{
	size_t room = set->room ? 2 * set->room : 16;
	void *items = realloc(set->items, room * item_sizes[set->kind]);
	uint32_t *ttls_s;

	if (!items)
		return -ENOMEM;
	set->items = items;
	if (set->ttls_s) {
		ttls_s = realloc(set->ttls_s, room * sizeof(*ttls_s));
		if (!ttls_s)
			return -ENOMEM;
		set->ttls_s = ttls_s;
	}
	set->room = room;
	return 0;
}

int set_add(struct set *set, const union value *value, uint32_t ttl_s)
{
	int r = 0;

	if (set->n == SET_ITEMS_MAX)
		return -E2BIG;
	if (set->n == set->room)
		r = set_grow(set);
	if (r < 0)
		return r;
	if (ttl_s && !set->ttls_s) {
		set->ttls_s = calloc(set->room, sizeof(*set->ttls_s));
		if (!set->ttls_s)
			return -ENOMEM;
	}
	if (set->ttls_s)
		set->ttls_s[set->n] = ttl_s;
	memcpy((char *)set->items + set->n * item_sizes[set->kind], value, item_sizes[set->kind]);
	set->n++;
	return 0;
}

uint64_t rule_burst(const struct rule *rule)
{
	uint64_t least = rule->unit == LIMIT_PPS ? 1 : 8 * UINT16_MAX;
	uint64_t burst = rule->burst ? rule->burst : rule->rate / 10;

	return burst < least && !rule->burst ? least : burst;
}

bool rule_goes_on(const struct rule *rule)
{
	return rule->action <= ACTION_LIMIT;
}

enum list_kind set_kind(const struct set *set)
{
	return set->kind == LIST_EMPTY ? LIST_PREFIXES : set->kind;
}

uint32_t rules_set_id(const struct rules *rules, const struct set *set)
{
	uint32_t id = 1;

	for (unsigned i = 0; i < set->index; i++)
		id += rules->sets[i]->kind != LIST_NAMES;
	return id;
}

bool test_is_deep(const struct test *test)
{
	return test->kind >= TEST_DNS_NAME;
}

bool test_uses(const struct test *test, const union value *value)
{
	return test->kind != TEST_ADDR || !test->protocol || !test->protocol->family ||
	       test->protocol->family == value->prefix.family;
}

static bool test_has_values(const struct test *test)
{
	switch (test->kind) {
	case TEST_PROTOCOL:
	case TEST_PAYLOAD:
	case TEST_OPTIONS:
	case TEST_DNS_VALID:
	case TEST_BPF:
		return false;
	default:
		return true;
	}
}

enum constant test_constant(const struct test *test)
{
	size_t n = list_count(&test->list);
	bool any = false;

	if (!test_has_values(test) || test->list.set) /* what a set holds changes */
		return CONSTANT_NONE;
	for (size_t i = 0; i < n; i++) {
		union value value = list_value(&test->list, i);

		if (test->kind == TEST_LEN && value.range.lo == 0 && value.range.hi == UINT16_MAX)
			return CONSTANT_TRUE;
		any = any || test_uses(test, &value);
		if (any && test->kind != TEST_LEN)
			break;
	}
	return any ? CONSTANT_NONE : CONSTANT_FALSE;
}

static enum constant constant_not(enum constant constant)
{
	if (constant == CONSTANT_NONE)
		return CONSTANT_NONE;
	return constant == CONSTANT_TRUE ? CONSTANT_FALSE : CONSTANT_TRUE;
}

enum constant expr_constant(const struct expr *expr, enum constant deep)
{
	/* One child with the value `decides` decides; otherwise all have to be known. */
	enum constant decides = expr->kind == EXPR_AND ? CONSTANT_FALSE : CONSTANT_TRUE;
	bool known = true;

	if (expr->kind == EXPR_TEST) {
		enum constant constant = test_constant(expr->test);

		return constant == CONSTANT_NONE && expr->deep ? deep : constant;
	}
	if (expr->kind == EXPR_NOT)
		return constant_not(expr_constant(expr->children[0], deep));
	for (size_t i = 0; i < expr->n; i++) {
		enum constant constant = expr_constant(expr->children[i], deep);

		if (constant == decides)
			return decides;
		if (constant == CONSTANT_NONE)
			known = false;
	}
	return known ? constant_not(decides) : CONSTANT_NONE;
}
