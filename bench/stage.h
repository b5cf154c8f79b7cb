/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stage.h - one cell of an XDP bench: the trace with the answers of the oracle, the programs that are asked, first whether they
 * answer rightly, then how long they take.
 */
#ifndef SPILLWAY_BENCH_STAGE_H
#define SPILLWAY_BENCH_STAGE_H

#include <stdbool.h>
#include <stdint.h>

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
	void *arg;
};

struct stage;

int stage_open(const char *bench, const struct report_options *options, struct stage **ret_stage);
struct stage *stage_close(struct stage *stage); /* NULL is fine; returns NULL */
struct report *stage_report(struct stage *stage);

/* Both kinds of trace; the order of cells. */
enum stage_trace {
	STAGE_COLD, /* 2^20 packets, all different, evenly drawn: more than caches and branch predictors hold */
	STAGE_WARM, /* 2^18 packets of 2^16 flows, drawn by Zipf with exponent 1.1 */
	STAGE_TRACE_COUNT,
};

const char *stage_trace_name(enum stage_trace trace);
/* Fill the trace: `make` writes a packet that rules match, or one they do not, `hit_percent` of them to match. */
int stage_trace_fill(struct stage *stage, enum stage_trace trace, void (*make)(void *arg, bool hit, struct header *ret_header),
		     void *arg, uint32_t hit_percent, uint64_t seed);

/* Verify, measure, keep in the report. 0 or negative errno, message printed: also when spillway itself answers wrongly. */
int stage_run(struct stage *stage, const struct stage_cell *cell);
/* The cell cannot be had, and why; told in the report. */
void stage_skip(struct stage *stage, const char *cell, const char *why);

#endif
