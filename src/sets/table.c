/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An element covers slots of one level: 256 below 8 * level bits of an IPv4 prefix, 16 below 4 * depth bits of a wide one. To delete
 * it is to uncover those of its slots that no other element of the same level covers (kept()); levels do not know each other.
 *
 * A tuple's range of ports is cut into pieces whose ports begin with the same bits, as a prefix does. Ranges that overlap may have
 * pieces in common, so these are counted; for tuples it is pieces that cover.
 */
#include "sets/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "sets/block.h"
#include "sets/deadlines.h"

#define AHEAD 16 /* elements for which memory is asked before it is needed: about a memory latency at 20 ns an element */

#define MANY 4096 /* elements at once: worth making room for, though some may be there already */

struct set_state {
	enum element_kind kind;
	size_t n;
	uint32_t lens4[33], lens6[129];	   /* elements, of tuples pieces, by prefix length */
	uint32_t port_lens[SET_PORT_LENS]; /* pieces by bits of the port */
	uint32_t *numbers;		   /* of a set of numbers: how many elements have it */
};

struct set_table {
	struct elements elements;
	struct elements pieces;
	struct deadlines deadlines;
	struct block block;
	bool waits;
	size_t deleted;			     /* wide elements since the block was placed */
	struct set_state *sets[SET_IDS_MAX]; /* by id; NULL: free */
};

static struct set_state *set_free(struct set_state *set)
{
	if (set)
		free(set->numbers);
	free(set);
	return NULL;
}

static struct set_state *set_new(enum element_kind kind)
{
	struct set_state *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	set->kind = kind;
	if (kind == ELEMENT_NUMBERS)
		set->numbers = calloc(SET_NUMBERS, sizeof(*set->numbers));
	return kind != ELEMENT_NUMBERS || set->numbers ? set : set_free(set);
}

struct set_table *set_table_new(void)
{
	struct set_table *table = calloc(1, sizeof(*table));
	uint64_t seed;

	if (!table)
		return NULL;
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed) || elements_init(&table->elements, seed) ||
	    elements_init(&table->pieces, ~seed))
		return set_table_free(table);
	return table;
}

struct set_table *set_table_free(struct set_table *table)
{
	if (!table)
		return NULL;
	for (uint32_t set = 0; set < SET_IDS_MAX; set++)
		set_free(table->sets[set]);
	block_fini(&table->block);
	deadlines_fini(&table->deadlines);
	elements_fini(&table->elements);
	elements_fini(&table->pieces);
	free(table);
	return NULL;
}

int set_table_open(struct set_table *table, enum element_kind kind)
{
	uint32_t id = 1;

	while (id < SET_IDS_MAX && table->sets[id])
		id++;
	if (id == SET_IDS_MAX)
		return -ENFILE;
	table->sets[id] = set_new(kind);
	return table->sets[id] ? (int)id : -ENOMEM;
}

/* The set, or NULL. */
static struct set_state *set_of(const struct set_table *table, uint32_t id)
{
	return id < SET_IDS_MAX ? table->sets[id] : NULL;
}

/*
 * Elements
 */

static uint64_t upper_bits(unsigned n)
{
	return n ? ~0ull << (64 - n) : 0;
}

static void cut(struct element *element, unsigned len)
{
	element->hi &= upper_bits(len < 64 ? len : 64);
	element->lo &= upper_bits(len > 64 ? len - 64 : 0);
	element->len = len & 255;
}

struct element element_prefix(unsigned family, const uint8_t addr[16], unsigned len)
{
	struct element element = { .kind = ELEMENT_PREFIX, .family = family & 7 };
	uint64_t words[2] = { 0, 0 };

	memcpy(words, addr, family == 4 ? 4 : 16);
	element.hi = set_be64(words[0]);
	element.lo = set_be64(words[1]);
	cut(&element, len);
	return element;
}

struct element element_tuple(unsigned family, const uint8_t addr[16], unsigned len, uint8_t proto, uint16_t port_lo,
			     uint16_t port_hi)
{
	struct element element = element_prefix(family, addr, len);

	element.kind = ELEMENT_TUPLE;
	element.proto = proto;
	element.port_lo = port_lo;
	element.port_hi = port_hi;
	return element;
}

struct element element_numbers(uint32_t lo, uint32_t hi)
{
	return (struct element){ .kind = ELEMENT_NUMBERS, .hi = lo, .lo = hi };
}

static uint32_t *lens_of(struct set_state *set, const struct element *element)
{
	return element->family == 4 ? set->lens4 : set->lens6;
}

/* 4 * depth of a wide element, 8 * level of an IPv4 prefix: the longest prefix of `stride` times n that is shorter, or empty. */
static unsigned stride_of(const struct element *element)
{
	return element->kind == ELEMENT_PREFIX && element->family == 4 ? 8 : 4;
}

static unsigned base_of(const struct element *element, unsigned stride)
{
	return element->len ? (element->len - 1u) / stride * stride : 0;
}

/* The slot of its level in which an element begins. */
static unsigned slot_of(const struct element *element, unsigned base, unsigned stride)
{
	uint64_t half = base < 64 ? element->hi : element->lo;

	return (unsigned)(half >> (64 - base % 64 - stride)) & ((1u << stride) - 1);
}

static void slots_add(struct block_slots *slots, const struct element *element, unsigned base, unsigned stride)
{
	block_slots_add(slots, slot_of(element, base, stride), 1u << (base + stride - element->len));
}

/* What of an element's slots other elements cover. */
static void kept(const struct set_table *table, const struct element *element, unsigned base, unsigned stride,
		 struct block_slots *slots)
{
	const uint32_t *lens = lens_of(table->sets[element->set], element);
	const struct elements *among = element->kind == ELEMENT_TUPLE ? &table->pieces : &table->elements;
	struct element other = *element;

	for (unsigned len = element->len; len-- > (base ? base + 1 : 0);) {
		if (!lens[len])
			continue;
		cut(&other, len);
		if (elements_find(among, &other)) {
			slots_add(slots, element, base, stride);
			return;
		}
	}
	for (unsigned len = element->len + 1u; len <= base + stride; len++) {
		if (!lens[len])
			continue;
		for (uint64_t n = 0; n < 1ull << (len - element->len); n++) {
			other = *element;
			other.len = len & 255;
			if (len <= 64)
				other.hi |= n << (64 - len);
			else
				other.lo |= n << (128 - len);
			if (elements_find(among, &other))
				slots_add(slots, &other, base, stride);
		}
	}
}

/* Leading bits of the port that a piece compares. */
static unsigned port_len(const struct element *piece)
{
	return 16 - (unsigned)__builtin_popcount((unsigned)(piece->port_lo ^ piece->port_hi));
}

static struct set_wide wide_key(const struct element *element, unsigned base, uint64_t bits)
{
	struct element above = *element;
	uint64_t tag = (uint64_t)element->set << SET_TAG_SET_SHIFT | (uint64_t)element->port_lo << SET_TAG_PORT_SHIFT |
		       (element->kind == ELEMENT_TUPLE ? (uint64_t)port_len(element) << SET_TAG_PORT_LEN_SHIFT : 0) |
		       (uint64_t)element->proto << SET_TAG_PROTO_SHIFT | (element->family == 6 ? SET_TAG_IP6 : 0) |
		       (uint64_t)(base / 4) << SET_TAG_DEPTH_SHIFT;

	cut(&above, base);
	return (struct set_wide){ .hi = above.hi, .lo = above.lo, .tag = tag | bits };
}

/*
 * Block
 */

/* Tell readers at which depths there is anything. */
static void depths_write(struct set_table *table, uint32_t id, unsigned family)
{
	const struct set_state *set = table->sets[id];
	const uint32_t *lens = family == 4 ? set->lens4 : set->lens6;
	uint32_t depths = 0, first = 0, most = 0;

	for (unsigned depth = 0; depth < (family == 4 ? 8 : SET_DEPTHS); depth++) {
		uint32_t n = depth ? 0 : lens[0];

		for (unsigned len = 4 * depth + 1; len <= 4 * depth + 4; len++)
			n += lens[len];
		if (n)
			depths |= 1u << depth;
		if (n > most) {
			most = n;
			first = depth;
		}
	}
	block_depths(&table->block, id, family, depths, first);
}

static void port_lens_write(struct set_table *table, uint32_t id)
{
	uint32_t lens = 0;

	for (unsigned len = 0; len < SET_PORT_LENS; len++)
		lens |= (uint32_t)(table->sets[id]->port_lens[len] != 0) << len;
	block_port_lens(&table->block, id, lens);
}

static int cover(struct block *block, const struct element *element)
{
	unsigned stride = stride_of(element), base = base_of(element, stride);
	struct block_slots slots = { { 0 } };
	struct set_wide key;

	if (element->kind == ELEMENT_NUMBERS)
		return block_cover_numbers(block, element->set, (uint32_t)element->hi, (uint32_t)element->lo);
	if (stride == 8)
		return block_cover4(block, element->set, (uint32_t)(element->hi >> 32), element->len);
	slots_add(&slots, element, base, stride);
	key = wide_key(element, base, slots.bits[0]);
	return block_cover_wide(block, &key, element->kind == ELEMENT_TUPLE);
}

static void uncover(struct set_table *table, const struct element *element)
{
	unsigned stride = stride_of(element), base = base_of(element, stride);
	struct block_slots slots = { { 0 } }, keep = { { 0 } };
	struct set_wide key;

	if (stride == 4 || element->len > 24)
		kept(table, element, base, stride, &keep);
	if (stride == 8) {
		block_uncover4(&table->block, element->set, (uint32_t)(element->hi >> 32), element->len, &keep);
		return;
	}
	table->deleted++;
	slots_add(&slots, element, base, stride);
	key = wide_key(element, base, slots.bits[0] & ~keep.bits[0]);
	if (key.tag & 0xffff)
		block_uncover_wide(&table->block, &key);
}

static bool live(const struct set_table *table)
{
	return table->block.at && !table->waits;
}

static void element_prefetch(const struct set_table *table, const struct element *element)
{
	unsigned stride = stride_of(element);

	if (!live(table) || element->kind == ELEMENT_NUMBERS)
		return;
	if (stride == 8) {
		block_prefetch4(&table->block, element->set, (uint32_t)(element->hi >> 32), element->len);
	} else {
		struct set_wide key = wide_key(element, base_of(element, stride), 0);

		block_prefetch_wide(&table->block, &key);
	}
}

/*
 * Changes
 */

/* The first and the last of a length: readers must learn of the depth. */
static void len_count(struct set_table *table, const struct element *element, int change)
{
	uint32_t *n = &lens_of(table->sets[element->set], element)[element->len];

	*n += (uint32_t)change;
	if (live(table) && stride_of(element) == 4 && *n == (change > 0 ? 1 : 0))
		depths_write(table, element->set, element->family);
}

static void numbers_count(struct set_table *table, const struct element *element, int change)
{
	uint32_t *counts = table->sets[element->set]->numbers;

	for (uint32_t number = (uint32_t)element->hi; number <= element->lo; number++) {
		counts[number] += (uint32_t)change;
		if (!counts[number] && live(table))
			block_uncover_number(&table->block, element->set, number);
	}
}

/* Something that covers comes or goes: a prefix, or a piece of a tuple. */
static void cover_in(struct set_table *table, const struct element *element)
{
	if (live(table) && cover(&table->block, element))
		table->waits = true;
	len_count(table, element, 1);
}

static void cover_out(struct set_table *table, const struct element *element)
{
	if (live(table))
		uncover(table, element);
	len_count(table, element, -1);
}

static void port_len_count(struct set_table *table, const struct element *piece, int change)
{
	uint32_t *n = &table->sets[piece->set]->port_lens[port_len(piece)];

	*n += (uint32_t)change;
	if (live(table) && *n == (change > 0 ? 1 : 0))
		port_lens_write(table, piece->set);
}

static int piece_in(struct set_table *table, const struct element *piece)
{
	bool is_new;
	struct element_slot *slot = elements_add(&table->pieces, piece, &is_new);

	if (!slot)
		return -ENOMEM;
	slot->count++;
	if (is_new) {
		cover_in(table, piece);
		port_len_count(table, piece, 1);
	}
	return 0;
}

static int piece_out(struct set_table *table, const struct element *piece)
{
	struct element_slot *slot = elements_find(&table->pieces, piece);

	if (!slot || --slot->count)
		return 0;
	elements_del(&table->pieces, slot);
	cover_out(table, piece);
	port_len_count(table, piece, -1);
	return 0;
}

/* Of the ports that are left from `port` to the tuple's last, the most that begin with the same bits. Returns the last of them. */
static uint32_t piece_end(uint32_t port, uint32_t last)
{
	uint32_t n = 1;

	while (port % (n * 2) == 0 && port + n * 2 - 1 <= last)
		n *= 2;
	return port + n - 1;
}

/* All pieces of a tuple in or out. On failure, those before `*ret_failed` are done. */
static int pieces_each(struct set_table *table, const struct element *tuple, uint32_t end,
		       int (*each)(struct set_table *table, const struct element *piece), uint32_t *ret_failed)
{
	struct element piece = *tuple;

	for (uint32_t port = tuple->port_lo; port < end; port = piece.port_hi + 1u) {
		int r;

		piece.port_lo = (uint16_t)port;
		piece.port_hi = (uint16_t)piece_end(port, tuple->port_hi);
		r = each(table, &piece);
		if (r) {
			*ret_failed = port;
			return r;
		}
	}
	return 0;
}

static int tuple_in(struct set_table *table, const struct element *tuple)
{
	uint32_t failed = 0;
	int r = pieces_each(table, tuple, tuple->port_hi + 1u, piece_in, &failed);

	if (r)
		pieces_each(table, tuple, failed, piece_out, &failed);
	return r;
}

static int element_in(struct set_table *table, const struct element *element)
{
	switch ((enum element_kind)element->kind) {
	case ELEMENT_NUMBERS:
		if (live(table) && cover(&table->block, element))
			table->waits = true;
		numbers_count(table, element, 1);
		return 0;
	case ELEMENT_TUPLE:
		return tuple_in(table, element);
	default:
		cover_in(table, element);
		return 0;
	}
}

static void element_out(struct set_table *table, struct element_slot *slot)
{
	struct element element = slot->element;
	uint32_t failed;

	if (slot->deadline_ns)
		table->deadlines.forgotten++;
	elements_del(&table->elements, slot);
	table->sets[element.set]->n--;
	if (element.kind == ELEMENT_NUMBERS)
		numbers_count(table, &element, -1);
	else if (element.kind == ELEMENT_TUPLE)
		pieces_each(table, &element, element.port_hi + 1u, piece_out, &failed);
	else
		cover_out(table, &element);
}

static int deadline_set(struct set_table *table, struct element_slot *slot, uint64_t deadline_ns)
{
	if (slot->deadline_ns == deadline_ns)
		return 0;
	if (deadline_ns && deadlines_add(&table->deadlines, &slot->element, deadline_ns))
		return -ENOMEM;
	if (slot->deadline_ns)
		table->deadlines.forgotten++;
	slot->deadline_ns = deadline_ns;
	if (table->deadlines.forgotten > table->deadlines.n / 2 + AHEAD)
		deadlines_sift(&table->deadlines, &table->elements);
	return 0;
}

/* The set's own element i, and what later ones need fetched meanwhile. */
static struct element element_at(const struct set_table *table, uint32_t set, const struct element *elements, size_t i, size_t n)
{
	struct element element;

	if (i + AHEAD < n) {
		element = elements[i + AHEAD];
		element.set = set & (SET_IDS_MAX - 1);
		elements_prefetch(&table->elements, &element);
		element_prefetch(table, &element);
	}
	element = elements[i];
	element.set = set & (SET_IDS_MAX - 1);
	return element;
}

static bool element_fits(const struct element *element, enum element_kind kind)
{
	if (element->kind != kind)
		return false;
	if (kind == ELEMENT_NUMBERS)
		return element->hi <= element->lo && element->lo < SET_NUMBERS;
	if (kind == ELEMENT_TUPLE && element->port_lo > element->port_hi)
		return false;
	return (element->family == 4 && element->len <= 32) || (element->family == 6 && element->len <= 128);
}

static int elements_check(const struct set_table *table, uint32_t set, const struct element *elements, size_t n)
{
	if (!set_of(table, set))
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (!element_fits(&elements[i], table->sets[set]->kind))
			return -EINVAL;
	}
	return 0;
}

static int element_add(struct set_table *table, const struct element *element, uint64_t deadline_ns, size_t *n_new)
{
	bool is_new;
	struct element_slot *slot = elements_add(&table->elements, element, &is_new);

	if (!slot)
		return -ENOMEM;
	if (is_new) {
		int r = element_in(table, element);

		if (r) {
			elements_del(&table->elements, slot);
			return r;
		}
		table->sets[element->set]->n++;
		++*n_new;
	}
	return deadline_set(table, slot, deadline_ns);
}

int set_table_add(struct set_table *table, uint32_t set, const struct element *elements, size_t n, uint64_t deadline_ns,
		  size_t *ret_n)
{
	size_t n_new = 0;
	int r = elements_check(table, set, elements, n);

	if (r == 0 && n >= MANY)
		r = elements_reserve(&table->elements, table->elements.n + n);
	if (r)
		return r;
	for (size_t i = 0; i < n && r == 0; i++) {
		struct element element = element_at(table, set, elements, i, n);

		r = element_add(table, &element, deadline_ns, &n_new);
	}
	if (ret_n)
		*ret_n = n_new;
	return r ? r : table->waits ? -ENOSPC : 0;
}

int set_table_del(struct set_table *table, uint32_t set, const struct element *elements, size_t n, size_t *ret_n)
{
	size_t n_gone = 0;
	int r = elements_check(table, set, elements, n);

	if (r)
		return r;
	for (size_t i = 0; i < n; i++) {
		struct element element = element_at(table, set, elements, i, n);
		struct element_slot *slot = elements_find(&table->elements, &element);

		if (!slot)
			continue;
		element_out(table, slot);
		n_gone++;
	}
	if (ret_n)
		*ret_n = n_gone;
	return table->waits ? -ENOSPC : 0;
}

/* Delete the elements of a set that are not in `keep`; NULL: all. */
static void set_sweep(struct set_table *table, uint32_t set, const struct elements *keep)
{
	struct elements *elements = &table->elements;

	for (size_t at = 0; at <= elements->mask;) {
		struct element_slot *slot = &elements->slots[at];

		if (slot->element.kind && slot->element.set == set && !(keep && elements_find(keep, &slot->element)))
			element_out(table, slot); /* what comes after may have moved here: look again */
		else
			at++;
	}
	/* A row that wraps around the end may have brought elements in front of `at`; none of them was unseen. */
}

void set_table_close(struct set_table *table, uint32_t set)
{
	if (!set_of(table, set))
		return;
	set_sweep(table, set, NULL);
	if (table->block.at)
		block_forget(&table->block, set);
	table->sets[set] = set_free(table->sets[set]);
}

int set_table_replace(struct set_table *table, uint32_t set, const struct element *elements, size_t n, uint64_t deadline_ns)
{
	struct elements wanted;
	int r = elements_check(table, set, elements, n);

	if (r)
		return r;
	r = elements_init(&wanted, table->elements.seed);
	if (r == 0)
		r = elements_reserve(&wanted, n);
	for (size_t i = 0; i < n && r == 0; i++) {
		struct element element = element_at(table, set, elements, i, n);
		bool is_new;

		if (!elements_add(&wanted, &element, &is_new))
			r = -ENOMEM;
	}
	if (r == 0) {
		table->waits = table->block.at != NULL;
		set_sweep(table, set, &wanted);
		r = set_table_add(table, set, elements, n, deadline_ns, NULL);
	}
	elements_fini(&wanted);
	return r;
}

int set_table_expire(struct set_table *table, uint64_t now_ns, size_t *ret_n)
{
	struct deadline due;
	size_t n = 0;

	while (deadlines_pop(&table->deadlines, now_ns, &due)) {
		struct element_slot *slot = elements_find(&table->elements, &due.element);

		if (!slot || slot->deadline_ns != due.at_ns) {
			if (table->deadlines.forgotten)
				table->deadlines.forgotten--;
			continue;
		}
		slot->deadline_ns = 0;
		element_out(table, slot);
		n++;
	}
	if (ret_n)
		*ret_n = n;
	return table->waits ? -ENOSPC : 0;
}

/*
 * Questions
 */

uint64_t set_table_deadline(const struct set_table *table)
{
	return table->deadlines.n ? table->deadlines.heap[0].at_ns : 0;
}

bool set_table_has(const struct set_table *table, uint32_t set, const struct element *element)
{
	struct element own = *element;

	own.set = set & (SET_IDS_MAX - 1);
	return elements_find(&table->elements, &own) != NULL;
}

size_t set_table_count(const struct set_table *table, uint32_t set)
{
	return set_of(table, set) ? table->sets[set]->n : 0;
}

const struct element_slot *set_table_next(const struct set_table *table, uint32_t set, size_t *at)
{
	const struct element_slot *slot;

	do
		slot = elements_next(&table->elements, at);
	while (slot && slot->element.set != set);
	return slot;
}

/*
 * Placing
 */

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* At most: prefixes that share a node, a line or an entry are counted as if they did not. */
static void set_measure(const struct set_state *set, struct block_load *load)
{
	uint64_t longer8 = 0, longer16 = 0;

	if (set->kind == ELEMENT_NUMBERS)
		load->units += SET_NUMBERS / 8 / SET_UNIT;
	for (unsigned len = 0; len <= 128; len++)
		load->wide += set->lens6[len];
	for (unsigned len = 0; len <= 32; len++) {
		if (set->kind == ELEMENT_TUPLE)
			load->wide += set->lens4[len];
		if (len > 8)
			longer8 += set->lens4[len];
		if (len > 16)
			longer16 += set->lens4[len];
		if (len > 24)
			load->hosts += (uint64_t)set->lens4[len] << (len < 28 ? 28 - len : 0);
	}
	if (set->kind == ELEMENT_PREFIX)
		load->units += (1 + min(longer8, 256)) * (SET_NODE_ENTRIES * 8 / SET_UNIT) + min(longer16, 65536);
}

static struct block_load table_load(const struct set_table *table)
{
	struct block_load load = { 0 };

	for (uint32_t set = 1; set < SET_IDS_MAX; set++)
		if (table->sets[set])
			set_measure(table->sets[set], &load);
	return load;
}

uint64_t set_table_bytes(const struct set_table *table)
{
	struct block_load load = table_load(table);

	return block_bytes(&load);
}

/* Cover all that covers, each AHEAD elements after its memory was asked for. */
static int cover_all(struct set_table *table, const struct elements *elements, bool tuples)
{
	struct element ring[AHEAD];
	const struct element_slot *slot;
	size_t at = 0, n = 0;
	int r = 0;

	while ((slot = elements_next(elements, &at)) && r == 0) {
		struct element *turn = &ring[n % AHEAD];

		if ((slot->element.kind == ELEMENT_TUPLE) != tuples)
			continue;
		if (n++ >= AHEAD)
			r = cover(&table->block, turn);
		*turn = slot->element;
		element_prefetch(table, turn);
	}
	for (size_t i = 0; i < min(n, AHEAD) && r == 0; i++)
		r = cover(&table->block, &ring[i]);
	return r;
}

int set_table_place(struct set_table *table, void *memory, uint64_t bytes)
{
	struct block_load load = table_load(table);
	struct block before = table->block;
	bool waited = table->waits;
	uint64_t seeds[2], least = block_bytes(&load);
	int r;

	if (memory && (!least || bytes < least || bytes > SET_BYTES_MAX))
		return -ENOSPC;
	table->waits = false;
	table->block = (struct block){ .at = NULL };
	if (!memory) {
		block_fini(&before);
		return 0;
	}
	if (getrandom(seeds, sizeof(seeds), 0) != sizeof(seeds))
		seeds[0] = seeds[1] = table->elements.seed;
	r = block_init(&table->block, memory, bytes, &load, seeds);
	if (r == 0)
		r = cover_all(table, &table->elements, false);
	if (r == 0)
		r = cover_all(table, &table->pieces, true);
	if (r) {
		block_fini(&table->block);
		table->block = before;
		table->waits = waited;
		return r;
	}
	block_fini(&before);
	for (uint32_t set = 1; set < SET_IDS_MAX; set++) {
		if (!table->sets[set])
			continue;
		depths_write(table, set, 4);
		depths_write(table, set, 6);
		port_lens_write(table, set);
	}
	table->deleted = 0;
	return 0;
}

bool set_table_waits(const struct set_table *table)
{
	return table->waits;
}

bool set_table_stale(const struct set_table *table)
{
	return table->deleted > table->block.used.wide + 4096;
}
