/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rules/parser.h"

#define NAME_MAX_LEN 63
#define SAMPLE_MAX 1000000
#define SET_ITEMS_MAX 65536u

static int add_set_value(struct parser *parser, struct set *set)
{
	struct qualifiers in = { .type = VALUE_SET_NUMBER };
	struct word word = token_word(parser);
	enum list_kind kind = literal_is_address(word) ? LIST_PREFIXES : LIST_RANGES;

	if (set->kind != LIST_EMPTY && set->kind != kind)
		return fail(parser, "set `%s` holds %s: `%.*s` is none", set->name,
			    set->kind == LIST_PREFIXES ? "addresses" : "numbers", WORD_ARG(word));
	if (set->list.n == SET_ITEMS_MAX)
		return fail(parser, "set `%s` has more than %u items, which no image has room for", set->name, SET_ITEMS_MAX);
	set->kind = kind;
	if (kind == LIST_PREFIXES)
		in.type = VALUE_ADDR;
	return parse_list_value(parser, &in, &set->list);
}

/* One item a line; blank lines and # comments between. */
static int parse_set_lines(struct parser *parser, struct set *set)
{
	char buffer[FOUND_MAX];
	int r;

	r = next(parser);
	while (r == 0 && !at_kind(parser, TOKEN_END)) {
		if (at_kind(parser, TOKEN_BREAK)) {
			r = next(parser);
			continue;
		}
		if (!at_kind(parser, TOKEN_WORD))
			return fail(parser, "expected one address or number a line, found %s", parser_found(parser, buffer));
		r = add_set_value(parser, set);
		if (r == 0 && !at_end(parser))
			return fail(parser, "expected one address or number a line, found %s behind it",
				    parser_found(parser, buffer));
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
	r = load_text(fd, &text, &source.len);
	close(fd);
	if (r == -E2BIG)
		return fail(parser, "%.200s is longer than 1 MiB", path);
	if (r < 0 && r != -ENOMEM)
		return fail(parser, "cannot read %.200s: %s", path, strerror(-r));
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
	char buffer[FOUND_MAX];
	char *path;
	int r;

	if (!at_kind(parser, TOKEN_STRING))
		return fail(parser, "expected a file name in \"...\", found %s", parser_found(parser, buffer));
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
	char buffer[FOUND_MAX];
	int r;

	if (!at_word(parser, "file")) {
		if (!at_kind(parser, TOKEN_WORD))
			return fail(parser, "expected an address, a number or `file`, found %s", parser_found(parser, buffer));
		return add_set_value(parser, set);
	}
	r = next(parser);
	return r < 0 ? r : parse_set_file(parser, set);
}

/* Names of sets and rules. */
static int parse_name(struct parser *parser, const char *what, const char **ret_name)
{
	struct word word = token_word(parser);
	char buffer[FOUND_MAX];

	if (!at_kind(parser, TOKEN_WORD))
		return fail(parser, "expected the name of the %s, found %s", what, parser_found(parser, buffer));
	if (word.len > NAME_MAX_LEN)
		return fail(parser, "the name of a %s has at most %d characters", what, NAME_MAX_LEN);
	for (size_t i = 0; i < word.len; i++)
		if (strchr("/:@*\\", word.text[i]) || (i == 0 && strchr("-._", word.text[i])))
			return fail(parser, "`%.*s`: a name has letters, digits, - _ . and starts with a letter or digit",
				    WORD_ARG(word));
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
	struct word name = token_word(parser);
	char buffer[FOUND_MAX];
	int r;

	if (!statement || !set || !sets)
		return -ENOMEM;
	rules->sets = sets;
	if (rules->n_sets == SETS_MAX)
		return fail(parser, "more than %d sets", SETS_MAX);
	if (at_set(parser))
		return fail(parser, "the `@` stands only where a set is used");
	if (at_kind(parser, TOKEN_WORD) && set_find(rules, name))
		return fail(parser, "set `%.*s` exists already", WORD_ARG(name));
	r = parse_name(parser, "set", &set->name);
	if (r < 0)
		return r;
	if (!at_kind(parser, '{'))
		return fail(parser, "expected `{`, found %s", parser_found(parser, buffer));
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
	static const char *const names[] = { "fragment", "unparsed", "truncated" };
	struct statement *statement = statement_new(parser, STATEMENT_ON, start);
	char buffer[FOUND_MAX], meant[FOUND_MAX];
	int r;

	if (!statement)
		return -ENOMEM;
	for (unsigned i = CONDITION_NONE + 1; i < CONDITION_COUNT; i++)
		if (at_word(parser, condition_names[i]))
			statement->condition = (enum pkt_condition)i;
	if (statement->condition == CONDITION_NONE)
		return fail(parser, "expected `fragment`, `unparsed` or `truncated`, found %s%s", parser_found(parser, buffer),
			    at_kind(parser, TOKEN_WORD) ? parser_suggest(token_word(parser), names, COUNT_OF(names), meant) : "");
	if (parser->rules->policy[statement->condition])
		return fail(parser, "`on %s` is decided already, further up", condition_names[statement->condition]);
	r = next(parser);
	if (r < 0)
		return r;
	if (!at_word(parser, "pass") && !at_word(parser, "drop"))
		return fail(parser, "expected `pass` or `drop`, found %s", parser_found(parser, buffer));
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

	if (!at_kind(parser, '{') && !at_set(parser))
		return fail(parser, "expected a list {ADDRESS, ...} or @set behind `overload allow`");
	r = parse_list(parser, &in, &rule->overload_list);
	if (r == 0 && rule->overload_list.n > IMAGE_OVERLOAD_MAX)
		return parser_fail(parser, &list, "%zu prefixes on an overload list: at most %u", rule->overload_list.n,
				   IMAGE_OVERLOAD_MAX);
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
	char buffer[FOUND_MAX];
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
		return fail(parser, "expected `drop`, `pass`, `pass 1/N` or `allow {...}`, found %s",
			    parser_found(parser, buffer));
	r = next(parser);
	if (r < 0 || policy == OVERLOAD_DROP)
		return r;
	return policy == OVERLOAD_ALLOW ? parse_overload_allow(parser, rule) : parse_overload_sample(parser, rule);
}

/* `name WORD` behind the match */
static int parse_options(struct parser *parser, struct rule *rule)
{
	static const char *const words[] = { "and", "or", "name" };
	char buffer[FOUND_MAX], meant[FOUND_MAX];
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
		return fail(parser, "expected the end of the statement, found %s", parser_found(parser, buffer));
	return fail(parser, "expected `and`, `or`, `name` or the end of the statement, found %s%s", parser_found(parser, buffer),
		    at_kind(parser, TOKEN_WORD) ? parser_suggest(token_word(parser), words, COUNT_OF(words), meant) : "");
}

/* Bare `pass` and `drop`: the default verdict. */
static int parse_default(struct parser *parser, const struct token *start, enum rule_action action,
			 struct statement **ret_statement)
{
	struct statement *statement = statement_new(parser, STATEMENT_DEFAULT, start);

	if (!statement)
		return -ENOMEM;
	if (action != ACTION_PASS && action != ACTION_DROP)
		return parser_fail(parser, start,
				   "`%s` needs a match; only `pass` and `drop` stand alone, as the default verdict",
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
	r = parse_match(parser, &rule->match);
	if (r == 0)
		r = parse_options(parser, rule);
	if (r < 0)
		return r;
	grown[rules->n_rules++] = rule;
	*ret_statement = statement;
	return 0;
}

static int parse_unknown(struct parser *parser, const struct token *start)
{
	static const char *const words[] = { "set", "on", "allow", "drop", "count", "divert", "pass" };
	struct word word = { parser->lexer.source->text + start->at, start->len };
	char buffer[FOUND_MAX];

	if (start->kind != TOKEN_WORD)
		return parser_fail(parser, start,
				   "expected a statement (set, on, allow, drop, count, divert, pass), found `%.*s`",
				   WORD_ARG(word));
	parser_suggest(word, words, COUNT_OF(words), buffer);
	return parser_fail(parser, start, "`%.*s` is not a statement%s", WORD_ARG(word),
			   *buffer ? buffer : ": set, on, allow, drop, count, divert or pass");
}

static int parse_statement(struct parser *parser, struct statement **ret_statement)
{
	struct token start = parser->lexer.token;
	struct word word = token_word(parser);
	int r;

	if (start.kind != TOKEN_WORD)
		return parse_unknown(parser, &start);
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
		return at_end(parser) ? parse_default(parser, &start, (enum rule_action)i, ret_statement)
				      : parse_rule(parser, &start, (enum rule_action)i, ret_statement);
	}
	return parse_unknown(parser, &start);
}

/* Add what was read to the set of statements, in which the default verdict comes last. */
static int add_statement(struct parser *parser, struct statement *statement)
{
	struct rules *rules = parser->rules;
	struct statement **statements = arena_grow(&rules->arena, rules->statements, rules->n_statements, sizeof(*statements));
	const struct statement *last = rules->n_statements ? rules->statements[rules->n_statements - 1] : NULL;
	char buffer[FOUND_MAX];

	if (!statements)
		return -ENOMEM;
	rules->statements = statements;
	statement->len = parser->end - statement->at;
	if (last && last->kind == STATEMENT_DEFAULT)
		return source_error(&rules->source, last->at, last->len, parser->error,
				    "`%s` without a match is the default verdict: it has to be the last statement",
				    action_names[last->action]);
	statements[rules->n_statements++] = statement;
	if (!at_end(parser))
		return fail(parser, "expected the end of the statement, found %s", parser_found(parser, buffer));
	return 0;
}

int parse_text(struct parser *parser)
{
	int r;

	r = next(parser);
	while (r == 0 && !at_kind(parser, TOKEN_END)) {
		struct statement *statement = NULL;

		if (at_kind(parser, TOKEN_BREAK)) {
			r = next(parser);
			continue;
		}
		r = parse_statement(parser, &statement);
		if (r == 0)
			r = add_statement(parser, statement);
	}
	return r;
}
