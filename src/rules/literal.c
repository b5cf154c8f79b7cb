/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "classify/dns.h"
#include "classify/parse.h"
#include "rules/literal.h"

struct named_number {
	const char *name;
	uint32_t number;
};

/* Small fixed tables, not getservbyname(): a rule file means the same on every host. */
static const struct named_number port_names[] = {
	{ "domain", 53 }, { "ntp", 123 }, { "snmp", 161 }, { "http", 80 }, { "https", 443 }, { "ssh", 22 },
};

static const struct named_number proto_names[] = {
	{ "icmp", 1 }, { "igmp", 2 },	{ "ipip", 4 },	{ "tcp", 6 },	{ "udp", 17 },	 { "gre", 47 },	  { "esp", 50 },
	{ "ah", 51 },  { "icmp6", 58 }, { "ospf", 89 }, { "pim", 103 }, { "vrrp", 112 }, { "sctp", 132 }, { "udplite", 136 },
};

static const struct named_number ether_names[] = { { "ip", ETH_TYPE_IP4 }, { "ip6", ETH_TYPE_IP6 }, { "arp", ETH_TYPE_ARP } };

#define NAMED_FIND(table, word) named_find(table, sizeof(table) / sizeof((table)[0]), word)

__attribute__((format(printf, 2, 3))) static int wrong(char message[LITERAL_MESSAGE_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(message, LITERAL_MESSAGE_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

bool word_is(struct word word, const char *text)
{
	return strlen(text) == word.len && !memcmp(word.text, text, word.len);
}

static const struct named_number *named_find(const struct named_number *table, size_t n, struct word word)
{
	for (size_t i = 0; i < n; i++)
		if (word_is(word, table[i].name))
			return &table[i];
	return NULL;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

static bool has_hex_mark(struct word word)
{
	return word.len > 2 && word.text[0] == '0' && (word.text[1] | 0x20) == 'x';
}

int literal_number(struct word word, const char *what, uint32_t max, uint32_t *ret, char message[LITERAL_MESSAGE_MAX])
{
	bool hex = has_hex_mark(word);
	uint64_t value = 0;

	if (!hex && word.len > 1 && word.text[0] == '0' && digit_value(word.text[1]) < 10)
		return wrong(message, "`%.*s` starts with 0: decimal numbers do not, hexadecimal ones with 0x", WORD_ARG(word));
	for (size_t i = hex ? 2 : 0; i < word.len; i++) {
		int digit = digit_value(word.text[i]);

		if (digit >= (hex ? 16 : 10))
			return wrong(message, "`%.*s` is not a %s", WORD_ARG(word), what);
		value = value * (hex ? 16 : 10) + (unsigned)digit;
		if (value > max)
			return wrong(message, "%s %.*s is impossible: at most %u", what, WORD_ARG(word), max);
	}
	*ret = (uint32_t)value;
	return 0;
}

int literal_range(struct word word, const char *what, uint32_t max, struct range *ret, char message[LITERAL_MESSAGE_MAX])
{
	const char *dash = memchr(word.text, '-', word.len);
	struct range range;
	int r;

	if (!dash || dash == word.text || dash == word.text + word.len - 1) {
		r = literal_number(word, what, max, &range.lo, message);
		range.hi = range.lo;
	} else {
		struct word lo = { word.text, (size_t)(dash - word.text) };
		struct word hi = { dash + 1, word.len - lo.len - 1 };

		r = literal_number(lo, what, max, &range.lo, message);
		if (r == 0)
			r = literal_number(hi, what, max, &range.hi, message);
	}
	if (r < 0)
		return r;
	if (range.lo > range.hi)
		return wrong(message, "%s range %u-%u runs backwards: write %u-%u", what, range.lo, range.hi, range.hi, range.lo);
	*ret = range;
	return 0;
}

bool literal_is_port_name(struct word word)
{
	return NAMED_FIND(port_names, word) != NULL;
}

int literal_port(struct word word, struct range *ret, char message[LITERAL_MESSAGE_MAX])
{
	const struct named_number *named = NAMED_FIND(port_names, word);

	if (named) {
		*ret = (struct range){ named->number, named->number };
		return 0;
	}
	if (digit_value(word.text[0]) > 9)
		return wrong(message, "`%.*s` is not a port: a number, a range A-B, or domain, ntp, snmp, http, https, ssh",
			     WORD_ARG(word));
	return literal_range(word, "port", UINT16_MAX, ret, message);
}

int literal_proto(struct word word, struct range *ret, char message[LITERAL_MESSAGE_MAX])
{
	/* tcpdump wants `proto \tcp`, because tcp is a word of its own there too. */
	struct word name = word.text[0] == '\\' ? (struct word){ word.text + 1, word.len - 1 } : word;
	const struct named_number *named = NAMED_FIND(proto_names, name);

	if (named) {
		*ret = (struct range){ named->number, named->number };
		return 0;
	}
	return literal_range(word, "protocol number", UINT8_MAX, ret, message);
}

bool literal_is_proto_name(struct word word)
{
	return NAMED_FIND(proto_names, word) != NULL;
}

const char *literal_proto_name(uint32_t number)
{
	for (size_t i = 0; i < sizeof(proto_names) / sizeof(proto_names[0]); i++)
		if (proto_names[i].number == number)
			return proto_names[i].name;
	return NULL;
}

int literal_ether_proto(struct word word, struct range *ret, char message[LITERAL_MESSAGE_MAX])
{
	struct word name = word.text[0] == '\\' ? (struct word){ word.text + 1, word.len - 1 } : word;
	const struct named_number *named = NAMED_FIND(ether_names, name);
	int r;

	if (named) {
		*ret = (struct range){ named->number, named->number };
		return 0;
	}
	r = literal_number(word, "EtherType", UINT16_MAX, &ret->lo, message);
	if (r < 0)
		return r;
	if (ret->lo < 0x600)
		return wrong(message, "EtherType %.*s is impossible: at least 0x600 (below it is an 802.3 length)",
			     WORD_ARG(word));
	ret->hi = ret->lo;
	return 0;
}

bool literal_is_address(struct word word)
{
	return memchr(word.text, '.', word.len) || memchr(word.text, ':', word.len) || memchr(word.text, '/', word.len);
}

bool prefix_is_host(const struct prefix *prefix)
{
	return prefix->len == (prefix->family == FAMILY_IP4 ? 32 : 128);
}

void prefix_to_text(const struct prefix *prefix, char ret_text[PREFIX_TEXT_MAX])
{
	inet_ntop(prefix->family == FAMILY_IP4 ? AF_INET : AF_INET6, prefix->addr, ret_text, INET6_ADDRSTRLEN);
	if (!prefix_is_host(prefix))
		sprintf(ret_text + strlen(ret_text), "/%u", prefix->len);
}

/* `10/8` and `192.168` are tcpdump's; here all four numbers are written. Is this one, and what is it in full? */
static bool short_ip4(struct word address, char ret_full[INET_ADDRSTRLEN], unsigned *ret_bits)
{
	unsigned dots = 0;
	uint8_t bytes[4];
	char text[INET_ADDRSTRLEN];

	for (size_t i = 0; i < address.len; i++)
		dots += address.text[i] == '.';
	if (!address.len || address.len > 11 || dots > 2)
		return false;
	snprintf(text, sizeof(text), "%.*s%s", (int)address.len, address.text, dots == 0 ? ".0.0.0" : dots == 1 ? ".0.0" : ".0");
	if (inet_pton(AF_INET, text, bytes) != 1)
		return false;
	memcpy(ret_full, text, sizeof(text));
	*ret_bits = 8 * (dots + 1);
	return true;
}

/* Clear the bits behind the prefix: were any set? */
static bool prefix_mask(struct prefix *prefix)
{
	uint8_t lost = 0;

	for (unsigned i = 0; i < 16; i++) {
		unsigned bits = prefix->len > 8 * i ? prefix->len - 8 * i : 0;
		uint8_t mask = bits >= 8 ? 0xff : (uint8_t)(0xff00u >> bits);

		lost |= prefix->addr[i] & (uint8_t)~mask;
		prefix->addr[i] &= mask;
	}
	return lost;
}

static int literal_address(struct word word, struct word address, struct prefix *ret, char message[LITERAL_MESSAGE_MAX])
{
	char text[INET6_ADDRSTRLEN] = "", full[INET_ADDRSTRLEN];
	unsigned bits;

	if (address.len < sizeof(text))
		memcpy(text, address.text, address.len);
	if (inet_pton(AF_INET, text, ret->addr) == 1) {
		ret->family = FAMILY_IP4;
		return 0;
	}
	if (inet_pton(AF_INET6, text, ret->addr) == 1) {
		ret->family = FAMILY_IP6;
		return 0;
	}
	if (short_ip4(address, full, &bits)) {
		if (address.len < word.len)
			return wrong(message, "`%.*s`: write all four numbers, %s%.*s", WORD_ARG(word), full,
				     (int)(word.len - address.len > 6 ? 6 : word.len - address.len), word.text + address.len);
		return wrong(message, "`%.*s`: write all four numbers, %s/%u", WORD_ARG(word), full, bits);
	}
	return wrong(message, "`%.*s` is not an address (names are not looked up)", WORD_ARG(word));
}

int literal_prefix(struct word word, struct prefix *ret, char message[LITERAL_MESSAGE_MAX])
{
	const char *slash = memchr(word.text, '/', word.len);
	struct word address = { word.text, slash ? (size_t)(slash - word.text) : word.len };
	struct prefix prefix = { 0 };
	uint32_t max, len;
	int r;

	r = literal_address(word, address, &prefix, message);
	if (r < 0)
		return r;
	max = prefix.family == FAMILY_IP4 ? 32 : 128;
	len = max;
	if (slash) {
		struct word digits = { slash + 1, word.len - address.len - 1 };

		if (!digits.len || digits.len > 3 || literal_number(digits, "prefix length", UINT32_MAX, &len, message) < 0 ||
		    has_hex_mark(digits))
			return wrong(message, "`%.*s`: the prefix length is a number, 0 to %u", WORD_ARG(word), max);
		if (len > max)
			return wrong(message, "prefix length /%u is impossible: IPv%u has at most /%u", len, prefix.family, max);
	}
	prefix.len = (uint8_t)len;
	if (prefix_mask(&prefix)) {
		char text[PREFIX_TEXT_MAX];

		prefix_to_text(&prefix, text);
		return wrong(message, "`%.*s` has bits set behind the prefix: the network is %s", WORD_ARG(word), text);
	}
	*ret = prefix;
	return 0;
}

int literal_hex(struct word word, uint8_t ret_bytes[IMAGE_PAYLOAD_MAX], size_t *ret_len, char message[LITERAL_MESSAGE_MAX])
{
	size_t from = has_hex_mark(word) ? 2 : 0;
	size_t digits = word.len - from;

	for (size_t i = from; i < word.len; i++)
		if (digit_value(word.text[i]) > 15)
			return wrong(message, "`%.*s` is not hexadecimal: write bytes as in 0x0d0a", WORD_ARG(word));
	if (digits % 2)
		return wrong(message, "`%.*s` has half a byte: two hexadecimal digits each", WORD_ARG(word));
	if (digits < 2 || digits > 2 * IMAGE_PAYLOAD_MAX)
		return wrong(message, "%zu bytes are too many: at most %u", digits / 2, IMAGE_PAYLOAD_MAX);
	for (size_t i = 0; i < digits / 2; i++)
		ret_bytes[i] = (uint8_t)(digit_value(word.text[from + 2 * i]) << 4 | digit_value(word.text[from + 2 * i + 1]));
	*ret_len = digits / 2;
	return 0;
}

int literal_name(struct arena *arena, struct word word, struct wire_name *ret, char message[LITERAL_MESSAGE_MAX])
{
	uint8_t wire[DNS_NAME_MAX + 1];
	size_t len;

	switch (dns_name_from_text(word.text, word.len, wire, &len)) {
	case 0:
		break;
	case -ENODATA:
		return wrong(message, "`%.*s` has an empty label", WORD_ARG(word));
	case -EMSGSIZE:
		return wrong(message, "`%.*s` has a label of more than %d bytes", WORD_ARG(word), DNS_LABEL_MAX);
	case -ENAMETOOLONG:
		return wrong(message, "`%.*s` is longer than %d bytes", WORD_ARG(word), DNS_NAME_MAX);
	default:
		return wrong(message, "`%.*s`: a byte is written \\DDD, 000 to 255, and any other character as \\X",
			     WORD_ARG(word));
	}
	ret->bytes = (const uint8_t *)arena_copy(arena, (const char *)wire, len);
	ret->len = (uint8_t)len;
	if (!ret->bytes) {
		wrong(message, "out of memory");
		return -ENOMEM;
	}
	return 0;
}
