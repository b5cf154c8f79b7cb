/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load - from a text file to rules in force: spillway (read, parse, check, build, publish to the loaded XDP program), `nft -f`,
 * `ipset restore`. All in a network namespace of the bench's own, on no interface.
 *
 * The peers are processes; what an empty one costs is measured and taken off, so that they are charged for the entries only, and
 * nothing is in force when they start: deleting what the last turn left is not timed. spillway replaces what it published before,
 * as it does in use; the daemon's socket is not on the way. Nanoseconds an entry.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "control/xdp.h"
#include "load_text.h"
#include "report.h"
#include "rules/rules.h"
#include "sets/store.h"

#define SMALL 10000u   /* entries up to which a measurement is three loads */
#define LARGE 1000000u /* entries from which on a cell has fewer rounds: a peer takes seconds */
#define ROUNDS_LARGE 5u

struct load {
	struct report *report;
	struct report_options options;
	struct xdp *xdp;
	struct load_texts texts;
	size_t n;
	double nft_start_ns, ipset_start_ns; /* of a process that loads nothing */
	struct rules_error error;
	double ours_ns, parse_ns, build_ns, publish_ns; /* of the last turn */
	int result;
	size_t image_bytes, block_bytes;
	unsigned failed;
};

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int block_fill(struct load *load, struct set_table *table, struct xdp_block *ret_block)
{
	int r = xdp_block_new(load->xdp, ret_block);

	if (!r)
		r = set_table_place(table, ret_block->at, ret_block->bytes);
	return r;
}

static int publish(struct load *load, const struct image *image, struct set_store *store)
{
	struct set_table *table = set_store_table(store);
	size_t bytes = set_store_count(store) ? set_table_bytes(table) : 0;
	const struct classifier *published;
	struct xdp_block block = { .at = NULL };
	char message[256];
	int r = xdp_reserve(load->xdp, image->bytes, bytes, image->n_rules, message, sizeof(message));

	if (r < 0)
		snprintf(load->error.message, sizeof(load->error.message), "%s", message);
	else
		r = bytes ? block_fill(load, table, &block) : 0;
	if (!r)
		r = xdp_publish(load->xdp, image, &block, store, &published);
	if (!r)
		xdp_forget_older(load->xdp);
	xdp_block_free(&block);
	load->block_bytes = r ? 0 : bytes;
	return r;
}

static int load_once(struct load *load)
{
	struct image *image = NULL;
	struct set_store *store = NULL;
	struct rules *rules;
	double start = now_ns(), parsed, built;
	int r = rules_load(load->texts.rules, &rules, &load->error);

	if (r)
		return r;
	parsed = now_ns();
	r = image_build(rules, 1, NULL, &image, &load->error);
	if (!r)
		r = set_store_new(rules, 0, &store);
	built = now_ns();
	if (!r)
		r = publish(load, image, store);
	load->parse_ns = parsed - start;
	load->build_ns = built - parsed;
	load->publish_ns = now_ns() - built;
	load->image_bytes = r ? 0 : image->bytes;
	image_free(image);
	set_store_free(store);
	rules_free(rules);
	return r;
}

/* A thread of its own has the scheduling class that the peers' processes have (report.c). */
static void *load_thread(void *arg)
{
	struct load *load = arg;
	double start = now_ns();

	load->result = load_once(load);
	load->ours_ns = now_ns() - start;
	return NULL;
}

static int load_timed(struct load *load)
{
	pthread_t thread;
	int r = -pthread_create(&thread, NULL, load_thread, load);

	if (!r)
		r = -pthread_join(thread, NULL);
	return r ? r : load->result;
}

static unsigned turns(const struct load *load)
{
	return load->n <= SMALL ? 3 : 1;
}

static int measure_ours(void *arg, double *ret_ns)
{
	struct load *load = arg;
	double ns = 0;

	for (unsigned i = 0; i < turns(load); i++) {
		int r = load_timed(load);

		if (r)
			return r;
		ns += load->ours_ns;
	}
	*ret_ns = ns / turns(load) / (double)load->n;
	return 0;
}

/* `clear` empties what `fill` filled; it fails when there is nothing, which is nothing to complain about. */
static int measure_command(const struct load *load, const char *const *clear, const char *const *fill, double start_ns,
			   double *ret_ns)
{
	unsigned n = turns(load);
	double sum = 0;

	for (unsigned i = 0; i < n; i++) {
		double ns = 0;
		int r = command_run(clear, NULL);

		if (!r)
			r = command_run(fill, &ns);
		if (r)
			return r;
		sum += ns - start_ns;
	}
	*ret_ns = sum / n / (double)load->n;
	return 0;
}

static const char *const nft_clear[] = { "nft", "add table inet bench; delete table inet bench", NULL };
static const char *const ipset_clear[] = { "ipset", "destroy", NULL };

static int measure_nft(void *arg, double *ret_ns)
{
	const struct load *load = arg;
	const char *const fill[] = { "nft", "-f", load->texts.nft, NULL };

	return measure_command(load, nft_clear, fill, load->nft_start_ns, ret_ns);
}

static int measure_ipset(void *arg, double *ret_ns)
{
	const struct load *load = arg;
	const char *const fill[] = { "ipset", "-file", load->texts.ipset, "restore", NULL };

	return measure_command(load, ipset_clear, fill, load->ipset_start_ns, ret_ns);
}

/* The fastest of a few starts: more than that is the entries' fault. */
static int start_cost(const char *const *argv, double *ret_ns)
{
	*ret_ns = 0;
	for (int i = 0; i < 7; i++) {
		double ns;
		int r = command_run(argv, &ns);

		if (r)
			return r;
		if (!i || ns < *ret_ns)
			*ret_ns = ns;
	}
	return 0;
}

static int peers_start(struct load *load)
{
	const char *const nft[] = { "nft", "-f", "/dev/null", NULL }, *const ipset[] = { "ipset", "-file", "/dev/null", "restore",
											 NULL };
	int r = start_cost(nft, &load->nft_start_ns);

	if (!r)
		r = start_cost(ipset, &load->ipset_start_ns);
	if (r) {
		fputs("load: nft and ipset have to work here\n", stderr);
		return r;
	}
	report_fact(load->report, "taken off", "start of a process: nft %.1f ms, ipset %.1f ms", load->nft_start_ns * 1e-6,
		    load->ipset_start_ns * 1e-6);
	return 0;
}

static int cell_measure(struct load *load, const char *cell, bool with_ipset)
{
	struct contender contenders[] = {
		{ .name = "spillway", .role = CONTENDER_SPILLWAY, .measure = measure_ours, .arg = load },
		{ .name = "nft -f", .role = CONTENDER_PEER, .measure = measure_nft, .arg = load },
		{ .name = "ipset restore", .role = CONTENDER_PEER, .measure = measure_ipset, .arg = load },
	};
	unsigned rounds = load->options.rounds;
	int r = load_timed(load);

	if (r == -E2BIG || r == -EINVAL) {
		report_skip(load->report, cell, load->error.message);
		load->failed++;
		return 0;
	}
	if (load->n >= LARGE && rounds > ROUNDS_LARGE)
		load->options.rounds = ROUNDS_LARGE;
	if (!r)
		r = report_cell(load->report, cell, contenders, with_ipset ? 3 : 2);
	load->options.rounds = rounds;
	if (!r) {
		report_cell_number(load->report, "parse_ms", load->parse_ns * 1e-6);
		report_cell_number(load->report, "build_ms", load->build_ns * 1e-6);
		report_cell_number(load->report, "publish_ms", load->publish_ns * 1e-6);
		report_cell_number(load->report, "image_bytes", (double)load->image_bytes);
		report_cell_number(load->report, "block_bytes", (double)load->block_bytes);
	}
	command_run(nft_clear, NULL);
	command_run(ipset_clear, NULL);
	return r;
}

static int cell_run(struct load *load, enum load_kind kind, uint8_t ip, size_t n)
{
	static const char *const names[] = { "hosts", "prefixes", "rules" };
	char cell[64];
	int r;

	snprintf(cell, sizeof(cell), "%s%s %zu", names[kind], ip == 6 ? " v6" : "", n);
	if (!report_wants(load->report, cell))
		return 0;
	load->n = n;
	r = load_texts_write(kind, ip, n, load->options.seed, &load->texts);
	if (r)
		return r;
	r = cell_measure(load, cell, kind != LOAD_RULES);
	load_texts_remove(&load->texts);
	return r;
}

static int run_all(struct load *load)
{
	static const size_t set_sizes[] = { 1000, 10000, 100000, 1000000 }, rule_sizes[] = { 1000, 10000, 100000 };
	int r = 0;

	for (int kind = 0; kind < LOAD_KIND_COUNT; kind++) {
		const size_t *sizes = kind == LOAD_RULES ? rule_sizes : set_sizes;
		unsigned n_sizes = load->options.quick ? 2 : kind == LOAD_RULES ? 3 : 4;

		for (unsigned i = 0; !r && i < 2 * n_sizes; i++)
			r = cell_run(load, (enum load_kind)kind, i % 2 ? 6 : 4, sizes[i / 2] / load->options.scale);
	}
	return r;
}

static int load_run(struct load *load)
{
	char message[256];
	int r;

	if (unshare(CLONE_NEWNET)) {
		report_skip(load->report, "all", "a network namespace of one's own needs root");
		return 0;
	}
	r = xdp_load(&load->xdp, message, sizeof(message));
	if (r) {
		report_skip(load->report, "all", message);
		return 0;
	}
	r = peers_start(load);
	if (!r)
		r = run_all(load);
	xdp_free(load->xdp);
	return r;
}

int main(int argc, char **argv)
{
	static struct load load;
	int r = report_options_parse(argc, argv, "a text file of sets and rules until they are in force, against nft and ipset",
				     &load.options);

	if (r)
		return r < 0 ? 2 : 0;
	load.report = report_new("load", &load.options);
	r = load.report ? load_run(&load) : -ENOMEM;
	if (r)
		fprintf(stderr, "load: %s\n", r == -EREMOTEIO ? "a peer's command failed" : strerror(-r));
	else
		r = report_print(load.report, stdout);
	report_free(load.report);
	return load.failed ? 1 : report_exit_code(r);
}
