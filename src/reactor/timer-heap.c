/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "timer-heap.h"

#define CHILDREN   4
#define SIZE_FIRST 64
#define TIMERS_MAX ((size_t)1 << 30) /* less than timer_instant_sort() can */

/* so many empty instants stay where they are */
#define EMPTY_MIN 64

/* keys[1], [5] and so on begin a cache line */
#define CACHE_LINE 64
#define KEYS_SHIFT (CACHE_LINE / sizeof(struct timer_key) - 1)

/* --- the heap of instants ------------------------------------------------------------------- */

static struct timer_key *earlier(struct timer_key *a, struct timer_key *b)
{
	return b->due_us < a->due_us ? b : a;
}

static void sift_up(struct timer_heap *heap, size_t at, struct timer_key key)
{
	while (at > 0) {
		size_t parent = (at - 1) / CHILDREN;

		if (key.due_us >= heap->keys[parent].due_us)
			break;
		heap->keys[at] = heap->keys[parent];
		at = parent;
	}
	heap->keys[at] = key;
}

/* the first of the children of @at, which has some */
static size_t first_child(const struct timer_heap *heap, size_t at)
{
	size_t child = at * CHILDREN + 1;
	struct timer_key *keys = &heap->keys[child], *first = keys;

	if (child + CHILDREN <= heap->count)
		first = earlier(earlier(&keys[0], &keys[1]), earlier(&keys[2], &keys[3]));
	else
		for (size_t i = 1; child + i < heap->count; i++)
			first = earlier(first, &keys[i]);
	return child + (size_t)(first - keys);
}

static void sift_down(struct timer_heap *heap, size_t at, struct timer_key key)
{
	while (at * CHILDREN + 1 < heap->count) {
		size_t child = first_child(heap, at);

		if (heap->keys[child].due_us >= key.due_us)
			break;
		heap->keys[at] = heap->keys[child];
		at = child;
	}
	heap->keys[at] = key;
}

static void push(struct timer_heap *heap, struct timer_key key)
{
	if (heap->has_hole) {
		heap->has_hole = false;
		sift_down(heap, 0, key);
	} else {
		sift_up(heap, heap->count++, key);
	}
}

static void drop_top(struct timer_heap *heap)
{
	if (--heap->count > 0)
		sift_down(heap, 0, heap->keys[heap->count]);
}

static void close_hole(struct timer_heap *heap)
{
	if (!heap->has_hole)
		return;
	heap->has_hole = false;
	drop_top(heap);
}

/* --- instants ------------------------------------------------------------------------------- */

/* Fibonacci hashing: the grid of due times spreads over all buckets */
static uint32_t *bucket_of(const struct timer_heap *heap, int64_t due_us)
{
	uint64_t hash = (uint64_t)due_us * 0x9e3779b97f4a7c15;

	return &heap->buckets[(hash >> 32) & (heap->size - 1)];
}

/* Return: 0: there is none */
static uint32_t find(struct timer_heap *heap, int64_t due_us)
{
	uint32_t at = heap->latest;

	if (at != 0 && heap->instants[at].due_us == due_us)
		return at;
	if (heap->size == 0)
		return 0;
	at = *bucket_of(heap, due_us);
	while (at != 0 && heap->instants[at].due_us != due_us)
		at = heap->instants[at].next;
	heap->latest = at;
	return at;
}

static void enter(struct timer_heap *heap, uint32_t at)
{
	uint32_t *bucket = bucket_of(heap, heap->instants[at].due_us);

	heap->instants[at].next = *bucket;
	*bucket = at;
	heap->latest = at;
}

static void leave(struct timer_heap *heap, uint32_t at)
{
	uint32_t *link = bucket_of(heap, heap->instants[at].due_us);

	while (*link != at)
		link = &heap->instants[*link].next;
	*link = heap->instants[at].next;
	if (heap->latest == at)
		heap->latest = 0;
}

static struct timer_key key_of(const struct timer_heap *heap, uint32_t at)
{
	return (struct timer_key){ heap->instants[at].due_us, at };
}

/* there is room. Return: the new one, which is in the heap */
static uint32_t begin(struct timer_heap *heap, int64_t due_us)
{
	uint32_t at = heap->unused;

	if (at == 0)
		at = ++heap->newest;
	else
		heap->unused = heap->instants[at].next;
	heap->instants[at] = (struct timer_instant){ .due_us = due_us };
	enter(heap, at);
	push(heap, key_of(heap, at));
	return at;
}

/* it has no timer; its key is dropped by whoever calls this */
static void end(struct timer_heap *heap, uint32_t at)
{
	leave(heap, at);
	heap->instants[at].next = heap->unused;
	heap->unused = at;
}

static void join(struct timer_heap *heap, uint32_t at, struct reactor_timer *timer)
{
	timer->slot = at;
	timer_instant_join(&heap->instants[at], timer);
}

static void part(struct timer_heap *heap, struct reactor_timer *timer)
{
	timer_instant_part(&heap->instants[timer->slot], timer);
}

static bool is_alone(const struct reactor_timer *timer)
{
	return !timer->next && !timer->previous;
}

/* --- the top -------------------------------------------------------------------------------- */

/* the first timer of the top was set for a later time */
static void mend_top(struct timer_heap *heap, struct reactor_timer *timer)
{
	uint32_t from = timer->slot, to = find(heap, timer->due_us);
	bool was_alone = is_alone(timer);

	if (was_alone && to == 0) { /* so no room is needed */
		leave(heap, from);
		heap->instants[from].due_us = timer->due_us;
		enter(heap, from);
		sift_down(heap, 0, key_of(heap, from));
		return;
	}
	part(heap, timer);
	if (was_alone) {
		end(heap, from);
		drop_top(heap);
	}
	if (to == 0)
		to = begin(heap, timer->due_us);
	else if (!heap->instants[to].first)
		heap->empty--;
	join(heap, to, timer);
}

struct reactor_timer *timer_heap_first(struct timer_heap *heap)
{
	close_hole(heap);
	while (heap->count > 0) {
		const struct timer_key *top = &heap->keys[0];
		struct timer_instant *instant = &heap->instants[top->instant];
		struct reactor_timer *timer = instant->first;

		if (instant->is_mixed && timer) {
			timer_instant_sort(instant);
		} else if (!timer) {
			heap->empty--;
			end(heap, top->instant);
			drop_top(heap);
		} else if (timer->due_us == top->due_us) {
			return timer;
		} else {
			mend_top(heap, timer);
		}
	}
	return NULL;
}

void timer_heap_take_first(struct timer_heap *heap)
{
	uint32_t at = heap->keys[0].instant;
	struct timer_instant *instant = &heap->instants[at];
	struct reactor_timer *timer = instant->first, *next = timer->next;

	timer->slot = 0;
	heap->timers--;
	instant->first = next;
	if (next) {
		next->previous = NULL;
		__builtin_prefetch(next->next); /* on its way while these two fire */
		return;
	}
	instant->last = NULL;
	end(heap, at);
	heap->has_hole = true;
}

/* --- room ----------------------------------------------------------------------------------- */

static void keys_free(struct timer_key *keys)
{
	if (keys)
		free(keys - KEYS_SHIFT);
}

/* Return: NULL: out of memory */
static struct timer_key *keys_new(size_t size)
{
	size_t bytes = (size + KEYS_SHIFT) * sizeof(struct timer_key);
	struct timer_key *keys =
		aligned_alloc(CACHE_LINE, (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);

	return keys ? keys + KEYS_SHIFT : NULL;
}

static int heap_resize(struct timer_heap *heap, size_t size)
{
	struct timer_instant *instants;
	struct timer_key *keys;
	uint32_t *buckets;

	instants = reallocarray(heap->instants, size + 1, sizeof(*instants));
	if (!instants)
		return -ENOMEM;
	heap->instants = instants;
	buckets = calloc(size, sizeof(*buckets));
	keys = keys_new(size);
	if (!buckets || !keys) {
		keys_free(keys);
		free(buckets);
		return -ENOMEM;
	}
	if (heap->count > 0)
		memcpy(keys, heap->keys, heap->count * sizeof(*keys));
	keys_free(heap->keys);
	free(heap->buckets);
	heap->keys = keys;
	heap->buckets = buckets;
	heap->size = size;
	for (size_t i = heap->has_hole; i < heap->count; i++)
		enter(heap, keys[i].instant);
	return 0;
}

int timer_heap_reserve(struct timer_heap *heap, size_t count)
{
	size_t size = heap->size ? heap->size : SIZE_FIRST;

	if (count <= heap->size)
		return 0;
	if (count > TIMERS_MAX)
		return -ENOMEM;
	while (size < count)
		size *= 2;
	return heap_resize(heap, size);
}

void timer_heap_clear(struct timer_heap *heap)
{
	free(heap->instants);
	free(heap->buckets);
	keys_free(heap->keys);
	*heap = (struct timer_heap){ 0 };
}

static void drop_empty(struct timer_heap *heap)
{
	size_t left = 0;

	close_hole(heap);
	for (size_t i = 0; i < heap->count; i++)
		if (heap->instants[heap->keys[i].instant].first)
			heap->keys[left++] = heap->keys[i];
		else
			end(heap, heap->keys[i].instant);
	heap->count = left;
	heap->empty = 0;
	while (left > 0) {
		left--;
		sift_down(heap, left, heap->keys[left]);
	}
}

/* --- timers --------------------------------------------------------------------------------- */

void timer_heap_insert(struct timer_heap *heap, struct reactor_timer *timer)
{
	uint32_t at = find(heap, timer->due_us);

	if (at == 0)
		at = begin(heap, timer->due_us);
	else if (!heap->instants[at].first)
		heap->empty--;
	join(heap, at, timer);
	heap->timers++;
}

/* the only timer of its instant, which nobody else's is, and there is no room for another one */
static void move_instant(struct timer_heap *heap, const struct reactor_timer *timer)
{
	uint32_t instant = timer->slot;
	size_t at = 0;

	leave(heap, instant);
	heap->instants[instant].due_us = timer->due_us;
	enter(heap, instant);
	while (heap->keys[at].instant != instant)
		at++;
	sift_up(heap, at, key_of(heap, instant));
}

void timer_heap_advance(struct timer_heap *heap, struct reactor_timer *timer)
{
	bool is_full = heap->count == heap->size && !heap->has_hole;

	if (is_full && is_alone(timer) && find(heap, timer->due_us) == 0) {
		move_instant(heap, timer);
		return;
	}
	timer_heap_remove(heap, timer);
	timer_heap_insert(heap, timer);
}

void timer_heap_remove(struct timer_heap *heap, struct reactor_timer *timer)
{
	part(heap, timer);
	heap->timers--;
	if (!heap->instants[timer->slot].first)
		heap->empty++;
	timer->slot = 0;
	if (heap->empty > EMPTY_MIN && heap->empty > heap->count / 2)
		drop_empty(heap);
}
