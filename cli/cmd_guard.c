/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_guard.c - up, down, apply: what changes an interface. */
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/near.h"
#include "base/rundir.h"
#include "cli.h"
#include "host/link.h"

/* A number, or auto (-1), of an option that may be left away. */
static int number_parse(const struct arguments *arguments, enum option_id id, json_t *request)
{
	const char *text = arguments->values[id];
	char *end;
	long number;

	if (!text || strcmp(text, "auto") == 0)
		return CODE_OK;
	errno = 0;
	number = strtol(text, &end, 10);
	if (end == text || *end || errno || number < 0 || number > INT_MAX)
		return fail(CODE_USAGE, "up: --%s is a number or auto, not \"%s\"", option_table[id].name, text);
	json_object_set_new(request, option_table[id].name, json_integer(number));
	return CODE_OK;
}

/* One of the words the option's table entry lists. */
static int word_parse(const struct arguments *arguments, enum option_id id, json_t *request)
{
	const struct option_info *info = &option_table[id];
	const char *text = arguments->values[id];
	const char *at = info->choices;
	size_t len;

	for (; text && at && *at; at += len + (at[len] == ' ')) {
		len = strcspn(at, " ");
		if (len == strlen(text) && memcmp(at, text, len) == 0) {
			json_object_set_new(request, info->name, json_string(text));
			return CODE_OK;
		}
	}
	return text ? fail(CODE_USAGE, "up: --%s is %s, not \"%s\"", info->name, info->argument, text) : CODE_OK;
}

static int no_interface(const char *ifname)
{
	struct if_nameindex *interfaces = if_nameindex();
	const char *near = NULL;
	const char *names[256];
	size_t count = 0;

	for (; interfaces && count < 256 && interfaces[count].if_name; count++)
		names[count] = interfaces[count].if_name;
	near = near_find(ifname, names, count);
	if (near)
		fail(CODE_NOT_FOUND, "no interface \"%s\" here (did you mean \"%s\"?): see `ip link`", ifname, near);
	else
		fail(CODE_NOT_FOUND, "no interface \"%s\" here: see `ip link`", ifname);
	if_freenameindex(interfaces);
	return CODE_NOT_FOUND;
}

/* Said here and not by the daemon, so that none is started for nothing. */
static int interface_check(const char *ifname)
{
	struct link_facts facts;
	int r;

	if (strlen(ifname) >= IF_NAMESIZE)
		return no_interface(ifname);
	r = link_query(ifname, &facts);
	if (r == -ENODEV)
		return no_interface(ifname);
	if (r < 0)
		return fail(CODE_REFUSED, "%s: cannot look at the interface: %s", ifname, strerror(-r));
	if (!facts.up)
		return fail(CODE_REFUSED, "%s is down: `ip link set %s up` first", ifname, ifname);
	return CODE_OK;
}

/* Rules that parse are ASCII but for their comments, so what ipc_bytes() may have to replace says nothing. */
static json_t *rules_request(const char *cmd, const char *ifname, const struct rules_text *text)
{
	return json_pack("{s:s, s:s, s:o, s:o}", "cmd", cmd, "ifname", ifname, "rules", ipc_bytes(text->text, text->len),
			 "rules_file", ipc_text(text->path));
}

static int up_request(const struct arguments *arguments, json_t **ret_request)
{
	struct rules_error error;
	struct rules_text text;
	int code = rules_text_load(arguments->values[OPTION_FILE], &text, &error);

	if (code != CODE_OK)
		return code;
	*ret_request = rules_request("up", arguments->operand, &text);
	rules_text_fini(&text);
	if (!*ret_request)
		return fail(CODE_REFUSED, "no memory");
	code = number_parse(arguments, OPTION_QUEUE, *ret_request);
	if (code == CODE_OK)
		code = number_parse(arguments, OPTION_CPU, *ret_request);
	if (code == CODE_OK)
		code = word_parse(arguments, OPTION_MODE, *ret_request);
	if (code == CODE_OK)
		code = word_parse(arguments, OPTION_REINJECT, *ret_request);
	if (code != CODE_OK) {
		json_decref(*ret_request);
		*ret_request = NULL;
	}
	return code;
}

static void say_armed(const json_t *status)
{
	status_print_heading(status, stdout);
	fflush(stdout);
}

/* Ctrl-C reaches the daemon too: it is in our process group. We stay to tell how it ended. */
static int foreground_wait(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return CODE_REFUSED;
	return WIFEXITED(status) ? WEXITSTATUS(status)
				 : fail(CODE_REFUSED, "the daemon was killed: `spillway restore` cleans up");
}

static volatile pid_t foreground_daemon;

static void foreground_pass_on(int number)
{
	(void)number;
	kill(foreground_daemon, SIGTERM);
}

static int up_foreground(json_t *request)
{
	json_t *status = NULL, *version = NULL;
	pid_t child;
	int code;

	if (daemon_ask(json_pack("{s:s}", "cmd", "version"), true, &version) == CODE_OK) {
		json_decref(version);
		json_decref(request);
		return fail(CODE_REFUSED, "a daemon runs already: leave --foreground away to use it");
	}
	signal(SIGINT, SIG_IGN); /* the terminal sends it to the daemon, too */
	code = daemon_start(true, &child);
	if (code != CODE_OK) {
		json_decref(request);
		return code;
	}
	foreground_daemon = child;
	signal(SIGTERM, foreground_pass_on);
	signal(SIGHUP, foreground_pass_on);
	code = daemon_ask(request, false, &status);
	if (code == CODE_OK)
		say_armed(status);
	json_decref(status);
	if (code != CODE_OK)
		kill(child, SIGTERM);
	return code == CODE_OK ? foreground_wait(child) : (foreground_wait(child), code);
}

static int up_background(json_t *request)
{
	json_t *status = NULL;
	int code;

	code = daemon_ask(json_incref(request), true, &status);
	if (code == CODE_UNREACHABLE) {
		code = daemon_start(false, NULL);
		if (code == CODE_OK)
			code = daemon_ask(json_incref(request), false, &status);
	}
	json_decref(request);
	if (code == CODE_OK)
		say_armed(status);
	json_decref(status);
	return code;
}

int cmd_up(const struct arguments *arguments)
{
	json_t *request;
	int code;

	code = up_request(arguments, &request);
	if (code != CODE_OK)
		return code;
	code = interface_check(arguments->operand);
	if (code != CODE_OK) {
		json_decref(request);
		return code;
	}
	return arguments->values[OPTION_FOREGROUND] ? up_foreground(request) : up_background(request);
}

int cmd_down(const struct arguments *arguments)
{
	json_t *result = NULL;
	int code;

	code = daemon_ask(json_pack("{s:s, s:s}", "cmd", "down", "ifname", arguments->operand), false, &result);
	json_decref(result);
	if (code == CODE_OK)
		printf("%s is disarmed, everything undone\n", arguments->operand);
	return code;
}

int cmd_apply(const struct arguments *arguments)
{
	json_t *request, *status = NULL;
	struct rules_error error;
	struct rules_text text;
	size_t count;
	int code;

	code = rules_text_load(arguments->values[OPTION_FILE], &text, &error);
	if (code != CODE_OK)
		return code;
	request = rules_request("apply", arguments->operand, &text);
	count = rules_count(text.rules);
	rules_text_fini(&text);
	if (!request)
		return fail(CODE_REFUSED, "no memory");
	code = daemon_ask(request, false, &status);
	if (code == CODE_OK)
		printf("%s: %zu rule%s in force, generation %lld\n", arguments->operand, count, count == 1 ? "" : "s",
		       (long long)json_integer_value(json_object_get(status, "generation")));
	json_decref(status);
	return code;
}
