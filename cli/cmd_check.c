/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_check.c - check: the rules as the daemon would read them, without a daemon. Also loads rules for up and apply. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/version.h"
#include "cli.h"
#include "control/offline.h"

#define TEXT_MAX ((256u << 20) + 1) /* one more than the rule language takes, so that it can say so */

const char *tier_name(enum rule_tier tier)
{
	static const char *const names[] = { [TIER_NIC] = "nic", [TIER_XDP] = "xdp", [TIER_USER] = "user" };

	return names[tier];
}

const char *action_name(enum rule_action action)
{
	static const char *const names[ACTION_KIND_COUNT] = {
		[ACTION_COUNT] = "count", [ACTION_DIVERT] = "divert", [ACTION_SAMPLE] = "sample", [ACTION_LIMIT] = "limit",
		[ACTION_ALLOW] = "allow", [ACTION_DROP] = "drop",     [ACTION_PASS] = "pass",
	};

	return names[action];
}

static int text_fill(int fd, struct rules_text *text)
{
	text->text = malloc(TEXT_MAX);
	if (!text->text)
		return -ENOMEM;
	while (text->len < TEXT_MAX) {
		ssize_t n = read(fd, text->text + text->len, TEXT_MAX - text->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		text->len += (size_t)n;
	}
	return 0;
}

/* *ret_again: the file can be read once more. A pipe, as of <(...), cannot. */
static int text_open(const char *path, struct rules_text *text, bool *ret_again)
{
	struct stat st;
	int fd, r;

	if (strcmp(path, "-") == 0) {
		snprintf(text->shown, sizeof(text->shown), "stdin");
		text->path = strdup(text->shown);
		return text->path ? text_fill(STDIN_FILENO, text) : -ENOMEM;
	}
	snprintf(text->shown, sizeof(text->shown), "%s", *path ? path : "\"\"");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	*ret_again = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	text->path = realpath(path, NULL);
	if (!text->path)
		text->path = strdup(path); /* a pipe of the shell has no path */
	r = text->path ? text_fill(fd, text) : -ENOMEM;
	close(fd);
	return r;
}

/*
 * The daemon reads no files for its clients: what a set names by `file` is read here, with the caller's rights, and goes to it as
 * canonical text. Rules without that go as they are, so that their line numbers stay.
 */
static int text_include(const char *path, struct rules_text *text, struct rules_error *ret_error)
{
	FILE *out;
	int r;

	r = rules_load(path, &text->rules, ret_error);
	if (r < 0)
		return r;
	free(text->text);
	text->text = NULL;
	out = open_memstream(&text->text, &text->len);
	if (!out)
		return -ENOMEM;
	rules_print(text->rules, out);
	return fclose(out) == 0 ? 0 : -ENOMEM;
}

int rules_text_load(const char *path, struct rules_text *ret_text, struct rules_error *ret_error)
{
	struct rules_text text = {};
	bool again = false;
	int r;

	memset(ret_error, 0, sizeof(*ret_error));
	r = text_open(path, &text, &again);
	if (r < 0) {
		snprintf(ret_error->file, sizeof(ret_error->file), "%s", text.shown);
		snprintf(ret_error->message, sizeof(ret_error->message), "cannot read the rules: %s", strerror(-r));
		fail(CODE_USAGE, "%s: %s", text.shown, ret_error->message);
		rules_text_fini(&text);
		return CODE_USAGE;
	}
	r = rules_parse(text.text, text.len, text.shown, &text.rules, ret_error);
	if (r < 0 && again)
		r = text_include(path, &text, ret_error);
	if (r < 0) {
		rules_error_print(ret_error, "error", stderr);
		rules_text_fini(&text);
		return CODE_USAGE;
	}
	*ret_text = text;
	return CODE_OK;
}

void rules_text_fini(struct rules_text *text)
{
	free(text->text);
	free(text->path);
	rules_free(text->rules);
	*text = (struct rules_text){};
}

/* What building the image says, beyond what parsing did. */
struct check {
	struct rules_text text;
	struct rules_error error; /* message[0]: there is one */
	double build_ms;
	size_t image_bytes, set_bytes;
};

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int check_build(struct check *check)
{
	struct offline offline = { 0 };
	double start_ms = now_ms();
	int r = offline_open(check->text.rules, &offline, &check->error);

	check->build_ms = now_ms() - start_ms;
	if (r == 0) {
		check->image_bytes = offline.image->bytes;
		check->set_bytes = offline.block_bytes;
		r = image_check(offline.image, offline.image->bytes);
	}
	offline_close(&offline);
	if (r == 0)
		return CODE_OK;
	if (!check->error.message[0])
		return fail(CODE_REFUSED, "%s: cannot build the image: %s", check->text.shown, strerror(-r));
	rules_error_print(&check->error, "error", stderr);
	return CODE_USAGE;
}

static const char *problem_level(const struct rules_error *problem)
{
	return problem->note ? "note" : "warning";
}

static json_t *problem_json(const struct rules_error *problem, const char *level)
{
	return json_pack("{s:i, s:i, s:s, s:o}", "line", (int)problem->line, "col", (int)problem->col, "level", level, "text",
			 ipc_text(problem->message));
}

static json_t *rule_json(const struct rules *rules, size_t index)
{
	struct rule_info info = rules_info(rules, index);
	bool nic_capable;
	unsigned ns;

	rules_estimate(rules, index, &nic_capable, &ns);
	return json_pack("{s:i, s:s, s:o*, s:o, s:s, s:b, s:i, s:o}", "line", (int)info.line, "action", action_name(info.action),
			 "name", info.name ? ipc_text(info.name) : NULL, "text", ipc_text(info.text), "tier",
			 tier_name(info.tier), "nic_capable", nic_capable, "ns", (int)ns, "reason", ipc_text(info.reason));
}

static int check_print_json(const struct check *check)
{
	json_t *rules = json_array(), *warnings = json_array(), *errors = json_array();
	const struct rules *parsed = check->text.rules;
	json_t *json;
	int code;

	for (size_t i = 0; parsed && i < rules_count(parsed); i++)
		json_array_append_new(rules, rule_json(parsed, i));
	for (size_t i = 0; parsed && i < rules_warning_count(parsed); i++)
		json_array_append_new(warnings, problem_json(rules_warning(parsed, i), problem_level(rules_warning(parsed, i))));
	if (check->error.message[0])
		json_array_append_new(errors, problem_json(&check->error, "error"));
	json = json_pack("{s:{s:i, s:s}, s:o, s:o, s:o, s:I, s:I, s:f}", "spillway", "schema", SPILLWAY_SCHEMA, "version",
			 SPILLWAY_VERSION, "rules", rules, "warnings", warnings, "errors", errors, "image_bytes",
			 (json_int_t)check->image_bytes, "set_bytes", (json_int_t)check->set_bytes, "build_ms", check->build_ms);
	code = json_print(json);
	json_decref(json);
	return code;
}

static int reason_width(const struct rules *rules)
{
	size_t width = strlen("reason");

	for (size_t i = 0; i < rules_count(rules); i++) {
		size_t len = strlen(rules_info(rules, i).reason);

		if (len > width)
			width = len;
	}
	return (int)width;
}

static void check_print(const struct check *check)
{
	const struct rules *rules = check->text.rules;
	int width = reason_width(rules);

	printf("line  action  tier  nic    ns  %-*s  rule\n", width, "reason");
	for (size_t i = 0; i < rules_count(rules); i++) {
		struct rule_info info = rules_info(rules, i);
		bool nic_capable;
		unsigned ns;

		rules_estimate(rules, i, &nic_capable, &ns);
		printf("%4u  %-6s  %-4s  %-3s  %4u  %-*s  %s\n", info.line, action_name(info.action), tier_name(info.tier),
		       nic_capable ? "yes" : "-", ns, width, info.reason, info.text);
	}
	printf("%s: %zu rule%s, image of %zu kB", check->text.shown, rules_count(rules), rules_count(rules) == 1 ? "" : "s",
	       (check->image_bytes + 1023) / 1024);
	if (check->set_bytes)
		printf(" and sets of %zu kB", check->set_bytes / 1024);
	printf(" built in %.1f ms\n", check->build_ms);
}

/* The rules alone, in the form that `--print` names; what is wrong with them has been told. */
static int check_print_rules(const struct check *check, const char *form)
{
	if (strcmp(form, "text") != 0 && strcmp(form, "json") != 0)
		return fail(CODE_USAGE, "--print text or --print json, not `%s`", form);
	if (strcmp(form, "text") == 0)
		rules_print(check->text.rules, stdout);
	else if (rules_print_json(check->text.rules, stdout) < 0)
		return fail(CODE_REFUSED, "cannot print the rules");
	return CODE_OK;
}

int cmd_check(const struct arguments *arguments)
{
	bool json = arguments->values[OPTION_JSON];
	struct check check = {};
	int code;

	code = rules_text_load(arguments->values[OPTION_FILE], &check.text, &check.error);
	if (code == CODE_OK && rules_lint(check.text.rules) < 0)
		code = fail(CODE_REFUSED, "no memory");
	if (code == CODE_OK) {
		for (size_t i = 0; i < rules_warning_count(check.text.rules); i++)
			rules_error_print(rules_warning(check.text.rules, i), problem_level(rules_warning(check.text.rules, i)),
					  stderr);
		code = check_build(&check);
	}
	if (code == CODE_OK && arguments->values[OPTION_PRINT])
		code = check_print_rules(&check, arguments->values[OPTION_PRINT]);
	else if (json)
		check_print_json(&check);
	else if (code == CODE_OK)
		check_print(&check);
	rules_text_fini(&check.text);
	return code;
}
