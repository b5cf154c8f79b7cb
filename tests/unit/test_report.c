/* SPDX-License-Identifier: BSD-2-Clause */
/* Ratios, quantiles and summary of bench/report.h, from contenders that say what they are told to. */
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "report.h"

#define ROUNDS 5

/* One cost a round; a round asks twice. */
struct script {
	double ns[ROUNDS];
	unsigned calls;
};

static int script_measure(void *arg, double *ret_ns)
{
	struct script *script = arg;

	*ret_ns = script->ns[script->calls++ / 2 % ROUNDS];
	return 0;
}

static int fail_measure(void *arg, double *ret_ns)
{
	(void)arg, (void)ret_ns;
	return -EIO;
}

static struct contender contender(const char *name, enum contender_role role, struct script *script)
{
	return (struct contender){ .name = name, .role = role, .measure = script_measure, .arg = script };
}

/* noisy: whatever else runs on this machine must not decide the test. */
static const struct report_options options = { .json = true, .noisy = true, .rounds = ROUNDS, .seed = 1 };

static json_t *printed(const struct report *report)
{
	char *text = NULL, *line_end;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	json_t *json;

	assert_int_equal(report_print(report, out), 0);
	fclose(out);
	line_end = strchr(text, '\n');
	assert_ptr_equal(line_end, text + size - 1); /* one line */
	json = json_loads(text, 0, NULL);
	assert_non_null(json);
	free(text);
	return json;
}

static double number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	assert_true(json_is_number(value));
	return json_number_value(value);
}

/*
 * Rounds are added while some are disturbed, so only what holds for any number of the scripted rounds is asserted exactly: the same
 * ratio in each round although the costs differ.
 */
static void test_ratio_is_per_round(void **state)
{
	struct script ours = { .ns = { 12, 22, 7, 102, 12 } }, peer = { .ns = { 32, 62, 17, 302, 32 } },
		      base = { .ns = { 2, 2, 2, 2, 2 } };
	struct contender contenders[] = { contender("spillway", CONTENDER_SPILLWAY, &ours),
					  contender("peer", CONTENDER_PEER, &peer), contender("base", CONTENDER_BASE, &base) };
	struct report *report = report_new("test", &options);
	json_t *json, *row;

	(void)state;
	assert_int_equal(report_cell(report, "cell", contenders, 3), 0);
	report_cell_number(report, "xlated", 123);
	json = printed(report);
	row = json_array_get(json_object_get(json, "cells"), 0);
	assert_string_equal(json_string_value(json_object_get(row, "name")), "cell");
	assert_string_equal(json_string_value(json_object_get(row, "peer")), "peer");
	assert_float_equal(number(row, "ratio"), 3, 1e-9);
	assert_float_equal(number(row, "p10"), 3, 1e-9);
	assert_float_equal(number(row, "p90"), 3, 1e-9);
	assert_float_equal(number(row, "harness_ns"), 2, 1e-9);
	assert_float_equal(number(row, "peer_raw_ns") - number(row, "peer_ns"), 2, 1e-9);
	assert_int_equal(json_integer_value(json_object_get(row, "xlated")), 123);
	assert_true(json_is_integer(json_object_get(json, "discarded")));
	json_decref(json);
	report_free(report);
}

/* A slower variant of a peer and a peer that answers wrongly are shown, but do not make geomean and worst better. */
static void test_only_good_peers_count(void **state)
{
	struct script ours = { .ns = { 10, 10, 10, 10, 10 } }, fast = { .ns = { 20, 20, 20, 20, 20 } },
		      slow = { .ns = { 90, 90, 90, 90, 90 } };
	struct script other = { .ns = { 80, 80, 80, 80, 80 } }, liar = { .ns = { 1, 1, 1, 1, 1 } };
	struct contender contenders[] = { contender("spillway", CONTENDER_SPILLWAY, &ours),
					  contender("fast", CONTENDER_PEER, &fast), contender("slow", CONTENDER_PEER, &slow),
					  contender("other", CONTENDER_PEER, &other), contender("liar", CONTENDER_PEER, &liar) };
	struct report *report = report_new("test", &options);
	json_t *json;

	(void)state;
	contenders[1].family = contenders[2].family = contenders[4].family = "variants";
	contenders[4].wrong = 0.25;
	assert_int_equal(report_cell(report, "cell", contenders, 5), 0);
	json = printed(report);
	assert_int_equal(json_array_size(json_object_get(json, "cells")), 4);
	assert_float_equal(number(json, "geomean"), 4, 1e-9);
	assert_float_equal(number(json, "worst"), 2, 1e-9);
	assert_float_equal(number(json_array_get(json_object_get(json, "cells"), 3), "peer_wrong"), 0.25, 1e-9);
	json_decref(json);
	report_free(report);
}

static void test_failure_ends_the_cell(void **state)
{
	struct script ours = { .ns = { 10, 10, 10, 10, 10 } };
	struct contender contenders[] = { contender("spillway", CONTENDER_SPILLWAY, &ours),
					  contender("peer", CONTENDER_PEER, NULL) };
	struct report *report = report_new("test", &options);

	(void)state;
	contenders[1].measure = fail_measure;
	assert_int_equal(report_cell(report, "cell", contenders, 2), -EIO);
	assert_int_equal(report_cell(report, "nobody of ours", contenders + 1, 1), -EINVAL);
	report_free(report);
}

static void test_nothing_measured_is_a_skip(void **state)
{
	struct report *report = report_new("test", &options);
	FILE *null = fopen("/dev/null", "we");

	(void)state;
	report_skip(report, "cell", "no peer here");
	assert_int_equal(report_exit_code(report_print(report, null)), 77);
	assert_int_equal(report_exit_code(-EBUSY), 1);
	fclose(null);
	report_free(report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ratio_is_per_round),
		cmocka_unit_test(test_only_good_peers_count),
		cmocka_unit_test(test_failure_ends_the_cell),
		cmocka_unit_test(test_nothing_measured_is_a_skip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
