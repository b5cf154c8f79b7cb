/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp.h - the XDP tier of one interface from user space: the loaded program, its maps, the published image, the attachment.
 */
#ifndef SPILLWAY_CONTROL_XDP_H
#define SPILLWAY_CONTROL_XDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "act/limit.h"
#include "act/verdict.h"
#include "classify/classify.h"
#include "classify/image.h"
#include "classify/set.h"
#include "control/guard.h"
#include "host/link.h"
#include "port/cell.h"
#include "sample/record.h"

struct xdp;

#define XDP_PROGRAM_NAME "spillway_xdp" /* how we know our own program again */

/* Load program and maps, attached to nothing. 0 or negative errno with a message. */
int xdp_load(struct xdp **ret_xdp, char *ret_message, size_t size);
struct xdp *xdp_free(struct xdp *xdp); /* NULL is fine; detaches nothing that is pinned */

int xdp_program_fd(const struct xdp *xdp);  /* for test runs and program arrays; stays ours */
struct cells *xdp_cells(struct xdp *xdp);   /* shared with the program for the life of *xdp */
struct limits *xdp_limits(struct xdp *xdp); /* likewise */
int xdp_set_port(struct xdp *xdp, uint32_t queue, int socket_fd);

/*
 * Make room for an image and a set block of so many bytes (0: none) and for so many rule counters. If the loaded program has less,
 * one with more takes its place, also where it is attached, in one step; counters go on. Then 1: the program reads copies of what
 * was published, which no change reaches, until the next is. 0: it has room, or negative errno with a message: nothing changed.
 */
int xdp_reserve(struct xdp *xdp, size_t image_bytes, size_t set_bytes, uint32_t n_counters, char *ret_message, size_t size);

/* Zeroed memory for a set block, that the program can read: all of the size class that was reserved. */
struct xdp_block {
	int map;
	struct set_block *at; /* NULL: none */
	size_t bytes;
};
int xdp_block_new(const struct xdp *xdp, struct xdp_block *ret_block);
void xdp_block_free(struct xdp_block *block); /* without a block, too; leaves none */

/*
 * Publish a copy of *image, numbered behind the one before, with its set block, which is ours on success; it may hold nothing.
 * Packets see the old pair or the new one. *ret_published is what the worker is to read; `store` is only passed on to it. Where rules
 * divert, it has keys of the published image, unless there was no room for them.
 */
int xdp_publish(struct xdp *xdp, const struct image *image, struct xdp_block *block, const struct set_store *store,
		const struct classifier **ret_published);
/* What was published last, or NULL. */
const struct classifier *xdp_published(const struct xdp *xdp);
/* A rule of the published image has come to its end: from the next packet on it matches nothing, in either tier. */
void xdp_expire(struct xdp *xdp, uint32_t rule);
/* The images and blocks published before may be unmapped: nobody in user space reads them any more. */
void xdp_forget_older(struct xdp *xdp);

/*
 * Attach, refusing if any program is there. `mode` AUTO tries the driver, and generic only if the driver has no XDP. The link is
 * pinned at `path`: it holds when this process dies. *ret_native says what was got, *ret_reason why, in words.
 */
int xdp_attach(struct xdp *xdp, const struct link_facts *facts, enum guard_mode mode, const char *path, bool *ret_native,
	       char *ret_reason, size_t size);
void xdp_detach(struct xdp *xdp);
bool xdp_attached(const struct xdp *xdp); /* still: the interface may be gone, or somebody detached it */

/*
 * The samples in the ring, the oldest first, at most `max`, each once: whether there is somebody to take them is told by
 * xdp_cells()->samples.watched. Calls `take` for each. Returns how many.
 */
typedef void (*xdp_sample_taker)(void *userdata, const struct sample *sample);
unsigned xdp_samples(struct xdp *xdp, unsigned max, xdp_sample_taker take, void *userdata);

/* Sums over all CPUs. */
void xdp_verdicts(const struct xdp *xdp, struct hits ret_hits[VERDICT_COUNT]);
void xdp_rule_hits(const struct xdp *xdp, uint32_t counter, struct hits *ret_hits);
void xdp_rule_hits_clear(struct xdp *xdp, uint32_t counter);

#endif
