/* SPDX-License-Identifier: BSD-2-Clause */
/* Token buckets: what is let through is the burst and then the rate, for each prefix on its own, whatever floods beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "act/limit.h"
#include "rules/rules.h"

#define SECOND 1000000000ull

static struct image *image;
static struct limits *limits;

static const struct image_rule *rule_of(const char *text)
{
	struct rules_error error;
	struct rules *rules;

	if (rules_parse(text, strlen(text), "text", &rules, &error) < 0 || image_build(rules, 1, NULL, &image, &error) < 0) {
		rules_error_print(&error, "error", stderr);
		fail();
	}
	rules_free(rules);
	limits = calloc(1, sizeof(*limits));
	assert_non_null(limits);
	return lookup_rule_at(image, 0);
}

static void done(void)
{
	image = image_free(image);
	free(limits);
}

static struct lookup_key key_from(uint32_t family, uint64_t high, uint64_t low)
{
	return (struct lookup_key){ .family = family, .src = { high, low } };
}

static unsigned passed(const struct image_rule *rule, const struct lookup_key *key, unsigned n, uint32_t bytes, uint64_t now_ns)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++)
		count += !limit_exceeded(limits, rule, key, bytes, now_ns);
	return count;
}

static void test_packets(void **state)
{
	const struct image_rule *rule = rule_of("limit 1000 pps burst 10 udp");
	struct lookup_key key = key_from(1, 0x0a00000100000000, 0);
	uint64_t now = 5 * SECOND;
	unsigned total = 0;

	(void)state;
	assert_int_equal(passed(rule, &key, 50, 64, now), 10);
	assert_int_equal(passed(rule, &key, 50, 64, now + SECOND / 1000 + 1), 1);
	assert_int_equal(passed(rule, &key, 50, 64, now + SECOND / 1000 + 2), 0);
	assert_int_equal(passed(rule, &key, 50, 64, now + 60 * SECOND), 10); /* never more than the burst is saved */
	now += 100 * SECOND;
	for (unsigned ms = 0; ms < 10000; ms++) /* 10 s at ten times the rate */
		total += passed(rule, &key, 10, 64, now + ms * (SECOND / 1000));
	assert_in_range(total, 10000, 10010);
	done();
}

static void test_bits(void **state)
{
	const struct image_rule *rule = rule_of("limit 8M bps burst 80k udp"); /* 1 MB/s, 10,000 bytes at once */
	struct lookup_key key = key_from(1, 0x0a00000100000000, 0);
	uint64_t now = 5 * SECOND;
	unsigned total = 0;

	(void)state;
	assert_int_equal(passed(rule, &key, 50, 1000, now), 10);
	for (unsigned ms = 1; ms <= 1000; ms++)
		total += passed(rule, &key, 5, 500, now + ms * (SECOND / 1000));
	assert_in_range(total, 1999, 2001);
	done();
}

static void test_prefixes(void **state)
{
	const struct image_rule *rule = rule_of("limit 10 pps burst 2 per src/24 udp");
	struct lookup_key one = key_from(1, 0x0a00000100000000, 0), near = key_from(1, 0x0a0000ff00000000, 0);
	struct lookup_key other = key_from(1, 0x0a00010100000000, 0), six = key_from(2, 0x0a00000100000000, 0);

	(void)state;
	assert_int_equal(passed(rule, &one, 5, 64, SECOND), 2);
	assert_int_equal(passed(rule, &near, 5, 64, SECOND), 0); /* the same /24 */
	assert_int_equal(passed(rule, &other, 5, 64, SECOND), 2);
	assert_int_equal(passed(rule, &six, 5, 64, SECOND), 2);
	done();
}

static void test_prefixes6(void **state)
{
	const struct image_rule *rule = rule_of("limit 10 pps burst 2 per src udp");
	struct lookup_key one = key_from(2, 0x20010db800000000, 1), near = key_from(2, 0x20010db800000000, 2);

	(void)state;
	assert_true(rule->per_len6 == 128 || rule->per_len6 == 64);
	assert_int_equal(passed(rule, &one, 5, 64, SECOND), 2);
	assert_int_equal(passed(rule, &near, 5, 64, SECOND), rule->per_len6 == 128 ? 2 : 0);
	done();
}

/* Two million sources that come once take turns in the same memory; one that stays above its rate keeps its bucket. */
static void test_spoofed(void **state)
{
	const struct image_rule *rule = rule_of("limit 1000 pps burst 10 per src/32 udp");
	struct lookup_key heavy = key_from(1, 0xc000020100000000, 0);
	unsigned total = 0;

	(void)state;
	for (unsigned i = 0; i < 2000000; i++) {
		uint64_t now = SECOND + i * 1000ull; /* 1 Mpps of spoofed sources, 2 s */
		struct lookup_key spoofed = key_from(1, (uint64_t)(i * 2654435761u) << 32, 0);

		limit_exceeded(limits, rule, &spoofed, 64, now);
		if (i % 10 == 0)
			total += passed(rule, &heavy, 1, 64, now); /* 100,000 a second */
	}
	/* 2,010 with a bucket of its own; each time it lost it, the burst comes again. */
	assert_in_range(total, 2000, 2600);
	done();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets),	  cmocka_unit_test(test_bits),	  cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_prefixes6), cmocka_unit_test(test_spoofed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
