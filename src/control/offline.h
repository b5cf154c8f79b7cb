/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * offline.h - a rule set compiled for user space alone: the image, the sets that it names, and their block in memory of our own.
 *
 * For `spillway check` and `test`, benches and tests. An armed interface has the same in maps (xdp.h). Here items do not end: no time passes.
 */
#ifndef SPILLWAY_CONTROL_OFFLINE_H
#define SPILLWAY_CONTROL_OFFLINE_H

#include "classify/classify.h"
#include "rules/rules.h"

struct offline {
	struct classifier classifier; /* of what follows */
	struct image *image;
	struct set_store *store;
	void *block; /* NULL: the rules have no set */
	uint64_t block_bytes;
};

/* 0, or negative errno, with *ret_error filled if the rules are the reason. On failure nothing is to be released. */
int offline_open(const struct rules *rules, struct offline *ret_offline, struct rules_error *ret_error);
/* When the store was changed and its block had no room for that (set_table_waits()): another block. 0 or negative errno. */
int offline_settle(struct offline *offline);
void offline_close(struct offline *offline); /* a zeroed one is fine */

#endif
