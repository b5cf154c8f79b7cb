/* SPDX-License-Identifier: BSD-2-Clause */
/* Samples: the user tier's ring, which never waits, and a record as JSON, as a line, and in a capture. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "sample/ring.h"
#include "sample/show.h"

static const struct image_rule rule = { .action = ACTION_SAMPLE, .counter = 7, .line = 3, .sample_n = 1 };

/* Ethernet, IPv4, UDP 192.0.2.1:1000 > 192.0.2.2:53 with no payload, and padding. */
static const uint8_t udp4[60] = { 2, 0, 0,  0,	0xb, 0, 2,   0, 0, 0, 0xa, 0, 8, 0, 0x45, 0,	0, 28, 0, 1,
				  0, 0, 64, 17, 0,   0, 192, 0, 2, 1, 192, 0, 2, 2, 3,	  0xe8, 0, 53, 0, 8 };
/* Behind VLAN tag 5: IPv6, TCP [2001:db8::1]:1000 > [2001:db8::2]:443, header only. */
static const uint8_t tcp6[78] = { 2,	0, 0, 0, 0xb, 0,    2,	  0,	0,    0,    0xa, 0,    0x81, 0, 0, 5, 0x86, 0xdd,
				  0x60, 0, 0, 0, 0,   20,   6,	  64,	0x20, 1,    0xd, 0xb8, 0,    0, 0, 0, 0,    0,
				  0,	0, 0, 0, 0,   1,    0x20, 1,	0xd,  0xb8, 0,	 0,    0,    0, 0, 0, 0,    0,
				  0,	0, 0, 2, 3,   0xe8, 1,	  0xbb, 0,    0,    0,	 0,    0,    0, 0, 0, 0x50, 2 };
static const uint8_t arp[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0xa, 0, 8, 6 };

static void test_ring(void **state)
{
	struct sample_ring *ring = calloc(1, sizeof(*ring));
	uint8_t frame[600];

	(void)state;
	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)i;
	ring->queue = 5;
	assert_null(sample_ring_peek(ring));
	/* Around it several times, with each number of records waiting. */
	for (unsigned round = 0; round < 3 * SAMPLE_RING_RECORDS; round += 100) {
		for (uint32_t i = 0; i < 100; i++)
			sample_ring_put(ring, &rule, round + i, frame, 200 + i);
		for (uint32_t i = 0; i < 100; i++) {
			const struct sample *sample = sample_ring_peek(ring);

			assert_non_null(sample);
			assert_int_equal(sample->rule, round + i);
			assert_int_equal(sample->counter, 7);
			assert_int_equal(sample->line, 3);
			assert_int_equal(sample->queue, 5);
			assert_int_equal(sample->user_tier, 1);
			assert_int_equal(sample->frame_len, 200 + i);
			assert_int_equal(sample->captured, 200 + i < SAMPLE_BYTES ? 200 + i : SAMPLE_BYTES);
			assert_memory_equal(sample->data, frame, sample->captured);
			sample_ring_release(ring);
		}
	}
	assert_int_equal(ring->lost, 0);
	for (uint32_t i = 0; i < SAMPLE_RING_RECORDS + 10; i++)
		sample_ring_put(ring, &rule, i, frame, 60);
	assert_int_equal(ring->lost, 10);
	assert_int_equal(sample_ring_peek(ring)->rule, 0); /* the oldest are kept */
	free(ring);
}

static struct sample sample_of(const uint8_t *frame, uint32_t len)
{
	struct sample sample = { .time_ns = 5000000123u, .line = 3, .frame_len = len, .queue = 2 };

	sample.captured = len < SAMPLE_BYTES ? len : SAMPLE_BYTES;
	memcpy(sample.data, frame, sample.captured);
	return sample;
}

/* Through JSON, as a watcher gets it. The caller releases *ret_json, which the view's strings are in. */
static struct sample_view view_of(const struct sample *sample, const char *name, json_t **ret_json)
{
	struct sample_view view;

	*ret_json = sample_json(sample, 1000000000, name);
	assert_non_null(*ret_json);
	assert_int_equal(sample_view_read(json_object_get(*ret_json, "sample"), &view), 0);
	assert_int_equal(view.time_ns, 6000000123u);
	assert_int_equal(view.line, 3);
	assert_int_equal(view.queue, 2);
	assert_int_equal(view.frame_len, sample->frame_len);
	assert_int_equal(view.captured, sample->captured);
	assert_memory_equal(view.data, sample->data, sample->captured);
	return view;
}

static void test_line(void **state)
{
	static const struct {
		const uint8_t *frame;
		uint32_t len;
		const char *rule, *line;
	} cases[] = {
		{ udp4, 60, "flood", "00:00:06.000000123 udp 192.0.2.1:1000 > 192.0.2.2:53 len 60  flood\n" },
		{ tcp6, 78, "sample 1/9 tcp",
		  "00:00:06.000000123 vlan 5 tcp [2001:db8::1]:1000 > [2001:db8::2]:443 len 78  sample 1/9 tcp\n" },
		{ arp, 60, NULL,
		  "00:00:06.000000123 ethertype 0x0806 02:00:00:00:0a:00 > ff:ff:ff:ff:ff:ff len 60  line 3 of rules that were replaced\n" },
		{ arp, 14, "x", "00:00:06.000000123 ethertype 0x0806 02:00:00:00:0a:00 > ff:ff:ff:ff:ff:ff len 14  x\n" },
		{ arp, 0, "x", "00:00:06.000000123 ethertype 0x0000 00:00:00:00:00:00 > 00:00:00:00:00:00 len 0  x\n" },
	};

	(void)state;
	setenv("TZ", "UTC", 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sample sample = sample_of(cases[i].frame, cases[i].len);
		struct sample_view view;
		size_t size = 0;
		char *text = NULL;
		FILE *out;
		json_t *json;

		view = view_of(&sample, cases[i].rule, &json);
		out = open_memstream(&text, &size);
		sample_view_print(&view, out);
		fclose(out);
		assert_string_equal(text, cases[i].line);
		free(text);
		json_decref(json);
	}
}

static void test_json(void **state)
{
	struct sample sample = sample_of(udp4, sizeof(udp4));
	json_t *json, *shown;
	struct sample_view view = view_of(&sample, "na\"me", &json);

	(void)state;
	shown = sample_view_json(&view);
	assert_string_equal(json_string_value(json_object_get(shown, "rule")), "na\"me");
	assert_string_equal(json_string_value(json_object_get(shown, "tier")), "xdp");
	assert_string_equal(json_string_value(json_object_get(shown, "src")), "192.0.2.1");
	assert_string_equal(json_string_value(json_object_get(shown, "dst")), "192.0.2.2");
	assert_int_equal(json_integer_value(json_object_get(shown, "proto")), 17);
	assert_int_equal(json_integer_value(json_object_get(shown, "src_port")), 1000);
	assert_int_equal(json_integer_value(json_object_get(shown, "dst_port")), 53);
	assert_int_equal(strlen(json_string_value(json_object_get(shown, "data"))), 2 * sizeof(udp4));
	json_decref(shown);
	json_decref(json);
}

/* What a daemon of another version may say. */
static void test_json_wrong(void **state)
{
#define START "{\"time_ns\":1,\"line\":1,\"rule\":\"r\",\"tier\":\"xdp\",\"queue\":0,"
	static const char *const wrong[] = {
		"{}",
		START "\"len\":2}",
		START "\"len\":2,\"data\":\"abc\"}",
		START "\"len\":2,\"data\":\"zz\"}",
		START "\"len\":2,\"data\":\"AB\"}",
		START "\"len\":1,\"data\":\"abab\"}",
		START "\"len\":4294967296,\"data\":\"ab\"}",
		START "\"len\":-1,\"data\":\"\"}",
	};
#undef START
	struct sample_view view;
	char *hex = calloc(1, 2 * SAMPLE_BYTES + 3);
	json_t *json;

	(void)state;
	assert_int_equal(sample_view_read(NULL, &view), -EPROTO);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		json = json_loads(wrong[i], 0, NULL);
		assert_non_null(json);
		assert_int_equal(sample_view_read(json, &view), -EPROTO);
		json_decref(json);
	}
	memset(hex, 'a', 2 * SAMPLE_BYTES + 2);
	json = json_pack("{si si ss si si ss}", "time_ns", 1, "line", 1, "tier", "xdp", "queue", 0, "len", 9999, "data", hex);
	assert_int_equal(sample_view_read(json, &view), -EPROTO);
	json_decref(json);
	free(hex);
}

/* libpcap reads what was written: bytes, both lengths, and nanoseconds. */
static void test_capture(void **state)
{
	uint8_t large[SAMPLE_BYTES + 100] = { 1, 2, 3 };
	struct sample samples[] = { sample_of(udp4, sizeof(udp4)), sample_of(large, sizeof(large)) };
	pcap_t *pcap = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, SAMPLE_BYTES, PCAP_TSTAMP_PRECISION_NANO);
	char path[] = "/tmp/test_sample.XXXXXX", error[PCAP_ERRBUF_SIZE];
	int fd = mkstemp(path);
	pcap_dumper_t *dumper = pcap_dump_fopen(pcap, fdopen(fd, "wb"));
	struct pcap_pkthdr *header;
	const u_char *data;

	(void)state;
	assert_non_null(dumper);
	for (unsigned i = 0; i < 2; i++) {
		json_t *json;
		struct sample_view view = view_of(&samples[i], "x", &json);

		sample_view_dump(&view, dumper);
		json_decref(json);
	}
	pcap_dump_close(dumper);
	pcap_close(pcap);

	pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, error);
	assert_non_null(pcap);
	assert_int_equal(pcap_snapshot(pcap), SAMPLE_BYTES);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pcap_next_ex(pcap, &header, &data), 1);
		assert_int_equal(header->ts.tv_sec, 6);
		assert_int_equal(header->ts.tv_usec, 123);
		assert_int_equal(header->len, samples[i].frame_len);
		assert_int_equal(header->caplen, samples[i].captured);
		assert_memory_equal(data, samples[i].data, header->caplen);
	}
	assert_int_equal(pcap_next_ex(pcap, &header, &data), PCAP_ERROR_BREAK);
	pcap_close(pcap);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring),	   cmocka_unit_test(test_line),	   cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_wrong), cmocka_unit_test(test_capture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
