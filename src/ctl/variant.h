/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The next member of a message; a variant of another type than the one that is wanted is skipped. */

#include <stdint.h>
#include <systemd/sd-bus.h>

/**
 * string_read() - a string with "?" for every control character
 * @ret: what it points to is freed first; the caller owns the new one
 * Return: 0; -ENOMEM; -EBADMSG or another errno of sd-bus.
 */
int string_read(sd_bus_message *message, char **ret);

/**
 * variant_enter() - the container of a variant, if it holds @contents
 * Return: 1 inside; 0 it holds something else, and was skipped; an errno of sd-bus.
 */
int variant_enter(sd_bus_message *message, const char *contents);

/** variant_string() - as string_read(); @ret stays if it holds something else. Return: 0 or more; an errno */
int variant_string(sd_bus_message *message, char **ret);

/** variant_number() - a t; @ret stays if it holds something else. Return: 0 or more; an errno */
int variant_number(sd_bus_message *message, uint64_t *ret);
