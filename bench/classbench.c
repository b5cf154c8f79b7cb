/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation. Addresses come from a binary trie that is nowhere stored: at every node a hash of the path to it says
 * whether both branches exist or one (and which), and how unevenly they are taken when there are two. Walking down it `len` bits
 * gives a prefix; because the walk prefers the heavier branch, addresses repeat, as they do in real sets (ClassBench's branching
 * probability and skew). The chance of a second branch follows from how many different addresses a set of this size should have.
 * One walk in four shares the trie of all lengths, so some prefixes lie within others; the rest part behind the first bits.
 *
 * An IPv6 address is the same walk stretched: bit `depth` of the walk stands at ip6_bit[depth], and the bits between two of them
 * follow from the path, so they never branch. Site prefixes stay 32 to 64 bits long and hosts 128.
 */
#include "classbench.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dice.h"

#define WALK_DEPTH 32
#define SHARED_DEPTH 8	 /* behind this depth prefixes of different lengths go ways of their own ... */
#define NESTED 4	 /* ... but for one in so many: real sets nest three or four deep, not at every length */
#define NODRAW_MAX 1000u /* filters or headers in a row that were there already: no more different ones to be had */

/* splitmix64 (Steele, Lea, Flood, OOPSLA 2014) */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static double dice_fraction(struct dice *dice)
{
	return (double)(dice_roll(dice) >> 11) * 0x1p-53;
}

/* Prefix lengths by class: a side that is almost anything, networks of providers, sites, subnets, hosts. */
enum len_class { LEN_WIDE, LEN_SHORT, LEN_MEDIUM, LEN_LONG, LEN_HOST, LEN_CLASS_COUNT };
enum port_class { PORT_ANY, PORT_HIGH, PORT_LOW, PORT_EXACT, PORT_RANGE, PORT_CLASS_COUNT };

enum { PROTO_ICMP = 1, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_GRE = 47, PROTO_ESP = 50, PROTO_ICMP6 = 58, PROTO_SCTP = 132 };

#define PROTO_ANY 256u
#define SERVICES_MAX 16

static const unsigned len_first[LEN_CLASS_COUNT + 1] = { 0, 3, 21, 26, 31, WALK_DEPTH + 1 };

/* All numbers but the last three are shares among their neighbours, which need not add up to anything. */
struct character {
	const char *name;
	uint16_t lens[LEN_CLASS_COUNT][LEN_CLASS_COUNT];	   /* pairs: source, destination */
	uint16_t src_len[WALK_DEPTH + 1], dst_len[WALK_DEPTH + 1]; /* within their class */
	uint16_t protos[PROTO_ANY + 1];
	uint16_t tcp_ports[PORT_CLASS_COUNT][PORT_CLASS_COUNT], udp_ports[PORT_CLASS_COUNT][PORT_CLASS_COUNT]; /* pairs */
	uint16_t services[SERVICES_MAX];   /* exact ports, most frequent first */
	double src_distinct, dst_distinct; /* branches of the trie for each filter: how different addresses are */
	double same_pair;		   /* of the filters: for the two prefixes of an earlier one, other ports */
};

static const struct character characters[FILTER_FAMILY_COUNT] = {
	[FILTER_ACL] = {
		.name = "acl",
		.lens[LEN_WIDE] = { 1, 2, 1, 1, 1 },
		.lens[LEN_SHORT] = { 1, 0, 0, 0, 1 },
		.lens[LEN_MEDIUM] = { 3, 22, 3, 5, 47 },
		.lens[LEN_LONG] = { 0, 0, 16, 1, 21 },
		.lens[LEN_HOST] = { 1, 1, 82, 29, 769 },
		.src_len = { [0] = 50, [1] = 40, [2] = 10, [8] = 50, [16] = 50, [22] = 10, [23] = 50, [24] = 33, [25] = 7,
			     [28] = 3, [29] = 12, [30] = 85, [31] = 22, [32] = 78 },
		.dst_len = { [0] = 50, [1] = 40, [2] = 10, [8] = 10, [14] = 10, [15] = 24, [16] = 36, [17] = 20, [21] = 9,
			     [22] = 33, [23] = 19, [24] = 20, [25] = 19, [26] = 10, [28] = 8, [29] = 6, [30] = 76,
			     [31] = 18, [32] = 82 },
		.protos = { [PROTO_TCP] = 873, [PROTO_ANY] = 85, [PROTO_ICMP] = 29, [PROTO_UDP] = 13 },
		.tcp_ports[PORT_ANY] = { 225, 0, 0, 640, 135 },
		.udp_ports[PORT_ANY] = { 0, 0, 0, 880, 120 },
		.services = { 1521, 80, 1433, 443, 135, 1526, 25, 5432, 3306, 21, 389, 22, 8080, 1723, 2049, 5555 },
		.src_distinct = 0.30,
		.dst_distinct = 0.02,
		.same_pair = 0.30,
	},
	[FILTER_FW] = {
		.name = "fw",
		.lens[LEN_WIDE] = { 17, 2, 2, 24, 537 },
		.lens[LEN_SHORT] = { 13, 0, 0, 1, 1 },
		.lens[LEN_MEDIUM] = { 19, 1, 1, 1, 1 },
		.lens[LEN_LONG] = { 48, 1, 5, 10, 35 },
		.lens[LEN_HOST] = { 145, 4, 17, 34, 90 },
		.src_len = { [0] = 46, [1] = 44, [2] = 10, [8] = 10, [12] = 10, [16] = 25, [20] = 55, [21] = 27,
			     [22] = 23, [23] = 23, [24] = 9, [25] = 18, [26] = 10, [27] = 14, [28] = 20, [29] = 25,
			     [30] = 31, [31] = 32, [32] = 68 },
		.dst_len = { [0] = 52, [1] = 42, [2] = 6, [19] = 12, [20] = 88, [21] = 48, [22] = 41, [23] = 9, [25] = 2,
			     [27] = 10, [28] = 17, [29] = 23, [30] = 50, [31] = 32, [32] = 68 },
		.protos = { [PROTO_TCP] = 569, [PROTO_UDP] = 328, [PROTO_GRE] = 53, [PROTO_ICMP] = 39, [PROTO_ANY] = 11 },
		.tcp_ports[PORT_ANY] = { 183, 0, 0, 735, 0 },
		.tcp_ports[PORT_HIGH] = { 0, 72, 10, 0, 0 },
		.udp_ports[PORT_ANY] = { 0, 0, 0, 440, 0 },
		.udp_ports[PORT_HIGH] = { 0, 75, 0, 55, 0 },
		.udp_ports[PORT_EXACT] = { 317, 50, 0, 60, 0 },
		.udp_ports[PORT_RANGE] = { 0, 3, 0, 0, 0 },
		.services = { 22, 80, 53, 25, 123, 443, 2105, 21, 161, 23, 88, 67, 110, 514, 750, 544 },
		.src_distinct = 0.80,
		.dst_distinct = 1.1,
		.same_pair = 0.10,
	},
	[FILTER_IPC] = {
		.name = "ipc",
		.lens[LEN_WIDE] = { 2, 2, 18, 7, 27 },
		.lens[LEN_SHORT] = { 2, 7, 24, 9, 7 },
		.lens[LEN_MEDIUM] = { 21, 28, 167, 73, 111 },
		.lens[LEN_LONG] = { 2, 8, 49, 23, 38 },
		.lens[LEN_HOST] = { 8, 7, 59, 40, 260 },
		.src_len = { [0] = 60, [1] = 37, [2] = 3, [14] = 2, [15] = 16, [16] = 36, [17] = 34, [18] = 12, [21] = 2,
			     [22] = 10, [23] = 28, [24] = 36, [25] = 24, [26] = 43, [27] = 25, [28] = 14, [29] = 7,
			     [30] = 11, [31] = 25, [32] = 75 },
		.dst_len = { [0] = 60, [1] = 38, [2] = 2, [14] = 4, [15] = 26, [16] = 44, [17] = 26, [21] = 1, [22] = 5,
			     [23] = 20, [24] = 37, [25] = 37, [26] = 42, [27] = 27, [28] = 17, [29] = 9, [30] = 5,
			     [31] = 23, [32] = 77 },
		.protos = { [PROTO_UDP] = 376, [PROTO_ANY] = 335, [PROTO_TCP] = 274, [PROTO_ICMP] = 11, [PROTO_GRE] = 3,
			    [PROTO_ESP] = 1 },
		.tcp_ports[PORT_ANY] = { 100, 0, 0, 500, 70 },
		.tcp_ports[PORT_EXACT] = { 255, 0, 0, 0, 0 },
		.tcp_ports[PORT_RANGE] = { 75, 0, 0, 0, 0 },
		.udp_ports[PORT_ANY] = { 0, 160, 0, 600, 22 },
		.udp_ports[PORT_HIGH] = { 12, 0, 0, 0, 0 },
		.udp_ports[PORT_EXACT] = { 185, 0, 0, 9, 0 },
		.udp_ports[PORT_RANGE] = { 12, 0, 0, 0, 0 },
		.services = { 69, 514, 80, 53, 9003, 25, 137, 1433, 113, 22, 139, 143, 162, 524, 161, 443 },
		.src_distinct = 0.03,
		.dst_distinct = 0.12,
		.same_pair = 0.12,
	},
};

/* Ranges that administrators write, most frequent first. */
static const uint16_t port_ranges[][2] = {
	{ 1645, 1646 },	 { 20, 21 },	   { 6000, 6063 }, { 33434, 33600 }, { 1812, 1813 },   { 109, 110 },	{ 1300, 1349 },
	{ 135, 139 },	 { 2200, 2210 },   { 5000, 5001 }, { 7500, 7599 },   { 32200, 32207 }, { 8000, 8999 },	{ 5060, 5061 },
	{ 1025, 65535 }, { 49152, 65535 }, { 20, 23 },	   { 3200, 3299 },   { 1024, 5000 },   { 62000, 62009 }
};

/* Where bit `depth` of the walk stands in an IPv6 address; [depth] is also the IPv6 length for the IPv4 length `depth`. */
static const uint8_t ip6_bit[WALK_DEPTH + 1] = { 0,  4,	 5,  15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,  27, 28,
						 29, 30, 31, 32, 36, 40, 44, 48, 52, 56, 60, 62, 63, 64, 127, 128 };

const char *filter_family_name(enum filter_family family)
{
	return characters[family].name;
}

/* An index from `first` on, below `end`, as often as its share says; one has a share. */
static unsigned choose(struct dice *dice, const uint16_t *shares, unsigned first, unsigned end)
{
	uint32_t sum = 0, at;
	unsigned i;

	for (i = first; i < end; i++)
		sum += shares[i];
	at = dice_below(dice, sum);
	for (i = first; at >= shares[i]; i++)
		at -= shares[i];
	return i;
}

/* Few are frequent, most are rare. */
static size_t choose_by_rank(struct dice *dice, size_t n)
{
	return (size_t)pow((double)n + 1, dice_fraction(dice)) - 1;
}

/* One side's addresses. */
struct trie {
	uint64_t seed;
	double two[WALK_DEPTH]; /* the chance of a second branch at this depth */
};

static void trie_init(struct trie *trie, uint64_t seed, double distinct)
{
	static const double spread[WALK_DEPTH / 8] = { 0.6, 1.0, 1.0, 1.4 }; /* each eight bits: hosts differ most */
	double bits = log2(distinct < 2 ? 2 : distinct) * 1.3;		     /* uneven branches hide a part of the leaves */

	trie->seed = mix(seed);
	for (int depth = 0; depth < WALK_DEPTH; depth++) {
		double share = bits * spread[depth / 8] / WALK_DEPTH;

		trie->two[depth] = share < 1 ? exp2(share) - 1 : 1;
	}
}

static void bit_set(uint8_t addr[16], unsigned bit, unsigned value)
{
	addr[bit / 8] |= (uint8_t)(value << (7 - bit % 8));
}

static unsigned trie_branch(const struct trie *trie, unsigned depth, uint64_t node, struct dice *dice)
{
	double uneven = 0.5 + (double)(node >> 48) * 0x1p-16 * 0.45;

	if ((double)(node & 0xffffff) * 0x1p-24 >= trie->two[depth])
		return node >> 32 & 1;
	return dice_fraction(dice) < uneven ? node >> 33 & 1 : !(node >> 33 & 1);
}

static void trie_walk(const struct trie *trie, uint8_t ip, unsigned len, struct dice *dice, uint8_t ret_addr[16])
{
	unsigned alone = dice_below(dice, NESTED) ? len : 0;
	uint64_t path = 1;

	memset(ret_addr, 0, 16);
	for (unsigned depth = 0; depth < len; depth++) {
		uint64_t salt = depth < SHARED_DEPTH ? 0 : alone;
		uint64_t node = mix(trie->seed ^ path * 0x9e3779b97f4a7c15ull ^ salt << 57);
		unsigned branch = trie_branch(trie, depth, node, dice);

		path = path << 1 | branch;
		if (ip == 4) {
			bit_set(ret_addr, depth, branch);
			continue;
		}
		bit_set(ret_addr, depth ? ip6_bit[depth] : 3, branch);
		for (unsigned bit = ip6_bit[depth] + 1u; depth && bit < ip6_bit[depth + 1]; bit++)
			bit_set(ret_addr, bit, mix(node + path) >> (bit & 63) & 1);
	}
	if (ip == 6 && len)
		bit_set(ret_addr, 2, 1); /* 2000::/3: global unicast */
}

static void ports_choose(struct dice *dice, const struct character *character, unsigned class, uint16_t *ret_lo, uint16_t *ret_hi)
{
	size_t i;

	*ret_lo = 0;
	*ret_hi = UINT16_MAX;
	switch (class) {
	case PORT_HIGH:
		*ret_lo = 1024;
		break;
	case PORT_LOW:
		*ret_hi = 1023;
		break;
	case PORT_EXACT:
		*ret_lo = dice_below(dice, 32) ? character->services[choose_by_rank(dice, SERVICES_MAX)]
					       : (uint16_t)(1 + dice_below(dice, UINT16_MAX));
		*ret_hi = *ret_lo;
		break;
	case PORT_RANGE:
		i = choose_by_rank(dice, sizeof(port_ranges) / sizeof(port_ranges[0]));
		*ret_lo = port_ranges[i][0];
		*ret_hi = port_ranges[i][1];
		break;
	}
}

static void filter_draw_proto(struct dice *dice, const struct character *character, uint8_t ip, struct filter *filter)
{
	unsigned proto = choose(dice, character->protos, 0, PROTO_ANY + 1);
	unsigned ports = PORT_ANY * PORT_CLASS_COUNT + PORT_ANY;

	if (proto == PROTO_TCP)
		ports = choose(dice, character->tcp_ports[0], 0, PORT_CLASS_COUNT * PORT_CLASS_COUNT);
	else if (proto == PROTO_UDP)
		ports = choose(dice, character->udp_ports[0], 0, PORT_CLASS_COUNT * PORT_CLASS_COUNT);
	else if (proto == PROTO_ICMP && ip == 6)
		proto = PROTO_ICMP6;
	filter->any_proto = proto == PROTO_ANY;
	filter->proto = filter->any_proto ? 0 : (uint8_t)proto;
	ports_choose(dice, character, ports / PORT_CLASS_COUNT, &filter->src_port_lo, &filter->src_port_hi);
	ports_choose(dice, character, ports % PORT_CLASS_COUNT, &filter->dst_port_lo, &filter->dst_port_hi);
}

static void lens_draw(struct dice *dice, const struct character *character, unsigned *ret_src_len, unsigned *ret_dst_len)
{
	unsigned pair = choose(dice, character->lens[0], 0, LEN_CLASS_COUNT * LEN_CLASS_COUNT);
	const unsigned *src = &len_first[pair / LEN_CLASS_COUNT], *dst = &len_first[pair % LEN_CLASS_COUNT];

	*ret_src_len = choose(dice, character->src_len, src[0], src[1]);
	*ret_dst_len = choose(dice, character->dst_len, dst[0], dst[1]);
}

/* A set has about half of the pairs of lengths that its family knows; those of hosts and of anything it always has. */
static bool lens_used(uint64_t seed, unsigned src_len, unsigned dst_len)
{
	return ((src_len < 2 || src_len == 32) && (dst_len < 2 || dst_len == 32)) || mix(seed + src_len * 64 + dst_len) & 1;
}

static void filter_draw_pair(struct dice *dice, const struct character *character, uint8_t ip, const struct trie *src,
			     const struct trie *dst, struct filter *ret_filter)
{
	unsigned src_len, dst_len;

	do
		lens_draw(dice, character, &src_len, &dst_len);
	while (!lens_used(src->seed, src_len, dst_len));
	memset(ret_filter, 0, sizeof(*ret_filter)); /* the padding, too: filters are compared as bytes */
	trie_walk(src, ip, src_len, dice, ret_filter->src);
	trie_walk(dst, ip, dst_len, dice, ret_filter->dst);
	ret_filter->src_len = ip == 4 ? (uint8_t)src_len : ip6_bit[src_len];
	ret_filter->dst_len = ip == 4 ? (uint8_t)dst_len : ip6_bit[dst_len];
}

/* Which elements of an array are there already: open addressing, indices + 1. */
struct seen {
	uint32_t *slots;
	size_t mask, element;
	const uint8_t *array;
};

static int seen_init(struct seen *seen, size_t n, const void *array, size_t element)
{
	size_t slots = 64;

	while (slots < 2 * n)
		slots *= 2;
	*seen = (struct seen){ .slots = calloc(slots, sizeof(uint32_t)), .mask = slots - 1, .element = element, .array = array };
	return seen->slots ? 0 : -ENOMEM;
}

/* Remember element `i`, unless an equal one is there. */
static bool seen_add(struct seen *seen, size_t i)
{
	const uint8_t *key = seen->array + i * seen->element;
	uint64_t hash = 0;
	size_t at;

	for (size_t b = 0; b < seen->element; b++)
		hash = (hash ^ key[b]) * 0x100000001b3ull;
	for (at = mix(hash) & seen->mask; seen->slots[at]; at = (at + 1) & seen->mask) {
		if (!memcmp(seen->array + (seen->slots[at] - 1) * seen->element, key, seen->element))
			return false;
	}
	seen->slots[at] = (uint32_t)i + 1;
	return true;
}

struct sort_key {
	int key;
	uint32_t index;
};

static int sort_key_compare(const void *left, const void *right)
{
	const struct sort_key *a = left, *b = right;

	return a->key != b->key ? (a->key > b->key) - (a->key < b->key) : (a->index > b->index) - (a->index < b->index);
}

static int port_bits(uint16_t lo, uint16_t hi)
{
	return 16 - (int)log2(hi - lo + 1.0);
}

/* Narrow filters first, loosely: sets of ClassBench put a filter before those that cover it, and are mixed beyond that. */
static int filters_sort(struct dice *dice, uint8_t ip, struct filter *filters, size_t n)
{
	struct sort_key *keys = malloc(n * sizeof(*keys));
	struct filter *sorted = malloc(n * sizeof(*sorted));

	for (size_t i = 0; keys && sorted && i < n; i++) {
		const struct filter *f = &filters[i];
		int scope = (f->src_len + f->dst_len) / (ip == 4 ? 1 : 4) + port_bits(f->src_port_lo, f->src_port_hi) / 2 +
			    port_bits(f->dst_port_lo, f->dst_port_hi) / 2 + (f->any_proto ? 0 : 4);

		keys[i] = (struct sort_key){ (int)dice_below(dice, 16) - scope, (uint32_t)i };
	}
	if (keys && sorted) {
		qsort(keys, n, sizeof(*keys), sort_key_compare);
		for (size_t i = 0; i < n; i++)
			sorted[i] = filters[keys[i].index];
		memcpy(filters, sorted, n * sizeof(*sorted));
	}
	free(keys);
	free(sorted);
	return keys && sorted ? 0 : -ENOMEM;
}

int filter_set_generate(enum filter_family family, uint8_t ip, size_t n, uint64_t seed, struct filter_set *ret_set)
{
	const struct character *character = &characters[family];
	struct dice dice = { mix(seed * 31 + family * 7 + ip) };
	struct filter_set set = { .filters = calloc(n + 1, sizeof(struct filter)), .ip = ip };
	struct trie src, dst;
	struct seen seen;
	unsigned again = 0;
	int r;

	r = set.filters ? seen_init(&seen, n, set.filters, sizeof(struct filter)) : -ENOMEM;
	if (r) {
		filter_set_fini(&set);
		return r;
	}
	trie_init(&src, dice_roll(&dice), (double)n * character->src_distinct);
	trie_init(&dst, dice_roll(&dice), (double)n * character->dst_distinct);
	while (set.n < n && again < NODRAW_MAX) {
		struct filter *filter = &set.filters[set.n];

		if (set.n && dice_fraction(&dice) < character->same_pair)
			*filter = set.filters[dice_below(&dice, (uint32_t)set.n)];
		else
			filter_draw_pair(&dice, character, ip, &src, &dst, filter);
		filter_draw_proto(&dice, character, ip, filter);
		again = seen_add(&seen, set.n) ? 0 : again + 1;
		set.n += !again;
	}
	free(seen.slots);
	r = set.n == n ? filters_sort(&dice, ip, set.filters, n) : -ENOSPC;
	if (r)
		filter_set_fini(&set);
	else
		*ret_set = set;
	return r;
}

void filter_set_fini(struct filter_set *set)
{
	free(set->filters);
	*set = (struct filter_set){ 0 };
}

/* The free bits: all zero, all one, or anything. */
static void header_draw_addr(struct dice *dice, const uint8_t addr[16], unsigned len, unsigned bits, uint8_t ret_addr[16])
{
	unsigned where = dice_below(dice, 4);

	memcpy(ret_addr, addr, 16);
	for (unsigned bit = len; bit < bits; bit++)
		bit_set(ret_addr, bit, where == 0 ? 0 : where == 1 ? 1 : dice_roll(dice) >> 63);
}

static uint16_t header_draw_port(struct dice *dice, uint16_t lo, uint16_t hi)
{
	switch (dice_below(dice, 4)) {
	case 0:
		return lo;
	case 1:
		return hi;
	default:
		return (uint16_t)(lo + dice_below(dice, hi - lo + 1u));
	}
}

static void header_draw(struct dice *dice, const struct filter_set *set, struct five_tuple *ret_header)
{
	const struct filter *filter = &set->filters[dice_below(dice, (uint32_t)set->n)];
	unsigned bits = set->ip == 4 ? 32 : 128;
	uint8_t proto = filter->proto;

	if (filter->any_proto)
		proto = (uint8_t[]){ PROTO_TCP, PROTO_TCP, PROTO_UDP, PROTO_UDP, PROTO_GRE, PROTO_ESP }[dice_below(dice, 6)];
	memset(ret_header, 0, sizeof(*ret_header));
	header_draw_addr(dice, filter->src, filter->src_len, bits, ret_header->src);
	header_draw_addr(dice, filter->dst, filter->dst_len, bits, ret_header->dst);
	ret_header->proto = proto;
	ret_header->has_ports = proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_SCTP;
	if (ret_header->has_ports) {
		ret_header->src_port = header_draw_port(dice, filter->src_port_lo, filter->src_port_hi);
		ret_header->dst_port = header_draw_port(dice, filter->dst_port_lo, filter->dst_port_hi);
	}
}

int trace_draw(const struct filter_set *set, size_t n, uint64_t seed, struct trace *ret_trace)
{
	struct trace trace = { .headers = calloc(n + 1, sizeof(struct five_tuple)) };
	struct dice dice = { mix(seed ^ 0x7472616365ull) };
	struct seen seen;
	unsigned again = 0;
	int r;

	r = trace.headers ? seen_init(&seen, n, trace.headers, sizeof(struct five_tuple)) : -ENOMEM;
	while (!r && trace.n < n && again < NODRAW_MAX) {
		header_draw(&dice, set, &trace.headers[trace.n]);
		again = seen_add(&seen, trace.n) ? 0 : again + 1;
		trace.n += !again;
	}
	if (!r) {
		free(seen.slots);
		r = trace_reorder_plain(&trace);
	}
	if (r)
		trace_fini(&trace);
	else
		*ret_trace = trace;
	return r;
}

static int order_grow(struct trace *trace, size_t n)
{
	uint32_t *order = realloc(trace->order, (n + 1) * sizeof(*order));

	if (!order)
		return -ENOMEM;
	trace->order = order;
	trace->n_order = n;
	return 0;
}

int trace_reorder_plain(struct trace *trace)
{
	int r = order_grow(trace, trace->n);

	for (size_t i = 0; !r && i < trace->n; i++)
		trace->order[i] = (uint32_t)i;
	return r;
}

int trace_reorder_zipf(struct trace *trace, size_t n_order, double exponent, uint64_t seed)
{
	struct dice dice = { mix(seed ^ 0x7a697066ull) };
	struct zipf zipf;
	int r = zipf_init(&zipf, (uint32_t)trace->n, exponent); /* a header's rank is its place, which was drawn */

	if (!r)
		r = order_grow(trace, n_order);
	for (size_t i = 0; !r && i < n_order; i++)
		trace->order[i] = zipf_roll(&zipf, &dice);
	zipf_fini(&zipf);
	return r;
}

void trace_fini(struct trace *trace)
{
	free(trace->headers);
	free(trace->order);
	*trace = (struct trace){ 0 };
}
