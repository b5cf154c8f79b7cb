/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any rules, any frames, three answers: the statements read one by one (rules_model.h), the image asked by the host, and the image
 * asked by the real XDP program. Verdicts and the counters of all rules have to be the same. The host is asked once more for all frames
 * in batches (classify_batch()), twice, since what it has searched for once it remembers.
 *
 * Input: the text of the rules up to a NUL byte; then frames, each behind two bytes that say how long it is. Frames made for the
 * rules (aim.h) follow.
 *
 * The program is attached to nothing, so nobody reads its image and sets while it does not run: they are changed where they lie. To publish
 * each would wait for RCU, a hundred times as long as all else takes. It is run frame by frame, and its counters are read behind the
 * last frame of the input. Nothing opens a port: what it would divert ends as no_port_pass.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aim.h"
#include "classify/classify.h"
#include "classify/dns.h"
#include "classify/foretell.h"
#include "classify/keys.h"
#include "control/xdp.h"
#include "port/port.h"
#include "replay.h"
#include "rules_model.h"
#include "sets/store.h"

#define FRAMES_AIMED 96
#define FRAMES_GIVEN 32
#define FRAMES_MOST (FRAMES_AIMED + FRAMES_GIVEN)
#define RULES_MOST 256	     /* counters are read one by one */
#define SET_BYTES (1u << 18) /* larger sets are left out */
#define FRAME_MIN 14u	     /* below it, the kernel does not run the program */

struct program {
	struct xdp *xdp;
	struct image *image; /* as the program has it, IMAGE_BYTES_MIN */
	void *block;	     /* SET_BYTES */
	struct hits verdicts[VERDICT_COUNT], rules[RULES_MOST];
};

/* What is known of one input. */
struct trial {
	const struct rules *rules;
	const struct classifier *classifier;
	const struct model_frame *frame; /* at hand, for the message */
	uint32_t model_hits[RULES_MOST];
	struct hits foretold[VERDICT_COUNT];
	/* All frames so far, each of its own memory, and what the model says of them. */
	struct frame frames[FRAMES_MOST];
	struct match want[FRAMES_MOST];
	uint32_t n_frames;
};

static struct program program;
static struct tally whole, xdp, user, batches; /* by the host: all at once, by tiers, and in batches */

static void check(bool good, const struct trial *trial, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "%s\n", what);
	rules_print(trial->rules, stderr);
	for (uint32_t i = 0; trial->frame && i < trial->frame->len; i++)
		fprintf(stderr, "%02x%s", trial->frame->data[i], i + 1 == trial->frame->len ? "\n" : "");
	abort();
}

static void program_open(void)
{
	struct image *largest = calloc(1, IMAGE_BYTES_MIN); /* no rules; published only to be written over */
	const struct classifier *published;
	struct xdp_block block;
	char message[256];
	int r;

	r = xdp_load(&program.xdp, message, sizeof(message));
	if (r == 0)
		r = xdp_reserve(program.xdp, 0, SET_BYTES, 0, message, sizeof(message));
	if (r < 0) {
		fprintf(stderr, "%s\n", message);
		exit(r == -EPERM ? 77 : 1);
	}
	xdp_cells(program.xdp)->unlimited = 1;
	largest->bytes = IMAGE_BYTES_MIN;
	if (xdp_block_new(program.xdp, &block) < 0 || xdp_publish(program.xdp, largest, &block, NULL, &published) < 0)
		abort();
	program.image = (struct image *)published->image;
	program.block = (void *)published->block;
	free(largest);
}

static uint32_t program_run(const struct model_frame *frame)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->data, .data_size_in = frame->len, .repeat = 1);

	if (bpf_prog_test_run_opts(xdp_program_fd(program.xdp), &options)) {
		perror("the kernel does not run the program");
		abort();
	}
	return options.retval;
}

/* What a counter grew by since the last time. */
static struct hits hits_since(struct hits *before, const struct hits *now)
{
	struct hits since = { now->packets - before->packets, now->bytes - before->bytes };

	*before = *now;
	return since;
}

static bool hits_equal(const struct hits *a, const struct hits *b)
{
	return a->packets == b->packets && a->bytes == b->bytes;
}

static bool verdict_drops(enum verdict verdict)
{
	return verdict == VERDICT_DROP || verdict == VERDICT_FRAGMENT_DROP || verdict == VERDICT_UNPARSED_DROP ||
	       verdict == VERDICT_TRUNCATED_DROP;
}

/* The question as the user tier reads it: fuzz_dns.c and test_dns.c are about that. */
static void frame_read(struct model_frame *frame, const uint8_t *data, uint32_t len)
{
	const struct pkt *pkt = &frame->pkt;

	frame->data = data;
	frame->len = len;
	frame->name_len = 0;
	frame->type = -1;
	parse_frame(data, data + len, &frame->pkt);
	if (pkt->l4_proto != PROTO_UDP || !pkt->payload_off || pkt->payload_off >= pkt->l3_end)
		return;
	if (dns_question(data + pkt->payload_off, pkt->l3_end - pkt->payload_off, frame->name, &frame->name_len))
		frame->name_len = 0;
	else
		frame->type = dns_question_type(data + pkt->payload_off, pkt->l3_end - pkt->payload_off, frame->name_len);
}

static bool match_equal(const struct match *a, const struct match *b)
{
	return a->action == b->action && a->diverted == b->diverted && a->rule == b->rule && a->condition == b->condition &&
	       (!a->diverted || a->divert_rule == b->divert_rule);
}

/* The XDP tier and, where it hands over, the user tier: together they say what the model says. */
static enum verdict check_tiers(const struct trial *trial, const struct match *want)
{
	const struct model_frame *frame = trial->frame;
	enum verdict verdict;
	struct match match;
	struct pkt pkt;

	foretell(trial->classifier, frame->data, frame->len, &xdp, &pkt, &match);
	verdict = foretell_verdict(&match);
	if (verdict == VERDICT_DIVERT) {
		check(want->diverted, trial, "diverted, and no rule says so");
		classify(trial->classifier, frame->data, frame->len, false, &user, &pkt, &match);
	}
	check(match_equal(&match, want), trial, "XDP tier, then user tier");
	return verdict;
}

static void check_frame(struct trial *trial, const uint8_t *data, uint32_t len)
{
	uint8_t *copy = malloc(len ? len : 1); /* of its own, so that a sanitizer sees each byte read behind it */
	struct match *want = &trial->want[trial->n_frames], got;
	enum verdict verdict;
	struct model_frame frame;
	struct pkt pkt;

	memcpy(copy, data, len);
	frame_read(&frame, copy, len);
	trial->frame = &frame;
	model_run(trial->rules, &frame, want, trial->model_hits);
	classify(trial->classifier, copy, len, true, &whole, &pkt, &got);
	check(match_equal(want, &got), trial, "classify()");
	if (len >= FRAME_MIN) {
		verdict = check_tiers(trial, want);
		check(program_run(&frame) == (verdict_drops(verdict) ? XDP_DROP : XDP_PASS), trial, "XDP program");
		trial->foretold[verdict].packets++;
		trial->foretold[verdict].bytes += len;
	} else {
		foretell(trial->classifier, copy, len, &user, &pkt, &got); /* so that it is counted there */
	}
	trial->frame = NULL;
	trial->frames[trial->n_frames++] = (struct frame){ .data = copy, .len = len };
}

static void check_batch(struct trial *trial, const struct classifier *classifier, uint32_t at, uint32_t n)
{
	struct match matches[CLASSIFY_BATCH];
	struct pkt pkts[CLASSIFY_BATCH];
	struct model_frame frame;

	classify_batch(classifier, trial->frames + at, n, true, &batches, pkts, matches);
	for (uint32_t i = 0; i < n; i++) {
		frame_read(&frame, trial->frames[at + i].data, trial->frames[at + i].len);
		trial->frame = &frame;
		check(match_equal(&trial->want[at + i], &matches[i]), trial, "classify_batch()");
	}
	trial->frame = NULL;
}

/* After the last frame: all of them in batches of any size, twice. Gives them back. */
static void check_batches(struct trial *trial)
{
	struct classifier classifier = *trial->classifier;

	if (keys_new(classifier.image, &classifier.keys) < 0)
		abort(); /* 256 rules fit */
	for (uint32_t at = 0, n, size = 0; at < 2 * trial->n_frames; at += n) {
		uint32_t from = at % trial->n_frames, left = trial->n_frames - from;

		size = size % CLASSIFY_BATCH + 21;
		n = size < CLASSIFY_BATCH ? size : CLASSIFY_BATCH;
		n = n < left ? n : left;
		check_batch(trial, &classifier, from, n);
	}
	for (uint32_t i = 0; i < trial->rules->n_rules; i++)
		check(batches.rules[i].packets == 2 * trial->model_hits[i], trial, "rule counters of batches");
	keys_free(classifier.keys);
	for (uint32_t i = 0; i < trial->n_frames; i++)
		free(trial->frames[i].data);
}

/* After the last frame. */
static void check_counters(struct trial *trial)
{
	struct hits now[VERDICT_COUNT], since;

	trial->foretold[VERDICT_NO_PORT_PASS] = trial->foretold[VERDICT_DIVERT];
	trial->foretold[VERDICT_DIVERT] = (struct hits){ 0 };
	xdp_verdicts(program.xdp, now);
	for (unsigned i = 0; i < VERDICT_COUNT; i++) {
		since = hits_since(&program.verdicts[i], &now[i]);
		check(hits_equal(&since, &trial->foretold[i]), trial, "verdicts of the XDP program");
	}
	for (uint32_t i = 0; i < trial->rules->n_rules; i++) {
		xdp_rule_hits(program.xdp, i, now);
		since = hits_since(&program.rules[i], now);
		check(hits_equal(&since, &xdp.rules[i]), trial, "rule counters of the XDP program");
		check(whole.rules[i].packets == trial->model_hits[i], trial, "rule counters");
		check(xdp.rules[i].packets + user.rules[i].packets == trial->model_hits[i], trial, "rule counters of both tiers");
	}
}

static void tally_clear(struct tally *tally, size_t n_rules)
{
	memset(tally->rules, 0, n_rules * sizeof(*tally->rules));
}

static void try(const struct rules *rules, const struct classifier *classifier, const uint8_t *data, size_t size)
{
	struct trial trial = { .rules = rules, .classifier = classifier };
	uint64_t dice = 0x9e3779b97f4a7c15u ^ size ^ (size ? (uint64_t)data[size - 1] << 32 : 0);
	uint8_t frame[AIM_FRAME_MAX];
	struct aims aims;

	tally_clear(&whole, rules->n_rules);
	tally_clear(&xdp, rules->n_rules);
	tally_clear(&user, rules->n_rules);
	tally_clear(&batches, rules->n_rules);
	memcpy(program.image, classifier->image, classifier->image->bytes);
	for (unsigned i = 0; i < FRAMES_GIVEN && size >= 2; i++) {
		uint32_t len = ((uint32_t)data[0] | (uint32_t)data[1] << 8) % (AIM_FRAME_MAX + 1);

		data += 2;
		size -= 2;
		if (len > size)
			len = (uint32_t)size;
		check_frame(&trial, data, len);
		data += len;
		size -= len;
	}
	aims_init(&aims, rules);
	for (unsigned i = 0; i < FRAMES_AIMED; i++)
		check_frame(&trial, frame, aim_frame(&aims, &dice, frame));
	check_counters(&trial);
	check_batches(&trial);
}

/* The rules with their sets, where the program reads them. False: they have no room there. */
static bool sets_place(const struct rules *rules, struct set_store **ret_store)
{
	if (set_store_new(rules, 0, ret_store) < 0)
		abort();
	memset(program.block, 0, SET_BYTES);
	return set_table_place(set_store_table(*ret_store), program.block, SET_BYTES) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\0', size);
	size_t len = end ? (size_t)(end - data) : size;
	struct rules_error error;
	struct classifier classifier;
	struct set_store *store = NULL;
	struct image *image;
	struct rules *rules;

	if (!program.xdp)
		program_open();
	if (rules_parse((const char *)data, len, "input", &rules, &error) < 0)
		return 0;
	if (rules->n_rules <= RULES_MOST && image_build(rules, 1, NULL, &image, &error) == 0) {
		if (image->bytes <= IMAGE_BYTES_MIN && sets_place(rules, &store)) {
			classifier = (struct classifier){ .image = image, .block = program.block, .store = store };
			try(rules, &classifier, data + len + (end != NULL), size - len - (end != NULL));
		}
		set_store_free(store);
		image_free(image);
	}
	rules_free(rules);
	return 0;
}
