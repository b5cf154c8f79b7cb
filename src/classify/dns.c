/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "classify/dns.h"

#define DNS_HEADER_LEN 12
#define BYTES(b) ((uint64_t)(b)*0x0101010101010101u)

/* Eight bytes at once: add 0x20 to each that is in 'A'..'Z'. */
static uint64_t lower8(uint64_t bytes)
{
	uint64_t low7 = bytes & BYTES(0x7f);
	uint64_t from_a = low7 + BYTES(0x80 - 'A');	  /* top bit: low seven bits >= 'A' */
	uint64_t past_z = low7 + BYTES(0x80 - ('Z' + 1)); /* top bit: low seven bits > 'Z' */
	uint64_t upper = from_a & ~past_z & ~bytes & BYTES(0x80);

	return bytes | upper >> 2;
}

/* A label's length byte is at most 63, below 'A', so a whole name can be lower-cased without a look at its labels. */
static void lower_copy(uint8_t *to, const uint8_t *from, size_t len)
{
	uint64_t bytes;
	size_t at;

	for (at = 0; at + 8 <= len; at += 8) {
		memcpy(&bytes, from + at, 8);
		bytes = lower8(bytes);
		memcpy(to + at, &bytes, 8);
	}
	for (; at < len; at++)
		to[at] = from[at] >= 'A' && from[at] <= 'Z' ? from[at] | 0x20 : from[at];
}

int dns_question(const uint8_t *payload, size_t len, uint8_t ret_name[DNS_NAME_MAX + 1], size_t *ret_len)
{
	const uint8_t *name = payload + DNS_HEADER_LEN;
	size_t room, at = 0;

	if (len <= DNS_HEADER_LEN || !(payload[4] | payload[5]))
		return -EBADMSG;
	room = len - DNS_HEADER_LEN;
	if (room > DNS_NAME_MAX)
		room = DNS_NAME_MAX;
	while (name[at]) {
		if (name[at] > DNS_LABEL_MAX)
			return -EBADMSG;
		at += 1u + name[at];
		if (at >= room)
			return -EBADMSG;
	}
	lower_copy(ret_name, name, at + 1);
	*ret_len = at + 1;
	return 0;
}

int dns_question_type(const uint8_t *payload, size_t len, size_t name_len)
{
	size_t at = DNS_HEADER_LEN + name_len;

	if (at + 4 > len)
		return -1;
	return payload[at] << 8 | payload[at + 1];
}

int dns_name_under(const uint8_t *name, size_t len, const uint8_t *suffix, size_t suffix_len)
{
	size_t at = 0;

	if (suffix_len > len || memcmp(name + len - suffix_len, suffix, suffix_len))
		return 0;
	/* The bytes agree; they are labels only if one starts here: "xexample" ends in "example" but does not lie under it. */
	while (at < len - suffix_len)
		at += 1u + name[at];
	return at == len - suffix_len;
}

/* One character of a label, escapes undone: the number of text bytes it took, or -EINVAL. */
static int char_from_text(const char *text, size_t len, uint8_t *ret_byte)
{
	unsigned value = 0;

	if (text[0] != '\\') {
		*ret_byte = (uint8_t)text[0];
		return 1;
	}
	if (len < 2)
		return -EINVAL;
	if (text[1] < '0' || text[1] > '9') {
		*ret_byte = (uint8_t)text[1];
		return 2;
	}
	if (len < 4)
		return -EINVAL;
	for (int i = 1; i <= 3; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		value = value * 10 + (unsigned)(text[i] - '0');
	}
	if (value > 255)
		return -EINVAL;
	*ret_byte = (uint8_t)value;
	return 4;
}

int dns_name_from_text(const char *text, size_t text_len, uint8_t ret_name[DNS_NAME_MAX + 1], size_t *ret_len)
{
	uint8_t name[DNS_NAME_MAX + 1];
	size_t label = 0, end = 1; /* where the length byte of the current label is; where the next byte goes */
	size_t at = 0;

	if (text_len == 0)
		return -ENODATA;
	if (text_len == 1 && text[0] == '.')
		at = 1;
	while (at < text_len) {
		uint8_t byte;
		int r;

		if (text[at] == '.') {
			if (end == label + 1)
				return -ENODATA;
			name[label] = (uint8_t)(end - label - 1);
			label = end++;
			at++;
			continue;
		}
		r = char_from_text(text + at, text_len - at, &byte);
		if (r < 0)
			return r;
		if (end - label > DNS_LABEL_MAX)
			return -EMSGSIZE;
		if (end + 1 >= DNS_NAME_MAX) /* this byte and the root's */
			return -ENAMETOOLONG;
		name[end++] = byte;
		at += (size_t)r;
	}
	if (end > label + 1) {
		name[label] = (uint8_t)(end - label - 1);
		label = end++;
	}
	name[label] = 0;
	lower_copy(ret_name, name, end);
	*ret_len = end;
	return 0;
}

void dns_name_to_text(const uint8_t *name, char ret_text[DNS_TEXT_MAX])
{
	char *to = ret_text;

	if (!*name)
		*to++ = '.';
	while (*name) {
		for (unsigned left = *name++; left; left--, name++) {
			int plain = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
				    (*name >= '0' && *name <= '9') || *name == '-' || *name == '_' || *name == '*' ||
				    *name == '/';

			if (plain)
				*to++ = (char)*name;
			else if (*name == '.' || *name == '\\')
				to += sprintf(to, "\\%c", *name);
			else
				to += sprintf(to, "\\%03u", *name);
		}
		if (*name)
			*to++ = '.';
	}
	*to = '\0';
}
