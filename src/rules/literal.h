/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * literal.h - one word to one value: addresses, prefixes, numbers, ports, hex strings, DNS names.
 *
 * Pure: no lookups (NSS, DNS), no positions. Each returns 0, or -EINVAL with a message that says what is wrong and what would be
 * right.
 */
#ifndef SPILLWAY_RULES_LITERAL_H
#define SPILLWAY_RULES_LITERAL_H

#include "rules/ast.h"

#define LITERAL_MESSAGE_MAX 320

/* A word of the text; not NUL-terminated. */
struct word {
	const char *text;
	size_t len;
};

bool word_is(struct word word, const char *text);
/* How to print a word within a message: "%.*s", WORD_ARG(word). Long ones are cut. */
#define WORD_ARG(word) ((int)((word).len > 60 ? 60 : (word).len)), (word).text

/* Words that stand for numbers. */
enum vocabulary {
	VOCABULARY_PORT,
	VOCABULARY_PROTO,
	VOCABULARY_ETHER_PROTO,
	VOCABULARY_DSCP,
	VOCABULARY_FLAG,
	VOCABULARY_ICMP,
	VOCABULARY_ICMP6,
	VOCABULARY_FRAG,
	VOCABULARY_DNS_TYPE,
	VOCABULARY_COUNT,
};

bool vocabulary_has(enum vocabulary vocabulary, struct word word);
const char *vocabulary_word(enum vocabulary vocabulary, uint32_t number); /* or NULL */

int literal_number(struct word word, const char *what, uint32_t max, uint32_t *ret, char message[LITERAL_MESSAGE_MAX]);
/* N or A-B */
int literal_range(struct word word, const char *what, uint32_t max, struct range *ret, char message[LITERAL_MESSAGE_MAX]);
/* The same, or a port's name */
int literal_port(struct word word, struct range *ret, char message[LITERAL_MESSAGE_MAX]);
int literal_proto(struct word word, struct range *ret, char message[LITERAL_MESSAGE_MAX]);
int literal_ether_proto(struct word word, struct range *ret, char message[LITERAL_MESSAGE_MAX]);
int literal_dscp(struct word word, struct range *ret, char message[LITERAL_MESSAGE_MAX]);
int literal_dns_type(struct word word, struct range *ret, char message[LITERAL_MESSAGE_MAX]);
int literal_frag(struct word word, struct range *ret, char message[LITERAL_MESSAGE_MAX]); /* lo = bits */
/* SET/MASK, each a number or names joined by `,` or `+`; lo = set, hi = mask */
int literal_flags(struct word word, struct range *ret, char message[LITERAL_MESSAGE_MAX]);
#define FLAGS_TEXT_MAX 128
void flags_to_text(uint32_t flags, char joint, char ret_text[FLAGS_TEXT_MAX]);
/* TYPE[/CODE]: a range of type << 8 | code */
int literal_icmp_type(struct word word, bool ip6, struct range *ret, char message[LITERAL_MESSAGE_MAX]);
int literal_mac(struct word word, struct mac *ret, char message[LITERAL_MESSAGE_MAX]);
/* 90s, 10m, 1h30m, 7d */
int literal_duration(struct word word, uint32_t *ret_s, char message[LITERAL_MESSAGE_MAX]);
#define DURATION_TEXT_MAX 32
void duration_to_text(uint32_t s, char ret_text[DURATION_TEXT_MAX]);
/* 2000, 20k, 1M, 10G: decimal */
int literal_scaled(struct word word, const char *what, uint64_t *ret, char message[LITERAL_MESSAGE_MAX]);
/* 1/N */
int literal_one_in(struct word word, uint32_t *ret_n, char message[LITERAL_MESSAGE_MAX]);
/* ADDRESS or ADDRESS/LEN; behind `net` also 10 and 192.168, tcpdump's short forms. */
int literal_prefix(struct word word, bool net, struct prefix *ret, char message[LITERAL_MESSAGE_MAX]);
/* The plainest IPv4 address or prefix: false for all else, right or wrong. For a million of them. */
bool literal_plain_prefix(struct word word, struct prefix *ret);
/* ADDRESS `mask` MASK */
int literal_mask(struct word word, struct word address, struct prefix *ret, char message[LITERAL_MESSAGE_MAX]);
bool literal_is_address(struct word word); /* was one meant, right or wrong? */
bool prefix_is_host(const struct prefix *prefix);
#define PREFIX_TEXT_MAX 52
void prefix_to_text(const struct prefix *prefix, char ret_text[PREFIX_TEXT_MAX]); /* no /LEN behind a whole address */
int literal_hex(struct word word, uint8_t ret_bytes[IMAGE_PAYLOAD_MAX], size_t *ret_len, char message[LITERAL_MESSAGE_MAX]);
int literal_name(struct arena *arena, struct word word, struct wire_name *ret, char message[LITERAL_MESSAGE_MAX]);

#endif
