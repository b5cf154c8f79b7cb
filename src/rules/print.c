/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A rule set as text again. Each statement stands on its line of the source, so that the text loads to the identical image, line
 * numbers included; where the source had comments, or spread a statement over several lines, blank lines are left.
 */
#include <inttypes.h>
#include <string.h>

#include "classify/dns.h"
#include "rules/literal.h"

static void print_range(const struct range *range, FILE *out)
{
	fprintf(out, "%" PRIu32, range->lo);
	if (range->hi != range->lo)
		fprintf(out, "-%" PRIu32, range->hi);
}

static void print_name(const struct wire_name *name, FILE *out)
{
	char text[DNS_TEXT_MAX];

	dns_name_to_text(name->bytes, text);
	fputs(text, out);
	if (!strcmp(text, "under")) /* not the keyword */
		fputc('.', out);
}

static void print_value(enum test_kind kind, const union value *value, FILE *out)
{
	char text[PREFIX_TEXT_MAX];

	switch (kind) {
	case TEST_ADDR:
		prefix_to_text(&value->prefix, text);
		fputs(text, out);
		break;
	case TEST_DNS_NAME:
	case TEST_DNS_UNDER:
		print_name(&value->name, out);
		break;
	case TEST_ETHER_PROTO:
		fprintf(out, "0x%04" PRIx32, value->range.lo);
		break;
	case TEST_PROTO:
		if (value->range.lo == value->range.hi && literal_proto_name(value->range.lo)) {
			fputs(literal_proto_name(value->range.lo), out);
			break;
		}
		/* fall through */
	default:
		print_range(&value->range, out);
	}
}

/* One value stands alone, unless `braces`. */
static void print_list(enum test_kind kind, const struct list *list, bool braces, FILE *out)
{
	if (list->set) {
		fprintf(out, "@%s", list->set->name);
		return;
	}
	braces = braces || list->n != 1;
	fputs(braces ? "{" : "", out);
	for (size_t i = 0; i < list->n; i++) {
		fputs(i ? ", " : "", out);
		print_value(kind, &list->values[i], out);
	}
	fputs(braces ? "}" : "", out);
}

/* The shortest words that say it: a direction needs no `host` or `net` behind it. */
static void print_addr(const struct test *test, FILE *out)
{
	if (test->direction == DIRECTION_ANY) {
		bool host = !test->list.set && test->list.n == 1 && prefix_is_host(&test->list.values[0].prefix);

		fputs(host ? "host " : "net ", out);
	}
	print_list(TEST_ADDR, &test->list, false, out);
}

static void print_port(const struct test *test, FILE *out)
{
	const union value *first = test->list.values;
	bool range = !test->list.set && test->list.n == 1 && first->range.lo != first->range.hi;

	fputs(range ? "portrange " : "port ", out);
	print_list(TEST_PORT, &test->list, false, out);
}

static void print_len(const struct test *test, FILE *out)
{
	const struct range *range = test->list.n ? &test->list.values[0].range : NULL;

	fputs("len ", out);
	if (test->list.set || test->list.n != 1 || range->lo == range->hi || (range->lo == 0) == (range->hi == UINT16_MAX))
		print_list(TEST_LEN, &test->list, false, out);
	else if (range->lo == 0)
		fprintf(out, "<= %" PRIu32, range->hi);
	else
		fprintf(out, "> %" PRIu32, range->lo - 1);
}

static void print_hex(const uint8_t *bytes, size_t len, FILE *out)
{
	fputs("0x", out);
	for (size_t i = 0; i < len; i++)
		fprintf(out, "%02x", bytes[i]);
}

static void print_payload(const struct test *test, FILE *out)
{
	bool masked = false;

	for (size_t i = 0; i < test->payload_len; i++)
		masked = masked || test->payload_mask[i] != 0xff;
	fprintf(out, "payload at %u", test->payload_at);
	if (masked) {
		fputs(" & ", out);
		print_hex(test->payload_mask, test->payload_len, out);
	}
	fputs(" = ", out);
	print_hex(test->payload_value, test->payload_len, out);
}

static void print_test(const struct test *test, FILE *out)
{
	static const char *const directions[] = { "", "src ", "dst ", "src and dst " };

	if (test->protocol)
		fprintf(out, "%s%s", test->protocol->word, test->kind == TEST_PROTOCOL ? "" : " ");
	fputs(directions[test->direction], out);
	switch (test->kind) {
	case TEST_PROTOCOL:
		break;
	case TEST_ADDR:
		print_addr(test, out);
		break;
	case TEST_PORT:
		print_port(test, out);
		break;
	case TEST_LEN:
		print_len(test, out);
		break;
	case TEST_PAYLOAD:
		print_payload(test, out);
		break;
	default:
		fputs(test->kind == TEST_PROTO	       ? "proto "
		      : test->kind == TEST_ETHER_PROTO ? "ether proto "
		      : test->kind == TEST_DNS_NAME    ? "dns name "
						       : "dns name under ",
		      out);
		print_list(test->kind, &test->list, false, out);
	}
}

/* Parentheses around every `and`, `or` within another: nobody should need to know that the two bind alike. */
static void print_expr(const struct expr *expr, bool inner, FILE *out)
{
	bool chain = expr->kind == EXPR_AND || expr->kind == EXPR_OR;

	if (expr->kind == EXPR_TEST) {
		print_test(expr->test, out);
		return;
	}
	fputs(expr->kind == EXPR_NOT ? "not " : inner ? "(" : "", out);
	for (size_t i = 0; i < expr->n; i++) {
		if (i)
			fputs(expr->kind == EXPR_AND ? " and " : " or ", out);
		print_expr(expr->children[i], true, out);
	}
	fputs(chain && inner ? ")" : "", out);
}

static void print_overload(const struct rule *rule, FILE *out)
{
	switch (rule->overload) {
	case OVERLOAD_PASS:
		fputs("overload pass ", out);
		break;
	case OVERLOAD_SAMPLE:
		fprintf(out, "overload pass 1/%" PRIu32 " ", rule->overload_n);
		break;
	case OVERLOAD_ALLOW:
		fputs("overload allow ", out);
		print_list(TEST_ADDR, &rule->overload_list, true, out);
		fputc(' ', out);
		break;
	default: /* drop, if nothing is said */
		break;
	}
}

static void print_rule(const struct rule *rule, FILE *out)
{
	fprintf(out, "%s ", action_names[rule->action]);
	print_overload(rule, out);
	print_expr(rule->match, false, out);
	if (rule->name)
		fprintf(out, " name %s", rule->name);
}

static void print_set(const struct set *set, FILE *out)
{
	fprintf(out, "set %s ", set->name);
	print_list(set->kind == LIST_PREFIXES ? TEST_ADDR : TEST_PORT, &set->list, true, out);
}

void statement_print(const struct statement *statement, FILE *out)
{
	switch (statement->kind) {
	case STATEMENT_SET:
		print_set(statement->set, out);
		break;
	case STATEMENT_RULE:
		print_rule(statement->rule, out);
		break;
	case STATEMENT_ON:
		fprintf(out, "on %s %s", condition_names[statement->condition], action_names[statement->action]);
		break;
	case STATEMENT_DEFAULT:
		fputs(action_names[statement->action], out);
		break;
	}
}

void rules_print(const struct rules *rules, FILE *out)
{
	unsigned line = 1;

	for (size_t i = 0; i < rules->n_statements; i++) {
		const struct statement *statement = rules->statements[i];

		if (i && statement->line == line)
			fputs("; ", out);
		for (; line < statement->line; line++)
			fputc('\n', out);
		statement_print(statement, out);
	}
	if (rules->n_statements)
		fputc('\n', out);
}

/* Bytes a terminal might act on become `?`, one each, so that the caret stays right. */
static void print_source_line(const struct rules_error *error, FILE *out)
{
	for (const char *c = error->text; *c; c++)
		fputc(*c == '\t' || (*c >= ' ' && *c < 0x7f) ? *c : '?', out);
	fputc('\n', out);
}

void rules_error_print(const struct rules_error *error, const char *severity, FILE *out)
{
	size_t at, len = strlen(error->text);

	if (error->line == 0) {
		fprintf(out, "%s: %s: %s\n", error->file, severity, error->message);
		return;
	}
	fprintf(out, "%s:%u:%u: %s: %s\n", error->file, error->line, error->col, severity, error->message);
	print_source_line(error, out);
	at = error->col - 1 - error->text_col;
	for (size_t i = 0; i < at && i < len; i++)
		fputc(error->text[i] == '\t' ? '\t' : ' ', out);
	fputc('^', out);
	for (size_t i = 1; i < error->width && at + i < len; i++)
		fputc('~', out);
	fputc('\n', out);
}
