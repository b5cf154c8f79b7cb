/* SPDX-License-Identifier: BSD-2-Clause */
/* address.c - rows to classes of addresses. */
#include "classify/address.h"

#include <errno.h>
#include <stdlib.h>

static int prefix_compare(const void *a, const void *b)
{
	const struct class_prefix *x = a, *y = b;

	for (int i = 0; i < 2; i++)
		if (x->addr[i] != y->addr[i])
			return x->addr[i] < y->addr[i] ? -1 : 1;
	return (int)x->len - (int)y->len;
}

static size_t prefixes_collect(const struct image_row *rows, size_t n_rows, unsigned family, bool src, struct class_prefix *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < n_rows; i++) {
		const struct image_row *row = &rows[i];
		const __u64 *addr = src ? row->src : row->dst;
		uint8_t len = src ? row->src_len : row->dst_len;

		if (row->family == family && len)
			ret[n++] = (struct class_prefix){ .addr = { addr[0], addr[1] }, .len = len };
	}
	return n;
}

/* Each once, sorted, numbered from *class on. */
static int prefixes_find(const struct image_row *rows, size_t n_rows, unsigned family, bool src, uint32_t *class,
			 struct prefixes *ret)
{
	size_t n;

	ret->at = malloc((n_rows + 1) * sizeof(*ret->at));
	if (!ret->at)
		return -ENOMEM;
	n = prefixes_collect(rows, n_rows, family, src, ret->at);
	qsort(ret->at, n, sizeof(*ret->at), prefix_compare);
	for (size_t i = 0; i < n; i++) {
		if (ret->n && !prefix_compare(&ret->at[i], &ret->at[ret->n - 1]))
			continue;
		ret->at[ret->n] = ret->at[i];
		ret->at[ret->n++].class = (*class)++;
	}
	return 0;
}

int addresses_find(const struct image_row *rows, size_t n_rows, struct addresses *ret)
{
	int r = 0;

	*ret = (struct addresses){ .n_classes = CLASSES_FIXED };
	for (unsigned side = 0; side < 2 && r == 0; side++)
		for (unsigned six = 0; six < 2 && r == 0; six++)
			r = prefixes_find(rows, n_rows, six ? FAMILY_IP6 : FAMILY_IP4, side == 0, &ret->n_classes,
					  &ret->prefixes[side][six]);
	return r;
}

void addresses_fini(struct addresses *addresses)
{
	for (unsigned side = 0; side < 2; side++)
		for (unsigned six = 0; six < 2; six++)
			free(addresses->prefixes[side][six].at);
}

static __u64 mask_of(unsigned len)
{
	return len == 0 ? 0 : len < 64 ? ~0ull << (64 - len) : ~0ull;
}

static struct address_class class_of(const struct class_prefix *prefix, uint32_t around)
{
	return (struct address_class){
		.addr = { prefix->addr[0], prefix->addr[1] },
		.mask = { mask_of(prefix->len), mask_of(prefix->len > 64 ? prefix->len - 64u : 0) },
		.len = prefix->len,
		.around = around,
	};
}

static bool class_covers(const struct address_class *class, const struct class_prefix *prefix)
{
	return lookup_prefix(class->addr, prefix->addr, class->len);
}

/* In their order the prefix before is around the next one, or what is around both is on its way up. */
static void prefixes_fill(const struct prefixes *prefixes, uint32_t rest, struct address_class *classes)
{
	uint32_t around = rest;

	for (size_t i = 0; i < prefixes->n; i++) {
		const struct class_prefix *prefix = &prefixes->at[i];

		while (!class_covers(&classes[around], prefix))
			around = classes[around].around;
		classes[prefix->class] = class_of(prefix, around);
		around = prefix->class;
	}
}

void addresses_fill(const struct addresses *addresses, struct address_class *ret)
{
	for (uint32_t class = 0; class < CLASSES_FIXED; class ++)
		ret[class].around = class;
	for (unsigned side = 0; side < 2; side++)
		for (unsigned six = 0; six < 2; six++)
			prefixes_fill(&addresses->prefixes[side][six], six ? CLASS_REST_IP6 : CLASS_REST_IP4, ret);
}
