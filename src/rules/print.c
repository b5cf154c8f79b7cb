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

static void print_named(enum vocabulary vocabulary, const struct range *range, FILE *out)
{
	const char *word = range->lo == range->hi ? vocabulary_word(vocabulary, range->lo) : NULL;

	if (word)
		fputs(word, out);
	else
		print_range(range, out);
}

static void print_flags(const struct range *range, bool in_braces, FILE *out)
{
	char set[FLAGS_TEXT_MAX], mask[FLAGS_TEXT_MAX];

	flags_to_text(range->lo, in_braces ? '+' : ',', set);
	flags_to_text(range->hi, in_braces ? '+' : ',', mask);
	fprintf(out, "%s/%s", set, mask);
}

/* TYPE, TYPE/CODE, TYPE/CODE-CODE or TYPE-TYPE */
static void print_icmp_type(const struct range *range, bool ip6, FILE *out)
{
	struct range types = { range->lo >> 8, range->hi >> 8 }, codes = { range->lo & 0xff, range->hi & 0xff };

	print_named(ip6 ? VOCABULARY_ICMP6 : VOCABULARY_ICMP, &types, out);
	if (codes.lo == 0 && codes.hi == UINT8_MAX)
		return;
	fputc('/', out);
	print_range(&codes, out);
}

static void print_mac(const struct mac *mac, FILE *out)
{
	for (int i = 0; i < 6; i++)
		fprintf(out, "%s%02x", i ? ":" : "", mac->addr[i]);
}

static void print_tuple(const struct tuple *tuple, FILE *out)
{
	struct range proto = { tuple->proto, tuple->proto }, ports = { tuple->port_lo, tuple->port_hi };
	char text[PREFIX_TEXT_MAX];

	prefix_to_text(&tuple->prefix, text);
	fprintf(out, "%s . ", text);
	print_named(VOCABULARY_PROTO, &proto, out);
	fputs(" . ", out);
	if (ports.lo == 0 && ports.hi == UINT16_MAX)
		fputs("any", out);
	else
		print_range(&ports, out);
}

static void print_value(const struct test *test, const union value *value, bool in_braces, FILE *out)
{
	char text[PREFIX_TEXT_MAX];

	switch (test->kind) {
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
	case TEST_ETHER_ADDR:
		print_mac(&value->mac, out);
		break;
	case TEST_PROTO:
		print_named(VOCABULARY_PROTO, &value->range, out);
		break;
	case TEST_DSCP:
		print_named(VOCABULARY_DSCP, &value->range, out);
		break;
	case TEST_FLAGS:
		print_flags(&value->range, in_braces, out);
		break;
	case TEST_ICMP_TYPE:
		print_icmp_type(&value->range, test->protocol->family == 6, out);
		break;
	case TEST_FRAG:
		print_named(VOCABULARY_FRAG, &value->range, out);
		break;
	case TEST_DNS_TYPE:
		print_named(VOCABULARY_DNS_TYPE, &value->range, out);
		break;
	default:
		print_range(&value->range, out);
	}
}

void value_print(const struct test *test, const union value *value, FILE *out)
{
	print_value(test, value, true, out);
}

/* One value stands alone. */
static void print_list(const struct test *test, FILE *out)
{
	const struct list *list = &test->list;
	bool braces = list->n != 1;

	if (list->set) {
		fprintf(out, "@%s", list->set->name);
		return;
	}
	fputs(braces ? "{" : "", out);
	for (size_t i = 0; i < list->n; i++) {
		fputs(i ? ", " : "", out);
		print_value(test, &list->values[i], braces, out);
	}
	fputs(braces ? "}" : "", out);
}

/* The shortest words that say it: a direction needs no `host` or `net` behind it, but a set of tuples needs a direction. */
static void print_addr(const struct test *test, FILE *out)
{
	const struct set *set = test->list.set;

	if (test->direction == DIRECTION_ANY && set && set->kind == LIST_TUPLES) {
		fputs("src or dst ", out);
	} else if (test->direction == DIRECTION_ANY) {
		bool host = !set && test->list.n == 1 && prefix_is_host(&test->list.values[0].prefix);

		fputs(host ? "host " : "net ", out);
	}
	print_list(test, out);
}

static void print_port(const struct test *test, FILE *out)
{
	const union value *first = test->list.values;
	bool range = !test->list.set && test->list.n == 1 && first->range.lo != first->range.hi;

	fputs(range ? "portrange " : "port ", out);
	print_list(test, out);
}

/* A range up to an end of what the field can hold is a comparison. */
static void print_field(const struct test *test, uint32_t max, FILE *out)
{
	const struct range *range = test->list.n ? &test->list.values[0].range : NULL;

	if (test->list.set || test->list.n != 1 || range->lo == range->hi || (range->lo == 0) == (range->hi == max))
		print_list(test, out);
	else if (range->lo == 0)
		fprintf(out, "<= %" PRIu32, range->hi);
	else
		fprintf(out, "> %" PRIu32, range->lo - 1);
}

/* Every VLAN is what the bare word says. */
static void print_vlan(const struct test *test, FILE *out)
{
	const union value *first = test->list.values;

	if (!test->list.set && test->list.n == 1 && first->range.lo == 0 && first->range.hi == 4095) {
		fputs("vlan", out);
		return;
	}
	fputs("vlan ", out);
	print_list(test, out);
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

static const struct {
	const char *words; /* in front of the values */
	uint32_t max;	   /* of a field that is compared; 0: it is not */
} test_words[TEST_KIND_COUNT] = {
	[TEST_PROTO] = { "proto ", 0 },	      [TEST_ETHER_PROTO] = { "ether proto ", 0 },
	[TEST_LEN] = { "len ", UINT16_MAX },  [TEST_IP_LEN] = { "len ", UINT16_MAX },
	[TEST_TTL] = { "ttl ", UINT8_MAX },   [TEST_DSCP] = { "dscp ", 63 },
	[TEST_FLAGS] = { "flags ", 0 },	      [TEST_ICMP_TYPE] = { "type ", 0 },
	[TEST_ICMP_CODE] = { "code ", 0 },    [TEST_FRAG] = { "frag ", 0 },
	[TEST_DNS_NAME] = { "dns name ", 0 }, [TEST_DNS_UNDER] = { "dns name under ", 0 },
	[TEST_DNS_TYPE] = { "dns type ", 0 },
};

static void print_test(const struct test *test, FILE *out)
{
	static const char *const directions[] = { "", "src ", "dst ", "src and dst " };

	if (test->protocol)
		fprintf(out, "%s%s", test->protocol->word, test->kind == TEST_PROTOCOL ? "" : " ");
	if (test->kind == TEST_ETHER_ADDR)
		fputs(test->direction == DIRECTION_ANY ? "ether host " : "ether ", out);
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
	case TEST_PAYLOAD:
		print_payload(test, out);
		break;
	case TEST_OPTIONS:
		fputs("options", out);
		break;
	case TEST_ETHER_ADDR:
		print_list(test, out);
		break;
	case TEST_VLAN:
		print_vlan(test, out);
		break;
	case TEST_DNS_VALID:
		fputs("dns valid", out);
		break;
	case TEST_BPF:
		fprintf(out, "bpf \"%s\"", test->bpf_text);
		break;
	default:
		fputs(test_words[test->kind].words, out);
		if (test_words[test->kind].max)
			print_field(test, test_words[test->kind].max, out);
		else
			print_list(test, out);
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

static void print_overload_list(const struct list *list, FILE *out)
{
	if (list->set) {
		fprintf(out, "@%s", list->set->name);
		return;
	}
	fputs("{", out);
	for (size_t i = 0; i < list->n; i++) {
		char text[PREFIX_TEXT_MAX];

		prefix_to_text(&list->values[i].prefix, text);
		fprintf(out, "%s%s", i ? ", " : "", text);
	}
	fputs("}", out);
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
		print_overload_list(&rule->overload_list, out);
		fputc(' ', out);
		break;
	default: /* drop, if nothing is said */
		break;
	}
}

static void print_scaled(uint64_t number, FILE *out)
{
	static const char suffixes[] = " kMG";
	unsigned scale = 0;

	for (; scale < 3 && number % 1000 == 0; scale++)
		number /= 1000;
	fprintf(out, "%" PRIu64 "%.*s ", number, scale ? 1 : 0, suffixes + scale);
}

static void print_limit(const struct rule *rule, FILE *out)
{
	print_scaled(rule->rate, out);
	fputs(rule->unit == LIMIT_PPS ? "pps " : "bps ", out);
	if (rule->burst) {
		fputs("burst ", out);
		print_scaled(rule->burst, out);
	}
	if (rule->per != LIMIT_PER_NONE)
		fprintf(out, "per %s/%u/%u ", rule->per == LIMIT_PER_SRC ? "src" : "dst", rule->per_len4, rule->per_len6);
}

/* What stands between the action and the match. */
static void print_action(const struct rule *rule, FILE *out)
{
	fprintf(out, "%s ", action_names[rule->action]);
	if (rule->action == ACTION_LIMIT)
		print_limit(rule, out);
	if (rule->action == ACTION_SAMPLE)
		fprintf(out, "1/%" PRIu32 " ", rule->sample_n);
	if (rule->action != ACTION_DIVERT)
		return;
	if (rule->queue >= 0)
		fprintf(out, "queue %d ", rule->queue);
	if (rule->program)
		fprintf(out, "to %s ", rule->program);
	print_overload(rule, out);
}

static void print_ttl(uint32_t ttl_s, FILE *out)
{
	char text[DURATION_TEXT_MAX];

	duration_to_text(ttl_s, text);
	fprintf(out, " ttl %s", text);
}

static void print_rule(const struct rule *rule, FILE *out)
{
	print_action(rule, out);
	print_expr(rule->match, false, out);
	if (rule->name)
		fprintf(out, " name %s", rule->name);
	if (rule->ttl_s)
		print_ttl(rule->ttl_s, out);
	if (rule->log)
		fputs(" log", out);
}

static void print_set_item(const struct set *set, size_t index, FILE *out)
{
	char text[PREFIX_TEXT_MAX];

	switch (set->kind) {
	case LIST_PREFIXES:
		prefix_to_text(&set->prefixes[index], text);
		fputs(text, out);
		break;
	case LIST_TUPLES:
		print_tuple(&set->tuples[index], out);
		break;
	case LIST_NAMES:
		print_name(&set->names[index], out);
		break;
	default:
		print_range(&set->ranges[index], out);
	}
	if (set->ttls_s && set->ttls_s[index])
		print_ttl(set->ttls_s[index], out);
}

static void print_set(const struct set *set, FILE *out)
{
	fprintf(out, "set %s", set->name);
	if (set->typed || set->kind == LIST_NAMES)
		fprintf(out, " type %s", list_kind_names[set->kind]);
	if (set->ttl_s)
		print_ttl(set->ttl_s, out);
	if (set->size)
		fprintf(out, " size %" PRIu32, set->size);
	fputs(" {", out);
	for (size_t i = 0; i < set->n; i++) {
		fputs(i ? ", " : "", out);
		print_set_item(set, i, out);
	}
	fputs("}", out);
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
