/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of DNS names: every answer equals a list's, asked name by name with dns_name_under(); growth, deadlines, and a reader beside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "classify/dns.h"
#include "sets/names.h"

static uint64_t random_state = 0x7a3e5;

static uint32_t random_below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state * 0x2545f4914f6cdd1dull >> 33) % n;
}

struct name {
	uint8_t bytes[DNS_NAME_MAX + 1];
	size_t len;
};

static struct name name_of(const char *text)
{
	struct name name;

	assert_int_equal(dns_name_from_text(text, strlen(text), name.bytes, &name.len), 0);
	return name;
}

/* Few labels, so that names lie under each other. */
static struct name name_random(void)
{
	static const char *const labels[] = { "a", "b", "com", "example", "ab", "x-y" };
	char text[64] = "";
	unsigned n = random_below(5);

	for (unsigned i = 0; i < n; i++) {
		strcat(text, labels[random_below(6)]);
		strcat(text, ".");
	}
	return name_of(n ? text : ".");
}

#define LIST_MAX 200

struct list {
	struct name names[LIST_MAX];
	size_t n;
};

static long list_find(const struct list *list, const struct name *name)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->names[i].len == name->len && !memcmp(list->names[i].bytes, name->bytes, name->len))
			return (long)i;
	}
	return -1;
}

static void compare(const struct names *names, const struct list *list)
{
	struct name name = name_random();
	bool under = false;

	for (size_t i = 0; i < list->n; i++)
		under |= dns_name_under(name.bytes, name.len, list->names[i].bytes, list->names[i].len) != 0;
	assert_int_equal(names_has(names, name.bytes, name.len), list_find(list, &name) >= 0);
	assert_int_equal(names_under(names, name.bytes, name.len), under);
	assert_int_equal(names_count(names), list->n);
}

static void test_list(void **state)
{
	struct names *names = names_new();
	struct list *list = calloc(1, sizeof(*list));

	(void)state;
	for (unsigned turn = 0; turn < 40000; turn++) {
		struct name name = name_random();
		long at = list_find(list, &name);
		bool growing = turn / 300 % 2;

		if (random_below(8) < (growing ? 6u : 2u) && list->n < LIST_MAX) {
			assert_int_equal(names_add(names, name.bytes, name.len, 0), at < 0);
			if (at < 0)
				list->names[list->n++] = name;
		} else {
			assert_int_equal(names_del(names, name.bytes, name.len), at >= 0);
			if (at >= 0)
				list->names[at] = list->names[--list->n];
		}
		if (turn % 5000 == 0) {
			struct names *copy = names_copy(names);

			names_free(names);
			names = copy;
		}
		compare(names, list);
	}
	names_free(names);
	free(list);
}

static struct name name_numbered(unsigned n)
{
	char text[64];

	snprintf(text, sizeof(text), "host%u.zone%u.example", n, n % 100);
	return name_of(text);
}

static void test_many(void **state)
{
	enum { MANY = 50000 };
	struct names *names = names_new();
	const uint8_t *name;
	size_t at = 0, len, n = 0;

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		struct name add = name_numbered(i);

		assert_int_equal(names_add(names, add.bytes, add.len, 0), 1);
	}
	for (unsigned i = 0; i < 2 * MANY; i++) {
		struct name ask = name_numbered(i);

		assert_int_equal(names_has(names, ask.bytes, ask.len), i < MANY);
	}
	while ((name = names_next(names, &at, &len, NULL)))
		n += names_has(names, name, len);
	assert_int_equal(n, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		struct name del = name_numbered(i);

		assert_true(names_del(names, del.bytes, del.len));
	}
	assert_int_equal(names_count(names), 0);
	assert_true(names_stale(names));
	names_free(names);
}

/* The longest names: 127 labels, and labels of 63 bytes. */
static void test_long(void **state)
{
	struct names *names = names_new();
	struct name deep = { .len = 255 }, wide = { .len = 1 + 3 * 64 };
	struct name root = name_of(".");

	(void)state;
	memset(&deep.bytes, 0, sizeof(deep.bytes));
	for (unsigned i = 0; i < 254; i += 2) {
		deep.bytes[i] = 1;
		deep.bytes[i + 1] = 'a';
	}
	memset(wide.bytes, 'w', sizeof(wide.bytes));
	wide.bytes[0] = wide.bytes[64] = wide.bytes[128] = 63;
	wide.bytes[192] = 0;
	assert_int_equal(names_add(names, deep.bytes, deep.len, 0), 1);
	assert_int_equal(names_add(names, wide.bytes + 64, wide.len - 64, 0), 1);
	assert_true(names_has(names, deep.bytes, deep.len));
	assert_false(names_under(names, deep.bytes + 2, deep.len - 2));
	assert_true(names_under(names, wide.bytes, wide.len));
	assert_false(names_has(names, wide.bytes, wide.len));
	assert_int_equal(names_add(names, root.bytes, root.len, 0), 1);
	assert_true(names_under(names, deep.bytes + 2, deep.len - 2));
	names_free(names);
}

static void test_deadlines(void **state)
{
	struct names *names = names_new();

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		struct name name = name_numbered(i);

		names_add(names, name.bytes, name.len, 1); /* soon another */
		names_add(names, name.bytes, name.len, i % 3 ? i : 0);
	}
	for (unsigned now = 0; now < 310; now += 7) {
		names_expire(names, now);
		for (unsigned i = 0; i < 300; i++) {
			struct name name = name_numbered(i);

			assert_int_equal(names_has(names, name.bytes, name.len), i % 3 == 0 || i > now);
		}
	}
	assert_int_equal(names_deadline(names), 0);
	names_free(names);
}

enum { STAYING = 300, COMING = 3000 };

struct race {
	struct names *names;
	unsigned missed, false_hits;
	int done;
};

static void *race_read(void *userdata)
{
	struct race *race = userdata;

	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < STAYING; i++) {
			struct name stays = name_numbered(i), foreign = name_numbered(i + STAYING + COMING);

			race->missed += !names_under(race->names, stays.bytes, stays.len);
			race->false_hits += names_under(race->names, foreign.bytes, foreign.len);
		}
	}
	__atomic_store_n(&race->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void test_race(void **state)
{
	struct race race = { .names = names_new() };
	pthread_t thread;

	(void)state;
	for (unsigned i = 0; i < STAYING; i++) {
		struct name name = name_numbered(i);

		names_add(race.names, name.bytes, name.len, 0);
	}
	assert_int_equal(pthread_create(&thread, NULL, race_read, &race), 0);
	while (!__atomic_load_n(&race.done, __ATOMIC_ACQUIRE)) {
		struct name name = name_numbered(STAYING + random_below(COMING));

		if (random_below(2))
			names_add(race.names, name.bytes, name.len, 0);
		else
			names_del(race.names, name.bytes, name.len);
	}
	pthread_join(thread, NULL);
	assert_int_equal(race.missed, 0);
	assert_int_equal(race.false_hits, 0);
	names_free(race.names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),	  cmocka_unit_test(test_many), cmocka_unit_test(test_long),
		cmocka_unit_test(test_deadlines), cmocka_unit_test(test_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
