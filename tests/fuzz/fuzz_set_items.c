/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Items of a set, one a line. The text itself, a file read through a buffer that ends within a line, and lines that cannot take the
 * short way of plain prefixes give the same set, or the same message about the same place.
 *
 * The first byte chooses the kind that is declared, the second where the buffer of the file's reader ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "replay.h"
#include "rules/ast.h"
#include "rules_check.h"

#define READ_SIZE 65536 /* as in set.c */

struct items {
	struct rules *rules; /* NULL: refused */
	struct rules_error error;
};

static struct items items_parse(const char *text, size_t len, enum list_kind kind)
{
	struct items items = { .rules = NULL };
	int r = rules_parse_items(text, len, "items", "a", kind, &items.rules, &items.error);

	check(r == 0 || r == -EINVAL);
	if (r < 0) {
		items.rules = NULL;
		check_error(&items.error, text, len);
	}
	return items;
}

static int file_new(const char *text, size_t len, char ret_path[32])
{
	int fd = memfd_create("items", MFD_CLOEXEC);

	check(fd >= 0 && write(fd, text, len) == (ssize_t)len);
	sprintf(ret_path, "/proc/self/fd/%d", fd);
	return fd;
}

static struct items items_load(const char *text, size_t len, enum list_kind kind)
{
	static const char *const kinds[LIST_KIND_COUNT] = { "", "type prefixes", "type numbers", "type tuples", "type names" };
	struct items items = { .rules = NULL };
	char path[32], rules[128], rules_path[32];
	int fd = file_new(text, len, path), rules_fd, n, r;

	n = sprintf(rules, "set a %s { file \"%s\" }", kinds[kind], path);
	rules_fd = file_new(rules, (size_t)n, rules_path);
	r = rules_load(rules_path, &items.rules, &items.error);
	check(r == 0 || r == -EINVAL);
	if (r < 0)
		items.rules = NULL;
	close(rules_fd);
	close(fd);
	return items;
}

/* Every line with a blank in front. */
static char *indented(const char *text, size_t len, size_t *ret_len)
{
	char *copy = malloc(2 * len + 1);

	*ret_len = 0;
	for (size_t i = 0; i < len; i++) {
		if (i == 0 || text[i - 1] == '\n')
			copy[(*ret_len)++] = ' ';
		copy[(*ret_len)++] = text[i];
	}
	return copy;
}

static void check_same_set(const struct set *a, const struct set *b)
{
	struct list lists[2] = { { .set = a }, { .set = b } };

	check(a->n == b->n && a->kind == b->kind);
	for (size_t i = 0; i < a->n; i++) {
		union value values[2] = { list_value(&lists[0], i), list_value(&lists[1], i) };

		if (a->kind == LIST_NAMES)
			check(values[0].name.len == values[1].name.len &&
			      !memcmp(values[0].name.bytes, values[1].name.bytes, values[0].name.len));
		else
			check(!memcmp(&values[0], &values[1], sizeof(values[0])));
		check((a->ttls_s ? a->ttls_s[i] : 0) == (b->ttls_s ? b->ttls_s[i] : 0));
	}
}

/* `lines` and `cols`: how much further on the other's places are. */
static void check_same(const struct items *a, const struct items *b, unsigned lines, unsigned cols)
{
	check(!a->rules == !b->rules);
	if (a->rules) {
		check_same_set(a->rules->sets[0], b->rules->sets[0]);
		return;
	}
	check(!strcmp(a->error.message, b->error.message));
	check(a->error.line + lines == b->error.line && a->error.col + cols == b->error.col && a->error.width == b->error.width);
}

/* Behind so many empty lines that the first buffer of the file's reader ends `at` bytes within. */
static void check_file(const struct items *items, const char *text, size_t len, size_t at, enum list_kind kind)
{
	size_t lines = READ_SIZE - at;
	char *file = malloc(lines + len + 1);
	struct items loaded;

	memset(file, '\n', lines);
	memcpy(file + lines, text, len);
	loaded = items_load(file, lines + len, kind);
	check_same(items, &loaded, (unsigned)lines, 0);
	rules_free(loaded.rules);
	free(file);
}

static void check_indented(const struct items *items, const char *text, size_t len, enum list_kind kind)
{
	struct items slow;
	size_t slow_len;
	char *lines = indented(text, len, &slow_len);

	slow = items_parse(lines, slow_len, kind);
	check_same(items, &slow, 0, 1);
	rules_free(slow.rules);
	free(lines);
}

/* An editor's mark is one in front of a text only, and has a message of its own there. */
static bool is_marked(const char *text, size_t len)
{
	return len >= 2 && (!memcmp(text, "\xef\xbb", 2) || !memcmp(text, "\xfe\xff", 2) || !memcmp(text, "\xff\xfe", 2));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 2;
	enum list_kind kind;
	struct items items;
	size_t len;

	if (size < 2 || size > READ_SIZE / 2)
		return 0;
	len = size - 2;
	kind = data[0] % LIST_KIND_COUNT;
	items = items_parse(text, len, kind);
	if (!is_marked(text, len)) {
		check_file(&items, text, len, data[1] < len ? data[1] : len, kind);
		check_indented(&items, text, len, kind);
	}
	rules_free(items.rules);
	return 0;
}
