/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stage.h - one cell of an XDP bench: the trace with the answers of the oracle, the programs that are asked, first whether they
 * answer rightly, then how long they take.
 */
#ifndef SPILLWAY_BENCH_STAGE_H
#define SPILLWAY_BENCH_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "dice.h"
#include "harness.h"
#include "ours.h"
#include "report.h"

#define STAGE_PEERS_MAX 4u

struct stage_peer {
	const char *name, *family; /* as in struct contender */
	int program_fd;
	/* What it has to drop. NULL: the same as spillway. */
	int (*drops)(void *arg, const struct header *header);
};

struct stage_cell {
	const char *name;
	const struct ours *ours;
	struct stage_peer peers[STAGE_PEERS_MAX];
	unsigned n_peers;
	/* The oracle: has this packet to be dropped? Knows nothing of the code that is measured. */
	int (*drops)(void *arg, const struct header *header);
	/* A packet of the trace: one that rules match, or one they do not; `hit_percent` of them are to match. */
	void (*make)(void *arg, bool hit, struct header *ret_header);
	uint32_t hit_percent;
	void *arg; /* of drops() and make() */
};

struct stage;

/* A bench's main(): options, the stage, `run`, the report. Returns the exit code. */
int stage_main(int argc, char **argv, const char *bench, const char *what, int (*run)(struct stage *stage));
const struct report_options *stage_options(const struct stage *stage);
struct report *stage_report(struct stage *stage);
uint32_t stage_scaled(const struct stage *stage, uint32_t n); /* n by the option --scale, at least 1 */

/*
 * Spillway with these rules (NULL: out of memory), which are freed. 0, with *ret_ours NULL if the rules are not for this engine, which
 * the report tells of the cell `name`; or negative errno, message printed.
 */
int stage_open_ours(struct stage *stage, const char *name, char *text, size_t len, struct ours **ret_ours);

/* Both kinds of trace; the order of cells. */
enum stage_trace {
	STAGE_COLD, /* 2^20 packets, all different, evenly drawn: more than caches and branch predictors hold */
	STAGE_WARM, /* 2^18 packets of 2^16 flows, drawn by Zipf with exponent 1.1 */
	STAGE_TRACE_COUNT,
};

const char *stage_trace_name(enum stage_trace trace);
/* What there is to say of a packet besides its addresses: TCP or UDP, any ports, a short frame. */
void stage_header_roll(struct dice *dice, int family, struct header *ret_header);

/* Fill the trace, verify, measure, keep in the report. 0 or negative errno, message printed: also when spillway answers wrongly. */
int stage_run(struct stage *stage, enum stage_trace trace, const struct stage_cell *cell);
/* The cell with either trace, whose name becomes the end of the cell's, as far as the options want them. */
int stage_run_traces(struct stage *stage, const struct stage_cell *cell);

#endif
