/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port.c - AF_XDP socket on one queue (Documentation/networking/af_xdp.rst).
 *
 * Theory of operation. One buffer area of 2 x ring_size frames. Before the socket is bound all of them lie on the fill ring, so the
 * kernel never finds it empty (drivers assume that at bind, and a starved zero-copy queue stops for everybody). Each received
 * frame takes one buffer off the fill ring and port_release() puts it back: nothing is ever allocated while packets flow.
 */
#include "port/port.h"

#include <errno.h>
#include <linux/if_xdp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <xdp/xsk.h>

#define BIND_DEADLINE_MS 5000
#define BIND_RETRY_MS 10

struct port {
	struct xsk_ring_prod fill;
	struct xsk_ring_cons completion; /* unused: we never transmit here, but a buffer area has one */
	struct xsk_ring_cons rx;
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	uint8_t *buffers;
	uint64_t buffers_size;
	uint32_t frame_size;
	uint32_t queue;
	bool zero_copy;
	uint64_t received;
	uint64_t bad_descriptor;
};

/* The frames of the RX ring and as many again, all with the kernel from the start. */
static void port_fill_all(struct port *port, uint32_t n)
{
	uint32_t at;

	if (xsk_ring_prod__reserve(&port->fill, n, &at) != n)
		return;
	for (uint32_t i = 0; i < n; i++)
		*xsk_ring_prod__fill_addr(&port->fill, at + i) = (uint64_t)i * port->frame_size;
	xsk_ring_prod__submit(&port->fill, n);
}

static int port_bind(struct port *port, const struct port_config *config)
{
	struct xsk_socket_config options = {
		.rx_size = config->ring_size,
		.tx_size = 0,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD, /* the program is ours (bpf/spillway.bpf.c) */
		.bind_flags = XDP_USE_NEED_WAKEUP | (config->copy_only ? XDP_COPY : 0),
	};
	int r = -EBUSY;

	for (int waited = 0; waited <= BIND_DEADLINE_MS && r == -EBUSY; waited += BIND_RETRY_MS) {
		if (waited)
			nanosleep(&(struct timespec){ .tv_nsec = BIND_RETRY_MS * 1000000L }, NULL);
		r = xsk_socket__create(&port->socket, config->ifname, config->queue, port->umem, &port->rx, NULL, &options);
	}
	if (r)
		port->socket = NULL;
	return r;
}

int port_open(const struct port_config *config, struct port **ret_port)
{
	uint32_t n_frames = config->ring_size * 2;
	struct xsk_umem_config area = {
		.fill_size = n_frames,
		.comp_size = XSK_RING_CONS__DEFAULT_NUM_DESCS / 4,
		.frame_size = config->frame_size,
		.frame_headroom = 0,
	};
	struct xdp_options mode = { 0 };
	socklen_t mode_size = sizeof(mode);
	struct port *port;
	int r;

	port = calloc(1, sizeof(*port));
	if (!port)
		return -ENOMEM;
	port->queue = config->queue;
	port->frame_size = config->frame_size;
	port->buffers_size = (uint64_t)n_frames * config->frame_size;
	port->buffers = mmap(NULL, port->buffers_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (port->buffers == MAP_FAILED) {
		port->buffers = NULL;
		port_close(port);
		return -ENOMEM;
	}
	r = xsk_umem__create(&port->umem, port->buffers, port->buffers_size, &port->fill, &port->completion, &area);
	if (r) {
		port->umem = NULL;
		port_close(port);
		return r;
	}
	port_fill_all(port, n_frames);
	r = port_bind(port, config);
	if (r) {
		port_close(port);
		return r;
	}
	if (!getsockopt(port_fd(port), SOL_XDP, XDP_OPTIONS, &mode, &mode_size))
		port->zero_copy = mode.flags & XDP_OPTIONS_ZEROCOPY;
	*ret_port = port;
	return 0;
}

struct port *port_close(struct port *port)
{
	if (!port)
		return NULL;
	if (port->socket)
		xsk_socket__delete(port->socket);
	if (port->umem)
		xsk_umem__delete(port->umem);
	if (port->buffers)
		munmap(port->buffers, port->buffers_size);
	free(port);
	return NULL;
}

int port_fd(const struct port *port)
{
	return xsk_socket__fd(port->socket);
}

uint32_t port_queue(const struct port *port)
{
	return port->queue;
}

bool port_zero_copy(const struct port *port)
{
	return port->zero_copy;
}

uint32_t port_recv(struct port *port, struct frame *frames, uint32_t max)
{
	uint32_t at, n, good = 0;

	n = xsk_ring_cons__peek(&port->rx, max, &at);
	for (uint32_t i = 0; i < n; i++) {
		/* Read once: the entry is in memory the kernel writes. */
		const volatile struct xdp_desc *entry = xsk_ring_cons__rx_desc(&port->rx, at + i);
		uint64_t addr = entry->addr;
		uint32_t len = entry->len;

		if (addr >= port->buffers_size || len > port->frame_size - addr % port->frame_size) {
			port->bad_descriptor++;
			continue;
		}
		frames[good].addr = addr;
		frames[good].data = port->buffers + addr;
		frames[good].len = len;
		good++;
	}
	if (n)
		xsk_ring_cons__release(&port->rx, n);
	port->received += good;
	return good;
}

void port_release(struct port *port, const struct frame *frames, uint32_t n)
{
	uint32_t at;

	if (!n)
		return;
	/* There is always room: the ring is as large as the number of frames. */
	if (xsk_ring_prod__reserve(&port->fill, n, &at) != n)
		return;
	for (uint32_t i = 0; i < n; i++)
		*xsk_ring_prod__fill_addr(&port->fill, at + i) = frames[i].addr / port->frame_size * port->frame_size;
	xsk_ring_prod__submit(&port->fill, n);
	if (xsk_ring_prod__needs_wakeup(&port->fill))
		recvfrom(port_fd(port), NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

void port_stats(const struct port *port, struct port_stats *ret_stats)
{
	struct xdp_statistics kernel = { 0 };
	socklen_t size = sizeof(kernel);

	memset(ret_stats, 0, sizeof(*ret_stats));
	ret_stats->received = port->received;
	ret_stats->bad_descriptor = port->bad_descriptor;
	if (getsockopt(port_fd(port), SOL_XDP, XDP_STATISTICS, &kernel, &size))
		return;
	ret_stats->ring_full = kernel.rx_ring_full;
	ret_stats->fill_empty = kernel.rx_fill_ring_empty_descs;
	ret_stats->dropped = kernel.rx_dropped;
}
