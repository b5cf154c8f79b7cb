/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * link.h - what the kernel says of one network interface of our namespace, by ioctl.
 *
 * Not from /sys: that shows the namespace of whoever mounted it, which after `nsenter --net` is another one.
 */
#ifndef SPILLWAY_HOST_LINK_H
#define SPILLWAY_HOST_LINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

struct link_facts {
	unsigned ifindex;
	char ifname[IF_NAMESIZE];
	char driver[32];
	bool up;
	bool ethernet;	   /* Ethernet headers on its frames */
	uint32_t mtu;	   /* bytes of IP packet */
	uint32_t n_queues; /* RX queues in use */
};

/* 0, -ENODEV if there is no such interface, or another negative errno. */
int link_query(const char *ifname, struct link_facts *ret_facts);

#endif
