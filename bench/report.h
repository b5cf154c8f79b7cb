/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.h - what makes a figure of a bench worth quoting: contenders measured in turns within one run, a ratio per round, noise
 * told and thrown out, one table or one line of JSON.
 *
 * A bench has cells (a rule set, a trace). In a cell the contenders do the same work: spillway, its peers, parts of the work to see
 * what they cost, and the base, an empty run whose cost is subtracted from everybody's. A round runs all of them there and back
 * (ABBA) in an order drawn by the seed. Ratios are peer / spillway, bigger is better, taken round by round; medians of different
 * runs are never divided. Rounds in which the machine was disturbed are discarded, and counted; see noise.h. One thread.
 */
#ifndef SPILLWAY_BENCH_REPORT_H
#define SPILLWAY_BENCH_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum contender_role {
	CONTENDER_SPILLWAY, /* exactly one in a cell */
	CONTENDER_PEER,
	CONTENDER_PART, /* printed, compared with nobody */
	CONTENDER_BASE, /* at most one in a cell: the cost of the harness */
};

struct contender {
	const char *name;
	enum contender_role role;
	/* Variants of one peer (an algorithm, a build): only the fastest of a family counts in geomean and worst. NULL: no variants. */
	const char *family;
	double wrong; /* share of its answers that the oracle contradicts; above 0 the ratio is marked and does not count */
	/* One measurement of about 0.1 to 0.5 s: nanoseconds a unit of work. 0 or negative errno, which ends the bench. */
	int (*measure)(void *arg, double *ret_ns);
	void *arg;
};

struct report_options {
	bool json;
	bool quick;	  /* for benches: less work a measurement; here: fewer rounds */
	bool noisy;	  /* report cells although more than 30 % of their rounds were disturbed, and say so */
	unsigned scale;	  /* for benches: all counts are divided by it, to try things out */
	const char *only; /* run cells whose name has this in it; NULL: all */
	unsigned rounds;  /* to keep, a cell */
	uint64_t seed;
	int cpu; /* all measurements run there */
};

struct report;

/* The options every bench has. 0; 1 when --help was printed; -EINVAL when a message was printed. */
int report_options_parse(int argc, char **argv, const char *what, struct report_options *ret_options);

/* Binds the thread to its CPU. NULL: out of memory. *options has to outlive the report. */
struct report *report_new(const char *bench, const struct report_options *options);
struct report *report_free(struct report *report); /* NULL is fine; returns NULL */

/* A condition the figures were taken under: a peer's version, the size of a trace. JSON: under "facts". */
__attribute__((format(printf, 3, 4))) void report_fact(struct report *report, const char *key, const char *format, ...);

bool report_wants(const struct report *report, const char *cell); /* may the set-up of this cell be saved? then no */
/* Measure a cell. 0, or what a contender returned, or -ENOMEM. */
int report_cell(struct report *report, const char *cell, const struct contender *contenders, unsigned n);
/* A further figure of the last cell, as member `key` of each of its rows in JSON. */
void report_cell_number(struct report *report, const char *key, double value);

/* A cell that cannot be measured here, and why. */
void report_skip(struct report *report, const char *cell, const char *why);

/* The table, or the line of JSON. 0; -EBUSY: some cell was too noisy to be reported; -ENODATA: there is no cell, all were skipped. */
int report_print(const struct report *report, FILE *out);
/* The exit code of a bench that came to that end: 0, 77 for -ENODATA, else 1. */
int report_exit_code(int error);

#endif
