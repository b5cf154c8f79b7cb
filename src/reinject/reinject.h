/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reinject.h - put diverted, valid frames back into the kernel as if they had just arrived on their interface.
 *
 * Bytes, length, VLAN tags and ingress interface are those of the arrival, order is that of the calls, and the capture side never
 * sees the frame again. A frame is written into a TAP device of ours whose ingress act_mirred redirects to the interface: 2-3 us a
 * frame with the stack's own work, no start-up cost a batch. docs/decisions.md has the figures, also of the ways not taken.
 */
#ifndef SPILLWAY_REINJECT_REINJECT_H
#define SPILLWAY_REINJECT_REINJECT_H

#include <stddef.h>
#include <stdint.h>

struct reinject;

/*
 * Make ready for an interface of this network namespace. The TAP device goes with this object or with the process, however it
 * ends: nothing of it can be left behind. 0 or negative errno; *ret_message (one line, size bytes) names what failed and the fix.
 */
int reinject_open(const char *ifname, struct reinject **ret_reinject, char *ret_message, size_t size);
struct reinject *reinject_close(struct reinject *reinject); /* NULL is fine; returns NULL */

/* Hand one frame over; never blocks. 0 or negative errno: then it is lost, for the caller to count. */
int reinject_send(struct reinject *reinject, const uint8_t *data, uint32_t len);

/* The interface's address may have changed: follow it, or the kernel would see frames meant for another host. */
int reinject_follow_address(struct reinject *reinject);

const char *reinject_device(const struct reinject *reinject); /* name of the TAP */

#endif
