/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * noise.h - was the machine ours during a round? Three witnesses: a calibration loop of fixed work (registers and L1, L2, L3, a
 * null system call), the time the hypervisor took from this CPU, and how often the kernel took it away from the thread.
 */
#ifndef SPILLWAY_BENCH_NOISE_H
#define SPILLWAY_BENCH_NOISE_H

#include <stdint.h>

enum noise_kernel { NOISE_L1, NOISE_L2, NOISE_L3, NOISE_CALL, NOISE_KERNEL_COUNT };

struct noise {
	double ns[NOISE_KERNEL_COUNT]; /* an access, a call: the best of a few tries */
	double steal, ticks;	       /* of this CPU since boot, in ticks of 10 ms */
	uint64_t switches;	       /* involuntary, of this thread */
};

struct noise_meter;

struct noise_meter *noise_meter_new(int cpu); /* NULL: out of memory */
struct noise_meter *noise_meter_free(struct noise_meter *meter);
void noise_read(const struct noise_meter *meter, struct noise *ret_noise); /* takes about 20 ms */

#endif
