/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For test_sets_bpf.c: one question, in the packet behind its Ethernet header; the answer is the return value. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "classify/set.h"
#include "sets_question.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, SET_UNIT); /* the size class, set before loading */
} block SEC(".maps");

SEC("xdp")
int sets_ask(struct xdp_md *ctx)
{
	struct sets_question question;
	const struct set_block *sets;
	__u32 zero = 0;

	if (bpf_xdp_load_bytes(ctx, SETS_QUESTION_AT, &question, sizeof(question)))
		return SETS_NO_QUESTION;
	sets = bpf_map_lookup_elem(&block, &zero);
	if (!sets)
		return SETS_NO_QUESTION;
	switch (question.kind) {
	case SETS_ASK_ADDR:
		return set_has_addr(sets, question.set, question.family, question.addr);
	case SETS_ASK_TUPLE:
		return set_has_tuple(sets, question.set, question.family, question.addr, (__u8)question.proto, question.port);
	case SETS_ASK_NUMBER:
		return set_has_number(sets, question.set, (__u32)question.port);
	default:
		return SETS_NO_QUESTION;
	}
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
