/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What every event loop does for the workloads, each in its own words: one source file a loop, written
 * as its manual recommends. Indices are the workload's; a loop keeps its own objects by them. All times
 * are in microseconds, moments by CLOCK_MONOTONIC. One thread, but for peer_wake().
 */
#include <stddef.h>
#include <stdint.h>

extern const char peer_name[];

void peer_init(size_t count); /* at most so many objects of each kind */
void peer_run(void);	      /* until peer_stop() */
void peer_stop(void);

/* calls work_fired(@i) at @first_us and every @interval_us from then on; both are whole milliseconds */
void peer_timer(size_t i, int64_t first_us, int64_t interval_us);

/* calls work_ready(@i) while @fd is readable */
void peer_watch(size_t i, int fd);

/* a time-out that is set, again and again, to @delay_us from now; it never comes in these workloads */
void peer_reset(size_t i, int64_t delay_us);

/* calls work_deferred(@i) soon, from the loop, once */
void peer_defer(size_t i);

/* from any thread: calls work_woken() from the loop */
void peer_wake(void);

/* the workloads' side */
void work_fired(size_t i);
void work_ready(size_t i);
void work_deferred(size_t i);
void work_woken(void);

int64_t work_now_us(void);	/* CLOCK_MONOTONIC */
void *work_memory(size_t size); /* zeroed; ends the program if there is none */
void work_must(int is_true, const char *what);
