/* SPDX-License-Identifier: BSD-2-Clause */
#include "stage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "parse.skel.h"

#define COLD_PACKETS HARNESS_TRACE_MAX
#define WARM_PACKETS (1u << 18)
#define WARM_FLOWS (1u << 16)
#define ZIPF_EXPONENT 1.1
#define ASKED 20480u /* packets of a trace that each program is asked about one by one */
#define RUNS_QUICK (1u << 17)

_Static_assert(WARM_PACKETS >= ASKED, "a trace has enough packets to ask about");
_Static_assert(RUNS_QUICK % HARNESS_STAMP == 0 && WARM_PACKETS % HARNESS_STAMP == 0 && COLD_PACKETS % HARNESS_STAMP == 0,
	       "calls are timed in whole stamps");

struct stage {
	struct harness *harness;
	struct parse_bpf *parse;
	struct report *report;
	const struct report_options *options;
	uint32_t n; /* of the trace */
};

/* A program as a contender. Everybody has a position of his own, so all see the same packets. */
struct subject {
	struct stage *stage;
	int program_fd;
	uint32_t position;
};

static int libbpf_quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	if (level != LIBBPF_WARN || !getenv("SPILLWAY_DEBUG"))
		return 0;
	return vfprintf(stderr, format, arguments);
}

static struct stage *stage_close(struct stage *stage)
{
	if (!stage)
		return NULL;
	parse_bpf__destroy(stage->parse);
	harness_close(stage->harness);
	report_free(stage->report);
	free(stage);
	return NULL;
}

static int stage_open(const char *bench, const struct report_options *options, struct stage **ret_stage)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	char message[256] = "cannot load the parse-only program";
	int r = -ENOMEM;

	if (!stage)
		return r;
	libbpf_set_print(libbpf_quiet);
	stage->options = options;
	stage->report = report_new(bench, options);
	if (stage->report)
		r = harness_open(&stage->harness, message, sizeof(message));
	if (!r) {
		stage->parse = parse_bpf__open_and_load();
		r = stage->parse ? 0 : -errno;
	}
	if (r) {
		fprintf(stderr, "%s: %s\n", bench, message);
		stage_close(stage);
		return r;
	}
	*ret_stage = stage;
	return 0;
}

int stage_main(int argc, char **argv, const char *bench, const char *what, int (*run)(struct stage *stage))
{
	struct report_options options;
	struct stage *stage;
	int r;

	r = report_options_parse(argc, argv, what, &options);
	if (r)
		return r < 0 ? 2 : 0;
	r = stage_open(bench, &options, &stage);
	if (r)
		return report_exit_code(r);
	r = run(stage);
	r = r ? r : report_print(stage->report, stdout);
	stage_close(stage);
	return report_exit_code(r);
}

const struct report_options *stage_options(const struct stage *stage)
{
	return stage->options;
}

uint32_t stage_scaled(const struct stage *stage, uint32_t n)
{
	return n / stage->options->scale ? n / stage->options->scale : 1;
}

struct report *stage_report(struct stage *stage)
{
	return stage->report;
}

int stage_open_ours(struct stage *stage, const char *name, char *text, size_t len, struct ours **ret_ours)
{
	char message[1024] = "";
	int r;

	*ret_ours = NULL;
	r = text ? ours_open(text, len, ret_ours, message, sizeof(message)) : -ENOMEM;
	free(text);
	if (r == -E2BIG || r == -EINVAL) {
		report_skip(stage->report, name, message);
		return 0;
	}
	if (r)
		fprintf(stderr, "%s: %s\n", name, *message ? message : strerror(-r));
	return r;
}

const char *stage_trace_name(enum stage_trace trace)
{
	return trace == STAGE_COLD ? "uniform" : "zipf";
}

/* A few headers again and again, some far more often than others. Hits are spread evenly over the ranks, so a popular few decide nothing. */
static int trace_warm(struct header *headers, const struct stage_cell *cell, struct dice *dice)
{
	struct header *flows = calloc(WARM_FLOWS, sizeof(*flows));
	struct zipf zipf;
	int r;

	if (!flows)
		return -ENOMEM;
	r = zipf_init(&zipf, WARM_FLOWS, ZIPF_EXPONENT);
	if (!r) {
		for (uint32_t i = 0; i < WARM_FLOWS; i++)
			cell->make(cell->arg, i * cell->hit_percent / 100 != (i + 1) * cell->hit_percent / 100, &flows[i]);
		for (uint32_t i = 0; i < WARM_PACKETS; i++)
			headers[i] = flows[zipf_roll(&zipf, dice)];
		zipf_fini(&zipf);
	}
	free(flows);
	return r;
}

static int trace_fill(struct stage *stage, enum stage_trace trace, const struct stage_cell *cell)
{
	struct dice dice = { stage->options->seed };
	struct header *headers;

	stage->n = trace == STAGE_COLD ? COLD_PACKETS : WARM_PACKETS;
	headers = harness_trace(stage->harness, stage->n);
	if (trace == STAGE_WARM)
		return trace_warm(headers, cell, &dice);
	for (uint32_t i = 0; i < stage->n; i++) {
		memset(&headers[i], 0, sizeof(headers[i]));
		cell->make(cell->arg, dice_percent(&dice, cell->hit_percent), &headers[i]);
	}
	return 0;
}

void stage_header_roll(struct dice *dice, int family, struct header *ret_header)
{
	ret_header->src_port = htons((uint16_t)dice_below(dice, 65536));
	ret_header->dst_port = htons((uint16_t)dice_below(dice, 65536));
	ret_header->len = HEADER_LEN_MIN;
	ret_header->family = (uint8_t)family;
	ret_header->proto = dice_percent(dice, 50) ? IPPROTO_UDP : IPPROTO_TCP;
}

static void header_print(const struct header *header, FILE *out)
{
	int family = header->family == 4 ? AF_INET : AF_INET6;
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	inet_ntop(family, header->src, src, sizeof(src));
	inet_ntop(family, header->dst, dst, sizeof(dst));
	fprintf(out, "proto %u, %s port %u to %s port %u, len %u", header->proto, src, ntohs(header->src_port), dst,
		ntohs(header->dst_port), header->len);
}

/* Packets spread evenly over the trace, one by one. *ret_wrong: how many of ASKED; *ret_drops: how many had to be dropped. */
static int ask(struct stage *stage, int program_fd, int (*drops)(void *arg, const struct header *header), void *arg,
	       const char *name, uint32_t *ret_wrong, uint32_t *ret_drops)
{
	const struct header *trace = harness_trace(stage->harness, stage->n);

	int r = harness_select(stage->harness, program_fd);

	*ret_wrong = *ret_drops = 0;
	for (uint32_t i = 0; !r && i < ASKED; i++) {
		uint32_t position = (uint32_t)((uint64_t)i * stage->n / ASKED), action;
		const struct header *header = &trace[position];
		int drop = drops(arg, header);

		r = harness_ask(stage->harness, position, &action);
		*ret_drops += (uint32_t)drop;
		if (r || action == (drop ? XDP_DROP : XDP_PASS))
			continue;
		if (!(*ret_wrong)++) {
			fprintf(stderr, "%s: action %u instead of %s: ", name, action, drop ? "drop" : "pass");
			header_print(header, stderr);
			fputc('\n', stderr);
		}
	}
	return r;
}

/* Spillway has to be right in every answer, and to have counted what it dropped. */
static int verify_ours(struct stage *stage, const struct stage_cell *cell, double *ret_drop_share)
{
	uint64_t before = ours_packets(cell->ours, VERDICT_DROP), counted;
	uint32_t wrong, drops;
	int r;

	r = ask(stage, ours_program(cell->ours), cell->drops, cell->arg, "spillway", &wrong, &drops);
	if (r)
		return r;
	counted = ours_packets(cell->ours, VERDICT_DROP) - before;
	*ret_drop_share = (double)drops / ASKED;
	if (!wrong && counted == drops)
		return 0;
	fprintf(stderr, "%s: spillway answers wrongly: %u of %u packets; it counted %llu drops, the oracle %u\n", cell->name,
		wrong, ASKED, (unsigned long long)counted, drops);
	return -EBADMSG;
}

static int verify_peer(struct stage *stage, const struct stage_cell *cell, const struct stage_peer *peer, double *ret_wrong)
{
	uint32_t wrong, drops;
	int r;

	r = ask(stage, peer->program_fd, peer->drops ? peer->drops : cell->drops, cell->arg, peer->name, &wrong, &drops);
	*ret_wrong = r ? 0 : (double)wrong / ASKED;
	return r;
}

static int measure(void *arg, double *ret_ns)
{
	struct subject *subject = arg;
	struct stage *stage = subject->stage;

	int r = harness_select(stage->harness, subject->program_fd);

	return r ? r : harness_time(stage->harness, stage->options->quick ? RUNS_QUICK : stage->n, &subject->position, ret_ns);
}

static void contend(struct contender *contender, struct subject *subject, struct stage *stage, const char *name,
		    enum contender_role role, int program_fd)
{
	*subject = (struct subject){ .stage = stage, .program_fd = program_fd };
	*contender = (struct contender){ .name = name, .role = role, .measure = measure, .arg = subject };
}

static int cell_run(struct stage *stage, const struct stage_cell *cell)
{
	struct contender contenders[STAGE_PEERS_MAX + 3];
	struct subject subjects[STAGE_PEERS_MAX + 3];
	uint32_t xlated, verified;
	double drop_share = 0;
	unsigned n = 0;
	int r;

	r = verify_ours(stage, cell, &drop_share);
	contend(&contenders[n], &subjects[n], stage, "spillway", CONTENDER_SPILLWAY, ours_program(cell->ours));
	n++;
	contend(&contenders[n], &subjects[n], stage, "bare drop", CONTENDER_BASE, harness_bare(stage->harness));
	n++;
	contend(&contenders[n], &subjects[n], stage, "parse only", CONTENDER_PART,
		bpf_program__fd(stage->parse->progs.parse_only));
	n++;
	for (unsigned i = 0; !r && i < cell->n_peers; i++, n++) {
		const struct stage_peer *peer = &cell->peers[i];

		contend(&contenders[n], &subjects[n], stage, peer->name, CONTENDER_PEER, peer->program_fd);
		contenders[n].family = peer->family;
		r = verify_peer(stage, cell, peer, &contenders[n].wrong);
	}
	if (!r)
		r = report_cell(stage->report, cell->name, contenders, n);
	if (r)
		return r;
	ours_instructions(cell->ours, &xlated, &verified);
	report_cell_number(stage->report, "xlated", xlated);
	report_cell_number(stage->report, "verified", verified);
	report_cell_number(stage->report, "drop_share", drop_share);
	return 0;
}

int stage_run(struct stage *stage, enum stage_trace trace, const struct stage_cell *cell)
{
	int r = trace_fill(stage, trace, cell);

	return r ? r : cell_run(stage, cell);
}

int stage_run_traces(struct stage *stage, const struct stage_cell *cell)
{
	int r = 0;

	for (enum stage_trace trace = 0; !r && trace < STAGE_TRACE_COUNT; trace++) {
		struct stage_cell traced = *cell;
		char title[80];

		snprintf(title, sizeof(title), "%s %s", cell->name, stage_trace_name(trace));
		traced.name = title;
		if (report_wants(stage->report, title))
			r = stage_run(stage, trace, &traced);
	}
	return r;
}
