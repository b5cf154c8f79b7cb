/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rule language, and rules as JSON. A text is refused with a message about a place in it, a document with one about a member;
 * or it is accepted: then what rules_print() and rules_print_json() say loads again, to the same text and the identical image, and the
 * image is sound.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "replay.h"
#include "rules/rules.h"

#include <stdlib.h>

static void check(int good)
{
	if (!good)
		abort();
}

/* The place is in the text, and the shown line is the one there. */
static void check_error(const struct rules_error *error, const char *text, size_t len)
{
	const char *line = text, *end = text + len, *line_end;
	char *shown = NULL;
	size_t size;
	FILE *out;

	check(error->message[0] && error->line >= 1 && error->col >= 1 && error->width >= 1);
	for (unsigned n = 1; n < error->line; n++) {
		line = memchr(line, '\n', (size_t)(end - line));
		check(line != NULL);
		line++;
	}
	line_end = memchr(line, '\n', (size_t)(end - line));
	if (!line_end)
		line_end = end;
	check(error->col - 1 <= (size_t)(line_end - line));
	check(error->text_col < error->col);
	out = open_memstream(&shown, &size);
	rules_error_print(error, "error", out);
	fclose(out);
	check(strchr(shown, '^') != NULL);
	free(shown);
}

static char *print(const struct rules *rules, int json, size_t *ret_len)
{
	char *text;
	FILE *out = open_memstream(&text, ret_len);

	if (json)
		check(rules_print_json(rules, out) == 0);
	else
		rules_print(rules, out);
	fclose(out);
	return text;
}

static void check_images(const struct rules *rules, const struct rules *again)
{
	struct image *images[2];
	struct rules_error error;
	int r = image_build(rules, 1, NULL, &images[0], &error);

	check(r == 0 || (r == -E2BIG && error.message[0]));
	check(image_build(again, 1, NULL, &images[1], &error) == r);
	if (r < 0)
		return;
	check(image_check(images[0], images[0]->bytes) == 0);
	check(images[0]->bytes == images[1]->bytes && memcmp(images[0], images[1], images[0]->bytes) == 0);
	image_free(images[0]);
	image_free(images[1]);
}

static void check_again(const struct rules *rules, const char *text, size_t len, int json)
{
	struct rules_error error;
	struct rules *again;
	char *printed, *text_again;
	size_t printed_len, len_again;

	printed = print(rules, json, &printed_len);
	if (printed_len <= 1 << 20) { /* canonical text can be longer than what was written */
		check(rules_parse(printed, printed_len, "printed", &again, &error) == 0);
		text_again = print(again, 0, &len_again);
		check(len == len_again && memcmp(text, text_again, len) == 0);
		check_images(rules, again);
		free(text_again);
		rules_free(again);
	}
	free(printed);
}

static void check_rules(struct rules *rules)
{
	char *text;
	size_t len;

	text = print(rules, 0, &len);
	check_again(rules, text, len, 0);
	check_again(rules, text, len, 1);
	free(text);
	check(rules_lint(rules) == 0);
	for (size_t i = 0; i < rules_count(rules); i++) {
		bool nic_capable;
		unsigned ns;

		check(*rules_info(rules, i).text && *rules_info(rules, i).reason);
		rules_estimate(rules, i, &nic_capable, &ns);
	}
}

/* Warnings about a document show a text that is not the input. */
static int is_document(const char *text, size_t len)
{
	size_t at = 0;

	while (at < len && strchr(" \t\r\n", text[at]) && text[at])
		at++;
	return at < len && text[at] == '{';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rules_error error;
	struct rules *rules;
	int r = rules_parse((const char *)data, size, "input", &rules, &error);

	check(r == 0 || r == -EINVAL || r == -E2BIG);
	if (r == -EINVAL && error.line == 0)
		check(memchr(data, '{', size) && strncmp(error.message, "$", 1) == 0);
	else if (r == -EINVAL)
		check_error(&error, (const char *)data, size);
	if (r < 0)
		return 0;
	for (size_t i = 0; i < rules_warning_count(rules) && !is_document((const char *)data, size); i++)
		check_error(rules_warning(rules, i), (const char *)data, size);
	check_rules(rules);
	rules_free(rules);
	return 0;
}
