/* SPDX-License-Identifier: BSD-2-Clause */
#include "rules_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

struct rules_error error;

FILE *text_begin(struct text *text)
{
	text->out = open_memstream(&text->text, &text->len);
	return text->out;
}

int text_parse(struct text *text, struct rules **ret_rules)
{
	int r;

	fclose(text->out);
	r = rules_parse(text->text, text->len, "limits", ret_rules, &error);
	free(text->text);
	return r;
}

void repeat(FILE *out, unsigned n, const char *text)
{
	while (n--)
		fputs(text, out);
}

char *printed(const struct rules *rules)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	rules_print(rules, out);
	fclose(out);
	return text;
}

char *printed_error(const struct rules_error *one, const char *severity, char *before)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	fputs(before ? before : "", out);
	rules_error_print(one, severity, out);
	fclose(out);
	free(before);
	return text;
}

void check_round_trip(const struct rules *rules, const char *text)
{
	struct image *image, *image_again;
	struct rules *again;
	char *text_again;

	assert_int_equal(rules_parse(text, strlen(text), "printed", &again, &error), 0);
	text_again = printed(again);
	assert_string_equal(text_again, text);
	assert_int_equal(image_build(rules, 3, NULL, &image, &error), 0);
	assert_int_equal(image_build(again, 3, NULL, &image_again, &error), 0);
	assert_int_equal(image->bytes, image_again->bytes);
	assert_memory_equal(image, image_again, image->bytes);
	assert_int_equal(image_check(image, image->bytes), 0);
	image_free(image);
	image_free(image_again);
	free(text_again);
	rules_free(again);
}
