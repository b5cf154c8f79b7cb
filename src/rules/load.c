/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rules/parser.h"

#define TEXT_MAX (1u << 20)

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

int load_text(int fd, char **ret_text, size_t *ret_len)
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

	r = load_text(fd, &text, &len);
	if (r == -E2BIG)
		return file_error(file, r, ret_error, "the text is longer than 1 MiB");
	if (r < 0)
		return file_error(file, r, ret_error, "cannot read: %s", strerror(-r));
	directory = strndup(path, slash ? (size_t)(slash - path) + 1 : 0);
	r = directory ? parse(text, len, file, directory, ret_rules, ret_error)
		      : file_error(file, -ENOMEM, ret_error, "out of memory");
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
