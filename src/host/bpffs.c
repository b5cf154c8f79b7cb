/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/bpffs.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "control/journal.h"

static unsigned directories; /* held by this process */
static uint64_t mount_entry; /* of the journal, if the mount is ours */

static int bpffs_mounted(void)
{
	struct statfs fs;

	return !statfs(BPFFS_PATH, &fs) && fs.f_type == BPF_FS_MAGIC;
}

/* Two files the kernel puts into every new one (kernel/bpf/preload) are nobody's pins. */
bool bpffs_is_empty(const char *path)
{
	static const char *const no_pins[] = { ".", "..", "maps.debug", "progs.debug" };
	DIR *dir = opendir(path);
	const struct dirent *item;
	bool empty = true;

	if (!dir)
		return false;
	while (empty && (item = readdir(dir))) {
		empty = false;
		for (size_t i = 0; i < sizeof(no_pins) / sizeof(no_pins[0]); i++)
			empty |= strcmp(item->d_name, no_pins[i]) == 0;
	}
	closedir(dir);
	return empty;
}

static int bpffs_mount(struct journal *journal)
{
	uint64_t entry;
	int r;

	if (bpffs_mounted())
		return 0;
	r = journal_add(journal, json_pack("{ss ss}", "op", "bpffs", "path", BPFFS_PATH), &entry);
	if (r)
		return r;
	if (mount("bpf", BPFFS_PATH, "bpf", 0, "mode=0700") < 0) {
		r = -errno;
		journal_done(journal, entry);
		return r;
	}
	mount_entry = entry;
	return 0;
}

static void bpffs_unmount(struct journal *journal)
{
	if (!mount_entry || directories)
		return;
	/* Somebody else may have pinned something on it meanwhile: then it stays, and with it the journal's entry. */
	if (bpffs_is_empty(BPFFS_PATH) && !umount(BPFFS_PATH)) {
		journal_done(journal, mount_entry);
		mount_entry = 0;
	}
}

int bpffs_dir_get(struct journal *journal, const char *ifname, struct bpffs_dir *ret_dir)
{
	struct bpffs_dir dir = { 0 };
	struct stat netns;
	int r;

	if (stat("/proc/self/ns/net", &netns) < 0)
		return -errno;
	r = bpffs_mount(journal);
	if (r)
		return r;
	/* Two namespaces may each have an eth0 and share the file system. */
	snprintf(dir.path, sizeof(dir.path), "%s/%lu-%s", BPFFS_DIR, (unsigned long)netns.st_ino, ifname);
	/* An empty one is nobody's. One with pins in it may be another daemon's: it must not get into our journal. */
	if (rmdir(dir.path) < 0 && errno != ENOENT)
		return -EEXIST;
	r = journal_add(journal, json_pack("{ss ss}", "op", "pin-dir", "path", dir.path), &dir.entry);
	if (!r && mkdir(BPFFS_DIR, 0700) < 0 && errno != EEXIST)
		r = -errno;
	if (!r && mkdir(dir.path, 0700) < 0)
		r = -errno;
	if (r) {
		if (dir.entry)
			journal_done(journal, dir.entry);
		rmdir(BPFFS_DIR);
		bpffs_unmount(journal);
		return r;
	}
	directories++;
	*ret_dir = dir;
	return 0;
}

static void directory_empty(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	if (!directory)
		return;
	while ((entry = readdir(directory))) {
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(directory), entry->d_name, 0);
	}
	closedir(directory);
}

void bpffs_dir_put(struct journal *journal, struct bpffs_dir *dir)
{
	if (!dir->entry)
		return;
	directory_empty(dir->path);
	if (!rmdir(dir->path) || errno == ENOENT)
		journal_done(journal, dir->entry);
	rmdir(BPFFS_DIR); /* stays while another interface has its directory there */
	directories--;
	memset(dir, 0, sizeof(*dir));
	bpffs_unmount(journal);
}
