/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Text files with numbers in them: opening only what can be read without surprise, and numbers
 * without surprise. A file stays open and is read at offset 0 by one pread, because that is ten
 * times cheaper than open, read and close, and because a second read of a sysfs file would make the
 * kernel ask the hardware a second time.
 */

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <string.h>

#include "textfile.h"

#include "iotd/descriptor.h"
#include "iotd/parse.h"

#define NUMBER_SIZE 64

int textfile_fail(struct source *source, const char *path, int error)
{
	return source_fail(source, -error, "%s: %s", path, strerror(error));
}

static int textfile_check_kind(struct source *source, const char *path, const struct stat *status)
{
	if (S_ISREG(status->st_mode))
		return 0;
	if (S_ISDIR(status->st_mode))
		return textfile_fail(source, path, EISDIR);
	return source_fail(source, -EINVAL, "%s: is no regular file", path);
}

/* Without a write of when it was read; that is the owner's right and root's, open(2) */
static int open_quietly(const char *path)
{
	int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = open(path, flags | O_NOATIME);

	return fd < 0 && errno == EPERM ? open(path, flags) : fd;
}

/* the kind is looked at before the file is opened, and again in case it was swapped in between */
int textfile_open(struct source *source, const char *path, int *ret_fd, struct stat *ret_status)
{
	cleanup(closep) int fd = -1;
	int r;

	if (stat(path, ret_status) < 0)
		return textfile_fail(source, path, errno);
	r = textfile_check_kind(source, path, ret_status);
	if (r < 0)
		return r;

	fd = open_quietly(path);
	if (fd < 0 || fstat(fd, ret_status) < 0)
		return textfile_fail(source, path, errno);
	if (descriptor_is_scarce(fd))
		return textfile_fail(source, path, EMFILE);
	r = textfile_check_kind(source, path, ret_status);
	if (r < 0)
		return r;

	*ret_fd = take_fd(&fd);
	return 0;
}

int textfile_read(struct source *source, const char *path, int fd,
		  char text[static TEXTFILE_SIZE + 1])
{
	ssize_t got = pread(fd, text, TEXTFILE_SIZE, 0);

	if (got < 0)
		return textfile_fail(source, path, errno);
	text[got] = '\0';
	return (int)got;
}

/* what a file holds may end up on a terminal */
static int textfile_fail_word(struct source *source, const char *path, char *text)
{
	for (char *c = text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return source_fail(source, -EBADMSG, "%s: \"%.20s\" is no number", path, text);
}

int textfile_parse(struct source *source, const char *path, const char *word, size_t length,
		   double *ret)
{
	char text[NUMBER_SIZE] = "", *end;
	locale_t c_locale;
	double number;

	memcpy(text, word, length < sizeof(text) ? length : sizeof(text) - 1);
	/* no hexadecimal ones, no nan, none that is longer than a number needs */
	if (strspn(text, "+-.0123456789eE") != length)
		return textfile_fail_word(source, path, text);
	if (parse_decimal(text, ret))
		return 0;
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* costs nothing: libc has it */
	if (c_locale == (locale_t)0)
		return -ENOMEM;
	number = strtod_l(text, &end, c_locale);
	freelocale(c_locale);
	if (*end != '\0' || end == text)
		return textfile_fail_word(source, path, text);
	if (!isfinite(number))
		return source_fail(source, -ERANGE, "%s: %.20s is too large", path, text);

	*ret = number;
	return 0;
}
