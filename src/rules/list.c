/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>

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

	if (in->type == VALUE_ADDR && *parser_suggest(word, types, COUNT_OF(types), suggestion))
		return fail(parser, "`%.*s` is not an address%s", WORD_ARG(word), suggestion);
	if (literal_prefix(word, ret, message) < 0)
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
	if (r == 0)
		r = list_add(parser, list, &value);
	return r < 0 ? r : next(parser);
}

int parse_braces(struct parser *parser, int (*item)(struct parser *parser, void *userdata), void *userdata)
{
	struct token open = parser->lexer.token;
	char buffer[FOUND_MAX];
	int r;

	r = next(parser);
	while (r == 0 && !at_kind(parser, '}')) {
		r = item(parser, userdata);
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

const struct set *set_find(const struct rules *rules, struct word name)
{
	for (size_t i = 0; i < rules->n_sets; i++)
		if (word_is(name, rules->sets[i]->name))
			return rules->sets[i];
	return NULL;
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

/* Is every value of the set one that may stand here? The token is the set's name. */
static int set_fits(struct parser *parser, const struct qualifiers *in, const struct set *set)
{
	enum list_kind want =
		in->type == VALUE_ADDR || in->type == VALUE_HOST || in->type == VALUE_NET ? LIST_PREFIXES : LIST_RANGES;

	if (in->type == VALUE_NAME || in->type == VALUE_ETHER_PROTO)
		return fail(parser, "sets hold addresses or numbers, not %ss: write a list {a, b}",
			    strchr(value_words(in->type), ' ') + 1);
	if (set->kind != LIST_EMPTY && set->kind != want)
		return fail(parser, "set `%s` holds %s: this needs %s", set->name,
			    set->kind == LIST_PREFIXES ? "addresses" : "numbers", value_words(in->type));
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
