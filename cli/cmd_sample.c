/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_sample.c - sample: what `sample` rules take of the packets, as lines, JSON or a capture. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli.h"
#include "sample/show.h"

/* What is being watched, and where it goes. */
struct watch {
	struct ipc_stream *stream;
	const char *ifname;
	int signal_fd;
	bool json;
	pcap_t *pcap;
	pcap_dumper_t *dumper;		 /* NULL: lines on standard output */
	unsigned long long wanted, seen; /* wanted 0: no end */
	unsigned long long lost_ring, lost_watcher;
};

static int count_parse(const char *text, unsigned long long *ret_count)
{
	char *end;

	*ret_count = 0;
	if (!text)
		return CODE_OK;
	errno = 0;
	*ret_count = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || !*ret_count)
		return fail(CODE_USAGE, "sample: --count is a number from 1: \"%s\"", text);
	return CODE_OK;
}

/* Closed with the capture, so not stdout itself. NULL with errno. */
static FILE *stdout_again(void)
{
	int fd = dup(STDOUT_FILENO);

	return fd < 0 ? NULL : fdopen(fd, "wb");
}

/* The capture's header leaves at once: a reader behind a pipe waits for it. */
static int capture_open_to(struct watch *watch, const char *path)
{
	bool piped = strcmp(path, "-") == 0;
	FILE *out;

	if (piped && isatty(STDOUT_FILENO))
		return fail(CODE_USAGE, "sample: a capture is nothing for a terminal: `-w FILE`, or `-w - | tcpdump -r -`");
	out = piped ? stdout_again() : fopen(path, "wbe");
	if (!out)
		return fail(CODE_REFUSED, "%s: cannot write the capture: %s", path, strerror(errno));
	watch->pcap = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, SAMPLE_BYTES, PCAP_TSTAMP_PRECISION_NANO);
	watch->dumper = watch->pcap ? pcap_dump_fopen(watch->pcap, out) : NULL;
	if (!watch->dumper) {
		fclose(out);
		return fail(CODE_REFUSED, "%s: cannot write the capture", path);
	}
	return pcap_dump_flush(watch->dumper) ? fail(CODE_REFUSED, "%s: cannot write the capture", path) : CODE_OK;
}

static int signals_open(struct watch *watch)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	watch->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return watch->signal_fd < 0 ? fail(CODE_REFUSED, "sample: %s", strerror(errno)) : CODE_OK;
}

static void sample_show(struct watch *watch, const struct sample_view *view)
{
	json_t *json;

	watch->seen++;
	if (watch->dumper) {
		sample_view_dump(view, watch->dumper);
	} else if (watch->json) {
		json = sample_view_json(view);
		if (json)
			json_dumpf(json, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
		putchar('\n');
		json_decref(json);
	} else {
		sample_view_print(view, stdout);
	}
}

static void lost_add(struct watch *watch, const json_t *lost)
{
	watch->lost_ring += (unsigned long long)json_integer_value(json_object_get(lost, "ring"));
	watch->lost_watcher += (unsigned long long)json_integer_value(json_object_get(lost, "watcher"));
}

/* Negative: go on. Else how the command ends. */
static int line_take(struct watch *watch, const json_t *line)
{
	const json_t *lost = json_object_get(line, "lost");
	const char *end = json_string_value(json_object_get(line, "end"));
	struct sample_view view;

	if (end)
		return fail(CODE_REFUSED, "%s: no more samples: %s", watch->ifname, end);
	if (lost)
		lost_add(watch, lost);
	else if (sample_view_read(json_object_get(line, "sample"), &view) == 0)
		sample_show(watch, &view);
	return watch->wanted && watch->seen >= watch->wanted ? CODE_OK : -1;
}

/* Nothing is left to read for the moment: what was shown leaves. */
static int watch_flush(struct watch *watch)
{
	bool failed = watch->dumper ? pcap_dump_flush(watch->dumper) != 0 : fflush(stdout) != 0;

	return failed ? fail(CODE_REFUSED, "cannot write the output") : -1;
}

/* All that has come. */
static int watch_read(struct watch *watch)
{
	int r, code = -1;
	json_t *line;

	while (code < 0 && (r = ipc_stream_next(watch->stream, &line)) > 0) {
		code = line_take(watch, line);
		json_decref(line);
	}
	if (code >= 0)
		return code;
	code = watch_flush(watch);
	if (code < 0 && r < 0)
		code = fail(CODE_UNREACHABLE, "%s: no more samples: the daemon is gone", watch->ifname);
	return code;
}

static int watch_run(struct watch *watch)
{
	struct pollfd fds[] = {
		{ .fd = watch->signal_fd, .events = POLLIN },
		{ .fd = ipc_stream_fd(watch->stream), .events = POLLIN },
	};
	int code = watch_read(watch); /* what came with the reply */

	while (code < 0) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return fail(CODE_REFUSED, "sample: %s", strerror(errno));
		if (fds[0].revents)
			return CODE_OK;
		if (fds[1].revents)
			code = watch_read(watch);
	}
	return code;
}

/* On stderr: what is on standard output may be read by a program. */
static void summary_print(const struct watch *watch)
{
	char seen[GROUPED_MAX], ring[GROUPED_MAX], watcher[GROUPED_MAX];

	fprintf(stderr, "%s sample%s", grouped((json_int_t)watch->seen, seen), watch->seen == 1 ? "" : "s");
	if (watch->lost_ring || watch->lost_watcher)
		fprintf(stderr, ", lost: %s because the ring was full, %s because they were not read in time",
			grouped((json_int_t)watch->lost_ring, ring), grouped((json_int_t)watch->lost_watcher, watcher));
	else
		fprintf(stderr, ", none lost");
	fputc('\n', stderr);
}

static int watch_open(struct watch *watch)
{
	json_t *result = NULL;
	int code = daemon_watch(json_pack("{s:s, s:s}", "cmd", "sample", "ifname", watch->ifname), &watch->stream, &result);

	if (code == CODE_OK && json_is_false(json_object_get(result, "sample_rules")))
		fprintf(stderr, "%s: no rule samples yet: `sample 1/100 MATCH` is one; waiting for an apply\n", watch->ifname);
	json_decref(result);
	return code;
}

static void watch_fini(struct watch *watch)
{
	if (watch->dumper)
		pcap_dump_close(watch->dumper);
	if (watch->pcap)
		pcap_close(watch->pcap);
	if (watch->signal_fd >= 0)
		close(watch->signal_fd);
	ipc_stream_close(watch->stream);
}

int cmd_sample(const struct arguments *arguments)
{
	const char *path = arguments->values[OPTION_WRITE];
	struct watch watch = { .ifname = arguments->operand, .json = arguments->values[OPTION_JSON], .signal_fd = -1 };
	int code = count_parse(arguments->values[OPTION_SAMPLES], &watch.wanted);

	if (code == CODE_OK && path && watch.json)
		code = fail(CODE_USAGE, "sample: a capture (--write) is not JSON (--json): choose one");
	if (code == CODE_OK)
		code = signals_open(&watch);
	if (code == CODE_OK)
		code = watch_open(&watch);
	if (code == CODE_OK && path)
		code = capture_open_to(&watch, path);
	if (code == CODE_OK) {
		code = watch_run(&watch);
		watch_flush(&watch);
		summary_print(&watch);
	}
	watch_fini(&watch);
	return code;
}
