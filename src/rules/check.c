/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a rule set says about itself: where each rule runs, and which rules cannot do what their author wanted.
 */
#include <errno.h>
#include <stdarg.h>

#include "rules/ast.h"

__attribute__((format(printf, 3, 4))) static void warn(struct rules *rules, const struct rule *rule, const char *format, ...)
{
	const struct statement *statement = rule->statement;
	struct rules_error *warning = &rules->warnings[rules->n_warnings];
	char message[sizeof(warning->message)];
	va_list args;

	if (rules->n_warnings == WARNINGS_MAX)
		return;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	source_error_line(&rules->source, statement->line, statement->at, statement->len, warning, message);
	rules->n_warnings++;
}

/* Warnings about one rule; `decided` is an earlier rule that lets nothing through to it, `diverting` the last that diverts. */
static void check_rule(struct rules *rules, const struct rule *rule, const struct rule *decided, const struct rule *diverting)
{
	enum constant constant = expr_constant(rule->match, CONSTANT_NONE);

	if (decided)
		warn(rules, rule, "never reached: the rule in line %u matches every packet", decided->statement->line);
	else if (constant == CONSTANT_FALSE)
		warn(rules, rule, "never matches: no packet can answer this with yes");
	else if (rule->match->deep && !diverting)
		warn(rules, rule, "no `divert` rule stands above: the DNS question name is known of diverted packets only");
	else if (rule->match->deep && constant == CONSTANT_NONE && expr_constant(rule->match, CONSTANT_FALSE) == CONSTANT_TRUE)
		warn(rules, rule, "also true for every packet that is not diverted: add what the `divert` rule asks");
}

int rules_check(struct rules *rules)
{
	const struct rule *decided = NULL, *diverting = NULL;
	bool asked = false; /* a question of the user tier behind the last divert rule */

	rules->warnings = arena_alloc(&rules->arena, WARNINGS_MAX * sizeof(*rules->warnings));
	if (!rules->warnings)
		return -ENOMEM;
	for (size_t i = 0; i < rules->n_rules; i++) {
		const struct rule *rule = rules->rules[i];

		check_rule(rules, rule, decided, diverting);
		if (rule->action == ACTION_DIVERT) {
			diverting = rule;
			asked = false;
		}
		asked = asked || rule->match->deep;
		if (!decided && !rule_goes_on(rule) && expr_constant(rule->match, CONSTANT_NONE) == CONSTANT_TRUE)
			decided = rule;
	}
	if (diverting && !asked && !decided && rules->default_action == ACTION_PASS)
		warn(rules, diverting, "nothing behind this asks the user tier: diverted packets only come straight back");
	return 0;
}

size_t rules_count(const struct rules *rules)
{
	return rules->n_rules;
}

struct rule_info rules_info(const struct rules *rules, size_t index)
{
	const struct rule *rule = rules->rules[index];

	return (struct rule_info){
		.line = rule->statement->line,
		.action = rule->action,
		.tier = rule->match->deep ? TIER_USER : TIER_XDP,
		.reason = rule->match->deep ? "needs the DNS question name, which only the user tier parses"
					    : "asks for nothing but header fields, length and bytes",
		.name = rule->name,
		.text = rule->text,
	};
}

size_t rules_warning_count(const struct rules *rules)
{
	return rules->n_warnings;
}

const struct rules_error *rules_warning(const struct rules *rules, size_t index)
{
	return &rules->warnings[index];
}
