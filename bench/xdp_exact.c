/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_exact.c - bench xdp-exact: 10,000 single source addresses to drop, 7 of 10 packets from one of them.
 *
 * Once as 10,000 rules, once as one rule with a set. The peer is xdp-filter, by its smallest program that can do it and by its full
 * one; 10,000 addresses are what its maps hold. The oracle is a sorted list.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dice.h"
#include "ours.h"
#include "stage.h"
#include "xdpfilter.h"

#define ADDRESSES 10000u
#define HIT_PERCENT 70
#define FRAME_LEN 74

struct address {
	uint8_t bytes[16]; /* IPv4 in the first four, the rest zero */
};

struct denied {
	struct address *addresses; /* sorted */
	uint32_t n;
	int family;
	struct dice dice;
};

static int compare_address(const void *left, const void *right)
{
	return memcmp(left, right, sizeof(struct address));
}

static void address_roll(struct dice *dice, int family, struct address *ret_address)
{
	struct address address = { 0 };

	dice_fill(dice, address.bytes, family == 6 ? 16 : 4);
	if (family == 6) { /* global unicast */
		address.bytes[0] = 0x20;
		address.bytes[1] = 0x01;
	}
	*ret_address = address;
}

static int is_denied(void *arg, const struct header *header)
{
	const struct denied *denied = arg;

	return bsearch(header->src, denied->addresses, denied->n, sizeof(struct address), compare_address) != NULL;
}

static int denied_init(struct denied *denied, uint32_t n, int family, uint64_t seed)
{
	denied->dice.state = seed;
	denied->family = family;
	denied->n = n;
	denied->addresses = calloc(n, sizeof(*denied->addresses));
	if (!denied->addresses)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		address_roll(&denied->dice, family, &denied->addresses[i]);
	qsort(denied->addresses, n, sizeof(*denied->addresses), compare_address);
	return 0;
}

static void packet_make(void *arg, bool hit, struct header *ret_header)
{
	struct denied *denied = arg;
	struct address src, dst;

	if (hit)
		src = denied->addresses[dice_below(&denied->dice, denied->n)];
	else
		address_roll(&denied->dice, denied->family, &src);
	address_roll(&denied->dice, denied->family, &dst);
	memcpy(ret_header->src, src.bytes, sizeof(src));
	memcpy(ret_header->dst, dst.bytes, sizeof(dst));
	ret_header->src_port = htons((uint16_t)dice_below(&denied->dice, 65536));
	ret_header->dst_port = htons((uint16_t)dice_below(&denied->dice, 65536));
	ret_header->len = FRAME_LEN;
	ret_header->family = (uint8_t)denied->family;
	ret_header->proto = dice_percent(&denied->dice, 50) ? IPPROTO_UDP : IPPROTO_TCP;
}

/* In an order of their own: sorted rules would be a hint. */
static char *rules_text(struct denied *denied, int as_set, size_t *ret_len)
{
	char *text = NULL, address[INET6_ADDRSTRLEN];
	FILE *out = open_memstream(&text, ret_len);
	uint32_t start = dice_below(&denied->dice, denied->n);

	if (!out)
		return NULL;
	if (as_set)
		fprintf(out, "set denied {");
	for (uint32_t i = 0; i < denied->n; i++) {
		const struct address *at = &denied->addresses[(start + i * 7919ull) % denied->n];

		inet_ntop(denied->family == 6 ? AF_INET6 : AF_INET, at->bytes, address, sizeof(address));
		if (as_set)
			fprintf(out, "%s%s\n", i ? ", " : " ", address);
		else
			fprintf(out, "drop src %s\n", address);
	}
	if (as_set)
		fprintf(out, "}\ndrop src @denied\n");
	fclose(out);
	return text;
}

static int peer_open(const char *program, const struct denied *denied, struct xdpfilter **ret_peer)
{
	struct xdpfilter *peer;
	char message[256];
	int r;

	r = xdpfilter_open(program, &peer, message, sizeof(message));
	if (r) {
		fprintf(stderr, "%s\n", message);
		return r;
	}
	for (uint32_t i = 0; !r && i < denied->n; i++)
		r = xdpfilter_deny(peer, denied->family, denied->addresses[i].bytes);
	if (r) {
		fprintf(stderr, "xdp-filter does not take the addresses: %s\n", strerror(-r));
		xdpfilter_close(peer);
		return r;
	}
	*ret_peer = peer;
	return 0;
}

/* The same rules and peers on both traces. */
static int cells_run(struct stage *stage, const char *name, struct denied *denied, const struct ours *ours,
		     const struct xdpfilter *small, const struct xdpfilter *full, uint64_t seed)
{
	int r = 0;

	for (enum stage_trace trace = 0; !r && trace < STAGE_TRACE_COUNT; trace++) {
		char title[80];
		struct stage_cell cell = {
			.name = title,
			.ours = ours,
			.peers = { { .name = "xdp-filter " XDPFILTER_IP,
				     .family = "xdp-filter",
				     .program_fd = xdpfilter_program(small) },
				   { .name = "xdp-filter " XDPFILTER_ALL,
				     .family = "xdp-filter",
				     .program_fd = xdpfilter_program(full) } },
			.n_peers = 2,
			.drops = is_denied,
			.arg = denied,
		};

		snprintf(title, sizeof(title), "%s %s", name, stage_trace_name(trace));
		if (!report_wants(stage_report(stage), title))
			continue;
		r = stage_trace_fill(stage, trace, packet_make, denied, HIT_PERCENT, seed);
		r = r ? r : stage_run(stage, &cell);
	}
	return r;
}

static int family_run(struct stage *stage, const struct report_options *options, int family)
{
	struct xdpfilter *small = NULL, *full = NULL;
	struct denied denied = { 0 };
	uint32_t n = ADDRESSES / options->scale ? ADDRESSES / options->scale : 1;
	int r;

	r = denied_init(&denied, n, family, options->seed);
	r = r ? r : peer_open(XDPFILTER_IP, &denied, &small);
	r = r ? r : peer_open(XDPFILTER_ALL, &denied, &full);
	for (int as_set = 0; !r && as_set < 2; as_set++) {
		struct ours *ours = NULL;
		char name[64], message[1024];
		size_t len = 0;
		char *text = rules_text(&denied, as_set, &len);

		snprintf(name, sizeof(name), "ip%d %u %s", family, n, as_set ? "in a set" : "rules");
		r = text ? ours_open(text, len, &ours, message, sizeof(message)) : -ENOMEM;
		free(text);
		if (!r)
			r = cells_run(stage, name, &denied, ours, small, full, options->seed);
		else if (r == -E2BIG || r == -EINVAL)
			stage_skip(stage, name, message), r = 0;
		else
			fprintf(stderr, "%s\n", message);
		ours_close(ours);
	}
	xdpfilter_close(small);
	xdpfilter_close(full);
	free(denied.addresses);
	return r;
}

int main(int argc, char **argv)
{
	struct report_options options;
	struct stage *stage;
	char version[64];
	int r;

	r = report_options_parse(argc, argv, "drop 10,000 source addresses in XDP; peer xdp-filter", &options);
	if (r)
		return r < 0 ? 2 : 0;
	r = stage_open("xdp-exact", &options, &stage);
	if (r)
		return report_exit_code(r);
	xdpfilter_version(version, sizeof(version));
	report_fact(stage_report(stage), "xdp-filter", "%s", version);
	for (int family = 4; !r && family <= 6; family += 2)
		r = family_run(stage, &options, family);
	r = r ? r : report_print(stage_report(stage), stdout);
	stage_close(stage);
	return report_exit_code(r);
}
