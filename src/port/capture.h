/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capture.h - frames from a pcap or pcapng file, by libpcap, as a network card would have handed them over.
 *
 * Ethernet captures come as they are. Those that begin with the IP header (LINKTYPE_RAW, _IPV4, _IPV6) or with Linux "cooked"
 * headers (_LINUX_SLL, _LINUX_SLL2) get an Ethernet header in its place, addresses zero.
 *
 * A frame that the snap length cut comes in the length it had on the wire, with zeros for what was not captured, as long as all its
 * headers are there: then all that rules ask of headers and length has the answer it would have had on the wire, as in tcpdump. If
 * a header itself was cut, it comes as what is left of it, or zeros would be read as ports.
 */
#ifndef SPILLWAY_PORT_CAPTURE_H
#define SPILLWAY_PORT_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct capture;

struct capture_frame {
	const uint8_t *data;
	uint32_t len;	   /* of data: `captured`, or `wire_len` if filled up */
	uint32_t captured; /* bytes that come from the file (or from the Ethernet header made for it) */
	uint32_t wire_len;
};

/* "-" is standard input. 0, or negative errno with a message of one line. */
int capture_open(const char *path, struct capture **ret_capture, char *ret_message, size_t size);
struct capture *capture_close(struct capture *capture); /* NULL is fine; returns NULL */

/* 1: *ret_frame holds until the next call. 0: that was all. -EIO: the file breaks off or is damaged, with a message. */
int capture_next(struct capture *capture, struct capture_frame *ret_frame, char *ret_message, size_t size);
/* How much of the file was read, or -1: a pipe. */
int capture_percent(const struct capture *capture);

#endif
