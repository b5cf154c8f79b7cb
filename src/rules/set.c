/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets: `set NAME [type KIND] [ttl TIME] [size N] { item [ttl TIME], file "F", ... }`.
 *
 * A set may hold millions of items, so a file is read through one buffer, line by line: nothing is kept but what it says. Plain IPv4
 * prefixes, which is what long lists are made of, skip the tokens altogether. Everything else in a line, errors included, goes the
 * way of all other text, with the line as its own small source.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rules/parser.h"

#define READ_SIZE 65536 /* and the longest line */

/* A word with a dot and a letter that no address has. */
static bool looks_like_name(struct word word)
{
	bool dot = false, letter = false;

	for (size_t i = 0; i < word.len; i++) {
		char c = word.text[i];

		if (c == ':' || c == '/')
			return false;
		dot = dot || c == '.';
		letter = letter || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
	}
	return dot && letter;
}

/* Does ` . ` follow the token? */
static bool tuple_follows(const struct parser *parser)
{
	struct rules_error ignored;
	struct lexer ahead = parser->lexer;

	ahead.error = &ignored;
	return lexer_next(&ahead) == 0 && ahead.token.kind == TOKEN_WORD && ahead.token.len == 1 &&
	       ahead.source->text[ahead.token.at] == '.';
}

/* What the first item of a set says about all of them. */
static enum list_kind item_kind(const struct parser *parser, struct word word)
{
	if (looks_like_name(word))
		return LIST_NAMES;
	if (!literal_is_address(word))
		return LIST_RANGES;
	return tuple_follows(parser) ? LIST_TUPLES : LIST_PREFIXES;
}

static int add_value(struct parser *parser, struct set *set, const union value *value, uint32_t ttl_s)
{
	int r = set_add(set, value, ttl_s);

	return r == -E2BIG ? fail(parser, "set `%s` has more than %u items", set->name, SET_ITEMS_MAX) : r;
}

/* The item at the token, and `ttl TIME` behind it. */
static int add_item(struct parser *parser, struct set *set)
{
	static const enum value_type types[LIST_KIND_COUNT] = {
		[LIST_PREFIXES] = VALUE_ADDR,
		[LIST_RANGES] = VALUE_SET_NUMBER,
		[LIST_TUPLES] = VALUE_SET_TUPLE,
		[LIST_NAMES] = VALUE_NAME,
	};
	struct qualifiers in = { 0 };
	struct word word = token_word(parser);
	union value one;
	struct list list = { .values = &one };
	uint32_t ttl_s = 0;
	int r;

	if (set->kind == LIST_EMPTY)
		set->kind = item_kind(parser, word);
	if ((set->kind == LIST_RANGES && literal_is_address(word)) || (set->kind == LIST_PREFIXES && !literal_is_address(word)))
		return fail(parser, "set `%s` holds %s: `%.*s` is none", set->name,
			    set->kind == LIST_PREFIXES ? "addresses" : "numbers", WORD_ARG(word));
	in.type = types[set->kind];
	r = parse_list_value(parser, &in, &list);
	if (r == 0 && at_word(parser, "ttl")) {
		r = next(parser);
		if (r == 0)
			r = parse_duration(parser, &ttl_s);
	}
	return r < 0 ? r : add_value(parser, set, &list.values[0], ttl_s);
}

/* One line of a file, as a text of its own. */
static int parse_line(struct parser *lines, const struct source *source, struct set *set)
{
	char buffer[FOUND_MAX];
	int r;

	lexer_init(&lines->lexer, source, lines->error);
	lines->in_braces = true;
	r = next(lines);
	if (r < 0 || at_kind(lines, TOKEN_END))
		return r;
	if (!at_kind(lines, TOKEN_WORD))
		return fail(lines, "expected one item a line, found %s", parser_found(lines, buffer));
	r = add_item(lines, set);
	if (r == 0 && !at_kind(lines, TOKEN_END))
		return fail(lines, "expected one item a line, found %s behind it", parser_found(lines, buffer));
	return r;
}

/* A whole line that is one plain prefix. */
static bool add_plain_line(struct set *set, const char *line, size_t len)
{
	struct word word = { line, len };
	union value value = { 0 };

	if ((set->kind != LIST_PREFIXES && set->kind != LIST_EMPTY) || !literal_plain_prefix(word, &value.prefix))
		return false;
	if (set->kind == LIST_EMPTY && !literal_is_address(word))
		return false;
	set->kind = LIST_PREFIXES;
	return set_add(set, &value, 0) == 0;
}

/* The lines in `text`, all whole. Returns 0 or the first error. */
static int parse_lines(struct parser *lines, struct source *source, const char *text, size_t len, struct set *set)
{
	const char *end = text + len;
	int r = 0;

	while (text < end && r == 0) {
		const char *line_end = memchr(text, '\n', (size_t)(end - text));

		if (!line_end)
			line_end = end;
		source->text = text;
		source->len = (size_t)(line_end - text);
		if (source->len && source->text[source->len - 1] == '\r')
			source->len--;
		if (source->len && !add_plain_line(set, source->text, source->len))
			r = parse_line(lines, source, set);
		source->lines_before++;
		text = line_end + 1;
	}
	return r;
}

int parse_items(struct parser *parser, const char *text, size_t len, struct set *set)
{
	struct source source = { .file = parser->rules->source.file };

	return parse_lines(parser, &source, text, len, set);
}

/* All lines of the file; `parser` is where it is named. */
static int read_lines(struct parser *parser, int fd, struct source *source, char *buffer, struct set *set)
{
	struct parser lines = { .rules = parser->rules, .error = parser->error };
	size_t have = 0, total = 0;
	ssize_t n;
	int r = 0;

	for (;;) {
		size_t whole;

		n = read(fd, buffer + have, READ_SIZE - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(parser, "cannot read %.200s: %s", source->file, strerror(errno));
		total += (size_t)n;
		have += (size_t)n;
		for (whole = n ? have : 0; whole > 0 && buffer[whole - 1] != '\n'; whole--)
			;
		if (n == 0)
			whole = have;
		r = parse_lines(&lines, source, buffer, whole, set);
		if (r < 0 || n == 0)
			return r;
		have -= whole;
		memmove(buffer, buffer + whole, have);
		if (have == READ_SIZE)
			return fail(parser, "%.200s: line %u is longer than %u bytes", source->file, source->lines_before + 1,
				    READ_SIZE - 1);
		if (total > TEXT_MAX)
			return fail(parser, "%.200s is longer than %u MiB", source->file, TEXT_MAX >> 20);
	}
}

static int read_set_file(struct parser *parser, const char *path, struct set *set)
{
	bool in = strcmp(path, "-") == 0;
	struct source source = { .file = in ? "stdin" : path };
	char *buffer;
	int fd, r;

	if (in && !strcmp(parser->lexer.source->file, source.file))
		return fail(parser, "the rules come from stdin themselves: name a file");
	fd = in ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return fail(parser, "cannot open %.200s: %s", path, strerror(errno));
	buffer = malloc(READ_SIZE);
	r = buffer ? read_lines(parser, fd, &source, buffer, set) : -ENOMEM;
	free(buffer);
	if (!in)
		close(fd);
	return r;
}

/* file "NAME", the word `file` read before; "-" is stdin */
static int parse_set_file(struct parser *parser, struct set *set)
{
	struct word name;
	char buffer[FOUND_MAX];
	bool absolute;
	char *path;
	int r;

	if (!at_kind(parser, TOKEN_STRING))
		return fail(parser, "expected a file name in \"...\", found %s", parser_found(parser, buffer));
	if (!parser->directory)
		return fail(parser, "`file` is read only where the rules come from a file themselves");
	name = token_word(parser);
	if (name.len <= 2)
		return fail(parser, "this file name is empty");
	absolute = name.text[1] == '/' || (name.len == 3 && name.text[1] == '-');
	if (asprintf(&path, "%s%.*s", absolute ? "" : parser->directory, (int)name.len - 2, name.text + 1) < 0)
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
		return add_item(parser, set);
	}
	r = next(parser);
	return r < 0 ? r : parse_set_file(parser, set);
}

static int parse_set_type(struct parser *parser, struct set *set)
{
	char buffer[FOUND_MAX];

	for (unsigned i = LIST_PREFIXES; i < LIST_KIND_COUNT; i++)
		if (at_word(parser, list_kind_names[i]))
			set->kind = (enum list_kind)i;
	if (set->kind == LIST_EMPTY)
		return fail(parser, "expected `prefixes`, `numbers`, `tuples` or `names`, found %s",
			    parser_found(parser, buffer));
	set->typed = true;
	return next(parser);
}

static int parse_set_size(struct parser *parser, struct set *set)
{
	char message[LITERAL_MESSAGE_MAX], buffer[FOUND_MAX];

	if (!at_kind(parser, TOKEN_WORD))
		return fail(parser, "expected a number of items, found %s", parser_found(parser, buffer));
	if (literal_number(token_word(parser), "number of items", SET_ITEMS_MAX, &set->size, message) < 0)
		return fail(parser, "%s", message);
	if (!set->size)
		return fail(parser, "room for 0 items is none: leave `size` out");
	return next(parser);
}

/* [type KIND] [ttl TIME] [size N] */
static int parse_set_options(struct parser *parser, struct set *set)
{
	char buffer[FOUND_MAX];
	int r = 0;

	while (r == 0 && !at_kind(parser, '{')) {
		bool type = at_word(parser, "type"), ttl = at_word(parser, "ttl"), size = at_word(parser, "size");

		if (!type && !ttl && !size)
			return fail(parser, "expected `{`, found %s", parser_found(parser, buffer));
		if ((type && set->typed) || (ttl && set->ttl_s) || (size && set->size))
			return fail(parser, "`%.*s` stands here already", WORD_ARG(token_word(parser)));
		r = next(parser);
		if (r == 0)
			r = type  ? parse_set_type(parser, set)
			    : ttl ? parse_duration(parser, &set->ttl_s)
				  : parse_set_size(parser, set);
	}
	return r;
}

int parse_set(struct parser *parser, struct statement *statement)
{
	struct rules *rules = parser->rules;
	struct set *set = arena_alloc(&rules->arena, sizeof(*set));
	struct set **sets = arena_grow(&rules->arena, rules->sets, rules->n_sets, sizeof(*sets));
	struct word name = token_word(parser);
	int r;

	if (!set || !sets)
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
	set_register(rules, set); /* now, so that its items are freed with the rules whatever happens */
	statement->set = set;
	r = parse_set_options(parser, set);
	return r < 0 ? r : parse_braces(parser, parse_set_item, set);
}
