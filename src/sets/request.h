/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * request.h - the daemon's answer to {"cmd":"set"}: items of a named set come, go and are listed, as text.
 *
 *	"set"	the set's name
 *	"op"	add, del, replace, list, or stage: only keep the items for the request that ends it
 *	"items"	text, one item a line as in a set's file; goes behind what was staged
 *	"stage"	a number of the client's choice that the pieces of one text have in common
 *	"ttl"	seconds, for items that have none of their own
 *	"at"	of list: where the answer before said to go on ("next")
 *	"file"	what messages call the text
 *
 * So text of any length comes in lines of the socket's size, is read as a whole, and if one item is wrong nothing is changed.
 */
#ifndef SPILLWAY_SETS_REQUEST_H
#define SPILLWAY_SETS_REQUEST_H

#include <jansson.h>

#include "sets/store.h"

/*
 * Result {"set","kind","count"} and: of add and del "changed"; of list "items", and "next" if there are more. NULL: out of memory.
 * When it changed something, set_table_waits() and set_store_retired() say what is left to do.
 */
json_t *set_request_answer(struct set_store *store, const json_t *request, uint64_t now_ns);

#endif
