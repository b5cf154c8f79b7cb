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

#include "stage.h"
#include "xdpfilter.h"

#define ADDRESSES 10000u
#define HIT_PERCENT 70

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
	stage_header_roll(&denied->dice, denied->family, ret_header);
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

static int peer_open(const struct denied *denied, struct xdpfilter **ret_peer)
{
	struct xdpfilter *peer;
	int r;

	r = xdpfilter_open(&peer);
	if (r)
		return r;
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

static int cells_run(struct stage *stage, struct denied *denied, int as_set, const struct xdpfilter *peer)
{
	struct stage_cell cell = {
		.peers = { { .name = "xdp-filter " XDPFILTER_IP, .family = "xdp-filter", .program_fd = xdpfilter_ip(peer) },
			   { .name = "xdp-filter " XDPFILTER_ALL, .family = "xdp-filter", .program_fd = xdpfilter_all(peer) } },
		.n_peers = 2,
		.drops = is_denied,
		.make = packet_make,
		.hit_percent = HIT_PERCENT,
		.arg = denied,
	};
	struct ours *ours;
	char name[64];
	size_t len = 0;
	char *text = rules_text(denied, as_set, &len);
	int r;

	snprintf(name, sizeof(name), "ip%d %u %s", denied->family, denied->n, as_set ? "in a set" : "rules");
	cell.name = name;
	r = stage_open_ours(stage, name, text, len, &ours);
	cell.ours = ours;
	if (!r && ours)
		r = stage_run_traces(stage, &cell);
	ours_close(ours);
	return r;
}

static int family_run(struct stage *stage, int family)
{
	struct xdpfilter *peer = NULL;
	struct denied denied = { 0 };
	int r;

	r = denied_init(&denied, stage_scaled(stage, ADDRESSES), family, stage_options(stage)->seed);
	r = r ? r : peer_open(&denied, &peer);
	for (int as_set = 0; !r && as_set < 2; as_set++)
		r = cells_run(stage, &denied, as_set, peer);
	xdpfilter_close(peer);
	free(denied.addresses);
	return r;
}

static int families_run(struct stage *stage)
{
	int r = 0;

	xdpfilter_fact(stage_report(stage));
	for (int family = 4; !r && family <= 6; family += 2)
		r = family_run(stage, family);
	return r;
}

int main(int argc, char **argv)
{
	return stage_main(argc, argv, "xdp-exact", "drop 10,000 source addresses in XDP; peer xdp-filter", families_run);
}
