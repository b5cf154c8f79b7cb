/* SPDX-License-Identifier: BSD-2-Clause */
/* ipc_client.c - the other end of ipc.c: one request and its reply, or a request to watch and the lines behind its reply. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "control/ipc.h"
#include "control/ipc_inside.h"

int64_t ipc_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int ipc_address_open(const char *rundir, struct sockaddr_un *ret_address)
{
	int fd = open(rundir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(ret_address->sun_path, sizeof(ret_address->sun_path), "/proc/self/fd/%d/ctl", fd);
	return fd;
}

static int wait_until(int fd, short events, int64_t deadline_ms)
{
	struct pollfd pollfd = { .fd = fd, .events = events };
	int64_t left = deadline_ms - ipc_now_ms();
	int n;

	do {
		n = poll(&pollfd, 1, left < 0 ? 0 : (int)left);
	} while (n < 0 && errno == EINTR && (left = deadline_ms - ipc_now_ms()) > 0);
	if (n < 0)
		return -errno;
	return n == 0 ? -ETIMEDOUT : 0;
}

static int call_connect(const char *rundir)
{
	struct sockaddr_un address;
	int directory_fd, fd, r = 0;

	directory_fd = ipc_address_open(rundir, &address);
	if (directory_fd < 0)
		return directory_fd;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		r = -errno;
	else if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		r = -errno;
	close(directory_fd);
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

static int call_send(int fd, const char *text, size_t len, int64_t deadline_ms)
{
	while (len > 0) {
		int r = wait_until(fd, POLLOUT, deadline_ms);
		ssize_t n;

		if (r < 0)
			return r;
		n = send(fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return errno == EPIPE ? -ECONNRESET : -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

static int call_receive(int fd, struct ipc_lines *lines, int64_t deadline_ms, json_t **ret_reply)
{
	static char bytes[IPC_READ_SIZE];
	const char *line;
	size_t len = 0;
	json_t *reply;

	while (!(line = ipc_lines_next(lines, &len))) {
		int r = wait_until(fd, POLLIN, deadline_ms);
		ssize_t n;

		if (r < 0)
			return r;
		n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ECONNRESET;
		r = ipc_lines_feed(lines, bytes, (size_t)n);
		if (r < 0)
			return r;
	}
	reply = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(reply)) {
		json_decref(reply);
		return -EPROTO;
	}
	*ret_reply = reply;
	return 0;
}

/* Send the request and wait for its reply. *lines keeps what came behind it. */
static int call_exchange(int fd, const json_t *request, struct ipc_lines *lines, int64_t deadline_ms, json_t **ret_reply)
{
	char *text = json_dumps(request, JSON_COMPACT | JSON_PRESERVE_ORDER);
	int r = text ? call_send(fd, text, strlen(text), deadline_ms) : -ENOMEM;

	if (r == 0)
		r = call_send(fd, "\n", 1, deadline_ms);
	if (r == 0)
		r = call_receive(fd, lines, deadline_ms, ret_reply);
	free(text);
	return r;
}

int ipc_call(const char *rundir, const json_t *request, int timeout_ms, json_t **ret_reply)
{
	struct ipc_lines lines = {};
	int fd = call_connect(rundir), r;

	if (fd < 0)
		return fd;
	r = call_exchange(fd, request, &lines, ipc_now_ms() + timeout_ms, ret_reply);
	ipc_lines_fini(&lines);
	close(fd);
	return r;
}

struct ipc_stream {
	int fd;
	struct ipc_lines lines;
};

struct ipc_stream *ipc_stream_close(struct ipc_stream *stream)
{
	if (!stream)
		return NULL;
	if (stream->fd >= 0)
		close(stream->fd);
	ipc_lines_fini(&stream->lines);
	free(stream);
	return NULL;
}

int ipc_stream_open(const char *rundir, const json_t *request, int timeout_ms, struct ipc_stream **ret_stream, json_t **ret_reply)
{
	struct ipc_stream *stream = calloc(1, sizeof(*stream));
	int r;

	if (!stream)
		return -ENOMEM;
	stream->fd = call_connect(rundir);
	r = stream->fd < 0 ? stream->fd
			   : call_exchange(stream->fd, request, &stream->lines, ipc_now_ms() + timeout_ms, ret_reply);
	if (r < 0)
		ipc_stream_close(stream);
	else
		*ret_stream = stream;
	return r;
}

int ipc_stream_fd(const struct ipc_stream *stream)
{
	return stream->fd;
}

int ipc_stream_next(struct ipc_stream *stream, json_t **ret_line)
{
	int r = call_receive(stream->fd, &stream->lines, ipc_now_ms(), ret_line);

	return r == -ETIMEDOUT ? 0 : r < 0 ? r : 1;
}
