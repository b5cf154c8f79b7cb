/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets as the kernel sees them: a program that asks the mapped block answers as the host does, through changes in place. Needs
 * root, and is skipped without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sets.skel.h"
#include "sets/table.h"
#include "sets_question.h"

enum { ELEMENTS = 6000, QUESTIONS = 4000, ROUNDS = 4 };

static uint64_t random_state = 0x5e75;

static uint32_t random_below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state * 0x2545f4914f6cdd1dull >> 33) % n;
}

/* What can be an element or a question; few values a byte, so that they meet. */
struct thing {
	uint32_t kind, family, len, proto, port;
	uint8_t addr[16];
};

static struct thing thing_random(void)
{
	static const uint8_t bytes[] = { 0, 1, 0x80, 0xff, 0x0f, 0xf0, 7, 9 };
	struct thing thing = {
		.kind = random_below(SETS_ASK_COUNT),
		.family = random_below(2) ? 4 : 6,
		.proto = random_below(2) ? 6 : 17,
		.port = random_below(64),
	};
	uint32_t most = thing.family == 4 ? 32 : 128;

	thing.len = random_below(3) ? most - random_below(12) : 8 + random_below(most - 7);
	for (unsigned i = 0; i < most / 8; i++)
		thing.addr[i] = bytes[random_below(sizeof(bytes))];
	return thing;
}

static struct element thing_element(const struct thing *thing)
{
	switch (thing->kind) {
	case SETS_ASK_ADDR:
		return element_prefix(thing->family, thing->addr, thing->len);
	case SETS_ASK_TUPLE:
		return element_tuple(thing->family, thing->addr, thing->len, (uint8_t)thing->proto, (uint16_t)thing->port,
				     (uint16_t)(thing->port + thing->port % 5));
	default:
		return element_numbers(thing->port * 7, thing->port * 7 + thing->port % 5);
	}
}

/* The sets, one a kind, in a map that a program reads. */
struct fixture {
	struct set_table *table;
	struct sets_bpf *bpf;
	struct set_block *block;
	uint64_t bytes;
	uint32_t sets[SETS_ASK_COUNT];
	struct thing things[ELEMENTS];
};

static const enum element_kind kinds[SETS_ASK_COUNT] = { ELEMENT_PREFIX, ELEMENT_TUPLE, ELEMENT_NUMBERS };

static int open_program(struct fixture *fixture)
{
	fixture->bpf = sets_bpf__open();
	assert_non_null(fixture->bpf);
	fixture->bpf->rodata->set_last_byte = (uint32_t)fixture->bytes - 1;
	assert_int_equal(bpf_map__set_value_size(fixture->bpf->maps.block, (uint32_t)fixture->bytes), 0);
	if (sets_bpf__load(fixture->bpf))
		return -errno;
	fixture->block = mmap(NULL, fixture->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(fixture->bpf->maps.block), 0);
	assert_ptr_not_equal(fixture->block, MAP_FAILED);
	return 0;
}

static int ask_host(const struct fixture *fixture, const struct sets_question *question)
{
	if (question->kind == SETS_ASK_ADDR)
		return set_has_addr(fixture->block, question->set, question->family, question->addr);
	if (question->kind == SETS_ASK_TUPLE)
		return set_has_tuple(fixture->block, question->set, question->family, question->addr, (uint8_t)question->proto,
				     question->port);
	return set_has_number(fixture->block, question->set, (uint32_t)question->port);
}

static int ask_program(const struct fixture *fixture, const struct sets_question *question)
{
	uint8_t packet[SETS_QUESTION_AT + sizeof(*question)] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof(packet), .repeat = 1);

	memcpy(packet + SETS_QUESTION_AT, question, sizeof(*question));
	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(fixture->bpf->progs.sets_ask), &options), 0);
	return (int)options.retval;
}

/* About an element, or one bit beside it, or anything. */
static struct sets_question question_random(const struct fixture *fixture)
{
	struct thing thing = random_below(4) ? fixture->things[random_below(ELEMENTS)] : thing_random();
	struct sets_question question = { .kind = thing.kind, .family = thing.family, .proto = thing.proto };
	uint32_t bit = random_below(2 * (thing.family == 4 ? 32 : 128));

	if (bit < (thing.family == 4 ? 32u : 128u))
		thing.addr[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
	memcpy(question.addr, thing.addr, sizeof(thing.addr));
	question.set = fixture->sets[thing.kind];
	question.port =
		(int32_t)(thing.kind == SETS_ASK_NUMBER ? thing.port * 7 + random_below(7) : thing.port + random_below(4));
	return question;
}

static void compare(const struct fixture *fixture)
{
	unsigned yes = 0;

	for (unsigned i = 0; i < QUESTIONS; i++) {
		struct sets_question question = question_random(fixture);
		int want = ask_host(fixture, &question);

		assert_int_equal(ask_program(fixture, &question), want);
		yes += (unsigned)want;
	}
	assert_in_range(yes, QUESTIONS / 10, QUESTIONS * 9 / 10); /* or nothing was tried */
}

static void change(const struct fixture *fixture, unsigned first, unsigned n, bool add)
{
	for (unsigned i = first; i < first + n; i++) {
		const struct thing *thing = &fixture->things[i % ELEMENTS];
		struct element element = thing_element(thing);
		uint32_t set = fixture->sets[thing->kind];

		if (add)
			assert_int_equal(set_table_add(fixture->table, set, &element, 1, 0, NULL), 0);
		else
			assert_int_equal(set_table_del(fixture->table, set, &element, 1, NULL), 0);
	}
}

static void test_program_agrees(void **state)
{
	static struct fixture fixture;
	int r;

	(void)state;
	fixture.table = set_table_new();
	assert_non_null(fixture.table);
	for (unsigned kind = 0; kind < SETS_ASK_COUNT; kind++)
		fixture.sets[kind] = (uint32_t)set_table_open(fixture.table, kinds[kind]);
	for (unsigned i = 0; i < ELEMENTS; i++)
		fixture.things[i] = thing_random();
	change(&fixture, 0, ELEMENTS, true);
	fixture.bytes = set_table_bytes(fixture.table);
	r = open_program(&fixture);
	if (r == -EPERM || r == -EACCES) {
		print_message("loading a BPF program needs root\n");
		skip();
	}
	assert_int_equal(r, 0);
	assert_int_equal(set_table_place(fixture.table, fixture.block, fixture.bytes), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		compare(&fixture);
		change(&fixture, round * 1000, ELEMENTS / 2, false);
		compare(&fixture);
		change(&fixture, round * 1000, ELEMENTS / 3, true);
	}
	set_table_free(fixture.table);
	munmap(fixture.block, fixture.bytes);
	sets_bpf__destroy(fixture.bpf);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_program_agrees) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
