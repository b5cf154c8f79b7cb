/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * harness.h - run an XDP program over a trace by BPF_PROG_TEST_RUN, without any interface: what it says of each packet, and how
 * long it takes. The program in front of it is harness.bpf.c. One process, one thread on one CPU.
 */
#ifndef SPILLWAY_BENCH_HARNESS_H
#define SPILLWAY_BENCH_HARNESS_H

#define HARNESS_TRACE_MAX (1u << 20)
#define HARNESS_STAMP 4096u /* turns between two looks at the clock; divides every number of runs */

#ifndef __bpf__
#include <stddef.h>
#include <stdint.h>

#include "header.h"

struct harness;

int harness_open(struct harness **ret_harness, char *ret_message, size_t size);
struct harness *harness_close(struct harness *harness); /* NULL is fine; returns NULL */

int harness_bare(const struct harness *harness); /* the program that only drops */

/* The trace: `n`, a power of two up to HARNESS_TRACE_MAX, headers to be written by the caller. */
struct header *harness_trace(struct harness *harness, uint32_t n);

/* The program under test from now on. */
int harness_select(struct harness *harness, int program_fd);
/* Its XDP action for the packet at `position` of the trace. */
int harness_ask(struct harness *harness, uint32_t position, uint32_t *ret_action);
/* Nanoseconds a packet, harness included, over `runs` packets from *position on, which goes on. */
int harness_time(struct harness *harness, uint32_t runs, uint32_t *position, double *ret_ns);
#endif

#endif
