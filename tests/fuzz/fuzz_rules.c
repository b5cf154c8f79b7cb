/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rule language. A text is refused with a message about a place in it, or accepted; then what rules_print() says loads again,
 * to the same text and the identical image, and the image is sound.
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

static char *print(const struct rules *rules, size_t *ret_len)
{
	char *text;
	FILE *out = open_memstream(&text, ret_len);

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

static void check_rules(const struct rules *rules)
{
	struct rules_error error;
	struct rules *again;
	char *text, *text_again;
	size_t len, len_again;

	text = print(rules, &len);
	if (len <= 1 << 20) { /* canonical text can be longer than what was written */
		check(rules_parse(text, len, "printed", &again, &error) == 0);
		text_again = print(again, &len_again);
		check(len == len_again && memcmp(text, text_again, len) == 0);
		check_images(rules, again);
		free(text_again);
		rules_free(again);
	}
	free(text);
	for (size_t i = 0; i < rules_count(rules); i++)
		check(*rules_info(rules, i).text && *rules_info(rules, i).reason);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rules_error error;
	struct rules *rules;
	int r = rules_parse((const char *)data, size, "input", &rules, &error);

	check(r == 0 || r == -EINVAL || r == -E2BIG);
	if (r == -EINVAL)
		check_error(&error, (const char *)data, size);
	if (r < 0)
		return 0;
	for (size_t i = 0; i < rules_warning_count(rules); i++)
		check_error(rules_warning(rules, i), (const char *)data, size);
	check_rules(rules);
	rules_free(rules);
	return 0;
}
