/* SPDX-License-Identifier: BSD-2-Clause */
#include "harness.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/refuse.h"
#include "harness.skel.h"

struct harness {
	struct harness_bpf *bpf;
	struct header *trace;
	struct bpf_link *parked; /* keeps the program in the kernel's XDP dispatcher */
	uint8_t frame[HEADER_LEN_MIN];
};

static size_t trace_bytes(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (HARNESS_TRACE_MAX * sizeof(struct header) + page - 1) / page * page;
}

/*
 * A program that is attached nowhere is patched into the kernel's XDP dispatcher for each call and out again, which takes 24 ms. So it
 * is attached to the loopback device of a network namespace of our own, which is down and never sees a packet. Without, calls are
 * slower, nothing else; so failures are ignored.
 */
static void park(struct harness *harness)
{
	const int loopback = 1;

	if (unshare(CLONE_NEWNET))
		return;
	harness->parked = bpf_program__attach_xdp(harness->bpf->progs.harness, loopback);
}

int harness_open(struct harness **ret_harness, char *ret_message, size_t size)
{
	struct harness *harness = calloc(1, sizeof(*harness));
	int r;

	if (!harness)
		return refuse(-ENOMEM, ret_message, size, "out of memory");
	harness->bpf = harness_bpf__open_and_load();
	if (!harness->bpf) {
		r = -errno;
		harness_close(harness);
		return refuse(r, ret_message, size, "cannot load the harness: %s%s", strerror(-r),
			      r == -EPERM ? "; run as root" : "");
	}
	harness->trace = mmap(NULL, trace_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(harness->bpf->maps.trace), 0);
	if (harness->trace == MAP_FAILED) {
		r = -errno;
		harness->trace = NULL;
		harness_close(harness);
		return refuse(r, ret_message, size, "cannot map the trace: %s", strerror(-r));
	}
	park(harness);
	*ret_harness = harness;
	return 0;
}

struct harness *harness_close(struct harness *harness)
{
	if (!harness)
		return NULL;
	if (harness->trace)
		munmap(harness->trace, trace_bytes());
	bpf_link__destroy(harness->parked);
	harness_bpf__destroy(harness->bpf);
	free(harness);
	return NULL;
}

int harness_bare(const struct harness *harness)
{
	return bpf_program__fd(harness->bpf->progs.bare);
}

struct header *harness_trace(struct harness *harness, uint32_t n)
{
	harness->bpf->bss->mask = n - 1;
	return harness->trace;
}

int harness_select(struct harness *harness, int program_fd)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(bpf_map__fd(harness->bpf->maps.slot), &zero, &program_fd, BPF_ANY) ? -errno : 0;
}

static int run(struct harness *harness, uint32_t runs, uint32_t *ret_action)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = harness->frame, .data_size_in = sizeof(harness->frame),
		    .repeat = (int)runs);

	if (bpf_prog_test_run_opts(bpf_program__fd(harness->bpf->progs.harness), &options))
		return -errno;
	*ret_action = options.retval;
	return 0;
}

int harness_ask(struct harness *harness, uint32_t position, uint32_t *ret_action)
{
	harness->bpf->bss->position = position;
	return run(harness, 1, ret_action);
}

int harness_time(struct harness *harness, uint32_t runs, uint32_t *position, double *ret_ns)
{
	struct harness_bpf__bss *bss = harness->bpf->bss;
	uint32_t action;
	int r;

	bss->position = *position;
	bss->turns = 0;
	bss->first_ns = 0;
	r = run(harness, runs + 1, &action); /* one more for the last stamp */
	if (r)
		return r;
	*position += runs;
	*ret_ns = (double)(bss->last_ns - bss->first_ns) / runs;
	return 0;
}
