/* SPDX-License-Identifier: BSD-2-Clause */
/* privileges.h - what of root's powers the daemon keeps once its socket is bound. */
#ifndef SPILLWAY_DAEMON_PRIVILEGES_H
#define SPILLWAY_DAEMON_PRIVILEGES_H

/* Let BPF maps and packet buffers be locked in memory, where the kernel still counts them against a limit. */
void privileges_raise_memlock(void);
/* Give up everything but the capabilities listed in privileges.c, for good. 0 or negative errno. */
int privileges_drop(void);

#endif
