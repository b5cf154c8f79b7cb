/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linear probing; deletion shifts back what followed, so there are no tombstones and a table that changes all day stays fast.
 */
#include "sets/elements.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define SLOTS_MIN 64

static struct element_slot *slots_new(size_t n)
{
	void *slots = mmap(NULL, n * sizeof(struct element_slot), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (slots == MAP_FAILED)
		return NULL;
	madvise(slots, n * sizeof(struct element_slot), MADV_HUGEPAGE); /* fewer faults while filling; fine without */
	return slots;
}

static void slots_free(struct element_slot *slots, size_t n)
{
	if (slots)
		munmap(slots, n * sizeof(*slots));
}

/* The 64-bit words of an element; equal elements are equal words. */
struct words {
	uint64_t hi, lo, rest;
};

static struct words words_of(const struct element *element)
{
	struct words words;

	_Static_assert(sizeof(words) == sizeof(*element), "an element has no padding");
	memcpy(&words, element, sizeof(words));
	return words;
}

static bool element_equal(const struct element *a, const struct element *b)
{
	struct words left = words_of(a), right = words_of(b);

	return left.rest == right.rest && left.hi == right.hi && left.lo == right.lo;
}

static size_t home(const struct elements *elements, const struct element *element)
{
	struct words words = words_of(element);
	uint64_t x = (words.hi ^ elements->seed) * (elements->seed | 1);

	x ^= x >> 32;
	x = (x ^ words.lo) * 0xd6e8feb86659fd93ull;
	x ^= x >> 32;
	x = (x ^ words.rest) * 0x9e3779b97f4a7c15ull;
	return (size_t)(x >> 32 ^ x) & elements->mask;
}

int elements_init(struct elements *elements, uint64_t seed)
{
	*elements = (struct elements){ .mask = SLOTS_MIN - 1, .seed = seed };
	elements->slots = slots_new(SLOTS_MIN);
	return elements->slots ? 0 : -ENOMEM;
}

void elements_fini(struct elements *elements)
{
	slots_free(elements->slots, elements->mask + 1);
	elements->slots = NULL;
}

static struct element_slot *slot_for(const struct elements *elements, const struct element *element)
{
	size_t at = home(elements, element);

	while (elements->slots[at].element.kind && !element_equal(&elements->slots[at].element, element))
		at = (at + 1) & elements->mask;
	return &elements->slots[at];
}

int elements_reserve(struct elements *elements, size_t n)
{
	struct elements wider = *elements;

	while (n > (wider.mask + 1) / 4 * 3)
		wider.mask = wider.mask * 2 + 1;
	if (wider.mask == elements->mask)
		return 0;
	wider.slots = slots_new(wider.mask + 1);
	if (!wider.slots)
		return -ENOMEM;
	for (size_t at = 0; at <= elements->mask; at++) {
		if (elements->slots[at].element.kind)
			*slot_for(&wider, &elements->slots[at].element) = elements->slots[at];
	}
	slots_free(elements->slots, elements->mask + 1);
	*elements = wider;
	return 0;
}

struct element_slot *elements_find(const struct elements *elements, const struct element *element)
{
	struct element_slot *slot = slot_for(elements, element);

	return slot->element.kind ? slot : NULL;
}

struct element_slot *elements_add(struct elements *elements, const struct element *element, bool *ret_new)
{
	struct element_slot *slot = slot_for(elements, element);

	*ret_new = !slot->element.kind;
	if (!*ret_new)
		return slot;
	if (elements_reserve(elements, elements->n + 1))
		return NULL;
	slot = slot_for(elements, element);
	slot->element = *element;
	slot->deadline_ns = 0;
	elements->n++;
	return slot;
}

void elements_del(struct elements *elements, struct element_slot *slot)
{
	size_t hole = (size_t)(slot - elements->slots), at = hole;

	for (;;) {
		at = (at + 1) & elements->mask;
		if (!elements->slots[at].element.kind)
			break;
		/* Its probes must not have begun behind the hole. */
		if (((at - home(elements, &elements->slots[at].element)) & elements->mask) < ((at - hole) & elements->mask))
			continue;
		elements->slots[hole] = elements->slots[at];
		hole = at;
	}
	memset(&elements->slots[hole], 0, sizeof(elements->slots[hole]));
	elements->n--;
}

void elements_prefetch(const struct elements *elements, const struct element *element)
{
	__builtin_prefetch(&elements->slots[home(elements, element)], 1);
}

const struct element_slot *elements_next(const struct elements *elements, size_t *at)
{
	while (*at <= elements->mask) {
		const struct element_slot *slot = &elements->slots[(*at)++];

		if (slot->element.kind)
			return slot;
	}
	return NULL;
}
