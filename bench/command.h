/* SPDX-License-Identifier: BSD-2-Clause */
/* command.h - run a peer's command and say how long it took. */
#ifndef SPILLWAY_BENCH_COMMAND_H
#define SPILLWAY_BENCH_COMMAND_H

/*
 * The command `argv`, ended by NULL, found in PATH, from start to end, stdin and stdout on /dev/null. 0; negative errno;
 * -EREMOTEIO when it ended with another code than 0, after it said why on stderr. *ret_ns may be NULL.
 */
int command_run(const char *const *argv, double *ret_ns);

#endif
