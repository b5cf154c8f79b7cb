/* SPDX-License-Identifier: BSD-2-Clause */
#include "rules_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void check(bool good)
{
	if (!good)
		abort();
}

void check_error(const struct rules_error *error, const char *text, size_t len)
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

static char *print(const struct rules *rules, bool json, size_t *ret_len)
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

char *print_text(const struct rules *rules, size_t *ret_len)
{
	return print(rules, false, ret_len);
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

static void check_again(const struct rules *rules, const char *text, size_t len, bool json)
{
	struct rules_error error;
	struct rules *again;
	char *printed, *text_again;
	size_t printed_len, len_again;

	printed = print(rules, json, &printed_len);
	if (printed_len <= 1 << 20) { /* canonical text can be longer than what was written */
		check(rules_parse(printed, printed_len, "printed", &again, &error) == 0);
		text_again = print(again, false, &len_again);
		check(len == len_again && memcmp(text, text_again, len) == 0);
		check_images(rules, again);
		free(text_again);
		rules_free(again);
	}
	free(printed);
}

void check_rules(struct rules *rules)
{
	char *text;
	size_t len;

	text = print(rules, false, &len);
	check_again(rules, text, len, false);
	check_again(rules, text, len, true);
	free(text);
	check(rules_lint(rules) == 0);
	for (size_t i = 0; i < rules_count(rules); i++) {
		bool nic_capable;
		unsigned ns;

		check(*rules_info(rules, i).text && *rules_info(rules, i).reason);
		rules_estimate(rules, i, &nic_capable, &ns);
	}
}
