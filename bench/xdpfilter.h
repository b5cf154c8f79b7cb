/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdpfilter.h - the peer xdp-filter: its own object files from the package xdp-tools, as its command would load and fill them.
 */
#ifndef SPILLWAY_BENCH_XDPFILTER_H
#define SPILLWAY_BENCH_XDPFILTER_H

#include <stdint.h>

#include "report.h"

/* Its programs with the policy "allow what is not listed", which are those for a list of what to drop. */
#define XDPFILTER_IP "alw_ip"	/* the smallest that looks at addresses */
#define XDPFILTER_ALL "alw_all" /* all features */

struct xdpfilter; /* both programs */

/* -ENOENT: the package is not installed; each error's message is printed. */
int xdpfilter_open(struct xdpfilter **ret_xdpfilter);
struct xdpfilter *xdpfilter_close(struct xdpfilter *xdpfilter); /* NULL is fine; returns NULL */

/* `xdp-filter ip -m src ADDRESS` after `xdp-filter load -p allow`. 0 or negative errno; it has room for 10,000 of each family. */
int xdpfilter_deny(struct xdpfilter *xdpfilter, int family, const uint8_t *addr);
int xdpfilter_ip(const struct xdpfilter *xdpfilter); /* fd of the program XDPFILTER_IP */
int xdpfilter_all(const struct xdpfilter *xdpfilter);

void xdpfilter_fact(struct report *report); /* its version */

#endif
