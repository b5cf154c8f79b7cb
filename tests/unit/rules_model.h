/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rules_model.h - what the statements of a rule set say of a packet, one after the other, in the plainest way they can be read.
 *
 * Knows neither image nor classifier: these are what it is compared with.
 */
#ifndef SPILLWAY_TESTS_RULES_MODEL_H
#define SPILLWAY_TESTS_RULES_MODEL_H

#include "classify/dns.h"
#include "classify/parse.h"
#include "rules/ast.h"

/* A packet: what parse.h found in it, its bytes, and the question of its DNS message. */
struct model_frame {
	struct pkt pkt;
	const uint8_t *data; /* from the Ethernet header on */
	uint32_t len;	     /* of them; pkt.frame_len may be more */
	uint8_t name[DNS_NAME_MAX + 1];
	size_t name_len; /* 0: no name */
	int type;	 /* of the question, or -1 */
};

/* `hits` has a counter for each rule, and is added to. */
void model_run(const struct rules *rules, const struct model_frame *frame, struct match *ret_match, uint32_t *hits);
/* Is the packet's source on the rule's overload list? */
bool model_listed(const struct rule *rule, const struct pkt *pkt);

#endif
