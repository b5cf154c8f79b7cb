/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is said of wrong rules, and where the caret stands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rules_text.h"

/* The text, where the caret stands and how wide it is, the message. */
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
	  1, 3, "a byte order mark: save the text as UTF-8 without one" },
	{ "\xff\xfe"
	  "d",
	  1, 2, "this is UTF-16: save the text as ASCII or UTF-8" },
	{ "drop udp dst p\xc3\xb6rt 5", 15, 1, "byte 0xc3: rules are plain ASCII text (comments may hold anything)" },
	{ "drop udp\x7f", 9, 1, "byte 0x7f: rules are plain ASCII text (comments may hold anything)" },
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
				 "drop ?[31m # ??\n"
				 "     ^\n");
	free(out);
}

/* A NUL byte ends no text, and is shown. */
static void test_nul(void **state)
{
	static const struct {
		const char *text, *shown, *message;
		size_t len;
		unsigned col;
	} cases[] = {
		{ "drop u\0dp", "drop u?dp", "byte 0x00: rules are plain ASCII text (comments may hold anything)", 9, 7 },
		{ "\0\0", "??", "byte 0x00: rules are plain ASCII text (comments may hold anything)", 2, 1 },
		{ "set a { file \"a\0b\" }", "set a { file \"a?b\" }", "control character in a string", 20, 16 },
		{ "dorp # \0 #", "dorp # ? #", "`dorp` is not a statement: did you mean `drop`?", 10, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rules *rules;

		assert_int_equal(rules_parse(cases[i].text, cases[i].len, "text", &rules, &error), -EINVAL);
		assert_string_equal(error.message, cases[i].message);
		assert_string_equal(error.text, cases[i].shown);
		assert_int_equal(error.col, cases[i].col);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_terminal),
		cmocka_unit_test(test_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
