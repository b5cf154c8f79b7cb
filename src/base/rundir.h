/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rundir.h - the run directory: where the daemon keeps `ctl` (its socket), `lock`, `journal` and `log`, and where the command
 * line looks for them.
 *
 * It is $SPILLWAY_RUN_DIR or /run/spillway, plus /netns-INODE when the caller's network namespace is not the one of PID 1, so
 * that each network namespace has a daemon of its own. XDG_RUNTIME_DIR is ignored on purpose, for root too: it ends with a
 * login session, and what spillway changed on the host does not.
 */
#ifndef SPILLWAY_BASE_RUNDIR_H
#define SPILLWAY_BASE_RUNDIR_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define RUNDIR_DEFAULT "/run/spillway"

/* Where something was written. 0 and "" mean unknown. Network namespaces go by their cookie: inode numbers are used again. */
struct identity {
	char boot[37];	/* /proc/sys/kernel/random/boot_id */
	uint64_t netns; /* SO_NETNS_COOKIE */
	uint64_t mntns; /* inode of the mount namespace */
};

int identity_read(struct identity *ret_identity);

/* The path, whether it exists or not. -ENAMETOOLONG, or the error of looking up the namespace. */
int rundir_find(char ret_path[PATH_MAX]);
/* PATH/NAME. -ENAMETOOLONG. */
int rundir_file(const char *path, const char *name, char ret_file[PATH_MAX]);
/*
 * Make the directory, with its parents, and check that nobody but its owner, who must be us, can write there: what the journal
 * in it says is acted upon with our privileges. -EPERM when it is somebody else's, else the error of mkdir(2).
 */
int rundir_create(const char *path);
/*
 * Take the lock: one daemon, or one `restore`, per run directory. Waits up to patience_ms for an owner that is just leaving.
 * The lock is released when the last copy of *ret_fd is closed. -EWOULDBLOCK with *ret_owner set (0: unknown) when it is held.
 */
int rundir_lock(const char *path, unsigned patience_ms, int *ret_fd, pid_t *ret_owner);
/* Write our pid into the lock file, for the message of the next one who wants it. */
int rundir_lock_sign(int lock_fd);

#endif
