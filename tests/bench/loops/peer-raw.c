/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The limit: what one would write by hand for these workloads and nothing else. epoll, a 4-ary heap
 * with the due time in it, one absolute timerfd. No timer can be stopped, no descriptor removed, no
 * callback may free anything: what a real loop pays for is not here.
 */
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "peer.h"

#define BATCH 64
#define ARITY 4

const char peer_name[] = "raw";

struct key {
	int64_t due_us;
	size_t i;
};

static int epoll_fd, timer_fd, wake_fd, is_stopped;
static struct key *heap;
static size_t heap_count, deferred_count;
static int64_t *intervals, *timeouts, armed_us,
	now_us; /* now: of this turn, as far as it was needed */
static size_t *deferred, *running;

static void watch(int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };

	work_must(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

void peer_init(size_t count)
{
	heap = work_memory(count * sizeof(*heap));
	intervals = work_memory(count * sizeof(*intervals));
	timeouts = work_memory(count * sizeof(*timeouts));
	deferred = work_memory(count * sizeof(*deferred));
	running = work_memory(count * sizeof(*running));
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	watch(timer_fd, EPOLLIN | EPOLLET, UINT64_MAX);
	watch(wake_fd, EPOLLIN, UINT64_MAX - 1);
}

static void sift_down(size_t at, struct key key)
{
	for (;;) {
		size_t child = at * ARITY + 1, end = child + ARITY, least = child;

		if (child >= heap_count)
			break;
		if (end > heap_count)
			end = heap_count;
		while (++child < end)
			if (heap[child].due_us < heap[least].due_us)
				least = child;
		if (heap[least].due_us >= key.due_us)
			break;
		heap[at] = heap[least];
		at = least;
	}
	heap[at] = key;
}

static void wait_timer(void)
{
	struct itimerspec spec = { 0 };

	if (heap_count == 0 || heap[0].due_us == armed_us)
		return;
	armed_us = heap[0].due_us;
	spec.it_value.tv_sec = armed_us / 1000000;
	spec.it_value.tv_nsec = armed_us % 1000000 * 1000;
	(void)timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void run_event(uint64_t data)
{
	eventfd_t value;

	if (data == UINT64_MAX - 1) {
		(void)eventfd_read(wake_fd, &value);
		work_woken();
	} else if (data != UINT64_MAX) {
		work_ready(data);
	}
}

static void run_deferred(void)
{
	size_t count = deferred_count;

	memcpy(running, deferred, count * sizeof(*running));
	deferred_count = 0;
	for (size_t n = 0; n < count; n++)
		work_deferred(running[n]);
}

static void run_timers(void)
{
	now_us = work_now_us();
	while (heap_count > 0 && heap[0].due_us <= now_us) {
		size_t i = heap[0].i;

		sift_down(0, (struct key){ heap[0].due_us + intervals[i], i });
		work_fired(i);
	}
}

void peer_run(void)
{
	struct epoll_event events[BATCH];

	while (!is_stopped) {
		int is_due = deferred_count > 0 ||
			     (heap_count > 0 && heap[0].due_us <= work_now_us()),
		    n;

		if (!is_due)
			wait_timer();
		n = epoll_wait(epoll_fd, events, BATCH, is_due ? 0 : -1);
		run_deferred();
		for (int k = 0; k < n; k++)
			run_event(events[k].data.u64);
		if (heap_count > 0)
			run_timers();
	}
}

void peer_stop(void)
{
	is_stopped = 1;
}

void peer_timer(size_t i, int64_t first_us, int64_t interval_us)
{
	size_t at = heap_count++, parent;

	intervals[i] = interval_us;
	for (; at > 0 && heap[parent = (at - 1) / ARITY].due_us > first_us; at = parent)
		heap[at] = heap[parent];
	heap[at] = (struct key){ first_us, i };
}

void peer_watch(size_t i, int fd)
{
	watch(fd, EPOLLIN, i);
}

/* what everybody does by hand: the due time moves, and is looked at when the old one comes */
void peer_reset(size_t i, int64_t delay_us)
{
	timeouts[i] = now_us + delay_us;
}

void peer_defer(size_t i)
{
	deferred[deferred_count++] = i;
}

void peer_wake(void)
{
	(void)eventfd_write(wake_fd, 1);
}
