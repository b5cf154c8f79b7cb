/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_rules.c - bench xdp-rules: 16 to 65,536 rules of several fields, half of the packets made to match one.
 *
 * No loaded XDP program of the field takes such rules. So the peer is xdp-filter with a single rule, a source address that no packet
 * has: what a packet costs there at least. The oracle tries all rules in turn.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ruleset.h"
#include "stage.h"
#include "xdpfilter.h"

#define HIT_PERCENT 50

static const uint32_t sizes[] = { 16, 256, 4096, 65536 };

/* Which cells there are, for each size. */
static const struct kind {
	enum ruleset_shape shape;
	int family;
	enum stage_trace trace;
	bool quick; /* also with --quick */
} kinds[] = {
	{ RULESET_ACL, 4, STAGE_COLD, true },	{ RULESET_FW, 4, STAGE_COLD, false },  { RULESET_FLOOD, 4, STAGE_COLD, false },
	{ RULESET_FLOOD, 4, STAGE_WARM, true }, { RULESET_ACL, 6, STAGE_COLD, false }, { RULESET_FLOOD, 6, STAGE_WARM, false },
};

struct subject_rules {
	struct ruleset ruleset;
	struct dice dice;
	uint32_t asked, matched; /* of the oracle */
};

static void packet_make(void *arg, bool hit, struct header *ret_header)
{
	struct subject_rules *subject = arg;

	ruleset_packet(&subject->ruleset, dice_below(&subject->dice, subject->ruleset.n), hit, &subject->dice, ret_header);
}

static int drops(void *arg, const struct header *header)
{
	struct subject_rules *subject = arg;
	const struct ruleset_rule *rule = ruleset_match(&subject->ruleset, header);

	subject->asked++;
	subject->matched += rule != NULL;
	return rule && rule->drops;
}

static int drops_nothing(void *arg, const struct header *header)
{
	(void)arg, (void)header;
	return 0;
}

static int peer_open(struct xdpfilter **ret_peer)
{
	static const uint8_t documentation4[4] = { 192, 0, 2, 1 }, documentation6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
	int r;

	r = xdpfilter_open(ret_peer);
	r = r ? r : xdpfilter_deny(*ret_peer, 4, documentation4);
	return r ? r : xdpfilter_deny(*ret_peer, 6, documentation6);
}

static int cell_run(struct stage *stage, const char *name, const struct kind *kind, struct subject_rules *subject,
		    const struct ours *ours, const struct xdpfilter *peer)
{
	struct stage_cell cell = {
		.name = name,
		.ours = ours,
		.peers = { { .name = "xdp-filter " XDPFILTER_IP " 1 rule",
			     .family = "xdp-filter",
			     .program_fd = xdpfilter_ip(peer),
			     .drops = drops_nothing },
			   { .name = "xdp-filter " XDPFILTER_ALL " 1 rule",
			     .family = "xdp-filter",
			     .program_fd = xdpfilter_all(peer),
			     .drops = drops_nothing } },
		.n_peers = 2,
		.drops = drops,
		.make = packet_make,
		.hit_percent = HIT_PERCENT,
		.arg = subject,
	};
	int r;

	r = stage_run(stage, kind->trace, &cell);
	if (!r)
		report_cell_number(stage_report(stage), "hit_share", (double)subject->matched / subject->asked);
	return r;
}

static int kind_run(struct stage *stage, const struct kind *kind, uint32_t n, const struct xdpfilter *peer)
{
	uint64_t seed = stage_options(stage)->seed;
	struct subject_rules subject = { .dice = { seed } };
	struct ours *ours = NULL;
	char name[64];
	char *text = NULL;
	size_t len = 0;
	int r;

	snprintf(name, sizeof(name), "%u %s ip%d %s", n, ruleset_shape_name(kind->shape), kind->family,
		 stage_trace_name(kind->trace));
	if (!report_wants(stage_report(stage), name))
		return 0;
	r = ruleset_init(&subject.ruleset, kind->shape, kind->family, n, seed);
	if (!r)
		text = ruleset_text(&subject.ruleset, &len);
	r = stage_open_ours(stage, name, text, len, &ours);
	if (!r && ours)
		r = cell_run(stage, name, kind, &subject, ours, peer);
	ours_close(ours);
	ruleset_fini(&subject.ruleset);
	return r;
}

static int cells_run(struct stage *stage)
{
	struct xdpfilter *peer = NULL;
	int r;

	xdpfilter_fact(stage_report(stage));
	r = peer_open(&peer);
	for (size_t i = 0; !r && i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (size_t k = 0; !r && k < sizeof(kinds) / sizeof(kinds[0]); k++) {
			if (kinds[k].quick || !stage_options(stage)->quick)
				r = kind_run(stage, &kinds[k], stage_scaled(stage, sizes[i]), peer);
		}
	}
	xdpfilter_close(peer);
	return r;
}

int main(int argc, char **argv)
{
	return stage_main(argc, argv, "xdp-rules", "rules of several fields in XDP; peer: xdp-filter with one rule", cells_run);
}
