/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets: what readers see in a block equals what a list of elements, asked one by one, says; through random changes, new blocks,
 * deadlines and replacements, and while another thread reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sets/batch.h"
#include "sets/table.h"

static uint64_t random_state;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1dull >> 8;
}

static uint32_t random_below(uint32_t n)
{
	return (uint32_t)(random_next() % n);
}

/* A table with its block. */
struct fixture {
	struct set_table *table;
	void *memory;
	uint64_t bytes;
};

static void fixture_place(struct fixture *fixture)
{
	void *before = fixture->memory;
	uint64_t bytes_before = fixture->bytes;
	int r = -ENOSPC;

	for (fixture->bytes = set_table_bytes(fixture->table); r == -ENOSPC; fixture->bytes *= 2) {
		assert_true(fixture->bytes > 0 && fixture->bytes <= SET_BYTES_MAX);
		fixture->memory = mmap(NULL, fixture->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_ptr_not_equal(fixture->memory, MAP_FAILED);
		r = set_table_place(fixture->table, fixture->memory, fixture->bytes);
		if (r == 0)
			break;
		assert_int_equal(r, -ENOSPC);
		munmap(fixture->memory, fixture->bytes);
	}
	assert_false(set_table_waits(fixture->table));
	if (before)
		munmap(before, bytes_before);
}

static struct fixture fixture_new(void)
{
	struct fixture fixture = { .table = set_table_new() };

	assert_non_null(fixture.table);
	fixture_place(&fixture);
	return fixture;
}

static void fixture_free(struct fixture *fixture)
{
	set_table_free(fixture->table);
	munmap(fixture->memory, fixture->bytes);
}

/* Do it; take a larger block where one is wanted. */
#define change(fixture, call)                                                                                                    \
	do {                                                                                                                     \
		int change_r = call;                                                                                             \
                                                                                                                                 \
		assert_true(change_r == 0 || change_r == -ENOSPC);                                                               \
		if (change_r == -ENOSPC)                                                                                         \
			fixture_place(fixture);                                                                                  \
	} while (0)

struct question {
	uint8_t family;
	uint8_t addr[16];
	uint8_t proto;
	int32_t port; /* -1: none */
};

static int ask(const struct fixture *fixture, uint32_t set, const struct question *question, bool is_tuple)
{
	uint64_t addr[2] = { 0, 0 };

	memcpy(addr, question->addr, question->family == 4 ? 4 : 16);
	if (is_tuple)
		return set_has_tuple(fixture->memory, set, question->family, (__u64 *)addr, question->proto, question->port);
	return set_has_addr(fixture->memory, set, question->family, (__u64 *)addr);
}

/*
 * The model: a list.
 */
#define MODEL_MAX 4096

struct model_element {
	struct question at;
	unsigned len;
	uint16_t port_lo, port_hi;
};

struct model {
	struct model_element elements[MODEL_MAX];
	size_t n;
	bool is_tuple;
};

static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned n)
{
	if (memcmp(a, b, n / 8) != 0)
		return false;
	return n % 8 == 0 || (a[n / 8] ^ b[n / 8]) >> (8 - n % 8) == 0;
}

static bool model_covers(const struct model *model, const struct model_element *element, const struct question *question)
{
	if (element->at.family != question->family || !bits_equal(element->at.addr, question->addr, element->len))
		return false;
	if (!model->is_tuple)
		return true;
	if (element->at.proto != question->proto)
		return false;
	if (element->port_lo == 0 && element->port_hi == 65535)
		return true;
	return question->port >= element->port_lo && question->port <= element->port_hi;
}

static bool model_has(const struct model *model, const struct question *question)
{
	for (size_t i = 0; i < model->n; i++) {
		if (model_covers(model, &model->elements[i], question))
			return true;
	}
	return false;
}

static bool model_equal(const struct model *model, const struct model_element *a, const struct model_element *b)
{
	if (a->len != b->len || a->at.family != b->at.family || !bits_equal(a->at.addr, b->at.addr, a->len))
		return false;
	return !model->is_tuple || (a->at.proto == b->at.proto && a->port_lo == b->port_lo && a->port_hi == b->port_hi);
}

static long model_find(const struct model *model, const struct model_element *element)
{
	for (size_t i = 0; i < model->n; i++) {
		if (model_equal(model, &model->elements[i], element))
			return (long)i;
	}
	return -1;
}

static struct element model_to_element(const struct model *model, const struct model_element *from)
{
	if (model->is_tuple)
		return element_tuple(from->at.family, from->at.addr, from->len, from->at.proto, from->port_lo, from->port_hi);
	return element_prefix(from->at.family, from->at.addr, from->len);
}

/* Few values a byte, so that prefixes nest and addresses meet them. */
static struct question question_random(void)
{
	static const uint8_t bytes[] = { 0, 0, 0, 1, 0x80, 0xff, 0x0f, 0xf0 };
	struct question question = { .family = random_below(2) ? 4 : 6 };

	for (unsigned i = 0; i < (question.family == 4 ? 4 : 16); i++)
		question.addr[i] = random_below(6) ? bytes[random_below(sizeof(bytes))] : (uint8_t)random_next();
	question.proto = random_below(3) ? 17 : 6;
	question.port = random_below(20) == 0 ? -1 : (int32_t)random_below(20);
	return question;
}

static struct model_element element_random(void)
{
	struct model_element element = { .at = question_random() };
	unsigned most = element.at.family == 4 ? 32 : 128;

	switch (random_below(4)) {
	case 0:
		element.len = most;
		break;
	case 1:
		element.len = most - random_below(9);
		break;
	default:
		element.len = random_below(most + 1);
	}
	element.port_lo = (uint16_t)random_below(20);
	element.port_hi = (uint16_t)(random_below(2) ? element.port_lo : element.port_lo + random_below(20));
	if (!random_below(8)) {
		element.port_lo = random_below(2) ? 0 : 3;
		element.port_hi = 65535;
	}
	if (element.len < 4 && random_below(20)) /* or all is covered all the time */
		element.len += 12;
	return element;
}

/* Beside an element, at any bit of it. */
static struct question question_near(const struct model *model)
{
	struct question question = question_random();
	const struct model_element *element;
	unsigned bit;

	if (!model->n)
		return question;
	element = &model->elements[random_below((uint32_t)model->n)];
	question = element->at;
	question.port = (int32_t)(random_below(2) ? element->port_lo : element->port_hi) + (int32_t)random_below(3) - 1;
	if (question.port > 65535)
		question.port = 65535;
	bit = random_below(question.family == 4 ? 64 : 256); /* or none */
	if (bit < (question.family == 4 ? 32u : 128u))
		question.addr[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
	return question;
}

static void compare(const struct fixture *fixture, uint32_t set, const struct model *model, unsigned questions)
{
	for (unsigned i = 0; i < questions; i++) {
		struct question question = i % 4 ? question_near(model) : question_random();
		int want = model_has(model, &question), have = ask(fixture, set, &question, model->is_tuple);

		if (want != have)
			print_error("family %d, addr %02x%02x%02x%02x..., %zu elements: want %d\n", question.family,
				    question.addr[0], question.addr[1], question.addr[2], question.addr[3], model->n, want);
		assert_int_equal(have, want);
	}
	assert_int_equal(set_table_count(fixture->table, set), model->n);
}

/* Asked together, the same answers. */
static void compare_batch(const struct fixture *fixture, uint32_t set, const struct model *model, unsigned family, uint32_t n)
{
	__u64 addrs[70][2];
	uint8_t has[70];

	memset(addrs, 0, sizeof(addrs));
	for (uint32_t i = 0; i < n; i++) {
		struct question question = question_near(model);

		memcpy(addrs[i], question.addr, family == 4 ? 4 : 16);
	}
	set_has_addrs(fixture->memory, set, family, addrs, n, has);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(has[i], set_has_addr(fixture->memory, set, family, addrs[i]));
}

static void model_add(struct model *model, struct fixture *fixture, uint32_t set)
{
	struct model_element element = element_random();
	struct element as_element = model_to_element(model, &element);
	bool is_new = model_find(model, &element) < 0;
	size_t n = 7;

	if (model->n == MODEL_MAX)
		return;
	if (is_new)
		model->elements[model->n++] = element;
	change(fixture, set_table_add(fixture->table, set, &as_element, 1, 0, &n));
	assert_int_equal(n, is_new);
	assert_true(set_table_has(fixture->table, set, &as_element));
}

static void model_del(struct model *model, struct fixture *fixture, uint32_t set)
{
	struct model_element element = element_random();
	struct element as_element;
	long found;
	size_t n = 7;

	if (model->n && random_below(8))
		element = model->elements[random_below((uint32_t)model->n)];
	as_element = model_to_element(model, &element);
	found = model_find(model, &element);
	if (found >= 0)
		model->elements[found] = model->elements[--model->n];
	change(fixture, set_table_del(fixture->table, set, &as_element, 1, &n));
	assert_int_equal(n, found >= 0);
	assert_false(set_table_has(fixture->table, set, &as_element));
}

/* Two sets at once: neither may see the other's. `target`: elements it grows to, then it shrinks to nothing, and so on. */
static void run_model(bool is_tuple, unsigned target, unsigned turns)
{
	struct fixture fixture = fixture_new();
	struct model *models = calloc(2, sizeof(*models));
	int sets[2];
	bool growing = true;

	for (unsigned i = 0; i < 2; i++) {
		models[i].is_tuple = is_tuple;
		sets[i] = set_table_open(fixture.table, is_tuple ? ELEMENT_TUPLE : ELEMENT_PREFIX);
		assert_true(sets[i] > 0);
	}
	for (unsigned turn = 0; turn < turns; turn++) {
		unsigned which = random_below(2);

		growing = models[which].n == 0 ? true : models[which].n >= target ? false : growing;
		if (random_below(8) < (growing ? 6u : 2u))
			model_add(&models[which], &fixture, (uint32_t)sets[which]);
		else
			model_del(&models[which], &fixture, (uint32_t)sets[which]);
		if (turn % 997 == 0)
			fixture_place(&fixture);
		compare(&fixture, (uint32_t)sets[turn % 2], &models[turn % 2], 20);
		if (!is_tuple && turn % 16 == 0)
			compare_batch(&fixture, (uint32_t)sets[turn % 2], &models[turn % 2], turn % 32 ? 4 : 6, random_below(71));
	}
	free(models);
	fixture_free(&fixture);
}

static void test_prefixes(void **state)
{
	(void)state;
	run_model(false, 12, 6000);
	run_model(false, 300, 6000);
}

static void test_tuples(void **state)
{
	(void)state;
	run_model(true, 12, 4000);
	run_model(true, 300, 4000);
}

static void test_numbers(void **state)
{
	struct fixture fixture = fixture_new();
	int set = set_table_open(fixture.table, ELEMENT_NUMBERS);
	struct {
		uint32_t lo, hi;
		bool in;
	} ranges[40];

	(void)state;
	assert_true(set > 0);
	for (unsigned i = 0; i < 40; i++) {
		ranges[i].lo = i < 2 ? 0 : random_below(SET_NUMBERS);
		ranges[i].hi = i == 1 ? SET_NUMBERS - 1 : ranges[i].lo + random_below(i % 2 ? 3 : SET_NUMBERS - ranges[i].lo);
		if (ranges[i].hi >= SET_NUMBERS)
			ranges[i].hi = SET_NUMBERS - 1;
		ranges[i].in = false;
	}
	for (unsigned turn = 0; turn < 300; turn++) {
		unsigned i = random_below(40);
		struct element element = element_numbers(ranges[i].lo, ranges[i].hi);

		if (turn % 100 == 50)
			fixture_place(&fixture);
		if (ranges[i].in)
			change(&fixture, set_table_del(fixture.table, (uint32_t)set, &element, 1, NULL));
		else
			change(&fixture, set_table_add(fixture.table, (uint32_t)set, &element, 1, 0, NULL));
		ranges[i].in = !ranges[i].in;
		for (unsigned n = 0; n < 200; n++) {
			uint32_t number = n % 2 ? random_below(SET_NUMBERS) : ranges[n % 40].lo + n % 3 - 1;
			bool want = false;

			for (unsigned j = 0; j < 40; j++)
				want |= ranges[j].in && number >= ranges[j].lo && number <= ranges[j].hi;
			assert_int_equal(set_has_number(fixture.memory, (uint32_t)set, number), want);
		}
	}
	fixture_free(&fixture);
}

static struct question question_of(unsigned family, uint64_t n)
{
	struct question question = { .family = (uint8_t)family };

	n *= 0x9e3779b97f4a7c15ull; /* all over the address space, no two alike in 2^32 */
	for (unsigned i = 0; i < 4; i++)
		question.addr[family == 4 ? i : i + 1] = (uint8_t)(n >> (56 - 8 * i));
	if (family == 6) {
		question.addr[0] = 0x20;
		question.addr[15] = (uint8_t)n;
	}
	return question;
}

static struct element element_of(unsigned family, uint64_t n, unsigned len)
{
	struct question question = question_of(family, n);

	return element_prefix(family, question.addr, len);
}

/* From nothing to many, one at a time: the block is outgrown again and again, and every element is seen at every time. */
static void test_growth(void **state)
{
	enum { MANY = 100000 };
	struct fixture fixture = fixture_new();
	uint32_t set = (uint32_t)set_table_open(fixture.table, ELEMENT_PREFIX);
	unsigned blocks = 0;

	(void)state;
	for (unsigned n = 0; n < MANY; n++) {
		unsigned family = n % 2 ? 4 : 6;
		struct element element = element_of(family, n, family == 4 ? 32 : 128);
		int r = set_table_add(fixture.table, set, &element, 1, 0, NULL);

		if (r == -ENOSPC) {
			blocks++;
			fixture_place(&fixture);
			r = 0;
		}
		assert_int_equal(r, 0);
	}
	assert_true(blocks > 2);
	for (unsigned n = 0; n < 2 * MANY; n++) {
		struct question question = question_of(n % 2 ? 4 : 6, n);

		assert_int_equal(ask(&fixture, set, &question, false), n < MANY);
	}
	for (unsigned n = 0; n < MANY; n++) {
		unsigned family = n % 2 ? 4 : 6;
		struct element element = element_of(family, n, family == 4 ? 32 : 128);

		assert_int_equal(set_table_del(fixture.table, set, &element, 1, NULL), 0);
	}
	for (unsigned n = 0; n < MANY; n++) {
		struct question question = question_of(n % 2 ? 4 : 6, n);

		assert_int_equal(ask(&fixture, set, &question, false), 0);
	}
	assert_true(set_table_stale(fixture.table));
	fixture_place(&fixture);
	assert_false(set_table_stale(fixture.table));
	fixture_free(&fixture);
}

/* All in one /48, so that each is asked at the depths of all. */
static struct question question_crowded(uint64_t n)
{
	struct question question = { .family = 6, .addr = { 0x20, 0x01, 0x0d, 0xb8 } };

	n *= 0x9e3779b97f4a7c15ull;
	memcpy(question.addr + 8, &n, sizeof(n));
	return question;
}

static struct element element_crowded(unsigned n)
{
	struct question question = question_crowded(n);

	return element_prefix(6, question.addr, n % 2 ? 128 : 124);
}

/*
 * A block as full as it gets, many times, each with other seeds: whichever way the probes of one depth go, the next depth is asked.
 */
static void test_crowded(void **state)
{
	enum { BLOCKS = 3000, MANY = 2000 };
	struct fixture fixture = fixture_new();
	uint32_t set = (uint32_t)set_table_open(fixture.table, ELEMENT_PREFIX);

	(void)state;
	for (unsigned block = 0; block < BLOCKS; block++) {
		unsigned n = 0;

		for (int r = 0; r == 0 && n < MANY; n++) {
			struct element element = element_crowded(n);

			r = set_table_add(fixture.table, set, &element, 1, 0, NULL);
			assert_true(r == 0 || r == -ENOSPC);
		}
		for (unsigned i = 0; i + 1 < n; i++) { /* the last found no room */
			struct question question = question_crowded(i);

			assert_int_equal(ask(&fixture, set, &question, false), 1);
		}
		for (unsigned i = 40; i < n; i++) {
			struct element element = element_crowded(i);

			assert_true(set_table_del(fixture.table, set, &element, 1, NULL) <= 0);
		}
		fixture_place(&fixture);
	}
	fixture_free(&fixture);
}

/* Until a new block is placed, the old one says what was. */
static void test_replace(void **state)
{
	struct fixture fixture = fixture_new();
	uint32_t set = (uint32_t)set_table_open(fixture.table, ELEMENT_PREFIX);
	struct element elements[1000];
	size_t at = 0, n = 0;
	const struct element_slot *slot;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		elements[i] = element_of(i % 2 ? 4 : 6, i, i % 2 ? 32 : 128);
	change(&fixture, set_table_add(fixture.table, set, elements, 600, 0, NULL));
	assert_int_equal(set_table_replace(fixture.table, set, elements + 400, 600, 0), -ENOSPC);
	assert_true(set_table_waits(fixture.table));
	for (unsigned i = 0; i < 1000; i++) {
		struct question question = question_of(i % 2 ? 4 : 6, i);

		assert_int_equal(ask(&fixture, set, &question, false), i < 600);
	}
	fixture_place(&fixture);
	for (unsigned i = 0; i < 1000; i++) {
		struct question question = question_of(i % 2 ? 4 : 6, i);

		assert_int_equal(ask(&fixture, set, &question, false), i >= 400);
	}
	while ((slot = set_table_next(fixture.table, set, &at)))
		n += slot->element.set == set;
	assert_int_equal(n, 600);
	set_table_close(fixture.table, set);
	for (unsigned i = 0; i < 1000; i++) {
		struct question question = question_of(i % 2 ? 4 : 6, i);

		assert_int_equal(ask(&fixture, set, &question, false), 0);
	}
	fixture_free(&fixture);
}

static void test_deadlines(void **state)
{
	struct fixture fixture = fixture_new();
	uint32_t set = (uint32_t)set_table_open(fixture.table, ELEMENT_PREFIX);
	uint64_t deadlines[500];

	(void)state;
	assert_int_equal(set_table_deadline(fixture.table), 0);
	for (unsigned turn = 0; turn < 3; turn++) { /* the last time counts */
		for (unsigned i = 0; i < 500; i++) {
			struct element element = element_of(i % 2 ? 4 : 6, i, i % 2 ? 32 : 128);

			deadlines[i] = random_below(10) ? 1 + random_below(100) : 0;
			change(&fixture, set_table_add(fixture.table, set, &element, 1, deadlines[i], NULL));
		}
	}
	for (uint64_t now = 0; now <= 100; now += 10) {
		size_t left = 0;

		assert_int_equal(set_table_expire(fixture.table, now, NULL), 0);
		for (unsigned i = 0; i < 500; i++) {
			struct question question = question_of(i % 2 ? 4 : 6, i);
			bool stays = deadlines[i] == 0 || deadlines[i] > now;

			assert_int_equal(ask(&fixture, set, &question, false), stays);
			left += stays;
		}
		assert_int_equal(set_table_count(fixture.table, set), left);
	}
	assert_int_equal(set_table_deadline(fixture.table), 0);
	fixture_free(&fixture);
}

/* What does not belong is refused, and nothing of it is in. */
static void test_refused(void **state)
{
	struct fixture fixture = fixture_new();
	uint32_t prefixes = (uint32_t)set_table_open(fixture.table, ELEMENT_PREFIX);
	uint32_t numbers = (uint32_t)set_table_open(fixture.table, ELEMENT_NUMBERS);
	struct element mixed[2] = { element_of(4, 1, 32), element_numbers(1, 2) };
	struct element far = element_numbers(1, SET_NUMBERS), backward = element_numbers(2, 1);

	(void)state;
	assert_int_equal(set_table_add(fixture.table, prefixes, mixed, 2, 0, NULL), -EINVAL);
	assert_int_equal(set_table_count(fixture.table, prefixes), 0);
	assert_int_equal(set_table_add(fixture.table, numbers, &far, 1, 0, NULL), -EINVAL);
	assert_int_equal(set_table_add(fixture.table, numbers, &backward, 1, 0, NULL), -EINVAL);
	assert_int_equal(set_table_add(fixture.table, 0, mixed, 1, 0, NULL), -EINVAL);
	assert_int_equal(set_table_add(fixture.table, SET_IDS_MAX, mixed, 1, 0, NULL), -EINVAL);
	assert_int_equal(set_table_add(fixture.table, numbers + 1, mixed, 1, 0, NULL), -EINVAL);
	assert_int_equal(set_table_place(fixture.table, fixture.memory, 4096), -ENOSPC);
	fixture_free(&fixture);
}

/*
 * Readers beside a writer
 */
enum { STAYING = 2000, COMING = 2000, FOREIGN = 2000 };

struct race {
	struct fixture *fixture;
	uint32_t set;
	unsigned rounds; /* the reader's */
	unsigned missed, false_hits;
	int done;
};

static void *race_read(void *userdata)
{
	struct race *race = userdata;

	for (unsigned round = 0; round < race->rounds; round++) {
		for (unsigned n = 0; n < STAYING; n++) {
			struct question stays = question_of(n % 2 ? 4 : 6, n);
			struct question foreign = question_of(n % 2 ? 4 : 6, n + STAYING + COMING);

			race->missed += !ask(race->fixture, race->set, &stays, false);
			race->false_hits += ask(race->fixture, race->set, &foreign, false);
		}
	}
	__atomic_store_n(&race->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* Those that come and go share lines, and their length with those that stay. */
static void test_race(void **state)
{
	struct fixture fixture = fixture_new();
	struct race race = { .fixture = &fixture, .rounds = 100 };
	struct element *elements = calloc(STAYING + COMING, sizeof(*elements));
	uint32_t set = (uint32_t)set_table_open(fixture.table, ELEMENT_PREFIX);
	pthread_t thread;

	(void)state;
	for (unsigned n = 0; n < STAYING + COMING; n++)
		elements[n] = element_of(n % 2 ? 4 : 6, n, n % 2 ? 32 : 128);
	change(&fixture, set_table_add(fixture.table, set, elements, STAYING + COMING, 0, NULL));
	fixture_place(&fixture);
	race.set = set;
	assert_int_equal(pthread_create(&thread, NULL, race_read, &race), 0);
	while (!__atomic_load_n(&race.done, __ATOMIC_ACQUIRE)) {
		unsigned first = STAYING + random_below(COMING / 2);

		assert_int_equal(set_table_del(fixture.table, set, elements + first, COMING / 2, NULL), 0);
		assert_int_equal(set_table_add(fixture.table, set, elements + first, COMING / 2, 0, NULL), 0);
	}
	pthread_join(thread, NULL);
	assert_int_equal(race.missed, 0);
	assert_int_equal(race.false_hits, 0);
	free(elements);
	fixture_free(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefixes),  cmocka_unit_test(test_tuples),  cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_growth),	  cmocka_unit_test(test_crowded), cmocka_unit_test(test_replace),
		cmocka_unit_test(test_deadlines), cmocka_unit_test(test_refused), cmocka_unit_test(test_race),
	};
	const char *seed = getenv("SEED");

	random_state = seed ? strtoull(seed, NULL, 0) | 1 : 0x5eed5eed5eedull;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
