/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/kernel.h"

#include <errno.h>
#include <stdio.h>
#include <sys/utsname.h>

int kernel_check(char *ret_message, size_t size)
{
	unsigned major, minor;
	struct utsname name;

	/* A release that does not read as two numbers is not judged here; loading the program will tell. */
	if (uname(&name) < 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		return 0;
	if (major > KERNEL_MAJOR_MIN || (major == KERNEL_MAJOR_MIN && minor >= KERNEL_MINOR_MIN))
		return 0;
	snprintf(ret_message, size,
		 "kernel %s is too old: spillway needs %u.%u or newer (for bpf_xdp_load_bytes); boot a newer kernel",
		 name.release, KERNEL_MAJOR_MIN, KERNEL_MINOR_MIN);
	return -ENOSYS;
}
