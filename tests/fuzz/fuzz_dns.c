/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The question name of any payload is the one that a reader without tricks finds; it is a sound name, survives being text, and
 * lies under each of its own ends and under nothing else.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "classify/dns.h"
#include "replay.h"

static void check(int good)
{
	if (!good)
		abort();
}

/* Byte by byte: the length of the first name, or 0. */
static size_t plain_question(const uint8_t *payload, size_t len, uint8_t name[DNS_NAME_MAX + 1])
{
	size_t at = 12, n = 0;

	if (len < 12 || (payload[4] == 0 && payload[5] == 0))
		return 0;
	while (at < len) {
		unsigned label = payload[at];

		if (label > 63 || n + 1 > 255)
			return 0;
		name[n++] = payload[at++];
		if (label == 0)
			return n;
		while (label--) {
			if (at >= len || n + 1 > 255)
				return 0;
			name[n] = payload[at++];
			if (name[n] >= 'A' && name[n] <= 'Z')
				name[n] = (uint8_t)(name[n] - 'A' + 'a');
			n++;
		}
	}
	return 0;
}

static void check_text(const uint8_t *name, size_t len)
{
	uint8_t again[DNS_NAME_MAX + 1];
	char text[DNS_TEXT_MAX];
	size_t again_len;

	dns_name_to_text(name, text);
	check(strlen(text) < DNS_TEXT_MAX);
	check(dns_name_from_text(text, strlen(text), again, &again_len) == 0);
	check(again_len == len && memcmp(again, name, len) == 0);
}

/* From every byte of the name to its end: a name it lies under exactly if a label starts there. */
static void check_under(const uint8_t *name, size_t len)
{
	size_t label = 0;

	for (size_t at = 0; at < len; at++) {
		check(dns_name_under(name, len, name + at, len - at) == (at == label));
		if (at == label)
			label += 1u + name[at];
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t name[DNS_NAME_MAX + 1], plain[DNS_NAME_MAX + 1], wire[DNS_NAME_MAX + 1];
	size_t len = 0, plain_len = plain_question(data, size, plain), wire_len;
	int r = dns_question(data, size, name, &len);

	check(r == 0 || r == -EBADMSG);
	check(len == plain_len && memcmp(name, plain, len) == 0);
	if (r == 0) {
		check_text(name, len);
		check_under(name, len);
	}
	if (dns_name_from_text((const char *)data, size, wire, &wire_len) == 0)
		check_text(wire, wire_len);
	return 0;
}
