/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * show.h - a sample outside the daemon: the line of JSON that a watcher gets, what people read, and a packet of a capture file.
 */
#ifndef SPILLWAY_SAMPLE_SHOW_H
#define SPILLWAY_SAMPLE_SHOW_H

#include <jansson.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sample/record.h"

/* One sample as a watcher sees it. Strings are borrowed from the JSON. */
struct sample_view {
	uint64_t time_ns; /* since 1970, UTC */
	const char *rule; /* name or text; NULL: an apply has replaced it meanwhile */
	const char *tier;
	unsigned line, queue;
	uint32_t frame_len, captured;
	uint8_t data[SAMPLE_BYTES];
};

/* {"sample":{...}}, new reference or NULL. `realtime_ns` is what has to be added to the record's time. `rule`: name or text, or NULL. */
json_t *sample_json(const struct sample *sample, int64_t realtime_ns, const char *rule);
/* The object behind "sample". 0, or -EPROTO. */
int sample_view_read(const json_t *json, struct sample_view *ret_view);

/* `TIME PROTO SOURCE > DESTINATION len N RULE`, one line in local time. */
void sample_view_print(const struct sample_view *view, FILE *out);
/* What was read, with the addresses, protocol and ports as members; new reference or NULL. */
json_t *sample_view_json(const struct sample_view *view);
/* Into a capture of nanosecond precision, snap length SAMPLE_BYTES (pcap_open_dead_with_tstamp_precision(3PCAP)). */
void sample_view_dump(const struct sample_view *view, pcap_dumper_t *dumper);

#endif
