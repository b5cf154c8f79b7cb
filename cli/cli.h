/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cli.h - the command line `spillway`: a table of commands (main.c), one function each.
 *
 * The table says everything about a command that can be said without running it: help, usage errors and shell completion
 * (help.c) come from it. Commands that need the daemon talk to it through ask.c.
 */
#ifndef SPILLWAY_CLI_CLI_H
#define SPILLWAY_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "act/verdict.h"
#include "control/ipc.h"
#include "rules/rules.h"

/* Options mean the same wherever they are taken. */
enum option_id {
	OPTION_FILE,
	OPTION_QUEUE,
	OPTION_CPU,
	OPTION_MODE,
	OPTION_REINJECT,
	OPTION_FOREGROUND,
	OPTION_PCAP,
	OPTION_TIER,
	OPTION_BPF_ORACLE,
	OPTION_VERBOSE,
	OPTION_PRINT,
	OPTION_ITEMS,
	OPTION_TTL,
	OPTION_SAMPLES,
	OPTION_WRITE,
	OPTION_JSON,
	OPTION_DRY_RUN,
	OPTION_HELP,
	OPTION_COUNT,
};
#define OPTION_BIT(id) (1u << (id))

struct option_info {
	char letter; /* 0: long form only */
	const char *name;
	const char *argument; /* NULL: takes none */
	const char *choices;  /* words the shell offers, blank separated; NULL: file names */
	const char *help;
};
extern const struct option_info option_table[OPTION_COUNT];

/* What stands behind the command's name. values[] is NULL for an option not given, "" for one without argument. */
struct arguments {
	const char *operand; /* NULL when not given */
	char *const *words;  /* OPERAND_IFACE_WORDS: what follows it, NULL at the end */
	const char *values[OPTION_COUNT];
};

enum operand_kind { OPERAND_NONE, OPERAND_IFACE, OPERAND_IFACE_WORDS, OPERAND_IFACE_MAYBE, OPERAND_COMMAND_MAYBE, OPERAND_SHELL };

struct command {
	const char *name;
	enum operand_kind operand;
	unsigned options, required;		       /* OPTION_BIT()s; --help is always taken */
	const char *summary;			       /* one line */
	const char *details;			       /* for `help NAME`; may be NULL */
	int (*run)(const struct arguments *arguments); /* returns the exit code */
};
extern const struct command command_table[];
extern const unsigned command_count;
const struct command *command_find(const char *name);

/* help.c */
void help_print(FILE *out);
void help_usage(const struct command *command, FILE *out);
void help_command(const struct command *command, FILE *out);
int cmd_help(const struct arguments *arguments);
int cmd_completion(const struct arguments *arguments);

/* cmd_set.c, cmd_sample.c, cmd_guard.c, cmd_show.c, cmd_check.c, cmd_test.c, cmd_restore.c */
int cmd_up(const struct arguments *arguments);
int cmd_down(const struct arguments *arguments);
int cmd_apply(const struct arguments *arguments);
int cmd_status(const struct arguments *arguments);
int cmd_rules(const struct arguments *arguments);
int cmd_version(const struct arguments *arguments);
int cmd_check(const struct arguments *arguments);
int cmd_test(const struct arguments *arguments);
int cmd_set(const struct arguments *arguments);
int cmd_sample(const struct arguments *arguments);
int cmd_restore(const struct arguments *arguments);

/* `spillway: MESSAGE` to stderr; returns the code. */
int fail(enum exit_code code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ask.c: the daemon */

/*
 * Ask the daemon (request stolen). CODE_OK and *ret_result (new reference), or the code it replied with, its message printed.
 * CODE_UNREACHABLE without a daemon: said unless `quiet`.
 */
int daemon_ask(json_t *request, bool quiet, json_t **ret_result);
/* The same for a request to watch (ipc_stream_open()); *ret_stream is released with ipc_stream_close(). */
int daemon_watch(json_t *request, struct ipc_stream **ret_stream, json_t **ret_result);
/* Start one that ends when it has nothing to do, wait until it is ready. In the background, or as our child *ret_child. */
int daemon_start(bool foreground, pid_t *ret_child);

/* cmd_show.c: what an armed interface got, as `up` and `status` say it. */
void status_print_heading(const json_t *status, FILE *out);
int json_print(const json_t *json);
#define GROUPED_MAX 32
const char *grouped(json_int_t number,
		    char text[GROUPED_MAX]); /* 1234567 as 1,234,567: a count of packets is read, not only compared */
const char *verdict_name(enum verdict verdict);

/* cmd_check.c: rules from a file or, for "-", from standard input. */
struct rules_text {
	char *text; /* what the daemon gets: the file, or the rules in canonical text if sets in it name further files */
	size_t len;
	char shown[256]; /* how messages call the file */
	char *path;	 /* absolute, for the daemon's log */
	struct rules *rules;
};

/* CODE_OK, or CODE_USAGE with the message printed and also in *ret_error. Release with rules_text_fini(). */
int rules_text_load(const char *path, struct rules_text *ret_text, struct rules_error *ret_error);
void rules_text_fini(struct rules_text *text);
const char *tier_name(enum rule_tier tier);
const char *action_name(enum rule_action action);

#endif
