/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * set_field.h - STEP_SET: is what the packet has in this field in that set of the block? Between match.h, which asks, and set.h,
 * which knows no packets; freestanding like both.
 */
#ifndef SPILLWAY_CLASSIFY_SET_FIELD_H
#define SPILLWAY_CLASSIFY_SET_FIELD_H

#include "classify/image.h"
#include "classify/parse.h"
#include "classify/set.h"

/* The number in the field, or SET_NUMBERS, which is in no set: the packet has none. */
static __always_inline __u32 set_field_number(const struct pkt *pkt, __u32 field)
{
	switch (field) {
	case SET_SRC_PORT:
		return pkt->has_ports ? pkt->src_port : SET_NUMBERS;
	case SET_DST_PORT:
		return pkt->has_ports ? pkt->dst_port : SET_NUMBERS;
	case SET_L4_PROTO:
		return pkt->family ? pkt->l4_proto : SET_NUMBERS;
	case SET_LEN:
		return pkt->frame_len;
	case SET_IP_LEN:
		return pkt->family ? pkt->l3_end - pkt->l3_off : SET_NUMBERS;
	case SET_TTL:
		return pkt->family ? pkt->ttl : SET_NUMBERS;
	case SET_DSCP:
		return pkt->family ? pkt->dscp : SET_NUMBERS;
	case SET_VLAN:
		return pkt->n_vlans > 0 ? pkt->vlan[0] : SET_NUMBERS;
	case SET_INNER_VLAN:
		return pkt->n_vlans > 1 ? pkt->vlan[1] : SET_NUMBERS;
	default:
		return SET_NUMBERS;
	}
}

/* Fields that hold an address alone. */
static __always_inline int set_field_is_addr(__u32 field)
{
	return field == SET_SRC || field == SET_DST;
}

/* The other fields. */
static __always_inline int set_has_field_other(const struct set_block *block, const struct image_step *step,
					       const struct pkt *pkt)
{
	__u32 field = step->offset, set = step->lo & (SET_IDS_MAX - 1);
	int src = field == SET_SRC_TUPLE;
	__u64 addr[2] = { src ? pkt->src[0] : pkt->dst[0], src ? pkt->src[1] : pkt->dst[1] };

	if (step->hi && pkt->family != step->hi)
		return 0;
	if (field >= SET_SRC_PORT)
		return set_has_number(block, set, set_field_number(pkt, field));
	return set_has_tuple(block, set, pkt->family, addr, pkt->l4_proto,
			     !pkt->has_ports ? -1
			     : src	     ? pkt->src_port
					     : pkt->dst_port);
}

static __always_inline int set_has_field(const struct set_block *block, const struct image_step *step, const struct pkt *pkt)
{
	if (!set_field_is_addr(step->offset))
		return set_has_field_other(block, step, pkt);
	if (step->hi && pkt->family != step->hi)
		return 0;
	return set_has_addr(block, step->lo & (SET_IDS_MAX - 1), pkt->family, step->offset == SET_SRC ? pkt->src : pkt->dst);
}

#endif
