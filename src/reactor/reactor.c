/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The reactor: wait, then run what is due, in turns.
 *
 * A turn decides what it will run before it runs any of it: the deferred calls are taken off their
 * list, the ready descriptors are in the batch, and of the timers those count that were set before
 * it. Whatever a callback adds belongs to a later turn. Whatever a callback stops is taken out of
 * these three places, so a source can be freed as soon as it is stopped; a stale event can never
 * reach a new owner of the same descriptor.
 *
 * The timerfd is absolute, edge-triggered and never read: an expiry wakes epoll once, and setting
 * it anew clears it. It is set only when the earliest due time changed. Level-triggered for all
 * others: GPIO's queue does not wake again when it overflowed, and an edge would be lost for ever.
 * While calls are deferred, a few turns go by without a system call.
 *
 * With a virtual clock nothing sleeps: when no descriptor is ready, time jumps to the next timer.
 * Jobs that are out on workers hold it.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "iotd/clock.h"
#include "iotd/task.h"
#include "posts.h"
#include "timer-heap.h"

#define BATCH	    64
/* so many turns in a row may go by on deferred calls alone, before descriptors are asked again */
#define UNASKED_MAX 8
/* signals of one turn: a storm of them gets its share and no more */
#define SIGNALS_MAX 16
#define NOT_ASKED   INT64_MIN /* before all times */

struct reactor {
	int epoll_fd, timer_fd, post_fd, signal_fd;
	bool is_virtual, is_running;
	int64_t now_us;	  /* of this turn, or NOT_ASKED */
	int64_t slept_us; /* of the virtual clock */

	struct timer_heap heap;
	uint64_t order;	  /* of the timer that was set last */
	int64_t armed_us; /* what the timerfd is set to; INT64_MAX: nothing */

	struct reactor_call calls, calls_now; /* heads of rings */
	unsigned int unasked;		      /* turns since the kernel was asked */
	struct epoll_event batch[BATCH];
	int batch_at, batch_count;
	size_t io_count; /* watched for others, not for the reactor itself */

	_Atomic(struct reactor_post *) posts; /* the latest first */
	struct reactor_post *posts_now;	      /* taken, about to run; the earliest first */
	struct reactor_io post_io, signal_io;
	struct reactor_signal *signals, *signal_next; /* next to be called in this round */
	sigset_t signal_mask;
	size_t holds;
};

/* --- calls ---------------------------------------------------------------------------------- */

static void ring_init(struct reactor_call *head)
{
	head->next = head->previous = head;
}

void reactor_defer(struct reactor *reactor, struct reactor_call *call)
{
	struct reactor_call *head = &reactor->calls;

	if (call->next)
		return;
	call->reactor = reactor;
	call->next = head;
	call->previous = head->previous;
	head->previous->next = call;
	head->previous = call;
}

void reactor_cancel_call(struct reactor_call *call)
{
	if (!call->next)
		return;
	call->next->previous = call->previous;
	call->previous->next = call->next;
	call->next = call->previous = NULL;
}

static void run_calls(struct reactor *reactor)
{
	struct reactor_call *now = &reactor->calls_now, *later = &reactor->calls;

	if (later->next == later)
		return;
	*now = *later;
	now->next->previous = now->previous->next = now;
	ring_init(later);
	while (now->next != now) {
		struct reactor_call *call = now->next;

		now->next = call->next;
		call->next->previous = now;
		call->next = NULL;
		call->run(call);
	}
}

/* --- timers --------------------------------------------------------------------------------- */

/*
 * Room for one more timer. The heap grows when it is half full: a daemon that runs out of memory finds
 * room for the timers that it needs now and then.
 */
static int reserve_timer(struct timer_heap *heap)
{
	size_t count = timer_heap_load(heap) + 1;

	if (2 * count <= heap->size || timer_heap_reserve(heap, 2 * count) == 0)
		return 0;
	return count <= heap->size ? 0 : -ENOMEM;
}

static void note_due(struct reactor *reactor, struct reactor_timer *timer, int64_t due_us)
{
	timer->order = ++reactor->order;
	timer->due_us = due_us;
	timer->reactor = reactor;
}

/* not inlined: a time-out that is put off needs none of its registers */
__attribute__((noinline)) static int set_earlier(struct reactor *reactor,
						 struct reactor_timer *timer, int64_t due_us)
{
	if (reserve_timer(&reactor->heap) < 0 && timer->slot == 0)
		return -ENOMEM;
	if (reactor->is_running && due_us < reactor->now_us)
		due_us = reactor->now_us; /* behind those that are due in this turn */
	note_due(reactor, timer, due_us);
	if (timer->slot == 0)
		timer_heap_insert(&reactor->heap, timer);
	else
		timer_heap_advance(&reactor->heap, timer);
	return 0;
}

int reactor_set_timer(struct reactor *reactor, struct reactor_timer *timer, int64_t due_us)
{
	if (timer->slot == 0 || due_us <= timer->due_us || due_us < reactor->now_us)
		return set_earlier(reactor, timer, due_us);
	note_due(reactor, timer,
		 due_us); /* a time-out that is put off: mended when it comes to the top */
	return 0;
}

void reactor_stop_timer(struct reactor_timer *timer)
{
	if (timer->slot != 0)
		timer_heap_remove(&timer->reactor->heap, timer);
}

bool reactor_timer_is_set(const struct reactor_timer *timer)
{
	return timer->slot != 0;
}

/* fire_due() - what is due and was set up to order @last; what was set in this turn sorts behind it */
static void fire_due(struct reactor *reactor, uint64_t last)
{
	struct reactor_timer *timer;

	while ((timer = timer_heap_first(&reactor->heap)) && timer->due_us <= reactor->now_us &&
	       timer->order <= last) {
		timer_heap_take_first(&reactor->heap);
		timer->fire(timer);
	}
}

/* --- descriptors ---------------------------------------------------------------------------- */

static int watch(struct reactor *reactor, struct reactor_io *io, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = io };

	if (io->reactor)
		return -EBUSY;
	if (epoll_ctl(reactor->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	io->reactor = reactor;
	io->fd = fd;
	return 0;
}

int reactor_add_io(struct reactor *reactor, struct reactor_io *io, int fd, uint32_t events)
{
	int r = watch(reactor, io, fd, events);

	if (r == 0)
		reactor->io_count++;
	return r;
}

/* what is ready in this turn, but not called yet, is called for @events only */
static void mask_ready(struct reactor *reactor, const struct reactor_io *io, uint32_t events)
{
	for (int i = reactor->batch_at; i < reactor->batch_count; i++)
		if (reactor->batch[i].data.ptr == io)
			reactor->batch[i].events &= events;
}

int reactor_modify_io(struct reactor_io *io, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = io };

	if (!io->reactor)
		return -ENOENT;
	if (epoll_ctl(io->reactor->epoll_fd, EPOLL_CTL_MOD, io->fd, &event) < 0)
		return -errno;
	mask_ready(io->reactor, io, events | EPOLLERR | EPOLLHUP);
	return 0;
}

void reactor_remove_io(struct reactor_io *io)
{
	struct reactor *reactor = io->reactor;

	if (!reactor)
		return;
	(void)epoll_ctl(reactor->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
	mask_ready(reactor, io, 0);
	io->reactor = NULL;
	reactor->io_count--;
}

static void run_ready(struct reactor *reactor)
{
	while (reactor->batch_at < reactor->batch_count) {
		const struct epoll_event *event = &reactor->batch[reactor->batch_at++];
		struct reactor_io *io = event->data.ptr;

		if (event->events != 0) /* else @io may be gone */
			io->ready(io, event->events);
	}
}

/* --- posts ---------------------------------------------------------------------------------- */

void reactor_post_several(struct reactor *reactor, struct reactor_post *latest,
			  struct reactor_post *earliest)
{
	struct reactor_post *head = atomic_load_explicit(&reactor->posts, memory_order_relaxed);

	do
		earliest->next = head;
	while (!atomic_compare_exchange_weak_explicit(&reactor->posts, &head, latest,
						      memory_order_release, memory_order_relaxed));
	if (!head) /* the first of a batch; cannot fail: the counter stays far from its limit */
		(void)eventfd_write(reactor->post_fd, 1);
}

void reactor_post(struct reactor *reactor, struct reactor_post *post)
{
	reactor_post_several(reactor, post, post);
}

void reactor_run_posts(struct reactor *reactor)
{
	struct reactor_post **last = &reactor->posts_now, *latest, *post = NULL;
	eventfd_t count;

	(void)eventfd_read(reactor->post_fd, &count);
	latest = atomic_exchange_explicit(&reactor->posts, NULL, memory_order_acquire);
	while (latest) {
		struct reactor_post *before = latest->next;

		latest->next = post;
		post = latest;
		latest = before;
	}
	while (*last) /* not empty only if one of a batch calls us: the others come first */
		last = &(*last)->next;
	*last = post;
	while ((post = reactor->posts_now)) {
		reactor->posts_now = post->next;
		post->run(post);
	}
}

static void posts_ready(struct reactor_io *io, uint32_t events)
{
	(void)events;
	reactor_run_posts(container_of(io, struct reactor, post_io));
}

/* --- signals -------------------------------------------------------------------------------- */

static void signals_ready(struct reactor_io *io, uint32_t events)
{
	struct reactor *reactor = container_of(io, struct reactor, signal_io);
	struct signalfd_siginfo info;

	(void)events;
	for (int i = 0; i < SIGNALS_MAX; i++) {
		struct reactor_signal *signal = reactor->signals;

		if (read(reactor->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
			return;
		for (; signal; signal = reactor->signal_next) {
			reactor->signal_next = signal->next;
			if ((uint32_t)signal->number == info.ssi_signo)
				signal->arrived(signal);
		}
	}
}

static int watch_signals(struct reactor *reactor, const sigset_t *mask)
{
	int fd = signalfd(reactor->signal_fd, mask, SFD_NONBLOCK | SFD_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	if (fd == reactor->signal_fd)
		return 0;
	r = watch(reactor, &reactor->signal_io, fd, EPOLLIN);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	reactor->signal_fd = fd;
	return 0;
}

int reactor_add_signal(struct reactor *reactor, struct reactor_signal *signal, int number)
{
	sigset_t mask = reactor->signal_mask, one, before;
	int r;

	if (signal->reactor)
		return -EBUSY;
	if (number == SIGKILL || number == SIGSTOP || sigaddset(&mask, number) < 0)
		return -EINVAL;
	(void)sigemptyset(&one);
	(void)sigaddset(&one, number);
	r = pthread_sigmask(SIG_BLOCK, &one, &before);
	if (r != 0)
		return -r;
	r = watch_signals(reactor, &mask);
	if (r < 0) {
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
		return r;
	}
	reactor->signal_mask = mask;
	signal->reactor = reactor;
	signal->number = number;
	signal->next = reactor->signals;
	reactor->signals = signal;
	return 0;
}

void reactor_remove_signal(struct reactor_signal *signal)
{
	struct reactor_signal **at;

	if (!signal->reactor)
		return;
	for (at = &signal->reactor->signals; *at != signal; at = &(*at)->next)
		;
	*at = signal->next;
	if (signal->reactor->signal_next == signal)
		signal->reactor->signal_next = signal->next;
	signal->reactor = NULL;
}

/* --- turns ---------------------------------------------------------------------------------- */

static int wait_events(struct reactor *reactor, int timeout_ms)
{
	int count;

	do
		count = epoll_wait(reactor->epoll_fd, reactor->batch, BATCH, timeout_ms);
	while (count < 0 && errno == EINTR);
	return count < 0 ? -errno : count;
}

static int arm(struct reactor *reactor, int64_t due_us)
{
	struct itimerspec spec = { 0 };

	if (due_us == reactor->armed_us)
		return 0;
	if (due_us != INT64_MAX) {
		spec.it_value.tv_sec = due_us / USEC_PER_SEC;
		spec.it_value.tv_nsec = due_us % USEC_PER_SEC * NSEC_PER_USEC;
	}
	if (timerfd_settime(reactor->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0)
		return -errno;
	reactor->armed_us = due_us;
	return 0;
}

static int wait_real(struct reactor *reactor)
{
	const struct reactor_timer *first =
		reactor->heap.count > 0 ? timer_heap_first(&reactor->heap) : NULL;
	bool has_calls = reactor->calls.next != &reactor->calls;
	bool at_once = has_calls || (first && first->due_us <= clock_boottime_us());
	int r = 0;

	if (!at_once)
		r = arm(reactor, first ? first->due_us : INT64_MAX);
	if (r < 0)
		return r;
	if (!has_calls || ++reactor->unasked > UNASKED_MAX) {
		reactor->unasked = 0;
		r = wait_events(reactor, at_once ? 0 : -1);
	}
	reactor->now_us = first ? clock_boottime_us() : NOT_ASKED;
	return r;
}

static int wait_virtual(struct reactor *reactor)
{
	const struct reactor_timer *first = timer_heap_first(&reactor->heap);
	int count = wait_events(reactor, 0);

	if (count != 0 || reactor->calls.next != &reactor->calls)
		return count;
	if (reactor->holds > 0 || (!first && (reactor->io_count > 0 || reactor->signals)))
		return wait_events(reactor, -1);
	if (!first)
		return -EDEADLK;
	if (first->due_us > reactor->now_us)
		reactor->now_us = first->due_us;
	return 0;
}

static int turn(struct reactor *reactor)
{
	int count = reactor->is_virtual ? wait_virtual(reactor) : wait_real(reactor);
	uint64_t last = reactor->order;
	bool has_timers;

	if (count < 0)
		return count;
	reactor->batch_at = 0;
	reactor->batch_count = count;
	has_timers = reactor->heap.count > 0;
	run_calls(reactor);
	run_ready(reactor);
	if (has_timers)
		fire_due(reactor, last);
	return 0;
}

int reactor_run(struct reactor *reactor, struct task *root)
{
	int r = 0;

	if (reactor->is_running)
		return -EBUSY;
	reactor->is_running = true;
	while (r == 0 && !task_future(root)->done) /* its result may be -EINPROGRESS */
		r = turn(reactor);
	reactor->is_running = false;
	if (!reactor->is_virtual)
		reactor->now_us = NOT_ASKED;
	return r < 0 ? r : task_result(root);
}

/* --- life ----------------------------------------------------------------------------------- */

/* the timerfd only wakes: what is due is found in the heap */
static void timer_ready(struct reactor_io *io, uint32_t events)
{
	(void)io;
	(void)events;
}

static struct reactor_io timer_io = { .ready = timer_ready };

static int open_fds(struct reactor *reactor)
{
	struct epoll_event wake = { .events = EPOLLIN | EPOLLET, .data.ptr = &timer_io };

	reactor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (reactor->epoll_fd < 0)
		return -errno;
	reactor->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (reactor->timer_fd < 0)
		return -errno;
	reactor->post_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (reactor->post_fd < 0)
		return -errno;
	if (epoll_ctl(reactor->epoll_fd, EPOLL_CTL_ADD, reactor->timer_fd, &wake) < 0)
		return -errno;
	return watch(reactor, &reactor->post_io, reactor->post_fd, EPOLLIN);
}

int reactor_new(struct reactor **ret)
{
	cleanup(reactor_freep) struct reactor *reactor = NULL;
	int r;

	reactor = calloc(1, sizeof(*reactor));
	if (!reactor)
		return -ENOMEM;
	reactor->epoll_fd = reactor->timer_fd = reactor->post_fd = reactor->signal_fd = -1;
	reactor->armed_us = INT64_MAX;
	reactor->post_io.ready = posts_ready;
	reactor->signal_io.ready = signals_ready;
	ring_init(&reactor->calls);
	ring_init(&reactor->calls_now);
	(void)sigemptyset(&reactor->signal_mask);
	r = open_fds(reactor);
	if (r < 0)
		return r;
	reactor->now_us = NOT_ASKED;
	*ret = take_ptr(reactor);
	return 0;
}

int reactor_new_virtual(struct reactor **ret, int64_t start_us)
{
	int r = reactor_new(ret);

	if (r < 0)
		return r;
	(*ret)->is_virtual = true;
	(*ret)->now_us = start_us;
	return 0;
}

struct reactor *reactor_free(struct reactor *reactor)
{
	if (!reactor)
		return NULL;
	closep(&reactor->signal_fd);
	closep(&reactor->post_fd);
	closep(&reactor->timer_fd);
	closep(&reactor->epoll_fd);
	timer_heap_clear(&reactor->heap);
	free(reactor);
	return NULL;
}

int64_t reactor_now(struct reactor *reactor)
{
	if (reactor->now_us != NOT_ASKED)
		return reactor->now_us;
	if (!reactor->is_running)
		return clock_boottime_us();
	reactor->now_us = clock_boottime_us();
	return reactor->now_us;
}

int64_t reactor_monotonic(struct reactor *reactor)
{
	int64_t slept_us = reactor->is_virtual ? reactor->slept_us : clock_slept_us();

	return reactor_now(reactor) - slept_us;
}

void reactor_set_slept(struct reactor *reactor, int64_t slept_us)
{
	assert(reactor->is_virtual);
	reactor->slept_us = slept_us;
}

bool reactor_is_virtual(const struct reactor *reactor)
{
	return reactor->is_virtual;
}

void reactor_hold(struct reactor *reactor)
{
	reactor->holds++;
}

void reactor_release(struct reactor *reactor)
{
	assert(reactor->holds > 0);
	reactor->holds--;
}
