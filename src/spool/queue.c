/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "queue.h"

#define LOOK_STEPS 2000 /* at one go: some 100 µs */

static void queue_insert(struct queue *queue, struct message *message, struct message *before)
{
	struct message *previous = before ? before->previous : queue->last;

	message->next = before;
	message->previous = previous;
	if (previous)
		previous->next = message;
	else
		queue->first = message;
	if (before)
		before->previous = message;
	else
		queue->last = message;
	queue->size += message_size(message);
	queue->stored += store_size(message);
}

void queue_remove(struct queue *queue, struct message *message)
{
	struct message *next = message->next;

	if (message->previous)
		message->previous->next = next;
	else
		queue->first = next;
	if (next)
		next->previous = message->previous;
	else
		queue->last = message->previous;
	if (queue->waiting == message)
		queue->waiting = next;
	if (queue->fresh == message)
		queue->fresh = next;
	if (queue->unsaved == message)
		queue->unsaved = next;
	if (queue->looked == message)
		queue->looked = next;
	queue->size -= message_size(message);
	queue->stored -= store_size(message);
}

void queue_push(struct queue *queue, struct message *message)
{
	message->row = 0;
	queue_insert(queue, message, NULL);
	if (!queue->waiting)
		queue->waiting = message;
	if (queue->gap.count > 0 && !queue->fresh)
		queue->fresh = message;
	if (!queue->unsaved)
		queue->unsaved = message;
}

bool queue_is_at_gap(const struct queue *queue)
{
	return queue->gap.count > 0 && queue->waiting == queue->fresh;
}

struct message *queue_next(struct queue *queue)
{
	struct message *message = queue->waiting;

	if (!message || queue_is_at_gap(queue))
		return NULL;
	queue->waiting = message->next;
	return message;
}

struct message *queue_find(const struct queue *queue, uint64_t id)
{
	for (struct message *m = queue->first; m != queue->waiting; m = m->next)
		if (m->id == id)
			return m;
	return NULL;
}

void queue_rewind(struct queue *queue)
{
	queue->waiting = queue->first;
}

size_t queue_take_unsaved(struct queue *queue, struct message **batch, size_t limit,
			  int64_t before_us)
{
	struct message *message = queue->unsaved;
	size_t count = 0;

	for (; message && count < limit && message->queued_us <= before_us;
	     message = message->next) {
		message->row = QUEUE_WRITING;
		batch[count++] = message;
	}
	queue->unsaved = message;
	return count;
}

/* --- the gap -------------------------------------------------------------------------------- */

void queue_load(struct queue *queue, struct message *message)
{
	const struct store_rows loaded = { message->row, message->row, 1, store_size(message) };
	bool is_next = queue_is_at_gap(queue);

	queue_insert(queue, message, queue->fresh);
	if (is_next)
		queue->waiting = message;
	store_rows_shrink(&queue->gap, &loaded);
}

void queue_let_go(struct queue *queue, uint64_t keep)
{
	struct store_rows *gap = &queue->gap;
	struct message *message = gap->count > 0 ? queue->fresh : queue->waiting, *next;
	uint64_t kept = 0;

	for (; gap->count == 0 && message && kept < keep; message = message->next)
		kept += message_size(message);
	for (; message && message->row > 0; message = next) {
		next = message->next;
		if (gap->count++ == 0)
			gap->first = message->row;
		gap->last = message->row;
		gap->bytes += store_size(message);
		queue_remove(queue, message);
		message_free(message);
	}
	queue->fresh = message;
}

void queue_set_gap(struct queue *queue, const struct store_rows *rows)
{
	queue->gap = *rows;
	queue->fresh = queue->first;
}

void queue_forget_rows(struct queue *queue)
{
	for (struct message *m = queue->first; m; m = m->next)
		m->row = 0;
	queue->gap = (struct store_rows){ 0 };
	queue->unsaved = queue->first;
}

int64_t queue_place_behind(struct queue *queue, int64_t row, int64_t last)
{
	int64_t shift = queue->first ? row - queue->first->place + 1 : 0;

	if (shift > 0)
		for (struct message *m = queue->first; m; m = m->next)
			last = m->place += shift;
	return last > row ? last : row;
}

bool queue_look(struct queue *queue, int64_t after, struct message **ret)
{
	struct message *at = queue->looked;
	int steps = 0;

	*ret = NULL;
	if (!queue->last || queue->last->place <= after)
		return true;
	if (!at || queue->first->place > after)
		at = queue->first;
	for (; steps < LOOK_STEPS; steps++) {
		if (at->place <= after)
			at = at->next; /* it is not the last */
		else if (at->previous && at->previous->place > after)
			at = at->previous;
		else
			break;
	}
	queue->looked = at;
	*ret = at;
	return steps < LOOK_STEPS;
}
