/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of a device is other than clients of D-Bus were told. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"

#include "service/told.h"

static const struct channel one[] = { { .name = "value", .unit = "V" } };
static const struct channel other_name[] = { { .name = "volts", .unit = "V" } };
static const struct channel other_unit[] = { { .name = "value", .unit = "mV" } };
static const struct channel moved[] = { { .name = "valueV", .unit = "" } };
static const struct channel two[] = { { .name = "value", .unit = "V" },
				      { .name = "more", .unit = "A" } };
static const struct channel turned[] = { { .name = "more", .unit = "A" },
					 { .name = "value", .unit = "V" } };

#define ONE   .channels = one, .channel_count = 1
#define TWO   .channels = two, .channel_count = 2
#define ALIKE .name = "air", .driver = "file", .interval_us = 5, .state = -1

static const struct {
	struct device_info before, now;
	const char *changes;
} changes[] = {
	{ { ALIKE, ONE }, { ALIKE, ONE }, "" },
	{ { ALIKE }, { ALIKE, ONE }, "Channels " },
	{ { ALIKE, ONE }, { ALIKE, .channels = other_name, .channel_count = 1 }, "Channels " },
	{ { ALIKE, ONE }, { ALIKE, .channels = other_unit, .channel_count = 1 }, "Channels " },
	{ { ALIKE, ONE }, { ALIKE, .channels = moved, .channel_count = 1 }, "Channels " },
	{ { ALIKE, ONE }, { ALIKE, TWO }, "Channels " },
	{ { ALIKE, TWO }, { ALIKE, .channels = turned, .channel_count = 2 }, "Channels " },
	{ { ALIKE },
	  { ALIKE, .readings = 7, .read_errors = 1, .sampled_us = 9, .busy_us = 3 },
	  "" },
	{ { ALIKE },
	  { ALIKE, .status = STATUS_OFFLINE, .fault = "no device answers" },
	  "Status Fault " },
	{ { ALIKE, .status = STATUS_OFFLINE, .fault = "no device answers" },
	  { ALIKE, .status = STATUS_OFFLINE, .fault = "no device answer" },
	  "Fault " },
	{ { ALIKE },
	  { .name = "air", .driver = "hwmon", .interval_us = 6, .state = -1 },
	  "Driver Interval " },
	{ { .kind = DEVICE_OUTPUT, .state = -1 }, { .kind = DEVICE_OUTPUT, .state = 0 }, "State " },
	{ { .kind = DEVICE_OUTPUT, .state = 0 }, { .kind = DEVICE_OUTPUT, .state = 1 }, "State " },
	/* all that there is */
	{ { .name = "air" },
	  { .driver = "file",
	    .interval_us = 1,
	    ONE,
	    .status = STATUS_OFFLINE,
	    .fault = "gone",
	    .state = 1 },
	  "Driver Interval Channels Status Fault State " },
};

START_TEST(what_is_other_is_named)
{
	struct told before = told_of(&changes[_i].before), now = told_of(&changes[_i].now);
	const char *names[TOLD_NAMES];
	char text[128] = "";
	size_t count = told_changes(&before, &now, names);

	for (size_t i = 0; i < count; i++) {
		(void)strncat(text, names[i], sizeof(text) - strlen(text) - 1);
		(void)strncat(text, " ", sizeof(text) - strlen(text) - 1);
	}
	ck_assert_str_eq(text, changes[_i].changes);
	ck_assert_ptr_null(names[count]);
	ck_assert_uint_eq(told_changes(&now, &before, names), count); /* and back */
	ck_assert_uint_eq(told_changes(&now, &now, names), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("told");
	TCase *cases = tcase_create("told");

	tcase_add_loop_test(cases, what_is_other_is_named, 0, (int)ARRAY_SIZE(changes));
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
