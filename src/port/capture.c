/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/capture.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <pcap/sll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/refuse.h"
#include "classify/parse.h"

#define ETHER_LEN 14u
#define WIRE_LEN_MAX 65557u  /* an IP packet of 65,535 bytes behind two VLAN tags: what says more is not filled up */
#define CAPTURED_MAX 262144u /* libpcap's own bound */

struct capture {
	pcap_t *pcap;
	const char *shown;
	long long size; /* of the file, 0: a pipe */
	int link_type;
	uint8_t buffer[CAPTURED_MAX + ETHER_LEN];
};

/* What libpcap cannot read, told by its first byte: that one byte can be put back into a pipe. NULL: no known compression. */
static const char *compression(FILE *file)
{
	int first = getc(file);

	if (first == EOF)
		return NULL;
	ungetc(first, file);
	switch (first) {
	case 0x1f:
		return "gzip";
	case 0xfd:
		return "xz";
	case 0x28:
		return "zstd";
	case 'B':
		return "bzip2";
	default:
		return NULL;
	}
}

static int link_type_check(const struct capture *capture, char *ret_message, size_t size)
{
	const char *name = pcap_datalink_val_to_name(capture->link_type);

	switch (capture->link_type) {
	case DLT_EN10MB:
	case DLT_RAW:
	case DLT_IPV4:
	case DLT_IPV6:
	case DLT_LINUX_SLL:
	case DLT_LINUX_SLL2:
		return 0;
	default:
		return refuse(
			-EPROTONOSUPPORT, ret_message, size,
			"%s: link type %s (%d) has neither Ethernet frames nor IP packets: capture on an Ethernet interface",
			capture->shown, name ? name : "unknown", capture->link_type);
	}
}

/* Takes `file`. */
static int capture_start(struct capture *capture, FILE *file, char *ret_message, size_t size)
{
	char error[PCAP_ERRBUF_SIZE] = "";
	const char *packer = compression(file);
	struct stat st;

	if (packer) {
		fclose(file);
		return refuse(-EINVAL, ret_message, size, "%s is compressed: `%s -dc FILE | spillway test ... --pcap -`",
			      capture->shown, packer);
	}
	if (fstat(fileno(file), &st) == 0 && S_ISREG(st.st_mode))
		capture->size = st.st_size;
	capture->pcap = pcap_fopen_offline(file, error);
	if (!capture->pcap) {
		fclose(file);
		return refuse(-EINVAL, ret_message, size, "%s is no capture file (pcap or pcapng): %s", capture->shown, error);
	}
	capture->link_type = pcap_datalink(capture->pcap);
	return link_type_check(capture, ret_message, size);
}

int capture_open(const char *path, struct capture **ret_capture, char *ret_message, size_t size)
{
	bool piped = strcmp(path, "-") == 0;
	FILE *file = piped ? stdin : fopen(path, "rbe");
	struct capture *capture;
	int r;

	if (!file)
		return refuse(-errno, ret_message, size, "cannot open the capture %s: %s", path, strerror(errno));
	capture = calloc(1, sizeof(*capture));
	if (!capture) {
		fclose(file);
		return refuse(-ENOMEM, ret_message, size, "out of memory");
	}
	capture->shown = piped ? "standard input" : path;
	r = capture_start(capture, file, ret_message, size);
	if (r < 0) {
		capture_close(capture);
		return r;
	}
	*ret_capture = capture;
	return 0;
}

struct capture *capture_close(struct capture *capture)
{
	if (!capture)
		return NULL;
	if (capture->pcap)
		pcap_close(capture->pcap);
	free(capture);
	return NULL;
}

/* The EtherType of a packet that has no Ethernet header, and how long the header is that it has instead. */
static uint16_t ether_type(const struct capture *capture, const uint8_t *data, uint32_t captured, uint32_t *ret_header_len)
{
	*ret_header_len = 0;
	switch (capture->link_type) {
	case DLT_IPV4:
		return ETH_TYPE_IP4;
	case DLT_IPV6:
		return ETH_TYPE_IP6;
	case DLT_LINUX_SLL:
		*ret_header_len = SLL_HDR_LEN;
		return captured < SLL_HDR_LEN ? 0 : load_be16(data + offsetof(struct sll_header, sll_protocol));
	case DLT_LINUX_SLL2:
		*ret_header_len = SLL2_HDR_LEN;
		return captured < SLL2_HDR_LEN ? 0 : load_be16(data + offsetof(struct sll2_header, sll2_protocol));
	default:
		if (!captured)
			return 0;
		return data[0] >> 4 == 4 ? ETH_TYPE_IP4 : data[0] >> 4 == 6 ? ETH_TYPE_IP6 : 0;
	}
}

/* Put an Ethernet header in front, in place of what the link type has there. */
static void ether_make(struct capture *capture, struct capture_frame *frame)
{
	uint32_t header_len, cut;
	uint16_t type = ether_type(capture, frame->data, frame->captured, &header_len);

	cut = header_len < frame->captured ? header_len : frame->captured;
	memset(capture->buffer, 0, ETHER_LEN - 2);
	capture->buffer[ETHER_LEN - 2] = (uint8_t)(type >> 8);
	capture->buffer[ETHER_LEN - 1] = (uint8_t)type;
	memcpy(capture->buffer + ETHER_LEN, frame->data + cut, frame->captured - cut);
	frame->data = capture->buffer;
	frame->captured += ETHER_LEN - cut;
	frame->wire_len += ETHER_LEN - cut;
}

/* Do both say the same of the headers, so that the zeros behind the captured bytes were read as none? */
static bool headers_alike(const struct pkt *captured, const struct pkt *filled)
{
	if (filled->condition == CONDITION_UNPARSED && captured->condition != CONDITION_UNPARSED)
		return false;
	return captured->eth_type == filled->eth_type && captured->n_vlans == filled->n_vlans &&
	       captured->family == filled->family && captured->l4_proto == filled->l4_proto &&
	       captured->has_ports == filled->has_ports && captured->src_port == filled->src_port &&
	       captured->dst_port == filled->dst_port && captured->l3_off == filled->l3_off &&
	       captured->l4_off == filled->l4_off && captured->payload_off == filled->payload_off &&
	       captured->frag == filled->frag && captured->options == filled->options && captured->has_l4 == filled->has_l4 &&
	       captured->l4_word == filled->l4_word && memcmp(captured->src, filled->src, sizeof(filled->src)) == 0 &&
	       memcmp(captured->dst, filled->dst, sizeof(filled->dst)) == 0;
}

/* The snap length cut the frame. */
static void frame_fill(struct capture *capture, struct capture_frame *frame)
{
	struct pkt captured, filled;

	if (frame->data != capture->buffer)
		memcpy(capture->buffer, frame->data, frame->captured);
	frame->data = capture->buffer;
	memset(capture->buffer + frame->captured, 0, frame->wire_len - frame->captured);
	parse_frame(frame->data, frame->data + frame->captured, &captured);
	parse_frame(frame->data, frame->data + frame->wire_len, &filled);
	if (headers_alike(&captured, &filled))
		frame->len = frame->wire_len;
}

int capture_next(struct capture *capture, struct capture_frame *ret_frame, char *ret_message, size_t size)
{
	struct capture_frame frame = {};
	struct pcap_pkthdr *header;
	int r;

	r = pcap_next_ex(capture->pcap, &header, &frame.data);
	if (r == PCAP_ERROR_BREAK)
		return 0;
	if (r != 1)
		return refuse(-EIO, ret_message, size, "%s is damaged or breaks off: %s", capture->shown,
			      pcap_geterr(capture->pcap));
	frame.captured = header->caplen < CAPTURED_MAX ? header->caplen : CAPTURED_MAX;
	frame.wire_len = header->len > frame.captured ? header->len : frame.captured;
	if (frame.wire_len > WIRE_LEN_MAX)
		frame.wire_len = frame.captured;
	if (capture->link_type != DLT_EN10MB)
		ether_make(capture, &frame);
	frame.len = frame.captured;
	if (frame.captured < frame.wire_len)
		frame_fill(capture, &frame);
	*ret_frame = frame;
	return 1;
}

int capture_percent(const struct capture *capture)
{
	long at = capture->size ? ftell(pcap_file(capture->pcap)) : -1;

	return at < 0 ? -1 : (int)(at * 100 / capture->size);
}
