/* SPDX-License-Identifier: BSD-2-Clause */
/* rules_check.h - what any rule set that was accepted promises, and any message about one that was not. */
#ifndef SPILLWAY_FUZZ_RULES_CHECK_H
#define SPILLWAY_FUZZ_RULES_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "rules/rules.h"

void check(bool good); /* or the target ends here */
/* The place is in the text, the shown line is the one there, and a caret stands below it. */
void check_error(const struct rules_error *error, const char *text, size_t len);
/*
 * What rules_print() and rules_print_json() say loads again, to the same text and the identical image, and the image is sound. The
 * rules are compared with each other, too.
 */
void check_rules(struct rules *rules);
char *print_text(const struct rules *rules, size_t *ret_len); /* the caller frees it */

#endif
