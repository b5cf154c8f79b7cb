/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/offline.h"

#include <errno.h>
#include <sys/mman.h>

#include "sets/store.h"

static int block_place(struct offline *offline, uint64_t bytes)
{
	void *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int r;

	if (block == MAP_FAILED)
		return -ENOMEM;
	r = set_table_place(set_store_table(offline->store), block, bytes);
	if (r) {
		munmap(block, bytes);
		return r;
	}
	if (offline->block)
		munmap(offline->block, offline->block_bytes);
	offline->block = block;
	offline->block_bytes = bytes;
	offline->classifier.block = block;
	return 0;
}

static int sets_place(struct offline *offline)
{
	uint64_t bytes = set_table_bytes(set_store_table(offline->store));
	int r = bytes ? -ENOSPC : -E2BIG;

	for (; r == -ENOSPC && bytes <= SET_BYTES_MAX; bytes *= 2)
		r = block_place(offline, bytes);
	return r == -ENOSPC ? -E2BIG : r;
}

int offline_open(const struct rules *rules, struct offline *ret_offline, struct rules_error *ret_error)
{
	struct offline offline = { 0 };
	int r = image_build(rules, 1, NULL, &offline.image, ret_error);

	if (r == 0)
		r = set_store_new(rules, 0, &offline.store);
	if (r == 0 && rules->n_sets)
		r = sets_place(&offline);
	if (r == -E2BIG && !*ret_error->message)
		file_error(rules->source.file, r, ret_error, "the sets need more than the %u MiB of the largest block",
			   SET_BYTES_MAX >> 20);
	if (r) {
		offline_close(&offline);
		return r;
	}
	offline.classifier.image = offline.image;
	offline.classifier.store = offline.store;
	*ret_offline = offline;
	return 0;
}

int offline_settle(struct offline *offline)
{
	return set_table_waits(set_store_table(offline->store)) ? sets_place(offline) : 0;
}

void offline_close(struct offline *offline)
{
	image_free(offline->image);
	set_store_free(offline->store);
	if (offline->block)
		munmap(offline->block, offline->block_bytes);
	*offline = (struct offline){ 0 };
}
