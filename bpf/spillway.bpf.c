/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * spillway.bpf.c - the XDP tier: parse, classify against the image, end the packet by name.
 *
 * A packet meets, in order: parse_frame(), match_run() on the published image, and then one of the verdicts below. Attached once,
 * inert (no image: everything passes); mitigation is a write into `images`. Nothing here is ever an error for the packet: whatever
 * is missing (image, port, heartbeat), it goes to the kernel.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "act/limit.h"
#include "act/verdict.h"
#include "classify/quick.h"
#include "classify/set_field.h"
#include "port/cell.h"
#include "sample/record.h"

struct match_env {
	struct xdp_md *ctx;
	__u32 set_slot;	    /* of the image's set block */
	struct hits *tally; /* this CPU's */
};

struct image_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, IMAGE_BYTES_MIN); /* another size class: set before the program is loaded (control/xdp.c) */
};

/* The published image. One update swaps it; a packet sees the old one or the new one. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct image_map);
} images SEC(".maps");

struct set_block_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, SET_BYTES_MIN); /* as of images */
};

/* The named sets of the image that runs, at IMAGE_SET_SLOT(); user space changes them in place. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, IMAGE_SET_SLOTS);
	__type(key, __u32);
	__array(values, struct set_block_map);
} set_blocks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cells);
} cells SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, CELL_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} ports SEC(".maps");

/*
 * What each CPU has counted: verdicts, then rules by their counters (struct tally_slice). An array with an element a CPU, and not a
 * per-CPU array: that is two look-ups and three cache lines more, and user space could not read it in place.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* and */
	__type(key, __u32);
	__uint(value_size, TALLY_BYTES_MIN); /* more: set before the program is loaded */
} tallies SEC(".maps");

const volatile __u32 tally_last_byte = TALLY_BYTES_MIN - 1;

/* Token buckets of limit rules. The worker takes from them, too. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct limits);
} limits SEC(".maps");

/* What sample rules take while somebody watches; the daemon reads it. When it is full, samples are lost, and nobody waits. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, SAMPLE_RING_BYTES);
} samples SEC(".maps");

/* Working memory for one packet. A CPU has one packet at a time in its driver's loop, and each program its own map. */
struct scratch {
	struct pkt pkt;
	struct match match;
	struct match_state state;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

static __always_inline struct hits *tally_at(const struct match_env *env, __u32 index)
{
	return (void *)env->tally + (index * (__u32)sizeof(struct hits) & tally_last_byte & ~(__u32)(sizeof(struct hits) - 1));
}

static __always_inline void hit(const struct match_env *env, __u32 index, __u32 bytes)
{
	struct hits *hits = tally_at(env, index);

	hits->packets++;
	hits->bytes += bytes;
}

static __always_inline int match_load(const struct match_env *env, __u32 off, void *to, __u32 len)
{
	if (len < 1 || len > IMAGE_PAYLOAD_MAX)
		return -1;
	return (int)bpf_xdp_load_bytes(env->ctx, off, to, len);
}

static __always_inline void match_hit(const struct match_env *env, __u32 counter, __u32 bytes)
{
	hit(env, TALLY_RULES + counter, bytes);
}

static __always_inline int match_limit(const struct match_env *env, const struct image_rule *rule, const struct lookup_key *key,
				       __u32 bytes)
{
	__u32 zero = 0;
	struct limits *buckets = bpf_map_lookup_elem(&limits, &zero);
	struct cells *shared = bpf_map_lookup_elem(&cells, &zero);

	(void)env;
	return buckets && shared && !shared->unlimited && limit_exceeded(buckets, rule, key, bytes, bpf_ktime_get_ns());
}

/* The first bytes of the frame, into the ring. */
static __always_inline void sample_put(struct xdp_md *ctx, const struct image_rule *rule, __u32 index, __u32 frame_len,
				       struct sample_cell *cell)
{
	struct sample *sample = bpf_ringbuf_reserve(&samples, sizeof(*sample), 0);
	__u32 len = frame_len < SAMPLE_BYTES ? frame_len : SAMPLE_BYTES;

	if (!sample) {
		__sync_fetch_and_add(&cell->lost, 1);
		return;
	}
	sample->time_ns = bpf_ktime_get_ns();
	sample->rule = index;
	sample->counter = rule->counter;
	sample->line = rule->line;
	sample->frame_len = frame_len;
	sample->queue = (__u16)ctx->rx_queue_index;
	sample->user_tier = 0;
	sample->captured = len && !bpf_xdp_load_bytes(ctx, 0, sample->data, len) ? len : 0;
	/* The reader looks every few milliseconds; waking it would cost more than the record. */
	bpf_ringbuf_submit(sample, BPF_RB_NO_WAKEUP);
}

/*
 * Every n-th packet that this CPU counted for the rule: `hits` is this one's number. Returns nothing of interest. Not static for the
 * same reason as set_answer_addr().
 */
__noinline int sample_take(struct xdp_md *ctx, const struct image_rule *rule, __u32 index, __u32 frame_len, __u64 hits)
{
	__u32 zero = 0;
	struct cells *shared = bpf_map_lookup_elem(&cells, &zero);

	if (rule && shared && shared->samples.watched && rule->sample_n && hits % rule->sample_n == 0)
		sample_put(ctx, rule, index, frame_len, &shared->samples);
	return 0;
}

static __always_inline void match_sample(const struct match_env *env, const struct image_rule *rule, __u32 index,
					 const struct pkt *pkt)
{
	sample_take(env->ctx, rule, index, pkt->frame_len, tally_at(env, TALLY_RULES + rule->counter)->packets);
}

static __always_inline const struct set_block *set_block(__u32 slot)
{
	__u32 zero = 0;
	void *inner = bpf_map_lookup_elem(&set_blocks, &slot);

	return inner ? bpf_map_lookup_elem(inner, &zero) : 0;
}

/* Not static: the verifier goes through a global function once, and not again at each place where a step is asked. */
__noinline int set_answer_addr(__u64 high, __u64 low, __u32 slot, __u32 set, __u32 family)
{
	const struct set_block *block = set_block(slot);
	__u64 addr[2] = { high, low };

	return block ? set_has_addr(block, set & (SET_IDS_MAX - 1), family, addr) : 0;
}

/* Apart, for the stack: 512 bytes are all there is for functions that call one another. */
__noinline int set_answer_other(const struct image_step *step, const struct pkt *pkt, __u32 slot)
{
	const struct set_block *block = set_block(slot);

	return step && pkt && block ? set_has_field_other(block, step, pkt) : 0;
}

static __always_inline int quick_set(const struct match_env *env, const struct image_step *step, __u32 family,
				     const __u64 addr[2])
{
	return (!step->hi || family == step->hi) && set_answer_addr(addr[0], addr[1], env->set_slot, step->lo, family);
}

static __always_inline int match_set(const struct match_env *env, const struct image_step *step, const struct pkt *pkt)
{
	if (!set_field_is_addr(step->offset))
		return set_answer_other(step, pkt, env->set_slot);
	return quick_set(env, step, pkt->family, step->offset == SET_SRC ? pkt->src : pkt->dst);
}

static __always_inline enum deep_answer match_deep(const struct match_env *env, const struct image *image,
						   const struct image_step *step, const struct pkt *pkt)
{
	(void)env, (void)image, (void)step, (void)pkt;
	return DEEP_ASK_USER_TIER;
}

static __always_inline int end(const struct match_env *env, enum verdict verdict, __u32 bytes, int action)
{
	hit(env, verdict, bytes);
	return action;
}

/* The user tier is full: what the divert rule's author declared. */
static __always_inline int overload(const struct match_env *env, const struct image *image, const struct match *match,
				    const struct pkt *pkt)
{
	const struct image_rule *rule = lookup_rule_at(image, match->divert_rule);
	int pass = 0;

	switch (rule->overload) {
	case OVERLOAD_PASS:
		pass = 1;
		break;
	case OVERLOAD_SAMPLE:
		pass = rule->overload_n && bpf_get_prandom_u32() % rule->overload_n == 0;
		break;
	case OVERLOAD_ALLOW:
		pass = match_overload_listed(env, image, rule, pkt);
		break;
	}
	if (pass)
		return end(env, VERDICT_OVERLOAD_PASS, pkt->frame_len, XDP_PASS);
	return end(env, VERDICT_OVERLOAD_DROP, pkt->frame_len, XDP_DROP);
}

/* Hand the packet to the port of its queue, or say why not. */
static __noinline int divert(const struct match_env *env, const struct image *image, const struct match *match,
			     const struct pkt *pkt)
{
	const struct image_rule *rule = lookup_rule_at(image, match->divert_rule);
	__u32 zero = 0, queue = env->ctx->rx_queue_index;
	struct cells *shared = bpf_map_lookup_elem(&cells, &zero);
	struct queue_cell *cell;

	if (!shared || queue >= CELL_QUEUES_MAX || (rule->queue >= 0 && (__u32)rule->queue != queue))
		return end(env, VERDICT_NO_PORT_PASS, pkt->frame_len, XDP_PASS);
	cell = &shared->queues[queue & (CELL_QUEUES_MAX - 1)];
	if (!cell->limit)
		return end(env, VERDICT_NO_PORT_PASS, pkt->frame_len, XDP_PASS);
	if (pkt->frame_len > cell->frame_max)
		return end(env, VERDICT_OVERSIZE_PASS, pkt->frame_len, XDP_PASS);
	if (!shared->owner || shared->owner & CELL_OWNER_DIED)
		return end(env, VERDICT_STALLED_PASS, pkt->frame_len, XDP_PASS);
	/* Signed: the worker may beat between our look at the clock and our look at the beat, and count us in. */
	if ((__s64)(bpf_ktime_get_coarse_ns() - shared->beat_ns) > (__s64)shared->patience_ns)
		return end(env, VERDICT_STALLED_PASS, pkt->frame_len, XDP_PASS);
	if ((__s64)(cell->sent - cell->done) >= (__s64)cell->limit)
		return overload(env, image, match, pkt);
	if (bpf_redirect_map(&ports, queue, XDP_PASS) != XDP_REDIRECT)
		return end(env, VERDICT_NO_PORT_PASS, pkt->frame_len, XDP_PASS);
	__sync_fetch_and_add(&cell->sent, 1); /* generic mode may run one queue on two CPUs */
	return end(env, VERDICT_DIVERT, pkt->frame_len, XDP_REDIRECT);
}

/* No rule decided a packet that could not be read to its end: its condition names the verdict. */
static __always_inline int end_unread(const struct match_env *env, const struct match *match, __u32 bytes)
{
	int drop = match->action == ACTION_DROP;
	int action = drop ? XDP_DROP : XDP_PASS;

	switch (match->condition) {
	case CONDITION_FRAGMENT:
		return end(env, drop ? VERDICT_FRAGMENT_DROP : VERDICT_FRAGMENT_PASS, bytes, action);
	case CONDITION_UNPARSED:
		return end(env, drop ? VERDICT_UNPARSED_DROP : VERDICT_UNPARSED_PASS, bytes, action);
	default:
		return end(env, drop ? VERDICT_TRUNCATED_DROP : VERDICT_TRUNCATED_PASS, bytes, action);
	}
}

/* What the rules said: an action that ends the search. */
static __always_inline int end_decided(const struct match_env *env, __u32 action, __u32 bytes)
{
	if (action == ACTION_DROP)
		return end(env, VERDICT_DROP, bytes, XDP_DROP);
	return end(env, action == ACTION_ALLOW ? VERDICT_ALLOW : VERDICT_PASS, bytes, XDP_PASS);
}

/* The program behind this one; see spillway_all(). */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} programs SEC(".maps");

/* What a packet's way begins with: where this CPU counts, and the published image, if there is one. 0: the packet passes. */
static __always_inline int begin(struct match_env *env, const struct image **ret_image)
{
	__u32 zero = 0, cpu = bpf_get_smp_processor_id();
	void *inner;

	env->tally = bpf_map_lookup_elem(&tallies, &cpu);
	if (!env->tally)
		return 0; /* never: each CPU has an element */
	inner = bpf_map_lookup_elem(&images, &zero);
	*ret_image = inner ? bpf_map_lookup_elem(inner, &zero) : 0;
	if (!*ret_image) {
		end(env, VERDICT_NO_IMAGE_PASS, (__u32)((__u64)env->ctx->data_end - (__u64)env->ctx->data), XDP_PASS);
		return 0;
	}
	env->set_slot = IMAGE_SET_SLOT(*ret_image);
	return 1;
}

/*
 * Packets and rule sets of every kind. Behind spillway_xdp() and not within it, because each has 512 bytes of stack that way, and the
 * plain packets' registers are not spilled for the others' sake.
 */
SEC("xdp")
int spillway_all(struct xdp_md *ctx)
{
	const __u8 *data = (const __u8 *)(long)ctx->data;
	const __u8 *data_end = (const __u8 *)(long)ctx->data_end;
	struct match_env env = { .ctx = ctx };
	const struct image *image;
	struct scratch *scratch;
	struct match *match;
	struct pkt *pkt;
	__u32 zero = 0;

	if (!begin(&env, &image))
		return XDP_PASS;
	scratch = bpf_map_lookup_elem(&scratches, &zero);
	if (!scratch)
		return XDP_PASS; /* never: the map has one entry */
	pkt = &scratch->pkt;
	match = &scratch->match;
	parse_frame(data, data_end, pkt);
	lookup_key_init(pkt, &scratch->state.key);
	match_run_in(&scratch->state, &env, image, pkt, 1, match);
	if (match->ask_user || (match->diverted && match->action == ACTION_PASS))
		return divert(&env, image, match, pkt);
	if (match->condition != CONDITION_NONE)
		return end_unread(&env, match, pkt->frame_len);
	return end_decided(&env, match->action, pkt->frame_len);
}

SEC("xdp")
int spillway_xdp(struct xdp_md *ctx)
{
	const __u8 *data = (const __u8 *)(long)ctx->data;
	const __u8 *data_end = (const __u8 *)(long)ctx->data_end;
	struct match_env env = { .ctx = ctx };
	const struct image *image;
	struct pkt plain; /* never in memory: only what the few questions of quick_run() need is read */
	__u32 action;

	if (!begin(&env, &image))
		return XDP_PASS;
	if (image->n_words == 1 && parse_plain(data, data_end, &plain)) {
		action = quick_run(&env, image, &plain);
		if (action)
			return end_decided(&env, action, plain.frame_len);
	}
	bpf_tail_call_static(ctx, &programs, 0);
	return XDP_PASS; /* never: the slot is filled before this is attached */
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
