/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * innocents.c - the traffic the demo must not harm: UDP echo, one TCP transfer and TCP connects, each with its own account.
 *
 * A client sends a fixed load on a fixed schedule, whatever comes back, and numbers what it sends; after the last it waits a second
 * for stragglers, and every number is then answered or lost. Round trips end at the kernel's receive timestamp, so a client that
 * waits for a CPU does not look like a slow server.
 *
 * Each command is one epoll loop. It prints a JSON object a second with what happened so far, and a last one with "total":true.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull
#define STRAGGLERS_NS NS_PER_S
#define DATAGRAM 64 /* bytes of an echo datagram */
#define DATAGRAMS 64 /* one receive call of the echo server */
#define EVENTS 64
#define CONNECTS_OPEN 4096

struct options {
	struct sockaddr_storage dst4, dst6;
	uint64_t port, flows, pps, seconds, mbps;
	bool has4, has6;
};

static volatile sig_atomic_t stopping;

static void stop(int signal)
{
	(void)signal;
	stopping = 1;
}

static int complain(const char *format, ...)
{
	int error = errno;
	va_list args;

	fprintf(stderr, "spillway-innocents: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, " (%s)\n", strerror(error));
	return -1;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* Times of answered requests, and their percentiles. */
struct times {
	uint32_t *us;
	size_t n, room;
};

static void times_add(struct times *times, uint64_t ns)
{
	if (times->n < times->room)
		times->us[times->n++] = ns / 1000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(ns / 1000);
}

static int times_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void times_print(struct times *times, const char *name)
{
	static const struct {
		const char *name;
		double at;
	} points[] = { { "p50", 0.5 }, { "p99", 0.99 }, { "p999", 0.999 }, { "max", 1 } };

	qsort(times->us, times->n, sizeof(*times->us), times_compare);
	for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++) {
		size_t at = (size_t)((double)times->n * points[i].at);

		printf(",\"%s_%s_us\":%u", name, points[i].name, times->n ? times->us[at < times->n ? at : times->n - 1] : 0);
	}
}

/* The loop all commands share: epoll, the schedule of a client and the report once a second. */
struct loop {
	int epoll, pace, second;
	uint64_t start_ns, end_ns; /* end of the schedule; servers have none */
};

static int loop_watch(struct loop *loop, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };

	return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event);
}

static int timer_open(uint64_t period_ns)
{
	struct timespec period = { .tv_sec = (time_t)(period_ns / NS_PER_S), .tv_nsec = (long)(period_ns % NS_PER_S) };
	struct itimerspec timer = { .it_interval = period, .it_value = period };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	if (fd >= 0)
		timerfd_settime(fd, 0, &timer, NULL);
	return fd;
}

static uint64_t timer_read(int fd)
{
	uint64_t expired = 0;

	return read(fd, &expired, sizeof(expired)) == sizeof(expired) ? expired : 0;
}

enum { ON_PACE = UINT32_MAX - 1, ON_SECOND = UINT32_MAX }; /* event data of the timers; others are the command's own */

static int loop_open(struct loop *loop, uint64_t period_ns, uint64_t seconds)
{
	*loop = (struct loop){ .epoll = epoll_create1(EPOLL_CLOEXEC), .pace = -1, .second = timer_open(NS_PER_S) };
	loop->start_ns = clock_ns(CLOCK_MONOTONIC);
	loop->end_ns = loop->start_ns + seconds * NS_PER_S;
	if (loop->epoll < 0 || loop->second < 0 || loop_watch(loop, loop->second, EPOLLIN, ON_SECOND))
		return complain("cannot set up the event loop");
	if (!period_ns)
		return 0;
	loop->pace = timer_open(period_ns);
	if (loop->pace < 0 || loop_watch(loop, loop->pace, EPOLLIN, ON_PACE))
		return complain("cannot set up the schedule");
	return 0;
}

static void loop_close(struct loop *loop)
{
	close(loop->pace);
	close(loop->second);
	close(loop->epoll);
}

static void report_begin(const struct loop *loop, bool total)
{
	printf("{\"t\":%.3f,\"total\":%s", (double)(clock_ns(CLOCK_MONOTONIC) - loop->start_ns) / NS_PER_S, total ? "true" : "false");
}

static void report_end(void)
{
	printf("}\n");
	fflush(stdout);
}

static socklen_t address_size(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

/* The destination of the n-th flow or connection: with both families they take turns. */
static const struct sockaddr_storage *address_of(const struct options *options, uint64_t n)
{
	if (!options->has4)
		return &options->dst6;
	return options->has6 && n % 2 ? &options->dst6 : &options->dst4;
}

/* A socket for both families on the port. */
static int server_open(int type, uint64_t port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = IN6ADDR_ANY_INIT };
	int fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), off = 0, on = 1;

	if (fd < 0)
		return complain("cannot open a socket");
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) || (type == SOCK_STREAM && listen(fd, 1024))) {
		complain("cannot listen on port %" PRIu64, port);
		close(fd);
		return -1;
	}
	return fd;
}

/* echo-server */

struct datagrams {
	struct mmsghdr messages[DATAGRAMS];
	struct iovec iov[DATAGRAMS];
	struct sockaddr_storage peers[DATAGRAMS];
	char bytes[DATAGRAMS][2048];
};

/* Send back what is there, at most one call's worth. The datagrams that came in. */
static uint64_t echo_serve(int fd, struct datagrams *d)
{
	int n, sent;

	for (int i = 0; i < DATAGRAMS; i++) {
		d->iov[i] = (struct iovec){ d->bytes[i], sizeof(d->bytes[i]) };
		d->messages[i].msg_hdr = (struct msghdr){
			.msg_name = &d->peers[i], .msg_namelen = sizeof(d->peers[i]), .msg_iov = &d->iov[i], .msg_iovlen = 1
		};
	}
	n = recvmmsg(fd, d->messages, DATAGRAMS, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		d->iov[i].iov_len = d->messages[i].msg_len;
	for (int i = 0; i < n; i += sent) {
		sent = sendmmsg(fd, d->messages + i, (unsigned)(n - i), 0);
		if (sent < 1)
			sent = 1; /* this one cannot be sent; the client counts it as lost */
	}
	return n > 0 ? (uint64_t)n : 0;
}

static int echo_server(const struct options *options)
{
	static struct datagrams datagrams;
	struct epoll_event events[EVENTS];
	struct loop loop;
	uint64_t echoed = 0;
	int fd = server_open(SOCK_DGRAM, options->port);

	if (fd < 0 || loop_open(&loop, 0, 0) || loop_watch(&loop, fd, EPOLLIN, 0))
		return -1;
	while (!stopping) {
		int n = epoll_wait(loop.epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.u64 == ON_SECOND)
				timer_read(loop.second);
			else
				echoed += echo_serve(fd, &datagrams);
		}
	}
	report_begin(&loop, true);
	printf(",\"echoed\":%" PRIu64, echoed);
	report_end();
	close(fd);
	loop_close(&loop);
	return 0;
}

/* echo-client */

struct echo {
	uint64_t flow, number; /* of the datagram within its flow */
	uint64_t sent_ns;      /* CLOCK_REALTIME, as the kernel's receive timestamp */
};

struct echo_client {
	const struct options *options;
	struct loop loop;
	int *fds;
	uint8_t *answers; /* per flow and number */
	struct times times;
	uint64_t planned, sent, answered, refused, twice, strange;
};

static int flow_open(const struct sockaddr_storage *to)
{
	int fd = socket(to->ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		return complain("cannot open a socket");
	setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	if (connect(fd, (const struct sockaddr *)to, address_size(to))) {
		complain("cannot reach the echo server");
		close(fd);
		return -1;
	}
	return fd;
}

static int echo_client_open(struct echo_client *client)
{
	const struct options *options = client->options;

	client->planned = options->flows * options->pps * options->seconds;
	client->fds = calloc(options->flows, sizeof(*client->fds));
	client->answers = calloc(client->planned, 1);
	client->times.us = calloc(client->planned, sizeof(*client->times.us));
	client->times.room = client->planned;
	if (!client->fds || !client->answers || !client->times.us)
		return complain("no memory for %" PRIu64 " answers", client->planned);
	for (uint64_t flow = 0; flow < options->flows; flow++) {
		client->fds[flow] = flow_open(address_of(options, flow));
		if (client->fds[flow] < 0)
			return -1;
	}
	if (loop_open(&client->loop, NS_PER_S / (options->flows * options->pps), options->seconds))
		return -1;
	for (uint64_t flow = 0; flow < options->flows; flow++)
		if (loop_watch(&client->loop, client->fds[flow], EPOLLIN, flow))
			return complain("cannot watch a socket");
	return 0;
}

static void echo_client_close(struct echo_client *client)
{
	for (uint64_t flow = 0; client->fds && flow < client->options->flows; flow++)
		close(client->fds[flow]);
	loop_close(&client->loop);
	free(client->fds);
	free(client->answers);
	free(client->times.us);
}

/* The next datagrams of the plan; the flows take turns. */
static void echo_send(struct echo_client *client, uint64_t n)
{
	for (; n && client->sent < client->planned; n--, client->sent++) {
		union {
			struct echo echo;
			char bytes[DATAGRAM];
		} out = { .echo.flow = client->sent % client->options->flows, .echo.number = client->sent / client->options->flows };

		out.echo.sent_ns = clock_ns(CLOCK_REALTIME);
		if (send(client->fds[out.echo.flow], &out, sizeof(out), 0) < 0)
			client->refused++; /* counts as sent, and as lost */
	}
}

static uint64_t received_ns(struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		struct timespec ts;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&ts, CMSG_DATA(c), sizeof(ts));
		return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
	}
	return clock_ns(CLOCK_REALTIME);
}

static void echo_account(struct echo_client *client, uint64_t flow, const struct echo *echo, uint64_t at_ns)
{
	uint64_t index = echo->number * client->options->flows + echo->flow;

	if (echo->flow != flow || index >= client->sent) {
		client->strange++;
	} else if (client->answers[index]++) {
		client->twice++;
	} else {
		client->answered++;
		times_add(&client->times, at_ns > echo->sent_ns ? at_ns - echo->sent_ns : 0);
	}
}

static void echo_receive(struct echo_client *client, uint64_t flow)
{
	for (;;) {
		char in[DATAGRAM], control[256];
		struct iovec iov = { in, sizeof(in) };
		struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(client->fds[flow], &message, 0);
		struct echo echo;

		if (n < 0 && errno == EAGAIN)
			return;
		if (n != DATAGRAM) {
			client->strange++; /* cut short, or an ICMP error */
			continue;
		}
		memcpy(&echo, in, sizeof(echo));
		echo_account(client, flow, &echo, received_ns(&message));
	}
}

static void echo_report(struct echo_client *client, bool total)
{
	report_begin(&client->loop, total);
	printf(",\"sent\":%" PRIu64 ",\"answered\":%" PRIu64, client->sent, client->answered);
	if (total) {
		printf(",\"lost\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"twice\":%" PRIu64 ",\"strange\":%" PRIu64,
		       client->sent - client->answered, client->refused, client->twice, client->strange);
		times_print(&client->times, "rtt");
	}
	report_end();
}

static void echo_client_run(struct echo_client *client)
{
	struct epoll_event events[EVENTS];
	uint64_t last_ns = 0;

	while (!stopping && client->answered < client->planned) {
		int n = epoll_wait(client->loop.epoll, events, EVENTS, 100);

		for (int i = 0; i < n; i++) {
			if (events[i].data.u64 == ON_PACE)
				echo_send(client, timer_read(client->loop.pace));
			else if (events[i].data.u64 == ON_SECOND && timer_read(client->loop.second))
				echo_report(client, false);
			else if (events[i].data.u64 < client->options->flows)
				echo_receive(client, events[i].data.u64);
		}
		if (client->sent < client->planned)
			continue;
		if (!last_ns)
			last_ns = clock_ns(CLOCK_MONOTONIC);
		if (clock_ns(CLOCK_MONOTONIC) - last_ns > STRAGGLERS_NS)
			break;
	}
}

static int echo_client(const struct options *options)
{
	struct echo_client client = { .options = options, .loop = { -1, -1, -1, 0, 0 } };
	int r = echo_client_open(&client);

	if (!r) {
		echo_client_run(&client);
		echo_report(&client, true);
	}
	echo_client_close(&client);
	return r;
}

/* tcp-sink */

static void sink_accept(struct loop *loop, int listener, uint64_t *connections)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		(*connections)++;
		if (loop_watch(loop, fd, EPOLLIN, (uint64_t)fd))
			close(fd);
	}
}

static int tcp_sink(const struct options *options)
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

/* tcp-source */

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

static int tcp_source(const struct options *options)
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

/* tcp-connect-rate */

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
	int fd = stream_open(address_of(c->options, c->attempted));

	c->attempted++;
	if (fd < 0 || fd >= CONNECTS_OPEN || loop_watch(&c->loop, fd, EPOLLOUT, (uint64_t)fd)) {
		c->failed++;
		if (fd >= 0)
			close(fd);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	c->begun_ns[fd] = clock_ns(CLOCK_MONOTONIC);
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

static int tcp_connect_rate(const struct options *options)
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

static const struct command {
	const char *name;
	int (*run)(const struct options *options);
	bool client;
	const char *what;
} commands[] = {
	{ "echo-server", echo_server, false, "send UDP datagrams back" },
	{ "echo-client", echo_client, true, "--flows flows of --pps numbered datagrams a second; every number is accounted for" },
	{ "tcp-sink", tcp_sink, false, "accept connections, read and forget" },
	{ "tcp-source", tcp_source, true, "one transfer, of --mbps megabits a second or as fast as it goes" },
	{ "tcp-connect-rate", tcp_connect_rate, true, "--pps connections a second, opened and closed" },
};

static int help(void)
{
	printf("Usage: spillway-innocents COMMAND [OPTIONS]\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		printf("  %-17s %s\n", commands[i].name, commands[i].what);
	printf("\nOptions:\n"
	       "  --port N        port to serve, or to talk to\n"
	       "  --dst4, --dst6  server address; flows and connections take turns when both are given\n"
	       "  --seconds N     how long a client sends (10)\n"
	       "  --flows N       flows of echo-client (50)\n"
	       "  --pps N         datagrams a second of each flow, or connections a second (100)\n"
	       "  --mbps N        pace of tcp-source (0: none)\n\n"
	       "Output is a JSON object a second and a last one with \"total\":true. SIGTERM ends any command early.\n");
	return 0;
}

enum { OPT_PORT, OPT_DST4, OPT_DST6, OPT_SECONDS, OPT_FLOWS, OPT_PPS, OPT_MBPS, OPT_HELP };

static const struct option long_options[] = {
	{ "port", required_argument, NULL, OPT_PORT },   { "dst4", required_argument, NULL, OPT_DST4 },
	{ "dst6", required_argument, NULL, OPT_DST6 },   { "seconds", required_argument, NULL, OPT_SECONDS },
	{ "flows", required_argument, NULL, OPT_FLOWS }, { "pps", required_argument, NULL, OPT_PPS },
	{ "mbps", required_argument, NULL, OPT_MBPS },   { "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

static int number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || value < min || value > max) {
		fprintf(stderr, "spillway-innocents: '%s' is not a number from %" PRIu64 " to %" PRIu64 "\n", text, min, max);
		return -1;
	}
	*ret = value;
	return 0;
}

static int option_set(struct options *options, int option, const char *value)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&options->dst4;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&options->dst6;

	switch (option) {
	case OPT_PORT:
		return number(value, 1, 65535, &options->port);
	case OPT_SECONDS:
		return number(value, 1, 3600, &options->seconds);
	case OPT_FLOWS:
		return number(value, 1, 1000, &options->flows);
	case OPT_PPS:
		return number(value, 1, 100000, &options->pps);
	case OPT_MBPS:
		return number(value, 0, 1000000, &options->mbps);
	case OPT_DST4:
		options->has4 = inet_pton(AF_INET, value, &in->sin_addr) == 1;
		break;
	case OPT_DST6:
		options->has6 = inet_pton(AF_INET6, value, &in6->sin6_addr) == 1;
		break;
	}
	if ((option == OPT_DST4 && options->has4) || (option == OPT_DST6 && options->has6))
		return 0;
	fprintf(stderr, "spillway-innocents: '%s' is not an address of that family\n", value);
	return -1;
}

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

int main(int argc, char **argv)
{
	struct options options = { .flows = 50, .pps = 100, .seconds = 10 };
	struct sigaction action = { .sa_handler = stop };
	const struct command *command = argc > 1 ? command_find(argv[1]) : NULL;
	int option;

	if (argc > 1 && !strcmp(argv[1], "--help"))
		return help();
	if (!command) {
		fprintf(stderr, "spillway-innocents: which command? See --help\n");
		return 2;
	}
	while ((option = getopt_long(argc - 1, argv + 1, "", long_options, NULL)) != -1) {
		if (option == OPT_HELP)
			return help();
		if (option == '?' || option_set(&options, option, optarg))
			return 2;
	}
	if (!options.port || (command->client && !options.has4 && !options.has6)) {
		fprintf(stderr, "spillway-innocents: %s needs --port%s\n", command->name, command->client ? " and --dst4 or --dst6" : "");
		return 2;
	}
	((struct sockaddr_in *)&options.dst4)->sin_family = AF_INET;
	((struct sockaddr_in *)&options.dst4)->sin_port = htons((uint16_t)options.port);
	((struct sockaddr_in6 *)&options.dst6)->sin6_family = AF_INET6;
	((struct sockaddr_in6 *)&options.dst6)->sin6_port = htons((uint16_t)options.port);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	return command->run(&options) ? EXIT_FAILURE : EXIT_SUCCESS;
}
