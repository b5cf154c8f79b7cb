/* SPDX-License-Identifier: BSD-2-Clause */
/* notify.h - tell the service manager how we are, by the sd_notify(3) protocol; nothing happens when there is none. */
#ifndef SPILLWAY_DAEMON_NOTIFY_H
#define SPILLWAY_DAEMON_NOTIFY_H

#include <stdint.h>

/* "READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=..."; several separated by newlines. */
void notify_send(const char *state);
/* How long the manager waits between two WATCHDOG=1 before it ends us; 0: it does not. */
uint64_t notify_watchdog_ms(void);

#endif
