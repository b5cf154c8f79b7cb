/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keys_lanes.h - keys of IPv4 packets, LANES of them in a register. Included by keys_simd.c once for each instruction set, with the
 * few operations that differ; v_gather() takes distances in bytes.
 */

/* Four bytes at `offset` of each packet. */
ISA static inline lanes v_field(const struct pkt *pkts, size_t offset)
{
	return v_gather((const char *)pkts + offset, v_mul(v_count(), sizeof(*pkts)));
}

/* An entry that leads nowhere stays. */
ISA static inline lanes v_step(const uint32_t *tables, lanes entries, lanes index)
{
	lanes at = v_add(v_and(entries, INT32_MAX), index);

	return v_gather_signed(entries, tables, v_shift_left(at, 2));
}

ISA static inline lanes v_class(const struct keys *keys, unsigned side, lanes address)
{
	lanes at = v_add(v_shift_right(address, 24), v_all(keys->table_roots[side]));
	lanes entries = v_gather(keys->tables, v_shift_left(at, 2));

	entries = v_step(keys->tables, entries, v_and(v_shift_right(address, 16), 255));
	entries = v_step(keys->tables, entries, v_and(v_shift_right(address, 8), 255));
	entries = v_step(keys->tables, entries, v_and(v_shift_right(address, 4), 15));
	return v_step(keys->tables, entries, v_and(address, 15));
}

ISA static inline lanes v_port_class(const struct keys *keys, unsigned side, lanes port)
{
	lanes page;

	if (keys->n_port_classes[side] == 1)
		return v_all(0);
	page = v_and(v_gather(keys->ports[side], v_shift_left(v_shift_right(port, 8), 1)), 0xffff);
	return v_and(v_gather(keys->pages, v_shift_left(v_add(v_shift_left(page, 8), v_and(port, 255)), 1)), 0xffff);
}

/* Returns of how many packets from the first on, whole registers only: from there on one is not IPv4. */
ISA static size_t v_find4(const struct keys *keys, const struct pkt *pkts, size_t n, uint64_t *ret_keys)
{
	uint32_t src[LANES], dst[LANES], ports[2][LANES], protos[LANES];
	size_t at;

	for (at = 0; at + LANES <= n; at += LANES) {
		lanes who = v_field(&pkts[at], offsetof(struct pkt, family)), port, has_ports, proto;

		if (!v_all_equal(v_and(who, 0xff), FAMILY_IP4))
			return at;
		v_store(src, v_class(keys, 0, v_swap(v_field(&pkts[at], offsetof(struct pkt, src)))));
		v_store(dst, v_class(keys, 1, v_swap(v_field(&pkts[at], offsetof(struct pkt, dst)))));
		if (keys->by_ports) {
			port = v_field(&pkts[at], offsetof(struct pkt, src_port));
			has_ports = v_and(v_field(&pkts[at], offsetof(struct pkt, has_ports)), 1);
			proto = v_add(v_shift_left(v_add(has_ports, v_all(2)), 8), v_and(v_shift_right(who, 8), 255));
			v_store(ports[0], v_port_class(keys, 0, v_and(port, 0xffff)));
			v_store(ports[1], v_port_class(keys, 1, v_shift_right(port, 16)));
			v_store(protos, v_and(v_gather(keys->protos, v_shift_left(proto, 1)), 0xffff));
		}
		for (size_t i = 0; i < LANES; i++) {
			uint64_t key = src[i] | (uint64_t)dst[i] << keys->dst_shift;

			if (keys->by_ports)
				key |= (uint64_t)protos[i] << keys->shifts[0] | (uint64_t)ports[0][i] << keys->shifts[1] |
				       (uint64_t)ports[1][i] << keys->shifts[2];
			ret_keys[at + i] = key;
			__builtin_prefetch(keys_line(keys, key), 1);
		}
	}
	return at;
}
