/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trie.h - IPv6 prefixes to the multibit trie of struct keys: how it is built. How it is read is in keys.c.
 *
 * A node is an array of entries. Its index is as many bits as there are prefixes to tell apart, within one half of the address; bits
 * that all prefixes below it share are skipped.
 */
#ifndef SPILLWAY_CLASSIFY_TRIE_H
#define SPILLWAY_CLASSIFY_TRIE_H

#include "classify/address.h"

struct trie {
	uint64_t *words; /* malloc()ed */
	size_t n, room;
	int failed; /* 0, -ENOMEM, or -E2BIG: too deep or too large */
};

/* The ends of all classes, in front of all nodes. */
void trie_begin(struct trie *trie, uint32_t n_classes);
/* A trie of these sorted prefixes, behind those that are there. Its root entry; look at trie->failed. */
uint64_t trie_add(struct trie *trie, const struct prefixes *prefixes);

#endif
