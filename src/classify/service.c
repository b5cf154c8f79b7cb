/* SPDX-License-Identifier: BSD-2-Clause */
/* service.c - rows to classes of ports and protocols. */
#include "classify/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define PORTS 65536u
#define PROTOS 256u

/* What covers a value, as a sum over all rows: two values that the same ranges cover have the same, others have not. */
struct signature {
	uint64_t a, b;
};

static struct signature signature_of(const void *what, size_t size)
{
	XXH128_hash_t hash = XXH3_128bits(what, size);

	return (struct signature){ hash.low64, hash.high64 };
}

static void signature_add(struct signature *to, const struct signature *what)
{
	to->a += what->a;
	to->b += what->b;
}

static void signature_sub(struct signature *to, const struct signature *what)
{
	to->a -= what->a;
	to->b -= what->b;
}

/* Values from `first` up to the next span's have one signature. */
struct span {
	struct signature signature;
	uint32_t first, class;
};

static int span_compare(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->signature.a != y->signature.a)
		return x->signature.a < y->signature.a ? -1 : 1;
	if (x->signature.b != y->signature.b)
		return x->signature.b < y->signature.b ? -1 : 1;
	return (x->first > y->first) - (x->first < y->first);
}

static int span_order(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* A class for each signature, in *spans; they stay in order. Returns how many classes. */
static uint32_t spans_number(struct span *spans, size_t n)
{
	uint32_t class = 0;

	qsort(spans, n, sizeof(*spans), span_compare);
	for (size_t i = 0; i < n; i++) {
		if (i && (spans[i].signature.a != spans[i - 1].signature.a || spans[i].signature.b != spans[i - 1].signature.b))
			class ++;
		spans[i].class = class;
	}
	qsort(spans, n, sizeof(*spans), span_order);
	return class + 1;
}

/* The ports of one side. */
struct port_spans {
	struct span *at;
	size_t n;
	uint32_t n_classes;
};

/* At which ports a row's range begins or ends. `change` has PORTS + 1 elements, zero. */
static void port_changes(const struct image_row *rows, size_t n_rows, enum image_lane lane, struct signature *change)
{
	for (size_t i = 0; i < n_rows; i++) {
		const struct image_range *range = &rows[i].range;
		struct signature signature;

		if (range->lo[lane] == 0 && range->hi[lane] == PORTS - 1)
			continue;
		signature = signature_of((uint16_t[]){ range->lo[lane], range->hi[lane] }, 2 * sizeof(uint16_t));
		signature_add(&change[range->lo[lane]], &signature);
		signature_sub(&change[range->hi[lane] + 1], &signature);
	}
}

static int port_spans_find(const struct signature *change, struct port_spans *ret)
{
	struct signature sum = { 0 };
	size_t n = 1;

	for (uint32_t port = 1; port < PORTS; port++)
		n += (change[port].a | change[port].b) != 0;
	ret->at = calloc(n, sizeof(*ret->at));
	if (!ret->at)
		return -ENOMEM;
	for (uint32_t port = 0; port < PORTS; port++) {
		signature_add(&sum, &change[port]);
		if (!port || change[port].a | change[port].b)
			ret->at[ret->n++] = (struct span){ .signature = sum, .first = port };
	}
	ret->n_classes = spans_number(ret->at, ret->n);
	return 0;
}

/* The page of these classes: one that is there already, or a new one. Its number, or -ENOMEM. */
static int page_find(struct services *services, const uint16_t classes[256])
{
	size_t bytes = 256 * sizeof(*classes);
	uint16_t *grown;

	for (uint32_t i = 0; i < services->n_pages; i++)
		if (!memcmp(services->pages + i * 256, classes, bytes))
			return (int)i;
	grown = realloc(services->pages, (services->n_pages + 1) * bytes);
	if (!grown)
		return -ENOMEM;
	services->pages = grown;
	memcpy(grown + services->n_pages * 256, classes, bytes);
	return (int)services->n_pages++;
}

static int port_pages_fill(const struct port_spans *spans, struct services *services, uint16_t ret_pages[256])
{
	size_t span = 0;

	for (uint32_t high = 0; high < 256; high++) {
		uint16_t classes[256];
		int page;

		for (uint32_t low = 0; low < 256; low++) {
			while (span + 1 < spans->n && spans->at[span + 1].first <= high * 256 + low)
				span++;
			classes[low] = (uint16_t)spans->at[span].class;
		}
		page = page_find(services, classes);
		if (page < 0)
			return page;
		ret_pages[high] = (uint16_t)page;
	}
	return 0;
}

static int ports_find(const struct image_row *rows, size_t n_rows, unsigned side, struct services *services)
{
	struct signature *change = calloc(PORTS + 1, sizeof(*change));
	struct port_spans spans = { 0 };
	int r = -ENOMEM;

	if (change) {
		port_changes(rows, n_rows, side ? LANE_DST_PORT : LANE_SRC_PORT, change);
		r = port_spans_find(change, &spans);
	}
	if (r == 0)
		r = port_pages_fill(&spans, services, services->ports[side]);
	services->n_ports[side] = spans.n_classes;
	free(spans.at);
	free(change);
	return r;
}

/* By family and whether there are ports: at which protocols a row's range begins or ends. */
struct proto_changes {
	struct signature at[3][2][PROTOS + 1];
};

static bool row_has_family(const struct image_row *row, unsigned family)
{
	return row->family == ROW_FAMILY_ANY || row->family == (family == 1 ? FAMILY_IP4 : FAMILY_IP6);
}

static void proto_change(const struct image_row *row, struct proto_changes *changes)
{
	const uint16_t *lo = row->range.lo, *hi = row->range.hi;
	uint16_t what[] = { row->family, lo[LANE_PROTO], hi[LANE_PROTO], lo[LANE_HAS_PORTS], hi[LANE_HAS_PORTS] };
	struct signature signature = signature_of(what, sizeof(what));
	unsigned behind = hi[LANE_PROTO] < PROTOS ? hi[LANE_PROTO] + 1u : PROTOS;

	/* A frame that is not IP is protocol 0 of no family, without ports. */
	if (row->family == ROW_FAMILY_ANY && hi[LANE_PROTO] == LANE_PROTO_NONE && !lo[LANE_HAS_PORTS])
		signature_add(&changes->at[0][0][0], &signature);
	for (unsigned family = 1; family < 3; family++)
		for (unsigned has_ports = lo[LANE_HAS_PORTS]; has_ports < 2 && has_ports <= hi[LANE_HAS_PORTS]; has_ports++) {
			if (lo[LANE_PROTO] >= PROTOS || !row_has_family(row, family))
				continue;
			signature_add(&changes->at[family][has_ports][lo[LANE_PROTO]], &signature);
			signature_sub(&changes->at[family][has_ports][behind], &signature);
		}
}

static int protos_find(const struct image_row *rows, size_t n_rows, struct services *services)
{
	struct proto_changes *changes = calloc(1, sizeof(*changes));
	struct span *spans = calloc(KEYS_PROTOS, sizeof(*spans));
	int r = changes && spans ? 0 : -ENOMEM;

	for (size_t i = 0; i < n_rows && r == 0; i++)
		proto_change(&rows[i], changes);
	for (unsigned row = 0; row < 3 * 2 && r == 0; row++) {
		struct signature sum = { 0 };

		for (unsigned proto = 0; proto < PROTOS; proto++) {
			uint32_t index = keys_proto(row / 2, row % 2, proto);

			signature_add(&sum, &changes->at[row / 2][row % 2][proto]);
			spans[index] = (struct span){ .signature = sum, .first = index };
		}
	}
	if (r == 0)
		services->n_protos = spans_number(spans, KEYS_PROTOS);
	for (uint32_t i = 0; i < KEYS_PROTOS && r == 0; i++)
		services->protos[i] = (uint16_t)spans[i].class;
	free(spans);
	free(changes);
	return r;
}

int services_find(const struct image_row *rows, size_t n_rows, struct services *ret)
{
	int r;

	*ret = (struct services){ 0 };
	r = protos_find(rows, n_rows, ret);
	for (unsigned side = 0; side < 2 && r == 0; side++)
		r = ports_find(rows, n_rows, side, ret);
	return r;
}

void services_fini(struct services *services)
{
	free(services->pages);
}
