/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * box.h - a match as a union of boxes: in each, every field of a packet lies in one range or prefix.
 *
 * For statements about rules (check.c): can it ever match, is it covered by another. What a box cannot say (payload, DNS, long lists,
 * `not` of a prefix) is left out of it, so the boxes of a match always hold every packet that it matches; `exact` says that they hold
 * no other.
 */
#ifndef SPILLWAY_RULES_BOX_H
#define SPILLWAY_RULES_BOX_H

#include "rules/ast.h"

#define BOXES_MAX 64 /* of one match; more is told as not exact */

/* Fields. -1 is a packet that has none. */
enum dimension {
	DIMENSION_FAMILY,
	DIMENSION_ETH_TYPE,
	DIMENSION_PROTO,
	DIMENSION_SRC_PORT,
	DIMENSION_DST_PORT,
	DIMENSION_LEN,
	DIMENSION_TTL,
	DIMENSION_DSCP,
	DIMENSION_ICMP, /* type << 8 | code */
	DIMENSION_VLAN,
	DIMENSION_INNER_VLAN,
	DIMENSION_COUNT,
};

struct interval {
	int32_t lo, hi;
};

struct box {
	struct prefix src, dst; /* family 0: any */
	struct interval in[DIMENSION_COUNT];
};

struct boxes {
	struct box box[BOXES_MAX];
	size_t n; /* 0: no packet */
	bool exact;
};

int boxes_of(const struct expr *expr, struct boxes *ret_boxes); /* 0 or -ENOMEM */
bool box_covers(const struct box *outer, const struct box *inner);
bool box_meet(const struct box *a, const struct box *b); /* is any packet in both? */
/* Is the field limited beyond what every box's protocol says? */
bool box_is_any(const struct box *box, enum dimension dimension);

#endif
