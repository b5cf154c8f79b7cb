/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * address.h - the prefixes that the rows of an image ask for: distinct, sorted, and each with the number of its class of addresses.
 */
#ifndef SPILLWAY_CLASSIFY_ADDRESS_H
#define SPILLWAY_CLASSIFY_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "classify/keys.h"

/* Classes of the addresses that lie in no prefix, and that of frames which are not IP. The others follow. */
enum { CLASS_NO_ADDRESS, CLASS_REST_IP4, CLASS_REST_IP6, CLASSES_FIXED };

/* A prefix that some row asks for; the address is a number, as in rows. */
struct class_prefix {
	__u64 addr[2];
	uint32_t class;
	uint8_t len; /* at least 1 */
};

/* The prefixes of one side and family. */
struct prefixes {
	struct class_prefix *at;
	size_t n;
};

/* By source and destination, IPv4 and IPv6. */
struct addresses {
	struct prefixes prefixes[2][2];
	uint32_t n_classes;
};

/* 0 or -ENOMEM; *ret is to be released in either case. */
int addresses_find(const struct image_row *rows, size_t n_rows, struct addresses *ret);
void addresses_fini(struct addresses *addresses);

/* The classes by number, with what is around them; see struct address_class. `ret` has room for all, zeroed. */
void addresses_fill(const struct addresses *addresses, struct address_class *ret);

#endif
