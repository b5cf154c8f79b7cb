/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ClassBench's text: a filter is `@SRC/LEN DST/LEN LO : HI LO : HI PROTO/MASK`. Some files have a column of TCP flags behind it,
 * which is no part of a five-tuple and passed over; filters that are equal without it are kept once. A header is `SRC DST
 * SPORT DPORT PROTO`, IPv4 addresses as decimal numbers. IPv6 addresses stand as text in both.
 */
#include "classbench.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct text_file {
	FILE *in;
	pid_t xz; /* 0: a plain file */
};

static int text_file_open_xz(const char *path, struct text_file *file)
{
	int ends[2];

	if (pipe(ends))
		return -errno;
	file->xz = fork();
	if (file->xz == 0) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		execlp("xz", "xz", "-dc", "--", path, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	file->in = file->xz > 0 ? fdopen(ends[0], "r") : NULL;
	if (!file->in)
		close(ends[0]);
	return file->in ? 0 : -errno;
}

static int text_file_open(const char *path, struct text_file *ret_file)
{
	size_t len = strlen(path);
	struct text_file file = { 0 };
	int r;

	if (access(path, R_OK))
		return -errno;
	if (len > 3 && !strcmp(path + len - 3, ".xz")) {
		r = text_file_open_xz(path, &file);
	} else {
		file.in = fopen(path, "re");
		r = file.in ? 0 : -errno;
	}
	if (!r)
		*ret_file = file;
	return r;
}

static int text_file_close(struct text_file *file)
{
	int status = 0;

	fclose(file->in);
	if (file->xz && waitpid(file->xz, &status, 0) != file->xz)
		return -errno;
	return status ? -EIO : 0; /* xz said what on stderr */
}

/* ADDRESS/LEN, the family of the file or of its first address; bits behind LEN are cleared. */
static bool prefix_read(char *text, uint8_t *ip, uint8_t ret_addr[16], uint8_t *ret_len)
{
	char *slash = strchr(text, '/');
	unsigned long len;
	uint8_t family;

	if (!slash || !isdigit((unsigned char)slash[1]))
		return false;
	*slash = '\0';
	len = strtoul(slash + 1, NULL, 10);
	family = strchr(text, ':') ? 6 : 4;
	if ((*ip && *ip != family) || len > (family == 4 ? 32 : 128))
		return false;
	*ip = family;
	memset(ret_addr, 0, 16);
	if (inet_pton(family == 4 ? AF_INET : AF_INET6, text, ret_addr) != 1)
		return false;
	for (unsigned long bit = len; bit < 128; bit++)
		ret_addr[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	*ret_len = (uint8_t)len;
	return true;
}

static bool filter_read(const char *line, uint8_t *ip, struct filter *filter)
{
	char src[64], dst[64];
	unsigned ports[4], proto, mask;

	if (sscanf(line, "@%63s %63s %u : %u %u : %u %x/%x", src, dst, &ports[0], &ports[1], &ports[2], &ports[3], &proto,
		   &mask) != 8)
		return false;
	if (!prefix_read(src, ip, filter->src, &filter->src_len) || !prefix_read(dst, ip, filter->dst, &filter->dst_len))
		return false;
	if (ports[0] > ports[1] || ports[1] > UINT16_MAX || ports[2] > ports[3] || ports[3] > UINT16_MAX || proto > 255 ||
	    (mask && mask != 0xff))
		return false;
	filter->src_port_lo = (uint16_t)ports[0];
	filter->src_port_hi = (uint16_t)ports[1];
	filter->dst_port_lo = (uint16_t)ports[2];
	filter->dst_port_hi = (uint16_t)ports[3];
	filter->any_proto = !mask;
	filter->proto = mask ? (uint8_t)proto : 0;
	return true;
}

static int index_compare(const void *left, const void *right, void *filters)
{
	const struct filter *all = filters;
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	int order = memcmp(&all[a], &all[b], sizeof(*all));

	return order ? order : (a > b) - (a < b);
}

static int filter_set_unique(struct filter_set *set)
{
	uint32_t *index = malloc((set->n + 1) * sizeof(*index));
	bool *drop = calloc(set->n + 1, sizeof(*drop));
	size_t kept = 0;

	for (size_t i = 0; index && i < set->n; i++)
		index[i] = (uint32_t)i;
	if (index && drop) {
		qsort_r(index, set->n, sizeof(*index), index_compare, set->filters);
		for (size_t i = 1; i < set->n; i++)
			drop[index[i]] = !memcmp(&set->filters[index[i]], &set->filters[index[i - 1]], sizeof(*set->filters));
		for (size_t i = 0; i < set->n; i++) {
			if (!drop[i])
				set->filters[kept++] = set->filters[i];
		}
		set->n = kept;
	}
	free(index);
	free(drop);
	return index && drop ? 0 : -ENOMEM;
}

/* Room for element `n`, zeroed. */
static void *array_room(void **array, size_t *room, size_t n, size_t element)
{
	if (n == *room) {
		size_t more = *room ? 2 * *room : 1024;
		void *moved = realloc(*array, more * element);

		if (!moved)
			return NULL;
		*array = moved;
		*room = more;
	}
	return memset((uint8_t *)*array + n * element, 0, element);
}

int filter_set_read(const char *path, struct filter_set *ret_set, unsigned *ret_line)
{
	struct filter_set set = { 0 };
	struct text_file file;
	char line[512];
	size_t room = 0;
	int r = text_file_open(path, &file), closed;

	if (r)
		return r;
	for (unsigned n = 1; !r && fgets(line, sizeof(line), file.in); n++) {
		void *array = set.filters;
		struct filter *filter = array_room(&array, &room, set.n, sizeof(*filter));

		set.filters = array;
		r = !filter ? -ENOMEM : filter_read(line, &set.ip, filter) ? 0 : -EINVAL;
		set.n += !r;
		*ret_line = n;
	}
	closed = text_file_close(&file);
	r = r ? r : closed ? closed : filter_set_unique(&set);
	if (r)
		filter_set_fini(&set);
	else
		*ret_set = set;
	return r;
}

static bool header_read_addr(const char *text, uint8_t addr[16])
{
	uint32_t number;
	char *end;

	if (strchr(text, ':'))
		return inet_pton(AF_INET6, text, addr) == 1;
	number = htonl((uint32_t)strtoul(text, &end, 10));
	memcpy(addr, &number, sizeof(number));
	return *text && !*end;
}

static bool header_read(const char *line, struct five_tuple *header)
{
	char src[64], dst[64];
	unsigned src_port, dst_port, proto;

	if (sscanf(line, "%63s %63s %u %u %u", src, dst, &src_port, &dst_port, &proto) != 5)
		return false;
	if (!header_read_addr(src, header->src) || !header_read_addr(dst, header->dst) || src_port > UINT16_MAX ||
	    dst_port > UINT16_MAX || proto > 255)
		return false;
	header->proto = (uint8_t)proto;
	header->has_ports = proto == 6 || proto == 17 || proto == 132;
	header->src_port = header->has_ports ? (uint16_t)src_port : 0;
	header->dst_port = header->has_ports ? (uint16_t)dst_port : 0;
	return true;
}

int trace_read(const char *path, struct trace *ret_trace, unsigned *ret_line)
{
	struct trace trace = { 0 };
	struct text_file file;
	char line[512];
	size_t room = 0;
	int r = text_file_open(path, &file), closed;

	if (r)
		return r;
	for (unsigned n = 1; !r && fgets(line, sizeof(line), file.in); n++) {
		void *array = trace.headers;
		struct five_tuple *header = array_room(&array, &room, trace.n, sizeof(*header));

		trace.headers = array;
		r = !header ? -ENOMEM : header_read(line, header) ? 0 : -EINVAL;
		trace.n += !r;
		*ret_line = n;
	}
	closed = text_file_close(&file);
	r = r ? r : closed ? closed : trace_reorder_plain(&trace);
	if (r)
		trace_fini(&trace);
	else
		*ret_trace = trace;
	return r;
}

static const char *addr_text(uint8_t ip, const uint8_t addr[16], char ret_text[INET6_ADDRSTRLEN])
{
	return inet_ntop(ip == 4 ? AF_INET : AF_INET6, addr, ret_text, INET6_ADDRSTRLEN);
}

void filter_set_print(const struct filter_set *set, FILE *out)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < set->n; i++) {
		const struct filter *f = &set->filters[i];

		fprintf(out, "@%s/%u\t%s/%u\t%u : %u\t%u : %u\t0x%02x/0x%02X\n", addr_text(set->ip, f->src, src), f->src_len,
			addr_text(set->ip, f->dst, dst), f->dst_len, f->src_port_lo, f->src_port_hi, f->dst_port_lo,
			f->dst_port_hi, f->proto, f->any_proto ? 0 : 0xff);
	}
}

static const char *header_addr_text(uint8_t ip, const uint8_t addr[16], char ret_text[INET6_ADDRSTRLEN])
{
	uint32_t number;

	if (ip == 6)
		return addr_text(ip, addr, ret_text);
	memcpy(&number, addr, sizeof(number));
	snprintf(ret_text, INET6_ADDRSTRLEN, "%u", ntohl(number));
	return ret_text;
}

void trace_print(const struct filter_set *set, const struct trace *trace, FILE *out)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < trace->n_order; i++) {
		const struct five_tuple *h = &trace->headers[trace->order[i]];

		fprintf(out, "%s\t%s\t%u\t%u\t%u\n", header_addr_text(set->ip, h->src, src),
			header_addr_text(set->ip, h->dst, dst), h->src_port, h->dst_port, h->proto);
	}
}

static void port_print_rule(const char *side, uint16_t lo, uint16_t hi, FILE *out)
{
	if (lo == hi)
		fprintf(out, " and %s port %u", side, lo);
	else if (lo || hi != UINT16_MAX)
		fprintf(out, " and %s portrange %u-%u", side, lo, hi);
}

void filter_set_print_rules(const struct filter_set *set, FILE *out)
{
	char text[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < set->n; i++) {
		const struct filter *f = &set->filters[i];

		fputs(set->ip == 4 ? "drop ip" : "drop ip6", out);
		if (f->src_len)
			fprintf(out, " and src net %s/%u", addr_text(set->ip, f->src, text), f->src_len);
		if (f->dst_len)
			fprintf(out, " and dst net %s/%u", addr_text(set->ip, f->dst, text), f->dst_len);
		port_print_rule("src", f->src_port_lo, f->src_port_hi, out);
		port_print_rule("dst", f->dst_port_lo, f->dst_port_hi, out);
		if (!f->any_proto)
			fprintf(out, " and proto %u", f->proto);
		fputc('\n', out);
	}
}
