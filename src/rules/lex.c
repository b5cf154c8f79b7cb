/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "rules/lex.h"

void lexer_init(struct lexer *lexer, const struct source *source, struct rules_error *error)
{
	*lexer = (struct lexer){ .source = source, .error = error, .line = 1 };
}

/* Not isalnum(): a rule file means the same in every locale. */
static const bool word_bytes[256] = {
	['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['_'] = true, ['.'] = true, [':'] = true,
	['/'] = true,	      ['-'] = true,	    ['@'] = true,	  ['*'] = true, ['+'] = true,
};

static bool is_word(char c)
{
	return word_bytes[(unsigned char)c];
}

bool lexer_is_word(char c)
{
	return is_word(c);
}

static bool is_graphic(char c)
{
	return c > ' ' && c < 0x7f;
}

/* Of no text that is plain ASCII. */
static bool is_foreign(char c)
{
	return (unsigned char)c >= 0x7f || ((unsigned char)c < ' ' && c != '\t' && c != '\n' && c != '\r');
}

static char peek(const struct lexer *lexer, size_t ahead)
{
	size_t at = lexer->at + ahead;

	return at < lexer->source->len ? lexer->source->text[at] : '\0';
}

/* Length of a `\` and the line end behind it, or 0. */
static size_t continuation(const struct lexer *lexer)
{
	if (peek(lexer, 0) != '\\')
		return 0;
	if (peek(lexer, 1) == '\n')
		return 2;
	return peek(lexer, 1) == '\r' && peek(lexer, 2) == '\n' ? 3 : 0;
}

static void skip_blanks(struct lexer *lexer)
{
	while (lexer->at < lexer->source->len) {
		char c = peek(lexer, 0);
		size_t skip = continuation(lexer);

		if (skip || (c == '\n' && lexer->nesting)) {
			lexer->line++;
			lexer->at += skip ? skip : 1;
		} else if (c == '#') {
			const char *text = lexer->source->text + lexer->at;
			const char *end = memchr(text, '\n', lexer->source->len - lexer->at);

			lexer->at += end ? (size_t)(end - text) : lexer->source->len - lexer->at;
		} else if (c == ' ' || c == '\t' || c == '\r') {
			lexer->at++;
		} else {
			return;
		}
	}
}

static size_t word_length(const struct lexer *lexer)
{
	const char *text = lexer->source->text + lexer->at;
	size_t len = 0, room = lexer->source->len - lexer->at;

	for (;;) {
		while (len < room && is_word(text[len]))
			len++;
		if (peek(lexer, len) != '\\' || !is_graphic(peek(lexer, len + 1)))
			return len;
		len += 2; /* an escape in a DNS name */
	}
}

static int lex_string(struct lexer *lexer)
{
	size_t len = 1;

	while (peek(lexer, len) != '"') {
		char c = peek(lexer, len);

		if (c == '\n' || lexer->at + len == lexer->source->len)
			return source_error(lexer->source, lexer->at, len, lexer->error, "this string is never closed");
		if ((unsigned char)c < ' ' || c == 0x7f)
			return source_error(lexer->source, lexer->at + len, 1, lexer->error, "control character in a string");
		len++;
	}
	lexer->token.kind = TOKEN_STRING;
	lexer->token.len = len + 1;
	return 0;
}

/* What editors put in front of a text. */
static int lex_mark(const struct lexer *lexer)
{
	const struct source *source = lexer->source;

	if (lexer->at || source->lines_before)
		return 0;
	if (source->len >= 3 && memcmp(source->text, "\xef\xbb\xbf", 3) == 0)
		return source_error(source, 0, 3, lexer->error, "a byte order mark: save the text as UTF-8 without one");
	if (source->len >= 2 && (memcmp(source->text, "\xff\xfe", 2) == 0 || memcmp(source->text, "\xfe\xff", 2) == 0))
		return source_error(source, 0, 2, lexer->error, "this is UTF-16: save the text as ASCII or UTF-8");
	return 0;
}

static int lex_unknown(struct lexer *lexer)
{
	char c = peek(lexer, 0);

	if (lex_mark(lexer) < 0)
		return -EINVAL;
	if (c == '\\')
		return source_error(lexer->source, lexer->at, 1, lexer->error,
				    "`\\` continues a line only as its last character");
	if (c == '|')
		return source_error(lexer->source, lexer->at, 1, lexer->error, "write `||` or `or`");
	if (is_graphic(c))
		return source_error(lexer->source, lexer->at, 1, lexer->error, "`%c` has no meaning here", c);
	return source_error(lexer->source, lexer->at, 1, lexer->error,
			    "byte 0x%02x: rules are plain ASCII text (comments may hold anything)", (unsigned char)c);
}

static int lex_operator(struct lexer *lexer)
{
	static const struct {
		char text[3];
		int kind;
	} operators[] = {
		{ "&&", TOKEN_AND }, { "||", TOKEN_OR },   { "==", TOKEN_EQ }, { "!=", TOKEN_NE }, { "<=", TOKEN_LE },
		{ ">=", TOKEN_GE },  { "=", TOKEN_EQ },	   { "!", '!' },       { "&", '&' },	   { "<", '<' },
		{ ">", '>' },	     { "(", '(' },	   { ")", ')' },       { "{", '{' },	   { "}", '}' },
		{ ",", ',' },	     { ";", TOKEN_BREAK },
	};

	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		size_t len = strlen(operators[i].text);

		if (peek(lexer, 0) == operators[i].text[0] && (len == 1 || peek(lexer, 1) == operators[i].text[1])) {
			lexer->token.kind = operators[i].kind;
			lexer->token.len = len;
			return 0;
		}
	}
	return lex_unknown(lexer);
}

int lexer_next(struct lexer *lexer)
{
	struct token *token = &lexer->token;
	int r = 0;

	skip_blanks(lexer);
	*token = (struct token){ .at = lexer->at, .line = lexer->line };
	if (lexer->at == lexer->source->len) {
		token->kind = TOKEN_END;
		return 0;
	}
	token->len = word_length(lexer);
	if (token->len && is_foreign(peek(lexer, token->len)) && lexer->at + token->len < lexer->source->len) {
		lexer->at += token->len;
		return lex_unknown(lexer);
	}
	if (token->len)
		token->kind = TOKEN_WORD;
	else if (peek(lexer, 0) == '"')
		r = lex_string(lexer);
	else if (peek(lexer, 0) == '\n') {
		token->kind = TOKEN_BREAK;
		token->len = 1;
		lexer->line++;
	} else {
		r = lex_operator(lexer);
	}
	if (r < 0)
		return r;
	if (token->kind == '(' || token->kind == '{')
		lexer->nesting++;
	else if ((token->kind == ')' || token->kind == '}') && lexer->nesting)
		lexer->nesting--;
	lexer->at += token->len;
	return 0;
}

/* Copy the line around `at`; a line too long to show whole is cut so that `at` is in sight. */
static void error_take_line(const struct source *source, size_t at, struct rules_error *error)
{
	const char *text = source->text;
	size_t start = at, end = at;

	while (start > 0 && text[start - 1] != '\n')
		start--;
	while (end < source->len && text[end] != '\n')
		end++;
	if (end > start && text[end - 1] == '\r')
		end--;
	error->col = (unsigned)(at - start) + 1;
	if (at - start > sizeof(error->text) / 2)
		error->text_col = (unsigned)(at - start - sizeof(error->text) / 4);
	start += error->text_col;
	if (end < start)
		end = start;
	if (end - start > sizeof(error->text) - 1)
		end = start + sizeof(error->text) - 1;
	for (size_t i = 0; start + i < end; i++)
		error->text[i] = text[start + i] ? text[start + i] : '?';
}

int source_error_line(const struct source *source, unsigned line, size_t at, size_t width, struct rules_error *ret_error,
		      const char *message)
{
	memset(ret_error, 0, sizeof(*ret_error));
	ret_error->line = source->lines_before + 1;
	for (size_t i = 0; i < at && !line; i++)
		ret_error->line += source->text[i] == '\n';
	if (line)
		ret_error->line = line;
	ret_error->width = width ? (unsigned)width : 1;
	strncpy(ret_error->file, source->file, sizeof(ret_error->file) - 1);
	error_take_line(source, at, ret_error);
	strncpy(ret_error->message, message, sizeof(ret_error->message) - 1);
	return -EINVAL;
}

int source_error(const struct source *source, size_t at, size_t width, struct rules_error *ret_error, const char *format, ...)
{
	char message[sizeof(ret_error->message)];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	return source_error_line(source, 0, at, width, ret_error, message);
}

int file_error(const char *file, int code, struct rules_error *ret_error, const char *format, ...)
{
	va_list args;

	memset(ret_error, 0, sizeof(*ret_error));
	strncpy(ret_error->file, file, sizeof(ret_error->file) - 1);
	va_start(args, format);
	vsnprintf(ret_error->message, sizeof(ret_error->message), format, args);
	va_end(args);
	return code;
}
