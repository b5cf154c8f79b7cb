/* SPDX-License-Identifier: BSD-2-Clause */
/* classbench-generate - print a rule set, or headers that meet it, in the text of ClassBench or as spillway's rules. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "classbench.h"

#define FILTERS_MAX 1000000ull
#define HEADERS_MAX 100000000ull

enum output { OUTPUT_FILTERS, OUTPUT_RULES, OUTPUT_TRACE };

struct request {
	enum filter_family family;
	enum output output;
	uint8_t ip;
	unsigned long long n, n_headers, seed;
	double zipf; /* 0: each header once */
};

static void help(void)
{
	puts("classbench-generate [OPTIONS] acl|fw|ipc N: print N five-tuple rules like those ClassBench generates\n\n"
	     "  -6, --ip6        IPv6\n"
	     "  --seed N         the same seed, the same set, everywhere (1)\n"
	     "  --rules          in spillway's language instead of ClassBench's\n"
	     "  --trace M        M headers that meet the set instead of the set; fewer when it has not so many different ones\n"
	     "  --zipf EXPONENT  the trace by Zipf's law: a few headers often");
}

static bool number(const char *text, unsigned long long max, unsigned long long *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtoull(text, &end, 10);
	if (!errno && *text >= '0' && *text <= '9' && !*end && *ret_number <= max)
		return true;
	fprintf(stderr, "classbench-generate: '%s': want a number from 0 to %llu\n", text, max);
	return false;
}

static bool family(const char *text, enum filter_family *ret_family)
{
	for (int i = 0; i < FILTER_FAMILY_COUNT; i++) {
		if (!strcmp(text, filter_family_name((enum filter_family)i))) {
			*ret_family = (enum filter_family)i;
			return true;
		}
	}
	fprintf(stderr, "classbench-generate: unknown family '%s': acl, fw or ipc\n", text);
	return false;
}

/* 0; 1: help was printed; -EINVAL: a message was. */
static int request_parse(int argc, char **argv, struct request *request)
{
	static const struct option options[] = {
		{ "ip6", no_argument, NULL, '6' },
		{ "seed", required_argument, NULL, 's' },
		{ "rules", no_argument, NULL, 'r' },
		{ "trace", required_argument, NULL, 't' },
		{ "zipf", required_argument, NULL, 'z' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool good = true;
	int option;

	while (good && (option = getopt_long(argc, argv, "6h", options, NULL)) != -1) {
		if (option == 'h') {
			help();
			return 1;
		}
		if (option == '6')
			request->ip = 6;
		else if (option == 'r')
			request->output = OUTPUT_RULES;
		else if (option == 's')
			good = number(optarg, UINT64_MAX, &request->seed);
		else if (option == 'z')
			request->zipf = strtod(optarg, NULL);
		else if (option == 't')
			good = number(optarg, HEADERS_MAX, &request->n_headers);
		else
			good = false;
		if (option == 't')
			request->output = OUTPUT_TRACE;
	}
	if (good && argc - optind != 2) {
		fputs("classbench-generate: want a family and a number of rules: try --help\n", stderr);
		good = false;
	}
	good = good && family(argv[optind], &request->family) && number(argv[optind + 1], FILTERS_MAX, &request->n);
	return good ? 0 : -EINVAL;
}

static int print_trace(const struct request *request, const struct filter_set *set)
{
	struct trace trace;
	int r = trace_draw(set, request->n_headers, request->seed, &trace);

	if (r)
		return r;
	if (request->zipf > 0 && trace.n)
		r = trace_reorder_zipf(&trace, request->n_headers, request->zipf, request->seed);
	if (!r)
		trace_print(set, &trace, stdout);
	trace_fini(&trace);
	return r;
}

int main(int argc, char **argv)
{
	struct request request = { .ip = 4, .seed = 1 };
	struct filter_set set;
	int r = request_parse(argc, argv, &request);

	if (r)
		return r < 0 ? 2 : 0;
	r = filter_set_generate(request.family, request.ip, request.n, request.seed, &set);
	if (!r && request.output == OUTPUT_TRACE)
		r = print_trace(&request, &set);
	else if (!r && request.output == OUTPUT_RULES)
		filter_set_print_rules(&set, stdout);
	else if (!r)
		filter_set_print(&set, stdout);
	filter_set_fini(&set);
	if (!r && fflush(stdout))
		r = -errno;
	if (r)
		fprintf(stderr, "classbench-generate: %s\n",
			r == -ENOSPC ? "the family has not so many different rules" : strerror(-r));
	return r ? 1 : 0;
}
