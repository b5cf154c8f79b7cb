/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/refuse.h"

#include <stdarg.h>
#include <stdio.h>

int refuse(int error, char *ret_message, size_t size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(ret_message, size, format, arguments);
	va_end(arguments);
	return error;
}
