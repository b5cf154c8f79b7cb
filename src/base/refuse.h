/* SPDX-License-Identifier: BSD-2-Clause */
/* refuse.h - how a function of the control side fails: an errno for the program, a line for the person. */
#ifndef SPILLWAY_BASE_REFUSE_H
#define SPILLWAY_BASE_REFUSE_H

#include <stddef.h>

/* Write one line, which names what failed and the fix, and return `error`. */
__attribute__((format(printf, 4, 5))) int refuse(int error, char *ret_message, size_t size, const char *format, ...);

#endif
