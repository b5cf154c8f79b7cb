/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules to a JSON document (data/rules.schema.json), which parse_json.c reads to the same rules. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/version.h"
#include "rules/json.h"
#include "rules/literal.h"

/* A value as the text has it. */
static json_t *value_json(const struct test *test, const union value *value)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	json_t *json;

	if (!out)
		return NULL;
	value_print(test, value, out);
	json = fclose(out) == 0 ? json_stringn(text, len) : NULL;
	free(text);
	return json;
}

static json_t *values_json(const struct test *test)
{
	const struct list *list = &test->list;
	json_t *array;

	if (list->set)
		return json_sprintf("@%s", list->set->name);
	if (list->n == 1)
		return value_json(test, &list->values[0]);
	array = json_array();
	for (size_t i = 0; i < list->n; i++)
		json_array_append_new(array, value_json(test, &list->values[i]));
	return array;
}

static json_t *hex_json(const uint8_t *bytes, size_t len)
{
	char text[2 * IMAGE_PAYLOAD_MAX + 3] = "0x";

	for (size_t i = 0; i < len; i++)
		sprintf(text + 2 + 2 * i, "%02x", bytes[i]);
	return json_string(text);
}

static void payload_json(const struct test *test, json_t *json)
{
	bool masked = false;

	for (size_t i = 0; i < test->payload_len; i++)
		masked = masked || test->payload_mask[i] != 0xff;
	json_object_set_new(json, "at", json_integer(test->payload_at));
	json_object_set_new(json, "payload", hex_json(test->payload_value, test->payload_len));
	if (masked)
		json_object_set_new(json, "mask", hex_json(test->payload_mask, test->payload_len));
}

static json_t *test_json(const struct test *test)
{
	const struct test_member *member = json_tests;
	json_t *json = json_object();

	while (member->kind != test->kind)
		member++;
	if (test->protocol)
		json_object_set_new(json, "protocol", json_string(test->protocol->word));
	if (member->shape == SHAPE_DIRECTED && test->direction != DIRECTION_ANY)
		json_object_set_new(json, "direction", json_string(json_directions[test->direction][0]));
	if (member->shape == SHAPE_TRUE)
		json_object_set_new(json, member->member, json_true());
	else if (member->shape == SHAPE_BPF)
		json_object_set_new(json, member->member, json_string(test->bpf_text));
	else if (member->shape == SHAPE_PAYLOAD)
		payload_json(test, json);
	else if (member->shape != SHAPE_PROTOCOL)
		json_object_set_new(json, member->member, values_json(test));
	return json;
}

static json_t *expr_json(const struct expr *expr)
{
	json_t *array;

	if (expr->kind == EXPR_TEST)
		return test_json(expr->test);
	if (expr->kind == EXPR_NOT)
		return json_pack("{s:o}", "not", expr_json(expr->children[0]));
	array = json_array();
	for (size_t i = 0; i < expr->n; i++)
		json_array_append_new(array, expr_json(expr->children[i]));
	return json_pack("{s:o}", expr->kind == EXPR_AND ? "and" : "or", array);
}

static json_t *duration_json(uint32_t s)
{
	char text[DURATION_TEXT_MAX];

	duration_to_text(s, text);
	return json_string(text);
}

/* An item's value: what a test of a list of them would print. */
static json_t *item_value_json(const struct set *set, size_t index)
{
	static const struct test numbers = { .kind = TEST_PORT }, prefixes = { .kind = TEST_ADDR },
				 names = { .kind = TEST_DNS_NAME };
	struct list list = { .set = set };
	union value value = list_value(&list, index);

	return value_json(set->kind == LIST_PREFIXES ? &prefixes : set->kind == LIST_NAMES ? &names : &numbers, &value);
}

static json_t *tuple_json(const struct tuple *tuple)
{
	static const struct test prefixes = { .kind = TEST_ADDR }, protos = { .kind = TEST_PROTO }, ports = { .kind = TEST_PORT };
	union value prefix = { .prefix = tuple->prefix }, proto = { .range = { tuple->proto, tuple->proto } };
	union value port = { .range = { tuple->port_lo, tuple->port_hi } };
	bool any = tuple->port_lo == 0 && tuple->port_hi == UINT16_MAX;

	return json_pack("{s:o, s:o, s:o}", "prefix", value_json(&prefixes, &prefix), "proto", value_json(&protos, &proto),
			 "port", any ? json_string("any") : value_json(&ports, &port));
}

static json_t *item_json(const struct set *set, size_t index)
{
	uint32_t ttl_s = set->ttls_s ? set->ttls_s[index] : 0;
	json_t *item = set->kind == LIST_TUPLES ? tuple_json(&set->tuples[index]) : item_value_json(set, index);

	if (ttl_s && set->kind != LIST_TUPLES)
		item = json_pack("{s:o}", "value", item);
	if (ttl_s)
		json_object_set_new(item, "ttl", duration_json(ttl_s));
	return item;
}

static json_t *set_json(const struct set *set)
{
	json_t *json = json_pack("{s:s}", "set", set->name), *items = json_array();

	if (set->typed || set->kind == LIST_NAMES)
		json_object_set_new(json, "type", json_string(list_kind_names[set->kind]));
	if (set->ttl_s)
		json_object_set_new(json, "ttl", duration_json(set->ttl_s));
	if (set->size)
		json_object_set_new(json, "size", json_integer(set->size));
	for (size_t i = 0; i < set->n; i++)
		json_array_append_new(items, item_json(set, i));
	json_object_set_new(json, "items", items);
	return json;
}

static json_t *overload_json(const struct rule *rule)
{
	struct test test = { .kind = TEST_ADDR, .list = rule->overload_list };

	switch (rule->overload) {
	case OVERLOAD_PASS:
		return json_string("pass");
	case OVERLOAD_SAMPLE:
		return json_pack("{s:o}", "pass", json_sprintf("1/%" PRIu32, rule->overload_n));
	case OVERLOAD_ALLOW:
		return json_pack("{s:o}", "allow", values_json(&test));
	default:
		return NULL;
	}
}

static void action_json(const struct rule *rule, json_t *json)
{
	if (rule->action == ACTION_LIMIT) {
		json_object_set_new(json, "rate", json_integer((json_int_t)rule->rate));
		json_object_set_new(json, "unit", json_string(rule->unit == LIMIT_PPS ? "pps" : "bps"));
		if (rule->burst)
			json_object_set_new(json, "burst", json_integer((json_int_t)rule->burst));
		if (rule->per != LIMIT_PER_NONE)
			json_object_set_new(json, "per",
					    json_sprintf("%s/%u/%u", rule->per == LIMIT_PER_SRC ? "src" : "dst", rule->per_len4,
							 rule->per_len6));
	}
	if (rule->action == ACTION_SAMPLE)
		json_object_set_new(json, "sample", json_sprintf("1/%" PRIu32, rule->sample_n));
	if (rule->action != ACTION_DIVERT)
		return;
	if (rule->queue >= 0)
		json_object_set_new(json, "queue", json_integer(rule->queue));
	if (rule->program)
		json_object_set_new(json, "to", json_string(rule->program));
	if (rule->overload != OVERLOAD_DROP)
		json_object_set_new(json, "overload", overload_json(rule));
}

static json_t *rule_json(const struct rule *rule)
{
	json_t *json = json_pack("{s:s}", "rule", action_names[rule->action]);

	action_json(rule, json);
	json_object_set_new(json, "match", expr_json(rule->match));
	if (rule->name)
		json_object_set_new(json, "name", json_string(rule->name));
	if (rule->ttl_s)
		json_object_set_new(json, "ttl", duration_json(rule->ttl_s));
	if (rule->log)
		json_object_set_new(json, "log", json_true());
	return json;
}

static json_t *statement_json(const struct statement *statement)
{
	json_t *json;

	switch (statement->kind) {
	case STATEMENT_SET:
		json = set_json(statement->set);
		break;
	case STATEMENT_RULE:
		json = rule_json(statement->rule);
		break;
	case STATEMENT_ON:
		json = json_pack("{s:s, s:s}", "on", condition_names[statement->condition], "action",
				 action_names[statement->action]);
		break;
	default:
		json = json_pack("{s:s}", "default", action_names[statement->action]);
	}
	json_object_set_new(json, "line", json_integer((json_int_t)statement->line));
	return json;
}

/* One statement at a time: the whole as one tree would be many times as large as the rules. */
int rules_print_json(const struct rules *rules, FILE *out)
{
	fprintf(out, "{\"spillway\": {\"schema\": %d, \"version\": \"%s\"}, \"statements\": [", SPILLWAY_SCHEMA,
		SPILLWAY_VERSION);
	for (size_t i = 0; i < rules->n_statements; i++) {
		json_t *json = statement_json(rules->statements[i]);
		int r;

		fputs(i ? ",\n" : "\n", out);
		r = json ? json_dumpf(json, out, 0) : -1;
		json_decref(json);
		if (r < 0)
			return -ENOMEM;
	}
	fputs("\n]}\n", out);
	return ferror(out) ? -EIO : 0;
}
