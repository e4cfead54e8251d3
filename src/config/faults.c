/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Faults: "FILE:LINE: PATH: what is wrong".
 *
 * Sections are read in an order of their own (mqtt before the sensors that inherit from it), so
 * each fault carries its line of the whole text and they are sorted at the end. Adding one never
 * fails for the caller: a lack of memory is kept in @error, and decides the result of config_load().
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "faults.h"

#include "iotd/parse.h"

#define QUOTED_MAX 64 /* bytes of a value or a name that a fault repeats */

void fault_memory(struct faults *faults)
{
	faults->error = -ENOMEM;
}

static void faults_push(struct faults *faults, size_t line, const config_setting_t *setting,
			char *words)
{
	if (faults->count == FAULTS_MAX) {
		faults->more = true;
		free(words);
		return;
	}
	if (faults->count == faults->capacity) {
		size_t capacity = faults->capacity * 2 + 16;
		struct fault *grown = reallocarray(faults->list, capacity, sizeof(*grown));

		if (!grown) {
			free(words);
			fault_memory(faults);
			return;
		}
		faults->list = grown;
		faults->capacity = capacity;
	}
	faults->list[faults->count] = (struct fault){
		.line = line, .count = faults->count, .setting = setting, .words = words
	};
	faults->count++;
}

static void path_write(FILE *stream, const config_setting_t *setting)
{
	const config_setting_t *parent = config_setting_parent(setting);

	if (!parent)
		return;
	path_write(stream, parent);
	if (config_setting_name(setting))
		(void)fprintf(stream, "%s%.*s", config_setting_parent(parent) ? "." : "",
			      QUOTED_MAX, config_setting_name(setting));
	else
		(void)fprintf(stream, "[%d]", config_setting_index(setting));
}

void faults_mark_text(struct faults *faults)
{
	faults->of_text = faults->count;
}

/* follows() - a fault of @line would follow from one of the text itself */
static bool follows(const struct faults *faults, size_t line)
{
	for (size_t i = 0; i < faults->of_text; i++)
		if (faults->list[i].line == line)
			return true;
	return false;
}

/* faults_add() - @setting and @member may be NULL */
static void faults_add(struct faults *faults, size_t line, struct place place,
		       const config_setting_t *setting, const char *member, char *words)
{
	char *told = NULL;
	size_t size;
	FILE *stream;

	if (!words || faults->count == FAULTS_MAX || follows(faults, line)) {
		if (!words)
			fault_memory(faults);
		faults->more = faults->count == FAULTS_MAX;
		free(words);
		return;
	}
	stream = open_memstream(&told, &size);
	if (!stream) {
		free(words);
		fault_memory(faults);
		return;
	}
	(void)fprintf(stream, "%s:", place.file);
	if (place.line > 0)
		(void)fprintf(stream, "%zu:", place.line);
	(void)fputc(' ', stream);
	if (setting) {
		path_write(stream, setting);
		if (member)
			(void)fprintf(stream, "%s%s", config_setting_parent(setting) ? "." : "",
				      member);
		if (member || config_setting_parent(setting))
			(void)fputs(": ", stream);
	}
	(void)fputs(words, stream);
	free(words);
	if (fclose(stream) != 0) {
		free(told);
		fault_memory(faults);
		return;
	}
	faults_push(faults, line, member ? NULL : setting, told);
}

static char *words_format(const char *format, va_list arguments) printf_like(1, 0);

static char *words_format(const char *format, va_list arguments)
{
	char *words;

	return vasprintf(&words, format, arguments) < 0 ? NULL : words;
}

void fault_place(struct faults *faults, size_t line, struct place place, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	faults_add(faults, line, place, NULL, NULL, words_format(format, arguments));
	va_end(arguments);
}

void fault_line(struct faults *faults, size_t line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	faults_add(faults, line, text_place(faults->text, line), NULL, NULL,
		   words_format(format, arguments));
	va_end(arguments);
}

void fault_at(struct faults *faults, const config_setting_t *setting, const char *format, ...)
{
	size_t line = config_setting_source_line(setting);
	va_list arguments;

	va_start(arguments, format);
	faults_add(faults, line, text_place(faults->text, line), setting, NULL,
		   words_format(format, arguments));
	va_end(arguments);
}

void fault_member(struct faults *faults, const config_setting_t *group, const char *name,
		  const char *format, ...)
{
	const config_setting_t *member = config_setting_get_member(group, name);
	size_t line = config_setting_source_line(member ? member : group);
	va_list arguments;

	if (!member && faults->incomplete)
		return;
	va_start(arguments, format);
	faults_add(faults, line, text_place(faults->text, line), group, name,
		   words_format(format, arguments));
	va_end(arguments);
}

bool fault_is_at(const struct faults *faults, const config_setting_t *setting)
{
	for (size_t i = 0; i < faults->count; i++)
		if (faults->list[i].setting == setting)
			return true;
	return false;
}

const char *fault_quote(char buffer[static QUOTE_SIZE], const char *text)
{
	size_t length = text_fit(text, QUOTED_MAX);
	const char *ellipsis = text[length] != '\0' ? "…" : "";
	char shown[QUOTED_MAX + 1] = "";

	memcpy(shown, text, length);
	(void)snprintf(buffer, QUOTE_SIZE, "\"%s%s\"", shown, ellipsis);
	for (char *at = buffer; *at != '\0'; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = '?';
	return buffer;
}

static int fault_compare(const void *left, const void *right)
{
	const struct fault *a = left, *b = right;

	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return a->count < b->count ? -1 : 1;
}

int faults_tell(struct faults *faults, struct config_faults *ret)
{
	char **lines;

	if (faults->error < 0)
		return faults->error;
	if (faults->count == 0)
		return 0;
	lines = calloc(faults->count + 1, sizeof(*lines));
	if (!lines)
		return -ENOMEM;
	if (faults->more &&
	    asprintf(&lines[faults->count], "%s: more than %d faults; the rest is not shown",
		     text_place(faults->text, 0).file, FAULTS_MAX) < 0) {
		free(lines);
		return -ENOMEM;
	}
	qsort(faults->list, faults->count, sizeof(*faults->list), fault_compare);
	for (size_t i = 0; i < faults->count; i++)
		lines[i] = take_ptr(faults->list[i].words);
	*ret = (struct config_faults){ .lines = lines, .count = faults->count + faults->more };
	return -EBADMSG;
}

void faults_done(struct faults *faults)
{
	for (size_t i = 0; i < faults->count; i++)
		free(faults->list[i].words);
	free(faults->list);
	faults->list = NULL;
	faults->count = faults->capacity = 0;
}
