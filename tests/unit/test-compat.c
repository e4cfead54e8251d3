/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mqtt.compat = "mqtt-io": words, topics and ids, of configurations that are loaded for real. */

#include "config-fixture.h"
#include "fixture.h"

#include "iotd/compat.h"
#include "iotd/mqtt-io.h"

#define MQTT_IO                                                                                    \
	"mqtt = { topic = \"home\"; client_id = \"mqtt-io-c0ffee\"; compat = \"mqtt-io\"; };\n"

static struct settings *settings;

static void load(const char *text)
{
	settings = settings_of(text);
}

static void unload(void)
{
	settings = settings_free(settings);
}

/* --- words ---------------------------------------------------------------------------------- */

START_TEST(words_are_mqtt_ios_only_if_asked_for)
{
	const struct compat_words *words;

	load("");
	words = compat_words(&settings->mqtt);
	ck_assert(!compat_is_mqtt_io(&settings->mqtt));
	ck_assert_str_eq(words->online, "online");
	ck_assert_str_eq(words->offline, "offline");
	ck_assert_str_eq(words->lost, "offline");
	ck_assert_str_eq(words->on, "on");
	ck_assert_str_eq(words->off, "off");
	unload();

	load(MQTT_IO);
	words = compat_words(&settings->mqtt);
	ck_assert(compat_is_mqtt_io(&settings->mqtt));
	ck_assert_str_eq(words->online, "running");
	ck_assert_str_eq(words->offline, "stopped");
	ck_assert_str_eq(words->lost, "dead");
	ck_assert_str_eq(words->on, "ON");
	ck_assert_str_eq(words->off, "OFF");
	unload();
}
END_TEST

/* --- names, topics, ids --------------------------------------------------------------------- */

#define BME(more)                                                                                  \
	"sensors = ( { name = \"bme\"; driver = \"bme280\"; bus = \"i2c-1\"; " more " } );"
#define CPU(more) "sensors = ( { name = \"cpu\"; driver = \"file\"; path = \"/x\"; " more " } );"
#define LIGHT(more)                                                                                \
	"sensors = ( { name = \"light\"; driver = \"iio\"; device = \"x\"; " more " } );"
#define ID(more)      "mqtt-io-c0ffee_" more
#define ALIAS(name)   "alias = \"" name "\";"
#define OWN_TOPIC     "topic = \"a/b\"; "
#define TEMP_IS(name) "temperature = { " ALIAS(name) " };"

/* topic NULL: the channel is not published */
static const struct {
	const char *sensor, *channel, *topic, *id;
} channels[] = {
	{ CPU(""), "value", "home/sensor/cpu", ID("cpu_sensor_cpu") },
	{ CPU(ALIAS("load")), "value", "home/sensor/load", ID("cpu_sensor_load") },
	{ CPU("value = { " ALIAS("load") " };"), "value", "home/sensor/load",
	  ID("cpu_sensor_load") },
	{ CPU(ALIAS("")), "value", "home/sensor/cpu", ID("cpu_sensor_cpu") },
	{ CPU(OWN_TOPIC), "value", "a/b", ID("cpu_sensor_cpu") },
	{ CPU(OWN_TOPIC ALIAS("load")), "value", "home/sensor/load", ID("cpu_sensor_load") },
	{ BME(""), "temperature", "home/sensor/bme_temperature", ID("bme_sensor_bme_temperature") },
	{ BME("temperature = { digits = 1; };"), "temperature", "home/sensor/bme_temperature",
	  ID("bme_sensor_bme_temperature") },
	{ BME(OWN_TOPIC), "humidity", "a/b_humidity", ID("bme_sensor_bme_humidity") },
	{ BME(TEMP_IS("attic")), "temperature", "home/sensor/attic", ID("bme_sensor_attic") },
	{ BME(TEMP_IS("attic")), "humidity", NULL, NULL },
	{ LIGHT(""), "illuminance", "home/sensor/light_illuminance",
	  ID("light_sensor_light_illuminance") },
};

START_TEST(a_channel_has_a_topic_and_an_id)
{
	cleanup(freep) char *topic = NULL, *id = NULL, *text = NULL;
	const char *channel = channels[_i].channel;
	int r = channels[_i].topic ? 0 : -ENOENT;

	ck_assert_int_ge(asprintf(&text, "%s%s", MQTT_IO, channels[_i].sensor), 0);
	load(text);
	ck_assert_int_eq(
		compat_sensor_topic(&topic, &settings->mqtt, &settings->sensors[0], channel), r);
	ck_assert_int_eq(compat_sensor_id(&id, &settings->mqtt, &settings->sensors[0], channel), r);
	if (r == 0) {
		ck_assert_str_eq(topic, channels[_i].topic);
		ck_assert_str_eq(id, channels[_i].id);
	}
	unload();
}
END_TEST

#define LINE(more) "{ name = \"door\"; chip = \"/dev/gpiochip0\"; line = 17; " more " }"

static const struct {
	const char *keys, *channel, *topic, *id;
} counts[] = {
	{ "count = true;", "rate", "home/sensor/door", ID("gpiochip0_sensor_door") },
	{ "count = true; module = \"rpi\";", "total", "home/sensor/door_total",
	  ID("rpi_sensor_door_total") },
	{ "count = true; frequency = true;", "frequency", "home/sensor/door_frequency",
	  ID("gpiochip0_sensor_door_frequency") },
	{ "on_time = true;", "total", "home/sensor/door", ID("gpiochip0_sensor_door") },
	{ "on_time = true;", "since_start", "home/sensor/door_since_start",
	  ID("gpiochip0_sensor_door_since_start") },
};

START_TEST(a_count_is_a_sensor)
{
	cleanup(freep) char *topic = NULL, *id = NULL, *text = NULL;
	const char *channel = counts[_i].channel;

	ck_assert_int_ge(asprintf(&text,
				  MQTT_IO "inputs = ( { name = \"door\"; chip = "
					  "\"gpiochip0\"; line = 17; %s } );",
				  counts[_i].keys),
			 0);
	load(text);
	ck_assert_int_eq(compat_count_topic(&topic, &settings->mqtt, &settings->inputs[0], channel),
			 0);
	ck_assert_int_eq(compat_count_id(&id, &settings->mqtt, &settings->inputs[0], channel), 0);
	ck_assert_str_eq(topic, counts[_i].topic);
	ck_assert_str_eq(id, counts[_i].id);
	unload();
}
END_TEST

START_TEST(lines_have_ids)
{
	cleanup(freep) char *input = NULL, *output = NULL, *topic = NULL;

	load(MQTT_IO "inputs = ( " LINE("") " ); outputs = ( { name = \"pump\"; chip = \"c\"; line "
					    "= 1; module = \"rpi\"; } );");
	ck_assert_int_eq(compat_input_id(&input, &settings->mqtt, &settings->inputs[0]), 0);
	ck_assert_int_eq(compat_output_id(&output, &settings->mqtt, &settings->outputs[0]), 0);
	ck_assert_int_eq(compat_discovery_topic(&topic, &settings->mqtt, "switch", "pump"), 0);
	ck_assert_str_eq(input, ID("gpiochip0_input_door"));
	ck_assert_str_eq(output, ID("rpi_output_pump"));
	ck_assert_str_eq(topic, "homeassistant/switch/mqtt-io-c0ffee/pump/config");
	unload();
}
END_TEST

/* --- faults of the configuration ------------------------------------------------------------ */

static const struct {
	const char *text, *faults;
} refused[] = {
	{ MQTT_IO CPU(ALIAS("a/b")),
	  "t.conf:2: sensors[0].alias: \"a/b\" is no name: 1 to 64 of the characters A-Z a-z 0-9 _ "
	  "-\n" },
	/* topics; with iotd's own nothing of this is in the way */
	{ MQTT_IO BME("temperature = { alias = \"x\"; };\n humidity = { alias = \"x\"; };"),
	  "t.conf:3: sensors[0].humidity.alias: topic \"home/sensor/x\" is in use already, in "
	  "t.conf:2\n" },
	{ MQTT_IO BME(
		  "temperature = { alias = \"rain\"; };") "inputs = ( { name = \"rain\"; chip = "
							  "\"c\"; line = 1; count = true; } "
							  ");",
	  "t.conf:2: sensors[0].temperature.alias: topic \"home/sensor/rain\" is iotd's own\n" },
	{ "mqtt = { topic = \"home\"; };" BME("temperature = { alias = \"x\"; };\n humidity = { "
					      "alias = \"x\"; };"),
	  "" },
	/* the sensor's own name is free: mqtt-io's module and its sensor input are often called the same */
	{ MQTT_IO BME("temperature = { alias = \"bme\"; };"), "" },
};

START_TEST(an_alias_is_a_name_and_a_topic_of_its_own)
{
	cleanup(freep) char *faults = NULL;

	text_write("t.conf", refused[_i].text);
	faults = faults_text("t.conf", NULL);
	ck_assert_str_eq(faults, refused[_i].faults);
}
END_TEST

/* --- payloads ------------------------------------------------------------------------------- */

static char caught[512];

/* a line a message: TOPIC PAYLOAD */
static void catch_message(void *data, struct message *message)
{
	cleanup(freep) char *line = NULL;

	(void)data;
	ck_assert_int_ge(asprintf(&line, "%s %.*s\n", message->topic, (int)message->length,
				  (const char *)message->payload),
			 0);
	ck_assert_uint_lt(strlen(caught) + strlen(line), sizeof(caught));
	(void)stpcpy(caught + strlen(caught), line);
	message_free(message);
}

static const struct channel climate[] = {
	{ "temperature", "°C", 2 },
	{ "humidity", "%", 0 },
	{ "pressure", "hPa", 1 },
};
static const struct reading reading = {
	.name = "bme",
	.count = 3,
	.values = { { &climate[0], 21.3 }, { &climate[1], 40.5 }, { &climate[2], -0.04 } },
};

START_TEST(a_reading_is_a_bare_number_a_channel)
{
	caught[0] = '\0';
	load(MQTT_IO BME("temperature = { alias = \"attic\"; }; pressure = { alias = \"air\"; };"));
	ck_assert_int_eq(mqtt_io_reading(&settings->mqtt, &settings->sensors[0], &reading,
					 catch_message, NULL),
			 0);
	ck_assert_str_eq(caught, "home/sensor/attic 21.30\nhome/sensor/air 0.0\n");
	unload();

	caught[0] = '\0';
	load(MQTT_IO BME(""));
	ck_assert_int_eq(mqtt_io_reading(&settings->mqtt, &settings->sensors[0], &reading,
					 catch_message, NULL),
			 0);
	ck_assert_str_eq(caught, "home/sensor/bme_temperature 21.30\nhome/sensor/bme_humidity 41\n"
				 "home/sensor/bme_pressure 0.0\n");
	unload();
}
END_TEST

START_TEST(a_count_is_bare_numbers)
{
	static const struct channel rain[] = { { "total", "mm", 2 }, { "rate", "mm/s", 3 } };
	const struct reading count = { .name = "door",
				       .count = 2,
				       .values = { { &rain[0], 4.5 }, { &rain[1], 0.125 } } };

	caught[0] = '\0';
	load(MQTT_IO "inputs = ( " LINE("count = true;") " );");
	ck_assert_int_eq(
		mqtt_io_count(&settings->mqtt, &settings->inputs[0], &count, catch_message, NULL),
		0);
	ck_assert_str_eq(caught, "home/sensor/door_total 4.50\nhome/sensor/door 0.125\n");
	unload();
}
END_TEST

START_TEST(a_state_is_a_word)
{
	struct state state = { .kind = DEVICE_OUTPUT, .name = "pump", .on = true };
	struct message *message;

	caught[0] = '\0';
	load(MQTT_IO);
	ck_assert_int_eq(mqtt_io_state(&settings->mqtt, "home/output/pump", &state, &message), 0);
	catch_message(NULL, message);
	state.on = false;
	ck_assert_int_eq(mqtt_io_state(&settings->mqtt, "home/output/pump", &state, &message), 0);
	catch_message(NULL, message);
	ck_assert_str_eq(caught, "home/output/pump ON\nhome/output/pump OFF\n");
	unload();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("compat");
	TCase *tests = tcase_create("compat");

	tcase_add_unchecked_fixture(tests, folder_enter, folder_leave);
	tcase_add_test(tests, words_are_mqtt_ios_only_if_asked_for);
	tcase_add_loop_test(tests, a_channel_has_a_topic_and_an_id, 0, (int)ARRAY_SIZE(channels));
	tcase_add_loop_test(tests, a_count_is_a_sensor, 0, (int)ARRAY_SIZE(counts));
	tcase_add_test(tests, lines_have_ids);
	tcase_add_loop_test(tests, an_alias_is_a_name_and_a_topic_of_its_own, 0,
			    (int)ARRAY_SIZE(refused));
	tcase_add_test(tests, a_reading_is_a_bare_number_a_channel);
	tcase_add_test(tests, a_count_is_bare_numbers);
	tcase_add_test(tests, a_state_is_a_word);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
