/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port.h - one RX queue of a live interface, opened for bypass by AF_XDP: its buffers, its rings, its file descriptor.
 *
 * A frame is owned by the kernel until port_recv() returns it, by the caller until port_release() takes it back. One thread per
 * port. Descriptors from the kernel are checked before anybody reads through them: buffers are shared memory, rings are too.
 */
#ifndef SPILLWAY_PORT_PORT_H
#define SPILLWAY_PORT_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct port;

struct port_config {
	const char *ifname;
	uint32_t queue;
	uint32_t ring_size;  /* RX descriptors, a power of two; twice as many buffers are kept with the kernel */
	uint32_t frame_size; /* bytes a buffer, 2048 or 4096 */
	bool copy_only;	     /* generic XDP, or a queue the kernel keeps using: no zero-copy even if the driver has it */
};

struct frame {
	uint64_t addr; /* in the port's buffer area; what goes back to the kernel */
	uint8_t *data;
	uint32_t len; /* bytes */
};

struct port_stats {
	uint64_t received;	 /* frames port_recv() returned */
	uint64_t bad_descriptor; /* ring entries outside the buffers: not returned, their buffer is lost to the port */
	uint64_t ring_full;	 /* kernel: dropped, no room in the RX ring */
	uint64_t fill_empty;	 /* kernel: dropped, no buffer to write to */
	uint64_t dropped;	 /* kernel: dropped for another reason (frame larger than a buffer) */
};

/*
 * Open one queue. Binding a queue that was closed a moment ago gives EBUSY until the kernel is done with the old socket, so this
 * retries for up to 5 s. Returns 0 or negative errno: -EINVAL queue out of range, -EBUSY another socket is bound to the queue.
 */
int port_open(const struct port_config *config, struct port **ret_port);
struct port *port_close(struct port *port); /* NULL is fine; returns NULL */

int port_fd(const struct port *port); /* for poll(2): readable when frames wait */
uint32_t port_queue(const struct port *port);
bool port_zero_copy(const struct port *port);

/* Up to `max` received frames. Returns their number; never blocks. */
uint32_t port_recv(struct port *port, struct frame *frames, uint32_t max);
/* Give `n` frames back to the kernel. */
void port_release(struct port *port, const struct frame *frames, uint32_t n);

void port_stats(const struct port *port, struct port_stats *ret_stats);

#endif
