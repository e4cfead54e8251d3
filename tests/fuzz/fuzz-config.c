/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A configuration, and files that it may include. The input is text; a line "%%" ends a file:
 * the first is t.conf, then 1.conf and 2.conf. Nothing else can be opened: see __wrap_open64().
 *
 * Promises: a load ends well or with faults; a fault is one clean line that begins with FILE:LINE of a
 * line that there is; what loads keeps every range of iotd.conf(5); two loads say the same, and 1.conf by itself
 * may be compared with t.conf either way.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <syslog.h>

#include "fuzz.h"

#include "iotd/config.h"
#include "iotd/driver.h"
#include "iotd/parse.h"

#define SECOND 1000000LL
#define DAY    (86400 * SECOND)
#define YEAR   (365 * DAY)

static const char *const names[] = { "t.conf", "1.conf", "2.conf" };
#define FILES (sizeof(names) / sizeof(names[0]))

static size_t lines[FILES]; /* of each file; 0: it is not there */
static bool is_loading;

/* libconfig 1.5 loses the tokens that it holds when it meets a syntax error; everything else is ours */
const char *__lsan_default_suppressions(void); /* NOLINT: the sanitizer's own name */
const char *__lsan_default_suppressions(void)  /* NOLINT */
{
	return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

const char *__lsan_default_options(void); /* NOLINT: the sanitizer's own name */
const char *__lsan_default_options(void)  /* NOLINT */
{
	return "print_suppressions=0";
}

/* @include may name any file of this machine: here only those of the input are there */
int __real_open64(const char *path, int flags, ...); /* NOLINT: the linker's own names */
int __wrap_open64(const char *path, int flags, ...); /* NOLINT */
int __wrap_open64(const char *path, int flags, ...)  /* NOLINT */
{
	va_list arguments;
	unsigned int mode = 0;

	if (is_loading && strchr(path, '/')) {
		errno = ENOENT;
		return -1;
	}
	va_start(arguments, flags);
	if (flags & O_CREAT)
		mode = va_arg(arguments, unsigned int);
	va_end(arguments);
	return __real_open64(path, flags, mode);
}

/* --- the files ------------------------------------------------------------------------------ */

static size_t count_lines(const uint8_t *data, size_t length)
{
	size_t count = 1;

	for (size_t i = 0; i < length; i++)
		count += data[i] == '\n';
	return count;
}

static void put_files(const uint8_t *data, size_t size)
{
	static const char mark[] = "\n%%\n";

	for (size_t i = 0; i < FILES; i++) {
		const uint8_t *end = memmem(data, size, mark, strlen(mark));
		size_t length = end ? (size_t)(end - data) + 1 : size;

		if (!end && i > 0 && size == 0) {
			(void)unlink(names[i]);
			lines[i] = 0;
			continue;
		}
		file_put(names[i], data, length);
		lines[i] = count_lines(data, length);
		length = end ? length + strlen(mark) - 1 : length;
		data += length;
		size -= length;
	}
}

/* --- faults --------------------------------------------------------------------------------- */

static bool is_whole_file(const char *words)
{
	return strncmp(words, " more than ", 11) == 0 || strncmp(words, " is over ", 9) == 0;
}

static void check_fault(const char *fault)
{
	char *end;
	unsigned long line;

	must(text_is_clean(fault));
	for (size_t i = 0; i < FILES; i++) {
		size_t length = strlen(names[i]);

		if (strncmp(fault, names[i], length) != 0 || fault[length] != ':')
			continue;
		fault += length + 1;
		if (is_whole_file(fault))
			return;
		line = strtoul(fault, &end, 10);
		must(end > fault && strncmp(end, ": ", 2) == 0 && end[2] != '\0');
		must(line >= 1 && line <= lines[i]);
		return;
	}
	must(false); /* it names no file of ours */
}

static void check_faults(int r, const struct config_faults *faults, const struct settings *settings)
{
	must(r == 0 || r == -EBADMSG);
	must((r == 0) == (faults->count == 0));
	must((r == 0) == (settings != NULL));
	for (size_t i = 0; i < faults->count; i++)
		check_fault(faults->lines[i]);
}

/* --- what was loaded ------------------------------------------------------------------------ */

static bool within(int64_t number, int64_t least, int64_t most)
{
	return number >= least && number <= most;
}

static bool is_optional(const char *text)
{
	return !text || (*text != '\0' && text_is_clean(text));
}

static bool is_filled(const char *text)
{
	return text && is_optional(text);
}

static bool is_topic(const char *topic)
{
	return is_filled(topic) && !strpbrk(topic, "+#") && *topic != '$' && *topic != '/' &&
	       topic[strlen(topic) - 1] != '/' && strlen(topic) <= 65535;
}

static void check_broker(const struct broker_settings *broker)
{
	must(is_filled(broker->url) && is_filled(broker->host));
	must((broker->scheme == MQTT_UNIX) == (broker->host[0] == '/'));
	must(broker->scheme == MQTT_UNIX ? broker->port == 0 : within(broker->port, 1, 65535));
	must(!strchr(broker->url, '@'));
}

static void check_tls(const struct tls_settings *tls, bool is_used)
{
	bool has_psk = tls->psk_identity;

	must(is_optional(tls->alpn) && is_optional(tls->psk_identity));
	must(is_used || (tls->verify && !tls->alpn && !has_psk && !tls->ca_file));
	must(has_psk || !tls->psk_file);
	must(!has_psk || (!tls->ca_file && !tls->cert_file && !tls->key_file));
	must(tls->cert_file || !tls->key_file);
	must((tls->ca_file != NULL) == (tls->stamps[TLS_CA].inode > 0)); /* it can be read */
}

static void check_mqtt(const struct mqtt_settings *mqtt)
{
	bool uses_tls = false;

	must(mqtt->broker_count >= 1);
	for (size_t i = 0; i < mqtt->broker_count; i++) {
		check_broker(&mqtt->brokers[i]);
		uses_tls = uses_tls || mqtt->brokers[i].scheme == MQTT_TLS;
	}
	check_tls(&mqtt->tls, uses_tls);
	must(within(mqtt->protocol, 4, 5) && within(mqtt->qos, 0, 2));
	must(mqtt->format == FORMAT_JSON || mqtt->format == FORMAT_VALUE);
	must(is_filled(mqtt->client_id) && is_topic(mqtt->topic));
	must(is_optional(mqtt->username) && is_optional(mqtt->password));
	must(is_optional(mqtt->password_file) && !(mqtt->password && mqtt->password_file));
	must(within(mqtt->keepalive_us, 5 * SECOND, 65535 * SECOND));
	must(within(mqtt->reconnect_min_us, SECOND / 10, mqtt->reconnect_max_us));
	must(within(mqtt->reconnect_max_us, SECOND / 10, DAY));
	must(within(mqtt->expiry_us, 0, UINT32_MAX * SECOND));
	must(is_topic(mqtt->discovery_prefix));
	must(!mqtt->discovery_enabled || strcmp(mqtt->discovery_prefix, mqtt->topic) != 0);
	must(strcmp(mqtt->compat, "") == 0 ||
	     (strcmp(mqtt->compat, "mqtt-io") == 0 && mqtt->format == FORMAT_VALUE));
}

static void check_general(const struct settings *settings)
{
	must(is_filled(settings->device) && strlen(settings->device) <= 128);
	must(!strpbrk(settings->device, "/+#") && settings->device[0] != '$');
	must(within(settings->log_level, LOG_ERR, LOG_DEBUG));
	must(settings->spool.path[0] == '\0' || settings->spool.path[0] == '/');
	must(text_is_clean(settings->spool.path) && strlen(settings->spool.path) <= 400);
	must(within((int64_t)settings->spool.max_size, 1 << 16, 1LL << 40));
	must(within(settings->stats.interval_us, SECOND, DAY));
	must(settings->stats.textfile[0] == '\0' || settings->stats.textfile[0] == '/');
	must(text_is_clean(settings->stats.textfile) && strlen(settings->stats.textfile) <= 400);
	must(!settings->commands.allow[COMMAND_COUNT]);
}

static void check_bus(const struct i2c_settings *bus)
{
	must(parse_name(bus->name) && is_filled(bus->path));
	must(within(bus->timeout_us, 0, 60 * SECOND) && within(bus->retries, 0, 10));
}

static bool is_same(const struct driver_option *option, const char *choice,
		    const struct option_value *value)
{
	int64_t duration_us;

	if (option->type == OPTION_STRING)
		return strcmp(choice, value->string) == 0;
	if (option->type == OPTION_DURATION)
		return parse_duration(choice, &duration_us) == 0 && duration_us == value->integer;
	return fabs(strtod(choice, NULL) - value->number) < 1e-9;
}

static bool is_choice(const struct driver_option *option, const struct option_value *value)
{
	for (const char *const *choice = option->choices; *choice; choice++)
		if (is_same(option, *choice, value))
			return true;
	return false;
}

static void check_option(const struct driver_option *option, const struct option_value *value);

static void check_list(const struct driver_option *option, const struct option_value *list)
{
	struct driver_option alone = *option;

	must(list->count <= OPTION_LIST_MAX && (list->list != NULL || list->count == 0));
	must(list->count > 0 || !option->required);
	alone.type = option->type == OPTION_STRINGS ? OPTION_STRING : OPTION_INTEGER;
	for (size_t i = 0; i < list->count; i++) {
		const struct option_value *element = &list->list[i];

		if (option->type != OPTION_GROUPS)
			check_option(&alone, element);
		for (size_t j = 0; j < i && option->type == OPTION_STRINGS; j++)
			must(strcmp(element->string, list->list[j].string) != 0);
		must(element->count == (option->type == OPTION_GROUPS ? option->member_count : 0));
		for (size_t member = 0; member < element->count; member++)
			check_option(&option->members[member], &element->list[member]);
	}
}

static bool is_list(const struct driver_option *option)
{
	return option->type == OPTION_STRINGS || option->type == OPTION_INTEGERS ||
	       option->type == OPTION_GROUPS;
}

static void check_option(const struct driver_option *option, const struct option_value *value)
{
	bool is_bounded = option->minimum < option->maximum;

	must(value->given || !option->required);
	if (is_list(option)) {
		check_list(option, value);
		return;
	}
	must(!value->list && value->count == 0);
	if (option->type == OPTION_STRING)
		must(!value->string || text_is_clean(value->string));
	if (option->choices && (option->type != OPTION_STRING || value->string))
		must(is_choice(option, value));
	if (is_bounded && (option->type == OPTION_INTEGER || option->type == OPTION_NUMBER))
		must(value->number >= option->minimum && value->number <= option->maximum);
	if (is_bounded && option->type == OPTION_INTEGER)
		must(value->integer == (int64_t)value->number);
	must(isfinite(value->number));
}

static void check_channel(const struct channel_settings *channel)
{
	must(parse_name(channel->name) && within(channel->digits, -1, 9));
	must(isfinite(channel->offset) && isfinite(channel->scale) && channel->scale != 0);
	must(channel->min <= channel->max && channel->deadband >= 0 && isfinite(channel->deadband));
	must(within(channel->max_age_us, 1000, YEAR) && text_is_clean(channel->unit));
	must(is_optional(channel->device_class));
}

static void check_sensor(const struct settings *settings, const struct sensor_settings *sensor)
{
	const struct driver *driver = sensor->driver;

	must(parse_name(sensor->name) && driver && is_topic(sensor->topic));
	must((driver->kind == DRIVER_I2C) == (sensor->bus != NULL));
	must(!sensor->bus || settings_find_i2c(settings, sensor->bus));
	must(!sensor->bus || within(sensor->address, 0x08, 0x77));
	must(within(sensor->interval_us, 1000, YEAR) && within(sensor->retries, 0, 10));
	must(sensor->window_us == 0 || within(sensor->window_us, sensor->interval_us, YEAR));
	must(within(sensor->aggregate, AGGREGATE_MEAN, AGGREGATE_LAST) &&
	     within(sensor->qos, 0, 2));
	must(sensor->option_count == driver->option_count);
	for (size_t i = 0; i < sensor->option_count; i++)
		check_option(&driver->options[i], &sensor->options[i]);
	for (size_t i = 0; i < sensor->channel_count; i++)
		check_channel(&sensor->channels[i]);
}

static void check_line(const struct line_settings *line)
{
	must(is_filled(line->chip) && is_optional(line->name) && line->offset <= 65535);
	must(within(line->bias, BIAS_AS_IS, BIAS_PULL_DOWN));
}

static void check_input(const struct input_settings *input)
{
	must(parse_name(input->name) && within(input->edge, EDGE_BOTH, EDGE_FALLING));
	check_line(&input->line);
	must(within(input->debounce_us, 0, 3600 * SECOND) && !input->count);
	must(within(input->interval_us, 1000, YEAR) && isfinite(input->scale));
	must(text_is_clean(input->unit) && is_optional(input->device_class));
}

static bool is_output(const struct settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->output_count; i++)
		if (strcmp(settings->outputs[i].name, name) == 0)
			return true;
	return false;
}

static void check_output(const struct settings *settings, const struct output_settings *output)
{
	must(parse_name(output->name));
	check_line(&output->line);
	must(within(output->initial, MOVE_KEEP, MOVE_ON) &&
	     within(output->on_exit, MOVE_KEEP, MOVE_ON) &&
	     within(output->on_disconnect, MOVE_KEEP, MOVE_ON));
	must(within(output->max_on_us, 0, YEAR) && within(output->disconnect_after_us, 0, YEAR));
	must(is_optional(output->device_class));
	for (size_t i = 0; i < output->interlock_count; i++) {
		must(is_output(settings, output->interlock[i]));
		must(strcmp(output->interlock[i], output->name) != 0);
	}
}

static const char *name_at(const struct settings *settings, size_t index)
{
	if (index < settings->sensor_count)
		return settings->sensors[index].name;
	index -= settings->sensor_count;
	if (index < settings->input_count)
		return settings->inputs[index].name;
	index -= settings->input_count;
	return index < settings->output_count ? settings->outputs[index].name : NULL;
}

static void check_settings(const struct settings *settings)
{
	check_general(settings);
	check_mqtt(&settings->mqtt);
	for (size_t i = 0; i < settings->i2c_count; i++)
		check_bus(&settings->i2c[i]);
	for (size_t i = 0; i < settings->sensor_count; i++)
		check_sensor(settings, &settings->sensors[i]);
	for (size_t i = 0; i < settings->input_count; i++)
		check_input(&settings->inputs[i]);
	for (size_t i = 0; i < settings->output_count; i++)
		check_output(settings, &settings->outputs[i]);
	for (size_t i = 0; name_at(settings, i); i++)
		for (size_t j = 0; j < i; j++)
			must(strcmp(name_at(settings, i), name_at(settings, j)) != 0);
}

static void check_equal(const struct settings *a, const struct settings *b)
{
	must(strcmp(a->device, b->device) == 0 && a->log_level == b->log_level);
	must(config_mqtt_equal(&a->mqtt, &b->mqtt) && config_spool_equal(&a->spool, &b->spool));
	must(memcmp(&a->commands, &b->commands, sizeof(a->commands)) == 0);
	must(a->stats.interval_us == b->stats.interval_us);
	must(a->i2c_count == b->i2c_count && a->sensor_count == b->sensor_count);
	must(a->input_count == b->input_count && a->output_count == b->output_count);
	for (size_t i = 0; i < a->i2c_count; i++)
		must(config_i2c_equal(&a->i2c[i], &b->i2c[i]));
	for (size_t i = 0; i < a->sensor_count; i++)
		must(config_sensor_equal(&a->sensors[i], &b->sensors[i]));
	for (size_t i = 0; i < a->input_count; i++)
		must(config_input_equal(&a->inputs[i], &b->inputs[i]));
	for (size_t i = 0; i < a->output_count; i++)
		must(config_output_equal(&a->outputs[i], &b->outputs[i]) &&
		     config_output_line_equal(&a->outputs[i], &b->outputs[i]));
}

/* the order of the two is of no matter */
static void check_symmetry(const struct settings *a, const struct settings *b)
{
	must(config_mqtt_equal(&a->mqtt, &b->mqtt) == config_mqtt_equal(&b->mqtt, &a->mqtt));
	must(config_spool_equal(&a->spool, &b->spool) == config_spool_equal(&b->spool, &a->spool));
	for (size_t i = 0; i < a->i2c_count && i < b->i2c_count; i++)
		must(config_i2c_equal(&a->i2c[i], &b->i2c[i]) ==
		     config_i2c_equal(&b->i2c[i], &a->i2c[i]));
	for (size_t i = 0; i < a->sensor_count && i < b->sensor_count; i++)
		must(config_sensor_equal(&a->sensors[i], &b->sensors[i]) ==
		     config_sensor_equal(&b->sensors[i], &a->sensors[i]));
	for (size_t i = 0; i < a->input_count && i < b->input_count; i++)
		must(config_input_equal(&a->inputs[i], &b->inputs[i]) ==
		     config_input_equal(&b->inputs[i], &a->inputs[i]));
	for (size_t i = 0; i < a->output_count && i < b->output_count; i++)
		must(config_output_equal(&a->outputs[i], &b->outputs[i]) ==
		     config_output_equal(&b->outputs[i], &a->outputs[i]));
}

/* --- the target ----------------------------------------------------------------------------- */

static struct settings *load(const char *file, struct config_faults *faults)
{
	struct settings *settings = NULL;
	int r;

	is_loading = true;
	r = config_load(&settings, file, faults);
	is_loading = false;
	check_faults(r, faults, settings);
	return settings;
}

static void compare_with_next(const struct settings *settings)
{
	struct config_faults faults;
	struct settings *next = load(names[1], &faults);

	if (next) {
		check_settings(next);
		check_symmetry(settings, next);
	}
	config_faults_free(&faults);
	settings_free(next);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct settings *settings, *again;
	struct config_faults faults, same;

	folder_enter();
	put_files(data, size);
	settings = load(names[0], &faults);
	again = load(names[0], &same);
	must(faults.count == same.count);
	for (size_t i = 0; i < faults.count; i++)
		must(strcmp(faults.lines[i], same.lines[i]) == 0);
	if (settings && again) {
		check_settings(settings);
		check_equal(settings, again);
		if (lines[1] > 0)
			compare_with_next(settings);
	}
	config_faults_free(&faults);
	config_faults_free(&same);
	settings_free(settings);
	settings_free(again);
	return 0;
}
