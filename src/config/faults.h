/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The faults of one configuration, collected in any order and told in that of the file. */

#include <stdbool.h>
#include <stddef.h>

#include <libconfig.h>

#include "text.h"

#include "iotd/base.h"
#include "iotd/config.h"

#define FAULTS_MAX 10000
#define QUOTE_SIZE 96

struct fault {
	size_t line;			 /* of the whole text: the order */
	size_t count;			 /* how many were there before: the order in one line */
	const config_setting_t *setting; /* NULL: of none */
	char *words;			 /* as the user sees it */
};

struct faults {
	const struct text *text;
	struct fault *list;
	size_t count, capacity;
	bool more;	 /* than FAULTS_MAX */
	bool cut;	 /* the text breaks off: what follows cannot be looked at */
	bool incomplete; /* an included file could not be read: what is missing may be there */
	size_t of_text;	 /* the first so many are of the text, not of its settings */
	int error; /* -ENOMEM, once memory ran out: the list is not complete, nothing else is right */
};

/** fault_place() - a fault at a place that the text does not know (yet); @line: of the text, for the order */
void fault_place(struct faults *faults, size_t line, struct place place, const char *format, ...)
	printf_like(4, 5);

/** fault_line() - a fault of a line of the text */
void fault_line(struct faults *faults, size_t line, const char *format, ...) printf_like(3, 4);

/** fault_at() - a fault of a setting: its place and path are put before the words */
void fault_at(struct faults *faults, const config_setting_t *setting, const char *format, ...)
	printf_like(3, 4);

/** fault_member() - a fault of a key that @group should have; none if it may be in a file that could not be read */
void fault_member(struct faults *faults, const config_setting_t *group, const char *name,
		  const char *format, ...) printf_like(4, 5);

/** fault_is_at() - there is one of this very setting already. Looks through all of them */
bool fault_is_at(const struct faults *faults, const config_setting_t *setting);

/** faults_mark_text() - from now on a line of which there is a fault already gets no other: it would only follow from that */
void faults_mark_text(struct faults *faults);

/** fault_memory() - memory ran out */
void fault_memory(struct faults *faults);

/** fault_quote() - @text in quotes, cut if it is long, control characters as "?". Returns @buffer */
const char *fault_quote(char buffer[static QUOTE_SIZE], const char *text);

/** faults_tell() - sort and hand over. Return: 0 there are none; -EBADMSG; -ENOMEM */
int faults_tell(struct faults *faults, struct config_faults *ret);

/** faults_done() - free what it holds */
void faults_done(struct faults *faults);
