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

static void write_tuple(struct writer *writer, const char *direction, const struct tuple *tuple)
{
	struct range ports = { tuple->port_lo, tuple->port_hi };

	fprintf(writer->out, "(%s proto %u and ", tuple->prefix.family == 4 ? "ip" : "ip6", tuple->proto);
	write_prefix(writer, direction, &tuple->prefix);
	if (ports.lo || ports.hi < UINT16_MAX) {
		fputs(" and ", writer->out);
		write_ports(writer, direction, &ports);
	}
	fputc(')', writer->out);
}

/* Bytes of a header lie in a range. IPv6's are counted from the start of its header: tcpdump looks behind no other. */
static void write_between(struct writer *writer, const char *bytes, uint32_t lo, uint32_t hi)
{
	fprintf(writer->out, "(%s >= %" PRIu32 " and %s <= %" PRIu32 ")", bytes, lo, bytes, hi);
}

static void write_ttl(struct writer *writer, const struct range *range)
{
	write_between(writer, "ip[8]", range->lo, range->hi);
	fputs(" or ", writer->out);
	write_between(writer, "ip6[7]", range->lo, range->hi);
}

static void write_dscp(struct writer *writer, const struct range *range)
{
	write_between(writer, "ip[1] & 0xfc", range->lo << 2, range->hi << 2);
	fputs(" or ", writer->out);
	write_between(writer, "ip6[0:2] & 0xfc0", range->lo << 6, range->hi << 6);
}

static void write_flags(struct writer *writer, const struct range *range)
{
	fprintf(writer->out, "tcp[12:2] & 0x%" PRIx32 " = 0x%" PRIx32, range->hi, range->lo);
	fprintf(writer->out, " or (ip6[6] = 6 and ip6[52:2] & 0x%" PRIx32 " = 0x%" PRIx32 ")", range->hi, range->lo);
}

static void write_frag(struct writer *writer, uint32_t bits)
{
	static const struct {
		uint32_t bit;
		const char *words;
	} parts[] = {
		{ FRAG_NONE, "ip[6:2] & 0x3fff = 0 or ip6" }, { FRAG_FIRST, "ip[6:2] & 0x3fff = 0x2000" },
		{ FRAG_LATER, "ip[6:2] & 0x1fff != 0" },      { FRAG_LAST, "(ip[6:2] & 0x1fff != 0 and ip[6:2] & 0x2000 = 0)" },
		{ FRAG_DF, "ip[6:2] & 0x4000 != 0" },
	};
	const char *joint = "";

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (!(bits & parts[i].bit))
			continue;
		fprintf(writer->out, "%s%s", joint, parts[i].words);
		joint = " or ";
	}
}

/* The word `vlan` would move everything behind it. */
static void write_vlan(struct writer *writer, unsigned tag, const struct range *range)
{
	static const char *const identifiers[] = { "ether[14:2] & 0xfff", "ether[18:2] & 0xfff" };

	fputc('(', writer->out);
	for (unsigned i = 0; i <= tag; i++) {
		unsigned at = 12 + 4 * i;

		fprintf(writer->out, "(ether[%u:2] = 0x8100 or ether[%u:2] = 0x88a8 or ether[%u:2] = 0x9100) and ", at, at, at);
	}
	write_between(writer, identifiers[tag & 1], range->lo, range->hi);
	fputc(')', writer->out);
}

static void write_mac(struct writer *writer, const char *direction, const struct mac *mac)
{
	fprintf(writer->out, "ether %s", *direction ? direction : "host ");
	for (int i = 0; i < 6; i++)
		fprintf(writer->out, "%s%02x", i ? ":" : "", mac->addr[i]);
}

/* One value of a list, in one direction: "src ", "dst " or "". */
static void write_value(struct writer *writer, const struct test *test, const char *direction, const union value *value)
{
	const struct range *range = &value->range;

	switch (test->kind) {
	case TEST_ADDR:
		if (test->list.set && test->list.set->kind == LIST_TUPLES)
			write_tuple(writer, direction, &value->tuple);
		else
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
	case TEST_IP_LEN:
		write_between(writer, test->protocol->family == 4 ? "ip[2:2]" : "(ip6[4:2] + 40)", range->lo, range->hi);
		break;
	case TEST_TTL:
		write_ttl(writer, range);
		break;
	case TEST_DSCP:
		write_dscp(writer, range);
		break;
	case TEST_FLAGS:
		write_flags(writer, range);
		break;
	case TEST_ICMP_TYPE:
		write_between(writer, test->protocol->family == 4 ? "icmp[0:2]" : "ip6[40:2]", range->lo, range->hi);
		break;
	case TEST_ICMP_CODE:
		write_between(writer, test->protocol->family == 4 ? "icmp[1]" : "ip6[41]", range->lo, range->hi);
		break;
	case TEST_FRAG:
		write_frag(writer, range->lo);
		break;
	case TEST_ETHER_ADDR:
		write_mac(writer, direction, &value->mac);
		break;
	case TEST_VLAN:
		write_vlan(writer, test->vlan_tag, range);
		break;
	default: /* TEST_LEN */
		write_between(writer, "len", range->lo, range->hi);
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
	bool one_sided = test->list.set && test->list.set->kind == LIST_TUPLES; /* address and port are of the same side */

	if (test->direction == DIRECTION_ANY && !one_sided) {
		write_list(writer, test, "");
		return;
	}
	if (test->direction == DIRECTION_ANY)
		fputc('(', writer->out);
	if (test->direction != DIRECTION_DST)
		write_list(writer, test, "src ");
	if (test->direction == DIRECTION_ANY || test->direction == DIRECTION_BOTH)
		fputs(test->direction == DIRECTION_ANY ? " or " : " and ", writer->out);
	if (test->direction != DIRECTION_SRC)
		write_list(writer, test, "dst ");
	if (test->direction == DIRECTION_ANY)
		fputc(')', writer->out);
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
	if (test_is_deep(test))
		return "asks what only the user tier answers";
	switch (test->kind) {
	case TEST_PROTOCOL:
	case TEST_ADDR:
	case TEST_PORT:
	case TEST_PROTO:
	case TEST_ETHER_PROTO:
	case TEST_LEN:
	case TEST_IP_LEN:
	case TEST_TTL:
	case TEST_DSCP:
	case TEST_FLAGS:
	case TEST_ICMP_TYPE:
	case TEST_ICMP_CODE:
	case TEST_FRAG:
	case TEST_OPTIONS:
	case TEST_ETHER_ADDR:
	case TEST_VLAN:
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
	if (test->kind == TEST_OPTIONS)
		fputs(test->protocol->family == 4 ? "ip[0] & 0xf > 5" : "(ip6[6] = 0 or ip6[6] = 60)", writer->out);
	else
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
