/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/*
 * A line is a JSON object that ends in ,"sum":"0123456789abcdef"} and a newline. The checksum is that of the bytes before the
 * comma, so nothing that fails it ever reaches the JSON parser.
 */
#define SUM_PREFIX ",\"sum\":\""
#define SUM_TAIL_LEN (strlen(SUM_PREFIX) + 16 + strlen("\"}"))

/* Above this size, a file in which changes came and went is written anew without those that are done. */
#define COMPACT_SIZE (256 * 1024)

struct journal {
	char path[PATH_MAX];
	int fd;	    /* -1: no file, nothing to undo */
	off_t size; /* of the file; a failed write is cut back to it */
	struct journal_content content;
};

/* Parsing */

static const char *line_check_sum(const char *line, size_t len)
{
	const char *tail;
	char expected[32];
	size_t body_len;

	if (len > JOURNAL_LINE_MAX)
		return "longer than a record can be";
	if (len < SUM_TAIL_LEN + 1)
		return "not a journal record";
	body_len = len - SUM_TAIL_LEN;
	tail = line + body_len;
	if (memcmp(tail, SUM_PREFIX, strlen(SUM_PREFIX)) != 0)
		return "not a journal record";
	snprintf(expected, sizeof(expected), "%016" PRIx64 "\"}", (uint64_t)XXH3_64bits(line, body_len));
	if (memcmp(tail + strlen(SUM_PREFIX), expected, strlen(expected)) != 0)
		return "wrong checksum";
	return NULL;
}

static ssize_t changes_find(const json_t *changes, json_int_t id)
{
	for (size_t i = 0; i < json_array_size(changes); i++)
		if (json_integer_value(json_object_get(json_array_get(changes, i), "id")) == id)
			return (ssize_t)i;
	return -1;
}

static const char *record_identity(struct journal_content *content, const json_t *record)
{
	const char *boot = json_string_value(json_object_get(record, "boot"));
	const char *netns = json_string_value(json_object_get(record, "netns"));
	const char *mntns = json_string_value(json_object_get(record, "mntns"));

	if (!boot || strlen(boot) >= sizeof(content->identity.boot) || !netns || !mntns)
		return "does not say which boot and namespaces it is of";
	strcpy(content->identity.boot, boot);
	content->identity.netns = strtoull(netns, NULL, 16);
	content->identity.mntns = strtoull(mntns, NULL, 16);
	return NULL;
}

/* Take one record in. Returns what is wrong with it, or NULL. */
static const char *record_apply(struct journal_content *content, json_t *record)
{
	const char *op = json_string_value(json_object_get(record, "op"));
	json_int_t id = json_integer_value(json_object_get(record, "id"));
	ssize_t at;

	if (json_integer_value(json_object_get(record, "v")) != JOURNAL_VERSION)
		return "written by another version";
	json_object_del(record, "v");
	if (!op)
		return "says no \"op\"";
	if (strcmp(op, "journal") == 0)
		return record_identity(content, record);
	if (id <= 0 || (uint64_t)id <= content->last_id)
		return "out of order";
	content->last_id = (uint64_t)id;
	if (strcmp(op, "done") != 0)
		return json_array_append(content->changes, record) < 0 ? "no memory" : NULL;

	at = changes_find(content->changes, json_integer_value(json_object_get(record, "of")));
	if (at < 0)
		return "ends a change that no record began";
	json_array_remove(content->changes, (size_t)at);
	return NULL;
}

static const char *line_apply(struct journal_content *content, const char *line, size_t len)
{
	const char *problem = line_check_sum(line, len);
	json_t *record;

	if (problem)
		return problem;
	record = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	if (!record)
		return "not JSON";
	json_object_del(record, "sum"); /* belongs to the line, not to the record */
	problem = record_apply(content, record);
	json_decref(record);
	return problem;
}

int journal_parse(const char *text, size_t len, journal_complain complain, void *userdata, struct journal_content *ret_content)
{
	struct journal_content content = { .changes = json_array() };
	unsigned line = 0;

	if (!content.changes)
		return -ENOMEM;
	while (content.end < len) {
		const char *start = text + content.end;
		const char *newline = memchr(start, '\n', len - content.end);
		const char *problem;

		line++;
		if (!newline) {
			if (complain)
				complain(userdata, line, "torn; the change it announces was never made");
			break;
		}
		problem = line_apply(&content, start, (size_t)(newline - start));
		if (problem) {
			content.bad++;
			if (complain)
				complain(userdata, line, problem);
		}
		content.end = (size_t)(newline - text) + 1;
	}
	*ret_content = content;
	return 0;
}

static int file_read(const char *path, char **ret_text, size_t *ret_len)
{
	struct stat st;
	char *text = NULL;
	size_t len = 0;
	int fd, r = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (st.st_size > (off_t)JOURNAL_SIZE_MAX)
		r = -EFBIG;
	else if (!(text = malloc((size_t)st.st_size + 1)))
		r = -ENOMEM;
	while (r == 0 && len < (size_t)st.st_size) {
		ssize_t n = read(fd, text + len, (size_t)st.st_size - len);

		if (n < 0 && errno != EINTR)
			r = -errno;
		else if (n == 0)
			break;
		else if (n > 0)
			len += (size_t)n;
	}
	close(fd);
	if (r < 0) {
		free(text);
		return r;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
}

int journal_load(const char *path, journal_complain complain, void *userdata, struct journal_content *ret_content)
{
	char *text = NULL;
	size_t len = 0;
	int r;

	r = file_read(path, &text, &len);
	if (r < 0)
		return r;
	r = journal_parse(text, len, complain, userdata, ret_content);
	free(text);
	return r;
}

void journal_content_fini(struct journal_content *content)
{
	json_decref(content->changes);
	content->changes = NULL;
}

/* Printing */

int journal_line_print(const json_t *record, FILE *out)
{
	char *text;
	size_t body_len;

	json_t *versioned = json_pack("{s:i}", "v", JOURNAL_VERSION);

	if (!versioned || json_object_update_missing(versioned, (json_t *)record) < 0) {
		json_decref(versioned);
		return -ENOMEM;
	}
	text = json_dumps(versioned, JSON_COMPACT | JSON_PRESERVE_ORDER);
	json_decref(versioned);
	if (!text)
		return -ENOMEM;
	body_len = strlen(text) - 1; /* without the closing brace */
	fprintf(out, "%.*s" SUM_PREFIX "%016" PRIx64 "\"}\n", (int)body_len, text, (uint64_t)XXH3_64bits(text, body_len));
	free(text);
	return ferror(out) ? -EIO : 0;
}

int journal_print(const struct journal_content *content, FILE *out)
{
	char netns[17], mntns[17]; /* as text: JSON numbers are signed */
	json_t *first;
	int r;

	snprintf(netns, sizeof(netns), "%" PRIx64, content->identity.netns);
	snprintf(mntns, sizeof(mntns), "%" PRIx64, content->identity.mntns);
	first = json_pack("{s:s, s:s, s:s, s:s}", "op", "journal", "boot", content->identity.boot, "netns", netns, "mntns",
			  mntns);
	if (!first)
		return -ENOMEM;
	r = journal_line_print(first, out);
	json_decref(first);
	for (size_t i = 0; r == 0 && i < json_array_size(content->changes); i++)
		r = journal_line_print(json_array_get(content->changes, i), out);
	return r;
}

/* Writing */

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return fdatasync(fd) < 0 ? -errno : 0;
}

/* A file that was created, renamed or removed is only so on disk once its directory is. */
static int directory_sync(const char *path)
{
	char directory[PATH_MAX];
	char *slash;
	int fd, r = 0;

	snprintf(directory, sizeof(directory), "%s", path);
	slash = strrchr(directory, '/');
	if (!slash)
		strcpy(directory, ".");
	else
		slash[slash == directory] = '\0';
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		r = -errno;
	close(fd);
	return r;
}

/* The whole journal into a new file that takes the old one's place: at the first change, and to forget what is long done. */
static int journal_rewrite(struct journal *journal)
{
	char temporary[PATH_MAX + 8];
	char *text = NULL;
	size_t len = 0;
	int fd, r;
	FILE *out;

	out = open_memstream(&text, &len);
	if (!out)
		return -errno;
	r = journal_print(&journal->content, out);
	if (fclose(out) != 0 && r == 0)
		r = -ENOMEM;
	snprintf(temporary, sizeof(temporary), "%s.new", journal->path);
	fd = -1;
	if (r == 0) {
		unlink(temporary); /* of a crash; O_EXCL then refuses to follow a link */
		fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
		r = fd < 0 ? -errno : write_all(fd, text, len);
	}
	if (r == 0 && rename(temporary, journal->path) < 0)
		r = -errno;
	free(text);
	if (r < 0) {
		if (fd >= 0)
			close(fd);
		unlink(temporary);
		return r;
	}
	if (journal->fd >= 0)
		close(journal->fd);
	journal->fd = fd;
	journal->size = (off_t)len;
	return directory_sync(journal->path);
}

static int journal_append(struct journal *journal, const json_t *record)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out;
	int r;

	out = open_memstream(&text, &len);
	if (!out)
		return -errno;
	r = journal_line_print(record, out);
	if (fclose(out) != 0 && r == 0)
		r = -ENOMEM;
	if (r == 0)
		r = write_all(journal->fd, text, len);
	free(text);
	if (r == 0)
		journal->size += (off_t)len;
	else if (ftruncate(journal->fd, journal->size) < 0)
		return r; /* the torn line stays; the next reader cuts it off */
	return r;
}

static int journal_attach_file(struct journal *journal)
{
	int fd = open(journal->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	/* What a crash tore goes, or the next record would be glued to it. */
	if (ftruncate(fd, (off_t)journal->content.end) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	journal->fd = fd;
	journal->size = (off_t)journal->content.end;
	return 0;
}

static int journal_adopt(struct journal *journal)
{
	struct journal_content found;
	int r;

	r = journal_load(journal->path, NULL, NULL, &found);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	/* What another boot changed is gone with it. The first record of this one replaces the file. */
	if (found.identity.boot[0] && strcmp(found.identity.boot, journal->content.identity.boot) != 0) {
		journal_content_fini(&found);
		return 0;
	}
	json_decref(journal->content.changes);
	journal->content.changes = found.changes;
	journal->content.last_id = found.last_id;
	journal->content.end = found.end;
	return journal_attach_file(journal);
}

int journal_open(const char *path, struct journal **ret_journal)
{
	struct journal *journal = calloc(1, sizeof(*journal));
	int r;

	if (!journal)
		return -ENOMEM;
	journal->fd = -1;
	journal->content.changes = json_array();
	if (snprintf(journal->path, sizeof(journal->path), "%s", path) >= (int)sizeof(journal->path))
		r = -ENAMETOOLONG;
	else if (!journal->content.changes)
		r = -ENOMEM;
	else
		r = identity_read(&journal->content.identity);
	if (r == 0)
		r = journal_adopt(journal);
	if (r < 0) {
		journal_close(journal);
		return r;
	}
	*ret_journal = journal;
	return 0;
}

struct journal *journal_close(struct journal *journal)
{
	if (!journal)
		return NULL;
	if (journal->fd >= 0)
		close(journal->fd);
	journal_content_fini(&journal->content);
	free(journal);
	return NULL;
}

int journal_add(struct journal *journal, json_t *entry, uint64_t *ret_id)
{
	json_t *changes = journal->content.changes;
	uint64_t id = journal->content.last_id + 1;
	json_t *record = json_pack("{s:I}", "id", (json_int_t)id);
	int r = 0;

	if (!record || !entry || json_object_update_missing(record, entry) < 0 || json_array_append(changes, record) < 0)
		r = -ENOMEM;
	json_decref(entry);
	if (r == 0) {
		r = journal->fd < 0 ? journal_rewrite(journal) : journal_append(journal, record);
		if (r < 0)
			json_array_remove(changes, json_array_size(changes) - 1);
	}
	json_decref(record);
	if (r < 0)
		return r;
	journal->content.last_id = id;
	*ret_id = id;
	return 0;
}

static int journal_remove(struct journal *journal)
{
	if (unlink(journal->path) < 0 && errno != ENOENT)
		return -errno;
	close(journal->fd);
	journal->fd = -1;
	return directory_sync(journal->path);
}

int journal_done(struct journal *journal, uint64_t id)
{
	ssize_t at = changes_find(journal->content.changes, (json_int_t)id);
	json_t *record;
	int r;

	if (at < 0)
		return -ENOENT;
	json_array_remove(journal->content.changes, (size_t)at);
	if (json_array_size(journal->content.changes) == 0)
		return journal_remove(journal);
	if (journal->size > COMPACT_SIZE)
		return journal_rewrite(journal);
	record = json_pack("{s:I, s:s, s:I}", "id", (json_int_t)++journal->content.last_id, "op", "done", "of", (json_int_t)id);
	r = record ? journal_append(journal, record) : -ENOMEM;
	json_decref(record);
	return r;
}
