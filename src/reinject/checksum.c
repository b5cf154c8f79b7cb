/* SPDX-License-Identifier: BSD-2-Clause */
#include "reinject/checksum.h"

#include <arpa/inet.h>
#include <string.h>

/* One's complement sum of big-endian 16-bit words, not folded (RFC 1071). An odd last byte counts as its high half. */
static uint64_t sum_words(const uint8_t *at, uint32_t len, uint64_t sum)
{
	uint32_t word;

	for (; len >= 4; at += 4, len -= 4) {
		memcpy(&word, at, 4);
		sum += ntohl(word);
	}
	if (len & 2) {
		sum += (uint64_t)load_be16(at) << 16;
		at += 2;
	}
	if (len & 1)
		sum += (uint64_t)at[0] << ((len & 2) ? 8 : 24);
	return sum;
}

static uint16_t sum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

int checksum_complete(uint8_t *data, const struct pkt *pkt)
{
	uint32_t len = (uint32_t)pkt->l3_end - pkt->l4_off;
	uint32_t address_bytes = pkt->family == FAMILY_IP6 ? 16 : 4;
	uint8_t *field;
	uint64_t pseudo;
	uint16_t sum;

	if (!pkt->l4_off || !pkt->payload_off || pkt->condition != CONDITION_NONE || !(pkt->frag & FRAG_NONE))
		return 0; /* the checksum of a fragment covers bytes that are elsewhere */
	if (pkt->l4_proto == PROTO_UDP && load_be16(data + pkt->l4_off + 4) == len)
		field = data + pkt->l4_off + 6;
	else if (pkt->l4_proto == PROTO_TCP)
		field = data + pkt->l4_off + 16;
	else
		return 0;

	pseudo = (uint64_t)pkt->l4_proto + len;
	pseudo = sum_words((const uint8_t *)pkt->src, address_bytes, pseudo);
	pseudo = sum_words((const uint8_t *)pkt->dst, address_bytes, pseudo);
	if (load_be16(field) != sum_fold(pseudo))
		return 0;
	/* Over the whole segment, field included, a valid checksum gives all ones. */
	if (sum_fold(sum_words(data + pkt->l4_off, len, pseudo)) == 0xffff)
		return 0;
	field[0] = field[1] = 0;
	sum = (uint16_t)~sum_fold(sum_words(data + pkt->l4_off, len, pseudo));
	if (!sum && pkt->l4_proto == PROTO_UDP)
		sum = 0xffff; /* zero means "no checksum" in UDP (RFC 768) */
	field[0] = (uint8_t)(sum >> 8);
	field[1] = (uint8_t)sum;
	return 1;
}
