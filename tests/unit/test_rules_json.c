/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules as JSON: every golden text goes out as a document that the published schema allows, and comes in again to the identical
 * image and text. Documents with something wrong are refused with the path of the member. The schema's validator below knows what
 * the schema uses of JSON Schema 2020-12, and fails on anything else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <regex.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "rules/rules.h"

static struct rules_error error;

/* ---- a validator ---- */

static json_t *schema_root;

static bool valid(const json_t *schema, json_t *value);

static bool valid_type_name(const char *type, const json_t *value)
{
	if (!strcmp(type, "object"))
		return json_is_object(value);
	if (!strcmp(type, "array"))
		return json_is_array(value);
	if (!strcmp(type, "string"))
		return json_is_string(value);
	if (!strcmp(type, "integer"))
		return json_is_integer(value);
	assert_string_equal(type, "boolean");
	return json_is_boolean(value);
}

static bool valid_type(const json_t *type, const json_t *value)
{
	if (json_is_string(type))
		return valid_type_name(json_string_value(type), value);
	for (size_t i = 0; i < json_array_size(type); i++)
		if (valid_type_name(json_string_value(json_array_get(type, i)), value))
			return true;
	return false;
}

static bool valid_enum(const json_t *choices, const json_t *value)
{
	for (size_t i = 0; i < json_array_size(choices); i++)
		if (json_equal(json_array_get(choices, i), value))
			return true;
	return false;
}

static bool valid_any(const json_t *schemas, json_t *value)
{
	for (size_t i = 0; i < json_array_size(schemas); i++)
		if (valid(json_array_get(schemas, i), value))
			return true;
	return false;
}

/* ECMA's \\ is the same backslash in POSIX, outside of brackets. */
static bool valid_pattern(const char *pattern, const json_t *value)
{
	regex_t regex;
	bool good;

	if (!json_is_string(value))
		return true;
	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	good = regexec(&regex, json_string_value(value), 0, NULL, 0) == 0;
	regfree(&regex);
	return good;
}

static bool valid_items(const json_t *schema, const json_t *value)
{
	for (size_t i = 0; i < json_array_size(value); i++)
		if (!valid(schema, json_array_get(value, i)))
			return false;
	return true;
}

static bool valid_members(const json_t *schema, json_t *value)
{
	const json_t *properties = json_object_get(schema, "properties");
	const json_t *required = json_object_get(schema, "required");
	const char *key;
	json_t *member;

	for (size_t i = 0; i < json_array_size(required) && json_is_object(value); i++)
		if (!json_object_get(value, json_string_value(json_array_get(required, i))))
			return false;
	json_object_foreach(value, key, member)
	{
		const json_t *known = json_object_get(properties, key);

		if (known ? !valid(known, member) : json_is_false(json_object_get(schema, "additionalProperties")))
			return false;
	}
	return true;
}

static bool valid_reference(const char *reference, json_t *value)
{
	const json_t *schema;

	assert_int_equal(strncmp(reference, "#/$defs/", 8), 0);
	schema = json_object_get(json_object_get(schema_root, "$defs"), reference + 8);
	assert_non_null(schema);
	return valid(schema, value);
}

/* One keyword; those that are together in valid_members(), and comments, say nothing alone. */
static bool valid_keyword(const char *key, const json_t *is, json_t *value)
{
	static const char *const silent[] = { "$schema", "$defs",      "title",	   "description",
					      "default", "properties", "required", "additionalProperties" };

	if (!strcmp(key, "type"))
		return valid_type(is, value);
	if (!strcmp(key, "enum"))
		return valid_enum(is, value);
	if (!strcmp(key, "const"))
		return json_equal(is, value);
	if (!strcmp(key, "anyOf"))
		return valid_any(is, value);
	if (!strcmp(key, "$ref"))
		return valid_reference(json_string_value(is), value);
	if (!strcmp(key, "pattern"))
		return valid_pattern(json_string_value(is), value);
	if (!strcmp(key, "items"))
		return valid_items(is, value);
	if (!strcmp(key, "minItems"))
		return !json_is_array(value) || (json_int_t)json_array_size(value) >= json_integer_value(is);
	if (!strcmp(key, "maxLength"))
		return !json_is_string(value) || (json_int_t)json_string_length(value) <= json_integer_value(is);
	if (!strcmp(key, "minimum"))
		return !json_is_integer(value) || json_integer_value(value) >= json_integer_value(is);
	if (!strcmp(key, "maximum"))
		return !json_is_integer(value) || json_integer_value(value) <= json_integer_value(is);
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++)
		if (!strcmp(key, silent[i]))
			return true;
	print_error("the validator does not know %s\n", key);
	fail();
	return false;
}

static bool valid(const json_t *schema, json_t *value)
{
	const char *key;
	json_t *is;

	json_object_foreach((json_t *)schema, key, is) if (!valid_keyword(key, is, value)) return false;
	return valid_members(schema, value);
}

static int schema_load(void **state)
{
	(void)state;
	schema_root = json_load_file("../../data/rules.schema.json", 0, NULL);
	return schema_root ? 0 : -1;
}

static int schema_free(void **state)
{
	(void)state;
	json_decref(schema_root);
	return 0;
}

/* ---- out and in ---- */

static char *printed(const struct rules *rules, bool json)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (json)
		assert_int_equal(rules_print_json(rules, out), 0);
	else
		rules_print(rules, out);
	fclose(out);
	return text;
}

static void check_round_trip(const struct rules *rules)
{
	char *json = printed(rules, true), *text = printed(rules, false), *json_again, *text_again;
	json_t *document = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
	struct image *image, *image_again;
	struct rules *again;

	assert_non_null(document);
	if (!valid(schema_root, document))
		print_error("not as in the schema: %s\n", json);
	assert_true(valid(schema_root, document));
	if (rules_parse(json, strlen(json), "document", &again, &error) < 0) {
		rules_error_print(&error, "error", stderr);
		print_error("%s\n", json);
		fail();
	}
	text_again = printed(again, false);
	json_again = printed(again, true);
	assert_string_equal(text, text_again);
	assert_string_equal(json, json_again);
	assert_int_equal(image_build(rules, 3, NULL, &image, &error), 0);
	assert_int_equal(image_build(again, 3, NULL, &image_again, &error), 0);
	assert_int_equal(image->bytes, image_again->bytes);
	assert_memory_equal(image, image_again, image->bytes);
	image_free(image);
	image_free(image_again);
	json_decref(document);
	free(json);
	free(text);
	free(json_again);
	free(text_again);
	rules_free(again);
}

static void test_golden(void **state)
{
	DIR *directory = opendir("rules");
	struct dirent *entry;
	unsigned n = 0;

	(void)state;
	assert_non_null(directory);
	while ((entry = readdir(directory))) {
		size_t len = strlen(entry->d_name);
		struct rules *rules;
		char path[300];

		if (len < 4 || strcmp(entry->d_name + len - 3, ".in"))
			continue;
		snprintf(path, sizeof(path), "rules/%s", entry->d_name);
		if (rules_load(path, &rules, &error) < 0)
			continue;
		check_round_trip(rules);
		rules_free(rules);
		n++;
	}
	closedir(directory);
	assert_in_range(n, 10, 1000);
}

/* Written by hand, with what printing never leaves out or spells so. */
static void test_by_hand(void **state)
{
	static const char document[] =
		" {\"statements\": [{\"set\": \"a\", \"items\": [\"192.0.2.1\", {\"value\": \"10/8\", \"ttl\": \"1h\"}]},"
		"{\"rule\": \"drop\", \"match\": {\"and\": [{\"protocol\": \"udp\", \"port\": 53, \"direction\": \"dst\"},"
		"{\"not\": {\"addr\": \"@a\"}}, {\"len\": [\"60-100\", 512]}]}, \"line\": 4, \"name\": \"x\", \"log\": false},"
		"{\"rule\": \"count\", \"match\": {\"or\": [{\"vlan\": true}]}, \"line\": 4},"
		"{\"on\": \"fragment\", \"action\": \"drop\"}, {\"default\": \"drop\", \"line\": 9}]}";
	struct rules *rules;
	char *text;

	(void)state;
	assert_int_equal(rules_parse(document, sizeof(document) - 1, "document", &rules, &error), 0);
	text = printed(rules, false);
	assert_string_equal(text, "set a {192.0.2.1, 10.0.0.0/8 ttl 1h}\n\n\n"
				  "drop udp dst port 53 and not net @a and len {60-100, 512} name x; count vlan\n"
				  "on fragment drop\n\n\n\ndrop\n");
	free(text);
	rules_free(rules);
}

/* ---- errors: the document, and the message behind its name ---- */

#define RULE(match) "{\"statements\": [{\"rule\": \"drop\", \"match\": " match "}]}"
#define SET(items) "{\"statements\": [{\"set\": \"a\", \"items\": [" items "]}]}"

static const struct {
	const char *document, *message;
	bool valid; /* as far as the schema can tell */
} errors[] = {
	{ "{}", "$: `statements` is missing: an array", false },
	{ "{\"statements\": 1}", "$: `statements` is missing: an array", false },
	{ "{\"statements\": [], \"x\": 1}", "$: unknown member `x`", false },
	{ "{\"statements\": [1]}", "$.statements[0]: expected an object with `set`, `rule`, `on` or `default`", false },
	{ "{\"statements\": [{\"rule\": \"drop\"}]}", "$.statements[0]: `match` is missing", false },
	{ "{\"statements\": [{\"rule\": \"dorp\", \"match\": {\"protocol\": \"udp\"}}]}",
	  "$.statements[0]: `rule` is allow, drop, limit, count, sample, divert or pass", false },
	{ "{\"statements\": [{\"rule\": \"drop\", \"match\": {\"protocol\": \"udp\"}, \"line\": 0}]}",
	  "$.statements[0]: `line` is a number from 1 to 33554432", false },
	{ "{\"statements\": [{\"rule\": \"drop\", \"match\": {\"protocol\": \"udp\"}, \"line\": 33554433}]}",
	  "$.statements[0]: `line` is a number from 1 to 33554432", false },
	{ "{\"statements\": [{\"default\": \"drop\"}, {\"default\": \"pass\", \"line\": 9000000000000000000}]}",
	  "$.statements[1]: `line` is a number from 1 to 33554432", false },
	{ "{\"statements\": [{\"rule\": \"drop\", \"match\": {\"protocol\": \"udp\"}, \"ttl\": \"5\"}]}",
	  "$.statements[0].ttl: `5` needs a unit: 5s, 5m, 5h or 5d", false },
	{ "{\"statements\": [{\"rule\": \"drop\", \"match\": {\"protocol\": \"udp\"}, \"queue\": 5}]}",
	  "$.statements[0]: `queue` belongs to `divert`", false },
	{ "{\"statements\": [{\"rule\": \"drop\", \"match\": {\"protocol\": \"udp\"}, \"rate\": \"not\"}]}",
	  "$.statements[0]: `rate` belongs to `limit`", false },
	{ "{\"statements\": [{\"rule\": \"limit\", \"unit\": \"pps\", \"rate\": \"2000G\", \"match\": {\"protocol\": \"udp\"}}]}",
	  "$.statements[0].rate: rate 2000G is impossible: 1 to 1000G", true },
	{ "{\"statements\": [{\"default\": \"pass\"}, {\"rule\": \"drop\", \"match\": {\"protocol\": \"udp\"}}]}",
	  "$.statements[0].default: `pass` without a match is the default verdict: it has to be the last statement", true },
	{ "{\"statements\": [{\"on\": \"fragment\", \"action\": \"allow\"}]}",
	  "$.statements[0].action: expected `pass` or `drop`, found `allow`", false },
	{ RULE("{\"protocol\": \"upd\"}"),
	  "$.statements[0].match: `protocol` is ip, ip6, arp, tcp, udp, sctp, icmp, icmp6 or gre", false },
	{ RULE("{\"protocol\": \"not\", \"port\": 53}"),
	  "$.statements[0].match: `protocol` is ip, ip6, arp, tcp, udp, sctp, icmp, icmp6 or gre", false },
	{ RULE("{\"port\": 70000}"), "$.statements[0].match.port: port 70000 is impossible: at most 65535", true },
	{ RULE("{\"and\": [{\"protocol\": \"udp\"}, {\"not\": {\"port\": [53, \"x\"]}}]}"),
	  "$.statements[0].match.and[1].not.port[1]: `x` is not a port: a number, a range A-B, or domain, ntp, snmp, http, https, ssh",
	  true },
	{ RULE("{\"addr\": \"10.0.0.1/8\", \"direction\": \"src\"}"),
	  "$.statements[0].match.addr: `10.0.0.1/8` has bits set behind the prefix: the network is 10.0.0.0/8", true },
	{ RULE("{\"addr\": \"10.0.0.1 or udp\"}"),
	  "$.statements[0].match.addr: `10.0.0.1 or udp` is not one value of the rule language", false },
	{ RULE("{\"addr\": \"10.0.0.1\", \"direction\": \"up\"}"),
	  "$.statements[0].match.addr: `direction` is \"src\", \"dst\", \"any\" or \"both\"", false },
	{ RULE("{\"addr\": {}}"), "$.statements[0].match.addr: expected a string or a whole number", false },
	{ RULE("{\"addr\": []}"), "$.statements[0].match.addr: an empty list matches nothing", false },
	{ RULE("{\"port\": -1}"), "$.statements[0].match.port: a number is not negative", false },
	{ RULE("{\"port\": 5, \"len\": 6}"), "$.statements[0].match: unknown member `len`", false },
	{ RULE("{\"prot\": 5}"),
	  "$.statements[0].match: expected `and`, `or`, `not` or a question such as {\"protocol\": \"udp\", \"port\": 53}",
	  false },
	{ RULE("{\"and\": []}"), "$.statements[0].match.and: expected an array of matches", false },
	{ RULE("{\"not\": {\"port\": 5}, \"port\": 6}"),
	  "$.statements[0].match: beside `and`, `or` or `not` nothing else can stand", false },
	{ RULE("{\"payload\": \"0x01\"}"),
	  "$.statements[0].match.payload: `payload` needs `at`, the offset behind the transport header", false },
	{ RULE("{\"payload\": \"0x10\", \"at\": 3, \"mask\": \"0x0f\"}"),
	  "$.statements[0].match.payload: never true: byte 0x10 has bits outside the mask 0x0f", true },
	{ RULE("{\"bpf\": \"udp\\\" or tcp\"}"),
	  "$.statements[0].match.bpf: expected a tcpdump expression on one line, without quotes", true },
	{ RULE("{\"bpf\": \"udp prot 5\"}"),
	  "$.statements[0].match.bpf: `prot` is no word of a tcpdump expression (names are not looked up)", true },
	{ RULE("{\"dns_valid\": false}"), "$.statements[0].match.dns_valid: this is true, or left out", false },
	{ RULE("{\"options\": true}"),
	  "$.statements[0].match.options: `options` is asked of `ip` or `ip6`: write `ip` or `ip6` in front", false },
	{ SET("\"192.0.2.1\", \"999.1.1.1/33\""),
	  "$.statements[0].items[1]: `999.1.1.1/33` is not an address (names are not looked up)", true },
	{ SET("{\"prefix\": \"192.0.2.1\", \"proto\": \"tcp\", \"port\": \"x\"}"),
	  "$.statements[0].items[0].port: `x` is not a port: a number, a range A-B, or domain, ntp, snmp, http, https, ssh",
	  true },
	{ SET("{\"prefix\": \"192.0.2.1\"}"), "$.statements[0].items[0]: an item has `value`, or `prefix`, `proto` and `port`",
	  false },
	{ SET("{\"value\": \"192.0.2.1\", \"port\": 53}"),
	  "$.statements[0].items[0]: an item has `value`, or `prefix`, `proto` and `port`", false },
	{ SET("{\"value\": \"192.0.2.1\", \"ttl\": \"1x\"}"),
	  "$.statements[0].items[0].ttl: `1x` is not a time: write it as in 90s, 10m, 1h30m, 7d", false },
};

static void test_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		json_t *document = json_loads(errors[i].document, 0, NULL);
		struct rules *rules;

		assert_non_null(document);
		if (valid(schema_root, document) != errors[i].valid)
			print_error("%s\n", errors[i].document);
		assert_int_equal(valid(schema_root, document), errors[i].valid);
		json_decref(document);
		assert_int_equal(rules_parse(errors[i].document, strlen(errors[i].document), "f", &rules, &error), -EINVAL);
		assert_string_equal(error.message, errors[i].message);
		assert_string_equal(error.file, "f");
		assert_int_equal(error.line, 0);
	}
}

/* What is not JSON has a place in the text. */
static void test_syntax(void **state)
{
	static const char text[] = "{\"statements\": [\n  {\"rule\" \"drop\"}]}";
	struct rules *rules;

	(void)state;
	assert_int_equal(rules_parse(text, sizeof(text) - 1, "f", &rules, &error), -EINVAL);
	assert_int_equal(error.line, 2);
	assert_string_equal(error.message, "':' expected near '\"drop\"'");
}

static void test_deep(void **state)
{
	struct rules *rules;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	fputs("{\"statements\": [{\"rule\": \"drop\", \"match\": ", out);
	for (int i = 0; i < 1000; i++)
		fputs("{\"not\": ", out);
	fputs("{\"protocol\": \"udp\"}", out);
	for (int i = 0; i < 1000; i++)
		fputs("}", out);
	fputs("}]}", out);
	fclose(out);
	assert_int_equal(rules_parse(text, len, "f", &rules, &error), -EINVAL);
	assert_non_null(strstr(error.message, "nested deeper than 64 levels"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden), cmocka_unit_test(test_by_hand), cmocka_unit_test(test_errors),
		cmocka_unit_test(test_syntax), cmocka_unit_test(test_deep),
	};

	return cmocka_run_group_tests(tests, schema_load, schema_free);
}
