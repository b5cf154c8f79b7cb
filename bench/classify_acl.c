/* SPDX-License-Identifier: BSD-2-Clause */
#include "classify_acl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_acl.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_version.h>

#define HUGE_PAGES "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define HUGE_BYTES 2097152
#define HUGE_PAGES_WANTED 4096ul /* 8 GiB, if that is not more than half of what is free */
#define FIELDS_MAX 11

/* The first field must be one byte, the others come four bytes a turn (rte_acl.h). */
struct key4 {
	uint8_t proto;
	uint32_t src, dst;
	uint16_t src_port, dst_port;
};

struct key6 {
	uint8_t proto;
	uint32_t src[4], dst[4];
	uint16_t src_port, dst_port;
};

_Static_assert(sizeof(struct key6) <= ACL_KEY_MAX, "a key fits");

struct acl {
	struct rte_acl_ctx *ctx;
	size_t bytes;
	uint16_t portless[2];
	uint8_t ip;
};

struct acl_rule {
	struct rte_acl_rule_data data;
	struct rte_acl_field field[FIELDS_MAX];
};

static const struct {
	enum rte_acl_classify_alg alg;
	const char *name;
} algs[] = {
	{ RTE_ACL_CLASSIFY_SCALAR, "scalar" },	     { RTE_ACL_CLASSIFY_SSE, "sse" },
	{ RTE_ACL_CLASSIFY_AVX2, "avx2" },	     { RTE_ACL_CLASSIFY_AVX512X16, "avx512x16" },
	{ RTE_ACL_CLASSIFY_AVX512X32, "avx512x32" },
};
static const uint32_t batches[] = { 16, 32, 64, 128, 256 };

#define N_ALGS (sizeof(algs) / sizeof(algs[0]))
#define N_BATCHES (sizeof(batches) / sizeof(batches[0]))

static char pages_before[24]; /* how many huge pages the machine had, as text; empty: they were left alone */

static unsigned long number_read(const char *path)
{
	FILE *in = fopen(path, "re");
	unsigned long number = 0;

	if (in && fscanf(in, "%lu", &number) != 1)
		number = 0;
	if (in)
		fclose(in);
	return number;
}

/* Also called by a signal handler: system calls only. */
static void pages_set(const char *pages)
{
	int fd = open(HUGE_PAGES "nr_hugepages", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, pages, strlen(pages)) < 0)
		pages_before[0] = '\0'; /* not ours to change, so nothing to put back */
	close(fd);
}

static void pages_restore(void)
{
	if (pages_before[0])
		pages_set(pages_before);
	pages_before[0] = '\0';
}

static void pages_restore_and_die(int signal)
{
	pages_restore();
	raise(signal); /* SA_RESETHAND: by the default action */
}

static void pages_restore_at_end(void)
{
	struct sigaction action = { .sa_handler = pages_restore_and_die, .sa_flags = SA_RESETHAND };
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGSEGV, SIGABRT };

	atexit(pages_restore);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		sigaction(ends[i], &action, NULL);
}

/* Have as many unused pages as the bench may want, beyond those that others use. What was there is put back at the end. */
static void pages_reserve(void)
{
	unsigned long available = (unsigned long)sysconf(_SC_AVPHYS_PAGES) / (unsigned long)(HUGE_BYTES / sysconf(_SC_PAGESIZE));
	unsigned long wanted = available / 2 < HUGE_PAGES_WANTED ? available / 2 : HUGE_PAGES_WANTED;
	unsigned long unused = number_read(HUGE_PAGES "free_hugepages"), before = number_read(HUGE_PAGES "nr_hugepages");
	char pages[24];

	if (unused >= wanted || geteuid())
		return;
	snprintf(pages_before, sizeof(pages_before), "%lu", before);
	pages_restore_at_end();
	snprintf(pages, sizeof(pages), "%lu", before - unused + wanted);
	pages_set(pages);
}

static int eal_start(int cpu, bool huge)
{
	char core[16], *arguments[] = { "classify",
					"-l",
					core,
					"--no-pci",
					"--in-memory",
					"--no-telemetry",
					"--log-level=error",
					"--force-max-simd-bitwidth=512",
					huge ? NULL : "--no-huge",
					NULL };
	char *given[sizeof(arguments) / sizeof(arguments[0])];

	snprintf(core, sizeof(core), "%d", cpu);
	memcpy(given, arguments, sizeof(given)); /* getopt moves them */
	return rte_eal_init(huge ? 8 : 9, given) < 0 ? -rte_errno : 0;
}

int acl_environment_init(int cpu, struct acl_environment *ret_environment)
{
	unsigned long unused;
	int r;

	pages_reserve();
	unused = number_read(HUGE_PAGES "free_hugepages");
	ret_environment->huge = unused > 0;
	ret_environment->huge_bytes = unused * HUGE_BYTES;
	snprintf(ret_environment->version, sizeof(ret_environment->version), "%s", rte_version());
	r = eal_start(cpu, ret_environment->huge);
	if (r)
		fprintf(stderr, "classify: DPDK does not start: %s\n", strerror(-r));
	return r;
}

void acl_environment_fini(void)
{
	rte_eal_cleanup();
	pages_restore();
}

static void field_fill(struct rte_acl_config *config, uint8_t type, uint8_t size, uint8_t input, size_t offset)
{
	config->defs[config->num_fields] = (struct rte_acl_field_def){ .type = type,
								       .size = size,
								       .field_index = (uint8_t)config->num_fields,
								       .input_index = input,
								       .offset = (uint32_t)offset };
	config->num_fields++;
}

static void config_fill(uint8_t ip, struct rte_acl_config *ret_config)
{
	unsigned words = ip == 4 ? 1 : 4;
	size_t src = ip == 4 ? offsetof(struct key4, src) : offsetof(struct key6, src);
	size_t ports = ip == 4 ? offsetof(struct key4, src_port) : offsetof(struct key6, src_port);
	uint8_t input = 1;

	*ret_config = (struct rte_acl_config){ .num_categories = 1 };
	field_fill(ret_config, RTE_ACL_FIELD_TYPE_BITMASK, 1, 0, 0);
	for (unsigned word = 0; word < 2 * words; word++)
		field_fill(ret_config, RTE_ACL_FIELD_TYPE_MASK, 4, input++, src + 4 * word);
	field_fill(ret_config, RTE_ACL_FIELD_TYPE_RANGE, 2, input, ports);
	field_fill(ret_config, RTE_ACL_FIELD_TYPE_RANGE, 2, input, ports + 2);
}

static void rule_fill_addr(const uint8_t addr[16], unsigned len, unsigned words, struct rte_acl_field *field)
{
	for (unsigned word = 0; word < words; word++) {
		uint32_t value;

		memcpy(&value, addr + 4 * word, sizeof(value));
		field[word].value.u32 = ntohl(value);
		field[word].mask_range.u32 = len > 32 * word ? (len - 32 * word < 32 ? len - 32 * word : 32) : 0;
	}
}

static void rule_fill(const struct filter_set *set, size_t i, struct acl_rule *ret_rule)
{
	const struct filter *filter = &set->filters[i];
	unsigned words = set->ip == 4 ? 1 : 4;
	struct rte_acl_field *field = ret_rule->field;

	memset(ret_rule, 0, sizeof(*ret_rule));
	ret_rule->data.category_mask = 1;
	ret_rule->data.priority = (int32_t)(set->n - i);
	ret_rule->data.userdata = (uint32_t)i + 1;
	field[0].value.u8 = filter->proto;
	field[0].mask_range.u8 = filter->any_proto ? 0 : UINT8_MAX;
	rule_fill_addr(filter->src, filter->src_len, words, field + 1);
	rule_fill_addr(filter->dst, filter->dst_len, words, field + 1 + words);
	field += 1 + 2 * words;
	field[0].value.u16 = filter->src_port_lo;
	field[0].mask_range.u16 = filter->src_port_hi;
	field[1].value.u16 = filter->dst_port_lo;
	field[1].mask_range.u16 = filter->dst_port_hi;
}

static bool filter_asks(const struct filter *filter, int side, unsigned port)
{
	unsigned lo = side ? filter->dst_port_lo : filter->src_port_lo, hi = side ? filter->dst_port_hi : filter->src_port_hi;

	return (lo || hi != UINT16_MAX) && port >= lo && port <= hi &&
	       (filter->any_proto || (filter->proto != 6 && filter->proto != 17 && filter->proto != 132));
}

bool acl_portless(const struct filter_set *set, uint16_t ret_ports[2])
{
	for (int side = 0; side < 2; side++) {
		unsigned port = UINT16_MAX + 1u;
		size_t i = 0;

		while (port && i < set->n) {
			port--;
			for (i = 0; i < set->n && !filter_asks(&set->filters[i], side, port); i++)
				;
		}
		if (i < set->n)
			return false;
		ret_ports[side] = (uint16_t)port;
	}
	return true;
}

static size_t heap_bytes(void)
{
	struct rte_malloc_socket_stats stats = { 0 };

	rte_malloc_get_socket_stats(0, &stats);
	return stats.heap_allocsz_bytes;
}

static int acl_build(struct acl *acl, const struct filter_set *set)
{
	struct rte_acl_config config;
	struct acl_rule rule;
	size_t before;
	int r = 0;

	config_fill(set->ip, &config);
	for (size_t i = 0; !r && i < set->n; i++) {
		rule_fill(set, i, &rule);
		r = rte_acl_add_rules(acl->ctx, (const struct rte_acl_rule *)&rule, 1);
	}
	before = heap_bytes();
	if (!r)
		r = rte_acl_build(acl->ctx, &config);
	acl->bytes = heap_bytes() - before;
	return r;
}

int acl_new(const struct filter_set *set, struct acl **ret_acl)
{
	static unsigned serial;
	char name[RTE_ACL_NAMESIZE];
	unsigned fields = set->ip == 4 ? 5 : 11;
	struct rte_acl_param param = {
		.name = name, .socket_id = SOCKET_ID_ANY, .rule_size = RTE_ACL_RULE_SZ(fields), .max_rule_num = (uint32_t)set->n
	};
	struct acl *acl = calloc(1, sizeof(*acl));
	int r;

	if (!acl)
		return -ENOMEM;
	snprintf(name, sizeof(name), "bench%u", serial++);
	acl->ip = set->ip;
	acl->ctx = rte_acl_create(&param);
	if (!acl->ctx)
		r = rte_errno ? -rte_errno : -ENOMEM;
	else
		r = acl_portless(set, acl->portless) ? acl_build(acl, set) : -EDOM;
	if (r)
		acl_free(acl);
	else
		*ret_acl = acl;
	return r;
}

struct acl *acl_free(struct acl *acl)
{
	if (acl)
		rte_acl_free(acl->ctx);
	free(acl);
	return NULL;
}

size_t acl_bytes(const struct acl *acl)
{
	return acl->bytes;
}

size_t acl_key_size(const struct acl *acl)
{
	return acl->ip == 4 ? sizeof(struct key4) : sizeof(struct key6);
}

void acl_key_fill(const struct acl *acl, const struct five_tuple *header, uint8_t *ret_key)
{
	uint16_t src_port = htons(header->has_ports ? header->src_port : acl->portless[0]);
	uint16_t dst_port = htons(header->has_ports ? header->dst_port : acl->portless[1]);

	if (acl->ip == 4) {
		struct key4 key = { .proto = header->proto, .src_port = src_port, .dst_port = dst_port };

		memcpy(&key.src, header->src, sizeof(key.src));
		memcpy(&key.dst, header->dst, sizeof(key.dst));
		memcpy(ret_key, &key, sizeof(key));
	} else {
		struct key6 key = { .proto = header->proto, .src_port = src_port, .dst_port = dst_port };

		memcpy(key.src, header->src, sizeof(key.src));
		memcpy(key.dst, header->dst, sizeof(key.dst));
		memcpy(ret_key, &key, sizeof(key));
	}
}

unsigned acl_way_count(void)
{
	return N_ALGS * N_BATCHES;
}

const char *acl_way_name(unsigned way)
{
	static char name[64];

	snprintf(name, sizeof(name), "rte_acl %s/%u", algs[way / N_BATCHES].name, batches[way % N_BATCHES]);
	return name;
}

bool acl_way_runs(const struct acl *acl, unsigned way)
{
	return !rte_acl_set_ctx_classify(acl->ctx, algs[way / N_BATCHES].alg);
}

void acl_classify(const struct acl *acl, unsigned way, const uint8_t *const *keys, uint32_t n, uint32_t *ret_results)
{
	enum rte_acl_classify_alg alg = algs[way / N_BATCHES].alg;
	uint32_t batch = batches[way % N_BATCHES];

	for (uint32_t at = 0; at < n; at += batch)
		rte_acl_classify_alg(acl->ctx, (const uint8_t **)(uintptr_t)(keys + at), ret_results + at,
				     n - at < batch ? n - at : batch, 1, alg);
}
