/* SPDX-License-Identifier: BSD-2-Clause */
/* sets_question.h - what test_sets_bpf.c asks sets.bpf.c, and what it answers besides 0 and 1. */
#ifndef SPILLWAY_TESTS_SETS_QUESTION_H
#define SPILLWAY_TESTS_SETS_QUESTION_H

#include <linux/types.h>

#define SETS_QUESTION_AT 14
#define SETS_NO_QUESTION 77

enum sets_ask { SETS_ASK_ADDR, SETS_ASK_TUPLE, SETS_ASK_NUMBER, SETS_ASK_COUNT };

struct sets_question {
	__u64 addr[2];
	__u32 kind; /* enum sets_ask */
	__u32 set, family, proto;
	__s32 port; /* or the number */
	__u32 zero;
};

#endif
