/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What connection.c is made of besides. On the thread that has the connection. */

#include "connection.h"

#define PASSWORD_SIZE 4096 /* bytes, with the NUL */

/** connection_listen() - have the callbacks of @connection->handle record what the library tells */
void connection_listen(struct connection *connection);

/**
 * connection_listen_closely() - and, once the valve is open, what it does not: what answers our messages, and MQTT 5's
 * reasons in words
 */
void connection_listen_closely(struct connection *connection);

/** connection_record() - the end of a PUBLISH or a SUBSCRIBE, for who called into the library */
void connection_record(struct connection *connection, int mid, int reason, bool subscribed);

/** connection_note_reason() - the words in the answer that the valve shows, if it has some */
void connection_note_reason(struct connection *connection);

/** connection_acknowledged() - the valve shows a PUBACK, a PUBREC or a PUBCOMP */
void connection_acknowledged(struct valve_frame *frame);

/** connection_release() - a PUBREL for each PUBREC that came; the library wants to write nothing. Return: 0; -ENOMEM */
int connection_release(struct connection *connection);

/**
 * connection_find_password() - from the settings, the file, or systemd's credential; anew each time, so that it can be changed
 * @secret:    set if *@ret_found; whoever asked wipes it
 * @ret_found: false: there is none to send
 *
 * Return: 0; -EHOSTUNREACH it cannot be read, with @connection->why.
 */
int connection_find_password(struct connection *connection, char secret[static PASSWORD_SIZE],
			     bool *ret_found);
