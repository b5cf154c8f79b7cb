/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdpfilter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define DENY_SRC 1u /* in the value of its address maps; the bits from 6 on count the hits */

struct program {
	struct bpf_object *object;
	int maps[2]; /* IPv4, IPv6 */
};

struct xdpfilter {
	struct program ip, all;
	int n_cpus;
};

static int object_load(struct program *program, const char *path)
{
	struct bpf_map *map;

	program->object = bpf_object__open_file(path, NULL);
	if (!program->object)
		return -errno;
	bpf_object__for_each_map(map, program->object)
		bpf_map__set_pin_path(map, NULL); /* nothing of this run is to be left or found by another */
	return bpf_object__load(program->object);
}

static int program_open(struct program *program, const char *name)
{
	char path[128];
	int r;

	snprintf(path, sizeof(path), XDPFILTER_DIR "/xdpfilt_%s.o", name);
	r = object_load(program, path);
	if (!r) {
		program->maps[0] = bpf_object__find_map_fd_by_name(program->object, "filter_ipv4");
		program->maps[1] = bpf_object__find_map_fd_by_name(program->object, "filter_ipv6");
		if (program->maps[0] < 0 || program->maps[1] < 0)
			r = -EPROTO;
	}
	if (r)
		fprintf(stderr, "cannot load %s: %s%s\n", path, strerror(-r),
			r == -ENOENT ? "; install the package xdp-tools" : "");
	return r;
}

int xdpfilter_open(struct xdpfilter **ret_xdpfilter)
{
	struct xdpfilter *xdpfilter = calloc(1, sizeof(*xdpfilter));
	int r;

	if (!xdpfilter)
		return -ENOMEM;
	xdpfilter->n_cpus = libbpf_num_possible_cpus();
	r = program_open(&xdpfilter->ip, XDPFILTER_IP);
	r = r ? r : program_open(&xdpfilter->all, XDPFILTER_ALL);
	if (r) {
		xdpfilter_close(xdpfilter);
		return r;
	}
	*ret_xdpfilter = xdpfilter;
	return 0;
}

struct xdpfilter *xdpfilter_close(struct xdpfilter *xdpfilter)
{
	if (!xdpfilter)
		return NULL;
	bpf_object__close(xdpfilter->ip.object);
	bpf_object__close(xdpfilter->all.object);
	free(xdpfilter);
	return NULL;
}

int xdpfilter_deny(struct xdpfilter *xdpfilter, int family, const uint8_t *addr)
{
	uint64_t per_cpu[xdpfilter->n_cpus];

	for (int i = 0; i < xdpfilter->n_cpus; i++)
		per_cpu[i] = DENY_SRC;
	if (bpf_map_update_elem(xdpfilter->ip.maps[family == 6], addr, per_cpu, BPF_ANY) ||
	    bpf_map_update_elem(xdpfilter->all.maps[family == 6], addr, per_cpu, BPF_ANY))
		return -errno;
	return 0;
}

static int program_fd(const struct program *program)
{
	return bpf_program__fd(bpf_object__next_program(program->object, NULL));
}

int xdpfilter_ip(const struct xdpfilter *xdpfilter)
{
	return program_fd(&xdpfilter->ip);
}

int xdpfilter_all(const struct xdpfilter *xdpfilter)
{
	return program_fd(&xdpfilter->all);
}

void xdpfilter_fact(struct report *report)
{
	FILE *said = popen("dpkg-query -W -f '${Version}' xdp-tools 2>/dev/null", "re");
	char version[64] = "unknown";

	if (said && !fgets(version, sizeof(version), said))
		snprintf(version, sizeof(version), "not from a package");
	if (said)
		pclose(said);
	report_fact(report, "xdp-filter", "%s", version);
}
