/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parser.h - recursive descent over the tokens of lex.c: the state its files share, and what each offers the others.
 *
 *	load.c   files and texts to rule sets
 *	parse.c  statements
 *	set.c    sets, inline and from files
 *	expr.c   matches: questions joined by and, or, not
 *	bpf.c    tcpdump expressions, which libpcap compiles
 *	list.c   one value, {a, b}, @set
 *	parser.c the token at hand, and messages about it
 *
 * Every function returns 0, -EINVAL with *parser->error filled, or -ENOMEM, and leaves the parser at the token behind what it
 * read.
 */
#ifndef SPILLWAY_RULES_PARSER_H
#define SPILLWAY_RULES_PARSER_H

#include "rules/ast.h"
#include "rules/literal.h"

enum value_type {
	VALUE_NONE,
	VALUE_ADDR, /* address or network */
	VALUE_HOST,
	VALUE_NET,
	VALUE_PORT,
	VALUE_PROTO,
	VALUE_ETHER_PROTO,
	VALUE_LEN,
	VALUE_NAME,
	VALUE_TTL,
	VALUE_DSCP,
	VALUE_FLAGS,
	VALUE_ICMP_TYPE,
	VALUE_ICMP6_TYPE,
	VALUE_ICMP_CODE,
	VALUE_FRAG,
	VALUE_MAC,
	VALUE_VLAN,
	VALUE_DNS_TYPE,
	VALUE_SET_NUMBER,
	VALUE_SET_TUPLE,
};

/* The words in front of a value. */
struct qualifiers {
	const struct protocol *protocol;
	enum direction direction;
	enum value_type type;
};

struct parser {
	struct lexer lexer; /* lexer.token is the token to look at */
	struct rules *rules;
	struct rules_error *error;
	struct qualifiers carry; /* what a value that stands alone takes over; type VALUE_NONE: nothing */
	size_t end;		 /* of the token before */
	unsigned depth;
	unsigned vlans;	       /* `vlan`s of this match so far */
	unsigned tests;	       /* questions of this match so far */
	bool in_braces;	       /* within a list: a comma ends a value */
	bool values_only;      /* within `port (53 or 80)` */
	const char *directory; /* where `file` reads from, "" or with final slash; NULL: nowhere */
};

/* parser.c */
#define FOUND_MAX 80
#define fail(parser, ...) parser_fail(parser, &(parser)->lexer.token, __VA_ARGS__)
int parser_fail(struct parser *parser, const struct token *token, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* What stands at the token, for messages: "`word`" or "the end of the line". */
const char *parser_found(const struct parser *parser, char buffer[FOUND_MAX]);
int parser_expect(struct parser *parser, int kind, const char *what);
/* ": did you mean `drop`?" or "". */
const char *parser_suggest(struct word word, const char *const *words, size_t count, char buffer[FOUND_MAX]);

static inline int next(struct parser *parser)
{
	parser->end = parser->lexer.token.at + parser->lexer.token.len;
	return lexer_next(&parser->lexer);
}

static inline struct word token_word(const struct parser *parser)
{
	const struct token *token = &parser->lexer.token;

	return (struct word){ parser->lexer.source->text + token->at, token->len };
}

static inline bool at_kind(const struct parser *parser, int kind)
{
	return parser->lexer.token.kind == kind;
}

static inline bool at_word(const struct parser *parser, const char *text)
{
	return at_kind(parser, TOKEN_WORD) && word_is(token_word(parser), text);
}

/* Of a statement. */
static inline bool at_end(const struct parser *parser)
{
	return at_kind(parser, TOKEN_BREAK) || at_kind(parser, TOKEN_END);
}

/* @NAME */
static inline bool at_set(const struct parser *parser)
{
	return at_kind(parser, TOKEN_WORD) && *token_word(parser).text == '@';
}

/* list.c */
const char *value_words(enum value_type type); /* "a port", for messages */
int list_add(struct parser *parser, struct list *list, const union value *value);
int parse_list_value(struct parser *parser, const struct qualifiers *in, struct list *list); /* adds one word's value */
/* `{a, b}`, with a comma behind the last allowed; `item` reads one. */
int parse_braces(struct parser *parser, int (*item)(struct parser *parser, void *userdata), void *userdata);
int parse_list(struct parser *parser, const struct qualifiers *in, struct list *ret); /* one value, `{a, b}` or `@set` */
const struct set *set_find(const struct rules *rules, struct word name);
void set_register(struct rules *rules, struct set *set); /* so that set_find() finds it */

/* expr.c */
int parse_match(struct parser *parser, struct expr **ret_expr);

/* bpf.c: the tcpdump expression in the string at the token, compiled, into the test */
int parse_bpf_text(struct parser *parser, struct test *test);

/* set.c */
int parse_set(struct parser *parser, struct statement *statement); /* behind the word `set` */

/* parse.c */
int parse_text(struct parser *parser);						/* the whole text, into parser->rules */
int parse_name(struct parser *parser, const char *what, const char **ret_name); /* of a set, rule, program */
int parse_duration(struct parser *parser, uint32_t *ret_s);

/* set.c: items, one a line, as in a set's file */
int parse_items(struct parser *parser, const char *text, size_t len, struct set *set);

/* load.c */
int load_text(int fd, char **ret_text,
	      size_t *ret_len); /* the rest of a file; -E2BIG: over TEXT_MAX. The caller frees the text */

#endif
