/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The retained messages.
 *
 * A topic has one slot with its latest message; older ones are replaced, never queued, so memory
 * is bounded by the number of topics. Slots are found by a hash over the topic (chained, doubled
 * when it is full), and lie in two lists: all, in the order of their first appearance, which is
 * the order after a reconnect; and waiting, those that the broker has to be told, first come first
 * served. The first topic of all is the exception: it goes before all that wait. That is T/status,
 * whose `offline` must not be late at the end because many others are cleared.
 *
 * A slot is sent once at a time. If it changes while it is in flight it waits again when that is
 * acknowledged, so the broker gets the latest last. A forgotten slot leaves the hash at once, but
 * its memory stays while it waits or flies; then it is freed by who sees it next.
 */
#include <errno.h>
#include <string.h>

#include "states.h"

#define BUCKETS_MIN 64

struct state_slot {
	struct state_slot *chain;	    /* in its bucket */
	struct state_slot *next, *previous; /* all */
	struct state_slot *after;	    /* waiting */
	struct message *message;
	uint64_t hash;
	bool waits, in_flight;
	bool changed;  /* while it was in flight */
	bool clearing; /* the message is empty; once sent the slot goes */
	bool gone;     /* out of the hash */
};

struct states {
	struct state_slot **buckets;
	size_t bucket_count, count; /* bucket_count is a power of 2 */
	struct state_slot *first, *last;
	struct state_slot *first_waiting, *last_waiting;
};

static uint64_t topic_hash(const char *topic)
{
	uint64_t hash = 14695981039346656037U; /* FNV-1a, 64 bit: offset and prime */

	for (; *topic; topic++)
		hash = (hash ^ (uint8_t)*topic) * 1099511628211U;
	return hash;
}

static struct state_slot **states_bucket(const struct states *states, uint64_t hash)
{
	return &states->buckets[hash & (states->bucket_count - 1)];
}

static struct state_slot *states_find(const struct states *states, const char *topic, uint64_t hash)
{
	for (struct state_slot *s = *states_bucket(states, hash); s; s = s->chain)
		if (s->hash == hash && strcmp(s->message->topic, topic) == 0)
			return s;
	return NULL;
}

static int states_grow(struct states *states)
{
	size_t count = states->bucket_count ? states->bucket_count * 2 : BUCKETS_MIN;
	struct state_slot **buckets = calloc(count, sizeof(struct state_slot *)), **bucket;

	if (!buckets)
		return -ENOMEM;
	free(states->buckets);
	states->buckets = buckets;
	states->bucket_count = count;
	for (struct state_slot *s = states->first; s; s = s->next) {
		if (s->gone)
			continue;
		bucket = states_bucket(states, s->hash);
		s->chain = *bucket;
		*bucket = s;
	}
	return 0;
}

int states_new(struct states **ret)
{
	struct states *states;
	int r;

	states = calloc(1, sizeof(*states));
	if (!states)
		return -ENOMEM;
	r = states_grow(states);
	if (r < 0) {
		free(states);
		return r;
	}
	*ret = states;
	return 0;
}

struct states *states_free(struct states *states)
{
	struct state_slot *next;

	if (!states)
		return NULL;
	for (struct state_slot *s = states->first; s; s = next) {
		next = s->next;
		message_free(s->message);
		free(s);
	}
	free(states->buckets);
	free(states);
	return NULL;
}

static void slot_wait(struct states *states, struct state_slot *slot)
{
	if (slot->waits)
		return;
	slot->waits = true;
	if (slot == states->first) {
		slot->after = states->first_waiting;
		states->first_waiting = slot;
		if (!slot->after)
			states->last_waiting = slot;
		return;
	}
	slot->after = NULL;
	if (states->last_waiting)
		states->last_waiting->after = slot;
	else
		states->first_waiting = slot;
	states->last_waiting = slot;
}

/* take the slot out of the list of all and free it; it must be out of the hash, and not wait */
static void slot_free(struct states *states, struct state_slot *slot)
{
	if (slot->previous)
		slot->previous->next = slot->next;
	else
		states->first = slot->next;
	if (slot->next)
		slot->next->previous = slot->previous;
	else
		states->last = slot->previous;
	message_free(slot->message);
	free(slot);
}

/* out of the hash; freed now, or when it no longer waits or flies */
static void slot_drop(struct states *states, struct state_slot *slot)
{
	struct state_slot **link = states_bucket(states, slot->hash);

	while (*link != slot)
		link = &(*link)->chain;
	*link = slot->chain;
	states->count--;
	slot->gone = true;
	if (!slot->waits && !slot->in_flight)
		slot_free(states, slot);
}

/* takes @message over */
static void slot_set(struct states *states, struct state_slot *slot, struct message *message)
{
	message_free(slot->message);
	slot->message = message;
	slot->clearing = false;
	if (slot->in_flight)
		slot->changed = true;
	else
		slot_wait(states, slot);
}

static int states_add(struct states *states, struct message *message, uint64_t hash)
{
	struct state_slot *slot, **bucket;

	if (states->count >= states->bucket_count && states_grow(states) < 0)
		return -ENOMEM;
	slot = calloc(1, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	slot->hash = hash;
	slot->previous = states->last;
	if (states->last)
		states->last->next = slot;
	else
		states->first = slot;
	states->last = slot;
	bucket = states_bucket(states, hash);
	slot->chain = *bucket;
	*bucket = slot;
	states->count++;
	slot_set(states, slot, message);
	return 0;
}

int states_set(struct states *states, struct message *message)
{
	uint64_t hash = topic_hash(message->topic);
	struct state_slot *slot = states_find(states, message->topic, hash);

	if (!slot)
		return states_add(states, message, hash);
	slot_set(states, slot, message);
	return 0;
}

int states_forget(struct states *states, const char *topic, bool clear)
{
	struct state_slot *slot = states_find(states, topic, topic_hash(topic));
	struct message *empty;
	int r;

	if (!slot)
		return 0;
	if (!clear) {
		slot_drop(states, slot);
		return 0;
	}
	r = message_new(&empty, topic, NULL, 0);
	if (r < 0)
		return r;
	empty->qos = slot->message->qos;
	empty->retain = true;
	slot_set(states, slot, empty);
	slot->clearing = true;
	return 0;
}

void states_repeat(struct states *states, const char *topic)
{
	struct state_slot *slot = states_find(states, topic, topic_hash(topic));

	if (slot && slot->in_flight)
		slot->changed = true; /* it may have left before this was asked */
	else if (slot)
		slot_wait(states, slot);
}

static struct state_slot *states_pop(struct states *states)
{
	struct state_slot *slot = states->first_waiting;

	if (!slot)
		return NULL;
	states->first_waiting = slot->after;
	if (!states->first_waiting)
		states->last_waiting = NULL;
	slot->waits = false;
	return slot;
}

struct state_slot *states_next(struct states *states)
{
	struct state_slot *slot;

	while ((slot = states_pop(states)) && slot->gone)
		slot_free(states, slot);
	if (slot) {
		slot->in_flight = true;
		slot->changed = false;
	}
	return slot;
}

const struct message *state_slot_message(const struct state_slot *slot)
{
	return slot->message;
}

void states_done(struct states *states, struct state_slot *slot)
{
	slot->in_flight = false;
	if (slot->gone)
		slot_free(states, slot);
	else if (slot->changed)
		slot_wait(states, slot);
	else if (slot->clearing)
		slot_drop(states, slot);
}

void states_rewind(struct states *states)
{
	struct state_slot *next;

	while (states_pop(states))
		;
	for (struct state_slot *s = states->first; s; s = next) {
		next = s->next;
		s->in_flight = false;
		if (s->gone)
			slot_free(states, s);
		else
			slot_wait(states, s);
	}
}

bool states_has_sent(const struct states *states, const char *topic)
{
	const struct state_slot *slot = states_find(states, topic, topic_hash(topic));

	return slot && !slot->waits && !slot->changed;
}

bool states_are_sent(const struct states *states)
{
	return !states->first_waiting;
}
