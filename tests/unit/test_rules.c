/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rule language by example: rules/NAME.in is loaded and gives rules/NAME.ok (canonical text, which loads to the identical
 * image) and the warnings in rules/NAME.warn, or the error in rules/NAME.err. And the examples in the manual page.
 *
 * UPDATE=1 writes what came out over the expected files; read the difference before you keep it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rules/literal.h"
#include "rules_text.h"

static char *read_file(const char *path)
{
	FILE *in = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	if (!in)
		return strdup("");
	if (getdelim(&text, &size, '\0', in) < 0)
		*(text = realloc(text, 1)) = '\0';
	fclose(in);
	return text;
}

/* Is `text` what the file says? No file says nothing. */
static void expect_file(const char *path, const char *text)
{
	char *expected;

	if (getenv("UPDATE")) {
		FILE *out = *text ? fopen(path, "w") : NULL;

		if (!out) {
			unlink(path);
			return;
		}
		fputs(text, out);
		fclose(out);
		return;
	}
	expected = read_file(path);
	if (strcmp(expected, text))
		print_error("%s:\n", path);
	assert_string_equal(text, expected);
	free(expected);
}

static char *printed_warnings(const struct rules *rules)
{
	char *text = strdup("");

	for (size_t i = 0; i < rules_warning_count(rules); i++)
		text = printed_error(rules_warning(rules, i), "warning", text);
	return text;
}

static void check_golden(const char *stem)
{
	char in[300], ok[300], warn[300], err[300];
	char *text, *warnings;
	struct rules *rules;
	int r;

	snprintf(in, sizeof(in), "rules/%s.in", stem);
	snprintf(ok, sizeof(ok), "rules/%s.ok", stem);
	snprintf(warn, sizeof(warn), "rules/%s.warn", stem);
	snprintf(err, sizeof(err), "rules/%s.err", stem);
	r = rules_load(in, &rules, &error);
	if (r < 0) {
		text = printed_error(&error, "error", NULL);
		expect_file(err, text);
		expect_file(ok, "");
		free(text);
		return;
	}
	text = printed(rules);
	warnings = printed_warnings(rules);
	expect_file(ok, text);
	expect_file(warn, warnings);
	expect_file(err, "");
	check_round_trip(rules, text);
	free(text);
	free(warnings);
	rules_free(rules);
}

static void test_golden(void **state)
{
	DIR *directory = opendir("rules");
	struct dirent *entry;
	unsigned n = 0;

	(void)state;
	assert_non_null(directory);
	while ((entry = readdir(directory))) {
		size_t len = strlen(entry->d_name);
		char stem[256];

		if (len < 4 || strcmp(entry->d_name + len - 3, ".in"))
			continue;
		snprintf(stem, sizeof(stem), "%.*s", (int)len - 3, entry->d_name);
		check_golden(stem);
		n++;
	}
	closedir(directory);
	assert_in_range(n, 10, 1000);
}

/* Every example in the manual page loads, without a warning. */
static void test_manual(void **state)
{
	FILE *in = fopen("../../man/spillway-rules.5.scd", "r");
	struct text text = { 0 };
	struct image *image;
	struct rules *rules;
	char line[512];
	unsigned n = 0;

	(void)state;
	assert_non_null(in);
	while (fgets(line, sizeof(line), in)) {
		char *escape = strstr(line, "\\\\\n");

		if (strcmp(line, "```\n") == 0 && !text.out) {
			text_begin(&text);
		} else if (strcmp(line, "```\n") == 0) {
			assert_int_equal(text_parse(&text, &rules), 0);
			assert_int_equal(rules_warning_count(rules), 0);
			assert_int_equal(image_build(rules, 1, NULL, &image, &error), 0);
			image_free(image);
			rules_free(rules);
			text.out = NULL;
			n++;
		} else if (text.out) {
			if (escape) /* the manual's source doubles it */
				strcpy(escape, "\\\n");
			fputs(line, text.out);
		}
	}
	fclose(in);
	assert_in_range(n, 5, 100);
}

/* Every equivalent in the FlowSpec table is a match. A cell is a list of bold texts. */
static void test_flowspec(void **state)
{
	FILE *in = fopen("../../man/spillway-rules.5.scd", "r");
	char line[512], text[600];
	bool in_table = false;
	unsigned n = 0;

	(void)state;
	assert_non_null(in);
	while (fgets(line, sizeof(line), in)) {
		in_table = strncmp(line, "[[ *type*", 9) == 0 || (in_table && line[0] != '\n');
		if (!in_table || strncmp(line, ":  *", 4) != 0)
			continue;
		strtok(line, "*");
		for (const char *cell = strtok(NULL, "*"); cell && *cell != '\n'; strtok(NULL, "*"), cell = strtok(NULL, "*")) {
			struct rules *rules;

			snprintf(text, sizeof(text), "count %s", cell);
			memset(&error, 0, sizeof(error));
			if (rules_parse(text, strlen(text), "table", &rules, &error) < 0)
				rules_error_print(&error, "error", stderr);
			else
				rules_free(rules);
			assert_int_equal(error.message[0], 0);
			n++;
		}
	}
	fclose(in);
	assert_in_range(n, 14, 40); /* thirteen types */
}

static void test_info(void **state)
{
	static const char text[] = "# first\nset a { 53 }\ncount port @a name dns\ndivert overload pass 1/2 udp port  53\n"
				   "drop dns name A.example and udp";
	struct rules *rules;
	struct rule_info info;

	(void)state;
	assert_int_equal(rules_parse(text, sizeof(text) - 1, "f", &rules, &error), 0);
	assert_int_equal(rules_count(rules), 3);
	info = rules_info(rules, 0);
	assert_int_equal(info.line, 3);
	assert_int_equal(info.action, ACTION_COUNT);
	assert_int_equal(info.tier, TIER_XDP);
	assert_string_equal(info.name, "dns");
	assert_string_equal(info.text, "count port @a name dns");
	info = rules_info(rules, 1);
	assert_int_equal(info.action, ACTION_DIVERT);
	assert_null(info.name);
	assert_string_equal(info.text, "divert overload pass 1/2 udp port 53");
	info = rules_info(rules, 2);
	assert_int_equal(info.tier, TIER_USER);
	assert_string_equal(info.reason, "needs the DNS question, which only the user tier parses");
	assert_string_equal(info.text, "drop dns name a.example and udp");
	rules_free(rules);
}

/* What literal_plain_prefix() takes for a prefix is one, and has the address that inet_pton(3) reads. */
static void check_plain(const char *text)
{
	char address[PREFIX_TEXT_MAX];
	struct prefix prefix;
	uint8_t want[16] = { 0 };
	size_t len = strcspn(text, "/");
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	bool mixed = family == AF_INET6 && strchr(text, '.');

	memcpy(address, text, len);
	address[len] = '\0';
	if (!literal_plain_prefix((struct word){ text, strlen(text) }, &prefix)) {
		/* A whole address is refused for no other reason than that it is none. */
		assert_true(text[len] || mixed || inet_pton(family, address, want) != 1);
		return;
	}
	assert_int_equal(inet_pton(family, address, want), 1);
	assert_memory_equal(prefix.addr, want, 16);
	assert_int_equal(prefix.len, text[len] ? atoi(text + len + 1) : family == AF_INET ? 32 : 128);
}

/* Every row of zero words there can be, and words of one to four digits, as inet_ntop(3) writes them. */
static void test_prefix_text(void **state)
{
	static const uint16_t words[] = { 0, 0, 0x1, 0x20, 0xabc, 0xffff };
	char text[PREFIX_TEXT_MAX], want[PREFIX_TEXT_MAX];

	(void)state;
	for (uint32_t n = 0; n < 20000; n++) {
		struct prefix prefix = { .family = n % 5 ? 6 : 4 };
		uint32_t bits = n < 512 ? n : n * 2654435761u;

		for (unsigned i = 0; i < 8; i++) {
			uint16_t word = n < 512 ? (bits >> i & 1) * 0x10 : words[(bits >> 4 * i & 15) % 6];

			prefix.addr[2 * i] = (uint8_t)(word >> 8);
			prefix.addr[2 * i + 1] = (uint8_t)word;
		}
		prefix.len = (uint8_t)(n % (prefix.family == 4 ? 33 : 129));
		inet_ntop(prefix.family == 4 ? AF_INET : AF_INET6, prefix.addr, want, sizeof(want));
		if (prefix.len < (prefix.family == 4 ? 32 : 128))
			sprintf(want + strlen(want), "/%u", prefix.len);
		prefix_to_text(&prefix, text);
		assert_string_equal(text, want);
		check_plain(text);
		check_plain(strtok(text, "/"));
		text[n % strlen(text)] = ":/0f2."[n / 7 % 6]; /* and texts that are none, or others */
		check_plain(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden), cmocka_unit_test(test_manual),	   cmocka_unit_test(test_flowspec),
		cmocka_unit_test(test_info),   cmocka_unit_test(test_prefix_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
