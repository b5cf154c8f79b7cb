/* SPDX-License-Identifier: BSD-2-Clause */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int command_run(const char *const *argv, double *ret_ns)
{
	posix_spawn_file_actions_t actions;
	double start = now_ns();
	int status = 0, r;
	pid_t pid;

	r = -posix_spawn_file_actions_init(&actions);
	if (r)
		return r;
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	r = -posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r)
		return r;
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	if (ret_ns)
		*ret_ns = now_ns() - start;
	return status ? -EREMOTEIO : 0;
}
