/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket: framing of whatever bytes come, and a server that no client can hold up. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "control/ipc.h"

/* Framing */

static void expect_lines(struct ipc_lines *lines, const char *const *expected, size_t *at)
{
	const char *line;
	size_t len;

	while ((line = ipc_lines_next(lines, &len))) {
		assert_non_null(expected[*at]);
		assert_int_equal(len, strlen(expected[*at]));
		assert_memory_equal(line, expected[*at], len);
		(*at)++;
	}
}

/* Cut into two pieces anywhere, the same bytes are the same lines. */
static void test_lines_any_cut(void **state)
{
	static const char text[] = "{}\n\n{\"cmd\":\"status\"}\nlast\nunfinished";
	static const char *const expected[] = { "{}", "", "{\"cmd\":\"status\"}", "last", NULL };

	(void)state;
	for (size_t cut = 0; cut < sizeof(text); cut++) {
		struct ipc_lines lines = {};
		size_t at = 0;

		assert_int_equal(ipc_lines_feed(&lines, text, cut), 0);
		expect_lines(&lines, expected, &at);
		assert_int_equal(ipc_lines_feed(&lines, text + cut, sizeof(text) - 1 - cut), 0);
		expect_lines(&lines, expected, &at);
		assert_null(expected[at]);
		ipc_lines_fini(&lines);
	}
}

static void test_lines_limit(void **state)
{
	char *bytes = malloc(IPC_LINE_MAX + 2);
	struct ipc_lines lines = {};
	size_t len = 0;

	(void)state;
	memset(bytes, 'x', IPC_LINE_MAX + 1);
	bytes[IPC_LINE_MAX + 1] = '\n';

	/* The longest line there may be, in two pieces. */
	assert_int_equal(ipc_lines_feed(&lines, bytes, IPC_LINE_MAX), 0);
	assert_null(ipc_lines_next(&lines, &len));
	assert_int_equal(ipc_lines_feed(&lines, "\n", 1), 0);
	assert_non_null(ipc_lines_next(&lines, &len));
	assert_int_equal(len, IPC_LINE_MAX);

	/* A byte more, with its end and without; and behind lines that are in order. */
	assert_int_equal(ipc_lines_feed(&lines, bytes, IPC_LINE_MAX + 2), -EMSGSIZE);
	assert_int_equal(ipc_lines_feed(&lines, bytes, IPC_LINE_MAX + 1), -EMSGSIZE);
	assert_int_equal(ipc_lines_feed(&lines, "a\nb\nc", 5), 0);
	assert_int_equal(ipc_lines_feed(&lines, bytes, IPC_LINE_MAX), -EMSGSIZE);

	/* What was refused left nothing behind. */
	assert_int_equal(ipc_lines_feed(&lines, "\n", 1), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(*ipc_lines_next(&lines, &len), 'a' + i);
		assert_int_equal(len, 1);
	}
	assert_null(ipc_lines_next(&lines, &len));
	ipc_lines_fini(&lines);
	free(bytes);
}

static void test_text(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *expected;
	} cases[] = {
		{ "plain", 5, "plain" },
		{ "gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f" },
		{ "gr\xfc\xdf", 4, "gr??" },
		{ "a\0b", 3, "a?b" },
		{ "", 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *string = ipc_bytes(cases[i].bytes, cases[i].len);

		assert_string_equal(json_string_value(string), cases[i].expected);
		json_decref(string);
	}
}

/* Server. The test is its own event loop: nothing happens but in ipc_server_turn(). */

struct place {
	char top[64];
	char rundir[512]; /* longer than a socket address holds */
	struct ipc_server *server;
	unsigned handled;
	size_t reply_size;
	int watched; /* what ipc_watch() said last */
};

/* Echoes "n" and says who asked; "big" asks for a reply that no socket buffer holds; "watch" watches the place. */
static json_t *handler(void *userdata, const struct ipc_peer *peer, const json_t *request)
{
	struct place *place = userdata;
	char *filler;
	json_t *reply;

	place->handled++;
	if (json_is_true(json_object_get(request, "watch")))
		place->watched = ipc_watch(place->server, peer, place);
	if (!json_is_true(json_object_get(request, "big")))
		return ipc_reply_result(json_pack("{s:O?, s:i, s:b}", "n", json_object_get(request, "n"), "uid", (int)peer->uid,
						  "may_change", peer->may_change));
	filler = calloc(1, place->reply_size + 1);
	memset(filler, 'x', place->reply_size);
	reply = ipc_reply_result(json_pack("{s:s}", "filler", filler));
	free(filler);
	return reply;
}

static int place_make(void **state)
{
	struct place *place = calloc(1, sizeof(*place));
	char *end;

	snprintf(place->top, sizeof(place->top), "/tmp/test_ipc.XXXXXX");
	assert_non_null(mkdtemp(place->top));
	end = place->rundir + sprintf(place->rundir, "%s/", place->top);
	memset(end, 'd', 200);
	assert_int_equal(mkdir(place->rundir, 0700), 0);
	assert_int_equal(ipc_server_open(place->rundir, handler, place, &place->server), 0);
	place->reply_size = 2 * IPC_LINE_MAX;
	*state = place;
	return 0;
}

static int place_remove(void **state)
{
	struct place *place = *state;

	ipc_server_close(place->server);
	assert_int_equal(rmdir(place->rundir), 0); /* the socket went with the server */
	assert_int_equal(rmdir(place->top), 0);
	free(place);
	return 0;
}

/* The path is too long for an address, and from inside its directory it is short. */
static void from_inside(const struct place *place, int fd, int (*call)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "ctl" };
	char cwd[512];

	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(chdir(place->rundir), 0);
	assert_int_equal(call(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(chdir(cwd), 0);
}

static int connected(const struct place *place)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	from_inside(place, fd, connect);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void turn(const struct place *place)
{
	struct pollfd pollfd = { .fd = ipc_server_fd(place->server), .events = POLLIN };

	while (poll(&pollfd, 1, 0) > 0)
		ipc_server_turn(place->server);
}

/* What has arrived. "" when the server closed the connection, NULL when nothing is there. */
static const char *heard(int fd)
{
	static char text[65536];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return NULL;
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void expect_heard(int fd, const char *expected)
{
	const char *text = heard(fd);

	assert_non_null(text);
	assert_non_null(strstr(text, expected));
}

static void test_requests(void **state)
{
	const struct place *place = *state;
	int fd = connected(place);
	const char *text;

	say(fd, "{\"n\":");
	turn(place);
	assert_null(heard(fd));
	say(fd, "1}\n{\"n\":2}\n");
	turn(place);
	text = heard(fd);
	assert_non_null(strstr(text, "\"ok\":true"));
	assert_non_null(strstr(text, "\"n\":1"));
	assert_true(strstr(text, "\"n\":2") > strstr(text, "\"n\":1"));
	assert_int_equal(text[strlen(text) - 1], '\n');
	assert_int_equal(place->handled, 2);
	close(fd);
	turn(place);
	assert_int_equal(ipc_server_timeout(place->server), -1); /* nobody left to wait for */
}

static void test_not_requests(void **state)
{
	static const char *const lines[] = { "\n",     "hello\n", "[1]\n", "{\"a\":1,\"a\":2}\n", "{\"a\":\"\\u0000\"}\n",
					     "\xff\n", "{}}\n" };
	const struct place *place = *state;
	int fd = connected(place);

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		say(fd, lines[i]);
		turn(place);
		expect_heard(fd, "\"code\":2");
	}
	assert_int_equal(place->handled, 0);
	say(fd, "{}\n");
	turn(place);
	expect_heard(fd, "\"ok\":true");
	close(fd);
}

static void test_peer(void **state)
{
	const struct place *place = *state;
	int fd = connected(place);
	char expected[32];

	say(fd, "{}\n");
	turn(place);
	snprintf(expected, sizeof(expected), "\"uid\":%d", (int)getuid());
	expect_heard(fd, expected);
	if (getuid() == 0) {
		say(fd, "{}\n");
		turn(place);
		expect_heard(fd, "\"may_change\":true");
	}
	close(fd);
}

static void test_socket_mode(void **state)
{
	const struct place *place = *state;
	char path[600];
	struct stat st;

	snprintf(path, sizeof(path), "%s/ctl", place->rundir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
}

/* A line that never ends costs the client its connection, not the server its memory. */
static void test_endless_line(void **state)
{
	const struct place *place = *state;
	int fd = connected(place);
	static char junk[65536];
	const char *text = NULL;

	memset(junk, 'x', sizeof(junk));
	for (size_t sent = 0; sent < 2 * IPC_LINE_MAX; sent += sizeof(junk)) {
		if (send(fd, junk, sizeof(junk), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN)
			break;
		turn(place);
		text = heard(fd);
		if (text)
			break;
	}
	assert_non_null(text);
	assert_string_equal(text, "");
	close(fd);
}

static void test_too_many_clients(void **state)
{
	const struct place *place = *state;
	int fds[IPC_CLIENTS_MAX + 1];

	for (unsigned i = 0; i <= IPC_CLIENTS_MAX; i++) {
		fds[i] = connected(place);
		turn(place);
	}
	expect_heard(fds[IPC_CLIENTS_MAX], "too many clients");
	assert_string_equal(heard(fds[IPC_CLIENTS_MAX]), "");

	/* The others are served, and a place that becomes free is given away again. */
	say(fds[IPC_CLIENTS_MAX - 1], "{}\n");
	close(fds[0]);
	turn(place);
	expect_heard(fds[IPC_CLIENTS_MAX - 1], "\"ok\":true");
	fds[0] = connected(place);
	say(fds[0], "{}\n");
	turn(place);
	expect_heard(fds[0], "\"ok\":true");
	for (unsigned i = 0; i <= IPC_CLIENTS_MAX; i++)
		close(fds[i]);
}

/* While a reply waits to be read, further requests of that client are not even looked at; other clients are. */
static void test_slow_reader(void **state)
{
	const struct place *place = *state;
	int slow = connected(place), other = connected(place);
	size_t replies = 0;

	say(slow, "{\"big\":true}\n{\"big\":true}\n{\"big\":true}\n");
	turn(place);
	assert_int_equal(place->handled, 1);
	assert_true(ipc_server_busy(place->server));
	say(other, "{}\n");
	turn(place);
	expect_heard(other, "\"ok\":true");
	assert_int_equal(place->handled, 2);

	while (replies < 3) {
		const char *text = heard(slow);

		for (; text && *text; text++)
			replies += *text == '\n';
		turn(place);
	}
	assert_false(ipc_server_busy(place->server));
	close(slow);
	close(other);
}

static void test_client_gone_in_reply(void **state)
{
	const struct place *place = *state;
	int fd = connected(place);

	say(fd, "{\"big\":true}\n");
	turn(place);
	assert_true(ipc_server_busy(place->server));
	close(fd);
	turn(place);
	assert_false(ipc_server_busy(place->server));
}

/* There is a time limit while anybody is connected, and it is the one that is documented. */
static void test_deadline(void **state)
{
	const struct place *place = *state;
	int fd = connected(place), left;

	turn(place);
	left = ipc_server_timeout(place->server);
	assert_true(left > IPC_PATIENCE_MS / 2 && left <= IPC_PATIENCE_MS);
	close(fd);
}

/* A socket that a dead daemon left is replaced. */
static void test_stale_socket(void **state)
{
	struct place *place = *state;
	int fd;

	place->server = ipc_server_close(place->server);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	from_inside(place, fd, bind);
	close(fd);
	assert_int_equal(ipc_server_open(place->rundir, handler, place, &place->server), 0);
	fd = connected(place);
	say(fd, "{}\n");
	turn(place);
	expect_heard(fd, "\"ok\":true");
	close(fd);
}

/* Client */

static void *serve_one(void *userdata)
{
	struct place *place = userdata;
	struct pollfd pollfd = { .fd = ipc_server_fd(place->server), .events = POLLIN };

	while (place->handled == 0 || ipc_server_busy(place->server)) {
		poll(&pollfd, 1, 1000);
		ipc_server_turn(place->server);
	}
	return NULL;
}

static void test_call(void **state)
{
	struct place *place = *state;
	json_t *request = json_pack("{s:i}", "n", 7), *reply = NULL;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, serve_one, place), 0);
	assert_int_equal(ipc_call(place->rundir, request, 5000, &reply), 0);
	pthread_join(thread, NULL);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(reply, "result"), "n")), 7);
	json_decref(reply);
	json_decref(request);
}

/* A reply longer than a request may be is refused by the client too. */
static void test_call_reply_too_long(void **state)
{
	struct place *place = *state;
	json_t *request = json_pack("{s:b}", "big", 1), *reply = NULL;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, serve_one, place), 0);
	assert_int_equal(ipc_call(place->rundir, request, 5000, &reply), -EMSGSIZE);
	pthread_join(thread, NULL);
	assert_null(reply);
	json_decref(request);
}

static void test_call_errors(void **state)
{
	struct place *place = *state;
	json_t *request = json_object(), *reply = NULL;
	char path[600];
	int fd;

	assert_int_equal(ipc_call(place->rundir, request, 20, &reply), -ETIMEDOUT); /* accepts and says nothing */
	assert_int_equal(ipc_call(place->top, request, 1000, &reply), -ENOENT);
	assert_int_equal(ipc_call("/nowhere at all", request, 1000, &reply), -ENOENT);

	/* A socket whose owner died. */
	place->server = ipc_server_close(place->server);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	from_inside(place, fd, bind);
	close(fd);
	assert_int_equal(ipc_call(place->rundir, request, 1000, &reply), -ECONNREFUSED);
	snprintf(path, sizeof(path), "%s/ctl", place->rundir);
	unlink(path);
	assert_null(reply);
	json_decref(request);
}

/* Watchers */

static int watching(const struct place *place)
{
	int fd = connected(place);

	say(fd, "{\"watch\":true}\n");
	turn(place);
	assert_int_equal(place->watched, 0);
	expect_heard(fd, "\"ok\":true");
	return fd;
}

static void tell(const struct place *place, int n, size_t filler_len)
{
	char *filler = calloc(1, filler_len + 1);
	json_t *line;

	memset(filler, 'x', filler_len);
	line = json_pack("{s:i, s:s}", "n", n, "filler", filler);
	ipc_tell(place->server, place, line);
	json_decref(line);
	free(filler);
}

/* All that waits for the watcher, to the end of the last line. Lines of "n" are counted, those of "lost" added up. */
static void hear_all(const struct place *place, int fd, unsigned *ret_lines, unsigned long long ret_lost[2], int *ret_last)
{
	struct ipc_lines lines = {};
	const char *line, *text;
	size_t len;

	*ret_lines = 0;
	ret_lost[0] = ret_lost[1] = 0;
	for (turn(place); (text = heard(fd)); turn(place)) {
		assert_true(*text);
		assert_int_equal(ipc_lines_feed(&lines, text, strlen(text)), 0);
		while ((line = ipc_lines_next(&lines, &len))) {
			unsigned long long ring, watcher;

			if (sscanf(line, "{\"lost\":{\"ring\":%llu,\"watcher\":%llu}}", &ring, &watcher) == 2) {
				ret_lost[0] += ring;
				ret_lost[1] += watcher;
			} else {
				assert_int_equal(sscanf(line, "{\"n\":%d,", ret_last), 1);
				++*ret_lines;
			}
		}
	}
	assert_int_equal(lines.partial, 0);
	ipc_lines_fini(&lines);
}

/* Two hear the same; of another topic nobody hears; who goes away is forgotten, who asked hears nothing. */
static void test_watch(void **state)
{
	struct place *place = *state;
	int one = watching(place), two = watching(place), asks = connected(place);
	json_t *last = json_pack("{s:s}", "end", "over");

	assert_int_equal(ipc_watchers(place->server, place), 2);
	assert_int_equal(ipc_watchers(place->server, NULL), 2);
	assert_int_equal(ipc_watchers(place->server, state), 0);
	assert_int_equal(ipc_server_timeout(place->server), -1); /* they may take their time */
	tell(place, 1, 0);
	ipc_tell(place->server, state, last);
	turn(place);
	assert_string_equal(heard(one), "{\"n\":1,\"filler\":\"\"}\n");
	assert_string_equal(heard(two), "{\"n\":1,\"filler\":\"\"}\n");
	assert_null(heard(one));
	say(two, "{\"n\":2}\n"); /* nobody listens to a watcher */
	close(one);
	turn(place);
	assert_null(heard(two));
	assert_int_equal(place->handled, 2);
	assert_int_equal(ipc_watchers(place->server, place), 1);

	say(asks, "{\"n\":3}\n");
	turn(place);
	expect_heard(asks, "\"n\":3");
	tell(place, 4, 0);
	ipc_watch_end(place->server, place, last);
	assert_int_equal(ipc_watchers(place->server, NULL), 0);
	turn(place);
	assert_string_equal(heard(two), "{\"n\":4,\"filler\":\"\"}\n{\"end\":\"over\"}\n");
	assert_string_equal(heard(two), "");
	json_decref(last);
	close(two);
	close(asks);
}

/* Who does not read loses what does not fit, hears how many lines that were, in their place, and then what comes next. */
static void test_watch_slowly(void **state)
{
	struct place *place = *state;
	int slow = watching(place), quick = watching(place), last = 0;
	unsigned long long lost[2], quick_lost = 0;
	unsigned n, n_quick = 0;

	for (int i = 0; i < 3000; i++) {
		tell(place, i, 1000);
		if (i % 100 == 99) {
			hear_all(place, quick, &n, lost, &last);
			n_quick += n;
			quick_lost += lost[1];
			assert_int_equal(last, i);
		}
	}
	assert_int_equal(n_quick, 3000);
	assert_int_equal(quick_lost, 0);
	ipc_tell_lost(place->server, place, 7);
	assert_false(ipc_server_busy(place->server));
	hear_all(place, slow, &n, lost, &last);
	assert_in_range(n, IPC_WATCH_BYTES / 1100, 2999);
	assert_int_equal(n + lost[1], 3000);
	assert_int_equal(lost[0], 7);
	assert_int_equal(last, n - 1); /* the oldest are kept */
	tell(place, 5000, 0);
	hear_all(place, slow, &n, lost, &last);
	assert_int_equal(n, 1);
	assert_int_equal(last, 5000);
	assert_int_equal(lost[0] + lost[1], 0);
	close(slow);
	close(quick);
}

static void test_too_many_watchers(void **state)
{
	struct place *place = *state;
	int fds[IPC_WATCHERS_MAX], more = connected(place);

	for (unsigned i = 0; i < IPC_WATCHERS_MAX; i++)
		fds[i] = watching(place);
	say(more, "{\"watch\":true}\n");
	turn(place);
	assert_int_equal(place->watched, -EBUSY);
	expect_heard(more, "\"ok\":true");
	say(more, "{\"n\":1}\n"); /* it still asks */
	turn(place);
	expect_heard(more, "\"n\":1");
	for (unsigned i = 0; i < IPC_WATCHERS_MAX; i++)
		close(fds[i]);
	turn(place);
	assert_int_equal(ipc_watchers(place->server, NULL), 0);
	close(more);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_any_cut),
		cmocka_unit_test(test_lines_limit),
		cmocka_unit_test(test_text),
		TEST(test_requests),
		TEST(test_not_requests),
		TEST(test_peer),
		TEST(test_socket_mode),
		TEST(test_endless_line),
		TEST(test_too_many_clients),
		TEST(test_slow_reader),
		TEST(test_client_gone_in_reply),
		TEST(test_deadline),
		TEST(test_stale_socket),
		TEST(test_call),
		TEST(test_call_reply_too_long),
		TEST(test_call_errors),
		TEST(test_watch),
		TEST(test_watch_slowly),
		TEST(test_too_many_watchers),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
