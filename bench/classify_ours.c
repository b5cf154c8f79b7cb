/* SPDX-License-Identifier: BSD-2-Clause */
#include "classify_ours.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "classify/batch.h"
#include "classify/match_offline.h"
#include "rules/rules.h"

/* No rule here asks for bytes of the frame, and what a hit costs to count is not what rte_acl is compared with. */
struct match_env {
	int none;
};

static __always_inline int match_load(const struct match_env *env, __u32 off, void *to, __u32 len)
{
	(void)env, (void)off, (void)to, (void)len;
	return -1;
}

static __always_inline void match_hit(const struct match_env *env, __u32 counter, __u32 bytes)
{
	(void)env, (void)counter, (void)bytes;
}

static __always_inline int match_set(const struct match_env *env, const struct image_step *step, const struct pkt *pkt)
{
	(void)env, (void)step, (void)pkt;
	return 0;
}

static __always_inline enum deep_answer match_deep(const struct match_env *env, const struct image *image,
						   const struct image_step *step, const struct pkt *pkt)
{
	(void)env, (void)image, (void)step, (void)pkt;
	return DEEP_NO;
}

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static int ours_build(struct ours *ours, const char *text, size_t len, struct rules_error *error)
{
	struct rules *rules;
	double start = now_ms();
	int r = rules_parse(text, len, "classbench", &rules, error);

	if (r)
		return r;
	ours->parse_ms = now_ms() - start;
	ours->n_rules = rules_count(rules);
	start = now_ms();
	r = image_build(rules, 1, NULL, &ours->image, error);
	ours->build_ms = now_ms() - start;
	if (!r)
		r = keys_new(ours->image, &ours->keys);
	if (!r)
		ours->bytes = ours->image->bytes + keys_bytes(ours->keys);
	rules_free(rules);
	return r;
}

int ours_new(const struct filter_set *set, struct ours **ret_ours, char ret_error[512])
{
	struct rules_error error = { .message = "out of memory" };
	struct ours *ours = calloc(1, sizeof(*ours));
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int r = -ENOMEM;

	if (out) {
		filter_set_print_rules(set, out);
		if (!fclose(out) && ours)
			r = ours_build(ours, text, len, &error);
	}
	free(text);
	if (r) {
		snprintf(ret_error, 512, "%s", error.message);
		ours_free(ours);
	} else {
		*ret_ours = ours;
	}
	return r;
}

struct ours *ours_free(struct ours *ours)
{
	if (ours) {
		keys_free(ours->keys);
		image_free(ours->image);
	}
	free(ours);
	return NULL;
}

static size_t frame_fill_ip(uint8_t ip, const struct five_tuple *header, uint8_t *frame, size_t l4_len)
{
	struct iphdr ip4 = {
		.version = 4, .ihl = 5, .ttl = 64, .tot_len = htons((uint16_t)(sizeof(ip4) + l4_len)), .protocol = header->proto
	};
	struct ip6_hdr ip6 = { .ip6_flow = htonl(6u << 28), .ip6_plen = htons((uint16_t)l4_len), .ip6_nxt = header->proto };

	frame[12] = ip == 4 ? 0x08 : 0x86;
	frame[13] = ip == 4 ? 0x00 : 0xdd;
	if (ip == 4) {
		memcpy(&ip4.saddr, header->src, 4);
		memcpy(&ip4.daddr, header->dst, 4);
		memcpy(frame + 14, &ip4, sizeof(ip4));
		return 14 + sizeof(ip4);
	}
	memcpy(&ip6.ip6_src, header->src, 16);
	memcpy(&ip6.ip6_dst, header->dst, 16);
	memcpy(frame + 14, &ip6, sizeof(ip6));
	return 14 + sizeof(ip6);
}

void ours_pkt_fill(uint8_t ip, const struct five_tuple *header, struct pkt *ret_pkt)
{
	uint8_t frame[128] = { 0 };
	struct tcphdr tcp = { .source = htons(header->src_port), .dest = htons(header->dst_port), .doff = 5 };
	size_t off = frame_fill_ip(ip, header, frame, sizeof(tcp));

	if (header->has_ports)
		memcpy(frame + off, &tcp, sizeof(tcp)); /* the ports of UDP and SCTP are at the same place */
	parse_frame(frame, frame + off + sizeof(tcp), ret_pkt);
}

void ours_classify(const struct ours *ours, const struct pkt *pkts, uint32_t n, struct match *ret_matches)
{
	struct match_env env = { 0 };
	uint64_t found[OURS_BATCH];

	keys_find(ours->keys, pkts, n, found);
	for (uint32_t i = 0; i < n; i++)
		batch_run(&env, ours->keys, &pkts[i], found[i], 0, &ret_matches[i]);
}

uint32_t ours_result(const struct ours *ours, const struct match *match)
{
	return match->rule < ours->n_rules ? match->rule + 1 : 0;
}
