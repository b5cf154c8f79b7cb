/* SPDX-License-Identifier: BSD-2-Clause */
#include "reinject/live.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "reinject.skel.h"
#include "reinject/live_ring.h"
#include "reinject/tap.h"

struct live {
	struct reinject_bpf *bpf;
	struct live_ring *ring;
	unsigned ifindex;
	struct tap spare;
	uint32_t batch; /* frames a call */
};

/*
 * A call of more than one run patches the program's call into the kernel and out again, 24 ms of it, unless the program is attached
 * somewhere. So it is, to a device that is never up; where there is none, each call runs one frame.
 */
static void spare_attach(struct live *live)
{
	char device[IF_NAMESIZE];

	live->batch = 1;
	snprintf(device, sizeof(device), "spwx%u", live->ifindex);
	if (tap_open(device, &live->spare))
		return;
	if (!bpf_xdp_attach((int)live->spare.ifindex, bpf_program__fd(live->bpf->progs.spillway_inject), XDP_FLAGS_DRV_MODE,
			    NULL))
		live->batch = LIVE_SLOTS;
}

int live_open(unsigned ifindex, struct live **ret_live)
{
	struct live *live = calloc(1, sizeof(*live));
	int r;

	if (!live)
		return -ENOMEM;
	live->ifindex = ifindex;
	live->spare = TAP_NONE;
	live->bpf = reinject_bpf__open_and_load();
	if (!live->bpf) {
		r = -errno;
		live_close(live);
		return r;
	}
	live->ring = mmap(NULL, sizeof(*live->ring), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(live->bpf->maps.ring), 0);
	if (live->ring == MAP_FAILED) {
		r = -errno;
		live->ring = NULL;
		live_close(live);
		return r;
	}
	spare_attach(live);
	*ret_live = live;
	return 0;
}

struct live *live_close(struct live *live)
{
	if (!live)
		return NULL;
	tap_close(&live->spare);
	if (live->ring)
		munmap(live->ring, sizeof(*live->ring));
	reinject_bpf__destroy(live->bpf);
	free(live);
	return NULL;
}

static uint32_t live_call(struct live *live, const struct frame *frames, uint32_t n)
{
	static const uint8_t template[LIVE_TEMPLATE_SIZE];
	struct xdp_md arrival = { .data_end = LIVE_TEMPLATE_SIZE, .ingress_ifindex = live->ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, call, .data_in = template, .data_size_in = sizeof(template), .ctx_in = &arrival,
		    .ctx_size_in = sizeof(arrival), .repeat = (int)n, .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = n);

	for (uint32_t i = 0; i < n; i++) {
		live->ring->len[i] = frames[i].len;
		if (frames[i].len < LIVE_SLOT_SIZE)
			memcpy(live->ring->data[i], frames[i].data, frames[i].len);
	}
	live->ring->next = live->ring->accepted = 0;
	bpf_prog_test_run_opts(bpf_program__fd(live->bpf->progs.spillway_inject), &call);
	return live->ring->accepted;
}

uint32_t live_send(struct live *live, const struct frame *frames, uint32_t n)
{
	uint32_t taken = 0;

	for (uint32_t i = 0; i < n; i += live->batch)
		taken += live_call(live, frames + i, n - i < live->batch ? n - i : live->batch);
	return taken;
}
