/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guard_samples.c - what `sample` rules of an armed interface take, while somebody watches.
 *
 * Both tiers write into a ring that never waits; guard_samples() empties both. A record names its rule by index and counter. After an
 * `apply` some records of the rules before may be left in the rings: a counter is given to another rule at the earliest by the apply
 * after that, so a record is never told as another rule's, but as one without name when its rule is gone.
 */
#include <time.h>

#include "control/guard_inside.h"
#include "sample/show.h"

#define SAMPLES_TURN 4096 /* records of a tier at once: other requests wait meanwhile */

struct offer {
	const struct guard *guard;
	int64_t realtime_ns; /* to add to a record's time */
	void (*take)(void *userdata, const json_t *line);
	void *userdata;
};

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* NULL: it ran before the last apply. */
static const struct row *row_of(const struct rows *rows, const struct sample *sample)
{
	if (sample->rule < rows->n && rows->rows[sample->rule].counter == sample->counter)
		return &rows->rows[sample->rule];
	for (size_t i = 0; i < rows->n; i++)
		if (rows->rows[i].counter == sample->counter)
			return &rows->rows[i];
	return NULL;
}

static void offer(void *userdata, const struct sample *sample)
{
	const struct offer *offer = userdata;
	const struct row *row = row_of(offer->guard->rows, sample);
	json_t *line = sample_json(sample, offer->realtime_ns, !row ? NULL : row->name ? row->name : row->text);

	if (line)
		offer->take(offer->userdata, line);
	json_decref(line);
}

static void skip(void *userdata, const struct sample *sample)
{
	(void)userdata, (void)sample;
}

static unsigned ring_take(struct sample_ring *ring, xdp_sample_taker take, void *userdata)
{
	const struct sample *sample;
	unsigned n = 0;

	for (; n < SAMPLES_TURN && (sample = sample_ring_peek(ring)); n++) {
		take(userdata, sample);
		sample_ring_release(ring);
	}
	return n;
}

static uint64_t samples_lost(struct guard *guard)
{
	return __atomic_load_n(&xdp_cells(guard->xdp)->samples.lost, __ATOMIC_RELAXED) +
	       atomic_load_explicit(&guard->path.samples.lost, memory_order_relaxed);
}

bool guard_has_samples(const struct guard *guard)
{
	for (size_t i = 0; i < guard->rows->n; i++)
		if (guard->rows->rows[i].action == ACTION_SAMPLE)
			return true;
	return false;
}

void guard_watch_samples(struct guard *guard, unsigned watchers)
{
	struct sample_cell *cell = &xdp_cells(guard->xdp)->samples;
	bool watched = watchers > 0;

	guard->watchers = watchers;
	if (cell->watched == watched)
		return;
	if (watched) { /* what was left when the last watcher went */
		xdp_samples(guard->xdp, SAMPLES_TURN, skip, NULL);
		ring_take(&guard->path.samples, skip, NULL);
		guard->samples_lost = samples_lost(guard);
	}
	atomic_store(&guard->path.samples.watched, watched);
	__atomic_store_n(&cell->watched, watched, __ATOMIC_RELEASE);
}

uint64_t guard_samples(struct guard *guard, void (*take)(void *userdata, const json_t *line), void *userdata)
{
	struct offer to = { .guard = guard, .take = take, .userdata = userdata };
	uint64_t lost = samples_lost(guard), before = guard->samples_lost;

	to.realtime_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
	guard->samples += xdp_samples(guard->xdp, SAMPLES_TURN, offer, &to);
	guard->samples += ring_take(&guard->path.samples, offer, &to);
	guard->samples_lost = lost;
	return lost - before;
}

json_t *samples_json(struct guard *guard)
{
	return json_pack("{si sI sI}", "watchers", (int)guard->watchers, "offered", (json_int_t)guard->samples, "lost",
			 (json_int_t)samples_lost(guard));
}
