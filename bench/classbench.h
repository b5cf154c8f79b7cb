/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * classbench.h - rule sets for measuring classifiers, with the statistical character that ClassBench (Taylor and Turner, INFOCOM
 * 2005) found in real ones, and headers that meet them.
 *
 * Three families: acl (access lists: host pairs and exact destination ports), fw (firewalls: one side is almost anything, ports
 * are ranges), ipc (between: all prefix lengths, many protocols). A family is tables of shares: pairs of prefix length classes,
 * protocols, pairs of port classes; and how much addresses are shared and nested. The same seed gives the same set. IPv6 has the
 * same shape with its own lengths. Filters are ClassBench's word for five-tuple rules, tried in order, first match wins.
 */
#ifndef SPILLWAY_BENCH_CLASSBENCH_H
#define SPILLWAY_BENCH_CLASSBENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum filter_family { FILTER_ACL, FILTER_FW, FILTER_IPC, FILTER_FAMILY_COUNT };

struct filter {
	uint8_t src[16], dst[16]; /* network order, masked; IPv4 in the first four bytes, the rest zero */
	uint8_t src_len, dst_len;
	uint8_t proto;
	bool any_proto;
	uint16_t src_port_lo, src_port_hi; /* inclusive; 0 to 65535: any, packets without ports included */
	uint16_t dst_port_lo, dst_port_hi;
};

struct filter_set {
	struct filter *filters;
	size_t n;
	uint8_t ip; /* 4 or 6 */
};

struct five_tuple {
	uint8_t src[16], dst[16]; /* as in struct filter */
	uint16_t src_port, dst_port;
	uint8_t proto;
	bool has_ports; /* of a protocol that has; else the ports are zero */
};

/* Headers, and the order to meet them in: `order` holds n_order indices into `headers`. */
struct trace {
	struct five_tuple *headers;
	size_t n;
	uint32_t *order;
	size_t n_order;
};

const char *filter_family_name(enum filter_family family);

/* `n` filters, no two equal, most specific first as far as ClassBench sorts them. 0, -ENOMEM, or -ENOSPC: no n different ones. */
int filter_set_generate(enum filter_family family, uint8_t ip, size_t n, uint64_t seed, struct filter_set *ret_set);
void filter_set_fini(struct filter_set *set);

/*
 * Up to `n` headers, no two equal, each at a corner or inside of a filter drawn evenly, met once each in drawn order. Fewer when
 * the filters do not have so many. 0 or -ENOMEM.
 */
int trace_draw(const struct filter_set *set, size_t n, uint64_t seed, struct trace *ret_trace);
/* The same headers, n_order of them met by Zipf's law: the k-th most frequent as often as 1 / k^exponent. 0 or -ENOMEM. */
int trace_reorder_zipf(struct trace *trace, size_t n_order, double exponent, uint64_t seed);
/* Each header once, in the order they were drawn or read. */
int trace_reorder_plain(struct trace *trace);
void trace_fini(struct trace *trace);

/*
 * Files of ClassBench's db_generator and trace_generator, or printed by the functions below; a name in .xz is read through xz(1).
 * 0 or negative errno; -EINVAL with the line's number in *ret_line.
 */
int filter_set_read(const char *path, struct filter_set *ret_set, unsigned *ret_line);
int trace_read(const char *path, struct trace *ret_trace, unsigned *ret_line);
void filter_set_print(const struct filter_set *set, FILE *out);
void trace_print(const struct filter_set *set, const struct trace *trace, FILE *out);
/* One spillway rule a filter, `drop`, in the same order. */
void filter_set_print_rules(const struct filter_set *set, FILE *out);

#endif
