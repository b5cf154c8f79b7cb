/* SPDX-License-Identifier: BSD-2-Clause */
#include "privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const unsigned kept[] = {
	CAP_NET_ADMIN, /* attach XDP, TAP device, traffic control, NIC settings */
	CAP_NET_RAW,   /* AF_XDP sockets */
	CAP_BPF,       /* load programs, make maps */
	CAP_PERFMON,   /* BPF programs with pointer arithmetic and bounded loops as ours have */
	CAP_SYS_ADMIN, /* mount bpffs, find a BPF link by its id after a crash, run the program on test packets */
	CAP_SYS_NICE,  /* place and prioritise the worker */
	CAP_IPC_LOCK,  /* packet buffers stay in memory */
};

void privileges_raise_memlock(void)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	/* Only kernels before 5.11 count maps against it; if this fails, a large buffer may be refused later, and say so. */
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

int privileges_drop(void)
{
	bool held[sizeof(kept) / sizeof(kept[0])];

	/* First of all: from here on not even starting a program as root gives anything back. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/* In a container some may be missing from the start; what needs them will say so. */
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		held[i] = capng_have_capability(CAPNG_PERMITTED, kept[i]);
	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (held[i] && capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, kept[i]) < 0)
			return -EINVAL;
	/* The bounding set needs CAP_SETPCAP, which a service manager may have taken already, together with what it guards. */
	capng_apply(CAPNG_SELECT_BOUNDS);
	return capng_apply(CAPNG_SELECT_CAPS) < 0 ? -EPERM : 0;
}
