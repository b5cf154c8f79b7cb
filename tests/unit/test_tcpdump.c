/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A plain tcpdump expression means the same here: random pcap-filter(7) expressions, compiled by libpcap and by us, give the same
 * answer for random frames. So do questions tcpdump has no word for, against the bytes it can look at, and bpf "EXPRESSION" itself.
 *
 * Left out is what spillway-rules(5) says is different on purpose: IPv6 extension headers and more tags than the expression has
 * `vlan`s (we look behind them), and addresses inside ARP packets (we do not look at them). SEED=N repeats a run.
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

#include "classify/classify.h"
#include "classify/match.h"
#include "classify/set_field.h"
#include "control/offline.h"
#include "rules/rules.h"

#define FRAMES 300 /* each expression meets */
#define EXPR_MAX 4000

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
static const char *const short_nets[] = { "10",		"192.0.2", "192.0", "10.0.0.0 mask 255.0.0.0", "192.0 mask 255.255.0.0",
					  "160.0.0.0/6" };
static const char *const macs[] = { "02:00:00:00:00:01", "2:0:0:0:0:2", "02-00-00-00-00-03", "020000000001", "0200.0000.0002" };
static const char *const vlans[] = { "", "", " 0", " 1", " 100" };
static const char *const joints[] = { " and ", " or ", " && ", " || " };
static const char *const nots[] = { "not ", "! ", "!" };

static const char *direction(void)
{
	static const char *const words[] = {
		"", "", "src ", "dst ", "src or dst ", "src and dst ", "dst or src ", "dst and src "
	};

	return POOL(words);
}

/* One expression as we read it and as tcpdump does: the same words, but for print_pair(). */
struct texts {
	FILE *ours, *theirs;
};

__attribute__((format(printf, 2, 3))) static void print(struct texts *out, const char *format, ...)
{
	FILE *const both[] = { out->ours, out->theirs };

	for (int i = 0; i < 2; i++) {
		va_list args;

		va_start(args, format);
		vfprintf(both[i], format, args);
		va_end(args);
	}
}

/* Values that take over the words in front of the first one. */
static void print_values(struct texts *out, const char *const *pool, uint32_t n)
{
	print(out, "%s", pool[below(n)]);
	while (below(3) == 0)
		print(out, "%s%s%s", POOL(joints), below(3) ? "" : POOL(nots), pool[below(n)]);
}

static void print_value_group(struct texts *out, const char *const *pool, uint32_t n)
{
	if (below(4)) {
		print_values(out, pool, n);
		return;
	}
	print(out, "(");
	print_values(out, pool, n);
	print(out, ")");
}

#define PRINT_VALUES(out, pool) print_value_group(out, pool, sizeof(pool) / sizeof((pool)[0]))

static void print_addresses(struct texts *out)
{
	const char *way = direction();

	switch (below(7)) {
	case 5:
		print(out, "%snet ", way);
		PRINT_VALUES(out, short_nets);
		break;
	case 6:
		print(out, "ether %s", direction());
		print(out, "%s%s", "host ", POOL(macs));
		break;
	case 0:
		print(out, "ip %shost %s", way, hosts[below(3)]);
		break;
	case 1:
		print(out, "ip6 %snet %s", way, nets[3 + below(2)]);
		break;
	case 2:
		print(out, "%snet ", way);
		PRINT_VALUES(out, nets);
		break;
	case 3:
		print(out, "%shost ", way);
		PRINT_VALUES(out, hosts);
		break;
	default: /* the default type */
		print(out, "%s", *way ? way : "src ");
		PRINT_VALUES(out, hosts);
	}
}

/* Questions tcpdump has no word for, and the bytes they are about. */
static void print_pair(struct texts *out)
{
	static const struct {
		const char *ours, *theirs;
	} pairs[] = {
		{ "ip ttl 64", "ip[8] = 64" },
		{ "ip ttl < 60", "ip[8] < 60" },
		{ "ip6 ttl {1, 255}", "(ip6[7] = 1 or ip6[7] = 255)" },
		{ "ttl > 63", "(ip[8] > 63 or ip6[7] > 63)" },
		{ "ip dscp ef", "ip[1] & 0xfc = 184" },
		{ "ip6 dscp 8-46", "(ip6[0:2] & 0xfc0 >= 512 and ip6[0:2] & 0xfc0 <= 2944)" },
		{ "ip and tcp flags syn/syn,ack", "tcp[13] & 18 = 2" },
		{ "ip and flags none/all", "tcp[13] = 0" },
		{ "ip and flags 0x12/0x3f", "tcp[13] & 0x3f = 0x12" },
		{ "icmp type echo-request", "icmp[0] = 8" },
		{ "icmp type 3/1-2", "(icmp[0] = 3 and icmp[1] >= 1 and icmp[1] <= 2)" },
		{ "icmp code {0, 4}", "(icmp[1] = 0 or icmp[1] = 4)" },
		{ "icmp6 type 135", "icmp6[0] = 135" },
		{ "icmp6 code 4-255", "icmp6[1] > 3" },
		{ "ip frag later", "ip[6:2] & 0x1fff != 0" },
		{ "ip frag first", "ip[6:2] & 0x3fff = 0x2000" },
		{ "ip frag last", "(ip[6:2] & 0x1fff != 0 and ip[6] & 0x20 = 0)" },
		{ "ip frag any", "ip[6:2] & 0x3fff != 0" },
		{ "ip frag none", "ip[6:2] & 0x3fff = 0" },
		{ "frag df", "ip[6] & 0x40 != 0" },
		{ "ip len 46-54", "(ip[2:2] >= 46 and ip[2:2] <= 54)" },
		{ "ip6 len > 68", "ip6[4:2] + 40 > 68" },
		{ "ip options", "ip[0] & 0xf > 5" },
	};
	uint32_t i = below(sizeof(pairs) / sizeof(pairs[0]));

	fprintf(out->ours, "(%s)", pairs[i].ours);
	fprintf(out->theirs, "(%s)", pairs[i].theirs);
}

static void print_primitive(struct texts *out)
{
	static const char *const protocols[] = { "ip", "ip6", "tcp", "udp", "sctp", "icmp", "icmp6", "arp" };
	static const char *const transports[] = { "", "", "tcp ", "udp ", "sctp " };
	static const char *const families[] = { "", "ip ", "ip6 " };
	static const char *const numbers[] = { "6", "17", "1", "58", "132", "\\tcp", "\\udp", "0x11" };
	static const char *const others[] = { "len <= 60",  "len > 60",		 "len = 74",	      "len != 74",
					      "len < 100",  "len >= 62",	 "len == 62",	      "less 74",
					      "greater 74", "ether proto 0x800", "ether proto \\arp", "ether proto 0x86dd" };

	switch (below(8)) {
	case 6:
	case 7:
		print_pair(out);
		break;
	case 0:
		print(out, "%s", POOL(protocols));
		break;
	case 1:
		print_addresses(out);
		break;
	case 2:
		print(out, "%s%sport ", POOL(transports), direction());
		PRINT_VALUES(out, ports);
		break;
	case 3:
		print(out, "%s%sportrange ", POOL(transports), direction());
		PRINT_VALUES(out, ranges);
		break;
	case 4:
		print(out, "%sproto ", POOL(families));
		PRINT_VALUES(out, numbers);
		break;
	default:
		print(out, "%s", POOL(others));
	}
}

static void print_expr(struct texts *out, unsigned depth)
{
	uint32_t terms = depth ? 1 + below(3) : 1;

	for (uint32_t i = 0; i < terms; i++) {
		if (i)
			print(out, "%s", POOL(joints));
		if (below(4) == 0)
			print(out, "%s", POOL(nots));
		if (depth && below(2)) {
			print(out, "(");
			print_expr(out, depth - 1);
			print(out, ")");
		} else {
			print_primitive(out);
		}
	}
}

/* Nothing but what lies in front of the EtherType. */
static void print_l2(struct texts *out)
{
	switch (below(3)) {
	case 0:
		print(out, "%sether host %s", below(4) ? "" : "not ", POOL(macs));
		break;
	case 1:
		print(out, "ether %s%s", below(2) ? "src " : "dst ", POOL(macs));
		break;
	default:
		print(out, "less 74");
	}
}

/*
 * tcpdump's `vlan` moves what follows it, true or not. That makes sense where it has to hold for the rest to matter, and for what
 * lies in front of the tags.
 */
static void print_with_vlans(struct texts *out, unsigned n)
{
	if (n == 2 && below(2)) {
		print(out, "%svlan%s%s", below(2) ? "" : "not ", POOL(vlans), POOL(joints));
		print_l2(out);
		print(out, "%s%svlan%s", POOL(joints), below(2) ? "" : "not ", POOL(vlans));
		return;
	}
	for (unsigned i = 0; i < n; i++)
		print(out, "vlan%s and ", POOL(vlans));
	print(out, "(");
	print_expr(out, 1);
	print(out, ")");
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

static const uint8_t ttls[] = { 1, 59, 60, 64, 255 };
static const uint8_t types[] = { 0, 3, 8, 128, 135 };
static const uint8_t flag_bytes[] = { 0, 2, 0x12, 0x10, 0xc2, 0x52 };
static const uint8_t protos[] = { 1, 6, 17, 58, 132, 47 };

static uint32_t put_ip4(uint8_t *ip)
{
	static const uint16_t fragments[] = { 0, 0, 0, 0x4000, 0x2000, 0x2001, 0x0001, 0x6000, 0x4001 };
	uint32_t header_len = 20 + 4 * (below(3) ? 0 : below(11));

	ip[0] = (uint8_t)(0x40 | header_len / 4);
	put16(ip + 6, POOL(fragments));
	ip[1] = (uint8_t)(below(2) ? below(256) : 184);
	ip[8] = POOL(ttls);
	ip[9] = POOL(protos);
	put_addresses(ip + 12, 4);
	return header_len;
}

static uint32_t put_ip6(uint8_t *ip)
{
	ip[0] = (uint8_t)(0x60 | below(16));
	ip[1] = (uint8_t)below(256);
	ip[6] = POOL(protos);
	ip[7] = POOL(ttls);
	put_addresses(ip + 8, 6);
	return 40;
}

/* Ethernet addresses, and tags; returns the offset of the EtherType. */
static uint32_t put_ethernet(uint8_t *frame, unsigned tags)
{
	static const uint16_t tpids[] = { 0x8100, 0x88a8, 0x9100 }, ids[] = { 0, 1, 100, 0x1000, 0xf064 };
	uint32_t off = 12;

	frame[0] = frame[6] = 2;
	frame[5] = (uint8_t)(1 + below(4));
	frame[11] = (uint8_t)(1 + below(4));
	for (; tags > 0; tags--, off += 4) {
		put16(frame + off, POOL(tpids));
		put16(frame + off + 2, POOL(ids));
	}
	return off;
}

static void put_transport(uint8_t *l4, uint8_t proto)
{
	static const uint16_t port_pool[] = { 53, 80, 123, 443, 79, 101, 1000 };

	put16(l4, POOL(port_pool));
	put16(l4 + 2, POOL(port_pool));
	if (proto == 1 || proto == 58) {
		l4[0] = POOL(types);
		l4[1] = (uint8_t)below(6);
	}
	l4[12] = 0x50;
	l4[13] = POOL(flag_bytes);
}

/* Whole frames only. Returns the length. */
static uint32_t random_frame(uint8_t frame[256], unsigned tags)
{
	uint32_t type = put_ethernet(frame, tags), off = type + 2, len;
	bool ip4 = below(2);
	uint8_t *ip = frame + off;

	if (below(10) == 0) {
		put16(frame + type, below(2) ? 0x0806 : 0x88cc);
		return type + 48;
	}
	put16(frame + type, ip4 ? 0x0800 : 0x86dd);
	off += ip4 ? put_ip4(ip) : put_ip6(ip);
	put_transport(frame + off, ip4 ? ip[9] : ip[6]);
	len = off + 20 + below(20);
	put16(ip + (ip4 ? 2 : 4), ip4 ? len - type - 2 : len - type - 42);
	return len;
}

/* ---- the comparison ---- */

struct match_env {
	const struct set_block *block;
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

static __always_inline void match_sample(const struct match_env *env, const struct image_rule *rule, __u32 index,
					 const struct pkt *pkt)
{
	(void)env, (void)rule, (void)index, (void)pkt; /* counted, and nobody watches */
}

static __always_inline int match_set(const struct match_env *env, const struct image_step *step, const struct pkt *pkt)
{
	return set_has_field(env->block, step, pkt);
}

static __always_inline enum deep_answer match_deep(const struct match_env *env, const struct image *image,
						   const struct image_step *step, const struct pkt *pkt)
{
	(void)env, (void)image, (void)step, (void)pkt;
	return DEEP_NO;
}

static bool ours(const struct classifier *classifier, const uint8_t *frame, uint32_t len)
{
	struct match_env env = { .block = classifier->block, .frame = frame };
	struct match match;
	struct pkt pkt;

	parse_frame(frame, frame + len, &pkt);
	match_run(&env, classifier->image, &pkt, 0, &match);
	return match.action == ACTION_DROP;
}

/* In the user tier, which runs bpf "EXPRESSION". */
static bool ours_bpf(const struct classifier *classifier, const uint8_t *frame, uint32_t len)
{
	static struct tally tally;
	struct match match;
	struct pkt pkt;

	classify(classifier, frame, len, false, &tally, &pkt, &match);
	return match.action == ACTION_DROP;
}

static struct offline build(const char *before, const char *expr, const char *behind)
{
	struct offline offline;
	struct rules_error error;
	struct rules *rules;
	char text[EXPR_MAX + 100];
	int len = snprintf(text, sizeof(text), "%s%s%s", before, expr, behind);

	if (rules_parse(text, (size_t)len, "expression", &rules, &error) < 0) {
		rules_error_print(&error, "error", stderr);
		fail();
	}
	if (offline_open(rules, &offline, &error) < 0) {
		rules_error_print(&error, "error", stderr);
		fail();
	}
	assert_int_equal(image_check(offline.image, offline.image->bytes), 0);
	rules_free(rules);
	return offline;
}

static unsigned long env_number(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : otherwise;
}

static void differs(const char *who, bool theirs, const char *expr, const uint8_t *frame, uint32_t len)
{
	print_error("tcpdump says %s, %s not: %s\n", theirs ? "yes" : "no", who, expr);
	for (uint32_t i = 0; i < len; i++)
		print_error("%02x%s", frame[i], i == len - 1 ? "\n" : "");
	fail();
}

/* Frames have up to `tags` tags. With `bpf`, the expression is run within the rules, too. */
static void compare(pcap_t *pcap, const char *expr[2], unsigned tags, bool bpf, unsigned long *matches)
{
	struct offline rules[2] = { 0 };
	struct bpf_program program;

	if (pcap_compile(pcap, &program, expr[1], 0, PCAP_NETMASK_UNKNOWN) < 0) {
		print_error("libpcap: %s: %s\n", expr[1], pcap_geterr(pcap));
		fail();
	}
	rules[0] = build("drop ", expr[0], "");
	if (bpf)
		rules[1] = build("divert ip or not ip\ndrop bpf \"", expr[1], "\"");
	for (unsigned i = 0; i < FRAMES; i++) {
		uint8_t frame[256] = { 0 };
		struct pcap_pkthdr header = { 0 };
		bool theirs;

		header.caplen = header.len = random_frame(frame, below(tags + 1));
		theirs = pcap_offline_filter(&program, &header, frame) != 0;
		*matches += theirs;
		if (theirs != ours(&rules[0].classifier, frame, header.len))
			differs(expr[0], theirs, expr[1], frame, header.len);
		if (bpf && theirs != ours_bpf(&rules[1].classifier, frame, header.len))
			differs("bpf", theirs, expr[1], frame, header.len);
	}
	offline_close(&rules[0]);
	offline_close(&rules[1]);
	pcap_freecode(&program);
}

static void print_texts(char texts[2][EXPR_MAX], unsigned tags)
{
	struct texts out = { fmemopen(texts[0], EXPR_MAX, "w"), fmemopen(texts[1], EXPR_MAX, "w") };

	if (tags)
		print_with_vlans(&out, tags);
	else
		print_expr(&out, 2);
	fclose(out.ours);
	fclose(out.theirs);
}

static void test_tcpdump(void **state)
{
	unsigned long rounds = env_number("ROUNDS", 3000), seed = env_number("SEED", (unsigned long)time(NULL)), matches = 0;
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);

	(void)state;
	random_state = seed * 0x9e3779b97f4a7c15u + 1;
	print_message("SEED=%lu\n", seed);
	for (unsigned long i = 0; i < rounds; i++) {
		static const unsigned tag_pool[] = { 0, 0, 0, 1, 2 };
		static char texts[2][EXPR_MAX];
		const char *expr[2] = { texts[0], texts[1] };
		unsigned tags = POOL(tag_pool);

		print_texts(texts, tags);
		compare(pcap, expr, tags, strlen(texts[1]) < 1000 && below(4) == 0, &matches);
	}
	print_message("%lu expressions, %lu of %lu answers yes\n", rounds, matches, rounds * FRAMES);
	pcap_close(pcap);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_tcpdump) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
