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

int literal_number(struct word word, const char *what, uint32_t max, uint32_t *ret, char message[LITERAL_MESSAGE_MAX]);
/* N or A-B */
int literal_range(struct word word, const char *what, uint32_t max, struct range *ret, char message[LITERAL_MESSAGE_MAX]);
/* The same, or a port's name */
int literal_port(struct word word, struct range *ret, char message[LITERAL_MESSAGE_MAX]);
bool literal_is_port_name(struct word word);
int literal_proto(struct word word, struct range *ret, char message[LITERAL_MESSAGE_MAX]);
bool literal_is_proto_name(struct word word);
const char *literal_proto_name(uint32_t number); /* or NULL */
int literal_ether_proto(struct word word, struct range *ret, char message[LITERAL_MESSAGE_MAX]);
/* ADDRESS or ADDRESS/LEN */
int literal_prefix(struct word word, struct prefix *ret, char message[LITERAL_MESSAGE_MAX]);
bool literal_is_address(struct word word); /* was one meant, right or wrong? */
bool prefix_is_host(const struct prefix *prefix);
#define PREFIX_TEXT_MAX 52
void prefix_to_text(const struct prefix *prefix, char ret_text[PREFIX_TEXT_MAX]); /* no /LEN behind a whole address */
int literal_hex(struct word word, uint8_t ret_bytes[IMAGE_PAYLOAD_MAX], size_t *ret_len, char message[LITERAL_MESSAGE_MAX]);
int literal_name(struct arena *arena, struct word word, struct wire_name *ret, char message[LITERAL_MESSAGE_MAX]);

#endif
