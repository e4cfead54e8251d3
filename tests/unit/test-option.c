/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Driver options that are lists, with a driver that has one of each kind: taken, refused, compared. */

#include "config-fixture.h"
#include "config/option.h"

#include "iotd/driver.h"

enum {
	INPUTS,
	WORDS,
	BYTES,
	RATES,
	ROWS
};

enum {
	ROW_CHANNEL,
	ROW_TYPE,
	ROW_SCALE,
	ROW_BYTES
};

static const char *const inputs[] = { "a0", "a1", "a0_a1", NULL };
static const char *const types[] = { "u8", "u16be", NULL };
static const char *const rates[] = { "8", "16", NULL };

static const struct driver_option members[] = {
	[ROW_CHANNEL] = { .name = "channel", .type = OPTION_STRING, .required = true },
	[ROW_TYPE] = { .name = "type", .type = OPTION_STRING, .text = "u8", .choices = types },
	[ROW_SCALE] = { .name = "scale", .type = OPTION_NUMBER, .preset = 1 },
	[ROW_BYTES] = { .name = "bytes", .type = OPTION_INTEGERS, .maximum = 255 },
};

static const struct driver_option options[] = {
	[INPUTS] = { .name = "inputs", .type = OPTION_STRINGS, .choices = inputs },
	[WORDS] = { .name = "words", .type = OPTION_STRINGS },
	[BYTES] = { .name = "bytes", .type = OPTION_INTEGERS, .maximum = 255 },
	[RATES] = { .name = "rates", .type = OPTION_INTEGERS, .choices = rates },
	[ROWS] = { .name = "rows",
		   .type = OPTION_GROUPS,
		   .required = true,
		   .members = members,
		   .member_count = ARRAY_SIZE(members) },
};

/* what the driver complains about: every place in turn */
static void complain(const struct option_value *values, struct option_check *check)
{
	option_fault(check, &values[WORDS], "the whole %s", "list");
	option_fault(check, &values[WORDS].list[1], "the second word");
	option_fault(check, &values[ROWS].list[1], "the second row");
	option_fault(check, &values[ROWS].list[1].list[ROW_SCALE], "its scale");
	option_fault(check, &values[ROWS].list[1].list[ROW_TYPE], "its type, that is not there");
	option_fault(check, &values[ROWS].list[0].list[ROW_BYTES].list[1], "a byte");
}

static const struct driver driver = {
	.name = "lists", .options = options, .option_count = ARRAY_SIZE(options), .check = complain
};

/* struct loaded - the options of a text, and the faults of it */
struct loaded {
	struct option_value *values;
	size_t count;
	char *told;
};

static char *tell(struct faults *faults)
{
	struct config_faults told = { 0 };
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	ck_assert_int_eq(faults_tell(faults, &told), faults->count > 0 ? -EBADMSG : 0);
	for (size_t i = 0; i < told.count; i++)
		(void)fprintf(stream, "%s\n", told.lines[i]);
	ck_assert_int_eq(fclose(stream), 0);
	config_faults_free(&told);
	return text;
}

static struct loaded load(const char *keys, bool with_check)
{
	char name[] = "t", *names[] = { name };
	struct text_segment segment = { .first = 1, .file = name, .line = 1 };
	struct text text = {
		.files = names, .file_count = 1, .segments = &segment, .segment_count = 1
	};
	struct faults faults = { .text = &text };
	struct loaded loaded = { 0 };
	const config_setting_t *group;
	config_t tree;

	config_init(&tree);
	ck_assert_msg(config_read_string(&tree, keys), "%s", config_error_text(&tree));
	group = config_root_setting(&tree);
	options_presets(&faults, &driver, &loaded.values, &loaded.count);
	ck_assert_uint_eq(loaded.count, ARRAY_SIZE(options));
	for (int i = 0; i < config_setting_length(group); i++)
		ck_assert(option_take(&faults, &driver,
				      config_setting_get_elem(group, (unsigned int)i),
				      loaded.values));
	options_missing(&faults, &driver, group, loaded.values);
	if (with_check)
		options_check(&faults, &driver, group, loaded.values);
	loaded.told = tell(&faults);
	faults_done(&faults);
	config_destroy(&tree);
	return loaded;
}

static void loaded_done(struct loaded *loaded)
{
	(void)option_values_free(loaded->values, loaded->count);
	free(loaded->told);
}

#define ROWS_TEXT "rows = ( { channel = \"c\"; } );"

START_TEST(lists_keep_their_order)
{
	struct loaded loaded = load("inputs = [ \"a0_a1\", \"a0\" ]; bytes = [ 5, 0xff, 5 ];"
				    "rates = ( 16 ); " ROWS_TEXT,
				    false);
	const struct option_value *values = loaded.values;

	ck_assert_str_eq(loaded.told, "");
	ck_assert_uint_eq(values[INPUTS].count, 2);
	ck_assert_str_eq(values[INPUTS].list[0].string, "a0_a1");
	ck_assert_str_eq(values[INPUTS].list[1].string, "a0");
	ck_assert_uint_eq(values[BYTES].count, 3);
	ck_assert_int_eq(values[BYTES].list[1].integer, 255);
	ck_assert_int_eq(values[BYTES].list[2].integer, 5);
	ck_assert_int_eq(values[RATES].list[0].integer, 16);
	ck_assert_uint_eq(values[WORDS].count, 0);
	ck_assert_ptr_null(values[WORDS].list);
	ck_assert(!values[WORDS].given && values[INPUTS].given);
	loaded_done(&loaded);
}
END_TEST

START_TEST(groups_have_a_value_for_each_member)
{
	struct loaded loaded = load("rows = ( { scale = 0.5; channel = \"level\"; bytes = [ 7 ]; },"
				    "{ channel = \"b\"; type = \"u16be\"; } );",
				    false);
	const struct option_value *rows = &loaded.values[ROWS], *first, *second;

	ck_assert_str_eq(loaded.told, "");
	ck_assert_uint_eq(rows->count, 2);
	first = rows->list[0].list;
	second = rows->list[1].list;
	ck_assert_uint_eq(rows->list[0].count, ARRAY_SIZE(members));
	ck_assert_str_eq(first[ROW_CHANNEL].string, "level");
	ck_assert_str_eq(first[ROW_TYPE].string, "u8");
	ck_assert_double_eq(first[ROW_SCALE].number, 0.5);
	ck_assert_int_eq(first[ROW_BYTES].list[0].integer, 7);
	ck_assert_str_eq(second[ROW_CHANNEL].string, "b");
	ck_assert_str_eq(second[ROW_TYPE].string, "u16be");
	ck_assert_double_eq(second[ROW_SCALE].number, 1);
	ck_assert(first[ROW_SCALE].given && !second[ROW_SCALE].given);
	loaded_done(&loaded);
}
END_TEST

static const struct {
	const char *keys, *told;
} refused[] = {
	{ "", "t: rows: is missing\n" },
	{ "rows = ( );", "t:1: rows: must not be empty\n" },
	{ "rows = { channel = \"c\"; };", "t:1: rows: must be a list, ( … ), not a group\n" },
	{ "rows = ( 5 );", "t:1: rows[0]: must be a group, { … }, not a number\n" },
	{ "rows = ( { channel = \"c\"; },\n{ } );", "t:2: rows[1].channel: is missing\n" },
	{ "rows = ( { channel = \"a b\"; } );",
	  "t:1: rows[0].channel: \"a b\" is no name: 1 to 64 of the characters A-Z a-z 0-9 _ -\n" },
	{ "rows = ( { channel = \"c\"; scal = 1; } );",
	  "t:1: rows[0].scal: unknown key (did you mean \"scale\"?)\n" },
	{ "rows = ( { channel = \"c\"; type = \"u16b\"; } );",
	  "t:1: rows[0].type: \"u16b\" is not \"u8\" or \"u16be\" (did you mean \"u16be\"?)\n" },
	{ "rows = ( { channel = \"c\"; bytes = [ 1, 256 ]; } );",
	  "t:1: rows[0].bytes[1]: 256 is out of range (0 to 255)\n" },
	{ ROWS_TEXT "inputs = \"a0\";", "t:1: inputs: must be a list, ( … ), not a string\n" },
	{ ROWS_TEXT "inputs = ( \"a0\", 7 );",
	  "t:1: inputs[1]: must be a string in quotes, not a number\n" },
	{ ROWS_TEXT "inputs = [ \"a0\", \"a0_a\" ];",
	  "t:1: inputs[1]: \"a0_a\" is not \"a0\", \"a1\" or \"a0_a1\" (did you mean "
	  "\"a0_a1\"?)\n" },
	{ ROWS_TEXT "inputs = [ \"a1\", \"a0\", \"a1\" ];",
	  "t:1: inputs[2]: \"a1\" is there already\n" },
	{ ROWS_TEXT "words = [ \"\" ];", "t:1: words[0]: must not be empty\n" },
	{ ROWS_TEXT "words = [ \"x\", \"y\", \"x\", \"x\" ];",
	  "t:1: words[2]: \"x\" is there already\nt:1: words[3]: \"x\" is there already\n" },
	{ ROWS_TEXT "bytes = [ 1.5 ];",
	  "t:1: bytes[0]: must be a whole number, not one with decimals\n" },
	{ ROWS_TEXT "rates = [ 9 ];", "t:1: rates[0]: 9 is not 8 or 16\n" },
};

START_TEST(each_fault_is_told_at_its_place)
{
	struct loaded loaded = load(refused[_i].keys, false);

	ck_assert_str_eq(loaded.told, refused[_i].told);
	loaded_done(&loaded);
}
END_TEST

/* load_bytes() - with a list of @count bytes */
static struct loaded load_bytes(int count)
{
	char keys[32 + 4 * 100] = ROWS_TEXT "bytes = [ 1";
	size_t length = strlen(keys);

	for (int i = 1; i < count; i++)
		length += (size_t)snprintf(keys + length, sizeof(keys) - length, ",1");
	(void)snprintf(keys + length, sizeof(keys) - length, " ];");
	return load(keys, false);
}

START_TEST(a_list_has_a_bound)
{
	struct loaded loaded = load_bytes(OPTION_LIST_MAX);

	ck_assert_str_eq(loaded.told, "");
	ck_assert_uint_eq(loaded.values[BYTES].count, OPTION_LIST_MAX);
	loaded_done(&loaded);
	loaded = load_bytes(OPTION_LIST_MAX + 1);
	ck_assert_str_eq(loaded.told, "t:1: bytes: has 65 elements: 64 are the most\n");
	ck_assert_uint_eq(loaded.values[BYTES].count, 0);
	loaded_done(&loaded);
}
END_TEST

START_TEST(a_driver_complains_at_any_place)
{
	struct loaded loaded =
		load("words = [ \"x\",\n\"y\" ];\nrows = ( { channel = \"c\"; bytes = "
		     "[ 1,\n2 ]; },\n{ channel = \"d\";\nscale = 2.0; } );",
		     true);

	ck_assert_str_eq(loaded.told, "t:1: words: the whole list\n"
				      "t:2: words[1]: the second word\n"
				      "t:4: rows[0].bytes[1]: a byte\n"
				      "t:5: rows[1]: the second row\n"
				      "t:5: rows[1].type: its type, that is not there\n"
				      "t:6: rows[1].scale: its scale\n");
	loaded_done(&loaded);
}
END_TEST

static const char all_keys[] =
	"inputs = [ \"a0\", \"a1\" ]; bytes = [ 1, 2 ];"
	"rows = ( { channel = \"c\"; bytes = [ 1 ]; }, { channel = \"d\"; } );";

static const char *const changed[] = {
	"inputs = [ \"a1\", \"a0\" ]; bytes = [ 1, 2 ];"
	"rows = ( { channel = \"c\"; bytes = [ 1 ]; }, { channel = \"d\"; } );",
	"inputs = [ \"a0\" ]; bytes = [ 1, 2 ];"
	"rows = ( { channel = \"c\"; bytes = [ 1 ]; }, { channel = \"d\"; } );",
	"inputs = [ \"a0\", \"a1\" ]; bytes = [ 1, 3 ];"
	"rows = ( { channel = \"c\"; bytes = [ 1 ]; }, { channel = \"d\"; } );",
	"inputs = [ \"a0\", \"a1\" ]; bytes = [ 1, 2 ];"
	"rows = ( { channel = \"c\"; bytes = [ 2 ]; }, { channel = \"d\"; } );",
	"inputs = [ \"a0\", \"a1\" ]; bytes = [ 1, 2 ];"
	"rows = ( { channel = \"c\"; bytes = [ 1 ]; scale = 2.0; }, { channel = \"d\"; } );",
	"inputs = [ \"a0\", \"a1\" ]; bytes = [ 1, 2 ];"
	"rows = ( { channel = \"d\"; }, { channel = \"c\"; bytes = [ 1 ]; } );",
	"inputs = [ \"a0\", \"a1\" ]; bytes = [ 1, 2 ];"
	"rows = ( { channel = \"c\"; bytes = [ 1 ]; } );",
};

START_TEST(a_change_in_a_list_shows)
{
	struct loaded a = load(all_keys, false), b = load(changed[_i], false);

	ck_assert_str_eq(b.told, "");
	ck_assert(!options_equal(a.values, a.count, b.values, b.count));
	ck_assert(!options_equal(b.values, b.count, a.values, a.count));
	loaded_done(&a);
	loaded_done(&b);
}
END_TEST

START_TEST(a_copy_is_equal_and_its_own)
{
	struct loaded loaded = load(all_keys, false);
	struct option_value *copy;

	ck_assert_int_eq(option_values_copy(&copy, loaded.values, loaded.count), 0);
	ck_assert(options_equal(copy, loaded.count, loaded.values, loaded.count));
	ck_assert_ptr_ne(copy[INPUTS].list, loaded.values[INPUTS].list);
	ck_assert_ptr_ne(copy[ROWS].list[1].list[ROW_CHANNEL].string,
			 loaded.values[ROWS].list[1].list[ROW_CHANNEL].string);
	loaded_done(&loaded);
	ck_assert_str_eq(copy[ROWS].list[1].list[ROW_CHANNEL].string, "d");
	(void)option_values_free(copy, ARRAY_SIZE(options));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("option");
	TCase *tests = tcase_create("option");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, lists_keep_their_order);
	tcase_add_test(tests, groups_have_a_value_for_each_member);
	tcase_add_loop_test(tests, each_fault_is_told_at_its_place, 0, (int)ARRAY_SIZE(refused));
	tcase_add_test(tests, a_list_has_a_bound);
	tcase_add_test(tests, a_driver_complains_at_any_place);
	tcase_add_loop_test(tests, a_change_in_a_list_shows, 0, (int)ARRAY_SIZE(changed));
	tcase_add_test(tests, a_copy_is_equal_and_its_own);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
