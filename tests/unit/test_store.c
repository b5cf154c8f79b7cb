/* SPDX-License-Identifier: BSD-2-Clause */
/* Named sets: filled from rules, changed by text, listed as text that reads back to the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sets/request.h"
#include "sets/store.h"

#define S 1000000000ull

static const char rules_text[] = "set hosts { 192.0.2.1, 198.51.100.0/24, 2001:db8::/32 ttl 90s }\n"
				 "set short ttl 10s { 10.0.0.0/8 }\n"
				 "set ports { 53, 1000-1010, 443 }\n"
				 "set services { 192.0.2.1 . tcp . 80-90, 2001:db8::1 . udp . any, 10.0.0.0/8 . 47 . any }\n"
				 "set zones { example.com, flood.example }\n"
				 "set nothing {}\n"
				 "drop src @hosts\n";

static struct set_store *store_of(const char *text, uint64_t now_ns)
{
	struct rules_error error = { 0 };
	struct set_store *store;
	struct rules *rules;
	int r = rules_parse(text, strlen(text), "test", &rules, &error);

	if (r < 0)
		print_error("%u: %s\n", error.line, error.message);
	assert_int_equal(r, 0);
	assert_int_equal(set_store_new(rules, now_ns, &store), 0);
	rules_free(rules);
	return store;
}

static int change(struct set_store *store, const char *name, enum set_change change, const char *text, uint32_t ttl_s,
		  uint64_t now_ns, size_t *ret_n)
{
	const struct stored_set *set = set_store_find(store, name);
	struct rules_error error = { 0 };
	struct rules *rules;
	int r = rules_parse_items(text, strlen(text), "-", name, set->kind, &rules, &error);

	if (r < 0)
		return r;
	r = set_store_change(store, set, change, rules->sets[0], ttl_s, now_ns, ret_n);
	rules_free(rules);
	return r;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The listing, its lines sorted: a set has no order. */
static void listed(const struct set_store *store, const char *name, uint64_t now_ns, const char *want)
{
	char *text = NULL, *lines[64], sorted[4096] = "";
	size_t size, n = 0, at = 0;
	FILE *out = open_memstream(&text, &size);

	assert_false(stored_set_print(store, set_store_find(store, name), now_ns, &at, 1 << 20, out));
	fclose(out);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		lines[n++] = line;
	qsort(lines, n, sizeof(lines[0]), by_text);
	for (size_t i = 0; i < n; i++) {
		strcat(sorted, lines[i]);
		strcat(sorted, "\n");
	}
	free(text);
	assert_string_equal(sorted, want);
	assert_int_equal(stored_set_size(store, set_store_find(store, name)), n);
}

static void test_filled(void **state)
{
	struct set_store *store = store_of(rules_text, 5 * S);

	(void)state;
	assert_int_equal(set_store_count(store), 6);
	listed(store, "hosts", 5 * S, "192.0.2.1\n198.51.100.0/24\n2001:db8::/32 ttl 1m30s\n");
	listed(store, "short", 6 * S, "10.0.0.0/8 ttl 9s\n");
	listed(store, "ports", 0, "1000-1010\n443\n53\n");
	listed(store, "services", 0, "10.0.0.0/8 . gre . any\n192.0.2.1 . tcp . 80-90\n2001:db8::1 . udp . any\n");
	listed(store, "zones", 0, "example.com\nflood.example\n");
	listed(store, "nothing", 0, "");
	assert_null(set_store_find(store, "none"));
	assert_int_equal(set_store_deadline(store), 15 * S);
	assert_int_equal(set_store_expire(store, 15 * S), 1);
	listed(store, "short", 15 * S, "");
	assert_int_equal(set_store_expire(store, 95 * S), 1);
	listed(store, "hosts", 95 * S, "192.0.2.1\n198.51.100.0/24\n");
	assert_int_equal(set_store_deadline(store), 0);
	set_store_free(store);
}

static void test_changes(void **state)
{
	struct set_store *store = store_of(rules_text, 0);
	struct names *before, *retired;
	size_t n = 9;

	(void)state;
	assert_int_equal(change(store, "hosts", SET_CHANGE_ADD, "192.0.2.1\n192.0.2.2 ttl 5s\n\n# a comment\n2001:db8::1\n", 60,
				S, &n),
			 0);
	assert_int_equal(n, 2);
	listed(store, "hosts", S,
	       "192.0.2.1 ttl 1m\n192.0.2.2 ttl 5s\n198.51.100.0/24\n2001:db8::/32 ttl 1m29s\n2001:db8::1 ttl 1m\n");
	assert_int_equal(change(store, "hosts", SET_CHANGE_DEL, "192.0.2.1\n192.0.2.9\n", 0, S, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(change(store, "hosts", SET_CHANGE_REPLACE, "198.51.100.0/24\n203.0.113.7 ttl 3s", 0, S, &n), 0);
	listed(store, "hosts", S, "198.51.100.0/24\n203.0.113.7 ttl 3s\n");
	assert_int_equal(change(store, "hosts", SET_CHANGE_REPLACE, "", 0, S, &n), 0);
	listed(store, "hosts", S, "");
	assert_int_equal(change(store, "services", SET_CHANGE_DEL, "192.0.2.1 . tcp . 80-90\n", 0, S, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(change(store, "ports", SET_CHANGE_ADD, "8080\n53\n", 0, S, &n), 0);
	assert_int_equal(n, 1);

	before = set_store_find(store, "zones")->names;
	assert_int_equal(change(store, "zones", SET_CHANGE_ADD, "www.example.com\nexample.com ttl 2s\n", 0, S, &n), 0);
	assert_int_equal(n, 1);
	listed(store, "zones", S, "example.com ttl 2s\nflood.example\nwww.example.com\n");
	assert_null(set_store_retired(store));
	assert_int_equal(change(store, "zones", SET_CHANGE_REPLACE, "a.example\n", 0, S, &n), 0);
	listed(store, "zones", S, "a.example\n");
	retired = set_store_retired(store);
	assert_ptr_equal(retired, before);
	assert_int_equal(names_count(retired), 3); /* whoever is in it sees what was */
	names_free(retired);
	set_store_free(store);
}

/* An item that is none, or of another kind, is an error with its line, and nothing is changed. */
static void test_refused(void **state)
{
	struct set_store *store = store_of(rules_text, 0);
	struct rules_error error = { 0 };
	struct rules *rules;

	(void)state;
	assert_int_equal(rules_parse_items("192.0.2.1\n999.1.1.1/33\n", 23, "list", "hosts", LIST_PREFIXES, &rules, &error),
			 -EINVAL);
	assert_int_equal(error.line, 2);
	assert_string_equal(error.file, "list");
	assert_int_equal(rules_parse_items("53\n", 3, "list", "hosts", LIST_PREFIXES, &rules, &error), -EINVAL);
	assert_int_equal(rules_parse_items("192.0.2.1\n", 10, "list", "ports", LIST_RANGES, &rules, &error), -EINVAL);
	assert_int_equal(rules_parse_items("53\n", 3, "list", "ports", LIST_RANGES, &rules, &error), 0);
	assert_int_equal(set_store_change(store, set_store_find(store, "hosts"), SET_CHANGE_ADD, rules->sets[0], 0, 0, NULL),
			 -EINVAL);
	rules_free(rules);
	set_store_free(store);
}

/* Ask; the reply's `ok`, and of its result or error the text wanted. */
static json_t *ask(struct set_store *store, const char *request)
{
	json_t *json = json_loads(request, 0, NULL), *reply;

	assert_non_null(json);
	reply = set_request_answer(store, json, S);
	json_decref(json);
	assert_non_null(reply);
	return reply;
}

static void asked(struct set_store *store, const char *request, const char *want)
{
	json_t *reply = ask(store, request);
	char *text = json_dumps(json_is_true(json_object_get(reply, "ok")) ? json_object_get(reply, "result")
									   : json_object_get(reply, "error"),
				JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);

	assert_string_equal(text, want);
	free(text);
	json_decref(reply);
}

static void test_requests(void **state)
{
	struct set_store *store = store_of(rules_text, 0);

	(void)state;
	asked(store, "{\"set\":\"ports\",\"op\":\"add\",\"items\":\"1\\n2\\n53\"}",
	      "{\"changed\":2,\"count\":5,\"kind\":\"numbers\",\"set\":\"ports\"}");
	asked(store, "{\"set\":\"ports\",\"op\":\"stage\",\"stage\":7,\"items\":\"8\\n44\"}",
	      "{\"count\":5,\"kind\":\"numbers\",\"set\":\"ports\"}");
	asked(store, "{\"set\":\"ports\",\"op\":\"replace\",\"stage\":7,\"items\":\"3\\n9\"}",
	      "{\"count\":3,\"kind\":\"numbers\",\"set\":\"ports\"}");
	listed(store, "ports", S, "443\n8\n9\n");
	asked(store, "{\"set\":\"short\",\"op\":\"list\"}",
	      "{\"count\":1,\"items\":\"10.0.0.0/8 ttl 9s\\n\",\"kind\":\"prefixes\",\"set\":\"short\"}");
	asked(store, "{\"set\":\"port\",\"op\":\"list\"}", "\"the rules have no set `port`: did you mean `ports`?\"");
	asked(store, "{\"set\":\"ports\",\"op\":\"drop\"}", "\"set: op is add, del, replace, list or stage, not \\\"drop\\\"\"");
	set_store_free(store);
}

/* One wrong item in the second piece: the line is counted through both, and nothing is changed. */
static void test_request_wrong(void **state)
{
	struct set_store *store = store_of(rules_text, 0);
	json_t *reply;

	(void)state;
	json_decref(ask(store, "{\"set\":\"short\",\"op\":\"stage\",\"stage\":1,\"items\":\"1.1.1.1\\n2.2.2.2\\n\"}"));
	reply = ask(store, "{\"set\":\"short\",\"op\":\"add\",\"stage\":1,\"file\":\"feed\",\"items\":\"999.1.1.1/33\\n\"}");
	assert_false(json_is_true(json_object_get(reply, "ok")));
	assert_ptr_equal(strstr(json_string_value(json_object_get(reply, "error")), "feed:3:1"),
			 json_string_value(json_object_get(reply, "error")));
	json_decref(reply);
	listed(store, "short", 0, "10.0.0.0/8 ttl 10s\n");
	set_store_free(store);
}

/* A long list comes in pieces, and each item once. */
static void test_request_pages(void **state)
{
	enum { MANY = 100000 };
	struct set_store *store = store_of(rules_text, 0);
	char *text = NULL;
	size_t size, lines = 0, pages = 0;
	FILE *out = open_memstream(&text, &size);
	json_int_t at = 0;
	size_t n;

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		fprintf(out, "10.%u.%u.%u\n", i >> 16, i >> 8 & 255, i & 255);
	fclose(out);
	assert_int_equal(change(store, "hosts", SET_CHANGE_REPLACE, text, 0, 0, &n), 0);
	free(text);
	do {
		json_t *request = json_pack("{s:s, s:s, s:I}", "set", "hosts", "op", "list", "at", at);
		json_t *reply = set_request_answer(store, request, 0), *result = json_object_get(reply, "result");

		for (const char *c = json_string_value(json_object_get(result, "items")); *c; c++)
			lines += *c == '\n';
		at = json_integer_value(json_object_get(result, "next"));
		pages++;
		json_decref(request);
		json_decref(reply);
	} while (at);
	assert_int_equal(lines, MANY);
	assert_true(pages > 1);
	set_store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filled),	 cmocka_unit_test(test_changes),       cmocka_unit_test(test_refused),
		cmocka_unit_test(test_requests), cmocka_unit_test(test_request_wrong), cmocka_unit_test(test_request_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
