/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load_text.h - what bench `load` loads, written once for each contender: a set of addresses with one rule that drops them, or
 * many rules, in the language of spillway, of nft(8) and of ipset(8).
 */
#ifndef SPILLWAY_BENCH_LOAD_TEXT_H
#define SPILLWAY_BENCH_LOAD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum load_kind {
	LOAD_HOSTS,    /* single addresses: what nft and ipset hold in a hash */
	LOAD_PREFIXES, /* half networks, half hosts, none in another: nft refuses overlaps */
	LOAD_RULES,    /* of five fields, ClassBench's acl */
	LOAD_KIND_COUNT,
};

struct load_entry {
	uint8_t addr[16]; /* network order, IPv4 in the first four bytes, the rest zero */
	unsigned len;
};

/* Entry `i` of a set: always the same, another one for each `i`. */
void load_entry_fill(enum load_kind kind, uint8_t ip, size_t i, struct load_entry *ret_entry);
struct load_texts {
	char directory[64];
	char rules[96], list[96], nft[96], ipset[96];  /* paths; rules names list. LOAD_RULES has no list and no ipset */
	char nft_changes[2][96], ipset_changes[2][96]; /* of load_changes_write(): add, delete */
};

/* In a new directory under /tmp. 0 or negative errno. */
int load_texts_write(enum load_kind kind, uint8_t ip, size_t n, uint64_t seed, struct load_texts *ret_texts);
/* Entries [first, first + n) of the set as commands that add them, and that delete them again. 0 or negative errno. */
int load_changes_write(enum load_kind kind, uint8_t ip, size_t first, size_t n, const struct load_texts *texts);
void load_texts_remove(const struct load_texts *texts);

#endif
