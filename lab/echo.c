/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echo.c - UDP echo, server and client. The client's round trips end at the kernel's receive timestamp, so that a client that waits
 * for a CPU does not look like a slow server.
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "innocents.h"

#define DATAGRAM 64  /* bytes a client sends */
#define DATAGRAMS 64 /* the server's one receive call */

struct datagrams {
	struct mmsghdr messages[DATAGRAMS];
	struct iovec iov[DATAGRAMS];
	struct sockaddr_storage peers[DATAGRAMS];
	char bytes[DATAGRAMS][2048];
};

/* Send back what is there, at most one call's worth. The datagrams that came in. */
static uint64_t echo_serve(int fd, struct datagrams *d)
{
	int n, sent;

	for (int i = 0; i < DATAGRAMS; i++) {
		d->iov[i] = (struct iovec){ d->bytes[i], sizeof(d->bytes[i]) };
		d->messages[i].msg_hdr = (struct msghdr){
			.msg_name = &d->peers[i], .msg_namelen = sizeof(d->peers[i]), .msg_iov = &d->iov[i], .msg_iovlen = 1
		};
	}
	n = recvmmsg(fd, d->messages, DATAGRAMS, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		d->iov[i].iov_len = d->messages[i].msg_len;
	for (int i = 0; i < n; i += sent) {
		sent = sendmmsg(fd, d->messages + i, (unsigned)(n - i), 0);
		if (sent < 1)
			sent = 1; /* this one cannot be sent; the client counts it as lost */
	}
	return n > 0 ? (uint64_t)n : 0;
}

int echo_server(const struct options *options)
{
	static struct datagrams datagrams;
	struct epoll_event events[EVENTS];
	struct loop loop;
	uint64_t echoed = 0;
	int fd = server_open(SOCK_DGRAM, options->port), room = 4 << 20;

	if (fd < 0 || loop_open(&loop, 0, 0) || loop_watch(&loop, fd, EPOLLIN, 0))
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room,
		   sizeof(room)); /* a server that waits for a CPU must not lose what arrived */
	while (!stopping) {
		int n = epoll_wait(loop.epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.u64 == ON_SECOND)
				timer_read(loop.second);
			else
				echoed += echo_serve(fd, &datagrams);
		}
	}
	report_begin(&loop, true);
	printf(",\"echoed\":%" PRIu64, echoed);
	report_end();
	close(fd);
	loop_close(&loop);
	return 0;
}

struct echo {
	uint64_t flow, number; /* of the datagram within its flow */
	uint64_t sent_ns;      /* CLOCK_REALTIME, as the kernel's receive timestamp */
};

struct echo_client {
	const struct options *options;
	struct loop loop;
	int *fds;
	uint8_t *answers; /* per flow and number */
	struct times times;
	uint64_t planned, sent, answered, refused, twice, strange;
};

static int flow_open(const struct sockaddr_storage *to)
{
	int fd = socket(to->ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		return complain("cannot open a socket");
	setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	if (connect(fd, (const struct sockaddr *)to, address_size(to))) {
		complain("cannot reach the echo server");
		close(fd);
		return -1;
	}
	return fd;
}

static int echo_client_open(struct echo_client *client)
{
	const struct options *options = client->options;

	client->planned = options->flows * options->pps * options->seconds;
	client->fds = calloc(options->flows, sizeof(*client->fds));
	client->answers = calloc(client->planned, 1);
	client->times.us = calloc(client->planned, sizeof(*client->times.us));
	client->times.room = client->planned;
	if (!client->fds || !client->answers || !client->times.us)
		return complain("no memory for %" PRIu64 " answers", client->planned);
	for (uint64_t flow = 0; flow < options->flows; flow++) {
		client->fds[flow] = flow_open(address_of(options, flow));
		if (client->fds[flow] < 0)
			return -1;
	}
	if (loop_open(&client->loop, NS_PER_S / (options->flows * options->pps), options->seconds))
		return -1;
	for (uint64_t flow = 0; flow < options->flows; flow++)
		if (loop_watch(&client->loop, client->fds[flow], EPOLLIN, flow))
			return complain("cannot watch a socket");
	return 0;
}

static void echo_client_close(struct echo_client *client)
{
	for (uint64_t flow = 0; client->fds && flow < client->options->flows; flow++)
		close(client->fds[flow]);
	loop_close(&client->loop);
	free(client->fds);
	free(client->answers);
	free(client->times.us);
}

/* The next datagrams of the plan; the flows take turns. */
static void echo_send(struct echo_client *client, uint64_t n)
{
	for (; n && client->sent < client->planned; n--, client->sent++) {
		union {
			struct echo echo;
			char bytes[DATAGRAM];
		} out = { .echo.flow = client->sent % client->options->flows,
			  .echo.number = client->sent / client->options->flows };

		out.echo.sent_ns = clock_ns(CLOCK_REALTIME);
		if (send(client->fds[out.echo.flow], &out, sizeof(out), 0) < 0)
			client->refused++; /* counts as sent, and as lost */
	}
}

static uint64_t received_ns(struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		struct timespec ts;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&ts, CMSG_DATA(c), sizeof(ts));
		return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
	}
	return clock_ns(CLOCK_REALTIME);
}

static void echo_account(struct echo_client *client, uint64_t flow, const struct echo *echo, uint64_t at_ns)
{
	uint64_t index = echo->number * client->options->flows + echo->flow;

	if (echo->flow != flow || index >= client->sent) {
		client->strange++;
	} else if (client->answers[index]++) {
		client->twice++;
	} else {
		client->answered++;
		times_add(&client->times, at_ns > echo->sent_ns ? at_ns - echo->sent_ns : 0);
	}
}

static void echo_receive(struct echo_client *client, uint64_t flow)
{
	for (;;) {
		char in[DATAGRAM], control[256];
		struct iovec iov = { in, sizeof(in) };
		struct msghdr message = {
			.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
		};
		ssize_t n = recvmsg(client->fds[flow], &message, 0);
		struct echo echo;

		if (n < 0 && errno == EAGAIN)
			return;
		if (n != DATAGRAM) {
			client->strange++; /* cut short, or an ICMP error */
			continue;
		}
		memcpy(&echo, in, sizeof(echo));
		echo_account(client, flow, &echo, received_ns(&message));
	}
}

static void echo_report(struct echo_client *client, bool total)
{
	report_begin(&client->loop, total);
	printf(",\"sent\":%" PRIu64 ",\"answered\":%" PRIu64, client->sent, client->answered);
	if (total) {
		printf(",\"lost\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"twice\":%" PRIu64 ",\"strange\":%" PRIu64,
		       client->sent - client->answered, client->refused, client->twice, client->strange);
		times_print(&client->times, "rtt");
	}
	report_end();
}

static void echo_client_run(struct echo_client *client)
{
	struct epoll_event events[EVENTS];
	uint64_t last_ns = 0;

	while (!stopping && client->answered < client->planned) {
		int n = epoll_wait(client->loop.epoll, events, EVENTS, 100);

		for (int i = 0; i < n; i++) {
			if (events[i].data.u64 == ON_PACE)
				echo_send(client, timer_read(client->loop.pace));
			else if (events[i].data.u64 == ON_SECOND && timer_read(client->loop.second))
				echo_report(client, false);
			else if (events[i].data.u64 < client->options->flows)
				echo_receive(client, events[i].data.u64);
		}
		if (client->sent < client->planned)
			continue;
		if (!last_ns)
			last_ns = clock_ns(CLOCK_MONOTONIC);
		if (clock_ns(CLOCK_MONOTONIC) - last_ns > STRAGGLERS_NS)
			break;
	}
}

int echo_client(const struct options *options)
{
	struct echo_client client = { .options = options, .loop = { -1, -1, -1, 0, 0 } };
	int r = echo_client_open(&client);

	if (!r) {
		echo_client_run(&client);
		echo_report(&client, true);
	}
	echo_client_close(&client);
	return r;
}
