/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a frame, against a rule set that asks every kind of question. The parser stays inside the frame (a sanitizer sees
 * the rest) and its findings agree with each other; the XDP tier, where it decides, decides as the user tier would.
 *
 * The first byte chooses: `!` takes the bytes behind it as changes to the image: pairs of place and value. An image that
 * image_check() still takes, its checksum made good, must lead a reader nowhere else, whatever it says.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "classify/classify.h"
#include "classify/match.h"
#include "classify/set_field.h"
#include "control/offline.h"
#include "replay.h"
#include "rules/rules.h"

#define WILD_BYTES 4 /* of the image, of the fuzzer's own making */

static const char rules_text[] =
	"set mixed { 192.0.2.0/24, 2001:db8::/32 }\n"
	"set ports { 53, 1000-2000 }; set names type names { flood.example, torture.example }\n"
	"set services { 192.0.2.0/24 . tcp . 80, ::/0 . udp . 1-100, 10.0.0.0/8 . icmp . any }\n"
	"count udp or tcp or sctp\n"
	"count ip src 10.0.0.0/8 or ip6 dst @mixed\n"
	"count ether proto 0x88cc or arp\n"
	"count tcp dst port {22, 80-443} or not src port 1024\n"
	"count len 60-1000 and proto {1, 58}\n"
	"count payload at 0 = 0x00 or payload at 9 & 0xf0ff = 0x1011 or payload at 1023 = 0x0102030405060708090a0b0c0d0e0f10\n"
	"allow src @mixed and icmp\n"
	"divert overload allow @mixed udp dst port 53\n"
	"divert overload pass 1/2 tcp and len > 100\n"
	"drop dns name under flood.example name torture\n"
	"count not dns name {www.example.org, example} and dst net 2001:db8::/33\n"
	"count ttl < 5 or dscp ef or frag {first, last, df} or ip options or ip6 options\n"
	"count tcp flags syn/syn,ack or icmp type 3/1 or icmp6 code 0 or ether src 02:00:00:00:00:01\n"
	"count vlan 1-100 and vlan or dst @services\n"
	"limit 10k pps per src icmp6 or bpf \"ip[6] & 0x20 != 0 or tcp[13] = 2\"\n"
	"count port @ports or not len @ports; count dns name under @names or dns name @names or dns type @ports\n"
	"sample 1/10 dns type a or dns valid\n"
	"drop udp and not port 53\n"
	"on fragment drop; on truncated pass\n";

struct match_env {
	const struct set_block *block;
	const uint8_t *data;
	uint32_t len;
};

static void check(int good)
{
	if (!good)
		abort();
}

static __always_inline int match_load(const struct match_env *env, __u32 off, void *to, __u32 len)
{
	if (len > IMAGE_PAYLOAD_MAX || off + len > env->len)
		return -1;
	memcpy(to, env->data + off, len);
	return 0;
}

static __always_inline void match_hit(const struct match_env *env, __u32 counter, __u32 bytes)
{
	(void)env, (void)counter, (void)bytes;
}

static __always_inline int match_limit(const struct match_env *env, const struct image_rule *rule, const struct lookup_key *key,
				       __u32 bytes)
{
	(void)env, (void)rule, (void)key, (void)bytes;
	return 0; /* time does not pass here */
}

static __always_inline void match_sample(const struct match_env *env, const struct image_rule *rule, __u32 index,
					 const struct pkt *pkt)
{
	(void)env, (void)rule, (void)index, (void)pkt; /* counted, and nobody watches */
}

static __always_inline int match_set(const struct match_env *env, const struct image_step *step, const struct pkt *pkt)
{
	return set_has_field(env->block, step, pkt);
}

static __always_inline enum deep_answer match_deep(const struct match_env *env, const struct image *image,
						   const struct image_step *step, const struct pkt *pkt)
{
	(void)env, (void)image, (void)step, (void)pkt;
	return DEEP_ASK_USER_TIER;
}

static const struct classifier *fixed_rules(void)
{
	static struct offline offline;
	struct rules_error error;
	struct rules *rules;

	if (offline.image)
		return &offline.classifier;
	if (rules_parse(rules_text, sizeof(rules_text) - 1, "rules", &rules, &error) < 0) {
		rules_error_print(&error, "error", stderr);
		abort();
	}
	check(offline_open(rules, &offline, &error) == 0);
	rules_free(rules);
	return &offline.classifier;
}

/* The fixed image, changed in places: NULL if the check refuses it. The caller frees it. */
static struct image *wild_image(const uint8_t **data, size_t *size)
{
	const struct image *fixed = fixed_rules()->image;
	size_t from = offsetof(struct image, checksum) + sizeof(fixed->checksum);
	struct image *image = malloc(fixed->bytes);

	memcpy(image, fixed, fixed->bytes);
	for (int i = 0; i < WILD_BYTES && *size >= 4; i++, *data += 4, *size -= 4) {
		size_t at = (*data)[0] | (size_t)(*data)[1] << 8 | (size_t)(*data)[2] << 16;

		((uint8_t *)image)[from + at % (fixed->bytes - from)] = (*data)[3];
	}
	image->checksum = XXH3_64bits((uint8_t *)image + from, fixed->bytes - from);
	if (image_check(image, fixed->bytes) == 0)
		return image;
	image_free(image);
	return NULL;
}

/* What the fields of a packet promise each other. */
static void check_pkt(const struct pkt *pkt, size_t len)
{
	check(pkt->frame_len == len && pkt->n_vlans <= PKT_VLANS_MAX && pkt->condition < CONDITION_COUNT);
	check(pkt->l3_off <= len && pkt->l3_end <= len && pkt->payload_off <= pkt->l3_end);
	check(pkt->family == FAMILY_NONE || pkt->family == FAMILY_IP4 || pkt->family == FAMILY_IP6);
	if (!pkt->family)
		check(!pkt->has_ports && !pkt->payload_off && !pkt->l4_off && !pkt->l3_end);
	if (pkt->has_ports)
		check(pkt->l4_proto == PROTO_TCP || pkt->l4_proto == PROTO_UDP || pkt->l4_proto == PROTO_SCTP);
	else
		check(!pkt->src_port && !pkt->dst_port);
	if (pkt->has_ports)
		check(pkt->l4_off + 4u <= pkt->l3_end);
	if (pkt->payload_off)
		check(pkt->payload_off >= pkt->l4_off + 8u);
	if (pkt->condition == CONDITION_FRAGMENT)
		check(!pkt->has_ports && !pkt->payload_off && pkt->frag & FRAG_LATER);
	check(!pkt->family == !(pkt->frag & (FRAG_NONE | FRAG_FIRST | FRAG_LATER)));
	check(pkt->has_l4 || (!pkt->l4_word && !pkt->payload_off));
}

static void check_match(const struct match *match)
{
	check(match->action == ACTION_ALLOW || match->action == ACTION_DROP || match->action == ACTION_PASS);
	check(match->rule == IMAGE_NO_RULE || match->condition == CONDITION_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tally tally;
	struct match xdp, user;
	struct classifier classifier = *fixed_rules();
	struct image *changed = NULL;
	bool wild = size && *data == '!';
	struct match_env env;
	struct pkt pkt;
	uint8_t *frame;

	if (size == 0 || size > 65535)
		return 0;
	data++;
	size--;
	if (wild) {
		classifier.image = changed = wild_image(&data, &size);
		if (!changed)
			return 0;
	}
	frame = malloc(size ? size : 1);
	memcpy(frame, data, size);
	env = (struct match_env){ classifier.block, frame, (uint32_t)size };

	classify(&classifier, frame, (uint32_t)size, true, &tally, &pkt, &user);
	check_pkt(&pkt, size);
	match_run(&env, classifier.image, &pkt, 1, &xdp);
	for (unsigned i = 0; i < classifier.image->n_rules; i++)
		if (lookup_rule_at(classifier.image, i)->overload == OVERLOAD_ALLOW)
			match_overload_listed(&env, classifier.image, lookup_rule_at(classifier.image, i), &pkt);
	if (!wild) {
		check_match(&user);
		check(xdp.ask_user || (xdp.action == user.action && xdp.rule == user.rule && xdp.condition == user.condition));
		check(xdp.diverted == user.diverted || (user.diverted && xdp.ask_user));
	}
	free(frame);
	image_free(changed);
	return 0;
}
