/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/xdp.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/refuse.h"
#include "classify/keys.h"
#include "spillway.skel.h"

#define COUNTERS_MIN 1024u

/* One published image with its sets: the maps the program reads and our mappings of them. */
struct published {
	struct published *older; /* not forgotten yet */
	int map;
	struct image *image;
	size_t bytes; /* mapped */
	struct xdp_block block;
	struct classifier classifier; /* all of it, for the worker */
};

struct xdp {
	struct spillway_bpf *bpf;
	struct cells *cells;
	struct limits *limits;
	struct ring_buffer *samples;
	struct sample_turn {
		xdp_sample_taker take;
		void *userdata;
		unsigned left;
	} sample_turn; /* valid in xdp_samples() */
	struct published *newest;
	struct bpf_link *link;
	char *behind_pin;     /* path: of spillway_all's slot, while a program is attached; see behind_pin() */
	size_t image_bytes;   /* size class: what an image map of the loaded program holds */
	size_t set_bytes;     /* size class of a set block */
	uint32_t n_counters;  /* rules that it can count */
	struct hits *tallies; /* a slice for each CPU, see act/verdict.h */
	struct hits *before;  /* what programs of smaller classes have counted, as a slice */
	int n_cpus;
};

static size_t page_align(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

/* libbpf talks on stderr; what we have to say of a failure is in our own message. */
static int libbpf_silent(enum libbpf_print_level level, const char *format, va_list arguments)
{
	if (level != LIBBPF_WARN || !getenv("SPILLWAY_DEBUG"))
		return 0;
	return vfprintf(stderr, format, arguments);
}

static int map_shared(int map, size_t bytes, void **ret_memory)
{
	void *memory = mmap(NULL, page_align(bytes), PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);

	if (memory == MAP_FAILED)
		return -errno;
	*ret_memory = memory;
	return 0;
}

static int block_new(size_t bytes, struct xdp_block *ret_block)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	struct xdp_block block = { .bytes = bytes };
	int r;

	block.map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "set_block", sizeof(uint32_t), (uint32_t)bytes, 1, &options);
	if (block.map < 0)
		return -errno;
	r = map_shared(block.map, bytes, (void **)&block.at);
	if (r)
		close(block.map);
	else
		*ret_block = block;
	return r;
}

int xdp_block_new(const struct xdp *xdp, struct xdp_block *ret_block)
{
	return block_new(xdp->set_bytes, ret_block);
}

void xdp_block_free(struct xdp_block *block)
{
	if (block->at) {
		munmap(block->at, page_align(block->bytes));
		close(block->map);
	}
	*block = (struct xdp_block){ .at = NULL };
}

/* Free this image and all that are older. NULL is fine; returns NULL. */
static struct published *published_free(struct published *published)
{
	while (published) {
		struct published *older = published->older;

		keys_free(published->classifier.keys);
		if (published->image)
			munmap(published->image, published->bytes);
		if (published->map >= 0)
			close(published->map);
		xdp_block_free(&published->block);
		free(published);
		published = older;
	}
	return NULL;
}

/* Of one CPU; a power of two. */
static uint32_t tally_bytes(uint32_t n_counters)
{
	uint32_t bytes = TALLY_BYTES_MIN;

	while (bytes < (TALLY_RULES + n_counters) * sizeof(struct hits))
		bytes *= 2;
	return bytes;
}

/* The program that the attached one jumps to. */
static int program_behind(const struct spillway_bpf *bpf)
{
	uint32_t zero = 0;
	int fd = bpf_program__fd(bpf->progs.spillway_all);

	return bpf_map_update_elem(bpf_map__fd(bpf->maps.programs), &zero, &fd, BPF_ANY) ? -errno : 0;
}

/* Load a program for this size class; with `older`, one that shares its maps of ports and cells. NULL with errno. */
static struct spillway_bpf *program_load(size_t image_bytes, size_t set_bytes, uint32_t n_counters,
					 const struct spillway_bpf *older)
{
	struct spillway_bpf *bpf = spillway_bpf__open();
	int r;

	if (!bpf)
		return NULL;
	bpf->rodata->image_last_byte = (uint32_t)image_bytes - 1;
	bpf->rodata->set_last_byte = (uint32_t)set_bytes - 1;
	bpf->rodata->tally_last_byte = tally_bytes(n_counters) - 1;
	r = bpf_map__set_value_size(bpf_map__inner_map(bpf->maps.images), (uint32_t)image_bytes);
	if (!r)
		r = bpf_map__set_value_size(bpf_map__inner_map(bpf->maps.set_blocks), (uint32_t)set_bytes);
	if (!r)
		r = bpf_map__set_value_size(bpf->maps.tallies, tally_bytes(n_counters));
	if (!r)
		r = bpf_map__set_max_entries(bpf->maps.tallies, (uint32_t)libbpf_num_possible_cpus());
	if (!r && older)
		r = bpf_map__reuse_fd(bpf->maps.cells, bpf_map__fd(older->maps.cells));
	if (!r && older)
		r = bpf_map__reuse_fd(bpf->maps.ports, bpf_map__fd(older->maps.ports));
	if (!r && older)
		r = bpf_map__reuse_fd(bpf->maps.limits, bpf_map__fd(older->maps.limits));
	if (!r && older)
		r = bpf_map__reuse_fd(bpf->maps.samples, bpf_map__fd(older->maps.samples));
	if (!r)
		r = spillway_bpf__load(bpf);
	if (!r)
		r = program_behind(bpf);
	if (r) {
		spillway_bpf__destroy(bpf);
		errno = -r;
		return NULL;
	}
	return bpf;
}

/* What the program counts. 0 or negative errno. */
static int tallies_map(const struct xdp *xdp, const struct spillway_bpf *bpf, uint32_t n_counters, struct hits **ret_tallies)
{
	return map_shared(bpf_map__fd(bpf->maps.tallies), (size_t)xdp->n_cpus * tally_bytes(n_counters), (void **)ret_tallies);
}

static void tallies_unmap(const struct xdp *xdp, struct hits *tallies, uint32_t n_counters)
{
	if (tallies)
		munmap(tallies, page_align((size_t)xdp->n_cpus * tally_bytes(n_counters)));
}

static int refuse_load(int r, char *ret_message, size_t size)
{
	if (r == -EPERM)
		return refuse(r, ret_message, size,
			      "the kernel does not let us load XDP programs; run as root (CAP_BPF and CAP_NET_ADMIN)");
	if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_xdp_load_bytes, NULL) != 1)
		return refuse(-EOPNOTSUPP, ret_message, size,
			      "this kernel is too old: Linux 5.18 or later is needed (bpf_loop, bpf_xdp_load_bytes)");
	return refuse(r, ret_message, size, "the kernel refuses the XDP program: %s; SPILLWAY_DEBUG=1 shows its log",
		      strerror(-r));
}

/* ring_buffer_sample_fn. Negative: no more this time. The record counts as read either way. */
static int sample_read(void *userdata, void *record, size_t size)
{
	struct sample_turn *turn = userdata;

	if (size >= sizeof(struct sample))
		turn->take(turn->userdata, record);
	return --turn->left ? 0 : -ECANCELED;
}

unsigned xdp_samples(struct xdp *xdp, unsigned max, xdp_sample_taker take, void *userdata)
{
	xdp->sample_turn = (struct sample_turn){ .take = take, .userdata = userdata, .left = max };
	ring_buffer__consume(xdp->samples);
	return max - xdp->sample_turn.left;
}

int xdp_load(struct xdp **ret_xdp, char *ret_message, size_t size)
{
	struct xdp *xdp;
	int r;

	libbpf_set_print(libbpf_silent);
	xdp = calloc(1, sizeof(*xdp));
	if (!xdp)
		return refuse(-ENOMEM, ret_message, size, "out of memory");
	xdp->before = calloc(TALLY_RULES + IMAGE_COUNTERS_MAX, sizeof(*xdp->before));
	if (!xdp->before) {
		free(xdp);
		return refuse(-ENOMEM, ret_message, size, "out of memory");
	}
	xdp->n_cpus = libbpf_num_possible_cpus();
	xdp->image_bytes = IMAGE_BYTES_MIN;
	xdp->set_bytes = SET_BYTES_MIN;
	xdp->n_counters = COUNTERS_MIN;
	xdp->bpf = program_load(xdp->image_bytes, xdp->set_bytes, xdp->n_counters, NULL);
	if (!xdp->bpf) {
		r = -errno;
		xdp_free(xdp);
		return refuse_load(r, ret_message, size);
	}
	r = map_shared(bpf_map__fd(xdp->bpf->maps.cells), sizeof(*xdp->cells), (void **)&xdp->cells);
	if (!r)
		r = map_shared(bpf_map__fd(xdp->bpf->maps.limits), sizeof(*xdp->limits), (void **)&xdp->limits);
	if (!r)
		r = tallies_map(xdp, xdp->bpf, xdp->n_counters, &xdp->tallies);
	if (!r) {
		xdp->samples = ring_buffer__new(bpf_map__fd(xdp->bpf->maps.samples), sample_read, &xdp->sample_turn, NULL);
		r = xdp->samples ? 0 : -errno;
	}
	if (r) {
		xdp_free(xdp);
		return refuse(r, ret_message, size, "cannot map the memory shared with the XDP program: %s", strerror(-r));
	}
	*ret_xdp = xdp;
	return 0;
}

struct xdp *xdp_free(struct xdp *xdp)
{
	if (!xdp)
		return NULL;
	if (xdp->link)
		bpf_link__destroy(xdp->link);
	free(xdp->behind_pin);
	if (xdp->cells)
		munmap(xdp->cells, page_align(sizeof(struct cells)));
	if (xdp->limits)
		munmap(xdp->limits, page_align(sizeof(struct limits)));
	tallies_unmap(xdp, xdp->tallies, xdp->n_counters);
	ring_buffer__free(xdp->samples);
	published_free(xdp->newest);
	spillway_bpf__destroy(xdp->bpf);
	free(xdp->before);
	free(xdp);
	return NULL;
}

int xdp_program_fd(const struct xdp *xdp)
{
	return bpf_program__fd(xdp->bpf->progs.spillway_xdp);
}

struct cells *xdp_cells(struct xdp *xdp)
{
	return xdp->cells;
}

struct limits *xdp_limits(struct xdp *xdp)
{
	return xdp->limits;
}

int xdp_set_port(struct xdp *xdp, uint32_t queue, int socket_fd)
{
	uint32_t value = (uint32_t)socket_fd;

	return bpf_map_update_elem(bpf_map__fd(xdp->bpf->maps.ports), &queue, &value, BPF_ANY) ? -errno : 0;
}

/* A copy of the image in a map of the size class, not published yet. */
static int published_new(size_t image_bytes, const struct image *image, struct published **ret_published)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	struct published *published = calloc(1, sizeof(*published));
	int r;

	if (!published)
		return -ENOMEM;
	published->bytes = page_align(image->bytes);
	published->map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "image", sizeof(uint32_t), (uint32_t)image_bytes, 1, &options);
	if (published->map >= 0)
		published->image = mmap(NULL, published->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, published->map, 0);
	if (published->map < 0 || published->image == MAP_FAILED) {
		r = -errno;
		published->image = NULL;
		published_free(published);
		return r;
	}
	memcpy(published->image, image, image->bytes);
	*ret_published = published;
	return 0;
}

/* A CPU's counter. */
static struct hits *tally_at(const struct xdp *xdp, int cpu, uint32_t index)
{
	return &xdp->tallies[(size_t)cpu * (tally_bytes(xdp->n_counters) / sizeof(struct hits)) + index];
}

static void tally_sum(const struct xdp *xdp, uint32_t index, struct hits *ret_hits)
{
	*ret_hits = xdp->before[index];
	for (int cpu = 0; cpu < xdp->n_cpus; cpu++) {
		const struct hits *hits = tally_at(xdp, cpu, index);

		ret_hits->packets += __atomic_load_n(&hits->packets, __ATOMIC_RELAXED);
		ret_hits->bytes += __atomic_load_n(&hits->bytes, __ATOMIC_RELAXED);
	}
}

/*
 * What a program that has been replaced has counted into xdp->before. Its image is taken away first: the kernel comes back from that
 * when no packet is in the program any more (maybe_wait_bpf_programs), so not one is missed.
 */
static void hits_keep(struct xdp *xdp, const struct spillway_bpf *older)
{
	uint32_t zero = 0;

	bpf_map_delete_elem(bpf_map__fd(older->maps.images), &zero);
	for (uint32_t i = 0; i < TALLY_RULES + xdp->n_counters; i++)
		tally_sum(xdp, i, &xdp->before[i]);
}

/* The block where packets of this image look for it; without one, nothing there. */
static int block_put(const struct spillway_bpf *to, const struct image *image, const struct xdp_block *block)
{
	int map = bpf_map__fd(to->maps.set_blocks);
	uint32_t slot = IMAGE_SET_SLOT(image);

	if (!block->at)
		return bpf_map_delete_elem(map, &slot) && errno != ENOENT ? -errno : 0;
	return bpf_map_update_elem(map, &slot, &block->map, BPF_ANY) ? -errno : 0;
}

/* The same block for a program of another size class. What is in a block says itself how far it goes. */
static int block_copy(const struct xdp_block *block, const struct spillway_bpf *to, const struct image *image, size_t set_bytes)
{
	struct xdp_block copy;
	int r;

	if (!block->at || block->bytes == set_bytes)
		return block_put(to, image, block);
	r = block_new(set_bytes, &copy);
	if (r)
		return r;
	memcpy(copy.at, block->at, block->bytes);
	r = block_put(to, image, &copy);
	xdp_block_free(&copy);
	return r;
}

/*
 * The kernel empties a map of programs when user space has let go of it (prog_array_map_clear), though a program still jumps through
 * it. So it is pinned beside the link: or with the daemon's death all that the attached program does not decide itself would pass.
 */
static int behind_pin(const struct spillway_bpf *bpf, const char *path)
{
	return bpf_obj_pin(bpf_map__fd(bpf->maps.programs), path) ? -errno : 0;
}

/* The next program takes the place of the one that runs, its slot that of the other: in each moment what runs has its own. */
static int link_replace(struct xdp *xdp, const struct spillway_bpf *next)
{
	char *path;
	int r;

	if (!xdp->link)
		return 0;
	if (asprintf(&path, "%s-next", xdp->behind_pin) < 0)
		return -ENOMEM;
	r = behind_pin(next, path);
	if (!r && bpf_link_update(bpf_link__fd(xdp->link), bpf_program__fd(next->progs.spillway_xdp), NULL)) {
		r = -errno;
		unlink(path);
	}
	if (!r)
		rename(path, xdp->behind_pin); /* if not, it stays under the other name, and goes with the directory */
	free(path);
	return r;
}

/* What runs, for a program of another size class: nothing may pass unjudged between the two. */
static int published_copy(struct xdp *xdp, const struct spillway_bpf *to, size_t image_bytes, size_t set_bytes)
{
	struct published *next;
	uint32_t zero = 0;
	int r;

	if (!xdp->newest)
		return 0;
	r = published_new(image_bytes, xdp->newest->image, &next);
	if (r)
		return r;
	r = block_copy(&xdp->newest->block, to, xdp->newest->image, set_bytes);
	if (!r && bpf_map_update_elem(bpf_map__fd(to->maps.images), &zero, &next->map, BPF_ANY))
		r = -errno;
	/* The program holds the map; our mapping goes: the worker reads the one it has until the next is published. */
	published_free(next);
	return r;
}

/* The size class, grown by `factor` until there is room. */
static size_t class_for(size_t class, size_t bytes, unsigned factor, size_t max)
{
	while (class < bytes)
		class *= factor;
	return class < max ? class : max;
}

int xdp_reserve(struct xdp *xdp, size_t image_bytes, size_t set_bytes, uint32_t n_counters, char *ret_message, size_t size)
{
	size_t image_class = class_for(xdp->image_bytes, image_bytes, 4, IMAGE_BYTES_MAX);
	size_t set_class = class_for(xdp->set_bytes, set_bytes, 2, SET_BYTES_MAX);
	uint32_t room = (uint32_t)class_for(xdp->n_counters, n_counters, 4, IMAGE_COUNTERS_MAX);
	struct hits *tallies = NULL;
	struct spillway_bpf *bpf;
	int r;

	if (image_class == xdp->image_bytes && set_class == xdp->set_bytes && room == xdp->n_counters)
		return 0;
	bpf = program_load(image_class, set_class, room, xdp->bpf);
	if (!bpf)
		return refuse_load(-errno, ret_message, size);
	r = tallies_map(xdp, bpf, room, &tallies);
	if (!r)
		r = published_copy(xdp, bpf, image_class, set_class);
	if (!r)
		r = link_replace(xdp, bpf);
	if (r) {
		tallies_unmap(xdp, tallies, room);
		spillway_bpf__destroy(bpf);
		return refuse(r, ret_message, size, "cannot make room for the rules in the XDP program: %s", strerror(-r));
	}
	hits_keep(xdp, xdp->bpf);
	tallies_unmap(xdp, xdp->tallies, xdp->n_counters);
	spillway_bpf__destroy(xdp->bpf);
	xdp->bpf = bpf;
	xdp->tallies = tallies;
	xdp->image_bytes = image_class;
	xdp->set_bytes = set_class;
	xdp->n_counters = room;
	return 1;
}

/*
 * The block first, where no packet looks yet. The kernel comes back from the image's update when no packet has the old image any
 * more (maybe_wait_bpf_programs), so its block can go, and the next may take its place.
 */
static int published_put(const struct xdp *xdp, const struct published *next)
{
	uint32_t zero = 0, other = IMAGE_SET_SLOT(next->image) ^ 1;
	int r = block_put(xdp->bpf, next->image, &next->block);

	if (r)
		return r;
	if (bpf_map_update_elem(bpf_map__fd(xdp->bpf->maps.images), &zero, &next->map, BPF_ANY))
		return -errno;
	if (xdp->newest && xdp->newest->block.at)
		bpf_map_delete_elem(bpf_map__fd(xdp->bpf->maps.set_blocks), &other);
	return 0;
}

int xdp_publish(struct xdp *xdp, const struct image *image, struct xdp_block *block, const struct set_store *store,
		const struct classifier **ret_published)
{
	struct published *next;
	int r = published_new(xdp->image_bytes, image, &next);

	if (r)
		return r;
	next->image->generation = xdp->newest ? xdp->newest->image->generation + 1 : 1;
	next->block = *block;
	next->classifier = (struct classifier){ .image = next->image, .block = block->at, .store = store };
	if (image->has_divert)
		keys_new(next->image, &next->classifier.keys); /* else there are none, and it takes longer */
	r = published_put(xdp, next);
	if (r) {
		next->block.at = NULL; /* stays the caller's */
		published_free(next);
		return r;
	}
	*block = (struct xdp_block){ .at = NULL };
	next->older = xdp->newest;
	xdp->newest = next;
	*ret_published = &next->classifier;
	return 0;
}

const struct classifier *xdp_published(const struct xdp *xdp)
{
	return xdp->newest ? &xdp->newest->classifier : NULL;
}

void xdp_expire(struct xdp *xdp, uint32_t rule)
{
	struct image *image = xdp->newest ? xdp->newest->image : NULL;
	struct image_rule *rules = image ? (struct image_rule *)((char *)image + image->rules) : NULL;

	if (image && rule < image->n_rules)
		__atomic_store_n(&rules[rule].expired, 1, __ATOMIC_RELAXED);
}

void xdp_forget_older(struct xdp *xdp)
{
	if (xdp->newest)
		xdp->newest->older = published_free(xdp->newest->older);
}

static int program_name(uint32_t id, char name[BPF_OBJ_NAME_LEN])
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);
	int r;

	name[0] = '\0';
	if (fd < 0)
		return -errno;
	r = bpf_obj_get_info_by_fd(fd, &info, &size);
	close(fd);
	if (!r)
		memcpy(name, info.name, BPF_OBJ_NAME_LEN);
	return r;
}

/* One attachment point, one owner: ours from an earlier life, or somebody else's, both stay untouched. */
static int refuse_foreign(const struct link_facts *facts, char *ret_message, size_t size)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	char name[BPF_OBJ_NAME_LEN];
	uint32_t id;

	if (bpf_xdp_query((int)facts->ifindex, 0, &query) || !query.attach_mode)
		return 0;
	id = query.prog_id ? query.prog_id : query.drv_prog_id ? query.drv_prog_id : query.skb_prog_id;
	program_name(id, name);
	if (!strcmp(name, XDP_PROGRAM_NAME))
		return refuse(-EBUSY, ret_message, size,
			      "%s still has our XDP program (id %u) from an earlier run; remove it with `spillway restore`",
			      facts->ifname, id);
	return refuse(-EBUSY, ret_message, size,
		      "%s has an XDP program of somebody else (%s, id %u); remove it with `ip link set dev %s xdp off`",
		      facts->ifname, *name ? name : "no name", id, facts->ifname);
}

static int link_create(struct xdp *xdp, unsigned ifindex, uint32_t flags, int *ret_fd)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);
	int fd = bpf_link_create(xdp_program_fd(xdp), (int)ifindex, BPF_XDP, &options);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static int refuse_attach(int error, const struct link_facts *facts, bool native, char *ret_message, size_t size)
{
	const char *how = native ? "native" : "generic";

	if (error == -EOPNOTSUPP)
		return refuse(error, ret_message, size, "%s: driver %s has no native XDP; use --mode generic (about 5x slower)",
			      facts->ifname, *facts->driver ? facts->driver : "of this interface");
	if (error == -ERANGE || (error == -EINVAL && facts->mtu > 1500))
		return refuse(
			error, ret_message, size,
			"%s: MTU %u is too large for %s XDP; lower it with `ip link set dev %s mtu 1500`, on both ends of a veth",
			facts->ifname, facts->mtu, how, facts->ifname);
	return refuse(error, ret_message, size, "%s: cannot attach XDP in %s mode: %s", facts->ifname, how, strerror(-error));
}

static void behind_unpin(struct xdp *xdp)
{
	if (xdp->behind_pin)
		unlink(xdp->behind_pin);
	free(xdp->behind_pin);
	xdp->behind_pin = NULL;
}

int xdp_attach(struct xdp *xdp, const struct link_facts *facts, enum guard_mode mode, const char *path, bool *ret_native,
	       char *ret_reason, size_t size)
{
	bool native = mode != GUARD_MODE_GENERIC;
	struct bpf_link *link;
	int fd = -1, r;

	r = refuse_foreign(facts, ret_reason, size);
	if (r)
		return r;
	r = link_create(xdp, facts->ifindex, native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE, &fd);
	if (r == -EOPNOTSUPP && mode == GUARD_MODE_AUTO) {
		native = false;
		r = link_create(xdp, facts->ifindex, XDP_FLAGS_SKB_MODE, &fd);
	}
	if (r)
		return refuse_attach(r, facts, native, ret_reason, size);
	if (asprintf(&xdp->behind_pin, "%s-behind", path) < 0)
		xdp->behind_pin = NULL;
	r = xdp->behind_pin ? behind_pin(xdp->bpf, xdp->behind_pin) : -ENOMEM;
	/* Pinned through the plain call: the skeleton's own link would be released with the process. */
	if (!r && bpf_obj_pin(fd, path))
		r = -errno;
	link = r ? NULL : bpf_link__open(path);
	if (!r && !link)
		r = -errno;
	close(fd);
	if (r) {
		unlink(path);
		behind_unpin(xdp);
		return refuse(r, ret_reason, size, "cannot pin the XDP program at %s: %s", path, strerror(-r));
	}
	xdp->link = link;
	*ret_native = native;
	if (native)
		snprintf(ret_reason, size, "driver %s runs XDP itself", *facts->driver ? facts->driver : "of this interface");
	else if (mode == GUARD_MODE_GENERIC)
		snprintf(ret_reason, size, "asked for with --mode generic, about 5x slower than native");
	else
		snprintf(ret_reason, size, "driver %s has no native XDP, about 5x slower",
			 *facts->driver ? facts->driver : "of this interface");
	return 0;
}

void xdp_detach(struct xdp *xdp)
{
	if (!xdp->link)
		return;
	bpf_link__detach(xdp->link);
	bpf_link__unpin(xdp->link);
	bpf_link__destroy(xdp->link);
	xdp->link = NULL;
	behind_unpin(xdp);
}

bool xdp_attached(const struct xdp *xdp)
{
	struct bpf_link_info info = { 0 };
	uint32_t size = sizeof(info);

	return xdp->link && !bpf_obj_get_info_by_fd(bpf_link__fd(xdp->link), &info, &size) && info.xdp.ifindex;
}

void xdp_verdicts(const struct xdp *xdp, struct hits ret_hits[VERDICT_COUNT])
{
	for (uint32_t i = 0; i < VERDICT_COUNT; i++)
		tally_sum(xdp, i, &ret_hits[i]);
}

void xdp_rule_hits(const struct xdp *xdp, uint32_t counter, struct hits *ret_hits)
{
	tally_sum(xdp, TALLY_RULES + counter, ret_hits);
}

void xdp_rule_hits_clear(struct xdp *xdp, uint32_t counter)
{
	for (int cpu = 0; cpu < xdp->n_cpus; cpu++)
		memset(tally_at(xdp, cpu, TALLY_RULES + counter), 0, sizeof(struct hits));
	memset(&xdp->before[TALLY_RULES + counter], 0, sizeof(xdp->before[0]));
}
