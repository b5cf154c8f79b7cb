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
	uint8_t payload[64];
	uint8_t name[DNS_NAME_MAX + 1]; /* question name, or name_len 0 */
	size_t name_len;
};

struct match_env {
	const struct frame *frame;
	int tier; /* 0: one that answers everything, TIER_XDP or TIER_USER */
	uint32_t *hits;
};

static __always_inline int match_load(const struct match_env *env, __u32 off, void *to, __u32 len)
{
	memcpy(to, &env->frame->payload[off - env->frame->pkt.payload_off], len);
	return 0;
}

static __always_inline void match_hit(const struct match_env *env, __u32 counter, __u32 bytes)
{
	(void)bytes;
	env->hits[counter]++;
}

static __always_inline enum deep_answer match_deep(const struct match_env *env, const struct image *image,
						   const struct image_step *step, const struct pkt *pkt)
{
	const struct frame *frame = env->frame;
	const uint8_t *name = IMAGE_AT(image, image->names + step->offset, uint8_t);

	assert_int_equal(pkt->l4_proto, PROTO_UDP);
	if (env->tier == TIER_XDP)
		return DEEP_ASK_USER_TIER;
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
	pkt->eth_type = pkt->family == 4 ? ETH_TYPE_IP4 : pkt->family == 6 ? ETH_TYPE_IP6 : below(2) ? ETH_TYPE_ARP : 0x88cc;
	if (!pkt->family)
		return;
	random_addr(pkt->family, (uint8_t *)pkt->src);
	random_addr(pkt->family, (uint8_t *)pkt->dst);
	pkt->l4_proto = POOL(proto_pool);
	if (below(8) == 0)
		return; /* a later fragment */
	if (pkt->l4_proto == PROTO_TCP || pkt->l4_proto == PROTO_UDP || pkt->l4_proto == PROTO_SCTP) {
		pkt->has_ports = 1;
		pkt->src_port = (uint16_t)(POOL(port_pool) + (below(4) ? 0 : 1));
		pkt->dst_port = (uint16_t)(POOL(port_pool) - (below(4) ? 0 : 1));
	}
	if (below(8) == 0)
		return; /* truncated behind the ports */
	pkt->payload_off = 42;
	pkt->l3_end = (uint16_t)(42 + below(64));
	for (unsigned i = 0; i < sizeof(frame->payload); i++)
		frame->payload[i] = (uint8_t)below(4);
	if (pkt->l4_proto == PROTO_UDP && below(4)) {
		const char *text = POOL(name_pool);

		assert_int_equal(dns_name_from_text(text, strlen(text), frame->name, &frame->name_len), 0);
	}
}

/* ---- random rule sets ---- */

static void random_list(struct rules *rules, enum list_kind kind, const uint16_t *pool, uint32_t pool_size, uint32_t max,
			struct list *list)
{
	uint32_t n = 1 + (below(3) ? 0 : below(4));

	list->values = arena_alloc(&rules->arena, n * sizeof(*list->values));
	for (list->n = 0; list->n < n; list->n++) {
		union value *value = &list->values[list->n];

		if (kind == LIST_PREFIXES) {
			struct prefix *prefix = &value->prefix;

			prefix->family = below(2) ? 4 : 6;
			prefix->len = (uint8_t)(below(4) == 0 ? below(33) : prefix->family == 4 ? 32 : 128);
			random_addr(prefix->family, prefix->addr);
			for (unsigned bit = prefix->len; bit < 128; bit++)
				prefix->addr[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
		} else {
			value->range.lo = pool[below(pool_size)];
			value->range.hi = value->range.lo + (below(3) ? 0 : below(1000));
			if (value->range.hi > max)
				value->range.hi = max;
			if (value->range.lo > value->range.hi)
				value->range.lo = value->range.hi;
		}
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
	for (rules->n_sets = 0; rules->n_sets < SETS; rules->n_sets++) {
		struct set *set = arena_alloc(&rules->arena, sizeof(*set));
		char name[] = { 's', (char)('0' + rules->n_sets), '\0' };

		set->name = arena_copy(&rules->arena, name, 2);
		set->kind = rules->n_sets == 0 ? LIST_EMPTY : rules->n_sets % 2 ? LIST_PREFIXES : LIST_RANGES;
		if (set->kind != LIST_EMPTY)
			random_list(rules, set->kind, port_pool, COUNT(port_pool), 65535, &set->list);
		rules->sets[rules->n_sets] = set;
		random_statement(rules, STATEMENT_SET)->set = set;
	}
}

/* Use a set instead of the list? */
static bool random_set_use(struct rules *rules, enum list_kind kind, struct list *list)
{
	const struct set *set = rules->sets[below(SETS)];

	if (below(2) || (set->kind != kind && set->kind != LIST_EMPTY))
		return false;
	*list = set->list;
	list->set = set;
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
	if (random_set_use(rules, LIST_PREFIXES, &test->list))
		return;
	random_list(rules, LIST_PREFIXES, NULL, 0, 0, &test->list);
	for (size_t i = 0; i < test->list.n; i++)
		if (!test_uses(test, &test->list.values[i]))
			test->protocol = NULL; /* the parser refuses `ip host 2001:db8::1`; only a set may hold both families */
}

static void random_name_list(struct rules *rules, struct list *list)
{
	list->n = 1 + below(2);
	list->values = arena_alloc(&rules->arena, list->n * sizeof(*list->values));
	for (size_t i = 0; i < list->n; i++) {
		uint8_t name[DNS_NAME_MAX + 1];
		const char *text = POOL(name_pool);
		size_t len;

		assert_int_equal(dns_name_from_text(text, strlen(text), name, &len), 0);
		list->values[i].name.bytes = (const uint8_t *)arena_copy(&rules->arena, (const char *)name, len);
		list->values[i].name.len = (uint8_t)len;
	}
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

static struct expr *random_test(struct rules *rules)
{
	static const char *const port_words[] = { NULL, NULL, "tcp", "udp", "sctp", "ip", "ip6" };
	static const char *const proto_words[] = { NULL, "ip", "ip6" };
	static const char *const words[] = { "ip", "ip6", "arp", "tcp", "udp", "sctp", "icmp", "icmp6", "gre" };
	static const uint16_t ether_pool[] = { ETH_TYPE_IP4, ETH_TYPE_IP6, ETH_TYPE_ARP, 0x88cc };
	static const uint16_t wide_proto_pool[] = { 0, 1, 6, 17, 47, 58, 132, 253 };
	struct test test = { .kind = (enum test_kind)below(TEST_DNS_UNDER + 1) };

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
	default:
		random_name_list(rules, &test.list);
	}
	return expr_new_test(&rules->arena, &test);
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

static void random_rule(struct rules *rules)
{
	static const enum rule_action actions[] = { ACTION_COUNT, ACTION_DIVERT, ACTION_DIVERT,
						    ACTION_ALLOW, ACTION_DROP,	 ACTION_PASS };
	struct statement *statement = random_statement(rules, STATEMENT_RULE);
	struct rule *rule = arena_alloc(&rules->arena, sizeof(*rule));

	statement->rule = rule;
	rule->statement = statement;
	rule->action = POOL(actions);
	rule->match = random_expr(rules, below(4));
	rule->name = below(4) ? NULL : "and";
	if (rule->action == ACTION_DIVERT)
		rule->overload = (enum overload_policy)below(OVERLOAD_POLICY_COUNT);
	if (rule->overload == OVERLOAD_SAMPLE)
		rule->overload_n = 1 + below(100);
	if (rule->overload == OVERLOAD_ALLOW && !random_set_use(rules, LIST_PREFIXES, &rule->overload_list))
		random_list(rules, LIST_PREFIXES, NULL, 0, 0, &rule->overload_list);
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

static bool model_side(const struct test *test, const struct pkt *pkt, bool src)
{
	for (size_t i = 0; i < test->list.n; i++) {
		const union value *value = &test->list.values[i];

		if (test->kind == TEST_ADDR ? model_addr(&value->prefix, pkt, src ? pkt->src : pkt->dst)
					    : pkt->has_ports && model_in(&value->range, src ? pkt->src_port : pkt->dst_port))
			return true;
	}
	return false;
}

static bool model_directions(const struct test *test, const struct pkt *pkt)
{
	bool src = model_side(test, pkt, true), dst = model_side(test, pkt, false);

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
	for (size_t i = 0; i < test->list.n; i++)
		if (model_in(&test->list.values[i].range, number))
			return true;
	return false;
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

static bool model_names(const struct test *test, const struct frame *frame, bool diverted)
{
	for (size_t i = 0; i < test->list.n && diverted && frame->name_len; i++)
		if (model_name(frame, &test->list.values[i].name, test->kind == TEST_DNS_UNDER))
			return true;
	return false;
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
		return model_directions(test, pkt);
	case TEST_PROTO:
		return pkt->family && model_numbers(test, pkt->l4_proto);
	case TEST_ETHER_PROTO:
		return model_numbers(test, pkt->eth_type);
	case TEST_LEN:
		return model_numbers(test, pkt->frame_len);
	case TEST_PAYLOAD:
		return model_payload(test, frame);
	default:
		return model_names(test, frame, diverted);
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
		} else if (rule->action != ACTION_COUNT) {
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
	for (size_t i = 0; i < rule->overload_list.n; i++)
		if (model_addr(&rule->overload_list.values[i].prefix, pkt, pkt->src))
			return true;
	return false;
}

static void check_frame(const struct rules *rules, const struct image *image, const struct frame *frame)
{
	struct match want, got;
	static uint32_t want_hits[RULES_LARGE], hits[RULES_LARGE], tier_hits[RULES_LARGE];
	struct match_env env = { .frame = frame, .hits = hits };

	memset(want_hits, 0, sizeof(want_hits));
	memset(hits, 0, sizeof(hits));
	memset(tier_hits, 0, sizeof(tier_hits));
	model_run(rules, frame, &want, want_hits);
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

static unsigned long env_number(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : otherwise;
}

static void test_model(void **state)
{
	unsigned long rounds = env_number("ROUNDS", SANITIZED ? 400 : 4000);
	unsigned long seed = env_number("SEED", (unsigned long)time(NULL)), pairs = 0;
	struct rules_error error;

	(void)state;
	random_state = seed * 0x9e3779b97f4a7c15u + 1;
	print_message("SEED=%lu\n", seed);
	for (unsigned long round = 0; round < rounds; round++) {
		struct rules *rules = random_rules();
		struct image *image;
		struct frame frame;

		current = rules;
		if (image_build(rules, 7, NULL, &image, &error) == 0) { /* else more steps than there are */
			assert_int_equal(image_check(image, image->bytes), 0);
			check_text(rules, image);
			for (unsigned i = 0; i < PACKETS; i++, pairs++) {
				random_frame(&frame);
				check_frame(rules, image, &frame);
			}
			image_free(image);
		}
		rules_free(rules);
	}
	print_message("%lu pairs of rule set and packet\n", pairs);
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
			check_frame(rules, image, &frame);
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
