/* SPDX-License-Identifier: BSD-2-Clause */
#include "rules_random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pcap/pcap.h>

#define SETS 6

static uint64_t random_state;

static uint32_t random_u32(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16);
}

void random_start(uint64_t seed)
{
	random_state = seed * 0x9e3779b97f4a7c15u + 1;
}

uint32_t random_below(uint32_t n)
{
	return random_u32() % n;
}

/* Few bits of an address vary, so that random prefixes hold random addresses. */
static void random_addr(uint8_t family, uint8_t addr[16])
{
	memset(addr, 0, 16);
	addr[0] = random_below(2) ? 0x20 : 0x21;
	addr[3] = (uint8_t)(random_below(4) << 6);
	if (family == FAMILY_IP6) {
		addr[7] = (uint8_t)random_below(2);
		addr[8] = (uint8_t)(random_below(2) << 7);
		addr[15] = (uint8_t)random_below(2);
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

#define POOL(pool) ((pool)[random_below(COUNT(pool))])
#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

void random_frame(struct random_frame *ret_frame)
{
	static const uint8_t families[] = { 4, 4, 6, 6, 0 };
	struct model_frame *frame = &ret_frame->frame;
	struct pkt *pkt = &frame->pkt;

	memset(ret_frame, 0, sizeof(*ret_frame));
	frame->data = ret_frame->bytes;
	frame->len = sizeof(ret_frame->bytes);
	pkt->frame_len = POOL(len_pool) + (random_below(2) ? random_below(3) : 0);
	if (pkt->frame_len > 65535)
		pkt->frame_len = 65535;
	pkt->family = POOL(families);
	pkt->condition = random_below(4) ? 0 : (uint8_t)random_below(CONDITION_COUNT);
	frame->type = -1;
	ret_frame->bytes[5] = (uint8_t)random_below(2);
	ret_frame->bytes[11] = (uint8_t)random_below(2);
	pkt->n_vlans = (uint8_t)(random_below(2) ? 0 : random_below(3));
	for (unsigned i = 0; i < pkt->n_vlans; i++)
		pkt->vlan[i] = POOL(vlan_pool);
	pkt->eth_type = pkt->family == 4   ? ETH_TYPE_IP4
			: pkt->family == 6 ? ETH_TYPE_IP6
			: random_below(2)  ? ETH_TYPE_ARP
					   : 0x88cc;
	if (!pkt->family)
		return;
	random_addr(pkt->family, (uint8_t *)pkt->src);
	random_addr(pkt->family, (uint8_t *)pkt->dst);
	pkt->l4_proto = POOL(proto_pool);
	pkt->l3_off = 14;
	pkt->l3_end = 34 + random_below(30);
	pkt->ttl = POOL(ttl_pool);
	pkt->dscp = (uint8_t)random_below(64);
	pkt->options = (uint8_t)random_below(2);
	pkt->frag = FRAG_LATER | (random_below(2) ? FRAG_LAST : 0);
	if (random_below(8) == 0)
		return;
	pkt->frag = (random_below(4) ? FRAG_NONE : FRAG_FIRST) | (random_below(2) ? FRAG_DF : 0);
	if (pkt->l4_proto == PROTO_TCP || pkt->l4_proto == PROTO_UDP || pkt->l4_proto == PROTO_SCTP) {
		pkt->has_ports = 1;
		pkt->src_port = (uint16_t)(POOL(port_pool) + (random_below(4) ? 0 : 1));
		pkt->dst_port = (uint16_t)(POOL(port_pool) - (random_below(4) ? 0 : 1));
	}
	if (random_below(8) == 0)
		return; /* truncated behind the ports */
	pkt->has_l4 = pkt->has_ports || pkt->l4_proto == PROTO_ICMP || pkt->l4_proto == PROTO_ICMP6;
	if (pkt->has_l4)
		pkt->l4_word = pkt->l4_proto == PROTO_TCP ? POOL(word_pool) & 0xfff : POOL(word_pool);
	pkt->payload_off = 42;
	pkt->l3_end = (uint16_t)(42 + random_below(64));
	for (unsigned i = pkt->payload_off; i < sizeof(ret_frame->bytes); i++)
		ret_frame->bytes[i] = (uint8_t)random_below(4);
	if (pkt->l4_proto == PROTO_UDP && random_below(4)) {
		const char *text = POOL(name_pool);

		assert_int_equal(dns_name_from_text(text, strlen(text), frame->name, &frame->name_len), 0);
		frame->type = random_below(4) ? POOL(type_pool) : -1;
	}
}

/* ---- rule sets ---- */

static void random_prefix(struct prefix *prefix)
{
	prefix->family = random_below(2) ? 4 : 6;
	prefix->len = (uint8_t)(random_below(4) == 0 ? random_below(33) : prefix->family == 4 ? 32 : 128);
	random_addr(prefix->family, prefix->addr);
	for (unsigned bit = prefix->len; bit < 128; bit++)
		prefix->addr[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
}

static void random_range(struct range *range, const uint16_t *pool, uint32_t pool_size, uint32_t max)
{
	range->lo = pool[random_below(pool_size)];
	range->hi = range->lo + (random_below(3) ? 0 : random_below(1000));
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
	if (random_below(3))
		random_range(&ports, port_pool, COUNT(port_pool), 65535);
	tuple->port_lo = (uint16_t)ports.lo;
	tuple->port_hi = (uint16_t)ports.hi;
}

void random_value(struct rules *rules, enum list_kind kind, union value *value)
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
	uint32_t n = 1 + (random_below(3) ? 0 : random_below(4));

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
		set->typed = set->kind == LIST_NAMES || (set->kind != LIST_EMPTY && random_below(2));
		set->ttl_s = random_below(2) ? 0 : 1 + random_below(1000000);
		set->size = random_below(2) ? 0 : 1 + random_below(1000);
		for (uint32_t n = set->typed ? random_below(5) : set->kind == LIST_EMPTY ? 0 : 1 + random_below(4); n > 0; n--) {
			union value value;

			random_value(rules, set->kind, &value);
			assert_int_equal(set_add(set, &value, random_below(3) ? 0 : 1 + random_below(100000)), 0);
		}
		rules->sets[rules->n_sets++] = set;
		random_statement(rules, STATEMENT_SET)->set = set;
	}
}

/* Use a set instead of the list? */
static bool random_set_use(struct rules *rules, enum list_kind kind, struct list *list)
{
	const struct set *set = rules->sets[random_below(SETS)];

	if (random_below(2) || (set->kind != kind && set->kind != LIST_EMPTY))
		return false;
	*list = (struct list){ .set = set };
	return true;
}

static const struct protocol *random_protocol(const char *const *words, uint32_t n)
{
	const char *word = words[random_below(n)];

	return word ? protocol_find(word, strlen(word)) : NULL;
}

static void random_addr_test(struct rules *rules, struct test *test)
{
	static const char *const words[] = { NULL, NULL, NULL, "ip", "ip6", "tcp", "udp", "icmp", "icmp6", "gre" };

	test->direction = (enum direction)random_below(4);
	test->protocol = random_protocol(words, COUNT(words));
	if (random_set_use(rules, random_below(2) ? LIST_PREFIXES : LIST_TUPLES, &test->list))
		return;
	random_list(rules, LIST_PREFIXES, NULL, 0, 0, &test->list);
	for (size_t i = 0; i < test->list.n; i++)
		if (!test_uses(test, &test->list.values[i]))
			test->protocol = NULL; /* the parser refuses `ip host 2001:db8::1`; only a set may hold both families */
}

static void random_payload_test(struct test *test)
{
	test->payload_at = (uint16_t)random_below(random_below(4) ? 4 : 64);
	test->payload_len = (uint16_t)(1 + random_below(random_below(4) ? 2 : 16));
	for (unsigned i = 0; i < test->payload_len; i++) {
		test->payload_mask[i] = (uint8_t)(random_below(2) ? 0xff : random_below(4));
		test->payload_value[i] = (uint8_t)random_below(4) & test->payload_mask[i];
	}
}

/* One value that `give` makes, or several. */
static void random_values(struct rules *rules, struct test *test, void (*give)(const struct test *test, union value *value))
{
	test->list.n = 1 + (random_below(3) ? 0 : random_below(3));
	test->list.values = arena_alloc(&rules->arena, test->list.n * sizeof(*test->list.values));
	for (size_t i = 0; i < test->list.n; i++)
		give(test, &test->list.values[i]);
}

static void give_flags(const struct test *test, union value *value)
{
	(void)test;
	value->range.hi = 1 + random_below(random_below(2) ? 0xff : 0xfff);
	value->range.lo = POOL(word_pool) & value->range.hi;
}

static void give_icmp_type(const struct test *test, union value *value)
{
	uint32_t type = POOL(word_pool) >> 8, last = random_below(3) ? type : 255, code = random_below(4);

	(void)test;
	value->range = (struct range){ type << 8, last << 8 | 255 };
	if (type == last && random_below(2))
		value->range = (struct range){ type << 8 | code, type << 8 | (code + random_below(3)) };
}

static void give_code(const struct test *test, union value *value)
{
	(void)test;
	value->range = (struct range){ random_below(3), 3 + random_below(253) };
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
	value->mac.addr[5] = (uint8_t)random_below(2);
}

static void give_field(const struct test *test, union value *value)
{
	uint32_t max = test->kind == TEST_TTL ? 255 : 63;

	value->range.lo = random_below(3) ? random_below(max + 1) : 0;
	value->range.hi = random_below(3) ? value->range.lo : max;
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
	if (random_below(3) == 0) {
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
		test->protocol = random_below(2) ? protocol_find("icmp", 4) : protocol_find("icmp6", 5);
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
	struct test test = { .kind = (enum test_kind)random_below(TEST_KIND_COUNT) };

	switch (test.kind) {
	case TEST_PROTOCOL:
		test.protocol = random_protocol(words, COUNT(words));
		break;
	case TEST_ADDR:
		random_addr_test(rules, &test);
		break;
	case TEST_PORT:
		test.direction = (enum direction)random_below(4);
		test.protocol = random_protocol(port_words, COUNT(port_words));
		if (!random_set_use(rules, LIST_RANGES, &test.list))
			random_list(rules, LIST_RANGES, port_pool, COUNT(port_pool), 65535, &test.list);
		break;
	case TEST_PROTO:
		test.protocol = random_protocol(proto_words, COUNT(proto_words));
		random_list(rules, LIST_RANGES, wide_proto_pool, COUNT(wide_proto_pool), 3 + random_below(253), &test.list);
		break;
	case TEST_ETHER_PROTO:
		random_list(rules, LIST_RANGES, ether_pool, COUNT(ether_pool), 65535, &test.list);
		for (size_t i = 0; i < test.list.n; i++)
			test.list.values[i].range.hi = test.list.values[i].range.lo;
		break;
	case TEST_LEN:
		if (!random_set_use(rules, LIST_RANGES, &test.list))
			random_list(rules, LIST_RANGES, len_pool, COUNT(len_pool), 65535, &test.list);
		if (!test.list.set && random_below(4) == 0)
			test.list.values[0].range = (struct range){ random_below(2) ? 0 : POOL(len_pool), 65535 };
		break;
	case TEST_PAYLOAD:
		random_payload_test(&test);
		break;
	case TEST_ETHER_ADDR:
		test.direction = (enum direction)random_below(4);
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
	enum expr_kind kind = depth ? (enum expr_kind)random_below(4) : EXPR_TEST;
	struct expr *expr;
	uint32_t n;

	if (kind == EXPR_TEST)
		return random_test(rules);
	expr = expr_new(&rules->arena, kind, random_expr(rules, depth - 1));
	n = kind == EXPR_NOT ? 0 : 1 + random_below(3);
	while (n--)
		assert_int_equal(expr_add(&rules->arena, expr, random_expr(rules, depth - 1)), 0);
	return expr;
}

static void random_limit(struct rule *rule)
{
	rule->rate = (1 + random_below(100)) * (random_below(2) ? 1 : 1000000);
	rule->burst = random_below(2) ? 0 : 1 + random_below(100000);
	rule->unit = (enum limit_unit)random_below(2);
	rule->per = (enum limit_per)random_below(3);
	if (rule->per != LIMIT_PER_NONE) {
		rule->per_len4 = (uint8_t)random_below(33);
		rule->per_len6 = (uint8_t)random_below(129);
	}
}

static void random_divert(struct rules *rules, struct rule *rule)
{
	rule->queue = random_below(2) ? -1 : (int)random_below(100);
	rule->program = random_below(3) ? NULL : "udp";
	rule->overload = (enum overload_policy)random_below(OVERLOAD_POLICY_COUNT);
	if (rule->overload == OVERLOAD_SAMPLE)
		rule->overload_n = 1 + random_below(100);
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
	rule->match = random_expr(rules, random_below(4));
	number_vlans(rule->match, &vlans);
	rule->name = random_below(4) ? NULL : "and";
	rule->ttl_s = random_below(4) ? 0 : 1 + random_below(1000000);
	rule->log = random_below(4) == 0;
	rule->queue = -1;
	if (rule->action == ACTION_DIVERT)
		random_divert(rules, rule);
	if (rule->action == ACTION_LIMIT)
		random_limit(rule);
	if (rule->action == ACTION_SAMPLE)
		rule->sample_n = 1 + random_below(1000);
	rules->rules = arena_grow(&rules->arena, rules->rules, rules->n_rules, sizeof(*rules->rules));
	rules->rules[rules->n_rules++] = rule;
}

struct rules *random_rules(void)
{
	struct rules *rules = calloc(1, sizeof(*rules));
	uint32_t n = 1 + random_below(RANDOM_RULES_MAX);

	rules->source.file = rules->source.text = "";
	random_sets(rules);
	while (n--)
		random_rule(rules);
	for (unsigned condition = 1; condition < CONDITION_COUNT; condition++) {
		if (random_below(3))
			continue;
		rules->policy[condition] = random_below(2) ? ACTION_PASS : ACTION_DROP;
		random_statement(rules, STATEMENT_ON)->condition = (enum pkt_condition)condition;
		rules->statements[rules->n_statements - 1]->action = rules->policy[condition];
	}
	rules->default_action = random_below(2) ? ACTION_PASS : ACTION_DROP;
	random_statement(rules, STATEMENT_DEFAULT)->action = rules->default_action;
	return rules;
}
