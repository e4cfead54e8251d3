/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What keys of terminals mean, and that no bytes of strangers are read past their end. */
#include "fixture.h"

#include "ctl/keys.h"

static const struct {
	const char *bytes;
	enum key key;
	size_t taken;
} rows[] = {
	{ "q", KEY_QUIT, 1 },		{ "Q", KEY_QUIT, 1 },
	{ "j", KEY_DOWN, 1 },		{ "k", KEY_UP, 1 },
	{ "\033[A", KEY_UP, 3 },	{ "\033[B", KEY_DOWN, 3 },
	{ "\033OA", KEY_UP, 3 },	{ "\033OB", KEY_DOWN, 3 },
	{ "\033[5~", KEY_PAGE_UP, 4 },	{ "\033[6~", KEY_PAGE_DOWN, 4 },
	{ " ", KEY_PAGE_DOWN, 1 },	{ "b", KEY_PAGE_UP, 1 },
	{ "g", KEY_HOME, 1 },		{ "G", KEY_END, 1 },
	{ "\033[H", KEY_HOME, 3 },	{ "\033[4~", KEY_END, 4 },
	{ "s", KEY_SORT, 1 },		{ "\014", KEY_REDRAW, 1 },
	{ "x", KEY_NONE, 1 },		{ "\033", KEY_NONE, 1 },
	{ "\033[", KEY_NONE, 2 },	{ "\033[C", KEY_NONE, 3 },
	{ "\033[1;5A", KEY_NONE, 6 },	{ "\033[15~", KEY_NONE, 5 },
	{ "\033[999999", KEY_NONE, 8 }, { "\033q", KEY_NONE, 1 },
	{ "\033[Bq", KEY_DOWN, 3 },	{ "qq", KEY_QUIT, 1 },
	{ "\033[200~q", KEY_NONE, 6 },	{ "\xff", KEY_NONE, 1 },
};

START_TEST(means_what_the_table_says)
{
	size_t length = strlen(rows[_i].bytes);
	char *bytes = malloc(length); /* so that one byte more is seen by the sanitizer */
	enum key key = KEY_SORT;

	ck_assert_ptr_nonnull(bytes);
	memcpy(bytes, rows[_i].bytes, length);
	ck_assert_uint_eq(key_decode(&key, bytes, length), rows[_i].taken);
	ck_assert_int_eq(key, rows[_i].key);
	free(bytes);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("keys");
	TCase *tests = tcase_create("keys");

	tcase_add_loop_test(tests, means_what_the_table_says, 0,
			    (int)(sizeof(rows) / sizeof(rows[0])));
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
