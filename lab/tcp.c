/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp.c - TCP: a sink, a transfer to it and connections to it. What counts as arrived is what the peer has acknowledged.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "innocents.h"

#define CONNECTS_OPEN 4096

static void sink_accept(struct loop *loop, int listener, uint64_t *connections)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		(*connections)++;
		if (loop_watch(loop, fd, EPOLLIN, (uint64_t)fd))
			close(fd);
	}
}

int tcp_sink(const struct options *options)
{
	static char waste[1 << 18];
	struct epoll_event events[EVENTS];
	struct loop loop;
	uint64_t connections = 0, bytes = 0;
	int listener = server_open(SOCK_STREAM, options->port);

	if (listener < 0 || loop_open(&loop, 0, 0) || loop_watch(&loop, listener, EPOLLIN, (uint64_t)listener))
		return -1;
	while (!stopping) {
		int n = epoll_wait(loop.epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			uint64_t fd = events[i].data.u64;
			ssize_t got;

			if (fd == ON_SECOND) {
				timer_read(loop.second);
			} else if (fd == (uint64_t)listener) {
				sink_accept(&loop, listener, &connections);
			} else {
				got = recv((int)fd, waste, sizeof(waste), 0);
				if (got > 0)
					bytes += (uint64_t)got;
				else if (got == 0 || errno != EAGAIN)
					close((int)fd);
			}
		}
	}
	report_begin(&loop, true);
	printf(",\"connections\":%" PRIu64 ",\"bytes\":%" PRIu64, connections, bytes);
	report_end();
	close(listener);
	loop_close(&loop);
	return 0;
}

static int stream_open(const struct sockaddr_storage *to)
{
	int fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return complain("cannot open a socket");
	if (connect(fd, (const struct sockaddr *)to, address_size(to)) && errno != EINPROGRESS) {
		complain("cannot connect");
		close(fd);
		return -1;
	}
	return fd;
}

/* Bytes the other side has acknowledged. */
static uint64_t source_arrived(int fd, uint64_t written)
{
	int waiting = 0;

	return ioctl(fd, SIOCOUTQ, &waiting) || (uint64_t)waiting > written ? 0 : written - (uint64_t)waiting;
}

static void source_report(const struct loop *loop, int fd, uint64_t written, bool total)
{
	double seconds = (double)(clock_ns(CLOCK_MONOTONIC) - loop->start_ns) / NS_PER_S;
	uint64_t arrived = source_arrived(fd, written);
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size);
	report_begin(loop, total);
	printf(",\"bytes\":%" PRIu64 ",\"mbps\":%.1f,\"retransmitted\":%u", arrived, (double)arrived * 8 / 1e6 / seconds,
	       info.tcpi_total_retrans);
	report_end();
}

int tcp_source(const struct options *options)
{
	static char load[1 << 16];
	struct epoll_event events[EVENTS];
	struct loop loop;
	uint64_t written = 0, bytes_per_s = options->mbps * 125000;
	int fd = stream_open(address_of(options, 0));

	if (fd < 0 || loop_open(&loop, 0, options->seconds) || loop_watch(&loop, fd, EPOLLOUT, 0))
		return -1;
	if (bytes_per_s)
		setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &bytes_per_s, sizeof(bytes_per_s));
	while (!stopping && clock_ns(CLOCK_MONOTONIC) < loop.end_ns) {
		int n = epoll_wait(loop.epoll, events, EVENTS, 100);

		for (int i = 0; i < n; i++) {
			ssize_t sent;

			if (events[i].data.u64 == ON_SECOND) {
				timer_read(loop.second);
				source_report(&loop, fd, written, false);
				continue;
			}
			sent = send(fd, load, sizeof(load), MSG_NOSIGNAL);
			if (sent < 0 && errno != EAGAIN)
				return complain("the transfer broke");
			written += sent > 0 ? (uint64_t)sent : 0;
		}
	}
	source_report(&loop, fd, written, true);
	close(fd);
	loop_close(&loop);
	return 0;
}

struct connects {
	const struct options *options;
	struct loop loop;
	uint64_t begun_ns[CONNECTS_OPEN]; /* by file descriptor; 0: not ours */
	struct times times;
	uint64_t planned, attempted, connected, failed, open;
};

static void connect_begin(struct connects *c)
{
	struct linger reset = { .l_onoff = 1 }; /* close without TIME_WAIT, or the ports run out */
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	int fd = stream_open(address_of(c->options, c->attempted));

	c->attempted++;
	if (fd < 0 || fd >= CONNECTS_OPEN || loop_watch(&c->loop, fd, EPOLLOUT, (uint64_t)fd)) {
		c->failed++;
		if (fd >= 0)
			close(fd);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	c->begun_ns[fd] = now;
	c->open++;
}

static void connect_end(struct connects *c, int fd, bool connected)
{
	if (connected) {
		times_add(&c->times, clock_ns(CLOCK_MONOTONIC) - c->begun_ns[fd]);
		c->connected++;
	} else {
		c->failed++;
	}
	c->begun_ns[fd] = 0;
	c->open--;
	close(fd);
}

/* Give up what takes longer than a straggler may. */
static void connect_expire(struct connects *c)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	for (int fd = 0; fd < CONNECTS_OPEN; fd++)
		if (c->begun_ns[fd] && now - c->begun_ns[fd] > STRAGGLERS_NS)
			connect_end(c, fd, false);
}

static void connect_report(struct connects *c, bool total)
{
	report_begin(&c->loop, total);
	printf(",\"attempted\":%" PRIu64 ",\"connected\":%" PRIu64 ",\"failed\":%" PRIu64, c->attempted, c->connected, c->failed);
	if (total)
		times_print(&c->times, "connect");
	report_end();
}

static void connect_event(struct connects *c, const struct epoll_event *event)
{
	if (event->data.u64 == ON_PACE) {
		for (uint64_t n = timer_read(c->loop.pace); n && c->attempted < c->planned; n--)
			connect_begin(c);
	} else if (event->data.u64 == ON_SECOND) {
		timer_read(c->loop.second);
		connect_expire(c);
		connect_report(c, false);
	} else {
		connect_end(c, (int)event->data.u64, !(event->events & (EPOLLERR | EPOLLHUP)));
	}
}

int tcp_connect_rate(const struct options *options)
{
	static struct connects c;
	struct epoll_event events[EVENTS];
	struct rlimit files = { CONNECTS_OPEN, CONNECTS_OPEN };

	setrlimit(RLIMIT_NOFILE, &files);
	c.options = options;
	c.planned = options->pps * options->seconds;
	c.times = (struct times){ calloc(c.planned, sizeof(*c.times.us)), 0, c.planned };
	if (!c.times.us || loop_open(&c.loop, NS_PER_S / options->pps, options->seconds))
		return -1;
	while (!stopping && (c.attempted < c.planned || c.open)) {
		int n = epoll_wait(c.loop.epoll, events, EVENTS, 100);

		for (int i = 0; i < n; i++)
			connect_event(&c, &events[i]);
		connect_expire(&c);
	}
	connect_report(&c, true);
	loop_close(&c.loop);
	free(c.times.us);
	return 0;
}
