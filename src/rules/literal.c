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

static const struct named_number dscp_names[] = {
	{ "be", 0 },	{ "le", 1 },	{ "cs1", 8 },	{ "af11", 10 }, { "af12", 12 }, { "af13", 14 },
	{ "cs2", 16 },	{ "af21", 18 }, { "af22", 20 }, { "af23", 22 }, { "cs3", 24 },	{ "af31", 26 },
	{ "af32", 28 }, { "af33", 30 }, { "cs4", 32 },	{ "af41", 34 }, { "af42", 36 }, { "af43", 38 },
	{ "cs5", 40 },	{ "va", 44 },	{ "ef", 46 },	{ "cs6", 48 },	{ "cs7", 56 },	{ "cs0", 0 },
};

static const struct named_number flag_names[] = {
	{ "fin", 0x01 }, { "syn", 0x02 }, { "rst", 0x04 }, { "psh", 0x08 }, { "ack", 0x10 },
	{ "urg", 0x20 }, { "ece", 0x40 }, { "cwr", 0x80 }, { "ae", 0x100 }, { "push", 0x08 },
};

static const struct named_number icmp_names[] = {
	{ "echo-reply", 0 },	 { "unreachable", 3 },	      { "redirect", 5 },	   { "echo-request", 8 },
	{ "time-exceeded", 11 }, { "parameter-problem", 12 }, { "timestamp-request", 13 }, { "timestamp-reply", 14 },
};

static const struct named_number icmp6_names[] = {
	{ "unreachable", 1 },
	{ "packet-too-big", 2 },
	{ "time-exceeded", 3 },
	{ "parameter-problem", 4 },
	{ "echo-request", 128 },
	{ "echo-reply", 129 },
	{ "router-solicitation", 133 },
	{ "router-advertisement", 134 },
	{ "neighbour-solicitation", 135 },
	{ "neighbour-advertisement", 136 },
	{ "redirect", 137 },
};

static const struct named_number frag_names[] = {
	{ "none", FRAG_NONE }, { "first", FRAG_FIRST }, { "later", FRAG_LATER },
	{ "last", FRAG_LAST }, { "df", FRAG_DF },	{ "any", FRAG_FIRST | FRAG_LATER },
};

static const struct named_number dns_type_names[] = {
	{ "a", 1 },	 { "ns", 2 },	   { "cname", 5 },  { "soa", 6 },    { "ptr", 12 },  { "mx", 15 },
	{ "txt", 16 },	 { "aaaa", 28 },   { "srv", 33 },   { "naptr", 35 }, { "ds", 43 },   { "rrsig", 46 },
	{ "nsec", 47 },	 { "dnskey", 48 }, { "nsec3", 50 }, { "tlsa", 52 },  { "svcb", 64 }, { "https", 65 },
	{ "ixfr", 251 }, { "axfr", 252 },  { "any", 255 },  { "caa", 257 },
};

#define VOCABULARY(table)                                                                                                        \
	{                                                                                                                        \
		table, sizeof(table) / sizeof((table)[0])                                                                        \
	}
static const struct {
	const struct named_number *names;
	size_t n;
} vocabularies[VOCABULARY_COUNT] = {
	[VOCABULARY_PORT] = VOCABULARY(port_names),	    [VOCABULARY_PROTO] = VOCABULARY(proto_names),
	[VOCABULARY_ETHER_PROTO] = VOCABULARY(ether_names), [VOCABULARY_DSCP] = VOCABULARY(dscp_names),
	[VOCABULARY_FLAG] = VOCABULARY(flag_names),	    [VOCABULARY_ICMP] = VOCABULARY(icmp_names),
	[VOCABULARY_ICMP6] = VOCABULARY(icmp6_names),	    [VOCABULARY_FRAG] = VOCABULARY(frag_names),
	[VOCABULARY_DNS_TYPE] = VOCABULARY(dns_type_names),
};

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

static const struct named_number *named_find(enum vocabulary vocabulary, struct word word)
{
	for (size_t i = 0; i < vocabularies[vocabulary].n; i++)
		if (word_is(word, vocabularies[vocabulary].names[i].name))
			return &vocabularies[vocabulary].names[i];
	return NULL;
}

bool vocabulary_has(enum vocabulary vocabulary, struct word word)
{
	return named_find(vocabulary, word) != NULL;
}

const char *vocabulary_word(enum vocabulary vocabulary, uint32_t number)
{
	for (size_t i = 0; i < vocabularies[vocabulary].n; i++)
		if (vocabularies[vocabulary].names[i].number == number)
			return vocabularies[vocabulary].names[i].name;
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

/* A name, if it is one; else a number or range. */
static int literal_named(struct word word, enum vocabulary vocabulary, const char *what, uint32_t max, struct range *ret,
			 char message[LITERAL_MESSAGE_MAX])
{
	const struct named_number *named = named_find(vocabulary, word);

	if (named) {
		*ret = (struct range){ named->number, named->number };
		return 0;
	}
	return literal_range(word, what, max, ret, message);
}

/* tcpdump wants `proto \tcp`, because tcp is a word of its own there too. */
static struct word unescaped(struct word word)
{
	return word.text[0] == '\\' ? (struct word){ word.text + 1, word.len - 1 } : word;
}

int literal_port(struct word word, struct range *ret, char message[LITERAL_MESSAGE_MAX])
{
	if (digit_value(word.text[0]) > 9 && !vocabulary_has(VOCABULARY_PORT, word))
		return wrong(message, "`%.*s` is not a port: a number, a range A-B, or domain, ntp, snmp, http, https, ssh",
			     WORD_ARG(word));
	return literal_named(word, VOCABULARY_PORT, "port", UINT16_MAX, ret, message);
}

int literal_proto(struct word word, struct range *ret, char message[LITERAL_MESSAGE_MAX])
{
	return literal_named(unescaped(word), VOCABULARY_PROTO, "protocol number", UINT8_MAX, ret, message);
}

int literal_ether_proto(struct word word, struct range *ret, char message[LITERAL_MESSAGE_MAX])
{
	const struct named_number *named = named_find(VOCABULARY_ETHER_PROTO, unescaped(word));
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

int literal_dscp(struct word word, struct range *ret, char message[LITERAL_MESSAGE_MAX])
{
	if (digit_value(word.text[0]) > 9 && !vocabulary_has(VOCABULARY_DSCP, word))
		return wrong(message, "`%.*s` is not a DSCP: a number, a range A-B, or be, le, va, ef, cs0 to cs7, af11 to af43",
			     WORD_ARG(word));
	return literal_named(word, VOCABULARY_DSCP, "DSCP", 63, ret, message);
}

int literal_dns_type(struct word word, struct range *ret, char message[LITERAL_MESSAGE_MAX])
{
	char lower[8] = "";

	if (word.len < sizeof(lower)) { /* types are written in capitals, too */
		for (size_t i = 0; i < word.len; i++)
			lower[i] = word.text[i] >= 'A' && word.text[i] <= 'Z' ? word.text[i] | 0x20 : word.text[i];
		word.text = lower;
	}
	if (digit_value(word.text[0]) > 9 && !vocabulary_has(VOCABULARY_DNS_TYPE, word))
		return wrong(message, "`%.*s` is not a DNS type: a number, a range A-B, or a name such as a, aaaa, any, mx, txt",
			     WORD_ARG(word));
	return literal_named(word, VOCABULARY_DNS_TYPE, "DNS type", UINT16_MAX, ret, message);
}

int literal_frag(struct word word, struct range *ret, char message[LITERAL_MESSAGE_MAX])
{
	const struct named_number *named = named_find(VOCABULARY_FRAG, word);

	if (!named)
		return wrong(message, "`%.*s` is no kind of fragment: none, first, later, last, any or df", WORD_ARG(word));
	*ret = (struct range){ named->number, named->number };
	return 0;
}

/* Names joined by `,` or `+`, or a number. */
static int flag_names_add(struct word word, uint32_t *ret, char message[LITERAL_MESSAGE_MAX])
{
	uint32_t flags = 0;

	if (word.len && digit_value(word.text[0]) <= 9)
		return literal_number(word, "set of TCP flags", 0xfff, ret, message);
	if (word_is(word, "none") || word_is(word, "all")) {
		*ret = word.text[0] == 'n' ? 0 : 0xff;
		return 0;
	}
	for (size_t at = 0; at <= word.len;) {
		struct word name = { word.text + at, 0 };
		const struct named_number *named;

		while (at + name.len < word.len && !strchr(",+", name.text[name.len]))
			name.len++;
		named = named_find(VOCABULARY_FLAG, name);
		if (!named)
			return wrong(
				message,
				"`%.*s` is not a TCP flag: fin, syn, rst, psh, ack, urg, ece, cwr, ae, or none, all, a number",
				WORD_ARG(name));
		flags |= named->number;
		at += name.len + 1;
	}
	*ret = flags;
	return 0;
}

int literal_flags(struct word word, struct range *ret, char message[LITERAL_MESSAGE_MAX])
{
	const char *slash = memchr(word.text, '/', word.len);
	struct word set = { word.text, slash ? (size_t)(slash - word.text) : word.len };
	struct word mask = slash ? (struct word){ slash + 1, word.len - set.len - 1 } : set;
	struct range range;
	int r;

	r = flag_names_add(set, &range.lo, message);
	if (r == 0)
		r = flag_names_add(mask, &range.hi, message);
	if (r < 0)
		return r;
	if (!range.hi)
		return wrong(message, "`%.*s` looks at no flag: write SET/MASK, as in syn/syn,ack or none/all", WORD_ARG(word));
	if (range.lo & ~range.hi)
		return wrong(message, "never true: flags 0x%x are not all in the mask 0x%x", range.lo, range.hi);
	*ret = range;
	return 0;
}

void flags_to_text(uint32_t flags, char joint, char ret_text[FLAGS_TEXT_MAX])
{
	char *to = ret_text;

	if (!flags || flags == 0xff) {
		strcpy(ret_text, flags ? "all" : "none");
		return;
	}
	if (flags > 0x1ff) {
		sprintf(ret_text, "0x%x", flags);
		return;
	}
	for (uint32_t bit = 1; bit <= 0x100; bit <<= 1)
		if (flags & bit)
			to += sprintf(to, "%.1s%s", to == ret_text ? "" : &joint, vocabulary_word(VOCABULARY_FLAG, bit));
}

int literal_icmp_type(struct word word, bool ip6, struct range *ret, char message[LITERAL_MESSAGE_MAX])
{
	const char *slash = memchr(word.text, '/', word.len);
	struct word type = { word.text, slash ? (size_t)(slash - word.text) : word.len };
	struct range types, codes = { 0, UINT8_MAX };
	int r;

	r = literal_named(type, ip6 ? VOCABULARY_ICMP6 : VOCABULARY_ICMP, "ICMP type", UINT8_MAX, &types, message);
	if (r == 0 && slash && types.lo != types.hi)
		return wrong(message, "`%.*s`: a code belongs to one type, not to a range", WORD_ARG(word));
	if (r == 0 && slash)
		r = literal_range((struct word){ slash + 1, word.len - type.len - 1 }, "ICMP code", UINT8_MAX, &codes, message);
	if (r < 0)
		return r;
	*ret = (struct range){ types.lo << 8 | codes.lo, types.hi << 8 | codes.hi };
	return 0;
}

/* xx:xx:xx:xx:xx:xx, with - or . too, xxxx.xxxx.xxxx, xxxxxxxxxxxx */
int literal_mac(struct word word, struct mac *ret, char message[LITERAL_MESSAGE_MAX])
{
	size_t digits = 0, groups = 1, group = 0, most = 0;
	uint8_t nibbles[12];
	bool good = word.len > 0;

	for (size_t i = 0; i < word.len && good; i++) {
		if (strchr(":-.", word.text[i])) {
			if (group == 1 && digits < 12) { /* one digit stands for two */
				nibbles[digits] = nibbles[digits - 1];
				nibbles[digits++ - 1] = 0;
			}
			good = group > 0;
			groups++;
			group = 0;
			continue;
		}
		good = digit_value(word.text[i]) < 16 && digits < 12;
		if (good)
			nibbles[digits++] = (uint8_t)digit_value(word.text[i]);
		group++;
		most = group > most ? group : most;
	}
	if (good && group == 1 && digits == 11) {
		nibbles[11] = nibbles[10];
		nibbles[10] = 0;
		digits = 12;
	}
	if (!good || digits != 12 || !((groups == 6 && most <= 2) || (groups == 3 && most == 4) || groups == 1))
		return wrong(message, "`%.*s` is not an Ethernet address: write it as in 02:00:5e:10:00:01", WORD_ARG(word));
	for (unsigned i = 0; i < 6; i++)
		ret->addr[i] = (uint8_t)(nibbles[2 * i] << 4 | nibbles[2 * i + 1]);
	return 0;
}

static const struct {
	char unit;
	uint32_t s;
} durations[] = { { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };

int literal_duration(struct word word, uint32_t *ret_s, char message[LITERAL_MESSAGE_MAX])
{
	uint64_t s = 0, number = 0;
	bool digit = false;

	for (size_t i = 0; i < word.len; i++) {
		uint32_t unit_s = 0;

		if (digit_value(word.text[i]) <= 9 && number <= UINT32_MAX) {
			number = number * 10 + (unsigned)digit_value(word.text[i]);
			digit = true;
			continue;
		}
		for (size_t j = 0; j < sizeof(durations) / sizeof(durations[0]); j++)
			if (durations[j].unit == word.text[i])
				unit_s = durations[j].s;
		if (!unit_s || !digit)
			return wrong(message, "`%.*s` is not a time: write it as in 90s, 10m, 1h30m, 7d", WORD_ARG(word));
		s += number * unit_s;
		number = 0;
		digit = false;
		if (s > TTL_MAX_S)
			break;
	}
	if (digit)
		return wrong(message, "`%.*s` needs a unit: %.*ss, %.*sm, %.*sh or %.*sd", WORD_ARG(word), WORD_ARG(word),
			     WORD_ARG(word), WORD_ARG(word), WORD_ARG(word));
	if (s == 0 || s > TTL_MAX_S)
		return wrong(message, "a time of %.*s is impossible: 1s to 3650d", WORD_ARG(word));
	*ret_s = (uint32_t)s;
	return 0;
}

void duration_to_text(uint32_t s, char ret_text[DURATION_TEXT_MAX])
{
	char *to = ret_text;

	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
		if (s >= durations[i].s)
			to += sprintf(to, "%u%c", s / durations[i].s, durations[i].unit);
		s %= durations[i].s;
	}
}

#define SCALED_MAX 1000000000000u

int literal_scaled(struct word word, const char *what, uint64_t *ret, char message[LITERAL_MESSAGE_MAX])
{
	static const char suffixes[] = "kMG";
	const char *suffix = word.len > 1 ? strchr(suffixes, word.text[word.len - 1]) : NULL;
	size_t digits = word.len - (suffix && *suffix);
	uint64_t number = 0;

	for (size_t i = 0; i < digits; i++) {
		if (digit_value(word.text[i]) > 9)
			return wrong(message, "`%.*s` is not a %s", WORD_ARG(word), what);
		if (number <= SCALED_MAX)
			number = number * 10 + (unsigned)digit_value(word.text[i]);
	}
	for (int i = 0; suffix && *suffix && i <= suffix - suffixes && number <= SCALED_MAX; i++)
		number *= 1000;
	if (number == 0 || number > SCALED_MAX)
		return wrong(message, "%s %.*s is impossible: 1 to 1000G", what, WORD_ARG(word));
	*ret = number;
	return 0;
}

#define ONE_IN_MAX 1000000

int literal_one_in(struct word word, uint32_t *ret_n, char message[LITERAL_MESSAGE_MAX])
{
	uint32_t n;
	int r;

	if (word.len < 3 || memcmp(word.text, "1/", 2))
		return wrong(message, "expected `1/N`, one packet in N: `%.*s`", WORD_ARG(word));
	r = literal_number((struct word){ word.text + 2, word.len - 2 }, "sample 1 in", ONE_IN_MAX, &n, message);
	if (r < 0)
		return r;
	if (n == 0)
		return wrong(message, "one packet in 0 is impossible: at least 1");
	*ret_n = n;
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

/* A number up to 255 at `to`; returns where it ends. */
static char *byte_to_text(unsigned byte, char *to)
{
	if (byte >= 100)
		*to++ = (char)('0' + byte / 100);
	if (byte >= 10)
		*to++ = (char)('0' + byte / 10 % 10);
	*to++ = (char)('0' + byte % 10);
	return to;
}

/* By hand: a set has a million of them, and inet_ntop(3) goes through sprintf(3). */
static char *ip4_to_text(const uint8_t addr[4], char *to)
{
	for (unsigned i = 0; i < 4; i++) {
		to = byte_to_text(addr[i], to);
		*to++ = '.';
	}
	return to - 1;
}

/* The longest row of zero words that is worth a `::`, the first of equals: RFC 5952, section 4.2. */
static void zeros_find(const uint16_t words[8], unsigned *ret_first, unsigned *ret_n)
{
	*ret_first = 8;
	*ret_n = 1;
	for (unsigned i = 0; i < 8; i++) {
		unsigned n = 0;

		while (i + n < 8 && !words[i + n])
			n++;
		if (n > *ret_n) {
			*ret_first = i;
			*ret_n = n;
		}
		i += n;
	}
}

static char *word_to_text(unsigned word, char *to)
{
	int shift = 12;

	while (shift && !(word >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*to++ = "0123456789abcdef"[word >> shift & 15];
	return to;
}

static char *ip6_to_text(const uint8_t addr[16], char *to)
{
	uint16_t words[8];
	unsigned zeros, n;

	for (unsigned i = 0; i < 8; i++)
		words[i] = (uint16_t)(addr[2 * i] << 8 | addr[2 * i + 1]);
	if (!words[0]) { /* may end in an IPv4 address */
		inet_ntop(AF_INET6, addr, to, INET6_ADDRSTRLEN);
		return to + strlen(to);
	}
	zeros_find(words, &zeros, &n);
	for (unsigned i = 0; i < 8; i++) {
		if (i == zeros) {
			*to++ = ':';
			i += n - 1;
			if (i == 7)
				*to++ = ':';
			continue;
		}
		if (i)
			*to++ = ':';
		to = word_to_text(words[i], to);
	}
	return to;
}

void prefix_to_text(const struct prefix *prefix, char ret_text[PREFIX_TEXT_MAX])
{
	char *end = prefix->family == FAMILY_IP4 ? ip4_to_text(prefix->addr, ret_text) : ip6_to_text(prefix->addr, ret_text);

	if (!prefix_is_host(prefix)) {
		*end++ = '/';
		end = byte_to_text(prefix->len, end);
	}
	*end = '\0';
}

/* `10/8`, and behind `net` `10` and `192.168`: tcpdump's short forms. Is this one, and what is it in full? */
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

	for (unsigned i = prefix->len / 8; i < 16; i++) {
		unsigned bits = prefix->len > 8 * i ? prefix->len - 8 * i : 0;
		uint8_t mask = bits >= 8 ? 0xff : (uint8_t)(0xff00u >> bits);

		lost |= prefix->addr[i] & (uint8_t)~mask;
		prefix->addr[i] &= mask;
	}
	return lost;
}

/* *ret_bits: the length a short form stands for, if no other is written. */
static int literal_address(struct word word, struct word address, bool net, struct prefix *ret, unsigned *ret_bits,
			   char message[LITERAL_MESSAGE_MAX])
{
	char text[INET6_ADDRSTRLEN] = "", full[INET_ADDRSTRLEN];

	if (address.len < sizeof(text))
		memcpy(text, address.text, address.len);
	ret->family = FAMILY_IP4;
	*ret_bits = 32;
	if (inet_pton(AF_INET, text, ret->addr) == 1)
		return 0;
	if (short_ip4(address, full, ret_bits)) {
		if (address.len == word.len && !net)
			return wrong(message, "`%.*s`: write all four numbers, %s/%u", WORD_ARG(word), full, *ret_bits);
		inet_pton(AF_INET, full, ret->addr);
		return 0;
	}
	ret->family = FAMILY_IP6;
	*ret_bits = 128;
	if (inet_pton(AF_INET6, text, ret->addr) == 1)
		return 0;
	return wrong(message, "`%.*s` is not an address (names are not looked up)", WORD_ARG(word));
}

/* The bits of *prefix behind its length are zero, or that is an error. */
static int prefix_check(struct word word, struct prefix *prefix, char message[LITERAL_MESSAGE_MAX])
{
	char text[PREFIX_TEXT_MAX];

	if (!prefix_mask(prefix))
		return 0;
	prefix_to_text(prefix, text);
	return wrong(message, "`%.*s` has bits set behind the prefix: the network is %s", WORD_ARG(word), text);
}

static bool plain_ip4(struct word word, struct prefix *ret)
{
	struct prefix prefix = { .family = FAMILY_IP4 };
	unsigned numbers[5], n = 0, digits = 0;

	for (size_t i = 0; i < word.len; i++) {
		unsigned digit = (unsigned char)word.text[i] - '0';

		if (digit > 9) {
			if (!digits || n > 3 || word.text[i] != (n == 3 ? '/' : '.'))
				return false;
			n++;
			digits = 0;
			continue;
		}
		if (digits == 3 || (digits && !numbers[n])) /* too long, or starts with 0 */
			return false;
		numbers[n] = digits++ ? numbers[n] * 10 + digit : digit;
	}
	if (!digits || n < 3)
		return false;
	for (unsigned i = 0; i < 4; i++) {
		if (numbers[i] > 255)
			return false;
		prefix.addr[i] = (uint8_t)numbers[i];
	}
	if (n == 4 && numbers[4] > 32)
		return false;
	prefix.len = n == 4 ? (uint8_t)numbers[4] : 32;
	if (prefix_mask(&prefix))
		return false;
	*ret = prefix;
	return true;
}

/* One to four hexadecimal digits from *at on. */
static bool plain_hex(struct word word, size_t *at, uint16_t *ret)
{
	unsigned value = 0, digits = 0;

	for (; *at < word.len && digits < 5; ++*at, digits++) {
		unsigned char c = (unsigned char)word.text[*at], letter = c | 0x20;

		if (c >= '0' && c <= '9')
			value = value << 4 | (c - '0');
		else if (letter >= 'a' && letter <= 'f')
			value = value << 4 | (letter - 'a' + 10u);
		else
			break;
	}
	*ret = (uint16_t)value;
	return digits >= 1 && digits <= 4;
}

/* Words up to the end or a `/` at *at; *ret_gap is how many stand before the `::`, or 8. Returns how many, 9: this is none. */
static unsigned plain_words(struct word word, size_t *at, uint16_t words[8], unsigned *ret_gap)
{
	unsigned n = 0;

	*ret_gap = 8;
	if (word.len >= 2 && !memcmp(word.text, "::", 2)) {
		*ret_gap = 0;
		*at = 2;
	}
	while (*at < word.len && word.text[*at] != '/') {
		if (n == 8 || !plain_hex(word, at, &words[n++]))
			return 9;
		if (*at == word.len || word.text[*at] == '/')
			break;
		if (word.text[*at] != ':' || ++*at == word.len || word.text[*at] == '/')
			return 9;
		if (word.text[*at] != ':')
			continue;
		if (*ret_gap < 8)
			return 9;
		*ret_gap = n;
		++*at;
	}
	return n;
}

/* The digits behind the `/` at `at`, if there is one; 129: none that is in order. */
static unsigned plain_len6(struct word word, size_t at)
{
	unsigned len = 0, digits = 0;

	if (at == word.len)
		return 128;
	for (at++; at < word.len && digits < 4; at++, digits++) {
		unsigned digit = (unsigned char)word.text[at] - '0';

		if (digit > 9 || (digits && !len))
			return 129;
		len = len * 10 + digit;
	}
	return digits && digits < 4 && len <= 128 ? len : 129;
}

static bool plain_ip6(struct word word, struct prefix *ret)
{
	struct prefix prefix = { .family = FAMILY_IP6 };
	uint16_t words[8];
	size_t at = 0;
	unsigned gap, n = plain_words(word, &at, words, &gap), len;

	if (gap < 8 ? n > 7 : n != 8)
		return false;
	len = plain_len6(word, at);
	if (len > 128)
		return false;
	for (unsigned i = 0; i < n; i++) {
		unsigned to = i < gap ? i : 8 - n + i;

		prefix.addr[2 * to] = (uint8_t)(words[i] >> 8);
		prefix.addr[2 * to + 1] = (uint8_t)words[i];
	}
	prefix.len = (uint8_t)len;
	if (prefix_mask(&prefix))
		return false;
	*ret = prefix;
	return true;
}

bool literal_plain_prefix(struct word word, struct prefix *ret)
{
	return plain_ip4(word, ret) || plain_ip6(word, ret);
}

int literal_prefix(struct word word, bool net, struct prefix *ret, char message[LITERAL_MESSAGE_MAX])
{
	const char *slash = memchr(word.text, '/', word.len);
	struct word address = { word.text, slash ? (size_t)(slash - word.text) : word.len };
	struct prefix prefix = { 0 };
	uint32_t max, len;
	int r;

	if (literal_plain_prefix(word, ret))
		return 0;
	r = literal_address(word, address, net, &prefix, &len, message);
	if (r < 0)
		return r;
	max = prefix.family == FAMILY_IP4 ? 32 : 128;
	if (slash) {
		struct word digits = { slash + 1, word.len - address.len - 1 };

		if (!digits.len || digits.len > 3 || literal_number(digits, "prefix length", UINT32_MAX, &len, message) < 0 ||
		    has_hex_mark(digits))
			return wrong(message, "`%.*s`: the prefix length is a number, 0 to %u", WORD_ARG(word), max);
		if (len > max)
			return wrong(message, "prefix length /%u is impossible: IPv%u has at most /%u", len, prefix.family, max);
	}
	prefix.len = (uint8_t)len;
	r = prefix_check(word, &prefix, message);
	if (r == 0)
		*ret = prefix;
	return r;
}

int literal_mask(struct word word, struct word address, struct prefix *ret, char message[LITERAL_MESSAGE_MAX])
{
	struct prefix prefix = { 0 }, mask = { 0 };
	uint32_t bits;
	unsigned len;
	int r;

	r = literal_address(address, address, true, &prefix, &len, message);
	if (r == 0)
		r = literal_address(word, word, true, &mask, &len, message);
	if (r < 0)
		return r;
	if (prefix.family != FAMILY_IP4 || mask.family != FAMILY_IP4)
		return wrong(message, "`mask` is for IPv4: write ADDRESS/LENGTH");
	bits = (uint32_t)mask.addr[0] << 24 | (uint32_t)mask.addr[1] << 16 | (uint32_t)mask.addr[2] << 8 | mask.addr[3];
	if (~bits & (~bits + 1))
		return wrong(message, "the mask %.*s has holes: only bpf \"net ... mask ...\" can look through it",
			     WORD_ARG(word));
	prefix.len = bits ? (uint8_t)(32 - __builtin_ctz(bits)) : 0;
	r = prefix_check(address, &prefix, message);
	if (r == 0)
		*ret = prefix;
	return r;
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
