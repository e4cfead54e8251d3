/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>

#include "timer-heap.h"

#define CHILDREN 4

static bool key_before(const struct timer_key *a, const struct timer_key *b)
{
	return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void key_put(struct timer_heap *heap, size_t at, const struct timer_key *key)
{
	heap->keys[at] = *key;
	key->timer->slot = at + 1;
}

static void sift_up(struct timer_heap *heap, size_t at, struct timer_key key)
{
	while (at > 0) {
		size_t parent = (at - 1) / CHILDREN;

		if (!key_before(&key, &heap->keys[parent]))
			break;
		key_put(heap, at, &heap->keys[parent]);
		at = parent;
	}
	key_put(heap, at, &key);
}

static void sift_down(struct timer_heap *heap, size_t at, struct timer_key key)
{
	for (;;) {
		size_t child = at * CHILDREN + 1, end = child + CHILDREN, least = child;

		if (child >= heap->count)
			break;
		if (end > heap->count)
			end = heap->count;
		while (++child < end)
			if (key_before(&heap->keys[child], &heap->keys[least]))
				least = child;
		if (!key_before(&heap->keys[least], &key))
			break;
		key_put(heap, at, &heap->keys[least]);
		at = least;
	}
	key_put(heap, at, &key);
}

static struct timer_key key_of(struct reactor_timer *timer)
{
	return (struct timer_key){ timer->due_us, timer->order, timer };
}

int timer_heap_reserve(struct timer_heap *heap, size_t count)
{
	size_t size = heap->size ? heap->size : 64;
	struct timer_key *keys;

	if (count <= heap->size)
		return 0;
	while (size < count)
		size *= 2;
	keys = reallocarray(heap->keys, size, sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	heap->keys = keys;
	heap->size = size;
	return 0;
}

void timer_heap_insert(struct timer_heap *heap, struct reactor_timer *timer)
{
	heap->count++;
	sift_up(heap, heap->count - 1, key_of(timer));
}

void timer_heap_update(struct timer_heap *heap, struct reactor_timer *timer)
{
	struct timer_key key = key_of(timer);
	size_t at = timer->slot - 1;

	if (key_before(&key, &heap->keys[at]))
		sift_up(heap, at, key);
	/* later than before: mended when it comes to the top */
}

void timer_heap_remove(struct timer_heap *heap, struct reactor_timer *timer)
{
	size_t at = timer->slot - 1;
	struct timer_key last;

	timer->slot = 0;
	last = heap->keys[--heap->count];
	if (at == heap->count)
		return;
	if (at > 0 && key_before(&last, &heap->keys[(at - 1) / CHILDREN]))
		sift_up(heap, at, last);
	else
		sift_down(heap, at, last);
}

struct reactor_timer *timer_heap_first(struct timer_heap *heap)
{
	while (heap->count > 0) {
		const struct timer_key *top = &heap->keys[0];
		struct reactor_timer *timer = top->timer;

		if (top->due_us == timer->due_us && top->order == timer->order)
			return timer;
		sift_down(heap, 0, key_of(timer));
	}
	return NULL;
}
