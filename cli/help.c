/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "cli.h"

static const char *const operand_usage[] = {
	[OPERAND_NONE] = "",
	[OPERAND_IFACE] = " IFACE",
	[OPERAND_IFACE_WORDS] = " IFACE NAME add|del|list|replace [ITEM...]",
	[OPERAND_IFACE_MAYBE] = " [IFACE]",
	[OPERAND_COMMAND_MAYBE] = " [COMMAND]",
	[OPERAND_SHELL] = " bash",
};

static void option_usage(const struct command *command, enum option_id id, FILE *out)
{
	const struct option_info *info = &option_table[id];
	bool required = command->required & OPTION_BIT(id);

	fputs(required ? " " : " [", out);
	if (info->letter)
		fprintf(out, "-%c", info->letter);
	else
		fprintf(out, "--%s", info->name);
	if (info->argument)
		fprintf(out, " %s", info->argument);
	fputs(required ? "" : "]", out);
}

void help_usage(const struct command *command, FILE *out)
{
	fprintf(out, "spillway %s%s", command->name, operand_usage[command->operand]);
	for (unsigned id = 0; id < OPTION_COUNT; id++)
		if (command->options & OPTION_BIT(id))
			option_usage(command, (enum option_id)id, out);
	fputc('\n', out);
}

void help_command(const struct command *command, FILE *out)
{
	fputs("Usage: ", out);
	help_usage(command, out);
	fprintf(out, "\n%s.\n", command->summary);
	if (command->details)
		fprintf(out, "%s\n", command->details);
	fputc('\n', out);
	for (unsigned id = 0; id < OPTION_COUNT; id++) {
		const struct option_info *info = &option_table[id];
		char spelling[64];

		if (!((command->options | OPTION_BIT(OPTION_HELP)) & OPTION_BIT(id)))
			continue;
		snprintf(spelling, sizeof(spelling), "%s%.1s%s--%s%s%s", info->letter ? "-" : "  ", &info->letter,
			 info->letter ? ", " : "  ", info->name, info->argument ? " " : "", info->argument ? info->argument : "");
		fprintf(out, "  %-32s %s\n", spelling, info->help);
	}
	fputs("\nThe manual is spillway(8).\n", out);
}

void help_print(FILE *out)
{
	fputs("Usage: spillway COMMAND [IFACE] [OPTION...]\n"
	      "Take a packet flood off a network interface before the kernel has to look at it.\n\n",
	      out);
	for (unsigned i = 0; i < command_count; i++)
		fprintf(out, "  %-12s%s\n", command_table[i].name, command_table[i].summary);
	fputs("\n`spillway help COMMAND` says more; rules are explained in spillway-rules(5).\n", out);
}

int cmd_help(const struct arguments *arguments)
{
	const struct command *command;

	if (!arguments->operand) {
		help_print(stdout);
		return CODE_OK;
	}
	command = command_find(arguments->operand);
	if (!command)
		return fail(CODE_USAGE, "no command \"%s\": see `spillway help`", arguments->operand);
	help_command(command, stdout);
	return CODE_OK;
}

/* Does an option before it have the same name? Then it belongs to other commands. */
static bool option_seen(unsigned id)
{
	for (unsigned before = 0; before < id; before++) {
		if (strcmp(option_table[before].name, option_table[id].name) == 0)
			return true;
	}
	return false;
}

/* What the shell offers behind an option that takes an argument. */
static void completion_option_arguments(void)
{
	puts("\tcase $previous in");
	for (unsigned id = 0; id < OPTION_COUNT; id++) {
		const struct option_info *info = &option_table[id];

		if (!info->argument || option_seen(id))
			continue;
		if (info->letter)
			printf("\t-%c | --%s) ", info->letter, info->name);
		else
			printf("\t--%s) ", info->name);
		if (info->choices)
			printf("COMPREPLY=($(compgen -W \"%s\" -- \"$word\")); return ;;\n", info->choices);
		else
			puts("compopt -o filenames; COMPREPLY=($(compgen -f -- \"$word\")); return ;;");
	}
	puts("\tesac");
}

#define COMPLETION_INTERFACES "ip -o link 2>/dev/null | awk -F'[ :@]+' '{ print $2 }'"

/* The words of `set`, each by its place. Sets are those that the running rules name. */
static void completion_set_words(void)
{
	puts("_spillway_set_words() {\n"
	     "\tcase $COMP_CWORD in\n"
	     "\t2) " COMPLETION_INTERFACES " ;;\n"
	     "\t3) spillway rules \"${COMP_WORDS[2]}\" 2>/dev/null | grep -o '@[[:alnum:]_.-]*' | tr -d @ ;;\n"
	     "\t4) echo add del list replace ;;\n"
	     "\tesac\n"
	     "}");
}

static void completion_operand(const struct command *command)
{
	switch (command->operand) {
	case OPERAND_IFACE:
	case OPERAND_IFACE_MAYBE:
		fputs("$(" COMPLETION_INTERFACES ")", stdout);
		break;
	case OPERAND_IFACE_WORDS:
		fputs("$(_spillway_set_words)", stdout);
		break;
	case OPERAND_COMMAND_MAYBE:
		fputs("$commands", stdout);
		break;
	case OPERAND_SHELL:
		fputs("bash", stdout);
		break;
	case OPERAND_NONE:
		break;
	}
}

static void completion_commands(void)
{
	puts("\tcase ${COMP_WORDS[1]} in");
	for (unsigned i = 0; i < command_count; i++) {
		const struct command *command = &command_table[i];

		printf("\t%s) words=\"--help", command->name);
		for (unsigned id = 0; id < OPTION_COUNT; id++)
			if (command->options & OPTION_BIT(id))
				printf(" --%s", option_table[id].name);
		printf("\"; [[ $word == -* ]] || words=\"");
		completion_operand(command);
		puts("\" ;;");
	}
	puts("\tesac");
}

int cmd_completion(const struct arguments *arguments)
{
	if (strcmp(arguments->operand, "bash") != 0)
		return fail(CODE_USAGE, "no completion for \"%s\": only for bash", arguments->operand);
	puts("# bash completion for spillway(8), printed by `spillway completion bash`\n"
	     "# shellcheck disable=SC2207 # the words have no blanks in them");
	completion_set_words();
	puts("_spillway() {\n"
	     "\tlocal word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words='' commands");
	fputs("\tcommands=\"", stdout);
	for (unsigned i = 0; i < command_count; i++)
		printf("%s%s", i ? " " : "", command_table[i].name);
	puts("\"\n"
	     "\tif ((COMP_CWORD == 1)); then\n"
	     "\t\tCOMPREPLY=($(compgen -W \"$commands\" -- \"$word\"))\n"
	     "\t\treturn\n"
	     "\tfi");
	completion_option_arguments();
	completion_commands();
	puts("\tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
	     "}\n"
	     "complete -F _spillway spillway");
	return CODE_OK;
}
