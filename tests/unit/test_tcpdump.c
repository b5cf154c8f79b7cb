/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A plain tcpdump expression means the same here: random pcap-filter(7) expressions, compiled by libpcap and by us, give the same
 * answer for random frames; and so does the expression that rules_print_tcpdump() makes of our reading.
 *
 * Left out is what spillway-rules(5) says is different on purpose: VLAN tags and IPv6 extension headers (we look behind them),
 * and addresses inside ARP packets (we do not look at them). SEED=N repeats a run.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <pcap/pcap.h>

#include "classify/match.h"
#include "rules/rules.h"

#define FRAMES 300 /* each expression meets */

static uint64_t random_state;

static uint32_t below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16) % n;
}

#define POOL(pool) ((pool)[below(sizeof(pool) / sizeof((pool)[0]))])

/* ---- random expressions, as text ---- */

static const char *const hosts[] = { "192.0.2.1", "192.0.2.2", "10.0.0.1", "2001:db8::1", "2001:db8::2", "fe80::1" };
static const char *const nets[] = { "192.0.2.0/24", "10.0.0.0/8", "192.0.2.0/31", "2001:db8::/32", "fe80::/10", "128.0.0.0/1" };
static const char *const ports[] = { "53", "80", "123", "domain", "443" };
static const char *const ranges[] = { "53-80", "1-100", "80-1000", "0-65535" };
static const char *const joints[] = { " and ", " or ", " && ", " || " };
static const char *const nots[] = { "not ", "! ", "!" };

static const char *direction(void)
{
	static const char *const words[] = {
		"", "", "src ", "dst ", "src or dst ", "src and dst ", "dst or src ", "dst and src "
	};

	return POOL(words);
}

/* Values that take over the words in front of the first one. */
static void print_values(FILE *out, const char *const *pool, uint32_t n)
{
	fputs(pool[below(n)], out);
	while (below(3) == 0)
		fprintf(out, "%s%s%s", POOL(joints), below(3) ? "" : POOL(nots), pool[below(n)]);
}

static void print_value_group(FILE *out, const char *const *pool, uint32_t n)
{
	if (below(4)) {
		print_values(out, pool, n);
		return;
	}
	fputc('(', out);
	print_values(out, pool, n);
	fputc(')', out);
}

#define PRINT_VALUES(out, pool) print_value_group(out, pool, sizeof(pool) / sizeof((pool)[0]))

static void print_addresses(FILE *out)
{
	const char *way = direction();

	switch (below(5)) {
	case 0:
		fprintf(out, "ip %shost %s", way, hosts[below(3)]);
		break;
	case 1:
		fprintf(out, "ip6 %snet %s", way, nets[3 + below(2)]);
		break;
	case 2:
		fprintf(out, "%snet ", way);
		PRINT_VALUES(out, nets);
		break;
	case 3:
		fprintf(out, "%shost ", way);
		PRINT_VALUES(out, hosts);
		break;
	default: /* the default type */
		fputs(*way ? way : "src ", out);
		PRINT_VALUES(out, hosts);
	}
}

static void print_primitive(FILE *out)
{
	static const char *const protocols[] = { "ip", "ip6", "tcp", "udp", "sctp", "icmp", "icmp6", "arp" };
	static const char *const transports[] = { "", "", "tcp ", "udp ", "sctp " };
	static const char *const families[] = { "", "ip ", "ip6 " };
	static const char *const numbers[] = { "6", "17", "1", "58", "132", "\\tcp", "\\udp", "0x11" };
	static const char *const others[] = { "len <= 60",  "len > 60",		 "len = 74",	      "len != 74",
					      "len < 100",  "len >= 62",	 "len == 62",	      "less 74",
					      "greater 74", "ether proto 0x800", "ether proto \\arp", "ether proto 0x86dd" };

	switch (below(6)) {
	case 0:
		fputs(POOL(protocols), out);
		break;
	case 1:
		print_addresses(out);
		break;
	case 2:
		fprintf(out, "%s%sport ", POOL(transports), direction());
		PRINT_VALUES(out, ports);
		break;
	case 3:
		fprintf(out, "%s%sportrange ", POOL(transports), direction());
		PRINT_VALUES(out, ranges);
		break;
	case 4:
		fprintf(out, "%sproto ", POOL(families));
		PRINT_VALUES(out, numbers);
		break;
	default:
		fputs(POOL(others), out);
	}
}

static void print_expr(FILE *out, unsigned depth)
{
	uint32_t terms = depth ? 1 + below(3) : 1;

	for (uint32_t i = 0; i < terms; i++) {
		if (i)
			fputs(POOL(joints), out);
		if (below(4) == 0)
			fputs(POOL(nots), out);
		if (depth && below(2)) {
			fputc('(', out);
			print_expr(out, depth - 1);
			fputc(')', out);
		} else {
			print_primitive(out);
		}
	}
}

/* ---- random frames ---- */

static void put16(uint8_t *to, unsigned value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

static void put_addresses(uint8_t *to, int family)
{
	for (int i = 0; i < 2; i++) {
		uint8_t prefix[20];

		if (family == 4) {
			static const char *const pool[] = { "192.0.2.1", "192.0.2.2", "192.0.2.9", "10.0.0.1", "203.0.113.1" };

			assert_int_equal(inet_pton(AF_INET, POOL(pool), prefix), 1);
		} else {
			static const char *const pool[] = { "2001:db8::1", "2001:db8::2", "fe80::1", "fe81::", "2001:db9::1" };

			assert_int_equal(inet_pton(AF_INET6, POOL(pool), prefix), 1);
		}
		memcpy(to + (family == 4 ? 4 : 16) * i, prefix, family == 4 ? 4 : 16);
	}
}

static const uint8_t protos[] = { 1, 6, 17, 58, 132, 47 };

static uint32_t put_ip4(uint8_t *ip)
{
	static const uint16_t fragments[] = { 0, 0, 0, 0x4000, 0x2000, 0x2001, 0x0001 };
	uint32_t header_len = 20 + 4 * (below(3) ? 0 : below(11));

	ip[0] = (uint8_t)(0x40 | header_len / 4);
	put16(ip + 6, POOL(fragments));
	ip[8] = 64;
	ip[9] = POOL(protos);
	put_addresses(ip + 12, 4);
	return header_len;
}

static uint32_t put_ip6(uint8_t *ip)
{
	ip[0] = 0x60;
	ip[6] = POOL(protos);
	ip[7] = 64;
	put_addresses(ip + 8, 6);
	return 40;
}

/* Whole frames only. Returns the length. */
static uint32_t random_frame(uint8_t frame[256])
{
	static const uint16_t port_pool[] = { 53, 80, 123, 443, 79, 101, 1000 };
	uint32_t off = 14, len;
	bool ip4 = below(2);

	memset(frame, 0, 256);
	if (below(10) == 0) {
		put16(frame + 12, below(2) ? 0x0806 : 0x88cc);
		return 60;
	}
	put16(frame + 12, ip4 ? 0x0800 : 0x86dd);
	off += ip4 ? put_ip4(frame + 14) : put_ip6(frame + 14);
	put16(frame + off, POOL(port_pool));
	put16(frame + off + 2, POOL(port_pool));
	frame[off + 12] = 0x50;
	len = off + 20 + below(20);
	put16(frame + 14 + (ip4 ? 2 : 4), ip4 ? len - 14 : len - 54);
	return len;
}

/* ---- the comparison ---- */

struct match_env {
	const uint8_t *frame;
};

static __always_inline int match_load(const struct match_env *env, __u32 off, void *to, __u32 len)
{
	memcpy(to, env->frame + off, len);
	return 0;
}

static __always_inline void match_hit(const struct match_env *env, __u32 counter, __u32 bytes)
{
	(void)env, (void)counter, (void)bytes;
}

static __always_inline int match_limit(const struct match_env *env, const struct image_rule *rule, const struct lookup_key *key,
				       __u32 bytes)
{
	(void)env, (void)rule, (void)key, (void)bytes;
	return 0; /* no rule here has a rate */
}

static __always_inline enum deep_answer match_deep(const struct match_env *env, const struct image *image,
						   const struct image_step *step, const struct pkt *pkt)
{
	(void)env, (void)image, (void)step, (void)pkt;
	return DEEP_NO;
}

static bool ours(const struct image *image, const uint8_t *frame, uint32_t len)
{
	struct match_env env = { .frame = frame };
	struct match match;
	struct pkt pkt;

	parse_frame(frame, frame + len, &pkt);
	match_run(&env, image, &pkt, 0, &match);
	return match.action == ACTION_DROP;
}

/* *ret_again: what we read, as an expression again; the caller frees it. */
static struct image *build(const char *expr, char **ret_again)
{
	const char *reason = NULL;
	struct image *image = NULL;
	struct rules_error error;
	FILE *out;
	size_t again_len;
	struct rules *rules;
	char text[4096];
	int len = snprintf(text, sizeof(text), "drop %s", expr);

	if (rules_parse(text, (size_t)len, "expression", &rules, &error) < 0) {
		rules_error_print(&error, "error", stderr);
		fail();
	}
	if (image_build(rules, 1, NULL, &image, &error) < 0) {
		rules_error_print(&error, "error", stderr);
		fail();
	}
	out = open_memstream(ret_again, &again_len);
	if (rules_print_tcpdump(rules, 0, out, &reason) < 0)
		fail_msg("%s: %s", expr, reason);
	fclose(out);
	rules_free(rules);
	return image;
}

static unsigned long env_number(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : otherwise;
}

static void compare(pcap_t *pcap, const char *expr, unsigned long *matches)
{
	struct bpf_program program, program_again;
	struct image *image;
	char *again = NULL;

	image = build(expr, &again);
	if (pcap_compile(pcap, &program, expr, 0, PCAP_NETMASK_UNKNOWN) < 0 ||
	    pcap_compile(pcap, &program_again, again, 0, PCAP_NETMASK_UNKNOWN) < 0) {
		print_error("libpcap: %s: %s: %s\n", expr, again, pcap_geterr(pcap));
		fail();
	}
	for (unsigned i = 0; i < FRAMES; i++) {
		uint8_t frame[256];
		struct pcap_pkthdr header = { 0 };
		bool theirs, theirs_again;

		header.caplen = header.len = random_frame(frame);
		theirs = pcap_offline_filter(&program, &header, frame) != 0;
		theirs_again = pcap_offline_filter(&program_again, &header, frame) != 0;
		*matches += theirs;
		if (theirs == ours(image, frame, header.len) && theirs == theirs_again)
			continue;
		print_error("tcpdump says %s: %s\nand %s: %s\n", theirs ? "yes" : "no", expr, theirs_again ? "yes" : "no", again);
		for (uint32_t j = 0; j < header.len; j++)
			print_error("%02x%s", frame[j], j == header.len - 1 ? "\n" : "");
		fail();
	}
	image_free(image);
	pcap_freecode(&program);
	pcap_freecode(&program_again);
	free(again);
}

static void test_tcpdump(void **state)
{
	unsigned long rounds = env_number("ROUNDS", 3000), seed = env_number("SEED", (unsigned long)time(NULL)), matches = 0;
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);

	(void)state;
	random_state = seed * 0x9e3779b97f4a7c15u + 1;
	print_message("SEED=%lu\n", seed);
	for (unsigned long i = 0; i < rounds; i++) {
		char expr[4000] = "";
		FILE *out = fmemopen(expr, sizeof(expr), "w");

		print_expr(out, 2);
		fclose(out);
		compare(pcap, expr, &matches);
	}
	print_message("%lu expressions, %lu of %lu answers yes\n", rounds, matches, rounds * FRAMES);
	pcap_close(pcap);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_tcpdump) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
