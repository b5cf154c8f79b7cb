/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "base/version.h"
#include "daemon.h"

/* What a request says; NULL where it does not. Strings are the request's. */
struct request {
	const char *cmd, *ifname, *mode, *reinject, *rules, *rules_file;
	json_int_t queue, cpu; /* -1: auto */
	const json_t *json;    /* all of it, for who wants more */
};

static const char *request_parse(const json_t *json, struct request *ret_request)
{
	struct request request = { .queue = -1, .cpu = -1, .json = json };
	json_error_t problem;
	static char text[sizeof(problem.text)];

	if (json_unpack_ex((json_t *)json, &problem, 0, "{s:s, s?s, s?s, s?s, s?s, s?s, s?I, s?I}", "cmd", &request.cmd, "ifname",
			   &request.ifname, "mode", &request.mode, "reinject", &request.reinject, "rules", &request.rules,
			   "rules_file", &request.rules_file, "queue", &request.queue, "cpu", &request.cpu) < 0) {
		memcpy(text, problem.text, sizeof(text));
		return text;
	}
	*ret_request = request;
	return NULL;
}

static int guard_find(const struct daemon *daemon, const char *ifname)
{
	for (unsigned i = 0; i < daemon->n_guards; i++)
		if (strcmp(guard_ifname(daemon->guards[i]), ifname) == 0)
			return (int)i;
	return -1;
}

static json_t *reply_not_armed(const char *ifname)
{
	return ipc_reply_error(CODE_NOT_FOUND,
			       "%s is not armed: `spillway up %s -f RULES` arms it, `spillway status` lists what is", ifname,
			       ifname);
}

static json_t *reply_guard_error(const char *ifname, int r, const char *message)
{
	enum exit_code code = r == -ENODEV || r == -ENOENT  ? CODE_NOT_FOUND
			      : r == -EPERM || r == -EACCES ? CODE_PERMISSION
							    : CODE_REFUSED;

	log_error("%s", message[0] ? message : strerror(-r));
	if (message[0])
		return ipc_reply_error(code, "%s", message);
	return ipc_reply_error(code, "%s: %s", ifname, strerror(-r));
}

/* Every document says what wrote it. Steals `content`. */
static json_t *document(json_t *content)
{
	json_t *json = json_pack("{s:{s:i, s:s}}", "spillway", "schema", SPILLWAY_SCHEMA, "version", SPILLWAY_VERSION);

	if (json && (!content || json_object_update_missing(json, content) < 0)) {
		json_decref(json);
		json = NULL;
	}
	json_decref(content);
	return json;
}

/* Rules */

/* The rules of a request, or NULL and the reply that says what is wrong with them. */
static struct rules *request_rules(const struct request *request, json_t **ret_reply)
{
	struct rules_error error = {};
	struct rules *rules;
	int r;

	if (!request->rules) {
		*ret_reply = ipc_reply_error(CODE_USAGE, "%s: no rules in the request", request->cmd);
		return NULL;
	}
	r = rules_parse(request->rules, strlen(request->rules), request->rules_file ? request->rules_file : "-", &rules, &error);
	if (r == 0)
		return rules;
	*ret_reply = error.message[0] ? ipc_reply_rules_error(&error) : ipc_reply_error(CODE_REFUSED, "rules: %s", strerror(-r));
	return NULL;
}

/* Armed interfaces */

static int guard_watch(struct daemon *daemon, struct guard *guard)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = guard };
	int fd = guard_fd(guard);

	if (fd < 0)
		return 0;
	return epoll_ctl(daemon->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void daemon_guard_close(struct daemon *daemon, unsigned index)
{
	struct guard *guard = daemon->guards[index];
	int fd = guard_fd(guard);

	if (fd >= 0)
		epoll_ctl(daemon->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	log_info("%s: taking it down", guard_ifname(guard));
	samples_end(daemon, guard);
	guard_close(guard);
	daemon->n_guards--;
	memmove(&daemon->guards[index], &daemon->guards[index + 1], (daemon->n_guards - index) * sizeof(daemon->guards[0]));
}

/* Index of the word, 0 if there is none to look up, -EINVAL if it is not among them. */
static int word_find(const char *text, const char *const words[], unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!text || strcmp(text, words[i]) == 0)
			return (int)i;
	return -EINVAL;
}

static const char *config_parse(const struct request *request, struct guard_config *ret_config)
{
	static const char *const modes[] = {
		[GUARD_MODE_AUTO] = "auto", [GUARD_MODE_NATIVE] = "native", [GUARD_MODE_GENERIC] = "generic"
	};
	static const char *const ways[] = { [REINJECT_AUTO] = "auto", [REINJECT_TAP] = "tap", [REINJECT_LIVE] = "live" };
	int mode = word_find(request->mode, modes, 3);
	int reinject = word_find(request->reinject, ways, 3);

	if (strlen(request->ifname) >= sizeof(ret_config->ifname))
		return "no interface has so long a name";
	if (request->queue < -1 || request->queue > INT_MAX)
		return "queue is a number from 0, or -1 for auto";
	if (request->cpu < -1 || request->cpu >= CPU_SETSIZE)
		return "cpu is a number from 0, or -1 for auto";
	if (mode < 0)
		return "mode is auto, native or generic";
	if (reinject < 0)
		return "reinject is auto, tap or live";
	ret_config->mode = (enum guard_mode)mode;
	ret_config->reinject = (enum reinject_kind)reinject;
	ret_config->cpu = (int)request->cpu;
	strcpy(ret_config->ifname, request->ifname);
	ret_config->queue = (int)request->queue;
	return NULL;
}

static void log_armed(const struct ipc_peer *peer, const struct request *request, const json_t *status)
{
	const char *mode = json_string_value(json_object_get(status, "mode"));
	const char *steering = json_string_value(json_object_get(status, "steering"));

	log_info("%s: armed for uid %d, %s mode, steering %s, rules of %s", request->ifname, (int)peer->uid, mode ? mode : "?",
		 steering ? steering : "?", request->rules_file ? request->rules_file : "-");
}

static json_t *arm(struct daemon *daemon, const struct ipc_peer *peer, const struct request *request,
		   const struct guard_config *config, const struct rules *rules)
{
	char message[512] = "";
	struct guard *guard;
	json_t *status;
	int r;

	r = guard_open(config, rules, daemon->journal, &guard, message, sizeof(message));
	if (r < 0)
		return reply_guard_error(request->ifname, r, message);
	r = guard_watch(daemon, guard);
	if (r < 0) {
		guard_close(guard);
		return reply_guard_error(request->ifname, r, "");
	}
	daemon->guards[daemon->n_guards++] = guard;
	status = document(guard_status(guard));
	log_armed(peer, request, status);
	return ipc_reply_result(status);
}

/* The requests */

static json_t *answer_up(struct daemon *daemon, const struct ipc_peer *peer, const struct request *request)
{
	struct guard_config config;
	struct rules *rules;
	const char *problem;
	json_t *reply;

	daemon->was_asked = true;
	problem = config_parse(request, &config);
	if (problem)
		return ipc_reply_error(CODE_USAGE, "up: %s", problem);
	if (guard_find(daemon, request->ifname) >= 0)
		return ipc_reply_error(CODE_REFUSED, "%s is armed already: `spillway apply %s -f RULES` changes its rules",
				       request->ifname, request->ifname);
	if (daemon->n_guards == DAEMON_GUARDS_MAX)
		return ipc_reply_error(CODE_REFUSED, "%d interfaces are armed, more than that are not supported",
				       DAEMON_GUARDS_MAX);
	rules = request_rules(request, &reply);
	if (!rules)
		return reply;
	reply = arm(daemon, peer, request, &config, rules);
	rules_free(rules);
	return reply;
}

static json_t *answer_down(struct daemon *daemon, const struct ipc_peer *peer, const struct request *request)
{
	int index = guard_find(daemon, request->ifname);

	(void)peer;
	if (index < 0)
		return reply_not_armed(request->ifname);
	daemon->was_asked = true;
	daemon_guard_close(daemon, (unsigned)index);
	return ipc_reply_result(document(json_pack("{s:s}", "ifname", request->ifname)));
}

static json_t *answer_apply(struct daemon *daemon, const struct ipc_peer *peer, const struct request *request)
{
	int index = guard_find(daemon, request->ifname);
	char message[512] = "";
	struct rules *rules;
	json_t *reply = NULL;
	int r;

	if (index < 0)
		return reply_not_armed(request->ifname);
	rules = request_rules(request, &reply);
	if (!rules)
		return reply;
	samples_turn(daemon); /* those of the rules that run now */
	r = guard_apply(daemon->guards[index], rules, message, sizeof(message));
	rules_free(rules);
	if (r < 0)
		return reply_guard_error(request->ifname, r, message);
	log_info("%s: rules replaced for uid %d by those of %s", request->ifname, (int)peer->uid,
		 request->rules_file ? request->rules_file : "-");
	return ipc_reply_result(document(guard_status(daemon->guards[index])));
}

static json_t *answer_status(struct daemon *daemon, const struct ipc_peer *peer, const struct request *request)
{
	json_t *interfaces;
	int index;

	(void)peer;
	if (request->ifname) {
		index = guard_find(daemon, request->ifname);
		return index < 0 ? reply_not_armed(request->ifname)
				 : ipc_reply_result(document(guard_status(daemon->guards[index])));
	}
	interfaces = json_array();
	for (unsigned i = 0; i < daemon->n_guards; i++)
		json_array_append_new(interfaces, guard_status(daemon->guards[i]));
	return ipc_reply_result(document(json_pack("{s:o}", "interfaces", interfaces)));
}

static json_t *answer_rules(struct daemon *daemon, const struct ipc_peer *peer, const struct request *request)
{
	int index = guard_find(daemon, request->ifname);

	(void)peer;
	if (index < 0)
		return reply_not_armed(request->ifname);
	return ipc_reply_result(
		document(json_pack("{s:s, s:o}", "ifname", request->ifname, "rules", guard_rules(daemon->guards[index]))));
}

/* To list is for anybody; `changes` of the table below is for whole commands. */
static json_t *answer_set(struct daemon *daemon, const struct ipc_peer *peer, const struct request *request)
{
	const char *op = json_string_value(json_object_get(request->json, "op"));
	const char *set = json_string_value(json_object_get(request->json, "set"));
	bool lists = op && strcmp(op, "list") == 0;
	int index = guard_find(daemon, request->ifname);
	json_t *reply;

	if (index < 0)
		return reply_not_armed(request->ifname);
	if (!lists && !peer->may_change)
		return ipc_reply_error(CODE_PERMISSION, "set: only root and the group %s may change a set", IPC_GROUP);
	reply = guard_set(daemon->guards[index], request->json);
	if (!lists && json_is_true(json_object_get(reply, "ok")) && strcmp(op, "stage") != 0)
		log_info("%s: set %s: %s for uid %d", request->ifname, set, op, (int)peer->uid);
	return reply;
}

/* Sampled packets are what others have sent each other: not for everybody who may look at counters. */
static json_t *answer_sample(struct daemon *daemon, const struct ipc_peer *peer, const struct request *request)
{
	int index = guard_find(daemon, request->ifname);
	int r;

	if (index < 0)
		return reply_not_armed(request->ifname);
	if (!peer->may_change)
		return ipc_reply_error(CODE_PERMISSION, "sample: only root and the group %s may see packets", IPC_GROUP);
	r = samples_watch(daemon, daemon->guards[index], peer);
	if (r == -EBUSY)
		return ipc_reply_error(CODE_REFUSED, "%s: %d watch samples already: end one of them", request->ifname,
				       IPC_WATCHERS_MAX);
	if (r < 0)
		return ipc_reply_error(CODE_REFUSED, "%s: cannot watch samples: %s", request->ifname, strerror(-r));
	log_info("%s: samples watched by uid %d, pid %d", request->ifname, (int)peer->uid, (int)peer->pid);
	return ipc_reply_result(document(
		json_pack("{s:s, s:b}", "ifname", request->ifname, "sample_rules", guard_has_samples(daemon->guards[index]))));
}

static json_t *answer_version(struct daemon *daemon, const struct ipc_peer *peer, const struct request *request)
{
	(void)daemon;
	(void)peer;
	(void)request;
	return ipc_reply_result(document(json_pack("{s:i}", "pid", (int)getpid())));
}

static json_t *answer_stop(struct daemon *daemon, const struct ipc_peer *peer, const struct request *request)
{
	(void)request;
	log_info("told to stop by uid %d", (int)peer->uid);
	daemon->ending = true;
	return ipc_reply_result(document(json_object()));
}

static const struct {
	const char *name;
	bool changes;	  /* only for peers that may */
	bool needs_iface; /* "ifname" must be there */
	json_t *(*answer)(struct daemon *daemon, const struct ipc_peer *peer, const struct request *request);
} requests[] = {
	{ "up", true, true, answer_up },	  { "down", true, true, answer_down },
	{ "apply", true, true, answer_apply },	  { "status", false, false, answer_status },
	{ "rules", false, true, answer_rules },	  { "set", false, true, answer_set },
	{ "sample", false, true, answer_sample }, { "version", false, false, answer_version },
	{ "stop", true, false, answer_stop },
};

json_t *request_answer(void *userdata, const struct ipc_peer *peer, const json_t *json)
{
	struct request request;
	const char *problem;

	problem = request_parse(json, &request);
	if (problem)
		return ipc_reply_error(CODE_USAGE, "not a request: %s", problem);
	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (strcmp(requests[i].name, request.cmd) != 0)
			continue;
		if (requests[i].needs_iface && (!request.ifname || !*request.ifname))
			return ipc_reply_error(CODE_USAGE, "%s: which interface?", request.cmd);
		if (requests[i].changes && !peer->may_change)
			return ipc_reply_error(CODE_PERMISSION, "%s: only root and the group %s may change something",
					       request.cmd, IPC_GROUP);
		return requests[i].answer(userdata, peer, &request);
	}
	return ipc_reply_error(CODE_USAGE, "unknown request \"%s\": the daemon is version %s", request.cmd, SPILLWAY_VERSION);
}
