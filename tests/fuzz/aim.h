/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * aim.h - frames that the rules at hand have something to say about: a frame of some common shape, with values in its headers that
 * the rules ask for, or values beside those.
 */
#ifndef SPILLWAY_FUZZ_AIM_H
#define SPILLWAY_FUZZ_AIM_H

#include <stdint.h>

#include "rules/ast.h"

#define AIM_FRAME_MAX 1514u
#define AIM_TESTS_MAX 256

/* The questions of a rule set. */
struct aims {
	const struct test *tests[AIM_TESTS_MAX];
	unsigned n;
};

void aims_init(struct aims *aims, const struct rules *rules);
/* A frame, chosen by the state at `dice`, which moves on. Returns its length. */
uint32_t aim_frame(const struct aims *aims, uint64_t *dice, uint8_t ret_frame[AIM_FRAME_MAX]);

#endif
