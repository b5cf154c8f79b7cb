/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Captures to frames: link types, what the snap length cut, and files that are none. Every capture is written by the test.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <pcap/pcap.h>

#include "port/capture.h"

#define CASE_MAX 128 /* bytes of a hand-made packet */

static char path[] = "/tmp/spillway-capture-XXXXXX";

struct packet {
	uint8_t bytes[CASE_MAX];
	uint32_t captured, wire;
};

static void write_capture(int link_type, unsigned precision, const struct packet *packets, unsigned n)
{
	pcap_t *pcap = pcap_open_dead_with_tstamp_precision(link_type, 65535, precision);
	pcap_dumper_t *dumper = pcap_dump_open(pcap, path);

	assert_non_null(dumper);
	for (unsigned i = 0; i < n; i++) {
		struct pcap_pkthdr header = { .caplen = packets[i].captured, .len = packets[i].wire };

		pcap_dump((u_char *)dumper, &header, packets[i].bytes);
	}
	pcap_dump_close(dumper);
	pcap_close(pcap);
}

static void write_bytes(const void *bytes, size_t len)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	fclose(file);
}

/* The only packet of the capture at `path`; its bytes are in ret_bytes. */
static struct capture_frame only_frame(uint8_t *ret_bytes, size_t size)
{
	struct capture *capture = NULL;
	struct capture_frame frame, more;
	char message[256] = "";

	assert_int_equal(capture_open(path, &capture, message, sizeof(message)), 0);
	assert_int_equal(capture_next(capture, &frame, message, sizeof(message)), 1);
	assert_true(frame.len <= size);
	memcpy(ret_bytes, frame.data, frame.len);
	assert_int_equal(capture_next(capture, &more, message, sizeof(message)), 0);
	capture_close(capture);
	return frame;
}

static void put16(uint8_t *to, unsigned value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

/* IPv4 or IPv6 with a UDP or TCP header behind it, all of it `len` bytes long. */
static void put_ip(uint8_t *ip, int family, uint8_t proto, uint32_t len)
{
	uint8_t *l4 = ip + (family == 4 ? 20 : 40);

	ip[0] = family == 4 ? 0x45 : 0x60;
	put16(ip + (family == 4 ? 2 : 4), family == 4 ? len : len - 40);
	ip[family == 4 ? 9 : 6] = proto;
	put16(l4, 1000);
	put16(l4 + 2, 53);
	if (proto == 6)
		l4[12] = 0x50;
}

/* An Ethernet frame of `wire` bytes, of which the capture has `captured`. */
static struct packet ether_packet(int family, uint8_t proto, bool vlan, uint32_t captured, uint32_t wire)
{
	struct packet packet = { .captured = captured, .wire = wire };
	uint32_t off = vlan ? 18 : 14;

	memset(packet.bytes, 0xee, sizeof(packet.bytes)); /* what is not captured must not be seen */
	memset(packet.bytes, 0, off + 60);
	if (vlan)
		put16(packet.bytes + 12, 0x8100);
	put16(packet.bytes + off - 2, family == 4 ? 0x0800 : 0x86dd);
	put_ip(packet.bytes + off, family, proto, wire - off);
	return packet;
}

static void test_whole(void **state)
{
	uint8_t bytes[CASE_MAX];

	(void)state;
	for (unsigned precision = 0; precision < 2; precision++) {
		struct packet packet = ether_packet(4, 17, false, 60, 60);
		struct capture_frame frame;

		write_capture(DLT_EN10MB, precision ? PCAP_TSTAMP_PRECISION_NANO : PCAP_TSTAMP_PRECISION_MICRO, &packet, 1);
		frame = only_frame(bytes, sizeof(bytes));
		assert_int_equal(frame.len, 60);
		assert_int_equal(frame.captured, 60);
		assert_memory_equal(bytes, packet.bytes, 60);
	}
}

static void test_cut(void **state)
{
	static const struct {
		const char *what;
		int family;
		uint8_t proto;
		bool vlan;
		uint32_t captured;
		bool filled;
	} cases[] = {
		{ "v4, all headers", 4, 17, false, 14 + 20 + 8, true },
		{ "v4, all headers and some data", 4, 17, false, 60, true },
		{ "v4, tag", 4, 17, true, 18 + 20 + 8, true },
		{ "v4, within the UDP header", 4, 17, false, 14 + 20 + 4, false },
		{ "v4, before the ports", 4, 17, false, 14 + 20, false },
		{ "v4, within the address", 4, 17, false, 14 + 14, false },
		{ "v4, within the EtherType", 4, 17, false, 13, false },
		{ "v4, within the tag", 4, 17, true, 15, false },
		{ "v4, TCP, all headers", 4, 6, false, 14 + 20 + 20, true },
		{ "v4, TCP, before the header length", 4, 6, false, 14 + 20 + 12, false },
		{ "v4, GRE is not read further", 4, 47, false, 14 + 20, true },
		{ "v6, all headers", 6, 17, false, 14 + 40 + 8, true },
		{ "v6, tag", 6, 17, true, 18 + 40 + 8, true },
		{ "v6, within the UDP header", 6, 17, false, 14 + 40 + 4, false },
		{ "v6, within the address", 6, 17, false, 14 + 30, false },
		{ "v6, before an extension header", 6, 60, false, 14 + 40, false },
		{ "v6, TCP, all headers", 6, 6, false, 14 + 40 + 20, true },
	};
	static uint8_t bytes[2000], zeros[2000];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t captured = cases[i].captured;
		struct packet packet = ether_packet(cases[i].family, cases[i].proto, cases[i].vlan, captured, 1514);
		struct capture_frame frame;

		write_capture(DLT_EN10MB, PCAP_TSTAMP_PRECISION_MICRO, &packet, 1);
		frame = only_frame(bytes, sizeof(bytes));
		if (frame.len != (cases[i].filled ? 1514 : captured))
			fail_msg("%s: %u bytes", cases[i].what, frame.len);
		assert_int_equal(frame.captured, captured);
		assert_int_equal(frame.wire_len, 1514);
		assert_memory_equal(bytes, packet.bytes, captured);
		assert_memory_equal(bytes + captured, zeros, frame.len - captured);
	}
}

/* A length that no frame has is not believed. */
static void test_absurd_length(void **state)
{
	struct packet packet = ether_packet(4, 17, false, 60, 60);
	uint8_t bytes[CASE_MAX];
	struct capture_frame frame;

	(void)state;
	packet.wire = 0xfffffff0;
	write_capture(DLT_EN10MB, PCAP_TSTAMP_PRECISION_MICRO, &packet, 1);
	frame = only_frame(bytes, sizeof(bytes));
	assert_int_equal(frame.len, 60);
	assert_int_equal(frame.wire_len, 60);
}

static void test_link_types(void **state)
{
	static const struct {
		const char *what;
		int link_type, family;
		uint32_t header_len, type_at;
		uint16_t ether_type;
	} cases[] = {
		{ "raw v4", DLT_RAW, 4, 0, 0, 0x0800 },
		{ "raw v6", DLT_RAW, 6, 0, 0, 0x86dd },
		{ "v4", DLT_IPV4, 4, 0, 0, 0x0800 },
		{ "v6", DLT_IPV6, 6, 0, 0, 0x86dd },
		{ "cooked v4", DLT_LINUX_SLL, 4, 16, 14, 0x0800 },
		{ "cooked v6", DLT_LINUX_SLL, 6, 16, 14, 0x86dd },
		{ "cooked 2 v4", DLT_LINUX_SLL2, 4, 20, 0, 0x0800 },
		{ "cooked 2 v6", DLT_LINUX_SLL2, 6, 20, 0, 0x86dd },
	};
	uint8_t bytes[CASE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t header_len = cases[i].header_len, len = header_len + 60;
		struct packet packet = { .captured = len, .wire = len };
		struct capture_frame frame;

		if (header_len)
			put16(packet.bytes + cases[i].type_at, cases[i].ether_type);
		put_ip(packet.bytes + header_len, cases[i].family, 17, 60);
		write_capture(cases[i].link_type, PCAP_TSTAMP_PRECISION_MICRO, &packet, 1);
		frame = only_frame(bytes, sizeof(bytes));
		if (frame.len != 74 || bytes[12] << 8 != (cases[i].ether_type & 0xff00) ||
		    bytes[13] != (cases[i].ether_type & 0xff) || memcmp(bytes + 14, packet.bytes + header_len, 60) != 0)
			fail_msg("%s: %u bytes, EtherType %02x%02x", cases[i].what, frame.len, bytes[12], bytes[13]);
		assert_int_equal(frame.wire_len, 74);
	}
}

/* Packets too short for the header that their link type has. */
static void test_link_types_short(void **state)
{
	static const int link_types[] = { DLT_EN10MB, DLT_RAW, DLT_IPV4, DLT_LINUX_SLL, DLT_LINUX_SLL2 };
	uint8_t bytes[CASE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(link_types) / sizeof(link_types[0]); i++) {
		for (uint32_t len = 0; len < 20; len++) {
			struct packet packet = { .captured = len, .wire = len };

			write_capture(link_types[i], PCAP_TSTAMP_PRECISION_MICRO, &packet, 1);
			assert_true(only_frame(bytes, sizeof(bytes)).len <= 14 + len);
		}
	}
}

static void test_pcapng(void **state)
{
	uint8_t bytes[CASE_MAX];
	const struct {
		uint32_t type, len, magic, version, section[2], len_again;
		uint32_t if_type, if_len, link_type, snaplen, if_len_again;
		uint32_t packet_type, packet_len, interface, time[2], captured, wire;
		uint8_t data[60];
		uint32_t packet_len_again;
	} file = {
		.type = 0x0a0d0d0a,
		.len = 28,
		.magic = 0x1a2b3c4d,
		.version = 1,
		.section = { 0xffffffff, 0xffffffff },
		.len_again = 28,
		.if_type = 1,
		.if_len = 20,
		.link_type = DLT_EN10MB,
		.if_len_again = 20,
		.packet_type = 6,
		.packet_len = 92,
		.captured = 60,
		.wire = 60,
		.data = { 1, 2, 3 },
		.packet_len_again = 92,
	};

	(void)state;
	write_bytes(&file, sizeof(file));
	assert_int_equal(only_frame(bytes, sizeof(bytes)).len, 60);
	assert_memory_equal(bytes, file.data, 60);
}

static void assert_refused(int code, const char *part)
{
	struct capture *capture = NULL;
	char message[512] = "";

	assert_int_equal(capture_open(path, &capture, message, sizeof(message)), code);
	assert_null(capture);
	if (!strstr(message, part) || strchr(message, '\n'))
		fail_msg("not one line with \"%s\": %s", part, message);
}

static void test_refused(void **state)
{
	struct packet packet = { .captured = 60, .wire = 60 };

	(void)state;
	write_capture(DLT_IEEE802_11, PCAP_TSTAMP_PRECISION_MICRO, &packet, 1);
	assert_refused(-EPROTONOSUPPORT, "IEEE802_11");
	write_bytes("\x1f\x8b\x08\0\0\0\0\0", 8);
	assert_refused(-EINVAL, "`gzip -dc FILE");
	write_bytes("\xfd"
		    "7zXZ\0",
		    6);
	assert_refused(-EINVAL, "`xz -dc FILE");
	write_bytes("\x28\xb5\x2f\xfd", 4);
	assert_refused(-EINVAL, "`zstd -dc FILE");
	write_bytes("drop udp\n", 9);
	assert_refused(-EINVAL, "no capture file");
	write_bytes("", 0);
	assert_refused(-EINVAL, "no capture file");
	unlink(path);
	assert_refused(-ENOENT, path);
}

static void test_breaks_off(void **state)
{
	struct packet packets[2] = { ether_packet(4, 17, false, 60, 60), ether_packet(6, 17, false, 80, 80) };
	struct capture *capture = NULL;
	struct capture_frame frame;
	char message[256] = "";

	(void)state;
	write_capture(DLT_EN10MB, PCAP_TSTAMP_PRECISION_MICRO, packets, 2);
	assert_int_equal(truncate(path, 24 + 16 + 60 + 16 + 79), 0);
	assert_int_equal(capture_open(path, &capture, message, sizeof(message)), 0);
	assert_int_equal(capture_next(capture, &frame, message, sizeof(message)), 1);
	assert_int_equal(frame.len, 60);
	assert_int_equal(capture_next(capture, &frame, message, sizeof(message)), -EIO);
	assert_non_null(strstr(message, "breaks off"));
	capture_close(capture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_absurd_length),
		cmocka_unit_test(test_link_types),
		cmocka_unit_test(test_link_types_short),
		cmocka_unit_test(test_pcapng),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_breaks_off),
	};
	int file = mkstemp(path), r;

	if (file < 0)
		return 1;
	close(file);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return r;
}
