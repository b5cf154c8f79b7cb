/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * image.h - the compiled rule set, as every tier reads it.
 *
 * The image is memory, not API calls: one flat, position-independent value of a BPF_F_MMAPABLE array map. rules/build.c writes
 * it in user space, the map-in-map `images` publishes it by one update, and the XDP program (bpf/spillway.bpf.c) and the worker
 * (path.c) read the same bytes. There are no pointers in it; every reference is an index.
 *
 * A rule set is a decision program that only jumps forward. Each step asks one question about the packet and names the step that
 * follows on yes and on no, so `and`, `or`, `not` and lists cost nothing but the steps they contain. A reader follows at most
 * IMAGE_STEPS_MAX steps, which is what makes it verifiable.
 */
#ifndef SPILLWAY_CLASSIFY_IMAGE_H
#define SPILLWAY_CLASSIFY_IMAGE_H

#include <linux/types.h>

#define IMAGE_MAGIC 0x4c495053u /* "SPIL" in memory on a little-endian host */
#define IMAGE_VERSION 1u
#define IMAGE_STEPS_MAX 1024u			 /* power of two: readers mask indices with it */
#define IMAGE_RULES_MAX 256u			 /* power of two */
#define IMAGE_COUNTERS_MAX (2 * IMAGE_RULES_MAX) /* an old and a new rule set at once */
#define IMAGE_NAMES_MAX 8192u
#define IMAGE_INSNS_MAX 4096u
#define IMAGE_BPF_MAX 1024u	  /* instructions of one `bpf "..."` */
#define IMAGE_PAYLOAD_MAX 16u	  /* bytes one payload step compares */
#define IMAGE_OVERLOAD_MAX 64u	  /* prefixes on one rule's overload allow-list */
#define IMAGE_PAYLOAD_REACH 1024u /* highest payload offset a step may name */

/* What a rule does. Those up to ACTION_LIMIT go on to the next rule, the others end the search. */
enum rule_action {
	ACTION_COUNT,
	ACTION_DIVERT,
	ACTION_SAMPLE, /* every n-th packet's first bytes are offered to whoever watches */
	ACTION_LIMIT,  /* goes on for packets within the rate; those above it are dropped */
	ACTION_ALLOW,  /* straight to the kernel, never through the user tier */
	ACTION_DROP,
	ACTION_PASS,
	ACTION_KIND_COUNT,
};

/* What becomes of a packet whose divert rule matched while the user tier cannot take more. Declared per divert rule. */
enum overload_policy {
	OVERLOAD_DROP,
	OVERLOAD_PASS,
	OVERLOAD_SAMPLE, /* pass 1 in overload_n to the kernel, drop the rest */
	OVERLOAD_ALLOW,	 /* sources on the rule's allow-list pass to the kernel, the rest is dropped */
	OVERLOAD_POLICY_COUNT,
};

/* One question. The comment gives the operands; all but `kind`, `next_yes`, `next_no` are zero where not named. */
enum step_kind {
	STEP_END,      /* no rule decided: the condition's policy, then the default verdict */
	STEP_RULE,     /* `rule` matched; count and divert go on at next_yes */
	STEP_FAMILY,   /* lo = 4 or 6 */
	STEP_ETH_TYPE, /* lo = EtherType behind the VLAN tags, host order */
	STEP_L4_PROTO, /* lo = IP protocol behind the extension headers; true for later fragments too */
	STEP_SRC_NET,  /* lo = family; value, mask = address words as in the packet */
	STEP_DST_NET,
	STEP_SRC_PORT, /* lo..hi, host order, inclusive; false without a port (other protocol, later fragment, truncated) */
	STEP_DST_PORT,
	STEP_LEN,	/* lo..hi: frame length in bytes, Ethernet header to end of data, as tcpdump's `len` */
	STEP_PAYLOAD,	/* `len` bytes at `offset` behind the transport header: (bytes & mask) == value; false beyond the frame */
	STEP_TTL,	/* lo..hi: TTL or hop limit */
	STEP_DSCP,	/* lo..hi */
	STEP_TCP_FLAGS, /* (flags & hi) == lo, 12 bits with the reserved ones; false without a TCP header */
	STEP_ICMP,	/* lo..hi: type << 8 | code, of ICMP or ICMPv6, whichever the packet has */
	STEP_ICMP_CODE, /* lo..hi: the code, whatever the type */
	STEP_FRAG,	/* any of the FRAG_ bits in lo */
	STEP_OPTIONS,	/* IPv4 options; IPv6 hop-by-hop or destination options */
	STEP_ETHER,	/* `len` bytes at `offset` in the frame, compared as in STEP_PAYLOAD */
	STEP_VLAN,	/* offset = 0: outer tag, 1: inner; lo..hi: identifier */
	STEP_DNS_UNDER, /* user tier: question name equals or lies under names[offset .. offset+len), wire form, lower case */
	STEP_DNS_NAME,	/* user tier: question name equals names[offset ..] */
	STEP_DNS_TYPE,	/* user tier: lo..hi: the question's type */
	STEP_DNS_VALID, /* user tier: there is a question that can be read */
	STEP_BPF,	/* user tier: insns[offset .. offset+len) accepts the frame */
	STEP_KIND_COUNT,
};

/* What part of an IP packet a frame holds (pkt.frag, STEP_FRAG). Exactly one of the first three, if it is one. */
enum {
	FRAG_NONE = 1, /* the whole packet */
	FRAG_FIRST = 2,
	FRAG_LATER = 4,
	FRAG_LAST = 8, /* with FRAG_LATER: the last one */
	FRAG_DF = 16,  /* IPv4: don't fragment */
};

struct image_step {
	__u8 kind; /* enum step_kind */
	__u8 pad0;
	__u16 next_yes; /* always greater than this step's own index, except STEP_END */
	__u16 next_no;
	__u16 rule; /* STEP_RULE: index into rules[] */
	__u32 lo, hi;
	__u16 offset, len;
	__u32 pad1;
	__u64 value[2], mask[2]; /* bytes in packet order, value already masked */
	__u64 pad2;
};
_Static_assert(sizeof(struct image_step) == 64, "one cache line a step");

/* Classic BPF as libpcap writes it (struct bpf_insn): the programs of `bpf "..."`, one after the other. */
struct image_insn {
	__u16 code;
	__u8 jt, jf;
	__u32 k;
};

struct image_rule {
	__u8 action;   /* enum rule_action */
	__u8 overload; /* enum overload_policy, divert only */
	__u16 overload_step; /* OVERLOAD_ALLOW: entry of its own small program: STEP_SRC_NET steps, then STEP_RULE = listed, STEP_END = not */
	__u32 overload_n;
	__u32 counter; /* index into rule_hits; kept across rule sets while the rule's text is the same */
	__u32 line;    /* of the source text, for messages */
};

/* Why a packet could not be read to its end. Rules still see what was readable; these decide when no rule did. */
enum pkt_condition {
	CONDITION_NONE,
	CONDITION_FRAGMENT,  /* a later fragment: no ports */
	CONDITION_UNPARSED,  /* unknown or too many extension headers, more than two VLAN tags, bad header length */
	CONDITION_TRUNCATED, /* a header runs past the end of the frame */
	CONDITION_COUNT,
};

struct image {
	__u32 magic, version;
	__u32 bytes;	  /* sizeof(struct image) */
	__u32 generation; /* grows by one with each published image */
	__u64 checksum;	  /* XXH3 over everything behind this field; checked before publishing */
	__u32 n_steps, n_rules;
	__u32 n_names;
	__u8 default_action;	      /* ACTION_PASS or ACTION_DROP */
	__u8 policy[CONDITION_COUNT]; /* ACTION_PASS (0 means: the default) or ACTION_DROP */
	__u8 has_divert;	      /* some rule diverts: without one no port is opened */
	__u8 pad0[2];
	__u32 n_insns;
	__u32 pad1;
	struct image_step steps[IMAGE_STEPS_MAX];
	struct image_rule rules[IMAGE_RULES_MAX];
	__u8 names[IMAGE_NAMES_MAX];
	struct image_insn insns[IMAGE_INSNS_MAX];
};

/* What an image decided of one packet (match.h). */
struct match {
	__u8 action;	   /* ACTION_ALLOW, _DROP or _PASS */
	__u8 diverted;	   /* a divert rule matched */
	__u8 ask_user;	   /* a deep question is open: only the user tier can decide */
	__u8 condition;	   /* the condition whose `on` policy decided, or CONDITION_NONE: a rule or the default did */
	__u16 rule;	   /* that decided, or IMAGE_RULES_MAX */
	__u16 divert_rule; /* last that diverted; valid if diverted */
};

#endif
