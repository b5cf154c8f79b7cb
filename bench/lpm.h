/* SPDX-License-Identifier: BSD-2-Clause */
/* lpm.h - the peer for prefixes: the programs of lpm.bpf.c, and filling their tries. */
#ifndef SPILLWAY_BENCH_LPM_H
#define SPILLWAY_BENCH_LPM_H

#include <stddef.h>
#include <stdint.h>

struct lpm;

int lpm_open(struct lpm **ret_lpm, char *ret_message, size_t size);
struct lpm *lpm_close(struct lpm *lpm); /* NULL is fine; returns NULL */

int lpm_add(struct lpm *lpm, int family, const uint8_t *addr, unsigned len);
int lpm_wrapped(const struct lpm *lpm); /* program with our parser and counters */
int lpm_lean(const struct lpm *lpm);	/* program that reads addresses only */

#endif
