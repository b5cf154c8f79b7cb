/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules as JSON: what is no JSON is refused with a place in the text, what is no rule set with the path of a member. All else keeps
 * what rules_check.h says.
 */
#include <errno.h>
#include <string.h>

#include "replay.h"
#include "rules_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct rules_error error;
	struct rules *rules;
	int r = rules_parse_json(text, size, "input", &rules, &error);

	check(r == 0 || r == -EINVAL || r == -E2BIG); /* a `line` can be far away */
	if (r == -EINVAL && error.line)
		check_error(&error, text, size);
	else if (r < 0)
		check(r == -E2BIG || error.message[0] == '$');
	if (r < 0)
		return 0;
	check_rules(rules);
	rules_free(rules);
	return 0;
}
