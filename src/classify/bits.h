/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bits.h - the rows that a header may match, where there are few: a bit vector for each field, and all that is in each of them (Lakshman
 * and Stiliadis, SIGCOMM 1998).
 *
 * The vectors of ports and protocols are exact. Those of addresses may have rows too many: a trie skips the bits that tell its
 * prefixes apart nowhere, and does not look at them. So a row's prefixes are compared with the header, and nothing else of it is.
 *
 * No branches: which way a packet goes is anybody's guess. Freestanding like parse.h.
 */
#ifndef SPILLWAY_CLASSIFY_BITS_H
#define SPILLWAY_CLASSIFY_BITS_H

#include "classify/lookup.h"

/* One node further: `half` is what the entry looks at. An end leads to itself. */
static __always_inline __u64 bits_step(const struct image *image, __u64 entry, __u64 half)
{
	__u64 index = entry >> BITS_MASK_SHIFT & half >> (entry >> BITS_SHIFT_SHIFT & 63);

	return *IMAGE_AT(image, (__u32)entry + (__u32)(index << 3), __u64);
}

static __always_inline __u64 bits_half(__u64 entry, const __u64 addr[2])
{
	return addr[0] ^ ((addr[0] ^ addr[1]) & -(entry >> 38 & 1));
}

static __always_inline const struct image_bits *bits_end(const struct image *image, __u64 entry, const __u64 addr[2])
{
	for (__u32 n = 0; n < BITS_DEPTH_MAX && entry & BITS_MORE; n++)
		entry = bits_step(image, entry, bits_half(entry, addr));
	return IMAGE_AT(image, (__u32)entry - (__u32) __builtin_offsetof(struct image_bits, self), struct image_bits);
}

/* Nearly all ways are three nodes long at most; few of IPv4 and many of IPv6 are longer than two. */
static __always_inline const struct image_bits *bits_address4(const struct image *image, __u64 entry, const __u64 addr[2])
{
	entry = bits_step(image, entry, addr[0]);
	entry = bits_step(image, entry, addr[0]);
	entry = bits_step(image, entry, addr[0]);
	return bits_end(image, entry, addr);
}

static __always_inline const struct image_bits *bits_address6(const struct image *image, __u64 entry, const __u64 addr[2])
{
	entry = bits_step(image, entry, bits_half(entry, addr));
	entry = bits_step(image, entry, bits_half(entry, addr));
	entry = bits_step(image, entry, bits_half(entry, addr));
	return bits_end(image, entry, addr);
}

static __always_inline const struct image_bits *bits_port(const struct image *image, __u32 side, __u32 port)
{
	__u32 page = *IMAGE_AT(image, image->bits_ports[side] + (port >> 8) * 4, __u32);

	return IMAGE_AT(image, *IMAGE_AT(image, page + (port & 255) * 4, __u32), struct image_bits);
}

static __always_inline __u32 bits_proto_index(__u32 family, __u32 has_ports, __u32 proto)
{
	return family * 512 + has_ports * 256 + proto;
}

/* The bits of the rows that may match. `key->family` is not 0. */
static __always_inline void bits_rows(const struct image *image, const struct lookup_key *key, __u64 ret_rows[BITS_WORDS])
{
	__u32 proto = bits_proto_index(key->family & 3, key->lanes[LANE_HAS_PORTS] & 1, key->lanes[LANE_PROTO] & 255);
	const struct image_bits *src, *dst,
		*from = bits_port(image, 0, key->lanes[LANE_SRC_PORT]), *to = bits_port(image, 1, key->lanes[LANE_DST_PORT]),
		*over = IMAGE_AT(image, *IMAGE_AT(image, image->bits_protos + proto * 4, __u32), struct image_bits);

	if (key->family == 1) {
		src = bits_address4(image, image->bits_roots[1][0], key->src);
		dst = bits_address4(image, image->bits_roots[1][1], key->dst);
	} else {
		src = bits_address6(image, image->bits_roots[2][0], key->src);
		dst = bits_address6(image, image->bits_roots[2][1], key->dst);
	}
	for (__u32 i = 0; i < BITS_WORDS; i++)
		ret_rows[i] = src->rows[i] & dst->rows[i] & from->rows[i] & to->rows[i] & over->rows[i];
}

static __always_inline const struct image_row *bits_row_at(const struct image *image, __u32 bit)
{
	return IMAGE_AT(image, image->bits_rows + (bit & (BITS_ROWS_MAX - 1)) * (__u32)sizeof(struct image_row),
			struct image_row);
}

#endif
