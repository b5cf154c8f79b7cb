/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * deadlines.h - which element ends next: a heap of (time, element).
 *
 * Entries are never searched for. When an element goes early or gets another time, its entry stays and means nothing; the owner
 * sees that when it comes up, and says how many such there are so that they can be thrown out before they are the most.
 */
#ifndef SPILLWAY_SETS_DEADLINES_H
#define SPILLWAY_SETS_DEADLINES_H

#include "sets/elements.h"

struct deadline {
	uint64_t at_ns;
	struct element element;
};

struct deadlines {
	struct deadline *heap;
	size_t n, room;
	size_t forgotten; /* entries that mean nothing any more */
};

int deadlines_add(struct deadlines *deadlines, const struct element *element, uint64_t at_ns); /* 0 or -ENOMEM */
bool deadlines_pop(struct deadlines *deadlines, uint64_t now_ns, struct deadline *ret);	       /* the first that is due */
/* Keep only what the elements still mean. Worth it when most are forgotten. */
void deadlines_sift(struct deadlines *deadlines, const struct elements *elements);
void deadlines_fini(struct deadlines *deadlines);

#endif
