/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "item.h"

void reader_done(struct reader *reader)
{
	tree_done(&reader->tree);
	for (size_t i = 0; i < reader->line_count; i++)
		free(reader->lines[i].text);
	free(reader->lines);
	reader->lines = NULL;
	reader->line_count = 0;
}

/* --- telling -------------------------------------------------------------------------------- */

/* takes @text over */
static void add_line(struct reader *reader, size_t number, char *text)
{
	struct line *grown;

	for (size_t i = 0; i < reader->line_count; i++)
		if (strcmp(reader->lines[i].text, text) == 0) {
			free(text);
			return;
		}
	grown = reallocarray(reader->lines, reader->line_count + 1, sizeof(*grown));
	if (!grown) {
		free(text);
		reader->error = -ENOMEM;
		return;
	}
	reader->lines = grown;
	grown[reader->line_count++] = (struct line){ number, text };
}

static void tell_at(struct reader *reader, size_t number, const struct item *item, const char *key,
		    const char *words)
{
	char *text;

	if (asprintf(&text, "%s:%zu: %s%s%s: %s", reader->file, number, item->path,
		     item->path[0] != '\0' && key ? "." : "", key ? key : "", words) < 0)
		reader->error = -ENOMEM;
	else
		add_line(reader, number, text);
}

void tell(struct reader *reader, const struct item *item, const char *key, const char *format, ...)
{
	const yaml_node_t *node = key ? tree_member(&reader->tree, item->node, key) : NULL;
	char words[512];
	va_list arguments;

	if (!node)
		node = item->node ? item->node : tree_root(&reader->tree);
	va_start(arguments, format);
	(void)vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	tell_at(reader, node ? tree_line(node) : 1, item, key, words);
}

/* stable: by number, then as they were told; few, so the plain way does */
void reader_sort(struct reader *reader)
{
	for (size_t i = 1; i < reader->line_count; i++) {
		struct line line = reader->lines[i];
		size_t at = i;

		for (; at > 0 && reader->lines[at - 1].number > line.number; at--)
			reader->lines[at] = reader->lines[at - 1];
		reader->lines[at] = line;
	}
}

struct key_visit {
	struct reader *reader;
	const struct item *item;
	const struct key *keys;
};

static void visit_key(void *data, const char *name, const yaml_node_t *key_node,
		      const yaml_node_t *value)
{
	const struct key_visit *visit = data;
	const struct key *key = visit->keys;

	(void)value;
	while (key->name && strcmp(key->name, name) != 0)
		key++;
	if (key->name && !key->words)
		return;
	tell_at(visit->reader, tree_line(key_node), visit->item, name,
		key->name ? key->words : "iotd-convert does not know this key");
}

void tell_keys(struct reader *reader, const struct item *item, const struct key *keys)
{
	struct key_visit visit = { reader, item, keys };

	tree_visit(&reader->tree, item->node, visit_key, &visit);
}

/* --- values --------------------------------------------------------------------------------- */

bool item_has(struct reader *reader, const struct item *item, const char *key)
{
	const yaml_node_t *node = tree_member(&reader->tree, item->node, key);

	return node && !tree_is_null(node);
}

static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	return false;
}

const char *item_text(struct reader *reader, const struct item *item, const char *key)
{
	const char *text;

	if (!item_has(reader, item, key))
		return NULL;
	text = tree_text(tree_member(&reader->tree, item->node, key));
	if (!text)
		tell(reader, item, key, "must be a single value");
	else if (has_control(text))
		tell(reader, item, key, "holds a control character, which iotd does not take");
	else
		return text;
	return NULL;
}

bool item_is(struct reader *reader, const struct item *item, const char *key, bool preset)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on" };
	const char *text = item_text(reader, item, key);

	if (!text)
		return preset;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasecmp(text, words[i]) == 0)
			return i % 2;
	tell(reader, item, key, "\"%s\" is neither yes nor no", text);
	return preset;
}

bool item_integer(struct reader *reader, const struct item *item, const char *key, long minimum,
		  long maximum, long *ret)
{
	const char *text = item_text(reader, item, key);
	char *end;
	long number;

	if (!text)
		return false;
	errno = 0;
	number = strtol(text, &end, 0);
	if (end == text || *end != '\0' || errno != 0 || number < minimum || number > maximum) {
		tell(reader, item, key, "\"%s\" is no integer from %ld to %ld", text, minimum,
		     maximum);
		return false;
	}
	*ret = number;
	return true;
}

bool item_number(struct reader *reader, const struct item *item, const char *key, double *ret)
{
	const char *text = item_text(reader, item, key);
	double number;
	char *end;

	if (!text)
		return false;
	number = strtod(text, &end);
	if (end == text || *end != '\0' || !isfinite(number)) {
		tell(reader, item, key, "\"%s\" is no number", text);
		return false;
	}
	*ret = number;
	return true;
}

/* --- mappings and lists --------------------------------------------------------------------- */

struct item item_child(struct reader *reader, const struct item *item, const char *key)
{
	struct item child = { .node = NULL };

	(void)snprintf(child.path, sizeof(child.path), "%.60s%s%.30s", item->path,
		       item->path[0] != '\0' ? "." : "", key);
	if (!item_has(reader, item, key))
		return child;
	child.node = tree_member(&reader->tree, item->node, key);
	if (child.node->type == YAML_MAPPING_NODE)
		return child;
	child.node = NULL;
	tell(reader, item, key, "must be a mapping, KEY: VALUE");
	return child;
}

size_t item_count(struct reader *reader, const char *key)
{
	const struct item root = { .node = tree_root(&reader->tree) };
	const yaml_node_t *list = tree_member(&reader->tree, root.node, key);

	if (list && !tree_is_null(list) && list->type != YAML_SEQUENCE_NODE)
		tell(reader, &root, key, "must be a list, each element behind a \"-\"");
	return tree_length(list);
}

struct item item_at(struct reader *reader, const char *key, size_t index)
{
	const yaml_node_t *list = tree_member(&reader->tree, tree_root(&reader->tree), key);
	struct item item = { .node = tree_element(&reader->tree, list, index) };

	(void)snprintf(item.path, sizeof(item.path), "%s[%zu]", key, index);
	if (item.node->type != YAML_MAPPING_NODE) {
		tell(reader, &item, NULL, "must be a mapping, KEY: VALUE");
		item.node = NULL;
	}
	return item;
}
