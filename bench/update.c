/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * update - changes to what is in force: elements of a set of a million while a reader on another core asks it all the time,
 * against nft and ipset with thousands of elements a command; and one more rule among many, where spillway and DPDK's rte_acl both
 * build anew.
 *
 * The set cells are nanoseconds a change; every element is added and deleted again. The reader asks for elements that stay: it
 * must find each, each time. How much slower it is beside the writer is told as `reader_slowdown`, in the same turns, of its time
 * on the CPU. The peers are charged neither for starting their processes nor for a reader. nft is no peer for prefixes: to delete
 * 100 of 100,000 elements of a set of intervals took it 32 s (nft 1.0.6, Linux 6.18).
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "classbench.h"
#include "classify_acl.h"
#include "classify_ours.h"
#include "command.h"
#include "load_text.h"
#include "report.h"
#include "sets/table.h"

#define SET_SIZE 1000000u
#define CALL_ELEMENTS 1000u /* in one call of ours */
#define ALONE_NS 20000000   /* for how long the reader is timed without the writer */
#define READER_STRIDE 256u  /* lookups between two looks at the clock's flag */
#define SLOWDOWNS_MAX 1024u

struct reader {
	pthread_t thread;
	const struct set_block *block;
	const struct load_entry *entries; /* that stay */
	size_t n;
	uint8_t ip;
	uint32_t set;
	int cpu;
	_Atomic uint64_t lookups, missed;
	_Atomic bool stop;
};

struct update {
	struct report *report;
	struct report_options options;
	struct set_table *table;
	void *block;
	uint64_t block_bytes;
	int set;
	size_t n;
	struct element *changes; /* that come and go: so many that they do not stay in a cache */
	size_t n_changes, changes_at;
	size_t n_command; /* elements in one command of a peer */
	struct load_texts texts;
	double nft_start_ns, ipset_start_ns; /* of a process that changes nothing */
	struct reader reader;
	double slowdowns[SLOWDOWNS_MAX];
	unsigned n_slowdowns;
	struct filter_set filters; /* of a rules cell */
};

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void *reader_run(void *arg)
{
	struct reader *reader = arg;
	uint64_t missed = 0, at = 0;

	while (!atomic_load_explicit(&reader->stop, memory_order_relaxed)) {
		for (unsigned i = 0; i < READER_STRIDE; i++) {
			__u64 addr[2];

			at = at * 0x5851f42d4c957f2dull + 0x14057b7ef767814full;
			memcpy(addr, reader->entries[(at >> 32) * reader->n >> 32].addr, sizeof(addr));
			missed += !set_has_addr(reader->block, reader->set, reader->ip, addr);
		}
		atomic_fetch_add_explicit(&reader->lookups, READER_STRIDE, memory_order_relaxed);
	}
	atomic_store(&reader->missed, missed);
	return NULL;
}

/* On its CPU from the first moment: on the bench's it would wait for a thread with a better claim (report.c). Runs at return. */
static int reader_start(struct reader *reader)
{
	struct timespec pause = { .tv_nsec = 100000 };
	pthread_attr_t attributes;
	cpu_set_t cpus;
	int r = -pthread_attr_init(&attributes);

	if (r)
		return r;
	CPU_ZERO(&cpus);
	CPU_SET(reader->cpu, &cpus);
	atomic_store(&reader->lookups, 0);
	atomic_store(&reader->stop, false);
	r = -pthread_attr_setaffinity_np(&attributes, sizeof(cpus), &cpus);
	if (!r)
		r = -pthread_create(&reader->thread, &attributes, reader_run, reader);
	pthread_attr_destroy(&attributes);
	while (!r && !atomic_load(&reader->lookups))
		nanosleep(&pause, NULL);
	return r;
}

static int reader_stop(struct reader *reader)
{
	atomic_store(&reader->stop, true);
	pthread_join(reader->thread, NULL);
	return atomic_load(&reader->missed) ? -EBADMSG : 0;
}

/* What the reader had done, and how long it had been on its CPU: other tasks there are no slowdown. */
struct reading {
	uint64_t lookups;
	double cpu_ns;
};

static struct reading reader_read(struct reader *reader)
{
	struct timespec cpu = { 0 };
	clockid_t clock;

	if (!pthread_getcpuclockid(reader->thread, &clock))
		clock_gettime(clock, &cpu);
	return (struct reading){ atomic_load(&reader->lookups), (double)cpu.tv_sec * 1e9 + (double)cpu.tv_nsec };
}

/* Nanoseconds a lookup since then; 0: there was none. */
static double reader_ns(struct reader *reader, struct reading since)
{
	struct reading now = reader_read(reader);

	return now.lookups > since.lookups ? (now.cpu_ns - since.cpu_ns) / (double)(now.lookups - since.lookups) : 0;
}

/* Spins meanwhile: else other tasks would come to this CPU, and be gone from the caches both share when the writer is here. */
static double reader_ns_alone(struct reader *reader)
{
	struct reading since = reader_read(reader);
	double start = now_ns();

	while (now_ns() - start < ALONE_NS)
		;
	return reader_ns(reader, since);
}

/* Some elements there and back, the next ones each time. */
static int write_some(struct update *update, size_t n)
{
	const struct element *elements = update->changes + update->changes_at;
	uint32_t set = (uint32_t)update->set;
	int r = 0;

	for (size_t at = 0; !r && at < n; at += CALL_ELEMENTS)
		r = set_table_add(update->table, set, elements + at, CALL_ELEMENTS, 0, NULL);
	for (size_t at = 0; !r && at < n; at += CALL_ELEMENTS)
		r = set_table_del(update->table, set, elements + at, CALL_ELEMENTS, NULL);
	update->changes_at += n;
	if (update->changes_at + n > update->n_changes)
		update->changes_at = 0;
	return r;
}

/* Until the reader was watched as long as without a writer. */
static int write_changes(struct update *update, double *ret_ns)
{
	double start = now_ns();
	size_t done = 0;
	int r = 0;

	while (!r && now_ns() - start < ALONE_NS) {
		r = write_some(update, update->n_command);
		done += 2 * update->n_command;
	}
	*ret_ns = (now_ns() - start) / (double)done;
	return r;
}

static int measure_ours(void *arg, double *ret_ns)
{
	struct update *update = arg;
	struct reader *reader = &update->reader;
	struct reading since;
	double alone[2], beside;
	int r = reader_start(reader), missed;

	if (r)
		return r;
	reader_ns_alone(reader); /* its caches fill */
	alone[0] = reader_ns_alone(reader);
	since = reader_read(reader);
	r = write_changes(update, ret_ns);
	beside = reader_ns(reader, since);
	alone[1] = reader_ns_alone(reader);
	if (!r && update->n_slowdowns < SLOWDOWNS_MAX && alone[0] > 0 && alone[1] > 0 && beside > 0)
		update->slowdowns[update->n_slowdowns++] = 2 * beside / (alone[0] + alone[1]) - 1;
	missed = reader_stop(reader);
	return r ? r : missed;
}

static int measure_pair(const struct update *update, const char *const *add, const char *const *delete, double start_ns,
			double *ret_ns)
{
	double add_ns, delete_ns;
	int r = command_run(add, &add_ns);

	if (!r)
		r = command_run(delete, &delete_ns);
	if (!r)
		*ret_ns = (add_ns + delete_ns - 2 * start_ns) / (2 * (double)update->n_command);
	return r;
}

static int measure_nft(void *arg, double *ret_ns)
{
	const struct update *update = arg;
	const char *const add[] = { "nft", "-f", update->texts.nft_changes[0], NULL };
	const char *const delete[] = { "nft", "-f", update->texts.nft_changes[1], NULL };

	return measure_pair(update, add, delete, update->nft_start_ns, ret_ns);
}

static int measure_ipset(void *arg, double *ret_ns)
{
	const struct update *update = arg;
	const char *const add[] = { "ipset", "-file", update->texts.ipset_changes[0], "restore", NULL };
	const char *const delete[] = { "ipset", "-file", update->texts.ipset_changes[1], "restore", NULL };

	return measure_pair(update, add, delete, update->ipset_start_ns, ret_ns);
}

static struct element element_of(uint8_t ip, const struct load_entry *entry)
{
	return element_prefix(ip, entry->addr, entry->len);
}

/* A block with room for the changes, too. */
static int table_place(struct update *update)
{
	int r = -ENOSPC;

	for (uint64_t bytes = set_table_bytes(update->table); r == -ENOSPC && bytes && bytes <= SET_BYTES_MAX; bytes *= 2) {
		update->block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		update->block_bytes = bytes;
		if (update->block == MAP_FAILED)
			return -ENOMEM;
		r = set_table_place(update->table, update->block, bytes);
		if (r)
			munmap(update->block, bytes);
	}
	if (r)
		update->block = NULL;
	return r;
}

static int table_fill(struct update *update, enum load_kind kind, uint8_t ip, struct load_entry *entries)
{
	int r = 0;

	update->table = set_table_new();
	update->set = update->table ? set_table_open(update->table, ELEMENT_PREFIX) : -ENOMEM;
	if (update->set < 0)
		return update->set;
	for (size_t i = 0; !r && i < update->n + update->n_changes; i++) {
		struct load_entry entry;
		struct element element;

		load_entry_fill(kind, ip, i, &entry);
		element = element_of(ip, &entry);
		if (i < update->n)
			entries[i] = entry;
		else
			update->changes[i - update->n] = element;
		r = set_table_add(update->table, (uint32_t)update->set, &element, 1, 0, NULL);
	}
	if (!r)
		r = table_place(update);
	return r ? r : set_table_del(update->table, (uint32_t)update->set, update->changes, update->n_changes, NULL);
}

/* The fastest of a few starts: what is more is the elements' fault. */
static int start_cost(const char *const *argv, double *ret_ns)
{
	int r = 0;

	for (int i = 0; !r && i < 7; i++) {
		double ns;

		r = command_run(argv, &ns);
		if (!i || ns < *ret_ns)
			*ret_ns = ns;
	}
	return r;
}

static int peers_fill(struct update *update, enum load_kind kind, uint8_t ip)
{
	const char *const nft_empty[] = { "nft", "-f", "/dev/null", NULL };
	const char *const ipset_empty[] = { "ipset", "-file", "/dev/null", "restore", NULL };
	const char *const nft[] = { "nft", "-f", update->texts.nft, NULL };
	const char *const ipset[] = { "ipset", "-file", update->texts.ipset, "restore", NULL };
	int r = load_changes_write(kind, ip, update->n, update->n_command, &update->texts);

	if (!r && kind == LOAD_HOSTS)
		r = command_run(nft, NULL);
	if (!r)
		r = command_run(ipset, NULL);
	if (!r)
		r = start_cost(nft_empty, &update->nft_start_ns);
	return r ? r : start_cost(ipset_empty, &update->ipset_start_ns);
}

static int compare_double(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static int set_measure(struct update *update, const char *cell, bool with_nft)
{
	struct contender contenders[] = {
		{ .name = "spillway", .role = CONTENDER_SPILLWAY, .measure = measure_ours, .arg = update },
		{ .name = "ipset restore", .role = CONTENDER_PEER, .measure = measure_ipset, .arg = update },
		{ .name = "nft -f", .role = CONTENDER_PEER, .measure = measure_nft, .arg = update },
	};
	int r;

	update->n_slowdowns = 0;
	r = report_cell(update->report, cell, contenders, with_nft ? 3 : 2);
	if (r == -EBADMSG)
		fprintf(stderr, "update: %s: the reader did not find elements that were there all the time\n", cell);
	if (!r && update->n_slowdowns) {
		qsort(update->slowdowns, update->n_slowdowns, sizeof(double), compare_double);
		report_cell_number(update->report, "reader_slowdown", update->slowdowns[update->n_slowdowns / 2]);
	}
	if (!r) {
		report_cell_number(update->report, "elements_a_command", (double)update->n_command);
		report_cell_number(update->report, "block_bytes", (double)update->block_bytes);
	}
	return r;
}

static void set_fini(struct update *update, struct load_entry *entries)
{
	static const char *const nft_clear[] = { "nft", "add table inet bench; delete table inet bench", NULL };
	static const char *const ipset_clear[] = { "ipset", "destroy", NULL };

	command_run(nft_clear, NULL);
	command_run(ipset_clear, NULL);
	load_texts_remove(&update->texts);
	update->table = set_table_free(update->table);
	if (update->block)
		munmap(update->block, update->block_bytes);
	update->block = NULL;
	free(update->changes);
	update->changes = NULL;
	free(entries);
}

static int set_cell(struct update *update, enum load_kind kind, uint8_t ip)
{
	struct load_entry *entries;
	char cell[64];
	int r;

	update->n = (update->options.quick ? SET_SIZE / 10 : SET_SIZE) / update->options.scale;
	update->n_command = update->options.quick ? 2 * CALL_ELEMENTS : 10 * CALL_ELEMENTS;
	update->n_changes = update->n / 4 > update->n_command ? update->n / 4 : update->n_command;
	update->changes_at = 0;
	snprintf(cell, sizeof(cell), "%s%s %zu", kind == LOAD_HOSTS ? "hosts" : "prefixes", ip == 6 ? " v6" : "", update->n);
	if (!report_wants(update->report, cell))
		return 0;
	r = load_texts_write(kind, ip, update->n, update->options.seed, &update->texts);
	if (r)
		return r;
	entries = calloc(update->n, sizeof(*entries));
	update->changes = calloc(update->n_changes, sizeof(*update->changes));
	r = entries && update->changes ? table_fill(update, kind, ip, entries) : -ENOMEM;
	if (!r)
		r = peers_fill(update, kind, ip);
	update->reader.block = update->block;
	update->reader.entries = entries;
	update->reader.n = update->n;
	update->reader.ip = ip;
	update->reader.set = (uint32_t)update->set;
	if (!r)
		r = set_measure(update, cell, kind == LOAD_HOSTS);
	set_fini(update, entries);
	return r;
}

static int measure_rules_ours(void *arg, double *ret_ns)
{
	struct update *update = arg;
	struct ours *ours;
	char error[512];
	int r = ours_new(&update->filters, &ours, error);

	if (r) {
		fprintf(stderr, "update: %s\n", error);
		return r;
	}
	*ret_ns = (ours->parse_ms + ours->build_ms) * 1e6;
	ours_free(ours);
	return 0;
}

static int measure_rules_acl(void *arg, double *ret_ns)
{
	struct update *update = arg;
	double start = now_ns();
	struct acl *acl;
	int r = acl_new(&update->filters, &acl);

	*ret_ns = now_ns() - start;
	if (!r)
		acl_free(acl);
	return r;
}

static int rules_cell(struct update *update, uint8_t ip, size_t n)
{
	struct contender contenders[] = {
		{ .name = "spillway", .role = CONTENDER_SPILLWAY, .measure = measure_rules_ours, .arg = update },
		{ .name = "rte_acl build", .role = CONTENDER_PEER, .measure = measure_rules_acl, .arg = update },
	};
	char cell[64];
	int r;

	snprintf(cell, sizeof(cell), "one rule more%s %zu", ip == 6 ? " v6" : "", n);
	if (!report_wants(update->report, cell))
		return 0;
	r = filter_set_generate(FILTER_ACL, ip, n, update->options.seed, &update->filters);
	if (!r)
		r = report_cell(update->report, cell, contenders, 2);
	filter_set_fini(&update->filters);
	return r;
}

static int run_all(struct update *update)
{
	struct acl_environment environment;
	unsigned rounds = update->options.rounds;
	int r = 0;

	for (uint8_t ip = 4; ip <= 6; ip += 2) {
		if (!r)
			r = set_cell(update, LOAD_HOSTS, ip);
		if (!r)
			r = set_cell(update, LOAD_PREFIXES, ip);
	}
	if (r)
		return r;
	r = acl_environment_init(update->options.cpu, &environment);
	if (r)
		return r;
	update->options.rounds = rounds < 5 ? rounds : 5; /* a build takes seconds */
	for (uint8_t ip = 4; !r && ip <= 6; ip += 2)
		r = rules_cell(update, ip, (update->options.quick ? 1000 : 100000) / update->options.scale);
	update->options.rounds = rounds;
	acl_environment_fini();
	return r;
}

static int update_run(struct update *update)
{
	long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (unshare(CLONE_NEWNET)) {
		report_skip(update->report, "all", "a network namespace of one's own needs root");
		return 0;
	}
	if (n_cpus < 2) {
		report_skip(update->report, "all", "the reader needs a second CPU");
		return 0;
	}
	update->reader.cpu = (int)((update->options.cpu + 1) % n_cpus);
	report_fact(update->report, "reader", "on CPU %d", update->reader.cpu);
	return run_all(update);
}

int main(int argc, char **argv)
{
	static struct update update;
	int r = report_options_parse(argc, argv, "changes to sets and rules in force, against nft and rte_acl", &update.options);

	if (r)
		return r < 0 ? 2 : 0;
	update.report = report_new("update", &update.options);
	r = update.report ? update_run(&update) : -ENOMEM;
	if (r)
		fprintf(stderr, "update: %s\n", r == -EREMOTEIO ? "a peer's command failed" : strerror(-r));
	else
		r = report_print(update.report, stdout);
	report_free(update.report);
	return r ? report_exit_code(r) : 0;
}
