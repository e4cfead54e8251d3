/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which settings say the same: each key is changed alone, in a text that is loaded for real.
 */

#include "config-fixture.h"

static struct settings *load_one(const char *template, const char *keys)
{
	const char *place = strstr(template, "%s");
	struct settings *settings;
	char *text;

	ck_assert_ptr_nonnull(place);
	ck_assert_int_ge(
		asprintf(&text, "%.*s%s%s", (int)(place - template), template, keys, place + 2), 0);
	settings = settings_of(text);
	free(text);
	return settings;
}

/* equal() of the settings with @keys and with @others */
static bool compare(const char *template, const char *keys, const char *others,
		    bool (*equal)(const struct settings *a, const struct settings *b))
{
	struct settings *a = load_one(template, keys), *b = load_one(template, others);
	bool are_equal = equal(a, b);

	ck_assert_int_eq(are_equal, equal(b, a));
	settings_free(a);
	settings_free(b);
	return are_equal;
}

static bool sensors_equal(const struct settings *a, const struct settings *b)
{
	return config_sensor_equal(&a->sensors[0], &b->sensors[0]);
}

static bool inputs_equal(const struct settings *a, const struct settings *b)
{
	return config_input_equal(&a->inputs[0], &b->inputs[0]);
}

static bool outputs_equal(const struct settings *a, const struct settings *b)
{
	return config_output_equal(&a->outputs[0], &b->outputs[0]);
}

static bool output_lines_equal(const struct settings *a, const struct settings *b)
{
	return config_output_line_equal(&a->outputs[0], &b->outputs[0]);
}

static bool buses_equal(const struct settings *a, const struct settings *b)
{
	return config_i2c_equal(&a->i2c[0], &b->i2c[0]);
}

static bool mqtts_equal(const struct settings *a, const struct settings *b)
{
	return config_mqtt_equal(&a->mqtt, &b->mqtt);
}

static bool spools_equal(const struct settings *a, const struct settings *b)
{
	return config_spool_equal(&a->spool, &b->spool);
}

#define CHIP_KEYS "driver = \"bme280\"; bus = \"i2c-1\"; "
#define LINE_KEYS "name = \"a\"; chip = \"gpiochip0\"; line = 1; "

static const struct {
	const char *template; /* with %s for the keys */
	const char *keys;     /* of both sides, but for one */
	const char *changed[32];
	bool (*equal)(const struct settings *a, const struct settings *b);
} groups[] = {
	{ "sensors = ( { %s } );",
	  "name = \"a\"; " CHIP_KEYS,
	  { "name = \"b\"; " CHIP_KEYS, "name = \"a\"; driver = \"bmp280\"; bus = \"i2c-1\"; ",
	    "name = \"a\"; driver = \"bme280\"; bus = \"i2c-2\"; ",
	    "name = \"a\"; address = 0x77; " CHIP_KEYS, "name = \"a\"; interval = 5; " CHIP_KEYS,
	    "name = \"a\"; retries = 3; " CHIP_KEYS, "name = \"a\"; window = \"60s\"; " CHIP_KEYS,
	    "name = \"a\"; topic = \"x\"; " CHIP_KEYS, "name = \"a\"; qos = 2; " CHIP_KEYS,
	    "name = \"a\"; retain = true; " CHIP_KEYS, "name = \"a\"; enabled = false; " CHIP_KEYS,
	    "name = \"a\"; temperature = { }; " CHIP_KEYS },
	  sensors_equal },
	{ "sensors = ( { name = \"a\"; window = \"60s\"; " CHIP_KEYS "%s } );",
	  "aggregate = \"mean\";",
	  { "aggregate = \"median\";" },
	  sensors_equal },
	{ "sensors = ( { name = \"a\"; " CHIP_KEYS "temperature = { %s }; } );",
	  "deadband = 1.0; ",
	  { "deadband = 1.0; offset = 1.0;", "deadband = 1.0; scale = 2.0;",
	    "deadband = 1.0; digits = 3;", "deadband = 1.0; min = 1.0;",
	    "deadband = 1.0; max = 1.0;", "deadband = 2.0;", "deadband = 1.0; max_age = 7;",
	    "deadband = 1.0; unit = \"K\";", "deadband = 1.0; device_class = \"x\";",
	    "deadband = 1.0; alias = \"x\";" },
	  sensors_equal },
	{ "sensors = ( { name = \"a\"; driver = \"file\"; channel = \"c\"; %s } );",
	  "path = \"/x\";",
	  { "path = \"/y\";", "path = \"/x\"; field = 2;", "path = \"/x\"; match = \"m\";" },
	  sensors_equal },
	{ "sensors = ( { name = \"a\"; driver = \"register\"; bus = \"i2c-1\"; address = 8; %s } "
	  ");",
	  "registers = ( { channel = \"c\"; register = 1; } );",
	  { "registers = ( { channel = \"d\"; register = 1; } );",
	    "registers = ( { channel = \"c\"; register = 2; } );",
	    "registers = ( { channel = \"c\"; register = 1; type = \"s8\"; } );",
	    "registers = ( { channel = \"c\"; register = 1; mask = 1; } );",
	    "registers = ( { channel = \"c\"; register = 1; scale = 2.0; } );",
	    "registers = ( { channel = \"c\"; register = 1; }, { channel = \"d\"; register = 2; } "
	    ");",
	    "registers = ( { channel = \"c\"; register = 1; } ); register_bits = 16;",
	    "registers = ( { channel = \"c\"; register = 1; } ); "
	    "init = ( { register = 1; bytes = [ 1 ]; } );" },
	  sensors_equal },
	{ "inputs = ( { %s } );",
	  LINE_KEYS,
	  { "name = \"b\"; chip = \"gpiochip0\"; line = 1; ",
	    "name = \"a\"; chip = \"gpiochip1\"; line = 1; ",
	    "name = \"a\"; chip = \"gpiochip0\"; line = 2; ",
	    "name = \"a\"; chip = \"gpiochip0\"; line = \"L\"; ", LINE_KEYS "bias = \"pull-up\";",
	    LINE_KEYS "active_low = true;", LINE_KEYS "edge = \"rising\";",
	    LINE_KEYS "debounce = 1;", LINE_KEYS "device_class = \"x\";",
	    LINE_KEYS "module = \"x\";", LINE_KEYS "on_time = true;",
	    LINE_KEYS "enabled = false;" },
	  inputs_equal },
	{ "inputs = ( { %s } );",
	  LINE_KEYS "count = true; ",
	  { LINE_KEYS "count = false;", LINE_KEYS "count = true; frequency = true;",
	    LINE_KEYS "count = true; scale = 2;" },
	  inputs_equal },
	{ "outputs = ( { %s }, { name = \"z\"; chip = \"gpiochip0\"; line = 9; } );",
	  LINE_KEYS,
	  { "name = \"b\"; chip = \"gpiochip0\"; line = 1; ",
	    "name = \"a\"; chip = \"gpiochip1\"; line = 1; ",
	    "name = \"a\"; chip = \"gpiochip0\"; line = 2; ",
	    "name = \"a\"; chip = \"gpiochip0\"; line = \"L\"; ", LINE_KEYS "bias = \"pull-up\";",
	    LINE_KEYS "active_low = true;", LINE_KEYS "initial = \"on\";", LINE_KEYS "max_on = 1;",
	    LINE_KEYS "on_exit = \"off\";", LINE_KEYS "on_disconnect = \"off\";",
	    LINE_KEYS "on_disconnect = \"off\"; disconnect_after = 1;",
	    LINE_KEYS "interlock = [ \"z\" ];", LINE_KEYS "device_class = \"x\";",
	    LINE_KEYS "module = \"x\";", LINE_KEYS "enabled = false;" },
	  outputs_equal },
	{ "outputs = ( { %s } );",
	  LINE_KEYS,
	  { "name = \"a\"; chip = \"gpiochip1\"; line = 1; ",
	    "name = \"a\"; chip = \"gpiochip0\"; line = 2; ",
	    "name = \"a\"; chip = \"gpiochip0\"; line = \"L\"; ", LINE_KEYS "bias = \"pull-up\";",
	    LINE_KEYS "active_low = true;" },
	  output_lines_equal },
	{ "i2c = ( { %s } );",
	  "bus = \"i2c-1\";",
	  { "bus = \"i2c-2\";", "bus = \"i2c-1\"; path = \"/dev/x\";",
	    "bus = \"i2c-1\"; timeout = 5;", "bus = \"i2c-1\"; retries = 5;" },
	  buses_equal },
	{ "device = \"d\"; mqtt = { username = \"u\"; %s };",
	  "broker = \"mqtt://a\"; ",
	  { "broker = \"mqtt://b\"; ", "broker = [ \"mqtt://a\", \"mqtt://b\" ]; ",
	    "broker = \"mqtt://a\"; protocol = 4;", "broker = \"mqtt://a\"; client_id = \"x\";",
	    "broker = \"mqtt://a\"; password = \"x\";",
	    "broker = \"mqtt://a\"; password_file = \"x\";",
	    "broker = \"mqtt://a\"; topic = \"x\";", "broker = \"mqtt://a\"; format = \"value\";",
	    "broker = \"mqtt://a\"; qos = 2;", "broker = \"mqtt://a\"; retain = true;",
	    "broker = \"mqtt://a\"; keepalive = 9;", "broker = \"mqtt://a\"; reconnect_min = 2;",
	    "broker = \"mqtt://a\"; reconnect_max = 9;",
	    "broker = \"mqtt://a\"; discovery = { prefix = \"x\"; };",
	    "broker = \"mqtt://a\"; discovery = { enabled = true; };",
	    "broker = \"mqtt://a\"; discovery = { style = \"entity\"; };",
	    "broker = \"mqtt://a\"; expiry = 5;",
	    "broker = \"mqtt://a\"; user_properties = false;" },
	  mqtts_equal },
	{ "device = \"d\"; mqtt = { broker = \"mqtt://a\"; %s };",
	  "username = \"u\";",
	  { "username = \"v\";", "", "username = \"u\"; compat = \"mqtt-io\";" },
	  mqtts_equal },
	{ "device = \"d\"; mqtt = { broker = \"mqtts://a\"; tls = { %s }; };",
	  "ca_file = \"/etc/passwd\";",
	  { "ca_file = \"/etc/group\";", "", "ca_file = \"/etc/passwd\"; verify = false;",
	    "ca_file = \"/etc/passwd\"; alpn = \"m\";" },
	  mqtts_equal },
	{ "spool = { path = \"\"; %s };", "", { "max_size = \"1M\";" }, spools_equal },
};

START_TEST(the_same_is_equal)
{
	ck_assert(compare(groups[_i].template, groups[_i].keys, groups[_i].keys, groups[_i].equal));
}
END_TEST

START_TEST(each_key_counts)
{
	for (size_t i = 0; i < ARRAY_SIZE(groups[_i].changed) && groups[_i].changed[i]; i++)
		ck_assert_msg(!compare(groups[_i].template, groups[_i].keys, groups[_i].changed[i],
				       groups[_i].equal),
			      "equal in spite of: %s", groups[_i].changed[i]);
}
END_TEST

/* replaced by another one of the same size; written anew in place */
START_TEST(a_renewed_file_of_tls_is_a_change)
{
	static const char text[] =
		"mqtt = { broker = \"mqtts://a\"; tls = { ca_file = \"ca\"; }; };";
	struct settings *first, *again, *replaced, *rewritten;

	text_write("ca", "one");
	first = settings_of(text);
	again = settings_of(text);
	ck_assert(mqtts_equal(first, again));
	text_write("new", "two");
	ck_assert_int_eq(rename("new", "ca"), 0);
	replaced = settings_of(text);
	ck_assert(!mqtts_equal(first, replaced));
	ck_assert_int_eq(truncate("ca", 2), 0);
	rewritten = settings_of(text);
	ck_assert(!mqtts_equal(replaced, rewritten));
	settings_free(first);
	settings_free(again);
	settings_free(replaced);
	settings_free(rewritten);
}
END_TEST

START_TEST(an_outputs_line_is_only_its_line)
{
	static const char template[] = "outputs = ( { " LINE_KEYS "%s } );";

	ck_assert(compare(template, "", "max_on = 1; initial = \"on\"; on_exit = \"off\";",
			  output_lines_equal));
}
END_TEST

START_TEST(the_order_of_channels_says_nothing)
{
	static const char template[] = "sensors = ( { name = \"a\"; " CHIP_KEYS "%s } );";

	ck_assert(compare(template, "humidity = { max = 1.0; }; temperature = { min = 1.0; };",
			  "temperature = { min = 1.0; }; humidity = { max = 1.0; };",
			  sensors_equal));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config-equal");
	TCase *tests = tcase_create("config-equal");
	SRunner *runner;
	int failed;

	tcase_add_unchecked_fixture(tests, folder_enter, folder_leave);
	tcase_add_loop_test(tests, the_same_is_equal, 0, (int)ARRAY_SIZE(groups));
	tcase_add_loop_test(tests, each_key_counts, 0, (int)ARRAY_SIZE(groups));
	tcase_add_test(tests, a_renewed_file_of_tls_is_a_change);
	tcase_add_test(tests, an_outputs_line_is_only_its_line);
	tcase_add_test(tests, the_order_of_channels_says_nothing);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
