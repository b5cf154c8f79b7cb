/* SPDX-License-Identifier: BSD-2-Clause */
#include "classify_oracle.h"

#include <stdlib.h>
#include <string.h>

struct test {
	uint64_t src[2], src_mask[2], dst[2], dst_mask[2];
	uint32_t port_lo[2], port_hi[2];
	uint16_t proto_lo, proto_hi;
};

struct oracle {
	size_t n;
	struct test tests[];
};

static void mask_fill(unsigned len, uint64_t ret_mask[2])
{
	uint8_t bytes[16] = { 0 };

	for (unsigned bit = 0; bit < len; bit++)
		bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	memcpy(ret_mask, bytes, sizeof(bytes));
}

static void test_fill(const struct filter *filter, struct test *ret_test)
{
	memcpy(ret_test->src, filter->src, 16);
	memcpy(ret_test->dst, filter->dst, 16);
	mask_fill(filter->src_len, ret_test->src_mask);
	mask_fill(filter->dst_len, ret_test->dst_mask);
	ret_test->port_lo[0] = filter->src_port_lo;
	ret_test->port_hi[0] = filter->src_port_hi;
	ret_test->port_lo[1] = filter->dst_port_lo;
	ret_test->port_hi[1] = filter->dst_port_hi;
	for (int side = 0; side < 2; side++) {
		if (ret_test->port_lo[side] == 0 && ret_test->port_hi[side] == UINT16_MAX)
			ret_test->port_hi[side] = UINT32_MAX; /* any: the port that a header has not, too */
	}
	ret_test->proto_lo = filter->any_proto ? 0 : filter->proto;
	ret_test->proto_hi = filter->any_proto ? UINT8_MAX : filter->proto;
}

struct oracle *oracle_new(const struct filter_set *set)
{
	struct oracle *oracle = malloc(sizeof(*oracle) + set->n * sizeof(struct test));

	if (!oracle)
		return NULL;
	oracle->n = set->n;
	for (size_t i = 0; i < set->n; i++)
		test_fill(&set->filters[i], &oracle->tests[i]);
	return oracle;
}

struct oracle *oracle_free(struct oracle *oracle)
{
	free(oracle);
	return NULL;
}

uint32_t oracle_first(const struct oracle *oracle, const struct five_tuple *header)
{
	uint32_t src_port = header->has_ports ? header->src_port : UINT32_MAX;
	uint32_t dst_port = header->has_ports ? header->dst_port : UINT32_MAX;
	uint64_t src[2], dst[2];

	memcpy(src, header->src, sizeof(src));
	memcpy(dst, header->dst, sizeof(dst));
	for (size_t i = 0; i < oracle->n; i++) {
		const struct test *t = &oracle->tests[i];

		if ((((src[0] & t->src_mask[0]) ^ t->src[0]) | ((dst[0] & t->dst_mask[0]) ^ t->dst[0])) ||
		    (((src[1] & t->src_mask[1]) ^ t->src[1]) | ((dst[1] & t->dst_mask[1]) ^ t->dst[1])))
			continue;
		if (src_port < t->port_lo[0] || src_port > t->port_hi[0] || dst_port < t->port_lo[1] || dst_port > t->port_hi[1])
			continue;
		if (header->proto >= t->proto_lo && header->proto <= t->proto_hi)
			return (uint32_t)i;
	}
	return NO_FILTER;
}
