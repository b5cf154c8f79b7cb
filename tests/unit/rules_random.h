/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rules_random.h - random packets and random rule sets, as trees: text, parser and builder are all on the other side.
 *
 * Values come from small pools, so that most questions are true for some packets and false for others.
 */
#ifndef SPILLWAY_TESTS_RULES_RANDOM_H
#define SPILLWAY_TESTS_RULES_RANDOM_H

#include "rules_model.h"

#define RANDOM_RULES_MAX 8 /* of a random rule set */

struct random_frame {
	struct model_frame frame; /* its data is `bytes` */
	uint8_t bytes[42 + 64];
};

void random_start(uint64_t seed);
uint32_t random_below(uint32_t n);
void random_frame(struct random_frame *ret_frame);
void random_value(struct rules *rules, enum list_kind kind, union value *value); /* of a set of this kind */
struct rules *random_rules(void);						 /* the caller frees it by rules_free() */

#endif
