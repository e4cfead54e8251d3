/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The spool: order, what is in flight, what goes when it is full, and the file behind it, on a
 * virtual clock: with a disk that fails, over restarts, over crashes, and against a model.
 * Messages are named by a letter, or by a number.
 */
#include <inttypes.h>
#include <signal.h>
#include <sys/wait.h>

#include "iotd/clock.h"
#include "iotd/spool.h"
#include "spool-fixture.h"
#include "spool/store.h"

static struct reactor *reactor;
static struct workers *workers;
static struct spool_settings settings;
static struct stats stats;
static struct spool *spool;
static size_t one_size; /* of a message with one letter */

/* --- time ----------------------------------------------------------------------------------- */

static int slept(struct task *task, int result)
{
	(void)task;
	return result;
}

static int sleep_step(struct task *task, int result)
{
	(void)result;
	return task_sleep(task, *(int64_t *)task_data(task), slept);
}

static void run_for(int64_t duration_us)
{
	struct task *task;

	ck_assert_int_eq(task_spawn(&task, reactor, sleep_step, &duration_us, NULL), 0);
	ck_assert_int_eq(reactor_run(reactor, task), 0);
	task_release(task);
}

static int await_step(struct task *task, int result)
{
	(void)result;
	return task_await(task, task_data(task), slept);
}

/* --- the spool's joint ---------------------------------------------------------------------- */

static struct {
	struct spool_events events;
	int faults, recoveries, asides, error;
	int begins, ends; /* of discarding */
	enum spool_bound bound;
	uint64_t discarded; /* in all that have ended */
	int expiring, expired_ends;
	uint64_t expired;		      /* in all that have ended */
	char why[160], path[STORE_PATH_SIZE]; /* of the last one */
} told;

static void tell_fault(struct spool_events *events, int error, const char *why)
{
	ck_assert_ptr_eq(events, &told.events);
	told.faults += error < 0;
	told.recoveries += error == 0;
	told.error = error;
	if (why)
		(void)snprintf(told.why, sizeof(told.why), "%s", why);
}

static void tell_aside(struct spool_events *events, const char *path)
{
	ck_assert_ptr_eq(events, &told.events);
	told.asides++;
	(void)snprintf(told.path, sizeof(told.path), "%s", path);
}

static void tell_discarding(struct spool_events *events, enum spool_bound bound)
{
	ck_assert_ptr_eq(events, &told.events);
	ck_assert_int_eq(told.begins++, told.ends);
	told.bound = bound;
}

static void tell_discarded(struct spool_events *events, uint64_t count, int64_t duration_us)
{
	ck_assert_ptr_eq(events, &told.events);
	ck_assert_int_eq(++told.ends, told.begins);
	ck_assert_uint_gt(count, 0);
	ck_assert_int_ge(duration_us, 0);
	told.discarded += count;
}

static void tell_expiring(struct spool_events *events)
{
	ck_assert_ptr_eq(events, &told.events);
	ck_assert_int_eq(told.expiring++, told.expired_ends);
}

static void tell_expired(struct spool_events *events, uint64_t count, int64_t duration_us)
{
	ck_assert_ptr_eq(events, &told.events);
	ck_assert_int_eq(++told.expired_ends, told.expiring);
	ck_assert_uint_gt(count, 0);
	ck_assert_int_ge(duration_us, 0);
	told.expired += count;
}

static void listen_to_spool(void)
{
	memset(&told, 0, sizeof(told));
	told.events = (struct spool_events){ tell_fault,     tell_aside,    tell_discarding,
					     tell_discarded, tell_expiring, tell_expired };
}

static int ready_calls;

static void count_ready(void *data)
{
	ck_assert_ptr_eq(data, &ready_calls);
	ready_calls++;
}

/* --- memory only ---------------------------------------------------------------------------- */

static struct message *letter_message(char letter)
{
	struct message *message;

	ck_assert_int_eq(message_new(&message, "t", &letter, 1), 0);
	return message;
}

static void open_spool(uint64_t max_size)
{
	const struct spool_parts parts = { reactor, workers, &settings, &told.events, &stats };

	settings.max_size = max_size;
	stats = (struct stats){ 0 };
	ck_assert_int_eq(spool_new(&spool, &parts), 0);
	spool_on_ready(spool, count_ready, &ready_calls);
}

static void setup(void)
{
	struct message *message = letter_message('x');

	one_size = message_size(message);
	message_free(message);
	ck_assert_int_eq(reactor_new_virtual(&reactor, USEC_PER_SEC), 0);
	listen_to_spool();
	open_spool(1000000);
}

static void teardown(void)
{
	spool = spool_free(spool);
	reactor = reactor_free(reactor);
	ck_assert_uint_eq(stats.queued, 0);
	ck_assert_uint_eq(stats.in_flight, 0);
}

static void push_letters(const char *letters)
{
	for (; *letters; letters++)
		spool_push(spool, letter_message(*letters));
}

/* Return: the id; what comes next must be @letter, 0: nothing */
static uint64_t expect_next(char letter)
{
	struct message *message = spool_next(spool);

	if (letter == '\0') {
		ck_assert_ptr_null(message);
		return 0;
	}
	ck_assert_ptr_nonnull(message);
	ck_assert_int_eq(message->payload[0], letter);
	return message->id;
}

START_TEST(oldest_first)
{
	push_letters("abc");
	ck_assert_uint_eq(stats.queued, 3);
	expect_next('a');
	expect_next('b');
	ck_assert_uint_eq(stats.in_flight, 2);
	push_letters("d");
	expect_next('c');
	expect_next('d');
	expect_next('\0');
	push_letters("e");
	expect_next('e');
}
END_TEST

START_TEST(done_in_any_order_forgets)
{
	uint64_t a, b, c;

	push_letters("abcd");
	a = expect_next('a');
	b = expect_next('b');
	c = expect_next('c');
	spool_done(spool, b);
	spool_done(spool, b); /* a second time: nothing */
	spool_done(spool, 12345);
	ck_assert_uint_eq(stats.queued, 3);
	ck_assert_uint_eq(stats.in_flight, 2);
	spool_done(spool, c);
	spool_done(spool, a);
	expect_next('d');
	ck_assert(!spool_is_empty(spool));
	ck_assert_uint_eq(stats.queued, 1);
}
END_TEST

START_TEST(what_waits_cannot_be_done)
{
	uint64_t a;

	push_letters("ab");
	a = expect_next('a');
	spool_done(spool, a + 1); /* b, which is not in flight */
	expect_next('b');
	spool_done(spool, a);
	spool_done(spool, a + 1);
	ck_assert(spool_is_empty(spool));
}
END_TEST

START_TEST(rewind_gives_the_rest_again_in_order)
{
	uint64_t b;

	push_letters("abcd");
	expect_next('a');
	b = expect_next('b');
	expect_next('c');
	spool_done(spool, b);
	spool_rewind(spool);
	ck_assert_uint_eq(stats.in_flight, 0);
	ck_assert_uint_eq(stats.queued, 3);
	expect_next('a');
	expect_next('c');
	expect_next('d');
	expect_next('\0');
}
END_TEST

START_TEST(full_discards_the_oldest_that_waits)
{
	spool_free(spool);
	open_spool(3 * one_size);
	push_letters("abc");
	expect_next('a');
	push_letters("d"); /* b goes, a is in flight */
	ck_assert_uint_eq(stats.discarded, 1);
	ck_assert_uint_eq(stats.queued, 3);
	expect_next('c');
	expect_next('d');
	push_letters("e"); /* all else flies: itself */
	expect_next('\0');
	spool_rewind(spool);
	expect_next('a');
	expect_next('c');
	expect_next('d');
	ck_assert_uint_eq(stats.discarded, 2);
	ck_assert_int_eq(told.begins, 1);
	ck_assert_int_eq(told.bound, SPOOL_BOUND_SIZE);
}
END_TEST

START_TEST(discarding_is_told_when_it_begins_and_when_there_is_room_again)
{
	spool_free(spool);
	open_spool(32 * one_size);
	for (int i = 0; i < 2; i++) {
		push_letters("abcdefghabcdefghabcdefghabcdefgh");
		ck_assert_int_eq(told.begins, i);
		push_letters("abcdefgh");
		ck_assert_int_eq(told.begins, i + 1);
		for (int j = 0; j < 3; j++) { /* a little room and full again: still the same */
			spool_done(spool, spool_next(spool)->id);
			push_letters("xy");
		}
		ck_assert_int_eq(told.begins, i + 1);
		ck_assert_int_eq(told.ends, i);
		for (int j = 0; j < 4; j++)
			spool_done(spool, spool_next(spool)->id);
		ck_assert_int_eq(told.ends, i + 1);
		ck_assert_uint_eq(told.discarded, stats.discarded);
		while (!spool_is_empty(spool))
			spool_done(spool, spool_next(spool)->id);
	}
	ck_assert_uint_eq(told.discarded, 22);
	push_letters("abcdefghabcdefghabcdefghabcdefghi");
	ck_assert_ptr_null(spool_stop(spool));
	ck_assert_uint_eq(told.discarded, 23);
}
END_TEST

START_TEST(a_large_one_pushes_out_many)
{
	struct message *large;
	char payload[64] = { 'L' };

	spool_free(spool);
	open_spool(3 * one_size);
	push_letters("abc");
	ck_assert_int_eq(message_new(&large, "t", payload, sizeof(payload)), 0);
	ck_assert_uint_lt(message_size(large), 2 * one_size);
	spool_push(spool, large);
	ck_assert_uint_eq(stats.discarded, 2);
	expect_next('c');
	expect_next('L');
}
END_TEST

START_TEST(a_message_larger_than_everything_is_not_kept)
{
	spool_free(spool);
	open_spool(one_size - 1);
	push_letters("a");
	ck_assert_uint_eq(stats.discarded, 1);
	ck_assert(spool_is_empty(spool));
	expect_next('\0');
	spool_rewind(spool);
	expect_next('\0');
}
END_TEST

START_TEST(a_hundred_thousand_are_not_slow)
{
	struct message *message;

	spool_free(spool);
	open_spool(UINT64_MAX);
	for (int i = 0; i < 100000; i++)
		push_letters("x");
	for (int i = 0; i < 100000; i++) {
		message = spool_next(spool);
		ck_assert_ptr_nonnull(message);
		spool_done(spool, message->id);
	}
	ck_assert(spool_is_empty(spool));
}
END_TEST

START_TEST(free_takes_null_and_what_is_left)
{
	ck_assert_ptr_null(spool_free(NULL));
	push_letters("abc");
	expect_next('a');
}
END_TEST

/* --- what nobody wants any more -------------------------------------------------------------- */

static void push_until(char letter, int64_t expires_us)
{
	struct message *message = letter_message(letter);

	message->expires_us = expires_us;
	spool_push(spool, message);
}

START_TEST(what_is_over_is_dropped_and_counted)
{
	int64_t now_us = reactor_now(reactor);

	push_until('a', now_us + 1000);
	push_until('b', now_us + 2000);
	push_until('c', 0); /* never */
	expect_next('a');
	spool_rewind(spool);
	run_for(1000); /* at the very moment it is over */
	expect_next('b');
	ck_assert_uint_eq(stats.expired, 1);
	ck_assert_uint_eq(stats.queued, 2);
	run_for(5000);
	ck_assert_uint_eq(stats.in_flight, 1); /* it may arrive still */
	spool_rewind(spool);
	expect_next('c');
	expect_next('\0');
	ck_assert_uint_eq(stats.expired, 2);
	ck_assert_uint_eq(stats.queued, 1);
	ck_assert_uint_eq(stats.discarded, 0);
}
END_TEST

/* while nobody asks for the next one, too: a long outage must not pile up what is of no use */
START_TEST(what_is_over_goes_when_others_come)
{
	for (int i = 0; i < 1000; i++) {
		push_until('x', reactor_now(reactor) + 10000);
		run_for(1000);
	}
	ck_assert_uint_le(stats.queued, 11);
	ck_assert_uint_eq(stats.expired + stats.queued, 1000);
	ck_assert_int_eq(told.expiring, 1);
}
END_TEST

START_TEST(what_is_over_already_is_not_kept)
{
	push_until('a', reactor_now(reactor));
	ck_assert(spool_is_empty(spool));
	expect_next('\0');
	ck_assert_uint_eq(stats.expired, 1);
}
END_TEST

START_TEST(expiring_is_told_when_it_begins_and_when_none_was_for_a_minute)
{
	for (int i = 0; i < 2; i++) {
		for (int j = 0; j < 5; j++) {
			push_until('x', reactor_now(reactor) + 1000);
			run_for(30 * USEC_PER_SEC); /* a sensor that is read so often */
		}
		push_letters("y");
		ck_assert_int_eq(told.expiring, i + 1);
		ck_assert_int_eq(told.expired_ends, i);
		run_for(59 * USEC_PER_SEC);
		spool_done(spool, expect_next('y')); /* one arrived, but too soon */
		ck_assert_int_eq(told.expired_ends, i);
		run_for(USEC_PER_SEC);
		push_letters("z");
		spool_done(spool, expect_next('z'));
		ck_assert_int_eq(told.expired_ends, i + 1);
		ck_assert_uint_eq(told.expired, stats.expired);
	}
	ck_assert_uint_eq(stats.expired, 10);
	push_until('x', reactor_now(reactor));
	ck_assert_ptr_null(spool_stop(spool));
	ck_assert_uint_eq(told.expired, 11);
}
END_TEST

/* --- with a file ---------------------------------------------------------------------------- */

#define PLENTY (1ULL << 40)

static int next_number, next_expected;

static void open_with_file(uint64_t max_size)
{
	settings.path = spool_path;
	open_spool(max_size);
}

static void start_pool(void)
{
	ck_assert_int_eq(reactor_new_virtual(&reactor, USEC_PER_SEC), 0);
	ck_assert_int_eq(workers_new(&workers, reactor, "work", 1), 0);
	listen_to_spool();
}

static void file_setup(void)
{
	make_folder();
	disk_install();
	start_pool();
	open_with_file(PLENTY);
}

static void end_pool(void)
{
	ck_assert_int_eq(workers_free(workers, 20 * USEC_PER_SEC), 0);
	spool = spool_free(spool);
	reactor = reactor_free(reactor);
}

static void file_teardown(void)
{
	end_pool();
	ck_assert_uint_eq(stats.queued, 0);
	remove_folder();
}

/* as iotd does at its end */
static void stop_spool(void)
{
	struct future *stopped = spool_stop(spool);
	struct task *task;

	ck_assert_ptr_nonnull(stopped);
	ck_assert_int_eq(task_spawn(&task, reactor, await_step, stopped, NULL), 0);
	ck_assert_int_eq(reactor_run(reactor, task), 0);
	task_release(task);
}

static void restart(void)
{
	stop_spool();
	end_pool();
	start_pool();
	open_with_file(settings.max_size);
	run_for(1000);
}

/* also in a child, where Check's macros must not be used: they write to a pipe of the parent's */
static struct message *padded_message(int number, size_t length)
{
	struct message *message = NULL;
	char *payload = calloc(1, length + 16);

	if (payload)
		(void)snprintf(payload, 16, "%d", number);
	if (!payload || message_new(&message, "iotd/t/sensor/x", payload, length + 16) < 0)
		abort();
	free(payload);
	return message;
}

static int number_of(const struct message *message)
{
	return (int)strtol((const char *)message->payload, NULL, 10);
}

static void push_numbers(int count, size_t length)
{
	for (int i = 0; i < count; i++)
		spool_push(spool, padded_message(next_number++, length));
}

/* the next one, loaded if need be; NULL: there is none */
static struct message *await_next(void)
{
	struct message *message = spool_next(spool);

	for (int i = 0; !message && i < 5 && !spool_is_empty(spool); i++) {
		run_for(1);
		message = spool_next(spool);
	}
	return message;
}

/* @count of them, acknowledged one by one */
static void expect_numbers(int count)
{
	for (int i = 0; i < count; i++) {
		struct message *message = await_next();

		ck_assert_msg(message, "nothing instead of %d", next_expected);
		ck_assert_int_eq(number_of(message), next_expected);
		next_expected++;
		spool_done(spool, message->id);
	}
}

static void expect_all(void)
{
	expect_numbers(next_number - next_expected);
	ck_assert(spool_is_empty(spool));
	ck_assert_ptr_null(spool_next(spool));
	ck_assert_uint_eq(stats.queued, 0);
	ck_assert_uint_eq(stats.in_flight, 0);
	ck_assert_uint_eq(stats.discarded, 0);
}

static void copy_file(const char *from, const char *to)
{
	static char data[64 << 20];

	if (access(from, F_OK) < 0)
		(void)unlink(to);
	else
		write_file(to, data, read_file(from, data, sizeof(data)));
}

/* what a crash at this moment would leave. Return: the store, of a copy */
static struct store *crash_copy(void)
{
	char copy[128], from[160], to[160], aside[STORE_PATH_SIZE];
	struct store *store;

	(void)snprintf(copy, sizeof(copy), "%s/copy.db", folder);
	copy_file(spool_path, copy);
	(void)snprintf(from, sizeof(from), "%s-wal", spool_path);
	(void)snprintf(to, sizeof(to), "%s-wal", copy);
	copy_file(from, to);
	ck_assert_int_eq(store_open(&store, copy, false, aside), 0);
	ck_assert_str_eq(aside, "");
	return store;
}

static uint64_t rows_on_disk(void)
{
	struct store *store = crash_copy();
	struct store_rows rows;

	ck_assert_int_eq(store_rows(store, &rows), 0);
	store_close(store);
	return rows.count;
}

START_TEST(healthy_never_makes_a_file)
{
	for (int i = 0; i < 2000; i++) {
		push_numbers(1, 100);
		run_for(20000);
		expect_numbers(1); /* acknowledged after 20 ms */
		run_for(30000);
	}
	push_numbers(1, 100);
	expect_all();
	run_for(60 * USEC_PER_SEC);
	restart();
	ck_assert_uint_eq(atomic_load(&disk.opened), 0);
	ck_assert_int_lt(access(spool_path, F_OK), 0);
	ck_assert_uint_eq(spool_file_bytes(spool), 0);
	ck_assert_int_eq(told.faults, 0);
}
END_TEST

START_TEST(healthy_never_writes_to_the_file_that_is_there)
{
	unsigned int written;

	push_numbers(10, 100);
	run_for(USEC_PER_SEC);
	ck_assert_uint_eq(rows_on_disk(), 10);
	expect_all();
	run_for(USEC_PER_SEC);
	ck_assert_uint_eq(rows_on_disk(), 0);
	written = atomic_load(&disk.written);
	ck_assert_uint_gt(written, 0);
	for (int i = 0; i < 2000; i++) {
		push_numbers(1, 100);
		run_for(50000);
		expect_numbers(1);
	}
	expect_all();
	run_for(60 * USEC_PER_SEC);
	ck_assert_uint_eq(atomic_load(&disk.written), written);
}
END_TEST

START_TEST(what_waits_is_on_disk_within_a_second)
{
	for (int i = 0; i < 300; i++) {
		push_numbers(1, 100);
		run_for(10000 + i % 7 * 1000);
		if (i % 10 == 0 && i >= 100) /* 100 of them take 1.3 s */
			ck_assert_uint_ge(rows_on_disk(), (uint64_t)i - 77);
	}
	expect_numbers(3);
	run_for(USEC_PER_SEC);
	ck_assert_uint_eq(rows_on_disk(), 297);
	ck_assert_uint_eq(stats.queued, 297);
	ck_assert_uint_ge(spool_bytes(spool),
			  297UL * (24 + 100)); /* what max_size counts of each */
	ck_assert_uint_ge(spool_file_bytes(spool), 297UL * 100);
	expect_all();
	ck_assert_uint_eq(spool_bytes(spool), 0);
}
END_TEST

START_TEST(order_lasts_over_restarts)
{
	push_numbers(100, 100);
	expect_numbers(10);
	(void)spool_next(spool); /* in flight, never acknowledged */
	restart();
	ck_assert_uint_eq(stats.queued, 90);
	ck_assert_uint_eq(stats.in_flight, 0);
	push_numbers(50, 100);
	expect_numbers(20);
	restart();
	push_numbers(5, 100);
	restart();
	expect_all();
	ck_assert_int_eq(told.asides, 0);
}
END_TEST

START_TEST(a_long_outage_stays_on_disk_and_comes_back_in_order)
{
	uint64_t peak = 0;

	for (int i = 0; i < 1000; i++) {
		push_numbers(100, 200); /* 1,000 a second for 100 s: 30 MB */
		run_for(100000);
		peak = spool_memory(spool) > peak ? spool_memory(spool) : peak;
	}
	ck_assert_uint_eq(stats.queued, 100000);
	ck_assert_uint_lt(peak, 4 << 20);
	for (int i = 0; i < 500; i++) {
		push_numbers(100, 200);
		expect_numbers(300);
		run_for(20000);
		peak = spool_memory(spool) > peak ? spool_memory(spool) : peak;
	}
	ck_assert_uint_lt(peak, 8 << 20);
	ck_assert_uint_eq(stats.queued, 0);
	expect_all();
	run_for(USEC_PER_SEC);
	ck_assert_uint_eq(rows_on_disk(), 0);
}
END_TEST

START_TEST(what_was_in_flight_comes_again_before_all_else)
{
	push_numbers(40000, 200);
	run_for(2 * USEC_PER_SEC); /* most of it is only on disk now */
	for (int i = 0; i < 64; i++)
		ck_assert_int_eq(number_of(await_next()), i);
	ck_assert_uint_eq(stats.in_flight, 64);
	run_for(USEC_PER_SEC);
	spool_rewind(spool);
	run_for(USEC_PER_SEC);
	ck_assert_uint_eq(stats.in_flight, 0);
	expect_all();
}
END_TEST

START_TEST(ready_is_told_when_there_is_something_again)
{
	int before;

	push_numbers(1, 100);
	restart();
	ck_assert_int_gt(ready_calls, 0);
	push_numbers(40000, 200);
	run_for(2 * USEC_PER_SEC);
	while (spool_next(spool))
		next_expected++;
	before = ready_calls;
	ck_assert_uint_lt(stats.in_flight, 40000);
	run_for(1);
	ck_assert_int_gt(ready_calls, before);
	ck_assert_int_eq(number_of(spool_next(spool)), next_expected);
}
END_TEST

/* at a reload the new connection is there before the old one goes */
START_TEST(who_goes_does_not_silence_its_successor)
{
	int before;

	spool_on_ready(spool, NULL, &before);
	push_numbers(40000, 200);
	run_for(2 * USEC_PER_SEC);
	while (spool_next(spool))
		;
	before = ready_calls;
	run_for(1);
	ck_assert_int_gt(ready_calls, before);
	spool_on_ready(spool, NULL, &ready_calls);
	while (spool_next(spool))
		;
	before = ready_calls;
	run_for(1);
	ck_assert_int_eq(ready_calls, before);
}
END_TEST

/* --- the disk fails ------------------------------------------------------------------------- */

static void break_folder(void)
{
	char away[80];

	(void)snprintf(away, sizeof(away), "%s-away", folder);
	ck_assert_int_eq(rename(folder, away), 0);
}

static void mend_folder(void)
{
	char away[80];

	(void)snprintf(away, sizeof(away), "%s-away", folder);
	ck_assert_int_eq(rename(away, folder), 0);
}

static void break_full(void)
{
	atomic_store(&disk.error, SQLITE_FULL);
}

static void break_io(void)
{
	atomic_store(&disk.error, SQLITE_IOERR_WRITE);
}

static void mend_disk(void)
{
	atomic_store(&disk.error, 0);
}

static void break_rights(void)
{
	drop_root();
	ck_assert_int_eq(chmod(folder, 0500), 0);
}

static void mend_rights(void)
{
	ck_assert_int_eq(chmod(folder, 0700), 0);
}

static const struct {
	void (*damage)(void);
	void (*mend)(void);
	const char *why;
} breaks[] = {
	{ break_full, mend_disk, "No space left on device" },
	{ break_io, mend_disk, "" },
	{ break_folder, mend_folder, "No such file or directory" },
	{ break_rights, mend_rights, "Permission denied" },
};

START_TEST(a_failing_disk_from_the_start_is_told_once)
{
	breaks[_i].damage();
	push_numbers(100, 100);
	run_for(20 * USEC_PER_SEC);
	push_numbers(100, 100);
	run_for(20 * USEC_PER_SEC);
	ck_assert_int_eq(told.faults, 1);
	ck_assert_int_eq(told.recoveries, 0);
	ck_assert_msg(strstr(told.why, breaks[_i].why), "%s", told.why);
	expect_numbers(50);
	ck_assert_uint_eq(stats.queued, 150);
	breaks[_i].mend();
	run_for(6 * USEC_PER_SEC);
	ck_assert_int_eq(told.faults, 1);
	ck_assert_int_eq(told.recoveries, 1);
	ck_assert_uint_eq(rows_on_disk(), 150);
	restart();
	expect_all();
}
END_TEST

START_TEST(a_disk_that_fails_while_it_works_loses_nothing)
{
	push_numbers(100, 100);
	run_for(USEC_PER_SEC);
	ck_assert_uint_eq(rows_on_disk(), 100);
	breaks[_i].damage();
	push_numbers(100, 100);
	expect_numbers(20);
	run_for(20 * USEC_PER_SEC);
	if (_i != 3) { /* the file stays writable in a folder that is not */
		ck_assert_int_eq(told.faults, 1);
		ck_assert_int_eq(told.recoveries, 0);
	}
	expect_numbers(20);
	breaks[_i].mend();
	run_for(12 * USEC_PER_SEC);
	ck_assert_int_eq(told.faults, told.recoveries);
	ck_assert_uint_eq(rows_on_disk(), 160);
	restart();
	expect_all();
}
END_TEST

START_TEST(a_full_disk_gives_back_what_it_holds)
{
	push_numbers(30000, 200); /* most is only on disk */
	run_for(20 * USEC_PER_SEC);
	break_full();
	push_numbers(100, 200);
	run_for(USEC_PER_SEC);
	ck_assert_int_eq(told.faults, 1);
	expect_all();
	ck_assert_int_eq(told.recoveries, 0);
	mend_disk();
	run_for(10 * USEC_PER_SEC);
	ck_assert_int_eq(told.recoveries, 1);
	ck_assert_uint_eq(rows_on_disk(), 0);
}
END_TEST

START_TEST(memory_is_bounded_while_the_disk_fails)
{
	uint64_t count;

	break_full();
	for (int i = 0; i < 30000; i++) {
		spool_push(spool, padded_message(next_number++, 1000));
		if (i % 100 == 0)
			run_for(100000);
		ck_assert_uint_le(spool_memory(spool), SPOOL_MEMORY_MAX);
	}
	ck_assert_uint_gt(spool_memory(spool), SPOOL_MEMORY_MAX - 2000);
	ck_assert_uint_gt(stats.discarded, 10000);
	ck_assert_int_eq(told.bound, SPOOL_BOUND_MEMORY);
	ck_assert_uint_eq(stats.queued + stats.discarded, 30000);
	mend_disk();
	run_for(10 * USEC_PER_SEC);
	ck_assert_uint_eq(rows_on_disk(), stats.queued);
	ck_assert_int_eq(told.begins, 1);
	ck_assert_int_eq(told.ends, 1);
	ck_assert_uint_eq(told.discarded, stats.discarded);
	next_expected = (int)stats.discarded; /* the oldest */
	count = stats.queued;
	expect_numbers((int)count);
	ck_assert(spool_is_empty(spool));
}
END_TEST

START_TEST(stopping_with_a_failing_disk_ends)
{
	break_io();
	push_numbers(100, 100);
	stop_spool();
	ck_assert_int_eq(told.faults, 1);
	ck_assert_int_eq(told.recoveries, 0); /* that it could be closed says nothing */
	ck_assert_ptr_eq(spool_stop(spool), spool_stop(spool));
}
END_TEST

START_TEST(stopping_at_any_moment_writes_all)
{
	push_numbers(_i * 10, 200);
	if (_i % 3)
		run_for(_i * 50000);
	push_numbers(5000, 200);
	stop_spool();
	push_numbers(1, 100); /* too late for the file */
	ck_assert_uint_eq(stats.queued, (uint64_t)next_number);
	ck_assert_uint_eq(rows_on_disk(), (uint64_t)next_number - 1);
}
END_TEST

START_TEST(free_with_a_job_under_way)
{
	push_numbers(100, 100);
	run_for(399999);
	for (int i = 0; i < 2; i++) {
		struct message *message;

		run_for(1); /* the job may be out, with the worker */
		message = spool_next(spool);
		ck_assert_ptr_nonnull(message);
		spool_done(spool, message->id);
	}
	push_numbers(1, 100);
}
END_TEST

/* --- the file is lost ----------------------------------------------------------------------- */

static void expect_lost_told(uint64_t count)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "; %" PRIu64 " readings were only there", count);
	ck_assert_msg(strstr(told.why, text), "%s", told.why);
}

START_TEST(acknowledged_in_the_turn_in_which_it_is_written)
{
	push_numbers(1, 100);
	run_for(USEC_PER_SEC);
	expect_numbers(1);
	run_for(USEC_PER_SEC);
	ck_assert_uint_eq(rows_on_disk(), 0); /* the file is open, and nothing waits */
	push_numbers(20000, 200);	      /* starts a job with the first of them */
	expect_numbers(100);		      /* which the job has */
	run_for(2 * USEC_PER_SEC);
	ck_assert_uint_eq(stats.queued, 19900);
	ck_assert_uint_eq(rows_on_disk(), 19900);
	restart();
	expect_all();
}
END_TEST

START_TEST(a_damaged_file_at_the_start_is_put_aside)
{
	push_numbers(100, 100);
	stop_spool();
	end_pool();
	write_file(spool_path, "this is no database, this is no database", 40);
	start_pool();
	open_with_file(PLENTY);
	next_expected = next_number;
	push_numbers(10, 100);
	run_for(USEC_PER_SEC);
	ck_assert_int_eq(told.asides, 1);
	ck_assert_int_eq(told.faults, 0);
	ck_assert_int_eq(access(told.path, F_OK), 0);
	ck_assert_uint_eq(rows_on_disk(), 10);
	expect_all();
}
END_TEST

START_TEST(a_file_that_breaks_while_it_works_is_put_aside)
{
	push_numbers(10000, 1000); /* 10 MB: most is only on disk */
	run_for(2 * USEC_PER_SEC);
	push_numbers(10, 100);
	atomic_store(&disk.once, SQLITE_CORRUPT);
	run_for(USEC_PER_SEC);
	ck_assert_int_eq(told.asides, 1);
	ck_assert_int_eq(told.faults, 1);
	ck_assert_int_eq(told.recoveries, 1);
	ck_assert_uint_gt(stats.discarded, 5000); /* those are in the file that was put aside */
	ck_assert_uint_eq(stats.discarded + stats.queued, 10010);
	ck_assert_uint_eq(rows_on_disk(), stats.queued);
	while (stats.queued > 10) {
		struct message *message = await_next();

		ck_assert_int_eq(number_of(message), next_expected++);
		spool_done(spool, message->id);
	}
	next_expected = 10000;
	expect_numbers(10);
}
END_TEST

START_TEST(a_file_that_was_deleted_is_made_again)
{
	push_numbers(100, 100);
	run_for(USEC_PER_SEC);
	ck_assert_int_eq(unlink(spool_path), 0);
	push_numbers(1, 100);
	run_for(2 * USEC_PER_SEC);
	ck_assert_int_eq(told.faults, 1);
	ck_assert_int_eq(told.recoveries, 1);
	ck_assert_uint_eq(rows_on_disk(), 101);
	restart();
	expect_all();
}
END_TEST

/* one job is to remove what was acknowledged and to load more; it does not come to the latter */
START_TEST(what_is_lost_with_the_file_while_it_replays_is_counted)
{
	struct message *message;

	push_numbers(40000, 200);
	run_for(2 * USEC_PER_SEC); /* most of it is only on disk now */
	if (_i == 0)
		ck_assert_int_eq(unlink(spool_path), 0);
	else
		atomic_store(&disk.once, SQLITE_CORRUPT);
	for (; (message = spool_next(spool)); next_expected++)
		spool_done(spool, message->id);
	run_for(2 * USEC_PER_SEC);
	ck_assert_int_eq(told.faults, 1);
	ck_assert_int_eq(told.recoveries, 1);
	ck_assert_int_eq(told.asides, _i);
	ck_assert_uint_gt(stats.discarded, 30000);
	ck_assert_uint_eq(stats.discarded + stats.queued + (uint64_t)next_expected, 40000);
	expect_lost_told(stats.discarded);
}
END_TEST

START_TEST(what_is_lost_with_the_file_of_a_full_disk_is_told_too)
{
	push_numbers(40000, 200);
	run_for(2 * USEC_PER_SEC);
	break_full();
	push_numbers(10, 200);
	run_for(USEC_PER_SEC);
	ck_assert_int_eq(told.faults, 1);
	ck_assert_uint_eq(stats.discarded, 0);
	ck_assert_int_eq(unlink(spool_path), 0);
	run_for(20 * USEC_PER_SEC);
	ck_assert_int_eq(told.faults, 2);
	ck_assert_uint_gt(stats.discarded, 30000);
	expect_lost_told(stats.discarded);
	mend_disk();
	run_for(6 * USEC_PER_SEC);
	ck_assert_int_eq(told.faults, 2);
	ck_assert_int_eq(told.recoveries, 1);
	ck_assert_uint_eq(stats.discarded + stats.queued, 40010);
	ck_assert_uint_eq(rows_on_disk(), stats.queued);
}
END_TEST

START_TEST(a_file_that_turns_up_late_comes_first)
{
	struct message *flying;

	push_numbers(100, 100);
	stop_spool();
	end_pool();
	break_folder();
	ck_assert_int_eq(mkdir(spool_path, 0700) < 0, 1);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	ck_assert_int_eq(mkdir(spool_path, 0700), 0); /* a folder where the file was */
	start_pool();
	open_with_file(PLENTY);
	run_for(1000);
	ck_assert_int_eq(told.faults, 1);
	push_numbers(2, 100);
	flying = spool_next(spool);
	ck_assert_int_eq(number_of(flying), 100);
	ck_assert_int_eq(rmdir(spool_path), 0);
	ck_assert_int_eq(rmdir(folder), 0);
	mend_folder();
	run_for(12 * USEC_PER_SEC);
	ck_assert_int_eq(told.recoveries, 1);
	ck_assert_uint_eq(stats.queued, 102);
	ck_assert_ptr_null(spool_next(spool)); /* 101 is not sent before 0 */
	ck_assert_uint_eq(rows_on_disk(), 102);
	if (_i == 0) {
		spool_done(spool, flying->id);
		expect_numbers(100);
		next_expected++;
	} else {
		spool_rewind(spool);
	}
	expect_all();
}
END_TEST

/* --- max_size ------------------------------------------------------------------------------- */

static uint64_t file_size(void)
{
	struct stat status;

	ck_assert_int_eq(stat(spool_path, &status), 0);
	return (uint64_t)status.st_size;
}

START_TEST(max_size_discards_the_oldest_in_the_file)
{
	const uint64_t max_size = (uint64_t)4 << (18 + 2 * _i); /* 1 MiB, 4 MiB, 16 MiB */
	struct message *one = padded_message(0, 300);
	uint64_t size = store_size(one);

	message_free(one);
	settings.max_size = max_size;
	restart();
	for (int i = 0; i < 100000; i++) {
		spool_push(spool, padded_message(next_number++, 300));
		if (i % 200 == 0)
			run_for(100000);
	}
	run_for(2 * USEC_PER_SEC);
	spool_push(spool, padded_message(next_number++, 300));
	run_for(2 * USEC_PER_SEC);
	ck_assert_uint_eq(stats.queued, max_size / size);
	ck_assert_uint_eq(stats.queued + stats.discarded, (uint64_t)next_number);
	ck_assert_int_eq(told.begins, 1);
	ck_assert_int_eq(told.ends, 0);
	ck_assert_uint_eq(rows_on_disk(), stats.queued);
	ck_assert_uint_lt(file_size(), max_size + max_size / 8 + (1 << 16));
	next_expected = (int)stats.discarded;
	expect_numbers((int)(max_size / size));
	ck_assert(spool_is_empty(spool));
	ck_assert_int_eq(told.ends, 1);
	ck_assert_uint_eq(told.discarded, stats.discarded);
}
END_TEST

/* --- crashes -------------------------------------------------------------------------------- */

#define CRASHES	      200
#define CRASH_ROWS    400000
#define CRASH_STEP_US 10000

struct report {
	int number; /* pushed, or about to be acknowledged */
	int acknowledged;
	int64_t time_us; /* of the child's clock */
};

struct child {
	int pipe, number;
	unsigned int seed;
	int acknowledging; /* so many steps from now on */
};

static void child_report(const struct child *child, int number, int acknowledged)
{
	struct report report = { number, acknowledged, reactor_now(reactor) };

	if (write(child->pipe, &report, sizeof(report)) != (ssize_t)sizeof(report))
		_exit(0);
}

/* a reading; and what the broker acknowledges, if there is one now */
static int child_step(struct task *task, int result)
{
	struct child *child = task_data(task);
	struct message *message;

	(void)result;
	child_report(child, child->number, 0);
	spool_push(spool, padded_message(child->number++, (size_t)rand_r(&child->seed) % 200));
	if (child->acknowledging-- < -200)
		child->acknowledging = rand_r(&child->seed) % 300;
	for (int i = 0; child->acknowledging > 0 && i < 20; i++) {
		message = spool_next(spool);
		if (!message)
			break;
		child_report(child, number_of(message), 1);
		spool_done(spool, message->id);
	}
	return task_sleep(task, CRASH_STEP_US, child_step);
}

static _Noreturn void run_child(int fd, int number, unsigned int seed)
{
	struct child child = { .pipe = fd, .number = number, .seed = seed, .acknowledging = -199 };
	struct spool_parts parts = { .settings = &settings,
				     .events = &told.events,
				     .stats = &stats };
	struct task *task;

	if (reactor_new_virtual(&reactor, USEC_PER_SEC) < 0 ||
	    workers_new(&workers, reactor, "work", 1) < 0)
		_exit(1);
	parts.reactor = reactor;
	parts.workers = workers;
	if (spool_new(&spool, &parts) == 0 &&
	    task_spawn(&task, reactor, child_step, &child, NULL) == 0)
		(void)reactor_run(reactor, task);
	_exit(1);
}

static struct {
	int64_t pushed_us[CRASH_ROWS]; /* by the clock of the run that is under way; 0: see known */
	bool known[CRASH_ROWS], acknowledged[CRASH_ROWS], present[CRASH_ROWS];
	int next;
	int64_t now_us;
} crash;

/* read @count reports, then kill, then the rest */
static void let_crash(pid_t pid, int fd, unsigned int count)
{
	struct report report;

	for (unsigned int i = 0; read(fd, &report, sizeof(report)) == (ssize_t)sizeof(report);
	     i++) {
		ck_assert_int_lt(report.number, CRASH_ROWS);
		if (report.acknowledged)
			crash.acknowledged[report.number] = true;
		else
			crash.pushed_us[report.number] = report.time_us;
		if (!report.acknowledged)
			crash.next = report.number + 1;
		crash.now_us = report.time_us;
		if (i == count)
			ck_assert_int_eq(kill(pid, SIGKILL), 0);
	}
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

/* rows in order, and none missing that was older than a second or there before */
static void check_after_crash(void)
{
	static struct message *rows[CRASH_ROWS];
	struct store *store;
	int count, last = -1, batch;

	if (access(spool_path, F_OK) < 0) {
		ck_assert_int_lt(crash.now_us, 2100000);
		return;
	}
	store = crash_copy(); /* which is sound */
	memset(crash.present, 0, sizeof(crash.present));
	for (int64_t row = 1;; row = rows[batch - 1]->row + 1) {
		for (int i = 0; row > 1 && i < count; i++)
			message_free(rows[i]);
		batch = count = store_load(store, row, INT64_MAX, rows, 4096);
		ck_assert_int_ge(count, 0);
		if (count == 0)
			break;
		for (int i = 0; i < count; i++) {
			ck_assert_int_gt(number_of(rows[i]), last);
			last = number_of(rows[i]);
			crash.present[last] = true;
		}
	}
	store_close(store);
	for (int i = 0; i < crash.next; i++) {
		bool is_old =
			crash.pushed_us[i] > 0 && crash.pushed_us[i] < crash.now_us - USEC_PER_SEC;

		if ((is_old || crash.known[i]) && !crash.acknowledged[i])
			ck_assert_msg(crash.present[i], "%d is lost", i);
		crash.known[i] = crash.present[i];
		crash.pushed_us[i] = 0;
	}
}

START_TEST(two_hundred_crashes_lose_nothing_older_than_a_second)
{
	unsigned int seed = 20261122;
	int longest = 0;

	end_pool();
	for (int i = 0; i < CRASHES; i++) {
		int fds[2];
		pid_t pid;

		ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
		pid = fork();
		ck_assert_int_ge(pid, 0);
		if (pid == 0)
			run_child(fds[1], crash.next, seed + (unsigned int)i);
		(void)close(fds[1]);
		let_crash(pid, fds[0], (unsigned int)rand_r(&seed) % 1000);
		(void)close(fds[0]);
		check_after_crash();
	}
	for (int i = 0; i < crash.next; i++)
		longest += crash.acknowledged[i];
	ck_assert_int_gt(longest, 1000);
	ck_assert_int_gt(crash.next - longest, 100);
	start_pool();
	open_with_file(PLENTY);
}
END_TEST

/* --- against a model ------------------------------------------------------------------------ */

#define MODEL_MAX 200000

static struct {
	unsigned int seed;
	int *waiting; /* numbers in order, those in flight first */
	int first, flying, end;
	uint64_t ids[64];
	int flying_numbers[64];
	int pushed, done, lost;
	uint64_t discarded_before; /* of earlier runs: the counters begin anew */
	bool is_broken;
} model;

static int chance(int n)
{
	return (int)((unsigned int)rand_r(&model.seed) % (unsigned int)n);
}

/* what must hold at any time */
static void check_books(void)
{
	uint64_t bound = model.is_broken ? SPOOL_MEMORY_MAX : 8 << 20;

	ck_assert_uint_eq(stats.queued + stats.discarded + model.discarded_before +
				  (uint64_t)model.done,
			  (uint64_t)model.pushed);
	ck_assert_uint_eq(stats.in_flight, (uint64_t)model.flying);
	ck_assert_uint_le(spool_memory(spool), bound);
	ck_assert(spool_is_empty(spool) == (stats.queued == 0));
}

static void model_push(void)
{
	int count = chance(20) ? 1 + chance(5) : 2000;

	for (int i = 0; i < count && model.pushed < MODEL_MAX; i++) {
		size_t length = chance(50) ? (size_t)chance(300) : 3000;

		spool_push(spool, padded_message(model.pushed++, length));
	}
}

/* the oldest that does not fly; what is skipped must have been discarded */
static bool model_next(void)
{
	struct message *message;
	int number;

	if (model.flying == 64)
		return false;
	message = spool_next(spool);
	if (!message)
		return false;
	number = number_of(message);
	ck_assert_int_ge(number, model.first);
	model.lost += number - model.first;
	model.first = number + 1;
	model.ids[model.flying] = message->id;
	model.flying_numbers[model.flying++] = number;
	return true;
}

static void model_done(void)
{
	int i;

	if (model.flying == 0)
		return;
	i = chance(3) ? 0 : chance(model.flying);
	spool_done(spool, model.ids[i]);
	spool_done(spool, model.ids[i]);
	model.done++;
	model.flying--;
	memmove(&model.ids[i], &model.ids[i + 1],
		(size_t)(model.flying - i) * sizeof(model.ids[0]));
	memmove(&model.flying_numbers[i], &model.flying_numbers[i + 1],
		(size_t)(model.flying - i) * sizeof(int));
}

/* what flew comes again at once, in its order, and before all else */
static void model_rewind(void)
{
	int count = model.flying, numbers[64];

	memcpy(numbers, model.flying_numbers, sizeof(numbers));
	spool_rewind(spool);
	model.flying = 0;
	for (int i = 0; i < count; i++) {
		struct message *message = spool_next(spool);

		ck_assert_ptr_nonnull(message);
		ck_assert_int_eq(number_of(message), numbers[i]);
		model.ids[i] = message->id;
		model.flying++;
	}
}

static void model_break(void)
{
	static const int codes[] = { SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC };

	model.is_broken = true;
	atomic_store(&disk.error, codes[chance(3)]);
}

static void model_mend(void)
{
	atomic_store(&disk.error, 0);
	run_for(6 * USEC_PER_SEC);
	model.is_broken = false;
	ck_assert_int_eq(told.faults, told.recoveries);
}

/* a clean stop and a start: what flew waits again, which the model checks on its way */
static void model_restart(void)
{
	int resent = model.flying, first = model.first;

	model_mend();
	run_for(USEC_PER_SEC); /* what was over max_size is discarded */
	model.discarded_before += stats.discarded;
	restart();
	for (int i = 0; i < resent; i++) {
		struct message *message = await_next();

		ck_assert_ptr_nonnull(message);
		ck_assert_int_eq(number_of(message), model.flying_numbers[i]);
		model.ids[i] = message->id;
	}
	ck_assert_int_eq(model.first, first);
}

static void model_step(void)
{
	int what = chance(1000);

	if (what < 250)
		model_push();
	else if (what < 500)
		while (model_next() && chance(10))
			;
	else if (what < 800)
		model_done();
	else if (what < 820)
		model_rewind();
	else if (what < 980)
		run_for(chance(4) ? chance(50000) : chance(1500000));
	else if (what < 985)
		model_break();
	else if (what < 996)
		model_mend();
	else if (what < 999)
		model_restart();
	check_books();
}

static void model_drain(void)
{
	model_mend();
	while (stats.queued > 0) {
		if (!model_next()) {
			if (model.flying == 64 || chance(2))
				model_done();
			else
				run_for(1);
		}
	}
	check_books();
	ck_assert_int_eq(model.lost + model.pushed - model.first,
			 (int)(stats.discarded + model.discarded_before));
	ck_assert_int_eq(model.done + (int)(stats.discarded + model.discarded_before),
			 model.pushed);
}

START_TEST(a_model_says_the_same)
{
	static const uint64_t sizes[] = { PLENTY, PLENTY, 20 << 20, 3 << 20, 200000 };
	const char *from = getenv("SPOOL_SEED"), *steps = getenv("SPOOL_STEPS");
	unsigned int seed = (from ? (unsigned int)strtol(from, NULL, 10) : 1000) + (unsigned int)_i;

	memset(&model, 0, sizeof(model));
	model.seed = seed;
	settings.max_size = sizes[seed % ARRAY_SIZE(sizes)];
	restart();
	for (int i = 0; i < (steps ? (int)strtol(steps, NULL, 10) : 2000); i++)
		model_step();
	model_drain();
	if (settings.max_size == PLENTY && !told.faults)
		ck_assert_int_eq(model.lost, 0);
	run_for(USEC_PER_SEC);
	if (access(spool_path, F_OK) == 0)
		ck_assert_uint_eq(rows_on_disk(), 0);
}
END_TEST

/* the file's clock is the real one, which has gone on when it is opened again */
START_TEST(what_is_over_after_a_restart_is_dropped)
{
	struct message *message;

	for (int i = 0; i < 3000; i++) {
		message = padded_message(next_number++, 10);
		message->expires_us = reactor_now(reactor) + (i < 2900 ? 1 : 3600 * USEC_PER_SEC);
		spool_push(spool, message);
	}
	ck_assert_uint_eq(stats.queued, 3000);
	restart();
	next_expected = 2900;
	message = await_next();
	ck_assert_ptr_nonnull(message);
	ck_assert_int_eq(number_of(message), 2900);
	ck_assert_int_gt(message->expires_us, reactor_now(reactor) + 3500 * USEC_PER_SEC);
	ck_assert_int_le(message->expires_us, reactor_now(reactor) + 3600 * USEC_PER_SEC);
	spool_rewind(spool);
	expect_numbers(100);
	ck_assert(spool_is_empty(spool));
	ck_assert_uint_eq(stats.expired, 2900);
	ck_assert_uint_eq(stats.discarded, 0);
	ck_assert_int_eq(told.expiring, 1);
	run_for(USEC_PER_SEC);
	ck_assert_uint_eq(rows_on_disk(), 0);
}
END_TEST

static void add_file_tests(Suite *suite)
{
	TCase *tests = tcase_create("file");

	tcase_add_checked_fixture(tests, file_setup, file_teardown);
	tcase_set_timeout(tests, 100);
	tcase_add_test(tests, healthy_never_makes_a_file);
	tcase_add_test(tests, healthy_never_writes_to_the_file_that_is_there);
	tcase_add_test(tests, what_waits_is_on_disk_within_a_second);
	tcase_add_test(tests, order_lasts_over_restarts);
	tcase_add_test(tests, a_long_outage_stays_on_disk_and_comes_back_in_order);
	tcase_add_test(tests, what_was_in_flight_comes_again_before_all_else);
	tcase_add_test(tests, ready_is_told_when_there_is_something_again);
	tcase_add_test(tests, who_goes_does_not_silence_its_successor);
	tcase_add_loop_test(tests, a_failing_disk_from_the_start_is_told_once, 0,
			    ARRAY_SIZE(breaks));
	tcase_add_loop_test(tests, a_disk_that_fails_while_it_works_loses_nothing, 0,
			    ARRAY_SIZE(breaks));
	tcase_add_test(tests, a_full_disk_gives_back_what_it_holds);
	tcase_add_test(tests, memory_is_bounded_while_the_disk_fails);
	tcase_add_test(tests, stopping_with_a_failing_disk_ends);
	tcase_add_loop_test(tests, stopping_at_any_moment_writes_all, 0, 12);
	tcase_add_test(tests, free_with_a_job_under_way);
	tcase_add_test(tests, acknowledged_in_the_turn_in_which_it_is_written);
	tcase_add_test(tests, a_damaged_file_at_the_start_is_put_aside);
	tcase_add_test(tests, a_file_that_breaks_while_it_works_is_put_aside);
	tcase_add_test(tests, a_file_that_was_deleted_is_made_again);
	tcase_add_loop_test(tests, what_is_lost_with_the_file_while_it_replays_is_counted, 0, 2);
	tcase_add_test(tests, what_is_lost_with_the_file_of_a_full_disk_is_told_too);
	tcase_add_loop_test(tests, a_file_that_turns_up_late_comes_first, 0, 2);
	tcase_add_loop_test(tests, max_size_discards_the_oldest_in_the_file, 0, 3);
	tcase_add_test(tests, two_hundred_crashes_lose_nothing_older_than_a_second);
	tcase_add_test(tests, what_is_over_after_a_restart_is_dropped);
	tcase_add_loop_test(tests, a_model_says_the_same, 0, 12);
	suite_add_tcase(suite, tests);
}

int main(void)
{
	Suite *suite = suite_create("spool");
	TCase *tests = tcase_create("spool");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, oldest_first);
	tcase_add_test(tests, done_in_any_order_forgets);
	tcase_add_test(tests, what_waits_cannot_be_done);
	tcase_add_test(tests, rewind_gives_the_rest_again_in_order);
	tcase_add_test(tests, full_discards_the_oldest_that_waits);
	tcase_add_test(tests, discarding_is_told_when_it_begins_and_when_there_is_room_again);
	tcase_add_test(tests, a_large_one_pushes_out_many);
	tcase_add_test(tests, a_message_larger_than_everything_is_not_kept);
	tcase_add_test(tests, a_hundred_thousand_are_not_slow);
	tcase_add_test(tests, free_takes_null_and_what_is_left);
	tcase_add_test(tests, what_is_over_is_dropped_and_counted);
	tcase_add_test(tests, what_is_over_goes_when_others_come);
	tcase_add_test(tests, what_is_over_already_is_not_kept);
	tcase_add_test(tests, expiring_is_told_when_it_begins_and_when_none_was_for_a_minute);
	suite_add_tcase(suite, tests);
	add_file_tests(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
