/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_POLL_MS 20

static int boot_id_read(char ret_boot[37])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, ret_boot, 36);
	close(fd);
	if (n != 36)
		return -EIO;
	ret_boot[36] = '\0';
	return 0;
}

static int netns_cookie_read(uint64_t *ret_cookie)
{
	socklen_t size = sizeof(*ret_cookie);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, ret_cookie, &size) < 0)
		r = -errno;
	close(fd);
	return r;
}

int identity_read(struct identity *ret_identity)
{
	struct identity identity = {};
	struct stat mntns;
	int r;

	r = boot_id_read(identity.boot);
	if (r < 0)
		return r;
	r = netns_cookie_read(&identity.netns);
	if (r < 0)
		return r;
	if (stat("/proc/self/ns/mnt", &mntns) < 0)
		return -errno;
	identity.mntns = mntns.st_ino;
	*ret_identity = identity;
	return 0;
}

/*
 * Without CAP_SYS_PTRACE nobody may look at the namespaces of PID 1: neither an ordinary user nor root in many sandboxes. Then
 * the namespace the kernel booted with is taken for PID 1's; it alone has the settings that are not per namespace. In another
 * one, root gets a directory of its own, for that can be no mistake; a user, who makes none, takes the one that is there.
 */
static bool namespace_is_foreign(const char *netns_directory)
{
	if (access("/proc/sys/net/core/netdev_budget", F_OK) == 0)
		return false;
	return geteuid() == 0 || access(netns_directory, F_OK) == 0;
}

int rundir_file(const char *path, const char *name, char ret_file[PATH_MAX])
{
	return snprintf(ret_file, PATH_MAX, "%s/%s", path, name) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int rundir_find(char ret_path[PATH_MAX])
{
	const char *base = getenv("SPILLWAY_RUN_DIR");
	char name[32], netns_directory[PATH_MAX];
	struct stat own, init;
	bool foreign;
	int r;

	if (!base || !*base)
		base = RUNDIR_DEFAULT;
	if (stat("/proc/self/ns/net", &own) < 0)
		return -errno;
	snprintf(name, sizeof(name), "netns-%ju", (uintmax_t)own.st_ino);
	r = rundir_file(base, name, netns_directory);
	if (r < 0)
		return r;
	if (stat("/proc/1/ns/net", &init) == 0)
		foreign = own.st_ino != init.st_ino;
	else
		foreign = namespace_is_foreign(netns_directory);
	strcpy(ret_path, foreign ? netns_directory : base);
	return 0;
}

int rundir_create(const char *path)
{
	char part[PATH_MAX];
	struct stat st;

	if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
		return -ENAMETOOLONG;
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	if (mkdir(part, 0755) < 0 && errno != EEXIST)
		return -errno;
	if (stat(part, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return -EPERM;
	return 0;
}

static pid_t lock_owner(int fd)
{
	char text[32] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
		return 0;
	return (pid_t)strtol(text, NULL, 10);
}

int rundir_lock(const char *path, unsigned patience_ms, int *ret_fd, pid_t *ret_owner)
{
	const struct timespec pause = { .tv_nsec = LOCK_POLL_MS * 1000 * 1000 };
	char file[PATH_MAX];
	int fd, r;

	r = rundir_file(path, "lock", file);
	if (r < 0)
		return r;
	fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	for (unsigned waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited_ms += LOCK_POLL_MS) {
		r = -errno;
		if (r == -EWOULDBLOCK && waited_ms < patience_ms) {
			nanosleep(&pause, NULL);
			continue;
		}
		*ret_owner = r == -EWOULDBLOCK ? lock_owner(fd) : 0;
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int rundir_lock_sign(int lock_fd)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (ftruncate(lock_fd, 0) < 0 || pwrite(lock_fd, text, (size_t)len, 0) != len)
		return -errno;
	return 0;
}
