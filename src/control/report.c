/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.c - an armed interface in JSON: `status` and `rules`. Reads counters that others write; changes nothing.
 */
#include "control/guard.h"

#include <time.h>

#include "control/guard_inside.h"

static const struct {
	const char *name;
	bool user;
} verdict_info[VERDICT_COUNT] = {
#define VERDICT_INFO(name, text, tier, what) [VERDICT_##name] = { text, tier[0] == 'u' },
	VERDICT_LIST(VERDICT_INFO)
#undef VERDICT_INFO
};

static json_t *hits_json(const struct hits *hits)
{
	return json_pack("{sI sI}", "packets", (json_int_t)hits->packets, "bytes", (json_int_t)hits->bytes);
}

/* Each verdict belongs to one tier; its counter is there. */
static void verdicts_read(struct guard *guard, struct hits ret_hits[VERDICT_COUNT])
{
	xdp_verdicts(guard->xdp, ret_hits);
	for (int i = 0; i < VERDICT_COUNT; i++) {
		if (verdict_info[i].user)
			ret_hits[i] = guard->path.tally.verdicts[i];
	}
	ret_hits[VERDICT_BAD_DESCRIPTOR] = (struct hits){ 0 };
	for (uint32_t i = 0; i < guard->path.n_ports; i++) {
		struct port_stats stats;

		port_stats(guard->path.ports[i], &stats);
		ret_hits[VERDICT_BAD_DESCRIPTOR].packets += stats.bad_descriptor;
	}
}

static json_t *verdicts_json(const struct hits hits[VERDICT_COUNT])
{
	json_t *verdicts = json_object();

	for (int i = 0; i < VERDICT_COUNT; i++)
		json_object_set_new(verdicts, verdict_info[i].name, hits_json(&hits[i]));
	return verdicts;
}

static struct port *port_on(const struct guard *guard, uint32_t queue)
{
	for (uint32_t i = 0; i < guard->path.n_ports; i++) {
		if (port_queue(guard->path.ports[i]) == queue)
			return guard->path.ports[i];
	}
	return NULL;
}

static json_t *queue_json(struct guard *guard, uint32_t queue)
{
	const struct queue_cell *cell = &xdp_cells(guard->xdp)->queues[queue];
	struct port *port = port_on(guard, queue);
	struct port_stats stats = { 0 };
	int64_t backlog = 0;

	if (port) {
		port_stats(port, &stats);
		backlog = (int64_t)(__atomic_load_n(&cell->sent, __ATOMIC_RELAXED) -
				    __atomic_load_n(&cell->done, __ATOMIC_RELAXED));
	}
	return json_pack("{si sb sI sI sI sI sI}", "queue", (int)queue, "port", port != NULL, "received",
			 (json_int_t)stats.received, "ring_full", (json_int_t)stats.ring_full, "fill_empty",
			 (json_int_t)stats.fill_empty, "dropped", (json_int_t)stats.dropped, "backlog",
			 (json_int_t)(backlog > 0 ? backlog : 0));
}

static json_t *queues_json(struct guard *guard)
{
	json_t *queues = json_array();

	for (uint32_t i = 0; i < guard->facts.n_queues && i < CELL_QUEUES_MAX; i++)
		json_array_append_new(queues, queue_json(guard, i));
	return queues;
}

static json_t *worker_json(struct guard *guard)
{
	struct timespec now;
	int64_t age_ns;

	if (!guard->worker_running)
		return json_pack("{sb ss}", "alive", 0, "reason", "no rule diverts: no worker is needed");
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	age_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec -
		 (int64_t)__atomic_load_n(&xdp_cells(guard->xdp)->beat_ns, __ATOMIC_RELAXED);
	return json_pack("{sb so* sI sI}", "alive", age_ns < (int64_t)xdp_cells(guard->xdp)->patience_ns, "cpu",
			 guard->config.cpu < 0 ? NULL : json_integer(guard->config.cpu), "beat_age_ms",
			 (json_int_t)(age_ns > 0 ? age_ns / 1000000 : 0), "turns", (json_int_t)atomic_load(&guard->path.turns));
}

static const char *copy_reason(const struct guard *guard, bool zero_copy)
{
	if (!guard->path.n_ports)
		return "no rule diverts: no port is open";
	if (zero_copy)
		return "the driver has AF_XDP zero-copy";
	if (!guard->native)
		return "generic XDP always copies";
	return guard->plan.copy_only ? "queues the kernel keeps using stay out of zero-copy"
				     : "the driver has no AF_XDP zero-copy";
}

json_t *guard_status(struct guard *guard)
{
	bool zero_copy = guard->path.n_ports && port_zero_copy(guard->path.ports[0]);
	struct hits hits[VERDICT_COUNT];
	struct timespec now;
	json_t *status;

	verdicts_read(guard, hits);
	clock_gettime(CLOCK_MONOTONIC, &now);
	status = json_pack("{ss si ss sb ss ss ss ss ss ss si sI so}", "ifname", guard->facts.ifname, "ifindex",
			   (int)guard->facts.ifindex, "driver", guard->facts.driver, "attached", xdp_attached(guard->xdp), "mode",
			   guard->native ? "native" : "generic", "mode_reason", guard->mode_reason, "copy",
			   zero_copy ? "zero-copy" : "copy", "copy_reason", copy_reason(guard, zero_copy), "steering",
			   steer_rung_text(guard->plan.rung), "steering_reason", guard->plan.reason, "generation",
			   (int)guard->generation, "armed_s", (json_int_t)(now.tv_sec - guard->armed_at.tv_sec), "worker",
			   worker_json(guard));
	if (!status)
		return NULL;
	json_object_set_new(status, "queues", queues_json(guard));
	json_object_set_new(status, "verdicts", verdicts_json(hits));
	json_object_set_new(status, "samples", samples_json(guard));
	json_object_set_new(status, "diverted", json_integer((json_int_t)hits[VERDICT_DIVERT].packets));
	json_object_set_new(status, "reinjected", json_integer((json_int_t)hits[VERDICT_USER_PASS].packets));
	json_object_set_new(status, "reinject_failed", json_integer((json_int_t)hits[VERDICT_REINJECT_FAILED].packets));
	json_object_set_new(status, "reinject",
			    guard->path.reinject ? json_pack("{ss ss ss}", "kind", reinject_text(guard->path.reinject),
							     "kind_reason", reinject_reason(guard->path.reinject), "device",
							     reinject_device(guard->path.reinject))
						 : json_null());
	return status;
}

json_t *guard_rules(struct guard *guard)
{
	static const char *const tiers[] = { [TIER_NIC] = "nic", [TIER_XDP] = "xdp", [TIER_USER] = "user" };
	json_t *rules = json_array();

	for (size_t i = 0; i < guard->rows->n; i++) {
		const struct row *row = &guard->rows->rows[i];
		const struct hits *user = &guard->path.tally.rules[row->counter];
		struct hits hits;

		xdp_rule_hits(guard->xdp, row->counter, &hits);
		json_array_append_new(rules, json_pack("{si ss* ss ss ss sI sI}", "line", (int)row->line, "name", row->name,
						       "text", row->text, "tier", tiers[row->tier], "reason", row->reason,
						       "packets", (json_int_t)(hits.packets + user->packets), "bytes",
						       (json_int_t)(hits.bytes + user->bytes)));
	}
	return rules;
}
