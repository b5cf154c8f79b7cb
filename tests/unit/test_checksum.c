/* SPDX-License-Identifier: BSD-2-Clause */
/* checksum.c: half-made checksums are finished, everything else stays as it is, bit for bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reinject/checksum.h"

enum { PAYLOAD_MAX = 1400, FRAME_MAX = 14 + 40 + 20 + PAYLOAD_MAX };

/* The Internet checksum's sum, the slow and plain way (RFC 1071). */
static uint32_t sum_plain(const uint8_t *at, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += (uint32_t)at[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

struct sample {
	uint8_t data[FRAME_MAX];
	uint32_t len;
	uint8_t *field;	 /* the checksum */
	uint16_t pseudo; /* sum of the pseudo-header */
	uint16_t valid;	 /* what belongs into the field */
};

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void sample_make(struct sample *sample, int family, uint8_t proto, uint32_t payload)
{
	uint32_t l4_len = (proto == PROTO_TCP ? 20 : 8) + payload;
	uint8_t *ip = sample->data + 14, *l4 = ip + (family == 4 ? 20 : 40);
	uint32_t sum;

	for (size_t i = 0; i < sizeof(sample->data); i++)
		sample->data[i] = (uint8_t)rand();
	sample->len = (uint32_t)(l4 - sample->data) + l4_len;
	if (family == 4) {
		put16(sample->data + 12, ETH_TYPE_IP4);
		ip[0] = 0x45;
		put16(ip + 2, 20 + l4_len);
		put16(ip + 6, 0);
		ip[9] = proto;
		sum = sum_plain(ip + 12, 8, proto + l4_len);
	} else {
		put16(sample->data + 12, ETH_TYPE_IP6);
		ip[0] = 0x60;
		put16(ip + 4, l4_len);
		ip[6] = proto;
		sum = sum_plain(ip + 8, 32, proto + l4_len);
	}
	if (proto == PROTO_TCP)
		l4[12] = 0x50;
	else
		put16(l4 + 4, l4_len);
	sample->field = l4 + (proto == PROTO_TCP ? 16 : 6);
	sample->pseudo = (uint16_t)sum;
	put16(sample->field, 0);
	sample->valid = (uint16_t)~sum_plain(l4, l4_len, sum);
	if (!sample->valid && proto == PROTO_UDP)
		sample->valid = 0xffff;
}

static int complete(struct sample *sample)
{
	struct pkt pkt;

	parse_frame(sample->data, sample->data + sample->len, &pkt);
	assert_int_equal(pkt.condition, CONDITION_NONE);
	return checksum_complete(sample->data, &pkt);
}

static void each_sample(void (*check)(struct sample *sample))
{
	static const uint8_t protos[] = { PROTO_TCP, PROTO_UDP };
	static struct sample sample;

	for (uint32_t payload = 0; payload <= PAYLOAD_MAX; payload += payload < 40 ? 1 : 97) {
		for (int i = 0; i < 4; i++) {
			sample_make(&sample, i < 2 ? 4 : 6, protos[i % 2], payload);
			check(&sample);
		}
	}
}

static void check_partial(struct sample *sample)
{
	if (sample->pseudo == sample->valid)
		return;
	put16(sample->field, sample->pseudo);
	assert_int_equal(complete(sample), 1);
	assert_int_equal(load_be16(sample->field), sample->valid);
	assert_int_equal(complete(sample), 0); /* and once is enough */
}

static void check_left_alone(struct sample *sample)
{
	const uint32_t values[] = { sample->valid, sample->valid ^ 0x0100u, sample->valid ^ 1u };
	uint8_t before[FRAME_MAX];

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (values[i] == sample->pseudo)
			continue;
		put16(sample->field, values[i]);
		memcpy(before, sample->data, sizeof(before));
		assert_int_equal(complete(sample), 0);
		assert_memory_equal(before, sample->data, sizeof(before));
	}
}

static void test_partial(void **state)
{
	(void)state;
	each_sample(check_partial);
}

static void test_valid_and_corrupt(void **state)
{
	(void)state;
	each_sample(check_left_alone);
}

/* The checksum of a first fragment covers bytes that are not there. */
static void test_fragment(void **state)
{
	static struct sample sample;

	(void)state;
	sample_make(&sample, 4, PROTO_UDP, 64);
	put16(sample.data + 14 + 6, 0x2000);
	put16(sample.field, sample.pseudo);
	assert_int_equal(complete(&sample), 0);
	assert_int_equal(load_be16(sample.field), sample.pseudo);
}

/* Ethernet padding behind a short packet is not part of it. */
static void test_padding(void **state)
{
	static struct sample sample;

	(void)state;
	sample_make(&sample, 4, PROTO_UDP, 5);
	put16(sample.field, sample.pseudo);
	sample.len = 60;
	assert_int_equal(complete(&sample), 1);
	assert_int_equal(load_be16(sample.field), sample.valid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_partial),
		cmocka_unit_test(test_valid_and_corrupt),
		cmocka_unit_test(test_fragment),
		cmocka_unit_test(test_padding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
