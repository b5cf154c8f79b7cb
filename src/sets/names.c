/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hash of pointers with linear probing. A name is hashed from the root on, label by label, so that one pass over a question gives
 * the hashes of all names it lies under; which numbers of labels occur says which of them are worth a look.
 */
#include "sets/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

#include "classify/dns.h"

#define SLOTS_MIN 64
#define CHUNK_BYTES (256u << 10)
#define LABELS_MAX 128 /* 127 of one byte, and the root */

struct record {
	uint64_t deadline_ns; /* the changing thread's */
	uint8_t len, labels;
	uint8_t bytes[];
};

/* Records lie one behind the other and are never moved. */
struct chunk {
	struct chunk *next;
	size_t used;
	uint8_t bytes[CHUNK_BYTES];
};

/* A slot: a record's address in the lower 48 bits, 16 bits of its hash above. */
#define SLOT_FREE 0ull
#define SLOT_DELETED 1ull
#define SLOT_HASH_SHIFT 48

struct slots {
	struct slots *outgrown; /* somebody may still be in it */
	size_t mask;
	uint64_t slots[];
};

struct names {
	struct slots *slots;
	uint64_t seed;
	size_t n, taken; /* taken: slots not free, deleted ones included */
	size_t deleted;	 /* records that nothing leads to */
	uint64_t deadline_ns;
	struct chunk *chunks;
	size_t by_labels[LABELS_MAX];
	uint64_t labels[LABELS_MAX / 64]; /* bit n: some name has n labels */
};

#define load(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define store(p, value) __atomic_store_n(p, value, __ATOMIC_RELEASE)

static struct slots *slots_new(size_t n)
{
	struct slots *slots = calloc(1, sizeof(*slots) + n * sizeof(slots->slots[0]));

	if (slots)
		slots->mask = n - 1;
	return slots;
}

struct names *names_new(void)
{
	struct names *names = calloc(1, sizeof(*names));

	if (!names)
		return NULL;
	names->slots = slots_new(SLOTS_MIN);
	if (!names->slots || getrandom(&names->seed, sizeof(names->seed), 0) != sizeof(names->seed))
		return names_free(names);
	return names;
}

struct names *names_free(struct names *names)
{
	if (!names)
		return NULL;
	for (struct slots *slots = names->slots, *next; slots; slots = next) {
		next = slots->outgrown;
		free(slots);
	}
	for (struct chunk *chunk = names->chunks, *next; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(names);
	return NULL;
}

/* Where the labels of a name begin, the root's too; their number. */
static unsigned labels_find(const uint8_t *name, size_t len, uint8_t starts[LABELS_MAX])
{
	unsigned n = 0;

	for (size_t at = 0; at < len && n < LABELS_MAX; at += 1u + name[at])
		starts[n++] = (uint8_t)at;
	return n;
}

/* Of the name that begins with this label, from the hash of the one above it. */
static uint64_t label_hash(const uint8_t *label, uint64_t above)
{
	return XXH3_64bits_withSeed(label, 1u + *label, above);
}

static uint64_t name_hash(const struct names *names, const uint8_t *name, const uint8_t *starts, unsigned n)
{
	uint64_t hash = names->seed;

	while (n-- > 0)
		hash = label_hash(name + starts[n], hash);
	return hash;
}

static struct record *slot_record(uint64_t slot)
{
	return (struct record *)(uintptr_t)(slot & ((1ull << SLOT_HASH_SHIFT) - 1));
}

static uint64_t slot_of(const struct record *record, uint64_t hash)
{
	return (uint64_t)(uintptr_t)record | hash >> SLOT_HASH_SHIFT << SLOT_HASH_SHIFT;
}

static bool slot_is(uint64_t slot, uint64_t hash, const uint8_t *name, size_t len)
{
	const struct record *record = slot_record(slot);

	if (slot <= SLOT_DELETED || (slot ^ hash) >> SLOT_HASH_SHIFT)
		return false;
	return record->len == len && !memcmp(record->bytes, name, len);
}

/* The slot of a name, or NULL. */
static uint64_t *find(const struct names *names, uint64_t hash, const uint8_t *name, size_t len)
{
	struct slots *slots = load(&names->slots);

	for (size_t at = hash & slots->mask;; at = (at + 1) & slots->mask) {
		uint64_t slot = load(&slots->slots[at]);

		if (slot == SLOT_FREE)
			return NULL;
		if (slot_is(slot, hash, name, len))
			return &slots->slots[at];
	}
}

static uint64_t record_hash(const struct names *names, const struct record *record)
{
	uint8_t starts[LABELS_MAX];
	unsigned n = labels_find(record->bytes, record->len, starts);

	return name_hash(names, record->bytes, starts, n);
}

static void put(struct slots *slots, const struct record *record, uint64_t hash)
{
	size_t at = hash & slots->mask;

	while (slots->slots[at] > SLOT_DELETED)
		at = (at + 1) & slots->mask;
	store(&slots->slots[at], slot_of(record, hash));
}

/* Room for one more. The old array stays, somebody may be in it; with deleted records it is what names_copy() leaves behind. */
static int make_room(struct names *names)
{
	struct slots *before = names->slots, *slots;
	size_t n = before->mask + 1;

	if (names->taken < n / 4 * 3)
		return 0;
	slots = slots_new(names->n < n / 2 ? n : n * 2);
	if (!slots)
		return -ENOMEM;
	for (size_t at = 0; at < n; at++) {
		if (before->slots[at] > SLOT_DELETED)
			put(slots, slot_record(before->slots[at]), record_hash(names, slot_record(before->slots[at])));
	}
	slots->outgrown = before;
	names->taken = names->n;
	store(&names->slots, slots);
	return 0;
}

static struct record *record_new(struct names *names, const uint8_t *name, size_t len)
{
	size_t size = (sizeof(struct record) + len + 7) & ~(size_t)7;
	struct chunk *chunk = names->chunks;
	struct record *record;

	if (!chunk || chunk->used + size > CHUNK_BYTES) {
		chunk = malloc(sizeof(*chunk));
		if (!chunk)
			return NULL;
		chunk->used = 0;
		chunk->next = names->chunks;
		names->chunks = chunk;
	}
	record = (struct record *)(chunk->bytes + chunk->used);
	chunk->used += size;
	record->len = (uint8_t)len;
	memcpy(record->bytes, name, len);
	return record;
}

static void labels_count(struct names *names, unsigned labels, int change)
{
	uint64_t *word = &names->labels[labels / 64], bit = 1ull << labels % 64;

	names->by_labels[labels] += (size_t)change;
	if (change > 0 && names->by_labels[labels] == 1)
		store(word, *word | bit);
	else if (names->by_labels[labels] == 0)
		store(word, *word & ~bit);
}

static void deadline_set(struct names *names, struct record *record, uint64_t deadline_ns)
{
	record->deadline_ns = deadline_ns;
	if (deadline_ns && (!names->deadline_ns || deadline_ns < names->deadline_ns))
		names->deadline_ns = deadline_ns;
}

int names_add(struct names *names, const uint8_t *name, size_t len, uint64_t deadline_ns)
{
	uint8_t starts[LABELS_MAX];
	unsigned n = labels_find(name, len, starts);
	uint64_t hash = name_hash(names, name, starts, n), *slot = find(names, hash, name, len);
	struct record *record;

	if (slot) {
		deadline_set(names, slot_record(*slot), deadline_ns);
		return 0;
	}
	if (make_room(names))
		return -ENOMEM;
	record = record_new(names, name, len);
	if (!record)
		return -ENOMEM;
	record->labels = (uint8_t)(n - 1);
	deadline_set(names, record, deadline_ns);
	put(names->slots, record, hash);
	names->n++;
	names->taken++; /* or a deleted slot is used again, and counted twice: then the array is renewed a little early */
	labels_count(names, n - 1, 1);
	return 1;
}

static void drop(struct names *names, uint64_t *slot)
{
	labels_count(names, slot_record(*slot)->labels, -1);
	store(slot, SLOT_DELETED);
	names->n--;
	names->deleted++;
}

bool names_del(struct names *names, const uint8_t *name, size_t len)
{
	uint8_t starts[LABELS_MAX];
	unsigned n = labels_find(name, len, starts);
	uint64_t *slot = find(names, name_hash(names, name, starts, n), name, len);

	if (slot)
		drop(names, slot);
	return slot != NULL;
}

size_t names_expire(struct names *names, uint64_t now_ns)
{
	uint64_t next = 0;
	size_t n = 0;

	if (!names->deadline_ns || names->deadline_ns > now_ns)
		return 0;
	for (size_t at = 0; at <= names->slots->mask; at++) {
		uint64_t *slot = &names->slots->slots[at], deadline_ns;

		if (*slot <= SLOT_DELETED)
			continue;
		deadline_ns = slot_record(*slot)->deadline_ns;
		if (deadline_ns && deadline_ns <= now_ns) {
			drop(names, slot);
			n++;
		} else if (deadline_ns && (!next || deadline_ns < next)) {
			next = deadline_ns;
		}
	}
	names->deadline_ns = next;
	return n;
}

uint64_t names_deadline(const struct names *names)
{
	return names->deadline_ns;
}

bool names_has(const struct names *names, const uint8_t *name, size_t len)
{
	uint8_t starts[LABELS_MAX];
	unsigned n = labels_find(name, len, starts);

	if (n == 0 || !(load(&names->labels[(n - 1) / 64]) >> (n - 1) % 64 & 1))
		return false;
	return find(names, name_hash(names, name, starts, n), name, len) != NULL;
}

bool names_under(const struct names *names, const uint8_t *name, size_t len)
{
	uint64_t words[2] = { load(&names->labels[0]), load(&names->labels[1]) }, hash = names->seed;
	uint8_t starts[LABELS_MAX];
	unsigned n = labels_find(name, len, starts);

	for (unsigned labels = 0; labels < n && (words[0] | words[1]); labels++) {
		const uint8_t *suffix = name + starts[n - 1 - labels];
		uint64_t bit = 1ull << labels % 64;

		hash = label_hash(suffix, hash);
		if (!(words[labels / 64] & bit))
			continue;
		if (find(names, hash, suffix, len - (size_t)(suffix - name)))
			return true;
		words[labels / 64] &= ~bit; /* nothing left: the rest of the name need not be hashed */
	}
	return false;
}

size_t names_count(const struct names *names)
{
	return names->n;
}

const uint8_t *names_next(const struct names *names, size_t *at, size_t *ret_len, uint64_t *ret_deadline_ns)
{
	while (*at <= names->slots->mask) {
		uint64_t slot = names->slots->slots[(*at)++];
		const struct record *record = slot_record(slot);

		if (slot <= SLOT_DELETED)
			continue;
		*ret_len = record->len;
		if (ret_deadline_ns)
			*ret_deadline_ns = record->deadline_ns;
		return record->bytes;
	}
	return NULL;
}

bool names_stale(const struct names *names)
{
	return names->deleted > names->n + 4096;
}

struct names *names_copy(const struct names *names)
{
	struct names *copy = names_new();
	const uint8_t *name;
	uint64_t deadline_ns;
	size_t at = 0, len;

	while (copy && (name = names_next(names, &at, &len, &deadline_ns))) {
		if (names_add(copy, name, len, deadline_ns) < 0)
			copy = names_free(copy);
	}
	return copy;
}
