/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A group of the file is a table here: a row a key, with its type, place in the struct, range and default. */

#include <stdint.h>

#include "value.h"

#include "iotd/suggest.h"

struct load;

enum key_type {
	KEY_STRING,   /* char *, never NULL */
	KEY_OPTIONAL, /* char *, NULL: not given, or "" */
	KEY_UNIT,     /* char[UNIT_LENGTH + 1] */
	KEY_BOOLEAN,  /* bool */
	KEY_INTEGER,  /* int */
	KEY_NUMBER,   /* double */
	KEY_DURATION, /* int64_t, µs; its range too */
	KEY_SIZE,     /* uint64_t */
	KEY_WORD,     /* an enum: the index in @words */
	KEY_GROUP,    /* @group, in the same struct */
	KEY_CUSTOM,   /* read by @check; NULL: the section reads it itself */
};

/** struct key - one key of a group */
struct key {
	const char *name;
	enum key_type type;
	size_t offset; /* in the struct that the table fills */
	bool required;
	const char *
		preset; /* the default, as in the file but without quotes; NULL: the struct's zero */
	struct range range;
	const char *const *words;
	const struct key *group; /* ends with a row without a name, as every table */
	/** look at the value, or read it (KEY_CUSTOM) into the struct's member at @offset */
	void (*check)(struct load *load, const config_setting_t *setting, void *member);
	/** KEY_CUSTOM: do two members at @offset say the same? */
	bool (*equal)(const void *a, const void *b);
};

/** table_presets() - all defaults into @target. Strings that are there are freed */
void table_presets(struct faults *faults, const struct key *table, void *target);

/** table_find() - the row of key @name, NULL: none */
const struct key *table_find(const struct key *table, const char *name);

/**
 * table_take() - read @setting if the table has its key
 * @seen: bits of the rows that were there
 * Return: false - unknown key.
 */
bool table_take(struct load *load, const struct key *table, const config_setting_t *setting,
		void *target, uint64_t *seen);

/** table_missing() - a fault for each required key that was not @seen */
void table_missing(struct faults *faults, const struct key *table, const config_setting_t *group,
		   uint64_t seen);

/** table_suggest() - offer all keys */
void table_suggest(const struct key *table, struct suggest *suggest);

/** table_read() - a whole group: presets, every key, unknown ones are faults; @group NULL: presets only */
void table_read(struct load *load, const struct key *table, const config_setting_t *group,
		void *target);

/**
 * table_equal() - do two structs that the table filled say the same?
 * @from, @size: only keys whose place lies in this part of the struct; 0, SIZE_MAX: all
 */
bool table_equal(const struct key *table, const void *a, const void *b, size_t from, size_t size);

/** texts_equal() - both NULL, or the same */
bool texts_equal(const char *a, const char *b);

/** numbers_equal() - to the last bit; neither is NAN */
static inline bool numbers_equal(double a, double b)
{
	return a <= b && a >= b;
}

/* for struct key's @equal */
bool equal_text(const void *a, const void *b);	  /* char * */
bool equal_integer(const void *a, const void *b); /* int */

/** table_string() - a copy of @text into an owning pointer; lack of memory goes to @faults */
void table_string(struct faults *faults, char **member, const char *text);

/** fault_unknown() - "unknown key", with what was offered to @suggest */
void fault_unknown(struct faults *faults, const config_setting_t *setting, struct suggest *suggest);
