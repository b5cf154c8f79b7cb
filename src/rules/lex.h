/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lex.h - rule text to tokens, and messages that point into the text.
 *
 * Numbers, addresses, names and keywords are all words: what a word means depends on where it stands, so that is the parser's
 * business. Inside ( ) and { } a line end is a blank.
 */
#ifndef SPILLWAY_RULES_LEX_H
#define SPILLWAY_RULES_LEX_H

#include "rules/rules.h"

struct source {
	const char *file, *text;
	size_t len;
	unsigned lines_before; /* of the file, if the text is a part of it */
};

/* Other tokens are their character: ( ) { } , ! & < > */
enum token_kind {
	TOKEN_END = 256, /* of the text */
	TOKEN_BREAK,	 /* of a statement: line end or ; */
	TOKEN_WORD,
	TOKEN_STRING, /* quotes included */
	TOKEN_AND,    /* && */
	TOKEN_OR,     /* || */
	TOKEN_EQ,     /* = or == */
	TOKEN_NE,
	TOKEN_LE,
	TOKEN_GE,
};

struct token {
	int kind;
	unsigned line;
	size_t at, len;
};

struct lexer {
	const struct source *source;
	struct rules_error *error;
	size_t at;
	unsigned line;	  /* at `at` */
	unsigned nesting; /* open ( and { */
	struct token token;
};

void lexer_init(struct lexer *lexer, const struct source *source, struct rules_error *error);
bool lexer_is_word(char c);	     /* may stand in a word as it is */
int lexer_next(struct lexer *lexer); /* to lexer->token; 0 or -EINVAL with *lexer->error filled */

/* Fill *ret_error with a message about `width` bytes at `at`. Always -EINVAL, so that callers can return it. */
/* The line is not counted if the caller knows it: `line`, or 0. */
int source_error_line(const struct source *source, unsigned line, size_t at, size_t width, struct rules_error *ret_error,
		      const char *message);
int source_error(const struct source *source, size_t at, size_t width, struct rules_error *ret_error, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* The same about the file or text as a whole. Always `code`. */
int file_error(const char *file, int code, struct rules_error *ret_error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
