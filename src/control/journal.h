/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * journal.h - what was changed on the host and is not undone yet, on disk before the change is made.
 *
 * An append-only file of JSON lines. The first record names the boot and the namespaces, each other one a change (`op` and
 * what undo.c needs) or the end of one (`op` = "done", `of` = its id). Every line carries the format version, a number that
 * only grows and, as its last member, an XXH3 checksum of the bytes before it. The file exists exactly while there is something
 * to undo.
 *
 * A crash can tear only the last line, and its change was then never made: journal_add() returns after the fsync. So a torn tail
 * is cut off; a bad line further up (a bug, a foreign hand) is reported by number and skipped, and the rest is used.
 */
#ifndef SPILLWAY_CONTROL_JOURNAL_H
#define SPILLWAY_CONTROL_JOURNAL_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/rundir.h"

#define JOURNAL_VERSION 1
#define JOURNAL_LINE_MAX 65536u
#define JOURNAL_SIZE_MAX (16u << 20)

struct journal;

/* An existing journal of this boot is appended to, another boot's is dropped. Creates no file before the first change. */
int journal_open(const char *path, struct journal **ret_journal);
/* Leaves the file as it is. NULL is fine; returns NULL. */
struct journal *journal_close(struct journal *journal);

/*
 * Record a change that is about to be made. `entry` (stolen, also on failure) has "op" and what undo needs; the names v, id and
 * sum are the journal's. Written and fsync'd before it returns. On failure the file is as before: do not make the change.
 */
int journal_add(struct journal *journal, json_t *entry, uint64_t *ret_id);
/* The change was undone: its record counts no more. With the last one the file goes. -ENOENT: no such id. */
int journal_done(struct journal *journal, uint64_t id);

/* What a journal file says. Plain data, no file behind it. */
struct journal_content {
	struct identity identity; /* from the first record; empty when that is unreadable */
	json_t *changes;	  /* array, oldest first: records not done, each with its "id" */
	uint64_t last_id;
	size_t end;   /* bytes up to and with the last newline; what follows is torn */
	unsigned bad; /* lines that were skipped, without a torn tail */
};

/* Told of each line that cannot be used. */
typedef void (*journal_complain)(void *userdata, unsigned line, const char *problem);

/* Any bytes are fine; -ENOMEM is the only error. `complain` may be NULL. Release *ret_content with journal_content_fini(). */
int journal_parse(const char *text, size_t len, journal_complain complain, void *userdata, struct journal_content *ret_content);
/* The same from a file: -ENOENT when there is none, -EFBIG above JOURNAL_SIZE_MAX. */
int journal_load(const char *path, journal_complain complain, void *userdata, struct journal_content *ret_content);
void journal_content_fini(struct journal_content *content);
/* Write it as a journal that parses to the same changes. */
int journal_print(const struct journal_content *content, FILE *out);

/* Append version and checksum to one JSON object and write it as a line. */
int journal_line_print(const json_t *record, FILE *out);

#endif
