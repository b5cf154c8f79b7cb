/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdpfilter.h - the peer xdp-filter: its own object files from the package xdp-tools, as its command would load and fill them.
 */
#ifndef SPILLWAY_BENCH_XDPFILTER_H
#define SPILLWAY_BENCH_XDPFILTER_H

#include <stddef.h>
#include <stdint.h>

/* Its programs with the policy "allow what is not listed", which are those for a list of what to drop. */
#define XDPFILTER_IP "alw_ip"	/* the smallest that looks at addresses */
#define XDPFILTER_ALL "alw_all" /* all features */

struct xdpfilter;

/* -ENOENT: the package is not installed. */
int xdpfilter_open(const char *program, struct xdpfilter **ret_xdpfilter, char *ret_message, size_t size);
struct xdpfilter *xdpfilter_close(struct xdpfilter *xdpfilter); /* NULL is fine; returns NULL */

/* `xdp-filter ip -m src ADDRESS` after `xdp-filter load -p allow`. 0 or negative errno; it has room for 10,000 of each family. */
int xdpfilter_deny(struct xdpfilter *xdpfilter, int family, const uint8_t *addr);
int xdpfilter_program(const struct xdpfilter *xdpfilter);

void xdpfilter_version(char *ret_version, size_t size);

#endif
