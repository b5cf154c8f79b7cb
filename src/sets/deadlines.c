/* SPDX-License-Identifier: BSD-2-Clause */
#include "sets/deadlines.h"

#include <errno.h>
#include <stdlib.h>

static void swap(struct deadline *a, struct deadline *b)
{
	struct deadline spare = *a;

	*a = *b;
	*b = spare;
}

static void sink(struct deadlines *deadlines, size_t at)
{
	struct deadline *heap = deadlines->heap;

	for (size_t child = 2 * at + 1; child < deadlines->n; child = 2 * at + 1) {
		if (child + 1 < deadlines->n && heap[child + 1].at_ns < heap[child].at_ns)
			child++;
		if (heap[at].at_ns <= heap[child].at_ns)
			return;
		swap(&heap[at], &heap[child]);
		at = child;
	}
}

int deadlines_add(struct deadlines *deadlines, const struct element *element, uint64_t at_ns)
{
	struct deadline *heap = deadlines->heap;
	size_t at = deadlines->n;

	if (deadlines->n == deadlines->room) {
		size_t room = deadlines->room ? deadlines->room * 2 : 64;

		heap = reallocarray(heap, room, sizeof(*heap));
		if (!heap)
			return -ENOMEM;
		deadlines->heap = heap;
		deadlines->room = room;
	}
	heap[at] = (struct deadline){ .at_ns = at_ns, .element = *element };
	deadlines->n++;
	for (; at > 0 && heap[at].at_ns < heap[(at - 1) / 2].at_ns; at = (at - 1) / 2)
		swap(&heap[at], &heap[(at - 1) / 2]);
	return 0;
}

bool deadlines_pop(struct deadlines *deadlines, uint64_t now_ns, struct deadline *ret)
{
	if (deadlines->n == 0 || deadlines->heap[0].at_ns > now_ns)
		return false;
	*ret = deadlines->heap[0];
	deadlines->heap[0] = deadlines->heap[--deadlines->n];
	sink(deadlines, 0);
	return true;
}

void deadlines_sift(struct deadlines *deadlines, const struct elements *elements)
{
	size_t n = 0;

	for (size_t at = 0; at < deadlines->n; at++) {
		const struct element_slot *slot = elements_find(elements, &deadlines->heap[at].element);

		if (slot && slot->deadline_ns == deadlines->heap[at].at_ns)
			deadlines->heap[n++] = deadlines->heap[at];
	}
	deadlines->n = n;
	deadlines->forgotten = 0;
	for (size_t at = n / 2; at-- > 0;)
		sink(deadlines, at);
}

void deadlines_fini(struct deadlines *deadlines)
{
	free(deadlines->heap);
	*deadlines = (struct deadlines){ 0 };
}
