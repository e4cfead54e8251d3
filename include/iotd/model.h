/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The words that all layers share: channel, reading, message, command, device, statistics. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iotd/base.h"

#define NAME_LENGTH  64 /* of sensors, inputs, outputs and channels */
#define UNIT_LENGTH  15 /* "µg/m³" has 7 bytes */
#define CHANNELS_MAX 64 /* of one sensor */

/** struct channel - one quantity of a sensor, as it is published */
struct channel {
	char name[NAME_LENGTH + 1];
	char unit[UNIT_LENGTH + 1]; /* UTF-8; "" has none */
	int digits;		    /* behind the decimal point, 0 .. 9 */
};

/** struct value - a number of a reading, already scaled and checked */
struct value {
	const struct channel *channel; /* lives as long as its sensor */
	double number;		       /* finite, in the channel's unit */
};

/**
 * struct reading - what a sensor said at one moment: 1 .. CHANNELS_MAX values in the channels'
 * order
 */
struct reading {
	const char *name; /* of the sensor */
	int64_t time_us;  /* CLOCK_REALTIME when the sample was taken */
	size_t count;
	struct value values[CHANNELS_MAX];
};

/**
 * value_format() - the shortest text of @number with at most @digits decimals: "21.37", "40.2",
 * "-3", never "-0"
 */
void value_format(char *buffer, size_t size, double number, int digits);

/** value_round() - @number rounded to @digits decimals, halves away from zero */
double value_round(double number, int digits);

/** enum device_kind - the three things that have a name */
enum device_kind {
	DEVICE_SENSOR,
	DEVICE_INPUT,
	DEVICE_OUTPUT
};

/** device_kind_name() - "sensor", "input", "output": also the second word of its topics */
const char *device_kind_name(enum device_kind kind);

/** enum device_status - can it be read (or driven)? unknown until the first try ended */
enum device_status {
	STATUS_UNKNOWN,
	STATUS_ONLINE,
	STATUS_OFFLINE
};

/** device_status_name() - "unknown", "online", "offline" */
const char *device_status_name(enum device_status status);

/** struct device_info - one line of the command list; all pointers live as long as the device */
struct device_info {
	enum device_kind kind;
	enum device_status status;
	const char *name;
	const char *driver;		/* sensors: the driver; else NULL */
	int64_t interval_us;		/* sensors and counters: between readings; else 0 */
	const struct channel *channels; /* sensors and counters; else NULL, 0 */
	size_t channel_count;
	int state;	   /* inputs and outputs: 0 off, 1 on, -1 not known yet; others: -1 */
	const char *fault; /* offline: why, in words; else NULL */
};

/** struct state - an input or an output changed, or was asked */
struct state {
	enum device_kind kind;
	const char *name;
	bool on;
	int64_t time_us; /* CLOCK_REALTIME; of an edge: the kernel's own time */
};

/** struct message - bytes on their way to the broker; one allocation, message_free() */
struct message {
	struct message *next, *previous; /* for the one queue it is in */
	uint64_t id;			 /* the spool's; 0: not from there */
	int64_t row;			 /* the spool's: in its file; 0: not there */
	int64_t queued_us;		 /* CLOCK_BOOTTIME when it came into being; 0 unknown */
	uint32_t expiry_s;		 /* MQTT 5 message expiry, 0: none */
	uint8_t qos;
	bool retain;
	char *topic; /* inside the allocation, as is @payload */
	uint8_t *payload;
	size_t length; /* of the payload */
};

/**
 * message_new() - copy a topic and a payload
 * @payload: @length bytes; NULL with 0 for an empty one
 * Return: 0; -ENOMEM.
 */
int message_new(struct message **ret, const char *topic, const void *payload, size_t length);

/** message_free() - NULL is fine. Returns NULL */
struct message *message_free(struct message *message);

static inline void message_freep(struct message **message)
{
	*message = message_free(*message);
}

/** message_size() - bytes of memory that it stands for */
size_t message_size(const struct message *message);

/**
 * enum command_kind - SPEC §4, in the order of the default "allow" list, then those that must be
 * named
 */
enum command_kind {
	COMMAND_PING,
	COMMAND_LIST,
	COMMAND_STATS,
	COMMAND_READ,
	COMMAND_SET,
	COMMAND_PULSE,
	COMMAND_TOGGLE,
	COMMAND_INTERVAL,
	COMMAND_RELOAD,
	COMMAND_COUNT,
	COMMAND_KINDS
};

/** command_kind_name() - "ping" … */
const char *command_kind_name(enum command_kind kind);

/** command_kind_from_name() - -EINVAL: no such command */
int command_kind_from_name(const char *name);

/** struct command_result - the answer to a command; pointers live until done() returns */
struct command_result {
	int error;		       /* 0, or negative errno with @text in words for the sender */
	const char *text;	       /* of the error: `no sensor named "airr"` */
	const struct reading *reading; /* read of a sensor or counter */
	const struct state *state;     /* read of an input or output, set, pulse, toggle */
	const struct device_info *devices; /* list */
	size_t device_count;
	const struct stats *stats; /* stats, ping */
	int64_t interval_us;	   /* interval: the new one */
};

/**
 * struct command - one command on its way; belongs to who made it, until it is answered
 * @done: called exactly once, on the reactor, perhaps before command execution returns
 */
struct command {
	enum command_kind kind;
	char name[NAME_LENGTH + 1];
	bool on;	     /* set */
	int64_t for_us;	     /* set, pulse: go back after this; 0 never */
	int64_t interval_us; /* interval */
	uint64_t total;	     /* count */
	void (*done)(struct command *command, const struct command_result *result);
};

/**
 * struct control - the joint through which MQTT (and later D-Bus) has commands carried out;
 * daemon.c fills it
 */
struct control {
	void (*execute)(struct control *control, struct command *command);
};

/** struct stats - counters since the start; each is written by one layer and read by all */
struct stats {
	int64_t started_us;    /* reactor time at the start */
	int64_t now_us;	       /* reactor time when it was asked */
	uint64_t readings;     /* taken and published or held back by deadband or window */
	uint64_t read_errors;  /* reads that failed after all retries */
	uint64_t reads_missed; /* due times that passed while a read was still under way */
	int64_t late_max_us;   /* the worst lateness of a read's start */
	uint64_t published;    /* messages given to a connected broker */
	uint64_t acknowledged; /* PUBACK, or written at QoS 0 */
	uint64_t refused;      /* PUBACK with an error, or a reply too many: discarded */
	uint64_t discarded;    /* readings that a full queue lost */
	uint64_t queued;       /* readings not yet acknowledged, now */
	uint64_t in_flight;    /* of these, handed to the broker */
	uint64_t connects;     /* CONNACKs that said yes */
	uint64_t disconnects;
	uint64_t commands;	   /* carried out with success */
	uint64_t commands_refused; /* answered with an error, ignored as retained, or dropped */
	uint64_t edges;		   /* of inputs */
	uint64_t edges_lost;	   /* by the kernel's sequence numbers */
	uint64_t log_dropped;	   /* log lines that found the ring full */
	bool connected;
};
