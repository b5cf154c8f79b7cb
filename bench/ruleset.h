/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ruleset.h - rules of several fields as people write them: a seeded generator, their text for spillway, packets that match them or
 * just miss, and the oracle that tries one rule after the other. One address family a set.
 */
#ifndef SPILLWAY_BENCH_RULESET_H
#define SPILLWAY_BENCH_RULESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "header.h"

enum ruleset_shape {
	RULESET_ACL,   /* an access list: long prefixes on both sides, a service by port; some rules allow */
	RULESET_FW,    /* a firewall: short prefixes or none, port ranges on both sides; half of the rules allow */
	RULESET_FLOOD, /* attack signatures: a service that reflects, or a victim's port, with a frame length; all drop */
	RULESET_SHAPE_COUNT,
};

struct interval {
	uint16_t first, last; /* inclusive, host order */
};

struct ruleset_rule {
	uint8_t src[16], dst[16]; /* bits behind the prefix are zero */
	uint8_t src_len, dst_len; /* 0: any */
	uint8_t proto;		  /* 0: any */
	bool drops;		  /* else it allows */
	struct interval src_port, dst_port, len;
};

struct ruleset {
	struct ruleset_rule *rules;
	uint32_t n;
	int family;
};

const char *ruleset_shape_name(enum ruleset_shape shape);
int ruleset_init(struct ruleset *ruleset, enum ruleset_shape shape, int family, uint32_t n, uint64_t seed); /* 0 or -ENOMEM */
void ruleset_fini(struct ruleset *ruleset);

char *ruleset_text(const struct ruleset *ruleset, size_t *ret_len); /* NULL: out of memory; free() it */

struct dice;
/* A packet of rule `index`; an earlier rule may match it, too. Or one that misses that rule in one field, and most likely the others. */
void ruleset_packet(const struct ruleset *ruleset, uint32_t index, bool hit, struct dice *dice, struct header *ret_header);

/* The first rule that matches, or NULL. */
const struct ruleset_rule *ruleset_match(const struct ruleset *ruleset, const struct header *header);

#endif
