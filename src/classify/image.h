/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * image.h - the compiled rule set, as every tier reads it.
 *
 * The image is memory, not API calls: one flat, position-independent value of a BPF_F_MMAPABLE array map. rules/build.c writes
 * it in user space, the map-in-map `images` publishes it by one update, and the XDP program (bpf/spillway.bpf.c) and the worker
 * (path.c) read the same bytes. There are no pointers in it: regions are byte offsets from its start, all else are indices.
 *
 * A rule is one or more boxes (source and destination prefix, port ranges, protocol), each a row, and, where a box cannot say all
 * of it, a residual program of questions that only jumps forward. Rows lie in a pruned tuple space (Srinivasan, Suri and
 * Varghese, SIGCOMM 1999): rows with the same prefix lengths form a group, a packet's masked header is hashed once a group, and
 * filters say beforehand which groups can hold anything for it. How it is asked is match.h.
 *
 *	header    counts, offsets, policies, filters' places
 *	bits      of few rules: per field and what it may hold, one bit a row; then the rows once more
 *	rules     what each rule does, by its number: the lowest that matches comes first
 *	groups    how to mask and hash for each group, those with the lowest rules first
 *	filters   per value of some header bits, one bit a group
 *	slots     hash table: a run of rows, with a tag of the hash
 *	rows      per row: ports and protocol, prefixes, residual program, rule
 *	steps     the residual programs and overload lists
 *	names     DNS names in wire form
 *	insns     classic BPF of tcpdump expressions
 *
 * Named sets are not in it: a step names one by its id, and the set block (set.h) of this image holds them all. So a set changes
 * while the image stays.
 */
#ifndef SPILLWAY_CLASSIFY_IMAGE_H
#define SPILLWAY_CLASSIFY_IMAGE_H

#include <linux/types.h>

#define IMAGE_MAGIC 0x4c495053u /* "SPIL" in memory on a little-endian host */
#define IMAGE_VERSION 3u
#define IMAGE_BYTES_MIN (1u << 18) /* smallest and */
#define IMAGE_BYTES_MAX (1u << 27) /* largest size class of an image; powers of two */
#define IMAGE_RULES_MAX 131072u	   /* power of two */
#define IMAGE_NO_RULE IMAGE_RULES_MAX
#define IMAGE_COUNTERS_MAX (2 * IMAGE_RULES_MAX) /* an old and a new rule set at once */
#define IMAGE_GROUPS_MAX 256u			 /* power of two */
#define IMAGE_WORDS_MAX (IMAGE_GROUPS_MAX / 64)
#define IMAGE_ROWS_MAX (1u << 20)
#define IMAGE_STEPS_MAX (1u << 20)
#define IMAGE_STEPS_RULE_MAX 4096u /* of one residual program: what a reader follows at most */
#define IMAGE_NAMES_MAX (1u << 24)
#define IMAGE_INSNS_MAX (1u << 18)
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
	STEP_END,      /* the answer is no */
	STEP_RULE,     /* the answer is yes */
	STEP_FAMILY,   /* lo = 4 or 6 */
	STEP_ETH_TYPE, /* lo = EtherType behind the VLAN tags, host order */
	STEP_L4_PROTO, /* lo = IP protocol behind the extension headers; true for later fragments too */
	STEP_SRC_NET,  /* lo = family; value, mask = address words as in the packet */
	STEP_DST_NET,
	STEP_SRC_PORT, /* lo..hi, host order, inclusive; false without a port (other protocol, later fragment, truncated) */
	STEP_DST_PORT,
	STEP_LEN,	/* lo..hi: frame length in bytes, Ethernet header to end of data, as tcpdump's `len` */
	STEP_IP_LEN,	/* lo..hi: length of the IP packet, header included, as far as it is in the frame */
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
	STEP_SET,	/* offset = enum set_field; lo = the set's id in the block (set.h), hi = family or 0: either */
	STEP_DNS_UNDER, /* user tier: question name equals or lies under names[offset .. offset+len), wire form, lower case */
	STEP_DNS_NAME,	/* user tier: question name equals names[offset ..] */
	STEP_DNS_TYPE,	/* user tier: lo..hi: the question's type */
	STEP_DNS_VALID, /* user tier: there is a question that can be read */
	STEP_DNS_UNDER_SET, /* user tier: the question name or one above it is in names set lo (index among the rules' sets) */
	STEP_DNS_NAME_SET,  /* user tier: the question name is in names set lo */
	STEP_DNS_TYPE_SET,  /* user tier: the question's type is in set lo of the block */
	STEP_BPF,	    /* user tier: insns[offset .. offset+len) accepts the frame */
	STEP_KIND_COUNT,
};

/* What STEP_SET looks for in its set: an address, an address with protocol and port of its side, or, from SET_SRC_PORT on, a number. */
enum set_field {
	SET_SRC,
	SET_DST,
	SET_SRC_TUPLE,
	SET_DST_TUPLE,
	SET_SRC_PORT,
	SET_DST_PORT,
	SET_L4_PROTO,
	SET_LEN,
	SET_IP_LEN,
	SET_TTL,
	SET_DSCP,
	SET_VLAN,
	SET_INNER_VLAN,
	SET_FIELD_COUNT,
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
	__u8 kind;  /* enum step_kind */
	__u8 alone; /* not a deep one, and all of its program: its answer is the program's */
	__u16 len;
	__u32 offset;
	__u32 next_yes; /* always greater than this step's own index, except STEP_END and STEP_RULE */
	__u32 next_no;
	__u32 lo, hi;
	__u64 value[2], mask[2]; /* bytes in packet order, value already masked */
	__u64 pad1;
};
_Static_assert(sizeof(struct image_step) == 64, "one cache line a step");

/* Classic BPF as libpcap writes it (struct bpf_insn): the programs of `bpf "..."`, one after the other. */
struct image_insn {
	__u16 code;
	__u8 jt, jf;
	__u32 k;
};

/* Whose packets share a bucket of a limit. */
enum rule_per { PER_RULE, PER_SRC, PER_DST };

struct image_rule {
	__u8 action;		 /* enum rule_action */
	__u8 overload;		 /* enum overload_policy, divert only */
	__u8 expired;		 /* its ttl is over: written in place while others read */
	__u8 per;		 /* enum rule_per, limit only */
	__u8 per_len4, per_len6; /* prefix lengths of a bucket */
	__u8 by_bits;		 /* cost is a byte's */
	__u8 expires;		 /* it has a ttl, so `expired` has to be looked at */
	__u32 overload_step; /* OVERLOAD_ALLOW: entry of its own small program: STEP_SRC_NET steps or one STEP_SET, then STEP_RULE = listed, STEP_END = not */
	__u32 overload_n;
	__u32 counter;	/* of hits; kept across rule sets while the rule's text is the same */
	__u32 line;	/* of the source text, for messages */
	__u64 cost;	/* limit: of a packet or byte, in ns << LIMIT_SHIFT (act/limit.h) */
	__u64 burst;	/* limit: what may be taken at once, likewise */
	__s32 queue;	/* divert: the one whose packets it diverts, -1: of all */
	__u32 sample_n; /* sample: every n-th packet of the rule, a CPU */
	__u32 pad1[4];
};
_Static_assert(sizeof(struct image_rule) == 64, "power of two: readers mask offsets with it");

/* Addresses here and in rows are numbers: the first bit of the packet's is the highest, IPv4 in the upper half of the first word. */
struct image_group {
	__u64 src_mask[2], dst_mask[2];
	__u32 ports_mask; /* source port in the upper half */
	__u32 first_rule; /* lowest rule of any of its rows */
	__u32 salt;	  /* tells equal values of different groups apart */
	__u32 pad[5];
};
_Static_assert(sizeof(struct image_group) == 64, "one cache line a group");

/* A slot of the hash table: 0, or a run of rows. Two groups' values may share a slot: then no tag is told. */
#define SLOT_ROW(slot) ((__u32)(slot)&0xffffffu)
#define SLOT_ROWS(slot) ((__u32)((slot) >> 24) & 0xffffffu)
#define SLOT_TAG(slot) ((__u32)((slot) >> 48))
#define SLOT_TAG_ANY 0xffffu

enum image_lane { LANE_SRC_PORT, LANE_DST_PORT, LANE_PROTO, LANE_HAS_PORTS, LANE_COUNT };
#define LANE_PROTO_NONE 0xffffu /* of a packet that is not IP */

struct image_range {
	__u16 lo[LANE_COUNT], hi[LANE_COUNT]; /* inclusive */
};

#define ROW_FAMILY_ANY 0
#define ROW_NO_STEP 0xffffffffu
struct image_row {
	struct image_range range; /* what most rows fail by */
	__u64 src[2], dst[2];
	__u8 src_len, dst_len; /* prefix lengths, IPv4's 0 to 32 */
	__u8 family;	       /* 4, 6 or ROW_FAMILY_ANY */
	__u8 action;	       /* of its rule, if that does nothing but end the search and be counted; else ROW_ASK_RULE */
	__u32 rule;
	__u32 step;    /* of the residual program, or ROW_NO_STEP */
	__u32 counter; /* of its rule */
};
#define ROW_ASK_RULE 0xffu
_Static_assert(sizeof(struct image_row) == 64, "one cache line a row");

/* Which header bits a filter looks at: three lengths of either address, chosen by what the groups have. */
enum image_filter_kind {
	FILTER_SRC_SHORT,
	FILTER_SRC_LONG,
	FILTER_SRC_HOST,
	FILTER_DST_SHORT,
	FILTER_DST_LONG,
	FILTER_DST_HOST,
	FILTER_PAIR_SHORT, /* of both together */
	FILTER_PAIR_LONG,
	FILTER_PAIR_HOST,
	FILTER_DST_PORT,
	FILTER_COUNT,
};

/*
 * Of up to BITS_ROWS_MAX rows there are bit vectors, too (bits.h): rows by the order of their rules, a bit each. An address is looked
 * up in a trie whose nodes are arrays of 64-bit entries: where the next node lies, and how to come from the address to an index into
 * it; ports and protocols in tables.
 */
#define BITS_ROWS_MAX 256u
#define BITS_WORDS (BITS_ROWS_MAX / 64)
#define BITS_SHIFT_SHIFT 32    /* by how much to shift the address, so that the index ends at bit 0 */
#define BITS_LOW (1ull << 38)  /* of an IPv6 address, the lower half is shifted */
#define BITS_MORE (1ull << 39) /* a node; else the end of the way: a vector, whose offset is that of `self` */
#define BITS_MASK_SHIFT 48     /* 16 bits: of the index */
#define BITS_DEPTH_MAX 32u     /* nodes on a way */
#define BITS_PROTOS (3 * 512u) /* by family, ports or none, protocol */

struct image_bits {
	__u64 rows[BITS_WORDS];
	__u64 self; /* the entry that led here: a node of one, for who is here and still makes a step */
	__u64 pad[3];
};
_Static_assert(sizeof(struct image_bits) == 64, "one cache line a vector");

struct image_filter {
	__u32 offset;	   /* bytes from the image's start */
	__u32 shift;	   /* of the 64-bit hash, so that an index is left */
	__u32 mask;	   /* number of entries less one; 0: this filter tells nothing, its entry is all ones */
	__u32 entry_shift; /* log2 of an entry's bytes: 3, one word; or 5, four. Four words are read from the last one on, too */
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
	__u32 bytes;	  /* of all regions together */
	__u32 generation; /* grows by one with each published image; see IMAGE_SET_SLOT() */
	__u64 checksum;	  /* XXH3 over everything behind this field; checked before publishing */
	__u32 n_rules, n_groups, n_words, n_rows, n_steps, n_names, n_insns;
	__u32 slot_shift, slot_mask;
	__u32 rules, groups, slots, rows, steps, names, insns; /* offsets in bytes */
	__u8 default_action;				       /* ACTION_PASS or ACTION_DROP */
	__u8 policy[CONDITION_COUNT];			       /* ACTION_PASS (0 means: the default) or ACTION_DROP */
	__u8 has_divert;				       /* some rule diverts: without one no port is opened */
	__u8 has_filters;
	__u8 one_group;		    /* at most */
	__u8 lone_row;		    /* the run lone_slot is one row, whose box holds everything */
	__u8 bits[3][FILTER_COUNT]; /* how many address bits each filter takes, by family: none, IPv4, IPv6 */
	struct image_filter filters[FILTER_COUNT];
	__u64 family_groups[3][IMAGE_WORDS_MAX]; /* groups that packets of no family, IPv4, IPv6 can match */
	__u64 bits_roots[3][2]; /* entries: by family, of source and destination address; 0: there are no vectors */
	__u32 bits_ports[2];	/* offsets: 256 pages of 256 ports, as offsets */
	__u32 bits_protos;	/* offset */
	__u32 bits_rows;	/* offset: the rows once more, in the order of their bits */
	__u64 lone_slot; /* one_group, and its key has no bit: the run of rows that every header of its families meets; else 0 */
	__u64 pad1[3];
};

/*
 * Which of the two set blocks belongs to the image. The next image has the other, which is put there before and taken away when the
 * image is gone: so nobody sees an image with a block in which its sets have other ids.
 */
#define IMAGE_SET_SLOTS 2u
#define IMAGE_SET_SLOT(image) ((image)->generation & (IMAGE_SET_SLOTS - 1))

#define IMAGE_BITS ((__u32)(sizeof(struct image) + 63) / 64 * 64) /* offset of the bit vectors, if there are any */

/* What an image decided of one packet (match.h). */
struct match {
	__u8 action;	   /* ACTION_ALLOW, _DROP or _PASS */
	__u8 diverted;	   /* a divert rule matched */
	__u8 ask_user;	   /* a deep question is open: only the user tier can decide */
	__u8 condition;	   /* the condition whose `on` policy decided, or CONDITION_NONE: a rule or the default did */
	__u32 rule;	   /* that decided, or IMAGE_NO_RULE */
	__u32 divert_rule; /* last that diverted; valid if diverted */
};

#endif
