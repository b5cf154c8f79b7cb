/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Framing of the control socket. However the bytes are cut up on their way, the lines are those between the newlines; and each
 * line, whatever is in it, can be quoted in a reply that is JSON again.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/ipc.h"
#include "replay.h"

/* The same line as memchr() finds it in the whole. */
static const uint8_t *check_lines(struct ipc_lines *lines, const uint8_t *expected, const uint8_t *end)
{
	const char *line;
	size_t len;

	while ((line = ipc_lines_next(lines, &len))) {
		const uint8_t *newline = memchr(expected, '\n', (size_t)(end - expected));

		if (!newline || len != (size_t)(newline - expected) || memcmp(line, expected, len) != 0)
			abort();
		expected = newline + 1;
	}
	return expected;
}

static void check_reply(const uint8_t *line, size_t len)
{
	json_t *request = json_loadb((const char *)line, len, JSON_REJECT_DUPLICATES, NULL);
	json_t *quoted = ipc_bytes((const char *)line, len);
	json_t *reply = ipc_reply_result(json_pack("{s:o, s:o*}", "line", quoted, "request", request));
	char *text = json_dumps(reply, JSON_COMPACT);
	json_t *again = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;

	if (!again || !json_equal(reply, again) || strchr(text, '\n') || json_string_length(quoted) != len)
		abort();
	json_decref(again);
	json_decref(reply);
	free(text);
}

/* The first byte seeds the cuts, the rest is what arrives. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipc_lines lines = {};
	const uint8_t *expected, *end = data + size;
	unsigned seed;

	if (size == 0)
		return 0;
	seed = *data++;
	expected = data;
	while (data < end) {
		size_t piece = 1 + (seed = seed * 1103515245 + 12345) / 65536 % 32;

		if (piece > (size_t)(end - data))
			piece = (size_t)(end - data);
		if (ipc_lines_feed(&lines, data, piece) < 0)
			abort();
		data += piece;
		if (seed & 64) {
			const uint8_t *before = expected;

			expected = check_lines(&lines, expected, end);
			if (expected > before)
				check_reply(before, (size_t)(expected - before) - 1);
		}
	}
	expected = check_lines(&lines, expected, end);
	if (memchr(expected, '\n', (size_t)(end - expected)))
		abort();
	ipc_lines_fini(&lines);
	return 0;
}
