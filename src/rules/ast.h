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

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define EXPR_DEPTH_MAX 64
#define RULES_MAX 131072u
#define SETS_MAX 1023 /* ids of a set block */
#define SET_ITEMS_MAX (1u << 24)
#define TEXT_MAX (256u << 20)
#define WARNINGS_MAX 64
#define MATCH_TESTS_MAX 65536u	   /* questions of one match */
#define RULES_TESTS_MAX (1u << 21) /* and of all */
#define DOCUMENT_MAX (32u << 20)   /* of JSON, whose tree takes some 25 times as much */
#define TTL_MAX_S (3650u * 86400)

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
	uint16_t zero;	  /* so that equal prefixes are equal bytes */
	uint8_t addr[16]; /* network order; IPv4 in the first four, the rest zero */
};
_Static_assert(sizeof(struct prefix) == 20, "a million of them is 20 MB");

struct range {
	uint32_t lo, hi; /* inclusive */
};

struct wire_name {
	const uint8_t *bytes; /* dns.h: lower case, with root byte */
	uint8_t len;
};

struct mac {
	uint8_t addr[6];
};

/* PREFIX . PROTO . PORT: an address with a transport port on the same side. */
struct tuple {
	struct prefix prefix;
	uint16_t port_lo, port_hi; /* 0-65535: any, and packets without ports too */
	uint8_t proto, zero[3];
};

union value {
	struct prefix prefix;
	struct range range; /* of flags: lo = set, hi = mask; of frag: lo = FRAG_ bits */
	struct wire_name name;
	struct mac mac;
	struct tuple tuple;
};

enum list_kind { LIST_EMPTY, LIST_PREFIXES, LIST_RANGES, LIST_TUPLES, LIST_NAMES, LIST_KIND_COUNT };

/* One value, `{a, b}` or `@set`. */
struct list {
	const struct set *set; /* whose values these are; then there are none here */
	union value *values;
	size_t n;
};

size_t list_count(const struct list *list);
union value list_value(const struct list *list, size_t index);

/*
 * A named set: one flat array of what it holds. There may be millions of items, so they are not `union value` and not in the
 * arena: the arrays are freed with the rule set.
 */
struct set {
	const char *name;
	unsigned index; /* in rules->sets */
	enum list_kind kind;
	bool typed; /* `type KIND` was written */
	size_t n, room;
	union {
		void *items;
		struct prefix *prefixes;
		struct range *ranges;
		struct tuple *tuples;
		struct wire_name *names; /* their bytes are in the arena */
	};
	uint32_t *ttls_s; /* of each item, 0: that of the set; NULL: no item has its own */
	uint32_t ttl_s;	  /* of items without their own; 0: they stay */
	uint32_t size;	  /* `size N`: items to make room for, 0: as many as there are */
};

extern const char *const list_kind_names[LIST_KIND_COUNT];
/* What a set that was written without items and type holds from then on. */
enum list_kind set_kind(const struct set *set);
int set_add(struct set *set, const union value *value, uint32_t ttl_s); /* 0, -E2BIG: full, or -ENOMEM */

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
	TEST_TTL,
	TEST_DSCP,
	TEST_FLAGS,
	TEST_ICMP_TYPE, /* ranges of type << 8 | code */
	TEST_ICMP_CODE,
	TEST_FRAG,
	TEST_OPTIONS,
	TEST_IP_LEN,
	TEST_ETHER_ADDR,
	TEST_VLAN,
	TEST_DNS_NAME, /* from here on the user tier's */
	TEST_DNS_UNDER,
	TEST_DNS_TYPE,
	TEST_DNS_VALID,
	TEST_BPF,
	TEST_KIND_COUNT,
};

struct test {
	enum test_kind kind;
	const struct protocol *protocol; /* or NULL */
	enum direction direction;
	struct list list;
	uint16_t payload_at, payload_len;
	uint8_t payload_mask[IMAGE_PAYLOAD_MAX], payload_value[IMAGE_PAYLOAD_MAX];
	uint8_t vlan_tag;		/* 0: the outer, 1: the inner */
	const char *bpf_text;		/* the tcpdump expression */
	const struct image_insn *insns; /* what libpcap made of it */
	uint16_t n_insns;
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

enum limit_unit { LIMIT_PPS, LIMIT_BPS };
enum limit_per { LIMIT_PER_NONE, LIMIT_PER_SRC, LIMIT_PER_DST };

struct rule {
	const struct statement *statement;
	enum rule_action action;
	uint64_t rate, burst; /* limit: packets or bits a second; packets or bits, 0: not said (rule_burst()) */
	enum limit_unit unit;
	enum limit_per per;
	uint8_t per_len4, per_len6; /* one bucket for each prefix of that length */
	uint32_t sample_n;	    /* sample: every n-th */
	uint32_t ttl_s;		    /* the rule ends then; 0: never */
	bool log;
	int queue;	     /* divert: the one to bring the packets to, -1: not said */
	const char *program; /* divert: who gets them, or NULL */
	enum overload_policy overload;
	uint32_t overload_n;
	struct list overload_list;
	struct expr *match;
	const char *name; /* or NULL */
	const char *text;
};

/* What a limit without `burst` lets through at once: a tenth of a second's worth, at least one packet. */
uint64_t rule_burst(const struct rule *rule);
bool rule_goes_on(const struct rule *rule); /* is the next rule tried behind it? */

struct rules {
	struct arena arena;
	struct source source;
	char *text; /* the source's, ours; NULL: not from a text */
	struct statement **statements;
	size_t n_statements;
	struct rule **rules;
	size_t n_rules;
	struct set **sets;
	size_t n_sets;
	uint16_t set_slots[2 * SETS_MAX]; /* by hash of the name: index + 1 */
	enum rule_action default_action;
	enum rule_action policy[CONDITION_COUNT]; /* 0: the default */
	struct rules_error *warnings;
	size_t n_warnings;
	bool warnings_cut; /* there were more than WARNINGS_MAX */
	size_t n_tests;	   /* in all matches, while they are parsed */
};

/* The id of the set in the block: from 1 on, in the order of the rules' sets but for those of names, which are no part of it. */
uint32_t rules_set_id(const struct rules *rules, const struct set *set);

void statement_print(const struct statement *statement, FILE *out);		/* print.c; no line end */
void value_print(const struct test *test, const union value *value, FILE *out); /* as within a list */
/*
 * Items for a set of this name and kind, one a line as in a set's file: *ret_rules holds that set and nothing else. Errors as
 * rules_parse().
 */
int rules_parse_items(const char *text, size_t len, const char *file, const char *name, enum list_kind kind,
		      struct rules **ret_rules, struct rules_error *ret_error);
int rules_check(struct rules *rules); /* check.c; fills warnings; 0 or -ENOMEM */

extern const char *const action_names[ACTION_KIND_COUNT];
extern const char *const condition_names[CONDITION_COUNT];

#endif
