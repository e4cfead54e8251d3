/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What inputs have counted and its file, with real files, on the virtual clock. The inputs are an array of counts
 * here, of which the file knows when it asks.
 */
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "fixture.h"
#include "reactor-fixture.h"
#include "spool-fixture.h"

#include "iotd/counts.h"
#include "spool/count-file.h"

#define SECOND USEC_PER_SEC
#define INPUTS 40

static struct counts *counts;

/* what counts */
static struct {
	char name[16];
	struct count count;
	bool is_known;
} inputs[INPUTS];
static int input_count;

static struct {
	int known, collected;
	char faults[512];
	char aside[DATABASE_PATH_SIZE];
} told;

static void get(int i)
{
	int r = counts_get(counts, inputs[i].name, inputs[i].count.kind, &inputs[i].count);

	ck_assert(r == 0 || r == -EAGAIN);
	inputs[i].is_known = r == 0;
}

static void on_fault(struct counts_events *events, int error, const char *why)
{
	size_t length = strlen(told.faults);

	(void)events;
	ck_assert((error < 0) == (why != NULL));
	(void)snprintf(told.faults + length, sizeof(told.faults) - length, "%s| ",
		       why ? why : "works");
}

static void on_aside(struct counts_events *events, const char *path)
{
	(void)events;
	(void)snprintf(told.aside, sizeof(told.aside), "%s", path);
}

static void on_known(struct counts_events *events)
{
	(void)events;
	told.known++;
	for (int i = 0; i < input_count; i++)
		get(i);
}

static void on_collect(struct counts_events *events)
{
	(void)events;
	told.collected++;
	for (int i = 0; i < input_count; i++)
		counts_put(counts, inputs[i].name, &inputs[i].count, inputs[i].is_known);
}

static struct counts_events events = { on_fault, on_aside, on_known, on_collect };

/* --- tools ---------------------------------------------------------------------------------- */

static void begin(void)
{
	struct counts_parts parts = { .path = spool_path, .events = &events };

	ck_assert_int_eq(reactor_new_virtual(&reactor, 1000000007), 0);
	ck_assert_int_eq(workers_new(&workers, reactor, "work", 2), 0);
	parts.reactor = reactor;
	parts.workers = workers;
	ck_assert_int_eq(counts_new(&counts, &parts), 0);
	memset(&told, 0, sizeof(told));
	memset(inputs, 0, sizeof(inputs));
	input_count = 0;
}

/* without a word: as after SIGKILL */
static void end(void)
{
	ck_assert_int_eq(workers_free(workers, 20 * SECOND), 0);
	counts = counts_free(counts);
	reactor = reactor_free(reactor);
}

static void set_up(void)
{
	make_folder();
	disk_install();
	begin();
}

static void tear_down(void)
{
	atomic_store(&disk.error, 0);
	end();
	remove_folder();
}

static void stop(void)
{
	struct future *stopped = counts_stop(counts);

	ck_assert_ptr_nonnull(stopped);
	run_for(SECOND);
	ck_assert(stopped->done);
	ck_assert_ptr_eq(counts_stop(counts), stopped);
}

static void restart(void)
{
	stop();
	end();
	begin();
}

static int add_input(const char *name, enum count_kind kind)
{
	(void)snprintf(inputs[input_count].name, sizeof(inputs[0].name), "%s", name);
	inputs[input_count].count.kind = kind;
	get(input_count);
	return input_count++;
}

static void count_more(int i, uint64_t amount)
{
	inputs[i].count.amount += amount;
	inputs[i].count.run += amount;
	counts_changed(counts, false);
}

static void set_total(int i, double total)
{
	inputs[i].count.start = total;
	inputs[i].count.amount = 0;
	inputs[i].is_known = true;
	on_collect(&events);
	counts_changed(counts, true);
}

static void assert_count(int i, double start, uint64_t amount)
{
	ck_assert(inputs[i].is_known);
	ck_assert_double_eq(inputs[i].count.start, start);
	ck_assert_uint_eq(inputs[i].count.amount, amount);
}

/* what the file says, read by another */
static void assert_file(const char *name, double start, uint64_t amount)
{
	cleanup(freep) struct count_row *rows = NULL;
	char aside[DATABASE_PATH_SIZE];
	struct count_file *file;
	size_t count = 0, at = 0;

	ck_assert_int_eq(count_file_open(&file, spool_path, false, aside), 0);
	ck_assert_int_eq(count_file_load(file, &rows, &count), 0);
	count_file_close(file);
	while (at < count && strcmp(rows[at].input, name) != 0)
		at++;
	ck_assert_msg(at < count, "%s is not there", name);
	ck_assert_double_eq(rows[at].count.start, start);
	ck_assert_uint_eq(rows[at].count.amount, amount);
}

static void execute(const char *sql)
{
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(spool_path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
}

/* --- restarts ------------------------------------------------------------------------------- */

START_TEST(nothing_is_opened_before_somebody_counts)
{
	run_for(60 * SECOND);
	ck_assert_int_eq(access(spool_path, F_OK), -1);
	ck_assert_ptr_null(counts_stop(counts));
	ck_assert_int_eq(told.known, 0);
	ck_assert_ptr_null(counts_free(NULL));
}
END_TEST

START_TEST(a_file_is_made_when_something_was_counted)
{
	int rain = add_input("rain", COUNT_EDGES);

	ck_assert(!inputs[rain].is_known);
	run_for(60 * SECOND);
	assert_count(rain, 0, 0);
	ck_assert_int_eq(told.known, 1);
	ck_assert_int_eq(access(spool_path, F_OK), -1);
	count_more(rain, 1);
	run_for(COUNTS_WRITE_US + 1);
	ck_assert_int_eq(access(spool_path, F_OK), 0);
	ck_assert_str_eq(told.faults, "");
}
END_TEST

START_TEST(counts_are_there_after_a_restart)
{
	int rain = add_input("rain", COUNT_EDGES), pump = add_input("pump", COUNT_ON_TIME);
	int meter = add_input("meter", COUNT_EDGES);

	run_for(1);
	count_more(rain, 3);
	count_more(pump, 123456789);
	set_total(meter, 4711.125);
	count_more(meter, UINT32_MAX + 10ULL);
	restart();
	pump = add_input("pump", COUNT_ON_TIME);
	meter = add_input("meter", COUNT_EDGES);
	rain = add_input("rain", COUNT_EDGES);
	run_for(1);
	assert_count(rain, 0, 3);
	assert_count(pump, 0, 123456789);
	assert_count(meter, 4711.125, UINT32_MAX + 10ULL);
	ck_assert_uint_eq(inputs[rain].count.run, 0); /* that is of the run before */
	count_more(rain, 4);
	restart();
	rain = add_input("rain", COUNT_EDGES);
	meter = add_input("meter", COUNT_EDGES); /* which nobody counted in between */
	run_for(1);
	assert_count(rain, 0, 7);
	assert_count(meter, 4711.125, UINT32_MAX + 10ULL);
}
END_TEST

START_TEST(another_name_or_another_kind_is_another_count)
{
	int rain = add_input("rain", COUNT_EDGES), time;

	run_for(1);
	count_more(rain, 3);
	restart();
	time = add_input("rain", COUNT_ON_TIME);
	rain = add_input("rain2", COUNT_EDGES);
	run_for(1);
	assert_count(rain, 0, 0);
	assert_count(time, 0, 0);
	count_more(time, 5);
	restart();
	rain = add_input("rain", COUNT_EDGES); /* it is back */
	run_for(1);
	assert_count(rain, 0, 3);
}
END_TEST

START_TEST(many_inputs_have_a_count_each)
{
	for (int i = 0; i < INPUTS; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "m%d", (i * 7) % INPUTS);
		count_more(add_input(name, COUNT_EDGES), (uint64_t)i + 1);
	}
	restart();
	for (int i = 0; i < INPUTS; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "m%d", (i * 7) % INPUTS);
		add_input(name, COUNT_EDGES);
	}
	run_for(1);
	for (int i = 0; i < INPUTS; i++)
		assert_count(i, 0, (uint64_t)i + 1);
}
END_TEST

START_TEST(what_was_counted_10_s_before_a_crash_is_kept)
{
	int rain = add_input("rain", COUNT_EDGES);

	run_for(1);
	for (int i = 0; i < 250; i++) {
		count_more(rain, 1);
		run_for(100 * USEC_PER_MSEC);
	}
	ck_assert_int_le(told.collected, 4); /* not at each change */
	end();
	assert_file("rain", 0, 200); /* of 250 */
	begin();
}
END_TEST

START_TEST(nothing_is_written_while_nothing_counts)
{
	int rain = add_input("rain", COUNT_EDGES);
	unsigned int written;

	run_for(1);
	count_more(rain, 1);
	run_for(60 * SECOND);
	written = atomic_load(&disk.written);
	ck_assert_uint_gt(written, 0);
	run_for(3600 * SECOND);
	ck_assert_uint_eq(atomic_load(&disk.written), written);
	ck_assert_int_le(told.collected, 2);
}
END_TEST

START_TEST(a_total_that_was_set_is_kept_at_once)
{
	int rain = add_input("rain", COUNT_EDGES);

	run_for(1);
	count_more(rain, 1);
	run_for(SECOND);
	set_total(rain, 12.5);
	run_for(1);
	end();
	assert_file("rain", 12.5, 0);
	begin();
}
END_TEST

/* --- before it is known --------------------------------------------------------------------- */

START_TEST(what_came_before_it_was_known_is_added_once)
{
	int rain = add_input("rain", COUNT_EDGES);

	run_for(1);
	set_total(rain, 100);
	count_more(rain, 7);
	restart();
	rain = add_input("rain", COUNT_EDGES);
	count_more(rain, 2); /* the file is being read */
	run_for(1);
	assert_count(rain, 100, 9);
	ck_assert_uint_eq(inputs[rain].count.run, 2);
	run_for(60 * SECOND);
	end();
	assert_file("rain", 100, 9);
	begin();
}
END_TEST

START_TEST(an_input_that_is_made_anew_goes_on)
{
	int rain = add_input("rain", COUNT_EDGES);

	run_for(1);
	count_more(rain, 5);
	restart();
	rain = add_input("rain", COUNT_EDGES);
	count_more(rain, 2);
	on_collect(&events); /* a reload, before the file was read, and after it */
	get(rain);
	ck_assert(!inputs[rain].is_known);
	count_more(rain, 1);
	run_for(1);
	assert_count(rain, 0, 8);
	count_more(rain, 1);
	on_collect(&events);
	get(rain);
	assert_count(rain, 0, 9);
	ck_assert_uint_eq(inputs[rain].count.run, 4);
}
END_TEST

START_TEST(a_total_that_is_set_before_it_is_known_stays)
{
	int rain = add_input("rain", COUNT_EDGES);

	run_for(1);
	count_more(rain, 5);
	restart();
	rain = add_input("rain", COUNT_EDGES);
	set_total(rain, 1000);
	run_for(1);
	assert_count(rain, 1000, 0);
	restart();
	rain = add_input("rain", COUNT_EDGES);
	run_for(1);
	assert_count(rain, 1000, 0);
}
END_TEST

/* --- faults --------------------------------------------------------------------------------- */

static const struct {
	int code;
	const char *words;
} disk_faults[] = {
	{ SQLITE_FULL, "No space left on device" },
	{ SQLITE_READONLY, "Read-only file system" },
};

START_TEST(a_disk_that_fails_is_told_once_and_loses_nothing)
{
	int rain = add_input("rain", COUNT_EDGES);
	char words[128];

	run_for(1);
	count_more(rain, 1);
	run_for(60 * SECOND);
	atomic_store(&disk.error, disk_faults[_i].code);
	for (int i = 0; i < 10; i++) {
		count_more(rain, 1);
		run_for(60 * SECOND);
	}
	(void)snprintf(words, sizeof(words), "%s| ", disk_faults[_i].words);
	ck_assert_str_eq(told.faults, words);
	atomic_store(&disk.error, 0);
	run_for(2 * COUNTS_WRITE_US); /* nothing else changes */
	(void)snprintf(words, sizeof(words), "%s| works| ", disk_faults[_i].words);
	ck_assert_str_eq(told.faults, words);
	end();
	assert_file("rain", 0, 11);
	begin();
}
END_TEST

START_TEST(a_disk_that_is_full_at_the_start_does_not_stop_anything)
{
	int rain;

	atomic_store(&disk.error, SQLITE_FULL);
	rain = add_input("rain", COUNT_EDGES);
	run_for(1);
	assert_count(rain, 0, 0); /* there is no file, so nothing was counted */
	count_more(rain, 3);
	run_for(60 * SECOND);
	ck_assert_str_eq(told.faults, "No space left on device| ");
	stop();
	end();
	begin(); /* it left an empty file at most */
	rain = add_input("rain", COUNT_EDGES);
	run_for(1);
	assert_count(rain, 0, 0);
	count_more(rain, 4);
	atomic_store(&disk.error, 0);
	restart();
	rain = add_input("rain", COUNT_EDGES);
	run_for(1);
	assert_count(rain, 0, 4);
}
END_TEST

START_TEST(a_missing_folder_is_told_once)
{
	int rain;

	ck_assert_int_eq(rmdir(folder), 0);
	rain = add_input("rain", COUNT_EDGES);
	run_for(1);
	assert_count(rain, 0, 0);
	ck_assert_str_eq(told.faults, ""); /* nothing is to be kept yet */
	count_more(rain, 3);
	run_for(60 * SECOND);
	ck_assert_str_eq(told.faults, "No such file or directory| ");
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	run_for(60 * SECOND);
	ck_assert_str_eq(told.faults, "No such file or directory| works| ");
	end();
	assert_file("rain", 0, 3);
	begin();
}
END_TEST

START_TEST(what_another_process_holds_is_known_when_it_lets_go)
{
	int rain = add_input("rain", COUNT_EDGES);
	char aside[DATABASE_PATH_SIZE];
	struct count_file *other;

	run_for(1);
	count_more(rain, 5);
	restart();
	ck_assert_int_eq(count_file_open(&other, spool_path, false, aside), 0);
	rain = add_input("rain", COUNT_EDGES);
	count_more(rain, 2);
	run_for(60 * SECOND);
	ck_assert(!inputs[rain].is_known);
	ck_assert_uint_eq(inputs[rain].count.amount, 2);
	ck_assert_str_eq(told.faults, "another process has it open| ");
	count_file_close(other);
	run_for(2 * SECOND);
	assert_count(rain, 0, 7);
	restart();
	rain = add_input("rain", COUNT_EDGES);
	run_for(1);
	assert_count(rain, 0, 7);
}
END_TEST

START_TEST(a_damaged_file_is_put_aside)
{
	int rain;

	write_file(spool_path, "this is no database, but a text of more than 16 bytes", 50);
	rain = add_input("rain", COUNT_EDGES);
	run_for(1);
	assert_count(rain, 0, 0);
	ck_assert_int_eq(access(told.aside, F_OK), 0);
	ck_assert_str_eq(told.faults, "");
	count_more(rain, 3);
	restart();
	rain = add_input("rain", COUNT_EDGES);
	run_for(1);
	assert_count(rain, 0, 3);
}
END_TEST

/* what we never write */
static const char *const bad_rows[] = {
	"UPDATE count SET amount = -1",
	"UPDATE count SET amount = 9223372036854775807", /* one more, and it would be negative */
	"UPDATE count SET amount = 'x'",
	"UPDATE count SET amount = 1.5",
	"UPDATE count SET start = 'x'",
	"UPDATE count SET start = 9e999",
	"UPDATE count SET start = -0.5",
	"UPDATE count SET start = 1.1e15",
	"UPDATE count SET kind = 'seconds'",
	"UPDATE count SET input = 'rain/2'",
	"UPDATE count SET input = ''",
	"UPDATE count SET input = printf('%.65c', 'x')",
	"CREATE TRIGGER t AFTER UPDATE ON count BEGIN UPDATE count SET amount = 0; END",
	"CREATE TABLE other (x)",
};

START_TEST(a_file_with_what_was_never_written_is_put_aside)
{
	int rain = add_input("rain", COUNT_EDGES);

	run_for(1);
	count_more(rain, 3);
	stop();
	end();
	execute(bad_rows[_i]);
	begin();
	rain = add_input("rain", COUNT_EDGES);
	run_for(1);
	assert_count(rain, 0, 0);
	ck_assert_str_ne(told.aside, "");
	count_more(rain, 1);
	restart();
	ck_assert_str_eq(told.aside, "");
}
END_TEST

/*
 * A byte of the key: a count is there twice, and what SQLite finds is the first. The version in the header: SQLite
 * only reads what is written by a later one
 */
START_TEST(a_file_in_which_the_disk_changed_a_byte_is_put_aside)
{
	static char bytes[1 << 16];
	FILE *file;
	size_t length;
	char *at;

	run_for(1);
	count_more(add_input("rain", COUNT_EDGES), 3);
	count_more(add_input("sain", COUNT_EDGES), 4);
	stop();
	end();
	file = fopen(spool_path, "r");
	ck_assert_ptr_nonnull(file);
	length = fread(bytes, 1, sizeof(bytes), file);
	(void)fclose(file);
	at = memmem(bytes, length, "sainedges", 9);
	ck_assert_ptr_nonnull(at);
	if (_i == 0)
		*at = 'r';
	else
		bytes[18] = 3;
	write_file(spool_path, bytes, length);
	begin();
	add_input("rain", COUNT_EDGES);
	run_for(1);
	assert_count(0, 0, 0);
	ck_assert_str_ne(told.aside, "");
}
END_TEST

START_TEST(a_file_of_another_program_is_left_alone)
{
	int rain;

	execute("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (42)");
	rain = add_input("rain", COUNT_EDGES);
	count_more(rain, 1);
	run_for(60 * SECOND);
	ck_assert(!inputs[rain].is_known);
	ck_assert_str_eq(told.faults, "it is another program's database| ");
	ck_assert_str_eq(told.aside, "");
	stop();
	execute("UPDATE theirs SET x = 43");
}
END_TEST

START_TEST(a_file_that_goes_while_it_runs_is_made_anew_with_all_of_it)
{
	int rain = add_input("rain", COUNT_EDGES), meter = add_input("meter", COUNT_EDGES);
	char garbage[4096];

	memset(garbage, 'x', sizeof(garbage));
	run_for(1);
	count_more(rain, 3);
	count_more(meter, 5);
	run_for(60 * SECOND);
	if (_i == 0)
		ck_assert_int_eq(unlink(spool_path), 0);
	else
		ck_assert_int_eq(truncate(spool_path, 100), 0);
	count_more(rain, 1);
	run_for(60 * SECOND);
	ck_assert_str_eq(told.faults,
			 _i == 0 ? "it was moved or deleted| works| " : "it is damaged| works| ");
	end();
	assert_file("rain", 0, 4);
	assert_file("meter", 0, 5);
	begin();
}
END_TEST

START_TEST(the_end_does_not_wait_for_a_disk_that_fails)
{
	int rain = add_input("rain", COUNT_EDGES);

	run_for(1);
	count_more(rain, 3);
	if (_i == 1)
		run_for(60 * SECOND);
	count_more(rain, 3);
	atomic_store(&disk.error, SQLITE_FULL);
	stop();
	ck_assert_str_eq(told.faults, "No space left on device| ");
}
END_TEST

/* --- SIGKILL -------------------------------------------------------------------------------- */

/* counts for ever, two at a time, and says how far the file is */
static _Noreturn void count_until_killed(int out)
{
	struct count_row rows[2] = { { .input = "a" }, { .input = "b" } };
	cleanup(freep) struct count_row *loaded = NULL;
	char aside[DATABASE_PATH_SIZE];
	struct count_file *file;
	size_t count = 0;

	if (count_file_open(&file, spool_path, false, aside) < 0 || aside[0] != '\0' ||
	    count_file_load(file, &loaded, &count) < 0)
		_exit(1);
	for (uint64_t amount = count > 0 ? loaded[0].count.amount + 1 : 1;; amount++) {
		rows[0].count.amount = rows[1].count.amount = amount;
		if (count_file_write(file, rows, 2) < 0 ||
		    write(out, &amount, sizeof(amount)) != sizeof(amount))
			_exit(1);
	}
}

START_TEST(a_kill_at_any_moment_tears_nothing)
{
	cleanup(freep) struct count_row *rows = NULL;
	char aside[DATABASE_PATH_SIZE];
	struct count_file *file;
	uint64_t said = 0;
	size_t count;

	for (int life = 0; life < 20; life++) {
		uint64_t before = said;
		int ends[2], status;
		pid_t pid;

		ck_assert_int_eq(pipe(ends), 0);
		pid = fork();
		if (pid == 0)
			count_until_killed(ends[1]);
		(void)close(ends[1]);
		while (said < before + (uint64_t)(life * 3 + 1))
			ck_assert_int_eq(read(ends[0], &said, sizeof(said)), sizeof(said));
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFSIGNALED(status));
		while (read(ends[0], &said, sizeof(said)) == sizeof(said))
			;
		(void)close(ends[0]);
		ck_assert_int_eq(count_file_open(&file, spool_path, false, aside), 0);
		ck_assert_str_eq(aside, "");
		ck_assert_int_eq(count_file_load(file, &rows, &count), 0);
		count_file_close(file);
		ck_assert_uint_eq(count, 2);
		ck_assert_uint_eq(rows[0].count.amount, rows[1].count.amount);
		ck_assert_uint_ge(rows[0].count.amount, said);
		ck_assert_uint_le(rows[0].count.amount, said + 1);
		said = rows[0].count.amount;
		free(take_ptr(rows));
	}
}
END_TEST

static TCase *fault_cases(void)
{
	TCase *cases = tcase_create("faults");

	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_loop_test(cases, a_disk_that_fails_is_told_once_and_loses_nothing, 0,
			    (int)ARRAY_SIZE(disk_faults));
	tcase_add_test(cases, a_disk_that_is_full_at_the_start_does_not_stop_anything);
	tcase_add_test(cases, a_missing_folder_is_told_once);
	tcase_add_test(cases, what_another_process_holds_is_known_when_it_lets_go);
	tcase_add_test(cases, a_damaged_file_is_put_aside);
	tcase_add_loop_test(cases, a_file_with_what_was_never_written_is_put_aside, 0,
			    (int)ARRAY_SIZE(bad_rows));
	tcase_add_loop_test(cases, a_file_in_which_the_disk_changed_a_byte_is_put_aside, 0, 2);
	tcase_add_test(cases, a_file_of_another_program_is_left_alone);
	tcase_add_loop_test(cases, a_file_that_goes_while_it_runs_is_made_anew_with_all_of_it, 0,
			    2);
	tcase_add_loop_test(cases, the_end_does_not_wait_for_a_disk_that_fails, 0, 2);
	tcase_add_test(cases, a_kill_at_any_moment_tears_nothing);
	return cases;
}

int main(void)
{
	Suite *suite = suite_create("counts");
	TCase *cases = tcase_create("counts");

	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_test(cases, nothing_is_opened_before_somebody_counts);
	tcase_add_test(cases, a_file_is_made_when_something_was_counted);
	tcase_add_test(cases, counts_are_there_after_a_restart);
	tcase_add_test(cases, another_name_or_another_kind_is_another_count);
	tcase_add_test(cases, many_inputs_have_a_count_each);
	tcase_add_test(cases, what_was_counted_10_s_before_a_crash_is_kept);
	tcase_add_test(cases, nothing_is_written_while_nothing_counts);
	tcase_add_test(cases, a_total_that_was_set_is_kept_at_once);
	tcase_add_test(cases, what_came_before_it_was_known_is_added_once);
	tcase_add_test(cases, an_input_that_is_made_anew_goes_on);
	tcase_add_test(cases, a_total_that_is_set_before_it_is_known_stays);
	suite_add_tcase(suite, cases);
	suite_add_tcase(suite, fault_cases());
	return suite_run(suite);
}
