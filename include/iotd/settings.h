/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The configuration as plain structs: filled once by config/, completely checked, then const.
 * Strings are never NULL unless said; defaults are filled in.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iotd/model.h"
#include "iotd/option.h"
#include "iotd/stamp.h"

struct driver;

/** option_values_copy() - all of @count values, with their lists. Return: 0, also for none (*@ret NULL then); -ENOMEM */
int option_values_copy(struct option_value **ret, const struct option_value *values, size_t count);

/** option_values_free() - @count values, with their lists. NULL is fine. Returns NULL */
struct option_value *option_values_free(struct option_value *values, size_t count);

enum mqtt_scheme {
	MQTT_TCP,
	MQTT_TLS,
	MQTT_UNIX
};

/** struct broker_settings - mqtt://HOST[:1883], mqtts://HOST[:8883], unix:/PATH */
struct broker_settings {
	char *url; /* as written */
	enum mqtt_scheme scheme;
	char *host; /* or the socket's path; IPv6 without its brackets */
	int port;   /* 0 for a socket */
};

enum message_format {
	FORMAT_JSON,
	FORMAT_VALUE,
	FORMAT_SENML,
	FORMAT_CBOR,
	FORMAT_INFLUX,
	FORMAT_SPARKPLUG
};

enum tls_file {
	TLS_CA,
	TLS_CERT,
	TLS_KEY,
	TLS_PSK,
	TLS_FILES
};

/** struct tls_settings - for the brokers that are mqtts:// */
struct tls_settings {
	char *ca_file, *cert_file, *key_file, *psk_file; /* or a credential's; NULL: not given */
	char *alpn, *psk_identity;			 /* NULL: not given */
	bool verify;
	struct file_stamp stamps[TLS_FILES]; /* when it was loaded; a renewed file is a change */
};

struct mqtt_settings {
	struct broker_settings *brokers; /* at least one, tried in order */
	size_t broker_count;
	int protocol; /* 5 or 4 */
	char *client_id;
	char *username;	     /* NULL: none */
	char *password;	     /* NULL: none; secret: never logged */
	char *password_file; /* NULL: none; read at each connect */
	char *topic;
	enum message_format format;
	int qos;
	bool retain;
	int64_t keepalive_us, reconnect_min_us, reconnect_max_us;
	struct tls_settings tls;
	bool discovery_enabled;
	char *discovery_prefix, *discovery_style;
	char *compat;	   /* "" or "mqtt-io" */
	int64_t expiry_us; /* 0: none */
	bool user_properties;
};

struct spool_settings {
	char *path; /* "": memory only */
	uint64_t max_size;
};

struct command_settings {
	bool enabled;
	bool allow[COMMAND_KINDS];
};

struct stats_settings {
	int64_t interval_us;
	char *textfile; /* "": none */
};

struct i2c_settings {
	char *name;	    /* "i2c-1" */
	char *path;	    /* "/dev/i2c-1" */
	int64_t timeout_us; /* 0: leave the adapter's own (I2C_TIMEOUT changes it for everybody) */
	int retries;
};

enum aggregate {
	AGGREGATE_MEAN,
	AGGREGATE_MIN,
	AGGREGATE_MAX,
	AGGREGATE_MEDIAN,
	AGGREGATE_LAST
};

/** struct channel_settings - what is published of one channel; found by name when the source is opened */
struct channel_settings {
	char name[NAME_LENGTH + 1];
	double offset, scale;	    /* value x scale + offset; 0 and 1 */
	int digits;		    /* -1: the driver's */
	double min, max;	    /* outside = a failed reading; -INFINITY, INFINITY */
	double deadband;	    /* 0: every reading is published */
	int64_t max_age_us;	    /* with a deadband: publish at least that often */
	char unit[UNIT_LENGTH + 1]; /* "": the driver's */
	char *device_class;	    /* NULL: by unit */
	char *alias;		    /* what mqtt.compat calls it; NULL: by the sensor's name */
};

struct sensor_settings {
	char *name;
	const struct driver *driver;
	char *bus; /* name of its struct i2c_settings; NULL where the driver has none */
	uint16_t address;
	struct option_value
		*options; /* one for each of driver->options, same order, defaults filled in */
	size_t option_count;
	int64_t interval_us, window_us; /* window 0: each reading is published */
	enum aggregate aggregate;
	int retries;
	char *topic; /* whole topic; default TOPIC/sensor/NAME */
	int qos;
	bool retain, enabled;
	struct channel_settings *channels; /* those that have a group in the file */
	size_t channel_count;
	bool is_single; /* it has one channel, as far as the file tells */
};

enum line_bias {
	BIAS_AS_IS,
	BIAS_DISABLED,
	BIAS_PULL_UP,
	BIAS_PULL_DOWN
};
enum line_edge {
	EDGE_BOTH,
	EDGE_RISING,
	EDGE_FALLING
};

/** struct line_settings - where a GPIO line is */
struct line_settings {
	char *chip; /* "gpiochip0", "/dev/gpiochip0", or a label */
	char *name; /* line name; NULL: by offset */
	unsigned int offset;
	enum line_bias bias;
	bool active_low;
};

struct input_settings {
	char *name;
	struct line_settings line;
	enum line_edge edge;
	int64_t debounce_us;
	bool count, frequency; /* frequency: of a counter */
	bool on_time;
	int64_t interval_us; /* counters and on_time */
	double scale;
	char unit[UNIT_LENGTH + 1];
	char *count_topic;  /* of the readings of count or on_time; NULL: neither */
	char *device_class; /* NULL: none */
	char *module;	    /* of mqtt-io, in ids of mqtt.compat; NULL: the chip */
	bool enabled;
};

enum output_move {
	MOVE_KEEP,
	MOVE_OFF,
	MOVE_ON
};

struct output_settings {
	char *name;
	struct line_settings line;
	enum output_move initial;
	int64_t max_on_us; /* 0: no limit */
	enum output_move on_exit, on_disconnect;
	int64_t disconnect_after_us;
	char **interlock; /* names of outputs, symmetric when they are used */
	size_t interlock_count;
	char *device_class; /* NULL: none */
	char *module;	    /* as of an input */
	bool enabled;
};

struct settings {
	char *file; /* where it was read from */
	char *device;
	int log_level; /* LOG_ERR .. LOG_DEBUG */
	struct mqtt_settings mqtt;
	struct spool_settings spool;
	struct command_settings commands;
	struct stats_settings stats;
	char *driver_dir;
	char *state_directory; /* where counts are kept */
	struct i2c_settings
		*i2c; /* those in the file, and one for each /dev/i2c-N that a sensor names */
	size_t i2c_count;
	struct sensor_settings *sensors;
	size_t sensor_count;
	struct input_settings *inputs;
	size_t input_count;
	struct output_settings *outputs;
	size_t output_count;
};

/** settings_free() - NULL and half-filled ones are fine. Returns NULL */
struct settings *settings_free(struct settings *settings);

/** settings_find_i2c() - the bus called @name; NULL if there is none */
const struct i2c_settings *settings_find_i2c(const struct settings *settings, const char *name);

static inline void settings_freep(struct settings **settings)
{
	*settings = settings_free(*settings);
}
