/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an image says of its rules, and that a changed one is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "classify/lookup.h"
#include "rules_text.h"

static void test_image(void **state)
{
	static const char text[] = "divert overload pass 1/9 udp dst port 53\ndrop src 2001:db8::/33\non truncated drop\ndrop";
	static const uint32_t counters[] = { 300, 2 };
	const struct image_rule *rule;
	const struct image_row *row;
	struct image *image;
	struct rules *rules;

	(void)state;
	assert_int_equal(rules_parse(text, sizeof(text) - 1, "f", &rules, &error), 0);
	assert_int_equal(image_build(rules, 42, counters, &image, &error), 0);
	assert_int_equal(image_check(image, image->bytes), 0);
	assert_int_equal(image->generation, 42);
	assert_int_equal(image->n_rules, 2);
	assert_int_equal(image->n_rows, 2);
	assert_int_equal(image->n_groups, 2);
	assert_int_equal(image->n_steps, 0);
	assert_int_equal(image->default_action, ACTION_DROP);
	assert_int_equal(image->policy[CONDITION_TRUNCATED], ACTION_DROP);
	assert_int_equal(image->policy[CONDITION_FRAGMENT], 0);
	assert_int_equal(image->has_divert, 1);
	rule = lookup_rule_at(image, 0);
	assert_int_equal(rule->overload, OVERLOAD_SAMPLE);
	assert_int_equal(rule->overload_n, 9);
	assert_int_equal(rule->counter, 300);
	assert_int_equal(lookup_rule_at(image, 1)->line, 2);
	for (uint32_t i = 0; i < 2; i++) {
		row = lookup_row_at(image, i);
		if (row->rule == 0) {
			assert_int_equal(row->family, ROW_FAMILY_ANY);
			assert_int_equal(row->range.lo[LANE_PROTO], PROTO_UDP);
			assert_int_equal(row->range.lo[LANE_DST_PORT], 53);
			assert_int_equal(row->range.hi[LANE_DST_PORT], 53);
			assert_int_equal(row->range.lo[LANE_HAS_PORTS], 1);
			continue;
		}
		assert_int_equal(row->family, FAMILY_IP6);
		assert_int_equal(row->src_len, 33);
		assert_int_equal(row->src[0], 0x20010db800000000u);
		assert_int_equal(row->dst_len, 0);
	}
	image_free(image);
	rules_free(rules);
}

/* Any byte behind the checksum, changed, is noticed; what names other sizes or versions too. */
static void test_image_check(void **state)
{
	static const char text[] = "divert overload allow {192.0.2.1} udp\ndrop dns name under a.example\n";
	struct rules *rules;
	struct image *image;
	uint8_t *bytes;

	(void)state;
	assert_int_equal(rules_parse(text, sizeof(text) - 1, "f", &rules, &error), 0);
	assert_int_equal(image_build(rules, 1, NULL, &image, &error), 0);
	bytes = (uint8_t *)image;
	for (size_t at = 0; at < image->bytes; at += at < 1024 ? 1 : 97) {
		size_t size = image->bytes;
		bool counted = at >= offsetof(struct image, generation) && at < offsetof(struct image, checksum);

		bytes[at] ^= 0x40;
		assert_int_equal(image_check(image, size), counted ? 0 : -EINVAL);
		bytes[at] ^= 0x40;
	}
	assert_int_equal(image_check(image, image->bytes), 0);
	assert_int_equal(image_check(image, image->bytes - 1), -EINVAL);
	image_free(image);
	rules_free(rules);
}

/* How often a rule samples is in the image, and nowhere else. */
static void test_sample(void **state)
{
	static const char text[] = "sample 1/9 udp\ncount udp\n";
	struct rules_error error = {};
	struct rules *rules;
	struct image *image;

	(void)state;
	assert_int_equal(rules_parse(text, sizeof(text) - 1, "f", &rules, &error), 0);
	assert_int_equal(image_build(rules, 1, NULL, &image, &error), 0);
	assert_int_equal(lookup_rule_at(image, 0)->action, ACTION_SAMPLE);
	assert_int_equal(lookup_rule_at(image, 0)->sample_n, 9);
	assert_int_equal(lookup_rule_at(image, 1)->sample_n, 0);
	image_free(image);
	rules_free(rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image),
		cmocka_unit_test(test_image_check),
		cmocka_unit_test(test_sample),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
