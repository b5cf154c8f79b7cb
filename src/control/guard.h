/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guard.h - one armed interface: XDP program and maps, published image, ports, worker thread, reinjection.
 *
 * Opening arms (everything is ready before XDP is attached, last), applying swaps the image in one map update, closing undoes in
 * reverse order. All calls come from the daemon's one control thread; the packet path runs in the guard's own worker.
 * Every call that can fail leaves a one-line message that names what failed and what mends it.
 */
#ifndef SPILLWAY_CONTROL_GUARD_H
#define SPILLWAY_CONTROL_GUARD_H

#include <jansson.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reinject/reinject.h"
#include "rules/rules.h"

struct guard;
struct journal;

enum guard_mode { GUARD_MODE_AUTO, GUARD_MODE_NATIVE, GUARD_MODE_GENERIC };

struct guard_config {
	char ifname[IF_NAMESIZE];
	int queue; /* the one queue to open a port on, or -1: all of them (no NIC steering to bring the flows to one) */
	int cpu;   /* the worker runs on this one only, or -1: wherever the scheduler puts it */
	enum guard_mode mode;
	enum reinject_kind reinject;
};

/*
 * Arm an interface of the caller's network namespace. Host changes go to the journal before they are made. On failure nothing is
 * left changed and *ret_message says why: -ENODEV no such interface, -ENETDOWN it is down, -EBUSY a foreign XDP program is there,
 * -EPERM, -EOPNOTSUPP kernel or driver too old, -EINVAL queue out of range, -E2BIG rules too large.
 */
int guard_open(const struct guard_config *config, const struct rules *rules, struct journal *journal, struct guard **ret_guard,
	       char *ret_message, size_t size);
/*
 * Replace the rules, and the sets by what the rules say. Atomic: on failure the old ones run on. Counters of rules whose text did
 * not change go on.
 */
int guard_apply(struct guard *guard, const struct rules *rules, char *ret_message, size_t size);
/* Disarm: stop diverting, drain, stop the worker, detach. NULL is fine; returns NULL. */
struct guard *guard_close(struct guard *guard);

json_t *guard_status(struct guard *guard); /* new reference; fields as in spillway(8), STATUS JSON */
json_t *guard_rules(struct guard *guard);  /* new reference; [{"line","name","text","tier","reason","packets","bytes"}] */
/* The answer to a request about a named set (sets/request.h), new reference or NULL: out of memory. In force when it returns. */
json_t *guard_set(struct guard *guard, const json_t *request);
/* Does any rule that runs sample? */
bool guard_has_samples(const struct guard *guard);
/* So many watch what `sample` rules take; 0: nothing is taken. The first does not get what was taken for others before. */
void guard_watch_samples(struct guard *guard, unsigned watchers);
/*
 * What was taken since the last call, each to `take` as a line of JSON (sample/show.h, borrowed). Returns how many more were lost since
 * then, because a ring was full.
 */
uint64_t guard_samples(struct guard *guard, void (*take)(void *userdata, const json_t *line), void *userdata);
const char *guard_ifname(const struct guard *guard);
/* Readable when the worker ended by itself; -1: never. */
int guard_fd(const struct guard *guard);
/*
 * Once a second: follow the world (MAC address of the interface, vanished link), end rules and items of sets whose `ttl` is over,
 * and tell of hits of rules with `log`. `say` gets one line each, about this interface.
 */
void guard_tick(struct guard *guard, void (*say)(const char *line));

#endif
