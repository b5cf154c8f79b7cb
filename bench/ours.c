/* SPDX-License-Identifier: BSD-2-Clause */
#include "ours.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "base/refuse.h"
#include "control/offline.h"
#include "control/xdp.h"
#include "rules/rules.h"

struct ours {
	struct xdp *xdp;
};

static int refuse_rules(int error, const struct rules_error *why, char *ret_message, size_t size)
{
	return refuse(error, ret_message, size, "rules:%u:%u: %s", why->line, why->col, why->message);
}

static int offline_from_text(const char *text, size_t len, struct offline *ret_offline, char *ret_message, size_t size)
{
	struct rules_error why = { .message = "out of memory" };
	struct rules *rules;
	int r;

	r = rules_parse(text, len, "rules", &rules, &why);
	if (r)
		return refuse_rules(r, &why, ret_message, size);
	r = offline_open(rules, ret_offline, &why);
	rules_free(rules);
	return r ? refuse_rules(r, &why, ret_message, size) : 0;
}

static int publish(struct ours *ours, const struct offline *offline, char *ret_message, size_t size)
{
	const struct image *image = offline->image;
	const struct classifier *published;
	struct xdp_block block = { .at = NULL };
	int r;

	r = xdp_load(&ours->xdp, ret_message, size);
	if (!r)
		r = xdp_reserve(ours->xdp, image->bytes, offline->block_bytes, image->n_rules, ret_message, size);
	if (r < 0)
		return r;
	r = offline->block ? xdp_block_new(ours->xdp, &block) : 0;
	if (!r) {
		if (block.at)
			memcpy(block.at, offline->block, offline->block_bytes);
		r = xdp_publish(ours->xdp, image, &block, NULL, &published);
		xdp_block_free(&block);
	}
	return r ? refuse(r, ret_message, size, "cannot publish the rules: %s", strerror(-r)) : 0;
}

int ours_open(const char *text, size_t len, struct ours **ret_ours, char *ret_message, size_t size)
{
	struct ours *ours = calloc(1, sizeof(*ours));
	struct offline offline = { 0 };
	int r = ours ? 0 : refuse(-ENOMEM, ret_message, size, "out of memory");

	if (!r)
		r = offline_from_text(text, len, &offline, ret_message, size);
	if (!r)
		r = publish(ours, &offline, ret_message, size);
	offline_close(&offline);
	if (r)
		ours_close(ours);
	else
		*ret_ours = ours;
	return r;
}

struct ours *ours_close(struct ours *ours)
{
	if (!ours)
		return NULL;
	xdp_free(ours->xdp);
	free(ours);
	return NULL;
}

int ours_program(const struct ours *ours)
{
	return xdp_program_fd(ours->xdp);
}

void ours_instructions(const struct ours *ours, uint32_t *ret_xlated, uint32_t *ret_verified)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);

	*ret_xlated = 0;
	*ret_verified = 0;
	if (bpf_obj_get_info_by_fd(ours_program(ours), &info, &size))
		return;
	*ret_xlated = info.xlated_prog_len / sizeof(struct bpf_insn);
	*ret_verified = info.verified_insns;
}

uint64_t ours_packets(const struct ours *ours, enum verdict verdict)
{
	struct hits hits[VERDICT_COUNT];

	xdp_verdicts(ours->xdp, hits);
	return hits[verdict].packets;
}
