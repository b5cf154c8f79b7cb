/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * testrun.h - frames through the tiers offline: `spillway test`.
 *
 * The XDP tier is the real program, loaded, attached to nothing and run on one frame after the other by BPF_PROG_TEST_RUN; its
 * verdict is read from its own counters. Beside it the host foretells that verdict from the same image (classify/foretell.h).
 * TESTRUN_BOTH compares the two for each packet, and each rule's counter at the end. The user tier is classify_batch(), as in
 * path.c, a packet a call.
 *
 * No rate is ever exceeded: packets are not run at the pace at which they once came. A limit rule counts what it is asked about.
 * Nothing opens a port, so the program ends what it diverts as no_port_pass: here that is VERDICT_DIVERT.
 */
#ifndef SPILLWAY_CONTROL_TESTRUN_H
#define SPILLWAY_CONTROL_TESTRUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "act/verdict.h"
#include "classify/classify.h"

struct testrun;

enum testrun_tier {
	TESTRUN_XDP,  /* the program alone: what it hands over is not followed further */
	TESTRUN_USER, /* the host alone, both its compiles; needs no privileges */
	TESTRUN_BOTH,
};

/* Frames that BPF_PROG_TEST_RUN does not take as a network card would bring them. */
enum testrun_unrun {
	UNRUN_NOT, /* it ran */
	UNRUN_TOO_SHORT,
	UNRUN_TOO_LARGE, /* more than fits into one buffer */
	UNRUN_COUNT,
};

/* What became of one frame. */
struct testrun_packet {
	enum testrun_unrun unrun;  /* if so: XDP: there is no verdict. BOTH: `verdict` is the host's */
	enum verdict verdict;	   /* of the XDP tier; VERDICT_COUNT: the program named none, or several */
	enum verdict foretold;	   /* by the host; USER: the same as `verdict` */
	enum verdict user_verdict; /* of the user tier, or VERDICT_COUNT: never got there */
	/* That decided or, if handed over, last diverted; IMAGE_NO_RULE: none. XDP: the host names it, the program's counter agrees. */
	uint32_t rule;
	uint32_t user_rule; /* that decided in the user tier; IMAGE_NO_RULE: none */
	bool rule_counted;  /* the program counted the packet for `rule`, or there is none to count */
	bool differs;	    /* BOTH: the program does not do what was foretold */
};

/* Counters of one rule that are not what was foretold. */
struct testrun_rule {
	struct hits program, foretold;
};

/*
 * The classifier is borrowed, and rule i counts at i in its image. 0, or negative errno with a message: -EPERM if the right to load the program
 * is missing, which TESTRUN_USER does not need.
 */
int testrun_open(enum testrun_tier tier, const struct classifier *classifier, struct testrun **ret_run, char *ret_message,
		 size_t size);
struct testrun *testrun_close(struct testrun *run); /* NULL is fine; returns NULL */

/* 0, or negative errno: the kernel does not run the program. */
int testrun_packet(struct testrun *run, const uint8_t *data, uint32_t len, struct testrun_packet *ret_packet);

/* Totals so far. */
void testrun_verdicts(const struct testrun *run, struct hits ret_hits[VERDICT_COUNT]);
void testrun_unrun(const struct testrun *run, struct hits ret_hits[UNRUN_COUNT]);
void testrun_rule_hits(const struct testrun *run, uint32_t rule, struct hits *ret_hits); /* in all tiers that ran */
/* BOTH: is the program's counter of the rule what was foretold? */
bool testrun_rule_differs(const struct testrun *run, uint32_t rule, struct testrun_rule *ret_rule);

/* For tests of the comparison: the program reads other rules than the host. */
int testrun_publish(struct testrun *run, const struct classifier *classifier, char *ret_message, size_t size);

#endif
