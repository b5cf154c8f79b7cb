/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation. A cell is measured round by round; each round keeps the nanoseconds of every contender and what the noise
 * meter said before and after it. Which rounds were disturbed is known only when all are done, because the yardstick is the median
 * calibration of the cell; so rounds are added until enough good ones are there, or until 30 % would have to be discarded: then the
 * machine is too noisy, and the cell has no figures.
 *
 * Results are kept as JSON from the start; the table is printed from it.
 */
#include "report.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "noise.h"

#define ROUNDS 15u
#define ROUNDS_QUICK 3u
#define ROUNDS_MAX 400u
#define DISCARD_MAX 0.3	       /* of a cell's rounds */
#define STEAL_MAX 0.005	       /* of a round's time */
#define CALIBRATION_MAX 0.03   /* off the cell's median */
#define CALIBRATION_L3_MAX 0.1 /* the L3 is shared with strangers: alone on this machine it wanders by 4 % */
#define SWITCHES_MAX 2u	       /* a contender and round: threads of the kernel, for microseconds */
#define CONTENDERS_MAX 32u

/* What disturbed a round: the first that was found. */
enum disturbance {
	DISTURBANCE_NONE,
	DISTURBANCE_STEAL,
	DISTURBANCE_SWITCHES,
	DISTURBANCE_CALIBRATION,
	DISTURBANCE_COUNT = DISTURBANCE_CALIBRATION + NOISE_KERNEL_COUNT,
};

static const char *const disturbance_names[DISTURBANCE_COUNT] = {
	[DISTURBANCE_STEAL] = "stolen time",
	[DISTURBANCE_SWITCHES] = "other tasks",
	[DISTURBANCE_CALIBRATION + NOISE_L1] = "calibration L1",
	[DISTURBANCE_CALIBRATION + NOISE_L2] = "calibration L2",
	[DISTURBANCE_CALIBRATION + NOISE_L3] = "calibration L3",
	[DISTURBANCE_CALIBRATION + NOISE_CALL] = "calibration system call",
};

struct round {
	double ns[CONTENDERS_MAX];
	struct noise before, after;
	enum disturbance disturbed;
};

struct report {
	const struct report_options *options;
	struct noise_meter *meter;
	json_t *facts, *cells, *parts, *refused, *skipped;
	size_t first_row; /* of the last cell */
	unsigned rounds, discarded, disturbances[DISTURBANCE_COUNT];
	uint64_t dice;
	const char *bench;
};

static const struct option long_options[] = {
	{ "json", no_argument, NULL, 'j' },	  { "quick", no_argument, NULL, 'q' },
	{ "noisy", no_argument, NULL, 'n' },	  { "rounds", required_argument, NULL, 'r' },
	{ "seed", required_argument, NULL, 's' }, { "cpu", required_argument, NULL, 'c' },
	{ "only", required_argument, NULL, 'o' }, { "scale", required_argument, NULL, 'x' },
	{ "help", no_argument, NULL, 'h' },	  { 0 },
};

static void options_help(const char *program, const char *what)
{
	const char *slash = strrchr(program, '/');

	printf("%s: %s\n\n"
	       "  --quick       fewer rounds, less work in each\n"
	       "  -j, --json    one line of JSON instead of the table\n"
	       "  --only TEXT   only cells with TEXT in their name\n"
	       "  --rounds N    undisturbed rounds a cell (%u, quick %u)\n"
	       "  --seed N      of rules, traces and order (1)\n"
	       "  --cpu N       where everything is measured (0)\n"
	       "  --scale N     all counts of rules and prefixes divided by N, to try things out\n"
	       "  --noisy       report cells although more than 30 %% of their rounds were disturbed, and say so\n",
	       slash ? slash + 1 : program, what, ROUNDS, ROUNDS_QUICK);
}

static int number_parse(const char *option, const char *text, unsigned long long max, unsigned long long *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtoull(text, &end, 0);
	if (!errno && *text >= '0' && *text <= '9' && !*end && *ret_number <= max)
		return 0;
	fprintf(stderr, "--%s %s: want a number from 0 to %llu\n", option, text, max);
	return -EINVAL;
}

int report_options_parse(int argc, char **argv, const char *what, struct report_options *ret_options)
{
	struct report_options options = { .seed = 1, .scale = 1 };
	unsigned long long number = 0;
	int option, r = 0;

	while (!r && (option = getopt_long(argc, argv, "jh", long_options, NULL)) != -1) {
		switch (option) {
		case 'j':
			options.json = true;
			break;
		case 'q':
			options.quick = true;
			options.noisy = true; /* nobody is meant to quote it */
			break;
		case 'n':
			options.noisy = true;
			break;
		case 'o':
			options.only = optarg;
			break;
		case 'r':
			r = number_parse("rounds", optarg, (unsigned)(ROUNDS_MAX * (1 - DISCARD_MAX)), &number);
			options.rounds = (unsigned)number;
			break;
		case 's':
			r = number_parse("seed", optarg, UINT64_MAX, &number);
			options.seed = number;
			break;
		case 'c':
			r = number_parse("cpu", optarg, CPU_SETSIZE - 1, &number);
			options.cpu = (int)number;
			break;
		case 'x':
			r = number_parse("scale", optarg, 1000000, &number);
			options.scale = number ? (unsigned)number : 1;
			break;
		case 'h':
			options_help(argv[0], what);
			return 1;
		default:
			return -EINVAL;
		}
	}
	if (!r && optind < argc) {
		fprintf(stderr, "unknown argument '%s': try --help\n", argv[optind]);
		r = -EINVAL;
	}
	if (!options.rounds)
		options.rounds = options.quick ? ROUNDS_QUICK : ROUNDS;
	if (!r)
		*ret_options = options;
	return r;
}

static void cpu_model(char *ret_model, size_t size)
{
	FILE *info = fopen("/proc/cpuinfo", "re");
	char line[256], *value;

	snprintf(ret_model, size, "unknown");
	while (info && fgets(line, sizeof(line), info)) {
		if (strncmp(line, "model name", 10) || !(value = strchr(line, ':')))
			continue;
		value[strcspn(value, "\n")] = '\0';
		snprintf(ret_model, size, "%s", value + 2);
		break;
	}
	if (info)
		fclose(info);
}

static int cpu_bind(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

struct report *report_new(const char *bench, const struct report_options *options)
{
	struct report *report = calloc(1, sizeof(*report));
	struct noise noise;
	struct utsname uts;
	char model[128];

	if (!report)
		return NULL;
	report->bench = bench;
	report->options = options;
	report->dice = options->seed * 2 + 1;
	report->facts = json_object();
	report->cells = json_array();
	report->parts = json_array();
	report->refused = json_array();
	report->skipped = json_array();
	report->meter = noise_meter_new(options->cpu);
	if (!report->facts || !report->cells || !report->parts || !report->refused || !report->skipped || !report->meter)
		return report_free(report);
	if (cpu_bind(options->cpu))
		report_fact(report, "cpu_bound", "no: there is no CPU %d for us", options->cpu);
	cpu_model(model, sizeof(model));
	uname(&uts);
	noise_read(report->meter, &noise);
	report_fact(report, "cpu", "%s", model);
	report_fact(report, "kernel", "%s", uts.release);
	report_fact(report, "machine", "null system call %.0f ns; a dependent load: L1 %.1f, L2 %.1f, L3 %.1f ns",
		    noise.ns[NOISE_CALL], noise.ns[NOISE_L1], noise.ns[NOISE_L2], noise.ns[NOISE_L3]);
	report_fact(report, "seed", "%llu", (unsigned long long)options->seed);
	return report;
}

struct report *report_free(struct report *report)
{
	if (!report)
		return NULL;
	json_decref(report->facts);
	json_decref(report->cells);
	json_decref(report->parts);
	json_decref(report->refused);
	json_decref(report->skipped);
	noise_meter_free(report->meter);
	free(report);
	return NULL;
}

void report_fact(struct report *report, const char *key, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	json_object_set_new(report->facts, key, json_vsprintf(format, arguments));
	va_end(arguments);
}

bool report_wants(const struct report *report, const char *cell)
{
	return !report->options->only || strstr(cell, report->options->only);
}

static uint64_t roll(struct report *report)
{
	uint64_t x = report->dice;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	report->dice = x;
	return x * 0x2545f4914f6cdd1dull;
}

static void shuffle(struct report *report, unsigned *order, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		order[i] = i;
	for (unsigned i = n; i > 1; i--) {
		unsigned other = (unsigned)(roll(report) % i), swap = order[i - 1];

		order[i - 1] = order[other];
		order[other] = swap;
	}
}

static int compare_double(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

/* The quantile `q` of n > 0 values, interpolated; sorts them. */
static double quantile(double *values, unsigned n, double q)
{
	double at = q * (n - 1);
	unsigned low = (unsigned)at, high = low + 1 < n ? low + 1 : low;

	qsort(values, n, sizeof(*values), compare_double);
	return values[low] + (values[high] - values[low]) * (at - low);
}

/*
 * Ours alone for this long: at nice -20 a task that wants the same CPU still gets a tick of 4 ms, the work of a short measurement.
 * What a contender starts (a command, a thread) is scheduled as usual.
 */
static void cpu_claim(bool claim)
{
	struct sched_param param = { .sched_priority = claim };

	sched_setscheduler(0, claim ? SCHED_FIFO | SCHED_RESET_ON_FORK : SCHED_OTHER, &param);
}

/* There and back: what drifts evenly through a round weighs the same on everybody. */
static int round_run(struct report *report, const struct contender *contenders, unsigned n, struct round *round)
{
	unsigned order[CONTENDERS_MAX];
	int r = 0;

	memset(round, 0, sizeof(*round));
	shuffle(report, order, n);
	cpu_claim(true);
	noise_read(report->meter, &round->before);
	for (unsigned i = 0; !r && i < 2 * n; i++) {
		unsigned who = order[i < n ? i : 2 * n - 1 - i];
		double ns = 0;

		r = contenders[who].measure(contenders[who].arg, &ns);
		round->ns[who] += ns / 2;
	}
	noise_read(report->meter, &round->after);
	cpu_claim(false);
	return r;
}

static void calibration_median(const struct round *rounds, unsigned n, double ret_median[NOISE_KERNEL_COUNT])
{
	double values[2 * ROUNDS_MAX];

	for (int k = 0; k < NOISE_KERNEL_COUNT; k++) {
		for (unsigned i = 0; i < n; i++) {
			values[2 * i] = rounds[i].before.ns[k];
			values[2 * i + 1] = rounds[i].after.ns[k];
		}
		ret_median[k] = quantile(values, 2 * n, 0.5);
	}
}

static enum disturbance round_disturbed(const struct round *round, const double median[NOISE_KERNEL_COUNT], unsigned n_contenders)
{
	double ticks = round->after.ticks - round->before.ticks;

	if (round->after.steal - round->before.steal > STEAL_MAX * ticks)
		return DISTURBANCE_STEAL;
	if (round->after.switches - round->before.switches > SWITCHES_MAX * n_contenders)
		return DISTURBANCE_SWITCHES;
	for (unsigned k = 0; k < NOISE_KERNEL_COUNT; k++) {
		double max = k == NOISE_L3 ? CALIBRATION_L3_MAX : CALIBRATION_MAX;

		if (fabs(round->before.ns[k] / median[k] - 1) > max || fabs(round->after.ns[k] / median[k] - 1) > max)
			return DISTURBANCE_CALIBRATION + k;
	}
	return DISTURBANCE_NONE;
}

/* Judge all rounds so far anew. How many were disturbed. */
static unsigned rounds_judge(struct round *rounds, unsigned n, unsigned n_contenders)
{
	double median[NOISE_KERNEL_COUNT];
	unsigned disturbed = 0;

	calibration_median(rounds, n, median);
	for (unsigned i = 0; i < n; i++) {
		rounds[i].disturbed = round_disturbed(&rounds[i], median, n_contenders);
		disturbed += rounds[i].disturbed != DISTURBANCE_NONE;
	}
	return disturbed;
}

/* What a cell is computed from. */
struct sample {
	const struct contender *contenders;
	unsigned n_contenders, n_rounds;
	int spillway, base; /* indices; base -1: none */
	const struct round *rounds;
	bool all; /* disturbed rounds, too */
};

/* The median over the rounds of a contender's cost, the base's subtracted or not. */
static double sample_ns(const struct sample *sample, unsigned who, bool net)
{
	double values[ROUNDS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < sample->n_rounds; i++) {
		const struct round *round = &sample->rounds[i];

		if (!round->disturbed || sample->all)
			values[n++] = round->ns[who] - (net && sample->base >= 0 ? round->ns[sample->base] : 0);
	}
	return n ? quantile(values, n, 0.5) : 0;
}

static void sample_ratio(const struct sample *sample, unsigned peer, double ret_quantiles[3])
{
	double values[ROUNDS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < sample->n_rounds; i++) {
		const struct round *round = &sample->rounds[i];
		double base = sample->base >= 0 ? round->ns[sample->base] : 0;
		double ours = round->ns[sample->spillway] - base;

		if (!round->disturbed || sample->all)
			values[n++] = ours > 0 ? (round->ns[peer] - base) / ours : INFINITY;
	}
	for (int i = 0; i < 3; i++)
		ret_quantiles[i] = n ? quantile(values, n, (double[]){ 0.5, 0.1, 0.9 }[i]) : 0;
}

/* JSON has neither infinity nor a need for seventeen digits. */
static json_t *number(double value)
{
	char text[32];

	if (!isfinite(value))
		return json_null();
	snprintf(text, sizeof(text), "%.4g", value);
	return json_real(strtod(text, NULL));
}

static json_t *peer_row(const struct sample *sample, const char *cell, unsigned peer)
{
	const struct contender *contender = &sample->contenders[peer];
	unsigned ours = (unsigned)sample->spillway;
	double ratio[3];
	json_t *row;

	sample_ratio(sample, peer, ratio);
	row = json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:o}", "name", cell, "spillway_ns", number(sample_ns(sample, ours, true)),
			"peer", contender->name, "peer_ns", number(sample_ns(sample, peer, true)), "ratio", number(ratio[0]),
			"p10", number(ratio[1]), "p90", number(ratio[2]));
	if (sample->base >= 0) {
		json_object_set_new(row, "spillway_raw_ns", number(sample_ns(sample, ours, false)));
		json_object_set_new(row, "peer_raw_ns", number(sample_ns(sample, peer, false)));
		json_object_set_new(row, "harness_ns", number(sample_ns(sample, (unsigned)sample->base, false)));
	}
	if (contender->wrong > 0)
		json_object_set_new(row, "peer_wrong", number(contender->wrong));
	return row;
}

/* Is there a faster variant of this peer that answers as rightly? */
static bool outdone(const struct sample *sample, unsigned peer)
{
	const struct contender *this = &sample->contenders[peer];
	double ns = sample_ns(sample, peer, false);

	for (unsigned i = 0; this->family && i < sample->n_contenders; i++) {
		const struct contender *other = &sample->contenders[i];

		if (i != peer && other->family && !strcmp(other->family, this->family) && other->wrong <= 0 &&
		    sample_ns(sample, i, false) < ns)
			return true;
	}
	return false;
}

static void cell_keep(struct report *report, const struct sample *sample, const char *cell)
{
	report->first_row = json_array_size(report->cells);
	for (unsigned i = 0; i < sample->n_contenders; i++) {
		const struct contender *contender = &sample->contenders[i];
		json_t *row;

		if (contender->role == CONTENDER_PEER) {
			row = peer_row(sample, cell, i);
			json_object_set_new(row, "counts", json_boolean(contender->wrong <= 0 && !outdone(sample, i)));
			json_array_append_new(report->cells, row);
		} else if (contender->role != CONTENDER_SPILLWAY) {
			bool base = contender->role == CONTENDER_BASE;

			json_array_append_new(report->parts, json_pack("{s:s, s:s, s:o}", "name", cell, "part", contender->name,
								       "ns", number(sample_ns(sample, i, !base))));
		}
	}
}

static int role_index(const struct contender *contenders, unsigned n, enum contender_role role)
{
	for (unsigned i = 0; i < n; i++) {
		if (contenders[i].role == role)
			return (int)i;
	}
	return -1;
}

static int rounds_run(struct report *report, const struct contender *contenders, unsigned n, struct round *rounds,
		      unsigned *ret_n_rounds, unsigned *ret_disturbed)
{
	unsigned want = report->options->rounds, max = (unsigned)(want / (1 - DISCARD_MAX)) + 1, done = 0, disturbed = 0;

	while (done < max && done - disturbed < want) {
		int r = round_run(report, contenders, n, &rounds[done]);

		if (r)
			return r;
		done++;
		disturbed = rounds_judge(rounds, done, n);
	}
	*ret_n_rounds = done;
	*ret_disturbed = disturbed;
	return 0;
}

int report_cell(struct report *report, const char *cell, const struct contender *contenders, unsigned n)
{
	struct sample sample = { .contenders = contenders, .n_contenders = n, .all = report->options->noisy };
	struct round *rounds;
	unsigned disturbed;
	int r;

	sample.spillway = role_index(contenders, n, CONTENDER_SPILLWAY);
	sample.base = role_index(contenders, n, CONTENDER_BASE);
	if (n > CONTENDERS_MAX || sample.spillway < 0)
		return -EINVAL;
	rounds = calloc(ROUNDS_MAX, sizeof(*rounds));
	if (!rounds)
		return -ENOMEM;
	sample.rounds = rounds;
	fprintf(stderr, "%s: %s\n", report->bench, cell);
	r = rounds_run(report, contenders, n, rounds, &sample.n_rounds, &disturbed);
	if (!r) {
		bool too_noisy = disturbed > DISCARD_MAX * sample.n_rounds;

		report->rounds += sample.n_rounds;
		report->discarded += disturbed;
		for (unsigned i = 0; i < sample.n_rounds; i++)
			report->disturbances[rounds[i].disturbed]++;
		if (too_noisy)
			json_array_append_new(report->refused, json_string(cell));
		report->first_row = json_array_size(report->cells);
		if (!too_noisy || report->options->noisy)
			cell_keep(report, &sample, cell);
	}
	free(rounds);
	return r;
}

void report_cell_number(struct report *report, const char *key, double value)
{
	for (size_t i = report->first_row; i < json_array_size(report->cells); i++)
		json_object_set_new(json_array_get(report->cells, i), key,
				    value == floor(value) ? json_integer((json_int_t)value) : number(value));
}

/* Over the rows that count. 0 when there is none. */
static void summarize(const struct report *report, double *ret_geomean, double *ret_worst)
{
	double sum = 0, worst = 0;
	unsigned n = 0;
	json_t *row;
	size_t i;

	json_array_foreach(report->cells, i, row)
	{
		double ratio = json_number_value(json_object_get(row, "ratio"));

		if (!json_is_true(json_object_get(row, "counts")) || ratio <= 0)
			continue;
		sum += log(ratio);
		if (!n++ || ratio < worst)
			worst = ratio;
	}
	*ret_geomean = n ? exp(sum / n) : 0;
	*ret_worst = worst;
}

static void print_json(const struct report *report, double geomean, double worst, FILE *out)
{
	json_t *root =
		json_pack("{s:s, s:O, s:o, s:o, s:i, s:i, s:O, s:O, s:O, s:O, s:b}", "bench", report->bench, "cells",
			  report->cells, "geomean", number(geomean), "worst", number(worst), "discarded", (int)report->discarded,
			  "rounds", (int)report->rounds, "parts", report->parts, "refused", report->refused, "skipped",
			  report->skipped, "facts", report->facts, "quick", report->options->quick);
	json_t *disturbed_by = json_object();

	for (unsigned i = DISTURBANCE_NONE + 1; i < DISTURBANCE_COUNT; i++) {
		if (report->disturbances[i])
			json_object_set_new(disturbed_by, disturbance_names[i], json_integer(report->disturbances[i]));
	}
	json_object_set_new(root, "disturbed_by", disturbed_by);
	json_dumpf(root, out, JSON_COMPACT | JSON_REAL_PRECISION(6));
	fputc('\n', out);
	json_decref(root);
}

static double field(const json_t *row, const char *key)
{
	return json_number_value(json_object_get(row, key));
}

static void print_row(const json_t *row, FILE *out)
{
	static const char *const columns[] = { "name", "spillway_ns",	  "peer",	 "peer_ns",    "ratio",	 "p10",
					       "p90",  "spillway_raw_ns", "peer_raw_ns", "harness_ns", "counts", "peer_wrong" };
	const char *mark = json_is_true(json_object_get(row, "counts")) ? "" : "  *";
	const char *key;
	json_t *value;

	fprintf(out, "%-30s %9.1f  %-24s %9.1f %7.2f  %.2f-%.2f%s", json_string_value(json_object_get(row, columns[0])),
		field(row, "spillway_ns"), json_string_value(json_object_get(row, "peer")), field(row, "peer_ns"),
		field(row, "ratio"), field(row, "p10"), field(row, "p90"), mark);
	if (json_object_get(row, "peer_wrong"))
		fprintf(out, " (%.2f %% wrong)", 100 * field(row, "peer_wrong"));
	if (json_object_get(row, "harness_ns"))
		fprintf(out, "  [raw %.1f, %.1f; harness %.1f]", field(row, "spillway_raw_ns"), field(row, "peer_raw_ns"),
			field(row, "harness_ns"));
	json_object_foreach((json_t *)row, key, value)
	{
		bool shown = false;

		for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
			shown |= !strcmp(key, columns[i]);
		if (!shown)
			fprintf(out, " %s %.10g", key, json_number_value(value));
	}
	fputc('\n', out);
}

static void print_table(const struct report *report, double geomean, double worst, FILE *out)
{
	const char *key;
	json_t *value;
	size_t i;

	fprintf(out, "%s\n", report->bench);
	json_object_foreach(report->facts, key, value) fprintf(out, "  %-14s %s\n", key, json_string_value(value));
	fprintf(out, "\n%-30s %9s  %-24s %9s %7s  %s\n", "cell", "spillway", "peer", "peer ns", "ratio", "p10-p90");
	json_array_foreach(report->cells, i, value) print_row(value, out);
	if (json_array_size(report->parts))
		fprintf(out, "\n%-30s %9s  %s\n", "cell", "ns", "part");
	json_array_foreach(report->parts, i, value)
		fprintf(out, "%-30s %9.1f  %s\n", json_string_value(json_object_get(value, "name")), field(value, "ns"),
			json_string_value(json_object_get(value, "part")));
	fprintf(out, "\ngeomean %.2f, worst %.2f (* does not count); %u of %u rounds discarded as disturbed%s\n", geomean, worst,
		report->discarded, report->rounds, report->options->quick ? "; --quick: a sanity check, no figure to quote" : "");
	for (unsigned d = DISTURBANCE_NONE + 1; d < DISTURBANCE_COUNT; d++) {
		if (report->disturbances[d])
			fprintf(out, "  %u rounds: %s\n", report->disturbances[d], disturbance_names[d]);
	}
	json_array_foreach(report->skipped, i, value)
		fprintf(out, "skipped: %s: %s\n", json_string_value(json_object_get(value, "name")),
			json_string_value(json_object_get(value, "why")));
	json_array_foreach(report->refused, i, value) fprintf(
		out, "too noisy: more than 30 %% of the rounds of '%s' were disturbed; %s\n", json_string_value(value),
		report->options->noisy ? "its figures are from all rounds" : "run it on a quiet machine, or with --noisy");
}

void report_skip(struct report *report, const char *cell, const char *why)
{
	fprintf(stderr, "%s: %s: skipped: %s\n", report->bench, cell, why);
	json_array_append_new(report->skipped, json_pack("{s:s, s:s}", "name", cell, "why", why));
}

int report_print(const struct report *report, FILE *out)
{
	double geomean, worst;

	summarize(report, &geomean, &worst);
	if (report->options->json)
		print_json(report, geomean, worst, out);
	else
		print_table(report, geomean, worst, out);
	if (json_array_size(report->refused) && !report->options->noisy)
		return -EBUSY;
	return json_array_size(report->cells) ? 0 : -ENODATA;
}

int report_exit_code(int error)
{
	return error == -ENODATA ? 77 : error ? 1 : 0;
}
