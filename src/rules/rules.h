/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rules.h - the rule language: text to statements (parse.c), statements to text (print.c), statements to an image (build.c).
 *
 * Nothing here touches the kernel or logs. Errors carry the place in the text; rules_error_print() shows them as
 * `file:line:col: message`, the line, and a caret. The grammar is spillway-rules(5).
 */
#ifndef SPILLWAY_RULES_H
#define SPILLWAY_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "classify/image.h"

struct rules; /* a parsed rule set; opaque, see parse.c */

struct rules_error {
	unsigned line, col, width; /* from 1; col and width count bytes; line 0: the text as a whole */
	char file[256];
	char text[512];	   /* the offending line, tabs kept, cut at 511 bytes */
	unsigned text_col; /* bytes of the line cut off in front of `text`, so that a long line shows the place */
	char message[512]; /* says what is wrong and, where there is one, the fix */
	bool note;	   /* of a warning: worth knowing, not wrong */
};

enum rule_tier { TIER_NIC, TIER_XDP, TIER_USER };

/* One statement that became a rule, in the order rules are tried. Strings live as long as the rule set. */
struct rule_info {
	unsigned line;
	enum rule_action action;
	enum rule_tier tier; /* the lowest tier that runs it exactly */
	const char *reason;  /* why that tier, one line */
	const char *name;    /* from `name`, or NULL */
	const char *text;    /* canonical text of the statement, loads again to the same rule */
	uint32_t ttl_s;	     /* the rule ends then; 0: never */
	bool log;
	const char *program; /* of `divert to`, or NULL */
};

/*
 * Text of `len` bytes (need not end in NUL), or a JSON document, to a rule set. 0, or with *ret_error filled -EINVAL,
 * -ENOMEM, -E2BIG. Opens no file: a set's `file "F"` is an error here, or whoever may send the daemon rules could read F in its
 * messages.
 */
int rules_parse(const char *text, size_t len, const char *file, struct rules **ret_rules, struct rules_error *ret_error);
/*
 * A JSON document (data/rules.schema.json) to a rule set. What is wrong is told as in a text, with the path of the member, as in
 * `$.statements[2].match.and[1].port`, in the message, and no line.
 */
int rules_parse_json(const char *text, size_t len, const char *file, struct rules **ret_rules, struct rules_error *ret_error);
/*
 * The same from a file; "-" is stdin. `file "F"` is read, relative to the rules file; rules_print() writes what was in F, so its
 * text needs no other file. Other errors are those of open(2) and read(2), also told in *ret_error.
 */
int rules_load(const char *path, struct rules **ret_rules, struct rules_error *ret_error);
struct rules *rules_free(struct rules *rules); /* NULL is fine; returns NULL */

size_t rules_count(const struct rules *rules);
struct rule_info rules_info(const struct rules *rules, size_t index);
/* Could a NIC's flow director do it, and about how long does a packet take that is asked, in the tier of rule_info. */
void rules_estimate(const struct rules *rules, size_t index, bool *ret_nic_capable, unsigned *ret_ns);
/* Compare the rules with each other and add warnings (shadowed, impossible, too wide) and notes (overlaps). 0 or -ENOMEM. */
int rules_lint(struct rules *rules);
/* Warnings found while parsing (a user-tier rule no divert reaches, a rule behind one that always decides). */
size_t rules_warning_count(const struct rules *rules);
const struct rules_error *rules_warning(const struct rules *rules, size_t index);

/* Canonical text; loads again to the same image, line numbers included. */
void rules_print(const struct rules *rules, FILE *out);
/* The same as a JSON document. 0, -ENOMEM or -EIO. */
int rules_print_json(const struct rules *rules, FILE *out);
/*
 * The match of one rule as an expression of pcap-filter(7), to be compiled without optimization, which refuses what can never be
 * true. 0, or -EOPNOTSUPP with *ret_reason (static text): tcpdump cannot say it. What was printed by then is of no use.
 */
int rules_print_tcpdump(const struct rules *rules, size_t index, FILE *out, const char **ret_reason);
/* Make every rule a `count`: an image of these rules asks every packet every rule, whatever the others say. */
void rules_count_alone(struct rules *rules);
void rules_error_print(const struct rules_error *error, const char *severity, FILE *out);

/*
 * Compile the rules to an image, freed by image_free(). `counter_of[i]` becomes the counter index of rule i; NULL means i itself.
 * 0, -ENOMEM, or -E2BIG with *ret_error filled when the rules need more than fits.
 */
int image_build(const struct rules *rules, uint32_t generation, const uint32_t *counter_of, struct image **ret_image,
		struct rules_error *ret_error);
struct image *image_free(struct image *image); /* NULL is fine; returns NULL */
/* Magic, version, sizes, checksum, and that nothing in the `size` bytes leads out of them and every jump goes forward. 0 or -EINVAL. */
int image_check(const struct image *image, size_t size);

#endif
