/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * innocents.h - what the commands of spillway-innocents share: their options, the loop they run in and the report they print.
 *
 * Each command is one epoll loop over its sockets and two timers: the schedule of what it sends, and the report once a second.
 * A client sends a fixed load on a fixed schedule, whatever comes back, and numbers what it sends; after the last it waits a second
 * for stragglers, and every number is then answered or lost.
 */
#ifndef SPILLWAY_LAB_INNOCENTS_H
#define SPILLWAY_LAB_INNOCENTS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#define NS_PER_S 1000000000ull
#define STRAGGLERS_NS NS_PER_S
#define EVENTS 64 /* one epoll_wait() */

struct options {
	struct sockaddr_storage dst4, dst6;
	uint64_t port, flows, pps, seconds, mbps;
	bool has4, has6;
};

extern volatile sig_atomic_t stopping; /* SIGINT or SIGTERM came */

int complain(const char *format, ...) __attribute__((format(printf, 1, 2))); /* with errno's text; always -1 */
uint64_t clock_ns(clockid_t clock);

/* Times of answered requests. times_print() adds p50, p99, p99.9 and the longest to a report. */
struct times {
	uint32_t *us;
	size_t n, room;
};

void times_add(struct times *times, uint64_t ns);
void times_print(struct times *times, const char *name);

struct loop {
	int epoll, pace, second;
	uint64_t start_ns, end_ns; /* of the schedule, CLOCK_MONOTONIC */
};

enum { ON_PACE = UINT32_MAX - 1, ON_SECOND = UINT32_MAX }; /* event data of the timers; other data is the command's own */

int loop_open(struct loop *loop, uint64_t period_ns, uint64_t seconds); /* no schedule if the period is 0 */
void loop_close(struct loop *loop);
int loop_watch(struct loop *loop, int fd, uint32_t events, uint64_t data);
uint64_t timer_read(int fd); /* how often it expired since the last read */

/* A report is a JSON object on a line: begin it, print `,"name":value` pairs, end it. */
void report_begin(const struct loop *loop, bool total);
void report_end(void);

int server_open(int type, uint64_t port); /* non-blocking socket for both families; complains */
socklen_t address_size(const struct sockaddr_storage *address);
const struct sockaddr_storage *address_of(const struct options *options, uint64_t n); /* of the n-th flow or connection */

int echo_server(const struct options *options);
int echo_client(const struct options *options);
int tcp_sink(const struct options *options);
int tcp_source(const struct options *options);
int tcp_connect_rate(const struct options *options);

#endif
