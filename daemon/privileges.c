/* SPDX-License-Identifier: BSD-2-Clause */
#include "privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/capability.h>
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

	/* Only kernels before 5.11 count maps against it; without it a large buffer may be refused later, with its own message. */
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

int privileges_drop(void)
{
	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, kept[i]) < 0)
			return -EINVAL;
	if (capng_apply(CAPNG_SELECT_ALL) < 0)
		return -EPERM;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}
