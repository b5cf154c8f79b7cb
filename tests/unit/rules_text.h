/* SPDX-License-Identifier: BSD-2-Clause */
/* rules_text.h - rule sets out of texts that a test writes, and back. */
#ifndef SPILLWAY_TESTS_RULES_TEXT_H
#define SPILLWAY_TESTS_RULES_TEXT_H

#include <stdio.h>

#include "rules/rules.h"

extern struct rules_error error; /* what was wrong last */

/* A text while it is written. */
struct text {
	char *text;
	size_t len;
	FILE *out;
};

FILE *text_begin(struct text *text);
/* Parse what was written since text_begin(). Returns what rules_parse() does; fills `error`. */
int text_parse(struct text *text, struct rules **ret_rules);
void repeat(FILE *out, unsigned n, const char *text);

/* The caller frees what these return. */
char *printed(const struct rules *rules);
/* The message behind the text in `before`, which is freed, or NULL. */
char *printed_error(const struct rules_error *one, const char *severity, char *before);

/* The rules' `text` loads again: to the same text, and to the same image, line numbers included. */
void check_round_trip(const struct rules *rules, const char *text);

#endif
