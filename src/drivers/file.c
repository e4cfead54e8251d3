/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * file: a number in a text file, as sysfs, procfs and scripts write them. By default the first word
 * of the file; `match` takes the line that begins with it and counts words behind it, `field` takes
 * the n-th word: match = "MemAvailable:" for /proc/meminfo, field = 2 for the second load average.
 *
 * The file stays open (textfile.c). Only its first 4 KiB count. Before a read the path is compared with
 * what is open, so that a file that was replaced by rename is read anew; unless it is known that
 * nothing has changed (file-watch.h).
 *
 * A word counts only when the whole of it is a decimal number; a unit behind a blank ("12345 kB")
 * does not disturb.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "file-watch.h"
#include "textfile.h"

#include "iotd/parse.h"

#define FIELD_MAX   1024
#define MATCH_SHOWN 40

/* decimals that are published unless the sensor says otherwise; trailing zeros are never shown */
#define DIGITS 6

enum {
	FILE_PATH,
	FILE_CHANNEL,
	FILE_UNIT,
	FILE_FIELD,
	FILE_MATCH
};

static const struct driver_option file_options[] = {
	[FILE_PATH] = { .name = "path", .type = OPTION_STRING, .required = true },
	[FILE_CHANNEL] = { .name = "channel", .type = OPTION_STRING, .text = "value" },
	[FILE_UNIT] = { .name = "unit", .type = OPTION_STRING, .text = "" },
	[FILE_FIELD] = { .name = "field",
			 .type = OPTION_INTEGER,
			 .minimum = 1,
			 .maximum = FIELD_MAX,
			 .preset = 1 },
	[FILE_MATCH] = { .name = "match", .type = OPTION_STRING },
};

struct file_state {
	int fd;
	dev_t device;
	ino_t inode;
	struct file_watch watch;
};

/* a piece of the text; ends where @end points */
struct piece {
	const char *start, *end;
};

static int file_describe(const struct option_value *options,
			 struct channel channels[static CHANNELS_MAX])
{
	const char *name = options[FILE_CHANNEL].string, *unit = options[FILE_UNIT].string;

	if (!parse_name(name) || strlen(unit) > UNIT_LENGTH)
		return -EINVAL;

	channels[0] = (struct channel){ .digits = DIGITS };
	(void)snprintf(channels[0].name, sizeof(channels[0].name), "%s", name);
	(void)snprintf(channels[0].unit, sizeof(channels[0].unit), "%s", unit);
	return 1;
}

static const char *file_path(const struct source *source)
{
	return source->options[FILE_PATH].string;
}

/* --- The file ------------------------------------------------------------------------------- */

static int file_reopen(struct source *source)
{
	struct file_state *state = source->state;
	struct stat status;
	int fd = -1, r;

	r = textfile_open(source, file_path(source), &fd, &status);
	if (r < 0)
		return r;

	closep(&state->fd);
	state->fd = fd;
	state->device = status.st_dev;
	state->inode = status.st_ino;
	file_watch_end(&state->watch);
	file_watch_begin(&state->watch, file_path(source), fd);
	return 0;
}

static int file_open(struct source *source)
{
	struct file_state *state = source->state;

	state->fd = -1;
	return file_reopen(source);
}

static void file_close(struct source *source)
{
	struct file_state *state = source->state;

	file_watch_end(&state->watch);
	closep(&state->fd);
}

static int file_follow(struct source *source)
{
	struct file_state *state = source->state;
	struct stat status;

	if (file_watch_is_quiet(&state->watch))
		return 0;
	if (stat(file_path(source), &status) < 0)
		return textfile_fail(source, file_path(source), errno);
	if (status.st_dev == state->device && status.st_ino == state->inode)
		return 0;
	return file_reopen(source);
}

/* --- Its text ------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct piece piece_skip_blanks(struct piece text)
{
	while (text.start < text.end && is_blank(*text.start))
		text.start++;
	return text;
}

static struct piece piece_line(struct piece text)
{
	const char *newline = memchr(text.start, '\n', (size_t)(text.end - text.start));

	return (struct piece){ text.start, newline ? newline : text.end };
}

/* what follows @match on the first line that begins with it; NULL if there is none */
static struct piece piece_match(struct piece text, const char *match)
{
	size_t length = strlen(match);

	while (text.start < text.end) {
		struct piece line = piece_line(text), words = piece_skip_blanks(line);

		if ((size_t)(words.end - words.start) >= length &&
		    memcmp(words.start, match, length) == 0)
			return (struct piece){ words.start + length, words.end };
		text.start = line.end < text.end ? line.end + 1 : text.end;
	}
	return (struct piece){ 0 };
}

/* the @field-th word, counted from 1; empty if there are fewer */
static struct piece piece_word(struct piece text, int64_t field)
{
	struct piece word = { text.end, text.end };

	for (; field > 0; field--) {
		word = piece_skip_blanks(text);
		text.start = word.start;
		while (text.start < text.end && !is_blank(*text.start))
			text.start++;
		word.end = text.start;
	}
	return word;
}

static int file_parse(struct source *source, struct piece text, double *ret)
{
	const struct option_value *options = source->options;
	const char *match = options[FILE_MATCH].string, *limit = text.end;
	bool cut = text.end - text.start == TEXTFILE_SIZE;
	struct piece word;

	if (match) {
		text = piece_match(text, match);
		if (!text.start)
			return source_fail(source, -EBADMSG, "%s: no line begins with \"%.*s\"",
					   file_path(source), (int)text_fit(match, MATCH_SHOWN),
					   match);
	}

	word = piece_word(text, options[FILE_FIELD].integer);
	if (word.start == word.end && options[FILE_FIELD].integer == 1 && !match)
		return source_fail(source, -ENODATA, "%s: is empty", file_path(source));
	if (word.start == word.end)
		return source_fail(source, -EBADMSG, "%s: has no word %d", file_path(source),
				   (int)options[FILE_FIELD].integer);
	if (cut && word.end == limit)
		return source_fail(source, -EBADMSG,
				   "%s: the number is not within the first %d bytes",
				   file_path(source), TEXTFILE_SIZE);
	return textfile_parse(source, file_path(source), word.start,
			      (size_t)(word.end - word.start), ret);
}

/*
 * What a file in memory holds is there at once. To look whether it is still the one at its path is
 * not: folders may lie anywhere. So that is a worker's, as soon as something may have happened.
 */
static int file_follow_promptly(struct file_state *state)
{
	if (file_watch_is_quiet(&state->watch))
		return 0;
	file_watch_doubt(&state->watch);
	return -EAGAIN;
}

static int file_collect(struct source *source, double values[static CHANNELS_MAX], int64_t *wait_us)
{
	struct file_state *state = source->state;
	char text[TEXTFILE_SIZE + 1];
	int r;

	(void)wait_us;
	r = source->is_prompt ? file_follow_promptly(state) : file_follow(source);
	if (r < 0)
		return r;

	r = textfile_read(source, file_path(source), state->fd, text);
	if (r < 0)
		return r;
	source->is_prompt = state->watch.is_memory;
	return file_parse(source, (struct piece){ text, text + r }, &values[0]);
}

extern const struct driver file_driver;
const struct driver file_driver = {
	.name = "file",
	.kind = DRIVER_FILE,
	.describe = file_describe,
	.options = file_options,
	.option_count = ARRAY_SIZE(file_options),
	.state_size = sizeof(struct file_state),
	.open = file_open,
	.collect = file_collect,
	.close = file_close,
};
