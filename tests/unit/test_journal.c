/* SPDX-License-Identifier: BSD-2-Clause */
/* The journal: what survives a crash at any byte, and what restore makes of it. Needs no privileges: it undoes nothing real. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "control/journal.h"
#include "control/undo.h"

struct place {
	char directory[64];
	char path[96];
};

static int place_make(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	snprintf(place->directory, sizeof(place->directory), "/tmp/test_journal.XXXXXX");
	assert_non_null(mkdtemp(place->directory));
	snprintf(place->path, sizeof(place->path), "%s/journal", place->directory);
	*state = place;
	return 0;
}

static int place_remove(void **state)
{
	static const char *const names[] = { "journal", "journal.new", "journal.unreadable" };
	struct place *place = *state;
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", place->directory, names[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(place->directory), 0); /* nothing else was left there */
	free(place);
	return 0;
}

static struct journal *opened(const struct place *place)
{
	struct journal *journal = NULL;

	assert_int_equal(journal_open(place->path, &journal), 0);
	return journal;
}

static uint64_t add(struct journal *journal, const char *ifname)
{
	uint64_t id = 0;

	assert_int_equal(journal_add(journal, json_pack("{s:s, s:s}", "op", "test", "ifname", ifname), &id), 0);
	return id;
}

static char *contents(const char *path, size_t *ret_len)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	assert_non_null(file);
	*ret_len = fread(text, 1, (1 << 20) - 1, file);
	fclose(file);
	return text;
}

static void write_file(const char *path, const char *text, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	fclose(file);
}

static struct journal_content loaded(const struct place *place)
{
	struct journal_content content;

	assert_int_equal(journal_load(place->path, NULL, NULL, &content), 0);
	return content;
}

static const char *ifname_at(const struct journal_content *content, size_t index)
{
	return json_string_value(json_object_get(json_array_get(content->changes, index), "ifname"));
}

/* The file exists exactly while something is to be undone. */
static void test_file_comes_and_goes(void **state)
{
	const struct place *place = *state;
	struct journal *journal = opened(place);
	struct journal_content content;
	uint64_t first, second;
	struct stat st;

	assert_int_equal(access(place->path, F_OK), -1);
	first = add(journal, "a");
	second = add(journal, "b");
	assert_true(second > first);
	assert_int_equal(stat(place->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	assert_int_equal(journal_done(journal, first), 0);
	assert_int_equal(journal_done(journal, first), -ENOENT);
	content = loaded(place);
	assert_int_equal(json_array_size(content.changes), 1);
	assert_string_equal(ifname_at(&content, 0), "b");
	assert_int_equal(content.bad, 0);
	journal_content_fini(&content);

	assert_int_equal(journal_done(journal, second), 0);
	assert_int_equal(access(place->path, F_OK), -1);
	add(journal, "c");
	assert_int_equal(access(place->path, F_OK), 0);
	journal_close(journal);
}

/* Another process goes on where a dead one was. */
static void test_reopen(void **state)
{
	const struct place *place = *state;
	struct journal *journal = opened(place);
	struct journal_content content;
	uint64_t first = add(journal, "a"), second;

	journal_close(journal);
	journal = opened(place);
	second = add(journal, "b");
	assert_true(second > first);
	assert_int_equal(journal_done(journal, first), 0);
	journal_close(journal);
	content = loaded(place);
	assert_int_equal(json_array_size(content.changes), 1);
	assert_string_equal(ifname_at(&content, 0), "b");
	journal_content_fini(&content);
}

/* Cut at each byte, the file yields the records that are whole, and takes further ones. */
static void test_torn_anywhere(void **state)
{
	const struct place *place = *state;
	struct journal *journal = opened(place);
	size_t len, whole = 0;
	char *text;

	add(journal, "a");
	add(journal, "b");
	journal_close(journal);
	text = contents(place->path, &len);
	for (size_t cut = 0; cut <= len; cut++) {
		struct journal_content content;
		size_t expected;

		if (cut > 0 && text[cut - 1] == '\n')
			whole++;
		expected = whole > 0 ? whole - 1 : 0; /* the first record is not a change */
		write_file(place->path, text, cut);
		content = loaded(place);
		assert_int_equal(json_array_size(content.changes), expected);
		assert_int_equal(content.bad, 0);
		journal_content_fini(&content);

		journal = opened(place);
		add(journal, "c");
		journal_close(journal);
		content = loaded(place);
		assert_int_equal(json_array_size(content.changes), expected + 1);
		assert_int_equal(content.bad, 0);
		assert_string_equal(ifname_at(&content, expected), "c");
		journal_content_fini(&content);
	}
	free(text);
}

static void count_line(void *userdata, unsigned line, const char *problem)
{
	unsigned *lines = userdata;

	assert_non_null(problem);
	assert_true(line >= 1 && line < 8);
	lines[line]++;
}

/* Each damaged byte costs the record it is in and no other, and is told by the line's number. */
static void test_damage_anywhere(void **state)
{
	const struct place *place = *state;
	struct journal *journal = opened(place);
	unsigned line = 1;
	size_t len;
	char *text;

	add(journal, "a");
	add(journal, "b");
	add(journal, "c");
	journal_close(journal);
	text = contents(place->path, &len);
	for (size_t at = 0; at < len; at++) {
		struct journal_content content;
		unsigned lines[8] = {};

		if (text[at] == '\n') {
			line++;
			continue;
		}
		text[at] ^= 0x01;
		assert_int_equal(journal_parse(text, len, count_line, lines, &content), 0);
		text[at] ^= 0x01;
		if (text[at] == ('\n' ^ 0x01)) /* became a newline: two bad lines, and the numbers behind it move */
			assert_int_equal(content.bad, 2);
		else
			assert_int_equal(lines[line], 1);
		assert_int_equal(json_array_size(content.changes), line == 1 ? 3 : 2);
		journal_content_fini(&content);
	}
	free(text);
}

/* Sign an object that lacks its closing brace, as the format says, and parse that. */
static void parse_signed(const char *body, struct journal_content *ret_content)
{
	char line[512];
	int len =
		snprintf(line, sizeof(line), "%s,\"sum\":\"%016" PRIx64 "\"}\n", body, (uint64_t)XXH3_64bits(body, strlen(body)));

	assert_int_equal(journal_parse(line, (size_t)len, NULL, NULL, ret_content), 0);
}

static void test_format(void **state)
{
	struct journal_content content;

	(void)state;
	parse_signed("{\"v\":1,\"id\":7,\"op\":\"x\"", &content);
	assert_int_equal(content.bad, 0);
	assert_int_equal(content.last_id, 7);
	assert_int_equal(json_array_size(content.changes), 1);
	journal_content_fini(&content);
}

/* Well-formed, rightly signed, and still no record of ours. */
static void test_refused_records(void **state)
{
	static const char *const records[] = {
		"{\"v\":2,\"id\":1,\"op\":\"x\"",
		"{\"id\":1,\"op\":\"x\"",
		"{\"v\":1,\"id\":1",
		"{\"v\":1,\"id\":0,\"op\":\"x\"",
		"{\"v\":1,\"id\":-1,\"op\":\"x\"",
		"{\"v\":1,\"op\":\"x\"",
		"{\"v\":1,\"id\":1,\"op\":\"done\",\"of\":1",
		"{\"v\":1,\"id\":\"1\",\"op\":\"x\"",
		"{\"v\":1,\"id\":1,\"op\":2",
		"{\"v\":1,\"id\":1,\"id\":1,\"op\":\"x\"",
		"{\"v\":1,\"op\":\"journal\",\"boot\":\"x\",\"netns\":\"1\"",
		"{\"v\":1,\"op\":\"journal\",\"netns\":\"1\",\"mntns\":\"1\",\"boot\":\"0123456789012345678901234567890123456789\"",
		"{\"v\":1,\"id\":1,\"op\":\"a\\u0000b\"",
		"{",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		struct journal_content content;

		parse_signed(records[i], &content);
		assert_int_equal(content.bad, 1);
		assert_int_equal(json_array_size(content.changes), 0);
		journal_content_fini(&content);
	}
}

/* What comes and goes for ever does not make the file grow for ever. */
static void test_compaction(void **state)
{
	const struct place *place = *state;
	struct journal *journal = opened(place);
	struct journal_content content;
	char bulky[8192];
	struct stat st;

	memset(bulky, 'x', sizeof(bulky));
	bulky[sizeof(bulky) - 1] = '\0';
	add(journal, "stays");
	for (int i = 0; i < 100; i++)
		assert_int_equal(journal_done(journal, add(journal, bulky)), 0);
	journal_close(journal);
	assert_int_equal(stat(place->path, &st), 0);
	assert_true(st.st_size < 300 * 1024);
	content = loaded(place);
	assert_int_equal(json_array_size(content.changes), 1);
	assert_string_equal(ifname_at(&content, 0), "stays");
	journal_content_fini(&content);
}

/* As a file whose first record is of somewhere else, with one change in it. */
static void write_journal(const struct place *place, const char *boot, uint64_t netns, const char *op)
{
	struct journal_content content = { .identity = { .netns = netns, .mntns = 1 }, .changes = json_array() };
	FILE *out = fopen(place->path, "w");

	assert_non_null(out);
	strcpy(content.identity.boot, boot);
	json_array_append_new(content.changes,
			      json_pack("{s:i, s:s, s:s, s:s}", "id", 1, "op", op, "ifname", "none0", "path", "/sys/fs/bpf"));
	assert_int_equal(journal_print(&content, out), 0);
	fclose(out);
	journal_content_fini(&content);
}

struct printed {
	unsigned lines;
	char last[512];
};

static void print_line(void *userdata, const char *line)
{
	struct printed *printed = userdata;

	printed->lines++;
	snprintf(printed->last, sizeof(printed->last), "%s", line);
}

static void test_undo_nothing(void **state)
{
	const struct place *place = *state;
	struct printed printed = {};

	assert_int_equal(undo_all(place->path, false, print_line, &printed), 0);
	assert_int_equal(printed.lines, 0);
}

static void test_undo_other_boot(void **state)
{
	const struct place *place = *state;
	struct printed printed = {};
	struct journal *journal;

	write_journal(place, "another boot", 1, "tap");
	assert_int_equal(undo_all(place->path, true, print_line, &printed), 0);
	assert_non_null(strstr(printed.last, "earlier boot"));
	assert_int_equal(access(place->path, F_OK), 0);
	assert_int_equal(undo_all(place->path, false, print_line, &printed), 0);
	assert_int_equal(access(place->path, F_OK), -1);

	write_journal(place, "another boot", 1, "tap");
	journal = opened(place);
	add(journal, "a");
	journal_close(journal);
	assert_int_equal(undo_all(place->path, true, print_line, &printed), 1); /* the old change is not among them */
}

static void test_undo_here(void **state)
{
	const struct place *place = *state;
	struct printed printed = {};
	struct identity here;

	assert_int_equal(identity_read(&here), 0);
	write_journal(place, here.boot, here.netns, "tap");
	assert_int_equal(undo_all(place->path, true, print_line, &printed), 1);
	assert_non_null(strstr(printed.last, "ip link del none0"));
	assert_int_equal(access(place->path, F_OK), 0);
	assert_int_equal(undo_all(place->path, false, print_line, &printed), 1);
	assert_string_equal(printed.last, "none0: already gone");
	assert_int_equal(access(place->path, F_OK), -1);
}

static void test_undo_other_namespace(void **state)
{
	const struct place *place = *state;
	struct printed printed = {};
	struct identity here;

	assert_int_equal(identity_read(&here), 0);
	write_journal(place, here.boot, here.netns + 1, "tap");
	assert_int_equal(undo_all(place->path, false, print_line, &printed), 1);
	assert_string_equal(printed.last, "none0: goes with its network namespace");
}

/* Another mount namespace's BPF file system, not the one that is under the same name here. */
static void test_undo_other_mounts(void **state)
{
	const struct place *place = *state;
	struct printed printed = {};
	struct identity here;

	assert_int_equal(identity_read(&here), 0);
	write_journal(place, here.boot, here.netns, "bpffs");
	assert_int_equal(undo_all(place->path, false, print_line, &printed), 1);
	assert_string_equal(printed.last, "/sys/fs/bpf: goes with its mount namespace");
}

/* A change of a kind this version does not know stays on record. */
static void test_undo_unknown(void **state)
{
	const struct place *place = *state;
	struct printed printed = {};
	struct identity here;

	assert_int_equal(identity_read(&here), 0);
	write_journal(place, here.boot, here.netns, "ntuple");
	assert_int_equal(undo_all(place->path, false, print_line, &printed), -EUCLEAN);
	assert_non_null(strstr(printed.last, "ntuple"));
	assert_int_equal(access(place->path, F_OK), 0);
}

static void test_undo_keeps_evidence(void **state)
{
	const struct place *place = *state;
	struct printed printed = {};
	char kept[128];

	write_file(place->path, "what is this?\n", 14);
	assert_int_equal(undo_all(place->path, false, print_line, &printed), 0);
	assert_int_equal(access(place->path, F_OK), -1);
	snprintf(kept, sizeof(kept), "%s.unreadable", place->path);
	assert_int_equal(access(kept, F_OK), 0);
	assert_int_equal(printed.lines, 2);
}

/* Paths that are not ours are refused whatever the journal says. */
static void test_undo_refuses_paths(void **state)
{
	static const char *const paths[] = { "/tmp", "/tmp/spillway-none/..", "/sys/fs/bpf", "/sys/fs/bpf/spillway/../.." };
	char message[512];

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		json_t *entry = json_pack("{s:s, s:s}", "op", "pin-dir", "path", paths[i]);

		assert_int_equal(undo_entry(entry, message, sizeof(message)), 0);
		assert_true(strstr(message, "left alone") || strstr(message, "already gone"));
		json_decref(entry);
	}
	assert_int_equal(access("/tmp", F_OK), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		TEST(test_file_comes_and_goes),
		TEST(test_reopen),
		TEST(test_torn_anywhere),
		TEST(test_damage_anywhere),
		TEST(test_format),
		TEST(test_refused_records),
		TEST(test_compaction),
		TEST(test_undo_nothing),
		TEST(test_undo_other_boot),
		TEST(test_undo_here),
		TEST(test_undo_other_namespace),
		TEST(test_undo_other_mounts),
		TEST(test_undo_unknown),
		TEST(test_undo_keeps_evidence),
		TEST(test_undo_refuses_paths),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
