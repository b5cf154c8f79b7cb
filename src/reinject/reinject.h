/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reinject.h - put diverted, valid frames back into the kernel as if they had just arrived on their interface.
 *
 * Bytes, length, VLAN tags and ingress interface are those of the arrival, order is that of the calls, and the capture side never
 * sees the frame again. Two ways, both done before the call returns, so that they can take turns (figures: docs/decisions.md):
 *   tap   the frame is written into a TAP device of ours whose ingress act_mirred redirects to the interface. 3 us a frame with the
 *         stack's own work, no start-up cost: best for few frames.
 *   live  live frames (live.h). 20 us a call and 1 us a frame: best for many. Native XDP only.
 * Nothing of either can be left behind: the device goes with the process.
 */
#ifndef SPILLWAY_REINJECT_REINJECT_H
#define SPILLWAY_REINJECT_REINJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "port/port.h"

struct reinject;

enum reinject_kind { REINJECT_AUTO, REINJECT_TAP, REINJECT_LIVE };

/*
 * Make ready for an interface of this network namespace. AUTO takes both ways, or the one that can be had. 0 or negative errno;
 * *ret_message (one line, size bytes) names what failed and the fix.
 */
int reinject_open(const char *ifname, enum reinject_kind kind, struct reinject **ret_reinject, char *ret_message, size_t size);
struct reinject *reinject_close(struct reinject *reinject); /* NULL is fine; returns NULL */

/*
 * XDP was attached: in the driver (`native`), or in the stack, where a live frame would meet the program again, and be diverted
 * again, for ever. No live frame is sent before this says native. Any thread. -EOPNOTSUPP: not native, and no TAP.
 */
int reinject_attached(struct reinject *reinject, bool native);

/* Hand frames over in order; never blocks. Returns how many the kernel took; the others are lost, for the caller to count. */
uint32_t reinject_send(struct reinject *reinject, const struct frame *frames, uint32_t n);

/* The interface's address may have changed: follow it, or the kernel would see frames meant for another host. */
int reinject_follow_address(struct reinject *reinject);

const char *reinject_text(const struct reinject *reinject);   /* "tap+live", "tap" or "live" */
const char *reinject_reason(const struct reinject *reinject); /* why so, one line */
const char *reinject_device(const struct reinject *reinject); /* name of the TAP, "" if there is none */

#endif
