/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Batches of packets: keys_find() and batch_run() say of each packet what match_run() says, and count the same rules. Each batch is
 * asked twice: what the first time was searched for is remembered the second time.
 *
 * Deep questions and rates are answered here by a hash of question and packet: what they are about is other tests' business.
 *
 * SEED=N repeats a run; ROUNDS=N makes it longer.
 */
#include <setjmp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "classify/batch.h"
#include "classify/set_field.h"
#include "control/offline.h"
#include "rules_random.h"

#define RULES_MOST IMAGE_RULES_MAX
#define POOL_SIZE 64u /* addresses of a family that packets have, but for some of their last bits */

struct match_env {
	const struct set_block *block;
	const struct random_frame *frame;
	uint32_t *hits;
};

/* One packet in four, always the same ones. */
static bool answer(const struct match_env *env, const void *question, size_t size)
{
	const uint8_t *bytes = question;
	uint32_t sum = env->frame->frame.pkt.frame_len;

	for (size_t i = 0; i < size; i++)
		sum = (sum ^ bytes[i]) * 16777619u;
	return (sum >> 16 & 3) == 0;
}

static __always_inline int match_load(const struct match_env *env, __u32 off, void *to, __u32 len)
{
	if (off + len > sizeof(env->frame->bytes))
		return -1;
	memcpy(to, env->frame->bytes + off, len);
	return 0;
}

static __always_inline void match_hit(const struct match_env *env, __u32 counter, __u32 bytes)
{
	env->hits[counter] += 1 + (bytes << 8);
}

static __always_inline void match_sample(const struct match_env *env, const struct image_rule *rule, __u32 index,
					 const struct pkt *pkt)
{
	(void)env, (void)rule, (void)index, (void)pkt; /* counted, and nobody watches */
}

static __always_inline int match_limit(const struct match_env *env, const struct image_rule *rule, const struct lookup_key *key,
				       __u32 bytes)
{
	(void)bytes;
	assert_true(key->family < 3);
	return answer(env, rule, sizeof(*rule));
}

static __always_inline int match_set(const struct match_env *env, const struct image_step *step, const struct pkt *pkt)
{
	return env->block && set_has_field(env->block, step, pkt);
}

static __always_inline enum deep_answer match_deep(const struct match_env *env, const struct image *image,
						   const struct image_step *step, const struct pkt *pkt)
{
	(void)image, (void)pkt;
	return answer(env, step, sizeof(*step)) ? DEEP_YES : DEEP_NO;
}

/* So many allocations of ours succeed, then one fails; negative: none does. The linker puts these in front (meson.build). */
static int allocations_left = -1;

static bool allocation_fails(void)
{
	return allocations_left >= 0 && allocations_left-- == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size)
{
	return allocation_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return allocation_fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return allocation_fails() ? NULL : __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return allocation_fails() ? NULL : __real_aligned_alloc(alignment, size);
}

/* What the rule sets of a run have made the classifier do. */
static struct seen {
	size_t bytes_most;
	unsigned long by_ports, by_rows, long_chains, ends, too_big, packets;
} seen;

static const struct rules *current; /* printed when a comparison fails, unless there are many */

static void check(bool good, const char *what, const struct random_frame *frame)
{
	const struct pkt *pkt = &frame->frame.pkt;

	if (good)
		return;
	print_error("%s differs; family %u proto %u ports %u: %u > %u len %u\n", what, pkt->family, pkt->l4_proto, pkt->has_ports,
		    pkt->src_port, pkt->dst_port, pkt->frame_len);
	if (current && current->n_rules < 100)
		rules_print(current, stderr);
	fail();
}

static bool match_equal(const struct match *a, const struct match *b)
{
	return a->action == b->action && a->diverted == b->diverted && a->ask_user == b->ask_user && a->rule == b->rule &&
	       a->condition == b->condition && (!a->diverted || a->divert_rule == b->divert_rule);
}

static void find(const struct keys *keys, const struct random_frame *frames, size_t n, uint64_t *ret_found)
{
	struct pkt *pkts = malloc(n * sizeof(*pkts)); /* so that a sanitizer sees what is read behind them */

	for (size_t i = 0; i < n; i++)
		pkts[i] = frames[i].frame.pkt;
	keys_find(keys, pkts, n, ret_found);
	free(pkts);
}

static void note(const struct keys *keys, uint64_t key)
{
	const struct known *known = keys_known(keys, key);

	seen.packets++;
	seen.ends += known->end != 0;
	seen.long_chains += known->rows[KEYS_ROWS - 1] && known->rows[KEYS_ROWS - 1] - 1 < keys->image->n_rows;
}

static void check_batch(struct keys *keys, const struct classifier *classifier, const struct random_frame *frames, size_t n,
			int counting)
{
	static uint32_t want_hits[RULES_MOST + 1], hits[RULES_MOST + 1];
	size_t bytes = (classifier->image->n_rules + 1) * sizeof(*hits);
	uint64_t found[KEYS_BATCH];

	find(keys, frames, n, found);
	for (size_t i = 0; i < n; i++) {
		struct match_env env = { .block = classifier->block, .frame = &frames[i], .hits = want_hits };
		struct match want, got;

		match_run(&env, classifier->image, &frames[i].frame.pkt, counting, &want);
		env.hits = hits;
		batch_run(&env, keys, &frames[i].frame.pkt, found[i], counting, &got);
		check(match_equal(&want, &got), "the match", &frames[i]);
		if (bytes < 4096 || i + 1 == n)
			check(!memcmp(want_hits, hits, bytes), "a rule's hits", &frames[i]);
		note(keys, found[i]);
	}
	memset(want_hits, 0, bytes);
	memset(hits, 0, bytes);
}

/* Some rules that have a ttl come to their end while packets come. */
static void expire_some(struct image *image)
{
	struct image_rule *rules = (struct image_rule *)((char *)image + image->rules);

	for (uint32_t i = 0; i < image->n_rules; i++)
		if (rules[i].expires && random_below(4) == 0)
			rules[i].expired = 1;
}

static bool groups_know_ports(const struct image *image)
{
	for (uint32_t i = 0; i < image->n_groups; i++)
		if (lookup_group(image, i)->ports_mask)
			return true;
	return false;
}

static void check_rules(const struct rules *rules, void (*make)(struct random_frame *frame), unsigned batches)
{
	static struct random_frame frames[KEYS_BATCH];
	struct rules_error error;
	struct offline offline;
	struct keys *keys = NULL;
	int r = offline_open(rules, &offline, &error);

	current = rules;
	if (r) /* more steps than there are */
		return;
	r = keys_new(offline.image, &keys);
	assert_true(r == 0 || r == -E2BIG);
	seen.too_big += r == -E2BIG;
	if (r == 0) {
		assert_true(keys_bytes(keys) > offline.image->n_rows * sizeof(struct image_row));
		if (keys_bytes(keys) > seen.bytes_most)
			seen.bytes_most = keys_bytes(keys);
		/* Slower, but right for any rules whose tables do without ports; long chains of rows come from that. */
		if (keys->by_ports && !groups_know_ports(offline.image) && random_below(3) == 0)
			keys->by_ports = false;
		seen.by_ports += keys->by_ports;
		seen.by_rows += !keys->by_ports;
		if (random_below(4) == 0)
			keys->lines_shift = 62; /* four lines: what is known is soon forgotten */
	}
	for (unsigned i = 0; i < batches && r == 0; i++) {
		size_t n = random_below(2) ? KEYS_BATCH : 1 + random_below(KEYS_BATCH);

		for (size_t at = 0; at < n; at++)
			make(&frames[at]);
		for (int again = 0; again < 2; again++)
			check_batch(keys, &offline.classifier, frames, n, (int)(i & 1));
		if (i == batches / 2)
			expire_some(offline.image);
	}
	keys_free(keys);
	offline_close(&offline);
}

static void test_random_rules(void **state)
{
	const char *text = getenv("ROUNDS");
	unsigned long rounds = text ? strtoul(text, NULL, 0) : 700;

	(void)state;
	for (unsigned long round = 0; round < rounds; round++) {
		struct rules *rules = random_rules();

		check_rules(rules, random_frame, 12);
		rules_free(rules);
	}
}

static struct pool {
	uint8_t addr[POOL_SIZE][16];
} pools[2];

static bool pool_is_ip4_only, pool_is_ip6_only;

static void pools_fill(void)
{
	for (unsigned six = 0; six < 2; six++)
		for (unsigned i = 0; i < POOL_SIZE; i++) {
			unsigned kept = i ? random_below(six ? 129 : 33) : 0;

			for (unsigned byte = 0; byte < 16; byte++)
				pools[six].addr[i][byte] = (uint8_t)random_below(256);
			/* The first bits of an earlier one. */
			for (unsigned bit = 0; bit < kept; bit++) {
				uint8_t mask = (uint8_t)(0x80 >> bit % 8), *at = &pools[six].addr[i][bit / 8];

				*at = (uint8_t)((*at & ~mask) | (pools[six].addr[random_below(i)][bit / 8] & mask));
			}
			if (!six)
				memset(pools[six].addr[i] + 4, 0, 12);
		}
}

/* An address of the pool; half of them with other bits from some point on. */
static void pool_take(bool six, void *ret_addr)
{
	unsigned bits = six ? 128 : 32, from = random_below(2) ? random_below(bits) : bits;
	uint8_t *addr = ret_addr;

	memcpy(addr, pools[six].addr[random_below(POOL_SIZE)], 16);
	for (unsigned bit = from; bit < bits; bit++)
		if (random_below(2))
			addr[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
}

static void pool_frame(struct random_frame *frame)
{
	struct pkt *pkt = &frame->frame.pkt;

	do
		random_frame(frame);
	while ((pool_is_ip4_only && pkt->family != FAMILY_IP4) || (pool_is_ip6_only && pkt->family != FAMILY_IP6));
	if (!pkt->family)
		return;
	pool_take(pkt->family == FAMILY_IP6, pkt->src);
	pool_take(pkt->family == FAMILY_IP6, pkt->dst);
	if (pkt->has_ports && random_below(2)) {
		pkt->src_port = (uint16_t)random_below(65536);
		pkt->dst_port = (uint16_t)random_below(65536);
	}
}

static void print_prefix(FILE *out, bool six, const uint8_t *addr, unsigned len)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t bytes[16];

	memcpy(bytes, addr, sizeof(bytes));
	for (unsigned bit = len; bit < 128; bit++)
		bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	fprintf(out, "%s/%u", inet_ntop(six ? AF_INET6 : AF_INET, bytes, text, sizeof(text)), len);
}

static void print_ports(FILE *out, const char *side)
{
	unsigned lo = random_below(65536), hi = lo + random_below(1u << random_below(17));

	fprintf(out, " and %s portrange %u-%u", side, lo, hi > 65535 ? 65535 : hi);
}

/* What rules of a set are like: one in so many, 0: none. */
struct shape {
	const char *name;
	unsigned rules;
	unsigned src, dst, ports, any_family, deep; /* one in ...; 0: never */
	bool hosts;				    /* whole addresses only */
};

static bool one_in(unsigned n)
{
	return n && random_below(n) == 0;
}

static void print_side(FILE *out, const char *side, bool six, bool host)
{
	uint8_t addr[16];

	pool_take(six, addr);
	fprintf(out, " and %s net ", side);
	print_prefix(out, six, addr, host ? (six ? 128 : 32) : random_below(six ? 129 : 33));
}

static void print_rule(FILE *out, const struct shape *shape)
{
	static const char *const actions[] = { "drop", "drop", "pass", "allow", "count", "divert", "limit 10 pps", "drop" };
	static const char *const protos[] = { "", " and udp", " and tcp", " and proto 47", " and proto 0-100" };
	bool six = pool_is_ip6_only || (!pool_is_ip4_only && random_below(2));

	fprintf(out, "%s len <= 65535", actions[random_below(8)]);
	if (!one_in(shape->any_family)) {
		if (one_in(shape->src))
			print_side(out, "src", six, shape->hosts);
		if (one_in(shape->dst))
			print_side(out, "dst", six, shape->hosts);
	}
	fputs(protos[random_below(5)], out);
	if (one_in(shape->ports))
		print_ports(out, "src");
	if (one_in(shape->ports))
		print_ports(out, "dst");
	if (one_in(shape->deep))
		fputs(random_below(2) ? " and udp and dns valid" : " and ip len > 40", out);
	fputs(one_in(8) ? " ttl 10m\n" : "\n", out);
}

static void check_text(char *text, size_t len, unsigned batches)
{
	struct rules_error error;
	struct rules *rules;

	if (rules_parse(text, len, "text", &rules, &error) < 0) {
		rules_error_print(&error, "error", stderr);
		fail();
	}
	check_rules(rules, pool_frame, batches);
	rules_free(rules);
	free(text);
}

static void check_shape(const struct shape *shape, unsigned batches)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	pools_fill();
	for (unsigned i = 0; i < shape->rules; i++)
		print_rule(out, shape);
	fputs(random_below(2) ? "drop\n" : "pass\n", out);
	fclose(out);
	check_text(text, len, batches);
}

static void test_shapes(void **state)
{
	static const struct shape shapes[] = {
		{ .name = "none" },
		{ .name = "one", .rules = 1, .src = 1 },
		{ .name = "any family", .rules = 30, .ports = 1, .deep = 8 },
		{ .name = "sources", .rules = 300, .src = 1 },
		{ .name = "sources and ports", .rules = 300, .src = 1, .ports = 2 },
		{ .name = "pairs", .rules = 100, .src = 1, .dst = 1, .ports = 2, .hosts = true },
		{ .name = "pairs, deep", .rules = 60, .src = 1, .dst = 1, .ports = 2, .deep = 2, .hosts = true },
		{ .name = "few pairs", .rules = 8, .src = 1, .dst = 1, .ports = 1, .deep = 4 },
		{ .name = "all", .rules = 1500, .src = 2, .dst = 2, .ports = 2, .any_family = 50, .deep = 50 },
	};

	(void)state;
	for (unsigned round = 0; round < 6; round++) {
		pool_is_ip4_only = round % 3 == 1;
		pool_is_ip6_only = round % 3 == 2;
		for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
			check_shape(&shapes[i], 16);
	}
	pool_is_ip4_only = pool_is_ip6_only = false;
}

/* Each length of one address, as often as it is long: a packet is in as many prefixes as it has first bits. */
static void test_nested(void **state)
{
	(void)state;
	for (unsigned side = 0; side < 2; side++) {
		char *text;
		size_t len;
		FILE *out = open_memstream(&text, &len);

		pools_fill();
		for (unsigned six = 0; six < 2; six++)
			for (unsigned bits = six ? 128 : 32; bits > 0; bits--) {
				fprintf(out, "%s %s net ", bits % 3 ? "count" : "drop", side ? "dst" : "src");
				print_prefix(out, six, pools[six].addr[bits % 3], bits);
				fprintf(out, "%s\n", bits % 5 ? "" : " and udp src port 53");
			}
		fclose(out);
		check_text(text, len, 60);
	}
}

/* Prefixes and port ranges of so many classes that a key has no room for them. */
static void test_too_many_classes(void **state)
{
	unsigned long before = seen.too_big;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	for (unsigned i = 0; i < 50000; i++) {
		fprintf(out, "drop udp and src 10.%u.%u.%u and dst 11.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255, i & 255,
			i >> 8 & 255, i >> 16 & 255);
		fprintf(out, " and src port %u and dst port %u\n", i, i + 1);
	}
	for (unsigned i = 0; i < 20; i++)
		fprintf(out, "count udp src port %u\n", i);
	fclose(out);
	check_text(text, len, 0);
	assert_int_equal(seen.too_big, before + 1);
}

/* As many rules as there may be, each of a random source and destination: the most that keys take. */
static void test_most_prefixes(void **state)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	for (unsigned i = 0; i < IMAGE_RULES_MAX; i++) {
		bool six = i % 4 == 0;

		fputs("drop", out);
		for (unsigned side = 0; side < 2; side++) {
			uint8_t addr[16];

			for (unsigned byte = 0; byte < 16; byte++)
				addr[byte] = (uint8_t)random_below(256);
			fprintf(out, "%s net ", side ? " and dst" : " src");
			print_prefix(out, six, addr, six ? 128 - random_below(80) : 32 - random_below(8));
		}
		fputc('\n', out);
	}
	fclose(out);
	check_text(text, len, 4);
	print_message("%u pairs of prefixes: %zu MiB\n", IMAGE_RULES_MAX, seen.bytes_most >> 20);
	assert_in_range(seen.bytes_most, 1, 320u << 20);
}

/* Whichever allocation fails, nothing is left behind (a leak is the sanitizer's to find). */
static void test_no_memory(void **state)
{
	static const char text[] = "drop src 192.0.2.1 and udp dst port 53\ndrop src 2001:db8::1\ndrop src 2001:db8::/64\n"
				   "drop tcp src portrange 1-1023\ndrop dst net 192.0.2.0/25 and udp dst portrange 1000-2000\n";
	struct rules_error error;
	struct keys *keys = NULL;
	struct image *image;
	struct rules *rules;
	int failed = 0, r;

	(void)state;
	assert_int_equal(rules_parse(text, strlen(text), "text", &rules, &error), 0);
	assert_int_equal(image_build(rules, 1, NULL, &image, &error), 0);
	do {
		allocations_left = failed++;
		r = keys_new(image, &keys);
		allocations_left = -1;
		assert_true(r == 0 || (r == -ENOMEM && !keys));
	} while (r);
	assert_true(failed > 10);
	keys_free(keys);
	image_free(image);
	rules_free(rules);
}

static void test_seen(void **state)
{
	(void)state;
	print_message(
		"%lu packets; keys by ports %lu, by rows %lu, refused %lu; longer than remembered %lu, one row and the end %lu\n",
		seen.packets, seen.by_ports, seen.by_rows, seen.too_big, seen.long_chains, seen.ends);
	assert_true(seen.by_ports > 10);
	assert_true(seen.by_rows > 10);
	assert_true(seen.long_chains > 1000);
	assert_true(seen.ends > 1000);
}

int main(void)
{
	const char *text = getenv("SEED");
	unsigned long seed = text ? strtoul(text, NULL, 0) : (unsigned long)time(NULL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_rules),  cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_nested),	      cmocka_unit_test(test_too_many_classes),
		cmocka_unit_test(test_most_prefixes), cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_seen),
	};

	random_start(seed);
	print_message("SEED=%lu\n", seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
