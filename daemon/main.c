/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spillwayd - owns what spillway changes on the host. Starts, puts right what a dead daemon left, waits for requests, and takes
 * everything down before it ends.
 *
 * Without --foreground it goes to the background once it is ready: the parent's exit code says how starting went, so that
 * `spillway up` only has to wait for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/kernel.h"
#include "base/log.h"
#include "base/rundir.h"
#include "base/version.h"
#include "control/undo.h"
#include "daemon.h"
#include "notify.h"
#include "privileges.h"

#define LOCK_PATIENCE_MS 5000  /* a predecessor that is just ending, or was killed and is being taken apart */
#define FIRST_REQUEST_MS 10000 /* --exit-when-idle: who started us has this long to say what for */
#define TICK_MS 1000
#define BEAT_LATE_MS 2000 /* a worker whose heartbeat is older is not fed to the service manager's watchdog */

struct options {
	bool foreground, exit_when_idle, debug;
	const char *rundir;
};

static void print_help(FILE *out)
{
	fprintf(out, "Usage: spillwayd [--foreground] [--exit-when-idle] [--run-dir DIR] [--debug]\n"
		     "The daemon behind spillway(8), which starts it when needed.\n\n"
		     "  --foreground      stay in the foreground, log to stderr\n"
		     "  --exit-when-idle  end when the last interface was taken down\n"
		     "  --run-dir DIR     instead of " RUNDIR_DEFAULT " or $SPILLWAY_RUN_DIR\n"
		     "  --debug           log more\n"
		     "  --help, --version\n");
}

/* Negative: go on. Else exit with it. */
static int options_parse(int argc, char **argv, struct options *options)
{
	static const struct option table[] = {
		{ "foreground", no_argument, NULL, 'f' },
		{ "exit-when-idle", no_argument, NULL, 'i' },
		{ "run-dir", required_argument, NULL, 'r' },
		{ "debug", no_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{},
	};
	int letter;

	while ((letter = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (letter) {
		case 'f':
			options->foreground = true;
			break;
		case 'i':
			options->exit_when_idle = true;
			break;
		case 'r':
			options->rundir = optarg;
			break;
		case 'd':
			options->debug = true;
			break;
		case 'h':
			print_help(stdout);
			return CODE_OK;
		case 'v':
			puts("spillwayd " SPILLWAY_VERSION);
			return CODE_OK;
		default:
			return CODE_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "spillwayd: %s: takes no operands: see spillwayd --help\n", argv[optind]);
		return CODE_USAGE;
	}
	return -1;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Starting */

static int rundir_prepare(const struct options *options, char ret_rundir[PATH_MAX])
{
	int r;

	if (options->rundir)
		r = snprintf(ret_rundir, PATH_MAX, "%s", options->rundir) < PATH_MAX ? 0 : -ENAMETOOLONG;
	else
		r = rundir_find(ret_rundir);
	if (r < 0) {
		log_error("cannot find the run directory: %s", strerror(-r));
		return r;
	}
	r = rundir_create(ret_rundir);
	if (r == -EPERM)
		log_error(
			"%s: must belong to root and be writable by nobody else: use another one (--run-dir, $SPILLWAY_RUN_DIR)",
			ret_rundir);
	else if (r < 0)
		log_error("%s: cannot make the run directory: %s", ret_rundir, strerror(-r));
	return r;
}

static int lock_take(const char *rundir)
{
	pid_t owner = 0;
	int fd, r;

	r = rundir_lock(rundir, LOCK_PATIENCE_MS, &fd, &owner);
	if (r == -EWOULDBLOCK)
		log_error("another spillwayd (pid %d) runs here already: `spillway status` talks to it (lock: %s/lock)",
			  (int)owner, rundir);
	else if (r < 0)
		log_error("%s/lock: %s", rundir, strerror(-r));
	return r < 0 ? r : fd;
}

/* The parent's end: 0 once the child is ready, else how the child ended, with what it had to say. */
static int background_wait(pid_t child, int ready_fd, const char *log_path)
{
	char bytes[4096];
	ssize_t n;
	int status, fd;

	do {
		n = read(ready_fd, bytes, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 1)
		return CODE_OK;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	fd = open(log_path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && (n = read(fd, bytes, sizeof(bytes))) > 0)
		if (write(STDERR_FILENO, bytes, (size_t)n) < 0)
			break;
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		return WEXITSTATUS(status);
	fprintf(stderr, "spillwayd: ended while starting; its log is %s\n", log_path);
	return CODE_REFUSED;
}

/* Returns in the child only. *ret_ready_fd: write a byte when ready. */
static int background_enter(const char *rundir, int *ret_ready_fd)
{
	char log_path[PATH_MAX];
	int ready[2], log_fd, null_fd, r;
	pid_t child;

	r = rundir_file(rundir, "log", log_path);
	if (r < 0)
		return r;
	log_fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (log_fd < 0 || null_fd < 0 || pipe2(ready, O_CLOEXEC) < 0) {
		r = -errno;
		log_error("%s: %s", log_path, strerror(-r));
		return r;
	}
	child = fork();
	if (child < 0)
		return -errno;
	if (child > 0) {
		close(ready[1]);
		_exit(background_wait(child, ready[0], log_path));
	}
	close(ready[0]);
	setsid();
	dup2(null_fd, STDIN_FILENO);
	dup2(null_fd, STDOUT_FILENO);
	dup2(log_fd, STDERR_FILENO);
	close(null_fd);
	close(log_fd);
	*ret_ready_fd = ready[1];
	return 0;
}

static int signals_open(void)
{
	sigset_t set;
	int fd;

	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	/* Before the first worker thread, which inherits it. */
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static void log_undo_line(void *userdata, const char *line)
{
	(void)userdata;
	log_warning("left by a dead daemon: %s", line);
}

/* What a daemon that was killed could not take down itself. */
static int leftovers_undo(const char *journal_path)
{
	int r = undo_all(journal_path, false, log_undo_line, NULL);

	if (r == -EUCLEAN)
		log_error("not everything a dead daemon left could be undone: see above; `spillway restore` tries again");
	else if (r < 0)
		log_error("%s: %s: nothing is armed until this is settled; look at it and remove it", journal_path, strerror(-r));
	return r == -EUCLEAN || r > 0 ? 0 : r;
}

/* Waiting */

/* What the descriptors in the daemon's epoll stand for; any other pointer is a guard. */
static char event_signal, event_clients;

static int daemon_watch(struct daemon *daemon, int fd, void *tag)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = tag };

	return epoll_ctl(daemon->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void on_signal(struct daemon *daemon, int signal_fd)
{
	struct signalfd_siginfo info;

	if (read(signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	log_info("%s: ending", info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
	daemon->ending = true;
}

static void on_guard(struct daemon *daemon, const struct guard *guard)
{
	for (unsigned i = 0; i < daemon->n_guards; i++) {
		if (daemon->guards[i] != guard)
			continue;
		log_error("%s: its worker ended by itself; nothing was diverted since", guard_ifname(guard));
		daemon_guard_close(daemon, i);
		daemon->was_asked = true;
		return;
	}
}

/* One event a time: handling one may close the guard that the next one is about. */
static void daemon_wait(struct daemon *daemon, int signal_fd, int timeout_ms)
{
	struct epoll_event event;

	if (epoll_wait(daemon->epoll_fd, &event, 1, timeout_ms) == 1) {
		if (event.data.ptr == &event_signal)
			on_signal(daemon, signal_fd);
		else if (event.data.ptr != &event_clients)
			on_guard(daemon, event.data.ptr);
	}
	ipc_server_turn(daemon->server);
}

/* Without a rule that diverts there is no worker, and no beat. */
static bool worker_is_well(struct guard *guard)
{
	json_t *status = guard_status(guard);
	json_t *beat_age = json_object_get(json_object_get(status, "worker"), "beat_age_ms");
	bool well = !beat_age || json_integer_value(beat_age) < BEAT_LATE_MS;

	json_decref(status);
	return well;
}

/* The service manager's watchdog hears of us only while every worker makes progress, so a stuck one gets the daemon restarted. */
static void watchdog_feed(struct daemon *daemon)
{
	for (unsigned i = 0; i < daemon->n_guards; i++)
		if (!worker_is_well(daemon->guards[i]))
			return;
	notify_send("WATCHDOG=1");
}

static void say(const char *line)
{
	log_info("%s", line);
}

static void daemon_tick(struct daemon *daemon, bool feed)
{
	for (unsigned i = 0; i < daemon->n_guards; i++)
		guard_tick(daemon->guards[i], say);
	if (feed)
		watchdog_feed(daemon);
}

/* Under --exit-when-idle: is there no reason left to stay? */
static bool daemon_is_idle(const struct daemon *daemon, uint64_t started_ms)
{
	return daemon->exit_when_idle && daemon->n_guards == 0 && (daemon->was_asked || now_ms() - started_ms > FIRST_REQUEST_MS);
}

static void daemon_run(struct daemon *daemon, int signal_fd)
{
	uint64_t watchdog_ms = notify_watchdog_ms();
	uint64_t started_ms = now_ms(), tick_ms = started_ms;
	bool wakes = daemon->exit_when_idle || watchdog_ms;

	if (watchdog_ms && watchdog_ms < 2 * TICK_MS)
		log_warning("WatchdogSec is below 2 s: expect to be restarted for no reason");
	while (!daemon->ending || ipc_server_busy(daemon->server)) {
		int timeout_ms = ipc_server_timeout(daemon->server);

		if ((wakes || daemon->n_guards) && (timeout_ms < 0 || timeout_ms > TICK_MS))
			timeout_ms = TICK_MS;
		if (ipc_watchers(daemon->server, NULL) && (timeout_ms < 0 || timeout_ms > SAMPLES_MS))
			timeout_ms = SAMPLES_MS;
		daemon_wait(daemon, signal_fd, timeout_ms);
		samples_turn(daemon);
		if (now_ms() - tick_ms >= TICK_MS) {
			tick_ms = now_ms();
			daemon_tick(daemon, watchdog_ms);
		}
		if (daemon_is_idle(daemon, started_ms))
			daemon->ending = true;
	}
}

/* From a taken lock to the last undone change. Errors were logged where they happened. */
static int daemon_serve(struct daemon *daemon, int ready_fd)
{
	char journal_path[PATH_MAX];
	int signal_fd, r;

	signal_fd = signals_open();
	daemon->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (signal_fd < 0 || daemon->epoll_fd < 0)
		return -errno;
	privileges_raise_memlock();
	/* Binding gives the socket to a group, which takes a capability that is dropped next. */
	r = ipc_server_open(daemon->rundir, request_answer, daemon, &daemon->server);
	if (r < 0) {
		log_error("%s/ctl: %s", daemon->rundir, strerror(-r));
		return r;
	}
	r = privileges_drop();
	if (r < 0) {
		log_error("cannot drop capabilities: %s", strerror(-r));
		return r;
	}

	r = rundir_file(daemon->rundir, "journal", journal_path);
	if (r == 0)
		r = leftovers_undo(journal_path);
	if (r == 0)
		r = journal_open(journal_path, &daemon->journal);
	if (r == 0)
		r = daemon_watch(daemon, signal_fd, &event_signal);
	if (r == 0)
		r = daemon_watch(daemon, ipc_server_fd(daemon->server), &event_clients);
	if (r < 0)
		return r;

	log_info("spillwayd %s ready in %s", SPILLWAY_VERSION, daemon->rundir);
	notify_send("READY=1");
	if (ready_fd >= 0 && write(ready_fd, "", 1) == 1)
		close(ready_fd);
	daemon_run(daemon, signal_fd);
	return 0;
}

static void daemon_end(struct daemon *daemon)
{
	notify_send("STOPPING=1");
	while (daemon->n_guards > 0)
		daemon_guard_close(daemon, daemon->n_guards - 1);
	daemon->journal = journal_close(daemon->journal);
	daemon->server = ipc_server_close(daemon->server);
	log_info("ended");
}

int main(int argc, char **argv)
{
	static struct daemon daemon = { .epoll_fd = -1 };
	struct options options = {};
	char message[256];
	int lock_fd, ready_fd = -1, r;

	r = options_parse(argc, argv, &options);
	if (r >= 0)
		return r;
	umask(022);
	log_init(options.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	daemon.exit_when_idle = options.exit_when_idle;

	if (geteuid() != 0) {
		log_error("must be started by root: it attaches XDP programs and opens AF_XDP sockets");
		return CODE_PERMISSION;
	}
	if (kernel_check(message, sizeof(message)) < 0) {
		log_error("%s", message);
		return CODE_REFUSED;
	}
	if (rundir_prepare(&options, daemon.rundir) < 0)
		return CODE_REFUSED;
	lock_fd = lock_take(daemon.rundir);
	if (lock_fd < 0)
		return CODE_REFUSED;
	if (!options.foreground && background_enter(daemon.rundir, &ready_fd) < 0)
		return CODE_REFUSED;
	if (rundir_lock_sign(lock_fd) < 0)
		log_warning("%s/lock: cannot write our pid into it", daemon.rundir);

	r = daemon_serve(&daemon, ready_fd);
	daemon_end(&daemon);
	return r < 0 ? CODE_REFUSED : CODE_OK;
}
