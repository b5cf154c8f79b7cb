/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ast.h - a rule set as parse.c leaves it: statements in text order, each rule with its match as a tree.
 *
 * Internal to src/rules. A tree says what was written (lists, sets, directions), print.c can say it again, and build.c turns it
 * into steps. Everything lives in one arena and goes with it, so no part of it is ever freed alone.
 */
#ifndef SPILLWAY_RULES_AST_H
#define SPILLWAY_RULES_AST_H

#include <stdbool.h>

#include "rules/lex.h"
#include "rules/rules.h"

#define EXPR_DEPTH_MAX 64
#define SETS_MAX 1024
#define WARNINGS_MAX 64

struct arena {
	struct arena_chunk *chunks;
};

void *arena_alloc(struct arena *arena, size_t size); /* zeroed; NULL: out of memory */
/* Room for element `n` in an array that holds `n` of them; grows by doubling. The array, maybe moved, or NULL. */
void *arena_grow(struct arena *arena, void *array, size_t n, size_t element);
char *arena_copy(struct arena *arena, const char *text, size_t len);
void arena_fini(struct arena *arena);

struct prefix {
	uint8_t family; /* 4 or 6 */
	uint8_t len;
	uint8_t addr[16]; /* network order; IPv4 in the first four */
};

struct range {
	uint32_t lo, hi; /* inclusive */
};

struct wire_name {
	const uint8_t *bytes; /* dns.h: lower case, with root byte */
	uint8_t len;
};

union value {
	struct prefix prefix;
	struct range range;
	struct wire_name name;
};

enum list_kind { LIST_EMPTY, LIST_PREFIXES, LIST_RANGES, LIST_NAMES };

/* One value, `{a, b}` or `@set`. */
struct list {
	const struct set *set; /* whose values these are, or NULL */
	union value *values;
	size_t n;
};

struct set {
	const char *name;
	enum list_kind kind;
	struct list list;
};

/* `ip`, `udp`, ...: a question of its own, or in front of `src`, `port` and so on. */
struct protocol {
	const char *word;
	uint8_t family;	   /* 4, 6 or 0: either */
	int16_t l4_proto;  /* or -1 */
	uint16_t eth_type; /* or 0 */
	bool has_ports;	   /* may stand in front of `port` */
};

const struct protocol *protocol_find(const char *word, size_t len);

enum direction { DIRECTION_ANY, DIRECTION_SRC, DIRECTION_DST, DIRECTION_BOTH };

enum test_kind {
	TEST_PROTOCOL, /* the protocol word alone */
	TEST_ADDR,
	TEST_PORT,
	TEST_PROTO, /* `proto N` */
	TEST_ETHER_PROTO,
	TEST_LEN,
	TEST_PAYLOAD,
	TEST_DNS_NAME,
	TEST_DNS_UNDER,
};

struct test {
	enum test_kind kind;
	const struct protocol *protocol; /* or NULL */
	enum direction direction;
	struct list list;
	uint16_t payload_at, payload_len;
	uint8_t payload_mask[IMAGE_PAYLOAD_MAX], payload_value[IMAGE_PAYLOAD_MAX];
};

enum expr_kind { EXPR_TEST, EXPR_NOT, EXPR_AND, EXPR_OR };

struct expr {
	enum expr_kind kind;
	unsigned depth; /* 1: a test */
	bool deep;	/* has a question only the user tier answers */
	size_t n;
	struct expr **children; /* 1 for not, 2 and more for and, or */
	struct test *test;
};

struct expr *expr_new_test(struct arena *arena, const struct test *test);
struct expr *expr_new(struct arena *arena, enum expr_kind kind, struct expr *child);
int expr_add(struct arena *arena, struct expr *expr, struct expr *child);

enum constant { CONSTANT_NONE, CONSTANT_FALSE, CONSTANT_TRUE };

bool test_is_deep(const struct test *test);
/* Does the list hold a value the test can be true for? An `ip` in front rules IPv6 prefixes out. */
bool test_uses(const struct test *test, const union value *value);
enum constant test_constant(const struct test *test);
/* Can the answer be told without a packet? `deep` is what is known of the user tier's questions. */
enum constant expr_constant(const struct expr *expr, enum constant deep);

enum statement_kind { STATEMENT_SET, STATEMENT_RULE, STATEMENT_ON, STATEMENT_DEFAULT };

struct statement {
	enum statement_kind kind;
	unsigned line;
	size_t at, len; /* in the source, without what separates statements */
	const struct set *set;
	struct rule *rule;
	enum pkt_condition condition;
	enum rule_action action; /* of on and default; of a rule see there */
};

struct rule {
	const struct statement *statement;
	enum rule_action action;
	enum overload_policy overload;
	uint32_t overload_n;
	struct list overload_list;
	struct expr *match;
	const char *name; /* or NULL */
	const char *text;
};

struct rules {
	struct arena arena;
	struct source source;
	struct statement **statements;
	size_t n_statements;
	struct rule **rules;
	size_t n_rules;
	struct set **sets;
	size_t n_sets;
	enum rule_action default_action;
	enum rule_action policy[CONDITION_COUNT]; /* 0: the default */
	struct rules_error *warnings;
	size_t n_warnings;
};

void statement_print(const struct statement *statement, FILE *out); /* print.c; no line end */
int rules_check(struct rules *rules);				    /* check.c; fills warnings; 0 or -ENOMEM */

extern const char *const action_names[ACTION_KIND_COUNT];
extern const char *const condition_names[CONDITION_COUNT];

#endif
