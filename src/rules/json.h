/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json.h - rules as JSON: the same statements as objects. The schema is data/rules.schema.json.
 *
 * A rule set goes out and in again to the identical image. What is wrong is told as in a text, with the path of the member, as in
 * `$.statements[2].match.and[1].port`, in place of line and column.
 */
#ifndef SPILLWAY_RULES_JSON_H
#define SPILLWAY_RULES_JSON_H

#include "rules/ast.h"

/* As rules_parse(), which calls this for a text that starts as a JSON object does. */
int rules_parse_json(const char *text, size_t len, const char *file, struct rules **ret_rules, struct rules_error *ret_error);
/* 0, -ENOMEM or -EIO. */
int rules_print_json(const struct rules *rules, FILE *out);

#endif
