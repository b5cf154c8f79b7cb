/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel.h - is the running kernel new enough for the XDP program? */
#ifndef SPILLWAY_BASE_KERNEL_H
#define SPILLWAY_BASE_KERNEL_H

#include <stddef.h>

/* The oldest kernel with bpf_xdp_load_bytes(); bpf_loop(), which walks the image, is of 5.17. */
#define KERNEL_MAJOR_MIN 5u
#define KERNEL_MINOR_MIN 18u

/* 0, or -ENOSYS with a message that names both versions. */
int kernel_check(char *ret_message, size_t size);

#endif
