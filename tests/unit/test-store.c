/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The spool's file, with real files: what it keeps, what it survives, and what it says when it fails. */
#include <signal.h>
#include <sys/resource.h>

#include "spool-fixture.h"
#include "spool/store.h"

#define ROWS 500

static struct store *store;
static char aside[STORE_PATH_SIZE];

static struct message *numbered_message(int number)
{
	struct message *message;
	char topic[32], payload[128];
	int length;

	(void)snprintf(topic, sizeof(topic), "t/%d", number % 7);
	length = snprintf(payload, sizeof(payload), "%d %.*s", number, number % 90,
			  "........................................................................"
			  "..................");
	ck_assert_int_eq(message_new(&message, topic, payload, (size_t)length), 0);
	return message;
}

static int number_of(const struct message *message)
{
	return (int)strtol((const char *)message->payload, NULL, 10);
}

static void open_store(void)
{
	ck_assert_int_eq(store_open(&store, spool_path, false, aside), 0);
}

static void reopen_store(void)
{
	store = store_close(store);
	open_store();
}

static void setup(void)
{
	make_folder();
	disk_install();
	open_store();
}

static void teardown(void)
{
	store = store_close(store);
	remove_folder();
}

/* Return: as store_write() */
static int append(int first, int count, int64_t *first_row)
{
	struct message *messages[ROWS];
	struct store_result result = { 0 };
	const struct store_change change = { .messages = messages, .message_count = (size_t)count };
	int r;

	for (int i = 0; i < count; i++)
		messages[i] = numbered_message(first + i);
	r = store_write(store, &change, &result);
	for (int i = 0; i < count; i++)
		message_free(messages[i]);
	if (first_row)
		*first_row = result.first_row;
	return r;
}

static int remove_some(const int64_t *rows, size_t count)
{
	const struct store_change change = { .removed = rows, .removed_count = count };
	struct store_result result;

	return store_write(store, &change, &result);
}

/* the numbers that the file holds, in its order. Return: how many */
static int numbers(int *found, int limit)
{
	struct message *messages[2 * ROWS];
	int count;

	count = store_load(store, 1, INT64_MAX, messages, 2 * ROWS);
	ck_assert_int_ge(count, 0);
	ck_assert_int_le(count, limit);
	for (int i = 0; i < count; i++) {
		found[i] = number_of(messages[i]);
		message_free(messages[i]);
	}
	return count;
}

/* exactly these, in order */
static void expect_numbers(int first, int count)
{
	int found[2 * ROWS];

	ck_assert_int_eq(numbers(found, 2 * ROWS), count);
	for (int i = 0; i < count; i++)
		ck_assert_int_eq(found[i], first + i);
}

START_TEST(keeps_every_field_and_byte)
{
	static const char payload[] = "a\0b\xff'\"";
	struct message *message, *loaded[2];
	const struct store_change change = { .messages = &message, .message_count = 1 };
	struct store_result result;

	ck_assert_int_eq(message_new(&message, "t/°C", payload, sizeof(payload)), 0);
	message->qos = 2;
	message->retain = true;
	message->expires_us = 1LL << 50;
	ck_assert_int_eq(store_write(store, &change, &result), 0);
	message->length = 0; /* an empty payload */
	message->retain = false;
	ck_assert_int_eq(store_write(store, &change, &result), 0);
	reopen_store();
	ck_assert_int_eq(store_load(store, 1, INT64_MAX, loaded, 2), 2);
	ck_assert_str_eq(loaded[0]->topic, "t/°C");
	ck_assert_uint_eq(loaded[0]->length, sizeof(payload));
	ck_assert_mem_eq(loaded[0]->payload, payload, sizeof(payload));
	ck_assert_uint_eq(loaded[0]->qos, 2);
	ck_assert(loaded[0]->retain && !loaded[1]->retain);
	ck_assert_int_eq(loaded[0]->expires_us, 1LL << 50);
	ck_assert_int_eq(loaded[1]->expires_us, 1LL << 50);
	ck_assert_int_eq(loaded[1]->row, loaded[0]->row + 1);
	ck_assert_uint_eq(loaded[1]->length, 0);
	message_free(loaded[0]);
	message_free(loaded[1]);
	message_free(message);
}
END_TEST

START_TEST(order_and_row_numbers_last_over_a_restart)
{
	int64_t first, second, third;
	int64_t all[20];

	ck_assert_int_eq(append(0, 10, &first), 0);
	reopen_store();
	ck_assert_int_eq(append(10, 10, &second), 0);
	ck_assert_int_eq(second, first + 10);
	expect_numbers(0, 20);
	for (int i = 0; i < 20; i++)
		all[i] = first + i;
	ck_assert_int_eq(remove_some(all, 20), 0);
	reopen_store();
	expect_numbers(0, 0);
	ck_assert_int_eq(append(20, 1, &third), 0);
	ck_assert_int_gt(third, second + 9); /* never used twice */
}
END_TEST

START_TEST(each_write_is_synced)
{
	for (int i = 0; i < 20; i++) {
		unsigned int synced = atomic_load(&disk.synced);

		ck_assert_int_eq(append(i, 1, NULL), 0);
		ck_assert_uint_gt(atomic_load(&disk.synced), synced);
	}
}
END_TEST

START_TEST(rows_tell_what_is_there)
{
	struct store_rows rows;
	uint64_t bytes = 0;
	int64_t first;

	ck_assert_int_eq(store_rows(store, &rows), 0);
	ck_assert_uint_eq(rows.count, 0);
	ck_assert_int_eq(rows.first, 0);
	ck_assert_int_eq(rows.last, 0);
	ck_assert_uint_eq(rows.bytes, 0);
	ck_assert_int_eq(append(0, 100, &first), 0);
	for (int i = 0; i < 100; i++) {
		struct message *message = numbered_message(i);

		bytes += store_size(message);
		message_free(message);
	}
	ck_assert_int_eq(store_rows(store, &rows), 0);
	ck_assert_uint_eq(rows.count, 100);
	ck_assert_int_eq(rows.first, first);
	ck_assert_int_eq(rows.last, first + 99);
	ck_assert_uint_eq(rows.bytes, bytes);
}
END_TEST

START_TEST(removes_in_any_order)
{
	int64_t first, rows[6];
	int found[10];
	static const int gone[] = { 3, 4, 5, 9, 0, 99 };

	ck_assert_int_eq(append(0, 10, &first), 0);
	for (int i = 0; i < 6; i++)
		rows[i] = first + gone[i];
	ck_assert_int_eq(remove_some(rows, 6), 0);
	ck_assert_int_eq(remove_some(rows, 6), 0); /* a second time: nothing */
	ck_assert_int_eq(numbers(found, 10), 5);
	ck_assert_int_eq(found[0], 1);
	ck_assert_int_eq(found[2], 6);
	ck_assert_int_eq(found[4], 8);
}
END_TEST

START_TEST(loads_a_range_up_to_a_limit)
{
	struct message *messages[4];
	int64_t first;

	ck_assert_int_eq(append(0, 10, &first), 0);
	ck_assert_int_eq(store_load(store, first + 2, first + 8, messages, 4), 4);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(messages[i]->row, first + 2 + i);
		ck_assert_int_eq(number_of(messages[i]), 2 + i);
		message_free(messages[i]);
	}
	ck_assert_int_eq(store_load(store, first + 8, first + 8, messages, 4), 1);
	message_free(messages[0]);
	ck_assert_int_eq(store_load(store, first + 10, INT64_MAX, messages, 4), 0);
}
END_TEST

START_TEST(loads_less_at_a_time_when_rows_are_large)
{
	struct message *large, *messages[16];
	const struct store_change change = { .messages = &large, .message_count = 1 };
	struct store_result result;
	char *payload = calloc(1, 400000);

	ck_assert_int_eq(message_new(&large, "t", payload, 400000), 0);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(store_write(store, &change, &result), 0);
	ck_assert_int_eq(store_load(store, 1, INT64_MAX, messages, 16), 3);
	for (int i = 0; i < 3; i++)
		message_free(messages[i]);
	message_free(large);
	free(payload);
}
END_TEST

static int trim(int64_t first, int64_t last, uint64_t bytes, struct store_rows *trimmed)
{
	const struct store_change change = { .trim = { first, last, 1, bytes } };
	struct store_result result = { 0 };
	int r = store_write(store, &change, &result);

	*trimmed = result.trimmed;
	return r;
}

START_TEST(trims_the_oldest_of_a_range_to_the_byte)
{
	struct message *one = numbered_message(0);
	uint64_t size = store_size(one);
	struct store_rows trimmed;
	struct message *messages[10];
	const struct store_change change = { .messages = messages, .message_count = 10 };
	struct store_result result;
	int64_t first;

	for (int i = 0; i < 10; i++)
		messages[i] = one;
	ck_assert_int_eq(store_write(store, &change, &result), 0);
	first = result.first_row;
	ck_assert_int_eq(trim(first + 2, first + 8, 3 * size, &trimmed), 0);
	ck_assert_uint_eq(trimmed.count, 3);
	ck_assert_int_eq(trimmed.first, first + 2);
	ck_assert_int_eq(trimmed.last, first + 4);
	ck_assert_uint_eq(trimmed.bytes, 3 * size);
	ck_assert_int_eq(trim(first + 5, first + 8, size + 1, &trimmed), 0);
	ck_assert_uint_eq(trimmed.count, 2);
	ck_assert_int_eq(trim(first + 7, first + 8, 1000000, &trimmed), 0);
	ck_assert_uint_eq(trimmed.count, 2); /* no more in the range */
	ck_assert_int_eq(trim(first + 7, first + 8, 1, &trimmed), 0);
	ck_assert_uint_eq(trimmed.count, 0);
	ck_assert_int_eq(store_load(store, 1, INT64_MAX, messages, 10), 3);
	for (int i = 0; i < 3; i++)
		message_free(messages[i]);
	message_free(one);
}
END_TEST

/* --- what expires --------------------------------------------------------------------------- */

#define NOON_US 1795353300000000LL

static int append_until(const int64_t *expires_us, int count, int64_t *first_row)
{
	struct message *messages[ROWS];
	struct store_result result = { 0 };
	const struct store_change change = { .messages = messages, .message_count = (size_t)count };
	int r;

	for (int i = 0; i < count; i++) {
		messages[i] = numbered_message(i);
		messages[i]->expires_us = expires_us[i];
	}
	r = store_write(store, &change, &result);
	for (int i = 0; i < count; i++)
		message_free(messages[i]);
	*first_row = result.first_row;
	return r;
}

/* written 100 s after a boot, read 10 s after the next one, 60 s later by the wall clock */
START_TEST(what_expires_does_so_by_the_wall_clock)
{
	static const int64_t expires_us[] = { 0, 161000000, 160000000, 159999999, 100000001 };
	static const int64_t loaded_us[] = { 0, 11000000, 10000000, 9999999, 1 };
	struct message *messages[8];
	int64_t first;

	store_set_clock(store, NOON_US, 100000000);
	ck_assert_int_eq(append_until(expires_us, 5, &first), 0);
	reopen_store();
	store_set_clock(store, NOON_US + 60000000, 10000000);
	ck_assert_int_eq(store_load(store, 1, INT64_MAX, messages, 8), 5);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(messages[i]->expires_us, loaded_us[i]);
		message_free(messages[i]);
	}
}
END_TEST

START_TEST(trims_the_oldest_that_are_over)
{
	static const int64_t expires_us[] = { 100, 100, 101, 0, 100, 100 };
	struct store_change change = { 0 };
	struct store_result result;
	int64_t first;

	store_set_clock(store, NOON_US, 1);
	ck_assert_int_eq(append_until(expires_us, 6, &first), 0);
	change.trim = (struct store_rows){ first, first + 5, 6, 0 };
	store_set_clock(store, NOON_US + 98, 1); /* a microsecond too early */
	ck_assert_int_eq(store_write(store, &change, &result), 0);
	ck_assert_uint_eq(result.trimmed.count, 0);
	store_set_clock(store, NOON_US + 99, 1);
	ck_assert_int_eq(store_write(store, &change, &result), 0);
	ck_assert_uint_eq(result.trimmed.count, 2);
	ck_assert_uint_eq(result.expired, 2);
	ck_assert_int_eq(result.trimmed.last, first + 1);
	change.trim = (struct store_rows){ first + 2, first + 5, 4, 1 };
	ck_assert_int_eq(store_write(store, &change, &result), 0);
	ck_assert_uint_eq(result.trimmed.count, 1); /* for its size: it is not over */
	ck_assert_uint_eq(result.expired, 0);
	change.trim = (struct store_rows){ first + 3, first + 5, 3, 1 };
	ck_assert_int_eq(store_write(store, &change, &result), 0);
	ck_assert_uint_eq(result.trimmed.count, 3); /* one for its size, and those behind it */
	ck_assert_uint_eq(result.expired, 2);
	expect_numbers(0, 0);
}
END_TEST

/* --- a disk that fails ---------------------------------------------------------------------- */

static const struct {
	int code, error;
} disk_faults[] = {
	{ SQLITE_FULL, -ENOSPC },
	{ SQLITE_IOERR_WRITE, -EIO },
	{ SQLITE_IOERR_FSYNC, -EIO },
};

START_TEST(all_or_nothing_when_the_disk_fails)
{
	struct message *message = numbered_message(ROWS);
	struct store_change change = { .messages = &message,
				       .message_count = 1,
				       .removed_count = 1 };
	struct store_result result = { .first_row = 77 };
	int64_t first;
	int r;

	ck_assert_int_eq(append(0, ROWS, &first), 0);
	change.removed = &first;
	change.trim = (struct store_rows){ first + 1, first + 9, 9, 1 };
	atomic_store(&disk.error, disk_faults[_i].code);
	r = store_write(store, &change, &result);
	atomic_store(&disk.error, 0);
	ck_assert_msg(r < 0, "%d", r);
	if (disk_faults[_i].error != -EIO) /* else it is whatever errno was */
		ck_assert_int_eq(r, disk_faults[_i].error);
	ck_assert_int_eq(result.first_row, 77);
	expect_numbers(0, ROWS);
	ck_assert_int_eq(store_write(store, &change, &result), 0); /* and it works again */
	reopen_store();
	ck_assert_str_eq(aside, "");
	expect_numbers(2, ROWS - 1);
	message_free(message);
}
END_TEST

START_TEST(a_file_size_limit_is_an_error_and_nothing_else)
{
	struct rlimit limit, small = { 100000, RLIM_INFINITY };
	int next = 0, r = 0;

	(void)signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	while (next < 2 * ROWS - 50 && (r = append(next, 50, NULL)) == 0)
		next += 50;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_lt(r, 0);
	expect_numbers(0, next);
	ck_assert_int_eq(append(next, 50, NULL), 0);
	reopen_store();
	ck_assert_str_eq(aside, "");
	expect_numbers(0, next + 50);
}
END_TEST

START_TEST(a_missing_folder_is_no_entry)
{
	char path[128];

	store = store_close(store);
	(void)snprintf(path, sizeof(path), "%s/no/spool.db", folder);
	ck_assert_int_eq(store_open(&store, path, false, aside), -ENOENT);
	ck_assert_int_eq(store_open(&store, folder, false, aside), -EISDIR);
	(void)snprintf(path, sizeof(path), "%s/no", folder);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/no/spool.db", folder);
	ck_assert_int_eq(store_open(&store, path, false, aside), 0);
}
END_TEST

START_TEST(what_may_not_be_written_is_no_access)
{
	store = store_close(store);
	drop_root();
	ck_assert_int_eq(chmod(spool_path, 0400), 0);
	ck_assert_int_eq(store_open(&store, spool_path, false, aside), -EACCES);
	ck_assert_int_eq(chmod(spool_path, 0), 0);
	ck_assert_int_eq(store_open(&store, spool_path, false, aside), -EACCES);
	ck_assert_int_eq(unlink(spool_path), 0);
	ck_assert_int_eq(chmod(folder, 0500), 0);
	ck_assert_int_eq(store_open(&store, spool_path, false, aside), -EACCES);
	ck_assert_int_eq(chmod(folder, 0700), 0);
	ck_assert_int_eq(store_open(&store, spool_path, false, aside), 0);
}
END_TEST

START_TEST(a_second_owner_is_refused)
{
	struct store *second;

	ck_assert_int_eq(append(0, 1, NULL), 0);
	ck_assert_int_eq(store_open(&second, spool_path, false, aside), -EBUSY);
	ck_assert_str_eq(aside, "");
	expect_numbers(0, 1);
}
END_TEST

START_TEST(a_file_that_was_moved_or_deleted_is_stale)
{
	char elsewhere[128];

	ck_assert_int_eq(append(0, 1, NULL), 0);
	(void)snprintf(elsewhere, sizeof(elsewhere), "%s-moved", spool_path);
	ck_assert_int_eq(rename(spool_path, elsewhere), 0);
	ck_assert_int_eq(append(1, 1, NULL), -ESTALE);
	ck_assert_int_eq(rename(elsewhere, spool_path), 0);
	ck_assert_int_eq(append(1, 1, NULL), 0);
	ck_assert_int_eq(unlink(spool_path), 0);
	ck_assert_int_eq(append(2, 1, NULL), -ESTALE);
	reopen_store();
	expect_numbers(0, 0);
}
END_TEST

/* --- a damaged file ------------------------------------------------------------------------- */

static char before[1 << 20], after[1 << 20];

/* close, change the file by @damage, open: it must be put aside as it was, and a new one work */
static void expect_aside(void (*damage)(char *data, size_t size))
{
	size_t size;

	store = store_close(store);
	size = read_file(spool_path, before, sizeof(before));
	damage(before, size);
	write_file(spool_path, before, size);
	open_store();
	ck_assert_msg(strncmp(aside, spool_path, strlen(spool_path)) == 0, "\"%s\"", aside);
	ck_assert_ptr_nonnull(strstr(aside, ".damaged-20"));
	ck_assert_uint_eq(read_file(aside, after, sizeof(after)), size);
	ck_assert_mem_eq(before, after, size);
	expect_numbers(0, 0);
	ck_assert_int_eq(append(5, 10, NULL), 0);
	expect_numbers(5, 10);
}

static void garbage_header(char *data, size_t size)
{
	ck_assert_uint_gt(size, 100);
	memset(data, 'x', 100);
}

static void garbage_all(char *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		data[i] = (char)(i * 7);
}

/* all that is behind the schema's page */
static void flipped_pages(char *data, size_t size)
{
	for (size_t i = 4096; i < size; i++)
		data[i] ^= (char)0x55;
}

static void (*const damages[])(char *data, size_t size) = {
	garbage_header,
	garbage_all,
	flipped_pages,
};

START_TEST(a_damaged_file_is_put_aside_and_kept)
{
	ck_assert_int_eq(append(0, ROWS, NULL), 0);
	expect_aside(damages[_i]);
}
END_TEST

START_TEST(two_damaged_files_in_one_second_are_both_kept)
{
	char first[STORE_PATH_SIZE];

	ck_assert_int_eq(append(0, 10, NULL), 0);
	expect_aside(garbage_header);
	(void)snprintf(first, sizeof(first), "%s", aside);
	expect_aside(garbage_all);
	ck_assert_str_ne(first, aside);
	ck_assert_int_eq(access(first, F_OK), 0);
	store = store_close(store);
	ck_assert_int_eq(store_open(&store, spool_path, true, aside), 0); /* though it is sound */
	ck_assert_str_ne(aside, "");
	ck_assert_int_eq(access(aside, F_OK), 0);
	expect_numbers(0, 0);
}
END_TEST

/* user_version and application_id: sqlite.org, "Database File Format", 1.3 */
static bool is_whose(size_t offset)
{
	return (offset >= 60 && offset < 64) || (offset >= 68 && offset < 72);
}

START_TEST(any_flipped_byte_is_survived)
{
	size_t size;
	unsigned int put_aside = 0, tried = 0;

	ck_assert_int_eq(append(0, ROWS, NULL), 0);
	store = store_close(store);
	size = read_file(spool_path, before, sizeof(before));
	for (size_t i = 0; i < size; i += i < 600 ? 7 : 251) {
		int found[2 * ROWS], count, r;
		struct store_rows rows;

		before[i] ^= (char)0xff;
		write_file(spool_path, before, size);
		before[i] ^= (char)0xff;
		r = store_open(&store, spool_path, false, aside);
		if (is_whose(i)) { /* says that it is somebody else's */
			ck_assert(r == -EPROTONOSUPPORT || r == -EMEDIUMTYPE);
			continue;
		}
		ck_assert_int_eq(r, 0);
		put_aside += aside[0] != '\0';
		if (aside[0])
			ck_assert_int_eq(unlink(aside), 0);
		count = store_rows(store, &rows) == 0 ? numbers(found, 2 * ROWS) : 0;
		ck_assert_int_eq(count, aside[0] ? 0 : ROWS);
		ck_assert_int_eq(append(0, 1, NULL), 0);
		store = store_close(store);
		tried++;
	}
	ck_assert_uint_gt(tried, 100);
	ck_assert_uint_gt(put_aside, 10);
}
END_TEST

/* what a power cut leaves: the file and its log as they are while it is open */
START_TEST(a_torn_log_gives_back_whole_batches)
{
	char wal[128], copy[128], copied_wal[136];
	size_t size, wal_size;

	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(append(i * 20, 20, NULL), 0);
	(void)snprintf(wal, sizeof(wal), "%s-wal", spool_path);
	(void)snprintf(copy, sizeof(copy), "%s/copy.db", folder);
	(void)snprintf(copied_wal, sizeof(copied_wal), "%s-wal", copy);
	size = read_file(spool_path, before, sizeof(before));
	wal_size = read_file(wal, after, sizeof(after));
	ck_assert_uint_gt(wal_size, 20000);
	store = store_close(store);
	for (size_t length = 0, last = 0; length <= wal_size; length += 997) {
		int found[2 * ROWS], count;

		write_file(copy, before, size);
		write_file(copied_wal, after, length);
		ck_assert_int_eq(store_open(&store, copy, false, aside), 0);
		ck_assert_str_eq(aside, "");
		count = numbers(found, 2 * ROWS);
		ck_assert_int_eq(count % 20, 0);
		ck_assert_int_ge(count, (int)last);
		last = (size_t)count;
		for (int i = 0; i < count; i++)
			ck_assert_int_eq(found[i], i);
		store = store_close(store);
		(void)unlink(copied_wal);
		ck_assert_int_eq(unlink(copy), 0);
		if (length + 997 > wal_size)
			ck_assert_int_ge(count, 180);
	}
}
END_TEST

/* --- a file that somebody else made --------------------------------------------------------- */

static void raw_sql(const char *sql)
{
	sqlite3 *db;
	char *why = NULL;

	store = store_close(store);
	ck_assert_int_eq(sqlite3_open(spool_path, &db), SQLITE_OK);
	(void)sqlite3_exec(db, sql, NULL, NULL, &why);
	ck_assert_msg(!why, "%s", why ? why : "");
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

#define INSERT "INSERT INTO reading (row, topic, payload, qos, retain, expiry) VALUES "

static const struct {
	const char *sql;
	int open, rows, load; /* what they return; 1: not asked */
	bool is_aside;
} strange_files[] = {
	{ "DROP TABLE reading; CREATE TABLE reading (x)", 0, 0, 0, true },
	{ "DROP TABLE reading; CREATE VIEW reading AS SELECT 1 AS row", 0, 0, 0, true },
	{ INSERT "(-5, 't', 'x', 1, 0, 0)", 0, -EBADMSG, 0, false },
	{ INSERT "(9223372036854775807, 't', 'x', 1, 0, 0)", 0, -EBADMSG, 1, false },
	{ INSERT "(7, 't', zeroblob(17000000), 1, 0, 0)", 0, 0, -EBADMSG, false },
	{ INSERT "(7, x'00', 5, 'much', 'yes', -1)", 0, 0, 1, false },
	{ "PRAGMA user_version = 0", 0, 0, 0, true },
	{ INSERT "(4611686018427387904, 't', 'x', 1, 0, 0); DELETE FROM reading", 0, -EBADMSG, 0,
	  false },
	{ "INSERT INTO sqlite_sequence VALUES ('reading', 'x')", 0, -EBADMSG, 0, false },
	{ "CREATE TABLE other (x); INSERT INTO other VALUES (1)", 0, 0, 0, true },
	{ "CREATE TRIGGER t BEFORE INSERT ON reading BEGIN SELECT RAISE(IGNORE); END", 0, 0, 0,
	  true },
	{ "CREATE TRIGGER t AFTER INSERT ON reading BEGIN DELETE FROM reading; END", 0, 0, 0,
	  true },
	{ "CREATE UNIQUE INDEX i ON reading (topic)", 0, 0, 0, true },
	{ "DROP TABLE reading; CREATE TABLE reading (row, topic, payload, qos, retain, expiry)", 0,
	  0, 0, true },
	{ "DROP TABLE reading; CREATE VIEW reading AS WITH RECURSIVE c (row) AS"
	  " (SELECT 1 UNION ALL SELECT row + 1 FROM c) SELECT row, 't' AS topic, 'x' AS payload,"
	  " 1 AS qos, 0 AS retain, 0 AS expiry FROM c", /* it never ends */
	  0, 0, 0, true },
};

static const struct {
	const char *sql;
	int error;
} others_files[] = {
	{ "PRAGMA user_version = 2", -EPROTONOSUPPORT },
	{ "PRAGMA application_id = 252006673", -EMEDIUMTYPE },
	{ "PRAGMA application_id = 0", -EMEDIUMTYPE },
	{ "PRAGMA application_id = 0; PRAGMA user_version = 0; DROP TABLE reading;"
	  "CREATE TABLE places (url)",
	  -EMEDIUMTYPE },
};

START_TEST(a_file_of_somebody_else_is_left_alone)
{
	size_t size;

	raw_sql(others_files[_i].sql);
	size = read_file(spool_path, before, sizeof(before));
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(store_open(&store, spool_path, false, aside),
				 others_files[_i].error);
	ck_assert_str_eq(aside, "");
	ck_assert_uint_eq(read_file(spool_path, after, sizeof(after)), size);
	ck_assert_mem_eq(before, after, size);
}
END_TEST

START_TEST(what_is_no_regular_file_is_refused)
{
	store = store_close(store);
	ck_assert_int_eq(unlink(spool_path), 0);
	ck_assert_int_eq(mkdir(spool_path, 0700), 0);
	ck_assert_int_eq(store_open(&store, spool_path, false, aside), -EISDIR);
	ck_assert_int_eq(rmdir(spool_path), 0);
	ck_assert_int_eq(mkfifo(spool_path, 0600), 0);
	ck_assert_int_eq(store_open(&store, spool_path, false, aside), -ENODEV);
	ck_assert_str_eq(aside, "");
}
END_TEST

START_TEST(a_file_that_was_cut_off_is_damaged)
{
	for (int i = 0; i < 60; i++) /* more than stays in the log */
		ck_assert_int_eq(append(i * ROWS, ROWS, NULL), 0);
	ck_assert_int_eq(truncate(spool_path, 8192), 0);
	ck_assert_int_eq(append(0, 1, NULL), -EBADMSG);
}
END_TEST

START_TEST(strange_files_do_no_harm)
{
	struct message *messages[4];
	struct store_rows rows;
	int r;

	raw_sql(strange_files[_i].sql);
	ck_assert_int_eq(store_open(&store, spool_path, false, aside), strange_files[_i].open);
	ck_assert_int_eq(aside[0] != '\0', strange_files[_i].is_aside);
	ck_assert_int_eq(store_rows(store, &rows), strange_files[_i].rows);
	r = store_load(store, 1, INT64_MAX, messages, 4);
	if (strange_files[_i].load <= 0)
		ck_assert_int_eq(r, strange_files[_i].load);
	for (int i = 0; i < r; i++)
		message_free(messages[i]);
}
END_TEST

START_TEST(close_takes_null_and_leaves_one_file)
{
	char wal[128];

	ck_assert_ptr_null(store_close(NULL));
	ck_assert_int_eq(append(0, 10, NULL), 0);
	store = store_close(store);
	(void)snprintf(wal, sizeof(wal), "%s-wal", spool_path);
	ck_assert_int_lt(access(wal, F_OK), 0);
	(void)snprintf(wal, sizeof(wal), "%s-shm", spool_path);
	ck_assert_int_lt(access(wal, F_OK), 0);
	open_store();
	expect_numbers(0, 10);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store");
	TCase *tests = tcase_create("store");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, keeps_every_field_and_byte);
	tcase_add_test(tests, order_and_row_numbers_last_over_a_restart);
	tcase_add_test(tests, each_write_is_synced);
	tcase_add_test(tests, rows_tell_what_is_there);
	tcase_add_test(tests, removes_in_any_order);
	tcase_add_test(tests, loads_a_range_up_to_a_limit);
	tcase_add_test(tests, loads_less_at_a_time_when_rows_are_large);
	tcase_add_test(tests, trims_the_oldest_of_a_range_to_the_byte);
	tcase_add_test(tests, what_expires_does_so_by_the_wall_clock);
	tcase_add_test(tests, trims_the_oldest_that_are_over);
	tcase_add_loop_test(tests, all_or_nothing_when_the_disk_fails, 0, ARRAY_SIZE(disk_faults));
	tcase_add_test(tests, a_file_size_limit_is_an_error_and_nothing_else);
	tcase_add_test(tests, a_missing_folder_is_no_entry);
	tcase_add_test(tests, what_may_not_be_written_is_no_access);
	tcase_add_test(tests, a_second_owner_is_refused);
	tcase_add_test(tests, a_file_that_was_moved_or_deleted_is_stale);
	tcase_add_loop_test(tests, a_damaged_file_is_put_aside_and_kept, 0, ARRAY_SIZE(damages));
	tcase_add_test(tests, two_damaged_files_in_one_second_are_both_kept);
	tcase_add_test(tests, any_flipped_byte_is_survived);
	tcase_add_test(tests, a_torn_log_gives_back_whole_batches);
	tcase_add_loop_test(tests, strange_files_do_no_harm, 0, ARRAY_SIZE(strange_files));
	tcase_add_loop_test(tests, a_file_of_somebody_else_is_left_alone, 0,
			    ARRAY_SIZE(others_files));
	tcase_add_test(tests, what_is_no_regular_file_is_refused);
	tcase_add_test(tests, a_file_that_was_cut_off_is_damaged);
	tcase_add_test(tests, close_takes_null_and_leaves_one_file);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
