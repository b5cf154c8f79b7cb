/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_prefix.c - bench xdp-prefix: one set of 10,000, 100,000 or 1,000,000 prefixes, half of the packets from one of them.
 *
 * Lengths are mixed as in a table of the Internet's routes, with single hosts among them as blocklists have them. Packets that match
 * nothing are half of them neighbours: an address one bit off a prefix. The peer is the kernel's LPM trie. The oracle is a sorted
 * list of address ranges, merged where they overlap.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lpm.h"
#include "stage.h"

#define HIT_PERCENT 50
#define NEIGHBOUR_TRIES 16

typedef unsigned __int128 address; /* its first bit is the highest, for IPv4 too */

struct prefix {
	address first;
	unsigned len;
};

struct range {
	address first, last;
};

struct listed {
	struct prefix *prefixes;
	struct range *ranges;
	uint32_t n, n_ranges;
	int family;
	struct dice dice;
};

static const uint32_t sizes[] = { 10000, 100000, 1000000 };

struct length_share {
	uint8_t len, percent;
};

static const struct length_share shares4[] = { { 24, 47 }, { 32, 20 }, { 22, 10 }, { 23, 8 }, { 21, 4 },
					       { 20, 4 },  { 19, 3 },  { 18, 1 },  { 16, 2 }, { 17, 1 } };
static const struct length_share shares6[] = { { 48, 50 }, { 64, 22 }, { 56, 11 }, { 128, 11 }, { 32, 6 } };

static address host_mask(unsigned len)
{
	return len ? ((address)1 << (128 - len)) - 1 : ~(address)0;
}

static void address_bytes(address from, uint8_t ret_bytes[16])
{
	for (int i = 15; i >= 0; i--, from >>= 8)
		ret_bytes[i] = (uint8_t)from;
}

static address address_from(const uint8_t bytes[16])
{
	address to = 0;

	for (int i = 0; i < 16; i++)
		to = to << 8 | bytes[i];
	return to;
}

/* Unicast; in IPv6 below one of 2^18 prefixes of 32 bits, as allocations go; were all of them listed, nothing could miss. */
static address address_roll(struct dice *dice, int family)
{
	uint64_t high = dice_roll(dice);

	if (family == 4)
		return (address)((1 + dice_below(dice, 223)) << 24 | (high & 0xffffff)) << 96;
	high = 0x2000000000000000ull | (uint64_t)dice_below(dice, 1 << 18) * 0x9e3779b1 % 0x10000000 << 32 | (high & 0xffffffff);
	return (address)high << 64 | dice_roll(dice);
}

static struct prefix prefix_roll(struct dice *dice, int family)
{
	const struct length_share *share = family == 4 ? shares4 : shares6;
	uint32_t at = dice_below(dice, 100);
	struct prefix prefix;

	for (; at >= share->percent; share++)
		at -= share->percent;
	prefix.len = share->len;
	prefix.first = address_roll(dice, family) & ~host_mask(prefix.len);
	return prefix;
}

static int compare_prefix(const void *left, const void *right)
{
	const struct prefix *a = left, *b = right;

	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	return (int)a->len - (int)b->len;
}

static uint32_t unique(struct prefix *prefixes, uint32_t n)
{
	uint32_t kept = 0;

	qsort(prefixes, n, sizeof(*prefixes), compare_prefix);
	for (uint32_t i = 0; i < n; i++) {
		if (!kept || compare_prefix(&prefixes[kept - 1], &prefixes[i]))
			prefixes[kept++] = prefixes[i];
	}
	return kept;
}

/* Sorted prefixes to ranges that do not touch. */
static void ranges_build(struct listed *listed)
{
	for (uint32_t i = 0; i < listed->n; i++) {
		const struct prefix *prefix = &listed->prefixes[i];
		struct range range = { prefix->first, prefix->first | host_mask(prefix->len) };
		struct range *before = listed->n_ranges ? &listed->ranges[listed->n_ranges - 1] : NULL;

		if (!before || range.first > before->last)
			listed->ranges[listed->n_ranges++] = range;
		else if (range.last > before->last)
			before->last = range.last;
	}
}

static void shuffle(struct listed *listed)
{
	for (uint32_t i = listed->n; i > 1; i--) {
		uint32_t other = dice_below(&listed->dice, i);
		struct prefix swap = listed->prefixes[i - 1];

		listed->prefixes[i - 1] = listed->prefixes[other];
		listed->prefixes[other] = swap;
	}
}

static int listed_init(struct listed *listed, uint32_t n, int family, uint64_t seed)
{
	uint32_t have = 0;

	listed->family = family;
	listed->dice.state = seed;
	listed->n = n;
	listed->prefixes = calloc(n, sizeof(*listed->prefixes));
	listed->ranges = calloc(n, sizeof(*listed->ranges));
	if (!listed->prefixes || !listed->ranges)
		return -ENOMEM;
	while (have < n) {
		for (uint32_t i = have; i < n; i++)
			listed->prefixes[i] = prefix_roll(&listed->dice, family);
		have = unique(listed->prefixes, n);
	}
	ranges_build(listed);
	shuffle(listed);
	return 0;
}

static void listed_fini(struct listed *listed)
{
	free(listed->prefixes);
	free(listed->ranges);
}

static bool is_listed(const struct listed *listed, address at)
{
	uint32_t low = 0, high = listed->n_ranges;

	while (low < high) { /* the first range that ends at or behind it */
		uint32_t middle = low + (high - low) / 2;

		if (listed->ranges[middle].last < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low < listed->n_ranges && listed->ranges[low].first <= at;
}

static int drops(void *arg, const struct header *header)
{
	return is_listed(arg, address_from(header->src));
}

static address hit_roll(struct listed *listed)
{
	const struct prefix *prefix = &listed->prefixes[dice_below(&listed->dice, listed->n)];

	return prefix->first | (address_roll(&listed->dice, listed->family) & host_mask(prefix->len));
}

static address miss_roll(struct listed *listed)
{
	bool neighbour = dice_percent(&listed->dice, 50);
	address at;

	for (unsigned i = 0; i < NEIGHBOUR_TRIES && neighbour; i++) {
		const struct prefix *prefix = &listed->prefixes[dice_below(&listed->dice, listed->n)];

		at = prefix->first | (address_roll(&listed->dice, listed->family) & host_mask(prefix->len));
		at ^= (address)1 << (128 - prefix->len + dice_below(&listed->dice, 8));
		if (!is_listed(listed, at))
			return at;
	}
	do {
		at = address_roll(&listed->dice, listed->family);
	} while (is_listed(listed, at));
	return at;
}

static void packet_make(void *arg, bool hit, struct header *ret_header)
{
	struct listed *listed = arg;

	address_bytes(hit ? hit_roll(listed) : miss_roll(listed), ret_header->src);
	address_bytes(address_roll(&listed->dice, listed->family), ret_header->dst);
	stage_header_roll(&listed->dice, listed->family, ret_header);
	if (listed->family == 4) { /* bits behind the address are ours alone */
		memset(ret_header->src + 4, 0, 12);
		memset(ret_header->dst + 4, 0, 12);
	}
}

static char *rules_text(const struct listed *listed, size_t *ret_len)
{
	char *text = NULL, printed[INET6_ADDRSTRLEN];
	FILE *out = open_memstream(&text, ret_len);
	uint8_t bytes[16];

	if (!out)
		return NULL;
	fprintf(out, "set listed {\n");
	for (uint32_t i = 0; i < listed->n; i++) {
		address_bytes(listed->prefixes[i].first, bytes);
		inet_ntop(listed->family == 6 ? AF_INET6 : AF_INET, bytes, printed, sizeof(printed));
		fprintf(out, "%s/%u,\n", printed, listed->prefixes[i].len);
	}
	fseek(out, -2, SEEK_CUR);
	fprintf(out, "\n}\ndrop src @listed\n");
	fclose(out);
	return text;
}

static int peer_open(const struct listed *listed, struct lpm **ret_lpm)
{
	char message[256] = "the LPM trie does not take the prefixes";
	uint8_t bytes[16];
	int r;

	r = lpm_open(ret_lpm, message, sizeof(message));
	for (uint32_t i = 0; !r && i < listed->n; i++) {
		address_bytes(listed->prefixes[i].first, bytes);
		r = lpm_add(*ret_lpm, listed->family, bytes, listed->prefixes[i].len);
	}
	if (r)
		fprintf(stderr, "%s\n", message);
	return r;
}

static int cells_run(struct stage *stage, const char *name, struct listed *listed, const struct ours *ours)
{
	struct stage_cell cell = { .name = name,
				   .ours = ours,
				   .n_peers = 2,
				   .drops = drops,
				   .make = packet_make,
				   .hit_percent = HIT_PERCENT,
				   .arg = listed };
	struct lpm *lpm = NULL;
	int r;

	r = peer_open(listed, &lpm);
	if (!r) {
		cell.peers[0] = (struct stage_peer){ .name = "LPM trie, same wrapper", .program_fd = lpm_wrapped(lpm) };
		cell.peers[1] = (struct stage_peer){ .name = "LPM trie, lean", .program_fd = lpm_lean(lpm) };
		r = stage_run_traces(stage, &cell);
	}
	lpm_close(lpm);
	return r;
}

static int size_run(struct stage *stage, int family, uint32_t n)
{
	struct listed listed = { 0 };
	struct ours *ours = NULL;
	char *text = NULL, name[64];
	size_t len = 0;
	int r;

	snprintf(name, sizeof(name), "ip%d %u", family, n);
	r = listed_init(&listed, n, family, stage_options(stage)->seed);
	if (!r)
		text = rules_text(&listed, &len);
	r = stage_open_ours(stage, name, text, len, &ours);
	if (!r && ours)
		r = cells_run(stage, name, &listed, ours);
	ours_close(ours);
	listed_fini(&listed);
	return r;
}

static int sizes_run(struct stage *stage)
{
	int r = 0;

	for (int family = 4; family <= 6; family += 2)
		for (size_t i = 0; !r && i < sizeof(sizes) / sizeof(sizes[0]); i++)
			if (i != 1 || !stage_options(stage)->quick)
				r = size_run(stage, family, stage_scaled(stage, sizes[i]));
	return r;
}

int main(int argc, char **argv)
{
	return stage_main(argc, argv, "xdp-prefix", "drop a set of prefixes in XDP; peer: the kernel's LPM trie", sizes_run);
}
