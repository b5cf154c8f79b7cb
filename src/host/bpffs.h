/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bpffs.h - the BPF file system and our directories in it. What is pinned there outlives the daemon: the XDP program goes on
 * dropping the flood after a crash, until `spillway restore` or the next start.
 *
 * Every directory and the mount itself are journaled before they are made, and given back in reverse. One thread.
 */
#ifndef SPILLWAY_HOST_BPFFS_H
#define SPILLWAY_HOST_BPFFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct journal;

#define BPFFS_PATH "/sys/fs/bpf"
#define BPFFS_DIR BPFFS_PATH "/spillway"

struct bpffs_dir {
	char path[128];
	uint64_t entry; /* of the journal; 0: nothing to give back */
};

/*
 * Make a directory for one interface's pins, mounting the file system first where nobody has; it is unmounted when the last
 * directory is given back. 0 or negative errno, then nothing is left.
 */
int bpffs_dir_get(struct journal *journal, const char *ifname, struct bpffs_dir *ret_dir);
/* Nobody has pinned anything on the file system mounted at `path`. */
bool bpffs_is_empty(const char *path);
/* Remove the pins in it and the directory itself. A directory of zeroes is fine. */
void bpffs_dir_put(struct journal *journal, struct bpffs_dir *dir);

#endif
