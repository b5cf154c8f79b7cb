/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/kernel.h"
#include "base/rundir.h"
#include "cli.h"

#define ASK_TIMEOUT_MS 60000 /* loading a program and opening ports is a matter of a second at worst */
#define START_TIMEOUT_MS 10000
#define START_POLL_MS 20

static int reply_read(const json_t *reply, json_t **ret_result)
{
	const char *error = json_string_value(json_object_get(reply, "error"));
	json_int_t code = json_integer_value(json_object_get(reply, "code"));

	if (json_is_true(json_object_get(reply, "ok"))) {
		*ret_result = json_incref(json_object_get(reply, "result"));
		return CODE_OK;
	}
	/* What is wrong with rules comes as rules_error_print() wrote it, several lines that start with the file's name. */
	if (error && strchr(error, '\n'))
		fprintf(stderr, "%s\n", error);
	else
		fail(CODE_REFUSED, "%s", error ? error : "the daemon refuses and does not say why");
	return code > 0 && code <= CODE_PERMISSION ? (int)code : CODE_REFUSED;
}

static int ask_failed(int r, const char *rundir, bool quiet)
{
	switch (r) {
	case -ENOENT:
	case -ENOTDIR:
	case -ECONNREFUSED:
	case -ECONNRESET:
		if (!quiet)
			fail(CODE_UNREACHABLE,
			     "no daemon runs here, so nothing is armed: `spillway up IFACE -f RULES` starts one, "
			     "`spillway restore` cleans up after a crash");
		return CODE_UNREACHABLE;
	case -EACCES:
	case -EPERM:
		return fail(CODE_PERMISSION,
			    "may not talk to the daemon: become root (sudo) or a member of the group " IPC_GROUP);
	case -ETIMEDOUT:
	case -EAGAIN:
		return fail(CODE_UNREACHABLE,
			    "the daemon does not answer: is it stopped? its log is %s/log or the system journal", rundir);
	default:
		return fail(CODE_UNREACHABLE, "cannot talk to the daemon: %s", strerror(-r));
	}
}

int daemon_ask(json_t *request, bool quiet, json_t **ret_result)
{
	char rundir[PATH_MAX] = "";
	json_t *reply = NULL;
	int r, code;

	r = rundir_find(rundir);
	if (r == 0)
		r = request ? ipc_call(rundir, request, ASK_TIMEOUT_MS, &reply) : -ENOMEM;
	json_decref(request);
	if (r < 0)
		return ask_failed(r, rundir, quiet);
	code = reply_read(reply, ret_result);
	json_decref(reply);
	return code;
}

int daemon_watch(json_t *request, struct ipc_stream **ret_stream, json_t **ret_result)
{
	char rundir[PATH_MAX] = "";
	json_t *reply = NULL;
	int r, code;

	r = rundir_find(rundir);
	if (r == 0)
		r = request ? ipc_stream_open(rundir, request, ASK_TIMEOUT_MS, ret_stream, &reply) : -ENOMEM;
	json_decref(request);
	if (r < 0)
		return ask_failed(r, rundir, false);
	code = reply_read(reply, ret_result);
	json_decref(reply);
	if (code != CODE_OK)
		*ret_stream = ipc_stream_close(*ret_stream);
	return code;
}

/* Starting it */

/* Installed, it is our neighbour; in a build tree it stands in ../daemon; else the PATH knows. */
static const char *daemon_find(char path[PATH_MAX])
{
	static const char *const places[] = { "/spillwayd", "/../daemon/spillwayd" };
	char own[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	if (len <= 0)
		return "spillwayd";
	own[len] = '\0';
	slash = strrchr(own, '/');
	*slash = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (snprintf(path, PATH_MAX, "%s%s", own, places[i]) < PATH_MAX && access(path, X_OK) == 0)
			return path;
	return "spillwayd";
}

static void daemon_exec(bool foreground)
{
	char path[PATH_MAX];
	const char *program = daemon_find(path);

	if (foreground)
		prctl(PR_SET_PDEATHSIG, SIGTERM); /* it is part of us: should we be killed, it takes everything down */
	execlp(program, "spillwayd", "--exit-when-idle", foreground ? "--foreground" : NULL, NULL);
	fail(CODE_UNREACHABLE, "cannot start %s: %s", program, strerror(errno));
	_exit(CODE_UNREACHABLE);
}

static int wait_exit(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return CODE_UNREACHABLE;
	return WIFEXITED(status) ? WEXITSTATUS(status) : CODE_REFUSED;
}

/* Until it answers or has ended. It says itself why it ended. */
static int wait_ready(pid_t child)
{
	const struct timespec pause = { .tv_nsec = START_POLL_MS * 1000 * 1000 };

	for (unsigned waited_ms = 0; waited_ms < START_TIMEOUT_MS; waited_ms += START_POLL_MS) {
		json_t *result = NULL;
		int status, code;

		if (waitpid(child, &status, WNOHANG) == child)
			return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : CODE_REFUSED;
		code = daemon_ask(json_pack("{s:s}", "cmd", "version"), true, &result);
		json_decref(result);
		if (code != CODE_UNREACHABLE)
			return code;
		nanosleep(&pause, NULL);
	}
	kill(child, SIGTERM);
	return fail(CODE_UNREACHABLE, "spillwayd was started but does not answer");
}

int daemon_start(bool foreground, pid_t *ret_child)
{
	char message[256];
	pid_t child;

	if (geteuid() != 0)
		return fail(CODE_PERMISSION, "arming an interface needs root: try sudo");
	if (kernel_check(message, sizeof(message)) < 0)
		return fail(CODE_REFUSED, "%s", message);
	child = fork();
	if (child < 0)
		return fail(CODE_REFUSED, "cannot start the daemon: %s", strerror(errno));
	if (child == 0)
		daemon_exec(foreground);
	if (!foreground)
		return wait_exit(child); /* the daemon's own parent process: ends when the daemon is ready */
	*ret_child = child;
	return wait_ready(child);
}
