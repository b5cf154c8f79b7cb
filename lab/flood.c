/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flood.c - the attack of the demo: DNS "water torture" and UDP garbage as live XDP frames, redirected into a wire.
 *
 * Theory of operation. BPF_PROG_RUN with BPF_F_TEST_XDP_LIVE_FRAMES runs flood.bpf.c once per frame on pages of its own and puts
 * each result on a device's transmit path: several million packets a second from one core, without sockets or skbs. One stream is
 * one thread bound to one CPU with its own copy of the program, because the CPU decides on which queue of a veth peer the frames
 * land (queue = CPU modulo queues), as RSS would on a NIC.
 *
 * A stream is paced by the absolute time at which each call of `batch` frames is due, so its rate does not drift. The frames of a
 * call are on the wire when it returns; whoever receives on this CPU has been served by then, too. Thus a receiver that is too slow
 * slows the stream down: what was really offered is what the counters say, not what was asked for.
 *
 * A program that is attached nowhere is patched into the kernel's XDP dispatcher for each call and out again, which takes
 * milliseconds. So each stream keeps its program attached to a TAP of its own; both vanish with the process.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "flood.h"
#include "flood.skel.h"

#define STREAMS_MAX 64
#define SECONDS_MAX 120
#define BATCH_DEFAULT 1024 /* frames a call: fewer cost a tenth more, for the kernel prepares each call */
#define UNPACED_BATCH 16384
#define KERNEL_BATCH 64	    /* frames the kernel makes before it hands them over: well below a veth ring of 256 */
#define CATCH_UP_NS 1000000 /* a stream that had to wait for its CPU makes up for this much and forgets the rest */
#define NS_PER_S 1000000000ull

struct stream {
	int cpu;
	uint64_t garbage_pps, dns_pps;
	struct flood_bpf *skel;
	struct bpf_link *parked; /* keeps the program in the XDP dispatcher */
	int tap;
	pthread_t thread;
	bool started;
	int error;
	const struct options *options;
};

struct options {
	struct flood_config config; /* ifindex and addresses; the shares are each stream's own */
	struct stream streams[STREAMS_MAX];
	int n_streams;
	uint32_t batch;
	uint64_t seconds;
	bool unpaced, json, has4, has6;
};

static volatile sig_atomic_t stopping;

static void stop(int signal)
{
	(void)signal;
	stopping = 1;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void sleep_until(uint64_t when_ns)
{
	struct timespec ts = { .tv_sec = (time_t)(when_ns / NS_PER_S), .tv_nsec = (long)(when_ns % NS_PER_S) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static int complain(int error, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "spillway-flood: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	if (error)
		fprintf(stderr, " (%s)", strerror(error));
	fputc('\n', stderr);
	return -1;
}

/* Attach the program to a TAP made for it. */
static int stream_park(struct stream *stream)
{
	struct ifreq request = { .ifr_name = "flood%d", .ifr_flags = IFF_TAP | IFF_NO_PI };

	stream->tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (stream->tap < 0 || ioctl(stream->tap, TUNSETIFF, &request))
		return complain(errno, "cannot make a TAP device to park the program on");
	stream->parked = bpf_program__attach_xdp(stream->skel->progs.flood_xdp, (int)if_nametoindex(request.ifr_name));
	if (!stream->parked)
		return complain(errno, "cannot attach the program to %s", request.ifr_name);
	return 0;
}

static int stream_open(struct stream *stream, const struct options *options)
{
	uint64_t pps = stream->garbage_pps + stream->dns_pps;

	stream->options = options;
	stream->skel = flood_bpf__open();
	if (!stream->skel)
		return complain(errno, "cannot open the BPF program");
	memcpy((void *)&stream->skel->rodata->config, &options->config, sizeof(options->config));
	stream->skel->rodata->config.dns_share = (uint32_t)((double)stream->dns_pps / (double)pps * UINT32_MAX);
	stream->skel->rodata->config.share6 = !options->has4 ? 256 : options->has6 ? 128 : 0;
	stream->skel->data->dice = now_ns() * 2 + 1 + (uint64_t)stream->cpu; /* anything but 0 */
	if (flood_bpf__load(stream->skel))
		return complain(errno, "cannot load the BPF program; this needs root and Linux 5.18 or newer");
	return stream_park(stream);
}

static void stream_close(struct stream *stream)
{
	bpf_link__destroy(stream->parked);
	if (stream->tap >= 0)
		close(stream->tap);
	flood_bpf__destroy(stream->skel);
}

/*
 * A batch task takes the CPU when it is due, but never from whoever runs there: the flood comes from another machine, and must not
 * cost the server's processes more than the packets do.
 */
static int stream_settle(const struct stream *stream)
{
	const struct sched_param none = { 0 };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)stream->cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return complain(errno, "cannot run on CPU %d", stream->cpu);
	sched_setscheduler(0, SCHED_BATCH, &none);
	prctl(PR_SET_TIMERSLACK, 1ul, 0, 0, 0); /* the default of 50 us is a fifth of a call at 2 Mpps */
	return 0;
}

static int stream_send(struct stream *stream, uint32_t frames)
{
	unsigned char frame[FLOOD_FRAME] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame), .repeat = (int)frames,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = KERNEL_BATCH);
	int r = bpf_prog_test_run_opts(bpf_program__fd(stream->skel->progs.flood_xdp), &run);

	return r == -EINTR ? 0 : r;
}

static void *stream_run(void *arg)
{
	struct stream *stream = arg;
	const struct options *options = stream->options;
	uint64_t pps = stream->garbage_pps + stream->dns_pps, start, now, n = 0;
	double call_ns = options->unpaced ? 0 : (double)options->batch * NS_PER_S / (double)pps;

	stream->error = stream_settle(stream);
	for (now = start = now_ns(); !stream->error && !stopping; now = now_ns()) {
		uint64_t due = start + (uint64_t)((double)n * call_ns);

		if (due > now)
			sleep_until(due);
		else if (now - due > CATCH_UP_NS)
			start += now - due - CATCH_UP_NS;
		stream->error = stream_send(stream, options->batch);
		n++;
	}
	if (stream->error) {
		complain(-stream->error, "CPU %d: sending stopped", stream->cpu);
		stopping = 1;
	}
	return NULL;
}

static void report(const struct options *options, double t, bool total)
{
	uint64_t dns = 0, garbage = 0;

	for (int i = 0; i < options->n_streams; i++) {
		const volatile struct flood_counters *counters = &options->streams[i].skel->bss->counters;

		dns += counters->dns;
		garbage += counters->garbage;
	}
	if (options->json)
		printf("{\"t\":%.3f,\"dns\":%llu,\"garbage\":%llu,\"total\":%s}\n", t, (unsigned long long)dns,
		       (unsigned long long)garbage, total ? "true" : "false");
	else
		printf("%6.1f s  %12llu DNS  %12llu garbage%s\n", t, (unsigned long long)dns, (unsigned long long)garbage,
		       total ? "  in all" : "");
	fflush(stdout);
}

/* Wait for the end, saying once a second how many packets have been made since the start. */
static void watch(const struct options *options)
{
	uint64_t start = now_ns(), end = start + options->seconds * NS_PER_S, next = start + NS_PER_S;

	while (!stopping) {
		sleep_until(next < end ? next : end);
		if (now_ns() >= end)
			break;
		if (now_ns() < next)
			continue; /* a signal */
		report(options, (double)(now_ns() - start) / NS_PER_S, false);
		next += NS_PER_S;
	}
	stopping = 1;
	for (int i = 0; i < options->n_streams; i++)
		if (options->streams[i].started)
			pthread_join(options->streams[i].thread, NULL);
	report(options, (double)(now_ns() - start) / NS_PER_S, true);
}

static int flood(struct options *options)
{
	int r = 0;

	for (int i = 0; i < options->n_streams && !r; i++)
		r = stream_open(&options->streams[i], options);
	for (int i = 0; i < options->n_streams && !r; i++) {
		r = pthread_create(&options->streams[i].thread, NULL, stream_run, &options->streams[i]);
		options->streams[i].started = !r;
		stopping |= r != 0;
	}
	if (options->streams[0].started)
		watch(options);
	for (int i = 0; i < options->n_streams; i++) {
		r |= options->streams[i].error;
		stream_close(&options->streams[i]);
	}
	return r;
}

static void help(void)
{
	printf("Usage: spillway-flood --dev IF --dst-mac MAC [--dst4 ADDR] [--dst6 ADDR] --seconds N STREAM...\n"
	       "Sends a UDP flood from random sources as live XDP frames through IF. For test networks only.\n\n"
	       "A STREAM is --cpu N, then at least one of\n"
	       "  --dns-pps N      queries for RANDOM.flood.example to port 53, a second\n"
	       "  --garbage-pps N  datagrams to other ports, a second\n\n"
	       "Options:\n"
	       "  --dev IF         interface to send through, such as the far end of a veth pair\n"
	       "  --dst-mac MAC    Ethernet destination\n"
	       "  --dst4, --dst6   IP destination; with both, half of the packets each\n"
	       "  --seconds N      how long, 1 to %d\n"
	       "  --unpaced        as fast as possible; the rates only give the mix\n"
	       "  --batch N        packets per call (%d, unpaced %d)\n"
	       "  --json           one JSON object a line\n"
	       "  --help           this text\n\n"
	       "Once a second and at the end it prints the packets made so far. SIGTERM ends it early.\n",
	       SECONDS_MAX, BATCH_DEFAULT, UNPACED_BATCH);
}

enum {
	OPT_DEV,
	OPT_MAC,
	OPT_DST4,
	OPT_DST6,
	OPT_CPU,
	OPT_GARBAGE,
	OPT_DNS,
	OPT_SECONDS,
	OPT_UNPACED,
	OPT_BATCH,
	OPT_JSON,
	OPT_HELP
};

static const struct option long_options[] = {
	{ "dev", required_argument, NULL, OPT_DEV },
	{ "dst-mac", required_argument, NULL, OPT_MAC },
	{ "dst4", required_argument, NULL, OPT_DST4 },
	{ "dst6", required_argument, NULL, OPT_DST6 },
	{ "cpu", required_argument, NULL, OPT_CPU },
	{ "garbage-pps", required_argument, NULL, OPT_GARBAGE },
	{ "dns-pps", required_argument, NULL, OPT_DNS },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "unpaced", no_argument, NULL, OPT_UNPACED },
	{ "batch", required_argument, NULL, OPT_BATCH },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

static int number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || value < min || value > max)
		return complain(0, "'%s' is not a number from %llu to %llu", text, (unsigned long long)min,
				(unsigned long long)max);
	*ret = value;
	return 0;
}

static int option_stream(struct options *options, int option, const char *value)
{
	struct stream *stream = &options->streams[options->n_streams - 1];
	uint64_t cpu;

	if (option != OPT_CPU && !options->n_streams)
		return complain(0, "--cpu N comes before the rates of a stream");
	if (option == OPT_GARBAGE)
		return number(value, 0, 100000000, &stream->garbage_pps);
	if (option == OPT_DNS)
		return number(value, 0, 100000000, &stream->dns_pps);
	if (options->n_streams == STREAMS_MAX)
		return complain(0, "more than %d streams", STREAMS_MAX);
	if (number(value, 0, CPU_SETSIZE - 1, &cpu))
		return -1;
	options->streams[options->n_streams++] = (struct stream){ .cpu = (int)cpu, .tap = -1 };
	return 0;
}

static int option_address(struct options *options, int option, const char *value)
{
	const struct ether_addr *mac;

	switch (option) {
	case OPT_DEV:
		options->config.ifindex = if_nametoindex(value);
		return options->config.ifindex ? 0 : complain(errno, "no interface '%s' in this network namespace", value);
	case OPT_MAC:
		mac = ether_aton(value);
		if (!mac)
			return complain(0, "'%s' is not an Ethernet address such as 02:00:00:00:00:01", value);
		memcpy(options->config.dst_mac, mac, sizeof(options->config.dst_mac));
		return 0;
	case OPT_DST4:
		options->has4 = inet_pton(AF_INET, value, &options->config.dst4) == 1;
		return options->has4 ? 0 : complain(0, "'%s' is not an IPv4 address", value);
	default:
		options->has6 = inet_pton(AF_INET6, value, options->config.dst6) == 1;
		return options->has6 ? 0 : complain(0, "'%s' is not an IPv6 address", value);
	}
}

static int option_set(struct options *options, int option, const char *value)
{
	uint64_t batch = 0;
	int r;

	switch (option) {
	case OPT_SECONDS:
		return number(value, 1, SECONDS_MAX, &options->seconds);
	case OPT_BATCH:
		r = number(value, 1, 1 << 20, &batch);
		options->batch = (uint32_t)batch;
		return r;
	case OPT_UNPACED:
		options->unpaced = true;
		return 0;
	case OPT_JSON:
		options->json = true;
		return 0;
	case OPT_CPU:
	case OPT_GARBAGE:
	case OPT_DNS:
		return option_stream(options, option, value);
	default:
		return option_address(options, option, value);
	}
}

static int options_check(struct options *options)
{
	if (!options->config.ifindex || !(options->has4 || options->has6) || !options->seconds || !options->n_streams)
		return complain(0, "--dev, --dst4 or --dst6, --seconds and --cpu are needed; see --help");
	for (int i = 0; i < options->n_streams; i++)
		if (!options->streams[i].garbage_pps && !options->streams[i].dns_pps)
			return complain(0, "--cpu %d has no rate; give --dns-pps or --garbage-pps", options->streams[i].cpu);
	if (!options->batch)
		options->batch = options->unpaced ? UNPACED_BATCH : BATCH_DEFAULT;
	return 0;
}

int main(int argc, char **argv)
{
	struct options options = { .config.src_mac = { htons(0x0200), 0, htons(0x00fd) } };
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == OPT_HELP) {
			help();
			return EXIT_SUCCESS;
		}
		if (option == '?' || option_set(&options, option, optarg))
			return 2;
	}
	if (optind < argc) {
		complain(0, "unexpected argument '%s'", argv[optind]);
		return 2;
	}
	if (options_check(&options))
		return 2;
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	return flood(&options) ? EXIT_FAILURE : EXIT_SUCCESS;
}
