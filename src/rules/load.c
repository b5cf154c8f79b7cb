/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rules/parser.h"

#define READ_FIRST 65536
#define TOO_LONG "the text is longer than 256 MiB"

/* Takes `text` over, freed here on an error too: messages show its lines as long as the rule set lives. */
static int new_rules(char *text, size_t len, const char *file, struct rules **ret_rules)
{
	struct rules *rules = calloc(1, sizeof(*rules));

	if (!rules) {
		free(text);
		return -ENOMEM;
	}
	rules->default_action = ACTION_PASS;
	rules->text = text;
	rules->source = (struct source){ .text = text, .len = len, .file = arena_copy(&rules->arena, file, strlen(file)) };
	if (!rules->source.file) {
		rules_free(rules);
		return -ENOMEM;
	}
	*ret_rules = rules;
	return 0;
}

/* The text of each rule, one behind the other in one buffer: opening a stream for each would take longer than parsing. */
static int rule_texts(struct rules *rules)
{
	size_t *starts = malloc((rules->n_rules + 1) * sizeof(*starts));
	char *text = NULL, *kept = NULL;
	size_t len;
	FILE *out = starts ? open_memstream(&text, &len) : NULL;

	for (size_t i = 0; out && i < rules->n_rules; i++) {
		starts[i] = (size_t)ftello(out);
		statement_print(rules->rules[i]->statement, out);
		fputc('\0', out);
	}
	if (out && fclose(out) == 0)
		kept = arena_copy(&rules->arena, text, len);
	for (size_t i = 0; kept && i < rules->n_rules; i++)
		rules->rules[i]->text = kept + starts[i];
	free(text);
	free(starts);
	return kept ? 0 : -ENOMEM;
}

/* Takes `text` over. */
static int parse(char *text, size_t len, const char *file, const char *directory, struct rules **ret_rules,
		 struct rules_error *ret_error)
{
	struct parser parser = { .directory = directory, .error = ret_error };
	struct rules *rules;
	int r;

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

int load_text(int fd, char **ret_text, size_t *ret_len)
{
	size_t len = 0, room = 0;
	char *text = NULL;
	ssize_t n;

	do {
		if (len == room) {
			char *grown = realloc(text, room ? 2 * room : READ_FIRST);

			if (!grown) {
				free(text);
				return -ENOMEM;
			}
			text = grown;
			room = room ? 2 * room : READ_FIRST;
		}
		n = read(fd, text + len, room - len);
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

/* Where the blanks at `at` end. */
static size_t skip_blanks(const char *text, size_t len, size_t at)
{
	while (at < len && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r'))
		at++;
	return at;
}

/* A text of statements never starts with a brace and a quote. */
static bool is_json(const char *text, size_t len)
{
	size_t at = skip_blanks(text, len, 0);

	if (at == len || text[at] != '{')
		return false;
	at = skip_blanks(text, len, at + 1);
	return at < len && (text[at] == '"' || text[at] == '}');
}

int rules_parse(const char *text, size_t len, const char *file, struct rules **ret_rules, struct rules_error *ret_error)
{
	char *copy;

	if (len > TEXT_MAX)
		return file_error(file, -E2BIG, ret_error, TOO_LONG);
	if (is_json(text, len))
		return rules_parse_json(text, len, file, ret_rules, ret_error);
	copy = malloc(len ? len : 1);
	if (!copy)
		return file_error(file, -ENOMEM, ret_error, "out of memory");
	memcpy(copy, text, len);
	return parse(copy, len, file, NULL, ret_rules, ret_error);
}

static int items(struct rules *rules, const char *text, size_t len, const char *name, enum list_kind kind,
		 struct rules_error *ret_error)
{
	struct parser parser = { .rules = rules, .error = ret_error };
	struct set *set = arena_alloc(&rules->arena, sizeof(*set));

	rules->sets = arena_alloc(&rules->arena, sizeof(*rules->sets));
	if (!set || !rules->sets)
		return -ENOMEM;
	set->name = arena_copy(&rules->arena, name, strlen(name));
	if (!set->name)
		return -ENOMEM;
	set->kind = kind;
	set_register(rules, set);
	return parse_items(&parser, text, len, set);
}

int rules_parse_items(const char *text, size_t len, const char *file, const char *name, enum list_kind kind,
		      struct rules **ret_rules, struct rules_error *ret_error)
{
	struct rules *rules;
	int r = new_rules(NULL, 0, file, &rules);

	if (r < 0)
		return file_error(file, r, ret_error, "out of memory");
	r = items(rules, text, len, name, kind, ret_error);
	if (r < 0) {
		rules_free(rules);
		return r == -ENOMEM ? file_error(file, r, ret_error, "out of memory") : r;
	}
	*ret_rules = rules;
	return 0;
}

static int load_fd(int fd, const char *path, const char *file, struct rules **ret_rules, struct rules_error *ret_error)
{
	const char *slash = strrchr(path, '/');
	char *directory, *text;
	size_t len;
	int r;

	r = load_text(fd, &text, &len);
	if (r == -E2BIG)
		return file_error(file, r, ret_error, TOO_LONG);
	if (r < 0)
		return file_error(file, r, ret_error, "cannot read: %s", strerror(-r));
	if (is_json(text, len)) {
		r = rules_parse_json(text, len, file, ret_rules, ret_error);
		free(text);
		return r;
	}
	directory = strndup(path, slash ? (size_t)(slash - path) + 1 : 0);
	if (!directory) {
		free(text);
		return file_error(file, -ENOMEM, ret_error, "out of memory");
	}
	r = parse(text, len, file, directory, ret_rules, ret_error);
	free(directory);
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
		for (size_t i = 0; i < rules->n_sets; i++) {
			free(rules->sets[i]->items);
			free(rules->sets[i]->ttls_s);
		}
		free(rules->text);
		arena_fini(&rules->arena);
		free(rules);
	}
	return NULL;
}
