/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/near.h"
#include "cli.h"

const struct option_info option_table[OPTION_COUNT] = {
	[OPTION_FILE] = { 'f', "file", "RULES", NULL, "the rules, as in spillway-rules(5); - reads standard input" },
	[OPTION_QUEUE] = { 'q', "queue", "N|auto", "auto", "the RX queue that diverted flows arrive on" },
	[OPTION_MODE] = { 'm', "mode", "auto|native|generic", "auto native generic", "where XDP runs: the driver, or the stack" },
	[OPTION_CPU] = { 'c', "cpu", "N|auto", "auto", "the CPU the worker runs on; best not the one of the queue's interrupts" },
	[OPTION_REINJECT] = { 0, "reinject", "auto|tap|live", "auto tap live", "how valid packets get back into the kernel" },
	[OPTION_FOREGROUND] = { 0, "foreground", NULL, NULL, "stay; Ctrl-C takes everything down" },
	[OPTION_PCAP] = { 0, "pcap", "FILE", NULL, "the capture, pcap or pcapng; - reads standard input" },
	[OPTION_TIER] = { 0, "tier", "xdp|user|both", "xdp user both",
			  "whose answers: the XDP program's, the host's, or both compared" },
	[OPTION_BPF_ORACLE] = { 0, "bpf-oracle", NULL, NULL, "let libpcap count each rule's match as well, and compare" },
	[OPTION_VERBOSE] = { 'v', "verbose", NULL, NULL, "one line for each packet" },
	[OPTION_PRINT] = { 0, "print", "text|json", "text json", "print only the rules, in canonical text or as JSON" },
	[OPTION_ITEMS] = { 'f', "file", "FILE", NULL, "the items, one a line; - reads standard input" },
	[OPTION_TTL] = { 0, "ttl", "TIME", "10m 1h 1d", "how long the items stay: 90s, 10m, 1h30m, 7d" },
	[OPTION_SAMPLES] = { 'n', "count", "COUNT", "1 10 100", "end after so many samples" },
	[OPTION_WRITE] = { 'w', "write", "FILE", NULL, "write a capture (pcap) instead; - is standard output" },
	[OPTION_JSON] = { 'j', "json", NULL, NULL, "print JSON" },
	[OPTION_DRY_RUN] = { 'n', "dry-run", NULL, NULL, "only say what would be done" },
	[OPTION_HELP] = { 'h', "help", NULL, NULL, "say how to use the command" },
};

const struct command command_table[] = {
	{
		.name = "up",
		.operand = OPERAND_IFACE,
		.options = OPTION_BIT(OPTION_FILE) | OPTION_BIT(OPTION_QUEUE) | OPTION_BIT(OPTION_CPU) | OPTION_BIT(OPTION_MODE) |
			   OPTION_BIT(OPTION_REINJECT) | OPTION_BIT(OPTION_FOREGROUND),
		.required = OPTION_BIT(OPTION_FILE),
		.summary = "arm an interface with rules",
		.details = "Starts the daemon if none runs. Everything is made ready first; the XDP program is attached last.",
		.run = cmd_up,
	},
	{
		.name = "down",
		.operand = OPERAND_IFACE,
		.summary = "disarm an interface and undo every change",
		.details = "The daemon ends with the last interface if `spillway up` started it.",
		.run = cmd_down,
	},
	{
		.name = "apply",
		.operand = OPERAND_IFACE,
		.options = OPTION_BIT(OPTION_FILE),
		.required = OPTION_BIT(OPTION_FILE),
		.summary = "replace the rules of an armed interface",
		.details = "Every packet meets the old rules or the new ones. On an error the old ones run on.",
		.run = cmd_apply,
	},
	{
		.name = "status",
		.operand = OPERAND_IFACE_MAYBE,
		.options = OPTION_BIT(OPTION_JSON),
		.summary = "how armed interfaces do, and what became of the packets",
		.details = "Without an interface: all of them.",
		.run = cmd_status,
	},
	{
		.name = "rules",
		.operand = OPERAND_IFACE,
		.options = OPTION_BIT(OPTION_JSON),
		.summary = "the rules of an armed interface, with hits",
		.run = cmd_rules,
	},
	{
		.name = "check",
		.options = OPTION_BIT(OPTION_FILE) | OPTION_BIT(OPTION_PRINT) | OPTION_BIT(OPTION_JSON),
		.required = OPTION_BIT(OPTION_FILE),
		.summary = "check rules, and say in which tier each would run",
		.details = "Needs no privileges and touches nothing.",
		.run = cmd_check,
	},
	{
		.name = "test",
		.options = OPTION_BIT(OPTION_FILE) | OPTION_BIT(OPTION_PCAP) | OPTION_BIT(OPTION_TIER) |
			   OPTION_BIT(OPTION_BPF_ORACLE) | OPTION_BIT(OPTION_VERBOSE) | OPTION_BIT(OPTION_JSON),
		.required = OPTION_BIT(OPTION_FILE) | OPTION_BIT(OPTION_PCAP),
		.summary = "what rules do with the packets of a capture",
		.details = "Touches no interface. With --tier xdp and both, the XDP program itself is run, which needs root.",
		.run = cmd_test,
	},
	{
		.name = "set",
		.operand = OPERAND_IFACE_WORDS,
		.options = OPTION_BIT(OPTION_ITEMS) | OPTION_BIT(OPTION_TTL) | OPTION_BIT(OPTION_JSON),
		.summary = "add, delete, replace or list items of a named set",
		.details = "The rules run on untouched. With -f, one item a line. If one is wrong, nothing is changed.",
		.run = cmd_set,
	},
	{
		.name = "sample",
		.operand = OPERAND_IFACE,
		.options = OPTION_BIT(OPTION_SAMPLES) | OPTION_BIT(OPTION_WRITE) | OPTION_BIT(OPTION_JSON),
		.summary = "watch the packets that sample rules take",
		.details = "One line for each until Ctrl-C. Nothing is kept while nobody watches.",
		.run = cmd_sample,
	},
	{
		.name = "restore",
		.options = OPTION_BIT(OPTION_DRY_RUN),
		.summary = "undo what a daemon that was killed has left",
		.details = "Needs no daemon. Only what spillway changed is undone, and only if it is still as spillway left it.",
		.run = cmd_restore,
	},
	{
		.name = "version",
		.options = OPTION_BIT(OPTION_JSON),
		.summary = "version of this program and of the running daemon",
		.run = cmd_version,
	},
	{
		.name = "completion",
		.operand = OPERAND_SHELL,
		.summary = "print a completion script for a shell",
		.details = "For this shell only: source <(spillway completion bash)",
		.run = cmd_completion,
	},
	{
		.name = "help",
		.operand = OPERAND_COMMAND_MAYBE,
		.summary = "say how to use a command",
		.run = cmd_help,
	},
};
const unsigned command_count = sizeof(command_table) / sizeof(command_table[0]);

const struct command *command_find(const char *name)
{
	for (unsigned i = 0; i < command_count; i++)
		if (strcmp(command_table[i].name, name) == 0)
			return &command_table[i];
	return NULL;
}

int fail(enum exit_code code, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "spillway: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return (int)code;
}

static int unknown_command(const char *name)
{
	const char *names[command_count];
	const char *near;

	for (unsigned i = 0; i < command_count; i++)
		names[i] = command_table[i].name;
	near = near_find(name, names, command_count);
	if (near)
		return fail(CODE_USAGE, "no command \"%s\": did you mean %s?", name, near);
	return fail(CODE_USAGE, "no command \"%s\": see `spillway help`", name);
}

static int usage_error(const struct command *command, const char *what, const char *which)
{
	fprintf(stderr, "spillway: %s: %s%s; usage: ", command->name, what, which);
	help_usage(command, stderr);
	return CODE_USAGE;
}

/* The table's options as getopt_long(3) wants them: `val` is the option_id + 1, so that it cannot be mistaken for an error. */
static void getopt_tables(const struct command *command, char *letters, struct option *longs)
{
	*letters++ = ':'; /* tell a missing argument from an unknown option */
	for (unsigned id = 0; id < OPTION_COUNT; id++) {
		const struct option_info *info = &option_table[id];

		if (!((command->options | OPTION_BIT(OPTION_HELP)) & OPTION_BIT(id)))
			continue;
		*longs++ = (struct option){ info->name, info->argument ? required_argument : no_argument, NULL, (int)id + 1 };
		if (!info->letter)
			continue;
		*letters++ = info->letter;
		if (info->argument)
			*letters++ = ':';
	}
	*letters = '\0';
	*longs = (struct option){};
}

static bool option_taken(const struct command *command, unsigned id)
{
	return (command->options | OPTION_BIT(OPTION_HELP)) & OPTION_BIT(id);
}

static int option_by_letter(const struct command *command, int letter)
{
	for (int id = 0; id < OPTION_COUNT; id++)
		if (option_table[id].letter == letter && option_taken(command, (unsigned)id))
			return id;
	return -1;
}

static int options_parse(const struct command *command, int argc, char **argv, struct arguments *arguments)
{
	struct option longs[OPTION_COUNT + 1];
	char letters[2 * OPTION_COUNT + 2];
	int got;

	getopt_tables(command, letters, longs);
	opterr = 0;
	while ((got = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		int id = got > OPTION_COUNT ? option_by_letter(command, got) : got - 1;

		if (got == '?')
			return usage_error(command, "unknown option ",
					   optopt ? (char[]){ '-', (char)optopt, '\0' } : argv[optind - 1]);
		if (got == ':')
			return usage_error(command, "an argument is missing behind ", argv[optind - 1]);
		arguments->values[id] = optarg ? optarg : "";
	}
	return CODE_OK;
}

static int operand_check(const struct command *command, int argc, char **argv, struct arguments *arguments)
{
	bool words = command->operand == OPERAND_IFACE_WORDS;
	bool iface = words || command->operand == OPERAND_IFACE;
	int count = argc - optind;

	if (count == 0 && (iface || command->operand == OPERAND_SHELL))
		return usage_error(command, iface ? "which interface?" : "which shell?", "");
	arguments->words = words ? argv + optind + 1 : NULL; /* argv ends in NULL */
	if (!words && count > (command->operand == OPERAND_NONE ? 0 : 1))
		return usage_error(command, "unexpected ", argv[argc - 1]);
	arguments->operand = count ? argv[optind] : NULL;
	return CODE_OK;
}

static int command_run(const struct command *command, int argc, char **argv)
{
	struct arguments arguments = {};
	int code;

	code = options_parse(command, argc, argv, &arguments);
	if (code != CODE_OK)
		return code;
	if (arguments.values[OPTION_HELP]) {
		help_command(command, stdout);
		return CODE_OK;
	}
	code = operand_check(command, argc, argv, &arguments);
	if (code != CODE_OK)
		return code;
	for (unsigned id = 0; id < OPTION_COUNT; id++)
		if ((command->required & OPTION_BIT(id)) && !arguments.values[id])
			return usage_error(command, "missing option --", option_table[id].name);
	return command->run(&arguments);
}

/* A standard file that is closed would be the next that we open: read as rules, or written over. What stands there instead fails. */
static void reserve_standard_files(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
			return;
}

int main(int argc, char **argv)
{
	const struct command *command;
	int code;

	reserve_standard_files();
	if (argc < 2) {
		help_print(stderr);
		return CODE_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		argv[1] = "help";
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		argv[1] = "version";
	command = command_find(argv[1]);
	if (!command)
		return unknown_command(argv[1]);
	code = command_run(command, argc - 1, argv + 1);
	if (fflush(stdout) != 0 && code == CODE_OK)
		return fail(CODE_REFUSED, "cannot write the output");
	return code;
}
