/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The readings of the spool, oldest first: a list in memory, with a gap in it where the rest lies
 * only in the file.
 *
 *	first -> (in flight) -> waiting -> .. -> (gap) -> fresh -> .. -> unsaved -> .. -> last
 *
 * Always holds: a message's place, which is its row if it has one, is greater than that of every
 * one before it, and the rows of the gap lie between its neighbours'. From `unsaved` on no message
 * has a row; right before it may be some that are just being written (QUEUE_WRITING); all others
 * are in the file.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iotd/model.h"
#include "store.h"

#define QUEUE_WRITING (-1) /* a row that is not known yet */

struct queue {
	struct message *first, *last;
	struct message *waiting; /* the oldest in memory that is not in flight; NULL: none */
	struct message *fresh;	 /* behind the gap; NULL: the gap is at the end; only with a gap */
	struct message *unsaved; /* NULL: none */
	struct message *looked;	 /* where queue_look() was last; NULL: nowhere */
	uint64_t size;		 /* bytes of memory */
	uint64_t stored;	 /* bytes of the file that those in memory take, or will */
	struct store_rows gap;	 /* .count 0: there is none */
};

/** queue_push() - behind all others; takes @message over */
void queue_push(struct queue *queue, struct message *message);

/** queue_next() - in flight from now on. Return: NULL: none, or the gap comes first */
struct message *queue_next(struct queue *queue);

/** queue_is_at_gap() - the next one is in the file only */
bool queue_is_at_gap(const struct queue *queue);

/** queue_find() - what is in flight under @id; NULL: nothing */
struct message *queue_find(const struct queue *queue, uint64_t id);

/** queue_rewind() - nothing is in flight */
void queue_rewind(struct queue *queue);

/** queue_remove() - out of the list; @message is the caller's */
void queue_remove(struct queue *queue, struct message *message);

/** queue_take_unsaved() - up to @limit from before @before_us, to be written. Return: how many */
size_t queue_take_unsaved(struct queue *queue, struct message **batch, size_t limit,
			  int64_t before_us);

/** queue_load() - the oldest row of the gap is in memory again; takes @message over */
void queue_load(struct queue *queue, struct message *message);

/**
 * queue_let_go() - what is in the file becomes, or joins, the gap
 * @keep: without a gap, so many bytes of the next ones stay in memory
 */
void queue_let_go(struct queue *queue, uint64_t keep);

/** queue_set_gap() - rows that are older than all in memory; with no gap, and nothing in flight */
void queue_set_gap(struct queue *queue, const struct store_rows *rows);

/** queue_forget_rows() - the file is gone: no gap, all is to be saved anew */
void queue_forget_rows(struct queue *queue);

/**
 * queue_place_behind() - no row is in the file that is open now: give those that shall go there
 * places behind @row
 * Return: the last place given; at least @last and @row
 */
int64_t queue_place_behind(struct queue *queue, int64_t row, int64_t last);

/**
 * queue_look() - find the oldest in memory whose place is behind @after
 * @ret: set if true; NULL: there is none
 * Return: false: it takes long; call it again soon to go on. At once if it is near where the last
 * one was found.
 */
bool queue_look(struct queue *queue, int64_t after, struct message **ret);
