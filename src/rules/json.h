/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json.h - what the questions of a match are called in a JSON document (data/rules.schema.json): for parse_json.c, which reads
 * documents, and print_json.c, which writes them.
 */
#ifndef SPILLWAY_RULES_JSON_H
#define SPILLWAY_RULES_JSON_H

#include "rules/ast.h"

/* What stands for the value. */
enum test_shape {
	SHAPE_VALUES,
	SHAPE_DIRECTED, /* values, with `direction` beside them */
	SHAPE_TRUE,
	SHAPE_TRUE_OR_VALUES,
	SHAPE_PAYLOAD, /* bytes, with `at` and `mask` beside them */
	SHAPE_BPF,
	SHAPE_PROTOCOL, /* nothing but `protocol`, which also stands beside all others */
};

struct test_member {
	const char *member, *words; /* in a document, in a text */
	enum test_kind kind;
	enum test_shape shape;
};

extern const struct test_member json_tests[TEST_KIND_COUNT];	 /* parse_json.c; `protocol` is the last */
extern const char *const json_directions[DIRECTION_BOTH + 1][2]; /* parse_json.c; by enum direction: in a document, in a text */

#endif
