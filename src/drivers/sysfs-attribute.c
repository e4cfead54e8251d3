/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Attributes: files of a device below /sys, which stay open and are read at offset 0 each time. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sysfs.h"

#include "iotd/parse.h"

void sysfs_copy(char *ret, size_t size, const char *text, size_t length)
{
	size_t kept = length < size ? length : size - 1;

	memcpy(ret, text, kept);
	ret[kept] = '\0';
}

void sysfs_append(char *text, size_t size, const char *more)
{
	size_t used = strlen(text);

	sysfs_copy(text + used, size - used, more, strlen(more));
}

int attribute_open(struct source *source, struct attribute *attribute, const char *folder,
		   const char *name)
{
	cleanup(freep) char *path = NULL;
	struct stat status;
	int r;

	if (asprintf(&path, "%s/%s", folder, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = textfile_open(source, path, &attribute->fd, &status);
	if (r < 0)
		return r;
	attribute->path = take_ptr(path);
	return 0;
}

int attribute_open_if_any(struct source *source, struct attribute *attribute, const char *folder,
			  const char *name)
{
	int r = attribute_open(source, attribute, folder, name);

	if (r != -ENOENT)
		return r;
	source->fault[0] = '\0';
	return 0;
}

bool attribute_is_open(const struct attribute *attribute)
{
	return attribute->path != NULL;
}

int attribute_read(struct source *source, const struct attribute *attribute,
		   char text[static TEXTFILE_SIZE + 1])
{
	return textfile_read(source, attribute->path, attribute->fd, text);
}

int attribute_number(struct source *source, const struct attribute *attribute, double *ret)
{
	static const char blanks[] = " \t\r\n";
	char text[TEXTFILE_SIZE + 1];
	const char *word;
	int r;

	r = attribute_read(source, attribute, text);
	if (r < 0)
		return r;
	word = text + strspn(text, blanks);
	if (word == text + r)
		return source_fail(source, -ENODATA, "%s: is empty", attribute->path);
	return textfile_parse(source, attribute->path, word, strcspn(word, blanks), ret);
}

void attribute_close(struct attribute *attribute)
{
	if (!attribute->path)
		return;
	closep(&attribute->fd);
	free(take_ptr(attribute->path));
}

void sysfs_line(struct source *source, const char *folder, const char *file, char *ret, size_t size)
{
	struct attribute attribute = { 0 };
	char text[TEXTFILE_SIZE + 1] = "";

	if (attribute_open(source, &attribute, folder, file) < 0 ||
	    attribute_read(source, &attribute, text) < 0)
		text[0] = '\0';
	attribute_close(&attribute);
	source->fault[0] = '\0';

	text[strcspn(text, "\n")] = '\0';
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	text_mend(text);
	sysfs_copy(ret, size, text, text_fit(text, size - 1));
}
