/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * classify - one packet's first matching rule among many, spillway against DPDK's rte_acl, no network involved.
 *
 * Cells: ClassBench-like sets of three families and three sizes, IPv4 and IPv6, each met by headers drawn evenly over the rules
 * (cold: a million different ones) and by Zipf's law; and the sets of a folder of ClassBench files with their traces. Before a
 * cell is timed both sides answer the whole trace: the first headers are held against a linear search, on the rest they have to
 * agree.
 *
 * Headers come in chunks that fit into the caches near the core, filled while the clock stands: in both products they were parsed
 * or received just before. What is cold are the tables.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "classbench.h"
#include "classify_acl.h"
#include "classify_oracle.h"
#include "classify_ours.h"
#include "report.h"

#define CHUNK 1024u
#define CHECKED 20000u /* headers held against the linear search */
#define ZIPF_EXPONENT 1.1
#define SIZES_MAX 16

struct plan {
	struct report_options options;
	struct report *report;
	const char *folder; /* of ClassBench files */
	size_t sizes[SIZES_MAX];
	unsigned n_sizes;
	size_t n_headers, n_measured, n_calibrated; /* in a trace; in one measurement of it; in a try of one of rte_acl's ways */
	unsigned failed;			    /* cells that spillway did not manage */
};

/* A rule set on both sides. */
struct duel {
	struct filter_set set;
	struct trace trace;
	struct ours *ours;
	struct acl *acl; /* NULL: rte_acl could not build the set */
	unsigned way;
	double acl_wrong, acl_build_ms;
	size_t n_measured;
};

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* The inputs and outputs of one chunk on either side. */
static struct pkt pkts[CHUNK];
static struct match matches[CHUNK];
static uint8_t keys[CHUNK * ACL_KEY_MAX] __attribute__((aligned(64)));
static const uint8_t *key_at[CHUNK];
static uint32_t results[CHUNK];

/* Headers [at, at + n) of the trace's order, which starts over at its end. */
static void chunk_fill_ours(const struct duel *duel, size_t at, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		ours_pkt_fill(duel->set.ip, &duel->trace.headers[duel->trace.order[(at + i) % duel->trace.n_order]], &pkts[i]);
}

static void chunk_fill_acl(const struct duel *duel, size_t at, uint32_t n)
{
	size_t size = acl_key_size(duel->acl);

	for (uint32_t i = 0; i < n; i++) {
		acl_key_fill(duel->acl, &duel->trace.headers[duel->trace.order[(at + i) % duel->trace.n_order]], keys + i * size);
		key_at[i] = keys + i * size;
	}
}

static double chunk_run_ours(const struct duel *duel, uint32_t n)
{
	double start = now_ns();

	for (uint32_t at = 0; at < n; at += OURS_BATCH)
		ours_classify(duel->ours, pkts + at, n - at < OURS_BATCH ? n - at : OURS_BATCH, matches + at);
	return now_ns() - start;
}

static double chunk_run_acl(const struct duel *duel, unsigned way, uint32_t n)
{
	double start = now_ns();

	acl_classify(duel->acl, way, key_at, n, results);
	return now_ns() - start;
}

/* One contender: how far it is in the trace. Both are asked equally often, so they meet the same headers in a round. */
struct runner {
	const struct duel *duel;
	size_t at;
};

static int measure_ours(void *arg, double *ret_ns)
{
	struct runner *runner = arg;
	size_t n = runner->duel->n_measured;
	double ns = 0;

	for (size_t done = 0; done < n; done += CHUNK, runner->at += CHUNK) {
		chunk_fill_ours(runner->duel, runner->at, CHUNK);
		ns += chunk_run_ours(runner->duel, CHUNK);
	}
	*ret_ns = ns / (double)n;
	return 0;
}

static int measure_acl(void *arg, double *ret_ns)
{
	struct runner *runner = arg;
	size_t n = runner->duel->n_measured;
	double ns = 0;

	for (size_t done = 0; done < n; done += CHUNK, runner->at += CHUNK) {
		chunk_fill_acl(runner->duel, runner->at, CHUNK);
		ns += chunk_run_acl(runner->duel, runner->duel->way, CHUNK);
	}
	*ret_ns = ns / (double)n;
	return 0;
}

/* Calibration: the fastest of all ways on the head of the trace, the better of two tries each. */
static void way_choose(struct duel *duel, size_t n)
{
	double best = 0;

	for (unsigned way = 0; way < acl_way_count(); way++) {
		double ns[2] = { 0, 0 }, fastest;

		if (!acl_way_runs(duel->acl, way))
			continue;
		for (size_t at = 0; at < 2 * n; at += CHUNK) {
			chunk_fill_acl(duel, at % n, CHUNK);
			ns[at / n] += chunk_run_acl(duel, way, CHUNK);
		}
		fastest = ns[0] < ns[1] ? ns[0] : ns[1];
		if (best <= 0 || fastest < best) {
			best = fastest;
			duel->way = way;
		}
	}
}

/* Every header in trace order once. 0; -EBADMSG when spillway's answer is wrong, told. */
static int duel_verify(struct duel *duel, const struct oracle *oracle)
{
	size_t wrong = 0, n = duel->trace.n;

	for (size_t at = 0; at < n; at += CHUNK) {
		uint32_t in = n - at < CHUNK ? (uint32_t)(n - at) : CHUNK;

		chunk_fill_ours(duel, at, in);
		chunk_run_ours(duel, in);
		if (duel->acl) {
			chunk_fill_acl(duel, at, in);
			chunk_run_acl(duel, duel->way, in);
		}
		for (uint32_t i = 0; i < in; i++) {
			uint32_t ours = ours_result(duel->ours, &matches[i]);
			bool differ = duel->acl && results[i] != ours, checked = at + i < CHECKED;
			uint32_t right = checked || differ
						 ? oracle_first(oracle, &duel->trace.headers[duel->trace.order[at + i]]) + 1
						 : ours;

			if (ours != right) {
				fprintf(stderr, "classify: header %zu: spillway says rule %u, a linear search %u (0: none)\n",
					at + i, ours, right);
				return -EBADMSG;
			}
			wrong += differ;
		}
	}
	duel->acl_wrong = (double)wrong / (double)n;
	return 0;
}

static void duel_fini(struct duel *duel)
{
	filter_set_fini(&duel->set);
	trace_fini(&duel->trace);
	duel->ours = ours_free(duel->ours);
	duel->acl = acl_free(duel->acl);
}

/* Both sides built and verified, or as far as it got. The set and the trace are there. */
static int duel_prepare(struct plan *plan, struct duel *duel, const char *name)
{
	struct oracle *oracle;
	char error[512], key[64];
	double start;
	int r = ours_new(&duel->set, &duel->ours, error);

	if (r) {
		report_skip(plan->report, name, error);
		plan->failed++;
		return r;
	}
	start = now_ns();
	r = acl_new(&duel->set, &duel->acl);
	duel->acl_build_ms = (now_ns() - start) * 1e-6;
	snprintf(key, sizeof(key), "%s peer", name);
	if (r == -EDOM)
		report_fact(plan->report, key, "none: rte_acl cannot be told that a header has no ports here");
	else if (r)
		report_fact(plan->report, key, "none: rte_acl cannot build the set: %s", strerror(-r));
	else
		way_choose(duel, plan->n_calibrated);
	oracle = oracle_new(&duel->set);
	r = oracle ? duel_verify(duel, oracle) : -ENOMEM;
	oracle_free(oracle);
	plan->failed += r == -EBADMSG;
	return r;
}

static int duel_measure(struct plan *plan, struct duel *duel, const char *cell)
{
	struct runner ours = { .duel = duel }, alone = ours, acl = ours;
	struct contender contenders[] = {
		{ .name = "spillway", .role = CONTENDER_SPILLWAY, .measure = measure_ours, .arg = &ours },
		{ .name = "spillway", .role = CONTENDER_PART, .measure = measure_ours, .arg = &alone },
	};
	int r;

	if (!report_wants(plan->report, cell))
		return 0;
	duel->n_measured = plan->n_measured < duel->trace.n_order ? plan->n_measured : duel->trace.n_order / CHUNK * CHUNK;
	if (duel->acl) {
		way_choose(duel, plan->n_calibrated);
		contenders[1] = (struct contender){ .name = acl_way_name(duel->way),
						    .role = CONTENDER_PEER,
						    .wrong = duel->acl_wrong,
						    .measure = measure_acl,
						    .arg = &acl };
	}
	r = report_cell(plan->report, cell, contenders, 2);
	if (r)
		return r;
	report_cell_number(plan->report, "rules", (double)duel->set.n);
	report_cell_number(plan->report, "headers", (double)duel->trace.n);
	report_cell_number(plan->report, "spillway_bytes", (double)duel->ours->bytes);
	report_cell_number(plan->report, "spillway_parse_ms", duel->ours->parse_ms);
	report_cell_number(plan->report, "spillway_build_ms", duel->ours->build_ms);
	if (duel->acl) {
		report_cell_number(plan->report, "peer_bytes", (double)acl_bytes(duel->acl));
		report_cell_number(plan->report, "peer_build_ms", duel->acl_build_ms);
	}
	return 0;
}

/* A set that could not be built or was classified wrong is told, and fails the bench at its end; the others are measured. */
static int cell_failure(int r)
{
	return r == -EBADMSG || r == -E2BIG || r == -EINVAL ? 0 : r;
}

static int run_generated(struct plan *plan, enum filter_family family, uint8_t ip, size_t size)
{
	struct duel duel = { 0 };
	char name[64], uniform[80], zipf[80];
	int r;

	snprintf(name, sizeof(name), "%s%s %zu", filter_family_name(family), ip == 6 ? " v6" : "", size);
	snprintf(uniform, sizeof(uniform), "%s uniform", name);
	snprintf(zipf, sizeof(zipf), "%s zipf", name);
	if (!report_wants(plan->report, uniform) && !report_wants(plan->report, zipf))
		return 0;
	r = filter_set_generate(family, ip, size, plan->options.seed, &duel.set);
	if (!r)
		r = trace_draw(&duel.set, plan->n_headers, plan->options.seed, &duel.trace);
	if (!r)
		r = cell_failure(duel_prepare(plan, &duel, name));
	if (!r && duel.ours)
		r = duel_measure(plan, &duel, uniform);
	if (!r && duel.ours)
		r = trace_reorder_zipf(&duel.trace, plan->n_headers, ZIPF_EXPONENT, plan->options.seed);
	if (!r && duel.ours)
		r = duel_measure(plan, &duel, zipf);
	duel_fini(&duel);
	return r;
}

static int run_file(struct plan *plan, const char *name)
{
	struct duel duel = { 0 };
	char path[512], why[1024];
	unsigned line = 0;
	int r;

	if (!report_wants(plan->report, name))
		return 0;
	snprintf(path, sizeof(path), "%s/%s.rules.xz", plan->folder, name);
	r = filter_set_read(path, &duel.set, &line);
	if (!r) {
		snprintf(path, sizeof(path), "%s/%s.trace.xz", plan->folder, name);
		r = trace_read(path, &duel.trace, &line);
	}
	if (r) {
		snprintf(why, sizeof(why), "%s:%u: %s", path, line, r == -EINVAL ? "not ClassBench's form" : strerror(-r));
		report_skip(plan->report, name, why);
		r = 0;
	} else {
		r = cell_failure(duel_prepare(plan, &duel, name));
		if (!r && duel.ours)
			r = duel_measure(plan, &duel, name);
	}
	duel_fini(&duel);
	return r;
}

static int run_all(struct plan *plan)
{
	static const char *const files[] = { "acl1_1000", "acl1_10000", "fw1_1000", "fw1_10000", "ipc1_1000", "ipc1_10000" };
	int r = 0;

	for (uint8_t ip = 4; ip <= 6; ip += 2) {
		unsigned n_sizes = plan->options.quick && ip == 6 ? 1 : plan->n_sizes; /* 30 seconds in all */

		for (unsigned i = 0; !r && i < n_sizes * FILTER_FAMILY_COUNT; i++)
			r = run_generated(plan, (enum filter_family)(i % FILTER_FAMILY_COUNT), ip,
					  plan->sizes[i / FILTER_FAMILY_COUNT]);
	}
	for (unsigned i = 0; !r && i < sizeof(files) / sizeof(files[0]); i++)
		r = run_file(plan, files[i]);
	return r;
}

static bool sizes_parse(const char *text, struct plan *plan)
{
	char *end;

	for (plan->n_sizes = 0; plan->n_sizes < SIZES_MAX; text = end + 1) {
		unsigned long size = strtoul(text, &end, 10);

		if (size < 1 || size > 1000000 || (*end && *end != ','))
			break;
		plan->sizes[plan->n_sizes++] = size;
		if (!*end)
			return true;
	}
	fprintf(stderr, "classify: --sizes: want numbers of rules, up to %d, like 1000,10000\n", SIZES_MAX);
	return false;
}

/* The options that only this bench has are taken out; the rest is the report's. */
static bool plan_options(struct plan *plan, int *argc, char **argv)
{
	int kept = 1;

	for (int i = 1; i < *argc; i++) {
		bool sizes = !strcmp(argv[i], "--sizes"), folder = !strcmp(argv[i], "--files");

		if ((sizes || folder) && i + 1 == *argc) {
			fprintf(stderr, "classify: %s wants a value\n", argv[i]);
			return false;
		}
		if (sizes && !sizes_parse(argv[++i], plan))
			return false;
		else if (folder)
			plan->folder = argv[++i];
		else if (!sizes)
			argv[kept++] = argv[i];
	}
	argv[kept] = NULL;
	*argc = kept;
	return true;
}

static int plan_parse(struct plan *plan, int argc, char **argv)
{
	int r;

	if (!plan_options(plan, &argc, argv))
		return -EINVAL;
	r = report_options_parse(argc, argv,
				 "the first matching rule of a packet, against DPDK's rte_acl\n\n"
				 "  --sizes A,B   numbers of rules (1000,10000,100000; quick 1000,10000)\n"
				 "  --files DIR   ClassBench sets and traces (../shared/rulesets)",
				 &plan->options);
	if (r)
		return r;
	if (!plan->n_sizes) {
		memcpy(plan->sizes, (size_t[]){ 1000, 10000, 100000 }, 3 * sizeof(size_t));
		plan->n_sizes = plan->options.quick ? 2 : 3;
	}
	plan->n_headers = plan->options.quick ? 1u << 17 : 1u << 20;
	plan->n_measured = plan->options.quick ? 1u << 14 : 1u << 20;
	plan->n_calibrated = plan->options.quick ? 1u << 13 : 1u << 16;
	return 0;
}

static int plan_run(struct plan *plan)
{
	struct acl_environment environment;
	int r = acl_environment_init(plan->options.cpu, &environment);

	if (r)
		return r;
	report_fact(plan->report, "rte_acl", "%s, %s", environment.version,
		    environment.huge ? "on huge pages" : "on small pages: huge ones were not to be had (root?)");
	report_fact(plan->report, "batch", "spillway %u; rte_acl: the best of its algorithms and of batches of 16 to 256",
		    OURS_BATCH);
	report_fact(plan->report, "headers", "%zu different ones a generated set; zipf: exponent %.1f", plan->n_headers,
		    ZIPF_EXPONENT);
	r = run_all(plan);
	acl_environment_fini();
	return r;
}

int main(int argc, char **argv)
{
	struct plan plan = { .folder = "../shared/rulesets" };
	int r = plan_parse(&plan, argc, argv);

	if (r)
		return r < 0 ? 2 : 0;
	plan.report = report_new("classify", &plan.options);
	r = plan.report ? plan_run(&plan) : -ENOMEM;
	if (r)
		fprintf(stderr, "classify: %s\n", strerror(-r));
	else
		r = report_print(plan.report, stdout);
	report_free(plan.report);
	return plan.failed ? 1 : report_exit_code(r);
}
