/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * classify_acl.h - DPDK's librte_acl, the peer of bench `classify`, at its best: huge pages where the machine has them, one
 * category, every algorithm that the CPU runs tried with every batch size, the fastest kept.
 */
#ifndef SPILLWAY_BENCH_CLASSIFY_ACL_H
#define SPILLWAY_BENCH_CLASSIFY_ACL_H

#include "classbench.h"

struct acl;

struct acl_environment {
	char version[64];
	bool huge; /* rte_acl's tables lie on huge pages */
	size_t huge_bytes;
};

/*
 * Start DPDK, once in a process, with no device, no file and no huge page of anybody else: pages are asked of the kernel and
 * given back at the end of the process. 0, or negative errno with a message printed.
 */
int acl_environment_init(int cpu, struct acl_environment *ret_environment);
void acl_environment_fini(void);

/* 0; -ENOMEM when rte_acl cannot build the set in the memory there is, or what else it says. */
int acl_new(const struct filter_set *set, struct acl **ret_acl);
struct acl *acl_free(struct acl *acl); /* NULL is fine; returns NULL */
size_t acl_bytes(const struct acl *acl);

/*
 * Ports for a header that has none: rte_acl compares two numbers where other classifiers know that there are none. With these no
 * filter matches that asks for ports, of those whose protocol has none or is any. False: every number is asked for.
 */
bool acl_portless(const struct filter_set *set, uint16_t ret_ports[2]);

/* A header as rte_acl reads it, and how long it is. */
#define ACL_KEY_MAX 40u
size_t acl_key_size(const struct acl *acl);
void acl_key_fill(const struct acl *acl, const struct five_tuple *header, uint8_t *ret_key);

/* Ways to ask: an algorithm and a batch size. */
unsigned acl_way_count(void);
const char *acl_way_name(unsigned way);
bool acl_way_runs(const struct acl *acl, unsigned way);

/* For each key the index of the first filter that matches plus 1, or 0. */
void acl_classify(const struct acl *acl, unsigned way, const uint8_t *const *keys, uint32_t n, uint32_t *ret_results);

#endif
