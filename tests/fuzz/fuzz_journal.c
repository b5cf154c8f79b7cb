/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The journal reader. Any file yields some changes; written out again and read once more, they are the same changes, with nothing
 * to complain about. Since bytes that fail the checksum get no further than that, the target signs every line itself, but for
 * inputs that begin with `r`, which are read raw.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "control/journal.h"
#include "control/undo.h"
#include "replay.h"

static void line_sign(const uint8_t *line, size_t len, FILE *out)
{
	if (len > 0 && line[len - 1] == '}')
		len--;
	fwrite(line, 1, len, out);
	fprintf(out, ",\"sum\":\"%016" PRIx64 "\"}\n", (uint64_t)XXH3_64bits(line, len));
}

static char *text_sign(const uint8_t *data, size_t size, size_t *ret_len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_len);

	while (size > 0) {
		const uint8_t *newline = memchr(data, '\n', size);
		size_t len = newline ? (size_t)(newline - data) : size;

		line_sign(data, len, out);
		data += len + !!newline;
		size -= len + !!newline;
	}
	fclose(out);
	return text;
}

static void check_order(const struct journal_content *content)
{
	json_int_t last = 0;
	json_t *change;
	size_t i;

	json_array_foreach(content->changes, i, change)
	{
		json_int_t id = json_integer_value(json_object_get(change, "id"));

		if (id <= last || (uint64_t)id > content->last_id)
			abort();
		last = id;
	}
}

/* Saying what would be undone must work for every change that can be read. */
static void check_describe(const struct journal_content *content)
{
	char message[256];
	json_t *change;
	size_t i;

	json_array_foreach(content->changes, i, change)
	{
		message[0] = '\0';
		undo_describe(change, message, sizeof(message));
		if (!message[0])
			abort();
	}
}

static void check_again(const struct journal_content *content)
{
	struct journal_content again;
	size_t len = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);

	if (journal_print(content, out) < 0)
		abort();
	fclose(out);
	if (journal_parse(text, len, NULL, NULL, &again) < 0)
		abort();
	if (again.bad || again.end != len || !json_equal(content->changes, again.changes))
		abort();
	if (strcmp(content->identity.boot, again.identity.boot) != 0 || content->identity.netns != again.identity.netns ||
	    content->identity.mntns != again.identity.mntns)
		abort();
	journal_content_fini(&again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct journal_content content;
	size_t len = size;
	char *text;

	if (size > 16384)
		return 0;
	if (size > 0 && data[0] == 'r') {
		text = malloc(--len ? len : 1);
		memcpy(text, data + 1, len);
	} else {
		text = text_sign(data, size, &len);
	}
	if (journal_parse(text, len, NULL, NULL, &content) < 0 || content.end > len)
		abort();
	check_order(&content);
	check_describe(&content);
	check_again(&content);
	journal_content_fini(&content);
	free(text);
	return 0;
}
