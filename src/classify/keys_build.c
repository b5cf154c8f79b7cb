/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keys_build.c - an image's rows to classes of equivalence.
 *
 * Where few rows have the same addresses, those make the key, and rows are asked for ports and protocol one after the other. Else
 * ports and protocol are part of the key, if their classes have room in it.
 */
#include "classify/keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>

#define TRIE_BITS_MAX 16u
#define TRIE_BITS_MORE 1u    /* than there are prefixes, so that most get an entry of their own */
#define TRIES_MAX (1u << 23) /* 64-bit words */
#define LINES_MIN (1u << 15)
#define LINES_MAX (1u << 20) /* 64 MiB */
#define LINES_PER_ROW 16u
#define SAMPLES_MAX 512u
#define SAMPLED_ROWS (1u << 22) /* looked at in all */
#define PAIR_ROWS_MEAN 3u	/* rows of a pair of address classes, so that ports need not be part of the key */
#define PAIR_ROWS_MAX 16u

/* A prefix that some row asks for; the address is a number, as in rows. */
struct class_prefix {
	uint64_t addr[2];
	uint32_t class;
	uint8_t len;
};

static int prefix_compare(const void *a, const void *b)
{
	const struct class_prefix *x = a, *y = b;

	for (int i = 0; i < 2; i++)
		if (x->addr[i] != y->addr[i])
			return x->addr[i] < y->addr[i] ? -1 : 1;
	return (int)x->len - (int)y->len;
}

struct trie {
	uint64_t *words;
	size_t n, room;
	bool failed; /* out of memory, or, if `unfit`, too deep or too large */
	bool unfit;
};

/* Classes of the addresses of a family that lie in no prefix. Class 0 is of frames that are not IP. */
static const uint32_t family_class[2] = { 1, 2 };
#define CLASSES_FIXED 3u

/* The entry of addresses of a class: the end, whose index is 0 for all of them. */
static uint64_t trie_end(uint32_t class)
{
	return (offsetof(struct address_class, self) + class * sizeof(struct address_class)) / sizeof(uint64_t);
}

/* `n` words at the trie's end, set to zero. Returns their place; 0 with trie->failed. */
static size_t trie_take(struct trie *trie, size_t n)
{
	size_t at = trie->n, room = trie->room ? trie->room : 1024;
	uint64_t *grown;

	while (room < at + n)
		room *= 2;
	if (at + n > TRIES_MAX) {
		trie->failed = trie->unfit = true;
		return 0;
	}
	if (room != trie->room) {
		grown = realloc(trie->words, room * sizeof(*grown));
		if (!grown) {
			trie->failed = true;
			return 0;
		}
		trie->words = grown;
		trie->room = room;
	}
	memset(trie->words + trie->n, 0, (at + n - trie->n) * sizeof(*trie->words));
	trie->n = at + n;
	return at;
}

/* `bits` bits of the address from bit `at` on, all of one half. */
static uint64_t address_bits(const uint64_t addr[2], unsigned at, unsigned bits)
{
	return bits ? addr[at / 64] << at % 64 >> (64 - bits) : 0;
}

static unsigned common_bits(const uint64_t a[2], const uint64_t b[2])
{
	if (a[0] != b[0])
		return (unsigned)__builtin_clzll(a[0] ^ b[0]);
	return a[1] != b[1] ? 64 + (unsigned)__builtin_clzll(a[1] ^ b[1]) : 128;
}

static unsigned bit_width(size_t n)
{
	return n ? 64 - (unsigned)__builtin_clzll(n) : 0;
}

/* The prefixes below one point of a trie: sorted, and with the same first bits. */
struct branch {
	const struct class_prefix *prefixes;
	size_t n;
	uint32_t class; /* of addresses in none of them */
};

static struct address_class *trie_class(struct trie *trie, uint32_t class)
{
	return (struct address_class *)trie->words + class;
}

/* The class of a prefix; the one around it is that of the branch. */
static void class_fill(struct trie *trie, const struct class_prefix *prefix, uint32_t around)
{
	*trie_class(trie, prefix->class) = (struct address_class){
		.addr = { prefix->addr[0], prefix->addr[1] }, .len = prefix->len, .other = around, .self = trie_end(prefix->class)
	};
}

/* A prefix that is all of what lies below the point is not below it. */
static void branch_strip(struct trie *trie, struct branch *branch, unsigned at)
{
	if (!branch->n || branch->prefixes->len != at)
		return;
	class_fill(trie, branch->prefixes, branch->class);
	branch->class = branch->prefixes++->class;
	branch->n--;
}

/* Where the prefixes part, or the shortest of them ends. */
static unsigned branch_point(const struct branch *branch, unsigned at)
{
	unsigned point = common_bits(branch->prefixes[0].addr, branch->prefixes[branch->n - 1].addr);

	for (size_t i = 0; i < branch->n && point > at; i++)
		point = branch->prefixes[i].len < point ? branch->prefixes[i].len : point;
	return point;
}

/* Bits of the index of a node for what is left of the branch at its point. */
static unsigned branch_bits(const struct branch *branch, unsigned point)
{
	unsigned bits = bit_width(branch->n) + TRIE_BITS_MORE, longest = 0, span, half_end = point < 64 ? 64 : 128;

	for (size_t i = 0; i < branch->n; i++)
		longest = branch->prefixes[i].len > longest ? branch->prefixes[i].len : longest;
	span = longest - point;
	if (span <= bits + 1)
		bits = span; /* nothing is left behind it */
	if (bits > TRIE_BITS_MAX)
		bits = TRIE_BITS_MAX;
	return point + bits > half_end ? half_end - point : bits;
}

static uint64_t trie_build(struct trie *trie, struct branch branch, unsigned at, unsigned depth);

/* The entries of a node whose index is the `bits` bits from `point` on. */
static void trie_fill(struct trie *trie, size_t entries, const struct branch *branch, unsigned point, unsigned bits,
		      unsigned depth)
{
	const struct class_prefix *prefixes = branch->prefixes;
	size_t n_entries = (size_t)1 << bits, i = 0;

	for (size_t e = 0; e < n_entries; e++)
		trie->words[entries + e] = branch->class;
	/* Prefixes that end within the index; the longer of two that nest comes later. */
	for (size_t k = 0; k < branch->n; k++) {
		size_t first = address_bits(prefixes[k].addr, point, bits);

		if (prefixes[k].len >= point + bits)
			continue;
		class_fill(trie, &prefixes[k], (uint32_t)trie->words[entries + first]);
		for (size_t e = first; e < first + ((size_t)1 << (point + bits - prefixes[k].len)); e++)
			trie->words[entries + e] = prefixes[k].class;
	}
	for (size_t e = 0; e < n_entries && !trie->failed; e++) {
		struct branch below = { .class = (uint32_t)trie->words[entries + e] };
		uint64_t entry;

		while (i < branch->n && prefixes[i].len < point + bits)
			i++;
		below.prefixes = prefixes + i;
		while (i < branch->n && prefixes[i].len >= point + bits && address_bits(prefixes[i].addr, point, bits) == e)
			i++;
		below.n = (size_t)(prefixes + i - below.prefixes);
		entry = trie_build(trie, below, point + bits, depth + 1);
		trie->words[entries + e] = entry;
	}
}

/* The entry for addresses whose first `at` bits are the branch's. The node skips what all prefixes share. */
static uint64_t trie_build(struct trie *trie, struct branch branch, unsigned at, unsigned depth)
{
	unsigned point, bits, half;
	size_t node;

	branch_strip(trie, &branch, at);
	if (branch.n == 1) {
		class_fill(trie, branch.prefixes, branch.class);
		return trie_end(branch.prefixes->class);
	}
	if (!branch.n)
		return trie_end(branch.class);
	point = branch_point(&branch, at);
	branch_strip(trie, &branch, point);
	bits = branch_bits(&branch, point);
	half = point / 64;
	node = trie_take(trie, (size_t)1 << bits);
	if (depth == CLASS_DEPTH_MAX)
		trie->failed = trie->unfit = true;
	if (trie->failed)
		return 0;
	trie_fill(trie, node, &branch, point, bits, depth);
	return CLASS_MORE | (half ? CLASS_LOW : 0) | (uint64_t)(64 * half + 64 - point - bits) << CLASS_SHIFT_SHIFT |
	       ((1ull << bits) - 1) << CLASS_MASK_SHIFT | node;
}

/* The classes, in front of all nodes. Those without a prefix for now, and each its own other. */
static void trie_begin(struct trie *trie, uint32_t n)
{
	trie_take(trie, n * sizeof(struct address_class) / sizeof(uint64_t));
	for (uint32_t class = 0; class < n && !trie->failed; class ++)
		*trie_class(trie, class) = (struct address_class){ .other = class, .self = trie_end(class) };
}

/* The tables of IPv4: 8 bits, 8, 8, 4 and 4 of the address. */
static const unsigned table_ends[] = { 8, 16, 24, 28, 32 };

/* `n` more entries of the tables, all set to `entry`. Returns where they begin; 0 with keys->tables_failed. */
static uint32_t tables_take(struct keys *keys, size_t n, uint32_t entry)
{
	uint32_t at = keys->n_tables;

	if (at + n > keys->tables_room) {
		size_t room = keys->tables_room ? 2 * keys->tables_room : 1u << 18;
		uint32_t *grown = realloc(keys->tables, room * sizeof(*grown));

		if (!grown)
			return 0;
		keys->tables = grown;
		keys->tables_room = room;
	}
	for (size_t i = 0; i < n; i++)
		keys->tables[at + i] = entry;
	keys->n_tables += n;
	return at;
}

/* One prefix into the tables of its side. Those that are shorter are there already. -ENOMEM */
static int table_add(struct keys *keys, uint32_t root, const struct class_prefix *prefix)
{
	uint32_t address = (uint32_t)(prefix->addr[0] >> 32), table = root, begin = 0;

	for (unsigned level = 0;; level++) {
		unsigned end = table_ends[level], bits = end - begin;
		uint32_t at = table + (address >> (32 - end) & ((1u << bits) - 1)), below;

		if (prefix->len <= end) {
			for (uint32_t i = 0; i < 1u << (end - prefix->len); i++)
				keys->tables[at + i] = prefix->class;
			return 0;
		}
		if (!(keys->tables[at] & TABLE_MORE)) {
			below = tables_take(keys, 1u << (table_ends[level + 1] - end), keys->tables[at]);
			if (!below)
				return -ENOMEM;
			keys->tables[at] = TABLE_MORE | below;
		}
		table = keys->tables[at] & ~TABLE_MORE;
		begin = end;
	}
}

static int prefix_shorter(const void *a, const void *b)
{
	const struct class_prefix *x = a, *y = b;

	return (int)x->len - (int)y->len;
}

/* `prefixes` end in another order. */
static int tables_fill(struct keys *keys, unsigned side, struct class_prefix *prefixes, size_t n)
{
	int r = 0;

	keys->table_roots[side] = tables_take(keys, 1u << 8, family_class[0]);
	if (!keys->tables)
		return -ENOMEM;
	if (n)
		qsort(prefixes, n, sizeof(*prefixes), prefix_shorter);
	for (size_t i = 0; i < n && r == 0; i++)
		r = table_add(keys, keys->table_roots[side], &prefixes[i]);
	return r;
}

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

/* Values from `first` up to the next run's have one signature. */
struct run {
	struct signature signature;
	uint32_t first, class;
};

static int run_compare(const void *a, const void *b)
{
	const struct run *x = a, *y = b;

	if (x->signature.a != y->signature.a)
		return x->signature.a < y->signature.a ? -1 : 1;
	if (x->signature.b != y->signature.b)
		return x->signature.b < y->signature.b ? -1 : 1;
	return (x->first > y->first) - (x->first < y->first);
}

static int run_order(const void *a, const void *b)
{
	const struct run *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* A class for each signature, in *runs; they stay in order. Returns how many classes. */
static uint32_t runs_number(struct run *runs, size_t n)
{
	uint32_t class = 0;

	qsort(runs, n, sizeof(*runs), run_compare);
	for (size_t i = 0; i < n; i++) {
		if (i && (runs[i].signature.a != runs[i - 1].signature.a || runs[i].signature.b != runs[i - 1].signature.b))
			class ++;
		runs[i].class = class;
	}
	qsort(runs, n, sizeof(*runs), run_order);
	return class + 1;
}

#define PORTS 65536u

struct port_runs {
	struct run *runs;
	size_t n;
	uint32_t n_classes;
};

/* `change` has PORTS + 1 elements, zero. */
static int port_runs_find(const struct keys *keys, unsigned lane, struct signature *change, struct port_runs *ret)
{
	struct signature sum = { 0 };
	size_t n = 1;

	for (size_t i = 0; i < keys->image->n_rows; i++) {
		const struct image_range *range = &keys->rows[i].range;
		struct signature signature;

		if (range->lo[lane] == 0 && range->hi[lane] == PORTS - 1)
			continue;
		signature = signature_of((uint16_t[]){ range->lo[lane], range->hi[lane] }, 4);
		signature_add(&change[range->lo[lane]], &signature);
		signature_sub(&change[range->hi[lane] + 1], &signature);
	}
	for (uint32_t port = 1; port < PORTS; port++)
		n += (change[port].a | change[port].b) != 0;
	ret->runs = calloc(n, sizeof(*ret->runs));
	if (!ret->runs)
		return -ENOMEM;
	for (uint32_t port = 0; port < PORTS; port++) {
		signature_add(&sum, &change[port]);
		if (!port || change[port].a | change[port].b)
			ret->runs[ret->n++] = (struct run){ .signature = sum, .first = port };
	}
	ret->n_classes = runs_number(ret->runs, ret->n);
	return 0;
}

/* The page for 256 ports, their classes in *classes: one that is there already, or a new one. Its number, or -ENOMEM. */
static int page_find(struct keys *keys, const uint16_t classes[256])
{
	uint16_t *grown;

	for (uint32_t i = 0; i < keys->n_pages; i++)
		if (!memcmp(keys->pages + i * 256, classes, 256 * sizeof(*classes)))
			return (int)i;
	grown = realloc(keys->pages, ((keys->n_pages + 1) * 256 + 2) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	keys->pages = grown;
	memcpy(grown + keys->n_pages * 256, classes, 256 * sizeof(*classes));
	return (int)keys->n_pages++;
}

static int port_pages_fill(const struct port_runs *ports, struct keys *keys, uint16_t ret_pages[256])
{
	uint32_t run = 0;

	for (uint32_t high = 0; high < 256; high++) {
		uint16_t classes[256];
		int page;

		for (uint32_t low = 0; low < 256; low++) {
			while (run + 1 < ports->n && ports->runs[run + 1].first <= high * 256 + low)
				run++;
			classes[low] = (uint16_t)ports->runs[run].class;
		}
		page = page_find(keys, classes);
		if (page < 0)
			return page;
		ret_pages[high] = (uint16_t)page;
	}
	return 0;
}

/* Protocols by family and whether there are ports; see proto_index(). A frame that is not IP has index 0. */
static uint32_t proto_runs_find(const struct keys *keys, struct run runs[CLASS_PROTOS])
{
	static struct signature change[3][2][257];

	memset(change, 0, sizeof(change));
	for (size_t i = 0; i < keys->image->n_rows; i++) {
		const struct image_row *row = &keys->rows[i];
		const uint16_t *lo = row->range.lo, *hi = row->range.hi;
		struct signature signature;
		uint8_t what[10] = { row->family };

		memcpy(what + 1, (uint16_t[]){ lo[LANE_PROTO], hi[LANE_PROTO], lo[LANE_HAS_PORTS], hi[LANE_HAS_PORTS] }, 8);
		signature = signature_of(what, sizeof(what));
		if (!row->family && hi[LANE_PROTO] == LANE_PROTO_NONE && !lo[LANE_HAS_PORTS])
			signature_add(&change[0][0][0], &signature);
		for (unsigned family = 1; family < 3; family++) {
			if (lo[LANE_PROTO] > 255 || (row->family && (row->family == FAMILY_IP4) != (family == 1)))
				continue;
			for (unsigned has_ports = 0; has_ports < 2; has_ports++) {
				if (has_ports < lo[LANE_HAS_PORTS] || has_ports > hi[LANE_HAS_PORTS])
					continue;
				signature_add(&change[family][has_ports][lo[LANE_PROTO]], &signature);
				signature_sub(&change[family][has_ports][hi[LANE_PROTO] > 255 ? 256 : hi[LANE_PROTO] + 1],
					      &signature);
			}
		}
	}
	for (unsigned family = 0; family < 3; family++)
		for (unsigned has_ports = 0; has_ports < 2; has_ports++) {
			struct signature sum = { 0 };

			for (unsigned proto = 0; proto < 256; proto++) {
				uint32_t index = keys_proto(family, has_ports, proto);

				signature_add(&sum, &change[family][has_ports][proto]);
				runs[index] = (struct run){ .signature = sum, .first = index };
			}
		}
	return runs_number(runs, CLASS_PROTOS);
}

/* The distinct prefixes of one side and family, sorted, numbered from *class on. `ret` has room for one a row. Returns how many. */
static size_t prefixes_find(const struct keys *keys, unsigned family, bool src, uint32_t *class, struct class_prefix *ret)
{
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < keys->image->n_rows; i++) {
		const struct image_row *row = &keys->rows[i];
		unsigned len = src ? row->src_len : row->dst_len;

		if (row->family != family || !len)
			continue;
		ret[n].addr[0] = src ? row->src[0] : row->dst[0];
		ret[n].addr[1] = src ? row->src[1] : row->dst[1];
		ret[n++].len = (uint8_t)len;
	}
	if (n)
		qsort(ret, n, sizeof(*ret), prefix_compare);
	for (size_t i = 0; i < n; i++) {
		if (kept && !prefix_compare(&ret[i], &ret[kept - 1]))
			continue;
		ret[kept] = ret[i];
		ret[kept++].class = (*class)++;
	}
	return kept;
}

struct parts {
	struct run *protos;
	struct port_runs ports[2];
	struct class_prefix *prefixes[2][2]; /* by source or destination, IPv4 or IPv6 */
	size_t n_prefixes[2][2];
	uint32_t n_classes[3];	 /* protocol, source and destination port */
	uint32_t n_classes_addr; /* of addresses */
};

static void parts_fini(struct parts *parts)
{
	free(parts->protos);
	for (int i = 0; i < 2; i++) {
		free(parts->ports[i].runs);
		free(parts->prefixes[i][0]);
		free(parts->prefixes[i][1]);
	}
}

static int parts_find(const struct keys *keys, struct parts *ret)
{
	int r = 0;

	ret->protos = calloc(CLASS_PROTOS, sizeof(*ret->protos));
	if (!ret->protos)
		return -ENOMEM;
	ret->n_classes[0] = proto_runs_find(keys, ret->protos);
	for (unsigned i = 0; i < 2 && r == 0; i++) {
		struct signature *change = calloc(PORTS + 1, sizeof(*change));

		r = change ? port_runs_find(keys, i ? LANE_DST_PORT : LANE_SRC_PORT, change, &ret->ports[i]) : -ENOMEM;
		ret->n_classes[1 + i] = ret->ports[i].n_classes;
		free(change);
	}
	ret->n_classes_addr = CLASSES_FIXED;
	for (unsigned i = 0; i < 2 && r == 0; i++) {
		for (unsigned family = 0; family < 2; family++) {
			ret->prefixes[i][family] = malloc((keys->image->n_rows + 1) * sizeof(struct class_prefix));
			if (!ret->prefixes[i][family])
				return -ENOMEM;
			ret->n_prefixes[i][family] = prefixes_find(keys, family ? FAMILY_IP6 : FAMILY_IP4, i == 0,
								   &ret->n_classes_addr, ret->prefixes[i][family]);
		}
	}
	return r;
}

/* Where in a key each class of ports and protocol begins, from above the addresses' on. False: there is no room. */
static bool parts_shifts(const struct parts *parts, uint8_t ret_shifts[3])
{
	unsigned at = 2 * bit_width(parts->n_classes_addr - 1);

	for (int i = 0; i < 3; i++) {
		ret_shifts[i] = (uint8_t)at;
		at += bit_width(parts->n_classes[i] - 1);
	}
	return at <= 64;
}

static int ports_fill(const struct parts *parts, struct keys *ret)
{
	int r = 0;

	for (uint32_t i = 0; i < CLASS_PROTOS; i++)
		ret->protos[i] = (uint16_t)parts->protos[i].class;
	for (unsigned i = 0; i < 2 && r == 0; i++) {
		ret->n_port_classes[i] = parts->n_classes[1 + i];
		r = port_pages_fill(&parts->ports[i], ret, ret->ports[i]);
	}
	return r;
}

static int tries_fill(const struct parts *parts, struct keys *ret)
{
	struct trie trie = { 0 };

	trie_begin(&trie, parts->n_classes_addr);
	for (unsigned i = 0; i < 2 && !trie.failed; i++)
		for (unsigned family = 0; family < 2 && !trie.failed; family++)
			ret->trie_roots[family + 1][i] = trie_build(
				&trie,
				(struct branch){ parts->prefixes[i][family], parts->n_prefixes[i][family], family_class[family] },
				0, 0);
	ret->tries = trie.words;
	ret->n_tries = trie.n;
	ret->n_classes = parts->n_classes_addr;
	ret->dst_shift = bit_width(parts->n_classes_addr - 1);
	return !trie.failed ? 0 : trie.unfit ? -E2BIG : -ENOMEM;
}

/* A header from within the row. */
static struct lookup_key row_sample(const struct image_row *row, uint64_t *random)
{
	struct lookup_key key = { .family = row->family == FAMILY_IP6 ? 2 : 1 };

	for (unsigned i = 0; i < 4; i++) {
		unsigned len = i < 2 ? row->src_len : row->dst_len, low = i % 2;
		uint64_t known = (i < 2 ? row->src : row->dst)[low];
		__u64 *to = &(i < 2 ? key.src : key.dst)[low];
		uint64_t free = len <= 64 * low ? ~0ull : len >= 64 * low + 64 ? 0 : ~0ull >> (len - 64 * low);

		*random = *random * 6364136223846793005u + 1442695040888963407u;
		*to = known | (*random & (key.family == 1 ? (low ? 0 : free & ~0ull << 32) : free));
	}
	return key;
}

/* Do few rows have a header's addresses, whatever its ports? By a sample, always the same one. */
static bool pairs_are_few(const struct keys *keys)
{
	const struct image *image = keys->image;
	size_t n_samples = image->n_rows ? SAMPLED_ROWS / image->n_rows + 16 : 0, sum = 0;
	uint64_t random = 1;

	for (uint32_t i = 0; i < image->n_groups; i++)
		if (lookup_group(image, i)->ports_mask)
			return false; /* ports were needed to tell rows apart (tables.c) */
	if (n_samples > SAMPLES_MAX)
		n_samples = SAMPLES_MAX;
	for (size_t i = 0; i < n_samples; i++) {
		struct lookup_key key = row_sample(&keys->rows[i * image->n_rows / n_samples], &random);
		size_t n = 0;

		for (size_t k = 0; k < image->n_rows && n <= PAIR_ROWS_MAX; k++)
			n += (size_t)lookup_row_box(&keys->rows[k], &key);
		if (n > PAIR_ROWS_MAX)
			return false;
		sum += n;
	}
	return sum <= PAIR_ROWS_MEAN * n_samples;
}

/* Memory on large pages, where there are any: it is met at random. Zeroed; NULL: none. */
static void *pages_new(size_t bytes)
{
	size_t large = 1u << 21, rounded = (bytes + large) / large * large;
	void *memory = bytes < large / 4 ? aligned_alloc(64, (bytes + 64) / 64 * 64) : aligned_alloc(large, rounded);

	if (!memory)
		return NULL;
	if (bytes >= large / 4)
		madvise(memory, rounded, MADV_HUGEPAGE);
	memset(memory, 0, bytes);
	return memory;
}

/* The same on large pages. -ENOMEM, and it stays where it is. */
static int pages_move(void **memory, size_t bytes)
{
	void *to = pages_new(bytes);

	if (!to)
		return -ENOMEM;
	memcpy(to, *memory, bytes);
	free(*memory);
	*memory = to;
	return 0;
}

static int known_new(struct keys *keys)
{
	unsigned bits = 0;

	while (1u << bits < LINES_MIN || (1u << bits < LINES_MAX && 1u << bits < LINES_PER_ROW * keys->image->n_rows))
		bits++;
	keys->lines_shift = 64 - bits;
	keys->known = pages_new(2 * sizeof(*keys->known) << bits);
	return keys->known ? 0 : -ENOMEM;
}

static int keys_fill(struct keys *keys)
{
	struct parts parts = { 0 };
	int r = parts_find(keys, &parts);

	if (r == 0)
		r = tries_fill(&parts, keys);
	for (unsigned side = 0; side < 2 && r == 0; side++)
		r = tables_fill(keys, side, parts.prefixes[side][0], parts.n_prefixes[side][0]);
	if (r == 0)
		r = pages_move((void **)&keys->tries, keys->n_tries * sizeof(*keys->tries));
	if (r == 0)
		r = pages_move((void **)&keys->tables, keys->n_tables * sizeof(*keys->tables));
	if (r == 0)
		r = known_new(keys);
	if (r == 0 && !pairs_are_few(keys)) {
		keys->by_ports = parts_shifts(&parts, keys->shifts);
		r = keys->by_ports ? ports_fill(&parts, keys) : -E2BIG;
	}
	parts_fini(&parts);
	return r;
}

int keys_new(const struct image *image, struct keys **ret_keys)
{
	struct keys *keys = calloc(1, sizeof(*keys));
	size_t bytes = image->n_rows * sizeof(struct image_row);
	const char *name;
	int r = -ENOMEM;

	if (keys) {
		keys->image = image;
		keys->find4 = keys_find4_best(&name);
		keys->rows = pages_new(bytes);
	}
	if (keys && keys->rows) {
		memcpy(keys->rows, lookup_row_at(image, 0), bytes);
		r = keys_fill(keys);
	}
	if (r < 0)
		keys_free(keys);
	else
		*ret_keys = keys;
	return r;
}

struct keys *keys_free(struct keys *keys)
{
	if (keys) {
		free(keys->rows);
		free(keys->tries);
		free(keys->tables);
		free(keys->pages);
		free(keys->known);
		free(keys);
	}
	return NULL;
}

size_t keys_bytes(const struct keys *keys)
{
	return sizeof(*keys) + keys->image->n_rows * sizeof(*keys->rows) + keys->n_tries * sizeof(*keys->tries) +
	       keys->n_tables * sizeof(*keys->tables) + keys->n_pages * 256 * sizeof(*keys->pages) +
	       (2 * sizeof(*keys->known) << (64 - keys->lines_shift));
}
