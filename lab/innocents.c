/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * innocents.c - the traffic the demo must not harm: UDP echo, one TCP transfer and TCP connects, each with its own account.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "innocents.h"

volatile sig_atomic_t stopping;

static void stop(int signal)
{
	(void)signal;
	stopping = 1;
}

int complain(const char *format, ...)
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

uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

void times_add(struct times *times, uint64_t ns)
{
	if (times->n < times->room)
		times->us[times->n++] = ns / 1000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(ns / 1000);
}

static int times_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

void times_print(struct times *times, const char *name)
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

int loop_watch(struct loop *loop, int fd, uint32_t events, uint64_t data)
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

uint64_t timer_read(int fd)
{
	uint64_t expired = 0;

	return read(fd, &expired, sizeof(expired)) == sizeof(expired) ? expired : 0;
}

int loop_open(struct loop *loop, uint64_t period_ns, uint64_t seconds)
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

void loop_close(struct loop *loop)
{
	close(loop->pace);
	close(loop->second);
	close(loop->epoll);
}

void report_begin(const struct loop *loop, bool total)
{
	printf("{\"t\":%.3f,\"total\":%s", (double)(clock_ns(CLOCK_MONOTONIC) - loop->start_ns) / NS_PER_S,
	       total ? "true" : "false");
}

void report_end(void)
{
	printf("}\n");
	fflush(stdout);
}

socklen_t address_size(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

/* The destination of the n-th flow or connection: with both families they take turns. */
const struct sockaddr_storage *address_of(const struct options *options, uint64_t n)
{
	if (!options->has4)
		return &options->dst6;
	return options->has6 && n % 2 ? &options->dst6 : &options->dst4;
}

/* A socket for both families on the port. */
int server_open(int type, uint64_t port)
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
	{ "port", required_argument, NULL, OPT_PORT },
	{ "dst4", required_argument, NULL, OPT_DST4 },
	{ "dst6", required_argument, NULL, OPT_DST6 },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "flows", required_argument, NULL, OPT_FLOWS },
	{ "pps", required_argument, NULL, OPT_PPS },
	{ "mbps", required_argument, NULL, OPT_MBPS },
	{ "help", no_argument, NULL, OPT_HELP },
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
		fprintf(stderr, "spillway-innocents: %s needs --port%s\n", command->name,
			command->client ? " and --dst4 or --dst6" : "");
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
