/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From mqtt-io's YAML to iotd's configuration: what one key becomes, and what is told. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"

#include "convert/convert.h"

static char folder[] = "/tmp/iotd-test-convert-XXXXXX";

static void folder_enter(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
}

static void folder_leave(void)
{
	(void)unlink("c.yml");
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(folder), 0);
}

static void write_file(const char *text)
{
	FILE *stream = fopen("c.yml", "we");

	ck_assert_ptr_nonnull(stream);
	ck_assert_int_ge(fputs(text, stream), 0);
	ck_assert_int_eq(fclose(stream), 0);
}

/* what became of @text: the configuration, and what was told */
static void convert_text(const char *text, char **ret_made, char **ret_told)
{
	cleanup(convert_freep) struct convert *convert = NULL;
	char fault[TREE_FAULT_SIZE];
	FILE *made, *told;
	size_t size;

	write_file(text);
	ck_assert_int_eq(convert_new(&convert, "c.yml", fault), 0);
	ck_assert_int_eq(convert_run(convert), 0);
	made = open_memstream(ret_made, &size);
	told = open_memstream(ret_told, &size);
	ck_assert(made && told);
	ck_assert_int_eq(convert_write(convert, made), 0);
	(void)convert_tell(convert, told);
	ck_assert_int_eq(fclose(made), 0);
	ck_assert_int_eq(fclose(told), 0);
}

#define MQTT	  "mqtt: {host: h, topic_prefix: t}\n"
#define RPI	  "gpio_modules: [{name: rpi, module: raspberrypi}]\n"
#define IN(more)  MQTT RPI "digital_inputs: [{name: a, module: rpi, pin: 5, " more "}]\n"
#define OUT(more) MQTT RPI "digital_outputs: [{name: a, module: rpi, pin: 5, " more "}]\n"
#define PLACE	  "chip = \"gpiochip0\"; line = 5;"
#define SENSOR(module, input)                                                                      \
	MQTT "sensor_modules: [{name: m, " module                                                  \
	     "}]\nsensor_inputs: [{name: s, module: m, " input "}]\n"

/* @made: what the configuration has; @told: all that is told, or ""; both without the file's name */
static const struct {
	const char *text, *made, *told;
} examples[] = {
	{ MQTT, "broker = \"mqtt://h:1883\";\n", "" },
	{ "mqtt: {host: h, topic_prefix: /t/}\n", "topic = \"t\";\n",
	  "1: mqtt.topic_prefix: begins with \"/\", which iotd's topics cannot: they begin without "
	  "it\n" },

	/* a merged key that is overridden does not count */
	{ "options: &o {colour: red, keepalive: 9}\n"
	  "mqtt: {<<: *o, host: h, topic_prefix: t,\ncolour: blue}\n",
	  "keepalive = \"9s\";", "3: mqtt.colour: iotd-convert does not know this key\n" },

	{ IN("x: 1"), "line = 5; bias = \"disabled\"; module = \"rpi\"; }",
	  "3: digital_inputs[0].x: iotd-convert does not know this key\n" },
	{ IN("pullup: Yes"), "bias = \"pull-up\";", "" },
	{ IN("pullup: maybe"), "bias = \"disabled\";",
	  "3: digital_inputs[0].pullup: \"maybe\" is neither yes nor no\n" },
	{ IN("pulldown: on"), "bias = \"pull-down\";", "" },
	{ MQTT RPI "digital_inputs: [{name: a, pin: 5}]\n", "compat",
	  "3: digital_inputs[0].module: is missing: left out\n" },
	/* an interrupt is of the level, an edge of the state */
	{ IN("interrupt: rising"), "edge = \"rising\"; debounce = \"100ms\";", "" },
	{ IN("interrupt: rising, inverted: yes"),
	  "active_low = true; edge = \"falling\"; debounce = \"100ms\";", "" },
	{ IN("interrupt: falling, inverted: yes, bouncetime: 0x10"),
	  "edge = \"rising\"; debounce = \"16ms\";", "" },
	{ IN("interrupt: both"), "bias = \"disabled\"; debounce = \"100ms\";", "" },
	{ IN("pin: GPIO17"), "line = \"GPIO17\";", "" }, /* the last of two counts */
	{ IN("off_payload: closed"), PLACE,
	  "3: digital_inputs[0].off_payload: iotd says \"OFF\": change who listens\n" },

	/* initial is a level, and a state in iotd */
	{ OUT("initial: low"), PLACE " initial = \"off\";", "" },
	{ OUT("initial: low, inverted: yes"), "active_low = true; initial = \"on\";", "" },
	{ OUT("initial: high, inverted: yes"), "active_low = true; initial = \"off\";", "" },
	{ OUT("initial: ~"), "initial = \"keep\";", "" },
	{ OUT("timed_set_ms: "), "initial = \"keep\"; module", "" },

	{ SENSOR("module: lm75, chip_addr: 72", "interval: 5"),
	  "{ name = \"m\"; driver = \"lm75\"; bus = \"i2c-1\"; address = 0x48; interval = \"5s\";\n"
	  "    temperature = { alias = \"s\"; digits = 2; }; }",
	  "" },
	{ SENSOR("module: lm75, chip_addr: 0x80", "digits: 0"), "bus = \"i2c-1\"; interval",
	  "2: sensor_modules[0].chip_addr: \"0x80\" is no integer from 8 to 119\n" },
	{ SENSOR("module: aht20", "type: humidity"), "humidity = { alias = \"s\"; digits = 2; };",
	  "" },
	{ SENSOR("module: aht20", "type: pressure"), "compat",
	  "3: sensor_inputs[0].type: \"pressure\": the module has no such type: left out\n" },
	{ SENSOR("module: tsl2561, chip_addr: 0x29, integration_time: 13.7", ""),
	  "address = 0x29; interval = \"60s\"; gain = 1; integration_time = \"13.7ms\";", "" },
	{ SENSOR("module: veml7700, gain: 0.25, integration_time: 30", ""),
	  "gain = 0.25; integration_time = \"25ms\";",
	  "2: sensor_modules[0].integration_time: is none that the chip has: it is 25\n" },
	{ SENSOR("module: ens160, temperature_compensation: 25.0, humidity_compensation: 60", ""),
	  "aqi = {",
	  "2: sensor_modules[0].humidity_compensation: iotd lets the chip measure at 50 %\n" },
	{ SENSOR("module: ina219, chip_addr: 0x40, max_amps: 10", ""),
	  "shunt = 0.1;\n    power = {",
	  "2: sensor_modules[0].max_amps: is more than the chip can measure with this shunt: it is "
	  "left out\n" },
	{ SENSOR("module: ds18b, type: ds18b20, address: 00000A", ""), "device = \"28-00000a\";",
	  "" },
	{ SENSOR("module: ads1x15, type: ADS1015, pins: [2], gain: 0.6666666666666666", "pin: 2"),
	  "driver = \"ads1015\"; bus = \"i2c-1\"; interval = \"60s\"; inputs = [ \"a2\" ]; range = "
	  "6.144;\n    a2 = { alias = \"s\"; digits = 2; scale = 5333.17057292; unit = \"counts\"; "
	  "}",
	  "" },
	{ SENSOR("module: yfs201", "pin: 4"),
	  "line = 4; bias = \"pull-down\"; edge = \"rising\"; "
	  "count = true; interval = \"60s\"; scale = "
	  "0.142857142857; module = \"m\"; }",
	  "" },
	{ SENSOR("module: frequencycounter", "pin: 4"), "interval = \"60s\"; module = \"m\"; }",
	  "" },
	/* what belongs to a chip, and not to a value */
	{ MQTT "sensor_modules: [{name: m, module: aht20}]\nsensor_inputs:\n"
	       "- {name: t, module: m, interval: 30}\n"
	       "- {name: h, module: m, type: humidity, interval: 20, retain: yes}\n",
	  "interval = \"20s\"; retain = true;\n    temperature = {",
	  "4: sensor_inputs[0].interval: is 20 s now, as the shortest of this chip: iotd reads all "
	  "its values at once\n"
	  "4: sensor_inputs[0].retain: it is retained, as another value of this chip is: iotd "
	  "retains all or none\n" },
	{ MQTT
	  "sensor_modules:\n- {name: m, module: lm75, chip_addr: 72}\n"
	  "- {name: n, module: lm75, chip_addr: 0x48}\n"
	  "- {name: o, module: lm75, chip_addr: 0x48, i2c_bus_num: 0}\n"
	  "sensor_inputs: [{name: s, module: m}, {name: t, module: n}, {name: u, module: o}]\n",
	  "address = 0x48; interval = \"60s\";\n    temperature = { alias = \"s\"; digits = 2; }; "
	  "},\n  { name = \"o\"; driver = \"lm75\"; bus = \"i2c-0\"; address = 0x48;",
	  "4: sensor_modules[1].chip_addr: another module has this address: move its sensor_inputs "
	  "there; left out\n" },
	{ MQTT "sensor_modules: [{name: m, module: aht20}, {name: n, module: bh1750}]\n"
	       "sensor_inputs: [{name: s, module: m},\n{name: s, module: n}]\n",
	  "illuminance = { alias = \"s_2\";",
	  "4: sensor_inputs[1].name: \"s\" is taken: it is \"s_2\", and its topic changes\n" },
	{ SENSOR("module: aht20", "digits: 12"), "digits = 2;",
	  "3: sensor_inputs[0].digits: \"12\" is no integer from 0 to 9\n" },
	{ SENSOR("module: aht20", "ha_discovery: {unit_of_measurement: degrees Celsius!}"),
	  "alias = \"s\"; digits = 2; }",
	  "3: sensor_inputs[0].ha_discovery.unit_of_measurement: is over 15 bytes, which a unit "
	  "has "
	  "in iotd\n" },
	{ SENSOR("module: aht20", "ha_discovery: {expire_after: 5, device_class: temperature}"),
	  "digits = 2; device_class = \"temperature\"; }",
	  "3: sensor_inputs[0].ha_discovery.expire_after: iotd tells with T/sensor/NAME/status "
	  "whether a sensor can be read\n" },
	{ SENSOR("module: mhz19", ""), "compat",
	  "2: sensor_modules[0].module: \"mhz19\": it is on a serial port, which iotd does not "
	  "read\n"
	  "3: sensor_inputs[0].module: \"m\" is not mapped: left out\n" },
};

/* @told with "c.yml:" before each line */
static void expect_told(const char *got, const char *told)
{
	cleanup(freep) char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	for (const char *line = told; *line; line = strchr(line, '\n') + 1)
		(void)fprintf(stream, "c.yml:%.*s\n", (int)strcspn(line, "\n"), line);
	ck_assert_int_eq(fclose(stream), 0);
	ck_assert_str_eq(got, text);
}

START_TEST(a_key_becomes_what_does_the_same)
{
	cleanup(freep) char *made = NULL, *told = NULL;

	convert_text(examples[_i].text, &made, &told);
	ck_assert_msg(strstr(made, examples[_i].made), "%s is not in:\n%s", examples[_i].made,
		      made);
	expect_told(told, examples[_i].told);
}
END_TEST

START_TEST(names_that_are_taken_give_way)
{
	cleanup(freep) char *made = NULL, *told = NULL;

	convert_text(MQTT RPI "digital_inputs:\n"
			      "- {name: a, module: rpi, pin: 1}\n"
			      "- {name: a, module: rpi, pin: 2}\n"
			      "- {name: a, module: rpi, pin: 3}\n"
			      "- {name: ä, module: rpi, pin: 4}\n",
		     &made, &told);
	ck_assert_ptr_nonnull(strstr(made, "name = \"a\"; chip = \"gpiochip0\"; line = 1;"));
	ck_assert_ptr_nonnull(strstr(made, "name = \"a_2\"; chip = \"gpiochip0\"; line = 2;"));
	ck_assert_ptr_nonnull(strstr(made, "name = \"a_3\"; chip = \"gpiochip0\"; line = 3;"));
	ck_assert_ptr_nonnull(strstr(made, "name = \"__\"; chip = \"gpiochip0\"; line = 4;"));
	ck_assert_ptr_nonnull(strstr(told, "c.yml:5: digital_inputs[1].name: \"a\" is taken"));
	ck_assert_ptr_nonnull(strstr(told, "c.yml:7: digital_inputs[3].name: \"ä\" is no name"));
}
END_TEST

START_TEST(long_names_stay_names)
{
	static char name[128], text[512];
	cleanup(freep) char *made = NULL, *told = NULL;

	memset(name, 'x', 70);
	(void)snprintf(text, sizeof(text),
		       MQTT RPI "digital_inputs:\n- {name: %s, module: rpi, pin: 1}\n"
				"- {name: %s, module: rpi, pin: 2}\n",
		       name, name);
	convert_text(text, &made, &told);
	name[64] = '\0';
	(void)snprintf(text, sizeof(text), "name = \"%s\"; chip", name);
	ck_assert_ptr_nonnull(strstr(made, text));
	(void)snprintf(text, sizeof(text), "name = \"%.60s_2\"; chip", name);
	ck_assert_ptr_nonnull(strstr(made, text));
}
END_TEST

/* YAML 1.1: own keys before merged ones, the first of several merged mappings, the last of two of its own */
START_TEST(merged_keys_give_way)
{
	struct tree tree = { .is_loaded = false };
	char fault[TREE_FAULT_SIZE];
	const yaml_node_t *root;

	write_file("a: &a {x: a, y: a, z: a}\n"
		   "b: &b {x: b, w: b}\n"
		   "c: {z: c, <<: [*a, *b], z: d}\n"
		   "d: {<<: {<<: *b, x: d}}\n");
	ck_assert_int_eq(tree_load(&tree, "c.yml", fault), 0);
	root = tree_member(&tree, tree_root(&tree), "c");
	ck_assert_str_eq(tree_text(tree_member(&tree, root, "x")), "a");
	ck_assert_str_eq(tree_text(tree_member(&tree, root, "w")), "b");
	ck_assert_str_eq(tree_text(tree_member(&tree, root, "z")), "d");
	ck_assert_ptr_null(tree_member(&tree, root, "v"));
	root = tree_member(&tree, tree_root(&tree), "d");
	ck_assert_str_eq(tree_text(tree_member(&tree, root, "x")), "d");
	ck_assert_str_eq(tree_text(tree_member(&tree, root, "w")), "b");
	tree_done(&tree);
}
END_TEST

static const struct {
	const char *text, *fault;
	int error;
} refused[] = {
	{ "mqtt:\n  a: [1\nb: 2\n", "c.yml:3: ", -EBADMSG },
	{ "other: 1\n", "c.yml:1: this is no configuration of mqtt-io", -EBADMSG },
	{ "", "c.yml:1: this is no configuration of mqtt-io", -EBADMSG },
};

START_TEST(what_is_no_configuration_is_refused)
{
	struct convert *convert = NULL;
	char fault[TREE_FAULT_SIZE];

	write_file(refused[_i].text);
	ck_assert_int_eq(convert_new(&convert, "c.yml", fault), refused[_i].error);
	ck_assert_ptr_null(convert);
	ck_assert_mem_eq(fault, refused[_i].fault, strlen(refused[_i].fault));
}
END_TEST

START_TEST(a_file_that_cannot_be_read_says_why)
{
	struct convert *convert = NULL;
	char fault[TREE_FAULT_SIZE];

	ck_assert_int_eq(convert_new(&convert, "none.yml", fault), -ENOENT);
	ck_assert_str_eq(fault, "none.yml: cannot be read: No such file or directory");
	ck_assert_int_eq(convert_new(&convert, ".", fault), -EISDIR);
	ck_assert_str_eq(fault, ".: cannot be read: Is a directory");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("convert");
	TCase *tests = tcase_create("convert");

	tcase_add_unchecked_fixture(tests, folder_enter, folder_leave);
	tcase_add_loop_test(tests, a_key_becomes_what_does_the_same, 0, (int)ARRAY_SIZE(examples));
	tcase_add_test(tests, names_that_are_taken_give_way);
	tcase_add_test(tests, long_names_stay_names);
	tcase_add_test(tests, merged_keys_give_way);
	tcase_add_loop_test(tests, what_is_no_configuration_is_refused, 0,
			    (int)ARRAY_SIZE(refused));
	tcase_add_test(tests, a_file_that_cannot_be_read_says_why);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
