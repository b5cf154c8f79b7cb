/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * undo.h - put back what the journal says was changed, without the process that changed it.
 *
 * Each kind of change (`op`) has one row in undo.c: how to say what undoing it means, and how to do it. Before anything is
 * touched it is checked to be still ours, by program name, interface index, file system type: what others have put in its place
 * stays.
 *
 *   {"op":"bpffs", "path"}                        we mounted it
 *   {"op":"pin-dir", "path"}                      a directory of our pins under it, and the empty parents of that
 *   {"op":"xdp-link", "path", "ifname", "ifindex"}  our program, attached by a pinned link
 *   {"op":"tap", "ifname", "ifindex"}             a TAP device, which goes with its process
 */
#ifndef SPILLWAY_CONTROL_UNDO_H
#define SPILLWAY_CONTROL_UNDO_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* The name of the XDP program in bpf/spillway.bpf.c, by which an attachment is known to be ours. */
#define UNDO_XDP_PROGRAM "spillway_xdp"

/*
 * Undo one change. 0: it is undone, was gone already, or is not ours any more; negative errno: it is still there. *ret_message is
 * one line either way.
 */
int undo_entry(const json_t *entry, char *ret_message, size_t size);
/* What undo_entry() would do, with the command that does the same. */
void undo_describe(const json_t *entry, char *ret_text, size_t size);

typedef void (*undo_print)(void *userdata, const char *line);

/*
 * Undo everything in a journal, last change first, with a line for each and for what could not be read, and end each record that
 * is done, so that an interrupted run goes on where it was. dry_run only says what would be done. Returns how many changes that
 * were, 0 without a journal; -EUCLEAN when something is still there, another negative errno when the journal cannot be used.
 */
int undo_all(const char *journal_path, bool dry_run, undo_print print, void *userdata);

#endif
