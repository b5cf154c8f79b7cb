/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * checksum.h - finish the half-made checksums of local senders.
 *
 * A sender on the same host leaves TCP and UDP checksums to the NIC (CHECKSUM_PARTIAL: the field holds the pseudo-header sum only)
 * and a veth hands them over like that. Inside the kernel a flag says so; through AF_XDP the flag is lost and the stack would
 * drop the reinjected packet. The field is completed when, and only when, it holds exactly the pseudo-header sum and does not
 * verify: a packet with a valid checksum never changes, and a corrupt one stays corrupt but for one in 65,536.
 */
#ifndef SPILLWAY_REINJECT_CHECKSUM_H
#define SPILLWAY_REINJECT_CHECKSUM_H

#include <stdint.h>

#include "classify/parse.h"

/* 1 if the checksum at `data` was completed, 0 if it was left alone. */
int checksum_complete(uint8_t *data, const struct pkt *pkt);

#endif
