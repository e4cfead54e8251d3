/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libyaml's document API knows anchors and aliases: an alias is the node itself, so that nothing is
 * copied. It does not know merge keys, which are a convention of YAML 1.1 ("<<": a mapping, or a
 * sequence of them, whose keys count where the mapping has none itself); PyYAML, which mqtt-io
 * uses, does. A mapping may merge itself by an alias, so the depth is bounded.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "tree.h"

#include "iotd/base.h"

#define MERGE_KEY    "<<"
#define MERGES_DEPTH 8

static void close_stream(FILE **stream)
{
	if (*stream)
		(void)fclose(*stream);
}

static int parse(struct tree *tree, yaml_parser_t *parser, const char *file,
		 char fault[static TREE_FAULT_SIZE])
{
	const char *problem;

	if (yaml_parser_load(parser, &tree->document)) {
		tree->is_loaded = true;
		return 0;
	}
	problem = parser->problem ? parser->problem : "out of memory";
	(void)snprintf(fault, TREE_FAULT_SIZE, "%s:%zu: %s%s%s", file,
		       parser->problem_mark.line + 1, problem, parser->context ? ", " : "",
		       parser->context ? parser->context : "");
	return parser->error == YAML_MEMORY_ERROR ? -ENOMEM : -EBADMSG;
}

int tree_load(struct tree *tree, const char *file, char fault[static TREE_FAULT_SIZE])
{
	cleanup(close_stream) FILE *stream = fopen(file, "re");
	yaml_parser_t parser;
	int first, r;

	/* a folder can be opened, but not read */
	first = stream ? fgetc(stream) : EOF;
	if (!stream || ferror(stream)) {
		r = -errno;
		(void)snprintf(fault, TREE_FAULT_SIZE, "%s: cannot be read: %s", file,
			       strerror(errno));
		return r;
	}
	(void)ungetc(first, stream); /* EOF: nothing happens */
	if (!yaml_parser_initialize(&parser)) {
		(void)snprintf(fault, TREE_FAULT_SIZE, "%s: out of memory", file);
		return -ENOMEM;
	}
	yaml_parser_set_input_file(&parser, stream);
	r = parse(tree, &parser, file, fault);
	yaml_parser_delete(&parser);
	return r;
}

void tree_done(struct tree *tree)
{
	if (tree->is_loaded)
		yaml_document_delete(&tree->document);
	tree->is_loaded = false;
}

const yaml_node_t *tree_root(struct tree *tree)
{
	return yaml_document_get_root_node(&tree->document);
}

static const yaml_node_t *node_at(struct tree *tree, int index)
{
	return yaml_document_get_node(&tree->document, index);
}

static const yaml_node_t *find(struct tree *tree, const yaml_node_t *mapping, const char *key,
			       int depth);

/* @merged: a mapping, or a sequence of them, of which the first that has the key counts */
static const yaml_node_t *find_merged(struct tree *tree, const yaml_node_t *merged, const char *key,
				      int depth)
{
	const yaml_node_t *found = find(tree, merged, key, depth);

	for (size_t i = 0; !found && i < tree_length(merged); i++)
		found = find(tree, tree_element(tree, merged, i), key, depth);
	return found;
}

static const yaml_node_t *find(struct tree *tree, const yaml_node_t *mapping, const char *key,
			       int depth)
{
	const yaml_node_t *found = NULL;
	const yaml_node_pair_t *pair;
	const char *text;

	if (!mapping || mapping->type != YAML_MAPPING_NODE || depth > MERGES_DEPTH)
		return NULL;
	for (pair = mapping->data.mapping.pairs.top; pair-- > mapping->data.mapping.pairs.start;) {
		text = tree_text(node_at(tree, pair->key));
		if (text && strcmp(text, key) == 0)
			return node_at(tree, pair->value);
	}
	for (pair = mapping->data.mapping.pairs.top;
	     !found && pair-- > mapping->data.mapping.pairs.start;) {
		text = tree_text(node_at(tree, pair->key));
		if (text && strcmp(text, MERGE_KEY) == 0)
			found = find_merged(tree, node_at(tree, pair->value), key, depth + 1);
	}
	return found;
}

const yaml_node_t *tree_member(struct tree *tree, const yaml_node_t *mapping, const char *key)
{
	return find(tree, mapping, key, 0);
}

struct visit {
	const yaml_node_t *mapping; /* whose keys count */
	tree_visitor visit;
	void *data;
};

static void visit_pairs(struct tree *tree, const yaml_node_t *mapping, const struct visit *visit,
			int depth)
{
	const yaml_node_pair_t *pair;

	if (!mapping || mapping->type != YAML_MAPPING_NODE || depth > MERGES_DEPTH)
		return;
	for (pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top;
	     pair++) {
		const yaml_node_t *key = node_at(tree, pair->key);
		const yaml_node_t *value = node_at(tree, pair->value);
		const char *text = tree_text(key);

		if (text && strcmp(text, MERGE_KEY) == 0) {
			visit_pairs(tree, value, visit, depth + 1);
			for (size_t i = 0; i < tree_length(value); i++)
				visit_pairs(tree, tree_element(tree, value, i), visit, depth + 1);
		} else if (!text || find(tree, visit->mapping, text, 0) == value) {
			visit->visit(visit->data, text ? text : "?", key, value);
		}
	}
}

void tree_visit(struct tree *tree, const yaml_node_t *mapping, tree_visitor visit, void *data)
{
	const struct visit all = { mapping, visit, data };

	visit_pairs(tree, mapping, &all, 0);
}

size_t tree_length(const yaml_node_t *sequence)
{
	if (!sequence || sequence->type != YAML_SEQUENCE_NODE)
		return 0;
	return (size_t)(sequence->data.sequence.items.top - sequence->data.sequence.items.start);
}

const yaml_node_t *tree_element(struct tree *tree, const yaml_node_t *sequence, size_t index)
{
	return node_at(tree, sequence->data.sequence.items.start[index]);
}

const char *tree_text(const yaml_node_t *node)
{
	const char *text;

	if (!node || node->type != YAML_SCALAR_NODE)
		return NULL;
	text = (const char *)node->data.scalar.value;
	return strlen(text) == node->data.scalar.length ? text : NULL;
}

bool tree_is_null(const yaml_node_t *node)
{
	const char *text = tree_text(node);

	return text && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (*text == '\0' || strcmp(text, "~") == 0 || strcasecmp(text, "null") == 0);
}

size_t tree_line(const yaml_node_t *node)
{
	return node->start_mark.line + 1;
}
