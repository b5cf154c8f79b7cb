/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/near.h"
#include "rules/parser.h"

int fail_at(struct parser *parser, const struct token *token, const char *format, ...)
{
	char message[sizeof(parser->error->message)];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	return source_error(parser->lexer.source, token->at, token->len, parser->error, "%s", message);
}

struct word token_word(const struct parser *parser)
{
	const struct token *token = &parser->lexer.token;

	return (struct word){ parser->lexer.source->text + token->at, token->len };
}

int next(struct parser *parser)
{
	parser->end = parser->lexer.token.at + parser->lexer.token.len;
	return lexer_next(&parser->lexer);
}

bool at_kind(const struct parser *parser, int kind)
{
	return parser->lexer.token.kind == kind;
}

bool at_word(const struct parser *parser, const char *text)
{
	return at_kind(parser, TOKEN_WORD) && word_is(token_word(parser), text);
}

bool at_end(const struct parser *parser)
{
	return at_kind(parser, TOKEN_BREAK) || at_kind(parser, TOKEN_END);
}

bool at_set(const struct parser *parser)
{
	return at_kind(parser, TOKEN_WORD) && *token_word(parser).text == '@';
}

const char *found(const struct parser *parser, char buffer[FOUND_MAX])
{
	if (at_kind(parser, TOKEN_END))
		return "the end of the text";
	if (at_end(parser) && *token_word(parser).text == '\n')
		return "the end of the line";
	snprintf(buffer, FOUND_MAX, "`%.*s`", WORD_ARG(token_word(parser)));
	return buffer;
}

int expect(struct parser *parser, int kind, const char *what)
{
	char buffer[FOUND_MAX];

	if (!at_kind(parser, kind))
		return fail(parser, "expected %s, found %s", what, found(parser, buffer));
	return next(parser);
}

const char *did_you_mean(struct word word, const char *const *words, size_t count, char buffer[FOUND_MAX])
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
