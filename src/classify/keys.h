/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keys.h - many packets at once, in user space: header to class key, and what is known of that key.
 *
 * Addresses that lie in the same prefixes of all rows are of one class, and so are ports and protocols that lie in the same ranges.
 * The classes of a header's fields make a key, which stands for a cell of the cross-product of all fields (Srinivasan, Varghese, Suri
 * and Waldvogel, SIGCOMM 1998): its headers can match the same few rows of the image. There are more cells than memory, and far
 * fewer that packets fall into: those are remembered as they come. A flood of a million sources is a few cells, because the rules
 * tell its sources apart in a few ways only. What is not known is searched for in the tables of the image (batch.h).
 *
 * IPv4 addresses are looked up level by level in tables (table.h). IPv6 addresses are looked up in a trie whose
 * nodes are arrays of 64-bit entries: where the next node lies, and how to come from the address to an index into it. Bits that tell
 * no prefixes apart are skipped, and not looked at before the end (trie.h). An address that was led astray by that is in one of the
 * prefixes around that of the class it came to: the longest that holds it. Ports are looked up in pages of 256, protocols in one
 * table (service.h).
 */
#ifndef SPILLWAY_CLASSIFY_KEYS_H
#define SPILLWAY_CLASSIFY_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "classify/lookup.h"

/* An entry of an IPv6 trie: where the next node begins, or a class. */
#define TRIE_SHIFT_AT 32 /* 6 bits: by how much to shift the address, so that the index ends at bit 0 */
#define TRIE_LOW_AT 38
#define TRIE_LOW (1ull << TRIE_LOW_AT) /* its lower half is shifted */
#define TRIE_MORE_AT 39
#define TRIE_MORE (1ull << TRIE_MORE_AT) /* a node; else a class, and the end of the way */
#define TRIE_MASK_AT 48			 /* 16 bits: of the index */
#define TABLE_MORE (1u << 31)		 /* an entry of an IPv4 table: where the next one begins; else a class */
#define KEYS_PROTOS (3 * 512u)		 /* by family, ports or none, protocol: keys_proto() */

#define KEYS_BATCH 64u /* packets at most, that one call takes */
#define KEYS_ROWS 4u   /* so many rows of a key are remembered; the rest is searched for, packet by packet */

/* A class of addresses: those in this prefix and in none that is longer. */
struct address_class {
	__u64 addr[2], mask[2]; /* as numbers, see struct image_group */
	uint32_t len;
	uint32_t around; /* the class of the next shorter prefix around it, or of the addresses in none */
};

/*
 * What is known of a key. If the first row decides and asks nothing, `end` has its action and, above 8 bits, its counter; else it is 0,
 * and rows[] are asked in their order: number + 1, of which the number of rows says that there are no more; 0: not known yet.
 */
struct known {
	uint64_t key;
	uint32_t rule, end;
	uint32_t rows[KEYS_ROWS];
};

/* Of one image, read and written by one thread. */
struct keys {
	const struct image *image;
	struct image_row *rows; /* those of the image, on large pages */
	struct address_class *classes;
	size_t n_classes; /* of addresses */
	uint64_t *tries;  /* of IPv6 addresses */
	size_t n_tries;
	uint64_t trie_roots[2]; /* [2] here: by source and destination */
	uint32_t *tables;	/* of IPv4 addresses */
	size_t n_tables;
	uint32_t table_roots[2];
	const uint8_t *table_ends; /* see struct tables4 */
	uint32_t dst_shift;	   /* of the destination's class in a key; the ports' begin at twice that */
	bool by_ports;		   /* ports and protocols are part of keys; else rows are asked for them */
	uint32_t n_port_classes[2];
	uint8_t shifts[3]; /* of the classes of protocol, source and destination port, above the addresses' */
	uint16_t ports[2][256], protos[KEYS_PROTOS];
	uint16_t *pages; /* of 256 entries; ports[] has their numbers */
	uint32_t n_pages;
	struct known *known; /* two a line */
	unsigned lines_shift;
};

/*
 * For an image that stays. 0, -ENOMEM, or -E2BIG: its prefixes nest too deeply, or there are too many of them and of classes of
 * ports; then there is no faster way than packet by packet. Takes up to 64 MiB for what is known (2 KiB a row, at least 4 MiB),
 * 64 bytes a row, and the tables: 512 KiB and up to 2 KiB a prefix, at most 256 MiB for IPv4 and 64 MiB for IPv6.
 */
int keys_new(const struct image *image, struct keys **ret_keys);
struct keys *keys_free(struct keys *keys); /* NULL is fine; returns NULL */
size_t keys_bytes(const struct keys *keys);

static inline uint32_t keys_family(const struct pkt *pkt)
{
	return pkt->family == FAMILY_IP4 ? 1 : pkt->family == FAMILY_IP6 ? 2 : 0;
}

static inline uint32_t keys_proto(uint32_t family, uint32_t has_ports, uint32_t proto)
{
	return family * 512 + has_ports * 256 + proto;
}

/* Bits that numbers from 0 to n take. */
static inline unsigned keys_bits(size_t n)
{
	return n ? 64 - (unsigned)__builtin_clzll(n) : 0;
}

/* The keys of up to KEYS_BATCH packets; what is known of them is on its way to the cache. */
void keys_find(const struct keys *keys, const struct pkt *pkts, size_t n, uint64_t *ret_keys);

static inline struct known *keys_line(const struct keys *keys, uint64_t key)
{
	uint64_t hash = key * LOOKUP_HASH_SRC;

	hash ^= hash >> 32;
	return &keys->known[(hash * LOOKUP_HASH_LAST >> keys->lines_shift) * 2];
}

/* What is known of the key, in place; of a new one nothing, and the line's older one goes. Valid until the next call. */
static inline struct known *keys_known(const struct keys *keys, uint64_t key)
{
	struct known *line = keys_line(keys, key);

	if (line[0].key == key)
		return &line[0];
	if (line[1].key == key)
		return &line[1];
	line[1] = line[0];
	line[0] = (struct known){ .key = key };
	return &line[0];
}

#endif
