/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random rule sets against random packets: the image answers as the statements say, statement by statement, in the plainest way
 * they can be read. And the rule set's text loads to the identical image.
 *
 * The trees are made here, not parsed, so that text, parser and builder are all on the other side. Values come from small pools:
 * most questions are true for some packets and false for others. SEED=N repeats a run; ROUNDS=N makes it longer.
 */
#include <setjmp.h>
#include <arpa/inet.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <pcap/pcap.h>

#include "classify/dns.h"
#include "classify/match.h"
#include "rules/ast.h"

#define PACKETS 1500 /* each rule set meets */
#define SETS 6
#define RULES_LARGE 3000 /* of the large sets */

#ifndef __has_feature /* gcc */
#define __has_feature(x) 0
#endif
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED 1
#else
#define SANITIZED __has_feature(address_sanitizer)
#endif

/* ---- random ---- */

static uint64_t random_state;

static uint32_t random_u32(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16);
}

static uint32_t below(uint32_t n)
{
	return random_u32() % n;
}

/* ---- the packet: parse.h's view of one, made up, with its payload beside it ---- */

struct frame {
	struct pkt pkt;
	uint8_t macs[12];
	uint8_t payload[64];
	uint8_t name[DNS_NAME_MAX + 1]; /* question name, or name_len 0 */
	size_t name_len;
	int type; /* of the question, or -1 */
};

struct match_env {
	const struct frame *frame;
	int tier; /* 0: one that answers everything, TIER_XDP or TIER_USER */
	uint32_t *hits;
};

static __always_inline int match_load(const struct match_env *env, __u32 off, void *to, __u32 len)
{
	if (off < 12)
		memcpy(to, env->frame->macs + off, len);
	else
		memcpy(to, &env->frame->payload[off - env->frame->pkt.payload_off], len);
	return 0;
}

static __always_inline void match_hit(const struct match_env *env, __u32 counter, __u32 bytes)
{
	(void)bytes;
	env->hits[counter]++;
}

static __always_inline int match_limit(const struct match_env *env, const struct image_rule *rule, const struct lookup_key *key,
				       __u32 bytes)
{
	(void)env, (void)rule, (void)key, (void)bytes;
	return 0; /* rates are test_limit.c's business */
}

static __always_inline enum deep_answer match_deep(const struct match_env *env, const struct image *image,
						   const struct image_step *step, const struct pkt *pkt)
{
	const struct frame *frame = env->frame;
	const uint8_t *name = IMAGE_AT(image, image->names + step->offset, uint8_t);
	static const uint8_t nothing[64];

	if (env->tier == TIER_XDP)
		return DEEP_ASK_USER_TIER;
	if (step->kind == STEP_BPF) /* asks for the length only, see bpf_pool */
		return bpf_filter((const struct bpf_insn *)lookup_insn_at(image, step->offset), nothing, pkt->frame_len,
				  sizeof(nothing)) != 0;
	assert_int_equal(pkt->l4_proto, PROTO_UDP);
	if (step->kind == STEP_DNS_VALID)
		return frame->type >= 0;
	if (step->kind == STEP_DNS_TYPE)
		return frame->type >= (int)step->lo && frame->type <= (int)step->hi;
	if (!frame->name_len)
		return DEEP_NO;
	if (step->kind == STEP_DNS_NAME)
		return frame->name_len == step->len && !memcmp(frame->name, name, step->len);
	return dns_name_under(frame->name, frame->name_len, name, step->len);
}

/* Few bits of an address vary, so that random prefixes hold random addresses. */
static void random_addr(uint8_t family, uint8_t addr[16])
{
	memset(addr, 0, 16);
	addr[0] = below(2) ? 0x20 : 0x21;
	addr[3] = (uint8_t)(below(4) << 6);
	if (family == FAMILY_IP6) {
		addr[7] = (uint8_t)below(2);
		addr[8] = (uint8_t)(below(2) << 7);
		addr[15] = (uint8_t)below(2);
	}
}

static const uint16_t port_pool[] = { 0, 22, 53, 80, 443, 1023, 1024, 65535 };
static const uint16_t len_pool[] = { 0, 60, 64, 65, 512, 1514, 65535 };
static const uint8_t proto_pool[] = { 1, 6, 17, 47, 58, 132, 0, 255 };
/* The third has the bytes of the second in its end, but not its labels. */
static const char *const name_pool[] = { "example", "a.example", "b\\001a.example", "b.a.example", ".", "under", "a\\.example" };

static const uint8_t ttl_pool[] = { 0, 1, 63, 64, 254, 255 };
static const uint16_t type_pool[] = { 0, 1, 28, 255, 256, 65535 };
static const uint16_t vlan_pool[] = { 0, 1, 100, 4094, 4095 };
static const uint16_t word_pool[] = { 0x000, 0x002, 0x012, 0x0ff, 0x300, 0x301, 0x800, 0x8700, 0xffff };
static const char *const bpf_pool[] = { "greater 64", "greater 512", "greater 1514" };

#define POOL(pool) ((pool)[below(COUNT(pool))])
#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

static void random_frame(struct frame *frame)
{
	static const uint8_t families[] = { 4, 4, 6, 6, 0 };
	struct pkt *pkt = &frame->pkt;

	memset(frame, 0, sizeof(*frame));
	pkt->frame_len = POOL(len_pool) + (below(2) ? below(3) : 0);
	if (pkt->frame_len > 65535)
		pkt->frame_len = 65535;
	pkt->family = POOL(families);
	pkt->condition = below(4) ? 0 : (uint8_t)below(CONDITION_COUNT);
	frame->type = -1;
	frame->macs[5] = (uint8_t)below(2);
	frame->macs[11] = (uint8_t)below(2);
	pkt->n_vlans = (uint8_t)(below(2) ? 0 : below(3));
	for (unsigned i = 0; i < pkt->n_vlans; i++)
		pkt->vlan[i] = POOL(vlan_pool);
	pkt->eth_type = pkt->family == 4 ? ETH_TYPE_IP4 : pkt->family == 6 ? ETH_TYPE_IP6 : below(2) ? ETH_TYPE_ARP : 0x88cc;
	if (!pkt->family)
		return;
	random_addr(pkt->family, (uint8_t *)pkt->src);
	random_addr(pkt->family, (uint8_t *)pkt->dst);
	pkt->l4_proto = POOL(proto_pool);
	pkt->l3_off = 14;
	pkt->l3_end = 34 + below(30);
	pkt->ttl = POOL(ttl_pool);
	pkt->dscp = (uint8_t)below(64);
	pkt->options = (uint8_t)below(2);
	pkt->frag = FRAG_LATER | (below(2) ? FRAG_LAST : 0);
	if (below(8) == 0)
		return;
	pkt->frag = (below(4) ? FRAG_NONE : FRAG_FIRST) | (below(2) ? FRAG_DF : 0);
	if (pkt->l4_proto == PROTO_TCP || pkt->l4_proto == PROTO_UDP || pkt->l4_proto == PROTO_SCTP) {
		pkt->has_ports = 1;
		pkt->src_port = (uint16_t)(POOL(port_pool) + (below(4) ? 0 : 1));
		pkt->dst_port = (uint16_t)(POOL(port_pool) - (below(4) ? 0 : 1));
	}
	if (below(8) == 0)
		return; /* truncated behind the ports */
	pkt->has_l4 = pkt->has_ports || pkt->l4_proto == PROTO_ICMP || pkt->l4_proto == PROTO_ICMP6;
	if (pkt->has_l4)
		pkt->l4_word = pkt->l4_proto == PROTO_TCP ? POOL(word_pool) & 0xfff : POOL(word_pool);
	pkt->payload_off = 42;
	pkt->l3_end = (uint16_t)(42 + below(64));
	for (unsigned i = 0; i < sizeof(frame->payload); i++)
		frame->payload[i] = (uint8_t)below(4);
	if (pkt->l4_proto == PROTO_UDP && below(4)) {
		const char *text = POOL(name_pool);

		assert_int_equal(dns_name_from_text(text, strlen(text), frame->name, &frame->name_len), 0);
		frame->type = below(4) ? POOL(type_pool) : -1;
	}
}

/* ---- random rule sets ---- */

static void random_prefix(struct prefix *prefix)
{
	prefix->family = below(2) ? 4 : 6;
	prefix->len = (uint8_t)(below(4) == 0 ? below(33) : prefix->family == 4 ? 32 : 128);
	random_addr(prefix->family, prefix->addr);
	for (unsigned bit = prefix->len; bit < 128; bit++)
		prefix->addr[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
}

static void random_range(struct range *range, const uint16_t *pool, uint32_t pool_size, uint32_t max)
{
	range->lo = pool[below(pool_size)];
	range->hi = range->lo + (below(3) ? 0 : below(1000));
	if (range->hi > max)
		range->hi = max;
	if (range->lo > range->hi)
		range->lo = range->hi;
}

static void random_name(struct rules *rules, struct wire_name *name)
{
	uint8_t wire[DNS_NAME_MAX + 1];
	const char *text = POOL(name_pool);
	size_t len;

	assert_int_equal(dns_name_from_text(text, strlen(text), wire, &len), 0);
	name->bytes = (const uint8_t *)arena_copy(&rules->arena, (const char *)wire, len);
	name->len = (uint8_t)len;
}

static void random_tuple(struct tuple *tuple)
{
	struct range ports = { 0, 65535 };

	random_prefix(&tuple->prefix);
	tuple->proto = POOL(proto_pool);
	if (below(3))
		random_range(&ports, port_pool, COUNT(port_pool), 65535);
	tuple->port_lo = (uint16_t)ports.lo;
	tuple->port_hi = (uint16_t)ports.hi;
}

static void random_value(struct rules *rules, enum list_kind kind, union value *value)
{
	memset(value, 0, sizeof(*value));
	if (kind == LIST_PREFIXES)
		random_prefix(&value->prefix);
	else if (kind == LIST_TUPLES)
		random_tuple(&value->tuple);
	else if (kind == LIST_NAMES)
		random_name(rules, &value->name);
	else
		random_range(&value->range, port_pool, COUNT(port_pool), 65535);
}

static void random_list(struct rules *rules, enum list_kind kind, const uint16_t *pool, uint32_t pool_size, uint32_t max,
			struct list *list)
{
	uint32_t n = 1 + (below(3) ? 0 : below(4));

	list->values = arena_alloc(&rules->arena, n * sizeof(*list->values));
	for (list->n = 0; list->n < n; list->n++) {
		if (pool)
			random_range(&list->values[list->n].range, pool, pool_size, max);
		else
			random_value(rules, kind, &list->values[list->n]);
	}
}

static struct statement *random_statement(struct rules *rules, enum statement_kind kind)
{
	struct statement *statement = arena_alloc(&rules->arena, sizeof(*statement));

	statement->kind = kind;
	rules->statements = arena_grow(&rules->arena, rules->statements, rules->n_statements, sizeof(struct statement *));
	rules->statements[rules->n_statements++] = statement;
	statement->line = (unsigned)rules->n_statements;
	return statement;
}

static void random_sets(struct rules *rules)
{
	rules->sets = arena_alloc(&rules->arena, SETS * sizeof(*rules->sets));
	while (rules->n_sets < SETS) {
		static const enum list_kind kinds[SETS] = { LIST_EMPTY,	 LIST_PREFIXES, LIST_RANGES,
							    LIST_TUPLES, LIST_NAMES,	LIST_PREFIXES };
		struct set *set = arena_alloc(&rules->arena, sizeof(*set));
		char name[] = { 's', (char)('0' + rules->n_sets), '\0' };

		set->name = arena_copy(&rules->arena, name, 2);
		set->index = (unsigned)rules->n_sets;
		set->kind = kinds[set->index];
		set->typed = set->kind == LIST_NAMES || (set->kind != LIST_EMPTY && below(2));
		set->ttl_s = below(2) ? 0 : 1 + below(1000000);
		set->size = below(2) ? 0 : 1 + below(1000);
		for (uint32_t n = set->typed ? below(5) : set->kind == LIST_EMPTY ? 0 : 1 + below(4); n > 0; n--) {
			union value value;

			random_value(rules, set->kind, &value);
			assert_int_equal(set_add(set, &value, below(3) ? 0 : 1 + below(100000)), 0);
		}
		rules->sets[rules->n_sets++] = set;
		random_statement(rules, STATEMENT_SET)->set = set;
	}
}

/* Use a set instead of the list? */
static bool random_set_use(struct rules *rules, enum list_kind kind, struct list *list)
{
	const struct set *set = rules->sets[below(SETS)];

	if (below(2) || (set->kind != kind && set->kind != LIST_EMPTY))
		return false;
	*list = (struct list){ .set = set };
	return true;
}

static const struct protocol *random_protocol(const char *const *words, uint32_t n)
{
	const char *word = words[below(n)];

	return word ? protocol_find(word, strlen(word)) : NULL;
}

static void random_addr_test(struct rules *rules, struct test *test)
{
	static const char *const words[] = { NULL, NULL, NULL, "ip", "ip6", "tcp", "udp", "icmp", "icmp6", "gre" };

	test->direction = (enum direction)below(4);
	test->protocol = random_protocol(words, COUNT(words));
	if (random_set_use(rules, below(2) ? LIST_PREFIXES : LIST_TUPLES, &test->list))
		return;
	random_list(rules, LIST_PREFIXES, NULL, 0, 0, &test->list);
	for (size_t i = 0; i < test->list.n; i++)
		if (!test_uses(test, &test->list.values[i]))
			test->protocol = NULL; /* the parser refuses `ip host 2001:db8::1`; only a set may hold both families */
}

static void random_payload_test(struct test *test)
{
	test->payload_at = (uint16_t)below(below(4) ? 4 : 64);
	test->payload_len = (uint16_t)(1 + below(below(4) ? 2 : 16));
	for (unsigned i = 0; i < test->payload_len; i++) {
		test->payload_mask[i] = (uint8_t)(below(2) ? 0xff : below(4));
		test->payload_value[i] = (uint8_t)below(4) & test->payload_mask[i];
	}
}

/* One value that `give` makes, or several. */
static void random_values(struct rules *rules, struct test *test, void (*give)(const struct test *test, union value *value))
{
	test->list.n = 1 + (below(3) ? 0 : below(3));
	test->list.values = arena_alloc(&rules->arena, test->list.n * sizeof(*test->list.values));
	for (size_t i = 0; i < test->list.n; i++)
		give(test, &test->list.values[i]);
}

static void give_flags(const struct test *test, union value *value)
{
	(void)test;
	value->range.hi = 1 + below(below(2) ? 0xff : 0xfff);
	value->range.lo = POOL(word_pool) & value->range.hi;
}

static void give_icmp_type(const struct test *test, union value *value)
{
	uint32_t type = POOL(word_pool) >> 8, last = below(3) ? type : 255, code = below(4);

	(void)test;
	value->range = (struct range){ type << 8, last << 8 | 255 };
	if (type == last && below(2))
		value->range = (struct range){ type << 8 | code, type << 8 | (code + below(3)) };
}

static void give_code(const struct test *test, union value *value)
{
	(void)test;
	value->range = (struct range){ below(3), 3 + below(253) };
}

static void give_frag(const struct test *test, union value *value)
{
	static const uint8_t bits[] = { FRAG_NONE, FRAG_FIRST, FRAG_LATER, FRAG_LAST, FRAG_DF, FRAG_FIRST | FRAG_LATER };

	(void)test;
	value->range.lo = value->range.hi = POOL(bits);
}

static void give_mac(const struct test *test, union value *value)
{
	(void)test;
	value->mac.addr[5] = (uint8_t)below(2);
}

static void give_field(const struct test *test, union value *value)
{
	uint32_t max = test->kind == TEST_TTL ? 255 : 63;

	value->range.lo = below(3) ? below(max + 1) : 0;
	value->range.hi = below(3) ? value->range.lo : max;
}

static void random_bpf_test(struct rules *rules, struct test *test)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);
	struct bpf_program program;

	test->bpf_text = POOL(bpf_pool);
	assert_int_equal(pcap_compile(pcap, &program, test->bpf_text, 1, PCAP_NETMASK_UNKNOWN), 0);
	test->n_insns = (uint16_t)program.bf_len;
	test->insns = (const struct image_insn *)arena_copy(&rules->arena, (const char *)program.bf_insns,
							    program.bf_len * sizeof(struct bpf_insn));
	pcap_freecode(&program);
	pcap_close(pcap);
}

/* `vlan`s count in the order of the text, so numbering them is left to random_rule(). */
static void random_vlan_test(struct rules *rules, struct test *test)
{
	random_list(rules, LIST_RANGES, vlan_pool, COUNT(vlan_pool), 4095, &test->list);
	if (below(3) == 0) {
		test->list.n = 1;
		test->list.values[0].range = (struct range){ 0, 4095 };
	}
}

static void random_header_test(struct rules *rules, struct test *test)
{
	static const char *const words[] = { NULL, "ip", "ip6" };

	switch (test->kind) {
	case TEST_FLAGS:
		test->protocol = protocol_find("tcp", 3);
		random_values(rules, test, give_flags);
		break;
	case TEST_ICMP_TYPE:
	case TEST_ICMP_CODE:
		test->protocol = below(2) ? protocol_find("icmp", 4) : protocol_find("icmp6", 5);
		random_values(rules, test, test->kind == TEST_ICMP_TYPE ? give_icmp_type : give_code);
		break;
	case TEST_IP_LEN:
		test->protocol = random_protocol(words + 1, 2);
		random_list(rules, LIST_RANGES, port_pool, COUNT(port_pool), 65535, &test->list);
		break;
	case TEST_OPTIONS:
		test->protocol = random_protocol(words + 1, 2);
		break;
	case TEST_FRAG:
		test->protocol = random_protocol(words, 3);
		random_values(rules, test, give_frag);
		break;
	default:
		test->protocol = random_protocol(words, 3);
		random_values(rules, test, give_field);
	}
}

static void random_deep_test(struct rules *rules, struct test *test)
{
	switch (test->kind) {
	case TEST_BPF:
		random_bpf_test(rules, test);
		break;
	case TEST_DNS_VALID:
		break;
	case TEST_DNS_TYPE:
		if (!random_set_use(rules, LIST_RANGES, &test->list))
			random_list(rules, LIST_RANGES, type_pool, COUNT(type_pool), 65535, &test->list);
		break;
	default:
		if (!random_set_use(rules, LIST_NAMES, &test->list))
			random_list(rules, LIST_NAMES, NULL, 0, 0, &test->list);
	}
}

static struct expr *random_test(struct rules *rules)
{
	static const char *const port_words[] = { NULL, NULL, "tcp", "udp", "sctp", "ip", "ip6" };
	static const char *const proto_words[] = { NULL, "ip", "ip6" };
	static const char *const words[] = { "ip", "ip6", "arp", "tcp", "udp", "sctp", "icmp", "icmp6", "gre" };
	static const uint16_t ether_pool[] = { ETH_TYPE_IP4, ETH_TYPE_IP6, ETH_TYPE_ARP, 0x88cc };
	static const uint16_t wide_proto_pool[] = { 0, 1, 6, 17, 47, 58, 132, 253 };
	struct test test = { .kind = (enum test_kind)below(TEST_KIND_COUNT) };

	switch (test.kind) {
	case TEST_PROTOCOL:
		test.protocol = random_protocol(words, COUNT(words));
		break;
	case TEST_ADDR:
		random_addr_test(rules, &test);
		break;
	case TEST_PORT:
		test.direction = (enum direction)below(4);
		test.protocol = random_protocol(port_words, COUNT(port_words));
		if (!random_set_use(rules, LIST_RANGES, &test.list))
			random_list(rules, LIST_RANGES, port_pool, COUNT(port_pool), 65535, &test.list);
		break;
	case TEST_PROTO:
		test.protocol = random_protocol(proto_words, COUNT(proto_words));
		random_list(rules, LIST_RANGES, wide_proto_pool, COUNT(wide_proto_pool), 3 + below(253), &test.list);
		break;
	case TEST_ETHER_PROTO:
		random_list(rules, LIST_RANGES, ether_pool, COUNT(ether_pool), 65535, &test.list);
		for (size_t i = 0; i < test.list.n; i++)
			test.list.values[i].range.hi = test.list.values[i].range.lo;
		break;
	case TEST_LEN:
		if (!random_set_use(rules, LIST_RANGES, &test.list))
			random_list(rules, LIST_RANGES, len_pool, COUNT(len_pool), 65535, &test.list);
		if (!test.list.set && below(4) == 0)
			test.list.values[0].range = (struct range){ below(2) ? 0 : POOL(len_pool), 65535 };
		break;
	case TEST_PAYLOAD:
		random_payload_test(&test);
		break;
	case TEST_ETHER_ADDR:
		test.direction = (enum direction)below(4);
		random_values(rules, &test, give_mac);
		break;
	case TEST_VLAN:
		random_vlan_test(rules, &test);
		break;
	default:
		if (test_is_deep(&test))
			random_deep_test(rules, &test);
		else
			random_header_test(rules, &test);
	}
	return expr_new_test(&rules->arena, &test);
}

/* The third `vlan` of a match and those behind it become something else. */
static void number_vlans(struct expr *expr, unsigned *n)
{
	if (expr->kind == EXPR_TEST && expr->test->kind == TEST_VLAN) {
		if (*n < PKT_VLANS_MAX)
			expr->test->vlan_tag = (uint8_t)(*n)++;
		else
			*expr->test = (struct test){ .kind = TEST_PROTOCOL, .protocol = protocol_find("udp", 3) };
	}
	for (size_t i = 0; i < expr->n; i++)
		number_vlans(expr->children[i], n);
}

static struct expr *random_expr(struct rules *rules, unsigned depth)
{
	enum expr_kind kind = depth ? (enum expr_kind)below(4) : EXPR_TEST;
	struct expr *expr;
	uint32_t n;

	if (kind == EXPR_TEST)
		return random_test(rules);
	expr = expr_new(&rules->arena, kind, random_expr(rules, depth - 1));
	n = kind == EXPR_NOT ? 0 : 1 + below(3);
	while (n--)
		assert_int_equal(expr_add(&rules->arena, expr, random_expr(rules, depth - 1)), 0);
	return expr;
}

static void random_limit(struct rule *rule)
{
	rule->rate = (1 + below(100)) * (below(2) ? 1 : 1000000);
	rule->burst = below(2) ? 0 : 1 + below(100000);
	rule->unit = (enum limit_unit)below(2);
	rule->per = (enum limit_per)below(3);
	if (rule->per != LIMIT_PER_NONE) {
		rule->per_len4 = (uint8_t)below(33);
		rule->per_len6 = (uint8_t)below(129);
	}
}

static void random_divert(struct rules *rules, struct rule *rule)
{
	rule->queue = below(2) ? -1 : (int)below(100);
	rule->program = below(3) ? NULL : "udp";
	rule->overload = (enum overload_policy)below(OVERLOAD_POLICY_COUNT);
	if (rule->overload == OVERLOAD_SAMPLE)
		rule->overload_n = 1 + below(100);
	if (rule->overload == OVERLOAD_ALLOW && !random_set_use(rules, LIST_PREFIXES, &rule->overload_list))
		random_list(rules, LIST_PREFIXES, NULL, 0, 0, &rule->overload_list);
}

static void random_rule(struct rules *rules)
{
	static const enum rule_action actions[] = { ACTION_COUNT,  ACTION_DIVERT, ACTION_DIVERT, ACTION_LIMIT,
						    ACTION_SAMPLE, ACTION_ALLOW,  ACTION_DROP,	 ACTION_PASS };
	struct statement *statement = random_statement(rules, STATEMENT_RULE);
	struct rule *rule = arena_alloc(&rules->arena, sizeof(*rule));
	unsigned vlans = 0;

	statement->rule = rule;
	rule->statement = statement;
	rule->action = POOL(actions);
	rule->match = random_expr(rules, below(4));
	number_vlans(rule->match, &vlans);
	rule->name = below(4) ? NULL : "and";
	rule->ttl_s = below(4) ? 0 : 1 + below(1000000);
	rule->log = below(4) == 0;
	rule->queue = -1;
	if (rule->action == ACTION_DIVERT)
		random_divert(rules, rule);
	if (rule->action == ACTION_LIMIT)
		random_limit(rule);
	if (rule->action == ACTION_SAMPLE)
		rule->sample_n = 1 + below(1000);
	rules->rules = arena_grow(&rules->arena, rules->rules, rules->n_rules, sizeof(*rules->rules));
	rules->rules[rules->n_rules++] = rule;
}

static struct rules *random_rules(void)
{
	struct rules *rules = calloc(1, sizeof(*rules));
	uint32_t n = 1 + below(8);

	rules->source.file = rules->source.text = "";
	random_sets(rules);
	while (n--)
		random_rule(rules);
	for (unsigned condition = 1; condition < CONDITION_COUNT; condition++) {
		if (below(3))
			continue;
		rules->policy[condition] = below(2) ? ACTION_PASS : ACTION_DROP;
		random_statement(rules, STATEMENT_ON)->condition = (enum pkt_condition)condition;
		rules->statements[rules->n_statements - 1]->action = rules->policy[condition];
	}
	rules->default_action = below(2) ? ACTION_PASS : ACTION_DROP;
	random_statement(rules, STATEMENT_DEFAULT)->action = rules->default_action;
	return rules;
}

/* ---- the model: what the statements say, read in the plainest way ---- */

static bool model_addr(const struct prefix *prefix, const struct pkt *pkt, const __u64 addr_words[2])
{
	const uint8_t *addr = (const uint8_t *)addr_words;

	if (pkt->family != prefix->family)
		return false;
	for (unsigned bit = 0; bit < prefix->len; bit++)
		if ((addr[bit / 8] ^ prefix->addr[bit / 8]) & 0x80u >> bit % 8)
			return false;
	return true;
}

static bool model_in(const struct range *range, uint32_t number)
{
	return range->lo <= number && number <= range->hi;
}

static bool model_value_side(const struct test *test, const union value *value, const struct frame *frame, bool src)
{
	const struct pkt *pkt = &frame->pkt;
	const __u64 *addr = src ? pkt->src : pkt->dst;
	uint32_t port = src ? pkt->src_port : pkt->dst_port;

	if (test->kind == TEST_ETHER_ADDR)
		return pkt->frame_len >= 14 && !memcmp(value->mac.addr, frame->macs + (src ? 6 : 0), 6);
	if (test->kind == TEST_PORT)
		return pkt->has_ports && model_in(&value->range, port);
	if (!model_addr(&value->prefix, pkt, addr))
		return false;
	if (!test->list.set || test->list.set->kind != LIST_TUPLES)
		return true;
	if (pkt->l4_proto != value->tuple.proto)
		return false;
	if (value->tuple.port_lo == 0 && value->tuple.port_hi == 65535)
		return true;
	return pkt->has_ports && value->tuple.port_lo <= port && port <= value->tuple.port_hi;
}

static bool model_side(const struct test *test, const struct frame *frame, bool src)
{
	for (size_t i = 0; i < list_count(&test->list); i++) {
		union value value = list_value(&test->list, i);

		if (model_value_side(test, &value, frame, src))
			return true;
	}
	return false;
}

static bool model_directions(const struct test *test, const struct frame *frame)
{
	bool src = model_side(test, frame, true), dst = model_side(test, frame, false);

	switch (test->direction) {
	case DIRECTION_SRC:
		return src;
	case DIRECTION_DST:
		return dst;
	case DIRECTION_BOTH:
		return src && dst;
	default:
		return src || dst;
	}
}

static bool model_numbers(const struct test *test, uint32_t number)
{
	for (size_t i = 0; i < list_count(&test->list); i++) {
		union value value = list_value(&test->list, i);

		if (model_in(&value.range, number))
			return true;
	}
	return false;
}

static bool model_flags(const struct test *test, const struct pkt *pkt)
{
	for (size_t i = 0; i < test->list.n; i++) {
		const struct range *range = &test->list.values[i].range;

		for (uint32_t bit = 1;; bit <<= 1) {
			if (bit > 0xfff)
				return true;
			if (range->hi & bit && (pkt->l4_word & bit) != (range->lo & bit))
				break;
		}
	}
	return false;
}

static bool model_frag(const struct test *test, const struct pkt *pkt)
{
	for (size_t i = 0; i < test->list.n; i++)
		if (test->list.values[i].range.lo & pkt->frag)
			return true;
	return false;
}

static bool model_header(const struct test *test, const struct pkt *pkt)
{
	switch (test->kind) {
	case TEST_TTL:
		return pkt->family && model_numbers(test, pkt->ttl);
	case TEST_DSCP:
		return pkt->family && model_numbers(test, pkt->dscp);
	case TEST_IP_LEN:
		return pkt->family && model_numbers(test, pkt->l3_end - pkt->l3_off);
	case TEST_FLAGS:
		return pkt->has_l4 && model_flags(test, pkt);
	case TEST_ICMP_TYPE:
		return pkt->has_l4 && model_numbers(test, pkt->l4_word);
	case TEST_ICMP_CODE:
		return pkt->has_l4 && model_numbers(test, pkt->l4_word & 255);
	case TEST_FRAG:
		return model_frag(test, pkt);
	case TEST_VLAN:
		return pkt->n_vlans > test->vlan_tag && model_numbers(test, pkt->vlan[test->vlan_tag]);
	default:
		return pkt->options;
	}
}

static bool model_payload(const struct test *test, const struct frame *frame)
{
	const struct pkt *pkt = &frame->pkt;

	if (!pkt->payload_off || pkt->payload_off + (uint32_t)test->payload_at + test->payload_len > pkt->l3_end)
		return false;
	for (unsigned i = 0; i < test->payload_len; i++)
		if ((frame->payload[test->payload_at + i] & test->payload_mask[i]) != test->payload_value[i])
			return false;
	return true;
}

/* Label by label, from the root. */
static bool model_name(const struct frame *frame, const struct wire_name *want, bool under)
{
	unsigned starts[2][128], n[2] = { 0, 0 };
	const uint8_t *names[2] = { frame->name, want->bytes };

	for (int which = 0; which < 2; which++)
		for (unsigned at = 0; names[which][at]; at += 1u + names[which][at])
			starts[which][n[which]++] = at;
	if (n[0] < n[1] || (!under && n[0] != n[1]))
		return false;
	for (unsigned i = 1; i <= n[1]; i++) {
		const uint8_t *a = frame->name + starts[0][n[0] - i], *b = want->bytes + starts[1][n[1] - i];

		if (*a != *b || memcmp(a, b, 1u + *a))
			return false;
	}
	return true;
}

static bool model_names(const struct test *test, const struct frame *frame)
{
	for (size_t i = 0; i < list_count(&test->list) && frame->name_len; i++) {
		union value value = list_value(&test->list, i);

		if (model_name(frame, &value.name, test->kind == TEST_DNS_UNDER))
			return true;
	}
	return false;
}

static bool model_deep(const struct test *test, const struct frame *frame)
{
	switch (test->kind) {
	case TEST_BPF:
		return frame->pkt.frame_len >= strtoul(strchr(test->bpf_text, ' '), NULL, 10);
	case TEST_DNS_VALID:
		return frame->type >= 0;
	case TEST_DNS_TYPE:
		return frame->type >= 0 && model_numbers(test, (uint32_t)frame->type);
	default:
		return model_names(test, frame);
	}
}

static bool model_protocol(const struct protocol *protocol, const struct pkt *pkt)
{
	if (protocol->family && pkt->family != protocol->family)
		return false;
	if (protocol->l4_proto >= 0 && (!pkt->family || pkt->l4_proto != protocol->l4_proto))
		return false;
	return !protocol->eth_type || pkt->eth_type == protocol->eth_type;
}

static bool model_test(const struct test *test, const struct frame *frame, bool diverted)
{
	const struct pkt *pkt = &frame->pkt;

	if (test->protocol && !model_protocol(test->protocol, pkt))
		return false;
	switch (test->kind) {
	case TEST_PROTOCOL:
		return true;
	case TEST_ADDR:
	case TEST_PORT:
	case TEST_ETHER_ADDR:
		return model_directions(test, frame);
	case TEST_PROTO:
		return pkt->family && model_numbers(test, pkt->l4_proto);
	case TEST_ETHER_PROTO:
		return model_numbers(test, pkt->eth_type);
	case TEST_LEN:
		return model_numbers(test, pkt->frame_len);
	case TEST_PAYLOAD:
		return model_payload(test, frame);
	default:
		return test_is_deep(test) ? diverted && model_deep(test, frame) : model_header(test, pkt);
	}
}

static bool model_expr(const struct expr *expr, const struct frame *frame, bool diverted)
{
	if (expr->kind == EXPR_TEST)
		return model_test(expr->test, frame, diverted);
	if (expr->kind == EXPR_NOT)
		return !model_expr(expr->children[0], frame, diverted);
	for (size_t i = 0; i < expr->n; i++)
		if (model_expr(expr->children[i], frame, diverted) == (expr->kind == EXPR_OR))
			return expr->kind == EXPR_OR;
	return expr->kind == EXPR_AND;
}

static void model_run(const struct rules *rules, const struct frame *frame, struct match *ret, uint32_t *hits)
{
	enum rule_action policy = rules->policy[frame->pkt.condition];

	*ret = (struct match){ .rule = IMAGE_NO_RULE };
	for (size_t i = 0; i < rules->n_rules; i++) {
		const struct rule *rule = rules->rules[i];

		if (!model_expr(rule->match, frame, ret->diverted))
			continue;
		hits[i]++;
		if (rule->action == ACTION_DIVERT) {
			ret->diverted = 1;
			ret->divert_rule = (uint32_t)i;
		} else if (!rule_goes_on(rule)) {
			ret->action = (uint8_t)rule->action;
			ret->rule = (uint32_t)i;
			return;
		}
	}
	ret->condition = frame->pkt.condition;
	ret->action = (uint8_t)(ret->condition && policy ? policy : rules->default_action);
}

/* ---- the tests ---- */

static const struct rules *current; /* printed when a comparison fails */

static void check(bool good, const char *what, const struct frame *frame)
{
	if (good)
		return;
	print_error("%s differs; family %u proto %u ports %u: %u > %u len %u diverted by\n", what, frame->pkt.family,
		    frame->pkt.l4_proto, frame->pkt.has_ports, frame->pkt.src_port, frame->pkt.dst_port, frame->pkt.frame_len);
	rules_print(current, stderr);
	fail();
}

static bool match_equal(const struct match *a, const struct match *b)
{
	return a->action == b->action && a->diverted == b->diverted && a->rule == b->rule && a->condition == b->condition &&
	       (!a->diverted || a->divert_rule == b->divert_rule);
}

/* As in life: the XDP tier first, and what it leaves open in the user tier, which counts only what the first did not. */
static void run_tiers(const struct image *image, const struct frame *frame, struct match *ret, uint32_t *hits)
{
	struct match_env env = { .frame = frame, .tier = TIER_XDP, .hits = hits };

	match_run(&env, image, &frame->pkt, 1, ret);
	if (!ret->ask_user)
		return;
	env.tier = TIER_USER;
	match_run(&env, image, &frame->pkt, 0, ret);
}

static bool model_listed(const struct rule *rule, const struct pkt *pkt)
{
	for (size_t i = 0; i < list_count(&rule->overload_list); i++) {
		union value value = list_value(&rule->overload_list, i);

		if (model_addr(&value.prefix, pkt, pkt->src))
			return true;
	}
	return false;
}

static void check_frame(const struct rules *rules, const struct image *image, const struct frame *frame, uint32_t *all_hits)
{
	struct match want, got;
	static uint32_t want_hits[RULES_LARGE], hits[RULES_LARGE], tier_hits[RULES_LARGE];
	struct match_env env = { .frame = frame, .hits = hits };

	memset(want_hits, 0, sizeof(want_hits));
	memset(hits, 0, sizeof(hits));
	memset(tier_hits, 0, sizeof(tier_hits));
	model_run(rules, frame, &want, want_hits);
	for (size_t i = 0; i < rules->n_rules; i++)
		all_hits[i] += want_hits[i];
	match_run(&env, image, &frame->pkt, 1, &got);
	check(match_equal(&want, &got), "match_run()", frame);
	check(!memcmp(want_hits, hits, sizeof(hits)), "hits", frame);
	run_tiers(image, frame, &got, tier_hits);
	check(match_equal(&want, &got), "XDP tier, then user tier", frame);
	check(!memcmp(want_hits, tier_hits, sizeof(hits)), "hits of both tiers", frame);
	if (want.diverted && rules->rules[want.divert_rule]->overload == OVERLOAD_ALLOW)
		check(match_overload_listed(image, lookup_rule_at(image, want.divert_rule), &frame->pkt) ==
			      model_listed(rules->rules[want.divert_rule], &frame->pkt),
		      "overload list", frame);
}

/* Print, parse, print: the same image and the same text. */
static void check_text(const struct rules *rules, const struct image *image)
{
	struct rules_error error;
	struct image *again;
	struct rules *parsed;
	char *text[2];
	size_t len[2];
	FILE *out = open_memstream(&text[0], &len[0]);

	rules_print(rules, out);
	fclose(out);
	if (rules_parse(text[0], len[0], "printed", &parsed, &error) < 0) {
		rules_error_print(&error, "error", stderr);
		fail();
	}
	assert_int_equal(image_build(parsed, 7, NULL, &again, &error), 0);
	out = open_memstream(&text[1], &len[1]);
	rules_print(parsed, out);
	fclose(out);
	assert_string_equal(text[0], text[1]);
	check(image->bytes == again->bytes && !memcmp(image, again, image->bytes), "image of the printed text",
	      &(struct frame){ 0 });
	free(text[0]);
	free(text[1]);
	image_free(again);
	rules_free(parsed);
}

/* Rules that are said to match nothing had no packet. Returns how many there are. */
static unsigned check_lint(struct rules *rules, const uint32_t *all_hits)
{
	unsigned n = 0;

	assert_int_equal(rules_check(rules), 0);
	assert_int_equal(rules_lint(rules), 0);
	for (size_t i = 0; i < rules_warning_count(rules); i++) {
		const struct rules_error *warning = rules_warning(rules, i);

		if (strncmp(warning->message, "never ", 6))
			continue;
		n++;
		for (size_t j = 0; j < rules->n_rules; j++)
			if (rules->rules[j]->statement->line == warning->line)
				check(all_hits[j] == 0, warning->message, &(struct frame){ 0 });
	}
	return n;
}

/* As a document, and in again: the same text. */
static void check_json(const struct rules *rules)
{
	struct rules_error error;
	struct rules *again;
	char *json, *text[2];
	size_t len;
	FILE *out = open_memstream(&json, &len);

	assert_int_equal(rules_print_json(rules, out), 0);
	fclose(out);
	if (rules_parse(json, len, "document", &again, &error) < 0) {
		rules_error_print(&error, "error", stderr);
		fail();
	}
	for (int i = 0; i < 2; i++) {
		out = open_memstream(&text[i], &len);
		rules_print(i ? again : rules, out);
		fclose(out);
	}
	assert_string_equal(text[0], text[1]);
	free(text[0]);
	free(text[1]);
	free(json);
	rules_free(again);
}

static unsigned long env_number(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : otherwise;
}

static void test_model(void **state)
{
	unsigned long rounds = env_number("ROUNDS", SANITIZED ? 400 : 4000);
	unsigned long seed = env_number("SEED", (unsigned long)time(NULL)), pairs = 0, dead = 0;
	struct rules_error error;

	(void)state;
	random_state = seed * 0x9e3779b97f4a7c15u + 1;
	print_message("SEED=%lu\n", seed);
	for (unsigned long round = 0; round < rounds; round++) {
		struct rules *rules = random_rules();
		struct image *image;
		uint32_t hits[16] = { 0 };
		struct frame frame;

		current = rules;
		if (image_build(rules, 7, NULL, &image, &error) == 0) { /* else more steps than there are */
			assert_int_equal(image_check(image, image->bytes), 0);
			check_text(rules, image);
			check_json(rules);
			for (unsigned i = 0; i < PACKETS; i++, pairs++) {
				random_frame(&frame);
				check_frame(rules, image, &frame, hits);
			}
			image_free(image);
			dead += check_lint(rules, hits);
		}
		rules_free(rules);
	}
	print_message("%lu pairs of rule set and packet, %lu rules never match\n", pairs, dead);
	assert_true(pairs > rounds * PACKETS * 9 / 10);
}

/* A prefix that some packets have: as many lengths as there are, and so more groups than an image has room for. */
static void print_near(FILE *out, const char *direction, const struct pkt *pkt, const void *addr)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t bytes[16];
	unsigned len = pkt->family == FAMILY_IP4 ? below(33) : below(129);

	memcpy(bytes, addr, sizeof(bytes));
	for (unsigned bit = len; bit < 128; bit++)
		bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	inet_ntop(pkt->family == FAMILY_IP4 ? AF_INET : AF_INET6, bytes, text, sizeof(text));
	fprintf(out, " and %s net %s/%u", direction, text, len);
}

static void print_rule_near(FILE *out, const struct pkt *pkt)
{
	static const char *const actions[] = { "drop", "drop", "pass", "allow", "count", "divert" };
	unsigned lo = below(65536), hi = lo + below(1u << below(17));

	fprintf(out, "%s len <= 65535", actions[below(sizeof(actions) / sizeof(actions[0]))]);
	if (pkt->family && below(4))
		print_near(out, "src", pkt, pkt->src);
	if (pkt->family && below(4))
		print_near(out, "dst", pkt, pkt->dst);
	if (pkt->family && below(2))
		fprintf(out, " and proto %u", pkt->l4_proto);
	if (pkt->has_ports && below(2))
		fprintf(out, " and dst portrange %u-%u", below(2) ? pkt->dst_port : 0u,
			pkt->dst_port + below(65536u - pkt->dst_port));
	if (below(8) == 0)
		fprintf(out, " and src portrange %u-%u", lo, hi > 65535 ? 65535 : hi);
	if (below(16) == 0)
		fprintf(out, " and len > %u", below(200));
	fputc('\n', out);
}

/* Thousands of boxes of all shapes: groups rounded down, runs cut up by ports, shared slots, filters of four words. */
static void test_model_large(void **state)
{
	unsigned long rounds = env_number("ROUNDS_LARGE", SANITIZED ? 2 : 12);
	static uint32_t hits[RULES_LARGE];
	size_t groups_most = 0;

	(void)state;
	for (unsigned long round = 0; round < rounds; round++) {
		unsigned n = round % 3 == 0 ? RULES_LARGE : 40 + below(RULES_LARGE - 40);
		struct rules_error error;
		struct rules *rules;
		struct image *image;
		struct frame frame;
		char *text;
		size_t len;
		FILE *out = open_memstream(&text, &len);

		for (unsigned i = 0; i < n; i++) {
			random_frame(&frame);
			print_rule_near(out, &frame.pkt);
		}
		fclose(out);
		if (rules_parse(text, len, "large", &rules, &error) < 0) {
			rules_error_print(&error, "error", stderr);
			fail();
		}
		current = rules;
		assert_int_equal(image_build(rules, 7, NULL, &image, &error), 0);
		assert_int_equal(image_check(image, image->bytes), 0);
		check_text(rules, image);
		if (image->n_groups > groups_most)
			groups_most = image->n_groups;
		for (unsigned i = 0; i < 3000; i++) {
			random_frame(&frame);
			check_frame(rules, image, &frame, hits);
		}
		image_free(image);
		rules_free(rules);
		free(text);
	}
	print_message("up to %zu groups\n", groups_most);
	assert_true(groups_most > 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_model), cmocka_unit_test(test_model_large) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
