/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From the bytes of a message to a command. Pure. */

#include "iotd/model.h"
#include "iotd/settings.h"

#define REQUEST_SIZE_MAX 4096 /* bytes of a command, SPEC §4 */

/** struct fault - why a command is refused, in words for its sender; UTF-8 */
struct fault {
	char text[256];
};

/**
 * request_parse() - the payload of T/command
 * @ret:    kind and arguments; done is left alone
 * @ret_id: the JSON text of the sender's id, also of a command that is refused, if it could be read;
 *          NULL: it has none; the caller's
 *
 * Return: 0; -EINVAL, with @fault; -EPERM not in commands.allow, with @fault.
 */
int request_parse(struct command *ret, char **ret_id, const struct command_settings *settings,
		  const void *payload, size_t length, struct fault *fault);

/**
 * request_parse_set() - the payload of T/output/NAME/set: on, off, toggle …, or {"state":"on","for":"5s"}
 * @name: the topic's NAME
 * Return: as request_parse().
 */
int request_parse_set(struct command *ret, const struct command_settings *settings,
		      const char *name, const void *payload, size_t length, struct fault *fault);

/**
 * request_parse_ms() - the payload of mqtt-io's T/output/NAME/set_on_ms and set_off_ms: milliseconds
 * @ret:  its on is the topic's
 * @name: the topic's NAME
 * Return: as request_parse().
 */
int request_parse_ms(struct command *ret, const struct command_settings *settings, const char *name,
		     const void *payload, size_t length, struct fault *fault);
