/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation. The server has an epoll of its own with the listening socket and every client in it, so that the daemon
 * waits for one descriptor. A client is either read from (no reply pending) or written to, never both: it cannot pile up replies
 * by not reading them. Handlers run inside ipc_server_turn(), one at a time; that is what makes requests atomic to each other.
 *
 * A client that watches is only written to: its reply first, and then lines from a buffer of its own, which ipc_tell() fills and
 * ipc_server_turn() empties. When the buffer is full the newest lines are lost and counted; the count goes out in their place.
 */
#include "control/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/ipc_inside.h"
#include "rules/rules.h"

/* Framing */

/* Bytes of the unfinished line once `bytes` have been added, or -EMSGSIZE when a line among them is too long. */
static ssize_t lines_measure(size_t partial, const char *bytes, size_t len)
{
	const char *end = bytes + len;

	while (bytes < end) {
		const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));

		partial += (size_t)((newline ? newline : end) - bytes);
		if (partial > IPC_LINE_MAX)
			return -EMSGSIZE;
		if (!newline)
			break;
		partial = 0;
		bytes = newline + 1;
	}
	return (ssize_t)partial;
}

static int lines_reserve(struct ipc_lines *lines, size_t len)
{
	size_t size = lines->size ? lines->size : 4096;
	char *data;

	if (lines->len + len <= lines->size)
		return 0;
	while (size < lines->len + len)
		size *= 2;
	data = realloc(lines->data, size);
	if (!data)
		return -ENOMEM;
	lines->data = data;
	lines->size = size;
	return 0;
}

int ipc_lines_feed(struct ipc_lines *lines, const void *bytes, size_t len)
{
	ssize_t partial = lines_measure(lines->partial, bytes, len);
	int r;

	if (partial < 0)
		return (int)partial;
	if (lines->taken > 0) {
		memmove(lines->data, lines->data + lines->taken, lines->len - lines->taken);
		lines->len -= lines->taken;
		lines->searched -= lines->taken;
		lines->taken = 0;
	}
	r = lines_reserve(lines, len);
	if (r < 0 || len == 0)
		return r;
	memcpy(lines->data + lines->len, bytes, len);
	lines->len += len;
	lines->partial = (size_t)partial;
	return 0;
}

const char *ipc_lines_next(struct ipc_lines *lines, size_t *ret_len)
{
	const char *line, *newline;

	if (lines->searched == lines->len)
		return NULL;
	newline = memchr(lines->data + lines->searched, '\n', lines->len - lines->searched);
	if (!newline) {
		lines->searched = lines->len;
		return NULL;
	}
	line = lines->data + lines->taken;
	*ret_len = (size_t)(newline - line);
	lines->taken += *ret_len + 1;
	lines->searched = lines->taken;
	return line;
}

void ipc_lines_fini(struct ipc_lines *lines)
{
	free(lines->data);
	*lines = (struct ipc_lines){};
}

/* Server */

struct ipc_client {
	int fd; /* -1: free */
	struct ipc_peer peer;
	struct ipc_lines lines;
	char *reply; /* being written: read no further request meanwhile */
	size_t reply_len, reply_sent;
	int64_t deadline_ms;
	/* Of a watcher: */
	const void *topic; /* NULL: it asks */
	bool let_go;	   /* once it has been told the rest */
	char *told;	   /* IPC_WATCH_BYTES: lines behind the reply */
	size_t told_len, told_sent;
	uint64_t lost_ring, lost; /* not told of yet: before they came to us, and for want of room */
};

struct ipc_server {
	int directory_fd, listen_fd, epoll_fd;
	ipc_handler handler;
	void *userdata;
	bool has_group;
	gid_t group;
	struct ipc_client clients[IPC_CLIENTS_MAX];
};

static int socket_bind(struct ipc_server *server, const char *rundir)
{
	struct sockaddr_un address;
	mode_t umask_before;
	int r = 0;

	server->directory_fd = ipc_address_open(rundir, &address);
	if (server->directory_fd < 0)
		return server->directory_fd;
	server->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->listen_fd < 0)
		return -errno;
	unlinkat(server->directory_fd, "ctl", 0);

	/* Born closed to everybody but us and then opened: no moment at which too many may connect. */
	umask_before = umask(0177);
	if (bind(server->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		r = -errno;
	umask(umask_before);
	if (r == 0 && server->has_group && fchownat(server->directory_fd, "ctl", (uid_t)-1, server->group, 0) < 0)
		r = -errno;
	if (r == 0 && fchmodat(server->directory_fd, "ctl", 0660, 0) < 0)
		r = -errno;
	if (r == 0 && listen(server->listen_fd, IPC_CLIENTS_MAX) < 0)
		r = -errno;
	return r;
}

static int watch(const struct ipc_server *server, int op, int fd, uint32_t events, struct ipc_client *client)
{
	struct epoll_event event = { .events = events, .data.ptr = client };

	return epoll_ctl(server->epoll_fd, op, fd, &event) < 0 ? -errno : 0;
}

int ipc_server_open(const char *rundir, ipc_handler handler, void *userdata, struct ipc_server **ret_server)
{
	struct ipc_server *server = calloc(1, sizeof(*server));
	const struct group *group;
	int r;

	if (!server)
		return -ENOMEM;
	server->directory_fd = server->listen_fd = server->epoll_fd = -1;
	server->handler = handler;
	server->userdata = userdata;
	for (unsigned i = 0; i < IPC_CLIENTS_MAX; i++)
		server->clients[i].fd = -1;
	group = getgrnam(IPC_GROUP);
	server->has_group = group;
	server->group = group ? group->gr_gid : 0;

	r = socket_bind(server, rundir);
	if (r == 0) {
		server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
		r = server->epoll_fd < 0 ? -errno : watch(server, EPOLL_CTL_ADD, server->listen_fd, EPOLLIN, NULL);
	}
	if (r < 0) {
		ipc_server_close(server);
		return r;
	}
	*ret_server = server;
	return 0;
}

static void client_close(struct ipc_client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	free(client->reply);
	free(client->told);
	ipc_lines_fini(&client->lines);
	*client = (struct ipc_client){ .fd = -1 };
}

struct ipc_server *ipc_server_close(struct ipc_server *server)
{
	if (!server)
		return NULL;
	for (unsigned i = 0; i < IPC_CLIENTS_MAX; i++)
		client_close(&server->clients[i]);
	if (server->listen_fd >= 0) {
		unlinkat(server->directory_fd, "ctl", 0);
		close(server->listen_fd);
	}
	if (server->epoll_fd >= 0)
		close(server->epoll_fd);
	if (server->directory_fd >= 0)
		close(server->directory_fd);
	free(server);
	return NULL;
}

int ipc_server_fd(const struct ipc_server *server)
{
	return server->epoll_fd;
}

int ipc_server_timeout(const struct ipc_server *server)
{
	int64_t first = INT64_MAX, left;

	for (unsigned i = 0; i < IPC_CLIENTS_MAX; i++)
		if (server->clients[i].fd >= 0 && server->clients[i].deadline_ms < first)
			first = server->clients[i].deadline_ms;
	if (first == INT64_MAX)
		return -1;
	left = first - ipc_now_ms();
	return left < 0 ? 0 : (int)left;
}

bool ipc_server_busy(const struct ipc_server *server)
{
	for (unsigned i = 0; i < IPC_CLIENTS_MAX; i++)
		if (server->clients[i].reply && !server->clients[i].topic)
			return true;
	return false;
}

/* Supplementary groups too: SO_PEERCRED alone has only the primary one. */
static bool peer_in_group(int fd, gid_t primary, gid_t group)
{
	gid_t groups[1024];
	socklen_t size = sizeof(groups);

	if (primary == group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return false;
	for (size_t i = 0; i < size / sizeof(groups[0]); i++)
		if (groups[i] == group)
			return true;
	return false;
}

static int peer_read(const struct ipc_server *server, int fd, struct ipc_peer *ret_peer)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return -errno;
	ret_peer->pid = cred.pid;
	ret_peer->uid = cred.uid;
	ret_peer->may_change = cred.uid == 0 || (server->has_group && peer_in_group(fd, cred.gid, server->group));
	return 0;
}

static struct ipc_client *client_find_free(struct ipc_server *server)
{
	for (unsigned i = 0; i < IPC_CLIENTS_MAX; i++)
		if (server->clients[i].fd < 0)
			return &server->clients[i];
	return NULL;
}

static void client_refuse(int fd)
{
	static const char full[] = "{\"ok\":false,\"code\":1,\"error\":\"too many clients at once: try again\"}\n";

	if (send(fd, full, sizeof(full) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		/* it will see the connection end */
	}
	close(fd);
}

static void client_accept(struct ipc_server *server)
{
	int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ipc_client *client;

	if (fd < 0)
		return;
	client = client_find_free(server);
	if (!client) {
		client_refuse(fd);
		return;
	}
	client->fd = fd;
	client->deadline_ms = ipc_now_ms() + IPC_PATIENCE_MS;
	if (peer_read(server, fd, &client->peer) < 0 || watch(server, EPOLL_CTL_ADD, fd, EPOLLIN, client) < 0)
		client_close(client);
}

/* Negative: the client is of no use any more. 0: the rest has to wait. 1: all of it is out. */
static int client_write(struct ipc_client *client)
{
	while (client->reply_sent < client->reply_len) {
		ssize_t n = send(client->fd, client->reply + client->reply_sent, client->reply_len - client->reply_sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		client->reply_sent += (size_t)n;
	}
	free(client->reply);
	client->reply = NULL;
	return 1;
}

static int client_answer(struct ipc_server *server, struct ipc_client *client, const char *line, size_t len)
{
	json_error_t problem;
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &problem);
	json_t *reply;
	char *text;

	if (!json_is_object(request))
		reply = ipc_reply_error(CODE_USAGE, "not a request: %s", request ? "not a JSON object" : problem.text);
	else
		reply = server->handler(server->userdata, &client->peer, request);
	json_decref(request);
	text = reply ? json_dumps(reply, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
	json_decref(reply);
	if (!text)
		return -ENOMEM;

	client->reply = text;
	client->reply_len = strlen(text) + 1;
	client->reply[client->reply_len - 1] = '\n'; /* in place of the NUL */
	client->reply_sent = 0;
	if (!client->topic)
		client->deadline_ms = ipc_now_ms() + IPC_PATIENCE_MS;
	return client_write(client);
}

/* Wait for what comes next from it, or for room for what it gets. */
static int client_await(struct ipc_server *server, struct ipc_client *client)
{
	bool writes = client->reply || client->told_len > client->told_sent;
	uint32_t events = !writes ? EPOLLIN : client->topic ? EPOLLIN | EPOLLOUT : EPOLLOUT;

	return watch(server, EPOLL_CTL_MOD, client->fd, events, client);
}

/* Answer what has arrived, one request after the other, for as long as the replies go out. */
static int client_answer_all(struct ipc_server *server, struct ipc_client *client)
{
	const char *line;
	size_t len;
	int r = 1;

	while (r > 0 && !client->topic && (line = ipc_lines_next(&client->lines, &len)))
		r = client_answer(server, client, line, len);
	return r < 0 ? r : client_await(server, client);
}

/* Watchers */

/* Room behind what it has not read, or -ENOSPC. */
static int told_reserve(struct ipc_client *client, size_t len)
{
	size_t unread = client->told_len - client->told_sent;

	if (unread + len > IPC_WATCH_BYTES)
		return -ENOSPC;
	if (client->told_len + len > IPC_WATCH_BYTES) {
		memmove(client->told, client->told + client->told_sent, unread);
		client->told_len = unread;
		client->told_sent = 0;
	}
	return 0;
}

static int told_add(struct ipc_client *client, const char *line, size_t len)
{
	if (told_reserve(client, len + 1) < 0)
		return -ENOSPC;
	memcpy(client->told + client->told_len, line, len);
	client->told[client->told_len + len] = '\n';
	client->told_len += len + 1;
	return 0;
}

/* What it has lost, as soon as there is room for that. */
static int told_add_lost(struct ipc_client *client)
{
	char line[100];
	int len;

	if (!client->lost && !client->lost_ring)
		return 0;
	len = snprintf(line, sizeof(line), "{\"lost\":{\"ring\":%" PRIu64 ",\"watcher\":%" PRIu64 "}}", client->lost_ring,
		       client->lost);
	if (told_add(client, line, (size_t)len) < 0)
		return -ENOSPC;
	client->lost = client->lost_ring = 0;
	return 0;
}

/* Negative: it is of no use any more. */
static int watcher_write(struct ipc_client *client)
{
	if (client->reply) {
		int r = client_write(client);

		if (r <= 0)
			return r;
	}
	while (client->told_sent < client->told_len) {
		ssize_t n = send(client->fd, client->told + client->told_sent, client->told_len - client->told_sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		client->told_sent += (size_t)n;
		told_add_lost(client);
	}
	client->told_len = client->told_sent = 0;
	return client->let_go ? -ESHUTDOWN : 0;
}

static int watcher_turn(struct ipc_server *server, struct ipc_client *client)
{
	char bytes[256];
	ssize_t n = recv(client->fd, bytes, sizeof(bytes), MSG_DONTWAIT); /* it has nothing to say, but may go away */
	int r;

	if (n == 0)
		return -ECONNRESET;
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	r = watcher_write(client);
	return r < 0 ? r : client_await(server, client);
}

int ipc_watch(struct ipc_server *server, const struct ipc_peer *peer, const void *topic)
{
	struct ipc_client *client = (struct ipc_client *)((char *)(uintptr_t)peer - offsetof(struct ipc_client, peer));

	if (ipc_watchers(server, NULL) >= IPC_WATCHERS_MAX)
		return -EBUSY;
	client->told = malloc(IPC_WATCH_BYTES);
	if (!client->told)
		return -ENOMEM;
	client->topic = topic;
	client->deadline_ms = INT64_MAX;
	return 0;
}

unsigned ipc_watchers(const struct ipc_server *server, const void *topic)
{
	unsigned n = 0;

	for (unsigned i = 0; i < IPC_CLIENTS_MAX; i++)
		n += server->clients[i].topic && !server->clients[i].let_go && (!topic || server->clients[i].topic == topic);
	return n;
}

static void watcher_tell(struct ipc_server *server, struct ipc_client *client, const char *text, size_t len)
{
	bool waits = client->told_len > client->told_sent;

	if (told_add_lost(client) < 0 || told_add(client, text, len) < 0)
		client->lost++;
	else if (!waits && client_await(server, client) < 0)
		client_close(client);
}

void ipc_tell(struct ipc_server *server, const void *topic, const json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER);

	if (!text) {
		ipc_tell_lost(server, topic, 1);
		return;
	}
	for (unsigned i = 0; i < IPC_CLIENTS_MAX; i++)
		if (server->clients[i].topic == topic && !server->clients[i].let_go)
			watcher_tell(server, &server->clients[i], text, strlen(text));
	free(text);
}

void ipc_tell_lost(struct ipc_server *server, const void *topic, uint64_t n)
{
	for (unsigned i = 0; i < IPC_CLIENTS_MAX; i++)
		if (server->clients[i].topic == topic && !server->clients[i].let_go)
			server->clients[i].lost_ring += n;
}

/* What does not leave now has IPC_PATIENCE_MS, or until the server closes. */
void ipc_watch_end(struct ipc_server *server, const void *topic, const json_t *last)
{
	ipc_tell(server, topic, last);
	for (unsigned i = 0; i < IPC_CLIENTS_MAX; i++) {
		struct ipc_client *client = &server->clients[i];

		if (client->topic != topic || client->let_go)
			continue;
		client->let_go = true;
		client->deadline_ms = ipc_now_ms() + IPC_PATIENCE_MS;
		if (watcher_write(client) < 0)
			client_close(client);
	}
}

static int client_turn(struct ipc_server *server, struct ipc_client *client)
{
	static char bytes[IPC_READ_SIZE];
	ssize_t n;
	int r;

	if (client->topic)
		return watcher_turn(server, client);
	if (client->reply) {
		r = client_write(client);
		if (r <= 0)
			return r;
		client->deadline_ms = ipc_now_ms() + IPC_PATIENCE_MS;
		return client_answer_all(server, client);
	}
	n = recv(client->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	r = ipc_lines_feed(&client->lines, bytes, (size_t)n);
	return r < 0 ? r : client_answer_all(server, client);
}

void ipc_server_turn(struct ipc_server *server)
{
	struct epoll_event events[IPC_CLIENTS_MAX + 1];
	int n = epoll_wait(server->epoll_fd, events, IPC_CLIENTS_MAX + 1, 0);
	int64_t now;

	for (int i = 0; i < n; i++) {
		struct ipc_client *client = events[i].data.ptr;

		if (!client)
			client_accept(server);
		else if (client_turn(server, client) < 0)
			client_close(client);
	}
	now = ipc_now_ms();
	for (unsigned i = 0; i < IPC_CLIENTS_MAX; i++)
		if (server->clients[i].fd >= 0 && server->clients[i].deadline_ms <= now)
			client_close(&server->clients[i]);
}

json_t *ipc_reply_result(json_t *result)
{
	return result ? json_pack("{s:b, s:o}", "ok", 1, "result", result) : NULL;
}

json_t *ipc_reply_error(enum exit_code code, const char *format, ...)
{
	char text[8192];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return json_pack("{s:b, s:i, s:o}", "ok", 0, "code", (int)code, "error", ipc_text(text));
}

json_t *ipc_reply_rules_error(const struct rules_error *error)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	json_t *reply = NULL;

	if (!out)
		return NULL;
	rules_error_print(error, "error", out);
	if (fclose(out) == 0)
		reply = ipc_reply_error(CODE_USAGE, "%.*s", (int)(size && text[size - 1] == '\n' ? size - 1 : size), text);
	free(text);
	return reply;
}

json_t *ipc_text(const char *text)
{
	return ipc_bytes(text, strlen(text));
}

json_t *ipc_bytes(const char *bytes, size_t len)
{
	json_t *string = memchr(bytes, '\0', len) ? NULL : json_stringn(bytes, len);
	char *plain;

	if (string)
		return string;
	plain = malloc(len + 1);
	if (!plain)
		return NULL;
	for (size_t i = 0; i < len; i++)
		plain[i] = bytes[i] == '\0' || (bytes[i] & 0x80) ? '?' : bytes[i];
	string = json_stringn(plain, len);
	free(plain);
	return string;
}
