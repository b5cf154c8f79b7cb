/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules and sets out of files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rules_text.h"

static void test_load(void **state)
{
	struct rules *rules;

	(void)state;
	assert_int_equal(rules_load("rules/no-such-file", &rules, &error), -ENOENT);
	assert_string_equal(error.file, "rules/no-such-file");
	assert_string_equal(error.message, "cannot open: No such file or directory");
	assert_int_equal(rules_load("rules", &rules, &error), -EISDIR);
	assert_string_equal(error.message, "cannot read: Is a directory");
	assert_null(rules_free(NULL));
}

/* A set file of `len` bytes, through a file or through stdin. Returns what rules_load() does; fills `error`. */
static int load_set(const char *text, size_t len, bool in, struct rules **ret_rules)
{
	char directory[] = "/tmp/test_rules.XXXXXX", rules[64], items[64];
	int r, saved = dup(STDIN_FILENO);
	FILE *out;

	assert_non_null(mkdtemp(directory));
	snprintf(rules, sizeof(rules), "%s/r", directory);
	snprintf(items, sizeof(items), "%s/items", directory);
	out = fopen(rules, "w");
	fprintf(out, "set a { file \"%s\" }\n", in ? "-" : "items");
	fclose(out);
	out = fopen(items, "w");
	fwrite(text, 1, len, out);
	fclose(out);
	if (in)
		assert_non_null(freopen(items, "r", stdin));
	r = rules_load(rules, ret_rules, &error);
	dup2(saved, STDIN_FILENO);
	close(saved);
	unlink(items);
	unlink(rules);
	rmdir(directory);
	return r;
}

/* The lines of a long file, read through one buffer: none is lost or split where the buffer ends. */
static void test_set_file(void **state)
{
	struct text text;
	struct rules *rules;
	char *canonical;
	unsigned commas = 0;

	(void)state;
	for (int in = 0; in <= 1; in++) {
		text_begin(&text);
		for (unsigned i = 0; i < 30000; i++)
			fprintf(text.out, "10.%u.%u.%u\n%s", i >> 16, i >> 8 & 255, i & 255, i % 7 ? "" : "# a comment\n\n");
		fputs("2001:db8::1", text.out); /* no line end */
		fclose(text.out);
		assert_int_equal(load_set(text.text, text.len, in, &rules), 0);
		canonical = printed(rules);
		for (const char *c = canonical; *c; c++)
			commas += *c == ',';
		assert_non_null(strstr(canonical, "10.0.117.47, 2001:db8::1}"));
		free(canonical);
		free(text.text);
		rules_free(rules);
	}
	assert_int_equal(commas, 2 * 30000);
}

static void test_set_file_errors(void **state)
{
	char *line = malloc(70000);
	struct rules *rules;

	(void)state;
	memset(line, '1', 70000);
	assert_int_equal(load_set(line, 70000, false, &rules), -EINVAL);
	assert_non_null(strstr(error.message, "items: line 1 is longer than 65535 bytes"));
	memset(line, '\n', 60000);
	memcpy(line + 60000, "192.0.2.1\n999.1.1.1/33\n", 23);
	assert_int_equal(load_set(line, 60023, true, &rules), -EINVAL);
	assert_string_equal(error.file, "stdin");
	assert_int_equal(error.line, 60002);
	assert_int_equal(error.col, 1);
	assert_string_equal(error.text, "999.1.1.1/33");
	assert_string_equal(error.message, "`999.1.1.1/33` is not an address (names are not looked up)");
	free(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_set_file),
		cmocka_unit_test(test_set_file_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
