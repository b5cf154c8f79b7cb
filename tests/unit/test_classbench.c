/* SPDX-License-Identifier: BSD-2-Clause */
/* bench/classbench.c: figures of the bench rest on these sets, so they have to be what their header says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "classbench.h"
#include "classify_oracle.h"

#define N 2000u

static int filter_compare(const void *left, const void *right)
{
	return memcmp(left, right, sizeof(struct filter));
}

static int header_compare(const void *left, const void *right)
{
	return memcmp(left, right, sizeof(struct five_tuple));
}

static unsigned equal_neighbours(void *array, size_t n, size_t size, int (*compare)(const void *, const void *))
{
	unsigned equal = 0;

	qsort(array, n, size, compare);
	for (size_t i = 1; i < n; i++)
		equal += !memcmp((char *)array + i * size, (char *)array + (i - 1) * size, size);
	return equal;
}

/* Each family, in both versions of IP, at a time. */
static void for_each_set(void (*check)(struct filter_set *set, enum filter_family family))
{
	for (int family = 0; family < FILTER_FAMILY_COUNT; family++) {
		for (uint8_t ip = 4; ip <= 6; ip += 2) {
			struct filter_set set;

			assert_int_equal(filter_set_generate((enum filter_family)family, ip, N, 7, &set), 0);
			assert_int_equal(set.n, N);
			check(&set, (enum filter_family)family);
			filter_set_fini(&set);
		}
	}
}

static void check_seed(struct filter_set *set, enum filter_family family)
{
	struct filter_set same, other;

	assert_int_equal(filter_set_generate(family, set->ip, N, 7, &same), 0);
	assert_int_equal(filter_set_generate(family, set->ip, N, 8, &other), 0);
	assert_memory_equal(set->filters, same.filters, N * sizeof(struct filter));
	assert_memory_not_equal(set->filters, other.filters, N * sizeof(struct filter));
	filter_set_fini(&same);
	filter_set_fini(&other);
}

static void test_seed_decides(void **state)
{
	(void)state;
	for_each_set(check_seed);
}

static void check_different(struct filter_set *set, enum filter_family family)
{
	struct trace trace;

	(void)family;
	assert_int_equal(trace_draw(set, 10 * N, 7, &trace), 0);
	assert_int_equal(trace.n, 10 * N);
	assert_int_equal(equal_neighbours(trace.headers, trace.n, sizeof(struct five_tuple), header_compare), 0);
	assert_int_equal(equal_neighbours(set->filters, set->n, sizeof(struct filter), filter_compare), 0);
	trace_fini(&trace);
}

static void test_nothing_twice(void **state)
{
	(void)state;
	for_each_set(check_different);
}

static void check_met(struct filter_set *set, enum filter_family family)
{
	struct oracle *oracle = oracle_new(set);
	size_t met = 0, deciding[2] = { 0, 0 };
	struct trace trace;

	(void)family;
	assert_non_null(oracle);
	assert_int_equal(trace_draw(set, 5000, 7, &trace), 0);
	for (size_t i = 0; i < trace.n; i++) {
		uint32_t first = oracle_first(oracle, &trace.headers[i]);

		met += first != NO_FILTER;
		deciding[first >= N / 2]++;
	}
	assert_true(met >= trace.n * 9 / 10); /* the rest: rules for ports, drawn with a protocol that has none */
	assert_true(deciding[0] > trace.n / 10 && deciding[1] > trace.n / 10);
	trace_fini(&trace);
	oracle_free(oracle);
}

static void test_headers_meet_filters(void **state)
{
	(void)state;
	for_each_set(check_met);
}

static void check_file(struct filter_set *set, enum filter_family family)
{
	char path[] = "/tmp/test_classbench.XXXXXX";
	int fd = mkstemp(path);
	FILE *out = fdopen(fd, "w");
	struct filter_set read;
	unsigned line;

	(void)family;
	assert_non_null(out);
	filter_set_print(set, out);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(filter_set_read(path, &read, &line), 0);
	unlink(path);
	assert_int_equal(read.ip, set->ip);
	assert_int_equal(read.n, set->n);
	assert_memory_equal(read.filters, set->filters, set->n * sizeof(struct filter));
	filter_set_fini(&read);
}

static void test_print_then_read(void **state)
{
	(void)state;
	for_each_set(check_file);
}

static void test_zipf_prefers_few(void **state)
{
	struct filter_set set;
	struct trace trace;
	size_t first = 0, tenth = 0;

	(void)state;
	assert_int_equal(filter_set_generate(FILTER_ACL, 4, N, 7, &set), 0);
	assert_int_equal(trace_draw(&set, 1000, 7, &trace), 0);
	assert_int_equal(trace_reorder_zipf(&trace, 100000, 1.0, 7), 0);
	assert_int_equal(trace.n_order, 100000);
	for (size_t i = 0; i < trace.n_order; i++) {
		first += trace.order[i] == 0;
		tenth += trace.order[i] == 9;
	}
	/* 1 in H(1000) = 7.485: 13,359 and a tenth of it */
	assert_in_range(first, 12900, 13800);
	assert_in_range(tenth, 1200, 1470);
	trace_fini(&trace);
	filter_set_fini(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seed_decides),	     cmocka_unit_test(test_nothing_twice),
		cmocka_unit_test(test_headers_meet_filters), cmocka_unit_test(test_print_then_read),
		cmocka_unit_test(test_zipf_prefers_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
