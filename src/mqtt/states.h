/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The retained messages: the latest of each topic, and which of them the broker does not have yet. */

#include "iotd/model.h"

struct states;
struct state_slot;

/** states_new() - none. Return: 0; -ENOMEM */
int states_new(struct states **ret);

/** states_free() - NULL is fine. Returns NULL */
struct states *states_free(struct states *states);

/** states_set() - the latest of its topic; takes @message over on success. Return: 0; -ENOMEM */
int states_set(struct states *states, struct message *message);

/**
 * states_forget() - nothing more is sent for @topic; an unknown one: nothing
 * @clear: first an empty message, which makes the broker forget it too
 * Return: 0; -ENOMEM (then nothing changed).
 */
int states_forget(struct states *states, const char *topic, bool clear);

/** states_repeat() - send the latest of @topic once more; an unknown one: nothing */
void states_repeat(struct states *states, const char *topic);

/** states_next() - to be sent: the very first topic, else the one that waits longest; in flight from now on. NULL: none */
struct state_slot *states_next(struct states *states);

/** state_slot_message() - what to send; valid until the next call of anything here */
const struct message *state_slot_message(const struct state_slot *slot);

/** states_done() - @slot, given by states_next(), is no longer in flight; it waits again if it changed meanwhile */
void states_done(struct states *states, struct state_slot *slot);

/** states_rewind() - a new connection: none is in flight, all wait, in the order in which they first appeared */
void states_rewind(struct states *states);

/** states_has_sent() - the latest of @topic does not wait to be sent (it may be in flight) */
bool states_has_sent(const struct states *states, const char *topic);

/** states_are_sent() - true if none waits (some may be in flight) */
bool states_are_sent(const struct states *states);
