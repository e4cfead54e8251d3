/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files into one text.
 *
 * libconfig's own @include is not used: in 1.5 it is relative to the working directory, it opens
 * fifos and devices, and its faults lose the place of the outer file. Here a file is copied line by
 * line into one buffer, an @include line is replaced by what it names, and segments remember where
 * each run of lines came from. A line is an @include only outside strings and comments, so the copy
 * keeps the lexical state that libconfig will be in.
 *
 * Limits: regular files only, 8 MiB and 1,000 files in total, ten files deep, no NUL bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "faults.h"
#include "text.h"
#include "value.h"

#include "iotd/base.h"

/* struct origin - a file that is being copied; the chain of those that include it */
struct origin {
	const struct origin *outer;
	const char *file;
	size_t line; /* of @file */
	dev_t device;
	ino_t inode;
	unsigned int depth;
	enum lex_state state;
	size_t opened; /* line where the string or comment began */
};

size_t lex_step(enum lex_state *state, const char *at, const char *end)
{
	char next = end - at > 1 ? at[1] : '\0';

	switch (*state) {
	case LEX_PLAIN:
		if (*at == '"')
			*state = LEX_STRING;
		else if (*at == '#' || (*at == '/' && next == '/'))
			*state = LEX_LINE_COMMENT;
		else if (*at == '/' && next == '*') {
			*state = LEX_BLOCK_COMMENT;
			return 2;
		}
		return 1;
	case LEX_STRING:
		if (*at == '\\' && end - at > 1)
			return 2;
		if (*at == '"')
			*state = LEX_PLAIN;
		return 1;
	case LEX_LINE_COMMENT:
		if (*at == '\n')
			*state = LEX_PLAIN;
		return 1;
	case LEX_BLOCK_COMMENT:
		if (*at == '*' && next == '/') {
			*state = LEX_PLAIN;
			return 2;
		}
		return 1;
	}
	return 1;
}

static int text_append(struct text *text, const char *data, size_t length)
{
	if (text->length + length + 1 > text->capacity) {
		size_t capacity = (text->length + length + 1) * 2;
		char *grown = realloc(text->data, capacity);

		if (!grown)
			return -ENOMEM;
		text->data = grown;
		text->capacity = capacity;
	}
	memcpy(text->data + text->length, data, length);
	text->length += length;
	text->data[text->length] = '\0';
	return 0;
}

static int text_mark(struct text *text, const struct origin *origin)
{
	if (text->segment_count == text->segment_capacity) {
		size_t capacity = text->segment_capacity * 2 + 8;
		struct text_segment *grown = reallocarray(text->segments, capacity, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		text->segments = grown;
		text->segment_capacity = capacity;
	}
	text->segments[text->segment_count++] = (struct text_segment){ .first = text->line,
								       .file = origin->file,
								       .line = origin->line };
	return 0;
}

struct place text_place(const struct text *text, size_t line)
{
	size_t low = 0, high = text->segment_count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (text->segments[middle].first <= line)
			low = middle;
		else
			high = middle;
	}
	if (text->segment_count == 0 || line == 0)
		return (struct place){ .file = text->file_count > 0 ? text->files[0] : "" };
	return (struct place){ .file = text->segments[low].file,
			       .line = text->segments[low].line +
				       (line - text->segments[low].first) };
}

static int read_all(int fd, char **ret, size_t *ret_length, size_t limit)
{
	cleanup(freep) char *data = NULL;
	size_t length = 0, capacity = 0;

	for (;;) {
		ssize_t n;

		if (length == capacity) {
			char *grown;

			capacity = capacity * 2 + 4096;
			grown = realloc(data, capacity);
			if (!grown)
				return -ENOMEM;
			data = grown;
		}
		n = read(fd, data + length, capacity - length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		length += (size_t)n;
		if (length > limit)
			return -EFBIG;
		if (n == 0)
			break;
	}
	*ret = take_ptr(data);
	*ret_length = length;
	return 0;
}

/* fault_origin() - a fault of the whole file: told at the @include that names it, or of the file itself */
static void fault_origin(struct faults *faults, const struct text *text,
			 const struct origin *origin, const char *what)
{
	struct place place = { .file = origin->file };

	faults->incomplete = true;
	if (!origin->outer) {
		fault_place(faults, text->line, place, "%s", what);
		return;
	}
	place = (struct place){ .file = origin->outer->file, .line = origin->outer->line };
	fault_place(faults, text->line, place, "@include \"%s\": %s", origin->file, what);
}

static void fault_too_large(struct faults *faults, const struct text *text,
			    const struct origin *origin)
{
	fault_origin(faults, text, origin,
		     origin->outer ? "makes the configuration larger than 8 MiB" : "is over 8 MiB");
	faults->cut = true;
}

static bool includes_itself(const struct origin *origin)
{
	for (const struct origin *outer = origin->outer; outer; outer = outer->outer)
		if (outer->device == origin->device && outer->inode == origin->inode)
			return true;
	return false;
}

/* Return: 0, *ret is NULL if there was a fault; -ENOMEM */
static int origin_read(struct origin *origin, const struct text *text, struct faults *faults,
		       char **ret, size_t *ret_length)
{
	cleanup(closep) int fd = -1;
	struct stat status;
	int r;

	fd = open(origin->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &status) < 0) {
		char what[160];

		(void)snprintf(what, sizeof(what), "cannot be read: %s", strerror(errno));
		fault_origin(faults, text, origin, what);
		return 0;
	}
	if (!S_ISREG(status.st_mode)) {
		fault_origin(faults, text, origin, "is no regular file");
		return 0;
	}
	origin->device = status.st_dev;
	origin->inode = status.st_ino;
	if (includes_itself(origin)) {
		fault_origin(faults, text, origin, "includes itself");
		return 0;
	}
	r = read_all(fd, ret, ret_length,
		     text->length < TEXT_SIZE_MAX ? TEXT_SIZE_MAX - text->length : 0);
	if (r == -EFBIG)
		fault_too_large(faults, text, origin);
	else if (r < 0 && r != -ENOMEM)
		fault_origin(faults, text, origin, "cannot be read: I/O error");
	return r == -ENOMEM ? r : 0;
}

/* include_path() - of an @include line: the path in its quotes, relative to @file's folder. Return: 0; -EINVAL; -ENOMEM */
static int include_path(const char *file, const char *line, const char *end, char **ret,
			const char **ret_rest)
{
	const char *at = line + strspn(line, " \t") + strlen("@include"), *close, *slash;
	cleanup(freep) char *name = NULL;
	int folder, r;

	if (*at != ' ' && *at != '\t')
		return -EINVAL;
	at += strspn(at, " \t");
	if (*at++ != '"')
		return -EINVAL;
	close = memchr(at, '"', (size_t)(end - at));
	if (!close || close == at || memchr(at, '\\', (size_t)(close - at)))
		return -EINVAL;
	name = strndup(at, (size_t)(close - at));
	if (!name)
		return -ENOMEM;
	if (text_complaint(name)) /* faults repeat it */
		return -EINVAL;

	slash = strrchr(file, '/');
	folder = *at == '/' || !slash ? 0 : (int)(slash - file + 1);
	r = asprintf(ret, "%.*s%s", folder, file, name);
	if (r < 0)
		return -ENOMEM;
	*ret_rest = close + 1;
	return 0;
}

static bool is_include(const char *line)
{
	return strncmp(line + strspn(line, " \t"), "@include", strlen("@include")) == 0;
}

static int text_copy(struct text *text, struct origin *origin, struct faults *faults);

/* text_include() - what the @include line names. Return: 0; -EINVAL a fault: give up this file; -ENOMEM */
static int text_include(struct text *text, struct origin *outer, struct faults *faults,
			const char *line, const char *end, const char **ret_rest)
{
	struct origin origin = { .outer = outer, .line = 1, .depth = outer->depth + 1 };
	struct place place = { .file = outer->file, .line = outer->line };
	char **files, *file;
	int r;

	r = include_path(outer->file, line, end, &file, ret_rest);
	if (r == -EINVAL) {
		faults->cut = true;
		fault_place(faults, text->line, place,
			    "write @include \"FILE\": in one line, UTF-8, no backslash");
	}
	if (r < 0)
		return r;
	files = reallocarray(text->files, text->file_count + 1, sizeof(*files));
	if (!files) {
		free(file);
		return -ENOMEM;
	}
	text->files = files;
	text->files[text->file_count++] = file;
	origin.file = file;
	if (origin.depth > TEXT_DEPTH_MAX)
		fault_origin(faults, text, &origin, "files include each other more than 10 deep");
	else if (text->file_count > TEXT_FILES_MAX)
		fault_origin(faults, text, &origin, "more than 1000 files");
	else
		return text_copy(text, &origin, faults);
	faults->cut = true;
	return -EINVAL;
}

/* text_copy_line() - Return: 0; -EINVAL a fault: too much; -ENOMEM */
static int text_copy_line(struct text *text, struct origin *origin, struct faults *faults,
			  const char *line, const char *end)
{
	int r;

	/* each file may have got a newline at its end */
	if (text->length + (size_t)(end - line) > TEXT_SIZE_MAX + TEXT_FILES_MAX) {
		fault_too_large(faults, text, origin);
		return -EINVAL;
	}
	r = text_append(text, line, (size_t)(end - line));
	if (r < 0)
		return r;
	for (const char *at = line; at < end;) {
		enum lex_state before = origin->state;

		at += lex_step(&origin->state, at, end);
		if (before == LEX_PLAIN && origin->state != LEX_PLAIN)
			origin->opened = origin->line;
	}
	text->line++;
	origin->line++;
	return 0;
}

/* text_line() - copy one line, which ends with a newline. Return: 0; -EINVAL a fault; -ENOMEM */
static int text_line(struct text *text, struct origin *origin, struct faults *faults,
		     const char *line, const char *end)
{
	int r;

	/* also what follows one: at the begin of a line libconfig would take it for its own */
	while (origin->state == LEX_PLAIN && is_include(line)) {
		r = text_include(text, origin, faults, line, end, &line);
		if (r < 0)
			return r;
		r = text_mark(text, origin);
		if (r < 0)
			return r;
	}
	return text_copy_line(text, origin, faults, line, end);
}

static bool has_nul(struct faults *faults, const struct text *text, const struct origin *origin,
		    const char *data, size_t length)
{
	const char *nul = memchr(data, '\0', length);
	struct place place = { .file = origin->file, .line = 1 };

	if (!nul)
		return false;
	faults->cut = true;
	for (const char *at = data; at < nul; at++)
		place.line += *at == '\n';
	fault_place(faults, text->line, place, "holds a NUL byte: is it a text file?");
	return true;
}

/* text_copy() - a whole file. Return: 0, also with faults; -ENOMEM */
static int text_copy(struct text *text, struct origin *origin, struct faults *faults)
{
	cleanup(freep) char *data = NULL;
	size_t length = 0;
	const char *end;
	char *grown;
	int r;

	r = origin_read(origin, text, faults, &data, &length);
	if (r < 0)
		return r;
	if (!data || has_nul(faults, text, origin, data, length))
		return 0;
	grown = realloc(data, length + 2);
	if (!grown)
		return -ENOMEM;
	data = grown;
	if (length > 0 && data[length - 1] != '\n')
		data[length++] = '\n';
	data[length] = '\0';

	r = text_mark(text, origin);
	for (const char *line = data; r >= 0 && line < data + length; line = end) {
		end = (const char *)memchr(line, '\n', (size_t)(data + length - line)) + 1;
		r = text_line(text, origin, faults, line, end);
	}
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	if (origin->state != LEX_STRING && origin->state != LEX_BLOCK_COMMENT)
		return 0;
	faults->cut = true;
	fault_place(faults, text->line,
		    (struct place){ .file = origin->file, .line = origin->opened },
		    "%s that begins here does not end in this file",
		    origin->state == LEX_STRING ? "the string" : "the comment");
	return 0;
}

int text_load(struct text *text, const char *file, struct faults *faults)
{
	struct origin origin = { .line = 1 };
	int r;

	text->line = 1;
	text->files = calloc(1, sizeof(*text->files));
	if (!text->files)
		return -ENOMEM;
	text->files[0] = strdup(file);
	if (!text->files[0])
		return -ENOMEM;
	text->file_count = 1;
	r = text_append(text, "", 0);
	if (r < 0)
		return r;
	origin.file = text->files[0];
	return text_copy(text, &origin, faults);
}

void text_done(struct text *text)
{
	for (size_t i = 0; i < text->file_count; i++)
		free(text->files[i]);
	free(text->files);
	free(text->segments);
	free(text->data);
	*text = (struct text){ 0 };
}
