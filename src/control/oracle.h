/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * oracle.h - libpcap is asked what each rule's match says, and its answer compared with ours: `spillway test --bpf-oracle`.
 *
 * Each rule is asked alone: every packet meets every rule, whatever the rules above it decide. Only rules whose match a tcpdump
 * expression can say take part.
 */
#ifndef SPILLWAY_CONTROL_ORACLE_H
#define SPILLWAY_CONTROL_ORACLE_H

#include <stdbool.h>

#include "port/capture.h"
#include "rules/rules.h"

struct oracle;

struct oracle_rule {
	const char *expression;	   /* NULL: not compared */
	const char *reason;	   /* why not */
	unsigned long long ours;   /* packets that match by our account */
	unsigned long long theirs; /* by libpcap's */
	unsigned long long differ; /* packets on which the two disagree */
	/* Of those: packets that spillway-rules(5) says we read otherwise (tags, ARP, extension headers, unreadable headers). */
	unsigned long long explained;
};

/* The rules are turned into `count`s. 0, or negative errno with a message. */
int oracle_open(struct rules *rules, struct oracle **ret_oracle, char *ret_message, size_t size);
struct oracle *oracle_close(struct oracle *oracle); /* NULL is fine; returns NULL */

/* Called for each disagreement that nothing explains. */
typedef void (*oracle_differs)(size_t rule, bool ours, void *userdata);
void oracle_packet(struct oracle *oracle, const struct capture_frame *frame, oracle_differs differs, void *userdata);
const struct oracle_rule *oracle_rule(const struct oracle *oracle, size_t index);

#endif
