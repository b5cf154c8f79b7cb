/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An expression means what it means to tcpdump: `and` and `or` bind alike and group from the left, `not` binds tightest, and a
 * value that stands alone takes over the words in front of the last one (`port 53 or 80`). Those words are parser->carry. What
 * goes beyond pcap-filter(7) are lists, sets, and the questions pcap does not have.
 *
 * Nesting is bounded twice: parser->depth bounds the recursion here, expr->depth (which grows without parentheses, too, where `and`
 * and `or` alternate) that of every reader of the tree.
 */
#include <errno.h>
#include <string.h>

#include "classify/parse.h"
#include "rules/parser.h"

static int parse_term(struct parser *parser, struct expr **ret_expr);
static int parse_expr(struct parser *parser, struct expr **ret_expr);

static bool at_and(const struct parser *parser)
{
	return at_kind(parser, TOKEN_AND) || at_word(parser, "and");
}

static bool at_or(const struct parser *parser)
{
	return at_kind(parser, TOKEN_OR) || at_word(parser, "or");
}

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
		{ "host", VALUE_HOST },	     { "net", VALUE_NET },     { "port", VALUE_PORT },
		{ "portrange", VALUE_PORT }, { "proto", VALUE_PROTO },
	};

	for (size_t i = 0; i < COUNT_OF(types); i++)
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
	if (type == VALUE_PROTO)
		return word.text[0] == '\\' || (vocabulary_has(VOCABULARY_PROTO, word) && !protocol_find(word.text, word.len));
	return type == VALUE_PORT && vocabulary_has(VOCABULARY_PORT, word);
}

/* A list of values and nothing before it. */
static int parse_plain_test(struct parser *parser, enum value_type type, struct test *test, struct expr **ret_expr)
{
	struct qualifiers in = { .type = type };
	int r = parse_list(parser, &in, &test->list);

	return r < 0 ? r : new_test(parser, test, ret_expr);
}

/* ether proto TYPES | ether src|dst|host ADDRESSES */
static int parse_ether(struct parser *parser, struct expr **ret_expr)
{
	struct test test = { .kind = TEST_ETHER_ADDR };
	int r;

	r = next(parser);
	if (r < 0)
		return r;
	if (at_word(parser, "proto")) {
		test.kind = TEST_ETHER_PROTO;
		r = next(parser);
		return r < 0 ? r : parse_plain_test(parser, VALUE_ETHER_PROTO, &test, ret_expr);
	}
	if (!at_word(parser, "src") && !at_word(parser, "dst") && !at_word(parser, "host"))
		return fail(parser, "expected `src`, `dst`, `host` or `proto` behind `ether`");
	r = parse_direction(parser, &test.direction);
	if (r == 0 && at_word(parser, "host"))
		r = next(parser);
	return r < 0 ? r : parse_plain_test(parser, VALUE_MAC, &test, ret_expr);
}

/* vlan [N]: the first of a match asks for the outer tag, the second for the inner one, as in tcpdump. */
static int parse_vlan(struct parser *parser, struct expr **ret_expr)
{
	struct test test = { .kind = TEST_VLAN, .vlan_tag = (uint8_t)parser->vlans };
	union value any = { .range = { 0, 4095 } };
	int r;

	if (parser->vlans == PKT_VLANS_MAX)
		return fail(parser, "a third `vlan`: frames are read behind at most two tags");
	parser->vlans++;
	r = next(parser);
	if (r < 0)
		return r;
	if (at_value(parser, VALUE_VLAN))
		return parse_plain_test(parser, VALUE_VLAN, &test, ret_expr);
	r = list_add(parser, &test.list, &any);
	return r < 0 ? r : new_test(parser, &test, ret_expr);
}

/* A field that is compared with numbers. */
struct field {
	const char *word, *what;
	enum test_kind kind;
	enum value_type type;
	uint32_t max;
};

static const struct field field_len = { "len", "frame length", TEST_LEN, VALUE_LEN, UINT16_MAX };
static const struct field field_ttl = { "ttl", "TTL", TEST_TTL, VALUE_TTL, UINT8_MAX };
static const struct field field_ip_len = { "len", "packet length", TEST_IP_LEN, VALUE_LEN, UINT16_MAX };
static const struct field field_dscp = { "dscp", "DSCP", TEST_DSCP, VALUE_DSCP, 63 };

/* The numbers that `OPERATOR bound` means; `!=` is the caller's. */
static int field_range(struct parser *parser, const struct field *field, int oper, uint32_t bound, struct range *ret)
{
	switch (oper) {
	case '<':
		if (bound == 0)
			return fail(parser, "no %s is below 0", field->what);
		*ret = (struct range){ 0, bound - 1 };
		return 0;
	case '>':
		if (bound == field->max)
			return fail(parser, "no %s is above %u", field->what, bound);
		*ret = (struct range){ bound + 1, field->max };
		return 0;
	case TOKEN_LE:
		*ret = (struct range){ 0, bound };
		return 0;
	case TOKEN_GE:
		*ret = (struct range){ bound, field->max };
		return 0;
	default:
		*ret = (struct range){ bound, bound };
		return 0;
	}
}

/* OPERATOR N, the operator read before. */
static int parse_bound(struct parser *parser, const struct field *field, int oper, struct test *test, struct expr **ret_expr)
{
	char message[LITERAL_MESSAGE_MAX], buffer[FOUND_MAX];
	union value value = { 0 };
	uint32_t bound;
	int r;

	if (!at_kind(parser, TOKEN_WORD))
		return fail(parser, "expected a %s, found %s", field->what, parser_found(parser, buffer));
	if (literal_number(token_word(parser), field->what, field->max, &bound, message) < 0)
		return fail(parser, "%s", message);
	r = field_range(parser, field, oper, bound, &value.range);
	if (r == 0)
		r = list_add(parser, &test->list, &value);
	if (r == 0)
		r = next(parser);
	if (r == 0)
		r = new_test(parser, test, ret_expr);
	if (r < 0 || oper != TOKEN_NE)
		return r;
	*ret_expr = expr_new(&parser->rules->arena, EXPR_NOT, *ret_expr);
	return *ret_expr ? 0 : -ENOMEM;
}

/* len A-B | len {A, B-C} | len @set | len < N ...; the token is the word `len`. */
static int parse_field(struct parser *parser, const struct field *field, const struct protocol *protocol, struct expr **ret_expr)
{
	struct test test = { .kind = field->kind, .protocol = protocol };
	int r, oper;

	r = next(parser);
	if (r < 0)
		return r;
	oper = parser->lexer.token.kind;
	if (oper == '<' || oper == '>' || oper == TOKEN_LE || oper == TOKEN_GE || oper == TOKEN_EQ || oper == TOKEN_NE) {
		r = next(parser);
		return r < 0 ? r : parse_bound(parser, field, oper, &test, ret_expr);
	}
	return parse_plain_test(parser, field->type, &test, ret_expr);
}

static int parse_len(struct parser *parser, struct expr **ret_expr)
{
	return parse_field(parser, &field_len, NULL, ret_expr);
}

static int parse_less(struct parser *parser, struct expr **ret_expr)
{
	struct test test = { .kind = TEST_LEN };
	int r = next(parser);

	return r < 0 ? r : parse_bound(parser, &field_len, TOKEN_LE, &test, ret_expr);
}

static int parse_greater(struct parser *parser, struct expr **ret_expr)
{
	struct test test = { .kind = TEST_LEN };
	int r = next(parser);

	return r < 0 ? r : parse_bound(parser, &field_len, TOKEN_GE, &test, ret_expr);
}

/* Questions about a header: which protocol words may stand in front. */
enum header_owner { OWNER_IP, OWNER_IP_NAMED, OWNER_TCP, OWNER_ICMP };

static const struct header_word {
	const char *word;
	enum header_owner owner;
	enum test_kind kind;
	enum value_type type;
	const struct field *field; /* that may be compared, or NULL */
} header_words[] = {
	{ "ttl", OWNER_IP, TEST_TTL, VALUE_TTL, &field_ttl },
	{ "dscp", OWNER_IP, TEST_DSCP, VALUE_DSCP, &field_dscp },
	{ "len", OWNER_IP_NAMED, TEST_IP_LEN, VALUE_LEN, &field_ip_len },
	{ "frag", OWNER_IP, TEST_FRAG, VALUE_FRAG, NULL },
	{ "options", OWNER_IP_NAMED, TEST_OPTIONS, VALUE_NONE, NULL },
	{ "flags", OWNER_TCP, TEST_FLAGS, VALUE_FLAGS, NULL },
	{ "type", OWNER_ICMP, TEST_ICMP_TYPE, VALUE_ICMP_TYPE, NULL },
	{ "code", OWNER_ICMP, TEST_ICMP_CODE, VALUE_ICMP_CODE, NULL },
};

static const struct header_word *at_header_word(const struct parser *parser)
{
	for (size_t i = 0; i < COUNT_OF(header_words); i++)
		if (at_word(parser, header_words[i].word))
			return &header_words[i];
	return NULL;
}

static bool protocol_owns(const struct protocol *protocol, enum header_owner owner)
{
	switch (owner) {
	case OWNER_IP:
		return !protocol || (protocol->family && protocol->l4_proto < 0);
	case OWNER_IP_NAMED:
		return protocol && protocol->family && protocol->l4_proto < 0;
	case OWNER_TCP:
		return protocol && protocol->l4_proto == PROTO_TCP;
	default:
		return protocol && (protocol->l4_proto == PROTO_ICMP || protocol->l4_proto == PROTO_ICMP6);
	}
}

/* The token is the header word; `protocol` stood before it, or NULL. */
static int parse_header(struct parser *parser, const struct header_word *word, const struct protocol *protocol,
			struct expr **ret_expr)
{
	static const char *const owners[] = { "`ip` or `ip6`", "`ip` or `ip6`", "`tcp`", "`icmp` or `icmp6`" };
	struct test test = { .kind = word->kind, .protocol = protocol };
	enum value_type type = word->type;
	int r;

	if (word->owner == OWNER_TCP && !protocol)
		test.protocol = protocol_find("tcp", 3);
	if (!protocol_owns(test.protocol, word->owner))
		return fail(parser, "`%s` is asked of %s: write %s in front", word->word, owners[word->owner],
			    owners[word->owner]);
	if (word->field)
		return parse_field(parser, word->field, protocol, ret_expr);
	r = next(parser);
	if (r < 0)
		return r;
	if (word->kind == TEST_OPTIONS)
		return new_test(parser, &test, ret_expr);
	if (word->kind == TEST_ICMP_TYPE && protocol->l4_proto == PROTO_ICMP6)
		type = VALUE_ICMP6_TYPE;
	return parse_plain_test(parser, type, &test, ret_expr);
}

/* `ttl 10m` is an option of the rule, `ttl 10` is not. The token is the word `ttl`. */
static bool at_ttl_option(const struct parser *parser)
{
	struct rules_error ignored;
	struct lexer ahead = parser->lexer;
	const char *last;

	ahead.error = &ignored;
	if (lexer_next(&ahead) < 0 || ahead.token.kind != TOKEN_WORD)
		return false;
	last = ahead.source->text + ahead.token.at + ahead.token.len - 1;
	return strchr("smhd", *last) != NULL;
}

static int parse_protocol(struct parser *parser, const struct protocol *protocol, struct expr **ret_expr)
{
	struct test test = { .kind = TEST_PROTOCOL, .protocol = protocol };
	const struct header_word *word;
	int r;

	r = next(parser);
	if (r < 0)
		return r;
	if (at_word(parser, "src") || at_word(parser, "dst") || at_type(parser) != VALUE_NONE)
		return parse_qualified(parser, protocol, ret_expr);
	word = at_header_word(parser);
	if (word && !(word->kind == TEST_TTL && (!protocol_owns(protocol, OWNER_IP) || at_ttl_option(parser))))
		return parse_header(parser, word, protocol, ret_expr);
	if (at_value(parser, VALUE_PORT))
		return fail(parser, "expected `host`, `net`, `port`, `src` or `dst` between `%s` and `%.*s`", protocol->word,
			    WORD_ARG(token_word(parser)));
	return new_test(parser, &test, ret_expr);
}

static int parse_hex(struct parser *parser, const char *what, uint8_t ret_bytes[IMAGE_PAYLOAD_MAX], size_t *ret_len)
{
	char message[LITERAL_MESSAGE_MAX], buffer[FOUND_MAX];

	if (!at_kind(parser, TOKEN_WORD))
		return fail(parser, "expected %s, found %s", what, parser_found(parser, buffer));
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
	r = parser_expect(parser, TOKEN_EQ, "`=`");
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
	char message[LITERAL_MESSAGE_MAX], buffer[FOUND_MAX];
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
		return fail(parser, "expected an offset, found %s", parser_found(parser, buffer));
	if (literal_number(token_word(parser), "payload offset", IMAGE_PAYLOAD_REACH - 1, &at, message) < 0)
		return fail(parser, "%s", message);
	test.payload_at = (uint16_t)at;
	r = next(parser);
	if (r == 0)
		r = parse_payload_bytes(parser, &test);
	return r < 0 ? r : new_test(parser, &test, ret_expr);
}

/* dns name [under] NAMES | dns type TYPES | dns valid */
static int parse_dns(struct parser *parser, struct expr **ret_expr)
{
	struct test test = { .kind = TEST_DNS_NAME };
	int r;

	r = next(parser);
	if (r < 0)
		return r;
	if (at_word(parser, "valid"))
		test.kind = TEST_DNS_VALID;
	else if (at_word(parser, "type"))
		test.kind = TEST_DNS_TYPE;
	else if (!at_word(parser, "name"))
		return fail(parser, "expected `name`, `type` or `valid` behind `dns`");
	r = next(parser);
	if (r == 0 && test.kind == TEST_DNS_NAME && at_word(parser, "under")) {
		test.kind = TEST_DNS_UNDER;
		r = next(parser);
	}
	if (r < 0)
		return r;
	if (test.kind == TEST_DNS_VALID)
		return new_test(parser, &test, ret_expr);
	return parse_plain_test(parser, test.kind == TEST_DNS_TYPE ? VALUE_DNS_TYPE : VALUE_NAME, &test, ret_expr);
}

/* bpf "EXPRESSION" */
static int parse_bpf(struct parser *parser, struct expr **ret_expr)
{
	struct test test = { .kind = TEST_BPF };
	int r;

	r = next(parser);
	if (r == 0)
		r = parse_bpf_text(parser, &test);
	return r < 0 ? r : new_test(parser, &test, ret_expr);
}

static int unknown_primitive(struct parser *parser)
{
	static const char *const words[] = {
		"ip",	   "ip6",  "arp",  "tcp",   "udp",	 "sctp",    "icmp",  "icmp6", "gre", "src",
		"dst",	   "host", "net",  "port",  "portrange", "proto",   "ether", "vlan",  "len", "less",
		"greater", "ttl",  "dscp", "flags", "frag",	 "payload", "dns",   "bpf",   "not",
	};
	struct word word = token_word(parser);
	char buffer[FOUND_MAX];

	if (!at_kind(parser, TOKEN_WORD))
		return fail(parser, "expected a match such as `udp dst port 53`, found %s", parser_found(parser, buffer));
	if (literal_is_address(word) || at_set(parser))
		return fail(parser, "`%.*s` needs a word in front, such as `src` or `net`", WORD_ARG(word));
	if (word.text[0] >= '0' && word.text[0] <= '9')
		return fail(parser, "`%.*s` needs a word in front, such as `port`", WORD_ARG(word));
	return fail(parser, "`%.*s` is not a match%s", WORD_ARG(word), parser_suggest(word, words, COUNT_OF(words), buffer));
}

/* One question. Words it could take over are gone once it has been asked, unless it sets its own. */
static int parse_primitive(struct parser *parser, struct expr **ret_expr)
{
	static const struct {
		const char *word;
		int (*parse)(struct parser *parser, struct expr **ret_expr);
	} primitives[] = {
		{ "ether", parse_ether },     { "vlan", parse_vlan },	    { "len", parse_len }, { "less", parse_less },
		{ "greater", parse_greater }, { "payload", parse_payload }, { "dns", parse_dns }, { "bpf", parse_bpf },
	};
	const struct protocol *protocol = NULL;
	const struct header_word *word = at_header_word(parser);

	parser->carry = (struct qualifiers){ 0 };
	if (at_kind(parser, TOKEN_WORD))
		protocol = protocol_find(token_word(parser).text, token_word(parser).len);
	if (protocol)
		return parse_protocol(parser, protocol, ret_expr);
	if (at_word(parser, "src") || at_word(parser, "dst") || at_type(parser) != VALUE_NONE)
		return parse_qualified(parser, NULL, ret_expr);
	if (word && word->kind != TEST_IP_LEN) /* `len` alone is the frame's */
		return parse_header(parser, word, NULL, ret_expr);
	for (size_t i = 0; i < COUNT_OF(primitives); i++)
		if (at_word(parser, primitives[i].word))
			return primitives[i].parse(parser, ret_expr);
	return unknown_primitive(parser);
}

/* A tree this deep prints with fewer parentheses and `not`s inside each other than a text may have. */
static int check_depth(struct parser *parser, const struct expr *expr)
{
	if (expr->depth > EXPR_DEPTH_MAX)
		return fail(parser, "`not`, `and` and `or` alternate through more than %d levels: use lists or several rules",
			    EXPR_DEPTH_MAX);
	return 0;
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
	return *ret_expr ? check_depth(parser, *ret_expr) : -ENOMEM;
}

static int parse_parentheses(struct parser *parser, struct expr **ret_expr)
{
	struct token open = parser->lexer.token;
	char buffer[FOUND_MAX];
	int r;

	r = next(parser);
	if (r == 0)
		r = parse_expr(parser, ret_expr);
	if (r < 0)
		return r;
	if (at_kind(parser, TOKEN_END))
		return parser_fail(parser, &open, "this `(` is never closed");
	if (!at_kind(parser, ')'))
		return fail(parser, "expected `and`, `or` or `)`, found %s", parser_found(parser, buffer));
	return next(parser);
}

/* A chain has no depth, so what it takes to read on is bounded here. */
static int count_test(struct parser *parser)
{
	if (parser->tests == MATCH_TESTS_MAX)
		return fail(parser, "more than %u questions in one match: lists of addresses or ports belong into sets",
			    MATCH_TESTS_MAX);
	if (parser->rules->n_tests == RULES_TESTS_MAX)
		return fail(parser, "more than %u questions in all rules: lists of addresses or ports belong into sets",
			    RULES_TESTS_MAX);
	parser->tests++;
	parser->rules->n_tests++;
	return 0;
}

static int parse_term(struct parser *parser, struct expr **ret_expr)
{
	bool negated = at_kind(parser, '!') || at_word(parser, "not");
	char buffer[FOUND_MAX];
	int r;

	if (negated || at_kind(parser, '(')) {
		if (parser->depth == EXPR_DEPTH_MAX)
			return fail(parser, "nested deeper than %d levels", EXPR_DEPTH_MAX);
		parser->depth++;
		r = negated ? parse_not(parser, ret_expr) : parse_parentheses(parser, ret_expr);
		parser->depth--;
		return r;
	}
	r = count_test(parser);
	if (r < 0)
		return r;
	if (parser->carry.type != VALUE_NONE && at_value(parser, parser->carry.type)) {
		struct qualifiers in = parser->carry;

		return parse_qualified_values(parser, &in, ret_expr);
	}
	if (parser->values_only)
		return fail(parser, "expected %s, found %s", value_words(parser->carry.type), parser_found(parser, buffer));
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
	return r < 0 ? r : check_depth(parser, *expr);
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

int parse_match(struct parser *parser, struct expr **ret_expr)
{
	parser->carry = (struct qualifiers){ 0 };
	parser->vlans = 0;
	parser->tests = 0;
	return parse_expr(parser, ret_expr);
}
