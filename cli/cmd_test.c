/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_test.c - test: what rules do with the packets of a capture, by the XDP program, by the host, or by both compared.
 *
 * One loop, test_packets(): a frame from the capture, through the tiers, through the oracle. Ctrl-C ends it early, and what was
 * counted by then is printed all the same.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/version.h"
#include "cli.h"
#include "control/offline.h"
#include "control/oracle.h"
#include "control/testrun.h"
#include "port/capture.h"

#define MESSAGE_MAX 512
#define SHOWN_MAX 20	    /* differences told one by one */
#define PROGRESS_EVERY 4096 /* packets between two looks at the clock */
#define CODE_INTERRUPTED (128 + SIGINT)

struct test {
	const char *capture_path;
	enum testrun_tier tier;
	bool json, verbose;
	struct rules_text text;
	struct offline offline;
	struct capture *capture;
	struct testrun *run;
	struct rules *alone; /* the oracle's copy of the rules */
	struct oracle *oracle;
	unsigned long long packets, bytes;
	unsigned long long cut; /* by the snap length, filled up */
	unsigned long long differences;
	bool progress; /* a progress line stands on the terminal */
};

static const char *const tier_names[] = { [TESTRUN_XDP] = "xdp", [TESTRUN_USER] = "user", [TESTRUN_BOTH] = "both" };
static const char *const tier_meanings[] = {
	[TESTRUN_XDP] = "the XDP program",
	[TESTRUN_USER] = "the host's classifier",
	[TESTRUN_BOTH] = "the XDP program and the host's classifier compared",
};
static const char *const unrun_names[UNRUN_COUNT] = { [UNRUN_TOO_SHORT] = "too_short", [UNRUN_TOO_LARGE] = "too_large" };

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

/* ---- making ready ---- */

static int test_build(struct test *test)
{
	struct rules_error error = {};
	int r;

	r = offline_open(test->text.rules, &test->offline, &error);
	if (r == 0)
		return CODE_OK;
	if (!error.message[0])
		return fail(CODE_REFUSED, "%s: cannot build the image: %s", test->text.shown, strerror(-r));
	rules_error_print(&error, "error", stderr);
	return CODE_USAGE;
}

/* Without --tier: the most that the kernel lets us have. */
static int test_open_tier(struct test *test, const char *wanted)
{
	char message[MESSAGE_MAX] = "";
	int r;

	test->tier = TESTRUN_BOTH;
	for (unsigned i = 0; wanted && i < sizeof(tier_names) / sizeof(tier_names[0]); i++)
		if (strcmp(wanted, tier_names[i]) == 0)
			test->tier = (enum testrun_tier)i;
	if (wanted && strcmp(wanted, tier_names[test->tier]) != 0)
		return fail(CODE_USAGE, "no tier \"%s\": xdp, user or both", wanted);
	r = testrun_open(test->tier, &test->offline.classifier, &test->run, message, sizeof(message));
	if (r < 0 && !wanted) {
		fprintf(stderr, "spillway: only the host's classifier is asked (--tier user): %s\n", message);
		test->tier = TESTRUN_USER;
		r = testrun_open(test->tier, &test->offline.classifier, &test->run, message, sizeof(message));
	}
	if (r < 0)
		return fail(r == -EPERM || r == -EACCES ? CODE_PERMISSION : CODE_REFUSED, "--tier %s: %s", tier_names[test->tier],
			    message);
	return CODE_OK;
}

static int test_open_oracle(struct test *test)
{
	char message[MESSAGE_MAX] = "";
	struct rules_error error;
	int r;

	r = rules_parse(test->text.text, test->text.len, test->text.shown, &test->alone, &error);
	if (r < 0)
		return fail(CODE_REFUSED, "%s: cannot read the rules twice: %s", test->text.shown, error.message);
	r = oracle_open(test->alone, &test->oracle, message, sizeof(message));
	return r < 0 ? fail(CODE_REFUSED, "%s", message) : CODE_OK;
}

static int test_open(struct test *test, const struct arguments *arguments)
{
	const char *rules = arguments->values[OPTION_FILE];
	char message[MESSAGE_MAX] = "";
	struct rules_error error;
	int code;

	if (strcmp(rules, "-") == 0 && strcmp(test->capture_path, "-") == 0)
		return fail(CODE_USAGE, "the rules and the capture cannot both come from standard input");
	code = rules_text_load(rules, &test->text, &error);
	if (code == CODE_OK)
		code = test_build(test);
	if (code != CODE_OK)
		return code;
	if (capture_open(test->capture_path, &test->capture, message, sizeof(message)) < 0)
		return fail(CODE_USAGE, "%s", message);
	code = test_open_tier(test, arguments->values[OPTION_TIER]);
	if (code == CODE_OK && arguments->values[OPTION_BPF_ORACLE])
		code = test_open_oracle(test);
	return code;
}

static void test_fini(struct test *test)
{
	oracle_close(test->oracle);
	rules_free(test->alone);
	testrun_close(test->run);
	capture_close(test->capture);
	offline_close(&test->offline);
	rules_text_fini(&test->text);
}

/* ---- packets ---- */

static unsigned rule_line(const struct test *test, uint32_t rule)
{
	return rule < rules_count(test->text.rules) ? rules_info(test->text.rules, rule).line : 0;
}

static void progress_clear(struct test *test)
{
	if (test->progress)
		fputs("\r\033[K", stderr);
	test->progress = false;
}

static void progress_show(struct test *test)
{
	static time_t last;
	char text[GROUPED_MAX];
	time_t now = time(NULL);
	int percent = capture_percent(test->capture);

	if (!last)
		last = now;
	if (now == last)
		return;
	last = now;
	test->progress = true;
	fprintf(stderr, "\r%s packets", grouped((json_int_t)test->packets, text));
	if (percent >= 0)
		fprintf(stderr, ", %d %%", percent);
}

/* Is this difference one of those that are told one by one? */
static bool difference_shown(struct test *test)
{
	progress_clear(test);
	return ++test->differences <= SHOWN_MAX;
}

static const char *verdict_text(enum verdict verdict)
{
	return verdict < VERDICT_COUNT ? verdict_name(verdict) : "no verdict";
}

static void difference_tell(struct test *test, const struct testrun_packet *packet, uint32_t len)
{
	unsigned line = rule_line(test, packet->rule);
	char rule[32] = "no rule";

	if (!difference_shown(test))
		return;
	if (line)
		snprintf(rule, sizeof(rule), "line %u", line);
	if (packet->verdict == packet->foretold)
		fprintf(stderr, "packet %llu (%u bytes): the program says %s as the host does, but not by the rule in line %u\n",
			test->packets, len, verdict_text(packet->verdict), line);
	else
		fprintf(stderr, "packet %llu (%u bytes): the program says %s, the host %s (%s)\n", test->packets, len,
			verdict_text(packet->verdict), verdict_text(packet->foretold), rule);
}

static void oracle_tell(size_t rule, bool ours, void *userdata)
{
	struct test *test = userdata;

	if (difference_shown(test))
		fprintf(stderr, "packet %llu: rule in line %u: tcpdump says %s, we say %s\n", test->packets,
			rule_line(test, (uint32_t)rule), ours ? "no" : "yes", ours ? "yes" : "no");
}

static const char *packet_verdict(const struct test *test, const struct testrun_packet *packet)
{
	if (packet->unrun && test->tier == TESTRUN_XDP)
		return unrun_names[packet->unrun];
	return verdict_text(packet->verdict);
}

static void packet_print_json(const struct test *test, const struct testrun_packet *packet, uint32_t len)
{
	unsigned line = rule_line(test, packet->rule), user_line = rule_line(test, packet->user_rule);
	json_t *json =
		json_pack("{s:I, s:I, s:s, s:o*, s:s*, s:o*, s:b}", "packet", (json_int_t)test->packets, "len", (json_int_t)len,
			  "verdict", packet_verdict(test, packet), "line", line ? json_integer(line) : NULL, "user_verdict",
			  packet->user_verdict < VERDICT_COUNT ? verdict_name(packet->user_verdict) : NULL, "user_line",
			  user_line ? json_integer(user_line) : NULL, "differs", packet->differs);

	json_dumpf(json, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(json);
}

/* `NUMBER LENGTH VERDICT[/USER VERDICT] LINE RULE`, the rule that had the last word. */
static void packet_print(const struct test *test, const struct testrun_packet *packet, uint32_t len)
{
	bool user = packet->user_verdict < VERDICT_COUNT;
	uint32_t rule = packet->user_rule < IMAGE_NO_RULE ? packet->user_rule : packet->rule;
	const char *verdict = packet_verdict(test, packet);
	int width = 30 - (int)strlen(verdict);

	printf("%8llu %6u  %s%s%-*s", test->packets, len, verdict, user ? "/" : "", width,
	       user ? verdict_name(packet->user_verdict) : "");
	if (rule < rules_count(test->text.rules)) {
		struct rule_info info = rules_info(test->text.rules, rule);

		printf("%5u  %s", info.line, info.text);
	} else {
		printf("    -  no rule");
	}
	puts(packet->differs ? "  DIFFERS" : "");
}

static int test_packet(struct test *test, const struct capture_frame *frame)
{
	struct testrun_packet packet;
	int r;

	test->packets++;
	test->bytes += frame->len;
	test->cut += frame->len > frame->captured;
	r = testrun_packet(test->run, frame->data, frame->len, &packet);
	if (r < 0)
		return fail(CODE_REFUSED, "packet %llu: the kernel does not run the XDP program: %s", test->packets,
			    strerror(-r));
	if (packet.differs)
		difference_tell(test, &packet, frame->len);
	if (test->oracle)
		oracle_packet(test->oracle, frame, oracle_tell, test);
	if (test->verbose && test->json)
		packet_print_json(test, &packet, frame->len);
	else if (test->verbose)
		packet_print(test, &packet, frame->len);
	return CODE_OK;
}

static int test_packets(struct test *test)
{
	bool progress = !test->verbose && isatty(STDERR_FILENO);
	char message[MESSAGE_MAX];
	int r = 1, code = CODE_OK;

	while (!stopped && code == CODE_OK) {
		struct capture_frame frame;

		r = capture_next(test->capture, &frame, message, sizeof(message));
		if (r != 1)
			break;
		code = test_packet(test, &frame);
		if (progress && test->packets % PROGRESS_EVERY == 0)
			progress_show(test);
	}
	progress_clear(test);
	if (stopped) {
		fprintf(stderr, "spillway: interrupted: these are the first %llu packets\n", test->packets);
		return CODE_INTERRUPTED;
	}
	if (code == CODE_OK && r < 0)
		return fail(CODE_USAGE, "%s", message);
	return code;
}

/* ---- results ---- */

/* Rules whose counters differ although no packet did, too. */
static void test_compare_rules(struct test *test)
{
	for (uint32_t i = 0; i < rules_count(test->text.rules); i++) {
		struct testrun_rule rule;

		if (testrun_rule_differs(test->run, i, &rule) && difference_shown(test))
			fprintf(stderr, "rule in line %u: the program counted %llu packets, %llu bytes, the host %llu, %llu\n",
				rule_line(test, i), rule.program.packets, rule.program.bytes, rule.foretold.packets,
				rule.foretold.bytes);
	}
	if (test->differences > SHOWN_MAX)
		fprintf(stderr, "%llu differences more\n", test->differences - SHOWN_MAX);
}

/* Names that are printed even when nothing ended so: those that a tier can come to without ports. */
static bool verdict_expected(const struct test *test, enum verdict verdict)
{
	switch (verdict) {
	case VERDICT_PASS:
	case VERDICT_ALLOW:
	case VERDICT_DROP:
	case VERDICT_DIVERT:
	case VERDICT_FRAGMENT_PASS:
	case VERDICT_FRAGMENT_DROP:
	case VERDICT_UNPARSED_PASS:
	case VERDICT_UNPARSED_DROP:
	case VERDICT_TRUNCATED_PASS:
	case VERDICT_TRUNCATED_DROP:
		return true;
	case VERDICT_USER_PASS:
	case VERDICT_USER_DROP:
	case VERDICT_USER_CONDITION_DROP:
		return test->tier != TESTRUN_XDP;
	default:
		return false;
	}
}

static json_t *verdicts_json(const struct test *test)
{
	struct hits hits[VERDICT_COUNT];
	json_t *json = json_object();

	testrun_verdicts(test->run, hits);
	for (unsigned i = 0; i < VERDICT_COUNT; i++)
		if (hits[i].packets || verdict_expected(test, (enum verdict)i))
			json_object_set_new(json, verdict_name((enum verdict)i), json_integer((json_int_t)hits[i].packets));
	return json;
}

static json_t *rules_json(const struct test *test)
{
	json_t *rules = json_array();

	for (uint32_t i = 0; i < rules_count(test->text.rules); i++) {
		struct rule_info info = rules_info(test->text.rules, i);
		struct hits hits;

		testrun_rule_hits(test->run, i, &hits);
		json_array_append_new(rules, json_pack("{s:i, s:o*, s:o, s:s, s:I, s:I}", "line", (int)info.line, "name",
						       info.name ? ipc_text(info.name) : NULL, "text", ipc_text(info.text),
						       "tier", tier_name(info.tier), "packets", (json_int_t)hits.packets, "bytes",
						       (json_int_t)hits.bytes));
	}
	return rules;
}

static json_t *oracle_json(const struct test *test)
{
	json_t *rules = json_array();

	for (size_t i = 0; i < rules_count(test->text.rules); i++) {
		const struct oracle_rule *rule = oracle_rule(test->oracle, i);
		int line = (int)rule_line(test, (uint32_t)i);

		if (!rule->expression) {
			json_array_append_new(rules, json_pack("{s:i, s:s}", "line", line, "not_compared", rule->reason));
			continue;
		}
		json_array_append_new(rules, json_pack("{s:i, s:o, s:I, s:I, s:I, s:I}", "line", line, "expression",
						       ipc_text(rule->expression), "packets", (json_int_t)rule->ours, "tcpdump",
						       (json_int_t)rule->theirs, "differ", (json_int_t)rule->differ, "explained",
						       (json_int_t)rule->explained));
	}
	return rules;
}

static json_t *unrun_json(const struct test *test)
{
	struct hits hits[UNRUN_COUNT];

	testrun_unrun(test->run, hits);
	return json_pack("{s:I, s:I}", unrun_names[UNRUN_TOO_SHORT], (json_int_t)hits[UNRUN_TOO_SHORT].packets,
			 unrun_names[UNRUN_TOO_LARGE], (json_int_t)hits[UNRUN_TOO_LARGE].packets);
}

static int test_print_json(const struct test *test, bool complete)
{
	json_t *json =
		json_pack("{s:{s:i, s:s}, s:I, s:I, s:s, s:o, s:o, s:I, s:o, s:I, s:b, s:o*}", "spillway", "schema",
			  SPILLWAY_SCHEMA, "version", SPILLWAY_VERSION, "packets", (json_int_t)test->packets, "bytes",
			  (json_int_t)test->bytes, "tier", tier_names[test->tier], "verdicts", verdicts_json(test), "rules",
			  rules_json(test), "differences", (json_int_t)test->differences, "not_run", unrun_json(test), "cut",
			  (json_int_t)test->cut, "complete", complete, "oracle", test->oracle ? oracle_json(test) : NULL);
	int code = CODE_OK;

	if (!test->verbose)
		code = json_print(json);
	else if (json_dumpf(json, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER) < 0 || putchar('\n') == EOF)
		code = fail(CODE_REFUSED, "cannot print the answer as JSON");
	json_decref(json);
	return code;
}

static void count_print(const char *name, const struct hits *hits)
{
	char packets[GROUPED_MAX], bytes[GROUPED_MAX];

	printf("  %-20s%16s%20s\n", name, grouped((json_int_t)hits->packets, packets), grouped((json_int_t)hits->bytes, bytes));
}

static void verdicts_print(const struct test *test)
{
	struct hits hits[VERDICT_COUNT], unrun[UNRUN_COUNT];

	testrun_verdicts(test->run, hits);
	testrun_unrun(test->run, unrun);
	printf("\n  %-20s%16s%20s\n", "verdict", "packets", "bytes");
	for (unsigned i = 0; i < VERDICT_COUNT; i++)
		if (hits[i].packets)
			count_print(verdict_name((enum verdict)i), &hits[i]);
	for (unsigned i = UNRUN_NOT + 1; i < UNRUN_COUNT && test->tier == TESTRUN_XDP; i++)
		if (unrun[i].packets)
			count_print(unrun_names[i], &unrun[i]);
}

static void rules_print_hits(const struct test *test)
{
	printf("\nline  tier  %16s%20s  rule\n", "packets", "bytes");
	for (uint32_t i = 0; i < rules_count(test->text.rules); i++) {
		struct rule_info info = rules_info(test->text.rules, i);
		char packets[GROUPED_MAX], bytes[GROUPED_MAX];
		struct hits hits;

		testrun_rule_hits(test->run, i, &hits);
		printf("%4u  %-4s  %16s%20s  %s\n", info.line, tier_name(info.tier), grouped((json_int_t)hits.packets, packets),
		       grouped((json_int_t)hits.bytes, bytes), info.text);
	}
}

static void oracle_print(const struct test *test)
{
	printf("\nline  %16s%16s%12s%12s  tcpdump expression of the rule alone\n", "ours", "tcpdump", "differ", "explained");
	for (size_t i = 0; i < rules_count(test->text.rules); i++) {
		const struct oracle_rule *rule = oracle_rule(test->oracle, i);
		char ours[GROUPED_MAX], theirs[GROUPED_MAX];
		unsigned line = rule_line(test, (uint32_t)i);

		if (rule->expression)
			printf("%4u  %16s%16s%12llu%12llu  %s\n", line, grouped((json_int_t)rule->ours, ours),
			       grouped((json_int_t)rule->theirs, theirs), rule->differ, rule->explained, rule->expression);
		else
			printf("%4u  not compared: %s\n", line, rule->reason);
	}
}

static void test_print(const struct test *test)
{
	char packets[GROUPED_MAX], bytes[GROUPED_MAX];
	struct hits unrun[UNRUN_COUNT];

	printf("%s%s: %s packets, %s bytes, by %s\n", test->verbose ? "\n" : "",
	       strcmp(test->capture_path, "-") == 0 ? "stdin" : test->capture_path, grouped((json_int_t)test->packets, packets),
	       grouped((json_int_t)test->bytes, bytes), tier_meanings[test->tier]);
	if (test->cut)
		printf("%llu were cut by the snap length: zeros stand for what was not captured\n", test->cut);
	testrun_unrun(test->run, unrun);
	if (unrun[UNRUN_TOO_SHORT].packets || unrun[UNRUN_TOO_LARGE].packets)
		printf("%llu too short and %llu too large for a test run of the program: %s\n", unrun[UNRUN_TOO_SHORT].packets,
		       unrun[UNRUN_TOO_LARGE].packets, test->tier == TESTRUN_BOTH ? "the host's answer counts" : "no verdict");
	verdicts_print(test);
	rules_print_hits(test);
	if (test->oracle)
		oracle_print(test);
	if (test->tier == TESTRUN_BOTH || test->oracle)
		printf("\ndifferences: %llu\n", test->differences);
}

static int test_finish(struct test *test, int code)
{
	int printed = CODE_OK;

	test_compare_rules(test);
	if (test->json)
		printed = test_print_json(test, code == CODE_OK);
	else
		test_print(test);
	if (code == CODE_OK)
		code = printed;
	return code == CODE_OK && test->differences ? CODE_REFUSED : code;
}

int cmd_test(const struct arguments *arguments)
{
	struct test test = {
		.capture_path = arguments->values[OPTION_PCAP],
		.json = arguments->values[OPTION_JSON],
		.verbose = arguments->values[OPTION_VERBOSE],
	};
	struct sigaction action = { .sa_handler = stop, .sa_flags = (int)SA_RESETHAND }; /* a second Ctrl-C ends us at once */
	int code;

	code = test_open(&test, arguments);
	if (code == CODE_OK) {
		sigaction(SIGINT, &action, NULL);
		sigaction(SIGTERM, &action, NULL);
		code = test_finish(&test, test_packets(&test));
	}
	test_fini(&test);
	return code;
}
