/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/testrun.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/refuse.h"
#include "classify/foretell.h"
#include "classify/keys.h"
#include "control/xdp.h"
#include "port/port.h"

#define FRAME_MIN 14u	/* the kernel wants an Ethernet header (bpf_prog_test_run_xdp) */
#define PROBE_LEN 8192u /* longer than one buffer */

struct testrun {
	enum testrun_tier tier;
	const struct classifier *classifier;
	struct classifier worker;	     /* the same, with the keys that the worker would have; ours */
	struct xdp *xdp;		     /* NULL: TESTRUN_USER */
	uint32_t frame_max;		     /* longest the program gets whole */
	struct hits program[VERDICT_COUNT];  /* its counters after the last packet */
	struct hits verdicts[VERDICT_COUNT]; /* totals */
	struct hits unrun[UNRUN_COUNT];
	struct tally foretold, unrun_foretold; /* rules: of frames the program ran on, and of others */
	struct tally user;
};

static void hits_add(struct hits *hits, uint32_t bytes)
{
	hits->packets++;
	hits->bytes += bytes;
}

static int program_run(const struct testrun *run, const void *data, uint32_t len, uint32_t *ret_action)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = data, .data_size_in = len, .repeat = 1);

	if (bpf_prog_test_run_opts(xdp_program_fd(run->xdp), &options))
		return -errno;
	*ret_action = options.retval;
	return 0;
}

/*
 * A frame that does not fit into one buffer reaches the program cut to what does, and a network card would not have brought it. How
 * much fits depends on the kernel; the program itself says how long a frame it saw, before it has an image.
 */
static int frame_max_probe(struct testrun *run)
{
	static const uint8_t frame[PROBE_LEN];
	uint32_t action;
	int r;

	r = program_run(run, frame, sizeof(frame), &action);
	if (r < 0)
		return r;
	xdp_verdicts(run->xdp, run->program);
	run->frame_max = (uint32_t)run->program[VERDICT_NO_IMAGE_PASS].bytes;
	return 0;
}

static int program_open(struct testrun *run, char *ret_message, size_t size)
{
	int r;

	r = xdp_load(&run->xdp, ret_message, size);
	if (r < 0)
		return r;
	xdp_cells(run->xdp)->unlimited = 1;
	r = frame_max_probe(run);
	if (r < 0)
		return refuse(r, ret_message, size, "the kernel does not run the XDP program for tests: %s", strerror(-r));
	return testrun_publish(run, run->classifier, ret_message, size);
}

int testrun_open(enum testrun_tier tier, const struct classifier *classifier, struct testrun **ret_run, char *ret_message,
		 size_t size)
{
	struct testrun *run = calloc(1, sizeof(*run));
	int r = 0;

	if (!run)
		return refuse(-ENOMEM, ret_message, size, "out of memory");
	run->tier = tier;
	run->classifier = classifier;
	run->worker = *classifier;
	run->worker.keys = NULL;
	if (tier != TESTRUN_XDP && classifier->image->has_divert)
		keys_new(classifier->image, &run->worker.keys); /* or without, as the worker */
	if (tier != TESTRUN_USER)
		r = program_open(run, ret_message, size);
	if (r < 0) {
		testrun_close(run);
		return r;
	}
	*ret_run = run;
	return 0;
}

struct testrun *testrun_close(struct testrun *run)
{
	if (run) {
		keys_free(run->worker.keys);
		xdp_free(run->xdp);
		free(run);
	}
	return NULL;
}

int testrun_publish(struct testrun *run, const struct classifier *classifier, char *ret_message, size_t size)
{
	size_t set_bytes = classifier->block ? classifier->block->bytes : 0;
	const struct classifier *published;
	struct xdp_block block = { .at = NULL };
	int r;

	r = xdp_reserve(run->xdp, classifier->image->bytes, set_bytes, classifier->image->n_rules, ret_message, size);
	if (r < 0)
		return r;
	r = set_bytes ? xdp_block_new(run->xdp, &block) : 0;
	if (r == 0) {
		if (set_bytes)
			memcpy(block.at, classifier->block, set_bytes);
		r = xdp_publish(run->xdp, classifier->image, &block, classifier->store, &published);
	}
	xdp_block_free(&block);
	return r < 0 ? refuse(r, ret_message, size, "cannot publish the rules to the XDP program: %s", strerror(-r)) : 0;
}

static bool verdict_drops(enum verdict verdict)
{
	return verdict == VERDICT_DROP || verdict == VERDICT_FRAGMENT_DROP || verdict == VERDICT_UNPARSED_DROP ||
	       verdict == VERDICT_TRUNCATED_DROP;
}

/*
 * The one verdict whose counter went up, by one packet of `len` bytes; the program's return value has to fit it. VERDICT_COUNT:
 * there is no such one.
 */
static enum verdict verdict_counted(const struct hits before[VERDICT_COUNT], const struct hits now[VERDICT_COUNT], uint32_t len,
				    uint32_t action)
{
	enum verdict counted = VERDICT_COUNT;

	for (unsigned i = 0; i < VERDICT_COUNT; i++) {
		if (now[i].packets == before[i].packets && now[i].bytes == before[i].bytes)
			continue;
		if (counted != VERDICT_COUNT || now[i].packets != before[i].packets + 1 || now[i].bytes != before[i].bytes + len)
			return VERDICT_COUNT;
		counted = (enum verdict)i;
	}
	if (counted == VERDICT_COUNT || action != (verdict_drops(counted) ? XDP_DROP : XDP_PASS))
		return VERDICT_COUNT;
	return counted == VERDICT_NO_PORT_PASS ? VERDICT_DIVERT : counted;
}

static unsigned long long rule_packets(const struct testrun *run, uint32_t rule)
{
	struct hits hits = {};

	if (rule < IMAGE_NO_RULE)
		xdp_rule_hits(run->xdp, rule, &hits);
	return hits.packets;
}

/* The program's verdict, and whether it counts for the rule that the host names. */
static int program_judge(struct testrun *run, const uint8_t *data, uint32_t len, struct testrun_packet *packet)
{
	unsigned long long rule_before = rule_packets(run, packet->rule);
	struct hits now[VERDICT_COUNT];
	uint32_t action;
	int r;

	r = program_run(run, data, len, &action);
	if (r < 0)
		return r;
	xdp_verdicts(run->xdp, now);
	packet->verdict = verdict_counted(run->program, now, len, action);
	packet->rule_counted = packet->rule == IMAGE_NO_RULE || rule_packets(run, packet->rule) == rule_before + 1;
	if (!packet->rule_counted && run->tier == TESTRUN_XDP)
		packet->rule = IMAGE_NO_RULE;
	packet->differs = run->tier == TESTRUN_BOTH && (packet->verdict != packet->foretold || !packet->rule_counted);
	memcpy(run->program, now, sizeof(now));
	return 0;
}

/* What path.c does with a frame that was handed over. */
static void user_judge(struct testrun *run, const uint8_t *data, uint32_t len, struct testrun_packet *packet)
{
	struct frame frame = { .data = (uint8_t *)data, .len = len }; /* not written to */
	struct match match;
	struct pkt pkt;

	classify_batch(&run->worker, &frame, 1, false, &run->user, &pkt, &match);
	packet->user_rule = match.rule;
	if (match.action != ACTION_DROP)
		packet->user_verdict = VERDICT_USER_PASS;
	else
		packet->user_verdict = match.condition ? VERDICT_USER_CONDITION_DROP : VERDICT_USER_DROP;
	hits_add(&run->verdicts[packet->user_verdict], len);
}

static enum testrun_unrun unrun_reason(const struct testrun *run, uint32_t len)
{
	if (!run->xdp)
		return UNRUN_NOT;
	return len < FRAME_MIN ? UNRUN_TOO_SHORT : len > run->frame_max ? UNRUN_TOO_LARGE : UNRUN_NOT;
}

int testrun_packet(struct testrun *run, const uint8_t *data, uint32_t len, struct testrun_packet *ret_packet)
{
	struct testrun_packet packet = { .user_verdict = VERDICT_COUNT, .user_rule = IMAGE_NO_RULE, .rule_counted = true };
	struct match match;
	struct pkt pkt;
	int r;

	packet.unrun = unrun_reason(run, len);
	foretell(run->classifier, data, len, packet.unrun ? &run->unrun_foretold : &run->foretold, &pkt, &match);
	packet.verdict = packet.foretold = foretell_verdict(&match);
	packet.rule = packet.foretold == VERDICT_DIVERT ? match.divert_rule : match.rule;
	if (run->xdp && !packet.unrun) {
		r = program_judge(run, data, len, &packet);
		if (r < 0)
			return r;
	}
	if (packet.unrun)
		hits_add(&run->unrun[packet.unrun], len);
	if (packet.verdict != VERDICT_COUNT && !(packet.unrun && run->tier == TESTRUN_XDP))
		hits_add(&run->verdicts[packet.verdict], len);
	if (packet.verdict == VERDICT_DIVERT && run->tier != TESTRUN_XDP)
		user_judge(run, data, len, &packet);
	*ret_packet = packet;
	return 0;
}

void testrun_verdicts(const struct testrun *run, struct hits ret_hits[VERDICT_COUNT])
{
	memcpy(ret_hits, run->verdicts, sizeof(run->verdicts));
}

void testrun_unrun(const struct testrun *run, struct hits ret_hits[UNRUN_COUNT])
{
	memcpy(ret_hits, run->unrun, sizeof(run->unrun));
}

static void hits_sum(struct hits *hits, const struct hits *more)
{
	hits->packets += more->packets;
	hits->bytes += more->bytes;
}

void testrun_rule_hits(const struct testrun *run, uint32_t rule, struct hits *ret_hits)
{
	struct hits hits = run->foretold.rules[rule];

	if (run->xdp)
		xdp_rule_hits(run->xdp, rule, &hits);
	if (run->tier != TESTRUN_XDP) {
		hits_sum(&hits, &run->unrun_foretold.rules[rule]);
		hits_sum(&hits, &run->user.rules[rule]);
	}
	*ret_hits = hits;
}

bool testrun_rule_differs(const struct testrun *run, uint32_t rule, struct testrun_rule *ret_rule)
{
	struct testrun_rule both = { .foretold = run->foretold.rules[rule] };

	if (run->tier != TESTRUN_BOTH)
		return false;
	xdp_rule_hits(run->xdp, rule, &both.program);
	*ret_rule = both;
	return memcmp(&both.program, &both.foretold, sizeof(both.program)) != 0;
}
