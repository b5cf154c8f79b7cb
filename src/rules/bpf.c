/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bpf "EXPRESSION": what pcap-filter(7) can say and the language cannot, compiled by libpcap when the rule is parsed. The image
 * holds the instructions, so no reader of an image needs the compiler.
 *
 * libpcap would look names up, over the network if it comes to that, and take what it finds for the rule's meaning. So a word is
 * one it has a fixed meaning for, or no rule.
 */
#include <errno.h>
#include <pcap/pcap.h>
#include <string.h>

#include "rules/parser.h"

#define BPF_TEXT_MAX 2048

static const char *const words[] = {
	"aarp",
	"ah",
	"and",
	"arp",
	"atalk",
	"broadcast",
	"decnet",
	"domain",
	"dst",
	"esp",
	"ether",
	"geneve",
	"greater",
	"host",
	"http",
	"https",
	"icmp",
	"icmp-echo",
	"icmp-echoreply",
	"icmp-ireq",
	"icmp-ireqreply",
	"icmp-maskreply",
	"icmp-maskreq",
	"icmp-paramprob",
	"icmp-redirect",
	"icmp-routeradvert",
	"icmp-routersolicit",
	"icmp-sourcequench",
	"icmp-timxceed",
	"icmp-tstamp",
	"icmp-tstampreply",
	"icmp-unreach",
	"icmp6",
	"icmp6-destinationunreach",
	"icmp6-echo",
	"icmp6-echoreply",
	"icmp6-multicastlistenerdone",
	"icmp6-multicastlistenerquery",
	"icmp6-multicastlistenerreportv1",
	"icmp6-multicastlistenerreportv2",
	"icmp6-neighboradvert",
	"icmp6-neighborsolicit",
	"icmp6-packettoobig",
	"icmp6-parameterproblem",
	"icmp6-redirect",
	"icmp6-routeradvert",
	"icmp6-routersolicit",
	"icmp6-timeexceeded",
	"icmp6code",
	"icmp6type",
	"icmpcode",
	"icmptype",
	"igmp",
	"igrp",
	"ip",
	"ip6",
	"ipx",
	"iso",
	"lat",
	"len",
	"less",
	"link",
	"llc",
	"mask",
	"moprc",
	"mopdl",
	"mpls",
	"multicast",
	"net",
	"netbeui",
	"not",
	"ntp",
	"or",
	"pim",
	"port",
	"portrange",
	"pppoed",
	"pppoes",
	"proto",
	"protochain",
	"rarp",
	"sctp",
	"snmp",
	"src",
	"ssh",
	"stp",
	"tcp",
	"tcp-ack",
	"tcp-cwr",
	"tcp-ece",
	"tcp-fin",
	"tcp-push",
	"tcp-rst",
	"tcp-syn",
	"tcp-urg",
	"tcpflags",
	"udp",
	"vlan",
	"vrrp",
};

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t text_word(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && (is_letter(text[n]) || (text[n] >= '0' && text[n] <= '9') || strchr("_.:-", text[n])))
		n++;
	return n;
}

/* A number, an address, or a word of the language. */
static bool word_is_known(struct word word)
{
	if (!is_letter(word.text[0]) && word.text[0] != '_')
		return !memchr(word.text, '_', word.len);
	if (memchr(word.text, ':', word.len))
		return true;
	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (word_is(word, words[i]))
			return true;
	return false;
}

/* Would libpcap ask somebody for the meaning of a word? The token is the string. */
static int check_words(struct parser *parser, struct word text)
{
	struct token token = parser->lexer.token;

	for (size_t at = 0; at < text.len;) {
		struct word word = { text.text + at, text_word(text.text + at, text.len - at) };

		if (word.len && !word_is_known(word)) {
			token.at += 1 + at;
			token.len = word.len;
			return parser_fail(parser, &token, "`%.*s` is no word of a tcpdump expression (names are not looked up)",
					   WORD_ARG(word));
		}
		at += word.len ? word.len : 1;
	}
	return 0;
}

/*
 * The program into the test; the text is NUL-terminated. Not optimized: libpcap's optimizer (1.10.3) changes the answer of some
 * expressions, `vlan and vlan 1 and (port 443 and 123 and 80 || 53 || 123)` for one (unit/test_tcpdump.c).
 */
static int compile(struct parser *parser, struct test *test, char error[PCAP_ERRBUF_SIZE])
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, UINT16_MAX);
	struct bpf_program program = { 0 };
	int r;

	if (!pcap)
		return -ENOMEM;
	r = pcap_compile(pcap, &program, test->bpf_text, 0, PCAP_NETMASK_UNKNOWN);
	if (r < 0)
		snprintf(error, PCAP_ERRBUF_SIZE, "%s", pcap_geterr(pcap));
	pcap_close(pcap);
	if (r < 0)
		return -EINVAL;
	if (program.bf_len <= IMAGE_BPF_MAX) {
		test->n_insns = (uint16_t)program.bf_len;
		test->insns = (const struct image_insn *)arena_copy(&parser->rules->arena, (const char *)program.bf_insns,
								    program.bf_len * sizeof(struct bpf_insn));
		r = test->insns ? 0 : -ENOMEM;
	} else {
		snprintf(error, PCAP_ERRBUF_SIZE, "%u instructions are too many: at most %u", program.bf_len, IMAGE_BPF_MAX);
		r = -EINVAL;
	}
	pcap_freecode(&program);
	return r;
}

int parse_bpf_text(struct parser *parser, struct test *test)
{
	char error[PCAP_ERRBUF_SIZE], buffer[FOUND_MAX];
	struct word text = token_word(parser);
	int r;

	if (!at_kind(parser, TOKEN_STRING))
		return fail(parser, "expected a tcpdump expression in \"...\", found %s", parser_found(parser, buffer));
	text.text++;
	text.len -= 2;
	if (text.len > BPF_TEXT_MAX)
		return fail(parser, "this expression is longer than %d bytes", BPF_TEXT_MAX);
	r = check_words(parser, text);
	if (r < 0)
		return r;
	test->bpf_text = arena_copy(&parser->rules->arena, text.text, text.len);
	r = test->bpf_text ? compile(parser, test, error) : -ENOMEM;
	if (r == -EINVAL)
		return fail(parser, "libpcap: %.250s", error);
	return r < 0 ? r : next(parser);
}
