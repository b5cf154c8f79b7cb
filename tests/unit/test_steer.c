/* SPDX-License-Identifier: BSD-2-Clause */
/* steer.c: facts of an interface and the queue asked for, to a plan or a refusal that names the numbers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "steer/steer.h"

static const struct {
	const char *name;
	uint32_t n_queues;
	int queue;
	int result;
	const char *says; /* part of the refusal */
	enum steer_rung rung;
	uint32_t first, n, ring_size;
	bool copy_only;
} cases[] = {
	{ "one queue", 1, -1, 0, "", STEER_XDP, 0, 1, 8192, true },
	{ "all of four", 4, -1, 0, "", STEER_XDP, 0, 4, 8192, true },
	{ "all of sixteen share the memory", 16, -1, 0, "", STEER_XDP, 0, 16, 2048, true },
	{ "all of 128", 128, -1, 0, "", STEER_XDP, 0, 128, 512, true },
	{ "129 are too many", 129, -1, -EINVAL, "name one with --queue N", 0, 0, 0, 0, false },
	{ "one of 129", 129, 5, 0, "", STEER_NIC, 5, 1, 8192, false },
	{ "queue 128 is beyond the map", 200, 128, -EINVAL, "queues 0 to 127", 0, 0, 0, 0, false },
	{ "the last one", 4, 3, 0, "", STEER_NIC, 3, 1, 8192, false },
	{ "one too far", 4, 4, -EINVAL, "it has 4, numbered 0 to 3", 0, 0, 0, 0, false },
};

static void test_plans(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct link_facts facts = { .ifname = "eth9", .n_queues = cases[i].n_queues };
		struct steer_plan plan = { .ring_size = 1 };
		char message[256] = "";

		print_message("%s\n", cases[i].name);
		assert_int_equal(steer_plan_build(&facts, cases[i].queue, &plan, message, sizeof(message)), cases[i].result);
		assert_non_null(strstr(message, cases[i].says));
		if (cases[i].result) {
			assert_int_equal(plan.ring_size, 1); /* untouched */
			continue;
		}
		assert_int_equal(plan.rung, cases[i].rung);
		assert_int_equal(plan.first_queue, cases[i].first);
		assert_int_equal(plan.n_queues, cases[i].n);
		assert_int_equal(plan.ring_size, cases[i].ring_size);
		assert_int_equal(plan.copy_only, cases[i].copy_only);
		assert_true(strlen(plan.reason) > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_plans) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
