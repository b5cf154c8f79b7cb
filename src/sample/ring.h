/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h - the user tier's samples on their way to the daemon's control thread: a ring with one writer and one reader.
 *
 * A BPF ring buffer has its writers in the kernel, so the worker has this beside it. It never waits: when the ring is full, the
 * sample is lost and counted.
 */
#ifndef SPILLWAY_SAMPLE_RING_H
#define SPILLWAY_SAMPLE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "classify/image.h"
#include "sample/record.h"

#define SAMPLE_RING_RECORDS 1024u /* power of two */

/* Zeroed memory is an empty ring that nobody watches. */
struct sample_ring {
	atomic_bool watched; /* set by the reader: else nothing is taken */
	atomic_uint head;    /* records written */
	atomic_uint tail;    /* records read */
	atomic_ulong lost;
	uint32_t queue; /* of the frames at hand; the writer's */
	struct sample at[SAMPLE_RING_RECORDS];
};

/* Writer: keep the frame's first bytes for rule number `index` of the image. */
void sample_ring_put(struct sample_ring *ring, const struct image_rule *rule, uint32_t index, const uint8_t *frame, uint32_t len);
/* Reader: the oldest record, valid until sample_ring_release() gives its place back; NULL: none. */
const struct sample *sample_ring_peek(struct sample_ring *ring);
void sample_ring_release(struct sample_ring *ring);

#endif
