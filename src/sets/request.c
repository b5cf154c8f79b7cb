/* SPDX-License-Identifier: BSD-2-Clause */
#include "sets/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/near.h"
#include "control/ipc.h"

#define LIST_BYTES (1l << 20) /* a line of the socket holds four times as much, and JSON makes more of each line end */

struct set_request {
	const char *set, *op, *items, *file;
	json_int_t stage, ttl, at; /* 0: not given */
};

static const char *const ops[] = {
	[SET_CHANGE_ADD] = "add",
	[SET_CHANGE_DEL] = "del",
	[SET_CHANGE_REPLACE] = "replace",
};

static json_t *no_set(const struct set_store *store, const char *name)
{
	const char *names[SETS_MAX], *near;
	size_t n = set_store_count(store);

	for (size_t i = 0; i < n; i++)
		names[i] = set_store_at(store, i)->name;
	near = near_find(name, names, n);
	if (near)
		return ipc_reply_error(CODE_NOT_FOUND, "the rules have no set `%s`: did you mean `%s`?", name, near);
	return ipc_reply_error(CODE_NOT_FOUND, "the rules have no set `%s`: `set %s {}` in them makes one", name, name);
}

static json_t *no_memory(int r)
{
	return ipc_reply_error(CODE_REFUSED, "set: %s", r == -E2BIG ? "the text is longer than 256 MiB" : strerror(-r));
}

static json_t *describe(const struct set_store *store, const struct stored_set *set)
{
	return json_pack("{s:s, s:s, s:I}", "set", set->name, "kind", list_kind_names[set->kind], "count",
			 (json_int_t)stored_set_size(store, set));
}

static json_t *answer_list(const struct set_store *store, const struct stored_set *set, size_t at, uint64_t now_ns)
{
	json_t *result = describe(store, set);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	bool more;

	if (!out) {
		json_decref(result);
		return NULL;
	}
	more = stored_set_print(store, set, now_ns, &at, LIST_BYTES, out);
	if (fclose(out) == 0)
		json_object_set_new(result, "items", json_stringn(text, size));
	free(text);
	if (more)
		json_object_set_new(result, "next", json_integer((json_int_t)at));
	return ipc_reply_result(result);
}

/* What was staged and what came now, as one text the caller frees. */
static int text_whole(struct set_store *store, const struct set_request *request, char **ret_text, size_t *ret_len)
{
	int r;

	if (!request->stage) {
		*ret_len = strlen(request->items);
		*ret_text = strdup(request->items);
		return *ret_text ? 0 : -ENOMEM;
	}
	r = set_store_stage(store, request->stage, request->items, strlen(request->items));
	if (r)
		return r;
	*ret_text = set_store_unstage(store, request->stage, ret_len);
	return 0;
}

static json_t *answer_change(struct set_store *store, const struct stored_set *set, enum set_change change,
			     const struct set_request *request, uint64_t now_ns)
{
	struct rules_error error = { 0 };
	struct rules *items;
	size_t len, changed = 0;
	char *text;
	json_t *result;
	int r = text_whole(store, request, &text, &len);

	if (r)
		return no_memory(r);
	r = rules_parse_items(text, len, request->file ? request->file : "-", set->name, set->kind, &items, &error);
	free(text);
	if (r)
		return error.message[0] ? ipc_reply_rules_error(&error) : no_memory(r);
	r = set_store_change(store, set, change, items->sets[0], (uint32_t)request->ttl, now_ns, &changed);
	rules_free(items);
	if (r)
		return no_memory(r);
	result = describe(store, set);
	if (change != SET_CHANGE_REPLACE)
		json_object_set_new(result, "changed", json_integer((json_int_t)changed));
	return ipc_reply_result(result);
}

static json_t *answer_stage(struct set_store *store, const struct stored_set *set, const struct set_request *request)
{
	int r;

	if (!request->stage)
		return ipc_reply_error(CODE_USAGE, "set: stage wants a number other than 0");
	r = set_store_stage(store, request->stage, request->items, strlen(request->items));
	return r ? no_memory(r) : ipc_reply_result(describe(store, set));
}

json_t *set_request_answer(struct set_store *store, const json_t *json, uint64_t now_ns)
{
	struct set_request request = { .items = "" };
	const struct stored_set *set;
	json_error_t problem;

	if (json_unpack_ex((json_t *)json, &problem, 0, "{s:s, s:s, s?s, s?s, s?I, s?I, s?I}", "set", &request.set, "op",
			   &request.op, "items", &request.items, "file", &request.file, "stage", &request.stage, "ttl",
			   &request.ttl, "at", &request.at) < 0)
		return ipc_reply_error(CODE_USAGE, "set: not a request: %s", problem.text);
	if (request.ttl < 0 || request.ttl > UINT32_MAX || request.at < 0)
		return ipc_reply_error(CODE_USAGE, "set: ttl and at are numbers from 0");
	set = set_store_find(store, request.set);
	if (!set)
		return no_set(store, request.set);
	if (strcmp(request.op, "list") == 0)
		return answer_list(store, set, (size_t)request.at, now_ns);
	if (strcmp(request.op, "stage") == 0)
		return answer_stage(store, set, &request);
	for (unsigned op = 0; op < sizeof(ops) / sizeof(ops[0]); op++) {
		if (strcmp(request.op, ops[op]) == 0)
			return answer_change(store, set, (enum set_change)op, &request, now_ns);
	}
	return ipc_reply_error(CODE_USAGE, "set: op is add, del, replace, list or stage, not \"%s\"", request.op);
}
