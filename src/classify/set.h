/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * set.h - is this address (tuple, number) in that set? The set block as both tiers read it.
 *
 * One block holds all sets of an interface. Like the image it is memory, not API calls: flat, position-independent, a power of two
 * of bytes, the single value of a BPF_F_MMAPABLE array map. sets/block.c alone writes it, in place, while both tiers read it; this
 * file alone reads it. It is freestanding like parse.h.
 *
 * IPv4 prefixes: a trie of eight address bits a level. Two levels of nodes, whose entries say "covered" and which eighth of an eighth of the
 * next level hold anything; then a line with two bits for each /24, covered and deeper; then hosts.
 *
 * Hosts (IPv4, /25 and longer): a hash of 64-bit entries, each the sixteen addresses of a /28. One line holds eight entries.
 *
 * Wide entries (IPv6 prefixes, and tuples of either family): a hash of 192-bit entries, each the sixteen next nibbles behind a
 * prefix of 4 * depth bits. So 129 lengths are 32 depths, and a set asks only those it has (`depths6`) below this part of the
 * address space (`prune`, which may say too much but never too little).
 *
 * Elements never move within a block, so a reader cannot miss one that stays. A line that had no room counts what went on to the
 * next line of its probe sequence; a reader stops where that count is zero.
 *
 * Order: a 64-bit store is the unit. A wide entry is three, so its tag is written last and cleared first, and the line counts how
 * often one of its slots got a new key: a reader that found its key looks whether the count is still the same. That needs loads
 * that stay in order: x86 keeps them so, the host reader asks for it (acquire), BPF has no way to ask.
 */
#ifndef SPILLWAY_CLASSIFY_SET_H
#define SPILLWAY_CLASSIFY_SET_H

#include <linux/types.h>

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#define SET_MAGIC 0x54455353u /* "SSET" in memory on a little-endian host */
#define SET_VERSION 1u
#define SET_IDS_MAX 1024u /* power of two; id 0 is no set */
#define SET_UNIT 64u	  /* bytes; references within the block count these */
#define SET_PROBES_MAX 16u
#define SET_LINES_MIN 64u			       /* of a hash */
#define SET_STEP_MIN (0x80000000u / SET_LINES_MIN * 2) /* one line of the fewest */
#define SET_DEPTHS 32u
/*
 * `prune` is asked with the upper bits of the address: 28 and, for longer prefixes, 48 of IPv6; 16 of a tuple's IPv4. Depths whose
 * prefixes may be shorter than that are asked always, or of tuples by the service alone.
 */
#define SET_SHORT4 0x0fu
#define SET_SHORT6 0x7fu
#define SET_TOP4_SHIFT 48
#define SET_TOP6_SHIFT 36
#define SET_FAR6 12u /* first depth that has the 48 bits */
#define SET_FAR6_SHIFT 16
#define SET_FAR6_MARK (1ull << 63) /* set in what is hashed, so that 28 and 48 bits differ */
#define SET_NUMBERS 65536u
#define SET_BIT_SEQUENCE 0x077cb531u /* every five bits of it differ (de Bruijn) */
#define SET_BYTES_MIN (1u << 16)
#define SET_BYTES_MAX (1u << 29) /* further than the verifier lets an offset go */

/* Entry of a node, and its fields. */
#define SET_NODE_ENTRIES 256u
#define SET_COVERED (1ull << 63)
#define SET_CHILD_SHIFT 32	 /* unit of the node or line below, 31 bits */
#define SET_GROUPS 0xffffffffull /* bit n: something lies in entries 8n..8n+7 of what is below */

/* Entry of a line, two bits for each /24; 32 of them a word. */
#define SET_LINE_COVERED 1u
#define SET_LINE_DEEPER 2u

/* Host entry: 16 bits of addresses, 8 bits that belong to the line (slot 0 only), the /28, the set. */
#define SET_HOST_SLOTS 8u
#define SET_HOST_OVERFLOW_SHIFT 16
#define SET_HOST_OVERFLOW 0xffull
#define SET_HOST_KEY_SHIFT 24
#define SET_HOST_SET_SHIFT 52

/* Tag of a wide entry: 16 bits of nibbles (none: the slot is free), then what must be equal. */
#define SET_WIDE_SLOTS 2u
#define SET_TAG_KEY_SHIFT 16
#define SET_TAG_DEPTH_SHIFT 16
#define SET_TAG_IP6 (1ull << 21)
#define SET_TAG_PROTO_SHIFT 24
#define SET_TAG_PORT_SHIFT 32
#define SET_TAG_SET_SHIFT 48
#define SET_TAG_PORT_LEN_SHIFT 58 /* leading bits of the port that are compared; ranges are several entries */
#define SET_PORT_LENS 17

struct set_wide {
	__u64 hi, lo; /* the prefix, as a number, rest zero; IPv4 in the upper half of hi */
	__u64 tag;
};

struct set_wide_line {
	__u32 overflow; /* entries that belonged here and found no room */
	__u32 rekeyed;	/* how often a slot got a new key */
	struct set_wide slots[SET_WIDE_SLOTS];
	__u64 pad;
};
_Static_assert(sizeof(struct set_wide_line) == SET_UNIT, "one line a probe");

struct set_head {
	__u32 node4;   /* unit of the trie's first node; 0: no IPv4 prefix */
	__u32 numbers; /* unit of the bitmap of 65,536 bits; 0: no number */
	__u32 depths4; /* bit d: the set has tuples of this depth */
	__u32 depths6;
	__u32 first4, first6; /* the most frequent of these: asked first */
	__u32 port_lens;      /* bit n: the set has tuples whose ports are compared in n bits; bit 0: any port, and none */
	__u32 short4;	      /* the set has, or had, a prefix of /24 or shorter; else only host entries say anything */
};

struct set_block {
	__u32 magic, version;
	__u64 bytes;
	__u64 seed, multiplier;	 /* secret and odd, or packets could be made to meet in one line */
	__u32 hosts, host_lines; /* where, and how many lines */
	__u32 wide, wide_lines;
	__u32 prune, prune_mask; /* bytes, by a hash of what is asked: which depths can say yes */
	__u32 heap, pad;	 /* nodes, lines and bitmaps */
	__u32 near6[256];	 /* byte of `prune` to depths of IPv6, by 28 bits; a bit stands for one depth */
	__u32 far6[256];	 /* the same by 48 bits; a bit stands for one to eight depths */
	__u8 bit_numbers[32];	 /* which bit is set in x: at (x * SET_BIT_SEQUENCE) >> 27; BPF has no instruction for it */
	struct set_head heads[SET_IDS_MAX];
};
_Static_assert(sizeof(struct set_block) <= SET_BYTES_MIN, "the smallest block holds the header");

#ifdef __bpf__
#define set_load(p) (*(const volatile typeof(*(p)) *)(p))
#else
#define set_load(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define set_be32(x) __builtin_bswap32(x)
#define set_be64(x) __builtin_bswap64(x)
#else
#define set_be32(x) (x)
#define set_be64(x) (x)
#endif

/* No offset leads out of the block, whatever is read in it: the verifier asks for that. */
#ifdef __bpf__
const volatile __u32 set_last_byte = SET_UNIT - 1; /* of the block's size; set before the program is loaded */
#define SET_LAST_BYTE(block) set_last_byte
#else
#define SET_LAST_BYTE(block) ((__u32)(block)->bytes - 1)
#endif

/* `offset` bytes into the block, a multiple of `align`. */
static __always_inline const void *set_at(const struct set_block *block, __u64 offset, __u32 align)
{
	offset &= SET_LAST_BYTE(block) & ~(align - 1);
#ifdef __bpf__
	asm volatile("" : "+r"(offset)); /* the verifier must see the mask applied last */
#endif
	return (const __u8 *)block + offset;
}

static __always_inline __u64 set_hash(const struct set_block *block, __u64 a, __u64 b)
{
	__u64 x = (a ^ block->seed) * block->multiplier;

	x ^= x >> 32;
	x = (x ^ b) * 0xd6e8feb86659fd93ull;
	x ^= x >> 32;
	return x * 0x9e3779b97f4a7c15ull;
}

/* The line that `hash` means among `lines` of them: its n-th probe adds n times its lower half to the upper. */
static __always_inline __u64 set_line_offset(__u32 unit, __u32 lines, __u32 at)
{
	return (unit + ((__u64)at * lines >> 32)) * SET_UNIT;
}

/* From one probe to the next: never so little, forward or backward, that it is the same line again. */
static __always_inline __u32 set_step(__u64 hash)
{
	return ((__u32)hash & 0x7fffffff) | SET_STEP_MIN | 1;
}

static __always_inline __u64 set_host_key(__u32 set, __u32 addr)
{
	return (__u64)set << SET_HOST_SET_SHIFT | (__u64)(addr >> 4) << SET_HOST_KEY_SHIFT;
}

/* All entries of a /24 begin their probes in the same line, so that the writer can tell when the last is gone. */
static __always_inline __u64 set_host_hash(const struct set_block *block, __u32 set, __u32 addr)
{
	return set_hash(block, (__u64)set << 24 | addr >> 8, 0);
}

static __always_inline int set_host_has(const struct set_block *block, __u32 set, __u32 addr)
{
	__u64 key = set_host_key(set, addr), hash = set_host_hash(block, set, addr);
	__u32 at = (__u32)(hash >> 32), step = set_step(hash), n;

	for (n = 0; n < SET_PROBES_MAX; n++, at += step) {
		const __u64 *line = set_at(block, set_line_offset(block->hosts, block->host_lines, at), SET_UNIT);
		__u32 slot;

#pragma GCC unroll 8
		for (slot = 0; slot < SET_HOST_SLOTS; slot++) {
			__u64 entry = set_load(&line[slot]);

			if (!((entry ^ key) >> SET_HOST_KEY_SHIFT))
				return entry >> (addr & 15) & 1;
		}
		if (!(set_load(&line[0]) >> SET_HOST_OVERFLOW_SHIFT & SET_HOST_OVERFLOW))
			return 0;
	}
	return 0;
}

/* Entry `index` of the node at `unit`. */
static __always_inline __u64 set_node_entry(const struct set_block *block, __u32 unit, __u32 index)
{
	const __u64 *entry = set_at(block, (__u64)unit * SET_UNIT + index * 8, 8);

	return set_load(entry);
}

static __always_inline __u32 set_child(__u64 entry)
{
	return (__u32)(entry >> SET_CHILD_SHIFT) & 0x7fffffff;
}

static __always_inline int set_has_ip4(const struct set_block *block, __u32 set, __u32 addr)
{
	const struct set_head *head = &block->heads[set & (SET_IDS_MAX - 1)];
	__u32 node = set_load(&head->node4), a = addr >> 24, b = addr >> 16 & 255, c = addr >> 8 & 255;
	__u64 entry, word;

	if (!node)
		return 0;
	if (!set_load(&head->short4))
		return set_host_has(block, set, addr);
	entry = set_node_entry(block, node, a);
	if (entry & SET_COVERED)
		return 1;
	if (!(entry >> (b >> 3) & 1))
		return 0;
	entry = set_node_entry(block, set_child(entry), b);
	if (entry & SET_COVERED)
		return 1;
	if (!(entry >> (c >> 3) & 1))
		return 0;
	word = set_node_entry(block, set_child(entry), c >> 5) >> (c & 31) * 2;
	if (word & SET_LINE_COVERED)
		return 1;
	if (!(word & SET_LINE_DEEPER))
		return 0;
	return set_host_has(block, set, addr);
}

/* What is asked of the wide entries. */
struct set_query {
	__u64 hi, lo;
	__u64 tag; /* without depth */
};

/* All ones for the depths whose next nibble lies in hi. No branch, here and below: which depth comes is anybody's guess. */
static __always_inline __u64 set_depth_in_hi(__u32 depth)
{
	__u64 in_hi = (__u64)((__s64)((__u64)depth - 16) >> 63);

#ifdef __bpf__
	asm volatile("" : "+r"(in_hi)); /* or the compiler makes branches of it */
#endif
	return in_hi;
}

/* The upper 4 * depth bits of the query. */
static __always_inline void set_query_cut(const struct set_query *query, __u32 depth, __u64 *ret_hi, __u64 *ret_lo)
{
	__u64 in_hi = set_depth_in_hi(depth), rest = ~0ull >> (4 * (depth & 15));

	*ret_hi = query->hi & ~(rest & in_hi);
	*ret_lo = query->lo & ~rest & ~in_hi;
}

static __always_inline __u32 set_query_nibble(const struct set_query *query, __u32 depth)
{
	__u64 in_hi = set_depth_in_hi(depth), half = (query->hi & in_hi) | (query->lo & ~in_hi);

	return half >> (60 - 4 * (depth & 15)) & 15;
}

static __always_inline __u64 set_wide_hash(const struct set_block *block, __u64 hi, __u64 lo, __u64 tag)
{
	__u64 x = (hi ^ (tag >> SET_TAG_KEY_SHIFT) * 0xc2b2ae3d27d4eb4full ^ block->seed) * block->multiplier;
	__u64 y = (lo + block->seed) * 0xd6e8feb86659fd93ull; /* beside x, not behind it */

	x ^= x >> 32 ^ y ^ y >> 32;
	return x * 0x9e3779b97f4a7c15ull;
}

/* Which byte of `prune` knows the depths for the query's set and service, below `top`. */
static __always_inline __u64 set_prune_offset(const struct set_block *block, __u64 tag, __u64 top)
{
	return (__u64)block->prune * SET_UNIT + ((set_hash(block, tag, top) >> 32) & block->prune_mask);
}

static __always_inline __u8 set_prune_byte(const struct set_block *block, __u64 tag, __u64 top)
{
	const __u8 *byte = set_at(block, set_prune_offset(block, tag, top), 1);

	return set_load(byte);
}

/* The depths at which the query may be covered, of all that its set has. */
static __always_inline __u32 set_prune(const struct set_block *block, const struct set_query *query, __u32 depths, int is_tuple)
{
	__u32 is_ip6 = (query->tag & SET_TAG_IP6) != 0, may = is_ip6 ? SET_SHORT6 : SET_SHORT4;

	if (is_tuple)
		may &= set_prune_byte(block, query->tag, ~0ull);
	if (is_ip6) {
		may |= block->near6[set_prune_byte(block, query->tag, query->hi >> SET_TOP6_SHIFT)];
		if (depths >> SET_FAR6)
			may |= block->far6[set_prune_byte(block, query->tag, query->hi >> SET_FAR6_SHIFT | SET_FAR6_MARK)];
	} else {
		may |= set_prune_byte(block, query->tag, query->hi >> SET_TOP4_SHIFT);
	}
	return depths & may;
}

/* The search for a query among the wide entries: one depth after the other, of each its probe sequence. */
struct set_search {
	const struct set_block *block;
	struct set_query query;
	struct set_wide key; /* at the depth at hand */
	__u32 depths;	     /* still to be asked */
	__u32 at, step;
	__u8 first; /* which of the depths first, if it is one of them */
	__u8 nibble;
	__u8 probes; /* lines of this depth that were asked */
	__u8 found;
};

/* Begin with the next depth. */
static __always_inline void set_search_depth(struct set_search *search)
{
	__u32 depth = search->first & (SET_DEPTHS - 1);
	__u64 hash;

	if (!(search->depths >> depth & 1)) { /* then the lowest */
		__u32 bit = search->depths & -search->depths;

		depth = search->block->bit_numbers[(bit * SET_BIT_SEQUENCE) >> 27] & (SET_DEPTHS - 1);
	}
	search->depths &= ~(1u << depth);
	search->nibble = (__u8)set_query_nibble(&search->query, depth);
	search->key.tag = search->query.tag | (__u64)depth << SET_TAG_DEPTH_SHIFT;
	set_query_cut(&search->query, depth, &search->key.hi, &search->key.lo);
	hash = set_wide_hash(search->block, search->key.hi, search->key.lo, search->key.tag);
	search->at = (__u32)(hash >> 32);
	search->step = set_step(hash);
	search->probes = 0;
}

static __always_inline const struct set_wide_line *set_search_line(const struct set_search *search)
{
	const struct set_block *block = search->block;

	return set_at(block, set_line_offset(block->wide, block->wide_lines, search->at), SET_UNIT);
}

/* The bits of the line's entry for the search's key; 0: it has none. *ret_again: one half may be of another key. */
static __always_inline __u64 set_line_bits(const struct set_search *search, const struct set_wide_line *line, int *ret_again)
{
	__u32 rekeyed = set_load(&line->rekeyed), slot;
	__u64 bits = 0;

#pragma GCC unroll 2
	for (slot = 0; slot < SET_WIDE_SLOTS; slot++) {
		__u64 tag = set_load(&line->slots[slot].tag);
		__u64 differ = (tag ^ search->key.tag) >> SET_TAG_KEY_SHIFT;

		differ |= set_load(&line->slots[slot].hi) ^ search->key.hi;
		differ |= set_load(&line->slots[slot].lo) ^ search->key.lo;
		if (!differ)
			bits |= tag & 0xffff;
	}
	*ret_again = bits && set_load(&line->rekeyed) != rekeyed;
	return bits;
}

/* Look at one line. 1: the search is over. */
static __always_inline long set_search_turn(struct set_search *search)
{
	const struct set_wide_line *line = set_search_line(search);
	int again;
	__u64 bits = set_line_bits(search, line, &again);

	if (again)
		return 0;
	if (bits) {
		search->found = (__u8)(bits >> search->nibble & 1);
		if (search->found)
			return 1;
	} else if (set_load(&line->overflow) && ++search->probes < SET_PROBES_MAX) {
		search->at += search->step;
		return 0;
	}
	if (!search->depths)
		return 1;
	set_search_depth(search);
	return 0;
}

/* Every depth with every probe, and some for lines that change meanwhile. */
#define SET_TURNS_MAX (SET_DEPTHS * SET_PROBES_MAX + 16)

#ifdef __bpf__
static long set_search_turns(__u32 n, void *search)
{
	(void)n;
	return set_search_turn(search);
}

static __always_inline void set_search_run(struct set_search *search)
{
	if (!set_search_turn(search)) /* most are over then, without a call */
		bpf_loop(SET_TURNS_MAX, set_search_turns, search, 0);
}
#else
static __always_inline void set_search_run(struct set_search *search)
{
	__u32 n;

	for (n = 0; n < SET_TURNS_MAX && !set_search_turn(search); n++)
		;
}
#endif

static __always_inline int set_has_wide(const struct set_block *block, const struct set_query *query, int is_tuple)
{
	const struct set_head *head = &block->heads[query->tag >> SET_TAG_SET_SHIFT & (SET_IDS_MAX - 1)];
	__u32 is_ip6 = (query->tag & SET_TAG_IP6) != 0;
	struct set_search search = { .block = block, .query = *query };

	search.depths = is_ip6 ? set_load(&head->depths6) : set_load(&head->depths4);
	search.first = (__u8)(is_ip6 ? set_load(&head->first6) : set_load(&head->first4));
	if (search.depths & (search.depths - 1)) /* one depth is asked about as fast as whether to ask */
		search.depths = set_prune(block, query, search.depths, is_tuple);
	if (!search.depths)
		return 0;
	set_search_depth(&search);
	set_search_run(&search);
	return search.found & 1; /* the verifier wants to see that it is no more */
}

/* Is the address in the set? `family` 4 or 6, `addr` as in struct pkt. */
static __always_inline int set_has_addr(const struct set_block *block, __u32 set, __u32 family, const __u64 addr[2])
{
	struct set_query query;

	if (family == 4)
		return set_has_ip4(block, set, set_be32((__u32)addr[0]));
	if (family != 6)
		return 0;
	query.hi = set_be64(addr[0]);
	query.lo = set_be64(addr[1]);
	query.tag = (__u64)set << SET_TAG_SET_SHIFT | SET_TAG_IP6;
	return set_has_wide(block, &query, 0);
}

/* The search for a tuple: once for each number of port bits that the set's tuples compare. */
struct set_services {
	const struct set_block *block;
	struct set_query query; /* its tag without port */
	__u32 lens;		/* bits still to be asked */
	__u32 port;
	__u32 found;
};

/* 1: the search is over. */
static __always_inline long set_services_turn(struct set_services *services)
{
	const struct set_block *block = services->block;
	__u32 bit = services->lens & -services->lens, len = block->bit_numbers[(bit * SET_BIT_SEQUENCE) >> 27] & 31;
	struct set_query query = services->query;

	if (!bit)
		return 1;
	services->lens &= ~bit;
	query.tag |= (__u64)len << SET_TAG_PORT_LEN_SHIFT | ((__u64)services->port & (0xffff0000u >> len) & 0xffff)
								    << SET_TAG_PORT_SHIFT;
	services->found = (__u32)set_has_wide(block, &query, 1);
	return services->found;
}

#ifdef __bpf__
static long set_services_turns(__u32 n, void *services)
{
	(void)n;
	return set_services_turn(services);
}

static __always_inline void set_services_run(struct set_services *services)
{
	bpf_loop(SET_PORT_LENS, set_services_turns, services, 0);
}
#else
static __always_inline void set_services_run(struct set_services *services)
{
	while (!set_services_turn(services))
		;
}
#endif

/* Is (address, protocol, port) in the set? `port` negative: the packet has none, and only tuples of any port may hold. */
static __always_inline int set_has_tuple(const struct set_block *block, __u32 set, __u32 family, const __u64 addr[2], __u8 proto,
					 __s32 port)
{
	struct set_services services = { .block = block, .port = (__u32)port };

	if (family != 4 && family != 6)
		return 0;
	services.lens = set_load(&block->heads[set & (SET_IDS_MAX - 1)].port_lens);
	if (port < 0)
		services.lens &= 1;
	services.query.hi = family == 4 ? (__u64)set_be32((__u32)addr[0]) << 32 : set_be64(addr[0]);
	services.query.lo = family == 4 ? 0 : set_be64(addr[1]);
	services.query.tag =
		(__u64)set << SET_TAG_SET_SHIFT | (family == 6 ? SET_TAG_IP6 : 0) | (__u64)proto << SET_TAG_PROTO_SHIFT;
	if (services.lens)
		set_services_run(&services);
	return (int)services.found;
}

/* Is the number (port, length, ...) in the set? */
static __always_inline int set_has_number(const struct set_block *block, __u32 set, __u32 number)
{
	__u32 numbers = set_load(&block->heads[set & (SET_IDS_MAX - 1)].numbers);

	if (!numbers || number >= SET_NUMBERS)
		return 0;
	return set_node_entry(block, numbers, number >> 6) >> (number & 63) & 1;
}

#endif
