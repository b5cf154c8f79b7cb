/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ipc_inside.h - what both ends of the control socket need: ipc.c, the server and the framing, and ipc_client.c.
 */
#ifndef SPILLWAY_CONTROL_IPC_INSIDE_H
#define SPILLWAY_CONTROL_IPC_INSIDE_H

#include <stdint.h>
#include <sys/un.h>

#define IPC_READ_SIZE 65536

int64_t ipc_now_ms(void); /* CLOCK_MONOTONIC */
/*
 * The socket's address through the directory's descriptor: an address holds 107 bytes, a run directory's path may be longer. Returns
 * the descriptor, which must stay open until bind or connect is done, or negative errno.
 */
int ipc_address_open(const char *rundir, struct sockaddr_un *ret_address);

#endif
