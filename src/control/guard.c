/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guard.c - the life of one armed interface.
 *
 * Theory of operation. guard_open() makes everything ready in the order a packet would miss it: program and maps, ports on the
 * queues that diverted flows arrive on, reinjection, the worker, the image; the program is attached last, so its first packet finds
 * all of it. guard_close() goes back in the reverse order: first no packet is diverted any more, then the rings run dry, then the
 * program is detached, and only then do sockets and threads end. A guard is a null object until it is whole; guard_close() takes
 * any half of it, so every failure is one call.
 *
 * What holds when the process dies: the program is pinned, so rules that drop in the XDP tier go on dropping; the kernel marks
 * cells->owner before it closes a file (path_claim() in path.c), and from then on diverted packets go to the kernel. What holds
 * when the worker hangs: the heartbeat ages past BEAT_PATIENCE_NS, and they go there too. Both fail open for the innocent.
 */
#include "control/guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/refuse.h"
#include "control/guard_inside.h"
#include "control/journal.h"

#define WORKER_NICE (-20)
#define BEAT_PATIENCE_NS 500000000u
#define OVERLOAD_MARGIN 256 /* descriptors left free: frames redirected but not counted as done yet, four NAPI turns */
#define DRAIN_MS 200
#define FRAME_SIZE_SMALL 2048u
#define FRAME_SIZE_LARGE 4096u
#define FRAME_HEADROOM 256u /* XDP_PACKET_HEADROOM, kept in front of each zero-copy frame */
#define ETHERNET_AND_TAGS 22u
#define MTU_MAX (FRAME_SIZE_LARGE - FRAME_HEADROOM - ETHERNET_AND_TAGS)

static void *worker_main(void *argument)
{
	struct guard *guard = argument;
	uint64_t one = 1;

	/* This thread only: a full ring must not wait for its turn behind the programs it protects. Refused: then it waits. */
	setpriority(PRIO_PROCESS, (id_t)gettid(), WORKER_NICE);
	guard->worker_result = path_run(&guard->path);
	if (!atomic_load(&guard->path.stop)) {
		ssize_t written = write(guard->event, &one, sizeof(one)); /* the worker ended by itself: tell the control loop */

		(void)written; /* an eventfd takes eight bytes; if not, the next tick sees the dead heartbeat */
	}
	return NULL;
}

static int worker_start(struct guard *guard)
{
	sigset_t all, before;
	char name[16];
	int r;

	atomic_store(&guard->path.stop, false);
	/* Signals are the control loop's business. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&guard->worker, NULL, worker_main, guard);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		return r;
	guard->worker_running = true;
	if (guard->config.cpu >= 0) {
		cpu_set_t cpus;

		CPU_ZERO(&cpus);
		CPU_SET((size_t)guard->config.cpu, &cpus);
		r = -pthread_setaffinity_np(guard->worker, sizeof(cpus), &cpus);
		if (r)
			return r;
	}
	snprintf(name, sizeof(name), "spw-%.11s", guard->facts.ifname);
	pthread_setname_np(guard->worker, name);
	return 0;
}

static void worker_stop(struct guard *guard)
{
	if (!guard->worker_running)
		return;
	atomic_store(&guard->path.stop, true);
	pthread_join(guard->worker, NULL);
	guard->worker_running = false;
}

static int port_add(struct guard *guard, uint32_t queue, char *ret_message, size_t size)
{
	struct port_config config = {
		.ifname = guard->facts.ifname,
		.queue = queue,
		.ring_size = guard->plan.ring_size,
		.frame_size = guard->facts.mtu + ETHERNET_AND_TAGS + FRAME_HEADROOM <= FRAME_SIZE_SMALL ? FRAME_SIZE_SMALL
													: FRAME_SIZE_LARGE,
		.copy_only = guard->plan.copy_only || guard->config.mode == GUARD_MODE_GENERIC,
	};
	struct queue_cell *cell = &xdp_cells(guard->xdp)->queues[queue];
	struct port *port;
	int r = port_open(&config, &port);

	if (r) {
		snprintf(ret_message, size, "%s: cannot open queue %u: %s%s", guard->facts.ifname, queue, strerror(-r),
			 r == -EBUSY ? "; another AF_XDP program has it (see `ss -f xdp`), or name another with --queue N" : "");
		return r;
	}
	guard->path.ports[guard->path.n_ports++] = port;
	r = xdp_set_port(guard->xdp, queue, port_fd(port));
	if (r)
		return refuse(r, ret_message, size, "cannot hand the socket to the XDP program: %s", strerror(-r));
	cell->frame_max = config.frame_size - FRAME_HEADROOM;
	__atomic_store_n(&cell->limit, config.ring_size - OVERLOAD_MARGIN, __ATOMIC_RELEASE);
	return 0;
}

static int tell_reinject(struct guard *guard, char *ret_message, size_t size)
{
	int r = reinject_attached(guard->path.reinject, guard->native);

	if (r)
		snprintf(ret_message, size,
			 "%s: generic XDP needs reinjection by TAP; load `modprobe -a tun sch_ingress cls_u32 act_mirred`",
			 guard->facts.ifname);
	return r;
}

/* After this no frame is redirected to the ports. */
static void ports_forbid(struct guard *guard)
{
	for (uint32_t i = 0; i < guard->path.n_ports; i++)
		__atomic_store_n(&xdp_cells(guard->xdp)->queues[port_queue(guard->path.ports[i])].limit, 0, __ATOMIC_RELEASE);
}

static void user_tier_close(struct guard *guard)
{
	ports_forbid(guard);
	worker_stop(guard);
	for (uint32_t i = 0; i < guard->path.n_ports; i++)
		guard->path.ports[i] = port_close(guard->path.ports[i]);
	guard->path.n_ports = 0;
	guard->path.reinject = reinject_close(guard->path.reinject);
}

static int user_tier_build(struct guard *guard, char *ret_message, size_t size)
{
	int r;

	/* The TAPs first: a dying process' highest files are closed first, and the ports must not outlive the others by much. */
	r = reinject_open(guard->facts.ifname, guard->config.reinject, &guard->path.reinject, ret_message, size);
	if (!r && xdp_attached(guard->xdp))
		r = tell_reinject(guard, ret_message, size);
	for (uint32_t i = 0; !r && i < guard->plan.n_queues; i++)
		r = port_add(guard, guard->plan.first_queue + i, ret_message, size);
	if (r)
		return r;
	r = worker_start(guard);
	if (r == -EINVAL && guard->config.cpu >= 0)
		snprintf(ret_message, size,
			 "cannot run the worker on CPU %d: no such CPU is online, or our cpuset does not allow it",
			 guard->config.cpu);
	else if (r)
		refuse(r, ret_message, size, "cannot start the worker thread: %s", strerror(-r));
	return r;
}

/* Ports, reinjection and worker: what it takes before a rule may divert. Once; all of it or, on failure, nothing. */
static int user_tier_open(struct guard *guard, char *ret_message, size_t size)
{
	int r = guard->worker_running ? 0 : user_tier_build(guard, ret_message, size);

	if (r)
		user_tier_close(guard);
	return r;
}

/* No frame is diverted from here on; those on their way are worked off. */
static void user_tier_drain(struct guard *guard)
{
	struct cells *cells = xdp_cells(guard->xdp);

	ports_forbid(guard);
	for (int waited_ms = 0; guard->worker_running && waited_ms < DRAIN_MS; waited_ms++) {
		int64_t waiting = 0;

		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		for (uint32_t i = 0; i < guard->path.n_ports; i++) {
			struct queue_cell *cell = &cells->queues[port_queue(guard->path.ports[i])];

			waiting += (int64_t)(__atomic_load_n(&cell->sent, __ATOMIC_RELAXED) -
					     __atomic_load_n(&cell->done, __ATOMIC_RELAXED));
		}
		if (waiting <= 0 && waited_ms > 2)
			return;
	}
}

/* Counters that are new to their rule may have been another's. */
static void counters_clear(struct guard *guard, const struct rows *rows)
{
	for (size_t i = 0; i < rows->n; i++) {
		if (!rows->rows[i].fresh)
			continue;
		xdp_rule_hits_clear(guard->xdp, rows->counters[i]);
		memset(&guard->path.tally.rules[rows->counters[i]], 0, sizeof(struct hits));
	}
}

/* A rule that has come to its end stays ended in the next image, from its first packet on. */
static void rows_expire(const struct rows *rows, struct image *image)
{
	struct image_rule *rules = (struct image_rule *)((char *)image + image->rules);

	for (size_t i = 0; i < rows->n; i++)
		rules[i].expired = rows->rows[i].expired;
}

/* What the language has and an interface cannot do yet is refused, not ignored. */
static int rules_can_run(const struct rules *rules, char *ret_message, size_t size)
{
	for (size_t i = 0; i < rules_count(rules); i++) {
		struct rule_info info = rules_info(rules, i);

		if (info.program)
			return refuse(-EOPNOTSUPP, ret_message, size,
				      "line %u: no program `%s`: user programs cannot be loaded yet; leave out `to %s`",
				      info.line, info.program, info.program);
	}
	return 0;
}

/* What `rules` become, before anything of it is in force. */
struct next_rules {
	struct rows *rows;
	struct image *image;
	struct set_store *store;
};

static void next_rules_fini(struct next_rules *next)
{
	rows_free(next->rows);
	image_free(next->image);
	set_store_free(next->store);
}

static int next_rules_build(const struct guard *guard, const struct rules *rules, struct next_rules *next, char *ret_message,
			    size_t size)
{
	struct rules_error error = { 0 };
	int r = rows_build(rules, guard->rows, &next->rows);

	if (!r || r == -E2BIG) /* then it says what does not fit */
		r = image_build(rules, 1, next->rows ? next->rows->counters : NULL, &next->image, &error);
	if (!r)
		r = image_check(next->image, next->image->bytes);
	if (!r)
		r = sets_new(rules, &next->store);
	if (!r) {
		rows_expire(next->rows, next->image);
		return 0;
	}
	if (*error.message)
		snprintf(ret_message, size, "%s:%u:%u: %s", error.file, error.line, error.col, error.message);
	else
		refuse(r, ret_message, size, "cannot build the rules: %s", strerror(-r));
	return r;
}

/* In force: the sets in a block, then image and block together. */
static int next_rules_publish(struct guard *guard, struct next_rules *next, char *ret_message, size_t size)
{
	struct xdp_block block;
	int r = sets_place(guard, next->store, next->image->bytes, next->rows->counters_end, &block, ret_message, size);

	if (r)
		return r;
	counters_clear(guard, next->rows);
	r = sets_publish(guard, next->image, &block, next->store, ret_message, size);
	if (r) {
		xdp_block_free(&block);
		return r;
	}
	next->store = NULL;
	rows_free(guard->rows);
	guard->rows = next->rows;
	next->rows = NULL;
	guard->generation++;
	return 0;
}

/* Make `rules` the running rules: build aside, open the user tier if they need it, publish, let the old ones go. */
static int rules_publish(struct guard *guard, const struct rules *rules, char *ret_message, size_t size)
{
	struct next_rules next = { 0 };
	int r = rules_can_run(rules, ret_message, size);

	if (!r)
		r = next_rules_build(guard, rules, &next, ret_message, size);
	if (!r && next.image->has_divert)
		r = user_tier_open(guard, ret_message, size);
	if (!r)
		r = next_rules_publish(guard, &next, ret_message, size);
	next_rules_fini(&next);
	return r;
}

static int attach(struct guard *guard, char *ret_message, size_t size)
{
	char path[sizeof(guard->pins.path) + sizeof("/link")];
	int r;

	r = bpffs_dir_get(guard->journal, guard->facts.ifname, &guard->pins);
	if (r == -EEXIST)
		return refuse(r, ret_message, size, "pins of an earlier run are left; remove them with `spillway restore`");
	if (r)
		return refuse(r, ret_message, size,
			      "cannot use " BPFFS_PATH ": %s; mount it with `mount -t bpf bpf " BPFFS_PATH "`", strerror(-r));
	snprintf(path, sizeof(path), "%s/link", guard->pins.path);
	r = journal_add(guard->journal,
			json_pack("{ss ss si ss}", "op", "xdp-link", "ifname", guard->facts.ifname, "ifindex",
				  (int)guard->facts.ifindex, "path", path),
			&guard->link_entry);
	if (r)
		return refuse(r, ret_message, size, "cannot write the journal: %s", strerror(-r));
	r = xdp_attach(guard->xdp, &guard->facts, guard->config.mode, path, &guard->native, guard->mode_reason,
		       sizeof(guard->mode_reason));
	if (r)
		snprintf(ret_message, size, "%s", guard->mode_reason);
	if (!r && guard->path.reinject)
		r = tell_reinject(guard, ret_message, size);
	return r;
}

static int facts_check(const struct guard_config *config, struct link_facts *ret_facts, char *ret_message, size_t size)
{
	const char *ifname = config->ifname;
	int r = link_query(ifname, ret_facts);

	if (r == -ENODEV)
		return refuse(r, ret_message, size, "no interface \"%s\" here; see `ip link`", ifname);
	if (r)
		return refuse(r, ret_message, size, "%s: %s", ifname, strerror(-r));
	if (!ret_facts->ethernet)
		return refuse(-EOPNOTSUPP, ret_message, size,
			      "%s carries no Ethernet frames; arm the Ethernet interface below it", ifname);
	if (!ret_facts->up)
		return refuse(-ENETDOWN, ret_message, size, "%s is down; bring it up with `ip link set dev %s up`", ifname,
			      ifname);
	if (ret_facts->mtu > MTU_MAX)
		return refuse(
			-EMSGSIZE, ret_message, size,
			"%s: MTU %u is too large for XDP in one buffer (at most %u); lower it with `ip link set dev %s mtu 1500`",
			ifname, ret_facts->mtu, MTU_MAX, ifname);
	return 0;
}

int guard_open(const struct guard_config *config, const struct rules *rules, struct journal *journal, struct guard **ret_guard,
	       char *ret_message, size_t size)
{
	struct guard *guard;
	struct link_facts facts;
	int r;

	*ret_message = '\0';
	r = facts_check(config, &facts, ret_message, size);
	if (r)
		return r;
	guard = calloc(1, sizeof(*guard));
	if (!guard)
		return refuse(-ENOMEM, ret_message, size, "cannot arm: %s", strerror(ENOMEM));
	guard->config = *config;
	guard->facts = facts;
	guard->journal = journal;
	guard->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	clock_gettime(CLOCK_MONOTONIC, &guard->armed_at);

	r = steer_plan_build(&facts, config->queue, &guard->plan, ret_message, size);
	if (!r)
		r = xdp_load(&guard->xdp, ret_message, size);
	if (!r) {
		guard->path.cells = xdp_cells(guard->xdp);
		guard->path.tally.limits = xdp_limits(guard->xdp);
		guard->path.tally.samples = &guard->path.samples;
		guard->path.cells->patience_ns = BEAT_PATIENCE_NS;
		r = rules_publish(guard, rules, ret_message, size);
	}
	if (!r)
		r = attach(guard, ret_message, size);
	if (r) {
		guard_close(guard);
		return r;
	}
	*ret_guard = guard;
	return 0;
}

int guard_apply(struct guard *guard, const struct rules *rules, char *ret_message, size_t size)
{
	*ret_message = '\0';
	return rules_publish(guard, rules, ret_message, size);
}

struct guard *guard_close(struct guard *guard)
{
	if (!guard)
		return NULL;
	if (guard->xdp) {
		user_tier_drain(guard);
		xdp_detach(guard->xdp);
	}
	if (guard->link_entry)
		journal_done(guard->journal, guard->link_entry);
	bpffs_dir_put(guard->journal, &guard->pins);
	user_tier_close(guard);
	xdp_free(guard->xdp);
	sets_free(guard);
	rows_free(guard->rows);
	if (guard->event >= 0)
		close(guard->event);
	free(guard);
	return NULL;
}

const char *guard_ifname(const struct guard *guard)
{
	return guard->facts.ifname;
}

int guard_fd(const struct guard *guard)
{
	return guard->event;
}

static void row_expire(struct guard *guard, size_t index, void (*say)(const char *line))
{
	struct row *row = &guard->rows->rows[index];
	char line[400];

	row->expired = true;
	xdp_expire(guard->xdp, (uint32_t)index);
	snprintf(line, sizeof(line), "%s: line %u: its ttl is over: %.200s", guard->facts.ifname, row->line, row->text);
	say(line);
}

static void row_log(struct guard *guard, struct row *row, void (*say)(const char *line))
{
	struct hits hits;
	char line[400];
	uint64_t packets;

	xdp_rule_hits(guard->xdp, row->counter, &hits);
	packets = hits.packets + guard->path.tally.rules[row->counter].packets;
	if (packets <= row->logged)
		return;
	snprintf(line, sizeof(line), "%s: line %u: %llu packets, %llu in all: %.200s", guard->facts.ifname, row->line,
		 (unsigned long long)(packets - row->logged), (unsigned long long)packets, row->text);
	row->logged = packets;
	say(line);
}

/* Once a rule set: what diverts is slower than it could be. */
static void keys_tell(struct guard *guard, void (*say)(const char *line))
{
	const struct classifier *published = xdp_published(guard->xdp);
	char line[200];

	if (guard->keys_told == guard->generation)
		return;
	guard->keys_told = guard->generation;
	if (!published->image->has_divert || published->keys)
		return;
	snprintf(line, sizeof(line),
		 "%s: no room for what batches of packets are classified by; the worker takes them one by one, about 3x slower",
		 guard->facts.ifname);
	say(line);
}

void guard_tick(struct guard *guard, void (*say)(const char *line))
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	for (size_t i = 0; i < guard->rows->n; i++) {
		struct row *row = &guard->rows->rows[i];

		if (row->ends_s && !row->expired && (uint64_t)now.tv_sec >= row->ends_s)
			row_expire(guard, i, say);
		if (row->log)
			row_log(guard, row, say);
	}
	sets_tick(guard, say);
	keys_tell(guard, say);
	if (guard->path.reinject)
		reinject_follow_address(guard->path.reinject);
}
