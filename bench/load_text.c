/* SPDX-License-Identifier: BSD-2-Clause */
#include "load_text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "classbench.h"

static void put_bits(uint8_t *addr, unsigned bytes, uint64_t value)
{
	for (unsigned i = 0; i < bytes; i++)
		addr[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

/* Multiplying by an odd number keeps different numbers different; hosts and networks come from different halves. */
void load_entry_fill(enum load_kind kind, uint8_t ip, size_t i, struct load_entry *ret_entry)
{
	bool net = kind == LOAD_PREFIXES && i % 2;
	uint64_t scattered = (uint64_t)i * 0x9e3779b97f4a7c15ull;

	memset(ret_entry, 0, sizeof(*ret_entry));
	if (ip == 4 && net) {
		put_bits(ret_entry->addr, 4, ((uint32_t)i * 0x9e3779b1u & 0x7fffff) << 8); /* 0.0.0.0 to 127.255.255.0 */
		ret_entry->len = 24;
	} else if (ip == 4) {
		put_bits(ret_entry->addr, 4, 0x80000000u | ((uint32_t)i * 0x9e3779b1u & 0x7fffffff));
		ret_entry->len = 32;
	} else {
		put_bits(ret_entry->addr, 8, (net ? 0x2400ull : 0x2600ull) << 48 | (scattered & 0xffffffffffffull));
		put_bits(ret_entry->addr + 8, 8, net ? 0 : scattered * 0xff51afd7ed558ccdull);
		ret_entry->len = net ? 64 : 128;
	}
}

static void entries_print(enum load_kind kind, uint8_t ip, size_t first, size_t n, const char *before, const char *after,
			  FILE *out)
{
	char text[INET6_ADDRSTRLEN];
	struct load_entry entry;

	for (size_t i = first; i < first + n; i++) {
		load_entry_fill(kind, ip, i, &entry);
		inet_ntop(ip == 4 ? AF_INET : AF_INET6, entry.addr, text, sizeof(text));
		fputs(before, out);
		fputs(text, out);
		if (entry.len != (ip == 4 ? 32 : 128))
			fprintf(out, "/%u", entry.len);
		fputs(after, out);
	}
}

static void nft_print_port(const char *field, uint16_t lo, uint16_t hi, FILE *out)
{
	if (lo == hi)
		fprintf(out, " th %s %u", field, lo);
	else if (lo || hi != UINT16_MAX)
		fprintf(out, " th %s %u-%u", field, lo, hi);
}

static void nft_print_rules(const struct filter_set *set, FILE *out)
{
	const char *ip = set->ip == 4 ? "ip" : "ip6";
	int family = set->ip == 4 ? AF_INET : AF_INET6;
	char text[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < set->n; i++) {
		const struct filter *f = &set->filters[i];

		if (f->src_len)
			fprintf(out, " %s saddr %s/%u", ip, inet_ntop(family, f->src, text, sizeof(text)), f->src_len);
		if (f->dst_len)
			fprintf(out, " %s daddr %s/%u", ip, inet_ntop(family, f->dst, text, sizeof(text)), f->dst_len);
		if (!f->any_proto)
			fprintf(out, " meta l4proto %u", f->proto);
		nft_print_port("sport", f->src_port_lo, f->src_port_hi, out);
		nft_print_port("dport", f->dst_port_lo, f->dst_port_hi, out);
		fputs(" drop\n", out);
	}
}

static int text_close(FILE *out)
{
	bool failed = ferror(out) != 0;

	return fclose(out) || failed ? -EIO : 0;
}

static int write_spillway(enum load_kind kind, uint8_t ip, size_t n, const struct filter_set *set, const struct load_texts *texts)
{
	FILE *out = fopen(texts->rules, "we");
	int r;

	if (!out)
		return -errno;
	if (kind == LOAD_RULES)
		filter_set_print_rules(set, out);
	else
		fputs("set bench { file \"list\" }\ndrop src @bench\n", out);
	fputs("pass\n", out);
	r = text_close(out);
	out = !r && kind != LOAD_RULES ? fopen(texts->list, "we") : NULL;
	if (!out)
		return r;
	entries_print(kind, ip, 0, n, "", "\n", out);
	return text_close(out);
}

static int write_nft(enum load_kind kind, uint8_t ip, size_t n, const struct filter_set *set, const struct load_texts *texts)
{
	FILE *out = fopen(texts->nft, "we");

	if (!out)
		return -errno;
	fputs("table inet bench {\n", out);
	if (kind != LOAD_RULES) {
		fprintf(out, "set bench {\ntype %s\n%selements = {\n", ip == 4 ? "ipv4_addr" : "ipv6_addr",
			kind == LOAD_PREFIXES ? "flags interval\n" : "");
		entries_print(kind, ip, 0, n, "", ",\n", out);
		fputs("}\n}\n", out);
	}
	fputs("chain bench {\ntype filter hook prerouting priority raw\n", out);
	if (kind == LOAD_RULES)
		nft_print_rules(set, out);
	else
		fprintf(out, "%s saddr @bench drop\n", ip == 4 ? "ip" : "ip6");
	fputs("}\n}\n", out);
	return text_close(out);
}

static int write_ipset(enum load_kind kind, uint8_t ip, size_t n, const struct load_texts *texts)
{
	FILE *out = fopen(texts->ipset, "we");
	size_t hash = 1024;

	if (!out)
		return -errno;
	while (hash < n) /* what it would grow to, so that it need not */
		hash *= 2;
	fprintf(out, "create bench hash:%s family %s hashsize %zu maxelem %zu\n", kind == LOAD_HOSTS ? "ip" : "net",
		ip == 4 ? "inet" : "inet6", hash, 2 * hash);
	entries_print(kind, ip, 0, n, "add bench ", "\n", out);
	return text_close(out);
}

int load_changes_write(enum load_kind kind, uint8_t ip, size_t first, size_t n, const struct load_texts *texts)
{
	static const char *const nft_before[] = { "add element inet bench bench {\n", "delete element inet bench bench {\n" };
	static const char *const ipset_before[] = { "add bench ", "del bench " };
	int r = 0;

	for (int i = 0; !r && i < 2; i++) {
		FILE *nft = fopen(texts->nft_changes[i], "we"), *ipset = fopen(texts->ipset_changes[i], "we");

		if (nft && ipset) {
			fputs(nft_before[i], nft);
			entries_print(kind, ip, first, n, "", ",\n", nft);
			fputs("}\n", nft);
			entries_print(kind, ip, first, n, ipset_before[i], "\n", ipset);
		}
		r = nft ? text_close(nft) : -errno;
		if (ipset && text_close(ipset))
			r = -EIO;
		if (!ipset)
			r = -EIO;
	}
	return r;
}

int load_texts_write(enum load_kind kind, uint8_t ip, size_t n, uint64_t seed, struct load_texts *ret_texts)
{
	struct filter_set set = { 0 };
	int r = 0;

	snprintf(ret_texts->directory, sizeof(ret_texts->directory), "/tmp/spillway-bench-load.XXXXXX");
	if (!mkdtemp(ret_texts->directory))
		return -errno;
	snprintf(ret_texts->rules, sizeof(ret_texts->rules), "%s/rules", ret_texts->directory);
	snprintf(ret_texts->list, sizeof(ret_texts->list), "%s/list", ret_texts->directory);
	snprintf(ret_texts->nft, sizeof(ret_texts->nft), "%s/nft", ret_texts->directory);
	snprintf(ret_texts->ipset, sizeof(ret_texts->ipset), "%s/ipset", ret_texts->directory);
	for (int i = 0; i < 2; i++) {
		snprintf(ret_texts->nft_changes[i], sizeof(ret_texts->nft_changes[i]), "%s/nft.%d", ret_texts->directory, i);
		snprintf(ret_texts->ipset_changes[i], sizeof(ret_texts->ipset_changes[i]), "%s/ipset.%d", ret_texts->directory,
			 i);
	}
	if (kind == LOAD_RULES)
		r = filter_set_generate(FILTER_ACL, ip, n, seed, &set);
	if (!r)
		r = write_spillway(kind, ip, n, &set, ret_texts);
	if (!r)
		r = write_nft(kind, ip, n, &set, ret_texts);
	if (!r && kind != LOAD_RULES)
		r = write_ipset(kind, ip, n, ret_texts);
	filter_set_fini(&set);
	if (r)
		load_texts_remove(ret_texts);
	return r;
}

void load_texts_remove(const struct load_texts *texts)
{
	unlink(texts->rules);
	unlink(texts->list);
	unlink(texts->nft);
	unlink(texts->ipset);
	for (int i = 0; i < 2; i++) {
		unlink(texts->nft_changes[i]);
		unlink(texts->ipset_changes[i]);
	}
	rmdir(texts->directory);
}
