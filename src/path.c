/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path.c - the whole user tier: receive a batch, classify it, act on each frame, give the buffers back.
 *
 * The frames here are those the XDP program (bpf/spillway.bpf.c) diverted: a divert rule matched and no rule that the XDP tier can
 * decide said drop or allow. Each ends here under one name (act/verdict.h): dropped, reinjected, or lost and counted. Nothing below
 * path_turn() allocates, logs or blocks; the only system calls are the ring wake-ups (port.c) and the reinjecting write
 * (reinject.c). The loop proves that it is alive by the heartbeat: when it stops, the XDP program stops diverting.
 */
#include "path.h"

#include <errno.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "reinject/checksum.h"

#define REST_BELOW 16 /* frames in a turn over all ports: fewer do not pay for the turn */
#define REST_NS 30000 /* then let some more arrive: costs this much latency, saves most of a core below 1 Mpps */
#define WAIT_MS 100   /* an idle worker's beat; the XDP program waits five times as long (guard.c) */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Tell the XDP program that we are alive. The coarse clock is the one it compares with (bpf_ktime_get_coarse_ns). */
static void path_beat(struct path *path)
{
	__atomic_store_n(&path->cells->beat_ns, clock_ns(CLOCK_MONOTONIC_COARSE), __ATOMIC_RELAXED);
}

/*
 * Make the worker's death known to the XDP program at once. When a thread dies, by SIGKILL too, the kernel walks its list of robust
 * futexes before it closes a file, and marks each as OWNER_DIED (kernel/futex/core.c, exit_robust_list). cells->owner is made one:
 * memory that the XDP program reads. The sockets close tens of milliseconds later, one after the other, and until then frames
 * would be diverted to nobody. The list replaces the C library's, which is for robust mutexes: this thread uses none.
 */
static void path_claim(struct path *path)
{
	path->will.list.next = &path->bequest;
	path->will.futex_offset = (long)&path->cells->owner - (long)&path->bequest;
	path->bequest.next = &path->will.list;
	__atomic_store_n(&path->cells->owner, (uint32_t)gettid(), __ATOMIC_RELEASE);
	syscall(SYS_set_robust_list, &path->will, sizeof(path->will));
}

/* The worker ends in good order: nothing is left to tell. */
static void path_disclaim(struct path *path)
{
	path->will.list.next = &path->will.list;
	__atomic_store_n(&path->cells->owner, 0, __ATOMIC_RELEASE);
}

/* The verdicts of up to CLASSIFY_BATCH diverted frames, counted. Returns how many are valid: those are to be reinjected. */
static uint32_t path_judge(struct path *path, const struct classifier *classifier, const struct frame *frames, uint32_t n,
			   struct frame *ret_valid)
{
	struct match matches[CLASSIFY_BATCH];
	struct pkt pkts[CLASSIFY_BATCH];
	uint32_t n_valid = 0;

	classify_batch(classifier, frames, n, false, &path->tally, pkts, matches);
	for (uint32_t i = 0; i < n; i++) {
		if (matches[i].action == ACTION_DROP) {
			tally_add(&path->tally, matches[i].condition ? VERDICT_USER_CONDITION_DROP : VERDICT_USER_DROP, 1,
				  frames[i].len);
			continue;
		}
		checksum_complete(frames[i].data, &pkts[i]);
		ret_valid[n_valid++] = frames[i];
	}
	return n_valid;
}

/* Put the valid frames back into the kernel, in the order of their arrival. */
static void path_reinject(struct path *path, const struct frame *valid, uint32_t n)
{
	uint64_t bytes = 0;
	uint32_t taken = n ? reinject_send(path->reinject, valid, n) : 0;

	for (uint32_t i = 0; i < n; i++)
		bytes += valid[i].len;
	/* Which frame was refused is not told; when one is, the bytes are shared out evenly. */
	tally_add(&path->tally, VERDICT_USER_PASS, taken, taken == n ? bytes : bytes * taken / n);
	tally_add(&path->tally, VERDICT_REINJECT_FAILED, n - taken, taken == n ? 0 : bytes - bytes * taken / n);
}

/* One batch from one port. Returns the number of frames. */
static uint32_t path_turn(struct path *path, struct port *port)
{
	struct frame frames[PATH_BATCH], valid[PATH_BATCH];
	const struct classifier *classifier = atomic_load_explicit(&path->classifier, memory_order_acquire);
	uint32_t n, n_valid = 0;

	path->samples.queue = port_queue(port);
	n = port_recv(port, frames, PATH_BATCH);
	for (uint32_t at = 0; at < n; at += CLASSIFY_BATCH)
		n_valid += path_judge(path, classifier, frames + at, n - at < CLASSIFY_BATCH ? n - at : CLASSIFY_BATCH,
				      valid + n_valid);
	path_reinject(path, valid, n_valid);
	port_release(port, frames, n);
	return n;
}

/* Tell the XDP program how far we are, so that it knows how much is waiting. */
static void path_settle(struct path *path, struct port *port, uint32_t n)
{
	struct queue_cell *cell = &path->cells->queues[port_queue(port)];

	if (n)
		__atomic_store_n(&cell->done, cell->done + n, __ATOMIC_RELAXED);
	else
		/* The ring is empty: frames the kernel dropped on the way to it are not waiting either. */
		__atomic_store_n(&cell->done, __atomic_load_n(&cell->sent, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
}

static int path_wait(struct path *path)
{
	struct pollfd fds[PATH_PORTS_MAX];

	for (uint32_t i = 0; i < path->n_ports; i++)
		fds[i] = (struct pollfd){ .fd = port_fd(path->ports[i]), .events = POLLIN };
	if (poll(fds, path->n_ports, WAIT_MS) < 0)
		return errno == EINTR ? 0 : -errno;
	for (uint32_t i = 0; i < path->n_ports; i++) {
		if (fds[i].revents & (POLLERR | POLLNVAL))
			return -ENETDOWN; /* the interface or the queue is gone */
	}
	return 0;
}

int path_run(struct path *path)
{
	int r = 0;

	path_claim(path);
	prctl(PR_SET_TIMERSLACK, 1000); /* of this thread, ns: the default of 50 us would be longer than the rest */
	while (!r && !atomic_load_explicit(&path->stop, memory_order_relaxed)) {
		uint32_t taken = 0;

		path_beat(path);
		for (uint32_t i = 0; i < path->n_ports; i++) {
			uint32_t n = path_turn(path, path->ports[i]);

			path_settle(path, path->ports[i], n);
			taken += n;
		}
		atomic_fetch_add_explicit(&path->turns, 1, memory_order_release);
		if (!taken)
			r = path_wait(path);
		else if (taken < REST_BELOW)
			nanosleep(&(struct timespec){ .tv_nsec = REST_NS }, NULL);
	}
	path_disclaim(path);
	return r;
}

int path_set_classifier(struct path *path, const struct classifier *classifier, bool running)
{
	atomic_store_explicit(&path->classifier, classifier, memory_order_release);
	return path_wait_turn(path, running);
}

int path_wait_turn(struct path *path, bool running)
{
	unsigned long turn = atomic_load_explicit(&path->turns, memory_order_acquire);

	/* Two turns on, the turn that may have loaded what was there before is over. */
	for (int waited_ms = 0; waited_ms < 1000; waited_ms++) {
		if (!running || atomic_load_explicit(&path->turns, memory_order_acquire) >= turn + 2)
			return 0;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return -ETIMEDOUT;
}
