/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_set.c - set: items of a named set of an armed interface come, go, and are listed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/near.h"
#include "cli.h"
#include "rules/literal.h"

#define PIECE_BYTES (1u << 20) /* of text a request: JSON may make more of it, and the daemon takes a line of some megabytes */

static const char *const verbs[] = { "add", "del", "list", "replace" };

static int wrong_verb(const char *verb)
{
	const char *near = near_find(verb, verbs, 4);

	if (near)
		return fail(CODE_USAGE, "set: add, del, list or replace, not \"%s\": did you mean %s?", verb, near);
	return fail(CODE_USAGE, "set: add, del, list or replace, not \"%s\"", verb);
}

static bool verb_known(const char *verb)
{
	for (unsigned i = 0; i < 4; i++) {
		if (strcmp(verb, verbs[i]) == 0)
			return true;
	}
	return false;
}

/* The words behind the verb, one a line. */
static int text_of_words(char *const *words, char **ret_text, size_t *ret_len)
{
	FILE *out = open_memstream(ret_text, ret_len);

	if (!out)
		return -ENOMEM;
	for (; *words; words++)
		fprintf(out, "%s\n", *words);
	return fclose(out) ? -ENOMEM : 0;
}

static int text_of_file(const char *path, char **ret_text, size_t *ret_len)
{
	FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	FILE *out = in ? open_memstream(ret_text, ret_len) : NULL;
	char buffer[65536];
	size_t n;
	int r = out ? 0 : -errno;

	while (out && (n = fread(buffer, 1, sizeof(buffer), in)) > 0)
		fwrite(buffer, 1, n, out);
	if (in && ferror(in))
		r = -EIO;
	if (out && fclose(out))
		r = -ENOMEM;
	if (in && in != stdin)
		fclose(in);
	return r;
}

static json_t *request_new(const struct arguments *arguments, const char *op)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "cmd", "set", "ifname", arguments->operand, "set", arguments->words[0], "op",
			 op);
}

/* What the pieces of one text have in common, and those of nobody else: a process number may be another's in its own namespace. */
static json_int_t stage_number(void)
{
	uint32_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number) || !number)
		return getpid();
	return number;
}

/* Items that parse are ASCII but for their comments, so what ipc_bytes() may have to replace says nothing. */
static int send_piece(const struct arguments *arguments, const char *op, json_int_t stage, const char *text, size_t len,
		      json_int_t ttl, json_t **ret_result)
{
	const char *file = arguments->values[OPTION_ITEMS];
	json_t *request = request_new(arguments, op);

	json_object_set_new(request, "items", ipc_bytes(text, len));
	json_object_set_new(request, "file", ipc_text(file && strcmp(file, "-") != 0 ? file : file ? "stdin" : "items"));
	json_object_set_new(request, "stage", json_integer(stage));
	json_object_set_new(request, "ttl", json_integer(ttl));
	return daemon_ask(request, false, ret_result);
}

/* The text in pieces: the daemon keeps them until the last one says what is to be done with all. */
static int send_text(const struct arguments *arguments, const char *verb, const char *text, size_t len, json_int_t ttl,
		     json_t **ret_result)
{
	json_int_t stage = stage_number();
	int code = CODE_OK;

	while (len > PIECE_BYTES && code == CODE_OK) {
		code = send_piece(arguments, "stage", stage, text, PIECE_BYTES, ttl, ret_result);
		if (code == CODE_OK)
			json_decref(*ret_result);
		text += PIECE_BYTES;
		len -= PIECE_BYTES;
	}
	return code == CODE_OK ? send_piece(arguments, verb, stage, text, len, ttl, ret_result) : code;
}

static int ttl_parse(const char *text, json_int_t *ret_ttl)
{
	char message[LITERAL_MESSAGE_MAX];
	uint32_t ttl_s = 0;

	if (text && literal_duration((struct word){ text, strlen(text) }, &ttl_s, message) < 0)
		return fail(CODE_USAGE, "set: --ttl: %s", message);
	*ret_ttl = ttl_s;
	return CODE_OK;
}

static void change_print(const struct arguments *arguments, const char *verb, const json_t *result)
{
	json_int_t count = json_integer_value(json_object_get(result, "count"));
	char changed[GROUPED_MAX], now[GROUPED_MAX];

	grouped(count, now);
	if (strcmp(verb, "replace") == 0) {
		printf("%s: replaced, %s items\n", arguments->words[0], now);
		return;
	}
	grouped(json_integer_value(json_object_get(result, "changed")), changed);
	printf("%s: %s %s, %s items\n", arguments->words[0], changed, strcmp(verb, "add") == 0 ? "added" : "deleted", now);
}

static int set_change(const struct arguments *arguments, const char *verb)
{
	const char *file = arguments->values[OPTION_ITEMS];
	char *text = NULL;
	json_t *result;
	json_int_t ttl;
	size_t len = 0;
	int r, code = ttl_parse(arguments->values[OPTION_TTL], &ttl);

	if (code != CODE_OK)
		return code;
	if (ttl && strcmp(verb, "del") == 0)
		return fail(CODE_USAGE, "set: --ttl has no meaning with del");
	if (!file == !arguments->words[2])
		return fail(CODE_USAGE, "set: %s which items? Name them, or a list of them with -f FILE; - is standard input",
			    verb);
	r = file ? text_of_file(file, &text, &len) : text_of_words(arguments->words + 2, &text, &len);
	if (r < 0)
		code = fail(CODE_USAGE, "%s: cannot read the items: %s", file ? file : "set", strerror(-r));
	else
		code = send_text(arguments, verb, text, len, ttl, &result);
	free(text);
	if (code != CODE_OK)
		return code;
	if (arguments->values[OPTION_JSON])
		code = json_print(result);
	else
		change_print(arguments, verb, result);
	json_decref(result);
	return code;
}

/* Behind `array`, each line of the text as a string. */
static void lines_append(json_t *array, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		json_array_append_new(array, json_stringn(text, len));
		text += len + (text[len] == '\n');
	}
}

static int set_list(const struct arguments *arguments)
{
	json_t *items = arguments->values[OPTION_JSON] ? json_array() : NULL, *result = NULL;
	json_int_t at = 0;
	int code;

	do {
		json_t *request = request_new(arguments, "list");
		const char *text;

		json_object_set_new(request, "at", json_integer(at));
		json_decref(result);
		result = NULL;
		code = daemon_ask(request, false, &result);
		if (code != CODE_OK)
			break;
		text = json_string_value(json_object_get(result, "items"));
		if (items)
			lines_append(items, text ? text : "");
		else
			fputs(text ? text : "", stdout);
		at = json_integer_value(json_object_get(result, "next"));
	} while (at);
	if (code == CODE_OK && items) {
		json_object_set(result, "items", items);
		json_object_del(result, "next");
		code = json_print(result);
	}
	json_decref(items);
	json_decref(result);
	return code;
}

int cmd_set(const struct arguments *arguments)
{
	const char *verb = arguments->words[0] ? arguments->words[1] : NULL;

	if (!verb)
		return fail(CODE_USAGE, "set: which set, and what: `spillway set %s NAME add|del|list|replace ...`",
			    arguments->operand);
	if (!verb_known(verb))
		return wrong_verb(verb);
	if (strcmp(verb, "list") != 0)
		return set_change(arguments, verb);
	if (arguments->words[2] || arguments->values[OPTION_ITEMS] || arguments->values[OPTION_TTL])
		return fail(CODE_USAGE, "set: list takes no items, no --file and no --ttl");
	return set_list(arguments);
}
