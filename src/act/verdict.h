/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * verdict.h - every way a packet can end, by name. Both tiers count into arrays indexed by enum verdict; each verdict belongs to
 * one tier and happens in one place. `status` prints these names, docs/troubleshooting.md explains them.
 */
#ifndef SPILLWAY_ACT_VERDICT_H
#define SPILLWAY_ACT_VERDICT_H

/* clang-format off */
/*        enum name        text name         tier    what happened */
#define VERDICT_LIST(X)                                                                                                       \
	X(PASS, "pass", "xdp", "no rule decided, default verdict: to the kernel")                                              \
	X(ALLOW, "allow", "xdp", "an allow rule: straight to the kernel")                                                      \
	X(DROP, "drop", "xdp", "a drop rule, or the default verdict drop")                                                     \
	X(DIVERT, "divert", "xdp", "handed to the user tier through the queue's port")                                         \
	X(OVERLOAD_DROP, "overload_drop", "xdp", "wanted by the user tier, which was full: dropped by the rule's policy")      \
	X(OVERLOAD_PASS, "overload_pass", "xdp", "wanted by the user tier, which was full: passed by the rule's policy")       \
	X(STALLED_PASS, "stalled_pass", "xdp", "wanted by the user tier, whose worker died or stands still: to the kernel")              \
	X(NO_PORT_PASS, "no_port_pass", "xdp", "wanted by the user tier, no port on this queue: to the kernel")                \
	X(OVERSIZE_PASS, "oversize_pass", "xdp", "wanted by the user tier, larger than its buffers (GRO, TSO): to the kernel")    \
	X(NO_IMAGE_PASS, "no_image_pass", "xdp", "armed without rules: to the kernel")                                         \
	X(FRAGMENT_PASS, "fragment_pass", "xdp", "a later fragment no rule decided: to the kernel")                            \
	X(FRAGMENT_DROP, "fragment_drop", "xdp", "a later fragment no rule decided: dropped by `on fragment`")                 \
	X(UNPARSED_PASS, "unparsed_pass", "xdp", "headers we do not know, no rule decided: to the kernel")                     \
	X(UNPARSED_DROP, "unparsed_drop", "xdp", "headers we do not know, no rule decided: dropped by `on unparsed`")          \
	X(TRUNCATED_PASS, "truncated_pass", "xdp", "headers cut short, no rule decided: to the kernel")                        \
	X(TRUNCATED_DROP, "truncated_drop", "xdp", "headers cut short, no rule decided: dropped by `on truncated`")            \
	X(USER_PASS, "user_pass", "user", "diverted and valid: reinjected on its interface")                                   \
	X(USER_DROP, "user_drop", "user", "diverted and dropped by a rule or the default verdict")                             \
	X(USER_CONDITION_DROP, "user_condition_drop", "user", "diverted, unreadable there, dropped by its `on` policy")        \
	X(REINJECT_FAILED, "reinject_failed", "user", "diverted and valid, but the kernel refused it: lost")                   \
	X(BAD_DESCRIPTOR, "bad_descriptor", "user", "a ring entry outside its buffer: quarantined, never read")
/* clang-format on */

enum verdict {
#define VERDICT_ENUM(name, text, tier, what) VERDICT_##name,
	VERDICT_LIST(VERDICT_ENUM)
#undef VERDICT_ENUM
		VERDICT_COUNT
};

/* One counter. In the XDP tier one per CPU (map `tallies`), in the user tier one per worker. */
struct hits {
	unsigned long long packets, bytes;
};

/* What a CPU counts in the XDP tier: an array of struct hits, the first by enum verdict, those from TALLY_RULES on by rule counter. */
#define TALLY_RULES 32u
#define TALLY_BYTES_MIN (1u << 15) /* a power of two */

#endif
