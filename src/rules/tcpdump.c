/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A rule's match as a tcpdump expression, so that libpcap can be asked the same question.
 *
 * Written out in the plainest primitives: no lists, no words taken over, the direction with each value. Addresses get `ip` or `ip6`
 * in front, as ours never look into ARP. What rules see behind VLAN tags and extension headers has no like in tcpdump, and the
 * expressions do not imitate it: see DIFFERENCES in spillway-rules(5).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "rules/literal.h"

#define TERMS_MAX 1000 /* libpcap recurses over its terms */

/* There is no word for no: two lengths that exclude each other. */
#define NEVER "less 1 and greater 2"

struct writer {
	FILE *out;
	unsigned terms;
	const char *reason; /* why there is no such expression, or NULL */
};

static void write_prefix(struct writer *writer, const char *direction, const struct prefix *prefix)
{
	const char *family = prefix->family == 4 ? "ip" : "ip6";
	char text[PREFIX_TEXT_MAX];

	prefix_to_text(prefix, text);
	if (prefix->len == 0)
		fputs(family, writer->out);
	else
		fprintf(writer->out, "%s %s%s %s", family, direction, prefix_is_host(prefix) ? "host" : "net", text);
}

static void write_number(struct writer *writer, const char *word, uint32_t lo, uint32_t hi)
{
	for (uint32_t number = lo; number <= hi; number++, writer->terms++)
		fprintf(writer->out, "%s%s %" PRIu32, number == lo ? "" : " or ", word, number);
}

static void write_protos(struct writer *writer, const struct protocol *protocol, const struct range *range)
{
	bool ip4 = !protocol || protocol->family == 4, ip6 = !protocol || protocol->family == 6;

	if (ip4)
		write_number(writer, "ip proto", range->lo, range->hi);
	if (ip4 && ip6)
		fputs(" or ", writer->out);
	if (ip6)
		write_number(writer, "ip6 proto", range->lo, range->hi);
}

static void write_ports(struct writer *writer, const char *direction, const struct range *range)
{
	if (range->lo == range->hi)
		fprintf(writer->out, "%sport %" PRIu32, direction, range->lo);
	else
		fprintf(writer->out, "%sportrange %" PRIu32 "-%" PRIu32, direction, range->lo, range->hi);
}

/* One value of a list, in one direction: "src ", "dst " or "". */
static void write_value(struct writer *writer, const struct test *test, const char *direction, const union value *value)
{
	const struct range *range = &value->range;

	switch (test->kind) {
	case TEST_ADDR:
		write_prefix(writer, direction, &value->prefix);
		break;
	case TEST_PORT:
		write_ports(writer, direction, range);
		break;
	case TEST_PROTO:
		write_protos(writer, test->protocol, range);
		break;
	case TEST_ETHER_PROTO:
		fprintf(writer->out, "ether proto 0x%04" PRIx32, range->lo);
		break;
	default: /* TEST_LEN */
		fprintf(writer->out, "(len >= %" PRIu32 " and len <= %" PRIu32 ")", range->lo, range->hi);
	}
	if (++writer->terms > TERMS_MAX)
		writer->reason = "too long an expression for libpcap";
}

/* Is any value of the list there, in this direction? */
static void write_list(struct writer *writer, const struct test *test, const char *direction)
{
	bool any = false;

	fputc('(', writer->out);
	for (size_t i = 0; i < list_count(&test->list) && !writer->reason; i++) {
		union value value = list_value(&test->list, i);

		if (!test_uses(test, &value))
			continue;
		fputs(any ? " or " : "", writer->out);
		write_value(writer, test, direction, &value);
		any = true;
	}
	fputs(any ? ")" : NEVER ")", writer->out);
}

static void write_directions(struct writer *writer, const struct test *test)
{
	switch (test->direction) {
	case DIRECTION_SRC:
		write_list(writer, test, "src ");
		break;
	case DIRECTION_DST:
		write_list(writer, test, "dst ");
		break;
	case DIRECTION_BOTH:
		write_list(writer, test, "src ");
		fputs(" and ", writer->out);
		write_list(writer, test, "dst ");
		break;
	default:
		write_list(writer, test, "");
	}
}

static void write_protocol(struct writer *writer, const struct protocol *protocol)
{
	if (strcmp(protocol->word, "gre") == 0)
		fprintf(writer->out, "(ip proto %d or ip6 proto %d)", protocol->l4_proto, protocol->l4_proto);
	else
		fputs(protocol->word, writer->out);
}

/* Why tcpdump has no word for the question, or NULL. */
static const char *not_said(const struct test *test)
{
	if (test->list.set && test->list.set->kind == LIST_TUPLES)
		return "tcpdump has no sets of tuples";
	switch (test->kind) {
	case TEST_PROTOCOL:
	case TEST_ADDR:
	case TEST_PORT:
	case TEST_PROTO:
	case TEST_ETHER_PROTO:
	case TEST_LEN:
		return NULL;
	case TEST_PAYLOAD:
		return "tcpdump counts from the start of a header, not from the payload";
	default:
		return "tcpdump has no word for one of its questions";
	}
}

static void write_test(struct writer *writer, const struct test *test)
{
	writer->reason = not_said(test);
	if (writer->reason)
		return;
	if (test->protocol)
		write_protocol(writer, test->protocol);
	if (test->kind == TEST_PROTOCOL)
		return;
	fputs(test->protocol ? " and " : "", writer->out);
	write_directions(writer, test);
}

static void write_expr(struct writer *writer, const struct expr *expr)
{
	if (expr->kind == EXPR_TEST)
		write_test(writer, expr->test);
	for (size_t i = 0; i < expr->n && !writer->reason; i++) {
		if (i)
			fputs(expr->kind == EXPR_AND ? " and " : " or ", writer->out);
		fputs(expr->kind == EXPR_NOT ? "not (" : "(", writer->out);
		write_expr(writer, expr->children[i]);
		fputc(')', writer->out);
	}
}

int rules_print_tcpdump(const struct rules *rules, size_t index, FILE *out, const char **ret_reason)
{
	struct writer writer = { .out = out };

	write_expr(&writer, rules->rules[index]->match);
	if (!writer.reason)
		return 0;
	*ret_reason = writer.reason;
	return -EOPNOTSUPP;
}

void rules_count_alone(struct rules *rules)
{
	for (size_t i = 0; i < rules->n_rules; i++) {
		rules->rules[i]->action = ACTION_COUNT;
		rules->rules[i]->overload = OVERLOAD_DROP;
	}
}
