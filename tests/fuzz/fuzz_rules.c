/* SPDX-License-Identifier: BSD-2-Clause */
/* The rule language: a text is refused with a message about a place in it, or keeps what rules_check.h says. */
#include <errno.h>
#include <string.h>

#include "replay.h"
#include "rules_check.h"

/* fuzz_rules_json.c's; a statement never starts so. */
static bool is_document(const char *text, size_t len)
{
	size_t at = 0;

	while (at < len && memchr(" \t\r\n", text[at], 4))
		at++;
	return at < len && text[at] == '{';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct rules_error error;
	struct rules *rules;
	int r;

	if (is_document(text, size))
		return 0;
	r = rules_parse(text, size, "input", &rules, &error);
	check(r == 0 || r == -EINVAL);
	if (r < 0) {
		check_error(&error, text, size);
		return 0;
	}
	for (size_t i = 0; i < rules_warning_count(rules); i++)
		check_error(rules_warning(rules, i), text, size);
	check_rules(rules);
	rules_free(rules);
	return 0;
}
