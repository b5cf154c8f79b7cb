/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "base/near.h"
#include "rules/parser.h"

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
	static const char *const types[] = { "host", "net", "port", "portrange" };
	char message[LITERAL_MESSAGE_MAX], suggestion[FOUND_MAX];
	struct word word = token_word(parser);

	if (literal_prefix(word, in->type == VALUE_NET, ret, message) < 0) {
		if (in->type == VALUE_ADDR && *parser_suggest(word, types, COUNT_OF(types), suggestion))
			return fail(parser, "`%.*s` is not an address%s", WORD_ARG(word), suggestion);
		return fail(parser, "%s", message);
	}
	if (in->protocol && in->protocol->family && in->protocol->family != ret->family)
		return fail(parser, "`%s` packets have no IPv%u addresses", in->protocol->word, ret->family);
	return parse_host_value(parser, in->type, ret);
}

/* `mask M` behind the address `address`, if it is there. */
static int parse_mask(struct parser *parser, const struct qualifiers *in, struct word address, struct prefix *ret)
{
	char message[LITERAL_MESSAGE_MAX], buffer[FOUND_MAX];
	int r;

	if (!at_word(parser, "mask") || in->type != VALUE_NET)
		return 0;
	r = next(parser);
	if (r < 0)
		return r;
	if (!at_kind(parser, TOKEN_WORD))
		return fail(parser, "expected a mask, found %s", parser_found(parser, buffer));
	if (literal_mask(token_word(parser), address, ret, message) < 0)
		return fail(parser, "%s", message);
	return next(parser);
}

/*
 * SET/MASK as one word: outside of a list its parts may be joined by commas, which are tokens of their own. The word in *ret ends
 * with the token behind which the parser stands.
 */
static int parse_flags(struct parser *parser, struct range *ret)
{
	struct token first = parser->lexer.token, last = first;
	char message[LITERAL_MESSAGE_MAX], buffer[FOUND_MAX], joined[FLAGS_TEXT_MAX * 3];
	size_t len = 0;
	int r;

	for (;;) {
		struct word word = token_word(parser);

		if (!at_kind(parser, TOKEN_WORD))
			return fail(parser, "expected a TCP flag, found %s", parser_found(parser, buffer));
		last = parser->lexer.token;
		if (len + word.len + 1 > sizeof(joined))
			return fail(parser, "these TCP flags are longer than all there are");
		memcpy(joined + len, word.text, word.len);
		len += word.len;
		r = next(parser);
		if (r < 0 || parser->in_braces || !at_kind(parser, ','))
			break;
		joined[len++] = ',';
		r = next(parser);
		if (r < 0)
			break;
	}
	first.len = last.at + last.len - first.at;
	if (r == 0 && literal_flags((struct word){ joined, len }, ret, message) < 0)
		return parser_fail(parser, &first, "%s", message);
	return r;
}

/* PREFIX . PROTO . PORT, the token being the prefix; it is left at the port. */
static int parse_tuple(struct parser *parser, struct tuple *ret)
{
	static const char *const parts[] = { "`PREFIX . PROTO . PORT`", "a protocol", "a port" };
	char message[LITERAL_MESSAGE_MAX], buffer[FOUND_MAX];
	struct range range = { 0, 0 };
	int r = 0;

	memset(ret, 0, sizeof(*ret));
	for (int i = 0; i < 3 && r == 0; i++) {
		struct word word = token_word(parser);

		if (!at_kind(parser, TOKEN_WORD))
			return fail(parser, "expected %s, found %s", parts[i], parser_found(parser, buffer));
		if (i == 0)
			r = literal_prefix(word, false, &ret->prefix, message);
		else if (i == 1)
			r = literal_proto(word, &range, message);
		else if (word_is(word, "any"))
			range = (struct range){ 0, UINT16_MAX };
		else
			r = literal_port(word, &range, message);
		if (r < 0)
			return fail(parser, "%s", message);
		if (i == 1 && range.lo != range.hi)
			return fail(parser, "a tuple has one protocol: `%.*s`", WORD_ARG(word));
		if (i == 1)
			ret->proto = (uint8_t)range.lo;
		if (i == 2)
			break;
		r = next(parser);
		if (r == 0 && !at_word(parser, "."))
			return fail(parser, "expected ` . ` between the parts of a tuple, found %s",
				    parser_found(parser, buffer));
		if (r == 0)
			r = next(parser);
	}
	ret->port_lo = (uint16_t)range.lo;
	ret->port_hi = (uint16_t)range.hi;
	return r;
}

static int parse_number(const struct qualifiers *in, struct word word, struct range *ret, char message[LITERAL_MESSAGE_MAX])
{
	switch (in->type) {
	case VALUE_PORT:
		return literal_port(word, ret, message);
	case VALUE_PROTO:
		return literal_proto(word, ret, message);
	case VALUE_ETHER_PROTO:
		return literal_ether_proto(word, ret, message);
	case VALUE_LEN:
		return literal_range(word, "frame length", UINT16_MAX, ret, message);
	case VALUE_TTL:
		return literal_range(word, "TTL", UINT8_MAX, ret, message);
	case VALUE_DSCP:
		return literal_dscp(word, ret, message);
	case VALUE_ICMP_TYPE:
		return literal_icmp_type(word, false, ret, message);
	case VALUE_ICMP6_TYPE:
		return literal_icmp_type(word, true, ret, message);
	case VALUE_ICMP_CODE:
		return literal_range(word, "ICMP code", UINT8_MAX, ret, message);
	case VALUE_FRAG:
		return literal_frag(word, ret, message);
	case VALUE_VLAN:
		return literal_range(word, "VLAN identifier", 4095, ret, message);
	case VALUE_DNS_TYPE:
		return literal_dns_type(word, ret, message);
	default: /* VALUE_SET_NUMBER */
		if (vocabulary_has(VOCABULARY_PORT, word))
			return literal_port(word, ret, message);
		return literal_range(word, "number", UINT16_MAX, ret, message);
	}
}

/* The value at the token; the token behind it is next. */
static int parse_value(struct parser *parser, const struct qualifiers *in, union value *ret)
{
	char message[LITERAL_MESSAGE_MAX];
	struct word word = token_word(parser);
	int r;

	memset(ret, 0, sizeof(*ret));
	switch (in->type) {
	case VALUE_ADDR:
	case VALUE_HOST:
	case VALUE_NET:
	case VALUE_NONE:
		r = parse_prefix(parser, in, &ret->prefix);
		if (r == 0)
			r = next(parser);
		return r < 0 ? r : parse_mask(parser, in, word, &ret->prefix);
	case VALUE_FLAGS:
		return parse_flags(parser, &ret->range);
	case VALUE_SET_TUPLE:
		r = parse_tuple(parser, &ret->tuple);
		return r < 0 ? r : next(parser);
	case VALUE_NAME:
		r = literal_name(&parser->rules->arena, word, &ret->name, message);
		break;
	case VALUE_MAC:
		r = literal_mac(word, &ret->mac, message);
		break;
	default:
		r = parse_number(in, word, &ret->range, message);
	}
	if (r == -EINVAL)
		return fail(parser, "%s", message);
	return r < 0 ? r : next(parser);
}

int list_add(struct parser *parser, struct list *list, const union value *value)
{
	union value *values = arena_grow(&parser->rules->arena, list->values, list->n, sizeof(*values));

	if (!values)
		return -ENOMEM;
	values[list->n++] = *value;
	list->values = values;
	return 0;
}

const char *value_words(enum value_type type)
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
	case VALUE_TTL:
		return "a TTL";
	case VALUE_DSCP:
		return "a DSCP";
	case VALUE_FLAGS:
		return "TCP flags";
	case VALUE_ICMP_TYPE:
	case VALUE_ICMP6_TYPE:
		return "an ICMP type";
	case VALUE_ICMP_CODE:
		return "an ICMP code";
	case VALUE_FRAG:
		return "a kind of fragment";
	case VALUE_MAC:
		return "an Ethernet address";
	case VALUE_VLAN:
		return "a VLAN identifier";
	case VALUE_DNS_TYPE:
		return "a DNS type";
	case VALUE_SET_NUMBER:
		return "a number";
	default:
		return "an address";
	}
}

int parse_list_value(struct parser *parser, const struct qualifiers *in, struct list *list)
{
	union value value;
	char buffer[FOUND_MAX];
	int r;

	if (!at_kind(parser, TOKEN_WORD))
		return fail(parser, "expected %s, found %s", value_words(in->type), parser_found(parser, buffer));
	if (at_set(parser))
		return fail(parser, "a set cannot stand inside a list: join the two with `or`");
	r = parse_value(parser, in, &value);
	return r < 0 ? r : list_add(parser, list, &value);
}

int parse_braces(struct parser *parser, int (*item)(struct parser *parser, void *userdata), void *userdata)
{
	struct token open = parser->lexer.token;
	char buffer[FOUND_MAX];
	int r;

	r = next(parser);
	while (r == 0 && !at_kind(parser, '}')) {
		parser->in_braces = true;
		r = item(parser, userdata);
		parser->in_braces = false;
		if (r < 0)
			return r;
		if (at_kind(parser, ','))
			r = next(parser);
		else if (at_kind(parser, TOKEN_END))
			return parser_fail(parser, &open, "this `{` is never closed");
		else if (!at_kind(parser, '}'))
			return fail(parser, "expected `,` or `}`, found %s", parser_found(parser, buffer));
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

	return parse_list_value(parser, item->in, item->list);
}

static size_t set_slot(const struct rules *rules, struct word name)
{
	size_t slot = XXH3_64bits(name.text, name.len) % COUNT_OF(rules->set_slots);

	while (rules->set_slots[slot] && !word_is(name, rules->sets[rules->set_slots[slot] - 1]->name))
		slot = (slot + 1) % COUNT_OF(rules->set_slots);
	return slot;
}

const struct set *set_find(const struct rules *rules, struct word name)
{
	unsigned found = rules->set_slots[set_slot(rules, name)];

	return found ? rules->sets[found - 1] : NULL;
}

void set_register(struct rules *rules, struct set *set)
{
	set->index = (unsigned)rules->n_sets;
	rules->sets[rules->n_sets++] = set;
	rules->set_slots[set_slot(rules, (struct word){ set->name, strlen(set->name) })] = (uint16_t)rules->n_sets;
}

static int set_unknown(struct parser *parser, struct word name)
{
	const struct rules *rules = parser->rules;
	const char *names[SETS_MAX], *near;
	char text[64];

	for (size_t i = 0; i < rules->n_sets; i++)
		names[i] = rules->sets[i]->name;
	snprintf(text, sizeof(text), "%.*s", WORD_ARG(name));
	near = near_find(text, names, rules->n_sets);
	if (near)
		return fail(parser, "no set `%s` above: did you mean `@%s`?", text, near);
	return fail(parser, "no set `%s` above: write `set %s { ... }` first", text, text);
}

/* What a set has to hold to stand here, or LIST_EMPTY: none can. */
static enum list_kind set_kind_wanted(enum value_type type)
{
	switch (type) {
	case VALUE_ADDR:
	case VALUE_HOST:
	case VALUE_NET:
		return LIST_PREFIXES;
	case VALUE_PORT:
	case VALUE_PROTO:
	case VALUE_LEN:
	case VALUE_TTL:
	case VALUE_DSCP:
	case VALUE_VLAN:
	case VALUE_DNS_TYPE:
		return LIST_RANGES;
	case VALUE_NAME:
		return LIST_NAMES;
	default:
		return LIST_EMPTY;
	}
}

/* No number a set holds may be one that cannot be here. */
static int set_fits_numbers(struct parser *parser, enum value_type type, const struct set *set)
{
	uint32_t max = type == VALUE_PROTO || type == VALUE_TTL ? UINT8_MAX
		       : type == VALUE_DSCP			? 63
		       : type == VALUE_VLAN			? 4095
								: UINT16_MAX;

	for (size_t i = 0; i < set->n; i++)
		if (set->ranges[i].hi > max)
			return fail(parser, "set `%s` holds %u: %s is at most %u", set->name, set->ranges[i].hi,
				    type == VALUE_PROTO ? "a protocol number" : value_words(type), max);
	return 0;
}

/* Is every value of the set one that may stand here? The token is the set's name. */
static int set_fits(struct parser *parser, const struct qualifiers *in, const struct set *set)
{
	enum list_kind want = set_kind_wanted(in->type);
	bool tuples = in->type == VALUE_ADDR && set->kind == LIST_TUPLES;
	int r = 0;

	if (want == LIST_EMPTY)
		return fail(parser, "sets hold addresses, numbers, tuples or DNS names: write %s as a list {a, b}",
			    value_words(in->type));
	if (set->kind != LIST_EMPTY && set->kind != want && !tuples)
		return fail(parser, "set `%s` holds %s: this needs %s", set->name,
			    set->kind == LIST_PREFIXES ? "addresses" : list_kind_names[set->kind], value_words(in->type));
	if (want == LIST_RANGES)
		return set_fits_numbers(parser, in->type, set);
	for (size_t i = 0; i < set->n && in->type == VALUE_HOST && r == 0; i++)
		r = parse_host_value(parser, in->type, &set->prefixes[i]);
	return r;
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
	*ret = (struct list){ .set = set };
	return next(parser);
}

int parse_list(struct parser *parser, const struct qualifiers *in, struct list *ret)
{
	struct list_item item = { in, ret };
	struct token open = parser->lexer.token;
	int r;

	*ret = (struct list){ 0 };
	if (at_set(parser))
		return parse_set_use(parser, in, ret);
	if (!at_kind(parser, '{'))
		return parse_list_item(parser, &item);
	r = parse_braces(parser, parse_list_item, &item);
	if (r == 0 && ret->n == 0)
		return parser_fail(parser, &open, "an empty list matches nothing");
	return r;
}
