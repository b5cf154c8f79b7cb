/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.h - the daemon's log: one line to stderr for each change of state and each failure. Numbers go to counters, not here.
 *
 * Only daemon code logs; everything below it returns an error and a message. When stderr is the journal of systemd, each line
 * starts with the `<N>` priority that journald strips; otherwise with a time and, above info, the level in words.
 */
#ifndef SPILLWAY_BASE_LOG_H
#define SPILLWAY_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERROR,   /* something asked for does not work */
	LOG_LEVEL_WARNING, /* works, but not as it should */
	LOG_LEVEL_INFO,	   /* a change of state */
	LOG_LEVEL_DEBUG,   /* off unless asked for */
	LOG_LEVEL_COUNT,
};

/* Find out where stderr goes and set the most talkative level that is still written. */
void log_init(enum log_level max_level);
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* For lines that a client or a packet can cause: at most `burst` per `interval_ms`. Zero-initialize the other members. */
struct log_limit {
	unsigned burst, interval_ms;
	unsigned written, suppressed;
	uint64_t start_ms;
};

/* May a line be written now (CLOCK_MONOTONIC milliseconds)? *ret_suppressed: how many were not since the last one that was. */
bool log_limit_pass(struct log_limit *limit, uint64_t now_ms, unsigned *ret_suppressed);

#endif
