/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dns.h - the question name of a DNS message over UDP (RFC 1035 section 4.1), and names as text.
 *
 * Host only: the XDP tier does not parse names. A name is held in wire form, lower case: labels with their length bytes, then the
 * zero byte of the root, at most 255 bytes together. Two names are the same when their bytes are the same.
 */
#ifndef SPILLWAY_CLASSIFY_DNS_H
#define SPILLWAY_CLASSIFY_DNS_H

#include <stddef.h>
#include <stdint.h>

#define DNS_NAME_MAX 255
#define DNS_LABEL_MAX 63
#define DNS_TEXT_MAX 1024 /* longest text of a name, with its NUL: four characters a byte at worst */

/*
 * Copy the first question's name out of a UDP payload, lower-cased. 0, or -EBADMSG when there is none that can be read: shorter
 * than a header, no question, a label over 63 bytes, a compression pointer (nothing to point at yet), a name over 255 bytes, or
 * one that runs past the payload. Queries and responses are alike.
 */
int dns_question(const uint8_t *payload, size_t len, uint8_t ret_name[DNS_NAME_MAX + 1], size_t *ret_len);

/* The first question's type, where dns_question() found a name of `name_len` bytes; -1: type and class lie beyond the payload. */
int dns_question_type(const uint8_t *payload, size_t len, size_t name_len);

/* Does `name` equal `suffix` or lie below it? Both in wire form with their root byte. */
int dns_name_under(const uint8_t *name, size_t len, const uint8_t *suffix, size_t suffix_len);

/*
 * Text as in master files (RFC 1035 section 5.1: \DDD and \X, final dot optional) to wire form. 0, or -EINVAL: bad escape,
 * -ENODATA: empty label, -EMSGSIZE: label over 63 bytes, -ENAMETOOLONG: name over 255 bytes.
 */
int dns_name_from_text(const char *text, size_t text_len, uint8_t ret_name[DNS_NAME_MAX + 1], size_t *ret_len);
/* Wire form (as the functions above return it) to text without final dot; the root is ".". */
void dns_name_to_text(const uint8_t *name, char ret_text[DNS_TEXT_MAX]);

#endif
