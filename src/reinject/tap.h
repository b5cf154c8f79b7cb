/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tap.h - a TAP device of ours: a frame written to it arrives on it. It is not persistent: it goes with its file descriptor, and so
 * with the process, however that ends.
 */
#ifndef SPILLWAY_REINJECT_TAP_H
#define SPILLWAY_REINJECT_TAP_H

#include <net/if.h>
#include <stdint.h>

struct tap {
	int fd;
	unsigned ifindex;
	char ifname[IF_NAMESIZE];
	uint8_t address[6];
};

#define TAP_NONE ((struct tap){ .fd = -1 })

/* Create it under `ifname`, silent (no IPv6 of its own), down. 0 or negative errno; -ENOENT: the kernel has no TUN/TAP. */
int tap_open(const char *ifname, struct tap *ret_tap);
void tap_close(struct tap *tap); /* TAP_NONE is fine */

/* Take the hardware address of interface `like`, so that the kernel sees the frames for that one as ours. */
int tap_follow_address(struct tap *tap, const char *like);
/* Bring it up and hand everything that arrives on it to interface `to_ifindex`, as arriving there. */
int tap_redirect(struct tap *tap, unsigned to_ifindex);

#endif
