/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What waits, page by page: in flight, in memory, only in the file, while it is acknowledged and
 * more comes, and while the disk fails. On a virtual clock; messages are named by a number. See
 * test-spool.c for all else.
 */
#include <inttypes.h>

#include "iotd/clock.h"
#include "iotd/spool.h"
#include "spool-fixture.h"

#define PLENTY	 (1ULL << 40)
#define TOLD_MAX 40000

/* every ck_assert() is a write to a pipe: not in loops over all messages */
#define must(condition, ...)                                                                       \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ck_abort_msg(__VA_ARGS__);                                                 \
	} while (0)

static struct reactor *reactor;
static struct workers *workers;
static struct spool_settings settings;
static struct stats stats;
static struct spool *spool;
static int next_number;

/* --- the spool ------------------------------------------------------------------------------ */

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

static int await_step(struct task *task, int result)
{
	(void)result;
	return task_await(task, task_data(task), slept);
}

static void run(task_step step, void *data)
{
	struct task *task;

	ck_assert_int_eq(task_spawn(&task, reactor, step, data, NULL), 0);
	ck_assert_int_eq(reactor_run(reactor, task), 0);
	task_release(task);
}

static void run_for(int64_t duration_us)
{
	run(sleep_step, &duration_us);
}

static void open_spool(void)
{
	struct spool_parts parts = { .settings = &settings, .stats = &stats };

	stats = (struct stats){ 0 };
	settings.max_size = PLENTY;
	ck_assert_int_eq(reactor_new_virtual(&reactor, USEC_PER_SEC), 0);
	if (settings.path)
		ck_assert_int_eq(workers_new(&workers, reactor, "work", 1), 0);
	parts.reactor = reactor;
	parts.workers = workers;
	ck_assert_int_eq(spool_new(&spool, &parts), 0);
}

static void close_spool(void)
{
	ck_assert_int_eq(workers_free(take_ptr(workers), 20 * USEC_PER_SEC), 0);
	spool = spool_free(spool);
	reactor = reactor_free(reactor);
}

static void restart(void)
{
	run(await_step, spool_stop(spool));
	close_spool();
	open_spool();
}

static void push(int count, size_t length)
{
	struct message *message;

	for (; count > 0; count--) {
		char *payload = calloc(1, length + 16);

		must(payload, "out of memory");
		(void)snprintf(payload, 16, "%d", next_number++);
		must(message_new(&message, "t", payload, length + 16) == 0, "out of memory");
		free(payload);
		spool_push(spool, message);
	}
}

static int number_of(const struct message *message)
{
	return (int)strtol((const char *)message->payload, NULL, 10);
}

/* in flight from now on, loaded if need be. Return: its id for spool_done() */
static uint64_t take(int number)
{
	struct message *message = spool_next(spool);

	for (int i = 0; !message && i < 5; i++) {
		run_for(1);
		message = spool_next(spool);
	}
	must(message, "nothing instead of %d", number);
	must(number_of(message) == number, "%d instead of %d", number_of(message), number);
	return message->id;
}

static void setup(void)
{
	next_number = 0;
	settings.path = NULL;
	open_spool();
}

static void teardown(void)
{
	close_spool();
	ck_assert_uint_eq(stats.queued, 0);
}

static void file_setup(void)
{
	make_folder();
	disk_install();
	next_number = 0;
	settings.path = spool_path;
	open_spool();
}

static void file_teardown(void)
{
	teardown();
	remove_folder();
}

/* --- who asks ------------------------------------------------------------------------------- */

static struct {
	struct spool_page page;
	int answers, error;
	char text[256];
	int numbers[TOLD_MAX];
	uint64_t ids[TOLD_MAX];
	int64_t times_us[TOLD_MAX];
	size_t count, last_count; /* of all pages, of the last one */
	uint64_t next;
} told;

static void tell(struct spool_page *page, const struct spool_paged *paged)
{
	ck_assert_ptr_eq(page, &told.page);
	told.answers++;
	told.error = paged->error;
	told.next = paged->next;
	told.last_count = paged->count;
	ck_assert((paged->error < 0) == (paged->text != NULL));
	(void)snprintf(told.text, sizeof(told.text), "%s", paged->text ? paged->text : "");
	for (size_t i = 0; i < paged->count; i++, told.count++) {
		const struct spool_entry *entry = &paged->entries[i];

		must(told.count < TOLD_MAX, "too many");
		must(entry->id > (told.count ? told.ids[told.count - 1] : 0), "the id %" PRIu64,
		     entry->id);
		told.ids[told.count] = entry->id;
		told.numbers[told.count] = number_of(entry->message);
		told.times_us[told.count] = entry->time_us;
	}
}

static void ask_first(void)
{
	told.count = 0;
	told.next = 0;
}

/* the page behind the last one. Return: is there more? */
static bool ask(size_t limit)
{
	int answers = told.answers;

	told.page.after = told.next;
	told.page.limit = limit;
	told.page.done = tell;
	spool_page(spool, &told.page);
	ck_assert_int_eq(told.answers, answers); /* in a later turn */
	for (int i = 0; told.answers == answers && i < 100; i++)
		run_for(1);
	ck_assert_int_eq(told.answers, answers + 1);
	ck_assert_uint_le(told.last_count, limit);
	return told.next > 0;
}

static void ask_all(size_t limit)
{
	ask_first();
	while (ask(limit))
		ck_assert_int_eq(told.error, 0);
	ck_assert_int_eq(told.error, 0);
}

/* all that was told is @first .. @end - 1 */
static void expect(int first, int end)
{
	ck_assert_uint_eq(told.count, (size_t)(end - first));
	for (int i = first; i < end; i++)
		must(told.numbers[i - first] == i, "%d instead of %d", told.numbers[i - first], i);
}

/* --- in memory ------------------------------------------------------------------------------ */

START_TEST(nothing_waits)
{
	ask_all(10);
	expect(0, 0);
}
END_TEST

START_TEST(oldest_first_and_those_in_flight_too)
{
	push(10, 10);
	take(0);
	take(1);
	for (size_t limit = 1; limit <= 11; limit++) {
		ask_all(limit);
		expect(0, 10);
	}
	ck_assert_uint_eq(stats.in_flight, 2); /* nobody has lost anything by that */
	take(2);
}
END_TEST

START_TEST(a_page_has_a_bound_in_bytes)
{
	push(1, SPOOL_PAGE_BYTES / 2);
	push(2, SPOOL_PAGE_BYTES / 4);
	push(1, 3 * SPOOL_PAGE_BYTES);
	push(1, 10);
	ask_first();
	ck_assert(ask(100));
	ck_assert_uint_eq(told.last_count, 2);
	ck_assert(ask(100));
	ck_assert_uint_eq(told.last_count, 1);
	ck_assert(ask(100)); /* the large one, alone */
	ck_assert_uint_eq(told.last_count, 1);
	ck_assert(!ask(100));
	expect(0, 5);
}
END_TEST

START_TEST(a_strange_limit_is_taken_as_the_nearest)
{
	push(600, 10);
	ask_first();
	told.page.limit = 0;
	told.page.after = 0;
	told.page.done = tell;
	spool_page(spool, &told.page);
	run_for(1);
	ck_assert_uint_eq(told.last_count, 1);
	told.page.limit = SIZE_MAX;
	told.page.after = told.next;
	spool_page(spool, &told.page);
	run_for(1);
	ck_assert_uint_eq(told.last_count, SPOOL_PAGE_MAX);
	expect(0, 1 + SPOOL_PAGE_MAX);
}
END_TEST

START_TEST(behind_the_last_there_is_nothing)
{
	push(3, 10);
	ask_first();
	told.next = INT64_MAX;
	ck_assert(!ask(10));
	told.next = UINT64_MAX;
	ck_assert(!ask(10));
	expect(0, 0);
}
END_TEST

START_TEST(what_is_acknowledged_between_pages_is_missing_and_nothing_else)
{
	uint64_t ids[10];

	push(10, 10);
	for (int i = 0; i < 10; i++)
		ids[i] = take(i);
	ask_first();
	ask(4);
	spool_done(spool, ids[3]); /* the last one told */
	spool_done(spool, ids[4]); /* the next one */
	spool_done(spool, ids[7]);
	push(1, 10);
	while (ask(2))
		;
	ck_assert_uint_eq(told.count, 4 + 5);
	ck_assert_int_eq(told.numbers[4], 5);
	ck_assert_int_eq(told.numbers[6], 8);
	ck_assert_int_eq(told.numbers[8], 10);
}
END_TEST

/* a hundred thousand in memory: found a few at a time, from wherever the last one was */
START_TEST(any_place_is_found)
{
	unsigned int seed = 1;

	push(TOLD_MAX, 10);
	for (int i = 0; i < 200; i++) {
		int after = rand_r(&seed) % (TOLD_MAX - 10);

		told.count = 0;
		told.next = (uint64_t)after;
		ask(3);
		expect(after, after + 3);
	}
	ask_all(500);
	expect(0, TOLD_MAX);
}
END_TEST

START_TEST(the_time_is_that_of_the_wall)
{
	int64_t before_us = clock_realtime_us(), after_us;

	push(1, 10);
	run_for(3600 * USEC_PER_SEC);
	ask_all(1);
	after_us = clock_realtime_us();
	/* the real clock has not gone on for an hour */
	ck_assert_int_ge(told.times_us[0], before_us - 3600 * USEC_PER_SEC - 1000);
	ck_assert_int_le(told.times_us[0], after_us - 3600 * USEC_PER_SEC);
}
END_TEST

static int others_answered, others_error;

static void answer_other(struct spool_page *page, const struct spool_paged *paged)
{
	ck_assert_ptr_null(page->spool);
	others_answered++;
	others_error = paged->error;
}

START_TEST(who_is_gone_is_not_told)
{
	struct spool_page pages[3] = { 0 };

	push(3, 10);
	others_answered = 0;
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = (struct spool_page){ .limit = 1, .done = answer_other };
		spool_page(spool, &pages[i]);
	}
	spool_page_cancel(&pages[0]);
	spool_page_cancel(&pages[0]); /* nothing */
	spool_page_cancel(&pages[2]);
	run_for(1);
	ck_assert_int_eq(others_answered, 1);
	spool_page_cancel(&pages[1]); /* nothing */
}
END_TEST

START_TEST(a_spool_that_goes_refuses)
{
	struct spool_page pages[3] = { 0 };

	others_answered = 0;
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = (struct spool_page){ .limit = 1, .done = answer_other };
		spool_page(spool, &pages[i]);
	}
	close_spool();
	ck_assert_int_eq(others_answered, 3);
	ck_assert_int_eq(others_error, -ECANCELED);
	open_spool();
}
END_TEST

/* --- in the file ---------------------------------------------------------------------------- */

START_TEST(a_long_outage_is_told_whole)
{
	for (int i = 0; i < 100; i++) {
		push(200, 300);
		run_for(USEC_PER_SEC);
	}
	ck_assert_uint_lt(spool_memory(spool), 4 << 20); /* of 6: some is only in the file */
	ask_all(500);
	expect(0, 20000);
	ask_all(77);
	expect(0, 20000);
	ck_assert_uint_eq(stats.queued, 20000);
}
END_TEST

START_TEST(an_id_lasts)
{
	uint64_t id;

	push(2, 10);
	id = take(0);
	ask_all(10);
	ck_assert_uint_eq(told.count, 2);
	spool_done(spool, id); /* never comes to the file */
	id = told.ids[1];
	for (int i = 0; i < 3; i++) {
		run_for(USEC_PER_SEC); /* written */
		push(5000, 300);       /* let go */
		ask_first();
		ask(1);
		ck_assert_int_eq(told.numbers[0], 1);
		ck_assert_uint_eq(told.ids[0], id);
	}
	take(1); /* loaded again */
	ask_first();
	ask(1);
	ck_assert_uint_eq(told.ids[0], id);
	restart();
	ask_first();
	ask(1);
	ck_assert_int_eq(told.numbers[0], 1);
	ck_assert_uint_eq(told.ids[0], id);
}
END_TEST

START_TEST(what_an_earlier_run_left_comes_first)
{
	push(1000, 10);
	restart();
	push(1000, 10); /* before the file was looked at, and asked before, too */
	ask_all(300);
	expect(0, 2000);
	ck_assert_int_eq(told.times_us[999], 0); /* the file does not say */
	ck_assert_int_gt(told.times_us[1000], 0);
	take(0);
	ask_all(300);
	expect(0, 2000);
}
END_TEST

START_TEST(numbers_are_not_used_again_after_a_restart)
{
	uint64_t last;

	push(10, 10);
	run_for(USEC_PER_SEC);
	ask_all(10);
	last = told.ids[9];
	for (int i = 0; i < 10; i++)
		spool_done(spool, take(i));
	run_for(USEC_PER_SEC);
	restart();
	push(1, 10);
	ask_all(10);
	ck_assert_uint_eq(told.count, 1);
	ck_assert_uint_gt(told.ids[0], last);
}
END_TEST

/* by hand: a job for a page is out when @page is taken back, or the rest ends */
static void ask_and_leave(struct spool_page *page)
{
	*page = (struct spool_page){ .limit = 10, .done = answer_other };
	others_answered = 0;
	spool_page(spool, page);
	run_for(0); /* the turn in which the job is handed over */
}

START_TEST(who_goes_while_the_file_is_read_is_not_told)
{
	struct spool_page page;

	push(5000, 10);
	restart();
	run_for(USEC_PER_SEC);
	ask_and_leave(&page);
	if (!page.spool) /* the worker was faster than this turn */
		return;
	spool_page_cancel(&page);
	memset(&page, 0xff, sizeof(page));
	ask_all(500);
	expect(0, 5000);
	ck_assert_int_eq(others_answered, 0);
}
END_TEST

static int ask_and_end(struct task *task, int result)
{
	struct spool_page *page = task_data(task);

	(void)result;
	*page = (struct spool_page){ .limit = 10, .done = answer_other };
	spool_page(spool, page);
	return 0;
}

START_TEST(a_spool_that_goes_while_the_file_is_read_refuses)
{
	struct spool_page page;

	push(5000, 10);
	restart();
	run_for(USEC_PER_SEC);
	others_answered = 0;
	run(ask_and_end, &page);
	run(ask_and_end, &told.page);
	spool_page_cancel(&told.page);
	close_spool();
	ck_assert_int_eq(others_answered, 1);
	open_spool();
}
END_TEST

START_TEST(a_spool_that_stops_refuses)
{
	struct spool_page page;

	push(5000, 10);
	restart();
	run_for(USEC_PER_SEC);
	others_answered = 0;
	run(ask_and_end, &page);
	run(await_step, spool_stop(spool));
	run_for(1);
	ck_assert_int_eq(others_answered, 1);
	ask_first();
	ask(1);
	ck_assert_int_eq(told.error, -ECANCELED);
}
END_TEST

/* --- the disk fails ------------------------------------------------------------------------- */

START_TEST(a_disk_that_fails_from_the_start_hides_nothing)
{
	atomic_store(&disk.error, SQLITE_FULL);
	for (int i = 0; i < 10; i++) {
		push(100, 10);
		run_for(USEC_PER_SEC);
		ask_all(99);
		expect(0, next_number);
	}
	atomic_store(&disk.error, 0);
	run_for(10 * USEC_PER_SEC);
	ask_all(99);
	expect(0, next_number);
}
END_TEST

/* acknowledged, but in the file all the same */
START_TEST(what_cannot_be_removed_is_not_told)
{
	uint64_t ids[60];

	push(100, 10);
	run_for(USEC_PER_SEC);
	for (int i = 0; i < 60; i++)
		ids[i] = take(i);
	atomic_store(&disk.error, SQLITE_FULL);
	for (int i = 0; i < 60; i += 2)
		spool_done(spool, ids[i]);
	spool_rewind(spool);
	push(20000, 1000); /* more than fits into memory: the rest of the 100 is let go */
	run_for(USEC_PER_SEC);
	ask_all(33);
	for (int i = 0; i < 30; i++)
		ck_assert_int_eq(told.numbers[i], 2 * i + 1);
	for (int i = 30; i < 70; i++)
		ck_assert_int_eq(told.numbers[i], 30 + i);
	ck_assert_uint_eq(told.count, stats.queued);
	atomic_store(&disk.error, 0);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_told_and_the_rest_goes_on)
{
	for (int i = 0; i < 5; i++) {
		push(4000, 1000);
		run_for(USEC_PER_SEC);
	}
	push(10, 10);
	atomic_store(&disk.read_error, SQLITE_IOERR_READ);
	ask_first();
	while (ask(500) && !told.error)
		;
	ck_assert_int_lt(told.error,
			 0); /* what errno is left over from: the disk is not a real one */
	ck_assert_ptr_nonnull(strstr(told.text, spool_path));
	ck_assert_ptr_nonnull(strstr(told.text, "readings are only there"));
	ck_assert_uint_gt(told.next, 0);
	while (ask(500))
		;
	ck_assert_int_eq(told.error, 0);
	ck_assert_int_eq(told.numbers[told.count - 1], next_number - 1);
	atomic_store(&disk.read_error, 0);
	ask_all(500);
	expect(0, next_number);
}
END_TEST

START_TEST(a_file_that_is_lost_leaves_what_is_in_memory)
{
	push(20000, 300);
	run_for(USEC_PER_SEC);
	run_for(USEC_PER_SEC);
	ask_first();
	ask(10);
	ck_assert_int_eq(unlink(spool_path), 0);
	push(1, 10);
	run_for(USEC_PER_SEC);
	ck_assert_uint_gt(stats.discarded, 0);
	while (ask(500))
		;
	ck_assert_int_eq(told.error, 0);
	ck_assert_uint_eq(told.count, stats.queued);
	ck_assert_int_eq(told.numbers[told.count - 1], 20000);
	run_for(USEC_PER_SEC);
	ask_all(500);
	ck_assert_uint_eq(told.count, stats.queued);
}
END_TEST

/* --- against a model ------------------------------------------------------------------------ */

static struct {
	unsigned int seed;
	bool gone[TOLD_MAX]; /* acknowledged */
	uint64_t ids[64];    /* in flight */
	int numbers[64], flying, next;
} model;

static int chance(int n)
{
	return (int)((unsigned int)rand_r(&model.seed) % (unsigned int)n);
}

static void model_take(void)
{
	struct message *message = model.flying < 64 ? spool_next(spool) : NULL;

	if (!message)
		return;
	must(number_of(message) == model.next, "%d is next", number_of(message));
	model.next++;
	model.ids[model.flying] = message->id;
	model.numbers[model.flying++] = number_of(message);
}

static void model_done(void)
{
	int i;

	if (model.flying == 0)
		return;
	i = chance(model.flying);
	spool_done(spool, model.ids[i]);
	model.gone[model.numbers[i]] = true;
	model.flying--;
	for (; i < model.flying; i++) {
		model.ids[i] = model.ids[i + 1];
		model.numbers[i] = model.numbers[i + 1];
	}
}

/* what flew flies again */
static void model_rewind(void)
{
	spool_rewind(spool);
	for (int i = 0; i < model.flying; i++)
		model.ids[i] = take(model.numbers[i]);
}

static void model_step(void)
{
	int what = chance(100);

	if (what < 25 && next_number < TOLD_MAX - 400)
		push(chance(10) ? chance(20) : 400, chance(20) ? 100 : 3000);
	else if (what < 45)
		for (int i = 0; i < 10; i++)
			model_take();
	else if (what < 65)
		for (int i = 0; i < 8; i++)
			model_done();
	else if (what < 68)
		model_rewind();
	else if (what < 90)
		run_for(chance(3) ? chance(1000) : chance(1500000));
	else if (what < 93)
		atomic_store(&disk.error, SQLITE_FULL);
	else
		atomic_store(&disk.error, 0);
}

/* while all goes on: what stays is told, once and in order; what had gone before is not */
START_TEST(pages_together_are_what_is_sent)
{
	static bool gone[TOLD_MAX];
	const char *from = getenv("SPOOL_SEED");
	int end;

	memset(&model, 0, sizeof(model));
	model.seed = (from ? (unsigned int)strtol(from, NULL, 10) : 1000) + (unsigned int)_i;
	for (int round = 0; round < 60 && next_number < TOLD_MAX - 400; round++) {
		size_t at = 0;

		for (int i = chance(20); i > 0; i--)
			model_step();
		memcpy(gone, model.gone, sizeof(gone));
		end = next_number;
		ask_first();
		while (ask(1 + (size_t)chance(500))) {
			ck_assert_int_eq(told.error, 0);
			if (chance(2))
				model_step();
		}
		for (int i = 0; i < end; i++) {
			bool is_told = at < told.count && told.numbers[at] == i;

			must(!gone[i] || !is_told, "%d had gone", i);
			must(model.gone[i] || is_told, "%d is missing", i);
			at += is_told;
		}
	}
	atomic_store(&disk.error, 0);
	ck_assert_uint_eq(stats.discarded, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spool-page");
	TCase *memory = tcase_create("memory"), *file = tcase_create("file");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(memory, setup, teardown);
	tcase_add_test(memory, nothing_waits);
	tcase_add_test(memory, oldest_first_and_those_in_flight_too);
	tcase_add_test(memory, a_page_has_a_bound_in_bytes);
	tcase_add_test(memory, a_strange_limit_is_taken_as_the_nearest);
	tcase_add_test(memory, behind_the_last_there_is_nothing);
	tcase_add_test(memory, what_is_acknowledged_between_pages_is_missing_and_nothing_else);
	tcase_add_test(memory, any_place_is_found);
	tcase_add_test(memory, the_time_is_that_of_the_wall);
	tcase_add_test(memory, who_is_gone_is_not_told);
	tcase_add_test(memory, a_spool_that_goes_refuses);
	tcase_add_checked_fixture(file, file_setup, file_teardown);
	tcase_set_timeout(file, 100);
	tcase_add_test(file, a_long_outage_is_told_whole);
	tcase_add_test(file, an_id_lasts);
	tcase_add_test(file, what_an_earlier_run_left_comes_first);
	tcase_add_test(file, numbers_are_not_used_again_after_a_restart);
	tcase_add_test(file, who_goes_while_the_file_is_read_is_not_told);
	tcase_add_test(file, a_spool_that_goes_while_the_file_is_read_refuses);
	tcase_add_test(file, a_spool_that_stops_refuses);
	tcase_add_test(file, a_disk_that_fails_from_the_start_hides_nothing);
	tcase_add_test(file, what_cannot_be_removed_is_not_told);
	tcase_add_test(file, a_file_that_cannot_be_read_is_told_and_the_rest_goes_on);
	tcase_add_test(file, a_file_that_is_lost_leaves_what_is_in_memory);
	tcase_add_loop_test(file, pages_together_are_what_is_sent, 0, 10);
	suite_add_tcase(suite, memory);
	suite_add_tcase(suite, file);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
