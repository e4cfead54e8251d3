/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a group to a struct by a table. Defaults are put in first, so that a key with a fault leaves
 * a sound value for the checks that come later.
 */
#include <assert.h>
#include <string.h>

#include "load.h"

#include "iotd/parse.h"

static void *member_of(void *target, const struct key *key)
{
	return (char *)target + key->offset;
}

void table_string(struct faults *faults, char **member, const char *text)
{
	char *copy = strdup(text);

	if (!copy) {
		fault_memory(faults);
		return;
	}
	free(*member);
	*member = copy;
}

/* --- comparing ------------------------------------------------------------------------------ */

bool texts_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool equal_text(const void *a, const void *b)
{
	return texts_equal(*(char *const *)a, *(char *const *)b);
}

bool equal_integer(const void *a, const void *b)
{
	return *(const int *)a == *(const int *)b;
}

static bool value_equal(const struct key *key, const void *a, const void *b)
{
	switch (key->type) {
	case KEY_STRING:
	case KEY_OPTIONAL:
		return equal_text(a, b);
	case KEY_UNIT:
		return strcmp(a, b) == 0;
	case KEY_BOOLEAN:
		return *(const bool *)a == *(const bool *)b;
	case KEY_INTEGER:
	case KEY_WORD:
		return equal_integer(a, b);
	case KEY_NUMBER:
		return numbers_equal(*(const double *)a, *(const double *)b);
	case KEY_DURATION:
	case KEY_SIZE:
		return memcmp(a, b, sizeof(int64_t)) == 0;
	case KEY_CUSTOM:
		assert(key->equal); /* the table is wrong */
		return key->equal(a, b);
	case KEY_GROUP:
		break;
	}
	return false;
}

bool table_equal(const struct key *table, const void *a, const void *b, size_t from, size_t size)
{
	for (const struct key *key = table; key->name; key++) {
		if (key->type == KEY_GROUP) {
			if (!table_equal(key->group, a, b, from, size))
				return false;
		} else if (key->offset >= from && key->offset - from < size &&
			   !value_equal(key, (const char *)a + key->offset,
					(const char *)b + key->offset)) {
			return false;
		}
	}
	return true;
}

/* --- reading -------------------------------------------------------------------------------- */

static int word_index(const char *const *words, const char *word)
{
	int index = 0;

	while (words[index] && strcmp(words[index], word) != 0)
		index++;
	return index;
}

static void preset(struct faults *faults, const struct key *key, void *member)
{
	int r = 0;

	switch (key->type) {
	case KEY_STRING:
		table_string(faults, member, key->preset);
		break;
	case KEY_UNIT:
		(void)snprintf(member, UNIT_LENGTH + 1, "%s", key->preset);
		break;
	case KEY_BOOLEAN:
		*(bool *)member = strcmp(key->preset, "true") == 0;
		break;
	case KEY_INTEGER:
		*(int *)member = (int)strtol(key->preset, NULL, 10);
		break;
	case KEY_NUMBER:
		*(double *)member = strtod(key->preset, NULL);
		break;
	case KEY_DURATION:
		r = parse_duration(key->preset, member);
		break;
	case KEY_SIZE:
		r = parse_size(key->preset, member);
		break;
	case KEY_WORD:
		*(int *)member = word_index(key->words, key->preset);
		break;
	case KEY_OPTIONAL:
	case KEY_GROUP:
	case KEY_CUSTOM:
		break;
	}
	assert(r == 0); /* the table is wrong */
	(void)r;
}

void table_presets(struct faults *faults, const struct key *table, void *target)
{
	for (const struct key *key = table; key->name; key++) {
		if (key->type == KEY_GROUP)
			table_presets(faults, key->group, target);
		else if (key->preset)
			preset(faults, key, member_of(target, key));
	}
}

static bool take_text(struct faults *faults, const config_setting_t *setting, const struct key *key,
		      void *member)
{
	const char *text;

	if (!value_string(faults, setting, &text))
		return false;
	if (key->type == KEY_UNIT) {
		if (strlen(text) > UNIT_LENGTH) {
			fault_at(faults, setting, "is longer than %d bytes", UNIT_LENGTH);
			return false;
		}
		(void)snprintf(member, UNIT_LENGTH + 1, "%s", text);
	} else if (key->type == KEY_STRING || *text != '\0') {
		table_string(faults, member, text);
	}
	return faults->error == 0;
}

static bool take_integer(struct faults *faults, const config_setting_t *setting,
			 const struct key *key, int *member)
{
	int64_t number;

	if (!value_integer(faults, setting, key->range, &number))
		return false;
	*member = (int)number;
	return true;
}

/* Return: true - a value of the right type is in its member */
static bool take_value(struct load *load, const config_setting_t *setting, const struct key *key,
		       void *target)
{
	struct faults *faults = &load->faults;
	void *member = member_of(target, key);

	switch (key->type) {
	case KEY_STRING:
	case KEY_OPTIONAL:
	case KEY_UNIT:
		return take_text(faults, setting, key, member);
	case KEY_BOOLEAN:
		return value_boolean(faults, setting, member);
	case KEY_INTEGER:
		return take_integer(faults, setting, key, member);
	case KEY_NUMBER:
		return value_number(faults, setting, key->range, member);
	case KEY_DURATION:
		return value_duration(faults, setting, key->range, member);
	case KEY_SIZE:
		return value_size(faults, setting, key->range, member);
	case KEY_WORD:
		return value_word(faults, setting, key->words, member);
	case KEY_GROUP:
		if (value_is_group(faults, setting))
			table_read(load, key->group, setting, target);
		return true;
	case KEY_CUSTOM:
		return true;
	}
	return false;
}

const struct key *table_find(const struct key *table, const char *name)
{
	for (const struct key *key = table; key->name; key++)
		if (strcmp(key->name, name) == 0)
			return key;
	return NULL;
}

bool table_take(struct load *load, const struct key *table, const config_setting_t *setting,
		void *target, uint64_t *seen)
{
	const struct key *key = table_find(table, config_setting_name(setting));

	if (!key)
		return false;
	assert(key - table < 64);
	*seen |= UINT64_C(1) << (key - table);
	if (take_value(load, setting, key, target) && key->check)
		key->check(load, setting, member_of(target, key));
	return true;
}

void table_missing(struct faults *faults, const struct key *table, const config_setting_t *group,
		   uint64_t seen)
{
	for (const struct key *key = table; key->name; key++)
		if (key->required && !(seen & (UINT64_C(1) << (key - table))))
			fault_member(faults, group, key->name, "is missing");
}

void table_suggest(const struct key *table, struct suggest *suggest)
{
	for (const struct key *key = table; key->name; key++)
		suggest_offer(suggest, key->name);
}

void fault_unknown(struct faults *faults, const config_setting_t *setting, struct suggest *suggest)
{
	fault_at(faults, setting, "unknown key%s", suggest_text(suggest));
}

void table_read(struct load *load, const struct key *table, const config_setting_t *group,
		void *target)
{
	uint64_t seen = 0;
	int count = group ? config_setting_length(group) : 0;

	table_presets(&load->faults, table, target);
	for (int i = 0; i < count; i++) {
		const config_setting_t *setting = config_setting_get_elem(group, (unsigned int)i);
		struct suggest suggest = { .word = config_setting_name(setting) };

		if (table_take(load, table, setting, target, &seen))
			continue;
		table_suggest(table, &suggest);
		fault_unknown(&load->faults, setting, &suggest);
	}
	if (group)
		table_missing(&load->faults, table, group, seen);
}
