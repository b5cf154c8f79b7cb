/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/near.h"
#include "rules/parser.h"

int parser_fail(struct parser *parser, const struct token *token, const char *format, ...)
{
	char message[sizeof(parser->error->message)];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	return source_error(parser->lexer.source, token->at, token->len, parser->error, "%s", message);
}

const char *parser_found(const struct parser *parser, char buffer[FOUND_MAX])
{
	if (at_kind(parser, TOKEN_END))
		return "the end of the text";
	if (at_end(parser) && *token_word(parser).text == '\n')
		return "the end of the line";
	snprintf(buffer, FOUND_MAX, "`%.*s`", WORD_ARG(token_word(parser)));
	return buffer;
}

int parser_expect(struct parser *parser, int kind, const char *what)
{
	char buffer[FOUND_MAX];

	if (!at_kind(parser, kind))
		return fail(parser, "expected %s, found %s", what, parser_found(parser, buffer));
	return next(parser);
}

const char *parser_suggest(struct word word, const char *const *words, size_t count, char buffer[FOUND_MAX])
{
	const char *near;
	char text[32];

	buffer[0] = '\0';
	snprintf(text, sizeof(text), "%.*s", WORD_ARG(word));
	near = near_find(text, words, count);
	if (near)
		snprintf(buffer, FOUND_MAX, ": did you mean `%s`?", near);
	return buffer;
}
