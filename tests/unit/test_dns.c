/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DNS names: questions out of payloads (each in memory of exactly its length, so that the sanitizers see a read too far),
 * suffixes, and names as text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "classify/dns.h"

#define HEADER "\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0"
#define TYPE_A "\0\1\0\1"
#define BYTES(literal) literal, sizeof(literal) - 1

/* dns_question() on a copy that ends where the payload ends. */
static int question(const void *payload, size_t len, uint8_t name[DNS_NAME_MAX + 1], size_t *ret_len)
{
	uint8_t *copy = malloc(len ? len : 1);
	int r;

	memcpy(copy, payload, len);
	r = dns_question(len ? copy : copy + 1, len, name, ret_len);
	free(copy);
	return r;
}

static const struct {
	const char *what;
	const char *payload;
	size_t len;
	const char *name; /* NULL: none */
	size_t name_len;
} questions[] = {
	{ "a query", BYTES(HEADER "\3www\7example\3org\0" TYPE_A), BYTES("\3www\7example\3org\0") },
	{ "letter case", BYTES(HEADER "\3WwW\7EXAMPLE\3Org\0" TYPE_A), BYTES("\3www\7example\3org\0") },
	{ "a response", BYTES("\x12\x34\x81\x80\0\1\0\1\0\0\0\0\1a\0" TYPE_A "\xc0\x0c"), BYTES("\1a\0") },
	{ "the root", BYTES(HEADER "\0" TYPE_A), BYTES("\0") },
	{ "no type behind the name", BYTES(HEADER "\1a\0"), BYTES("\1a\0") },
	{ "two questions", BYTES("\0\0\0\0\0\2\0\0\0\0\0\0\1a\0" TYPE_A "\1b\0" TYPE_A), BYTES("\1a\0") },
	{ "256 questions", BYTES("\0\0\0\0\1\0\0\0\0\0\0\0\1a\0" TYPE_A), BYTES("\1a\0") },
	{ "bytes that are no letters", BYTES(HEADER "\4@[`{\3\xc1\xda\0\0"), BYTES("\4@[`{\3\xc1\xda\0\0") },
	{ "no question", BYTES("\x12\x34\1\0\0\0\0\0\0\0\0\0\1a\0" TYPE_A), NULL, 0 },
	{ "nothing", BYTES(""), NULL, 0 },
	{ "a header alone", BYTES(HEADER), NULL, 0 },
	{ "a pointer", BYTES(HEADER "\1a\xc0\x0c" TYPE_A), NULL, 0 },
	{ "a pointer first", BYTES(HEADER "\xc0\x0c" TYPE_A), NULL, 0 },
	{ "a label of 64",
	  BYTES(HEADER "\x40"
		       "0123456789012345678901234567890123456789012345678901234567890123\0" TYPE_A),
	  NULL, 0 },
	{ "no end", BYTES(HEADER "\3www"), NULL, 0 },
	{ "a label past the end", BYTES(HEADER "\3ww"), NULL, 0 },
};

static void test_questions(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		uint8_t name[DNS_NAME_MAX + 1];
		size_t len = 0;
		int r = question(questions[i].payload, questions[i].len, name, &len);

		if (r != (questions[i].name ? 0 : -EBADMSG) || len != questions[i].name_len)
			print_error("%s: %d, length %zu\n", questions[i].what, r, len);
		assert_int_equal(r, questions[i].name ? 0 : -EBADMSG);
		assert_int_equal(len, questions[i].name_len);
		if (questions[i].name)
			assert_memory_equal(name, questions[i].name, len);
	}
}

/* Cut anywhere, a query has its whole name or none. */
static void test_cut(void **state)
{
	static const char query[] = HEADER "\3www\7example\3org\0" TYPE_A;
	uint8_t name[DNS_NAME_MAX + 1];

	(void)state;
	for (size_t cut = 0; cut < sizeof(query); cut++) {
		size_t len = 0;

		assert_int_equal(question(query, cut, name, &len), cut < 12 + 17 ? -EBADMSG : 0);
		assert_int_equal(len, cut < 12 + 17 ? 0 : 17);
	}
}

/* The type, which there is only with all four bytes of type and class. */
static void test_type(void **state)
{
	static const char query[] = HEADER "\1a\0\1\2\0\1";
	uint8_t name[DNS_NAME_MAX + 1];

	(void)state;
	for (size_t cut = 12 + 3; cut < sizeof(query); cut++) {
		uint8_t *copy = malloc(cut);
		size_t len;

		memcpy(copy, query, cut);
		assert_int_equal(dns_question(copy, cut, name, &len), 0);
		assert_int_equal(dns_question_type(copy, cut, len), cut < 12 + 3 + 4 ? -1 : 0x102);
		free(copy);
	}
}

/* Names of every length up to and over 255, of labels of every length. */
static void test_lengths(void **state)
{
	uint8_t payload[512], name[DNS_NAME_MAX + 1];

	(void)state;
	for (unsigned label = 1; label <= 63; label++) {
		size_t at = 12, len;

		memset(payload, 0, sizeof(payload));
		payload[5] = 1;
		while (at < 300) {
			payload[at] = (uint8_t)label;
			memset(payload + at + 1, 'Q', label);
			at += 1 + label;
			payload[at] = 0;
			if (at - 11 > DNS_NAME_MAX) {
				assert_int_equal(question(payload, at + 1, name, &len), -EBADMSG);
				continue;
			}
			assert_int_equal(question(payload, at + 1, name, &len), 0);
			assert_int_equal(len, at - 11);
			assert_int_equal(name[0], label);
			assert_int_equal(name[len - 1], 0);
			for (size_t i = 1; i < 1 + label; i++)
				assert_int_equal(name[i], 'q');
		}
	}
}

static void test_every_byte(void **state)
{
	(void)state;
	for (unsigned byte = 0; byte < 256; byte++) {
		for (unsigned at = 0; at < 20; at++) { /* in and behind the eight bytes taken at once */
			char payload[12 + 22 + 1] = HEADER;
			uint8_t name[DNS_NAME_MAX + 1];
			size_t len;

			payload[12] = 20;
			memset(payload + 13, 'x', 20);
			payload[13 + at] = (char)byte;
			assert_int_equal(question(payload, 12 + 22, name, &len), 0);
			assert_int_equal(name[1 + at], byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
			assert_int_equal(name[1 + (at + 1) % 20], 'x');
		}
	}
}

static const struct {
	const char *name, *suffix;
	int under;
} unders[] = {
	{ "example", "example", 1 },
	{ "a.example", "example", 1 },
	{ "c.b.a.example", "a.example", 1 },
	{ "example", ".", 1 },
	{ ".", ".", 1 },
	{ ".", "example", 0 },
	{ "example", "a.example", 0 },
	{ "xexample", "example", 0 },
	{ "example.org", "example", 0 },
	{ "ab.example", "b.example", 0 },
	{ "x\\007example", "example", 0 }, /* the bytes of the suffix, but within a label */
	{ "x\\001a\\007example.org", "org", 1 },
	{ "a\\.example", "example", 0 },
};

static void test_under(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(unders) / sizeof(unders[0]); i++) {
		uint8_t name[DNS_NAME_MAX + 1], suffix[DNS_NAME_MAX + 1];
		size_t len, suffix_len;

		assert_int_equal(dns_name_from_text(unders[i].name, strlen(unders[i].name), name, &len), 0);
		assert_int_equal(dns_name_from_text(unders[i].suffix, strlen(unders[i].suffix), suffix, &suffix_len), 0);
		if (dns_name_under(name, len, suffix, suffix_len) != unders[i].under)
			print_error("%s under %s\n", unders[i].name, unders[i].suffix);
		assert_int_equal(dns_name_under(name, len, suffix, suffix_len), unders[i].under);
	}
}

static const struct {
	const char *text;
	const char *wire; /* NULL: `error` */
	size_t len;
	const char *again; /* text made from the wire form */
	int error;
} texts[] = {
	{ "www.Example.ORG", BYTES("\3www\7example\3org\0"), "www.example.org", 0 },
	{ "www.example.org.", BYTES("\3www\7example\3org\0"), "www.example.org", 0 },
	{ ".", BYTES("\0"), ".", 0 },
	{ "a\\.b.c", BYTES("\3a.b\1c\0"), "a\\.b.c", 0 },
	{ "\\065\\066", BYTES("\2ab\0"), "ab", 0 },
	{ "\\000\\255\\\\\\(", BYTES("\4\0\xff\\(\0"), "\\000\\255\\\\\\040", 0 },
	{ "_x-1.*.0/25", BYTES("\4_x-1\1*\0040/25\0"), "_x-1.*.0/25", 0 },
	{ "", NULL, 0, NULL, -ENODATA },
	{ "..", NULL, 0, NULL, -ENODATA },
	{ ".a", NULL, 0, NULL, -ENODATA },
	{ "a..b", NULL, 0, NULL, -ENODATA },
	{ "a..", NULL, 0, NULL, -ENODATA },
	{ "\\", NULL, 0, NULL, -EINVAL },
	{ "\\12", NULL, 0, NULL, -EINVAL },
	{ "\\1x2", NULL, 0, NULL, -EINVAL },
	{ "\\256", NULL, 0, NULL, -EINVAL },
	{ "a123456789012345678901234567890123456789012345678901234567890123", NULL, 0, NULL, -EMSGSIZE },
};

static void test_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		uint8_t name[DNS_NAME_MAX + 1];
		char text[DNS_TEXT_MAX];
		size_t len = 0;
		int r = dns_name_from_text(texts[i].text, strlen(texts[i].text), name, &len);

		if (r != texts[i].error || len != texts[i].len)
			print_error("`%s`: %d, length %zu\n", texts[i].text, r, len);
		assert_int_equal(r, texts[i].error);
		assert_int_equal(len, texts[i].len);
		if (r < 0)
			continue;
		assert_memory_equal(name, texts[i].wire, len);
		dns_name_to_text(name, text);
		assert_string_equal(text, texts[i].again);
	}
}

/* The longest name there is, in text of the longest kind, and one byte more. */
static void test_longest(void **state)
{
	char text[DNS_TEXT_MAX + 64], again[DNS_TEXT_MAX];
	uint8_t name[DNS_NAME_MAX + 1];
	size_t len, n = 0;

	(void)state;
	for (unsigned label = 0; label < 4; label++) { /* 64 + 64 + 64 + 62 and the root's: 255 */
		for (unsigned i = 0; i < (label < 3 ? 63 : 61); i++)
			n += (size_t)sprintf(text + n, "\\%03u", 200 + i % 50);
		if (label < 3)
			text[n++] = '.';
	}
	assert_int_equal(dns_name_from_text(text, n, name, &len), 0);
	assert_int_equal(len, DNS_NAME_MAX);
	dns_name_to_text(name, again);
	assert_string_equal(again, text);
	assert_int_equal(dns_name_from_text(strcat(text, "."), n + 1, name, &len), 0);
	assert_int_equal(len, DNS_NAME_MAX);
	strcpy(text + n, "x");
	assert_int_equal(dns_name_from_text(text, n + 1, name, &len), -ENAMETOOLONG);
	strcpy(text + n, ".x");
	assert_int_equal(dns_name_from_text(text, n + 2, name, &len), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_questions), cmocka_unit_test(test_cut),	     cmocka_unit_test(test_type),
		cmocka_unit_test(test_lengths),	  cmocka_unit_test(test_every_byte), cmocka_unit_test(test_under),
		cmocka_unit_test(test_texts),	  cmocka_unit_test(test_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
