/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * live.h - reinjection by live frames: one BPF_PROG_TEST_RUN a batch, bpf/reinject.bpf.c once a frame. Needs native XDP on the
 * interface: a generic program there would meet the frames again.
 */
#ifndef SPILLWAY_REINJECT_LIVE_H
#define SPILLWAY_REINJECT_LIVE_H

#include <stdint.h>

#include "port/port.h"

struct live;

/* 0 or negative errno. */
int live_open(unsigned ifindex, struct live **ret_live);
struct live *live_close(struct live *live); /* NULL is fine; returns NULL */

/* Hand frames over in order. Returns how many the kernel took; the others are lost. */
uint32_t live_send(struct live *live, const struct frame *frames, uint32_t n);

#endif
