/* SPDX-License-Identifier: BSD-2-Clause */
/* src/base: near names, the log's limit, the run directory and its lock. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/near.h"
#include "base/rundir.h"

static void test_near_distance(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned distance;
	} cases[] = {
		{ "", "", 0 },	       { "", "abc", 3 },     { "drop", "drop", 0 },
		{ "dorp", "drop", 1 }, { "drp", "drop", 1 }, { "dropp", "drop", 1 },
		{ "crop", "drop", 1 }, { "ab", "ba", 1 },    { "kitten", "sitting", 3 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(near_distance(cases[i].a, cases[i].b), cases[i].distance);
		assert_int_equal(near_distance(cases[i].b, cases[i].a), cases[i].distance);
	}
}

static void test_near_find(void **state)
{
	static const char *const names[] = { "status", "up", "apply", "eth0", "eth1" };
	const size_t count = sizeof(names) / sizeof(names[0]);
	char endless[4096];

	(void)state;
	assert_string_equal(near_find("statsu", names, count), "status");
	assert_string_equal(near_find("upp", names, count), "up");
	assert_string_equal(near_find("eth2", names, count), "eth0");
	assert_null(near_find("xyz", names, count));
	assert_null(near_find("completely", names, count));
	assert_null(near_find("x", NULL, 0));
	memset(endless, 'x', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	assert_null(near_find(endless, names, count));
}

static void test_log_limit(void **state)
{
	struct log_limit limit = { .burst = 2, .interval_ms = 1000 };
	unsigned suppressed = 7;

	(void)state;
	assert_true(log_limit_pass(&limit, 5000, &suppressed));
	assert_int_equal(suppressed, 0);
	assert_true(log_limit_pass(&limit, 5001, &suppressed));
	assert_false(log_limit_pass(&limit, 5002, &suppressed));
	assert_false(log_limit_pass(&limit, 5999, &suppressed));
	assert_true(log_limit_pass(&limit, 6000, &suppressed));
	assert_int_equal(suppressed, 2);
}

static void test_identity(void **state)
{
	struct identity one, two;

	(void)state;
	assert_int_equal(identity_read(&one), 0);
	assert_int_equal(identity_read(&two), 0);
	assert_int_equal(strlen(one.boot), 36);
	assert_string_equal(one.boot, two.boot);
	assert_true(one.netns != 0 && one.netns == two.netns);
}

static int directory_make(void **state)
{
	char *directory = strdup("/tmp/test_base.XXXXXX");

	*state = mkdtemp(directory);
	return *state ? 0 : -1;
}

static int directory_remove(void **state)
{
	int r = rmdir(*state);

	free(*state);
	return r;
}

static void test_rundir_find(void **state)
{
	const char *directory = *state;
	char path[PATH_MAX], expected[PATH_MAX], named[PATH_MAX];
	struct stat own;

	assert_int_equal(stat("/proc/self/ns/net", &own), 0);
	snprintf(named, sizeof(named), "%s/netns-%ju", directory, (uintmax_t)own.st_ino);
	setenv("SPILLWAY_RUN_DIR", directory, 1);
	setenv("XDG_RUNTIME_DIR", "/nowhere", 1);
	assert_int_equal(rundir_find(path), 0);
	assert_true(strcmp(path, directory) == 0 || strcmp(path, named) == 0); /* wherever the tests run */

	setenv("SPILLWAY_RUN_DIR", "", 1);
	assert_int_equal(rundir_find(path), 0);
	assert_int_equal(strncmp(path, RUNDIR_DEFAULT, strlen(RUNDIR_DEFAULT)), 0);

	memset(expected, 'x', sizeof(expected) - 1);
	expected[sizeof(expected) - 1] = '\0';
	setenv("SPILLWAY_RUN_DIR", expected, 1);
	assert_int_equal(rundir_find(path), -ENAMETOOLONG);
	unsetenv("SPILLWAY_RUN_DIR");
}

static void test_rundir_create(void **state)
{
	const char *directory = *state;
	char path[PATH_MAX], file[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/a/b", directory);
	umask(022);
	assert_int_equal(rundir_create(path), 0);
	assert_int_equal(rundir_create(path), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);

	/* Where others may write, what they wrote would be acted upon. */
	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(rundir_create(path), -EPERM);
	assert_int_equal(chmod(path, 0775), 0);
	assert_int_equal(rundir_create(path), -EPERM);
	if (geteuid() == 0) {
		assert_int_equal(chmod(path, 0755), 0);
		assert_int_equal(chown(path, 65534, 65534), 0);
		assert_int_equal(rundir_create(path), -EPERM);
	}
	assert_int_equal(rmdir(path), 0);

	assert_int_equal(rundir_file(directory, "a", file), 0);
	assert_int_equal(rmdir(file), 0);
	close(open(file, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(rundir_create(file), -ENOTDIR);
	assert_int_equal(rundir_create(path), -ENOTDIR);
	unlink(file);
}

/* Is the process that started this one waiting for something? proc(5), stat */
static bool parent_sleeps(void)
{
	char path[64], line[512] = "";
	const char *state;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)getppid());
	file = fopen(path, "r");
	if (!file)
		return true; /* it is gone: so go, too */
	(void)!fgets(line, sizeof(line), file);
	fclose(file);
	state = strrchr(line, ')');
	return !state || state[2] == 'S';
}

static void test_rundir_lock(void **state)
{
	const char *directory = *state;
	char file[PATH_MAX];
	pid_t owner = -1;
	int first = -1, second = -1, looked[2];
	char byte;

	assert_int_equal(rundir_lock(directory, 0, &first, &owner), 0);
	assert_int_equal(rundir_lock_sign(first), 0);
	assert_int_equal(rundir_lock(directory, 50, &second, &owner), -EWOULDBLOCK);
	assert_int_equal(owner, getpid());

	/* An owner that goes within the time allowed: when we have looked once, and sleep to look again. */
	assert_int_equal(pipe(looked), 0);
	if (fork() == 0) {
		close(looked[1]);
		(void)!read(looked[0], &byte, 1);
		while (!parent_sleeps())
			;
		_exit(0); /* the child's copy holds the lock until then */
	}
	close(first);
	assert_int_equal(rundir_lock(directory, 0, &second, &owner), -EWOULDBLOCK);
	close(looked[1]);
	assert_int_equal(rundir_lock(directory, 5000, &second, &owner), 0);
	wait(NULL);
	close(looked[0]);
	close(second);
	snprintf(file, sizeof(file), "%s/lock", directory);
	unlink(file);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, directory_make, directory_remove)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_near_distance),
		cmocka_unit_test(test_near_find),
		cmocka_unit_test(test_log_limit),
		cmocka_unit_test(test_identity),
		TEST(test_rundir_find),
		TEST(test_rundir_create),
		TEST(test_rundir_lock),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
