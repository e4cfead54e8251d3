/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The reactor: one thread, one epoll, every timer in one heap behind one timerfd, signals by
 * signalfd, calls from other threads by eventfd. asyncio's event loop, in C.
 *
 * Sources (struct reactor_io, reactor_timer, reactor_call, reactor_signal) are embedded in their
 * owner and found again with container_of(); the reactor allocates nothing for them. A zeroed
 * source is a stopped one. A callback may stop and free any source, its own too: the reactor looks
 * at a source for the last time before it calls it.
 *
 * One turn: wait; then the calls that were deferred before the turn, then descriptors that are
 * ready, then timers that are due, in the order of their due times, and in the order in which they
 * were set where these are equal. What a callback defers or sets runs in a later turn, even if it
 * is due at once, so that no callback starves the others. While calls are deferred, at most 8 turns in
 * a row leave the descriptors alone.
 *
 * Everything here belongs to the thread that runs the reactor, but for reactor_post().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iotd/base.h"

struct reactor;
struct task;

/**
 * struct reactor_io - a watched descriptor; @ready gets EPOLL* bits and runs while they last
 * (level-triggered)
 */
struct reactor_io {
	void (*ready)(struct reactor_io *io, uint32_t events);
	struct reactor *reactor; /* private from here on */
	int fd;
};

/** struct reactor_timer - calls @fire once, when it is due */
struct reactor_timer {
	void (*fire)(struct reactor_timer *timer);
	int64_t due_us;			       /* to be read: when it is due, or was */
	struct reactor *reactor;	       /* private from here on */
	struct reactor_timer *next, *previous; /* due at the same time */
	uint64_t order;
	uint32_t slot; /* the instant that it belongs to, counted from 1; 0: not set */
};

/** struct reactor_call - calls @run once, in the next turn */
struct reactor_call {
	void (*run)(struct reactor_call *call);
	struct reactor_call *next, *previous; /* private from here on */
	struct reactor *reactor;
};

/** struct reactor_post - calls @run once on the reactor's thread; posted from any thread */
struct reactor_post {
	void (*run)(struct reactor_post *post);
	struct reactor_post *next; /* private */
};

/** struct reactor_signal - calls @arrived for each batch of a signal */
struct reactor_signal {
	void (*arrived)(struct reactor_signal *signal);
	struct reactor *reactor; /* private from here on */
	struct reactor_signal *next;
	int number;
};

/**
 * reactor_new() - a reactor on the kernel's clock (CLOCK_BOOTTIME)
 *
 * Return: 0; -EMFILE, -ENFILE no descriptors left; -ENOMEM.
 */
int reactor_new(struct reactor **ret);

/**
 * reactor_new_virtual() - a reactor whose clock stands still but for jumps to the next due time
 * @start_us: what reactor_now() says at first
 *
 * When no call, post or descriptor is ready, time jumps to the next timer, so a test runs a day in
 * milliseconds and always the same way. While worker jobs are out (see worker.h) time waits for
 * them, and no timer fires: a job takes no virtual time. Return: as reactor_new().
 */
int reactor_new_virtual(struct reactor **ret, int64_t start_us);

/**
 * reactor_free() - take down; NULL is fine. Returns NULL
 *
 * Sources still set are forgotten, not called, and must not be stopped later. Tasks that still run
 * are lost with their memory: cancel them first.
 */
struct reactor *reactor_free(struct reactor *reactor);

/**
 * reactor_now() - the time of this turn, in microseconds
 *
 * Taken once in a turn, at its begin if there are timers, else when somebody asks, so all that runs
 * in one turn sees one time: timers that are set together for the same delay fall due together.
 * Outside of reactor_run() it is the time now.
 */
int64_t reactor_now(struct reactor *reactor);

/**
 * reactor_monotonic() - reactor_now() by CLOCK_MONOTONIC, the kernel's clock of GPIO edges
 *
 * It stands still while the host sleeps; see reactor_set_slept() for the virtual clock.
 */
int64_t reactor_monotonic(struct reactor *reactor);

/** reactor_set_slept() - virtual clock only: so much of reactor_now() was spent in suspend; 0 at first */
void reactor_set_slept(struct reactor *reactor, int64_t slept_us);

/** reactor_is_virtual() - true for a reactor of reactor_new_virtual() */
bool reactor_is_virtual(const struct reactor *reactor);

/**
 * reactor_run() - turn until @root is done: asyncio.run()
 * @root: awaited by the reactor; may be done already
 *
 * Return: the result of @root; -EDEADLK nothing is left that could ever end it (virtual clock
 * only); -EBUSY this reactor is running already; another negative errno if the kernel refuses to
 * wait.
 */
int reactor_run(struct reactor *reactor, struct task *root);

/**
 * reactor_add_io() - watch a descriptor
 * @io:     zeroed but for @ready; must stay until reactor_remove_io()
 * @fd:     stays the caller's; stop watching before closing it
 * @events: EPOLLIN, EPOLLOUT, EPOLLPRI; EPOLLERR and EPOLLHUP always come too
 *
 * Return: 0; -EBUSY @io is watching already; -EPERM regular files cannot be watched; -EEXIST;
 * -EBADF; -ENOSPC; -ENOMEM.
 */
int reactor_add_io(struct reactor *reactor, struct reactor_io *io, int fd, uint32_t events);

/**
 * reactor_modify_io() - watch for other events; 0 leaves errors and hang-ups
 *
 * Holds at once: what was ready in this very turn and is not wanted any more is not called.
 * Return: 0; -ENOENT not watching.
 */
int reactor_modify_io(struct reactor_io *io, uint32_t events);

/**
 * reactor_remove_io() - stop watching; also what is ready in this very turn is not called. Stopped:
 * nothing
 */
void reactor_remove_io(struct reactor_io *io);

/**
 * reactor_set_timer() - fire at @due_us of reactor_now()'s clock; sets anew if it is set already
 * @timer: zeroed but for @fire; must stay until it fired or reactor_stop_timer()
 *
 * Never fires early. A due time in the past is now: it fires in the next turn. Return: 0; -ENOMEM (never when
 * set already).
 */
int reactor_set_timer(struct reactor *reactor, struct reactor_timer *timer, int64_t due_us);

/** reactor_stop_timer() - do not fire. Not set: nothing */
void reactor_stop_timer(struct reactor_timer *timer);

/** reactor_timer_is_set() - true from reactor_set_timer() until it fires or is stopped */
bool reactor_timer_is_set(const struct reactor_timer *timer);

/**
 * reactor_defer() - run in the next turn, after what was deferred before: call_soon(). Queued
 * already: nothing
 */
void reactor_defer(struct reactor *reactor, struct reactor_call *call);

/** reactor_cancel_call() - do not run. Not queued: nothing */
void reactor_cancel_call(struct reactor_call *call);

/**
 * reactor_post() - run on the reactor's thread, from any thread: call_soon_threadsafe()
 * @post: must stay until it ran; posting it again before that is a bug
 *
 * Wakes the reactor once for a batch. Posts of one thread run in their order.
 */
void reactor_post(struct reactor *reactor, struct reactor_post *post);

/**
 * reactor_add_signal() - call back when @number arrives
 * @signal: zeroed but for @arrived; must stay until reactor_remove_signal()
 *
 * Blocks the signal for the calling thread: call it before other threads start, they inherit that.
 * Return: 0; -EINVAL no such signal, or SIGKILL, SIGSTOP; -EBUSY @signal is in use; -EMFILE;
 * -ENFILE; -ENOMEM.
 */
int reactor_add_signal(struct reactor *reactor, struct reactor_signal *signal, int number);

/** reactor_remove_signal() - no more calls; the signal stays blocked. Not added: nothing */
void reactor_remove_signal(struct reactor_signal *signal);

/**
 * reactor_hold() - worker jobs are out: a virtual clock waits for reactor_release() before it
 * jumps; counts
 */
void reactor_hold(struct reactor *reactor);

/** reactor_release() - undoes one reactor_hold() */
void reactor_release(struct reactor *reactor);

static inline void reactor_freep(struct reactor **reactor)
{
	*reactor = reactor_free(*reactor);
}
