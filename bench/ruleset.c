/* SPDX-License-Identifier: BSD-2-Clause */
#include "ruleset.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dice.h"

#define COUNT(array) (uint32_t)(sizeof(array) / sizeof((array)[0]))
#define ANY_PORT ((struct interval){ 0, 65535 })
#define ANY_LEN ((struct interval){ HEADER_LEN_MIN, HEADER_LEN_MAX })

static const uint16_t services[] = { 53, 80, 443, 22, 25, 123, 161, 389, 1433, 3306, 3389, 5060, 5432, 6379, 8080, 8443, 27015 };
static const uint16_t reflectors[] = { 53, 123, 161, 389, 1900, 5353, 11211, 19, 137, 3283, 3702, 5683, 10001, 27015, 37810 };
static const uint16_t frame_lens[] = { 74, 90, 110, 150, 220, 310, 482, 590 }; /* short: growing a frame costs the harness time */

const char *ruleset_shape_name(enum ruleset_shape shape)
{
	static const char *const names[] = { [RULESET_ACL] = "acl", [RULESET_FW] = "fw", [RULESET_FLOOD] = "flood" };

	return names[shape];
}

static bool is_any(struct interval interval, struct interval any)
{
	return interval.first == any.first && interval.last == any.last;
}

/* Zero the bits behind the first `len`. */
static void address_cut(uint8_t bytes[16], unsigned len)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = len > 8 * i ? len - 8 * i : 0;

		if (keep < 8)
			bytes[i] &= (uint8_t)(0xff00 >> keep);
	}
}

/* What is /24 in IPv4 is /48 in IPv6, a host is a host. */
static uint8_t family_len(int family, unsigned len4)
{
	if (family == 4 || !len4)
		return (uint8_t)len4;
	return (uint8_t)(len4 == 32 ? 128 : len4 > 24 ? 48 + 2 * (len4 - 24) : 24 + len4);
}

static void address_roll(struct dice *dice, int family, uint8_t ret_bytes[16])
{
	memset(ret_bytes, 0, 16);
	dice_fill(dice, ret_bytes, family == 6 ? 16 : 4);
	if (family == 6) {
		ret_bytes[0] = 0x20;
		ret_bytes[1] = 0x01;
	}
}

/* Networks of a site stand together: one of `sites` different upper halves, the same for the same seed. */
static void site_roll(struct dice *dice, int family, uint32_t sites, uint8_t ret_bytes[16])
{
	struct dice site = { dice_below(dice, sites) };
	uint8_t upper[16];

	address_roll(&site, family, upper);
	address_roll(dice, family, ret_bytes);
	memcpy(ret_bytes, upper, family == 6 ? 4 : 2);
}

/* One of a few hosts: prefixes of different lengths around the same host lie in each other. */
static void pool_roll(struct dice *dice, int family, uint32_t hosts, uint8_t ret_bytes[16])
{
	struct dice host = { dice_below(dice, hosts) };

	address_roll(&host, family, ret_bytes);
}

static struct interval port_exact(struct dice *dice, const uint16_t *ports, uint32_t n)
{
	uint16_t port = ports[dice_below(dice, n)];

	return (struct interval){ port, port };
}

static struct interval port_range(struct dice *dice)
{
	static const struct interval usual[] = { { 1024, 65535 }, { 0, 1023 }, { 6000, 6063 }, { 137, 139 }, { 49152, 65535 } };
	uint16_t first;

	if (dice_percent(dice, 40))
		return usual[dice_below(dice, COUNT(usual))];
	first = (uint16_t)dice_below(dice, 60000);
	return (struct interval){ first, (uint16_t)(first + 1 + dice_below(dice, 4000)) };
}

static struct interval port_any_exact(struct dice *dice)
{
	uint16_t port = (uint16_t)dice_below(dice, 65536);

	return (struct interval){ port, port };
}

static void acl_roll(struct ruleset_rule *rule, int family, uint32_t n, struct dice *dice)
{
	static const uint8_t lens[] = { 16, 24, 27, 28, 32 }, shares[] = { 5, 25, 15, 15, 40 };

	rule->drops = dice_percent(dice, 70);
	rule->src_len = dice_percent(dice, 80) ? lens[dice_weighted(dice, shares, COUNT(shares))] : 0;
	rule->dst_len = lens[dice_weighted(dice, shares, COUNT(shares))];
	site_roll(dice, family, 16 + n / 16, rule->src);
	site_roll(dice, family, 16 + n / 64, rule->dst);
	rule->proto = dice_percent(dice, 90) ? (dice_percent(dice, 75) ? IPPROTO_TCP : IPPROTO_UDP) : 0;
	if (rule->proto && dice_percent(dice, 80))
		rule->dst_port = dice_percent(dice, 75) ? port_exact(dice, services, COUNT(services)) : port_range(dice);
}

#define FW_WIDE 6u /* rules of a set that look at ports alone, or nearly: with more of them nothing would be left to the others */

static void fw_roll(struct ruleset_rule *rule, int family, uint32_t n, struct dice *dice)
{
	static const uint8_t lens[] = { 12, 16, 20, 24, 32 }, shares[] = { 10, 30, 20, 25, 15 };
	bool wide = dice_below(dice, n) < FW_WIDE;

	rule->drops = dice_percent(dice, 50);
	pool_roll(dice, family, 4 + n / 64, rule->src);
	pool_roll(dice, family, 4 + n / 64, rule->dst);
	rule->proto = dice_percent(dice, 50) ? IPPROTO_TCP : IPPROTO_UDP;
	rule->src_len = dice_percent(dice, wide ? 30 : 60) ? lens[dice_weighted(dice, shares, COUNT(shares))] : 0;
	if (!wide)
		rule->dst_len = rule->src_len ? lens[dice_weighted(dice, shares, COUNT(shares))] : 32;
	if (dice_percent(dice, 30))
		rule->src_port = dice_percent(dice, 50) ? port_any_exact(dice) : port_range(dice);
	if (wide || dice_percent(dice, 80))
		rule->dst_port = wide || dice_percent(dice, 60) ? port_any_exact(dice) : port_range(dice);
}

static struct interval len_roll(struct dice *dice)
{
	uint16_t len = frame_lens[dice_below(dice, COUNT(frame_lens))];

	switch (dice_below(dice, 3)) {
	case 0:
		return (struct interval){ len, len };
	case 1:
		return (struct interval){ len, (uint16_t)(len + 8 + dice_below(dice, 64)) };
	default:
		return (struct interval){ len, HEADER_LEN_MAX };
	}
}

static void flood_roll(struct ruleset_rule *rule, int family, uint32_t n, struct dice *dice)
{
	static const uint8_t victim_lens[] = { 24, 32 }, victim_shares[] = { 30, 70 };
	static const uint8_t source_lens[] = { 16, 20, 24, 32 }, source_shares[] = { 10, 20, 40, 30 };

	rule->drops = true;
	site_roll(dice, family, 16 + n / 256, rule->dst);
	address_roll(dice, family, rule->src);
	rule->dst_len = victim_lens[dice_weighted(dice, victim_shares, COUNT(victim_shares))];
	switch (dice_below(dice, 3)) {
	case 0: /* reflection */
		rule->proto = IPPROTO_UDP;
		rule->src_port = port_exact(dice, reflectors, COUNT(reflectors));
		rule->len = len_roll(dice);
		break;
	case 1: /* a network that floods a service */
		rule->proto = dice_percent(dice, 60) ? IPPROTO_TCP : IPPROTO_UDP;
		rule->src_len = source_lens[dice_weighted(dice, source_shares, COUNT(source_shares))];
		rule->dst_port = port_exact(dice, services, COUNT(services));
		break;
	default: /* a tool that sends frames of one kind */
		rule->proto = dice_percent(dice, 30) ? IPPROTO_TCP : IPPROTO_UDP;
		rule->dst_port = dice_percent(dice, 50) ? port_any_exact(dice) : port_range(dice);
		rule->len = len_roll(dice);
	}
}

int ruleset_init(struct ruleset *ruleset, enum ruleset_shape shape, int family, uint32_t n, uint64_t seed)
{
	static void (*const roll[])(struct ruleset_rule * rule, int family, uint32_t n, struct dice *dice) = {
		[RULESET_ACL] = acl_roll,
		[RULESET_FW] = fw_roll,
		[RULESET_FLOOD] = flood_roll,
	};
	struct dice dice = { seed };

	ruleset->rules = calloc(n, sizeof(*ruleset->rules));
	ruleset->n = n;
	ruleset->family = family;
	if (!ruleset->rules)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		struct ruleset_rule *rule = &ruleset->rules[i];

		rule->src_port = rule->dst_port = ANY_PORT;
		rule->len = ANY_LEN;
		roll[shape](rule, family, n, &dice);
		rule->src_len = family_len(family, rule->src_len);
		rule->dst_len = family_len(family, rule->dst_len);
		address_cut(rule->src, rule->src_len);
		address_cut(rule->dst, rule->dst_len);
	}
	return 0;
}

void ruleset_fini(struct ruleset *ruleset)
{
	free(ruleset->rules);
	ruleset->rules = NULL;
}

static void print_net(const char *direction, const uint8_t *bytes, unsigned len, int family, FILE *out)
{
	char printed[INET6_ADDRSTRLEN];

	if (!len)
		return;
	inet_ntop(family == 6 ? AF_INET6 : AF_INET, bytes, printed, sizeof(printed));
	fprintf(out, " and %s net %s/%u", direction, printed, len);
}

static void print_ports(const char *direction, struct interval ports, FILE *out)
{
	if (is_any(ports, ANY_PORT))
		return;
	if (ports.first == ports.last)
		fprintf(out, " and %s port %u", direction, ports.first);
	else
		fprintf(out, " and %s portrange %u-%u", direction, ports.first, ports.last);
}

static void print_rule(const struct ruleset_rule *rule, int family, FILE *out)
{
	const char *proto = rule->proto == IPPROTO_TCP ? "tcp" : rule->proto == IPPROTO_UDP ? "udp" : family == 6 ? "ip6" : "ip";

	fprintf(out, "%s %s", rule->drops ? "drop" : "allow", proto);
	print_net("src", rule->src, rule->src_len, family, out);
	print_net("dst", rule->dst, rule->dst_len, family, out);
	print_ports("src", rule->src_port, out);
	print_ports("dst", rule->dst_port, out);
	if (!is_any(rule->len, ANY_LEN))
		fprintf(out, " and len %u-%u", rule->len.first, rule->len.last);
	fputc('\n', out);
}

char *ruleset_text(const struct ruleset *ruleset, size_t *ret_len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_len);

	if (!out)
		return NULL;
	for (uint32_t i = 0; i < ruleset->n; i++)
		print_rule(&ruleset->rules[i], ruleset->family, out);
	fclose(out);
	return text;
}

static uint16_t interval_roll(struct interval interval, struct dice *dice)
{
	return (uint16_t)(interval.first + dice_below(dice, interval.last - interval.first + 1u));
}

static void prefix_fill(const uint8_t *prefix, unsigned len, int family, struct dice *dice, uint8_t ret_bytes[16])
{
	uint8_t host[16];

	address_roll(dice, family, host);
	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = len > 8 * i ? len - 8 * i : 0;
		uint8_t mask = keep < 8 ? (uint8_t)(0xff00 >> keep) : 0xff;

		ret_bytes[i] = (uint8_t)((prefix[i] & mask) | (host[i] & ~mask));
	}
}

/* Turn one of the last eight bits of the prefix. */
static void prefix_miss(uint8_t *bytes, unsigned len, struct dice *dice)
{
	unsigned bit = len - 1 - dice_below(dice, len < 8 ? len : 8);

	bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
}

/* Make a packet of the rule miss it, in one field that the rule asks for. */
static void header_miss(const struct ruleset_rule *rule, struct dice *dice, struct header *header)
{
	uint32_t which = dice_below(dice, 4);

	if (which == 0 && rule->src_len)
		prefix_miss(header->src, rule->src_len, dice);
	else if (which == 1 && rule->proto)
		header->proto = rule->proto == IPPROTO_TCP ? IPPROTO_UDP : IPPROTO_TCP;
	else if (which == 2 && !is_any(rule->dst_port, ANY_PORT))
		header->dst_port = htons((uint16_t)(rule->dst_port.last + 1 + dice_below(dice, 1000)));
	else if (rule->dst_len)
		prefix_miss(header->dst, rule->dst_len, dice);
	else if (rule->src_len)
		prefix_miss(header->src, rule->src_len, dice);
}

void ruleset_packet(const struct ruleset *ruleset, uint32_t index, bool hit, struct dice *dice, struct header *ret_header)
{
	const struct ruleset_rule *rule = &ruleset->rules[index];

	memset(ret_header, 0, sizeof(*ret_header));
	ret_header->family = (uint8_t)ruleset->family;
	prefix_fill(rule->src, rule->src_len, ruleset->family, dice, ret_header->src);
	prefix_fill(rule->dst, rule->dst_len, ruleset->family, dice, ret_header->dst);
	ret_header->src_port = htons(interval_roll(rule->src_port, dice));
	ret_header->dst_port = htons(interval_roll(rule->dst_port, dice));
	ret_header->proto = rule->proto ? rule->proto : dice_percent(dice, 50) ? IPPROTO_TCP : IPPROTO_UDP;
	ret_header->len = is_any(rule->len, ANY_LEN) ? frame_lens[dice_below(dice, COUNT(frame_lens))] : rule->len.first;
	if (!hit)
		header_miss(rule, dice, ret_header);
}

static bool has_prefix(const uint8_t *bytes, const uint8_t *prefix, unsigned len)
{
	unsigned whole = len / 8, rest = len % 8;

	return !memcmp(bytes, prefix, whole) && (!rest || !((bytes[whole] ^ prefix[whole]) >> (8 - rest)));
}

static bool is_within(uint16_t value, struct interval interval)
{
	return value >= interval.first && value <= interval.last;
}

const struct ruleset_rule *ruleset_match(const struct ruleset *ruleset, const struct header *header)
{
	uint16_t src_port = ntohs(header->src_port), dst_port = ntohs(header->dst_port);

	for (uint32_t i = 0; i < ruleset->n; i++) {
		const struct ruleset_rule *rule = &ruleset->rules[i];

		if ((!rule->proto || rule->proto == header->proto) && is_within(dst_port, rule->dst_port) &&
		    is_within(src_port, rule->src_port) && is_within(header->len, rule->len) &&
		    has_prefix(header->dst, rule->dst, rule->dst_len) && has_prefix(header->src, rule->src, rule->src_len))
			return rule;
	}
	return NULL;
}
