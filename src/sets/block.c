/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Order of stores, in all of this file: what a reader comes to last is written first, and what leads to it is cleared last. Each
 * store is of one aligned word, with release order. One writer, so it reads its own block without ceremony.
 */
#include "sets/block.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#define NODE_UNITS (SET_NODE_ENTRIES * 8 / SET_UNIT)
#define NUMBERS_UNITS (SET_NUMBERS / 8 / SET_UNIT)
#define PRUNE_MIN 4096
#define PRUNE_MAX (1u << 22)
#define PRUNE_BYTES(n) (4 * (n)) /* one in five that should be empty then is not */

/* Fill that a new block starts with, as a fraction: a line of eight bears more than one of two before probes get long. */
#define HOSTS_FILL(n) ((n)*5 / 3)
#define WIDE_FILL(n) ((n)*5 / 3)

#define store(p, value) __atomic_store_n(p, value, __ATOMIC_RELEASE)

static uint64_t pow2_up(uint64_t n)
{
	return n <= 1 ? 1 : 1ull << (64 - __builtin_clzll(n - 1));
}

/*
 * Which prefixes of a level are elements, below one node or line: bit 2^n + m is the m-th of those n bits longer than the level
 * begins. What is left covered when one goes is read from one cache line instead of asked for prefix by prefix.
 */
struct block_written {
	uint64_t bits[8];
};

/* The bit of a prune byte that stands for a depth of IPv6: the lengths that are common have theirs alone. */
static unsigned column_of(unsigned depth)
{
	static const uint8_t far_ends[] = { 12, 13, 14, 15, 19, 23, 30, 31 }; /* /52 /56 /60 /64 /80 /96 /124 /128 */
	unsigned column = 0;

	if (depth < SET_FAR6)
		return depth - 7;
	while (depth > far_ends[column])
		column++;
	return column;
}

static void columns_fill(struct set_block *at)
{
	for (unsigned depth = 7; depth < SET_DEPTHS; depth++) {
		uint32_t *columns = depth < SET_FAR6 ? at->near6 : at->far6;

		for (unsigned byte = 0; byte < 256; byte++)
			columns[byte] |= (byte >> column_of(depth) & 1) << depth;
	}
}

/* In units. */
struct layout {
	uint64_t head, hosts, wide, prune, heap;
};

static struct layout layout_of(const struct block_load *load)
{
	struct layout layout = {
		.head = (sizeof(struct set_block) + SET_UNIT - 1) / SET_UNIT,
		.hosts = SET_LINES_MIN + HOSTS_FILL(load->hosts) / SET_HOST_SLOTS,
		.wide = SET_LINES_MIN + WIDE_FILL(load->wide) / SET_WIDE_SLOTS,
		.heap = SET_LINES_MIN + load->units * 5 / 4,
	};
	uint64_t prune = pow2_up(PRUNE_BYTES(load->wide));

	if (prune < PRUNE_MIN)
		prune = PRUNE_MIN;
	if (prune > PRUNE_MAX)
		prune = PRUNE_MAX;
	layout.prune = prune / SET_UNIT;
	return layout;
}

static uint64_t layout_units(const struct layout *layout)
{
	return layout->head + layout->hosts + layout->wide + layout->prune + layout->heap;
}

uint64_t block_bytes(const struct block_load *load)
{
	struct layout layout = layout_of(load);
	uint64_t bytes = pow2_up(layout_units(&layout) * SET_UNIT);

	return bytes <= SET_BYTES_MAX ? bytes : 0;
}

/* What is left of the size class goes to the heap but for some: entries that lie thinner are as many more lines to be fetched. */
static void layout_spread(struct layout *layout, uint64_t units)
{
	uint64_t left = units - layout_units(layout), hosts = layout->hosts / 4, wide = layout->wide / 4;

	if (hosts + wide > left)
		hosts = wide = 0;
	layout->hosts += hosts;
	layout->wide += wide;
	layout->heap += left - hosts - wide;
}

int block_init(struct block *block, void *memory, uint64_t bytes, const struct block_load *load, const uint64_t seeds[2])
{
	struct layout layout = layout_of(load);
	struct set_block *at = memory;

	layout_spread(&layout, bytes / SET_UNIT);
	*block = (struct block){ .at = at, .bytes = bytes };
	block->room.hosts = layout.hosts * SET_HOST_SLOTS * 9 / 10;
	block->room.wide = layout.wide * SET_WIDE_SLOTS * 3 / 4;
	block->room.units = layout.heap;
	at->version = SET_VERSION;
	at->bytes = bytes;
	at->seed = seeds[0];
	at->multiplier = seeds[1] | 1;
	at->prune = (uint32_t)layout.head;
	at->prune_mask = (uint32_t)(layout.prune * SET_UNIT - 1);
	at->hosts = (uint32_t)(at->prune + layout.prune);
	at->host_lines = (uint32_t)layout.hosts;
	at->wide = (uint32_t)(at->hosts + layout.hosts);
	at->wide_lines = (uint32_t)layout.wide;
	at->heap = (uint32_t)(at->wide + layout.wide);
	for (unsigned bit = 0; bit < 32; bit++)
		at->bit_numbers[((1u << bit) * SET_BIT_SEQUENCE) >> 27] = (uint8_t)bit;
	columns_fill(at);
	block->written = mmap(NULL, layout.heap * sizeof(*block->written), PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (block->written == MAP_FAILED) {
		block->written = NULL;
		return -ENOMEM;
	}
	store(&at->magic, SET_MAGIC);
	return 0;
}

void block_fini(struct block *block)
{
	if (block->written)
		munmap(block->written, block->room.units * sizeof(*block->written));
	*block = (struct block){ .at = NULL };
}

static void *unit_at(const struct block *block, uint64_t unit)
{
	return (uint8_t *)block->at + unit * SET_UNIT;
}

/* Zeroed units of the heap, or 0. They are never given back: a node stays with its place until the next block. */
static uint32_t heap_take(struct block *block, uint32_t units)
{
	uint64_t unit = block->at->heap + block->used.units;

	if (block->used.units + units > block->room.units)
		return 0;
	block->used.units += units;
	return (uint32_t)unit;
}

static uint64_t child_entry(uint64_t entry, uint32_t unit)
{
	return entry | (uint64_t)unit << SET_CHILD_SHIFT;
}

/*
 * Hosts
 */

static uint64_t *host_line(const struct block *block, uint32_t at)
{
	return unit_at(block, set_line_offset(block->at->hosts, block->at->host_lines, at) / SET_UNIT);
}

static uint64_t host_overflow(const uint64_t *line)
{
	return line[0] >> SET_HOST_OVERFLOW_SHIFT & SET_HOST_OVERFLOW;
}

/* One more or less that went on from this line. At 255 nobody knows any more, and it stays. */
static void host_overflow_count(uint64_t *line, bool more)
{
	if (host_overflow(line) == SET_HOST_OVERFLOW)
		return;
	store(&line[0], more ? line[0] + (1ull << SET_HOST_OVERFLOW_SHIFT) : line[0] - (1ull << SET_HOST_OVERFLOW_SHIFT));
}

static bool host_slot_free(uint64_t entry)
{
	return !(entry >> SET_HOST_KEY_SHIFT);
}

/* Where a key is, and what its probes went over. */
struct probe {
	uint32_t at, step, n;
};

static struct probe probe_from(uint64_t hash)
{
	return (struct probe){ .at = (uint32_t)(hash >> 32), .step = set_step(hash) };
}

static uint64_t *host_find(const struct block *block, uint64_t key, struct probe *probe)
{
	for (; probe->n < SET_PROBES_MAX; probe->n++, probe->at += probe->step) {
		uint64_t *line = host_line(block, probe->at);

		for (unsigned slot = 0; slot < SET_HOST_SLOTS; slot++) {
			if (line[slot] >> SET_HOST_KEY_SHIFT == key >> SET_HOST_KEY_SHIFT)
				return &line[slot];
		}
		if (!host_overflow(line))
			return NULL;
	}
	return NULL;
}

static void host_unwind(struct block *block, struct probe probe, bool more)
{
	while (probe.n--) {
		probe.at -= probe.step;
		host_overflow_count(host_line(block, probe.at), more);
	}
}

static int host_insert(struct block *block, uint64_t key, uint64_t bits, struct probe probe)
{
	if (block->used.hosts >= block->room.hosts)
		return -ENOSPC;
	for (; probe.n < SET_PROBES_MAX; probe.n++, probe.at += probe.step) {
		uint64_t *line = host_line(block, probe.at);

		for (unsigned slot = 0; slot < SET_HOST_SLOTS; slot++) {
			if (!host_slot_free(line[slot]))
				continue;
			host_unwind(block, probe, true);
			store(&line[slot], line[slot] | key | bits);
			block->used.hosts++;
			return 0;
		}
	}
	return -ENOSPC;
}

static int host_cover(struct block *block, uint32_t set, uint32_t addr, uint64_t bits)
{
	struct probe home = probe_from(set_host_hash(block->at, set, addr)), probe = home;
	uint64_t key = set_host_key(set, addr), *entry = host_find(block, key, &probe);

	if (!entry)
		return host_insert(block, key, bits, home);
	if ((*entry | bits) != *entry)
		store(entry, *entry | bits);
	return 0;
}

static void host_uncover(struct block *block, uint32_t set, uint32_t addr, uint64_t bits)
{
	struct probe probe = probe_from(set_host_hash(block->at, set, addr));
	uint64_t *entry = host_find(block, set_host_key(set, addr), &probe);
	const uint64_t line_part = SET_HOST_OVERFLOW << SET_HOST_OVERFLOW_SHIFT;

	if (!entry)
		return;
	if ((*entry & ~bits) & 0xffff) {
		store(entry, *entry & ~bits);
		return;
	}
	store(entry, *entry & line_part);
	block->used.hosts--;
	host_unwind(block, probe, false);
}

/* Has this /24 any host? */
static bool host_any(const struct block *block, uint32_t set, uint32_t addr)
{
	struct probe probe = probe_from(set_host_hash(block->at, set, addr));
	const unsigned shift = SET_HOST_KEY_SHIFT + 4;
	uint64_t key = set_host_key(set, addr) >> shift;

	for (; probe.n < SET_PROBES_MAX; probe.n++, probe.at += probe.step) {
		const uint64_t *line = host_line(block, probe.at);

		for (unsigned slot = 0; slot < SET_HOST_SLOTS; slot++) {
			if (line[slot] >> shift == key && !host_slot_free(line[slot]))
				return true;
		}
		if (!host_overflow(line))
			return false;
	}
	return false;
}

/*
 * IPv4 trie
 */

static uint32_t level_byte(uint32_t addr, uint32_t level)
{
	return addr >> (24 - 8 * level) & 255;
}

/* The entries that lead to a level: of node 0, of node 1. */
struct path4 {
	uint64_t *entries[2];
	void *end;		       /* node or line of the level, or of level 2 for level 3 */
	struct block_written *written; /* beside it */
};

/* -ENOENT: nothing there, -ENOSPC: nothing there and no room to make it. */
static int path4_walk(struct block *block, uint32_t set, uint32_t addr, uint32_t level, bool make, struct path4 *ret)
{
	struct set_head *head = &block->at->heads[set];
	uint32_t unit = head->node4;

	if (!unit) {
		unit = make ? heap_take(block, NODE_UNITS) : 0;
		if (!unit)
			return make ? -ENOSPC : -ENOENT;
		store(&head->node4, unit);
	}
	for (uint32_t above = 0; above < 2 && above < level; above++) {
		uint64_t *entry = (uint64_t *)unit_at(block, unit) + level_byte(addr, above);

		unit = set_child(*entry);
		if (!unit) {
			unit = make ? heap_take(block, above == 0 ? NODE_UNITS : 1) : 0;
			if (!unit)
				return make ? -ENOSPC : -ENOENT;
			store(entry, child_entry(*entry, unit));
		}
		ret->entries[above] = entry;
	}
	ret->end = unit_at(block, unit);
	ret->written = &block->written[unit - block->at->heap];
	return 0;
}

void block_slots_add(struct block_slots *slots, unsigned first, unsigned n)
{
	if (n < 64) {
		slots->bits[first / 64] |= ((1ull << n) - 1) << first % 64;
		return;
	}
	for (unsigned word = first / 64; word < first / 64 + n / 64; word++)
		slots->bits[word] = ~0ull;
}

/* One prefix as its level sees it: `bits` longer than the level begins, 0 to 8; `slot` the first of the 256 it covers. */
struct part4 {
	uint32_t level, bits, slot;
};

static struct part4 part4_of(uint32_t addr, uint32_t len)
{
	uint32_t level = len ? (len - 1) / 8 : 0;

	return (struct part4){ .level = level, .bits = len - 8 * level, .slot = level_byte(addr, level) };
}

static void part4_slots(const struct part4 *part, struct block_slots *slots)
{
	block_slots_add(slots, part->slot, 256u >> part->bits);
}

static void written_mark(struct block_written *written, const struct part4 *part, bool in)
{
	unsigned bit = (1u << part->bits) + (part->slot >> (8 - part->bits));

	if (in)
		written->bits[bit / 64] |= 1ull << bit % 64;
	else
		written->bits[bit / 64] &= ~(1ull << bit % 64);
}

static bool written_has(const struct block_written *written, uint32_t bits, uint32_t slot)
{
	unsigned bit = (1u << bits) + (slot >> (8 - bits));

	return written->bits[bit / 64] >> bit % 64 & 1;
}

/* What of the part's slots other prefixes of its level cover. */
static void written_kept(const struct block_written *written, const struct part4 *part, struct block_slots *kept)
{
	for (uint32_t bits = 0; bits < part->bits; bits++) {
		if (written_has(written, bits, part->slot)) {
			part4_slots(part, kept);
			return;
		}
	}
	for (uint32_t bits = part->bits + 1; bits <= 8; bits++) {
		uint32_t step = 256u >> bits, end = part->slot + (256u >> part->bits);

		for (uint32_t slot = part->slot; slot < end; slot += step) {
			if (written_has(written, bits, slot))
				block_slots_add(kept, slot, step);
		}
	}
}

/* Bit n of the result at 2n. */
static uint64_t spread(uint32_t bits)
{
	uint64_t x = bits;

	x = (x | x << 16) & 0x0000ffff0000ffffull;
	x = (x | x << 8) & 0x00ff00ff00ff00ffull;
	x = (x | x << 4) & 0x0f0f0f0f0f0f0f0full;
	x = (x | x << 2) & 0x3333333333333333ull;
	return (x | x << 1) & 0x5555555555555555ull;
}

static uint32_t slots_word32(const struct block_slots *slots, unsigned word)
{
	return (uint32_t)(slots->bits[word / 2] >> 32 * (word % 2));
}

static void node_mark(uint64_t *node, const struct block_slots *slots, bool covered)
{
	for (unsigned word = 0; word < 4; word++) {
		for (uint64_t bits = slots->bits[word]; bits; bits &= bits - 1) {
			uint64_t *entry = &node[word * 64 + (unsigned)__builtin_ctzll(bits)];

			store(entry, covered ? *entry | SET_COVERED : *entry & ~SET_COVERED);
		}
	}
}

static void line_mark(uint64_t *line, const struct block_slots *slots, bool covered)
{
	for (unsigned word = 0; word < 8; word++) {
		uint64_t bits = spread(slots_word32(slots, word)) * SET_LINE_COVERED;

		if (bits)
			store(&line[word], covered ? line[word] | bits : line[word] & ~bits);
	}
}

/* The sixteen /28 of a /24. */
static int hosts_mark(struct block *block, uint32_t set, uint32_t addr, const struct block_slots *slots, bool covered)
{
	for (unsigned nibble = 0; nibble < 16; nibble++) {
		uint32_t at = (addr & ~255u) | nibble << 4;
		uint64_t bits = slots->bits[nibble / 4] >> 16 * (nibble % 4) & 0xffff;

		if (!bits)
			continue;
		if (!covered)
			host_uncover(block, set, at, bits);
		else if (host_cover(block, set, at, bits))
			return -ENOSPC;
	}
	return 0;
}

/* Is anything in the eight entries around `index`? */
static bool node_group_any(const uint64_t *node, uint32_t index)
{
	uint64_t any = 0;

	for (unsigned n = 0; n < 8; n++)
		any |= node[(index & ~7u) + n];
	return (any & (SET_COVERED | SET_GROUPS)) != 0;
}

static bool line_group_any(const uint64_t *line, uint32_t index)
{
	return (line[index >> 5] >> (index & 24) * 2 & 0xffff) != 0;
}

/* The groups of the next level in which a slot is set. */
static uint32_t slots_groups(const struct block_slots *slots)
{
	uint32_t groups = 0;

	for (unsigned group = 0; group < 32; group++)
		groups |= (uint32_t)((slots->bits[group / 8] >> 8 * (group % 8) & 255) != 0) << group;
	return groups;
}

static void groups_set(uint64_t *entry, uint32_t groups)
{
	if ((*entry | groups) != *entry)
		store(entry, *entry | groups);
}

/* Lead readers to what a part has in its level. */
static void path4_show(const struct path4 *path, uint32_t addr, uint32_t level, const struct block_slots *slots)
{
	if (level == 0)
		return;
	if (level >= 2)
		groups_set(path->entries[1], level == 2 ? slots_groups(slots) : 1u << (level_byte(addr, 2) >> 3));
	groups_set(path->entries[0], level == 1 ? slots_groups(slots) : 1u << (level_byte(addr, 1) >> 3));
}

static uint64_t deeper_bit(uint32_t addr)
{
	return (uint64_t)SET_LINE_DEEPER << (level_byte(addr, 2) & 31) * 2;
}

static uint64_t *deeper_word(const struct path4 *path, uint32_t addr)
{
	return (uint64_t *)path->end + (level_byte(addr, 2) >> 5);
}

int block_cover4(struct block *block, uint32_t set, uint32_t addr, uint32_t len)
{
	struct part4 part = part4_of(addr, len);
	struct block_slots slots = { { 0 } };
	struct path4 path;
	int r = path4_walk(block, set, addr, part.level, true, &path);

	if (r)
		return r;
	part4_slots(&part, &slots);
	if (part.level < 3 && !block->at->heads[set].short4)
		store(&block->at->heads[set].short4, 1); /* before what it says is there */
	if (part.level == 3) {
		r = hosts_mark(block, set, addr, &slots, true);
		if (r)
			return r;
		if (!(*deeper_word(&path, addr) & deeper_bit(addr)))
			store(deeper_word(&path, addr), *deeper_word(&path, addr) | deeper_bit(addr));
	} else {
		written_mark(path.written, &part, true);
		if (part.level == 2)
			line_mark(path.end, &slots, true);
		else
			node_mark(path.end, &slots, true);
	}
	path4_show(&path, addr, part.level, &slots);
	return 0;
}

/* Which of these groups below an entry hold nothing any more? */
static void groups_tidy(const struct block *block, uint64_t *entry, uint32_t groups, bool below_is_line)
{
	const uint64_t *below = unit_at(block, set_child(*entry));
	uint64_t empty = 0;

	for (groups &= (uint32_t)*entry; groups; groups &= groups - 1) {
		unsigned group = (unsigned)__builtin_ctz(groups);

		if (!(below_is_line ? line_group_any(below, group * 8) : node_group_any(below, group * 8)))
			empty |= 1ull << group;
	}
	if (empty)
		store(entry, *entry & ~empty);
}

static void path4_tidy(const struct block *block, uint32_t addr, uint32_t level, const struct path4 *path,
		       const struct block_slots *slots)
{
	if (level == 1)
		groups_tidy(block, path->entries[0], slots_groups(slots), false);
	if (level < 2)
		return;
	groups_tidy(block, path->entries[1], level == 2 ? slots_groups(slots) : 1u << (level_byte(addr, 2) >> 3), true);
	if (!(*path->entries[1] & (SET_GROUPS | SET_COVERED)))
		groups_tidy(block, path->entries[0], 1u << (level_byte(addr, 1) >> 3), false);
}

void block_uncover4(struct block *block, uint32_t set, uint32_t addr, uint32_t len, const struct block_slots *kept)
{
	struct part4 part = part4_of(addr, len);
	struct block_slots slots = { { 0 } }, keep = *kept;
	struct path4 path;

	if (path4_walk(block, set, addr, part.level, false, &path))
		return;
	if (part.level < 3) {
		written_mark(path.written, &part, false);
		written_kept(path.written, &part, &keep);
	}
	part4_slots(&part, &slots);
	for (unsigned word = 0; word < 4; word++)
		slots.bits[word] &= ~keep.bits[word];
	if (part.level == 3) {
		hosts_mark(block, set, addr, &slots, false);
		if (*deeper_word(&path, addr) & deeper_bit(addr) && !host_any(block, set, addr))
			store(deeper_word(&path, addr), *deeper_word(&path, addr) & ~deeper_bit(addr));
	} else if (part.level == 2) {
		line_mark(path.end, &slots, false);
	} else {
		node_mark(path.end, &slots, false);
	}
	path4_tidy(block, addr, part.level, &path, &slots);
}

/*
 * Wide entries
 */

static struct set_wide_line *wide_line(const struct block *block, uint32_t at)
{
	return unit_at(block, set_line_offset(block->at->wide, block->at->wide_lines, at) / SET_UNIT);
}

static bool wide_equal(const struct set_wide *slot, const struct set_wide *key)
{
	return slot->tag & 0xffff && (slot->tag ^ key->tag) >> SET_TAG_KEY_SHIFT == 0 && slot->hi == key->hi &&
	       slot->lo == key->lo;
}

static struct probe wide_probe(const struct block *block, const struct set_wide *key)
{
	return probe_from(set_wide_hash(block->at, key->hi, key->lo, key->tag));
}

static struct set_wide *wide_find(const struct block *block, const struct set_wide *key, struct probe *probe)
{
	for (; probe->n < SET_PROBES_MAX; probe->n++, probe->at += probe->step) {
		struct set_wide_line *line = wide_line(block, probe->at);

		for (unsigned slot = 0; slot < SET_WIDE_SLOTS; slot++) {
			if (wide_equal(&line->slots[slot], key))
				return &line->slots[slot];
		}
		if (!line->overflow)
			return NULL;
	}
	return NULL;
}

static void wide_unwind(struct block *block, struct probe probe, bool more)
{
	while (probe.n--) {
		struct set_wide_line *line;

		probe.at -= probe.step;
		line = wide_line(block, probe.at);
		store(&line->overflow, more ? line->overflow + 1 : line->overflow - 1);
	}
}

static void wide_fill(struct set_wide_line *line, struct set_wide *slot, const struct set_wide *key)
{
	store(&line->rekeyed, line->rekeyed + 1);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	store(&slot->hi, key->hi);
	store(&slot->lo, key->lo);
	store(&slot->tag, key->tag);
}

static int wide_insert(struct block *block, const struct set_wide *key)
{
	struct probe probe = wide_probe(block, key);

	if (block->used.wide >= block->room.wide)
		return -ENOSPC;
	for (; probe.n < SET_PROBES_MAX; probe.n++, probe.at += probe.step) {
		struct set_wide_line *line = wide_line(block, probe.at);

		for (unsigned slot = 0; slot < SET_WIDE_SLOTS; slot++) {
			if (line->slots[slot].tag & 0xffff)
				continue;
			wide_unwind(block, probe, true);
			wide_fill(line, &line->slots[slot], key);
			block->used.wide++;
			return 0;
		}
	}
	return -ENOSPC;
}

static void prune_mark(struct block *block, uint64_t tag, uint64_t top, unsigned bit)
{
	uint8_t *byte = (uint8_t *)block->at + set_prune_offset(block->at, tag, top);

	if (!(*byte >> bit & 1))
		store(byte, (uint8_t)(*byte | 1u << bit));
}

/* Tell readers where this key can be. Never taken back: below this part of the address space there may be others. */
static void wide_show(struct block *block, const struct set_wide *key, int is_tuple)
{
	uint64_t tag = key->tag & ~(0xffffull | (uint64_t)(SET_DEPTHS - 1) << SET_TAG_DEPTH_SHIFT);
	unsigned depth = key->tag >> SET_TAG_DEPTH_SHIFT & (SET_DEPTHS - 1);
	bool is_ip6 = key->tag & SET_TAG_IP6;

	if ((is_ip6 ? SET_SHORT6 : SET_SHORT4) >> depth & 1) {
		if (is_tuple)
			prune_mark(block, tag, ~0ull, depth);
	} else if (!is_ip6) {
		prune_mark(block, tag, key->hi >> SET_TOP4_SHIFT, depth);
	} else if (depth < SET_FAR6) {
		prune_mark(block, tag, key->hi >> SET_TOP6_SHIFT, column_of(depth));
	} else {
		prune_mark(block, tag, key->hi >> SET_FAR6_SHIFT | SET_FAR6_MARK, column_of(depth));
	}
}

int block_cover_wide(struct block *block, const struct set_wide *key, int is_tuple)
{
	struct probe probe = wide_probe(block, key);
	struct set_wide *slot = wide_find(block, key, &probe);

	if (slot)
		store(&slot->tag, slot->tag | key->tag);
	else if (wide_insert(block, key))
		return -ENOSPC;
	wide_show(block, key, is_tuple);
	return 0;
}

void block_uncover_wide(struct block *block, const struct set_wide *key)
{
	struct probe probe = wide_probe(block, key);
	struct set_wide *slot = wide_find(block, key, &probe);

	if (!slot)
		return;
	if (slot->tag & ~key->tag & 0xffff) {
		store(&slot->tag, slot->tag & ~(key->tag & 0xffff));
		return;
	}
	store(&slot->tag, 0);
	block->used.wide--;
	wide_unwind(block, probe, false);
}

void block_depths(struct block *block, uint32_t set, uint32_t family, uint32_t depths, uint32_t first)
{
	struct set_head *head = &block->at->heads[set];

	store(family == 4 ? &head->first4 : &head->first6, first);
	store(family == 4 ? &head->depths4 : &head->depths6, depths);
}

void block_port_lens(struct block *block, uint32_t set, uint32_t port_lens)
{
	store(&block->at->heads[set].port_lens, port_lens);
}

/*
 * Numbers
 */

int block_cover_numbers(struct block *block, uint32_t set, uint32_t lo, uint32_t hi)
{
	struct set_head *head = &block->at->heads[set];
	uint32_t unit = head->numbers;
	uint64_t *words;

	if (!unit)
		unit = heap_take(block, NUMBERS_UNITS);
	if (!unit)
		return -ENOSPC;
	words = unit_at(block, unit);
	for (uint32_t word = lo / 64; word <= hi / 64; word++) {
		uint64_t bits = ~0ull;

		if (word == lo / 64)
			bits &= ~0ull << lo % 64;
		if (word == hi / 64)
			bits &= ~0ull >> (63 - hi % 64);
		store(&words[word], words[word] | bits);
	}
	store(&head->numbers, unit);
	return 0;
}

void block_uncover_number(struct block *block, uint32_t set, uint32_t number)
{
	uint64_t *words = unit_at(block, block->at->heads[set].numbers);

	store(&words[number / 64], words[number / 64] & ~(1ull << number % 64));
}

void block_forget(struct block *block, uint32_t set)
{
	struct set_head *head = &block->at->heads[set];

	store(&head->node4, 0);
	store(&head->numbers, 0);
	store(&head->depths4, 0);
	store(&head->depths6, 0);
	store(&head->port_lens, 0);
	store(&head->short4, 0);
}

/* Nodes are few and near; lines and hosts are not. */
void block_prefetch4(const struct block *block, uint32_t set, uint32_t addr, uint32_t len)
{
	uint32_t unit = block->at->heads[set].node4;

	for (uint32_t level = 0; level < 2 && unit; level++)
		unit = set_child(((uint64_t *)unit_at(block, unit))[level_byte(addr, level)]);
	if (unit) {
		__builtin_prefetch(unit_at(block, unit), 1);
		__builtin_prefetch(&block->written[unit - block->at->heap], 1);
	}
	if (len > 24)
		__builtin_prefetch(host_line(block, (uint32_t)(set_host_hash(block->at, set, addr) >> 32)), 1);
}

void block_prefetch_wide(const struct block *block, const struct set_wide *key)
{
	__builtin_prefetch(wide_line(block, wide_probe(block, key).at), 1);
}
