/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_restore.c - restore: undo what the journal of a dead daemon says. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/rundir.h"
#include "cli.h"
#include "control/undo.h"

#define LOCK_PATIENCE_MS 5000 /* a killed daemon holds its lock until the kernel has taken its sockets and maps apart */

static void print_line(void *userdata, const char *line)
{
	(void)userdata;
	puts(line);
}

static int restore(const char *rundir, bool dry_run)
{
	char journal[PATH_MAX];
	int r;

	if (rundir_file(rundir, "journal", journal) < 0)
		return fail(CODE_REFUSED, "%s: too long a path", rundir);
	r = undo_all(journal, dry_run, print_line, NULL);
	if (r == -EUCLEAN)
		return fail(CODE_REFUSED,
			    "not everything could be undone: see above; mend that and run `spillway restore` again");
	if (r < 0)
		return fail(r == -EACCES || r == -EPERM ? CODE_PERMISSION : CODE_REFUSED, "%s: %s", journal, strerror(-r));
	if (r == 0)
		puts("nothing to restore");
	else
		printf("%d change%s %sundone\n", r, r == 1 ? "" : "s", dry_run ? "would be " : "");
	return CODE_OK;
}

int cmd_restore(const struct arguments *arguments)
{
	json_t *version = NULL;
	char rundir[PATH_MAX];
	pid_t owner = 0;
	int lock_fd, code, r;

	if (geteuid() != 0)
		return fail(CODE_PERMISSION, "restore needs root: try sudo");
	r = rundir_find(rundir);
	if (r == 0)
		r = rundir_create(rundir);
	if (r == -EPERM)
		return fail(CODE_REFUSED, "%s: must belong to root and be writable by nobody else", rundir);
	if (r < 0)
		return fail(CODE_REFUSED, "cannot use the run directory: %s", strerror(-r));

	/* A daemon that answers is alive, there is no need to wait for its lock. */
	code = daemon_ask(json_pack("{s:s}", "cmd", "version"), true, &version);
	json_decref(version);
	r = rundir_lock(rundir, code == CODE_OK ? 0 : LOCK_PATIENCE_MS, &lock_fd, &owner);
	if (r == -EWOULDBLOCK)
		return fail(CODE_REFUSED, "a daemon runs here (pid %d) and undoes its own changes: `spillway down IFACE`",
			    (int)owner);
	if (r < 0)
		return fail(CODE_REFUSED, "%s/lock: %s", rundir, strerror(-r));
	code = restore(rundir, arguments->values[OPTION_DRY_RUN]);
	close(lock_fd);
	return code;
}
