/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rule language by example: rules/NAME.in is loaded and gives rules/NAME.ok (canonical text, which loads to the identical
 * image) and the warnings in rules/NAME.warn, or the error in rules/NAME.err. Below are tables of one-line errors and of limits.
 *
 * UPDATE=1 writes what came out over the expected files; read the difference before you keep it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "classify/parse.h"
#include "classify/lookup.h"
#include "rules/rules.h"

static struct rules_error error;

static char *read_file(const char *path)
{
	FILE *in = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	if (!in)
		return strdup("");
	if (getdelim(&text, &size, '\0', in) < 0)
		*(text = realloc(text, 1)) = '\0';
	fclose(in);
	return text;
}

/* Is `text` what the file says? No file says nothing. */
static void expect_file(const char *path, const char *text)
{
	char *expected;

	if (getenv("UPDATE")) {
		FILE *out = *text ? fopen(path, "w") : NULL;

		if (!out) {
			unlink(path);
			return;
		}
		fputs(text, out);
		fclose(out);
		return;
	}
	expected = read_file(path);
	if (strcmp(expected, text))
		print_error("%s:\n", path);
	assert_string_equal(text, expected);
	free(expected);
}

static char *printed(const struct rules *rules)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	rules_print(rules, out);
	fclose(out);
	return text;
}

static char *printed_error(const struct rules_error *one, const char *severity, char *before)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	fputs(before ? before : "", out);
	rules_error_print(one, severity, out);
	fclose(out);
	free(before);
	return text;
}

static char *printed_warnings(const struct rules *rules)
{
	char *text = strdup("");

	for (size_t i = 0; i < rules_warning_count(rules); i++)
		text = printed_error(rules_warning(rules, i), "warning", text);
	return text;
}

/* The text loads again: to the same text, and to the same image, line numbers included. */
static void check_round_trip(const struct rules *rules, const char *text)
{
	struct image *image, *image_again;
	struct rules *again;
	char *text_again;

	assert_int_equal(rules_parse(text, strlen(text), "printed", &again, &error), 0);
	text_again = printed(again);
	assert_string_equal(text_again, text);
	assert_int_equal(image_build(rules, 3, NULL, &image, &error), 0);
	assert_int_equal(image_build(again, 3, NULL, &image_again, &error), 0);
	assert_int_equal(image->bytes, image_again->bytes);
	assert_memory_equal(image, image_again, image->bytes);
	assert_int_equal(image_check(image, image->bytes), 0);
	image_free(image);
	image_free(image_again);
	free(text_again);
	rules_free(again);
}

static void check_golden(const char *stem)
{
	char in[300], ok[300], warn[300], err[300];
	char *text, *warnings;
	struct rules *rules;
	int r;

	snprintf(in, sizeof(in), "rules/%s.in", stem);
	snprintf(ok, sizeof(ok), "rules/%s.ok", stem);
	snprintf(warn, sizeof(warn), "rules/%s.warn", stem);
	snprintf(err, sizeof(err), "rules/%s.err", stem);
	r = rules_load(in, &rules, &error);
	if (r < 0) {
		text = printed_error(&error, "error", NULL);
		expect_file(err, text);
		expect_file(ok, "");
		free(text);
		return;
	}
	text = printed(rules);
	warnings = printed_warnings(rules);
	expect_file(ok, text);
	expect_file(warn, warnings);
	expect_file(err, "");
	check_round_trip(rules, text);
	free(text);
	free(warnings);
	rules_free(rules);
}

static void test_golden(void **state)
{
	DIR *directory = opendir("rules");
	struct dirent *entry;
	unsigned n = 0;

	(void)state;
	assert_non_null(directory);
	while ((entry = readdir(directory))) {
		size_t len = strlen(entry->d_name);
		char stem[256];

		if (len < 4 || strcmp(entry->d_name + len - 3, ".in"))
			continue;
		snprintf(stem, sizeof(stem), "%.*s", (int)len - 3, entry->d_name);
		check_golden(stem);
		n++;
	}
	closedir(directory);
	assert_in_range(n, 10, 1000);
}

/* ---- one-line errors: the text, where the caret stands and how wide it is, the message ---- */

static const struct {
	const char *text;
	unsigned col, width;
	const char *message;
} errors[] = {
	/* statements */
	{ "dorp udp", 1, 4, "`dorp` is not a statement: did you mean `drop`?" },
	{ "frobnicate", 1, 10, "`frobnicate` is not a statement: set, on, allow, drop, limit, count, sample, divert or pass" },
	{ "{ udp", 1, 1, "expected a statement (set, on, allow, drop, limit, count, sample, divert, pass), found `{`" },
	{ "allow", 1, 5, "`allow` needs a match; only `pass` and `drop` stand alone, as the default verdict" },
	{ "count; pass", 1, 5, "`count` needs a match; only `pass` and `drop` stand alone, as the default verdict" },
	{ "pass; drop udp", 1, 4, "`pass` without a match is the default verdict: it has to be the last statement" },
	{ "drop; set a { 1 }", 1, 4, "`drop` without a match is the default verdict: it has to be the last statement" },
	{ "on fragmnt drop", 4, 7, "expected `fragment`, `unparsed` or `truncated`, found `fragmnt`: did you mean `fragment`?" },
	{ "on fragment allow", 13, 5, "expected `pass` or `drop`, found `allow`" },
	{ "on fragment drop; on fragment pass", 22, 8, "`on fragment` is decided already, further up" },
	{ "on fragment drop udp", 18, 3, "expected the end of the statement, found `udp`" },
	{ "drop udp adn port 53", 10, 3,
	  "expected `and`, `or`, `name`, `ttl`, `log` or the end of the statement, found `adn`: did you mean `and`?" },
	{ "drop udp tcp", 10, 3, "expected `and`, `or`, `name`, `ttl`, `log` or the end of the statement, found `tcp`" },
	{ "drop udp name", 14, 1, "expected the name of the rule, found the end of the text" },
	{ "drop udp name a/b", 15, 3, "`a/b`: a name has letters, digits, - _ . and starts with a letter or digit" },
	{ "drop udp name a b", 17, 1, "expected `name`, `ttl`, `log` or the end of the statement, found `b`" },
	{ "drop udp ttl 10", 14, 2, "`10` needs a unit: 10s, 10m, 10h or 10d" },
	{ "drop udp ttl 1x", 14, 2, "`1x` is not a time: write it as in 90s, 10m, 1h30m, 7d" },
	{ "drop udp ttl 4000d", 14, 5, "a time of 4000d is impossible: 1s to 3650d" },
	{ "drop udp ttl 0s", 14, 2, "a time of 0s is impossible: 1s to 3650d" },
	{ "drop udp ttl 1m ttl 2m", 17, 3, "`ttl` stands here already" },
	{ "drop udp log log", 14, 3, "`log` stands here already" },
	{ "drop udp name a name b", 17, 4, "the rule has a name already" },
	{ "drop udp )", 10, 1, "this `)` closes nothing" },

	/* divert */
	{ "drop overload pass udp", 6, 8, "only `divert` can be overloaded" },
	{ "divert overload udp", 17, 3, "expected `drop`, `pass`, `pass 1/N` or `allow {...}`, found `udp`" },
	{ "divert overload pass 2/3 udp", 22, 3, "expected `1/N`, one packet in N: `2/3`" },
	{ "divert overload pass 1/0 udp", 22, 3, "one packet in 0 is impossible: at least 1" },
	{ "divert overload pass 1/1000001 udp", 22, 9, "sample 1 in 1000001 is impossible: at most 1000000" },
	{ "divert overload allow 10.0.0.1 udp", 23, 8, "expected a list {ADDRESS, ...} or @set behind `overload allow`" },
	{ "divert overload allow {} udp", 23, 1, "an empty list matches nothing" },
	{ "divert overload pass", 21, 1, "expected a match such as `udp dst port 53`, found the end of the text" },

	{ "divert queue x udp", 14, 1, "`x` is not a queue" },
	{ "divert queue 1 queue 2 udp", 16, 5, "`queue` is not a match" },
	{ "divert to a/b udp", 11, 3, "`a/b`: a name has letters, digits, - _ . and starts with a letter or digit" },

	/* limit, sample */
	{ "limit pps udp", 7, 3, "`pps` is not a rate" },
	{ "limit 0 pps udp", 7, 1, "rate 0 is impossible: 1 to 1000G" },
	{ "limit 2000G bps udp", 7, 5, "rate 2000G is impossible: 1 to 1000G" },
	{ "limit 1k udp", 10, 3, "expected `pps` or `bps` behind the rate, found `udp`" },
	{ "limit 1k pps per udp", 18, 3, "expected `src` or `dst`, with a prefix length as in src/24, found `udp`" },
	{ "limit 1k pps per src/33 udp", 18, 6, "IPv4 prefix length 33 is impossible: at most 32" },
	{ "limit 1k pps per src/32/129 udp", 18, 10, "IPv6 prefix length 129 is impossible: at most 128" },
	{ "limit 1k pps per src/1/2/3 udp", 18, 9, "`src/1/2/3`: write src/LENGTH or src/LENGTH4/LENGTH6" },
	{ "limit 1k pps burst x udp", 20, 1, "`x` is not a burst" },
	{ "limit 1k pps", 13, 1, "expected a match such as `udp dst port 53`, found the end of the text" },
	{ "limit", 1, 5, "`limit` needs a match; only `pass` and `drop` stand alone, as the default verdict" },
	{ "sample udp", 8, 3, "expected `1/N`, one packet in N: `udp`" },
	{ "sample 1/0 udp", 8, 3, "one packet in 0 is impossible: at least 1" },

	/* expressions */
	{ "drop (udp", 6, 1, "this `(` is never closed" },
	{ "drop (udp drop tcp", 11, 4, "expected `and`, `or` or `)`, found `drop`" },
	{ "drop udp and", 13, 1, "expected a match such as `udp dst port 53`, found the end of the text" },
	{ "drop udp and ;", 14, 1, "expected a match such as `udp dst port 53`, found `;`" },
	{ "drop not", 9, 1, "expected a match such as `udp dst port 53`, found the end of the text" },
	{ "drop udp and portt 53", 14, 5, "`portt` is not a match: did you mean `port`?" },
	{ "drop vlna 5", 6, 4, "`vlna` is not a match: did you mean `vlan`?" },
	{ "drop 192.0.2.1", 6, 9, "`192.0.2.1` needs a word in front, such as `src` or `net`" },
	{ "drop 53", 6, 2, "`53` needs a word in front, such as `port`" },
	{ "drop @a", 6, 2, "`@a` needs a word in front, such as `src` or `net`" },
	{ "drop port 53 or udp or 80", 24, 2, "`80` needs a word in front, such as `port`" },
	{ "drop port (53 or udp)", 18, 3, "expected a port, found `udp`" },
	{ "drop src", 9, 1, "expected an address, found the end of the text" },
	{ "drop src or udp", 13, 3, "`src` needs a value in front of `or`, or `dst` behind it" },
	{ "drop dst and dst port 5", 14, 3, "`dst` needs a value in front of `and`, or `src` behind it" },
	{ "drop dst prot 53", 10, 4, "`prot` is not an address: did you mean `port`?" },
	{ "drop src port", 14, 1, "expected a port, found the end of the text" },
	{ "drop icmp port 53", 11, 4, "icmp has no ports" },
	{ "drop arp host 192.0.2.1", 10, 4, "addresses inside arp packets are not looked at" },
	{ "drop ip 192.0.2.1", 9, 9, "expected `host`, `net`, `port`, `src` or `dst` between `ip` and `192.0.2.1`" },
	{ "drop src proto 6", 10, 5, "a protocol number has no direction: leave out `src`, `dst`" },
	{ "drop udp proto 6", 10, 5, "only `ip` and `ip6` may stand in front of `proto`" },
	{ "drop ether 1", 12, 1, "expected `src`, `dst`, `host` or `proto` behind `ether`" },
	{ "drop ether host 1", 17, 1, "`1` is not an Ethernet address: write it as in 02:00:5e:10:00:01" },
	{ "drop ether src 1:2:3:4:5:6:7", 16, 13,
	  "`1:2:3:4:5:6:7` is not an Ethernet address: write it as in 02:00:5e:10:00:01" },
	{ "drop vlan 4096", 11, 4, "VLAN identifier 4096 is impossible: at most 4095" },
	{ "drop vlan and vlan and vlan", 24, 4, "a third `vlan`: frames are read behind at most two tags" },
	{ "drop ttl 256", 10, 3, "TTL 256 is impossible: at most 255" },
	{ "drop ttl > 255", 12, 3, "no TTL is above 255" },
	{ "drop ip ttl", 12, 1, "expected a TTL, found the end of the text" },
	{ "drop dscp xx", 11, 2, "`xx` is not a DSCP: a number, a range A-B, or be, le, va, ef, cs0 to cs7, af11 to af43" },
	{ "drop dscp 64", 11, 2, "DSCP 64 is impossible: at most 63" },
	{ "drop udp flags syn", 10, 5, "`flags` is asked of `tcp`: write `tcp` in front" },
	{ "drop flags sin", 12, 3,
	  "`sin` is not a TCP flag: fin, syn, rst, psh, ack, urg, ece, cwr, ae, or none, all, a number" },
	{ "drop flags syn/ack", 12, 7, "never true: flags 0x2 are not all in the mask 0x10" },
	{ "drop flags none", 12, 4, "`none` looks at no flag: write SET/MASK, as in syn/syn,ack or none/all" },
	{ "drop type 8", 6, 4, "`type` is asked of `icmp` or `icmp6`: write `icmp` or `icmp6` in front" },
	{ "drop icmp type 256", 16, 3, "ICMP type 256 is impossible: at most 255" },
	{ "drop icmp type 3-4/1", 16, 5, "`3-4/1`: a code belongs to one type, not to a range" },
	{ "drop icmp type echo/1", 16, 6, "`echo` is not a ICMP type" },
	{ "drop frag some", 11, 4, "`some` is no kind of fragment: none, first, later, last, any or df" },
	{ "drop options", 6, 7, "`options` is asked of `ip` or `ip6`: write `ip` or `ip6` in front" },
	{ "drop dns type foo", 15, 3, "`foo` is not a DNS type: a number, a range A-B, or a name such as a, aaaa, any, mx, txt" },
	{ "drop bpf udp", 10, 3, "expected a tcpdump expression in \"...\", found `udp`" },
	{ "drop bpf \"udp prot 1\"", 15, 4, "`prot` is no word of a tcpdump expression (names are not looked up)" },
	{ "drop bpf \"host www.example.org\"", 16, 15,
	  "`www.example.org` is no word of a tcpdump expression (names are not looked up)" },
	{ "drop bpf \"udp and\"", 10, 9, "libpcap: can't parse filter expression: syntax error" },
	{ "drop payload = 1", 14, 1, "expected `at` behind `payload`" },
	{ "drop dns under a", 10, 5, "expected `name`, `type` or `valid` behind `dns`" },

	/* addresses */
	{ "drop src 10.0.0.1/8", 10, 10, "`10.0.0.1/8` has bits set behind the prefix: the network is 10.0.0.0/8" },
	{ "drop src 2001:db8::1/64", 10, 14, "`2001:db8::1/64` has bits set behind the prefix: the network is 2001:db8::/64" },
	{ "drop src 192.0.2.1/33", 10, 12, "prefix length /33 is impossible: IPv4 has at most /32" },
	{ "drop src ::1/129", 10, 7, "prefix length /129 is impossible: IPv6 has at most /128" },
	{ "drop src 192.0.2.1/", 10, 10, "`192.0.2.1/`: the prefix length is a number, 0 to 32" },
	{ "drop src 192.0.2.1/2a", 10, 12, "`192.0.2.1/2a`: the prefix length is a number, 0 to 32" },
	{ "drop src 192.0.2.256", 10, 11, "`192.0.2.256` is not an address (names are not looked up)" },
	{ "drop src 192.0.2.01", 10, 10, "`192.0.2.01` is not an address (names are not looked up)" },
	{ "drop host www.example.org", 11, 15, "`www.example.org` is not an address (names are not looked up)" },
	{ "drop host 192.0.2", 11, 7, "`192.0.2`: write all four numbers, 192.0.2.0/24" },
	{ "drop net 10.1.2/16", 10, 9, "`10.1.2/16` has bits set behind the prefix: the network is 10.1.0.0/16" },
	{ "drop net 10.0.0.1 mask 255.0.0.0", 24, 9, "`10.0.0.1` has bits set behind the prefix: the network is 10.0.0.0/8" },
	{ "drop net 10.0.0.0 mask 255.0.255.0", 24, 11,
	  "the mask 255.0.255.0 has holes: only bpf \"net ... mask ...\" can look through it" },
	{ "drop net ::1 mask 255.0.0.0", 19, 9, "`mask` is for IPv4: write ADDRESS/LENGTH" },
	{ "drop net 10 mask", 17, 1, "expected a mask, found the end of the text" },
	{ "drop host 10.0.0.0/8", 11, 10, "`host` takes whole addresses: write `net 10.0.0.0/8`" },
	{ "drop ip host ::1", 14, 3, "`ip` packets have no IPv6 addresses" },
	{ "drop ip6 src 192.0.2.1", 14, 9, "`ip6` packets have no IPv4 addresses" },

	/* numbers */
	{ "drop port 70000", 11, 5, "port 70000 is impossible: at most 65535" },
	{ "drop port 99999999999999999999", 11, 20, "port 99999999999999999999 is impossible: at most 65535" },
	{ "drop port 5a", 11, 2, "`5a` is not a port" },
	{ "drop port 053", 11, 3, "`053` starts with 0: decimal numbers do not, hexadecimal ones with 0x" },
	{ "drop port 90-80", 11, 5, "port range 90-80 runs backwards: write 80-90" },
	{ "drop port 80-", 11, 3, "`80-` is not a port" },
	{ "drop port dmain", 11, 5, "`dmain` is not a port: a number, a range A-B, or domain, ntp, snmp, http, https, ssh" },
	{ "drop proto 256", 12, 3, "protocol number 256 is impossible: at most 255" },
	{ "drop proto foo", 12, 3, "`foo` is not a protocol number" },
	{ "drop ether proto 0x5ff", 18, 5, "EtherType 0x5ff is impossible: at least 0x600 (below it is an 802.3 length)" },
	{ "drop ether proto 0x10000", 18, 7, "EtherType 0x10000 is impossible: at most 65535" },
	{ "drop len 99999", 10, 5, "frame length 99999 is impossible: at most 65535" },
	{ "drop len < 0", 12, 1, "no frame length is below 0" },
	{ "drop len > 65535", 12, 5, "no frame length is above 65535" },
	{ "drop len 10 - 20", 13, 1, "expected `and`, `or`, `name`, `ttl`, `log` or the end of the statement, found `-`" },
	{ "drop len >", 11, 1, "expected a frame length, found the end of the text" },
	{ "drop less 70000", 11, 5, "frame length 70000 is impossible: at most 65535" },
	{ "drop payload at 1024 = 12", 17, 4, "payload offset 1024 is impossible: at most 1023" },
	{ "drop payload at 1 12", 19, 2, "expected `=`, found `12`" },
	{ "drop payload at 1 = 123", 21, 3, "`123` has half a byte: two hexadecimal digits each" },
	{ "drop payload at 1 = zz", 21, 2, "`zz` is not hexadecimal: write bytes as in 0x0d0a" },
	{ "drop payload at 1 = 0102030405060708090a0b0c0d0e0f1011", 21, 34, "17 bytes are too many: at most 16" },
	{ "drop payload at 1 & ff = 0000", 26, 4, "2 bytes behind a mask of 1: both the same" },
	{ "drop payload at 1 & 0f = 10", 26, 2, "never true: byte 0x10 has bits outside the mask 0x0f" },

	/* names */
	{ "drop dns name a..b", 15, 4, "`a..b` has an empty label" },
	{ "drop dns name .a", 15, 2, "`.a` has an empty label" },
	{ "drop dns name a\\999", 15, 5, "`a\\999`: a byte is written \\DDD, 000 to 255, and any other character as \\X" },
	{ "drop dns name a12345678901234567890123456789012345678901234567890123456789012b.c", 15, 66,
	  "`a12345678901234567890123456789012345678901234567890123456789` has a label of more than 63 bytes" },
	{ "drop dns name under", 20, 1, "expected a DNS name, found the end of the text" },

	/* lists and sets */
	{ "drop port {53, 80", 11, 1, "this `{` is never closed" },
	{ "drop port {53 80}", 15, 2, "expected `,` or `}`, found `80`" },
	{ "drop port {53; 80}", 14, 1, "expected `,` or `}`, found `;`" },
	{ "drop port {,}", 12, 1, "expected a port, found `,`" },
	{ "drop port {}", 11, 1, "an empty list matches nothing" },
	{ "drop src @a", 10, 2, "no set `a` above: write `set a { ... }` first" },
	{ "set bots { 192.0.2.1 }; drop src @bost", 34, 5, "no set `bost` above: did you mean `@bots`?" },
	{ "set a { 192.0.2.1 }; drop port @a", 32, 2, "set `a` holds addresses: this needs a port" },
	{ "set a { 53 }; drop src @a", 24, 2, "set `a` holds numbers: this needs an address" },
	{ "set a { 256 }; drop proto @a", 27, 2, "set `a` holds 256: a protocol number is at most 255" },
	{ "set a { 10.0.0.0/8 }; drop host @a", 33, 2, "`host` takes whole addresses: write `net 10.0.0.0/8`" },
	{ "set a { 53 }; drop dns name @a", 29, 2, "set `a` holds numbers: this needs a DNS name" },
	{ "set a { 53 }; drop port {80, @a}", 30, 2, "a set cannot stand inside a list: join the two with `or`" },
	{ "set a { 53, 192.0.2.1 }", 13, 9, "set `a` holds numbers: `192.0.2.1` is none" },
	{ "set a { 192.0.2.1, 53 }", 20, 2, "set `a` holds addresses: `53` is none" },
	{ "set a { 70000 }", 9, 5, "number 70000 is impossible: at most 65535" },
	{ "set a { foo }", 9, 3, "`foo` is not a number" },
	{ "set a { @b }", 9, 2, "a set cannot stand inside a list: join the two with `or`" },
	{ "set a { 1", 7, 1, "this `{` is never closed" },
	{ "set a 1", 7, 1, "expected `{`, found `1`" },
	{ "set @a { 1 }", 5, 2, "the `@` stands only where a set is used" },
	{ "set -a { 1 }", 5, 2, "`-a`: a name has letters, digits, - _ . and starts with a letter or digit" },
	{ "set", 4, 1, "expected the name of the set, found the end of the text" },
	{ "set a { 1 }; set a { 2 }", 18, 1, "set `a` exists already" },
	{ "set a { 53 }; drop ether proto @a", 32, 2,
	  "sets hold addresses, numbers, tuples or DNS names: write an EtherType as a list {a, b}" },
	{ "set a { 300 }; drop ttl @a", 25, 2, "set `a` holds 300: a TTL is at most 255" },
	{ "set a { a.example }; drop src @a", 31, 2, "set `a` holds names: this needs an address" },
	{ "set a { 10.0.0.0/8 . tcp . 80 }; drop net @a", 43, 2, "set `a` holds tuples: this needs an address" },
	{ "set a { 10.0.0.0/8 . tcp }", 26, 1, "expected ` . ` between the parts of a tuple, found `}`" },
	{ "set a { 10.0.0.0/8 . tcp . x }", 28, 1,
	  "`x` is not a port: a number, a range A-B, or domain, ntp, snmp, http, https, ssh" },
	{ "set a { 10.0.0.0/8 . 6-7 . 80 }", 22, 3, "a tuple has one protocol: `6-7`" },
	{ "set a { 10.0.0.0/8 . tcp . 80, 10.0.0.0/8 }", 43, 1, "expected ` . ` between the parts of a tuple, found `}`" },
	{ "set a { 192.0.2.1 ttl 5 }", 23, 1, "`5` needs a unit: 5s, 5m, 5h or 5d" },
	{ "set a type foo { }", 12, 3, "expected `prefixes`, `numbers`, `tuples` or `names`, found `foo`" },
	{ "set a ttl 1m ttl 2m { }", 14, 3, "`ttl` stands here already" },
	{ "set a size 0 { }", 12, 1, "room for 0 items is none: leave `size` out" },
	{ "set a { 999.1.1.1/33 }", 9, 12, "`999.1.1.1/33` is not an address (names are not looked up)" },
	{ "set a { file x }", 14, 1, "expected a file name in \"...\", found `x`" },
	{ "set a { file \"x\" }", 14, 3, "`file` is read only where the rules come from a file themselves" },
	{ "set a { 1 } drop", 13, 4, "expected the end of the statement, found `drop`" },

	/* characters */
	{ "drop udp | tcp", 10, 1, "write `||` or `or`" },
	{ "drop udp \\ ", 10, 1, "`\\` continues a line only as its last character" },
	{ "drop udp?", 9, 1, "`?` has no meaning here" },
	{ "drop \x01", 6, 1, "byte 0x01: rules are plain ASCII text (comments may hold anything)" },
	{ "\xef\xbb\xbf"
	  "drop udp",
	  1, 1, "byte 0xef: rules are plain ASCII text (comments may hold anything)" },
	{ "set a { file \"x }", 14, 4, "this string is never closed" },
	{ "set a { file \"\t\" }", 15, 1, "control character in a string" },
};

static void test_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct rules *rules;
		int r = rules_parse(errors[i].text, strlen(errors[i].text), "text", &rules, &error);

		if (r != -EINVAL || strcmp(error.message, errors[i].message) || error.line != 1 || error.col != errors[i].col ||
		    error.width != errors[i].width)
			print_error("`%s` gave %d, %u:%u, width %u: %s\n", errors[i].text, r, error.line, error.col, error.width,
				    error.message);
		assert_int_equal(r, -EINVAL);
		assert_string_equal(error.message, errors[i].message);
		assert_string_equal(error.text, errors[i].text);
		assert_string_equal(error.file, "text");
		assert_int_equal(error.line, 1);
		assert_int_equal(error.col, errors[i].col);
		assert_int_equal(error.width, errors[i].width);
	}
}

/* ---- limits ---- */

struct text {
	char *text;
	size_t len;
	FILE *out;
};

static FILE *text_begin(struct text *text)
{
	text->out = open_memstream(&text->text, &text->len);
	return text->out;
}

/* Parse what was written since text_begin(). */
static int text_parse(struct text *text, struct rules **ret_rules)
{
	int r;

	fclose(text->out);
	r = rules_parse(text->text, text->len, "limits", ret_rules, &error);
	free(text->text);
	return r;
}

static void repeat(FILE *out, unsigned n, const char *text)
{
	while (n--)
		fputs(text, out);
}

static void test_text_size(void **state)
{
	size_t limit = 256 << 20;
	char *text = calloc(1, limit + 1); /* the pages are never touched */
	struct rules *rules;

	(void)state;
	assert_int_equal(rules_parse(text, limit + 1, "text", &rules, &error), -E2BIG);
	assert_string_equal(error.message, "the text is longer than 256 MiB");
	assert_int_equal(error.line, 0);
	free(text);
}

static void test_rules_text_max(void **state)
{
	struct rules *rules;
	struct text text;

	(void)state;
	repeat(text_begin(&text), 65536, "count udp\n");
	assert_int_equal(text_parse(&text, &rules), 0);
	assert_int_equal(rules_count(rules), 65536);
	assert_string_equal(rules_info(rules, 65535).text, "count udp");
	rules_free(rules);
	repeat(text_begin(&text), 65537, "count udp\n");
	assert_int_equal(text_parse(&text, &rules), -EINVAL);
	assert_int_equal(error.line, 65537);
	assert_string_equal(error.message, "more than 65536 rules: lists of addresses or ports belong into sets");
}

/* Parse `text`, then build: the error has to be about `line`, or 0: none. */
static void check_build(struct text *text, unsigned line, const char *message)
{
	struct image *image = NULL;
	struct rules *rules;
	int r;

	assert_int_equal(text_parse(text, &rules), 0);
	r = image_build(rules, 1, NULL, &image, &error);
	assert_int_equal(r, line ? -E2BIG : 0);
	if (line) {
		assert_int_equal(error.line, line);
		assert_string_equal(error.message, message);
	} else {
		assert_int_equal(image_check(image, image->bytes), 0);
	}
	image_free(image);
	rules_free(rules);
}

static void test_rules_max(void **state)
{
	struct text text;

	(void)state;
	repeat(text_begin(&text), IMAGE_RULES_MAX, "count udp\n");
	check_build(&text, 0, NULL);
}

/* `n` lengths that only a program of questions can ask for. */
static void print_lengths(FILE *out, unsigned n)
{
	fputs("count len {", out);
	for (unsigned i = 0; i < n; i++)
		fprintf(out, "%u,", 2 * i + 1);
	fputs("}\n", out);
}

static void test_steps_max(void **state)
{
	struct text text;

	(void)state;
	print_lengths(text_begin(&text), IMAGE_STEPS_RULE_MAX - 2); /* and yes, and no */
	check_build(&text, 0, NULL);
	fputs("count udp\n", text_begin(&text));
	print_lengths(text.out, IMAGE_STEPS_RULE_MAX - 1);
	check_build(&text, 2, "too many questions: this rule is the first that does not fit; split it into several");
}

/* Names asked again, and names that are the end of others, stand in the pool once. */
static void test_names_shared(void **state)
{
	struct image *image;
	struct rules *rules;
	struct text text;

	(void)state;
	text_begin(&text);
	for (unsigned i = 0; i < 200; i++)
		fprintf(text.out, "count dns name under %s.example or dns name www.%s.example\n",
			"a23456789012345678901234567890", "a23456789012345678901234567890");
	assert_int_equal(text_parse(&text, &rules), 0);
	assert_int_equal(image_build(rules, 1, NULL, &image, &error), 0);
	assert_int_equal(image->n_names, 44);
	image_free(image);
	rules_free(rules);
}

static void test_depth_max(void **state)
{
	struct image *image = NULL;
	struct rules *rules;
	char *deepest;
	struct text text;

	(void)state;
	for (unsigned depth = 64; depth <= 65; depth++) {
		text_begin(&text);
		fputs("drop ", text.out);
		repeat(text.out, depth, "(");
		fputs("udp", text.out);
		repeat(text.out, depth, ")");
		assert_int_equal(text_parse(&text, &rules), depth == 64 ? 0 : -EINVAL);
		if (depth == 64)
			rules_free(rules);
	}
	assert_string_equal(error.message, "nested deeper than 64 levels");
	assert_int_equal(error.col, 6 + 64);

	repeat(text_begin(&text), 100000, "not ");
	assert_int_equal(text_parse(&text, &rules), -EINVAL);

	for (unsigned pairs = 31; pairs <= 32; pairs++) {
		fputs("drop udp", text_begin(&text));
		repeat(text.out, pairs, " and tcp or ip");
		repeat(text.out, 1, " and arp");
		assert_int_equal(text_parse(&text, &rules), pairs == 31 ? 0 : -EINVAL);
		if (pairs == 31)
			rules_free(rules);
	}
	assert_string_equal(error.message,
			    "`not`, `and` and `or` alternate through more than 64 levels: use lists or several rules");

	fputs("drop ", text_begin(&text)); /* would print with more levels than may be read */
	repeat(text.out, 30, "not (");
	fputs("udp", text.out);
	repeat(text.out, 25, " and tcp or ip");
	repeat(text.out, 30, ")");
	assert_int_equal(text_parse(&text, &rules), -EINVAL);

	fputs("drop ", text_begin(&text)); /* deep, and as text again */
	repeat(text.out, 7, "not (");
	fputs("udp", text.out);
	repeat(text.out, 24, " and tcp or ip");
	repeat(text.out, 7, ")");
	assert_int_equal(text_parse(&text, &rules), 0);
	deepest = printed(rules);
	check_round_trip(rules, deepest);
	free(deepest);
	rules_free(rules);

	fputs("drop udp", text_begin(&text)); /* a chain of one kind has no depth */
	repeat(text.out, 100000, " or tcp");
	assert_int_equal(text_parse(&text, &rules), 0);
	assert_int_equal(image_build(rules, 1, NULL, &image, &error), -E2BIG);
	rules_free(rules);
}

static void test_sets_max(void **state)
{
	struct image *image = NULL;
	struct rules *rules;
	struct text text;

	(void)state;
	text_begin(&text);
	for (unsigned i = 0; i <= 1024; i++)
		fprintf(text.out, "set s%u { %u }\n", i, i);
	assert_int_equal(text_parse(&text, &rules), -EINVAL);
	assert_string_equal(error.message, "more than 1024 sets");
	assert_int_equal(error.line, 1025);

	fputs("set s {", text_begin(&text));
	for (unsigned i = 0; i < 300000; i++)
		fprintf(text.out, "%u.%u.%u.0/24,", 1 + (i >> 16), i >> 8 & 255, i & 255);
	fputs("}\ndrop src @s", text.out);
	assert_int_equal(text_parse(&text, &rules), 0);
	assert_int_equal(image_build(rules, 1, NULL, &image, &error), -E2BIG);
	rules_free(rules);
}

static void test_overload_max(void **state)
{
	struct rules *rules;
	struct text text;

	(void)state;
	for (unsigned n = 64; n <= 65; n++) {
		fputs("divert overload allow {", text_begin(&text));
		for (unsigned i = 0; i < n; i++)
			fprintf(text.out, "192.0.2.%u,", i);
		fputs("} udp", text.out);
		assert_int_equal(text_parse(&text, &rules), n == 64 ? 0 : -EINVAL);
		if (n == 64)
			rules_free(rules);
	}
	assert_string_equal(error.message, "65 prefixes on an overload list: at most 64");
}

static void test_long_line(void **state)
{
	struct rules *rules;
	struct text text;
	size_t caret;
	char *out;

	(void)state;
	fputs("drop udp", text_begin(&text));
	repeat(text.out, 500, " or tcp");
	fputs(" or?", text.out);
	repeat(text.out, 500, " or tcp");
	assert_int_equal(text_parse(&text, &rules), -EINVAL);
	assert_int_equal(error.col, 8 + 500 * 7 + 4);
	assert_int_equal(error.text[error.col - 1 - error.text_col], '?');
	assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
	out = printed_error(&error, "error", NULL);
	caret = strlen(out) - 2; /* the last character but for the line end */
	assert_int_equal(out[caret], '^');
	assert_int_equal(out[caret - sizeof(error.text)], error.text[error.col - 1 - error.text_col]);
	free(out);
}

static void test_terminal(void **state)
{
	struct rules *rules;
	char *out;

	(void)state;
	assert_int_equal(rules_parse("drop \033[31m # \x9b", 15, "f", &rules, &error), -EINVAL);
	out = printed_error(&error, "error", NULL);
	assert_string_equal(out, "f:1:6: error: byte 0x1b: rules are plain ASCII text (comments may hold anything)\n"
				 "drop ?[31m # ?\n"
				 "     ^\n");
	free(out);
}

/* ---- what rules_lint() says ---- */

static const struct {
	const char *text;
	const char *said; /* one line a warning */
} lints[] = {
	{ "allow src 192.0.2.1 and udp\ndrop udp dst port 53", "" },
	{ "drop udp", "1: too wide: drops all packets of a protocol; add an address, a port, a length or a flag\n" },
	{ "drop ip6 or port 5", "1: too wide: drops all packets of a protocol; add an address, a port, a length or a flag\n" },
	{ "drop udp and not port 53", "" },
	{ "drop net 0.0.0.0/0", "1: too wide: drops all packets of a protocol; add an address, a port, a length or a flag\n" },
	{ "count udp and tcp", "1: never matches: its conditions exclude each other\n" },
	{ "count src 10.0.0.0/8 and src 11.0.0.0/8", "1: never matches: its conditions exclude each other\n" },
	{ "count src 10.0.0.0/8 and src net {10.0.1.0/24, 11.0.0.0/8}", "" },
	{ "count src 2001:db8::/32 and not src 2001:db8::1", "" },
	{ "count icmp and port 53", "1: never matches: its conditions exclude each other\n" },
	{ "count arp and ip", "1: never matches: its conditions exclude each other\n" },
	{ "count ip and dst ::1", "1: never matches: its conditions exclude each other\n" },
	{ "count src 192.0.2.1 and dst ::1", "1: never matches: its conditions exclude each other\n" },
	{ "count not ttl 0-255 and tcp", "1: never matches: its conditions exclude each other\n" },
	{ "count len < 60 and len > 60", "1: never matches: its conditions exclude each other\n" },
	{ "count vlan 1 and not vlan", "" }, /* the second is the inner tag */
	{ "drop vlan 1 or vlan 2", "1: the second `vlan` asks for the inner tag, as in tcpdump: write vlan {A, B} for either\n" },
	{ "drop src 10.0.0.0/8\nallow tcp src {10.1.0.0/16, 10.2.0.1}",
	  "2: never reached: the rule in line 1 has all its packets\n" },
	{ "drop src 10.0.0.0/8\nallow tcp src {10.1.0.0/16, 11.2.0.1}", "" },
	{ "drop tcp dst port 80-90\ncount tcp dst port 85 and payload at 0 = 00",
	  "2: never reached: the rule in line 1 has all its packets\n" },
	{ "drop tcp dst port 80-90 and payload at 0 = 00\ncount tcp dst port 85", "" },
	{ "count src 10.0.0.0/8\ndrop src 10.0.0.1", "" },
	{ "drop src 10.3.0.0/18 and dst 2.0.0.0/8\ncount src 10.3.63.0/25 and dst 2.1.1.1",
	  "2: never reached: the rule in line 1 has all its packets\n" },
	{ "drop src 2001:db8:8000::/33\nallow src 2001:db8:8001::1 and udp",
	  "2: never reached: the rule in line 1 has all its packets\n" },
	{ "drop src 2001:db8:8000::/33\nallow src 2001:db8:7001::1 and udp", "" },
	{ "drop tcp dst port 80-90\nallow tcp dst port 85-95",
	  "2: some of its packets are dropped by the rule in line 1 already\n" },
	{ "allow tcp dst port 80-90\ndrop tcp dst port 85-95",
	  "2: some of its packets are let through by the rule in line 1 already\n" },
	{ "drop tcp dst port 80-90\ndrop tcp dst port 85-95", "" },
	{ "allow tcp dst port 80\ndrop tcp dst port 1-1023", "" }, /* an exception to the rule */
};

static void test_lint(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lints) / sizeof(lints[0]); i++) {
		struct rules *rules;
		char *said;
		size_t len;
		FILE *out = open_memstream(&said, &len);

		assert_int_equal(rules_parse(lints[i].text, strlen(lints[i].text), "text", &rules, &error), 0);
		assert_int_equal(rules_warning_count(rules), 0);
		assert_int_equal(rules_lint(rules), 0);
		for (size_t j = 0; j < rules_warning_count(rules); j++) {
			assert_int_equal(rules_warning(rules, j)->note,
					 strstr(rules_warning(rules, j)->message, "some of") != NULL);
			fprintf(out, "%u: %s\n", rules_warning(rules, j)->line, rules_warning(rules, j)->message);
		}
		fclose(out);
		if (strcmp(said, lints[i].said))
			print_error("%s\n", lints[i].text);
		assert_string_equal(said, lints[i].said);
		free(said);
		rules_free(rules);
	}
}

/* The largest rule set: the comparison ends, and says so. */
static void test_lint_max(void **state)
{
	const struct rules_error *last;
	struct rules *rules;
	struct text text;

	(void)state;
	text_begin(&text);
	for (unsigned i = 0; i < 65536; i++)
		fprintf(text.out, "drop tcp dst port %u and src 10.0.0.%u\n", i, i % 256);
	assert_int_equal(text_parse(&text, &rules), 0);
	assert_int_equal(rules_lint(rules), 0);
	assert_int_equal(rules_warning_count(rules), 1);
	last = rules_warning(rules, 0);
	assert_string_equal(last->message, "overlaps were not looked for behind this rule: there are too many rules");
	assert_true(last->note);
	rules_free(rules);
}

static void test_estimate(void **state)
{
	static const struct {
		const char *text;
		bool nic_capable;
	} cases[] = {
		{ "drop udp dst port 53", true },
		{ "divert tcp src 10.0.0.0/8 and dst port {80, 443}", true },
		{ "drop ip6 and udp dst port 53 and src 2001:db8::/32", true },
		{ "drop udp dst port 53-54", false },
		{ "drop udp dst port 53 and len > 512", false },
		{ "drop src 10.0.0.1", false },
		{ "drop udp and not port 53", false },
		{ "count udp dst port 53", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rules *rules;
		bool nic_capable;
		unsigned ns;

		assert_int_equal(rules_parse(cases[i].text, strlen(cases[i].text), "text", &rules, &error), 0);
		rules_estimate(rules, 0, &nic_capable, &ns);
		assert_int_equal(nic_capable, cases[i].nic_capable);
		assert_in_range(ns, 1, 1000);
		rules_free(rules);
	}
}

/* ---- what the other modules read ---- */

static void test_info(void **state)
{
	static const char text[] = "# first\nset a { 53 }\ncount port @a name dns\ndivert overload pass 1/2 udp port  53\n"
				   "drop dns name A.example and udp";
	struct rules *rules;
	struct rule_info info;

	(void)state;
	assert_int_equal(rules_parse(text, sizeof(text) - 1, "f", &rules, &error), 0);
	assert_int_equal(rules_count(rules), 3);
	info = rules_info(rules, 0);
	assert_int_equal(info.line, 3);
	assert_int_equal(info.action, ACTION_COUNT);
	assert_int_equal(info.tier, TIER_XDP);
	assert_string_equal(info.name, "dns");
	assert_string_equal(info.text, "count port @a name dns");
	info = rules_info(rules, 1);
	assert_int_equal(info.action, ACTION_DIVERT);
	assert_null(info.name);
	assert_string_equal(info.text, "divert overload pass 1/2 udp port 53");
	info = rules_info(rules, 2);
	assert_int_equal(info.tier, TIER_USER);
	assert_string_equal(info.reason, "needs the DNS question, which only the user tier parses");
	assert_string_equal(info.text, "drop dns name a.example and udp");
	rules_free(rules);
}

static void test_image(void **state)
{
	static const char text[] = "divert overload pass 1/9 udp dst port 53\ndrop src 2001:db8::/33\non truncated drop\ndrop";
	static const uint32_t counters[] = { 300, 2 };
	const struct image_rule *rule;
	const struct image_row *row;
	struct image *image;
	struct rules *rules;

	(void)state;
	assert_int_equal(rules_parse(text, sizeof(text) - 1, "f", &rules, &error), 0);
	assert_int_equal(image_build(rules, 42, counters, &image, &error), 0);
	assert_int_equal(image_check(image, image->bytes), 0);
	assert_int_equal(image->generation, 42);
	assert_int_equal(image->n_rules, 2);
	assert_int_equal(image->n_rows, 2);
	assert_int_equal(image->n_groups, 2);
	assert_int_equal(image->n_steps, 0);
	assert_int_equal(image->default_action, ACTION_DROP);
	assert_int_equal(image->policy[CONDITION_TRUNCATED], ACTION_DROP);
	assert_int_equal(image->policy[CONDITION_FRAGMENT], 0);
	assert_int_equal(image->has_divert, 1);
	rule = lookup_rule_at(image, 0);
	assert_int_equal(rule->overload, OVERLOAD_SAMPLE);
	assert_int_equal(rule->overload_n, 9);
	assert_int_equal(rule->counter, 300);
	assert_int_equal(lookup_rule_at(image, 1)->line, 2);
	for (uint32_t i = 0; i < 2; i++) {
		row = lookup_row_at(image, i);
		if (row->rule == 0) {
			assert_int_equal(row->family, ROW_FAMILY_ANY);
			assert_int_equal(row->range.lo[LANE_PROTO], PROTO_UDP);
			assert_int_equal(row->range.lo[LANE_DST_PORT], 53);
			assert_int_equal(row->range.hi[LANE_DST_PORT], 53);
			assert_int_equal(row->range.lo[LANE_HAS_PORTS], 1);
			continue;
		}
		assert_int_equal(row->family, FAMILY_IP6);
		assert_int_equal(row->src_len, 33);
		assert_int_equal(row->src[0], 0x20010db800000000u);
		assert_int_equal(row->dst_len, 0);
	}
	image_free(image);
	rules_free(rules);
}

/* Any byte behind the checksum, changed, is noticed; what names other sizes or versions too. */
static void test_image_check(void **state)
{
	static const char text[] = "divert overload allow {192.0.2.1} udp\ndrop dns name under a.example\n";
	struct rules *rules;
	struct image *image;
	uint8_t *bytes;

	(void)state;
	assert_int_equal(rules_parse(text, sizeof(text) - 1, "f", &rules, &error), 0);
	assert_int_equal(image_build(rules, 1, NULL, &image, &error), 0);
	bytes = (uint8_t *)image;
	for (size_t at = 0; at < image->bytes; at += at < 1024 ? 1 : 97) {
		size_t size = image->bytes;
		bool counted = at >= offsetof(struct image, generation) && at < offsetof(struct image, checksum);

		bytes[at] ^= 0x40;
		assert_int_equal(image_check(image, size), counted ? 0 : -EINVAL);
		bytes[at] ^= 0x40;
	}
	assert_int_equal(image_check(image, image->bytes), 0);
	assert_int_equal(image_check(image, image->bytes - 1), -EINVAL);
	image_free(image);
	rules_free(rules);
}

static void test_load(void **state)
{
	struct rules *rules;

	(void)state;
	assert_int_equal(rules_load("rules/no-such-file", &rules, &error), -ENOENT);
	assert_string_equal(error.file, "rules/no-such-file");
	assert_string_equal(error.message, "cannot open: No such file or directory");
	assert_int_equal(rules_load("rules", &rules, &error), -EISDIR);
	assert_string_equal(error.message, "cannot read: Is a directory");
	assert_null(rules_free(NULL));
}

/* A set file of `len` bytes, through a file or through stdin. Returns what rules_load() does; fills `error`. */
static int load_set(const char *text, size_t len, bool in, struct rules **ret_rules)
{
	char directory[] = "/tmp/test_rules.XXXXXX", rules[64], items[64];
	int r, saved = dup(STDIN_FILENO);
	FILE *out;

	assert_non_null(mkdtemp(directory));
	snprintf(rules, sizeof(rules), "%s/r", directory);
	snprintf(items, sizeof(items), "%s/items", directory);
	out = fopen(rules, "w");
	fprintf(out, "set a { file \"%s\" }\n", in ? "-" : "items");
	fclose(out);
	out = fopen(items, "w");
	fwrite(text, 1, len, out);
	fclose(out);
	if (in)
		assert_non_null(freopen(items, "r", stdin));
	r = rules_load(rules, ret_rules, &error);
	dup2(saved, STDIN_FILENO);
	close(saved);
	unlink(items);
	unlink(rules);
	rmdir(directory);
	return r;
}

/* The lines of a long file, read through one buffer: none is lost or split where the buffer ends. */
static void test_set_file(void **state)
{
	struct text text;
	struct rules *rules;
	char *canonical;
	unsigned commas = 0;

	(void)state;
	for (int in = 0; in <= 1; in++) {
		text_begin(&text);
		for (unsigned i = 0; i < 30000; i++)
			fprintf(text.out, "10.%u.%u.%u\n%s", i >> 16, i >> 8 & 255, i & 255, i % 7 ? "" : "# a comment\n\n");
		fputs("2001:db8::1", text.out); /* no line end */
		fclose(text.out);
		assert_int_equal(load_set(text.text, text.len, in, &rules), 0);
		canonical = printed(rules);
		for (const char *c = canonical; *c; c++)
			commas += *c == ',';
		assert_non_null(strstr(canonical, "10.0.117.47, 2001:db8::1}"));
		free(canonical);
		free(text.text);
		rules_free(rules);
	}
	assert_int_equal(commas, 2 * 30000);
}

static void test_set_file_errors(void **state)
{
	char *line = malloc(70000);
	struct rules *rules;

	(void)state;
	memset(line, '1', 70000);
	assert_int_equal(load_set(line, 70000, false, &rules), -EINVAL);
	assert_non_null(strstr(error.message, "items: line 1 is longer than 65535 bytes"));
	memset(line, '\n', 60000);
	memcpy(line + 60000, "192.0.2.1\n999.1.1.1/33\n", 23);
	assert_int_equal(load_set(line, 60023, true, &rules), -EINVAL);
	assert_string_equal(error.file, "stdin");
	assert_int_equal(error.line, 60002);
	assert_int_equal(error.col, 1);
	assert_string_equal(error.text, "999.1.1.1/33");
	assert_string_equal(error.message, "`999.1.1.1/33` is not an address (names are not looked up)");
	free(line);
}

/* Every example in the manual page loads, without a warning. */
static void test_manual(void **state)
{
	FILE *in = fopen("../../man/spillway-rules.5.scd", "r");
	struct text text = { 0 };
	struct image *image;
	struct rules *rules;
	char line[512];
	unsigned n = 0;

	(void)state;
	assert_non_null(in);
	while (fgets(line, sizeof(line), in)) {
		char *escape = strstr(line, "\\\\\n");

		if (strcmp(line, "```\n") == 0 && !text.out) {
			text_begin(&text);
		} else if (strcmp(line, "```\n") == 0) {
			assert_int_equal(text_parse(&text, &rules), 0);
			assert_int_equal(rules_warning_count(rules), 0);
			assert_int_equal(image_build(rules, 1, NULL, &image, &error), 0);
			image_free(image);
			rules_free(rules);
			text.out = NULL;
			n++;
		} else if (text.out) {
			if (escape) /* the manual's source doubles it */
				strcpy(escape, "\\\n");
			fputs(line, text.out);
		}
	}
	fclose(in);
	assert_in_range(n, 5, 100);
}

/* Every equivalent in the FlowSpec table is a match. A cell is a list of bold texts. */
static void test_flowspec(void **state)
{
	FILE *in = fopen("../../man/spillway-rules.5.scd", "r");
	char line[512], text[600];
	bool in_table = false;
	unsigned n = 0;

	(void)state;
	assert_non_null(in);
	while (fgets(line, sizeof(line), in)) {
		in_table = strncmp(line, "[[ *type*", 9) == 0 || (in_table && line[0] != '\n');
		if (!in_table || strncmp(line, ":  *", 4) != 0)
			continue;
		strtok(line, "*");
		for (const char *cell = strtok(NULL, "*"); cell && *cell != '\n'; strtok(NULL, "*"), cell = strtok(NULL, "*")) {
			struct rules *rules;

			snprintf(text, sizeof(text), "count %s", cell);
			memset(&error, 0, sizeof(error));
			if (rules_parse(text, strlen(text), "table", &rules, &error) < 0)
				rules_error_print(&error, "error", stderr);
			else
				rules_free(rules);
			assert_int_equal(error.message[0], 0);
			n++;
		}
	}
	fclose(in);
	assert_in_range(n, 14, 40); /* thirteen types */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),	       cmocka_unit_test(test_errors),	 cmocka_unit_test(test_text_size),
		cmocka_unit_test(test_rules_text_max), cmocka_unit_test(test_rules_max), cmocka_unit_test(test_steps_max),
		cmocka_unit_test(test_names_shared),   cmocka_unit_test(test_depth_max), cmocka_unit_test(test_sets_max),
		cmocka_unit_test(test_overload_max),   cmocka_unit_test(test_long_line), cmocka_unit_test(test_terminal),
		cmocka_unit_test(test_lint),	       cmocka_unit_test(test_lint_max),	 cmocka_unit_test(test_estimate),
		cmocka_unit_test(test_info),	       cmocka_unit_test(test_image),	 cmocka_unit_test(test_image_check),
		cmocka_unit_test(test_load),	       cmocka_unit_test(test_set_file),	 cmocka_unit_test(test_set_file_errors),
		cmocka_unit_test(test_manual),	       cmocka_unit_test(test_flowspec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
