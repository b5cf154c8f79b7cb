/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random rule sets against random packets: the image answers as the statements say, statement by statement, in the plainest way
 * they can be read. And the rule set's text loads to the identical image.
 *
 * While packets are asked, named sets change under the image, and the model's with them.
 *
 * SEED=N repeats a run; ROUNDS=N makes it longer.
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

#include "classify/match_offline.h"
#include "classify/set_field.h"
#include "control/offline.h"
#include "rules_random.h"
#include "sets/store.h"

#define PACKETS 1500	 /* each rule set meets */
#define RULES_LARGE 3000 /* of the large sets */

#ifndef __has_feature /* gcc */
#define __has_feature(x) 0
#endif
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED 1
#else
#define SANITIZED __has_feature(address_sanitizer)
#endif

struct match_env {
	const struct classifier *classifier;
	const struct model_frame *frame;
	int tier; /* 0: one that answers everything, TIER_XDP or TIER_USER */
	uint32_t *hits;
};

static __always_inline int match_load(const struct match_env *env, __u32 off, void *to, __u32 len)
{
	memcpy(to, env->frame->data + off, len);
	return 0;
}

static __always_inline void match_hit(const struct match_env *env, __u32 counter, __u32 bytes)
{
	(void)bytes;
	env->hits[counter]++;
}

static __always_inline int match_set(const struct match_env *env, const struct image_step *step, const struct pkt *pkt)
{
	return set_has_field(env->classifier->block, step, pkt);
}

static __always_inline enum deep_answer match_deep(const struct match_env *env, const struct image *image,
						   const struct image_step *step, const struct pkt *pkt)
{
	const struct model_frame *frame = env->frame;
	const uint8_t *name = IMAGE_AT(image, image->names + step->offset, uint8_t);

	if (env->tier == TIER_XDP)
		return DEEP_ASK_USER_TIER;
	if (step->kind == STEP_BPF)
		return bpf_filter((const struct bpf_insn *)lookup_insn_at(image, step->offset), frame->data, pkt->frame_len,
				  frame->len) != 0;
	assert_int_equal(pkt->l4_proto, PROTO_UDP);
	if (step->kind == STEP_DNS_VALID)
		return frame->type >= 0;
	if (step->kind == STEP_DNS_TYPE)
		return frame->type >= (int)step->lo && frame->type <= (int)step->hi;
	if (step->kind == STEP_DNS_TYPE_SET)
		return frame->type >= 0 && set_has_number(env->classifier->block, step->lo, (uint32_t)frame->type);
	if (!frame->name_len)
		return DEEP_NO;
	if (step->kind == STEP_DNS_NAME_SET || step->kind == STEP_DNS_UNDER_SET) {
		const struct names *names = set_store_names(env->classifier->store, step->lo);

		if (!names) /* of an empty set of no kind */
			return DEEP_NO;
		return step->kind == STEP_DNS_UNDER_SET ? names_under(names, frame->name, frame->name_len)
							: names_has(names, frame->name, frame->name_len);
	}
	if (step->kind == STEP_DNS_NAME)
		return frame->name_len == step->len && !memcmp(frame->name, name, step->len);
	return dns_name_under(frame->name, frame->name_len, name, step->len);
}

static const struct rules *current; /* printed when a comparison fails */

static void check(bool good, const char *what, const struct model_frame *frame)
{
	if (good)
		return;
	print_error("%s differs; family %u proto %u ports %u: %u > %u len %u; the rules:\n", what, frame->pkt.family,
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
static void run_tiers(const struct classifier *classifier, const struct model_frame *frame, struct match *ret, uint32_t *hits)
{
	struct match_env env = { .classifier = classifier, .frame = frame, .tier = TIER_XDP, .hits = hits };

	match_run(&env, classifier->image, &frame->pkt, 1, ret);
	if (!ret->ask_user)
		return;
	env.tier = TIER_USER;
	match_run(&env, classifier->image, &frame->pkt, 0, ret);
}

static void check_frame(const struct rules *rules, const struct classifier *classifier, const struct model_frame *frame,
			uint32_t *all_hits)
{
	const struct image *image = classifier->image;
	struct match want, got;
	static uint32_t want_hits[RULES_LARGE], hits[RULES_LARGE], tier_hits[RULES_LARGE];
	struct match_env env = { .classifier = classifier, .frame = frame, .hits = hits };

	memset(want_hits, 0, sizeof(want_hits));
	memset(hits, 0, sizeof(hits));
	memset(tier_hits, 0, sizeof(tier_hits));
	model_run(rules, frame, &want, want_hits);
	for (size_t i = 0; i < rules->n_rules; i++)
		all_hits[i] += want_hits[i];
	match_run(&env, image, &frame->pkt, 1, &got);
	check(match_equal(&want, &got), "match_run()", frame);
	check(!memcmp(want_hits, hits, sizeof(hits)), "hits", frame);
	run_tiers(classifier, frame, &got, tier_hits);
	check(match_equal(&want, &got), "XDP tier, then user tier", frame);
	check(!memcmp(want_hits, tier_hits, sizeof(hits)), "hits of both tiers", frame);
	if (want.diverted && rules->rules[want.divert_rule]->overload == OVERLOAD_ALLOW)
		check(match_overload_listed(&env, image, lookup_rule_at(image, want.divert_rule), &frame->pkt) ==
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
	assert_int_equal(image_build(parsed, 1, NULL, &again, &error), 0);
	out = open_memstream(&text[1], &len[1]);
	rules_print(parsed, out);
	fclose(out);
	assert_string_equal(text[0], text[1]);
	check(image->bytes == again->bytes && !memcmp(image, again, image->bytes), "image of the printed text",
	      &(struct model_frame){ 0 });
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
				check(all_hits[j] == 0, warning->message, &(struct model_frame){ 0 });
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

/* As a hash of what the value says, so that equal values go together. */
static bool is_odd(enum list_kind kind, const union value *value)
{
	const uint8_t *bytes = kind == LIST_NAMES ? value->name.bytes : (const uint8_t *)value;
	size_t n = kind == LIST_NAMES ? value->name.len : sizeof(*value);
	unsigned sum = 0;

	for (size_t i = 0; i < n; i++)
		sum = sum * 31 + bytes[i];
	return (sum >> 4 ^ sum) & 1;
}

/* Half of a set's values go, others come, while the image stays; the model's rules change alike. */
static void change_set(struct rules *rules, struct offline *offline, struct set *set)
{
	const struct stored_set *stored = set_store_at(offline->store, set->index);
	struct set gone = { .kind = stored->kind }, come = gone, rest = gone;
	size_t n;

	for (size_t i = 0; i < set->n; i++) {
		union value value = list_value(&(struct list){ .set = set }, i);

		assert_int_equal(set_add(is_odd(set->kind, &value) ? &gone : &rest, &value, 0), 0);
	}
	for (uint32_t i = random_below(3); i > 0; i--) {
		union value value;

		random_value(rules, stored->kind, &value);
		assert_int_equal(set_add(&come, &value, 0), 0);
		assert_int_equal(set_add(&rest, &value, 0), 0);
	}
	if (random_below(4)) {
		assert_int_equal(set_store_change(offline->store, stored, SET_CHANGE_DEL, &gone, 0, 0, &n), 0);
		assert_int_equal(set_store_change(offline->store, stored, SET_CHANGE_ADD, &come, 0, 0, &n), 0);
	} else {
		assert_int_equal(set_store_change(offline->store, stored, SET_CHANGE_REPLACE, &rest, 0, 0, &n), 0);
	}
	free(gone.items);
	free(come.items);
	free(set->items);
	set->items = rest.items;
	set->n = rest.n;
	set->room = rest.room;
	free(set->ttls_s);
	set->ttls_s = NULL;
}

static void change_sets(struct rules *rules, struct offline *offline)
{
	for (size_t i = 0; i < rules->n_sets; i++)
		if (rules->sets[i]->kind != LIST_EMPTY)
			change_set(rules, offline, rules->sets[i]);
	assert_int_equal(offline_settle(offline), 0);
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
	random_start(seed);
	print_message("SEED=%lu\n", seed);
	for (unsigned long round = 0; round < rounds; round++) {
		struct rules *rules = random_rules();
		struct offline offline;
		uint32_t hits[RANDOM_RULES_MAX] = { 0 };
		struct random_frame frame;

		current = rules;
		if (offline_open(rules, &offline, &error) == 0) { /* else more steps than there are */
			assert_int_equal(image_check(offline.image, offline.image->bytes), 0);
			check_text(rules, offline.image);
			check_json(rules);
			for (unsigned i = 0; i < PACKETS; i++, pairs++) {
				if (i % (PACKETS / 3) == PACKETS / 3 - 1)
					change_sets(rules, &offline);
				random_frame(&frame);
				check_frame(rules, &offline.classifier, &frame.frame, hits);
			}
			offline_close(&offline);
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
	unsigned len = pkt->family == FAMILY_IP4 ? random_below(33) : random_below(129);

	memcpy(bytes, addr, sizeof(bytes));
	for (unsigned bit = len; bit < 128; bit++)
		bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	inet_ntop(pkt->family == FAMILY_IP4 ? AF_INET : AF_INET6, bytes, text, sizeof(text));
	fprintf(out, " and %s net %s/%u", direction, text, len);
}

static void print_rule_near(FILE *out, const struct pkt *pkt)
{
	static const char *const actions[] = { "drop", "drop", "pass", "allow", "count", "divert" };
	unsigned lo = random_below(65536), hi = lo + random_below(1u << random_below(17));

	fprintf(out, "%s len <= 65535", actions[random_below(sizeof(actions) / sizeof(actions[0]))]);
	if (pkt->family && random_below(4))
		print_near(out, "src", pkt, pkt->src);
	if (pkt->family && random_below(4))
		print_near(out, "dst", pkt, pkt->dst);
	if (pkt->family && random_below(2))
		fprintf(out, " and proto %u", pkt->l4_proto);
	if (pkt->has_ports && random_below(2))
		fprintf(out, " and dst portrange %u-%u", random_below(2) ? pkt->dst_port : 0u,
			pkt->dst_port + random_below(65536u - pkt->dst_port));
	if (random_below(8) == 0)
		fprintf(out, " and src portrange %u-%u", lo, hi > 65535 ? 65535 : hi);
	if (random_below(16) == 0)
		fprintf(out, " and len > %u", random_below(200));
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
		unsigned n = round % 3 == 0 ? RULES_LARGE : 40 + random_below(RULES_LARGE - 40);
		struct rules_error error;
		struct rules *rules;
		struct offline offline;
		struct random_frame frame;
		char *text;
		size_t len;
		FILE *out = open_memstream(&text, &len);

		for (unsigned i = 0; i < n; i++) {
			random_frame(&frame);
			print_rule_near(out, &frame.frame.pkt);
		}
		fclose(out);
		if (rules_parse(text, len, "large", &rules, &error) < 0) {
			rules_error_print(&error, "error", stderr);
			fail();
		}
		current = rules;
		assert_int_equal(offline_open(rules, &offline, &error), 0);
		assert_int_equal(image_check(offline.image, offline.image->bytes), 0);
		check_text(rules, offline.image);
		if (offline.image->n_groups > groups_most)
			groups_most = offline.image->n_groups;
		for (unsigned i = 0; i < 3000; i++) {
			random_frame(&frame);
			check_frame(rules, &offline.classifier, &frame.frame, hits);
		}
		offline_close(&offline);
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
