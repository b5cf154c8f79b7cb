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

/*
 * `spare_ifindex` is a device of ours the program is attached to for as long as it lives: the kernel then keeps its call patched in,
 * which a call of more than one run would otherwise do and undo each time (24 ms). 0: none, each call runs one frame.
 */
int live_open(unsigned ifindex, unsigned spare_ifindex, struct live **ret_live);
struct live *live_close(struct live *live); /* NULL is fine; returns NULL */

/* Hand frames over in order. Returns how many the kernel took; the others are lost. */
uint32_t live_send(struct live *live, const struct frame *frames, uint32_t n);

#endif
