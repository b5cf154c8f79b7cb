/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text to a rule set: recursive descent over the tokens of lex.c, one function a construct, words to values in literal.c.
 *
 * An expression means what it means to tcpdump: `and` and `or` bind alike and group from the left, `not` binds tightest, and a
 * value that stands alone takes over the words in front of the last one (`port 53 or 80`). Those words are `carry`. What goes
 * beyond pcap-filter(7) are lists, sets, and the questions pcap does not have.
 *
 * Nesting is bounded twice: `depth` bounds the recursion here, expr->depth (which also grows when `and` and `or` alternate without
 * parentheses) that of every reader of the tree.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rules/literal.h"

#define TEXT_MAX (1u << 20)
#define NAME_MAX_LEN 63
#define SAMPLE_MAX 1000000

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
	VALUE_SET_NUMBER,
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
	struct qualifiers carry;
	unsigned depth;
	bool values_only;      /* within `port (53 or 80)` */
	const char *directory; /* where `file` reads from, "" or with final slash; NULL: nowhere */
};

static int parse_term(struct parser *parser, struct expr **ret_expr);
static int parse_expr(struct parser *parser, struct expr **ret_expr);

#define fail_at(parser, token, ...) \
	source_error((parser)->lexer.source, (token).at, (token).kind == TOKEN_BREAK ? 1 : (token).len, (parser)->error, __VA_ARGS__)
#define fail(parser, ...) fail_at(parser, (parser)->lexer.token, __VA_ARGS__)

static struct word token_word(const struct parser *parser)
{
	const struct token *token = &parser->lexer.token;

	return (struct word){ parser->lexer.source->text + token->at, token->len };
}

static int next(struct parser *parser)
{
	return lexer_next(&parser->lexer);
}

static bool at_kind(const struct parser *parser, int kind)
{
	return parser->lexer.token.kind == kind;
}

static bool at_word(const struct parser *parser, const char *text)
{
	return at_kind(parser, TOKEN_WORD) && word_is(token_word(parser), text);
}

static bool at_end(const struct parser *parser)
{
	return at_kind(parser, TOKEN_BREAK) || at_kind(parser, TOKEN_END);
}

static bool at_and(const struct parser *parser)
{
	return at_kind(parser, TOKEN_AND) || at_word(parser, "and");
}

static bool at_or(const struct parser *parser)
{
	return at_kind(parser, TOKEN_OR) || at_word(parser, "or");
}

/* What stands at the token, for messages: "`word`" or "the end of the line". */
static const char *found(const struct parser *parser, char buffer[80])
{
	if (at_kind(parser, TOKEN_END))
		return "the end of the text";
	if (at_end(parser) && *token_word(parser).text == '\n')
		return "the end of the line";
	snprintf(buffer, 80, "`%.*s`", WORD_ARG(token_word(parser)));
	return buffer;
}

/* Fewest letters to insert, drop, change or swap with the neighbour to get from `word` to `text`. */
static unsigned edit_distance(struct word word, const char *text)
{
	unsigned rows[17][17];
	size_t len = strlen(text);

	if (word.len > 16 || len > 16)
		return 99;
	for (unsigned i = 0; i <= word.len; i++) {
		for (unsigned j = 0; j <= len; j++) {
			unsigned best = i ? rows[i - 1][j] + 1 : j;

			if (j && (!i || rows[i][j - 1] + 1 < best))
				best = i ? rows[i][j - 1] + 1 : j;
			if (i && j) {
				unsigned changed = rows[i - 1][j - 1] + (word.text[i - 1] != text[j - 1]);

				best = changed < best ? changed : best;
			}
			if (i > 1 && j > 1 && word.text[i - 1] == text[j - 2] && word.text[i - 2] == text[j - 1] &&
			    rows[i - 2][j - 2] + 1 < best)
				best = rows[i - 2][j - 2] + 1;
			rows[i][j] = best;
		}
	}
	return rows[word.len][len];
}

/* ", did you mean `drop`?" or "". `words` ends in NULL. */
static const char *did_you_mean(struct word word, const char *const *words, char buffer[80])
{
	unsigned best = word.len > 4 ? 3 : word.len > 2 ? 2 : 1;

	buffer[0] = '\0';
	for (; *words; words++) {
		unsigned distance = edit_distance(word, *words);

		if (distance < best) {
			best = distance;
			snprintf(buffer, 80, ": did you mean `%s`?", *words);
		}
	}
	return buffer;
}

static int expect(struct parser *parser, int kind, const char *what)
{
	char buffer[80];

	if (!at_kind(parser, kind))
		return fail(parser, "expected %s, found %s", what, found(parser, buffer));
	return next(parser);
}

/* ---- values and lists ---- */

static int parse_host_value(struct parser *parser, enum value_type type, const struct prefix *prefix)
{
	char text[PREFIX_TEXT_MAX];

	if (type != VALUE_HOST || prefix_is_host(prefix))
		return 0;
	prefix_to_text(prefix, text);
	return fail(parser, "`host` takes whole addresses: write `net %s`", text);
}

static int parse_prefix(struct parser *parser, const struct qualifiers *in, struct prefix *ret)
{
	char message[LITERAL_MESSAGE_MAX];

	if (literal_prefix(token_word(parser), ret, message) < 0)
		return fail(parser, "%s", message);
	if (in->protocol && in->protocol->family && in->protocol->family != ret->family)
		return fail(parser, "`%s` packets have no IPv%u addresses", in->protocol->word, ret->family);
	return parse_host_value(parser, in->type, ret);
}

/* The word at the token to a value. */
static int parse_value(struct parser *parser, const struct qualifiers *in, union value *ret)
{
	char message[LITERAL_MESSAGE_MAX];
	struct word word = token_word(parser);
	int r;

	switch (in->type) {
	case VALUE_PORT:
		r = literal_port(word, &ret->range, message);
		break;
	case VALUE_PROTO:
		r = literal_proto(word, &ret->range, message);
		break;
	case VALUE_ETHER_PROTO:
		r = literal_ether_proto(word, &ret->range, message);
		break;
	case VALUE_LEN:
		r = literal_range(word, "frame length", UINT16_MAX, &ret->range, message);
		break;
	case VALUE_SET_NUMBER:
		if (literal_is_port_name(word))
			r = literal_port(word, &ret->range, message);
		else
			r = literal_range(word, "number", UINT16_MAX, &ret->range, message);
		break;
	case VALUE_NAME:
		r = literal_name(&parser->rules->arena, word, &ret->name, message);
		break;
	default:
		return parse_prefix(parser, in, &ret->prefix);
	}
	return r == -EINVAL ? fail(parser, "%s", message) : r;
}

static int list_add(struct parser *parser, struct list *list, const union value *value)
{
	union value *values = arena_grow(&parser->rules->arena, list->values, list->n, sizeof(*values));

	if (!values)
		return -ENOMEM;
	values[list->n++] = *value;
	list->values = values;
	return 0;
}

static const char *value_words(enum value_type type)
{
	switch (type) {
	case VALUE_PORT:
		return "a port";
	case VALUE_PROTO:
		return "a protocol";
	case VALUE_ETHER_PROTO:
		return "an EtherType";
	case VALUE_LEN:
		return "a frame length";
	case VALUE_NAME:
		return "a DNS name";
	case VALUE_SET_NUMBER:
		return "a number";
	default:
		return "an address";
	}
}

static int parse_value_word(struct parser *parser, const struct qualifiers *in, struct list *list)
{
	union value value;
	char buffer[80];
	int r;

	if (!at_kind(parser, TOKEN_WORD))
		return fail(parser, "expected %s, found %s", value_words(in->type), found(parser, buffer));
	if (*token_word(parser).text == '@')
		return fail(parser, "a set cannot stand inside a list: join the two with `or`");
	r = parse_value(parser, in, &value);
	if (r == 0)
		r = list_add(parser, list, &value);
	return r < 0 ? r : next(parser);
}

/* `{a, b}`, with a comma behind the last allowed; `item` reads one. */
static int parse_braces(struct parser *parser, int (*item)(struct parser *, void *), void *userdata)
{
	struct token open = parser->lexer.token;
	char buffer[80];
	int r;

	r = next(parser);
	while (r == 0 && !at_kind(parser, '}')) {
		r = item(parser, userdata);
		if (r < 0)
			return r;
		if (at_kind(parser, ','))
			r = next(parser);
		else if (at_kind(parser, TOKEN_END))
			return fail_at(parser, open, "this `{` is never closed");
		else if (!at_kind(parser, '}'))
			return fail(parser, "expected `,` or `}`, found %s", found(parser, buffer));
	}
	return r < 0 ? r : next(parser);
}

struct list_item {
	const struct qualifiers *in;
	struct list *list;
};

static int parse_list_item(struct parser *parser, void *userdata)
{
	struct list_item *item = userdata;

	return parse_value_word(parser, item->in, item->list);
}

static const struct set *set_find(const struct rules *rules, struct word name)
{
	for (size_t i = 0; i < rules->n_sets; i++)
		if (word_is(name, rules->sets[i]->name))
			return rules->sets[i];
	return NULL;
}

static int set_unknown(struct parser *parser, struct word name)
{
	const struct rules *rules = parser->rules;
	unsigned best = 3;
	const char *near = NULL;

	for (size_t i = 0; i < rules->n_sets; i++) {
		unsigned distance = edit_distance(name, rules->sets[i]->name);

		if (distance < best) {
			best = distance;
			near = rules->sets[i]->name;
		}
	}
	if (near)
		return fail(parser, "no set `%.*s` above: did you mean `@%s`?", WORD_ARG(name), near);
	return fail(parser, "no set `%.*s` above: write `set %.*s { ... }` first", WORD_ARG(name), WORD_ARG(name));
}

/* Is every value of the set one that may stand here? The token is the set's name. */
static int set_fits(struct parser *parser, const struct qualifiers *in, const struct set *set)
{
	enum list_kind want = in->type == VALUE_ADDR || in->type == VALUE_HOST || in->type == VALUE_NET ? LIST_PREFIXES : LIST_RANGES;

	if (in->type == VALUE_NAME || in->type == VALUE_ETHER_PROTO)
		return fail(parser, "sets hold addresses or numbers, not %ss: write a list {a, b}", strchr(value_words(in->type), ' ') + 1);
	if (set->kind != LIST_EMPTY && set->kind != want)
		return fail(parser, "set `%s` holds %s: this needs %s", set->name, set->kind == LIST_PREFIXES ? "addresses" : "numbers",
			    value_words(in->type));
	for (size_t i = 0; i < set->list.n; i++) {
		const union value *value = &set->list.values[i];
		int r;

		if (in->type == VALUE_PROTO && value->range.hi > UINT8_MAX)
			return fail(parser, "set `%s` holds %u: a protocol number is at most 255", set->name, value->range.hi);
		r = want == LIST_PREFIXES ? parse_host_value(parser, in->type, &value->prefix) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_set_use(struct parser *parser, const struct qualifiers *in, struct list *ret)
{
	struct word name = token_word(parser);
	const struct set *set;
	int r;

	name.text++;
	name.len--;
	set = set_find(parser->rules, name);
	if (!set)
		return set_unknown(parser, name);
	r = set_fits(parser, in, set);
	if (r < 0)
		return r;
	*ret = set->list;
	ret->set = set;
	return next(parser);
}

/* One value, `{a, b}` or `@set`. */
static int parse_list(struct parser *parser, const struct qualifiers *in, struct list *ret)
{
	struct list_item item = { in, ret };
	struct token open = parser->lexer.token;
	int r;

	*ret = (struct list){ 0 };
	if (at_kind(parser, TOKEN_WORD) && *token_word(parser).text == '@')
		return parse_set_use(parser, in, ret);
	if (!at_kind(parser, '{'))
		return parse_list_item(parser, &item);
	r = parse_braces(parser, parse_list_item, &item);
	if (r == 0 && ret->n == 0)
		return fail_at(parser, open, "an empty list matches nothing");
	return r;
}

/* ---- tests ---- */

static int new_test(struct parser *parser, const struct test *test, struct expr **ret_expr)
{
	struct expr *expr = expr_new_test(&parser->rules->arena, test);

	if (!expr)
		return -ENOMEM;
	*ret_expr = expr;
	return 0;
}

static enum test_kind type_test(enum value_type type)
{
	switch (type) {
	case VALUE_PORT:
		return TEST_PORT;
	case VALUE_PROTO:
		return TEST_PROTO;
	default:
		return TEST_ADDR;
	}
}

/* The values behind the words in `in`, which the next value may take over. */
static int parse_qualified_values(struct parser *parser, const struct qualifiers *in, struct expr **ret_expr)
{
	struct test test = { .kind = type_test(in->type), .protocol = in->protocol, .direction = in->direction };
	bool values_only = parser->values_only;
	int r;

	parser->carry = *in;
	if (at_kind(parser, '(')) {
		parser->values_only = true;
		r = parse_term(parser, ret_expr);
		parser->values_only = values_only;
		return r;
	}
	r = parse_list(parser, in, &test.list);
	return r < 0 ? r : new_test(parser, &test, ret_expr);
}

/* `src`, `dst`, `src or dst`, `src and dst`; nothing is both directions' or. */
static int parse_direction(struct parser *parser, enum direction *ret)
{
	bool src = at_word(parser, "src");
	const char *other = src ? "dst" : "src";
	enum direction joint;
	int r;

	*ret = DIRECTION_ANY;
	if (!src && !at_word(parser, "dst"))
		return 0;
	*ret = src ? DIRECTION_SRC : DIRECTION_DST;
	r = next(parser);
	if (r < 0 || (!at_and(parser) && !at_or(parser)))
		return r;
	joint = at_and(parser) ? DIRECTION_BOTH : DIRECTION_ANY;
	r = next(parser);
	if (r < 0)
		return r;
	if (!at_word(parser, other))
		return fail(parser, "`%s` needs a value in front of `%s`, or `%s` behind it", src ? "src" : "dst",
			    joint == DIRECTION_BOTH ? "and" : "or", other);
	*ret = joint;
	return next(parser);
}

static enum value_type at_type(const struct parser *parser)
{
	static const struct {
		const char *word;
		enum value_type type;
	} types[] = {
		{ "host", VALUE_HOST }, { "net", VALUE_NET }, { "port", VALUE_PORT }, { "portrange", VALUE_PORT }, { "proto", VALUE_PROTO },
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (at_word(parser, types[i].word))
			return types[i].type;
	return VALUE_NONE;
}

/* Do the words in `in` go together? The token is the type word, or what stands in its place. */
static int check_qualifiers(struct parser *parser, const struct qualifiers *in)
{
	const struct protocol *protocol = in->protocol;

	if (in->type == VALUE_PROTO && in->direction != DIRECTION_ANY)
		return fail(parser, "a protocol number has no direction: leave out `src`, `dst`");
	if (in->type == VALUE_PROTO && protocol && (!protocol->family || protocol->l4_proto >= 0))
		return fail(parser, "only `ip` and `ip6` may stand in front of `proto`");
	if (in->type == VALUE_PORT && protocol && !protocol->has_ports)
		return fail(parser, "%s has no ports", protocol->word);
	if (protocol && protocol->eth_type)
		return fail(parser, "addresses inside %s packets are not looked at", protocol->word);
	return 0;
}

/* [src|dst|...] [host|net|port|portrange|proto] VALUES, with the protocol word read before. */
static int parse_qualified(struct parser *parser, const struct protocol *protocol, struct expr **ret_expr)
{
	struct qualifiers in = { .protocol = protocol };
	bool directed = at_word(parser, "src") || at_word(parser, "dst");
	int r;

	r = parse_direction(parser, &in.direction);
	if (r < 0)
		return r;
	in.type = at_type(parser);
	r = check_qualifiers(parser, &in);
	if (r < 0)
		return r;
	if (in.type == VALUE_NONE && directed)
		in.type = VALUE_ADDR;
	else
		r = next(parser);
	return r < 0 ? r : parse_qualified_values(parser, &in, ret_expr);
}

static bool at_value(const struct parser *parser, enum value_type type)
{
	struct word word = token_word(parser);

	if (at_kind(parser, '{'))
		return true;
	if (!at_kind(parser, TOKEN_WORD))
		return false;
	if ((word.text[0] >= '0' && word.text[0] <= '9') || word.text[0] == '@' || literal_is_address(word))
		return true;
	return type == VALUE_PORT && literal_is_port_name(word);
}

static int parse_protocol(struct parser *parser, const struct protocol *protocol, struct expr **ret_expr)
{
	struct test test = { .kind = TEST_PROTOCOL, .protocol = protocol };
	int r;

	r = next(parser);
	if (r < 0)
		return r;
	if (at_word(parser, "src") || at_word(parser, "dst") || at_type(parser) != VALUE_NONE)
		return parse_qualified(parser, protocol, ret_expr);
	if (at_value(parser, VALUE_PORT))
		return fail(parser, "expected `host`, `net`, `port`, `src` or `dst` between `%s` and `%.*s`", protocol->word,
			    WORD_ARG(token_word(parser)));
	return new_test(parser, &test, ret_expr);
}

static int parse_ether(struct parser *parser, struct expr **ret_expr)
{
	struct qualifiers in = { .type = VALUE_ETHER_PROTO };
	struct test test = { .kind = TEST_ETHER_PROTO };
	int r;

	r = next(parser);
	if (r < 0)
		return r;
	if (!at_word(parser, "proto"))
		return fail(parser, "expected `proto` behind `ether`");
	r = next(parser);
	if (r == 0)
		r = parse_list(parser, &in, &test.list);
	return r < 0 ? r : new_test(parser, &test, ret_expr);
}

/* The frame lengths that `OPERATOR bound` means; `!=` is the caller's. */
static int length_range(struct parser *parser, int operator, uint32_t bound, struct range *ret)
{
	switch (operator) {
	case '<':
		if (bound == 0)
			return fail(parser, "no frame is shorter than 0 bytes");
		*ret = (struct range){ 0, bound - 1 };
		return 0;
	case '>':
		if (bound == UINT16_MAX)
			return fail(parser, "no frame is longer than %u bytes", bound);
		*ret = (struct range){ bound + 1, UINT16_MAX };
		return 0;
	case TOKEN_LE:
		*ret = (struct range){ 0, bound };
		return 0;
	case TOKEN_GE:
		*ret = (struct range){ bound, UINT16_MAX };
		return 0;
	default:
		*ret = (struct range){ bound, bound };
		return 0;
	}
}

/* OPERATOR N, the operator read before. */
static int parse_length_bound(struct parser *parser, int operator, struct expr **ret_expr)
{
	struct test test = { .kind = TEST_LEN };
	char message[LITERAL_MESSAGE_MAX], buffer[80];
	union value value;
	uint32_t bound;
	int r;

	if (!at_kind(parser, TOKEN_WORD))
		return fail(parser, "expected a frame length, found %s", found(parser, buffer));
	if (literal_number(token_word(parser), "frame length", UINT16_MAX, &bound, message) < 0)
		return fail(parser, "%s", message);
	r = length_range(parser, operator, bound, &value.range);
	if (r == 0)
		r = list_add(parser, &test.list, &value);
	if (r == 0)
		r = next(parser);
	if (r == 0)
		r = new_test(parser, &test, ret_expr);
	if (r < 0 || operator != TOKEN_NE)
		return r;
	*ret_expr = expr_new(&parser->rules->arena, EXPR_NOT, *ret_expr);
	return *ret_expr ? 0 : -ENOMEM;
}

/* len A-B | len {A, B-C} | len @set | len < N ... */
static int parse_len(struct parser *parser, struct expr **ret_expr)
{
	struct qualifiers in = { .type = VALUE_LEN };
	struct test test = { .kind = TEST_LEN };
	int r, operator;

	r = next(parser);
	if (r < 0)
		return r;
	operator= parser->lexer.token.kind;
	if (operator== '<' || operator== '>' || operator== TOKEN_LE || operator== TOKEN_GE || operator== TOKEN_EQ || operator== TOKEN_NE) {
		r = next(parser);
		return r < 0 ? r : parse_length_bound(parser, operator, ret_expr);
	}
	r = parse_list(parser, &in, &test.list);
	return r < 0 ? r : new_test(parser, &test, ret_expr);
}

static int parse_less(struct parser *parser, struct expr **ret_expr)
{
	int r = next(parser);

	return r < 0 ? r : parse_length_bound(parser, TOKEN_LE, ret_expr);
}

static int parse_greater(struct parser *parser, struct expr **ret_expr)
{
	int r = next(parser);

	return r < 0 ? r : parse_length_bound(parser, TOKEN_GE, ret_expr);
}

static int parse_hex(struct parser *parser, const char *what, uint8_t ret_bytes[IMAGE_PAYLOAD_MAX], size_t *ret_len)
{
	char message[LITERAL_MESSAGE_MAX], buffer[80];

	if (!at_kind(parser, TOKEN_WORD))
		return fail(parser, "expected %s, found %s", what, found(parser, buffer));
	if (literal_hex(token_word(parser), ret_bytes, ret_len, message) < 0)
		return fail(parser, "%s", message);
	return 0;
}

/* [& MASK] = BYTES, into the test. */
static int parse_payload_bytes(struct parser *parser, struct test *test)
{
	size_t mask_len = 0, len;
	int r;

	if (at_kind(parser, '&')) {
		r = next(parser);
		if (r == 0)
			r = parse_hex(parser, "a mask", test->payload_mask, &mask_len);
		if (r == 0)
			r = next(parser);
		if (r < 0)
			return r;
	}
	r = expect(parser, TOKEN_EQ, "`=`");
	if (r == 0)
		r = parse_hex(parser, "bytes", test->payload_value, &len);
	if (r < 0)
		return r;
	if (!mask_len)
		memset(test->payload_mask, 0xff, len);
	else if (mask_len != len)
		return fail(parser, "%zu bytes behind a mask of %zu: both the same", len, mask_len);
	for (size_t i = 0; i < len; i++)
		if (test->payload_value[i] & ~test->payload_mask[i])
			return fail(parser, "never true: byte 0x%02x has bits outside the mask 0x%02x", test->payload_value[i],
				    test->payload_mask[i]);
	test->payload_len = (uint16_t)len;
	return next(parser);
}

/* payload at N [& MASK] = BYTES */
static int parse_payload(struct parser *parser, struct expr **ret_expr)
{
	struct test test = { .kind = TEST_PAYLOAD };
	char message[LITERAL_MESSAGE_MAX], buffer[80];
	uint32_t at;
	int r;

	r = next(parser);
	if (r < 0)
		return r;
	if (!at_word(parser, "at"))
		return fail(parser, "expected `at` behind `payload`");
	r = next(parser);
	if (r < 0)
		return r;
	if (!at_kind(parser, TOKEN_WORD))
		return fail(parser, "expected an offset, found %s", found(parser, buffer));
	if (literal_number(token_word(parser), "payload offset", IMAGE_PAYLOAD_REACH - 1, &at, message) < 0)
		return fail(parser, "%s", message);
	test.payload_at = (uint16_t)at;
	r = next(parser);
	if (r == 0)
		r = parse_payload_bytes(parser, &test);
	return r < 0 ? r : new_test(parser, &test, ret_expr);
}

/* dns name [under] NAMES */
static int parse_dns(struct parser *parser, struct expr **ret_expr)
{
	struct qualifiers in = { .type = VALUE_NAME };
	struct test test = { .kind = TEST_DNS_NAME };
	int r;

	r = next(parser);
	if (r < 0)
		return r;
	if (!at_word(parser, "name"))
		return fail(parser, "expected `name` behind `dns`");
	r = next(parser);
	if (r == 0 && at_word(parser, "under")) {
		test.kind = TEST_DNS_UNDER;
		r = next(parser);
	}
	if (r == 0)
		r = parse_list(parser, &in, &test.list);
	return r < 0 ? r : new_test(parser, &test, ret_expr);
}

/* ---- expressions ---- */

static int unknown_primitive(struct parser *parser)
{
	static const char *const words[] = { "ip",   "ip6",  "arp", "tcp",  "udp",       "sctp",  "icmp",  "icmp6", "gre",  "src", "dst",
					     "host", "net",  "port", "portrange", "proto", "ether", "len", "less",  "greater", "payload",
					     "dns",  "not",  NULL };
	struct word word = token_word(parser);
	char buffer[80];

	if (!at_kind(parser, TOKEN_WORD))
		return fail(parser, "expected a match such as `udp dst port 53`, found %s", found(parser, buffer));
	if (literal_is_address(word) || word.text[0] == '@')
		return fail(parser, "`%.*s` needs a word in front, such as `src` or `net`", WORD_ARG(word));
	if (word.text[0] >= '0' && word.text[0] <= '9')
		return fail(parser, "`%.*s` needs a word in front, such as `port`", WORD_ARG(word));
	return fail(parser, "`%.*s` is not a match%s", WORD_ARG(word), did_you_mean(word, words, buffer));
}

/* One question. Words it could take over are gone once it has been asked, unless it sets its own. */
static int parse_primitive(struct parser *parser, struct expr **ret_expr)
{
	static const struct {
		const char *word;
		int (*parse)(struct parser *parser, struct expr **ret_expr);
	} primitives[] = {
		{ "ether", parse_ether },     { "len", parse_len },         { "less", parse_less },
		{ "greater", parse_greater }, { "payload", parse_payload }, { "dns", parse_dns },
	};
	const struct protocol *protocol = NULL;

	parser->carry = (struct qualifiers){ 0 };
	if (at_kind(parser, TOKEN_WORD))
		protocol = protocol_find(token_word(parser).text, token_word(parser).len);
	if (protocol)
		return parse_protocol(parser, protocol, ret_expr);
	if (at_word(parser, "src") || at_word(parser, "dst") || at_type(parser) != VALUE_NONE)
		return parse_qualified(parser, NULL, ret_expr);
	for (size_t i = 0; i < sizeof(primitives) / sizeof(primitives[0]); i++)
		if (at_word(parser, primitives[i].word))
			return primitives[i].parse(parser, ret_expr);
	return unknown_primitive(parser);
}

static int parse_not(struct parser *parser, struct expr **ret_expr)
{
	struct expr *child;
	int r;

	r = next(parser);
	if (r == 0)
		r = parse_term(parser, &child);
	if (r < 0)
		return r;
	*ret_expr = expr_new(&parser->rules->arena, EXPR_NOT, child);
	return *ret_expr ? 0 : -ENOMEM;
}

static int parse_parentheses(struct parser *parser, struct expr **ret_expr)
{
	struct token open = parser->lexer.token;
	char buffer[80];
	int r;

	r = next(parser);
	if (r == 0)
		r = parse_expr(parser, ret_expr);
	if (r < 0)
		return r;
	if (at_kind(parser, TOKEN_END))
		return fail_at(parser, open, "this `(` is never closed");
	if (!at_kind(parser, ')'))
		return fail(parser, "expected `and`, `or` or `)`, found %s", found(parser, buffer));
	return next(parser);
}

static int parse_term(struct parser *parser, struct expr **ret_expr)
{
	bool negated = at_kind(parser, '!') || at_word(parser, "not");
	char buffer[80];
	int r;

	if (negated || at_kind(parser, '(')) {
		if (parser->depth == EXPR_DEPTH_MAX)
			return fail(parser, "nested deeper than %d levels", EXPR_DEPTH_MAX);
		parser->depth++;
		r = negated ? parse_not(parser, ret_expr) : parse_parentheses(parser, ret_expr);
		parser->depth--;
		return r;
	}
	if (parser->carry.type != VALUE_NONE && at_value(parser, parser->carry.type)) {
		struct qualifiers in = parser->carry;

		return parse_qualified_values(parser, &in, ret_expr);
	}
	if (parser->values_only)
		return fail(parser, "expected %s, found %s", value_words(parser->carry.type), found(parser, buffer));
	return parse_primitive(parser, ret_expr);
}

/* `left and right`, into the node on the left if that is the chain this one goes on. */
static int join(struct parser *parser, enum expr_kind kind, bool chain, struct expr *right, struct expr **expr)
{
	struct arena *arena = &parser->rules->arena;
	int r;

	if (!chain || (*expr)->kind != kind) {
		*expr = expr_new(arena, kind, *expr);
		if (!*expr)
			return -ENOMEM;
	}
	r = expr_add(arena, *expr, right);
	if (r == 0 && (*expr)->depth > EXPR_DEPTH_MAX)
		return fail(parser, "`and` and `or` alternate through more than %d levels: use lists or several rules", EXPR_DEPTH_MAX);
	return r;
}

static int parse_expr(struct parser *parser, struct expr **ret_expr)
{
	struct expr *expr, *right;
	bool chain = false;
	int r;

	r = parse_term(parser, &expr);
	while (r == 0 && (at_and(parser) || at_or(parser))) {
		enum expr_kind kind = at_and(parser) ? EXPR_AND : EXPR_OR;

		r = next(parser);
		if (r == 0)
			r = parse_term(parser, &right);
		if (r == 0)
			r = join(parser, kind, chain, right, &expr);
		chain = true;
	}
	if (r == 0)
		*ret_expr = expr;
	return r;
}

/* ---- statements ---- */

static int read_text(struct parser *parser, int fd, const char *path, char **ret_text, size_t *ret_len);

static int add_set_value(struct parser *parser, struct set *set)
{
	struct qualifiers in = { .type = VALUE_SET_NUMBER };
	struct word word = token_word(parser);
	enum list_kind kind = literal_is_address(word) ? LIST_PREFIXES : LIST_RANGES;

	if (set->kind != LIST_EMPTY && set->kind != kind)
		return fail(parser, "set `%s` holds %s: `%.*s` is none", set->name,
			    set->kind == LIST_PREFIXES ? "addresses" : "numbers", WORD_ARG(word));
	set->kind = kind;
	if (kind == LIST_PREFIXES)
		in.type = VALUE_ADDR;
	return parse_value_word(parser, &in, &set->list);
}

/* One item a line; blank lines and # comments between. */
static int parse_set_lines(struct parser *parser, struct set *set)
{
	char buffer[80];
	int r;

	r = next(parser);
	while (r == 0 && !at_kind(parser, TOKEN_END)) {
		if (at_kind(parser, TOKEN_BREAK)) {
			r = next(parser);
			continue;
		}
		if (!at_kind(parser, TOKEN_WORD))
			return fail(parser, "expected one address or number a line, found %s", found(parser, buffer));
		r = add_set_value(parser, set);
		if (r == 0 && !at_end(parser))
			return fail(parser, "expected one address or number a line, found %s behind it", found(parser, buffer));
	}
	return r;
}

static int read_set_file(struct parser *parser, const char *path, struct set *set)
{
	struct source source = { .file = path };
	struct parser lines = { .rules = parser->rules, .error = parser->error };
	char *text;
	int fd, r;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return fail(parser, "cannot open %.200s: %s", path, strerror(errno));
	r = read_text(parser, fd, path, &text, &source.len);
	close(fd);
	if (r < 0)
		return r;
	source.text = text;
	lexer_init(&lines.lexer, &source, parser->error);
	r = parse_set_lines(&lines, set);
	free(text);
	return r;
}

/* file "NAME", the word `file` read before */
static int parse_set_file(struct parser *parser, struct set *set)
{
	struct word name;
	char buffer[80];
	char *path;
	int r;

	if (!at_kind(parser, TOKEN_STRING))
		return fail(parser, "expected a file name in \"...\", found %s", found(parser, buffer));
	if (!parser->directory)
		return fail(parser, "`file` is read only where the rules come from a file themselves");
	name = token_word(parser);
	if (name.len <= 2)
		return fail(parser, "this file name is empty");
	if (asprintf(&path, "%s%.*s", name.text[1] == '/' ? "" : parser->directory, (int)name.len - 2, name.text + 1) < 0)
		return -ENOMEM;
	r = read_set_file(parser, path, set);
	free(path);
	return r < 0 ? r : next(parser);
}

static int parse_set_item(struct parser *parser, void *userdata)
{
	struct set *set = userdata;
	char buffer[80];
	int r;

	if (!at_word(parser, "file")) {
		if (!at_kind(parser, TOKEN_WORD))
			return fail(parser, "expected an address, a number or `file`, found %s", found(parser, buffer));
		return add_set_value(parser, set);
	}
	r = next(parser);
	return r < 0 ? r : parse_set_file(parser, set);
}

/* Names of sets and rules. */
static int parse_name(struct parser *parser, const char *what, const char **ret_name)
{
	struct word word = token_word(parser);
	char buffer[80];

	if (!at_kind(parser, TOKEN_WORD))
		return fail(parser, "expected the name of the %s, found %s", what, found(parser, buffer));
	if (word.len > NAME_MAX_LEN)
		return fail(parser, "the name of a %s has at most %d characters", what, NAME_MAX_LEN);
	for (size_t i = 0; i < word.len; i++)
		if (strchr("/:@*\\", word.text[i]) || (i == 0 && strchr("-._", word.text[i])))
			return fail(parser, "`%.*s`: a name has letters, digits, - _ . and starts with a letter or digit", WORD_ARG(word));
	*ret_name = arena_copy(&parser->rules->arena, word.text, word.len);
	return *ret_name ? next(parser) : -ENOMEM;
}

static struct statement *statement_new(struct parser *parser, enum statement_kind kind, const struct token *start)
{
	struct statement *statement = arena_alloc(&parser->rules->arena, sizeof(*statement));

	if (!statement)
		return NULL;
	statement->kind = kind;
	statement->line = start->line;
	statement->at = start->at;
	return statement;
}

/* set NAME { item, ... } */
static int parse_set(struct parser *parser, const struct token *start, struct statement **ret_statement)
{
	struct rules *rules = parser->rules;
	struct statement *statement = statement_new(parser, STATEMENT_SET, start);
	struct set *set = arena_alloc(&rules->arena, sizeof(*set));
	struct set **sets = arena_grow(&rules->arena, rules->sets, rules->n_sets, sizeof(*sets));
	struct token name_token = parser->lexer.token;
	char buffer[80];
	int r;

	if (!statement || !set || !sets)
		return -ENOMEM;
	rules->sets = sets;
	if (rules->n_sets == SETS_MAX)
		return fail(parser, "more than %d sets", SETS_MAX);
	if (at_kind(parser, TOKEN_WORD) && *token_word(parser).text == '@')
		return fail(parser, "the `@` stands only where a set is used: write `set %.*s { ... }`", WORD_ARG(((struct word){
			    token_word(parser).text + 1, token_word(parser).len - 1 })));
	if (at_kind(parser, TOKEN_WORD) && set_find(rules, token_word(parser)))
		return fail_at(parser, name_token, "set `%.*s` exists already", WORD_ARG(token_word(parser)));
	r = parse_name(parser, "set", &set->name);
	if (r < 0)
		return r;
	if (!at_kind(parser, '{'))
		return fail(parser, "expected `{`, found %s", found(parser, buffer));
	r = parse_braces(parser, parse_set_item, set);
	if (r < 0)
		return r;
	sets[rules->n_sets++] = set;
	statement->set = set;
	*ret_statement = statement;
	return 0;
}

/* on fragment|unparsed|truncated pass|drop */
static int parse_on(struct parser *parser, const struct token *start, struct statement **ret_statement)
{
	static const char *const names[] = { "fragment", "unparsed", "truncated", NULL };
	struct statement *statement = statement_new(parser, STATEMENT_ON, start);
	char buffer[80], meant[80];
	int r;

	if (!statement)
		return -ENOMEM;
	for (unsigned i = CONDITION_NONE + 1; i < CONDITION_COUNT; i++)
		if (at_word(parser, condition_names[i]))
			statement->condition = (enum pkt_condition)i;
	if (statement->condition == CONDITION_NONE)
		return fail(parser, "expected `fragment`, `unparsed` or `truncated`, found %s%s", found(parser, buffer),
			    at_kind(parser, TOKEN_WORD) ? did_you_mean(token_word(parser), names, meant) : "");
	if (parser->rules->policy[statement->condition])
		return fail(parser, "`on %s` is decided already, further up", condition_names[statement->condition]);
	r = next(parser);
	if (r < 0)
		return r;
	if (!at_word(parser, "pass") && !at_word(parser, "drop"))
		return fail(parser, "expected `pass` or `drop`, found %s", found(parser, buffer));
	statement->action = at_word(parser, "pass") ? ACTION_PASS : ACTION_DROP;
	parser->rules->policy[statement->condition] = statement->action;
	*ret_statement = statement;
	return next(parser);
}

static int parse_overload_allow(struct parser *parser, struct rule *rule)
{
	struct qualifiers in = { .type = VALUE_ADDR };
	struct token list = parser->lexer.token;
	int r;

	if (!at_kind(parser, '{') && !(at_kind(parser, TOKEN_WORD) && *token_word(parser).text == '@'))
		return fail(parser, "expected a list {ADDRESS, ...} or @set behind `overload allow`");
	r = parse_list(parser, &in, &rule->overload_list);
	if (r == 0 && rule->overload_list.n > IMAGE_OVERLOAD_MAX)
		return fail_at(parser, list, "%zu prefixes on an overload list: at most %u", rule->overload_list.n, IMAGE_OVERLOAD_MAX);
	rule->overload = OVERLOAD_ALLOW;
	return r;
}

/* `1/N` behind `overload pass`, if it is there */
static int parse_overload_sample(struct parser *parser, struct rule *rule)
{
	struct word word = token_word(parser);
	char message[LITERAL_MESSAGE_MAX];

	rule->overload = OVERLOAD_PASS;
	if (!at_kind(parser, TOKEN_WORD) || word.text[0] < '0' || word.text[0] > '9')
		return 0;
	if (word.len < 3 || memcmp(word.text, "1/", 2))
		return fail(parser, "expected `1/N`, one packet in N: `%.*s`", WORD_ARG(word));
	word.text += 2;
	word.len -= 2;
	if (literal_number(word, "sample 1 in", SAMPLE_MAX, &rule->overload_n, message) < 0)
		return fail(parser, "%s", message);
	if (rule->overload_n == 0)
		return fail(parser, "one packet in 0 is impossible: `overload drop` passes none");
	rule->overload = OVERLOAD_SAMPLE;
	return next(parser);
}

/* overload drop|pass|pass 1/N|allow LIST, the word `overload` being the token */
static int parse_overload(struct parser *parser, struct rule *rule)
{
	enum overload_policy policy;
	char buffer[80];
	int r;

	r = next(parser);
	if (r < 0)
		return r;
	if (at_word(parser, "drop"))
		policy = OVERLOAD_DROP;
	else if (at_word(parser, "pass"))
		policy = OVERLOAD_PASS;
	else if (at_word(parser, "allow"))
		policy = OVERLOAD_ALLOW;
	else
		return fail(parser, "expected `drop`, `pass`, `pass 1/N` or `allow {...}`, found %s", found(parser, buffer));
	r = next(parser);
	if (r < 0 || policy == OVERLOAD_DROP)
		return r;
	return policy == OVERLOAD_ALLOW ? parse_overload_allow(parser, rule) : parse_overload_sample(parser, rule);
}

/* `name WORD` behind the match */
static int parse_options(struct parser *parser, struct rule *rule)
{
	static const char *const words[] = { "and", "or", "name", NULL };
	char buffer[80], meant[80];
	int r;

	while (at_word(parser, "name")) {
		if (rule->name)
			return fail(parser, "the rule has a name already");
		r = next(parser);
		if (r == 0)
			r = parse_name(parser, "rule", &rule->name);
		if (r < 0)
			return r;
	}
	if (at_end(parser))
		return 0;
	if (at_kind(parser, ')'))
		return fail(parser, "this `)` closes nothing");
	if (rule->name)
		return fail(parser, "expected the end of the statement, found %s", found(parser, buffer));
	return fail(parser, "expected `and`, `or`, `name` or the end of the statement, found %s%s", found(parser, buffer),
		    at_kind(parser, TOKEN_WORD) ? did_you_mean(token_word(parser), words, meant) : "");
}

/* Bare `pass` and `drop`: the default verdict. */
static int parse_default(struct parser *parser, const struct token *start, enum rule_action action,
			 struct statement **ret_statement)
{
	struct statement *statement = statement_new(parser, STATEMENT_DEFAULT, start);

	if (!statement)
		return -ENOMEM;
	if (action != ACTION_PASS && action != ACTION_DROP)
		return fail_at(parser, *start, "`%s` needs a match; only `pass` and `drop` stand alone, as the default verdict",
			       action_names[action]);
	statement->action = action;
	parser->rules->default_action = action;
	*ret_statement = statement;
	return 0;
}

/* ACTION [overload ...] MATCH [options] */
static int parse_rule(struct parser *parser, const struct token *start, enum rule_action action, struct statement **ret_statement)
{
	struct rules *rules = parser->rules;
	struct statement *statement = statement_new(parser, STATEMENT_RULE, start);
	struct rule *rule = arena_alloc(&rules->arena, sizeof(*rule));
	struct rule **grown = arena_grow(&rules->arena, rules->rules, rules->n_rules, sizeof(*grown));
	int r;

	if (!statement || !rule || !grown)
		return -ENOMEM;
	rule->statement = statement;
	rule->action = action;
	statement->rule = rule;
	rules->rules = grown;
	if (at_word(parser, "overload")) {
		if (action != ACTION_DIVERT)
			return fail(parser, "only `divert` can be overloaded");
		r = parse_overload(parser, rule);
		if (r < 0)
			return r;
	}
	parser->carry = (struct qualifiers){ 0 };
	r = parse_expr(parser, &rule->match);
	if (r == 0)
		r = parse_options(parser, rule);
	if (r < 0)
		return r;
	grown[rules->n_rules++] = rule;
	*ret_statement = statement;
	return 0;
}

static int parse_unknown(struct parser *parser, struct token start)
{
	static const char *const words[] = { "set", "on", "allow", "drop", "count", "divert", "pass", NULL };
	struct word word = { parser->lexer.source->text + start.at, start.len };
	char buffer[80];

	if (start.kind != TOKEN_WORD)
		return fail_at(parser, start, "expected a statement (set, on, allow, drop, count, divert, pass), found `%.*s`",
			       WORD_ARG(word));
	did_you_mean(word, words, buffer);
	return fail_at(parser, start, "`%.*s` is not a statement%s", WORD_ARG(word),
		       *buffer ? buffer : ": set, on, allow, drop, count, divert or pass");
}

static int parse_statement(struct parser *parser, struct statement **ret_statement)
{
	struct token start = parser->lexer.token;
	struct word word = token_word(parser);
	int r;

	if (start.kind != TOKEN_WORD)
		return parse_unknown(parser, start);
	r = next(parser);
	if (r < 0)
		return r;
	if (word_is(word, "set"))
		return parse_set(parser, &start, ret_statement);
	if (word_is(word, "on"))
		return parse_on(parser, &start, ret_statement);
	for (unsigned i = 0; i < ACTION_KIND_COUNT; i++) {
		if (!word_is(word, action_names[i]))
			continue;
		return at_end(parser) ? parse_default(parser, &start, (enum rule_action)i, ret_statement) :
					parse_rule(parser, &start, (enum rule_action)i, ret_statement);
	}
	return parse_unknown(parser, start);
}

/* Add what was read to the set of statements, in which the default verdict comes last. */
static int add_statement(struct parser *parser, struct statement *statement, size_t end)
{
	struct rules *rules = parser->rules;
	struct statement **statements = arena_grow(&rules->arena, rules->statements, rules->n_statements, sizeof(*statements));
	const struct statement *last = rules->n_statements ? rules->statements[rules->n_statements - 1] : NULL;
	char buffer[80];

	if (!statements)
		return -ENOMEM;
	rules->statements = statements;
	statement->len = end - statement->at;
	if (last && last->kind == STATEMENT_DEFAULT)
		return source_error(&rules->source, last->at, last->len, parser->error,
				    "`%s` without a match is the default verdict: it has to be the last statement",
				    action_names[last->action]);
	statements[rules->n_statements++] = statement;
	if (!at_end(parser))
		return fail(parser, "expected the end of the statement, found %s", found(parser, buffer));
	return 0;
}

static int parse_text(struct parser *parser)
{
	struct statement *statement;
	size_t end;
	int r;

	r = next(parser);
	while (r == 0 && !at_kind(parser, TOKEN_END)) {
		if (at_kind(parser, TOKEN_BREAK)) {
			r = next(parser);
			continue;
		}
		r = parse_statement(parser, &statement);
		if (r < 0)
			return r;
		end = parser->lexer.token.at;
		while (end > statement->at + 1 && strchr(" \t\r\n", parser->rules->source.text[end - 1]))
			end--;
		r = add_statement(parser, statement, end);
	}
	return r;
}

/* ---- texts and files ---- */

static int new_rules(const char *text, size_t len, const char *file, struct rules **ret_rules)
{
	struct rules *rules = calloc(1, sizeof(*rules));

	if (!rules)
		return -ENOMEM;
	rules->default_action = ACTION_PASS;
	rules->source.text = arena_copy(&rules->arena, text, len);
	rules->source.file = arena_copy(&rules->arena, file, strlen(file));
	rules->source.len = len;
	if (!rules->source.text || !rules->source.file) {
		rules_free(rules);
		return -ENOMEM;
	}
	*ret_rules = rules;
	return 0;
}

static int rule_texts(struct rules *rules)
{
	for (size_t i = 0; i < rules->n_rules; i++) {
		char *text = NULL;
		size_t len;
		FILE *out = open_memstream(&text, &len);

		if (!out)
			return -ENOMEM;
		statement_print(rules->rules[i]->statement, out);
		if (fclose(out) == 0)
			rules->rules[i]->text = arena_copy(&rules->arena, text, len);
		free(text);
		if (!rules->rules[i]->text)
			return -ENOMEM;
	}
	return 0;
}

static int parse(const char *text, size_t len, const char *file, const char *directory, struct rules **ret_rules,
		 struct rules_error *ret_error)
{
	struct parser parser = { .directory = directory, .error = ret_error };
	struct rules *rules;
	int r;

	if (len > TEXT_MAX)
		return file_error(file, -E2BIG, ret_error, "the text is longer than 1 MiB");
	r = new_rules(text, len, file, &rules);
	if (r < 0)
		return file_error(file, r, ret_error, "out of memory");
	parser.rules = rules;
	lexer_init(&parser.lexer, &rules->source, ret_error);
	r = parse_text(&parser);
	if (r == 0)
		r = rule_texts(rules);
	if (r == 0)
		r = rules_check(rules);
	if (r == -ENOMEM)
		file_error(file, r, ret_error, "out of memory");
	if (r < 0) {
		rules_free(rules);
		return r;
	}
	*ret_rules = rules;
	return 0;
}

/* All of a file that is at most TEXT_MAX bytes, to memory the caller frees. */
static int read_all(int fd, char **ret_text, size_t *ret_len)
{
	char *text = malloc(TEXT_MAX + 1);
	size_t len = 0;
	ssize_t n;

	if (!text)
		return -ENOMEM;
	do {
		n = read(fd, text + len, TEXT_MAX + 1 - len);
		if (n > 0)
			len += (size_t)n;
	} while ((n > 0 && len <= TEXT_MAX) || (n < 0 && errno == EINTR));
	if (n < 0 || len > TEXT_MAX) {
		int r = n < 0 ? -errno : -E2BIG;

		free(text);
		return r;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
}

static int read_text(struct parser *parser, int fd, const char *path, char **ret_text, size_t *ret_len)
{
	int r = read_all(fd, ret_text, ret_len);

	if (r == -E2BIG)
		return fail(parser, "%.200s is longer than 1 MiB", path);
	if (r < 0 && r != -ENOMEM)
		return fail(parser, "cannot read %.200s: %s", path, strerror(-r));
	return r;
}

int rules_parse(const char *text, size_t len, const char *file, struct rules **ret_rules, struct rules_error *ret_error)
{
	return parse(text, len, file, NULL, ret_rules, ret_error);
}

static int load_fd(int fd, const char *path, const char *file, struct rules **ret_rules, struct rules_error *ret_error)
{
	const char *slash = strrchr(path, '/');
	char *directory, *text;
	size_t len;
	int r;

	r = read_all(fd, &text, &len);
	if (r == -E2BIG)
		return file_error(file, r, ret_error, "the text is longer than 1 MiB");
	if (r < 0)
		return file_error(file, r, ret_error, "cannot read: %s", strerror(-r));
	directory = strndup(path, slash ? (size_t)(slash - path) + 1 : 0);
	r = directory ? parse(text, len, file, directory, ret_rules, ret_error) : file_error(file, -ENOMEM, ret_error, "out of memory");
	free(directory);
	free(text);
	return r;
}

int rules_load(const char *path, struct rules **ret_rules, struct rules_error *ret_error)
{
	int fd, r;

	if (!strcmp(path, "-"))
		return load_fd(STDIN_FILENO, "", "stdin", ret_rules, ret_error);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return file_error(path, -errno, ret_error, "cannot open: %s", strerror(errno));
	r = load_fd(fd, path, path, ret_rules, ret_error);
	close(fd);
	return r;
}

struct rules *rules_free(struct rules *rules)
{
	if (rules) {
		arena_fini(&rules->arena);
		free(rules);
	}
	return NULL;
}
