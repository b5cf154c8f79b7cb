/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "rules/parser.h"

#define NAME_MAX_LEN 63
#define QUEUES_MAX 4096

int parse_name(struct parser *parser, const char *what, const char **ret_name)
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

int parse_duration(struct parser *parser, uint32_t *ret_s)
{
	char message[LITERAL_MESSAGE_MAX], buffer[FOUND_MAX];

	if (!at_kind(parser, TOKEN_WORD))
		return fail(parser, "expected a time such as 10m, found %s", parser_found(parser, buffer));
	if (literal_duration(token_word(parser), ret_s, message) < 0)
		return fail(parser, "%s", message);
	return next(parser);
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
	if (r == 0 && rule->overload_list.set && rule->overload_list.set->kind == LIST_TUPLES)
		return parser_fail(parser, &list, "an overload list holds addresses: set `%s` holds tuples",
				   rule->overload_list.set->name);
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
	if (literal_one_in(word, &rule->overload_n, message) < 0)
		return fail(parser, "%s", message);
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

static int parse_queue(struct parser *parser, struct rule *rule)
{
	char message[LITERAL_MESSAGE_MAX], buffer[FOUND_MAX];
	uint32_t queue;

	if (!at_kind(parser, TOKEN_WORD))
		return fail(parser, "expected the number of a queue, found %s", parser_found(parser, buffer));
	if (literal_number(token_word(parser), "queue", QUEUES_MAX - 1, &queue, message) < 0)
		return fail(parser, "%s", message);
	rule->queue = (int)queue;
	return next(parser);
}

/* [queue N] [to PROGRAM] [overload ...], in any order */
static int parse_divert(struct parser *parser, struct rule *rule)
{
	bool overload = false;
	int r = 0;

	while (r == 0) {
		if (at_word(parser, "queue") && rule->queue < 0) {
			r = next(parser);
			if (r == 0)
				r = parse_queue(parser, rule);
		} else if (at_word(parser, "to") && !rule->program) {
			r = next(parser);
			if (r == 0)
				r = parse_name(parser, "program", &rule->program);
		} else if (at_word(parser, "overload") && !overload) {
			overload = true;
			r = parse_overload(parser, rule);
		} else {
			return 0;
		}
	}
	return r;
}

/* src/LEN4/LEN6 behind `per`: one length means a host's, or a network's, twice as long in IPv6. */
static int parse_per(struct parser *parser, struct rule *rule)
{
	struct word word = token_word(parser), parts[2] = { { 0 } };
	const char *slash = at_kind(parser, TOKEN_WORD) ? memchr(word.text, '/', word.len) : NULL;
	struct word side = { word.text, slash ? (size_t)(slash - word.text) : word.len };
	char message[LITERAL_MESSAGE_MAX], buffer[FOUND_MAX];
	uint32_t lens[2] = { 32, 64 };

	if (!at_kind(parser, TOKEN_WORD) || (!word_is(side, "src") && !word_is(side, "dst")))
		return fail(parser, "expected `src` or `dst`, with a prefix length as in src/24, found %s",
			    parser_found(parser, buffer));
	for (int i = 0; i < 2 && slash; i++) {
		const char *end = word.text + word.len, *next_slash = memchr(slash + 1, '/', (size_t)(end - slash - 1));

		parts[i] = (struct word){ slash + 1, (size_t)((next_slash ? next_slash : end) - slash - 1) };
		if (!parts[i].len || (i == 1 && next_slash))
			return fail(parser, "`%.*s`: write src/LENGTH or src/LENGTH4/LENGTH6", WORD_ARG(word));
		if (literal_number(parts[i], i ? "IPv6 prefix length" : "IPv4 prefix length", i ? 128 : 32, &lens[i], message) <
		    0)
			return fail(parser, "%s", message);
		slash = next_slash;
	}
	if (parts[0].len && !parts[1].len)
		lens[1] = 2 * lens[0];
	rule->per = word_is(side, "src") ? LIMIT_PER_SRC : LIMIT_PER_DST;
	rule->per_len4 = (uint8_t)lens[0];
	rule->per_len6 = (uint8_t)lens[1];
	return next(parser);
}

static int parse_scaled(struct parser *parser, const char *what, uint64_t *ret)
{
	char message[LITERAL_MESSAGE_MAX], buffer[FOUND_MAX];

	if (!at_kind(parser, TOKEN_WORD))
		return fail(parser, "expected a %s, found %s", what, parser_found(parser, buffer));
	if (literal_scaled(token_word(parser), what, ret, message) < 0)
		return fail(parser, "%s", message);
	return next(parser);
}

/* N pps|bps [burst M] [per src|dst[/LEN]] */
static int parse_limit(struct parser *parser, struct rule *rule)
{
	char buffer[FOUND_MAX];
	int r;

	r = parse_scaled(parser, "rate", &rule->rate);
	if (r < 0)
		return r;
	if (!at_word(parser, "pps") && !at_word(parser, "bps"))
		return fail(parser, "expected `pps` or `bps` behind the rate, found %s", parser_found(parser, buffer));
	rule->unit = at_word(parser, "pps") ? LIMIT_PPS : LIMIT_BPS;
	r = next(parser);
	if (r == 0 && at_word(parser, "burst")) {
		r = next(parser);
		if (r == 0)
			r = parse_scaled(parser, "burst", &rule->burst);
	}
	if (r == 0 && at_word(parser, "per")) {
		r = next(parser);
		if (r == 0)
			r = parse_per(parser, rule);
	}
	return r;
}

/* 1/N */
static int parse_sample(struct parser *parser, struct rule *rule)
{
	char message[LITERAL_MESSAGE_MAX], buffer[FOUND_MAX];

	if (!at_kind(parser, TOKEN_WORD))
		return fail(parser, "expected `1/N`, one packet in N, found %s", parser_found(parser, buffer));
	if (literal_one_in(token_word(parser), &rule->sample_n, message) < 0)
		return fail(parser, "%s", message);
	return next(parser);
}

/* What stands between an action and its match. */
static int parse_action(struct parser *parser, struct rule *rule)
{
	if (at_word(parser, "overload") && rule->action != ACTION_DIVERT)
		return fail(parser, "only `divert` can be overloaded");
	switch (rule->action) {
	case ACTION_DIVERT:
		return parse_divert(parser, rule);
	case ACTION_LIMIT:
		return parse_limit(parser, rule);
	case ACTION_SAMPLE:
		return parse_sample(parser, rule);
	default:
		return 0;
	}
}

/* One of `name WORD`, `ttl TIME`, `log`, if it is there and was not before. */
static int parse_option(struct parser *parser, struct rule *rule, bool *ret_found)
{
	bool name = at_word(parser, "name"), ttl = at_word(parser, "ttl"), log = at_word(parser, "log");
	int r;

	*ret_found = name || ttl || log;
	if (name && rule->name)
		return fail(parser, "the rule has a name already");
	if ((ttl && rule->ttl_s) || (log && rule->log))
		return fail(parser, "`%s` stands here already", ttl ? "ttl" : "log");
	if (!*ret_found)
		return 0;
	r = next(parser);
	if (r < 0)
		return r;
	if (name)
		return parse_name(parser, "rule", &rule->name);
	if (ttl)
		return parse_duration(parser, &rule->ttl_s);
	rule->log = true;
	return 0;
}

/* Behind the match. */
static int parse_options(struct parser *parser, struct rule *rule)
{
	static const char *const words[] = { "and", "or", "name", "ttl", "log" };
	char buffer[FOUND_MAX], meant[FOUND_MAX];
	bool found = true;
	int r = 0;

	while (r == 0 && found)
		r = parse_option(parser, rule, &found);
	if (r < 0 || at_end(parser))
		return r;
	if (at_kind(parser, ')'))
		return fail(parser, "this `)` closes nothing");
	if (rule->name || rule->ttl_s || rule->log)
		return fail(parser, "expected `name`, `ttl`, `log` or the end of the statement, found %s",
			    parser_found(parser, buffer));
	return fail(parser, "expected `and`, `or`, `name`, `ttl`, `log` or the end of the statement, found %s%s",
		    parser_found(parser, buffer),
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

/* ACTION [what belongs to it] MATCH [options] */
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
	rule->queue = -1;
	statement->rule = rule;
	rules->rules = grown;
	if (rules->n_rules == RULES_MAX)
		return parser_fail(parser, start, "more than %u rules: lists of addresses or ports belong into sets", RULES_MAX);
	r = parse_action(parser, rule);
	if (r == 0)
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
	static const char *const words[] = { "set", "on", "allow", "drop", "limit", "count", "sample", "divert", "pass" };
	struct word word = { parser->lexer.source->text + start->at, start->len };
	char buffer[FOUND_MAX];

	if (start->kind != TOKEN_WORD)
		return parser_fail(
			parser, start,
			"expected a statement (set, on, allow, drop, limit, count, sample, divert, pass), found `%.*s`",
			WORD_ARG(word));
	parser_suggest(word, words, COUNT_OF(words), buffer);
	return parser_fail(parser, start, "`%.*s` is not a statement%s", WORD_ARG(word),
			   *buffer ? buffer : ": set, on, allow, drop, limit, count, sample, divert or pass");
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
	if (word_is(word, "set")) {
		*ret_statement = statement_new(parser, STATEMENT_SET, &start);
		return *ret_statement ? parse_set(parser, *ret_statement) : -ENOMEM;
	}
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
