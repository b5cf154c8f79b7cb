/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a rule set says about itself: where each rule runs, and which rules cannot do what their author wanted.
 *
 * rules_check() belongs to parsing: it looks at each rule once. rules_lint() compares rules with each other, which would take long
 * for the largest sets: rules that cover others are looked up by prefix, and either search stops after LINT_WORK_MAX comparisons, and
 * says so.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "classify/parse.h"
#include "rules/ast.h"
#include "rules/box.h"

#define LINT_WORK_MAX 10000000u
#define NOTES_MAX 3 /* that the warnings are not all, by each of the three bounds: told however many warnings there are */

/* Rough weights, in about the ns of a 3 GHz core, chosen and not measured: they compare rules, and promise nothing of a machine. */
#define NS_XDP_RULE 5
#define NS_XDP_STEP 2
#define NS_XDP_SET 30 /* the memory of a large one is not near */
#define NS_USER 350   /* handed over, and parsed once more */
#define NS_DNS 40
#define NS_INSN 1

static void add_warning(struct rules *rules, const struct rule *rule, bool note, const char *message)
{
	const struct statement *statement = rule->statement;
	struct rules_error *warning = &rules->warnings[rules->n_warnings++];

	source_error_line(&rules->source, statement->line, statement->at, statement->len, warning, message);
	warning->note = note;
}

__attribute__((format(printf, 4, 5))) static void warn(struct rules *rules, const struct rule *rule, bool note,
						       const char *format, ...)
{
	char message[sizeof(rules->warnings->message)];
	va_list args;

	if (rules->n_warnings >= WARNINGS_MAX) {
		if (!rules->warnings_cut)
			add_warning(rules, rule, true, "more warnings follow, from this rule on, and are not shown");
		rules->warnings_cut = true;
		return;
	}
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	add_warning(rules, rule, note, message);
}

/* Warnings about one rule; `decided` is an earlier rule that lets nothing through to it, `diverting` the last that diverts. */
static void check_rule(struct rules *rules, const struct rule *rule, const struct rule *decided, const struct rule *diverting)
{
	enum constant constant = expr_constant(rule->match, CONSTANT_NONE);

	if (decided)
		warn(rules, rule, false, "never reached: the rule in line %u matches every packet", decided->statement->line);
	else if (constant == CONSTANT_FALSE)
		warn(rules, rule, false, "never matches: no packet can answer this with yes");
	else if (rule->match->deep && !diverting)
		warn(rules, rule, false,
		     "no `divert` rule stands above: what only the user tier knows is known of diverted packets only");
	else if (rule->match->deep && constant == CONSTANT_NONE && expr_constant(rule->match, CONSTANT_FALSE) == CONSTANT_TRUE)
		warn(rules, rule, false, "also true for every packet that is not diverted: add what the `divert` rule asks");
}

int rules_check(struct rules *rules)
{
	const struct rule *decided = NULL, *diverting = NULL;
	bool asked = false; /* a question of the user tier, or a program there, behind the last divert rule */

	rules->warnings = arena_alloc(&rules->arena, (WARNINGS_MAX + NOTES_MAX) * sizeof(*rules->warnings));
	if (!rules->warnings)
		return -ENOMEM;
	for (size_t i = 0; i < rules->n_rules; i++) {
		const struct rule *rule = rules->rules[i];

		check_rule(rules, rule, decided, diverting);
		if (rule->action == ACTION_DIVERT) {
			diverting = rule;
			asked = rule->program != NULL;
		}
		asked = asked || rule->match->deep;
		if (!decided && !rule_goes_on(rule) && expr_constant(rule->match, CONSTANT_NONE) == CONSTANT_TRUE)
			decided = rule;
	}
	if (diverting && !asked && !decided && rules->default_action == ACTION_PASS)
		warn(rules, diverting, false, "nothing behind this asks the user tier: diverted packets only come straight back");
	return 0;
}

/* ---- rules_lint(): what boxes tell ---- */

/*
 * The boxes of the rules seen so far that end the search, where they are exact. They lie in a hash table by their prefixes: what
 * covers a box has the box's own prefixes, cut to one of the pairs of lengths there are.
 */
struct terminal {
	const struct rule *rule;
	struct box box;
	uint32_t next; /* in the same bucket: index + 1 */
};

struct prefixes {
	struct prefix src, dst; /* family 0: any */
};

struct lint {
	struct rules *rules;
	struct terminal *terminals;
	size_t n, room;
	uint32_t *buckets; /* index + 1 */
	size_t n_buckets;
	struct prefixes *lengths; /* without addresses: the pairs there are */
	size_t n_lengths;
	uint32_t work, overlap_work;
	bool overlap_told; /* that it is over */
};

/* The prefix cut to the family and length of `to`; false: it is a shorter one, or another family's. */
static bool prefix_cut(const struct prefix *prefix, const struct prefix *to, struct prefix *ret)
{
	*ret = (struct prefix){ 0 };
	if (!to->family)
		return true;
	if (prefix->family != to->family || prefix->len < to->len)
		return false;
	ret->family = to->family;
	ret->len = to->len;
	memcpy(ret->addr, prefix->addr, (to->len + 7u) / 8);
	if (to->len % 8)
		ret->addr[to->len / 8] &= (uint8_t)(0xff00u >> to->len % 8);
	return true;
}

static uint32_t *lint_bucket(const struct lint *lint, const struct prefixes *prefixes)
{
	return &lint->buckets[XXH3_64bits(prefixes, sizeof(*prefixes)) & (lint->n_buckets - 1)];
}

/* An earlier rule that has all packets of the box, or NULL. */
static const struct rule *lint_cover(struct lint *lint, const struct box *box)
{
	for (size_t i = 0; i < lint->n_lengths; i++, lint->work++) {
		struct prefixes cut;

		if (!prefix_cut(&box->src, &lint->lengths[i].src, &cut.src) ||
		    !prefix_cut(&box->dst, &lint->lengths[i].dst, &cut.dst))
			continue;
		for (uint32_t at = *lint_bucket(lint, &cut); at; at = lint->terminals[at - 1].next, lint->work++)
			if (box_covers(&lint->terminals[at - 1].box, box))
				return lint->terminals[at - 1].rule;
	}
	return NULL;
}

/* Is each of the rule's boxes within one of an earlier rule's? Then that rule, or the last of them. */
static const struct rule *lint_shadow(struct lint *lint, const struct boxes *boxes)
{
	const struct rule *found = NULL;

	for (size_t i = 0; i < boxes->n; i++) {
		found = lint_cover(lint, &boxes->box[i]);
		if (!found)
			return NULL;
	}
	return found;
}

/* Do both limit the same field, beyond protocol and family? Rules about different fields nearly always share packets. */
static bool boxes_compare(const struct box *a, const struct box *b)
{
	for (unsigned i = DIMENSION_SRC_PORT; i < DIMENSION_COUNT; i++)
		if (!box_is_any(a, (enum dimension)i) && !box_is_any(b, (enum dimension)i))
			return true;
	return (a->src.len && b->src.len) || (a->dst.len && b->dst.len);
}

/* An earlier rule with another verdict that has some packets of this one, and others besides: neither is the other's exception. */
static const struct rule *lint_overlap(struct lint *lint, const struct rule *rule, const struct boxes *boxes)
{
	if (lint->overlap_work > LINT_WORK_MAX || rule_goes_on(rule) || !boxes->exact)
		return NULL;
	for (size_t i = 0; i < boxes->n; i++) {
		for (size_t j = 0; j < lint->n; j++, lint->overlap_work++) {
			const struct terminal *earlier = &lint->terminals[j];
			bool drops = earlier->rule->action == ACTION_DROP;

			if (drops != (rule->action == ACTION_DROP) && boxes_compare(&earlier->box, &boxes->box[i]) &&
			    box_meet(&earlier->box, &boxes->box[i]) && !box_covers(&earlier->box, &boxes->box[i]) &&
			    !box_covers(&boxes->box[i], &earlier->box))
				return earlier->rule;
		}
	}
	return NULL;
}

/* The protocol's name if the box asks for no more than that. */
static bool box_is_wide(const struct box *box)
{
	bool addressed = (box->src.family && box->src.len) || (box->dst.family && box->dst.len);

	for (unsigned i = DIMENSION_SRC_PORT; i < DIMENSION_COUNT; i++)
		if (!box_is_any(box, (enum dimension)i))
			return false;
	return !addressed;
}

static void lint_wide(struct lint *lint, const struct rule *rule, const struct boxes *boxes)
{
	if (rule->action != ACTION_DROP || !boxes->exact)
		return;
	for (size_t i = 0; i < boxes->n; i++) {
		if (!box_is_wide(&boxes->box[i]))
			continue;
		warn(lint->rules, rule, false,
		     "too wide: drops all packets of a protocol; add an address, a port, a length or a flag");
		return;
	}
}

/* `vlan 1 or vlan 2`: few who write it know what it means. */
static bool expr_joins_vlans(const struct expr *expr)
{
	unsigned vlans = 0;

	for (size_t i = 0; i < expr->n; i++) {
		const struct expr *child = expr->children[i];

		if (expr_joins_vlans(child))
			return true;
		vlans += child->kind == EXPR_TEST && child->test->kind == TEST_VLAN;
	}
	return expr->kind == EXPR_OR && vlans > 1;
}

/* Note the pair of lengths, if it is new. */
static int lint_add_lengths(struct lint *lint, const struct box *box)
{
	struct prefixes lengths = { .src = { .family = box->src.family, .len = box->src.len },
				    .dst = { .family = box->dst.family, .len = box->dst.len } };
	struct prefixes *grown;

	for (size_t i = 0; i < lint->n_lengths; i++)
		if (memcmp(&lint->lengths[i], &lengths, sizeof(lengths)) == 0)
			return 0;
	grown = realloc(lint->lengths, (lint->n_lengths + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	lint->lengths = grown;
	grown[lint->n_lengths++] = lengths;
	return 0;
}

static int lint_add(struct lint *lint, const struct rule *rule, const struct box *box)
{
	struct prefixes prefixes = { .src = box->src, .dst = box->dst };
	uint32_t *bucket = lint_bucket(lint, &prefixes);

	if (lint->n == lint->room) {
		size_t room = 2 * lint->room + BOXES_MAX;
		struct terminal *grown = realloc(lint->terminals, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		lint->terminals = grown;
		lint->room = room;
	}
	lint->terminals[lint->n++] = (struct terminal){ rule, *box, *bucket };
	*bucket = (uint32_t)lint->n;
	return lint_add_lengths(lint, box);
}

static int lint_remember(struct lint *lint, const struct rule *rule, const struct boxes *boxes)
{
	int r = 0;

	for (size_t i = 0; i < boxes->n && boxes->exact && !rule_goes_on(rule) && r == 0; i++)
		r = lint_add(lint, rule, &boxes->box[i]);
	return r;
}

static int lint_rule(struct lint *lint, const struct rule *rule, struct boxes *boxes)
{
	const struct rule *other;
	int r;

	if (expr_joins_vlans(rule->match))
		warn(lint->rules, rule, false,
		     "the second `vlan` asks for the inner tag, as in tcpdump: write vlan {A, B} for either");
	r = boxes_of(rule->match, boxes);
	if (r < 0)
		return r;
	if (boxes->n == 0) {
		if (expr_constant(rule->match, CONSTANT_NONE) != CONSTANT_FALSE) /* or it has been told */
			warn(lint->rules, rule, false, "never matches: its conditions exclude each other");
		return 0;
	}
	other = lint_shadow(lint, boxes);
	if (other) {
		warn(lint->rules, rule, false, "never reached: the rule in line %u has all its packets", other->statement->line);
		return 0;
	}
	lint_wide(lint, rule, boxes);
	other = lint_overlap(lint, rule, boxes);
	if (other)
		warn(lint->rules, rule, true, "some of its packets are %s by the rule in line %u already",
		     other->action == ACTION_DROP ? "dropped" : "let through", other->statement->line);
	if (lint->overlap_work > LINT_WORK_MAX && !lint->overlap_told) {
		add_warning(lint->rules, rule, true, "overlaps were not looked for behind this rule: there are too many rules");
		lint->overlap_told = true;
	}
	return lint_remember(lint, rule, boxes);
}

int rules_lint(struct rules *rules)
{
	struct boxes *boxes = malloc(sizeof(*boxes));
	struct lint lint = { .rules = rules, .n_buckets = 64 };
	int r;

	if (rules->n_statements == 0) {
		file_error(rules->source.file, 0, &rules->warnings[rules->n_warnings], "there is no rule: every packet passes");
		rules->warnings[rules->n_warnings++].note = true;
	}
	while (lint.n_buckets < 2 * rules->n_rules)
		lint.n_buckets *= 2;
	lint.buckets = calloc(lint.n_buckets, sizeof(*lint.buckets));
	r = boxes && lint.buckets ? 0 : -ENOMEM;
	for (size_t i = 0; i < rules->n_rules && r == 0; i++) {
		if (expr_constant(rules->rules[i]->match, CONSTANT_NONE) == CONSTANT_TRUE)
			break; /* rules_check() has told what stands behind */
		r = lint_rule(&lint, rules->rules[i], boxes);
		if (r == 0 && lint.work > LINT_WORK_MAX) {
			add_warning(rules, rules->rules[i], true,
				    "rules from here on were not compared with those above: too many");
			break;
		}
	}
	free(lint.terminals);
	free(lint.buckets);
	free(lint.lengths);
	free(boxes);
	return r;
}

/* ---- placement ---- */

/* Could a flow director's entry say it? One family, TCP, UDP or SCTP, whole ports. */
static bool box_fits_nic(const struct box *box)
{
	const struct interval *proto = &box->in[DIMENSION_PROTO], *family = &box->in[DIMENSION_FAMILY];

	for (unsigned i = DIMENSION_LEN; i < DIMENSION_COUNT; i++)
		if (!box_is_any(box, (enum dimension)i))
			return false;
	for (unsigned i = DIMENSION_SRC_PORT; i <= DIMENSION_DST_PORT; i++)
		if (!box_is_any(box, (enum dimension)i) && box->in[i].lo != box->in[i].hi)
			return false;
	return proto->lo == proto->hi && (proto->lo == PROTO_TCP || proto->lo == PROTO_UDP || proto->lo == PROTO_SCTP) &&
	       (family->lo == family->hi || box_is_any(box, DIMENSION_FAMILY));
}

static bool rule_fits_nic(const struct rule *rule)
{
	struct boxes *boxes;
	bool fits;

	if (rule->action != ACTION_DROP && rule->action != ACTION_DIVERT)
		return false;
	boxes = malloc(sizeof(*boxes));
	fits = boxes && boxes_of(rule->match, boxes) == 0 && boxes->exact && boxes->n > 0;
	for (size_t i = 0; fits && i < boxes->n; i++)
		fits = box_fits_nic(&boxes->box[i]);
	free(boxes);
	return fits;
}

static unsigned expr_ns(const struct expr *expr)
{
	unsigned ns = 0;

	if (expr->kind == EXPR_TEST && expr->test->kind == TEST_BPF)
		return NS_INSN * expr->test->n_insns;
	if (expr->kind == EXPR_TEST && test_is_deep(expr->test))
		return NS_DNS;
	if (expr->kind == EXPR_TEST)
		return expr->test->list.set ? NS_XDP_SET : NS_XDP_STEP * (expr->test->list.n ? (unsigned)expr->test->list.n : 1);
	for (size_t i = 0; i < expr->n; i++)
		ns += expr_ns(expr->children[i]);
	return ns;
}

/* Does any test of this kind stand in the expression? */
static bool expr_has(const struct expr *expr, enum test_kind from, enum test_kind to)
{
	if (expr->kind == EXPR_TEST)
		return expr->test->kind >= from && expr->test->kind <= to;
	for (size_t i = 0; i < expr->n; i++)
		if (expr_has(expr->children[i], from, to))
			return true;
	return false;
}

static const char *rule_reason(const struct rule *rule)
{
	bool dns = expr_has(rule->match, TEST_DNS_NAME, TEST_DNS_VALID), bpf = expr_has(rule->match, TEST_BPF, TEST_BPF);

	if (dns && bpf)
		return "needs the DNS question and a tcpdump expression, which only the user tier has";
	if (bpf)
		return "runs a tcpdump expression, which only the user tier does";
	if (dns)
		return "needs the DNS question, which only the user tier parses";
	return "asks for nothing but header fields, length and bytes";
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
		.reason = rule_reason(rule),
		.name = rule->name,
		.text = rule->text,
		.ttl_s = rule->ttl_s,
		.log = rule->log,
		.program = rule->program,
	};
}

void rules_estimate(const struct rules *rules, size_t index, bool *ret_nic_capable, unsigned *ret_ns)
{
	const struct rule *rule = rules->rules[index];

	*ret_nic_capable = rule_fits_nic(rule);
	*ret_ns = NS_XDP_RULE + expr_ns(rule->match) + (rule->match->deep ? NS_USER : 0);
}

size_t rules_warning_count(const struct rules *rules)
{
	return rules->n_warnings;
}

const struct rules_error *rules_warning(const struct rules *rules, size_t index)
{
	return &rules->warnings[index];
}
