/* SPDX-License-Identifier: BSD-2-Clause */
#include "lpm.h"

#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>

#include "base/refuse.h"
#include "lpm.skel.h"

struct lpm {
	struct lpm_bpf *bpf;
};

int lpm_open(struct lpm **ret_lpm, char *ret_message, size_t size)
{
	struct lpm *lpm = calloc(1, sizeof(*lpm));
	int r;

	if (!lpm)
		return refuse(-ENOMEM, ret_message, size, "out of memory");
	lpm->bpf = lpm_bpf__open_and_load();
	if (!lpm->bpf) {
		r = -errno;
		lpm_close(lpm);
		return refuse(r, ret_message, size, "cannot load the LPM program: %s", strerror(-r));
	}
	*ret_lpm = lpm;
	return 0;
}

struct lpm *lpm_close(struct lpm *lpm)
{
	if (!lpm)
		return NULL;
	lpm_bpf__destroy(lpm->bpf);
	free(lpm);
	return NULL;
}

int lpm_add(struct lpm *lpm, int family, const uint8_t *addr, unsigned len)
{
	struct bpf_map *map = family == 6 ? lpm->bpf->maps.prefixes6 : lpm->bpf->maps.prefixes4;
	struct {
		uint32_t len;
		uint8_t addr[16];
	} key = { .len = len };
	uint8_t value = 1;

	memcpy(key.addr, addr, family == 6 ? 16 : 4);
	return bpf_map_update_elem(bpf_map__fd(map), &key, &value, BPF_ANY) ? -errno : 0;
}

int lpm_wrapped(const struct lpm *lpm)
{
	return bpf_program__fd(lpm->bpf->progs.lpm_wrapped);
}

int lpm_lean(const struct lpm *lpm)
{
	return bpf_program__fd(lpm->bpf->progs.lpm_lean);
}
