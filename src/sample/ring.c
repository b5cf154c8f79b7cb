/* SPDX-License-Identifier: BSD-2-Clause */
#include "sample/ring.h"

#include <string.h>
#include <time.h>

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void sample_ring_put(struct sample_ring *ring, const struct image_rule *rule, uint32_t index, const uint8_t *frame, uint32_t len)
{
	unsigned head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	struct sample *sample = &ring->at[head & (SAMPLE_RING_RECORDS - 1)];

	if (head - atomic_load_explicit(&ring->tail, memory_order_acquire) == SAMPLE_RING_RECORDS) {
		atomic_fetch_add_explicit(&ring->lost, 1, memory_order_relaxed);
		return;
	}
	sample->time_ns = now_ns();
	sample->rule = index;
	sample->counter = rule->counter;
	sample->line = rule->line;
	sample->frame_len = len;
	sample->captured = len < SAMPLE_BYTES ? len : SAMPLE_BYTES;
	sample->queue = (uint16_t)ring->queue;
	sample->user_tier = 1;
	memcpy(sample->data, frame, sample->captured);
	atomic_store_explicit(&ring->head, head + 1, memory_order_release);
}

const struct sample *sample_ring_peek(struct sample_ring *ring)
{
	unsigned tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	if (tail == atomic_load_explicit(&ring->head, memory_order_acquire))
		return NULL;
	return &ring->at[tail & (SAMPLE_RING_RECORDS - 1)];
}

void sample_ring_release(struct sample_ring *ring)
{
	atomic_fetch_add_explicit(&ring->tail, 1, memory_order_release);
}
