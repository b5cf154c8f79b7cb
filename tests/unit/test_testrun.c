/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames through the tiers offline: the host's two walks count what one does, the XDP program does what the host foretells, and a
 * program that reads another image is found out. What runs the program needs root, and is skipped without.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "classify/classify.h"
#include "control/offline.h"
#include "control/oracle.h"
#include "control/testrun.h"
#include "rules/rules.h"

#define FRAMES_MAX 256
#define RULES_TRIED_MAX 16

struct frame {
	uint32_t len;
	uint8_t *data;
};

static struct frame frames[FRAMES_MAX];
static unsigned n_frames;

static void put16(uint8_t *to, unsigned value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

static void add_frame(const uint8_t *data, uint32_t len)
{
	assert_true(n_frames < FRAMES_MAX);
	frames[n_frames].data = malloc(len + 1); /* of its own, so that a sanitizer sees each byte read behind it */
	frames[n_frames].len = len;
	memcpy(frames[n_frames++].data, data, len);
}

enum { WHOLE, FIRST_FRAGMENT, LATER_FRAGMENT, OPTIONS, BAD_HEADER, SHAPES };

/* The IP header in the given shape; returns its length. `proto` stands behind it. */
static uint32_t put_ip(uint8_t *ip, int family, uint8_t proto, int shape, uint32_t payload_len)
{
	uint32_t len = family == 4 ? (shape == OPTIONS ? 24 : 20) : (shape == WHOLE || shape == BAD_HEADER ? 40 : 48);

	if (family == 4) {
		static const uint16_t fragments[SHAPES] = { [FIRST_FRAGMENT] = 0x2000, [LATER_FRAGMENT] = 0x0010 };

		ip[0] = (uint8_t)(0x40 | (shape == BAD_HEADER ? 4 : len / 4));
		put16(ip + 2, len + payload_len);
		put16(ip + 6, fragments[shape]);
		ip[1] = 0xb8; /* dscp ef */
		ip[8] = 64;
		ip[9] = proto;
		memcpy(ip + 12, (uint8_t[]){ 192, 0, 2, 1, 10, 0, 0, 1 }, 8);
		return len;
	}
	ip[0] = shape == BAD_HEADER ? 0x50 : 0x60;
	put16(ip + 4, len - 40 + payload_len);
	ip[7] = 3;
	ip[6] = len == 40 ? proto : shape == OPTIONS ? 60 : 44;
	memcpy(ip + 8, (uint8_t[]){ 0x20, 0x01, 0x0d, 0xb8 }, 4);
	ip[23] = ip[39] = 1;
	if (len > 40) {
		ip[40] = proto;
		put16(ip + 42, shape == FIRST_FRAGMENT ? 1 : shape == LATER_FRAGMENT ? 64 : 0);
	}
	return len;
}

/* A DNS query for www.flood.example or, in the other case, www.example. */
static uint32_t put_query(uint8_t *to, bool flood)
{
	static const uint8_t names[2][20] = { "\3www\7example", "\3www\5flood\7example" };
	uint32_t len = flood ? 19 : 13;

	to[5] = 1;
	memcpy(to + 12, names[flood], len);
	put16(to + 12 + len, 1);
	put16(to + 12 + len + 2, 1);
	return 12 + len + 4;
}

static void add_ip(int family, unsigned n_vlans, int shape, uint8_t proto, unsigned dst_port, bool flood, uint32_t cut)
{
	uint8_t data[256] = { 0 }, l4[128] = { 0 };
	uint32_t off = 14, l4_len = proto == 6 ? 20 : 8;

	put16(l4, 1024);
	put16(l4 + 2, dst_port);
	l4[12] = proto == 6 ? 0x50 : 0;
	l4[13] = proto == 6 ? 0x12 : 0; /* syn, ack */
	if (proto == 1 || proto == 58)
		put16(l4, proto == 1 ? 0x0800 : 0x8000); /* echo request */
	if (dst_port == 53)
		l4_len += put_query(l4 + l4_len, flood);
	for (unsigned i = 0; i < n_vlans; i++, off += 4)
		put16(data + off - 2, i + 1 < n_vlans ? 0x88a8 : 0x8100);
	put16(data + off - 2, family == 4 ? 0x0800 : 0x86dd);
	off += put_ip(data + off, family, proto, shape, l4_len);
	memcpy(data + off, l4, l4_len);
	add_frame(data, off + l4_len - cut);
}

static void make_frames(void)
{
	uint8_t other[60] = { 0 };
	static uint8_t jumbo[9000];

	for (int family = 4; family <= 6; family += 2)
		for (unsigned n_vlans = 0; n_vlans < 4; n_vlans++)
			for (int shape = 0; shape < SHAPES; shape++) {
				add_ip(family, n_vlans, shape, 17, 53, true, 0);
				add_ip(family, n_vlans, shape, 17, 53, false, 0);
				add_ip(family, n_vlans, shape, 6, 80, false, 0);
				add_ip(family, n_vlans, shape, family == 4 ? 1 : 58, 0, false, 0);
				add_ip(family, n_vlans, shape, 17, 9, false, shape == WHOLE ? 6 : 0);
			}
	put16(other + 12, 0x0806);
	add_frame(other, sizeof(other));
	put16(other + 12, 0x88cc);
	add_frame(other, sizeof(other));
	add_frame(other, 14);
	add_frame(other, 13);
	add_frame(other, 0);
	put16(jumbo + 12, 0x0800);
	put_ip(jumbo + 14, 4, 17, WHOLE, sizeof(jumbo) - 34);
	put16(jumbo + 36, 9);
	add_frame(jumbo, 3500);
	add_frame(jumbo, 4500);
	add_frame(jumbo, sizeof(jumbo));
}

static struct offline *offline_of(const char *text)
{
	struct offline *offline = calloc(1, sizeof(*offline));
	struct rules_error error;
	struct rules *rules;

	if (rules_parse(text, strlen(text), "rules", &rules, &error) < 0 || offline_open(rules, offline, &error) < 0)
		fail_msg("%s: %s", text, error.message);
	rules_free(rules);
	return offline;
}

static void offline_end(struct offline *offline)
{
	offline_close(offline);
	free(offline);
}

static const char *const rule_sets[] = {
	"",
	"drop",
	"drop udp dst port 53; allow tcp; on fragment drop; on unparsed drop; on truncated drop",
	"count ip6; divert udp dst port 53; drop dns name under flood.example; allow len > 80",
	"divert udp; count dst port 53; allow dns name www.example; drop len < 70; drop",
	"divert overload pass ip; pass src 192.0.2.0/24 and tcp; drop payload at 4 = 0001; on fragment drop",
	"count not dns name under example; drop ether proto arp or (ip6 and dst host 2001:db8::1)",
	"divert ip6; drop len 60-90; count dns name under example; pass",
	"limit 1 pps udp; limit 8 bps per src tcp; sample 1/2 ip; drop dscp ef and vlan",
	"set a { 192.0.2.0/30, 2001:db8::/127 }; set none {}; set p { 53, 1000-2000 }; allow src @none; drop src @a and port @p; "
	"count dst @a; count ip6 src or dst @a; drop not port @p; count len @p",
	"set t { 192.0.2.0/24 . udp . 53, ::/0 . tcp . any, 192.0.2.1 . udp . 1-65535 }; set q type names { flood.example }; "
	"set k { 1, 28 }; divert udp; drop dst @t and not src @t; count dns name under @q; drop dns name @q or dns type @k",
	"divert queue 3 udp; drop bpf \"udp[8:2] = 0\"; drop flags syn/syn,ack or ttl < 5; allow frag {first, later}",
};

static void run_all(struct testrun *run, struct testrun_packet *ret_packets)
{
	for (unsigned i = 0; i < n_frames; i++)
		assert_int_equal(testrun_packet(run, frames[i].data, frames[i].len, &ret_packets[i]), 0);
}

/* What the XDP tier counts up to the hand-over and the user tier behind it is what one walk counts that answers everything. */
static void test_user_counts(void **state)
{
	static struct testrun_packet packets[FRAMES_MAX];

	(void)state;
	for (size_t r = 0; r < sizeof(rule_sets) / sizeof(rule_sets[0]); r++) {
		struct offline *offline = offline_of(rule_sets[r]);
		struct tally *tally = calloc(1, sizeof(*tally));
		struct testrun *run = NULL;
		char message[256];

		assert_int_equal(testrun_open(TESTRUN_USER, &offline->classifier, &run, message, sizeof(message)), 0);
		run_all(run, packets);
		for (unsigned i = 0; i < n_frames; i++) {
			const struct testrun_packet *packet = &packets[i];
			bool handed_over = packet->user_verdict < VERDICT_COUNT;
			struct match match;
			struct pkt pkt;

			classify(&offline->classifier, frames[i].data, frames[i].len, true, tally, &pkt, &match);
			if (handed_over && (packet->user_verdict == VERDICT_USER_PASS) == (match.action == ACTION_DROP))
				fail_msg("%s: frame %u: %d in the user tier", rule_sets[r], i, packet->user_verdict);
			if ((handed_over ? packet->user_rule : packet->rule) != match.rule)
				fail_msg("%s: frame %u: not rule %u", rule_sets[r], i, match.rule);
		}
		for (uint32_t i = 0; i < RULES_TRIED_MAX; i++) {
			struct hits hits;

			testrun_rule_hits(run, i, &hits);
			if (memcmp(&hits, &tally->rules[i], sizeof(hits)) != 0)
				fail_msg("%s: rule %u: %llu packets, not %llu", rule_sets[r], i, hits.packets,
					 tally->rules[i].packets);
		}
		testrun_close(run);
		free(tally);
		offline_end(offline);
	}
}

/* Verdicts by name, for frames of which it is plain. */
static void test_user_verdicts(void **state)
{
	struct offline *offline = offline_of("divert udp dst port 53; drop dns name under flood.example; drop tcp; allow udp");
	struct hits hits[VERDICT_COUNT];
	unsigned long long ended = 0, in_user_tier;
	struct testrun *run = NULL;
	char message[256];
	static struct testrun_packet packets[FRAMES_MAX];

	(void)state;
	assert_int_equal(testrun_open(TESTRUN_USER, &offline->classifier, &run, message, sizeof(message)), 0);
	run_all(run, packets);
	testrun_verdicts(run, hits);
	for (unsigned i = 0; i <= VERDICT_TRUNCATED_DROP; i++)
		ended += hits[i].packets;
	assert_int_equal(ended, n_frames); /* one verdict of the XDP tier each */
	in_user_tier = hits[VERDICT_USER_PASS].packets + hits[VERDICT_USER_DROP].packets;
	assert_int_equal(in_user_tier, hits[VERDICT_DIVERT].packets);
	/* v4 and v6, none to two tags, in the shapes that have ports: three of each query. */
	assert_int_equal(hits[VERDICT_USER_DROP].packets, 2 * 3 * 3);
	assert_int_equal(hits[VERDICT_USER_PASS].packets, 2 * 3 * 3);
	testrun_close(run);
	offline_end(offline);
}

/* NULL: not permitted. */
static struct testrun *open_program(enum testrun_tier tier, const struct classifier *classifier)
{
	struct testrun *run = NULL;
	char message[256] = "";
	int r = testrun_open(tier, classifier, &run, message, sizeof(message));

	if (r == -EPERM || r == -EACCES)
		return NULL;
	if (r < 0)
		fail_msg("%s", message);
	return run;
}

/* Packets and rule counters that the comparison objects to. */
static unsigned objections(struct testrun *run)
{
	static struct testrun_packet packets[FRAMES_MAX];
	struct testrun_rule rule;
	unsigned n = 0;

	run_all(run, packets);
	for (unsigned i = 0; i < n_frames; i++)
		n += packets[i].differs;
	for (uint32_t i = 0; i < RULES_TRIED_MAX; i++)
		n += testrun_rule_differs(run, i, &rule);
	return n;
}

static void test_program_agrees(void **state)
{
	(void)state;
	for (size_t r = 0; r < sizeof(rule_sets) / sizeof(rule_sets[0]); r++) {
		struct offline *offline = offline_of(rule_sets[r]);
		struct testrun *run = open_program(TESTRUN_BOTH, &offline->classifier);
		struct hits unrun[UNRUN_COUNT];

		if (!run) {
			offline_end(offline);
			print_message("running the XDP program needs root\n");
			skip();
		}
		assert_int_equal(objections(run), 0);
		testrun_unrun(run, unrun);
		assert_int_equal(unrun[UNRUN_TOO_SHORT].packets, 2); /* 13 bytes and none */
		assert_int_equal(unrun[UNRUN_TOO_LARGE].packets, 2); /* 4,500 and 9,000 bytes */
		testrun_close(run);
		offline_end(offline);
	}
}

/* The program alone ends each frame as both do, but for those it cannot run on, and follows none to the user tier. */
static void test_program_alone(void **state)
{
	struct offline *offline = offline_of(rule_sets[3]);
	static struct testrun_packet alone[FRAMES_MAX], both[FRAMES_MAX];
	struct testrun *run = open_program(TESTRUN_XDP, &offline->classifier);

	(void)state;
	if (!run) {
		offline_end(offline);
		skip();
	}
	run_all(run, alone);
	testrun_close(run);
	run = open_program(TESTRUN_BOTH, &offline->classifier);
	run_all(run, both);
	testrun_close(run);
	for (unsigned i = 0; i < n_frames; i++) {
		assert_int_equal(alone[i].unrun, both[i].unrun);
		assert_int_equal(alone[i].verdict, both[i].verdict);
		assert_int_equal(alone[i].rule, both[i].rule);
		assert_int_equal(alone[i].user_verdict, VERDICT_COUNT);
	}
	offline_end(offline);
}

/* The program reads rules that are not the host's. */
static void test_wrong_rules_found(void **state)
{
	static const char *const pairs[][2] = {
		{ "drop udp dst port 53", "drop udp dst port 52" },
		{ "drop udp dst port 53", "allow udp dst port 53" },
		{ "drop src 192.0.2.0/31", "drop src 192.0.2.2/31" },
		{ "drop src 2001:db8::1", "drop src 2001:db8::3" },
		{ "count tcp", "count udp" },
		{ "count tcp; count udp", "count udp; count tcp" },
		{ "set s { 192.0.2.1 }; drop src @s", "set s { 192.0.2.3 }; drop src @s" },
		{ "set s { 2001:db8::1 }; drop src @s", "set s { 2001:db8::3 }; drop src @s" },
		{ "drop tcp; drop dst port 80", "drop sctp; drop dst port 80" }, /* the same verdict by another rule */
		{ "divert udp", "pass udp" },
		{ "on fragment drop", "on fragment pass" },
		{ "on unparsed drop", "on truncated drop" },
		{ "drop", "pass" },
	};
	char message[256];

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct offline *right = offline_of(pairs[i][0]), *wrong = offline_of(pairs[i][1]);
		struct testrun *run = open_program(TESTRUN_BOTH, &right->classifier);

		if (run) {
			assert_int_equal(testrun_publish(run, &wrong->classifier, message, sizeof(message)), 0);
			if (objections(run) == 0)
				fail_msg("the program had \"%s\" for \"%s\"", pairs[i][1], pairs[i][0]);
			testrun_close(run);
		}
		offline_end(right);
		offline_end(wrong);
		if (!run)
			skip();
	}
}

/* One byte is wrong: each in which two images differ. Some say nothing (the checksum), but not all. */
static void test_wrong_byte_found(void **state)
{
	struct offline *right = offline_of("drop udp dst port 53-80"), *wrong = offline_of("drop udp dst port 54-79");
	size_t bytes = right->image->bytes;
	struct image *mutant = malloc(bytes);
	struct classifier classifier = { .image = mutant };
	unsigned found = 0, tried = 0;
	char message[256];

	(void)state;
	assert_int_equal(bytes, wrong->image->bytes);
	for (size_t at = 0; at < bytes; at++) {
		uint8_t byte = ((const uint8_t *)wrong->image)[at];
		struct testrun *run;

		if (byte == ((const uint8_t *)right->image)[at])
			continue;
		run = open_program(TESTRUN_BOTH, &right->classifier);
		if (!run)
			break;
		memcpy(mutant, right->image, bytes);
		((uint8_t *)mutant)[at] = byte;
		assert_int_equal(testrun_publish(run, &classifier, message, sizeof(message)), 0);
		found += objections(run) != 0;
		tried++;
		testrun_close(run);
	}
	offline_end(right);
	offline_end(wrong);
	free(mutant);
	if (!tried)
		skip();
	assert_true(found > 0 && found < tried);
}

/* ---- libpcap as the judge ---- */

static unsigned oracle_objections;

static void object(size_t rule, bool ours, void *userdata)
{
	print_error("frame %u: rule %zu: ours %d\n", *(unsigned *)userdata, rule, ours);
	oracle_objections++;
}

static struct rules *rules_of(const char *text)
{
	struct rules_error error;
	struct rules *rules;

	if (rules_parse(text, strlen(text), "rules", &rules, &error) < 0)
		fail_msg("%s: %s", text, error.message);
	return rules;
}

static void test_oracle(void **state)
{
	/* The first rule decides everything, and yet each is asked. The payload and the name cannot be said. */
	struct rules *rules = rules_of(
		"set some {192.0.2.0/24, 2001:db8::/32}; drop src 0.0.0.0/0 or src ::/0\n"
		"drop udp dst port {53, 9}; allow ip6 and not tcp; count src @some and dst port 80\n"
		"count src net @some and not dst net @some; count proto 17-18; count len {60-80, 1000-1500}; count not gre\n"
		"count ttl < 10 or dscp ef; count flags syn,ack/syn,ack; count icmp type 8 or icmp6 code 0\n"
		"count frag {first, later, df} or ip options or ip6 options; count vlan 0-5 or ether src 00:00:00:00:00:00\n"
		"set services {192.0.2.0/24 . udp . 1000-2000, 2001:db8::/32 . tcp . any}; count src or dst @services\n"
		"count payload at 0 = 00; divert udp; drop dns name www.example");
	static const unsigned long long untagged = 2 * 5 * 5;
	enum { RULES_SAID = 14 };
	struct oracle *oracle = NULL;
	char message[256] = "";

	(void)state;
	assert_int_equal(oracle_open(rules, &oracle, message, sizeof(message)), 0);
	oracle_objections = 0;
	for (unsigned i = 0; i < n_frames; i++) {
		struct capture_frame frame = { frames[i].data, frames[i].len, frames[i].len, frames[i].len };

		oracle_packet(oracle, &frame, object, &i);
	}
	assert_int_equal(oracle_objections, 0);
	for (size_t i = 0; i < RULES_SAID; i++) {
		const struct oracle_rule *rule = oracle_rule(oracle, i);

		if (!rule->expression || rule->differ != rule->explained || !rule->ours)
			fail_msg("rule %zu: %s: %llu of %llu differences explained, %llu packets", i,
				 rule->expression ? rule->expression : rule->reason, rule->explained, rule->differ, rule->ours);
	}
	assert_true(oracle_rule(oracle, 0)->theirs >= untagged);
	assert_true(oracle_rule(oracle, 0)->explained > 0); /* the tagged ones */
	assert_null(oracle_rule(oracle, RULES_SAID)->expression);
	assert_non_null(oracle_rule(oracle, RULES_SAID)->reason);
	assert_non_null(oracle_rule(oracle, RULES_SAID + 1)->expression);
	assert_null(oracle_rule(oracle, RULES_SAID + 2)->expression);
	assert_non_null(oracle_rule(oracle, RULES_SAID + 2)->reason);
	oracle_close(oracle);
	rules_free(rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user_counts),
		cmocka_unit_test(test_user_verdicts),
		cmocka_unit_test(test_program_agrees),
		cmocka_unit_test(test_program_alone),
		cmocka_unit_test(test_wrong_rules_found),
		cmocka_unit_test(test_wrong_byte_found),
		cmocka_unit_test(test_oracle),
	};
	int r;

	make_frames();
	r = cmocka_run_group_tests(tests, NULL, NULL);
	while (n_frames)
		free(frames[--n_frames].data);
	return r;
}
