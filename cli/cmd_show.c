/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_show.c - status, rules, version: what the daemon tells, for people or as JSON. */
#include <string.h>

#include "act/verdict.h"
#include "base/version.h"
#include "cli.h"

static const struct {
	const char *name, *what;
} verdicts[VERDICT_COUNT] = {
#define VERDICT_ROW(name, text, tier, what) [VERDICT_##name] = { text, what },
	VERDICT_LIST(VERDICT_ROW)
#undef VERDICT_ROW
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static json_int_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

int json_print(const json_t *json)
{
	if (!json || json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER) < 0)
		return fail(CODE_REFUSED, "cannot print the answer as JSON");
	putchar('\n');
	return CODE_OK;
}

const char *verdict_name(enum verdict verdict)
{
	return verdicts[verdict].name;
}

const char *grouped(json_int_t number, char text[GROUPED_MAX])
{
	char plain[24];
	int len = snprintf(plain, sizeof(plain), "%lld", (long long)number);
	char *out = text;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0 && plain[i - 1] != '-')
			*out++ = ',';
		*out++ = plain[i];
	}
	*out = '\0';
	return text;
}

static const char *age(json_int_t seconds, char text[32])
{
	if (seconds < 120)
		snprintf(text, 32, "%d s", (int)seconds);
	else if (seconds < 2 * 3600)
		snprintf(text, 32, "%d min", (int)(seconds / 60));
	else if (seconds < 2 * 86400)
		snprintf(text, 32, "%d h %d min", (int)(seconds / 3600), (int)(seconds / 60 % 60));
	else
		snprintf(text, 32, "%lld days", (long long)(seconds / 86400));
	return text;
}

/* `  NAME      VALUE (REASON)` */
static void print_fact(const char *name, const char *value, const char *reason, FILE *out)
{
	fprintf(out, "  %-10s%s%s%s%s\n", name, value, reason[0] ? " (" : "", reason, reason[0] ? ")" : "");
}

static void print_reinject(const json_t *status, FILE *out)
{
	const json_t *reinject = json_object_get(status, "reinject");
	const char *device = text_of(reinject, "device");
	char value[64];

	if (!json_is_object(reinject)) {
		print_fact("reinject", "none", "no rule diverts", out);
		return;
	}
	snprintf(value, sizeof(value), "%s%s%s", text_of(reinject, "kind"), device[0] ? " " : "", device);
	print_fact("reinject", value, text_of(reinject, "kind_reason"), out);
}

static void print_worker(const json_t *status, FILE *out)
{
	const json_t *worker = json_object_get(status, "worker");
	const json_t *cpu = json_object_get(worker, "cpu");
	char value[96];
	int len;

	if (text_of(worker, "reason")[0]) {
		print_fact("worker", "none", text_of(worker, "reason"), out);
		return;
	}
	len = snprintf(value, sizeof(value), "%s, last beat %lld ms ago",
		       json_is_true(json_object_get(worker, "alive")) ? "alive" : "STALLED",
		       (long long)number_of(worker, "beat_age_ms"));
	if (cpu)
		snprintf(value + len, sizeof(value) - (size_t)len, ", CPU %lld", (long long)json_integer_value(cpu));
	print_fact("worker", value, json_is_true(json_object_get(worker, "alive")) ? "" : "nothing is diverted until it goes on",
		   out);
}

void status_print_heading(const json_t *status, FILE *out)
{
	const json_t *attached = json_object_get(status, "attached");
	bool has_port = json_is_object(json_object_get(status, "reinject"));
	char value[64], armed[32];

	if (json_is_false(attached))
		fprintf(out,
			"%s  NOT ATTACHED: somebody detached the XDP program, or the interface is gone: `spillway down %s`\n",
			text_of(status, "ifname"), text_of(status, "ifname"));
	else
		fprintf(out, "%s  armed %s, rules generation %lld\n", text_of(status, "ifname"),
			age(number_of(status, "armed_s"), armed), (long long)number_of(status, "generation"));
	print_fact("XDP", text_of(status, "mode"), text_of(status, "mode_reason"), out);
	snprintf(value, sizeof(value), "%s",
		 strcmp(text_of(status, "copy"), "copy") == 0 ? "copy mode" : text_of(status, "copy"));
	print_fact("AF_XDP", has_port ? value : "none", text_of(status, "copy_reason"), out);
	print_fact("steering", text_of(status, "steering"), text_of(status, "steering_reason"), out);
	print_reinject(status, out);
	print_worker(status, out);
}

static void print_queues(const json_t *status)
{
	static const char *const columns[] = { "received", "ring_full", "fill_empty", "dropped", "backlog" };
	const unsigned n_columns = sizeof(columns) / sizeof(columns[0]);
	json_t *queue;
	size_t i;

	if (!json_is_object(json_object_get(status, "reinject")))
		return;
	printf("\n  %-6s", "queue");
	for (unsigned c = 0; c < n_columns; c++)
		printf("%15s", columns[c]);
	putchar('\n');
	json_array_foreach(json_object_get(status, "queues"), i, queue)
	{
		char text[32];

		printf("  %-6lld", (long long)number_of(queue, "queue"));
		if (!json_is_true(json_object_get(queue, "port")))
			printf("  no port: the kernel's");
		else
			for (unsigned c = 0; c < n_columns; c++)
				printf("%15s", grouped(number_of(queue, columns[c]), text));
		putchar('\n');
	}
}

/* Only what happened: a name that is not there has count 0. */
static void print_verdicts(const json_t *status)
{
	const json_t *counts = json_object_get(status, "verdicts");
	char packets[32], bytes[32];
	bool any = false;

	for (unsigned i = 0; i < VERDICT_COUNT; i++) {
		const json_t *hits = json_object_get(counts, verdicts[i].name);

		if (number_of(hits, "packets") == 0)
			continue;
		if (!any)
			printf("\n  %-20s%16s%20s\n", "verdict", "packets", "bytes");
		any = true;
		printf("  %-20s%16s%20s  %s\n", verdicts[i].name, grouped(number_of(hits, "packets"), packets),
		       grouped(number_of(hits, "bytes"), bytes), verdicts[i].what);
	}
	if (!any)
		printf("\n  no packet yet\n");
}

/* Only where somebody watched. */
static void print_samples(const json_t *status)
{
	const json_t *samples = json_object_get(status, "samples");
	char offered[GROUPED_MAX], lost[GROUPED_MAX];

	if (number_of(samples, "watchers") || number_of(samples, "offered") || number_of(samples, "lost"))
		printf("\n  samples offered %s, lost %s, watched by %lld\n", grouped(number_of(samples, "offered"), offered),
		       grouped(number_of(samples, "lost"), lost), (long long)number_of(samples, "watchers"));
}

static void status_print(const json_t *status)
{
	char diverted[32], reinjected[32], failed[32];

	status_print_heading(status, stdout);
	print_queues(status);
	print_verdicts(status);
	print_samples(status);
	printf("\n  diverted %s, reinjected %s, reinject failed %s; per rule: spillway rules %s\n",
	       grouped(number_of(status, "diverted"), diverted), grouped(number_of(status, "reinjected"), reinjected),
	       grouped(number_of(status, "reinject_failed"), failed), text_of(status, "ifname"));
}

static void statuses_print(const json_t *interfaces)
{
	json_t *status;
	size_t i;

	if (json_array_size(interfaces) == 0)
		puts("the daemon runs, no interface is armed");
	json_array_foreach(interfaces, i, status)
	{
		if (i > 0)
			putchar('\n');
		status_print(status);
	}
}

int cmd_status(const struct arguments *arguments)
{
	json_t *result = NULL;
	int code;

	code = daemon_ask(json_pack("{s:s, s:s*}", "cmd", "status", "ifname", arguments->operand), false, &result);
	if (code == CODE_OK && arguments->values[OPTION_JSON])
		code = json_print(result);
	else if (code == CODE_OK && arguments->operand)
		status_print(result);
	else if (code == CODE_OK)
		statuses_print(json_object_get(result, "interfaces"));
	json_decref(result);
	return code;
}

static void rules_print_table(const json_t *rules)
{
	json_t *rule;
	size_t i;

	printf("line  tier  %16s%20s  rule\n", "packets", "bytes");
	json_array_foreach(rules, i, rule)
	{
		char packets[32], bytes[32];

		printf("%4lld  %-4s  %16s%20s  %s\n", (long long)number_of(rule, "line"), text_of(rule, "tier"),
		       grouped(number_of(rule, "packets"), packets), grouped(number_of(rule, "bytes"), bytes),
		       text_of(rule, "text"));
	}
}

int cmd_rules(const struct arguments *arguments)
{
	json_t *result = NULL;
	int code;

	code = daemon_ask(json_pack("{s:s, s:s}", "cmd", "rules", "ifname", arguments->operand), false, &result);
	if (code == CODE_OK && arguments->values[OPTION_JSON])
		code = json_print(result);
	else if (code == CODE_OK)
		rules_print_table(json_object_get(result, "rules"));
	json_decref(result);
	return code;
}

int cmd_version(const struct arguments *arguments)
{
	json_t *result = NULL;
	int code;

	code = daemon_ask(json_pack("{s:s}", "cmd", "version"), true, &result);
	if (arguments->values[OPTION_JSON]) {
		json_t *json =
			json_pack("{s:{s:i, s:s}, s:o*}", "spillway", "schema", SPILLWAY_SCHEMA, "version", SPILLWAY_VERSION,
				  "daemon",
				  code == CODE_OK ? json_pack("{s:O, s:O}", "version",
							      json_object_get(json_object_get(result, "spillway"), "version"),
							      "pid", json_object_get(result, "pid"))
						  : NULL);
		code = json_print(json);
		json_decref(json);
	} else {
		puts("spillway " SPILLWAY_VERSION);
		if (code == CODE_OK)
			printf("spillwayd %s running, pid %lld\n", text_of(json_object_get(result, "spillway"), "version"),
			       (long long)number_of(result, "pid"));
		code = CODE_OK;
	}
	json_decref(result);
	return code;
}
