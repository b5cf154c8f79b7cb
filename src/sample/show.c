/* SPDX-License-Identifier: BSD-2-Clause */
#include "sample/show.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "classify/parse.h"

#define FRAME_MAX 65536u /* of a frame that is filled up to its length before its headers are read */

json_t *sample_json(const struct sample *sample, int64_t realtime_ns, const char *rule)
{
	static const char digits[] = "0123456789abcdef";
	uint32_t captured = sample->captured < SAMPLE_BYTES ? sample->captured : SAMPLE_BYTES;
	char hex[2 * SAMPLE_BYTES + 1];

	for (uint32_t i = 0; i < captured; i++) {
		hex[2 * i] = digits[sample->data[i] >> 4];
		hex[2 * i + 1] = digits[sample->data[i] & 15];
	}
	hex[2 * captured] = '\0';
	return json_pack("{s{sI si ss* ss si sI ss}}", "sample", "time_ns", (json_int_t)sample->time_ns + realtime_ns, "line",
			 (int)sample->line, "rule", rule, "tier", sample->user_tier ? "user" : "xdp", "queue", (int)sample->queue,
			 "len", (json_int_t)sample->frame_len, "data", hex);
}

/* Negative: no hexadecimal digit. */
static int digit_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static int data_read(const char *hex, struct sample_view *view)
{
	size_t len = strlen(hex);

	if (len % 2 || len / 2 > SAMPLE_BYTES)
		return -EPROTO;
	for (size_t i = 0; i < len / 2; i++) {
		int high = digit_value(hex[2 * i]), low = digit_value(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EPROTO;
		view->data[i] = (uint8_t)(high << 4 | low);
	}
	view->captured = (uint32_t)len / 2;
	return 0;
}

int sample_view_read(const json_t *json, struct sample_view *ret_view)
{
	struct sample_view view = { .rule = NULL };
	json_int_t time_ns, line, queue, len;
	const char *hex;

	if (json_unpack((json_t *)json, "{sI sI s?s ss sI sI ss}", "time_ns", &time_ns, "line", &line, "rule", &view.rule, "tier",
			&view.tier, "queue", &queue, "len", &len, "data", &hex) < 0)
		return -EPROTO;
	if (data_read(hex, &view) < 0 || len < view.captured || len > UINT32_MAX)
		return -EPROTO;
	view.time_ns = (uint64_t)time_ns;
	view.line = (unsigned)line;
	view.queue = (unsigned)queue;
	view.frame_len = (uint32_t)len;
	*ret_view = view;
	return 0;
}

/* The headers, as the tiers read them of the whole frame: what was not captured is taken as zeros. */
static void view_parse(const struct sample_view *view, struct pkt *ret_pkt)
{
	static uint8_t frame[FRAME_MAX];
	uint32_t len = view->frame_len < FRAME_MAX ? view->frame_len : FRAME_MAX;

	memcpy(frame, view->data, view->captured);
	memset(frame + view->captured, 0, len - view->captured);
	parse_frame(frame, frame + len, ret_pkt);
}

static const char *address_text(const struct pkt *pkt, const __u64 address[2], char text[INET6_ADDRSTRLEN])
{
	return inet_ntop(pkt->family == FAMILY_IP6 ? AF_INET6 : AF_INET, address, text, INET6_ADDRSTRLEN);
}

static const char *proto_text(uint8_t l4_proto, char text[16])
{
	switch (l4_proto) {
	case PROTO_ICMP:
		return "icmp";
	case PROTO_TCP:
		return "tcp";
	case PROTO_UDP:
		return "udp";
	case PROTO_ICMP6:
		return "icmp6";
	case PROTO_SCTP:
		return "sctp";
	default:
		snprintf(text, 16, "proto %u", l4_proto);
		return text;
	}
}

static void print_time(uint64_t time_ns, FILE *out)
{
	time_t seconds = (time_t)(time_ns / 1000000000u);
	struct tm tm;

	localtime_r(&seconds, &tm);
	fprintf(out, "%02d:%02d:%02d.%09u", tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(time_ns % 1000000000u));
}

/* 192.0.2.1:53, [2001:db8::1]:53, or without a port. */
static void print_end(const struct pkt *pkt, const __u64 address[2], unsigned port, FILE *out)
{
	bool brackets = pkt->has_ports && pkt->family == FAMILY_IP6;
	char text[INET6_ADDRSTRLEN];

	fprintf(out, brackets ? "[%s]" : "%s", address_text(pkt, address, text));
	if (pkt->has_ports)
		fprintf(out, ":%u", port);
}

static void print_mac(const uint8_t *mac, FILE *out)
{
	fprintf(out, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static void print_flow(const struct sample_view *view, const struct pkt *pkt, FILE *out)
{
	char proto[16];

	if (!pkt->family) {
		fprintf(out, "ethertype 0x%04x ", pkt->eth_type);
		print_mac(view->data + 6, out);
		fputs(" > ", out);
		print_mac(view->data, out);
		return;
	}
	fprintf(out, "%s ", proto_text(pkt->l4_proto, proto));
	print_end(pkt, pkt->src, pkt->src_port, out);
	fputs(" > ", out);
	print_end(pkt, pkt->dst, pkt->dst_port, out);
}

void sample_view_print(const struct sample_view *view, FILE *out)
{
	struct pkt pkt;

	view_parse(view, &pkt);
	print_time(view->time_ns, out);
	fputc(' ', out);
	for (unsigned i = 0; i < pkt.n_vlans; i++)
		fprintf(out, "vlan %u ", pkt.vlan[i]);
	print_flow(view, &pkt, out);
	fprintf(out, " len %u", view->frame_len);
	if (view->rule)
		fprintf(out, "  %s\n", view->rule);
	else
		fprintf(out, "  line %u of rules that were replaced\n", view->line);
}

json_t *sample_view_json(const struct sample_view *view)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN], hex[2 * SAMPLE_BYTES + 1];
	struct pkt pkt;
	json_t *json;

	view_parse(view, &pkt);
	for (uint32_t i = 0; i < view->captured; i++)
		snprintf(hex + 2 * i, 3, "%02x", view->data[i]);
	hex[2 * view->captured] = '\0';
	json = json_pack("{sI si ss* ss si sI si}", "time_ns", (json_int_t)view->time_ns, "line", (int)view->line, "rule",
			 view->rule, "tier", view->tier, "queue", (int)view->queue, "len", (json_int_t)view->frame_len,
			 "eth_type", (int)pkt.eth_type);
	if (json && pkt.family) {
		json_object_set_new(json, "src", json_string(address_text(&pkt, pkt.src, src)));
		json_object_set_new(json, "dst", json_string(address_text(&pkt, pkt.dst, dst)));
		json_object_set_new(json, "proto", json_integer(pkt.l4_proto));
	}
	if (json && pkt.has_ports) {
		json_object_set_new(json, "src_port", json_integer(pkt.src_port));
		json_object_set_new(json, "dst_port", json_integer(pkt.dst_port));
	}
	if (json)
		json_object_set_new(json, "data", json_string(view->captured ? hex : ""));
	return json;
}

void sample_view_dump(const struct sample_view *view, pcap_dumper_t *dumper)
{
	struct pcap_pkthdr header = { .caplen = view->captured, .len = view->frame_len };

	header.ts.tv_sec = (time_t)(view->time_ns / 1000000000u);
	header.ts.tv_usec = (suseconds_t)(view->time_ns % 1000000000u); /* nanoseconds, as the capture says */
	pcap_dump((u_char *)dumper, &header, view->data);
}
