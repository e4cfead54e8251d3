/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The id of a command, as text. Pure. */

#include <stddef.h>

/**
 * id_copy() - the value of "id" in a JSON object, without the blanks between its parts
 * @object: text that is known to be a JSON object with the key "id"; not terminated
 *
 * Return: JSON text, the caller's; NULL: out of memory.
 */
char *id_copy(const char *object, size_t length);
