/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The workloads of the event loops, the same code for each:
 *
 *	loop-PEER timers COUNT SECONDS    periodic timers of 10 to 1,000 ms
 *	loop-PEER tokens ACTIVE EVENTS    tokens that go round over 1,000 socket pairs
 *	loop-PEER reset COUNT RESETS      a time-out of COUNT is set anew, RESETS times
 *	loop-PEER defer COUNT CALLS       COUNT deferred calls that defer themselves again, CALLS in all
 *	loop-PEER wake 1 WAKES            another thread wakes the loop, WAKES times
 *	loop-PEER idle 0 0                a loop that has nothing to do
 *
 * Each prints a line of JSON.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "peer.h"

#define FILES	 4096
#define WATCHED	 1000  /* socket pairs */
#define GRACE_US 50000 /* for what is due at the end and late */

static size_t count;
static long amount, left;

/* --- tools ---------------------------------------------------------------------------------- */

void work_must(int is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "loop-%s: %s failed\n", peer_name, what);
	exit(1);
}

void *work_memory(size_t size)
{
	void *memory = calloc(1, size);

	work_must(memory != NULL, "calloc");
	return memory;
}

static int64_t clock_us(clockid_t id)
{
	struct timespec now;

	(void)clock_gettime(id, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

int64_t work_now_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

/* repeatable, and of no library */
static uint32_t draw(uint32_t below)
{
	static uint64_t state = 88172645463325252U;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16) % below;
}

static int compare(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

struct span {
	int64_t wall_us, cpu_us;
};

static struct span span_begin(void)
{
	return (struct span){ work_now_us(), clock_us(CLOCK_PROCESS_CPUTIME_ID) };
}

static void span_end(struct span *span)
{
	span->wall_us = work_now_us() - span->wall_us;
	span->cpu_us = clock_us(CLOCK_PROCESS_CPUTIME_ID) - span->cpu_us;
}

static void say_costs(const char *workload, struct span span, long events)
{
	printf("{\"peer\":\"%s\",\"workload\":\"%s\",\"count\":%zu,\"events\":%ld,"
	       "\"cpu_ns\":%.2f,\"wall_ns\":%.2f}\n",
	       peer_name, workload, count, events, (double)span.cpu_us * 1e3 / (double)events,
	       (double)span.wall_us * 1e3 / (double)events);
}

/* --- timers --------------------------------------------------------------------------------- */

struct schedule {
	int64_t due_us, interval_us;
};

static struct schedule *schedules;
static int64_t end_us;
static int32_t *lateness;
static size_t fired, fired_most, early;

/* what is due before the end, for the workload ends with the last of them and not at a moment */
void work_fired(size_t i)
{
	int64_t now_us = work_now_us();
	struct schedule *schedule = &schedules[i];

	if (schedule->due_us < end_us) {
		if (fired < fired_most)
			lateness[fired++] = (int32_t)(now_us - schedule->due_us);
		if (now_us < schedule->due_us)
			early++;
		schedule->due_us += schedule->interval_us;
	}
	if (now_us > end_us + GRACE_US)
		peer_stop();
}

static double average(const int32_t *values, size_t length)
{
	double sum = 0;

	for (size_t i = 0; i < length; i++)
		sum += values[i];
	return length > 0 ? sum / (double)length : 0;
}

static void run_timers(void)
{
	int64_t begin_us, span_us = (int64_t)amount * 1000000;
	struct span span;
	double drift;
	size_t tenth;

	schedules = work_memory(count * sizeof(*schedules));
	for (size_t i = 0; i < count; i++) {
		schedules[i].interval_us = (10 + draw(991)) * 1000;
		schedules[i].due_us = draw((uint32_t)schedules[i].interval_us / 1000) * 1000;
		fired_most +=
			(size_t)((span_us - schedules[i].due_us - 1) / schedules[i].interval_us +
				 1);
	}
	lateness = work_memory(fired_most * sizeof(*lateness));
	memset(lateness, 1,
	       fired_most * sizeof(*lateness)); /* no page is touched first in the loop */
	begin_us = work_now_us() + 200000 + (int64_t)count * 2; /* when all of them are set */
	end_us = begin_us + span_us;
	for (size_t i = 0; i < count; i++) {
		schedules[i].due_us += begin_us;
		peer_timer(i, schedules[i].due_us, schedules[i].interval_us);
	}
	span = span_begin();
	peer_run();
	span_end(&span);
	tenth = fired / 10;
	drift = (average(lateness + fired - tenth, tenth) - average(lateness, tenth)) /
		(0.9 * (double)amount);
	qsort(lateness, fired, sizeof(*lateness), compare);
	printf("{\"peer\":\"%s\",\"workload\":\"timers\",\"count\":%zu,\"events\":%zu,\"missed\":%"
	       "zu,"
	       "\"cpu_ns\":%.1f,\"late_p50_us\":%d,\"late_p99_us\":%d,\"late_max_us\":%d,"
	       "\"early\":%zu,\"drift_ppm\":%.1f}\n",
	       peer_name, count, fired, fired_most - fired,
	       (double)span.cpu_us * 1e3 / (double)fired, lateness[fired / 2],
	       lateness[fired * 99 / 100], lateness[fired - 1], early, drift);
}

/* --- descriptors ---------------------------------------------------------------------------- */

/* where the token comes from, and where it goes to: the next one's other end */
static struct hop {
	int from, to;
} hops[WATCHED];

static char token;

void work_ready(size_t i)
{
	if (read(hops[i].from, &token, 1) != 1)
		work_must(0, "read");
	if (--left <= 0)
		peer_stop();
	else if (write(hops[i].to, &token, 1) != 1)
		work_must(0, "write");
}

static void run_tokens(void)
{
	struct span span;
	int ends[2];

	for (size_t i = 0; i < WATCHED; i++) {
		work_must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
				     ends) == 0,
			  "socketpair");
		hops[i].from = ends[0];
		hops[(i + WATCHED - 1) % WATCHED].to = ends[1];
		peer_watch(i, ends[0]);
	}
	for (size_t i = 0; i < count; i++)
		work_must(write(hops[i * WATCHED / count].to, "", 1) == 1, "write");
	left = amount;
	span = span_begin();
	peer_run();
	span_end(&span);
	say_costs("tokens", span, amount);
}

/* --- calls ---------------------------------------------------------------------------------- */

/* in turns of COUNT */
static void defer_again(size_t i)
{
	if (--left <= 0)
		peer_stop();
	else
		peer_defer(i);
}

static struct span reset_span;

/* as connections that hear something push their time-outs out: in one turn of the loop */
static void reset_all(size_t i)
{
	(void)i;
	reset_span = span_begin();
	for (long n = 0; n < amount; n += (long)count)
		for (size_t k = 0; k < count; k++)
			peer_reset(k, 3600000000 + n);
	span_end(&reset_span);
	peer_stop();
}

static void (*deferred)(size_t i) = defer_again;

void work_deferred(size_t i)
{
	deferred(i);
}

static void run_defer(void)
{
	struct span span;

	left = amount;
	for (size_t i = 0; i < count; i++)
		peer_defer(i);
	span = span_begin();
	peer_run();
	span_end(&span);
	say_costs("defer", span, amount);
}

static void run_reset(void)
{
	for (size_t i = 0; i < count; i++)
		peer_reset(i, 3600000000 + (int64_t)draw(1000000));
	deferred = reset_all;
	peer_defer(0);
	peer_run();
	say_costs("reset", reset_span, amount);
}

/* --- wake-ups ------------------------------------------------------------------------------- */

static sem_t woken;
static int64_t asked_us;
static int32_t *waits;

void work_woken(void)
{
	waits[amount - left] = (int32_t)(work_now_us() - asked_us);
	if (--left <= 0)
		peer_stop();
	(void)sem_post(&woken);
}

static void *wake_main(void *argument)
{
	struct timespec pause = { .tv_nsec = 200000 }; /* in which the loop goes to sleep */

	(void)argument;
	for (long n = 0; n < amount; n++) {
		(void)nanosleep(&pause, NULL);
		asked_us = work_now_us();
		peer_wake();
		(void)sem_wait(&woken);
	}
	return NULL;
}

static void run_wake(void)
{
	struct span span;
	pthread_t thread;

	waits = work_memory((size_t)amount * sizeof(*waits));
	left = amount;
	work_must(sem_init(&woken, 0, 0) == 0, "sem_init");
	work_must(pthread_create(&thread, NULL, wake_main, NULL) == 0, "pthread_create");
	span = span_begin();
	peer_run();
	span_end(&span);
	work_must(pthread_join(thread, NULL) == 0, "pthread_join");
	qsort(waits, (size_t)amount, sizeof(*waits), compare);
	printf("{\"peer\":\"%s\",\"workload\":\"wake\",\"count\":1,\"events\":%ld,\"cpu_ns\":%.1f,"
	       "\"wait_p50_us\":%d,\"wait_p99_us\":%d}\n",
	       peer_name, amount, (double)span.cpu_us * 1e3 / (double)amount, waits[amount / 2],
	       waits[amount * 99 / 100]);
}

/* --- idle ----------------------------------------------------------------------------------- */

static void run_idle(void)
{
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	work_must(file && fscanf(file, "%*d %ld", &pages) == 1, "/proc/self/statm");
	(void)fclose(file);
	printf("{\"peer\":\"%s\",\"workload\":\"idle\",\"count\":0,\"rss_kib\":%ld}\n", peer_name,
	       pages * (sysconf(_SC_PAGESIZE) / 1024));
}

static const struct workload {
	const char *name;
	void (*run)(void);
} workloads[] = {
	{ "timers", run_timers }, { "tokens", run_tokens }, { "reset", run_reset },
	{ "defer", run_defer },	  { "wake", run_wake },	    { "idle", run_idle },
};

int main(int argc, char **argv)
{
	struct rlimit files;

	work_must(argc == 4, "usage: WORKLOAD COUNT AMOUNT:");
	work_must(getrlimit(RLIMIT_NOFILE, &files) == 0, "getrlimit");
	if (files.rlim_cur < FILES) {
		files.rlim_cur = FILES;
		work_must(setrlimit(RLIMIT_NOFILE, &files) == 0, "setrlimit");
	}
	count = strtoul(argv[2], NULL, 10);
	amount = strtol(argv[3], NULL, 10);
	peer_init(count > WATCHED ? count : WATCHED);
	for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
		if (strcmp(argv[1], workloads[i].name) == 0) {
			workloads[i].run();
			return 0;
		}
	work_must(0, argv[1]);
	return 1;
}
