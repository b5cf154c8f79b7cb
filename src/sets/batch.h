/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * batch.h - many addresses asked of one set at once: each answer is set_has_addr()'s, but the memory of all is fetched together.
 */
#ifndef SPILLWAY_SETS_BATCH_H
#define SPILLWAY_SETS_BATCH_H

#include <stdint.h>

#include "classify/set.h"

/* `addrs` as in struct pkt, all of one family, 4 or 6. ret_has[i]: 0 or 1. */
void set_has_addrs(const struct set_block *block, uint32_t set, uint32_t family, const __u64 (*addrs)[2], uint32_t n,
		   uint8_t *ret_has);

#endif
