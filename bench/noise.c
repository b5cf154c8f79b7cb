/* SPDX-License-Identifier: BSD-2-Clause */
#include "noise.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LINE 64
#define HUGE_PAGE (2u << 20)
#define TRIES 4
#define TRY_NS 1200000.0 /* about: four kernels, four tries, 20 ms together */

/* A closed walk over all lines of a buffer, in an order no prefetcher guesses. */
struct ring {
	void **first;
	size_t lines;
};

static const size_t ring_bytes[NOISE_CALL] = { [NOISE_L1] = 16 << 10, [NOISE_L2] = 512 << 10, [NOISE_L3] = 4 << 20 };
static const double expected_ns[NOISE_KERNEL_COUNT] = { [NOISE_L1] = 2, [NOISE_L2] = 5, [NOISE_L3] = 15, [NOISE_CALL] = 200 };

struct noise_meter {
	struct ring rings[NOISE_CALL];
	int cpu;
};

static int ring_init(struct ring *ring, size_t bytes)
{
	size_t n = bytes / LINE, *order = malloc(n * sizeof(*order));
	char *memory = aligned_alloc(HUGE_PAGE, bytes < HUGE_PAGE ? HUGE_PAGE : bytes);
	uint64_t dice = 1;

	ring->first = (void **)memory;
	ring->lines = n;
	if (!memory || !order) {
		free(order);
		return -1;
	}
	madvise(memory, bytes, MADV_HUGEPAGE); /* or which small pages we got would decide how the cache holds them */
	for (size_t i = 0; i < n; i++)
		order[i] = i;
	for (size_t i = n - 1; i > 0; i--) {
		size_t swap, other;

		dice = dice * 6364136223846793005u + 1442695040888963407u;
		other = (size_t)(dice >> 33) % i; /* never i itself: one cycle through all lines (Sattolo) */
		swap = order[i];
		order[i] = order[other];
		order[other] = swap;
	}
	for (size_t i = 0; i < n; i++)
		*(void **)(memory + order[i] * LINE) = memory + order[(i + 1) % n] * LINE;
	free(order);
	return 0;
}

struct noise_meter *noise_meter_new(int cpu)
{
	struct noise_meter *meter = calloc(1, sizeof(*meter));

	if (!meter)
		return NULL;
	meter->cpu = cpu;
	for (int i = 0; i < NOISE_CALL; i++) {
		if (ring_init(&meter->rings[i], ring_bytes[i]))
			return noise_meter_free(meter);
	}
	return meter;
}

struct noise_meter *noise_meter_free(struct noise_meter *meter)
{
	if (!meter)
		return NULL;
	for (int i = 0; i < NOISE_CALL; i++)
		free(meter->rings[i].first);
	free(meter);
	return NULL;
}

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void *volatile walked; /* keeps the walk from being optimised away */

static void kernel_run(const struct noise_meter *meter, enum noise_kernel kernel, size_t n)
{
	void **at;

	if (kernel == NOISE_CALL) {
		for (size_t i = 0; i < n; i++)
			syscall(SYS_getppid);
		return;
	}
	at = meter->rings[kernel].first;
	for (size_t i = 0; i < n; i++)
		at = *at;
	walked = at;
}

static double kernel_ns(const struct noise_meter *meter, enum noise_kernel kernel)
{
	size_t n = (size_t)(TRY_NS / expected_ns[kernel]);
	double best = 0;

	for (int i = 0; i < TRIES; i++) {
		double start = now_ns(), ns;

		kernel_run(meter, kernel, n);
		ns = (now_ns() - start) / (double)n;
		if (!i || ns < best)
			best = ns;
	}
	return best;
}

/* The line of this CPU in /proc/stat: user nice system idle iowait irq softirq steal. */
static void read_steal(int cpu, struct noise *noise)
{
	FILE *stat = fopen("/proc/stat", "re");
	char line[512];

	if (!stat)
		return;
	while (fgets(line, sizeof(line), stat)) {
		double t[8];
		int of;

		if (sscanf(line, "cpu%d %lf %lf %lf %lf %lf %lf %lf %lf", &of, &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6],
			   &t[7]) != 9 ||
		    of != cpu)
			continue;
		noise->steal = t[7];
		for (int i = 0; i < 8; i++)
			noise->ticks += t[i];
	}
	fclose(stat);
}

void noise_read(const struct noise_meter *meter, struct noise *ret_noise)
{
	struct noise noise = { 0 };
	struct rusage usage;

	for (int i = 0; i < NOISE_KERNEL_COUNT; i++)
		noise.ns[i] = kernel_ns(meter, i);
	read_steal(meter->cpu, &noise);
	if (!getrusage(RUSAGE_THREAD, &usage))
		noise.switches = (uint64_t)usage.ru_nivcsw;
	*ret_noise = noise;
}
