/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON documents (data/rules.schema.json) to rules.
 *
 * A document is read by writing it as text and parsing that: values are spelled alike in both, so there is one place that knows
 * what is right and what to say of what is wrong. Nothing of a document can be more than it says it is, because every string becomes
 * one word of the text or is refused (write_word()). When the parser finds an error at some byte of the text, the text is written a second
 * time to find out which member of the document that byte comes from.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "rules/json.h"
#include "rules/literal.h"

#define PATH_MAX_STEPS (2 * EXPR_DEPTH_MAX + 16)
#define PATH_TEXT_MAX 256
#define LINES_MAX (1u << 25) /* a short document makes no longer text than so many empty lines */

struct path_step {
	const char *member; /* or NULL: */
	size_t index;
};

struct writer {
	FILE *out;
	size_t at;     /* bytes written */
	unsigned line; /* of the text, at `at` */
	size_t target; /* whose byte's path is wanted; SIZE_MAX: none */
	struct path_step path[PATH_MAX_STEPS];
	unsigned depth;
	char found[PATH_TEXT_MAX]; /* path of the target */
	char *message;		   /* what is wrong with the document itself, LITERAL_MESSAGE_MAX */
};

static void path_print(const struct writer *writer, char ret_text[PATH_TEXT_MAX])
{
	size_t len = (size_t)snprintf(ret_text, PATH_TEXT_MAX, "$");

	for (unsigned i = 0; i < writer->depth && len < PATH_TEXT_MAX; i++) {
		const struct path_step *step = &writer->path[i];
		char *to = ret_text + len;

		if (step->member)
			len += (size_t)snprintf(to, PATH_TEXT_MAX - len, ".%s", step->member);
		else
			len += (size_t)snprintf(to, PATH_TEXT_MAX - len, "[%zu]", step->index);
	}
}

__attribute__((format(printf, 2, 3))) static int wrong(struct writer *writer, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(writer->message, LITERAL_MESSAGE_MAX, format, args);
	va_end(args);
	path_print(writer, writer->found);
	return -EINVAL;
}

static int path_enter(struct writer *writer, const char *member, size_t index)
{
	if (writer->depth == PATH_MAX_STEPS)
		return wrong(writer, "nested deeper than %d levels", EXPR_DEPTH_MAX);
	writer->path[writer->depth++] = (struct path_step){ member, index };
	return 0;
}

static void write_bytes(struct writer *writer, const char *text, size_t len)
{
	if (writer->target - writer->at < len) /* also false for none */
		path_print(writer, writer->found);
	writer->at += len;
	fwrite(text, 1, len, writer->out);
}

static void write_text(struct writer *writer, const char *text)
{
	write_bytes(writer, text, strlen(text));
}

/* One word of the language, whatever the string holds. Numbers are fine, too. */
static int write_word(struct writer *writer, json_t *json)
{
	const char *text = json_string_value(json);
	size_t len = json_string_length(json);
	char digits[24];

	if (json_is_integer(json)) {
		snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT, json_integer_value(json));
		if (digits[0] == '-')
			return wrong(writer, "a number is not negative");
		write_text(writer, digits);
		return 0;
	}
	if (!text)
		return wrong(writer, "expected a string or a whole number");
	if (len == 0)
		return wrong(writer, "this string is empty");
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\\' && i + 1 < len && text[i + 1] > ' ' && text[i + 1] < 0x7f)
			i++;
		else if (!lexer_is_word(text[i]))
			return wrong(writer, "`%.60s` is not one value of the rule language", text);
	}
	write_bytes(writer, text, len);
	return 0;
}

/* Enter a member, and write its value as one word. */
static int write_member(struct writer *writer, const json_t *object, const char *member, const char *before, const char *behind)
{
	json_t *json = json_object_get(object, member);
	int r;

	if (!json)
		return 0;
	r = path_enter(writer, member, 0);
	if (r < 0)
		return r;
	write_text(writer, before);
	r = write_word(writer, json);
	write_text(writer, behind);
	writer->depth--;
	return r;
}

/* Members that the object has, in the order of the text. */
struct member_text {
	const char *member, *before, *behind;
};

#define write_members(writer, object, texts) write_member_texts(writer, object, texts, COUNT_OF(texts))
static int write_member_texts(struct writer *writer, const json_t *object, const struct member_text *texts, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = write_member(writer, object, texts[i].member, texts[i].before, texts[i].behind);
	return r;
}

/* All of an array, with `between` in between; the path stands at it. */
static int write_each(struct writer *writer, const json_t *array, const char *between,
		      int (*write)(struct writer *writer, json_t *json))
{
	int r = 0;

	for (size_t i = 0; i < json_array_size(array) && r == 0; i++) {
		if (i)
			write_text(writer, between);
		r = path_enter(writer, NULL, i);
		if (r == 0)
			r = write(writer, json_array_get(array, i));
		writer->depth--;
	}
	return r;
}

/* No member but those in `members`, which ends in NULL. */
static int check_members(struct writer *writer, json_t *object, const char *const *members)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		size_t i = 0;

		(void)value;
		while (members[i] && strcmp(members[i], key))
			i++;
		if (!members[i])
			return wrong(writer, "unknown member `%.60s`", key);
	}
	return 0;
}

static int check_protocol(struct writer *writer, const json_t *object)
{
	const json_t *json = json_object_get(object, "protocol");
	const char *text = json_string_value(json);

	if (json && (!text || !protocol_find(text, strlen(text))))
		return wrong(writer, "`protocol` is ip, ip6, arp, tcp, udp, sctp, icmp, icmp6 or gre");
	return 0;
}

/* "@set", a value or an array of values; the path stands at it. */
static int write_values(struct writer *writer, json_t *json)
{
	const char *text = json_string_value(json);
	int r;

	if (text && *text == '@')
		return write_word(writer, json);
	write_text(writer, "{");
	r = json_is_array(json) ? write_each(writer, json, ", ", write_word) : write_word(writer, json);
	write_text(writer, "}");
	return r;
}

const struct test_member json_tests[TEST_KIND_COUNT] = {
	{ "addr", "", TEST_ADDR, SHAPE_DIRECTED },
	{ "port", "port ", TEST_PORT, SHAPE_DIRECTED },
	{ "ether_addr", "", TEST_ETHER_ADDR, SHAPE_DIRECTED },
	{ "proto", "proto ", TEST_PROTO, SHAPE_VALUES },
	{ "ether_proto", "ether proto ", TEST_ETHER_PROTO, SHAPE_VALUES },
	{ "len", "len ", TEST_LEN, SHAPE_VALUES },
	{ "payload", "payload at ", TEST_PAYLOAD, SHAPE_PAYLOAD },
	{ "ttl", "ttl ", TEST_TTL, SHAPE_VALUES },
	{ "dscp", "dscp ", TEST_DSCP, SHAPE_VALUES },
	{ "flags", "flags ", TEST_FLAGS, SHAPE_VALUES },
	{ "icmp_type", "type ", TEST_ICMP_TYPE, SHAPE_VALUES },
	{ "icmp_code", "code ", TEST_ICMP_CODE, SHAPE_VALUES },
	{ "frag", "frag ", TEST_FRAG, SHAPE_VALUES },
	{ "ip_len", "len ", TEST_IP_LEN, SHAPE_VALUES },
	{ "options", "options", TEST_OPTIONS, SHAPE_TRUE },
	{ "vlan", "vlan ", TEST_VLAN, SHAPE_TRUE_OR_VALUES },
	{ "dns_name", "dns name ", TEST_DNS_NAME, SHAPE_VALUES },
	{ "dns_under", "dns name under ", TEST_DNS_UNDER, SHAPE_VALUES },
	{ "dns_type", "dns type ", TEST_DNS_TYPE, SHAPE_VALUES },
	{ "dns_valid", "dns valid", TEST_DNS_VALID, SHAPE_TRUE },
	{ "bpf", "bpf ", TEST_BPF, SHAPE_BPF },
	{ "protocol", "", TEST_PROTOCOL, SHAPE_PROTOCOL },
};

const char *const json_directions[DIRECTION_BOTH + 1][2] = {
	[DIRECTION_ANY] = { "any", "src or dst " },
	[DIRECTION_SRC] = { "src", "src " },
	[DIRECTION_DST] = { "dst", "dst " },
	[DIRECTION_BOTH] = { "both", "src and dst " },
};

static int write_direction(struct writer *writer, const json_t *test)
{
	const json_t *json = json_object_get(test, "direction");
	const char *text = json_string_value(json);

	for (unsigned i = 0; i < COUNT_OF(json_directions); i++) {
		if (json ? text && !strcmp(text, json_directions[i][0]) : i == DIRECTION_ANY) {
			write_text(writer, json_directions[i][1]);
			return 0;
		}
	}
	return wrong(writer, "`direction` is \"src\", \"dst\", \"any\" or \"both\"");
}

/* The string as a string of the language, which has no way to write a quote. */
static int write_bpf(struct writer *writer, const json_t *json)
{
	const char *text = json_string_value(json);

	if (!text || strlen(text) != json_string_length(json) || strpbrk(text, "\"\n\r"))
		return wrong(writer, "expected a tcpdump expression on one line, without quotes");
	write_text(writer, "\"");
	write_text(writer, text);
	write_text(writer, "\"");
	return 0;
}

static int write_payload(struct writer *writer, const json_t *test)
{
	static const struct member_text texts[] = { { "at", "", "" }, { "mask", " & ", "" }, { "payload", " = ", "" } };
	int r;

	if (!json_object_get(test, "at"))
		return wrong(writer, "`payload` needs `at`, the offset behind the transport header");
	writer->depth--; /* its members stand beside it */
	r = write_members(writer, test, texts);
	writer->depth++;
	return r;
}

/* What stands behind the words of the test; the path is at its member. */
static int write_test_values(struct writer *writer, const struct test_member *member, const json_t *test, json_t *values)
{
	if (member->shape == SHAPE_TRUE || (member->shape == SHAPE_TRUE_OR_VALUES && json_is_boolean(values)))
		return json_is_true(values) ? 0 : wrong(writer, "this is true, or left out");
	if (member->shape == SHAPE_BPF)
		return write_bpf(writer, values);
	if (member->shape == SHAPE_PAYLOAD)
		return write_payload(writer, test);
	return member->shape == SHAPE_PROTOCOL ? 0 : write_values(writer, values);
}

static int write_test(struct writer *writer, json_t *test)
{
	const struct test_member *member = NULL;
	const char *known[] = { "protocol", NULL, NULL, NULL, NULL };
	int r;

	for (size_t i = 0; i < COUNT_OF(json_tests) && !member; i++)
		if (json_object_get(test, json_tests[i].member))
			member = &json_tests[i];
	if (!member)
		return wrong(writer, "expected `and`, `or`, `not` or a question such as {\"protocol\": \"udp\", \"port\": 53}");
	known[1] = member->member;
	known[2] = member->shape == SHAPE_DIRECTED ? "direction" : member->shape == SHAPE_PAYLOAD ? "at" : NULL;
	known[3] = member->shape == SHAPE_PAYLOAD ? "mask" : NULL;
	r = check_members(writer, test, known);
	if (r == 0)
		r = check_protocol(writer, test);
	if (r == 0)
		r = write_member(writer, test, "protocol", "", " ");
	if (r < 0)
		return r;
	if (member->kind == TEST_ETHER_ADDR)
		write_text(writer, "ether ");
	r = path_enter(writer, member->member, 0);
	if (r == 0 && member->shape == SHAPE_DIRECTED)
		r = write_direction(writer, test);
	if (r < 0)
		return r;
	write_text(writer, member->words);
	r = write_test_values(writer, member, test, json_object_get(test, member->member));
	writer->depth--;
	return r;
}

static int write_expr(struct writer *writer, json_t *json);

static int write_chain(struct writer *writer, const json_t *children, const char *member)
{
	int r = path_enter(writer, member, 0);

	if (r < 0)
		return r;
	if (json_array_size(children) == 0)
		return wrong(writer, "expected an array of matches");
	write_text(writer, "(");
	r = write_each(writer, children, *member == 'a' ? " and " : " or ", write_expr);
	write_text(writer, ")");
	writer->depth--;
	return r;
}

static int write_expr(struct writer *writer, json_t *json)
{
	json_t *child = json_object_get(json, "not"), *all = json_object_get(json, "and"), *any = json_object_get(json, "or");
	int r;

	if (!json_is_object(json))
		return wrong(writer, "expected an object: `and`, `or`, `not` or a question");
	if (!child && !all && !any)
		return write_test(writer, json);
	if (json_object_size(json) != 1)
		return wrong(writer, "beside `and`, `or` or `not` nothing else can stand");
	if (!child)
		return all ? write_chain(writer, all, "and") : write_chain(writer, any, "or");
	write_text(writer, "not ");
	r = path_enter(writer, "not", 0);
	if (r == 0)
		r = write_expr(writer, child);
	writer->depth--;
	return r;
}

static int write_item(struct writer *writer, json_t *item)
{
	static const char *const members[] = { "value", "prefix", "proto", "port", "ttl", NULL };
	static const struct member_text texts[] = {
		{ "value", "", "" }, { "prefix", "", " . " }, { "proto", "", " . " }, { "port", "", "" }, { "ttl", " ttl ", "" }
	};
	unsigned n_parts = 0;
	int r;

	if (!json_is_object(item))
		return write_word(writer, item);
	r = check_members(writer, item, members);
	if (r < 0)
		return r;
	for (size_t i = 1; i <= 3; i++)
		n_parts += json_object_get(item, members[i]) != NULL;
	if (n_parts != (json_object_get(item, "value") ? 0 : 3))
		return wrong(writer, "an item has `value`, or `prefix`, `proto` and `port`");
	return write_members(writer, item, texts);
}

static int write_set(struct writer *writer, json_t *set)
{
	static const char *const members[] = { "set", "type", "ttl", "size", "items", "line", NULL };
	const json_t *items = json_object_get(set, "items");
	static const struct member_text texts[] = {
		{ "set", "set ", "" }, { "type", " type ", "" }, { "ttl", " ttl ", "" }, { "size", " size ", "" }
	};
	int r = check_members(writer, set, members);

	if (r == 0)
		r = write_members(writer, set, texts);
	if (r < 0)
		return r;
	if (!json_is_array(items))
		return wrong(writer, "`items` is missing: an array");
	write_text(writer, " {");
	r = path_enter(writer, "items", 0);
	if (r == 0)
		r = write_each(writer, items, ", ", write_item);
	writer->depth--;
	write_text(writer, "}");
	return r;
}

/* "drop", "pass", {"pass": "1/N"}, {"allow": VALUES} */
static int write_overload(struct writer *writer, const json_t *rule)
{
	json_t *overload = json_object_get(rule, "overload"), *allow = json_object_get(overload, "allow");
	static const char *const members[] = { "pass", "allow", NULL };
	int r;

	if (!overload)
		return 0;
	if (!json_is_object(overload))
		return write_member(writer, rule, "overload", " overload ", "");
	r = path_enter(writer, "overload", 0);
	if (r == 0)
		r = check_members(writer, overload, members);
	if (r == 0 && json_object_size(overload) != 1)
		r = wrong(writer, "expected `pass` or `allow`, one of them");
	if (r == 0)
		r = write_member(writer, overload, "pass", " overload pass ", "");
	if (r == 0 && allow) {
		write_text(writer, " overload allow ");
		r = path_enter(writer, "allow", 0);
		if (r == 0)
			r = write_values(writer, allow);
		writer->depth--;
	}
	writer->depth--;
	return r;
}

/* Members that belong to one action, in the order of the text. */
static const struct action_member {
	const char *member, *before;
	enum rule_action action;
} action_members[] = {
	{ "rate", " ", ACTION_LIMIT },	  { "unit", " ", ACTION_LIMIT },       { "burst", " burst ", ACTION_LIMIT },
	{ "per", " per ", ACTION_LIMIT }, { "sample", " ", ACTION_SAMPLE },    { "queue", " queue ", ACTION_DIVERT },
	{ "to", " to ", ACTION_DIVERT },  { "overload", NULL, ACTION_DIVERT },
};

/* The action, and what stands between it and the match. */
static int write_action(struct writer *writer, const json_t *rule)
{
	const char *text = json_string_value(json_object_get(rule, "rule"));
	unsigned action = 0;
	int r;

	while (text && action < ACTION_KIND_COUNT && strcmp(action_names[action], text))
		action++;
	if (!text || action == ACTION_KIND_COUNT)
		return wrong(writer, "`rule` is allow, drop, limit, count, sample, divert or pass");
	r = write_member(writer, rule, "rule", "", "");
	for (size_t i = 0; i < COUNT_OF(action_members) && r == 0; i++) {
		const struct action_member *member = &action_members[i];

		if (member->action != action && json_object_get(rule, member->member))
			return wrong(writer, "`%s` belongs to `%s`", member->member, action_names[member->action]);
		r = member->before ? write_member(writer, rule, member->member, member->before, "")
				   : write_overload(writer, rule);
	}
	return r;
}

static int write_rule(struct writer *writer, json_t *rule)
{
	static const char *const members[] = { "rule",	"match", "name",   "ttl",   "log", "line",     "rate", "unit",
					       "burst", "per",	 "sample", "queue", "to",  "overload", NULL };
	static const struct member_text texts[] = { { "name", " name ", "" }, { "ttl", " ttl ", "" } };
	json_t *match = json_object_get(rule, "match"), *log = json_object_get(rule, "log");
	int r = check_members(writer, rule, members);

	if (r == 0 && !match)
		r = wrong(writer, "`match` is missing");
	if (r == 0)
		r = write_action(writer, rule);
	if (r < 0)
		return r;
	write_text(writer, " ");
	r = path_enter(writer, "match", 0);
	if (r == 0)
		r = write_expr(writer, match);
	writer->depth--;
	if (r == 0)
		r = write_members(writer, rule, texts);
	if (r == 0 && json_is_true(log))
		write_text(writer, " log");
	if (r == 0 && log && !json_is_boolean(log))
		r = wrong(writer, "`log` is true or false");
	return r;
}

static int write_on(struct writer *writer, json_t *on)
{
	static const char *const members[] = { "on", "action", "line", NULL };
	static const struct member_text texts[] = { { "on", "on ", " " }, { "action", "", "" } };
	int r = check_members(writer, on, members);

	return r < 0 ? r : write_members(writer, on, texts);
}

static int write_default(struct writer *writer, json_t *verdict)
{
	static const char *const members[] = { "default", "line", NULL };
	int r = check_members(writer, verdict, members);

	return r < 0 ? r : write_member(writer, verdict, "default", "", "");
}

/* Up to the line of the statement that follows, so that it keeps its number; a line gone by already is shared. */
static void write_separator(struct writer *writer, const json_t *statement)
{
	const json_t *json = json_object_get(statement, "line");
	json_int_t line = json ? json_integer_value(json) : (json_int_t)writer->line + (writer->at > 0);
	char lines[4096];

	if (line <= writer->line || line > LINES_MAX) { /* check_line() will refuse the second */
		write_text(writer, writer->at ? "; " : "");
		return;
	}
	memset(lines, '\n', sizeof(lines));
	while ((json_int_t)writer->line < line) {
		size_t n = (size_t)line - writer->line;

		n = n < sizeof(lines) ? n : sizeof(lines);
		write_bytes(writer, lines, n);
		writer->line += (unsigned)n;
	}
}

static int check_line(struct writer *writer, const json_t *statement)
{
	const json_t *json = json_object_get(statement, "line");

	if (json && (!json_is_integer(json) || json_integer_value(json) < 1 || json_integer_value(json) > LINES_MAX))
		return wrong(writer, "`line` is a number from 1 to %u", LINES_MAX);
	return 0;
}

static int write_statement(struct writer *writer, json_t *statement)
{
	static const struct {
		const char *member;
		int (*write)(struct writer *writer, json_t *statement);
	} kinds[] = { { "set", write_set }, { "rule", write_rule }, { "on", write_on }, { "default", write_default } };
	int r = check_line(writer, statement);

	for (size_t i = 0; i < COUNT_OF(kinds) && r == 0; i++) {
		if (json_object_get(statement, kinds[i].member))
			return kinds[i].write(writer, statement);
	}
	return r < 0 ? r : wrong(writer, "expected an object with `set`, `rule`, `on` or `default`");
}

static int write_document(struct writer *writer, json_t *document)
{
	static const char *const members[] = { "spillway", "statements", NULL };
	const json_t *statements = json_object_get(document, "statements");
	int r;

	if (!json_is_object(document))
		return wrong(writer, "expected an object with `statements`");
	r = check_members(writer, document, members);
	if (r == 0 && !json_is_array(statements))
		r = wrong(writer, "`statements` is missing: an array");
	if (r == 0)
		r = path_enter(writer, "statements", 0);
	write_separator(writer, json_array_get(statements, 0));
	for (size_t i = 0; i < json_array_size(statements) && r == 0; i++) {
		r = path_enter(writer, NULL, i);
		if (r == 0)
			r = write_statement(writer, json_array_get(statements, i));
		write_separator(writer, json_array_get(statements, i + 1)); /* where this one should go on */
		writer->depth--;
	}
	return r;
}

/* Of the byte the text's error is about. The text differs from the first one in nothing. */
static void find_path(json_t *document, size_t target, char ret_path[PATH_TEXT_MAX])
{
	char message[LITERAL_MESSAGE_MAX];
	struct writer writer = { .line = 1, .target = target, .message = message, .found = "$" };

	writer.out = fopen("/dev/null", "w");
	if (writer.out) {
		write_document(&writer, document);
		fclose(writer.out);
	}
	memcpy(ret_path, writer.found, PATH_TEXT_MAX);
}

/* Where in the text a message's line and column are. */
static size_t error_offset(const char *text, size_t len, const struct rules_error *error)
{
	const char *at = text;

	for (unsigned line = 1; line < error->line; line++) {
		const char *end = memchr(at, '\n', len - (size_t)(at - text));

		if (!end)
			break;
		at = end + 1;
	}
	return (size_t)(at - text) + error->col - 1;
}

static int document_error(const char *file, const char *path, const char *message, struct rules_error *ret_error)
{
	char copy[sizeof(ret_error->message)];

	snprintf(copy, sizeof(copy), "%s", message);
	return file_error(file, -EINVAL, ret_error, "%.200s: %.300s", path, copy);
}

/* The document's text to rules; a message about it becomes one about the document. */
static int parse_document_text(json_t *document, char *text, size_t len, const char *file, struct rules **ret_rules,
			       struct rules_error *ret_error)
{
	char path[PATH_TEXT_MAX];
	int r;

	if (len > TEXT_MAX) {
		free(text);
		return file_error(file, -E2BIG, ret_error, "the rules are longer than 256 MiB");
	}
	r = rules_parse(text, len, file, ret_rules, ret_error);
	if (r == -EINVAL) {
		find_path(document, error_offset(text, len, ret_error), path);
		document_error(file, path, ret_error->message, ret_error);
	}
	free(text);
	return r;
}

static int parse_document(json_t *document, const char *file, struct rules **ret_rules, struct rules_error *ret_error)
{
	char message[LITERAL_MESSAGE_MAX];
	struct writer writer = { .line = 1, .target = SIZE_MAX, .message = message };
	char *text = NULL;
	size_t len;
	int r;

	writer.out = open_memstream(&text, &len);
	if (!writer.out)
		return file_error(file, -ENOMEM, ret_error, "out of memory");
	r = write_document(&writer, document);
	if (fclose(writer.out) != 0) {
		free(text);
		return file_error(file, -ENOMEM, ret_error, "out of memory");
	}
	if (r < 0) {
		free(text);
		return document_error(file, writer.found, message, ret_error);
	}
	return parse_document_text(document, text, len, file, ret_rules, ret_error);
}

int rules_parse_json(const char *text, size_t len, const char *file, struct rules **ret_rules, struct rules_error *ret_error)
{
	struct source source = { .text = text, .len = len, .file = file };
	json_error_t error;
	json_t *document;
	int r;

	if (len > DOCUMENT_MAX)
		return file_error(file, -E2BIG, ret_error, "a document is longer than %u MiB: write such rules as text",
				  DOCUMENT_MAX >> 20);
	document = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!document) {
		size_t at = error.position > 0 && (size_t)error.position <= len ? (size_t)error.position - 1 : 0;

		if (json_error_code(&error) == json_error_null_character)
			return source_error(&source, at, 1, ret_error, "a string holds no \\u0000");
		return source_error(&source, at, 1, ret_error, "%s", error.text);
	}
	r = parse_document(document, file, ret_rules, ret_error);
	json_decref(document);
	return r;
}
