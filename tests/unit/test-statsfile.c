/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file for Prometheus: how it comes to its place and goes, what is in the way, and what the log says. What is in it,
 * and the log, are the test's own. On the virtual clock, which waits for the worker.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "reactor-fixture.h"

#include "daemon/statsfile.h"
#include "iotd/clock.h"
#include "iotd/log.h"

#define SECOND USEC_PER_SEC

static char folder[] = "/tmp/iotd-test-statsfile-XXXXXX";
static char path[64], other[64];
static struct statsfile *statsfile;
static struct reactor_call again;
static int again_count;
static char logs[1024];	     /* '|' behind each */
static int log_count, error; /* ERRNO= of the last one */

void log_event(int level, const struct log_fields *fields, const char *format, ...)
{
	size_t length = strlen(logs);
	va_list arguments;

	ck_assert(level == LOG_WARNING || level == LOG_NOTICE);
	ck_assert_ptr_nonnull(fields->message_id);
	va_start(arguments, format);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is, the line above */
	(void)vsnprintf(logs + length, sizeof(logs) - length - 1, format, arguments);
	va_end(arguments);
	(void)stpcpy(logs + strlen(logs), "|");
	log_count++;
	error = fields->error;
}

/* --- what is written ------------------------------------------------------------------------ */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool hangs, is_hung, fails;
static int made; /* figures that were not freed yet */

/* the disk is full, and a moment later it is not */
static void fail_once(FILE *file)
{
	int kept = dup(fileno(file)), full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(dup2(full, fileno(file)), 0);
	ck_assert_int_ne(fflush(file), 0);
	ck_assert_int_ge(dup2(kept, fileno(file)), 0);
	(void)close(kept);
	(void)close(full);
}

void metrics_write(FILE *file, const struct figures *figures)
{
	ck_assert_int_ge(fprintf(file, "%llu\n", (unsigned long long)figures->spool_max_bytes), 0);
	(void)pthread_mutex_lock(&mutex);
	is_hung = hangs;
	(void)pthread_cond_broadcast(&changed);
	while (hangs)
		(void)pthread_cond_wait(&changed, &mutex);
	(void)pthread_mutex_unlock(&mutex);
	if (fails)
		fail_once(file);
}

struct figures *figures_free(struct figures *figures)
{
	made -= figures != NULL;
	free(figures);
	return NULL;
}

static void set_hangs(bool on)
{
	(void)pthread_mutex_lock(&mutex);
	hangs = on;
	(void)pthread_cond_broadcast(&changed);
	(void)pthread_mutex_unlock(&mutex);
}

static void await_hung(void)
{
	(void)pthread_mutex_lock(&mutex);
	while (!is_hung)
		(void)pthread_cond_wait(&changed, &mutex);
	(void)pthread_mutex_unlock(&mutex);
}

static void count_again(struct reactor_call *call)
{
	ck_assert_ptr_eq(call, &again);
	again_count++;
}

/* --- tools ---------------------------------------------------------------------------------- */

static void set_up(void)
{
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/iotd.prom", folder);
	(void)snprintf(other, sizeof(other), "%s/other.prom", folder);
	(void)umask(077); /* as in the unit */
	logs[0] = '\0';
	log_count = error = made = again_count = 0;
	again = (struct reactor_call){ .run = count_again };
	hangs = is_hung = fails = false;
	ck_assert_int_eq(reactor_new_virtual(&reactor, 0), 0);
	ck_assert_int_eq(workers_new(&workers, reactor, "work", 1), 0);
	ck_assert_int_eq(statsfile_new(&statsfile, reactor, workers, &again), 0);
}

static void tear_down(void)
{
	char command[80];

	ck_assert_int_eq(workers_free(workers, 20 * SECOND), 0);
	statsfile = statsfile_free(statsfile);
	reactor = reactor_free(reactor);
	ck_assert_int_eq(made, 0);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	ck_assert_int_eq(system(command), 0); /* NOLINT(cert-env33-c): our own folder */
}

static void begin_writing(const char *to, unsigned int number)
{
	struct figures *figures = calloc(1, sizeof(*figures));

	ck_assert_ptr_nonnull(figures);
	made++;
	figures->spool_max_bytes = number;
	ck_assert(statsfile_is_due(statsfile, to));
	statsfile_write(statsfile, to, figures);
}

/* and wait until it is back */
static void write_to(const char *to, unsigned int number)
{
	begin_writing(to, number);
	run_for(SECOND);
}

static void assert_file(const char *name, const char *wanted)
{
	char text[64] = "";
	FILE *file = fopen(name, "re");

	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
	(void)fclose(file);
	ck_assert_str_eq(text, wanted);
}

static bool is_there(const char *name)
{
	struct stat status;

	return lstat(name, &status) == 0;
}

static void put_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

static const char *temporary(void)
{
	static char name[80];

	(void)snprintf(name, sizeof(name), "%s.tmp", path);
	return name;
}

static void stop(void)
{
	struct future *stopped = statsfile_stop(statsfile);

	run_for(SECOND);
	ck_assert_int_eq(future_result(stopped), 0);
}

/* --- tests ---------------------------------------------------------------------------------- */

START_TEST(everybody_can_read_it_whatever_the_umask)
{
	struct stat status;

	write_to(path, 1);
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0644);
	assert_file(path, "1\n");
	ck_assert(!is_there(temporary()));
	ck_assert_int_eq(log_count, 0);
}
END_TEST

/* who has it open reads on in the old one */
START_TEST(each_time_it_is_another_file)
{
	char text[8] = "";
	FILE *reader;

	write_to(path, 1);
	reader = fopen(path, "re");
	ck_assert_ptr_nonnull(reader);
	write_to(path, 2);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), reader));
	ck_assert_str_eq(text, "1\n");
	(void)fclose(reader);
	assert_file(path, "2\n");
}
END_TEST

START_TEST(until_it_is_whole_the_old_one_stays)
{
	write_to(path, 1);
	set_hangs(true);
	begin_writing(path, 2);
	run_turn();
	await_hung();
	assert_file(path, "1\n");
	set_hangs(false);
	run_for(SECOND);
	assert_file(path, "2\n");
}
END_TEST

START_TEST(one_that_could_not_be_filled_does_not_replace_it)
{
	write_to(path, 1);
	fails = true;
	write_to(path, 2);
	assert_file(path, "1\n");
	ck_assert(!is_there(temporary()));
	ck_assert_int_eq(error, -ENOSPC);
	fails = false;
	write_to(path, 3);
	assert_file(path, "3\n");
}
END_TEST

START_TEST(nothing_is_due_without_a_path)
{
	ck_assert(!statsfile_is_due(statsfile, ""));
}
END_TEST

START_TEST(a_former_path_is_cleared)
{
	write_to(path, 1);
	write_to(other, 2);
	ck_assert(!is_there(path));
	assert_file(other, "2\n");
	write_to("", 3);
	ck_assert(!is_there(other));
	ck_assert(!statsfile_is_due(statsfile, ""));
	ck_assert_int_eq(log_count, 0);
}
END_TEST

/* a reload may come when a worker is at the former path */
START_TEST(another_path_is_due_when_the_job_is_back)
{
	set_hangs(true);
	begin_writing(path, 1);
	run_turn();
	await_hung();
	ck_assert(!statsfile_is_due(statsfile, path));
	ck_assert(!statsfile_is_due(statsfile, other));
	ck_assert_int_eq(again_count, 0);
	set_hangs(false);
	run_for(SECOND);
	ck_assert_int_eq(again_count, 1);
	write_to(other, 2);
	ck_assert(!is_there(path));
	assert_file(other, "2\n");
	ck_assert_int_eq(again_count, 1);
}
END_TEST

START_TEST(the_same_path_is_not_asked_for_again)
{
	set_hangs(true);
	begin_writing(path, 1);
	run_turn();
	await_hung();
	ck_assert(!statsfile_is_due(statsfile, path));
	set_hangs(false);
	run_for(SECOND);
	ck_assert_int_eq(again_count, 0);
}
END_TEST

START_TEST(it_goes_with_iotd)
{
	write_to(path, 1);
	stop();
	ck_assert(!is_there(path));
	ck_assert(!statsfile_is_due(statsfile, path));
}
END_TEST

START_TEST(a_stop_while_it_is_written_removes_it_too)
{
	set_hangs(true);
	begin_writing(path, 1);
	run_turn();
	await_hung();
	ck_assert_int_eq(future_result(statsfile_stop(statsfile)), -EINPROGRESS);
	set_hangs(false);
	run_for(SECOND);
	ck_assert_int_eq(future_result(statsfile_stop(statsfile)), 0);
	ck_assert(!is_there(path));
}
END_TEST

START_TEST(what_this_run_has_not_written_is_not_removed)
{
	put_file(path, "of another program\n");
	stop();
	assert_file(path, "of another program\n");
}
END_TEST

START_TEST(a_missing_folder_is_told_once_and_when_it_is_back)
{
	char moved[80];

	(void)snprintf(moved, sizeof(moved), "%s.away", folder);
	ck_assert_int_eq(rename(folder, moved), 0);
	for (unsigned int i = 0; i < 5; i++)
		write_to(path, i);
	ck_assert_int_eq(log_count, 1);
	ck_assert_int_eq(error, -ENOENT);
	ck_assert_ptr_nonnull(strstr(logs, path));
	ck_assert_ptr_nonnull(
		strstr(logs, "cannot be written: No such file or directory; trying again"));
	ck_assert_int_eq(rename(moved, folder), 0);
	write_to(path, 6);
	write_to(path, 7);
	ck_assert_int_eq(log_count, 2);
	ck_assert_ptr_nonnull(strstr(logs, "iotd.prom is written again after 5 s|"));
	assert_file(path, "7\n");
}
END_TEST

START_TEST(each_path_has_troubles_of_its_own)
{
	write_to("/no/such/folder/x.prom", 1);
	write_to(path, 2);
	ck_assert_int_eq(log_count, 1);
	write_to("/no/such/folder/y.prom", 3);
	ck_assert_int_eq(log_count, 2);
	ck_assert_ptr_nonnull(strstr(logs, "y.prom"));
	ck_assert(!is_there(path));
}
END_TEST

/* /dev/null is one of these */
START_TEST(what_is_no_regular_file_is_left_alone)
{
	struct stat status;

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	write_to(path, 1);
	ck_assert_int_eq(error, -ENODEV);
	ck_assert_int_eq(lstat(path, &status), 0);
	ck_assert(S_ISFIFO(status.st_mode));
	ck_assert_int_eq(mkdir(other, 0700), 0);
	write_to(other, 2);
	ck_assert_int_eq(error, -EISDIR);
	ck_assert_int_eq(log_count, 2);
}
END_TEST

START_TEST(what_somebody_left_in_the_way_is_not_followed)
{
	put_file(other, "a victim\n");
	ck_assert_int_eq(symlink(other, temporary()), 0);
	write_to(path, 1);
	assert_file(other, "a victim\n");
	assert_file(path, "1\n");
	put_file(temporary(), "of a run that was killed, and long\n");
	write_to(path, 2);
	assert_file(path, "2\n");
}
END_TEST

START_TEST(a_disk_that_hangs_is_told_after_10_s_and_nothing_waits)
{
	set_hangs(true);
	begin_writing(path, 1);
	run_turn();
	await_hung();
	reactor_release(reactor); /* the virtual clock goes on without the job */
	run_for(9 * SECOND);
	ck_assert(!statsfile_is_due(statsfile, path));
	ck_assert_int_eq(log_count, 0);
	run_for(SECOND);
	ck_assert(!statsfile_is_due(statsfile, path));
	ck_assert(!statsfile_is_due(statsfile, other));
	ck_assert_int_eq(log_count, 1);
	ck_assert_int_eq(error, -ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(logs, "no answer, its file system hangs"));
	reactor_hold(reactor);
	set_hangs(false);
	run_for(SECOND);
	ck_assert_int_eq(log_count, 2);
	ck_assert_ptr_nonnull(strstr(logs, "is written again"));
	assert_file(path, "1\n");
	ck_assert(statsfile_is_due(statsfile, path));
}
END_TEST

START_TEST(without_workers_it_ends_all_the_same)
{
	struct figures *figures = calloc(1, sizeof(*figures));

	write_to(path, 1);
	ck_assert_int_eq(workers_free(workers, 20 * SECOND), 0);
	made++;
	statsfile_write(statsfile, path, figures);
	ck_assert_int_eq(error, -ESHUTDOWN);
	ck_assert_int_eq(future_result(statsfile_stop(statsfile)), 0);
	workers = NULL;
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("statsfile");
	TCase *cases = tcase_create("statsfile");

	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_test(cases, everybody_can_read_it_whatever_the_umask);
	tcase_add_test(cases, each_time_it_is_another_file);
	tcase_add_test(cases, until_it_is_whole_the_old_one_stays);
	tcase_add_test(cases, one_that_could_not_be_filled_does_not_replace_it);
	tcase_add_test(cases, nothing_is_due_without_a_path);
	tcase_add_test(cases, a_former_path_is_cleared);
	tcase_add_test(cases, another_path_is_due_when_the_job_is_back);
	tcase_add_test(cases, the_same_path_is_not_asked_for_again);
	tcase_add_test(cases, it_goes_with_iotd);
	tcase_add_test(cases, a_stop_while_it_is_written_removes_it_too);
	tcase_add_test(cases, what_this_run_has_not_written_is_not_removed);
	tcase_add_test(cases, a_missing_folder_is_told_once_and_when_it_is_back);
	tcase_add_test(cases, each_path_has_troubles_of_its_own);
	tcase_add_test(cases, what_is_no_regular_file_is_left_alone);
	tcase_add_test(cases, what_somebody_left_in_the_way_is_not_followed);
	tcase_add_test(cases, a_disk_that_hangs_is_told_after_10_s_and_nothing_waits);
	tcase_add_test(cases, without_workers_it_ends_all_the_same);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
