/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * As large as a rule set may be, and one more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rules_text.h"

static void test_text_size(void **state)
{
	size_t limit = 256 << 20;
	char *text = calloc(1, limit + 1); /* the pages are never touched */
	struct rules *rules;

	(void)state;
	assert_int_equal(rules_parse(text, limit + 1, "text", &rules, &error), -E2BIG);
	assert_string_equal(error.message, "the text is longer than 256 MiB");
	assert_int_equal(error.line, 0);
	assert_int_equal(rules_parse_json(text, (32 << 20) + 1, "text", &rules, &error), -E2BIG);
	assert_string_equal(error.message, "a document is longer than 32 MiB: write such rules as text");
	free(text);
}

static void test_rules_text_max(void **state)
{
	struct rules *rules;
	struct text text;

	(void)state;
	repeat(text_begin(&text), 131072, "count udp\n");
	assert_int_equal(text_parse(&text, &rules), 0);
	assert_int_equal(rules_count(rules), 131072);
	assert_string_equal(rules_info(rules, 131071).text, "count udp");
	rules_free(rules);
	repeat(text_begin(&text), 131073, "count udp\n");
	assert_int_equal(text_parse(&text, &rules), -EINVAL);
	assert_int_equal(error.line, 131073);
	assert_string_equal(error.message, "more than 131072 rules: lists of addresses or ports belong into sets");
}

/* Parse `text`, then build: the error has to be about `line`, or 0: none. */
static void check_build(struct text *text, unsigned line, const char *message)
{
	struct image *image = NULL;
	struct rules *rules;
	int r;

	assert_int_equal(text_parse(text, &rules), 0);
	r = image_build(rules, 1, NULL, &image, &error);
	assert_int_equal(r, line ? -E2BIG : 0);
	if (line) {
		assert_int_equal(error.line, line);
		assert_string_equal(error.message, message);
	} else {
		assert_int_equal(image_check(image, image->bytes), 0);
	}
	image_free(image);
	rules_free(rules);
}

static void test_rules_max(void **state)
{
	struct text text;

	(void)state;
	repeat(text_begin(&text), IMAGE_RULES_MAX, "count udp\n");
	check_build(&text, 0, NULL);
}

/* `n` lengths that only a program of questions can ask for. */
static void print_lengths(FILE *out, unsigned n)
{
	fputs("count len {", out);
	for (unsigned i = 0; i < n; i++)
		fprintf(out, "%u,", 2 * i + 1);
	fputs("}\n", out);
}

static void test_steps_max(void **state)
{
	struct text text;

	(void)state;
	print_lengths(text_begin(&text), IMAGE_STEPS_RULE_MAX - 2); /* and yes, and no */
	check_build(&text, 0, NULL);
	fputs("count udp\n", text_begin(&text));
	print_lengths(text.out, IMAGE_STEPS_RULE_MAX - 1);
	check_build(&text, 2, "too many questions: this rule is the first that does not fit; split it into several");
}

/* Names asked again, and names that are the end of others, stand in the pool once. */
static void test_names_shared(void **state)
{
	struct image *image;
	struct rules *rules;
	struct text text;

	(void)state;
	text_begin(&text);
	for (unsigned i = 0; i < 200; i++)
		fprintf(text.out, "count dns name under %s.example or dns name www.%s.example\n",
			"a23456789012345678901234567890", "a23456789012345678901234567890");
	assert_int_equal(text_parse(&text, &rules), 0);
	assert_int_equal(image_build(rules, 1, NULL, &image, &error), 0);
	assert_int_equal(image->n_names, 44);
	image_free(image);
	rules_free(rules);
}

static void test_depth_max(void **state)
{
	struct rules *rules;
	char *deepest;
	struct text text;

	(void)state;
	for (unsigned depth = 64; depth <= 65; depth++) {
		text_begin(&text);
		fputs("drop ", text.out);
		repeat(text.out, depth, "(");
		fputs("udp", text.out);
		repeat(text.out, depth, ")");
		assert_int_equal(text_parse(&text, &rules), depth == 64 ? 0 : -EINVAL);
		if (depth == 64)
			rules_free(rules);
	}
	assert_string_equal(error.message, "nested deeper than 64 levels");
	assert_int_equal(error.col, 6 + 64);

	repeat(text_begin(&text), 100000, "not ");
	assert_int_equal(text_parse(&text, &rules), -EINVAL);

	for (unsigned pairs = 31; pairs <= 32; pairs++) {
		fputs("drop udp", text_begin(&text));
		repeat(text.out, pairs, " and tcp or ip");
		repeat(text.out, 1, " and arp");
		assert_int_equal(text_parse(&text, &rules), pairs == 31 ? 0 : -EINVAL);
		if (pairs == 31)
			rules_free(rules);
	}
	assert_string_equal(error.message,
			    "`not`, `and` and `or` alternate through more than 64 levels: use lists or several rules");

	fputs("drop ", text_begin(&text)); /* would print with more levels than may be read */
	repeat(text.out, 30, "not (");
	fputs("udp", text.out);
	repeat(text.out, 25, " and tcp or ip");
	repeat(text.out, 30, ")");
	assert_int_equal(text_parse(&text, &rules), -EINVAL);

	fputs("drop ", text_begin(&text)); /* deep, and as text again */
	repeat(text.out, 7, "not (");
	fputs("udp", text.out);
	repeat(text.out, 24, " and tcp or ip");
	repeat(text.out, 7, ")");
	assert_int_equal(text_parse(&text, &rules), 0);
	deepest = printed(rules);
	check_round_trip(rules, deepest);
	free(deepest);
	rules_free(rules);
}

/* A chain of one kind has no depth; each question takes memory before anything else can say that there are too many. */
static void test_questions_max(void **state)
{
	struct rules *rules;
	struct text text;

	(void)state;
	for (unsigned n = 65536; n <= 65537; n++) {
		fputs("drop udp", text_begin(&text));
		repeat(text.out, n - 1, " or tcp");
		assert_int_equal(text_parse(&text, &rules), n == 65536 ? 0 : -EINVAL);
		if (n == 65536)
			rules_free(rules);
	}
	assert_string_equal(error.message,
			    "more than 65536 questions in one match: lists of addresses or ports belong into sets");
	assert_int_equal(error.col, 8 + 65536 * 7 - 2);
	fputs("drop port (", text_begin(&text)); /* one, and each value that takes over what stands in front */
	repeat(text.out, 65536, "5 or ");
	fputs("5)", text.out);
	assert_int_equal(text_parse(&text, &rules), -EINVAL);
	assert_int_equal(error.col, 12 + 65535 * 5);
}

static void test_sets_max(void **state)
{
	struct image *image = NULL;
	struct rules *rules;
	struct text text;

	(void)state;
	text_begin(&text);
	for (unsigned i = 0; i <= 1023; i++)
		fprintf(text.out, "set s%u { %u }\n", i, i);
	assert_int_equal(text_parse(&text, &rules), -EINVAL);
	assert_string_equal(error.message, "more than 1023 sets");
	assert_int_equal(error.line, 1024);

	fputs("set s {", text_begin(&text));
	for (unsigned i = 0; i < 300000; i++)
		fprintf(text.out, "%u.%u.%u.0/24,", 1 + (i >> 16), i >> 8 & 255, i & 255);
	fputs("}\ndrop src @s", text.out);
	assert_int_equal(text_parse(&text, &rules), 0);
	assert_int_equal(image_build(rules, 1, NULL, &image, &error), 0); /* it is in the set block */
	assert_int_equal(image->n_rows, 1);
	image_free(image);
	rules_free(rules);
}

static void test_overload_max(void **state)
{
	struct rules *rules;
	struct text text;

	(void)state;
	for (unsigned n = 64; n <= 65; n++) {
		fputs("divert overload allow {", text_begin(&text));
		for (unsigned i = 0; i < n; i++)
			fprintf(text.out, "192.0.2.%u,", i);
		fputs("} udp", text.out);
		assert_int_equal(text_parse(&text, &rules), n == 64 ? 0 : -EINVAL);
		if (n == 64)
			rules_free(rules);
	}
	assert_string_equal(error.message, "65 prefixes on an overload list: at most 64");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_size),     cmocka_unit_test(test_rules_text_max), cmocka_unit_test(test_rules_max),
		cmocka_unit_test(test_steps_max),     cmocka_unit_test(test_names_shared),   cmocka_unit_test(test_depth_max),
		cmocka_unit_test(test_questions_max), cmocka_unit_test(test_sets_max),	     cmocka_unit_test(test_overload_max),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
