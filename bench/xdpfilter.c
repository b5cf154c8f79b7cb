/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdpfilter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/refuse.h"

#define DENY_SRC 1u /* in the value of its address maps; the bits from 6 on count the hits */

struct xdpfilter {
	struct bpf_object *object;
	int maps[2]; /* IPv4, IPv6 */
	int n_cpus;
};

static int object_load(struct xdpfilter *xdpfilter, const char *path)
{
	struct bpf_map *map;

	xdpfilter->object = bpf_object__open_file(path, NULL);
	if (!xdpfilter->object)
		return -errno;
	bpf_object__for_each_map(map, xdpfilter->object)
		bpf_map__set_pin_path(map, NULL); /* nothing of this run is to be left or found by another */
	return bpf_object__load(xdpfilter->object);
}

int xdpfilter_open(const char *program, struct xdpfilter **ret_xdpfilter, char *ret_message, size_t size)
{
	struct xdpfilter *xdpfilter = calloc(1, sizeof(*xdpfilter));
	char path[128];
	int r;

	if (!xdpfilter)
		return refuse(-ENOMEM, ret_message, size, "out of memory");
	xdpfilter->n_cpus = libbpf_num_possible_cpus();
	snprintf(path, sizeof(path), XDPFILTER_DIR "/xdpfilt_%s.o", program);
	r = object_load(xdpfilter, path);
	if (!r) {
		xdpfilter->maps[0] = bpf_object__find_map_fd_by_name(xdpfilter->object, "filter_ipv4");
		xdpfilter->maps[1] = bpf_object__find_map_fd_by_name(xdpfilter->object, "filter_ipv6");
		if (xdpfilter->maps[0] < 0 || xdpfilter->maps[1] < 0)
			r = -EPROTO;
	}
	if (r) {
		xdpfilter_close(xdpfilter);
		return refuse(r, ret_message, size, "cannot load %s: %s%s", path, strerror(-r),
			      r == -ENOENT ? "; install the package xdp-tools" : "");
	}
	*ret_xdpfilter = xdpfilter;
	return 0;
}

struct xdpfilter *xdpfilter_close(struct xdpfilter *xdpfilter)
{
	if (!xdpfilter)
		return NULL;
	bpf_object__close(xdpfilter->object);
	free(xdpfilter);
	return NULL;
}

int xdpfilter_deny(struct xdpfilter *xdpfilter, int family, const uint8_t *addr)
{
	uint64_t per_cpu[xdpfilter->n_cpus];

	for (int i = 0; i < xdpfilter->n_cpus; i++)
		per_cpu[i] = DENY_SRC;
	return bpf_map_update_elem(xdpfilter->maps[family == 6], addr, per_cpu, BPF_ANY) ? -errno : 0;
}

int xdpfilter_program(const struct xdpfilter *xdpfilter)
{
	return bpf_program__fd(bpf_object__next_program(xdpfilter->object, NULL));
}

void xdpfilter_version(char *ret_version, size_t size)
{
	FILE *said = popen("dpkg-query -W -f '${Version}' xdp-tools 2>/dev/null", "re");

	snprintf(ret_version, size, "unknown");
	if (!said)
		return;
	if (!fgets(ret_version, (int)size, said))
		snprintf(ret_version, size, "not from a package");
	pclose(said);
}
