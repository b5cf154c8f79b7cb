/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guard_inside.h - what an armed interface consists of, for the files that need to know: guard.c and guard_sets.c, which change it,
 * and report.c, which tells of it.
 */
#ifndef SPILLWAY_CONTROL_GUARD_INSIDE_H
#define SPILLWAY_CONTROL_GUARD_INSIDE_H

#include <pthread.h>
#include <time.h>

#include "control/guard.h"
#include "control/rows.h"
#include "control/xdp.h"
#include "host/bpffs.h"
#include "host/link.h"
#include "path.h"
#include "sets/store.h"
#include "steer/steer.h"

struct guard {
	struct guard_config config;
	struct link_facts facts;
	struct steer_plan plan;
	struct journal *journal; /* the daemon's */
	struct xdp *xdp;
	struct path path;
	struct rows *rows; /* the running rules */
	uint32_t generation;
	struct set_store *store;   /* the running rules' sets */
	struct set_store **stores; /* of rules before, that a hanging worker may still read */
	size_t n_stores;
	uint32_t keys_told; /* of this generation it was said that there are no keys, or need not be */
	bool sets_wait;	    /* what packets meet is not what the store says: see sets_settle() */

	unsigned watchers;		/* of samples */
	uint64_t samples, samples_lost; /* offered to watchers; lost, as far as they were told */

	pthread_t worker;
	bool worker_running; /* started and not joined; it may have ended by itself */
	int worker_result;   /* why it ended, valid once `event` is readable */
	int event;

	bool native;
	char mode_reason[200];
	struct bpffs_dir pins;
	uint64_t link_entry; /* of the journal */
	struct timespec armed_at;
};

/* guard_sets.c */

int sets_new(const struct rules *rules, struct set_store **ret_store); /* as set_store_new() */
/*
 * Room in the XDP program for image, counters and the store's sets, and those placed in a block: not published yet. The block
 * holds nothing if no set needs one. 0 or negative errno with a message.
 */
int sets_place(struct guard *guard, struct set_store *store, size_t image_bytes, uint32_t n_counters, struct xdp_block *ret_block,
	       char *ret_message, size_t size);
/* Image, block and store in force together. On success block and store are the guard's. 0 or negative errno with a message. */
int sets_publish(struct guard *guard, const struct image *image, struct xdp_block *block, struct set_store *store,
		 char *ret_message, size_t size);
/* Once a second: end what has come to its end, and catch up with what could not be published. */
void sets_tick(struct guard *guard, void (*say)(const char *line));
void sets_free(struct guard *guard);

/* guard_samples.c: of `status`. */
json_t *samples_json(struct guard *guard);

#endif
