/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The reactor, seen through its face, and the timer heap beside a naive model.
 *
 * Most tests run on the virtual clock until nothing is left to do, which reactor_run() reports as
 * -EDEADLK, and compare the trace: one letter a callback. Two functions of libc are replaced here:
 * clock_gettime(), so that a test can let the host sleep for hours, and reallocarray(), so that it
 * can run out of memory.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"

#include "iotd/base.h"
#include "iotd/clock.h"
#include "iotd/reactor.h"
#include "iotd/task.h"
#include "reactor/timer-heap.h"

#define HOUR_US (3600 * USEC_PER_SEC)

static struct reactor *reactor;
static struct future finished;
static char trace[256];
static size_t trace_length;

static int fired;
static int64_t last_us;

enum {
	POSTERS = 8,
	POSTS = 5000
};

static struct poster {
	pthread_t thread;
	struct numbered {
		struct reactor_post post;
		struct poster *poster;
		int number;
	} posts[POSTS];
	int next;
} posters[POSTERS];

static int posts_missing;

static atomic_llong slept_us;		   /* what the host spent in suspend */
static volatile int allocations_left = -1; /* of reallocarray(); -1: no end */

int clock_gettime(clockid_t id, struct timespec *now)
{
	long r = syscall(SYS_clock_gettime, id, now);

	if (id == CLOCK_BOOTTIME)
		now->tv_sec += atomic_load(&slept_us) / USEC_PER_SEC;
	return (int)r;
}

void *reallocarray(void *memory, size_t count, size_t size)
{
	if (allocations_left == 0) {
		errno = ENOMEM;
		return NULL;
	}
	if (allocations_left > 0)
		allocations_left--;
	return realloc(memory, count * size);
}

/* --- tools ---------------------------------------------------------------------------------- */

static void note(char letter)
{
	ck_assert_uint_lt(trace_length, sizeof(trace) - 1);
	trace[trace_length++] = letter;
}

/* for a run in which all tests share one process (CK_FORK=no, under valgrind) */
static void forget(void)
{
	memset(trace, 0, sizeof(trace));
	trace_length = 0;
	fired = posts_missing = 0;
	last_us = 0;
	memset(posters, 0, sizeof(posters));
	allocations_left = -1;
	atomic_store(&slept_us, 0);
}

static void setup_virtual(void)
{
	forget();
	ck_assert_int_eq(reactor_new_virtual(&reactor, 0), 0);
}

static void setup_real(void)
{
	forget();
	ck_assert_int_eq(reactor_new(&reactor), 0);
}

static void teardown(void)
{
	reactor = reactor_free(reactor);
	ck_assert_ptr_null(reactor);
}

static int step_finished(struct task *task, int result)
{
	(void)task;
	return result;
}

static int step_wait(struct task *task, int result)
{
	(void)result;
	return task_await(task, &finished, step_finished);
}

/* until finish(), or until nothing is left */
static int run(void)
{
	struct task *root;
	int r;

	future_init(&finished, reactor, NULL);
	ck_assert_int_eq(task_spawn(&root, reactor, step_wait, NULL, NULL), 0);
	r = reactor_run(reactor, root);
	task_cancel(root);
	ck_assert_ptr_null(task_release(root));
	return r;
}

static void finish(int result)
{
	if (result < 0)
		future_reject(&finished, result);
	else
		future_resolve(&finished, result);
}

static void run_until_idle(void)
{
	ck_assert_int_eq(run(), -EDEADLK);
}

/* one of each source, with a letter for the trace and something to do */
struct probe {
	struct reactor_timer timer;
	struct reactor_call call;
	struct reactor_io io;
	struct reactor_signal signal;
	struct reactor_post post;
	char letter;
	void (*act)(struct probe *probe);
	struct probe *other;
	int count, fd;
	uint32_t events;
	int64_t at_us;
};

static void probe_happened(struct probe *probe)
{
	note(probe->letter);
	probe->count++;
	probe->at_us = reactor_now(reactor);
	if (probe->act)
		probe->act(probe);
}

static void probe_fired(struct reactor_timer *timer)
{
	ck_assert(!reactor_timer_is_set(timer));
	probe_happened(container_of(timer, struct probe, timer));
}

static void probe_called(struct reactor_call *call)
{
	probe_happened(container_of(call, struct probe, call));
}

static void probe_ready(struct reactor_io *io, uint32_t events)
{
	struct probe *probe = container_of(io, struct probe, io);

	probe->events = events;
	probe_happened(probe);
}

static void probe_arrived(struct reactor_signal *signal)
{
	probe_happened(container_of(signal, struct probe, signal));
}

static void probe_posted(struct reactor_post *post)
{
	probe_happened(container_of(post, struct probe, post));
}

static struct probe probe_make(char letter, void (*act)(struct probe *probe))
{
	return (struct probe){ .timer.fire = probe_fired,
			       .call.run = probe_called,
			       .io.ready = probe_ready,
			       .signal.arrived = probe_arrived,
			       .post.run = probe_posted,
			       .letter = letter,
			       .act = act,
			       .fd = -1 };
}

static void set(struct probe *probe, int64_t due_us)
{
	ck_assert_int_eq(reactor_set_timer(reactor, &probe->timer, due_us), 0);
	ck_assert(reactor_timer_is_set(&probe->timer));
}

/* a descriptor that is ready to be read */
static void watch(struct probe *probe)
{
	probe->fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	ck_assert_int_ge(probe->fd, 0);
	ck_assert_int_eq(reactor_add_io(reactor, &probe->io, probe->fd, EPOLLIN), 0);
}

static void unwatch(struct probe *probe)
{
	reactor_remove_io(&probe->io);
	closep(&probe->fd);
	probe->fd = -1;
}

static int open_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	ck_assert_ptr_nonnull(folder);
	while (readdir(folder))
		count++;
	(void)closedir(folder);
	return count;
}

static void act_finish(struct probe *probe)
{
	(void)probe;
	finish(0);
}

static void act_free(struct probe *probe)
{
	free(probe);
}

/* --- timers --------------------------------------------------------------------------------- */

START_TEST(timers_fire_in_order_of_due_time_then_of_setting)
{
	struct probe a = probe_make('a', NULL), b = probe_make('b', NULL),
		     c = probe_make('c', NULL), d = probe_make('d', NULL);

	set(&d, 30);
	set(&b, 20);
	set(&c, 20);
	set(&a, 10);
	run_until_idle();
	ck_assert_str_eq(trace, "abcd");
	ck_assert_int_eq(a.at_us, 10);
	ck_assert_int_eq(b.at_us, 20);
	ck_assert_int_eq(c.at_us, 20);
	ck_assert_int_eq(reactor_now(reactor), 30);
}
END_TEST

START_TEST(timers_in_the_past_fire_in_the_next_turn)
{
	struct probe a = probe_make('a', NULL), b = probe_make('b', NULL),
		     c = probe_make('c', NULL);

	set(&a, 1000);
	run_until_idle();
	set(&c, 999);
	set(&b, -5);
	run_until_idle();
	ck_assert_str_eq(trace, "abc");
	ck_assert_int_eq(b.at_us, 1000); /* time never goes back */
	ck_assert_int_eq(c.at_us, 1000);
}
END_TEST

static void act_again_in_10(struct probe *probe)
{
	if (probe->count < 100)
		set(probe, probe->at_us + 10);
	trace_length = 0;
}

START_TEST(timer_set_in_its_own_callback_fires_again)
{
	struct probe a = probe_make('a', act_again_in_10);

	set(&a, 10);
	run_until_idle();
	ck_assert_int_eq(a.count, 100);
	ck_assert_int_eq(a.at_us, 1000);
}
END_TEST

static void act_at_once(struct probe *probe)
{
	if (probe->count < 50)
		set(probe, probe->at_us - 1);
	trace_length = 0;
}

START_TEST(timer_that_is_always_due_starves_nobody)
{
	struct probe storm = probe_make('s', act_at_once), call = probe_make('c', NULL),
		     io = probe_make('i', unwatch);

	set(&storm, 0);
	watch(&io);
	reactor_defer(reactor, &call.call);
	run_until_idle();
	ck_assert_int_eq(storm.count, 50);
	ck_assert_int_eq(io.count, 1);
	ck_assert_int_eq(call.count, 1);
}
END_TEST

static void act_stop_other_timer(struct probe *probe)
{
	reactor_stop_timer(&probe->other->timer);
	ck_assert(!reactor_timer_is_set(&probe->other->timer));
	free(probe->other);
}

START_TEST(timer_stopped_in_its_own_turn_does_not_fire_and_may_be_freed)
{
	struct probe a = probe_make('a', act_stop_other_timer), c = probe_make('c', NULL);
	struct probe *b = malloc(sizeof(*b));

	ck_assert_ptr_nonnull(b);
	*b = probe_make('b', NULL);
	a.other = b;
	set(&a, 10);
	set(b, 10);
	set(&c, 10);
	run_until_idle();
	ck_assert_str_eq(trace, "ac");
}
END_TEST

START_TEST(timer_may_free_itself)
{
	struct probe *a = malloc(sizeof(*a));

	ck_assert_ptr_nonnull(a);
	*a = probe_make('a', act_free);
	set(a, 10);
	run_until_idle();
	ck_assert_str_eq(trace, "a");
}
END_TEST

static void act_set_other_now(struct probe *probe)
{
	set(probe->other, probe->at_us);
}

START_TEST(timer_set_anew_in_its_own_turn_fires_in_a_later_one)
{
	struct probe a = probe_make('a', act_set_other_now), b = probe_make('b', NULL),
		     c = probe_make('c', NULL);

	a.other = &b;
	set(&a, 10);
	set(&b, 10);
	set(&c, 10);
	run_until_idle();
	ck_assert_str_eq(trace, "acb");
	ck_assert_int_eq(b.count, 1);
}
END_TEST

START_TEST(timer_moved_later_and_then_earlier_fires_once_at_the_last_time)
{
	struct probe a = probe_make('a', NULL), b = probe_make('b', NULL),
		     c = probe_make('c', NULL);

	set(&a, 10);
	set(&b, 12);
	set(&c, 17);
	set(&a, 20); /* lazy: its place in the heap is not moved */
	set(&a, 15); /* between the old place and the new time */
	run_until_idle();
	ck_assert_str_eq(trace, "bac");
	ck_assert_int_eq(a.at_us, 15);
}
END_TEST

START_TEST(timer_set_anew_to_the_same_time_goes_behind_its_equals)
{
	struct probe a = probe_make('a', NULL), b = probe_make('b', NULL);

	set(&a, 10);
	set(&b, 10);
	set(&a, 10);
	run_until_idle();
	ck_assert_str_eq(trace, "ba");
}
END_TEST

START_TEST(stopping_a_stopped_timer_does_nothing)
{
	struct probe a = probe_make('a', NULL);

	reactor_stop_timer(&a.timer);
	set(&a, 10);
	reactor_stop_timer(&a.timer);
	reactor_stop_timer(&a.timer);
	run_until_idle();
	ck_assert_str_eq(trace, "");
}
END_TEST

/* xorshift64: the same sequence everywhere */
static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static struct reactor_timer *naive_first(struct reactor_timer *timers, size_t count)
{
	struct reactor_timer *first = NULL;

	for (size_t i = 0; i < count; i++)
		if (timers[i].slot != 0 &&
		    (!first || timers[i].due_us < first->due_us ||
		     (timers[i].due_us == first->due_us && timers[i].order < first->order)))
			first = &timers[i];
	return first;
}

START_TEST(heap_agrees_with_a_naive_model)
{
	enum {
		COUNT = 70,
		STEPS = 20000
	};
	struct reactor_timer timers[COUNT] = { 0 };
	struct timer_heap heap = { 0 };
	uint64_t seed = 0x9e3779b97f4a7c15 + (uint64_t)_i, order = 0;

	ck_assert_int_eq(timer_heap_reserve(&heap, COUNT), 0);
	for (int step = 0; step < STEPS; step++) {
		struct reactor_timer *timer = &timers[random_next(&seed) % COUNT];
		bool remove = random_next(&seed) % 3 == 0;

		if (remove && timer->slot != 0) {
			timer_heap_remove(&heap, timer);
		} else if (!remove) {
			timer->due_us = (int64_t)(random_next(&seed) % 50);
			timer->order = ++order;
			if (timer->slot != 0)
				timer_heap_update(&heap, timer);
			else
				timer_heap_insert(&heap, timer);
		}
		if (random_next(&seed) % 2 == 0)
			ck_assert_ptr_eq(timer_heap_first(&heap), naive_first(timers, COUNT));
	}
	while (heap.count > 0) {
		ck_assert_ptr_eq(timer_heap_first(&heap), naive_first(timers, COUNT));
		timer_heap_remove(&heap, timer_heap_first(&heap));
	}
	ck_assert_ptr_null(naive_first(timers, COUNT));
	free(heap.keys);
}
END_TEST

static void count_in_order(struct reactor_timer *timer)
{
	ck_assert_int_ge(timer->due_us, last_us);
	ck_assert_int_eq(timer->due_us, reactor_now(reactor));
	last_us = timer->due_us;
	fired++;
}

START_TEST(hundred_thousand_timers_fire_in_order)
{
	enum {
		COUNT = 100000
	};
	struct reactor_timer *timers = calloc(COUNT, sizeof(*timers));
	uint64_t seed = 42;

	ck_assert_ptr_nonnull(timers);
	for (int i = 0; i < COUNT; i++) {
		timers[i].fire = count_in_order;
		ck_assert_int_eq(reactor_set_timer(reactor, &timers[i],
						   (int64_t)(random_next(&seed) % 5000)),
				 0);
	}
	for (int i = 0; i < COUNT; i += 4) {
		reactor_stop_timer(&timers[i]);
		ck_assert_int_eq(reactor_set_timer(reactor, &timers[i + 1], 6000 + i), 0);
	}
	run_until_idle();
	ck_assert_int_eq(fired, COUNT * 3 / 4);
	free(timers);
}
END_TEST

START_TEST(timer_without_memory_is_refused_and_the_others_live)
{
	struct probe probes[70];
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
		probes[i] = probe_make('x', NULL);
	for (size_t i = 0; i < 64; i++)
		set(&probes[i], 10);
	allocations_left = _i; /* the heap grows first, then the list of those that are due */
	for (int attempt = 0; attempt < 3; attempt++) {
		r = reactor_set_timer(reactor, &probes[64].timer, 5);
		ck_assert_int_eq(r, -ENOMEM);
		ck_assert(!reactor_timer_is_set(&probes[64].timer));
		allocations_left = 0;
	}
	ck_assert_int_eq(reactor_set_timer(reactor, &probes[0].timer, 20), 0); /* set already */
	allocations_left = -1;
	for (size_t i = 64; i < ARRAY_SIZE(probes); i++)
		set(&probes[i], 10);
	run_until_idle();
	ck_assert_uint_eq(trace_length, ARRAY_SIZE(probes));
}
END_TEST

static void act_again_without_memory(struct probe *probe)
{
	allocations_left = 0;
	if (probe->count == 1)
		set(probe, probe->at_us + 10);
	if (probe->other && reactor_timer_is_set(&probe->other->timer))
		set(probe->other, probe->at_us + 10);
}

START_TEST(timer_set_anew_in_its_turn_needs_no_memory)
{
	struct probe probes[64];

	for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
		probes[i] = probe_make('x', act_again_without_memory);
		probes[i].other = &probes[ARRAY_SIZE(probes) - 1 - i];
		set(&probes[i], 10);
	}
	run_until_idle();
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
		ck_assert_int_ge(probes[i].count, 1);
	allocations_left = -1;
}
END_TEST

/* --- the kernel's clock --------------------------------------------------------------------- */

static void act_check_not_early(struct probe *probe)
{
	ck_assert_int_ge(probe->at_us, probe->timer.due_us);
	ck_assert_int_ge(clock_boottime_us(), probe->timer.due_us);
	if (probe->letter == 'z')
		finish(0);
}

START_TEST(real_timers_never_fire_early_and_keep_their_order)
{
	struct probe probes[26];
	int64_t start_us = reactor_now(reactor);

	for (int i = 25; i >= 0; i--) { /* each earlier than what the timerfd is set to */
		probes[i] = probe_make((char)('a' + i), act_check_not_early);
		set(&probes[i], start_us + 500 + 700LL * i);
	}
	ck_assert_int_eq(run(), 0);
	ck_assert_str_eq(trace, "abcdefghijklmnopqrstuvwxyz");
}
END_TEST

START_TEST(time_of_a_turn_stands_still_and_goes_on_outside_of_run)
{
	int64_t before_us = clock_boottime_us();

	ck_assert_int_ge(reactor_now(reactor), before_us);
	atomic_store(&slept_us, HOUR_US);
	ck_assert_int_ge(reactor_now(reactor), before_us + HOUR_US);
}
END_TEST

static void act_suspend(struct probe *probe)
{
	(void)probe;
	atomic_store(&slept_us, 8 * HOUR_US);
}

struct schedule {
	int64_t due_us, interval_us;
	int runs, missed;
};

/* what a sensor does: due times come from the schedule, what was slept through is counted */
static int step_read(struct task *task, int result)
{
	struct schedule *schedule = task_data(task);
	int64_t behind_us = reactor_now(task_reactor(task)) - schedule->due_us;

	(void)result;
	schedule->runs++;
	schedule->missed += (int)(behind_us / schedule->interval_us);
	schedule->due_us += (behind_us / schedule->interval_us + 1) * schedule->interval_us;
	return task_sleep_until(task, schedule->due_us, step_read);
}

static int64_t caught_up_us;

static void catch_up(struct reactor_timer *timer)
{
	ck_assert_int_ge(timer->due_us, last_us);
	last_us = timer->due_us;
	if (fired++ == 0)
		caught_up_us = reactor_now(reactor);
	ck_assert_int_eq(reactor_now(reactor), caught_up_us); /* all in one turn */
}

START_TEST(suspended_host_catches_up_once)
{
	enum {
		COUNT = 1000
	};
	struct reactor_timer *timers = calloc(COUNT, sizeof(*timers));
	struct probe suspend = probe_make('s', act_suspend), end = probe_make('e', act_finish);
	int64_t start_us = reactor_now(reactor);
	struct schedule schedule = { .due_us = start_us, .interval_us = USEC_PER_SEC };
	struct task *task;

	ck_assert_ptr_nonnull(timers);
	for (int i = 0; i < COUNT; i++) {
		timers[i].fire = catch_up;
		ck_assert_int_eq(reactor_set_timer(reactor, &timers[i],
						   start_us + (COUNT - i) * USEC_PER_SEC),
				 0);
	}
	set(&suspend, start_us + 1000);
	set(&end, start_us + 8 * HOUR_US - 1000);
	ck_assert_int_eq(task_spawn(&task, reactor, step_read, &schedule, NULL), 0);
	ck_assert_int_eq(run(), 0);
	ck_assert_int_eq(fired, COUNT);
	ck_assert_int_ge(caught_up_us, start_us + 8 * HOUR_US);
	ck_assert_int_eq(schedule.runs, 2); /* at the start and after the sleep, not 28,800 times */
	ck_assert_int_ge(schedule.missed, 8 * 3600 - 2);
	ck_assert_int_gt(schedule.due_us, caught_up_us); /* and on its grid as before */
	ck_assert_int_eq((schedule.due_us - start_us) % USEC_PER_SEC, 0);
	task_cancel(task);
	task_release(task);
	free(timers);
}
END_TEST

/* --- calls ---------------------------------------------------------------------------------- */

static void act_defer_other(struct probe *probe)
{
	reactor_defer(reactor, &probe->other->call);
}

START_TEST(calls_run_in_order_and_new_ones_in_a_later_turn)
{
	struct probe a = probe_make('a', act_defer_other), b = probe_make('b', NULL),
		     c = probe_make('c', NULL);

	a.other = &c;
	reactor_defer(reactor, &a.call);
	reactor_defer(reactor, &b.call);
	reactor_defer(reactor, &a.call); /* queued already: nothing */
	run_until_idle();
	ck_assert_str_eq(trace, "abc");
}
END_TEST

static void act_defer_itself(struct probe *probe)
{
	if (probe->count < 1000)
		reactor_defer(reactor, &probe->call);
	trace_length = 0;
}

static void act_note_calls(struct probe *probe)
{
	probe->events = (uint32_t)probe->other->count;
	unwatch(probe);
}

START_TEST(call_that_defers_itself_starves_nobody)
{
	struct probe storm = probe_make('s', act_defer_itself),
		     timer = probe_make('t', act_note_calls), io = probe_make('i', act_note_calls);

	timer.other = io.other = &storm;
	reactor_defer(reactor, &storm.call);
	set(&timer, 0);
	watch(&io);
	run_until_idle();
	ck_assert_int_eq(storm.count, 1000);
	ck_assert_int_eq(io.count, 1);
	ck_assert_uint_le(io.events, 2); /* in the first turns, not after the storm */
	ck_assert_uint_le(timer.events, 2);
}
END_TEST

static void act_cancel_other_call(struct probe *probe)
{
	reactor_cancel_call(&probe->other->call);
	free(probe->other);
}

START_TEST(call_cancelled_in_its_own_turn_does_not_run_and_may_be_freed)
{
	struct probe a = probe_make('a', act_cancel_other_call), c = probe_make('c', NULL);
	struct probe *b = malloc(sizeof(*b));

	ck_assert_ptr_nonnull(b);
	*b = probe_make('b', NULL);
	a.other = b;
	reactor_defer(reactor, &a.call);
	reactor_defer(reactor, &b->call);
	reactor_defer(reactor, &c.call);
	run_until_idle();
	ck_assert_str_eq(trace, "ac");
	reactor_cancel_call(&c.call); /* not queued: nothing */
}
END_TEST

START_TEST(turn_runs_calls_then_descriptors_then_timers)
{
	struct probe call = probe_make('c', NULL), io = probe_make('i', unwatch),
		     timer = probe_make('t', NULL);

	set(&timer, 0);
	watch(&io);
	reactor_defer(reactor, &call.call);
	run_until_idle();
	ck_assert_str_eq(trace, "cit");
}
END_TEST

/* --- descriptors ---------------------------------------------------------------------------- */

static void act_read_third_time(struct probe *probe)
{
	eventfd_t value;

	ck_assert_uint_eq(probe->events, EPOLLIN);
	if (probe->count >= 3)
		ck_assert_int_eq(eventfd_read(probe->fd, &value), 0);
	if (probe->count == 4)
		finish(0);
}

static void act_write_other(struct probe *probe)
{
	ck_assert_int_eq(eventfd_write(probe->other->fd, 1), 0);
}

START_TEST(descriptor_is_called_while_it_is_ready)
{
	struct probe io = probe_make('i', act_read_third_time),
		     timer = probe_make('t', act_write_other);

	timer.other = &io;
	watch(&io);
	set(&timer, 100);
	ck_assert_int_eq(run(), 0);
	ck_assert_str_eq(trace, "iiiti");
	unwatch(&io);
}
END_TEST

static void act_unwatch_both(struct probe *probe)
{
	unwatch(probe->other);
	unwatch(probe);
}

START_TEST(descriptor_removed_in_its_own_batch_is_not_called)
{
	struct probe a = probe_make('x', act_unwatch_both), b = probe_make('x', act_unwatch_both);

	a.other = &b;
	b.other = &a;
	watch(&a);
	watch(&b);
	run_until_idle();
	ck_assert_str_eq(trace, "x");
	reactor_remove_io(&a.io); /* not watching: nothing */
}
END_TEST

static struct probe newcomer;

/* close the other's descriptor and open one of the same number that is not ready */
static void act_reuse_descriptor(struct probe *probe)
{
	int number = probe->other->fd, fd;

	unwatch(probe->other);
	fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ck_assert_int_eq(fd, number);
	newcomer.fd = fd;
	ck_assert_int_eq(reactor_add_io(reactor, &newcomer.io, fd, EPOLLIN), 0);
	unwatch(probe);
}

static void act_unwatch_newcomer(struct probe *probe)
{
	(void)probe;
	unwatch(&newcomer);
}

START_TEST(stale_event_does_not_reach_the_new_owner_of_a_descriptor)
{
	struct probe a = probe_make('x', act_reuse_descriptor),
		     b = probe_make('x', act_reuse_descriptor),
		     timer = probe_make('t', act_unwatch_newcomer);

	newcomer = probe_make('n', NULL);
	a.other = &b;
	b.other = &a;
	watch(&a);
	watch(&b);
	set(&timer, 1000);
	run_until_idle();
	ck_assert_str_eq(trace, "xt");
}
END_TEST

static void act_free_other(struct probe *probe)
{
	unwatch(probe->other);
	free(probe->other);
	unwatch(probe);
	free(probe);
}

START_TEST(descriptor_may_free_itself_and_others)
{
	struct probe *a = malloc(sizeof(*a)), *b = malloc(sizeof(*b));

	ck_assert(a && b);
	*a = probe_make('x', act_free_other);
	*b = probe_make('x', act_free_other);
	a->other = b;
	b->other = a;
	watch(a);
	watch(b);
	run_until_idle();
	ck_assert_str_eq(trace, "x");
}
END_TEST

static void act_modify_other(struct probe *probe)
{
	ck_assert_int_eq(reactor_modify_io(&probe->other->io, 0), 0);
	unwatch(probe);
}

START_TEST(modified_descriptor_is_called_for_what_it_wants_now)
{
	struct probe a = probe_make('x', act_modify_other), b = probe_make('x', act_modify_other),
		     end = probe_make('e', act_finish);

	a.other = &b;
	b.other = &a;
	watch(&a);
	watch(&b);
	set(&end, 100);
	ck_assert_int_eq(run(), 0);
	ck_assert_str_eq(trace, "xe");
	unwatch(&a);
	unwatch(&b);
}
END_TEST

START_TEST(hang_up_comes_unasked)
{
	struct probe a = probe_make('a', unwatch);
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	a.fd = ends[0];
	ck_assert_int_eq(reactor_add_io(reactor, &a.io, ends[0], 0), 0);
	ck_assert_int_eq(close(ends[1]), 0);
	run_until_idle();
	ck_assert_str_eq(trace, "a");
	ck_assert_uint_eq(a.events, EPOLLHUP);
}
END_TEST

START_TEST(more_descriptors_than_a_batch_holds_are_all_served)
{
	struct probe probes[200];

	for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
		probes[i] = probe_make('x', unwatch);
		watch(&probes[i]);
	}
	run_until_idle();
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
		ck_assert_int_eq(probes[i].count, 1);
}
END_TEST

START_TEST(errors_of_descriptors)
{
	struct probe a = probe_make('a', NULL), b = probe_make('b', NULL);
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(reactor_modify_io(&a.io, EPOLLIN), -ENOENT);
	watch(&a);
	ck_assert_int_eq(reactor_add_io(reactor, &a.io, a.fd, EPOLLIN), -EBUSY);
	ck_assert_int_eq(reactor_add_io(reactor, &b.io, a.fd, EPOLLIN), -EEXIST);
	ck_assert_int_eq(reactor_add_io(reactor, &b.io, file, EPOLLIN), -EPERM);
	ck_assert_int_eq(close(file), 0);
	ck_assert_int_eq(reactor_add_io(reactor, &b.io, file, EPOLLIN), -EBADF);
	ck_assert_int_eq(reactor_modify_io(&b.io, EPOLLIN), -ENOENT);
	unwatch(&a);
	run_until_idle();
	ck_assert_str_eq(trace, "");
}
END_TEST

/* --- posts ---------------------------------------------------------------------------------- */

static void count_post(struct reactor_post *post)
{
	struct numbered *numbered = container_of(post, struct numbered, post);

	ck_assert_int_eq(numbered->number, numbered->poster->next++);
	if (--posts_missing == 0)
		finish(0);
}

static void *poster_main(void *argument)
{
	struct poster *poster = argument;

	for (int i = 0; i < POSTS; i++) {
		poster->posts[i] = (struct numbered){ { .run = count_post }, poster, i };
		reactor_post(reactor, &poster->posts[i].post);
	}
	return NULL;
}

START_TEST(posts_of_many_threads_all_run_and_each_in_its_order)
{
	posts_missing = POSTERS * POSTS;
	for (int i = 0; i < POSTERS; i++)
		ck_assert_int_eq(pthread_create(&posters[i].thread, NULL, poster_main, &posters[i]),
				 0);
	ck_assert_int_eq(run(), 0);
	for (int i = 0; i < POSTERS; i++) {
		ck_assert_int_eq(pthread_join(posters[i].thread, NULL), 0);
		ck_assert_int_eq(posters[i].next, POSTS);
	}
}
END_TEST

static void act_post_again(struct probe *probe)
{
	if (probe->count < 100)
		reactor_post(reactor, &probe->post);
	trace_length = 0;
}

START_TEST(post_may_be_posted_again_when_it_ran_and_starves_nobody)
{
	struct probe post = probe_make('p', act_post_again),
		     timer = probe_make('t', act_note_calls);

	timer.other = &post;
	reactor_hold(reactor); /* the virtual clock does not know of posts on their way */
	set(&timer, 0);
	reactor_post(reactor, &post.post);
	reactor_release(reactor);
	run_until_idle();
	ck_assert_int_eq(post.count, 100);
	ck_assert_uint_le(timer.events, 2);
}
END_TEST

static pthread_barrier_t barrier;

static void act_meet(struct probe *probe)
{
	(void)probe;
	(void)pthread_barrier_wait(&barrier);
}

static void act_release(struct probe *probe)
{
	(void)probe;
	reactor_release(reactor);
}

static void *post_after_meeting(void *argument)
{
	(void)pthread_barrier_wait(&barrier);
	reactor_post(reactor, argument);
	return NULL;
}

START_TEST(virtual_clock_waits_while_it_is_held)
{
	struct probe meet = probe_make('m', act_meet), post = probe_make('p', act_release),
		     timer = probe_make('t', NULL);
	pthread_t thread;

	ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, 2), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, post_after_meeting, &post.post), 0);
	set(&timer, 100);
	reactor_hold(reactor);
	reactor_defer(reactor, &meet.call);
	run_until_idle();
	ck_assert_str_eq(trace, "mpt");
	ck_assert_int_eq(post.at_us, 0);
	ck_assert_int_eq(timer.at_us, 100);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

START_TEST(post_wakes_a_sleeping_reactor)
{
	struct probe meet = probe_make('m', act_meet), post = probe_make('p', act_finish),
		     timer = probe_make('t', NULL);
	pthread_t thread;

	ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, 2), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, post_after_meeting, &post.post), 0);
	set(&timer, reactor_now(reactor) + HOUR_US);
	reactor_defer(reactor, &meet.call);
	ck_assert_int_eq(run(), 0);
	ck_assert_str_eq(trace, "mp");
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

/* --- signals -------------------------------------------------------------------------------- */

static void add_signal(struct probe *probe, int number)
{
	ck_assert_int_eq(reactor_add_signal(reactor, &probe->signal, number), 0);
}

static void act_remove_all(struct probe *probe)
{
	struct probe *at = probe;

	do {
		reactor_remove_signal(&at->signal);
		at = at->other;
	} while (at && at != probe);
	finish(0);
}

START_TEST(signal_is_called_once_a_batch)
{
	struct probe a = probe_make('a', act_remove_all);

	add_signal(&a, SIGUSR1);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	ck_assert_int_eq(run(), 0);
	ck_assert_str_eq(trace, "a");
	for (int i = 0; i < 3; i++) { /* batches one after the other */
		add_signal(&a, SIGUSR1);
		ck_assert_int_eq(raise(SIGUSR1), 0);
		ck_assert_int_eq(run(), 0);
	}
	ck_assert_str_eq(trace, "aaaa");
}
END_TEST

static void act_finish_third(struct probe *probe)
{
	if (probe->count == 3)
		finish(0);
}

START_TEST(signals_that_the_kernel_queues_are_called_each)
{
	struct probe a = probe_make('a', act_finish_third), b = probe_make('b', NULL);

	add_signal(&b, SIGUSR2);
	add_signal(&a, SIGRTMIN);
	ck_assert_int_eq(raise(SIGUSR2), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(raise(SIGRTMIN), 0);
	ck_assert_int_eq(run(), 0);
	ck_assert_str_eq(trace, "baaa");
	reactor_remove_signal(&a.signal);
	reactor_remove_signal(&b.signal);
	reactor_remove_signal(&b.signal); /* not added: nothing */
}
END_TEST

START_TEST(signal_callback_may_remove_the_others)
{
	struct probe a = probe_make('x', act_remove_all), b = probe_make('x', act_remove_all),
		     c = probe_make('x', act_remove_all);

	a.other = &b;
	b.other = &c;
	c.other = &a;
	add_signal(&a, SIGUSR1);
	add_signal(&b, SIGUSR1);
	add_signal(&c, SIGUSR1);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	ck_assert_int_eq(run(), 0);
	ck_assert_str_eq(trace, "x");
}
END_TEST

START_TEST(signal_reaches_all_who_asked)
{
	struct probe a = probe_make('x', NULL), b = probe_make('x', NULL),
		     end = probe_make('e', act_finish);

	add_signal(&end, SIGTERM);
	add_signal(&a, SIGUSR1);
	add_signal(&b, SIGUSR1);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	ck_assert_int_eq(raise(SIGTERM), 0);
	ck_assert_int_eq(run(), 0);
	ck_assert_str_eq(trace, "xxe");
}
END_TEST

START_TEST(removed_signal_stays_blocked)
{
	struct probe a = probe_make('a', NULL);

	add_signal(&a, SIGUSR1);
	reactor_remove_signal(&a.signal);
	ck_assert_int_eq(raise(SIGUSR1), 0); /* would end us */
	run_until_idle();
	ck_assert_str_eq(trace, "");
}
END_TEST

START_TEST(errors_of_signals)
{
	static const int bad[] = { 0, -1, SIGKILL, SIGSTOP, 65, 1000 };
	struct probe a = probe_make('a', NULL);
	struct rlimit before, none = { 0 };
	sigset_t blocked, blocked_before;

	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &blocked_before), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(reactor_add_signal(reactor, &a.signal, bad[i]), -EINVAL);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none.rlim_max = before.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(reactor_add_signal(reactor, &a.signal, SIGUSR1), -EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &blocked), 0);
	ck_assert_int_eq(sigismember(&blocked, SIGUSR1), sigismember(&blocked_before, SIGUSR1));
	add_signal(&a, SIGUSR1);
	ck_assert_int_eq(reactor_add_signal(reactor, &a.signal, SIGUSR2), -EBUSY);
}
END_TEST

/* --- life ----------------------------------------------------------------------------------- */

START_TEST(no_descriptors_left_is_an_error_that_leaks_none)
{
	int free_fd = dup(STDERR_FILENO), count;
	struct rlimit before, few;
	struct reactor *other = NULL;

	ck_assert_int_eq(close(free_fd), 0);
	count = open_descriptors();
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){ (rlim_t)(free_fd + _i), before.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(reactor_new(&other), -EMFILE);
	ck_assert_int_eq(reactor_new_virtual(&other, 0), -EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_ptr_null(other);
	ck_assert_int_eq(open_descriptors(), count);
	ck_assert_int_eq(reactor_new(&other), 0);
	reactor_free(other);
	ck_assert_int_eq(open_descriptors(), count);
}
END_TEST

static int step_run_again(struct task *task, int result)
{
	(void)result;
	return reactor_run(task_reactor(task), task);
}

START_TEST(run_gives_the_result_of_its_root)
{
	static const int results[] = { 7, 0, -EIO, -EINPROGRESS };
	struct probe timer;
	struct task *root;

	for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
		future_init(&finished, reactor, NULL);
		finish(results[i]);
		ck_assert_int_eq(task_spawn(&root, reactor, step_wait, NULL, NULL), 0);
		timer = probe_make('t', NULL);
		set(&timer, 10); /* must not be waited for */
		ck_assert_int_eq(reactor_run(reactor, root), results[i]);
		ck_assert_int_eq(reactor_run(reactor, root), results[i]); /* done already */
		reactor_stop_timer(&timer.timer);
		task_release(root);
	}
	ck_assert_int_eq(reactor_now(reactor), 0);
	ck_assert_int_eq(task_spawn(&root, reactor, step_run_again, NULL, NULL), 0);
	ck_assert_int_eq(reactor_run(reactor, root), -EBUSY);
	task_release(root);
}
END_TEST

START_TEST(virtual_clock_starts_where_told)
{
	struct reactor *other;

	ck_assert(reactor_is_virtual(reactor));
	ck_assert_int_eq(reactor_new_virtual(&other, 123456), 0);
	ck_assert_int_eq(reactor_now(other), 123456);
	reactor_free(other);
	ck_assert_int_eq(reactor_new(&other), 0);
	ck_assert(!reactor_is_virtual(other));
	reactor_free(other);
	ck_assert_ptr_null(reactor_free(NULL));
}
END_TEST

static TCase *virtual_cases(void)
{
	TCase *cases = tcase_create("virtual clock");

	tcase_add_checked_fixture(cases, setup_virtual, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, timers_fire_in_order_of_due_time_then_of_setting);
	tcase_add_test(cases, timers_in_the_past_fire_in_the_next_turn);
	tcase_add_test(cases, timer_set_in_its_own_callback_fires_again);
	tcase_add_test(cases, timer_that_is_always_due_starves_nobody);
	tcase_add_test(cases, timer_stopped_in_its_own_turn_does_not_fire_and_may_be_freed);
	tcase_add_test(cases, timer_may_free_itself);
	tcase_add_test(cases, timer_set_anew_in_its_own_turn_fires_in_a_later_one);
	tcase_add_test(cases, timer_moved_later_and_then_earlier_fires_once_at_the_last_time);
	tcase_add_test(cases, timer_set_anew_to_the_same_time_goes_behind_its_equals);
	tcase_add_test(cases, stopping_a_stopped_timer_does_nothing);
	tcase_add_loop_test(cases, heap_agrees_with_a_naive_model, 0, 10);
	tcase_add_test(cases, hundred_thousand_timers_fire_in_order);
	tcase_add_loop_test(cases, timer_without_memory_is_refused_and_the_others_live, 0, 2);
	tcase_add_test(cases, timer_set_anew_in_its_turn_needs_no_memory);
	tcase_add_test(cases, calls_run_in_order_and_new_ones_in_a_later_turn);
	tcase_add_test(cases, call_that_defers_itself_starves_nobody);
	tcase_add_test(cases, call_cancelled_in_its_own_turn_does_not_run_and_may_be_freed);
	tcase_add_test(cases, turn_runs_calls_then_descriptors_then_timers);
	tcase_add_test(cases, descriptor_is_called_while_it_is_ready);
	tcase_add_test(cases, descriptor_removed_in_its_own_batch_is_not_called);
	tcase_add_test(cases, stale_event_does_not_reach_the_new_owner_of_a_descriptor);
	tcase_add_test(cases, descriptor_may_free_itself_and_others);
	tcase_add_test(cases, modified_descriptor_is_called_for_what_it_wants_now);
	tcase_add_test(cases, hang_up_comes_unasked);
	tcase_add_test(cases, more_descriptors_than_a_batch_holds_are_all_served);
	tcase_add_test(cases, errors_of_descriptors);
	tcase_add_test(cases, post_may_be_posted_again_when_it_ran_and_starves_nobody);
	tcase_add_test(cases, virtual_clock_waits_while_it_is_held);
	tcase_add_loop_test(cases, no_descriptors_left_is_an_error_that_leaks_none, 0, 3);
	tcase_add_test(cases, run_gives_the_result_of_its_root);
	tcase_add_test(cases, virtual_clock_starts_where_told);
	return cases;
}

static TCase *signal_cases(void)
{
	TCase *cases = tcase_create("signals");

	tcase_add_checked_fixture(cases, setup_virtual, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, signal_is_called_once_a_batch);
	tcase_add_test(cases, signals_that_the_kernel_queues_are_called_each);
	tcase_add_test(cases, signal_callback_may_remove_the_others);
	tcase_add_test(cases, signal_reaches_all_who_asked);
	tcase_add_test(cases, removed_signal_stays_blocked);
	tcase_add_test(cases, errors_of_signals);
	return cases;
}

static TCase *real_cases(void)
{
	TCase *cases = tcase_create("kernel's clock");

	tcase_add_checked_fixture(cases, setup_real, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, real_timers_never_fire_early_and_keep_their_order);
	tcase_add_test(cases, time_of_a_turn_stands_still_and_goes_on_outside_of_run);
	tcase_add_test(cases, suspended_host_catches_up_once);
	tcase_add_test(cases, posts_of_many_threads_all_run_and_each_in_its_order);
	tcase_add_test(cases, post_wakes_a_sleeping_reactor);
	return cases;
}

int main(void)
{
	Suite *suite = suite_create("reactor");

	suite_add_tcase(suite, virtual_cases());
	suite_add_tcase(suite, signal_cases());
	suite_add_tcase(suite, real_cases());
	return suite_run(suite);
}
