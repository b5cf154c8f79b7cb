/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * names.h - a set of DNS names, asked whether it has a name, or a name that this one lies under.
 *
 * User tier only: the XDP tier does not parse names, so this is plain memory. One thread changes it, and others ask meanwhile:
 * a name is visible or not. What they may be looking at is not freed before names_free(), and that is the owner's to time; so the
 * bytes of deleted names stay, and names_stale() says when a fresh copy is worth it.
 *
 * Names are in wire form, lower case, with root byte (classify/dns.h).
 */
#ifndef SPILLWAY_SETS_NAMES_H
#define SPILLWAY_SETS_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct names;

struct names *names_new(void);		       /* NULL: out of memory */
struct names *names_free(struct names *names); /* NULL is fine; returns NULL */

/* `deadline_ns` 0: stays; of a name that is there already it is set anew. 1: was not there before, 0: was, or -ENOMEM. */
int names_add(struct names *names, const uint8_t *name, size_t len, uint64_t deadline_ns);
bool names_del(struct names *names, const uint8_t *name, size_t len); /* was it there? */
size_t names_expire(struct names *names, uint64_t now_ns);	      /* delete what has a deadline at or before now; how many */
uint64_t names_deadline(const struct names *names);		      /* no name's deadline is before this; 0: none has one */

/* Any thread: */
bool names_has(const struct names *names, const uint8_t *name, size_t len);
bool names_under(const struct names *names, const uint8_t *name, size_t len); /* has it, or a name above it */

size_t names_count(const struct names *names);
/* The next name from *at (0 at first) on, in no order; NULL: no more. No change between. */
const uint8_t *names_next(const struct names *names, size_t *at, size_t *ret_len, uint64_t *ret_deadline_ns);
bool names_stale(const struct names *names);
/* A new set with the same names. NULL: out of memory. */
struct names *names_copy(const struct names *names);

#endif
