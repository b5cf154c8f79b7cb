/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parse.h on frames written by hand. Each frame is parsed whole, and then cut at every byte, always in memory that ends at an
 * unreadable page: a read behind the frame ends the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "classify/parse.h"

/* ---- pieces of frames; numbers are big-endian strings ---- */

#define MACS                                                                                                                     \
	"\x02\0\0\0\0\x01"                                                                                                       \
	"\x02\0\0\0\0\x02"
#define TAG(tpid) tpid "\x20\x64" /* priority 1, VLAN 100 */
#define DOT1Q "\x81\x00"
#define DOT1AD "\x88\xa8"
#define QINQ "\x91\x00"
#define TYPE4 "\x08\x00"
#define TYPE6 "\x86\xdd"

#define IP4(version_ihl, total_len, flags_off, proto)                                                                            \
	version_ihl "\0" total_len "\x12\x34" flags_off "\x40" proto "\0\0"                                                      \
		    "\xc0\0\2\1"                                                                                                 \
		    "\xc6\x33\x64\7"
#define IP6(payload_len, next)                                                                                                   \
	"\x60\0\0\0" payload_len next "\x40"                                                                                     \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"                                                                               \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7"
#define EXT8(next)                                                                                                               \
	next "\0"                                                                                                                \
	     "\1\4\0\0\0\0" /* options of 8 bytes: PadN */
#define EXT16(next)                                                                                                              \
	next "\1"                                                                                                                \
	     "\1\4\0\0\0\0"                                                                                                      \
	     "\1\6\0\0\0\0\0\0" /* of 16 */
#define ROUTING(next)                                                                                                            \
	next "\0"                                                                                                                \
	     "\4\0\0\0\0\0"
#define FRAG(next, off) next "\0" off "\0\0\0\1"
#define AH24(next)                                                                                                               \
	next "\4"                                                                                                                \
	     "\0\0\0\0\0\1"                                                                                                      \
	     "\0\0\0\1"                                                                                                          \
	     "abcdefghijkl" /* length in words of 4, less 2 */

#define PORTS                                                                                                                    \
	"\x30\x39"                                                                                                               \
	"\0\x35" /* 12345 to 53 */
#define UDP                                                                                                                      \
	PORTS "\0\x0c"                                                                                                           \
	      "\0\0"
#define TCP(data_off)                                                                                                            \
	PORTS "\0\0\0\1"                                                                                                         \
	      "\0\0\0\0" data_off "\2"                                                                                           \
	      "\xff\xff"                                                                                                         \
	      "\0\0"                                                                                                             \
	      "\0\0"
#define SCTP                                                                                                                     \
	PORTS "\0\0\0\0"                                                                                                         \
	      "\0\0\0\0"
#define ICMP                                                                                                                     \
	"\x08\0\0\0"                                                                                                             \
	"\0\1\0\1"
#define DATA4 "data"

#define IS_ICMP "\x01"
#define IS_TCP "\x06"
#define IS_UDP "\x11"
#define IS_GRE "\x2f"
#define IS_ICMP6 "\x3a"
#define IS_SCTP "\x84"
#define IS_NOTHING "\x3b"

struct frame {
	const char *what;
	const char *bytes;
	size_t len;
	enum pkt_condition condition;
	/* What is read; offsets count from the start of the frame. */
	uint16_t eth_type;
	uint8_t n_vlans, family, l4_proto;
	bool ports;
	uint16_t l3_off, l4_off, payload_off, l3_end;
};

#define FRAME(bytes) bytes, sizeof(bytes) - 1

static const struct frame frames[] = {
	/* Ethernet and VLAN tags */
	{ "an ARP frame",
	  FRAME(MACS "\x08\x06"
		     "anything, it is not read"),
	  CONDITION_NONE, 0x0806, 0, 0, 0, false, 14, 0, 0, 0 },
	{ "a frame of 14 bytes", FRAME(MACS "\x88\xcc"), CONDITION_NONE, 0x88cc, 0, 0, 0, false, 14, 0, 0, 0 },
	{ "13 bytes", FRAME(MACS "\x08"), CONDITION_TRUNCATED, 0, 0, 0, 0, false, 0, 0, 0, 0 },
	{ "no bytes", FRAME(""), CONDITION_TRUNCATED, 0, 0, 0, 0, false, 0, 0, 0, 0 },
	{ "one VLAN tag", FRAME(MACS TAG(DOT1Q) TYPE4 IP4("\x45", "\0\x20", "\0\0", IS_UDP) UDP DATA4), CONDITION_NONE, 0x0800, 1,
	  4, 17, true, 18, 38, 46, 50 },
	{ "one 802.1ad tag", FRAME(MACS TAG(DOT1AD) TYPE4 IP4("\x45", "\0\x20", "\0\0", IS_UDP) UDP DATA4), CONDITION_NONE,
	  0x0800, 1, 4, 17, true, 18, 38, 46, 50 },
	{ "one tag of the kind before 802.1ad", FRAME(MACS TAG(QINQ) TYPE4 IP4("\x45", "\0\x20", "\0\0", IS_UDP) UDP DATA4),
	  CONDITION_NONE, 0x0800, 1, 4, 17, true, 18, 38, 46, 50 },
	{ "QinQ", FRAME(MACS TAG(DOT1AD) TAG(DOT1Q) TYPE6 IP6("\0\x0c", IS_UDP) UDP DATA4), CONDITION_NONE, 0x86dd, 2, 6, 17,
	  true, 22, 62, 70, 74 },
	{ "two 802.1Q tags", FRAME(MACS TAG(DOT1Q) TAG(DOT1Q) TYPE4 IP4("\x45", "\0\x20", "\0\0", IS_UDP) UDP DATA4),
	  CONDITION_NONE, 0x0800, 2, 4, 17, true, 22, 42, 50, 54 },
	{ "three tags", FRAME(MACS TAG(DOT1AD) TAG(DOT1Q) TAG(DOT1Q) TYPE4 IP4("\x45", "\0\x20", "\0\0", IS_UDP) UDP DATA4),
	  CONDITION_UNPARSED, 0x8100, 2, 0, 0, false, 22, 0, 0, 0 },

	/* IPv4 */
	{ "UDP", FRAME(MACS TYPE4 IP4("\x45", "\0\x20", "\0\0", IS_UDP) UDP DATA4), CONDITION_NONE, 0x0800, 0, 4, 17, true, 14,
	  34, 42, 46 },
	{ "UDP without payload", FRAME(MACS TYPE4 IP4("\x45", "\0\x1c", "\0\0", IS_UDP) UDP), CONDITION_NONE, 0x0800, 0, 4, 17,
	  true, 14, 34, 42, 42 },
	{ "Ethernet padding", FRAME(MACS TYPE4 IP4("\x45", "\0\x20", "\0\0", IS_UDP) UDP DATA4 "padding, not data"),
	  CONDITION_NONE, 0x0800, 0, 4, 17, true, 14, 34, 42, 46 },
	{ "TCP", FRAME(MACS TYPE4 IP4("\x45", "\0\x2c", "\x40\0", IS_TCP) TCP("\x50") DATA4), CONDITION_NONE, 0x0800, 0, 4, 6,
	  true, 14, 34, 54, 58 },
	{ "TCP with options", FRAME(MACS TYPE4 IP4("\x45", "\0\x34", "\0\0", IS_TCP) TCP("\x70") "\2\4\5\xb4\1\1\4\2" DATA4),
	  CONDITION_NONE, 0x0800, 0, 4, 6, true, 14, 34, 62, 66 },
	{ "TCP, header length 16", FRAME(MACS TYPE4 IP4("\x45", "\0\x2c", "\0\0", IS_TCP) TCP("\x40") DATA4), CONDITION_UNPARSED,
	  0x0800, 0, 4, 6, true, 14, 34, 0, 58 },
	{ "TCP, header longer than the packet", FRAME(MACS TYPE4 IP4("\x45", "\0\x2c", "\0\0", IS_TCP) TCP("\x70") DATA4),
	  CONDITION_TRUNCATED, 0x0800, 0, 4, 6, true, 14, 34, 0, 58 },
	{ "SCTP", FRAME(MACS TYPE4 IP4("\x45", "\0\x24", "\0\0", IS_SCTP) SCTP DATA4), CONDITION_NONE, 0x0800, 0, 4, 132, true,
	  14, 34, 46, 50 },
	{ "ICMP", FRAME(MACS TYPE4 IP4("\x45", "\0\x20", "\0\0", IS_ICMP) ICMP DATA4), CONDITION_NONE, 0x0800, 0, 4, 1, false, 14,
	  34, 42, 46 },
	{ "GRE", FRAME(MACS TYPE4 IP4("\x45", "\0\x18", "\0\0", IS_GRE) "\0\0\x08\0"), CONDITION_NONE, 0x0800, 0, 4, 47, false,
	  14, 34, 0, 38 },
	{ "IPv4 options",
	  FRAME(MACS TYPE4 IP4("\x47", "\0\x28", "\0\0", IS_UDP) "\x94\4\0\0"
								 "\1\1\1\0" UDP DATA4),
	  CONDITION_NONE, 0x0800, 0, 4, 17, true, 14, 42, 50, 54 },
	{ "40 bytes of IPv4 options",
	  FRAME(MACS TYPE4 IP4("\x4f", "\0\x48", "\0\0", IS_UDP) "0123456789012345678901234567890123456789" UDP DATA4),
	  CONDITION_NONE, 0x0800, 0, 4, 17, true, 14, 74, 82, 86 },
	{ "IPv4 header length 16", FRAME(MACS TYPE4 IP4("\x44", "\0\x20", "\0\0", IS_UDP) UDP DATA4), CONDITION_UNPARSED, 0x0800,
	  0, 0, 0, false, 14, 0, 0, 0 },
	{ "version 5", FRAME(MACS TYPE4 IP4("\x55", "\0\x20", "\0\0", IS_UDP) UDP DATA4), CONDITION_UNPARSED, 0x0800, 0, 0, 0,
	  false, 14, 0, 0, 0 },
	{ "version 6 behind type IPv4", FRAME(MACS TYPE4 IP6("\0\x0c", IS_UDP) UDP DATA4), CONDITION_UNPARSED, 0x0800, 0, 0, 0,
	  false, 14, 0, 0, 0 },
	{ "total length below the header's", FRAME(MACS TYPE4 IP4("\x45", "\0\x13", "\0\0", IS_UDP) UDP DATA4),
	  CONDITION_UNPARSED, 0x0800, 0, 0, 0, false, 14, 0, 0, 0 },
	{ "total length beyond the frame", FRAME(MACS TYPE4 IP4("\x45", "\0\x21", "\0\0", IS_UDP) UDP DATA4), CONDITION_TRUNCATED,
	  0x0800, 0, 4, 17, true, 14, 34, 42, 46 },
	{ "total length that ends in the ports", FRAME(MACS TYPE4 IP4("\x45", "\0\x17", "\0\0", IS_UDP) UDP DATA4),
	  CONDITION_TRUNCATED, 0x0800, 0, 4, 17, false, 14, 34, 0, 37 },
	{ "total length that ends behind the ports", FRAME(MACS TYPE4 IP4("\x45", "\0\x18", "\0\0", IS_UDP) UDP DATA4),
	  CONDITION_TRUNCATED, 0x0800, 0, 4, 17, true, 14, 34, 0, 38 },
	{ "first fragment", FRAME(MACS TYPE4 IP4("\x45", "\0\x20", "\x20\0", IS_UDP) UDP DATA4), CONDITION_NONE, 0x0800, 0, 4, 17,
	  true, 14, 34, 42, 46 },
	{ "later fragment", FRAME(MACS TYPE4 IP4("\x45", "\0\x20", "\x20\1", IS_UDP) "notports" DATA4), CONDITION_FRAGMENT,
	  0x0800, 0, 4, 17, false, 14, 0, 0, 46 },
	{ "last fragment", FRAME(MACS TYPE4 IP4("\x45", "\0\x20", "\x1f\xff", IS_TCP) "notports" DATA4), CONDITION_FRAGMENT,
	  0x0800, 0, 4, 6, false, 14, 0, 0, 46 },

	/* IPv6 */
	{ "UDP over IPv6", FRAME(MACS TYPE6 IP6("\0\x0c", IS_UDP) UDP DATA4), CONDITION_NONE, 0x86dd, 0, 6, 17, true, 14, 54, 62,
	  66 },
	{ "TCP over IPv6", FRAME(MACS TYPE6 IP6("\0\x18", IS_TCP) TCP("\x50") DATA4), CONDITION_NONE, 0x86dd, 0, 6, 6, true, 14,
	  54, 74, 78 },
	{ "ICMPv6", FRAME(MACS TYPE6 IP6("\0\x0c", IS_ICMP6) ICMP DATA4), CONDITION_NONE, 0x86dd, 0, 6, 58, false, 14, 54, 62,
	  66 },
	{ "IPv6 and Ethernet padding", FRAME(MACS TYPE6 IP6("\0\x0c", IS_UDP) UDP DATA4 "padding"), CONDITION_NONE, 0x86dd, 0, 6,
	  17, true, 14, 54, 62, 66 },
	{ "no next header", FRAME(MACS TYPE6 IP6("\0\4", IS_NOTHING) DATA4), CONDITION_NONE, 0x86dd, 0, 6, 59, false, 14, 0, 0,
	  58 },
	{ "an unknown header", FRAME(MACS TYPE6 IP6("\0\4", "\xfd") DATA4), CONDITION_NONE, 0x86dd, 0, 6, 253, false, 14, 54, 0,
	  58 },
	{ "version 4 behind type IPv6",
	  FRAME(MACS TYPE6 "\x40"
			   "123456789012345678901234567890123456789"),
	  CONDITION_UNPARSED, 0x86dd, 0, 0, 0, false, 14, 0, 0, 0 },
	{ "payload length beyond the frame", FRAME(MACS TYPE6 IP6("\0\x0d", IS_UDP) UDP DATA4), CONDITION_TRUNCATED, 0x86dd, 0, 6,
	  17, true, 14, 54, 62, 66 },
	{ "payload length that ends in the ports", FRAME(MACS TYPE6 IP6("\0\3", IS_UDP) UDP DATA4), CONDITION_TRUNCATED, 0x86dd,
	  0, 6, 17, false, 14, 54, 0, 57 },
	{ "payload length 0", FRAME(MACS TYPE6 IP6("\0\0", IS_UDP) UDP DATA4), CONDITION_TRUNCATED, 0x86dd, 0, 6, 17, false, 14,
	  54, 0, 54 },

	/* IPv6 extension headers */
	{ "hop-by-hop options", FRAME(MACS TYPE6 IP6("\0\x14", "\0") EXT8(IS_UDP) UDP DATA4), CONDITION_NONE, 0x86dd, 0, 6, 17,
	  true, 14, 62, 70, 74 },
	{ "options of 16 bytes", FRAME(MACS TYPE6 IP6("\0\x1c", "\0") EXT16(IS_UDP) UDP DATA4), CONDITION_NONE, 0x86dd, 0, 6, 17,
	  true, 14, 70, 78, 82 },
	{ "routing header", FRAME(MACS TYPE6 IP6("\0\x14", "\x2b") ROUTING(IS_UDP) UDP DATA4), CONDITION_NONE, 0x86dd, 0, 6, 17,
	  true, 14, 62, 70, 74 },
	{ "destination options", FRAME(MACS TYPE6 IP6("\0\x14", "\x3c") EXT8(IS_UDP) UDP DATA4), CONDITION_NONE, 0x86dd, 0, 6, 17,
	  true, 14, 62, 70, 74 },
	{ "AH counts words of 4", FRAME(MACS TYPE6 IP6("\0\x24", "\x33") AH24(IS_UDP) UDP DATA4), CONDITION_NONE, 0x86dd, 0, 6,
	  17, true, 14, 78, 86, 90 },
	{ "all five headers",
	  FRAME(MACS TYPE6 IP6("\0\x44", "\0") EXT8("\x3c") EXT8("\x2b") ROUTING("\x2c") FRAG("\x33", "\0\1") AH24(IS_UDP)
			UDP DATA4),
	  CONDITION_NONE, 0x86dd, 0, 6, 17, true, 14, 110, 118, 122 },
	{ "8 headers",
	  FRAME(MACS TYPE6 IP6("\0\x4c", "\x3c") EXT8("\x3c") EXT8("\x3c") EXT8("\x3c") EXT8("\x3c") EXT8("\x3c") EXT8("\x3c")
			EXT8("\x3c") EXT8(IS_UDP) UDP DATA4),
	  CONDITION_NONE, 0x86dd, 0, 6, 17, true, 14, 118, 126, 130 },
	{ "9 headers",
	  FRAME(MACS TYPE6 IP6("\0\x54", "\x3c") EXT8("\x3c") EXT8("\x3c") EXT8("\x3c") EXT8("\x3c") EXT8("\x3c") EXT8("\x3c")
			EXT8("\x3c") EXT8("\x3c") EXT8(IS_UDP) UDP DATA4),
	  CONDITION_UNPARSED, 0x86dd, 0, 6, 17, false, 14, 0, 0, 138 },
	{ "a header longer than the packet",
	  FRAME(MACS TYPE6 IP6("\0\x14", "\x3c") "\x11\x20"
						 "\1\4\0\0\0\0" UDP DATA4),
	  CONDITION_TRUNCATED, 0x86dd, 0, 6, 17, false, 14, 318, 0, 74 },
	{ "a header cut by the payload length", FRAME(MACS TYPE6 IP6("\0\7", "\x3c") EXT8(IS_UDP) UDP DATA4), CONDITION_TRUNCATED,
	  0x86dd, 0, 6, 60, false, 14, 0, 0, 61 },
	{ "first fragment of IPv6", FRAME(MACS TYPE6 IP6("\0\x14", "\x2c") FRAG(IS_UDP, "\0\1") UDP DATA4), CONDITION_NONE,
	  0x86dd, 0, 6, 17, true, 14, 62, 70, 74 },
	{ "atomic fragment of IPv6", FRAME(MACS TYPE6 IP6("\0\x14", "\x2c") FRAG(IS_UDP, "\0\0") UDP DATA4), CONDITION_NONE,
	  0x86dd, 0, 6, 17, true, 14, 62, 70, 74 },
	{ "later fragment of IPv6", FRAME(MACS TYPE6 IP6("\0\x14", "\x2c") FRAG(IS_UDP, "\0\x09") "notports" DATA4),
	  CONDITION_FRAGMENT, 0x86dd, 0, 6, 17, false, 14, 0, 0, 74 },
	{ "options, then a later fragment",
	  FRAME(MACS TYPE6 IP6("\0\x1c", "\0") EXT8("\x2c") FRAG(IS_TCP, "\x10\0") "notports" DATA4), CONDITION_FRAGMENT, 0x86dd,
	  0, 6, 6, false, 14, 0, 0, 82 },
};

/* Memory whose end is the end of a page, with an unreadable one behind it. */
static uint8_t *guard_end;

static int guard_setup(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	if (pages == MAP_FAILED || mprotect(pages + page, page, PROT_NONE))
		return -1;
	guard_end = pages + page;
	return 0;
}

static struct pkt parse(const void *bytes, size_t len)
{
	struct pkt pkt;

	memcpy(guard_end - len, bytes, len);
	parse_frame(guard_end - len, guard_end, &pkt);
	return pkt;
}

static void check_number(const char *what, const char *field, uint32_t got, uint32_t want)
{
	if (got != want)
		print_error("%s: %s is %u, not %u\n", what, field, got, want);
	assert_int_equal(got, want);
}

static void test_frames(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		const struct frame *frame = &frames[i];
		struct pkt pkt = parse(frame->bytes, frame->len);

		check_number(frame->what, "condition", pkt.condition, frame->condition);
		check_number(frame->what, "frame_len", pkt.frame_len, (uint32_t)frame->len);
		check_number(frame->what, "eth_type", pkt.eth_type, frame->eth_type);
		check_number(frame->what, "n_vlans", pkt.n_vlans, frame->n_vlans);
		check_number(frame->what, "family", pkt.family, frame->family);
		check_number(frame->what, "l4_proto", pkt.l4_proto, frame->l4_proto);
		check_number(frame->what, "has_ports", pkt.has_ports, frame->ports);
		check_number(frame->what, "src_port", pkt.src_port, frame->ports ? 12345 : 0);
		check_number(frame->what, "dst_port", pkt.dst_port, frame->ports ? 53 : 0);
		check_number(frame->what, "l3_off", pkt.l3_off, frame->l3_off);
		check_number(frame->what, "l4_off", pkt.l4_off, frame->l4_off);
		check_number(frame->what, "payload_off", pkt.payload_off, frame->payload_off);
		check_number(frame->what, "l3_end", pkt.l3_end, frame->l3_end);
	}
}

/* The fields that most frames above have alike. `vlan` is of the outer tag; the inner one is 2 more. */
static const struct {
	const char *what, *bytes;
	size_t len;
	uint16_t vlan, l4_word;
	uint8_t ttl, dscp, frag, options, has_l4;
} fields[] = {
	{ "UDP", FRAME(MACS TYPE4 IP4("\x45", "\0\x20", "\0\0", IS_UDP) UDP DATA4), 0, 0, 64, 0, FRAG_NONE, 0, 1 },
	{ "tags", FRAME(MACS DOT1AD "\x20\x64" DOT1Q "\xf0\x66" TYPE4 IP4("\x45", "\0\x20", "\0\0", IS_UDP) UDP DATA4), 100, 0,
	  64, 0, FRAG_NONE, 0, 1 },
	{ "DF", FRAME(MACS TYPE4 IP4("\x45", "\0\x20", "\x40\0", IS_UDP) UDP DATA4), 0, 0, 64, 0, FRAG_NONE | FRAG_DF, 0, 1 },
	{ "first fragment", FRAME(MACS TYPE4 IP4("\x45", "\0\x20", "\x20\0", IS_UDP) UDP DATA4), 0, 0, 64, 0, FRAG_FIRST, 0, 1 },
	{ "later fragment", FRAME(MACS TYPE4 IP4("\x45", "\0\x20", "\x20\1", IS_UDP) UDP DATA4), 0, 0, 64, 0, FRAG_LATER, 0, 0 },
	{ "last fragment", FRAME(MACS TYPE4 IP4("\x45", "\0\x20", "\0\1", IS_UDP) UDP DATA4), 0, 0, 64, 0, FRAG_LATER | FRAG_LAST,
	  0, 0 },
	{ "IPv4 options", FRAME(MACS TYPE4 IP4("\x46", "\0\x24", "\0\0", IS_UDP) "\x94\4\0\0" UDP DATA4), 0, 0, 64, 0, FRAG_NONE,
	  1, 1 },
	{ "TCP flags", FRAME(MACS TYPE4 IP4("\x45", "\0\x2c", "\0\0", IS_TCP) TCP("\x5f") DATA4), 0, 0xf02, 64, 0, FRAG_NONE, 0,
	  1 },
	{ "ICMP", FRAME(MACS TYPE4 IP4("\x45", "\0\x20", "\0\0", IS_ICMP) "\3\4\0\0\0\0\0\0" DATA4), 0, 0x304, 64, 0, FRAG_NONE,
	  0, 1 },
	{ "ICMP cut behind the code", FRAME(MACS TYPE4 IP4("\x45", "\0\x16", "\0\0", IS_ICMP) "\3\4"), 0, 0, 64, 0, FRAG_NONE, 0,
	  0 },
	{ "GRE", FRAME(MACS TYPE4 IP4("\x45", "\0\x18", "\0\0", IS_GRE) "\0\0\x08\0"), 0, 0, 64, 0, FRAG_NONE, 0, 0 },
	{ "an ARP frame", FRAME(MACS "\x08\x06 and the rest of it"), 0, 0, 0, 0, 0, 0, 0 },
	{ "traffic class of IPv6",
	  FRAME(MACS TYPE6 "\x6b\x81\x23\x45\0\x0c\x11\x3f"
			   "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
			   "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7" UDP DATA4),
	  0, 0, 63, 46, FRAG_NONE, 0, 1 },
	{ "hop-by-hop options", FRAME(MACS TYPE6 IP6("\0\x14", "\0") EXT8(IS_UDP) UDP DATA4), 0, 0, 64, 0, FRAG_NONE, 1, 1 },
	{ "routing header", FRAME(MACS TYPE6 IP6("\0\x14", "\x2b") ROUTING(IS_UDP) UDP DATA4), 0, 0, 64, 0, FRAG_NONE, 0, 1 },
	{ "atomic fragment", FRAME(MACS TYPE6 IP6("\0\x14", "\x2c") FRAG(IS_UDP, "\0\0") UDP DATA4), 0, 0, 64, 0, FRAG_NONE, 0,
	  1 },
	{ "first of IPv6", FRAME(MACS TYPE6 IP6("\0\x14", "\x2c") FRAG(IS_UDP, "\0\1") UDP DATA4), 0, 0, 64, 0, FRAG_FIRST, 0,
	  1 },
	{ "later of IPv6", FRAME(MACS TYPE6 IP6("\0\x14", "\x2c") FRAG(IS_UDP, "\0\x09") UDP DATA4), 0, 0, 64, 0, FRAG_LATER, 0,
	  0 },
	{ "last of IPv6", FRAME(MACS TYPE6 IP6("\0\x14", "\x2c") FRAG(IS_UDP, "\0\x08") UDP DATA4), 0, 0, 64, 0,
	  FRAG_LATER | FRAG_LAST, 0, 0 },
	{ "ICMPv6", FRAME(MACS TYPE6 IP6("\0\x0c", IS_ICMP6) "\x87\0\0\0\0\0\0\0" DATA4), 0, 0x8700, 64, 0, FRAG_NONE, 0, 1 },
};

static void test_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		struct pkt pkt = parse(fields[i].bytes, fields[i].len);

		check_number(fields[i].what, "vlan[0]", pkt.vlan[0], fields[i].vlan);
		check_number(fields[i].what, "vlan[1]", pkt.vlan[1], fields[i].vlan ? fields[i].vlan + 2u : 0);
		check_number(fields[i].what, "l4_word", pkt.l4_word, fields[i].l4_word);
		check_number(fields[i].what, "ttl", pkt.ttl, fields[i].ttl);
		check_number(fields[i].what, "dscp", pkt.dscp, fields[i].dscp);
		check_number(fields[i].what, "frag", pkt.frag, fields[i].frag);
		check_number(fields[i].what, "options", pkt.options, fields[i].options);
		check_number(fields[i].what, "has_l4", pkt.has_l4, fields[i].has_l4);
	}
}

/* What the plain way reads, the long way reads alike. How often it did: the plain way must not refuse the plain frames. */
static unsigned check_ways(const char *bytes, size_t len)
{
	struct pkt plain, any;

	memcpy(guard_end - len, bytes, len);
	memset(&plain, 0, sizeof(plain));
	if (!parse_plain(guard_end - len, guard_end, &plain))
		return 0;
	parse_any(guard_end - len, guard_end, &any);
	assert_memory_equal(&plain, &any, sizeof(any));
	return 1;
}

static void test_both_ways(void **state)
{
	char bytes[256];
	unsigned plain = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		for (size_t len = 0; len <= frames[i].len; len++)
			plain += check_ways(frames[i].bytes, len);
	assert_in_range(plain, 20, 200);
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) { /* each byte of the headers, changed each way */
		memcpy(bytes, frames[i].bytes, frames[i].len);
		for (size_t at = 12; at < frames[i].len; at++) {
			for (unsigned flip = 1; flip < 256; flip++) {
				bytes[at] = (char)(frames[i].bytes[at] ^ (int)flip);
				check_ways(bytes, frames[i].len);
			}
			bytes[at] = frames[i].bytes[at];
		}
	}
}

static void test_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		struct pkt pkt = parse(frames[i].bytes, frames[i].len);
		uint8_t src[16] = { 0 }, dst[16] = { 0 };

		if (pkt.family == FAMILY_IP4) {
			memcpy(src, "\xc0\0\2\1", 4);
			memcpy(dst, "\xc6\x33\x64\7", 4);
		} else if (pkt.family == FAMILY_IP6) {
			memcpy(src, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
			memcpy(dst, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7", 16);
		}
		assert_memory_equal(pkt.src, src, 16);
		assert_memory_equal(pkt.dst, dst, 16);
	}
}

/* Nothing is made up: what is told of a cut frame is what is told of the whole one, or it is not told. */
static void check_cut(const struct frame *frame, const struct pkt *whole, const struct pkt *cut, size_t len)
{
	bool full = whole->family ? len >= whole->l3_end : len == frame->len;

	if (cut->family) {
		assert_int_equal(cut->family, whole->family);
		assert_memory_equal(cut->src, whole->src, sizeof(whole->src) + sizeof(whole->dst));
	}
	if (cut->family == FAMILY_IP4)
		assert_int_equal(cut->l4_proto, whole->l4_proto);
	if (cut->has_ports) {
		assert_true(whole->has_ports);
		assert_int_equal(cut->src_port, whole->src_port);
		assert_int_equal(cut->dst_port, whole->dst_port);
		assert_in_range(len, whole->l4_off + 4, frame->len);
	}
	if (cut->payload_off)
		assert_int_equal(cut->payload_off, whole->payload_off);
	assert_in_range(cut->payload_off, 0, len);
	assert_in_range(cut->l3_end, 0, len);
	/* A cut is noticed, except where the whole frame is odd already, or where what is missing is padding. */
	if (full)
		assert_int_equal(cut->condition, whole->condition);
	else if (whole->family && (whole->condition == CONDITION_NONE || whole->condition == CONDITION_TRUNCATED))
		assert_int_equal(cut->condition, CONDITION_TRUNCATED);
	else
		assert_true(cut->condition == CONDITION_TRUNCATED || cut->condition == whole->condition);
}

static void test_every_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		struct pkt whole = parse(frames[i].bytes, frames[i].len);

		for (size_t len = 0; len <= frames[i].len; len++) {
			struct pkt cut = parse(frames[i].bytes, len);

			assert_int_equal(cut.frame_len, len);
			check_cut(&frames[i], &whole, &cut, len);
		}
	}
}

/* Where a cut of the plainest frame takes what away. */
static void test_cut_of_udp(void **state)
{
	static const char frame[] = MACS TYPE4 IP4("\x45", "\0\x20", "\0\0", IS_UDP) UDP DATA4;

	(void)state;
	for (size_t len = 0; len < sizeof(frame); len++) {
		struct pkt pkt = parse(frame, len);

		assert_int_equal(pkt.eth_type, len < 14 ? 0 : 0x0800);
		assert_int_equal(pkt.family, len < 34 ? 0 : 4);
		assert_int_equal(pkt.l4_proto, len < 34 ? 0 : 17);
		assert_int_equal(pkt.has_ports, len >= 38);
		assert_int_equal(pkt.payload_off, len < 42 ? 0 : 42);
		assert_int_equal(pkt.condition, len < 46 ? CONDITION_TRUNCATED : CONDITION_NONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),	  cmocka_unit_test(test_fields),    cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_every_cut), cmocka_unit_test(test_cut_of_udp),
	};

	return cmocka_run_group_tests(tests, guard_setup, NULL);
}
