/* SPDX-License-Identifier: BSD-2-Clause */
#include "rules_model.h"

#include <pcap/pcap.h>
#include <string.h>

static bool model_addr(const struct prefix *prefix, const struct pkt *pkt, const __u64 addr_words[2])
{
	const uint8_t *addr = (const uint8_t *)addr_words;

	if (pkt->family != prefix->family)
		return false;
	for (unsigned bit = 0; bit < prefix->len; bit++)
		if ((addr[bit / 8] ^ prefix->addr[bit / 8]) & 0x80u >> bit % 8)
			return false;
	return true;
}

static bool model_in(const struct range *range, uint32_t number)
{
	return range->lo <= number && number <= range->hi;
}

static bool model_value_side(const struct test *test, const union value *value, const struct model_frame *frame, bool src)
{
	const struct pkt *pkt = &frame->pkt;
	const __u64 *addr = src ? pkt->src : pkt->dst;
	uint32_t port = src ? pkt->src_port : pkt->dst_port;

	if (test->kind == TEST_ETHER_ADDR)
		return pkt->frame_len >= 14 && !memcmp(value->mac.addr, frame->data + (src ? 6 : 0), 6);
	if (test->kind == TEST_PORT)
		return pkt->has_ports && model_in(&value->range, port);
	if (!model_addr(&value->prefix, pkt, addr))
		return false;
	if (!test->list.set || test->list.set->kind != LIST_TUPLES)
		return true;
	if (pkt->l4_proto != value->tuple.proto)
		return false;
	if (value->tuple.port_lo == 0 && value->tuple.port_hi == 65535)
		return true;
	return pkt->has_ports && value->tuple.port_lo <= port && port <= value->tuple.port_hi;
}

static bool model_side(const struct test *test, const struct model_frame *frame, bool src)
{
	for (size_t i = 0; i < list_count(&test->list); i++) {
		union value value = list_value(&test->list, i);

		if (model_value_side(test, &value, frame, src))
			return true;
	}
	return false;
}

static bool model_directions(const struct test *test, const struct model_frame *frame)
{
	bool src = model_side(test, frame, true), dst = model_side(test, frame, false);

	switch (test->direction) {
	case DIRECTION_SRC:
		return src;
	case DIRECTION_DST:
		return dst;
	case DIRECTION_BOTH:
		return src && dst;
	default:
		return src || dst;
	}
}

static bool model_numbers(const struct test *test, uint32_t number)
{
	for (size_t i = 0; i < list_count(&test->list); i++) {
		union value value = list_value(&test->list, i);

		if (model_in(&value.range, number))
			return true;
	}
	return false;
}

static bool model_flags(const struct test *test, const struct pkt *pkt)
{
	for (size_t i = 0; i < test->list.n; i++) {
		const struct range *range = &test->list.values[i].range;

		for (uint32_t bit = 1;; bit <<= 1) {
			if (bit > 0xfff)
				return true;
			if (range->hi & bit && (pkt->l4_word & bit) != (range->lo & bit))
				break;
		}
	}
	return false;
}

static bool model_frag(const struct test *test, const struct pkt *pkt)
{
	for (size_t i = 0; i < test->list.n; i++)
		if (test->list.values[i].range.lo & pkt->frag)
			return true;
	return false;
}

static bool model_header(const struct test *test, const struct pkt *pkt)
{
	switch (test->kind) {
	case TEST_TTL:
		return pkt->family && model_numbers(test, pkt->ttl);
	case TEST_DSCP:
		return pkt->family && model_numbers(test, pkt->dscp);
	case TEST_IP_LEN:
		return pkt->family && model_numbers(test, pkt->l3_end - pkt->l3_off);
	case TEST_FLAGS:
		return pkt->has_l4 && model_flags(test, pkt);
	case TEST_ICMP_TYPE:
		return pkt->has_l4 && model_numbers(test, pkt->l4_word);
	case TEST_ICMP_CODE:
		return pkt->has_l4 && model_numbers(test, pkt->l4_word & 255);
	case TEST_FRAG:
		return model_frag(test, pkt);
	case TEST_VLAN:
		return pkt->n_vlans > test->vlan_tag && model_numbers(test, pkt->vlan[test->vlan_tag]);
	default:
		return pkt->options;
	}
}

static bool model_payload(const struct test *test, const struct model_frame *frame)
{
	const struct pkt *pkt = &frame->pkt;

	if (!pkt->payload_off || pkt->payload_off + (uint32_t)test->payload_at + test->payload_len > pkt->l3_end)
		return false;
	for (unsigned i = 0; i < test->payload_len; i++)
		if ((frame->data[pkt->payload_off + test->payload_at + i] & test->payload_mask[i]) != test->payload_value[i])
			return false;
	return true;
}

/* Label by label, from the root. */
static bool model_name(const struct model_frame *frame, const struct wire_name *want, bool under)
{
	unsigned starts[2][128], n[2] = { 0, 0 };
	const uint8_t *names[2] = { frame->name, want->bytes };

	for (int which = 0; which < 2; which++)
		for (unsigned at = 0; names[which][at]; at += 1u + names[which][at])
			starts[which][n[which]++] = at;
	if (n[0] < n[1] || (!under && n[0] != n[1]))
		return false;
	for (unsigned i = 1; i <= n[1]; i++) {
		const uint8_t *a = frame->name + starts[0][n[0] - i], *b = want->bytes + starts[1][n[1] - i];

		if (*a != *b || memcmp(a, b, 1u + *a))
			return false;
	}
	return true;
}

static bool model_names(const struct test *test, const struct model_frame *frame)
{
	for (size_t i = 0; i < list_count(&test->list) && frame->name_len; i++) {
		union value value = list_value(&test->list, i);

		if (model_name(frame, &value.name, test->kind == TEST_DNS_UNDER))
			return true;
	}
	return false;
}

static bool model_deep(const struct test *test, const struct model_frame *frame)
{
	switch (test->kind) {
	case TEST_BPF:
		return bpf_filter((const struct bpf_insn *)test->insns, frame->data, frame->pkt.frame_len, frame->len) != 0;
	case TEST_DNS_VALID:
		return frame->type >= 0;
	case TEST_DNS_TYPE:
		return frame->type >= 0 && model_numbers(test, (uint32_t)frame->type);
	default:
		return model_names(test, frame);
	}
}

static bool model_protocol(const struct protocol *protocol, const struct pkt *pkt)
{
	if (protocol->family && pkt->family != protocol->family)
		return false;
	if (protocol->l4_proto >= 0 && (!pkt->family || pkt->l4_proto != protocol->l4_proto))
		return false;
	return !protocol->eth_type || pkt->eth_type == protocol->eth_type;
}

static bool model_test(const struct test *test, const struct model_frame *frame, bool diverted)
{
	const struct pkt *pkt = &frame->pkt;

	if (test->protocol && !model_protocol(test->protocol, pkt))
		return false;
	switch (test->kind) {
	case TEST_PROTOCOL:
		return true;
	case TEST_ADDR:
	case TEST_PORT:
	case TEST_ETHER_ADDR:
		return model_directions(test, frame);
	case TEST_PROTO:
		return pkt->family && model_numbers(test, pkt->l4_proto);
	case TEST_ETHER_PROTO:
		return model_numbers(test, pkt->eth_type);
	case TEST_LEN:
		return model_numbers(test, pkt->frame_len);
	case TEST_PAYLOAD:
		return model_payload(test, frame);
	default:
		return test_is_deep(test) ? diverted && model_deep(test, frame) : model_header(test, pkt);
	}
}

static bool model_expr(const struct expr *expr, const struct model_frame *frame, bool diverted)
{
	if (expr->kind == EXPR_TEST)
		return model_test(expr->test, frame, diverted);
	if (expr->kind == EXPR_NOT)
		return !model_expr(expr->children[0], frame, diverted);
	for (size_t i = 0; i < expr->n; i++)
		if (model_expr(expr->children[i], frame, diverted) == (expr->kind == EXPR_OR))
			return expr->kind == EXPR_OR;
	return expr->kind == EXPR_AND;
}

void model_run(const struct rules *rules, const struct model_frame *frame, struct match *ret_match, uint32_t *hits)
{
	enum rule_action policy = rules->policy[frame->pkt.condition];

	*ret_match = (struct match){ .rule = IMAGE_NO_RULE };
	for (size_t i = 0; i < rules->n_rules; i++) {
		const struct rule *rule = rules->rules[i];

		if (!model_expr(rule->match, frame, ret_match->diverted))
			continue;
		hits[i]++;
		if (rule->action == ACTION_DIVERT) {
			ret_match->diverted = 1;
			ret_match->divert_rule = (uint32_t)i;
		} else if (!rule_goes_on(rule)) {
			ret_match->action = (uint8_t)rule->action;
			ret_match->rule = (uint32_t)i;
			return;
		}
	}
	ret_match->condition = frame->pkt.condition;
	ret_match->action = (uint8_t)(ret_match->condition && policy ? policy : rules->default_action);
}

bool model_listed(const struct rule *rule, const struct pkt *pkt)
{
	for (size_t i = 0; i < list_count(&rule->overload_list); i++) {
		union value value = list_value(&rule->overload_list, i);

		if (model_addr(&value.prefix, pkt, pkt->src))
			return true;
	}
	return false;
}
