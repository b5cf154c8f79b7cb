/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lookup.h - header to rows: how the tables of an image are read, and hashed by who builds them.
 *
 * Freestanding like parse.h. Nothing here knows of rules' actions, counters or packets' bytes: see match.h for that.
 */
#ifndef SPILLWAY_CLASSIFY_LOOKUP_H
#define SPILLWAY_CLASSIFY_LOOKUP_H

#include "classify/parse.h"

static __always_inline __u64 lookup_word(__u64 network)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap64(network);
#else
	return network;
#endif
}

/* An object of the image. The verifier wants a bound it can see; user space has checked the image before it reads it. */
#ifdef __bpf__
const volatile __u32 image_last_byte = IMAGE_BYTES_MIN - 1; /* of the size class; set before the program is loaded */
#define IMAGE_AT(image, offset, type)                                                                                            \
	((const type *)((const __u8 *)(image) + ((offset)&image_last_byte & ~(__u32)(sizeof(type) - 1))))
#else
#define IMAGE_AT(image, offset, type) ((const type *)((const __u8 *)(image) + (offset)))
#endif

/* The header as the tables want it. */
struct lookup_key {
	__u64 src[2], dst[2]; /* numbers, as in struct image_group */
	__u32 ports;
	__u16 lanes[LANE_COUNT];
	__u32 family; /* 0: none, 1: IPv4, 2: IPv6 */
};

static __always_inline void lookup_key_init(const struct pkt *pkt, struct lookup_key *key)
{
	for (int i = 0; i < 2; i++) {
		key->src[i] = lookup_word(pkt->src[i]);
		key->dst[i] = lookup_word(pkt->dst[i]);
	}
	key->ports = (__u32)pkt->src_port << 16 | pkt->dst_port;
	key->lanes[LANE_SRC_PORT] = pkt->src_port;
	key->lanes[LANE_DST_PORT] = pkt->dst_port;
	key->lanes[LANE_PROTO] = pkt->family ? pkt->l4_proto : LANE_PROTO_NONE;
	key->lanes[LANE_HAS_PORTS] = pkt->has_ports;
	key->family = pkt->family == FAMILY_IP4 ? 1 : pkt->family == FAMILY_IP6 ? 2 : 0;
}

#define LOOKUP_HASH_SRC 0x9e3779b97f4a7c15ull
#define LOOKUP_HASH_DST 0xc2b2ae3d27d4eb4full
#define LOOKUP_HASH_SRC_LOW 0x165667b19e3779f9ull
#define LOOKUP_HASH_DST_LOW 0xd6e8feb86659fd93ull
#define LOOKUP_HASH_PORTS 0xff51afd7ed558ccdull
#define LOOKUP_HASH_SALT 0x27d4eb2f165667c5ull
#define LOOKUP_HASH_LAST 0x94d049bb133111ebull

static __always_inline __u64 lookup_hash(const struct lookup_key *key, const struct image_group *group)
{
	__u64 hash = (key->src[0] & group->src_mask[0]) * LOOKUP_HASH_SRC + (key->dst[0] & group->dst_mask[0]) * LOOKUP_HASH_DST +
		     (key->src[1] & group->src_mask[1]) * LOOKUP_HASH_SRC_LOW +
		     (key->dst[1] & group->dst_mask[1]) * LOOKUP_HASH_DST_LOW +
		     (key->ports & group->ports_mask) * LOOKUP_HASH_PORTS + group->salt * LOOKUP_HASH_SALT;

	hash ^= hash >> 32;
	return hash * LOOKUP_HASH_LAST;
}

static __always_inline __u32 lookup_tag(__u64 hash)
{
	return (__u32)(hash >> 8) & 0x7fff; /* never SLOT_TAG_ANY */
}

/* The entry of a filter for this header. `bits` are those of the packet's family, 1 to 64. */
static __always_inline __u32 lookup_filter_entry(const struct image_filter *filter, unsigned kind, const __u8 *bits,
						 const struct lookup_key *key)
{
	__u64 hash;

	if (kind == FILTER_DST_PORT)
		return key->lanes[LANE_DST_PORT] & filter->mask;
	if (kind >= FILTER_PAIR_SHORT) {
		__u32 src = bits[kind - FILTER_PAIR_SHORT + FILTER_SRC_SHORT],
		      dst = bits[kind - FILTER_PAIR_SHORT + FILTER_DST_SHORT];

		hash = (key->src[0] >> (-src & 63)) * LOOKUP_HASH_SRC + (key->dst[0] >> (-dst & 63)) * LOOKUP_HASH_DST;
	} else {
		hash = ((kind < FILTER_DST_SHORT ? key->src[0] : key->dst[0]) >> (-(__u32)bits[kind] & 63)) * LOOKUP_HASH_SRC;
	}
	return (__u32)(hash >> (filter->shift & 63)) & filter->mask;
}

static __always_inline void lookup_narrow(const struct image *image, unsigned kind, const __u8 *bits,
					  const struct lookup_key *key, __u64 *ret)
{
	const struct image_filter *filter = &image->filters[kind];
	__u32 at;

	if (!filter->mask)
		return; /* it would tell nothing, or not enough */
	at = filter->offset + (lookup_filter_entry(filter, kind, bits, key) << filter->entry_shift);
	ret[0] &= *IMAGE_AT(image, at, __u64);
	if (image->n_words == 1)
		return;
	for (__u32 w = 1; w < IMAGE_WORDS_MAX; w++)
		ret[w] &= *IMAGE_AT(image, at + 8 * w, __u64);
}

/* Which groups can hold a row for these addresses: one bit each, in `ret`. Those left out hold none; those in may. */
static __always_inline void lookup_candidates_addresses(const struct image *image, const struct lookup_key *key, __u64 *ret)
{
	__u32 family = key->family < 2 ? key->family : 2;
	const __u8 *bits = image->bits[family];

	for (__u32 w = 0; w < IMAGE_WORDS_MAX; w++)
		ret[w] = image->family_groups[family][w];
	if (!image->has_filters)
		return;
	lookup_narrow(image, FILTER_SRC_SHORT, bits, key, ret);
	lookup_narrow(image, FILTER_SRC_LONG, bits, key, ret);
	lookup_narrow(image, FILTER_SRC_HOST, bits, key, ret);
	lookup_narrow(image, FILTER_DST_SHORT, bits, key, ret);
	lookup_narrow(image, FILTER_DST_LONG, bits, key, ret);
	lookup_narrow(image, FILTER_DST_HOST, bits, key, ret);
	lookup_narrow(image, FILTER_PAIR_SHORT, bits, key, ret);
	lookup_narrow(image, FILTER_PAIR_LONG, bits, key, ret);
	lookup_narrow(image, FILTER_PAIR_HOST, bits, key, ret);
}

/* The same for the whole header. */
static __always_inline void lookup_candidates(const struct image *image, const struct lookup_key *key, __u64 *ret)
{
	lookup_candidates_addresses(image, key, ret);
	lookup_narrow(image, FILTER_DST_PORT, image->bits[0], key, ret);
}

static __always_inline int lookup_range(const struct image_range *range, const struct lookup_key *key)
{
	__u32 outside = 0;

	/* No branches: the verifier would follow each way of each. A difference below zero has its upper bit set. */
	for (int i = 0; i < LANE_COUNT; i++)
		outside |= ((__u32)key->lanes[i] - range->lo[i]) | ((__u32)range->hi[i] - key->lanes[i]);
	return !(outside >> 31);
}

typedef __u64 __attribute__((may_alias)) lookup_lanes;
_Static_assert(sizeof(((struct image_range *)0)->lo) == sizeof(lookup_lanes), "four lanes are one word");

/* As lookup_range(), for ranges that mostly hold everything. */
static __always_inline int lookup_range_any(const struct image_range *range, const struct lookup_key *key)
{
	if (!*(const lookup_lanes *)range->lo && !~*(const lookup_lanes *)range->hi)
		return 1;
	return lookup_range(range, key);
}

/* Do the upper `len` bits agree? */
static __always_inline int lookup_prefix(const __u64 a[2], const __u64 b[2], __u32 len)
{
	__u64 high = len < 64 ? ~(~0ull >> (len & 63)) : ~0ull;
	__u64 low = len < 128 ? ~(~0ull >> ((len - 64) & 63)) : ~0ull;

	if (len < 64)
		low = 0;
	return (((a[0] ^ b[0]) & high) | ((a[1] ^ b[1]) & low)) == 0;
}

/* The same of IPv4 alone, without looking at halves that are zero; and of the row's prefixes, if it has that family or any. */
static __always_inline __u64 lookup_hash4(const struct lookup_key *key, const struct image_group *group)
{
	__u64 hash = (key->src[0] & group->src_mask[0]) * LOOKUP_HASH_SRC + (key->dst[0] & group->dst_mask[0]) * LOOKUP_HASH_DST +
		     (key->ports & group->ports_mask) * LOOKUP_HASH_PORTS + group->salt * LOOKUP_HASH_SALT;

	hash ^= hash >> 32;
	return hash * LOOKUP_HASH_LAST;
}

static __always_inline int lookup_row_box4(const struct image_row *row, const struct lookup_key *key)
{
	if (row->family == FAMILY_IP6)
		return 0;
	return (((row->src[0] ^ key->src[0]) >> 1 >> (63 - row->src_len)) |
		((row->dst[0] ^ key->dst[0]) >> 1 >> (63 - row->dst_len))) == 0;
}

static __always_inline int lookup_row_box(const struct image_row *row, const struct lookup_key *key)
{
	__u32 family = row->family == FAMILY_IP4 ? 1 : 2;

	if (key->family == 1)
		return lookup_row_box4(row, key);
	if (row->family != ROW_FAMILY_ANY && family != key->family)
		return 0;
	return lookup_prefix(row->src, key->src, row->src_len) && lookup_prefix(row->dst, key->dst, row->dst_len);
}

static __always_inline const struct image_group *lookup_group(const struct image *image, __u32 index)
{
	return IMAGE_AT(image, image->groups + (index & (IMAGE_GROUPS_MAX - 1)) * (__u32)sizeof(struct image_group),
			struct image_group);
}

/* The run of rows for the hash: 0, or a slot. */
static __always_inline __u64 lookup_slot_at(const struct image *image, __u64 hash)
{
	__u32 index = (__u32)(hash >> (image->slot_shift & 63)) & image->slot_mask;
	__u64 slot = *IMAGE_AT(image, image->slots + index * 8, __u64);

	return SLOT_TAG(slot) == SLOT_TAG_ANY || SLOT_TAG(slot) == lookup_tag(hash) ? slot : 0;
}

/* The run of rows for the key in this group: 0, or a slot. */
static __always_inline __u64 lookup_slot(const struct image *image, const struct lookup_key *key, const struct image_group *group)
{
	return lookup_slot_at(image, lookup_hash(key, group));
}

static __always_inline const struct image_row *lookup_row_at(const struct image *image, __u32 row)
{
	return IMAGE_AT(image, image->rows + row * (__u32)sizeof(struct image_row), struct image_row);
}

static __always_inline const struct image_insn *lookup_insn_at(const struct image *image, __u32 insn)
{
	return IMAGE_AT(image, image->insns + insn * (__u32)sizeof(struct image_insn), struct image_insn);
}

static __always_inline const struct image_step *lookup_step_at(const struct image *image, __u32 step)
{
	return IMAGE_AT(image, image->steps + step * (__u32)sizeof(struct image_step), struct image_step);
}

static __always_inline const struct image_rule *lookup_rule_at(const struct image *image, __u32 rule)
{
	return IMAGE_AT(image, image->rules + rule * (__u32)sizeof(struct image_rule), struct image_rule);
}

#ifdef __bpf__
#define LOOKUP_BIT_SEQUENCE 0x03f79d71b4cb0a89ull /* every six bits of it differ (de Bruijn) */

static const __u8 lookup_bit_numbers[64] = {
	0,  1,	48, 2,	57, 49, 28, 3,	61, 58, 50, 42, 38, 29, 17, 4,	62, 55, 59, 36, 53, 51,
	43, 22, 45, 39, 33, 30, 24, 18, 12, 5,	63, 47, 56, 27, 60, 41, 37, 16, 54, 35, 52, 21,
	44, 32, 23, 11, 46, 26, 40, 15, 34, 20, 31, 10, 25, 14, 19, 9,	13, 8,	7,  6,
};

/*
 * Number of trailing zero bits; BPF has no instruction for it, and halving by branches is guessed wrong again and again. `bits` is not
 * 0.
 */
static __always_inline __u32 lookup_lowest(__u64 bits)
{
	return lookup_bit_numbers[(bits & -bits) * LOOKUP_BIT_SEQUENCE >> 58];
}
#else
static inline __u32 lookup_lowest(__u64 bits)
{
	return (__u32)__builtin_ctzll(bits);
}
#endif

#endif
