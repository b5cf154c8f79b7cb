/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What rules_lint() says of rules that parse, and the estimates.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "rules_text.h"

static const struct {
	const char *text;
	const char *said; /* one line a warning */
} lints[] = {
	{ "", "0: there is no rule: every packet passes\n" },
	{ "pass", "" },
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
					 strstr(rules_warning(rules, j)->message, "some of") != NULL ||
						 rules_warning(rules, j)->line == 0);
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

/* That more is wrong than is shown, and that the comparison ended, is told behind any number of warnings. */
static void test_lint_many(void **state)
{
	struct rules *rules;
	struct text text;
	size_t n;

	(void)state;
	repeat(text_begin(&text), 100, "count udp and tcp\n");
	for (unsigned i = 0; i < 10000; i++) /* pairs that overlap, far down; a search by prefix takes a fourth of the steps */
		fprintf(text.out, "%s tcp dst port %u-%u and src 10.0.%u.0/24\n", i % 2 ? "drop" : "allow", 5 * i, 5 * i + 6,
			i / 2 % 4);
	assert_int_equal(text_parse(&text, &rules), 0);
	assert_int_equal(rules_lint(rules), 0);
	n = rules_warning_count(rules);
	assert_int_equal(n, 64 + 3);
	assert_int_equal(rules_warning(rules, 64)->line, 65);
	assert_string_equal(rules_warning(rules, 64)->message, "more warnings follow, from this rule on, and are not shown");
	assert_string_equal(rules_warning(rules, n - 2)->message,
			    "overlaps were not looked for behind this rule: there are too many rules");
	assert_string_equal(rules_warning(rules, n - 1)->message,
			    "rules from here on were not compared with those above: too many");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lint),
		cmocka_unit_test(test_lint_max),
		cmocka_unit_test(test_lint_many),
		cmocka_unit_test(test_estimate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
