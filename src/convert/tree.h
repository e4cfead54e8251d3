/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A YAML file as a tree. Aliases (*name) are resolved by libyaml, merge keys (<<) here. */

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

#define TREE_FAULT_SIZE 512

/** struct tree - the first document of a file; zeroed before tree_load() */
struct tree {
	yaml_document_t document;
	bool is_loaded;
};

/**
 * tree_load() - read @file
 * @fault: filled on failure: "FILE:LINE: why", or "FILE: why"
 * Return: 0; negative errno: -EBADMSG what it holds is no YAML, others: it cannot be read.
 */
int tree_load(struct tree *tree, const char *file, char fault[static TREE_FAULT_SIZE]);

void tree_done(struct tree *tree);

/** tree_root() - NULL: the file is empty */
const yaml_node_t *tree_root(struct tree *tree);

/**
 * tree_member() - the value of a key: the last one that the mapping itself has, else of what it merges
 * @mapping: anything else, and NULL, has no members
 * Return: NULL - none.
 */
const yaml_node_t *tree_member(struct tree *tree, const yaml_node_t *mapping, const char *key);

/** tree_visitor - a key that counts, with its value */
typedef void (*tree_visitor)(void *data, const char *key, const yaml_node_t *key_node,
			     const yaml_node_t *value);

/** tree_visit() - every key for which tree_member() has that value, in the order of the file */
void tree_visit(struct tree *tree, const yaml_node_t *mapping, tree_visitor visit, void *data);

/** tree_length() - elements of a sequence; 0 of anything else, and of NULL */
size_t tree_length(const yaml_node_t *sequence);

/** tree_element() - the @index-th, below tree_length() */
const yaml_node_t *tree_element(struct tree *tree, const yaml_node_t *sequence, size_t index);

/** tree_text() - of a scalar; NULL: no scalar, or a NUL in it */
const char *tree_text(const yaml_node_t *node);

/** tree_is_null() - `~`, `null` or nothing, without quotes */
bool tree_is_null(const yaml_node_t *node);

/** tree_line() - from 1 */
size_t tree_line(const yaml_node_t *node);
