/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What iotctl watch knows: rows that come and go, and the histories that stay with them. */
#include <math.h>

#include "ctl-fixture.h"
#include "fixture.h"

#include "ctl/board.h"

#include "iotd/clock.h"

#define NOW    (1764000000LL * USEC_PER_SEC)
#define SECOND USEC_PER_SEC

static struct board *board;
static struct devices devices;
static char *names[] = { NULL, NULL };
static struct board_filter filter;

static void setup(void)
{
	messages_open();
	devices = (struct devices){ 0 };
	filter = (struct board_filter){ names, 0 };
}

static void teardown(void)
{
	board = board_free(board);
	devices_free(&devices);
	messages_close();
}

static void make_board(char *name)
{
	names[0] = name;
	filter.count = name ? 1 : 0;
	ck_assert_int_eq(board_new(&board, &filter, 300 * SECOND), 0);
}

static struct device *add_device(const char *name)
{
	devices.list = realloc(devices.list, (devices.count + 1) * sizeof(*devices.list));
	ck_assert_ptr_nonnull(devices.list);
	devices.list[devices.count] = (struct device){
		.name = strdup(name),
		.fault = strdup(""),
		.driver = strdup(""),
		.status = STATUS_ONLINE,
		.state = -1,
	};
	return &devices.list[devices.count++];
}

/* a sensor with the channels a and b, or a and c */
static struct device *add_sensor(const char *name, const char *second, int64_t time_us,
				 double value)
{
	struct device *device = add_device(name);

	device->interval_us = 10 * SECOND;
	device->time_us = (uint64_t)time_us;
	device->channel_count = 2;
	device->channels = calloc(2, sizeof(*device->channels));
	ck_assert_ptr_nonnull(device->channels);
	device->channels[0] = (struct device_channel){ strdup("a"), strdup("°C"), value };
	device->channels[1] = (struct device_channel){ strdup(second), strdup("%"), -value };
	return device;
}

static struct device *add_line(const char *name, int64_t time_us, int state)
{
	struct device *device = add_device(name);

	device->kind = DEVICE_OUTPUT;
	device->time_us = (uint64_t)time_us;
	device->state = state;
	return device;
}

static void update(int64_t now_us)
{
	ck_assert_int_eq(board_update(board, &devices, now_us), 0);
	ck_assert_uint_eq(devices.count, 0);
}

static const struct row *row(const char *name)
{
	ssize_t index = board_find(board, name);

	ck_assert_int_ge(index, 0);
	return board_row(board, (size_t)index);
}

/* the signal's members behind the name: only the channel a has a value */
static struct device *read_a(const char *name, int64_t time_us, double value)
{
	sd_bus_message *message = message_new_empty();
	struct device *device;

	ck_assert_int_ge(
		sd_bus_message_append(message, "ta{sv}", (uint64_t)time_us, 1, "a", "d", value), 0);
	message_seal(message);
	device = board_read(board, name, message);
	sd_bus_message_unref(message);
	return device;
}

START_TEST(has_a_row_a_channel_and_a_line_in_the_daemons_order)
{
	make_board(NULL);
	add_sensor("z", "b", NOW, 1);
	add_line("m", NOW, 1);
	add_sensor("a", "b", NOW, 2);
	update(NOW);
	ck_assert_uint_eq(board_count(board), 5);
	ck_assert_int_eq(board_find(board, "z"), 0);
	ck_assert_int_eq(board_find(board, "z.b"), 1);
	ck_assert_int_eq(board_find(board, "m"), 2);
	ck_assert_int_eq(board_find(board, "a.b"), 4);
	ck_assert_int_eq(board_find(board, "a.c"), -1);
	ck_assert_double_eq(row("z.b")->value, -1);
	ck_assert_double_eq(row("m")->value, 1);
	ck_assert_ptr_null(row_channel(row("m")));
}
END_TEST

START_TEST(keeps_to_its_filter)
{
	char name[] = "air.b";

	make_board(name);
	add_sensor("air", "b", NOW, 1);
	add_sensor("airy", "b", NOW, 1);
	add_line("ai", NOW, 1);
	update(NOW);
	ck_assert_uint_eq(board_count(board), 1);
	ck_assert_str_eq(row_channel(board_row(board, 0))->name, "b");
	ck_assert_ptr_null(board_lacks(board));
	ck_assert_ptr_null(board_device(board, "airy"));
	ck_assert_ptr_null(read_a("airy", NOW, 5));
}
END_TEST

START_TEST(says_which_name_is_lacking)
{
	char name[] = "air.c";

	make_board(name);
	add_sensor("air", "b", NOW, 1);
	update(NOW);
	ck_assert_str_eq(board_lacks(board), "air.c");
}
END_TEST

START_TEST(a_channel_may_come_when_its_chip_has_answered)
{
	char name[] = "air.b";

	make_board(name);
	(void)add_device("air");
	update(NOW);
	ck_assert_ptr_null(board_lacks(board));
	ck_assert_uint_eq(board_count(board), 0);
	add_sensor("air", "b", NOW, 1);
	update(NOW);
	ck_assert_uint_eq(board_count(board), 1);
	add_line("air", NOW, 1); /* has no channel, and never will */
	update(NOW);
	ck_assert_str_eq(board_lacks(board), "air.b");
}
END_TEST

START_TEST(a_reading_moves_what_it_has_and_leaves_the_rest)
{
	make_board(NULL);
	add_sensor("air", "b", NOW, 1);
	update(NOW);
	ck_assert_ptr_nonnull(read_a("air", NOW + 10 * SECOND, 7.5));
	ck_assert_double_eq(row("air.a")->value, 7.5);
	ck_assert_double_eq(row("air.b")->value, -1);
	ck_assert_uint_eq(history_count(row("air.a")->history), 2);
	ck_assert_uint_eq(history_count(row("air.b")->history), 1);
	ck_assert_int_eq(device_last_us(row("air")->device, NOW + 12 * SECOND), 2 * SECOND);
	ck_assert_ptr_null(read_a("nobody", NOW, 1));
}
END_TEST

START_TEST(histories_stay_with_their_channels)
{
	make_board(NULL);
	add_sensor("air", "b", NOW, 1);
	add_sensor("soil", "b", NOW, 10);
	update(NOW);
	ck_assert_ptr_nonnull(read_a("air", NOW + 10 * SECOND, 2));
	add_line("new", NOW + 15 * SECOND, 1); /* before them now */
	add_sensor("soil", "b", NOW, 10);
	add_sensor("air", "c", NOW + 20 * SECOND, 3);
	update(NOW + 20 * SECOND);
	ck_assert_uint_eq(history_count(row("air.a")->history), 3);
	ck_assert_double_eq(history_at(row("air.a")->history, 0)->value, 1);
	ck_assert_uint_eq(history_count(row("air.c")->history), 1);
	ck_assert_uint_eq(history_count(row("soil.a")->history), 1); /* the same sample again */
	ck_assert_int_eq(board_find(board, "air.b"), -1);
}
END_TEST

START_TEST(what_is_offline_has_a_gap_until_it_reads_again)
{
	make_board(NULL);
	add_sensor("air", "b", NOW, 1);
	update(NOW);
	for (int i = 1; i < 4; i++) { /* told again and again */
		add_sensor("air", "b", NOW, 1)->status = STATUS_OFFLINE;
		update(NOW + i * 20 * SECOND);
	}
	ck_assert_uint_eq(history_count(row("air.a")->history), 2);
	ck_assert_int_eq(history_at(row("air.a")->history, 1)->time_us, NOW + 20 * SECOND);
	ck_assert(isnan(history_at(row("air.a")->history, 1)->value));
	ck_assert_double_eq(row("air.a")->value, 1);
	ck_assert_ptr_nonnull(read_a("air", NOW + 90 * SECOND, 2));
	ck_assert_uint_eq(history_count(row("air.a")->history), 3);
}
END_TEST

START_TEST(a_line_that_has_not_moved_goes_on_after_a_gap)
{
	struct stretch stretch;

	make_board(NULL);
	add_line("pump", NOW, 1);
	update(NOW);
	board_interrupt(board, NOW + 10 * SECOND);
	board_interrupt(board, NOW + 15 * SECOND);
	add_line("pump", NOW, 1);
	update(NOW + 20 * SECOND);
	stretch = history_between(row("pump")->history, NOW + 12 * SECOND, NOW + 18 * SECOND,
				  HISTORY_FOREVER);
	ck_assert(!stretch.is_known);
	stretch = history_between(row("pump")->history, NOW + 22 * SECOND, NOW + 23 * SECOND,
				  HISTORY_FOREVER);
	ck_assert(stretch.is_known);
	ck_assert_double_eq(stretch.mean, 1);
}
END_TEST

START_TEST(is_late_after_so_many_intervals_and_not_while_offline)
{
	struct device *device = add_sensor("air", "b", NOW, 1);

	ck_assert(!device_is_late(device, NOW + 30 * SECOND, 3));
	ck_assert(device_is_late(device, NOW + 30 * SECOND + 1, 3));
	ck_assert(!device_is_late(device, NOW - SECOND, 3));
	device->status = STATUS_OFFLINE;
	ck_assert(!device_is_late(device, NOW + 1000 * SECOND, 3));
	device->status = STATUS_ONLINE;
	device->interval_us = UINT64_MAX;
	ck_assert(!device_is_late(device, NOW + 1000 * SECOND, 3));
	ck_assert(!device_is_late(add_line("pump", NOW, 1), NOW + 1000 * SECOND, 3));
}
END_TEST

START_TEST(strange_times_and_numbers_are_no_samples)
{
	make_board(NULL);
	add_sensor("air", "b", 0, 1)->time_us = UINT64_MAX;
	add_line("pump", 0, 1);
	update(NOW);
	ck_assert_uint_eq(history_count(row("air.a")->history), 0);
	ck_assert_uint_eq(history_count(row("pump")->history), 0);
	ck_assert_ptr_nonnull(read_a("air", NOW, (double)INFINITY));
	ck_assert_uint_eq(history_count(row("air.a")->history), 0);
	ck_assert_double_eq(row("air.a")->value, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("board");
	TCase *tests = tcase_create("board");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, has_a_row_a_channel_and_a_line_in_the_daemons_order);
	tcase_add_test(tests, keeps_to_its_filter);
	tcase_add_test(tests, says_which_name_is_lacking);
	tcase_add_test(tests, a_channel_may_come_when_its_chip_has_answered);
	tcase_add_test(tests, a_reading_moves_what_it_has_and_leaves_the_rest);
	tcase_add_test(tests, histories_stay_with_their_channels);
	tcase_add_test(tests, what_is_offline_has_a_gap_until_it_reads_again);
	tcase_add_test(tests, a_line_that_has_not_moved_goes_on_after_a_gap);
	tcase_add_test(tests, is_late_after_so_many_intervals_and_not_while_offline);
	tcase_add_test(tests, strange_times_and_numbers_are_no_samples);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
