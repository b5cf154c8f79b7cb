/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ipc.h - JSON lines over the unix socket `ctl` in the run directory: a request per line, a reply per line, in order.
 *
 * {"cmd":"up", ...} is answered by {"ok":true, "result":...} or {"ok":false, "code":EXIT_CODE, "error":TEXT}. Whoever may connect
 * (root and the group `spillway`, by the socket's mode) may ask; SO_PEERCRED and SO_PEERGROUPS say who may change something.
 * No client can hold the daemon up: lines, clients and the time for each line are limited. A client may also watch: then lines
 * follow the reply, as many as it reads; what it is too slow for is lost to it, and it is told how many.
 */
#ifndef SPILLWAY_CONTROL_IPC_H
#define SPILLWAY_CONTROL_IPC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define IPC_LINE_MAX (64u << 20) /* a million of the longest prefixes are 46 MB */
#define IPC_CLIENTS_MAX 32
#define IPC_PATIENCE_MS 10000 /* for a whole request to arrive, for a whole reply to leave, between requests */
#define IPC_WATCHERS_MAX 8
#define IPC_WATCH_BYTES (1u << 20) /* lines that wait for a watcher to read them */
#define IPC_GROUP "spillway"

/* How a command ends, as the exit code of `spillway` and as "code" in a reply. spillway(8), EXIT STATUS. */
enum exit_code {
	CODE_OK = 0,
	CODE_REFUSED = 1,     /* by kernel, driver or daemon; nothing changed */
	CODE_USAGE = 2,	      /* command line or rules */
	CODE_UNREACHABLE = 3, /* no daemon */
	CODE_NOT_FOUND = 5,   /* no such interface, or not armed */
	CODE_PERMISSION = 6,
};

/* Framing: bytes in, lines out. Knows nothing of sockets. Zero-initialize; release with ipc_lines_fini(). */
struct ipc_lines {
	char *data;
	size_t len, size; /* bytes in it, bytes allocated */
	size_t taken;	  /* bytes of lines already given out */
	size_t searched;  /* no newline between taken and here */
	size_t partial;	  /* bytes behind the last newline */
};

/* Take bytes in. -EMSGSIZE when a line gets longer than IPC_LINE_MAX: nothing of these bytes was taken. -ENOMEM. */
int ipc_lines_feed(struct ipc_lines *lines, const void *bytes, size_t len);
/* The next whole line without its newline (not NUL-terminated), valid until the next feed; NULL when there is none yet. */
const char *ipc_lines_next(struct ipc_lines *lines, size_t *ret_len);
void ipc_lines_fini(struct ipc_lines *lines);

/* Server */

struct ipc_server;

struct ipc_peer {
	pid_t pid;
	uid_t uid;
	bool may_change; /* root, or a member of the group `spillway` */
};

/* Answer one request (borrowed, always an object). Returns the reply (new reference); NULL is "out of memory". */
typedef json_t *(*ipc_handler)(void *userdata, const struct ipc_peer *peer, const json_t *request);

/* Binds RUNDIR/ctl; one that a dead daemon left is replaced, so take the run directory's lock first. */
int ipc_server_open(const char *rundir, ipc_handler handler, void *userdata, struct ipc_server **ret_server);
/* Removes the socket. NULL is fine; returns NULL. */
struct ipc_server *ipc_server_close(struct ipc_server *server);
/* Readable when ipc_server_turn() has something to do; call that also after ipc_server_timeout() milliseconds (-1: no need). */
int ipc_server_fd(const struct ipc_server *server);
int ipc_server_timeout(const struct ipc_server *server);
void ipc_server_turn(struct ipc_server *server);
/* Some reply has not left yet. */
bool ipc_server_busy(const struct ipc_server *server);

/*
 * In a handler: whoever is being answered watches `topic`, which may be any address, from the reply on, and asks nothing more. It
 * may take its time to read. -EBUSY: IPC_WATCHERS_MAX do already; -ENOMEM.
 */
int ipc_watch(struct ipc_server *server, const struct ipc_peer *peer, const void *topic);
unsigned ipc_watchers(const struct ipc_server *server, const void *topic); /* NULL: of any topic */
/*
 * A line for each of the topic's watchers; it leaves in ipc_server_turn(). A watcher that has IPC_WATCH_BYTES unread loses it, and
 * is told when there is room again: {"lost":{"ring":N,"watcher":M}}, of which N were lost before, as ipc_tell_lost() said.
 */
void ipc_tell(struct ipc_server *server, const void *topic, const json_t *line);
void ipc_tell_lost(struct ipc_server *server, const void *topic, uint64_t n);
/* The topic ends: a last line, and the watchers are let go. */
void ipc_watch_end(struct ipc_server *server, const void *topic, const json_t *last);

json_t *ipc_reply_result(json_t *result); /* stolen */
json_t *ipc_reply_error(enum exit_code code, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct rules_error;
json_t *ipc_reply_rules_error(const struct rules_error *error); /* with line, column and caret; NULL: out of memory */
/* A JSON string of whatever bytes, as many as before: when they are not UTF-8, all beyond ASCII become `?`, and so do NULs. */
json_t *ipc_text(const char *text);
json_t *ipc_bytes(const char *bytes, size_t len);

/* Client */

/*
 * One request, one reply. -ENOENT, -ECONNREFUSED: nobody listens there; -ECONNRESET: it went away without an answer; -EACCES;
 * -ETIMEDOUT; -EPROTO: the answer is not one.
 */
int ipc_call(const char *rundir, const json_t *request, int timeout_ms, json_t **ret_reply);

/* The same for a request to watch: the connection stays, and lines follow the reply. Errors as of ipc_call(). */
struct ipc_stream;
int ipc_stream_open(const char *rundir, const json_t *request, int timeout_ms, struct ipc_stream **ret_stream,
		    json_t **ret_reply);
struct ipc_stream *ipc_stream_close(struct ipc_stream *stream); /* NULL is fine; returns NULL */
int ipc_stream_fd(const struct ipc_stream *stream);
/* The next line (new reference) and 1, or 0: none is there now. Never waits. -ECONNRESET: it was the last; -EPROTO. */
int ipc_stream_next(struct ipc_stream *stream, json_t **ret_line);

#endif
