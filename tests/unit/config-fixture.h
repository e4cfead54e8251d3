/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What both test programs of the configuration need: a folder to write files in, and loading. */

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "iotd/config.h"

static char folder[] = "/tmp/iotd-test-config-XXXXXX";

/* the programs run in a folder of their own, so that faults name the file as "t.conf" */
static inline void folder_enter(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
}

static inline void folder_leave(void)
{
	char command[PATH_MAX];

	ck_assert_int_eq(chdir("/"), 0);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	ck_assert_int_eq(system(command), 0); /* NOLINT(cert-env33-c): our own folder */
}

/* every ck_assert() is a write to a pipe: none in the loops that make large files */
static inline void file_write(const char *name, const void *data, size_t length)
{
	FILE *stream;

	(void)unlink(name); /* ext4 flushes a file that was truncated and written again: slow */
	stream = fopen(name, "we");
	ck_assert_ptr_nonnull(stream);
	ck_assert_uint_eq(fwrite(data, 1, length, stream), length);
	ck_assert_int_eq(fclose(stream), 0);
}

static inline void text_write(const char *name, const char *text)
{
	file_write(name, text, strlen(text));
}

/* faults_text() - all faults, a newline behind each; "" if the file is fine. Caller frees */
static inline char *faults_text(const char *file, struct settings **ret)
{
	struct config_faults faults;
	struct settings *settings = NULL;
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);
	int r = config_load(&settings, file, &faults);

	ck_assert_ptr_nonnull(stream);
	ck_assert_msg(r == 0 || r == -EBADMSG, "%d", r);
	ck_assert_int_eq(r == 0, faults.count == 0);
	ck_assert_int_eq(r == 0, settings != NULL);
	for (size_t i = 0; i < faults.count; i++)
		(void)fprintf(stream, "%s\n", faults.lines[i]);
	ck_assert_int_eq(fclose(stream), 0);
	config_faults_free(&faults);
	ck_assert_uint_eq(faults.count, 0);
	if (ret)
		*ret = settings;
	else
		settings_free(settings);
	return text;
}

/* settings_of() - of a text that must be fine. Caller frees */
static inline struct settings *settings_of(const char *text)
{
	struct settings *settings;
	char *faults;

	text_write("t.conf", text);
	faults = faults_text("t.conf", &settings);
	ck_assert_str_eq(faults, "");
	free(faults);
	return settings;
}
