/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/oracle.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "base/refuse.h"
#include "control/offline.h"

#define SNAPLEN 262144

struct comparison {
	struct oracle_rule rule;
	char *expression;
	struct bpf_program filter;
	unsigned long long counted; /* our counter before this packet */
};

struct oracle {
	struct offline offline;
	struct tally *tally;
	struct comparison *comparisons;
	size_t n;
};

static int comparison_open(const struct rules *rules, size_t index, pcap_t *pcap, struct comparison *comparison)
{
	size_t len;
	FILE *out = open_memstream(&comparison->expression, &len);
	int r;

	if (!out)
		return -ENOMEM;
	r = rules_print_tcpdump(rules, index, out, &comparison->rule.reason);
	if (fclose(out) != 0)
		return -ENOMEM;
	if (r < 0)
		return 0;
	if (pcap_compile(pcap, &comparison->filter, comparison->expression, 0, PCAP_NETMASK_UNKNOWN) < 0) {
		comparison->rule.reason = "libpcap does not compile its expression";
		return 0;
	}
	comparison->rule.expression = comparison->expression;
	return 0;
}

static int comparisons_open(struct oracle *oracle, const struct rules *rules, char *ret_message, size_t size)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, SNAPLEN);
	int r = pcap ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < oracle->n; i++)
		r = comparison_open(rules, i, pcap, &oracle->comparisons[i]);
	if (pcap)
		pcap_close(pcap);
	return r < 0 ? refuse(r, ret_message, size, "out of memory") : 0;
}

static int oracle_start(struct oracle *oracle, struct rules *rules, char *ret_message, size_t size)
{
	struct rules_error error = {};
	int r;

	oracle->n = rules_count(rules);
	oracle->tally = calloc(1, sizeof(*oracle->tally));
	oracle->comparisons = calloc(oracle->n + 1, sizeof(*oracle->comparisons));
	if (!oracle->tally || !oracle->comparisons)
		return refuse(-ENOMEM, ret_message, size, "out of memory");
	rules_count_alone(rules);
	r = offline_open(rules, &oracle->offline, &error);
	if (r < 0)
		return refuse(r, ret_message, size, "cannot build the image of rules alone: %s", error.message);
	return comparisons_open(oracle, rules, ret_message, size);
}

int oracle_open(struct rules *rules, struct oracle **ret_oracle, char *ret_message, size_t size)
{
	struct oracle *oracle = calloc(1, sizeof(*oracle));
	int r;

	if (!oracle)
		return refuse(-ENOMEM, ret_message, size, "out of memory");
	r = oracle_start(oracle, rules, ret_message, size);
	if (r < 0) {
		oracle_close(oracle);
		return r;
	}
	*ret_oracle = oracle;
	return 0;
}

struct oracle *oracle_close(struct oracle *oracle)
{
	if (!oracle)
		return NULL;
	for (size_t i = 0; oracle->comparisons && i < oracle->n; i++) {
		free(oracle->comparisons[i].expression);
		pcap_freecode(&oracle->comparisons[i].filter);
	}
	free(oracle->comparisons);
	free(oracle->tally);
	offline_close(&oracle->offline);
	free(oracle);
	return NULL;
}

static bool is_extension_header(uint8_t proto)
{
	return proto == PROTO_HOP_BY_HOP || proto == PROTO_ROUTING || proto == PROTO_FRAGMENT || proto == PROTO_AH ||
	       proto == PROTO_DEST_OPTIONS;
}

/* Does spillway-rules(5) say, under DIFFERENCES, that we read such a packet otherwise than tcpdump? */
static bool read_otherwise(const struct capture_frame *frame, const struct pkt *pkt)
{
	if (pkt->n_vlans || pkt->eth_type == ETH_TYPE_ARP)
		return true;
	if (pkt->family == FAMILY_IP6 && is_extension_header(frame->data[pkt->l3_off + 6]))
		return true;
	return pkt->condition == CONDITION_UNPARSED || pkt->condition == CONDITION_TRUNCATED;
}

void oracle_packet(struct oracle *oracle, const struct capture_frame *frame, oracle_differs differs, void *userdata)
{
	struct pcap_pkthdr header = { .caplen = frame->captured, .len = frame->wire_len };
	struct match match;
	struct pkt pkt;

	classify(&oracle->offline.classifier, frame->data, frame->len, true, oracle->tally, &pkt, &match);
	for (size_t i = 0; i < oracle->n; i++) {
		struct comparison *comparison = &oracle->comparisons[i];
		bool ours = oracle->tally->rules[i].packets != comparison->counted, theirs;

		comparison->counted += ours;
		if (!comparison->rule.expression)
			continue;
		theirs = pcap_offline_filter(&comparison->filter, &header, frame->data) != 0;
		comparison->rule.ours += ours;
		comparison->rule.theirs += theirs;
		if (ours == theirs)
			continue;
		comparison->rule.differ++;
		if (read_otherwise(frame, &pkt))
			comparison->rule.explained++;
		else
			differs(i, ours, userdata);
	}
}

const struct oracle_rule *oracle_rule(const struct oracle *oracle, size_t index)
{
	return &oracle->comparisons[index].rule;
}
