/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clocks, durations, sizes, names, and the small conveniences of base.h. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fixture.h"

#include "iotd/base.h"
#include "iotd/clock.h"
#include "iotd/parse.h"

#define DAY_US (86400 * USEC_PER_SEC)

/* --- durations ------------------------------------------------------------------------------ */

static const struct {
	const char *text;
	int error;
	int64_t us;
} durations[] = {
	{ "0", 0, 0 },
	{ "5", 0, 5000000 },
	{ "007", 0, 7000000 },
	{ "1us", 0, 1 },
	{ "250ms", 0, 250000 },
	{ "10s", 0, 10000000 },
	{ "5m", 0, 300000000 },
	{ "1h", 0, 3600000000 },
	{ "1d", 0, DAY_US },
	{ "1.5s", 0, 1500000 },
	{ "0.25", 0, 250000 },
	{ "2.5ms", 0, 2500 },
	{ "1.000", 0, 1000000 },
	{ "0.000001", 0, 1 },
	{ "1.0000000000000000000000", 0, 1000000 },
	{ "0.00000005m", 0, 3 }, /* digits finer than a microsecond that add up to whole ones */
	{ "0.0000125m", 0, 750 },
	{ "0.0000000005h", -EINVAL, 0 }, /* 1.8 us */
	{ "36500d", 0, 36500 * DAY_US },
	{ "36499.999d", 0, 36500 * DAY_US - 86400000 },
	{ "36500.000001d", -ERANGE, 0 },
	{ "36501d", -ERANGE, 0 },
	{ "3153600001s", -ERANGE, 0 },
	{ "99999999999999999999999999", -ERANGE, 0 },
	{ "18446744073709551616us", -ERANGE, 0 },
	{ "0.0000001", -EINVAL, 0 },
	{ "1.5us", -EINVAL, 0 },
	{ "1.05us", -EINVAL, 0 },
	{ "0.0000000001m", -EINVAL, 0 },
	{ "0.000000000000000000000000001", -EINVAL, 0 },
	{ "", -EINVAL, 0 },
	{ "s", -EINVAL, 0 },
	{ "-1", -EINVAL, 0 },
	{ "+1", -EINVAL, 0 },
	{ " 1", -EINVAL, 0 },
	{ "1 s", -EINVAL, 0 },
	{ "1s ", -EINVAL, 0 },
	{ ".5s", -EINVAL, 0 },
	{ "1.s", -EINVAL, 0 },
	{ "1..5", -EINVAL, 0 },
	{ "1.5.5", -EINVAL, 0 },
	{ "1e3", -EINVAL, 0 },
	{ "0x10", -EINVAL, 0 },
	{ "1S", -EINVAL, 0 },
	{ "1w", -EINVAL, 0 },
	{ "1,5s", -EINVAL, 0 },
	{ "inf", -EINVAL, 0 },
	{ "nan", -EINVAL, 0 },
};

START_TEST(duration_is_exact_or_refused)
{
	int64_t us = -77;

	ck_assert_int_eq(parse_duration(durations[_i].text, &us), durations[_i].error);
	ck_assert_int_eq(us, durations[_i].error ? -77 : durations[_i].us);
}
END_TEST

static const struct {
	int64_t us;
	const char *text;
} formats[] = {
	{ 0, "0s" },	       { 1, "1us" },
	{ 1500, "1500us" },    { 250000, "250ms" },
	{ 1500000, "1500ms" }, { 90000000, "90s" },
	{ 5400000000, "90m" }, { 7200000000, "2h" },
	{ DAY_US, "1d" },      { 36500 * DAY_US, "36500d" },
};

START_TEST(duration_is_written_as_it_is_read)
{
	char buffer[32];
	int64_t us;

	format_duration(buffer, sizeof(buffer), formats[_i].us);
	ck_assert_str_eq(buffer, formats[_i].text);
	ck_assert_int_eq(parse_duration(buffer, &us), 0);
	ck_assert_int_eq(us, formats[_i].us);
}
END_TEST

/* --- sizes, states, names ------------------------------------------------------------------- */

static const struct {
	const char *text;
	int error;
	uint64_t size;
} sizes[] = {
	{ "0", 0, 0 },
	{ "65536", 0, 65536 },
	{ "64K", 0, 65536 },
	{ "64M", 0, 67108864 },
	{ "1G", 0, 1073741824 },
	{ "18446744073709551615", 0, UINT64_MAX },
	{ "18014398509481983K", 0, UINT64_MAX - 1023 },
	{ "18446744073709551616", -ERANGE, 0 },
	{ "18014398509481984K", -ERANGE, 0 },
	{ "17179869184G", -ERANGE, 0 },
	{ "999999999999999999999999", -ERANGE, 0 },
	{ "", -EINVAL, 0 },
	{ "K", -EINVAL, 0 },
	{ "-1", -EINVAL, 0 },
	{ " 1", -EINVAL, 0 },
	{ "1k", -EINVAL, 0 },
	{ "1KB", -EINVAL, 0 },
	{ "1.5M", -EINVAL, 0 },
	{ "1 K", -EINVAL, 0 },
	{ "0x1", -EINVAL, 0 },
};

START_TEST(size_is_exact_or_refused)
{
	uint64_t size = 77;

	ck_assert_int_eq(parse_size(sizes[_i].text, &size), sizes[_i].error);
	ck_assert_uint_eq(size, sizes[_i].error ? 77 : sizes[_i].size);
}
END_TEST

START_TEST(decimals_are_what_strtod_says)
{
	static const char *const others[] = {
		"",    "-",  "+",  ".",	  "1e3", "1.2.3",
		"0x1", " 1", "1 ", "--1", "nan", "1234567890.123456",
	};
	uint64_t state = 88172645463325252U;
	double number;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		ck_assert_msg(!parse_decimal(others[i], &number), "%s", others[i]);
	ck_assert(parse_decimal("5.", &number) && parse_decimal("+.5", &number));
	ck_assert_double_eq(number, 0.5);
	ck_assert(parse_decimal("-0", &number) && signbit(number));
	for (int round = 0; round < 200000; round++) {
		char text[32];
		size_t length;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		length = (size_t)snprintf(text, sizeof(text), "%s%015llu", state & 1 ? "-" : "",
					  (unsigned long long)(state >> 8) % 1000000000000000ULL);
		if (state & 2) { /* a point somewhere behind the sign */
			size_t at = length - (state >> 2) % 16;

			memmove(text + at + 1, text + at, length - at + 1);
			text[at] = '.';
		}
		if (!parse_decimal(text, &number) || number != strtod(text, NULL))
			ck_abort_msg("%s: %.17g", text, number);
	}
}
END_TEST

START_TEST(state_has_six_words_in_any_case)
{
	static const char *const yes[] = { "on", "ON", "On", "true", "TRUE", "1" },
				 *const no[] = { "off", "OFF", "false", "False", "0" },
				 *const bad[] = { "",	"o", "onn", "of",  "yes",
						  "01", "2", " on", "on ", "-1" };
	bool on;

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		on = false;
		ck_assert_int_eq(parse_state(yes[i], strlen(yes[i]), &on), 0);
		ck_assert(on);
	}
	for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
		on = true;
		ck_assert_int_eq(parse_state(no[i], strlen(no[i]), &on), 0);
		ck_assert(!on);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(parse_state(bad[i], strlen(bad[i]), &on), -EINVAL);
	ck_assert_int_eq(parse_state("one", 2, &on), 0); /* a payload has no NUL */
	ck_assert_int_eq(parse_state("on\0", 3, &on), -EINVAL);
}
END_TEST

START_TEST(name_has_1_to_64_plain_characters)
{
	char longest[66];

	memset(longest, 'x', 65);
	longest[65] = '\0';
	ck_assert(!parse_name(longest));
	longest[64] = '\0';
	ck_assert(parse_name(longest));
	ck_assert(parse_name("a"));
	ck_assert(parse_name("_-"));
	ck_assert(parse_name("Air_1-b"));
	ck_assert(!parse_name(""));
	ck_assert(!parse_name("a b"));
	ck_assert(!parse_name("a/b"));
	ck_assert(!parse_name("a+"));
	ck_assert(!parse_name("#"));
	ck_assert(!parse_name("ä"));
	ck_assert(!parse_name("a\n"));
}
END_TEST

/* --- texts ---------------------------------------------------------------------------------- */

static const struct {
	const char *text, *mended;
	size_t fit; /* into 4 bytes */
} texts[] = {
	{ "", "", 0 },
	{ "abc", "abc", 3 },
	{ "abcde", "abcde", 4 },
	{ "aäö", "aäö", 3 },
	{ "ääö", "ääö", 4 },
	{ "a€€", "a€€", 4 },
	{ "ab€€", "ab€€", 2 },
	{ "😀😀", "😀😀", 4 },
	{ "a\xc3", "a?", 2 }, /* half of a character */
	{ "\xffz\x80", "?z?", 3 },
	{ "\xc0\xaf", "??", 2 },      /* an overlong form */
	{ "\xed\xa0\x80", "???", 3 }, /* a surrogate */
	{ "\xe2\x82ä", "??ä", 4 },
};

START_TEST(text_is_cut_and_mended_by_characters)
{
	char *text = strdup(texts[_i].text);

	ck_assert_uint_eq(text_fit(text, 4), texts[_i].fit);
	text_mend(text);
	ck_assert_str_eq(text, texts[_i].mended);
	free(text);
}
END_TEST

/* --- clocks --------------------------------------------------------------------------------- */

static const struct {
	int64_t us;
	const char *text;
} times[] = {
	{ 0, "1970-01-01T00:00:00.000Z" },
	{ 999, "1970-01-01T00:00:00.000Z" },
	{ 1000, "1970-01-01T00:00:00.001Z" },
	{ 1795353300123999, "2026-11-22T13:15:00.123Z" },
	{ 951782400000000, "2000-02-29T00:00:00.000Z" },
	{ 2147483648000000, "2038-01-19T03:14:08.000Z" },
	{ -1, "1969-12-31T23:59:59.999Z" },
	{ -1000, "1969-12-31T23:59:59.999Z" },
	{ -1001, "1969-12-31T23:59:59.998Z" },
	{ -1000000, "1969-12-31T23:59:59.000Z" },
	{ INT64_MAX, "294247-01-10T04:00:54.775Z" },
};

START_TEST(time_is_cut_to_milliseconds)
{
	char buffer[CLOCK_UTC_SIZE];

	ck_assert_int_eq(setenv("TZ", "America/St_Johns", 1), 0); /* must not matter */
	tzset();
	clock_format_utc(buffer, times[_i].us);
	ck_assert_str_eq(buffer, times[_i].text);
}
END_TEST

START_TEST(clocks_go_forward)
{
	int64_t boottime_us = clock_boottime_us(), monotonic_us = clock_monotonic_us(), seconds;

	ck_assert_int_gt(boottime_us, 0);
	ck_assert_int_ge(clock_boottime_us(), boottime_us);
	ck_assert_int_ge(clock_monotonic_us(), monotonic_us);
	ck_assert_int_ge(clock_boottime_us(), monotonic_us); /* it counts suspends too */
	ck_assert_int_ge(clock_slept_us(), 0);
	ck_assert_int_le(clock_slept_us(), clock_boottime_us());
	seconds = (int64_t)time(NULL) - 1; /* it lags behind by a tick */
	ck_assert_int_ge(clock_realtime_us() / USEC_PER_SEC, seconds);
	ck_assert_int_le(clock_realtime_us() / USEC_PER_SEC, (int64_t)time(NULL) + 1);
}
END_TEST

/* --- base.h --------------------------------------------------------------------------------- */

struct owner {
	int first;
	char member;
};

static int freed;

static void count_free(char **variable)
{
	if (*variable)
		freed++;
	free(*variable);
}

static char *own_and_give(bool give)
{
	cleanup(count_free) char *owned = strdup("x");

	if (!give)
		return NULL;
	return take_ptr(owned);
}

START_TEST(ownership_ends_with_the_scope_or_is_given_away)
{
	cleanup(freep) char *given = own_and_give(true);
	struct owner owner;

	ck_assert_ptr_nonnull(given);
	ck_assert_int_eq(freed, 0);
	ck_assert_ptr_null(own_and_give(false));
	ck_assert_int_eq(freed, 1);
	ck_assert_ptr_eq(container_of(&owner.member, struct owner, member), &owner);
	ck_assert_uint_eq(ARRAY_SIZE(times), sizeof(times) / sizeof(*times));
}
END_TEST

START_TEST(descriptor_is_closed_or_given_away)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), none = -1, kept = fd;

	ck_assert_int_ge(fd, 0);
	closep(&none);
	ck_assert_int_eq(take_fd(&fd), kept);
	ck_assert_int_eq(fd, -1);
	closep(&fd);
	ck_assert_int_ge(fcntl(kept, F_GETFD), 0);
	closep(&kept);
	ck_assert_int_eq(fcntl(kept, F_GETFD), -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("base");
	TCase *cases = tcase_create("base");

	tcase_add_loop_test(cases, duration_is_exact_or_refused, 0, ARRAY_SIZE(durations));
	tcase_add_loop_test(cases, duration_is_written_as_it_is_read, 0, ARRAY_SIZE(formats));
	tcase_add_loop_test(cases, size_is_exact_or_refused, 0, ARRAY_SIZE(sizes));
	tcase_add_test(cases, decimals_are_what_strtod_says);
	tcase_add_test(cases, state_has_six_words_in_any_case);
	tcase_add_test(cases, name_has_1_to_64_plain_characters);
	tcase_add_loop_test(cases, text_is_cut_and_mended_by_characters, 0, ARRAY_SIZE(texts));
	tcase_add_loop_test(cases, time_is_cut_to_milliseconds, 0, ARRAY_SIZE(times));
	tcase_add_test(cases, clocks_go_forward);
	tcase_add_test(cases, ownership_ends_with_the_scope_or_is_given_away);
	tcase_add_test(cases, descriptor_is_closed_or_given_away);
	suite_add_tcase(suite, cases);

	return suite_run(suite);
}
