/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const struct {
	int syslog_priority; /* syslog(3) */
	const char *word;
} levels[LOG_LEVEL_COUNT] = {
	[LOG_LEVEL_ERROR] = { 3, "error: " },
	[LOG_LEVEL_WARNING] = { 4, "warning: " },
	[LOG_LEVEL_INFO] = { 6, "" },
	[LOG_LEVEL_DEBUG] = { 7, "debug: " },
};

static enum log_level log_max = LOG_LEVEL_INFO;
static bool log_to_journald;

/* JOURNAL_STREAM is inherited by children whose stderr is something else, so the numbers in it must be those of our stderr. */
static bool stderr_is_journald(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, inode;
	struct stat st;

	if (!stream || sscanf(stream, "%llu:%llu", &dev, &inode) != 2 || fstat(STDERR_FILENO, &st) < 0)
		return false;
	return st.st_dev == dev && st.st_ino == inode;
}

void log_init(enum log_level max_level)
{
	log_max = max_level;
	log_to_journald = stderr_is_journald();
}

/* One write(2) per line, so that lines of two processes on one log do not mix. */
void log_write(enum log_level level, const char *format, ...)
{
	char line[2048];
	size_t len, start;
	va_list args;
	int n;

	if (level > log_max)
		return;
	if (log_to_journald) {
		start = (size_t)snprintf(line, sizeof(line), "<%d>", levels[level].syslog_priority);
	} else {
		time_t now = time(NULL);
		struct tm tm;

		start = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%SZ spillwayd: ", gmtime_r(&now, &tm));
		start += (size_t)snprintf(line + start, sizeof(line) - start, "%s", levels[level].word);
	}

	va_start(args, format);
	n = vsnprintf(line + start, sizeof(line) - start - 1, format, args);
	va_end(args);
	if (n < 0)
		return;
	len = start + (size_t)n;
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	for (char *c = line + start; c < line + len; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?'; /* names come from clients: none may write a line of its own */
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		return; /* nowhere left to complain to */
}

bool log_limit_pass(struct log_limit *limit, uint64_t now_ms, unsigned *ret_suppressed)
{
	if (now_ms - limit->start_ms >= limit->interval_ms) {
		limit->start_ms = now_ms;
		limit->written = 0;
	}
	if (limit->written >= limit->burst) {
		limit->suppressed++;
		return false;
	}
	limit->written++;
	*ret_suppressed = limit->suppressed;
	limit->suppressed = 0;
	return true;
}
