/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bit vectors of random rule sets against random packets: a row that matches has its bit, whatever the packet; a bit says nothing wrong
 * but for the row's prefixes, which are compared with the packet in any case (bits.h).
 *
 * SEED=N repeats a run; ROUNDS=N makes it longer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "classify/bits.h"
#include "rules_random.h"

#define PACKETS 300

static bool bit_is_set(const __u64 rows[BITS_WORDS], uint32_t bit)
{
	return rows[bit / 64] >> bit % 64 & 1;
}

/* Is there a bit for a row of this rule whose box fits? */
static bool rule_has_bit(const struct image *image, const __u64 rows[BITS_WORDS], const struct lookup_key *key, uint32_t rule)
{
	for (uint32_t bit = 0; bit < BITS_ROWS_MAX; bit++)
		if (bit_is_set(rows, bit) && bits_row_at(image, bit)->rule == rule &&
		    lookup_row_box(bits_row_at(image, bit), key))
			return true;
	return false;
}

static void packet_check(const struct image *image, const struct pkt *pkt, uint64_t *n_matches)
{
	__u64 rows[BITS_WORDS];
	struct lookup_key key;
	uint32_t last = 0;

	lookup_key_init(pkt, &key);
	bits_rows(image, &key, rows);
	for (uint32_t bit = 0; bit < BITS_ROWS_MAX; bit++) {
		const struct image_row *row = bits_row_at(image, bit);

		if (!bit_is_set(rows, bit))
			continue;
		assert_true(lookup_range(&row->range, &key));
		assert_true(row->family == ROW_FAMILY_ANY || (row->family == FAMILY_IP4) == (key.family == 1));
		assert_true(row->rule >= last); /* the first bit is the first rule */
		last = row->rule;
	}
	for (uint32_t at = 0; at < image->n_rows; at++) {
		const struct image_row *row = lookup_row_at(image, at);

		if (!lookup_range(&row->range, &key) || !lookup_row_box(row, &key))
			continue;
		assert_true(rule_has_bit(image, rows, &key, row->rule));
		(*n_matches)++;
	}
}

static void test_random(void **state)
{
	const char *seed = getenv("SEED"), *rounds = getenv("ROUNDS");
	uint64_t n_matches = 0, n_images = 0;

	(void)state;
	random_start(seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL));
	for (unsigned round = 0; round < (rounds ? (unsigned)atoi(rounds) : 400); round++) {
		struct rules *rules = random_rules();
		struct rules_error error;
		struct image *image;

		assert_int_equal(image_build(rules, 1, NULL, &image, &error), 0);
		n_images += image->bits_protos != 0;
		for (unsigned n = 0; n < PACKETS && image->bits_protos; n++) {
			struct random_frame frame;

			random_frame(&frame);
			if (frame.frame.pkt.family)
				packet_check(image, &frame.frame.pkt, &n_matches);
		}
		image_free(image);
		rules_free(rules);
	}
	assert_true(n_images > 50);
	assert_true(n_matches > 1000);
	print_message("%llu images with vectors, %llu matches\n", (unsigned long long)n_images, (unsigned long long)n_matches);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
