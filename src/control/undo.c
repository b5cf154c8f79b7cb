/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/undo.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/magic.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "control/journal.h"
#include "host/bpffs.h"

#define SAY(...) snprintf(ret_message, size, __VA_ARGS__)

static const char *entry_text(const json_t *entry, const char *key)
{
	const char *text = json_string_value(json_object_get(entry, key));

	return text ? text : "";
}

static json_int_t entry_number(const json_t *entry, const char *key)
{
	return json_integer_value(json_object_get(entry, key));
}

static bool on_bpffs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

/* bpffs: the file system was mounted by us */

static void bpffs_describe(const json_t *entry, char *ret_message, size_t size)
{
	SAY("unmount the BPF file system if nobody uses it: umount %s", entry_text(entry, "path"));
}

static int bpffs_undo(const json_t *entry, char *ret_message, size_t size)
{
	const char *path = entry_text(entry, "path");
	int r;

	if (!on_bpffs(path)) {
		SAY("%s: already unmounted", path);
		return 0;
	}
	if (!bpffs_is_empty(path)) {
		SAY("%s: others keep pins in it by now: left mounted", path);
		return 0;
	}
	if (umount2(path, UMOUNT_NOFOLLOW) < 0) {
		r = -errno;
		SAY("%s: cannot unmount: %s", path, strerror(-r));
		return r;
	}
	SAY("%s: unmounted", path);
	return 0;
}

/* pin-dir: a directory of our pins */

static void pin_dir_describe(const json_t *entry, char *ret_message, size_t size)
{
	SAY("remove our pins: rm -r %s", entry_text(entry, "path"));
}

/* A journal that was tampered with must not make us remove anybody else's pins. */
static bool path_is_ours(const char *path)
{
	return path[0] == '/' && strstr(path, "/spillway") && !strstr(path, "/../") && on_bpffs(path);
}

static int directory_clear(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *item;
	int r = 0;

	if (!dir)
		return -errno;
	while ((item = readdir(dir)))
		if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0 &&
		    unlinkat(dirfd(dir), item->d_name, 0) < 0)
			r = -errno;
	closedir(dir);
	return r;
}

/* Parents called spillway were made by us; the first that is in use by another interface ends the walk. */
static void parents_remove(const char *path)
{
	char parent[PATH_MAX];
	char *slash;

	snprintf(parent, sizeof(parent), "%s", path);
	while ((slash = strrchr(parent, '/')) && slash != parent) {
		*slash = '\0';
		slash = strrchr(parent, '/');
		if (!slash || strncmp(slash, "/spillway", strlen("/spillway")) != 0 || rmdir(parent) < 0)
			return;
	}
}

static int pin_dir_undo(const json_t *entry, char *ret_message, size_t size)
{
	const char *path = entry_text(entry, "path");
	int r;

	if (access(path, F_OK) < 0 && errno == ENOENT) {
		SAY("%s: already gone", path);
		return 0;
	}
	if (!path_is_ours(path)) {
		SAY("%s: not a directory of pins of ours: left alone", path);
		return 0;
	}
	r = directory_clear(path);
	if (r == 0 && rmdir(path) < 0)
		r = -errno;
	if (r < 0) {
		SAY("%s: cannot remove: %s", path, strerror(-r));
		return r;
	}
	parents_remove(path);
	SAY("%s: pins removed", path);
	return 0;
}

/* xdp-link: our program on an interface */

static void xdp_link_describe(const json_t *entry, char *ret_message, size_t size)
{
	SAY("%s: detach our XDP program: bpftool link detach pinned %s; rm %s", entry_text(entry, "ifname"),
	    entry_text(entry, "path"), entry_text(entry, "path"));
}

static bool program_is_ours(unsigned prog_id)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(prog_id);
	bool ours;

	if (fd < 0)
		return false;
	ours = bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && strncmp(info.name, UNDO_XDP_PROGRAM, sizeof(info.name)) == 0;
	close(fd);
	return ours;
}

static int link_info(int link_fd, struct bpf_link_info *ret_info)
{
	__u32 len = sizeof(*ret_info);

	memset(ret_info, 0, sizeof(*ret_info));
	return bpf_obj_get_info_by_fd(link_fd, ret_info, &len);
}

/* A link whose device is gone reports interface 0; there is nothing to mistake it for. */
static bool link_is_ours(int link_fd, json_int_t ifindex)
{
	struct bpf_link_info info;

	if (link_info(link_fd, &info) < 0 || info.type != BPF_LINK_TYPE_XDP)
		return false;
	if (ifindex && info.xdp.ifindex && info.xdp.ifindex != ifindex)
		return false;
	return program_is_ours(info.prog_id);
}

/* The link by which a program is attached to an interface of our namespace. */
static int link_find(int ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct bpf_link_info info;
	__u32 id = 0;

	if (bpf_xdp_query(ifindex, 0, &query) < 0 || !query.prog_id)
		return -ENOENT;
	while (bpf_link_get_next_id(id, &id) == 0) {
		int fd = bpf_link_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (link_info(fd, &info) == 0 && info.type == BPF_LINK_TYPE_XDP && info.prog_id == query.prog_id &&
		    info.xdp.ifindex == (__u32)ifindex)
			return fd;
		close(fd);
	}
	return -ENOENT;
}

/* By its pin, or through the interface when the pin is out of sight: made in another mount namespace. */
static int link_open(const json_t *entry)
{
	json_int_t ifindex = entry_number(entry, "ifindex");
	int fd = bpf_obj_get(entry_text(entry, "path"));

	if (fd >= 0)
		return fd;
	if (errno != ENOENT)
		return -errno;
	return ifindex > 0 && ifindex <= INT_MAX ? link_find((int)ifindex) : -ENOENT;
}

static int xdp_link_undo(const json_t *entry, char *ret_message, size_t size)
{
	const char *ifname = entry_text(entry, "ifname");
	const char *path = entry_text(entry, "path");
	int fd, r = 0;

	fd = link_open(entry);
	if (fd == -ENOENT) {
		SAY("%s: XDP program already detached", ifname);
		return 0;
	}
	if (fd < 0) {
		SAY("%s: cannot look at the XDP attachment: %s", ifname, strerror(-fd));
		return fd;
	}
	if (!link_is_ours(fd, entry_number(entry, "ifindex"))) {
		SAY("%s: the XDP program there is not ours: left alone", ifname);
		close(fd);
		return 0;
	}
	if (bpf_link_detach(fd) < 0)
		r = -errno;
	close(fd);
	if (r < 0) {
		SAY("%s: cannot detach the XDP program: %s", ifname, strerror(-r));
		return r;
	}
	if (path_is_ours(path))
		unlink(path);
	SAY("%s: XDP program detached", ifname);
	return 0;
}

/* tap: a device that goes with its process */

static void tap_describe(const json_t *entry, char *ret_message, size_t size)
{
	SAY("%s: delete the TAP device if it outlived its process: ip link del %s", entry_text(entry, "ifname"),
	    entry_text(entry, "ifname"));
}

/* Attach to it as its process did and let it go: a device that somebody holds refuses (EBUSY), so only an orphan is deleted. */
static int tap_release(const char *ifname)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd, r = 0;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", ifname);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETPERSIST, 0) < 0)
		r = -errno;
	close(fd);
	return r;
}

static int tap_undo(const json_t *entry, char *ret_message, size_t size)
{
	const char *ifname = entry_text(entry, "ifname");
	unsigned ifindex = if_nametoindex(ifname);
	int r;

	if (!ifindex) {
		SAY("%s: already gone", ifname);
		return 0;
	}
	if (ifindex != entry_number(entry, "ifindex")) {
		SAY("%s: there is such a device, but not the one we made: left alone", ifname);
		return 0;
	}
	r = tap_release(ifname);
	if (r < 0) {
		SAY("%s: cannot delete the TAP device: %s", ifname, strerror(-r));
		return r;
	}
	SAY("%s: TAP device deleted", ifname);
	return 0;
}

/* The table */

/* Where the names in an entry mean what they meant, and where what they name goes when its namespace does. */
enum undo_scope { SCOPE_HOST, SCOPE_NETNS, SCOPE_MNTNS };

static const struct undo_op {
	const char *name;
	enum undo_scope scope;
	void (*describe)(const json_t *entry, char *ret_message, size_t size);
	int (*undo)(const json_t *entry, char *ret_message, size_t size);
} undo_ops[] = {
	{ "bpffs", SCOPE_MNTNS, bpffs_describe, bpffs_undo },
	{ "pin-dir", SCOPE_HOST, pin_dir_describe, pin_dir_undo },
	{ "xdp-link", SCOPE_HOST, xdp_link_describe, xdp_link_undo },
	{ "tap", SCOPE_NETNS, tap_describe, tap_undo },
};

static const struct undo_op *undo_op_find(const json_t *entry)
{
	const char *name = entry_text(entry, "op");

	for (size_t i = 0; i < sizeof(undo_ops) / sizeof(undo_ops[0]); i++)
		if (strcmp(undo_ops[i].name, name) == 0)
			return &undo_ops[i];
	return NULL;
}

int undo_entry(const json_t *entry, char *ret_message, size_t size)
{
	const struct undo_op *op = undo_op_find(entry);

	if (!op) {
		SAY("unknown kind of change \"%s\": left for the version of spillway that made it", entry_text(entry, "op"));
		return -EOPNOTSUPP;
	}
	return op->undo(entry, ret_message, size);
}

void undo_describe(const json_t *entry, char *ret_message, size_t size)
{
	const struct undo_op *op = undo_op_find(entry);

	if (op)
		op->describe(entry, ret_message, size);
	else
		SAY("unknown kind of change \"%s\": would be left alone", entry_text(entry, "op"));
}

/* The whole journal */

struct undo_run {
	const char *journal_path;
	bool dry_run;
	undo_print print;
	void *userdata;
	struct identity here;
	struct journal_content content;
};

static void run_say(const struct undo_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void run_say(const struct undo_run *run, const char *format, ...)
{
	char line[PATH_MAX + 256];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	run->print(run->userdata, line);
}

static void run_complain(void *userdata, unsigned line, const char *problem)
{
	const struct undo_run *run = userdata;

	run_say(run, "%s:%u: record skipped: %s", run->journal_path, line, problem);
}

/* Bad records are evidence: the file keeps a second name when its first one goes. */
static void run_keep_evidence(const struct undo_run *run)
{
	char kept[PATH_MAX + 16];

	if (!run->content.bad)
		return;
	snprintf(kept, sizeof(kept), "%s.unreadable", run->journal_path);
	unlink(kept);
	if (link(run->journal_path, kept) == 0)
		run_say(run, "kept a copy of the damaged journal: %s", kept);
}

static bool differs(uint64_t then, uint64_t now)
{
	return then && then != now;
}

/* Returns 0 when the change is no more. */
static int run_change(const struct undo_run *run, json_t *change)
{
	bool other_netns = differs(run->content.identity.netns, run->here.netns);
	bool other_mntns = differs(run->content.identity.mntns, run->here.mntns);
	const struct undo_op *op = undo_op_find(change);
	char message[PATH_MAX];
	int r = 0;

	if (other_netns)
		json_object_del(change, "ifindex"); /* means another interface here, or none */
	if (op && op->scope == SCOPE_NETNS && other_netns)
		snprintf(message, sizeof(message), "%s: goes with its network namespace", entry_text(change, "ifname"));
	else if (op && op->scope == SCOPE_MNTNS && other_mntns)
		snprintf(message, sizeof(message), "%s: goes with its mount namespace", entry_text(change, "path"));
	else if (run->dry_run)
		undo_describe(change, message, sizeof(message));
	else
		r = undo_entry(change, message, sizeof(message));
	run_say(run, "%s", message);
	return r;
}

static int run_changes(const struct undo_run *run)
{
	const json_t *changes = run->content.changes;
	size_t count = json_array_size(changes);
	struct journal *journal = NULL;
	int r, result = (int)count;

	if (!run->dry_run) {
		r = journal_open(run->journal_path, &journal);
		if (r < 0)
			return r;
	}
	for (size_t i = count; i-- > 0;) {
		json_t *change = json_array_get(changes, i);

		if (run_change(run, change) < 0)
			result = -EUCLEAN;
		else if (journal && (r = journal_done(journal, (uint64_t)entry_number(change, "id"))) < 0)
			result = r;
	}
	journal_close(journal);
	return result;
}

static int run_all(struct undo_run *run)
{
	const char *boot = run->content.identity.boot;
	bool other_boot = boot[0] && strcmp(boot, run->here.boot) != 0;

	if (other_boot)
		run_say(run, "%s is of an earlier boot: nothing in it outlived that", run->journal_path);
	else if (json_array_size(run->content.changes) > 0)
		return run_changes(run);
	if (!run->dry_run && unlink(run->journal_path) < 0)
		return -errno;
	return 0;
}

int undo_all(const char *journal_path, bool dry_run, undo_print print, void *userdata)
{
	struct undo_run run = { .journal_path = journal_path, .dry_run = dry_run, .print = print, .userdata = userdata };
	int r;

	r = identity_read(&run.here);
	if (r < 0)
		return r;
	r = journal_load(journal_path, run_complain, &run, &run.content);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (!dry_run)
		run_keep_evidence(&run);
	r = run_all(&run);
	journal_content_fini(&run.content);
	return r;
}
