/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The words that all layers share: channel, reading, message, command, device, statistics. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iotd/base.h"
#include "iotd/channel.h"
#include "iotd/histogram.h"

#define DECIMAL_SIZE 18 /* of value_write(): a sign, 15 digits, "0." */

/** struct value - a number of a reading, already scaled and checked */
struct value {
	const struct channel *channel; /* the sensor's: until it is opened anew and has others */
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

/**
 * value_write() - the same, and how long it is, without a NUL; 0: it has more than 15 digits
 * For the way of a reading: ten times as fast as what printf() needs.
 */
size_t value_write(char buffer[static DECIMAL_SIZE], double number, int digits);

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

/** struct device_info - what is known of a device; all pointers live until the reactor's next turn */
struct device_info {
	enum device_kind kind;
	enum device_status status;
	const char *name;
	const char *driver;		/* sensors: the driver; else NULL */
	int64_t interval_us;		/* sensors and counters: between readings; else 0 */
	const struct channel *channels; /* sensors and counters; else NULL, 0 */
	size_t channel_count;
	int state;	   /* inputs and outputs: 0 off, 1 on, -1 not known; others: -1 */
	const char *fault; /* offline: why, in words; else NULL */
	uint64_t readings, read_errors; /* sensors: since the sensor was made; as in struct stats */
	/*
	 * Sensors and counters: the newest sample, a number for each of @channels, also what a deadband
	 * or a window held back; NAN: it had none. It stays when they go offline. NULL: none yet
	 */
	const double *sample;
	int64_t sampled_us; /* CLOCK_REALTIME of @sample; 0: none yet */
	int64_t state_us;   /* CLOCK_REALTIME since when it is @state, as was told; 0: not known */
	/*
	 * Sensors: the worst of the reads' starts after their due times, of the last one to two minutes; if
	 * there were none, of the last; and what its reads took on their worker, since it was made
	 */
	int64_t late_us, busy_us;
};

/**
 * device_value() - a number of the newest sample, rounded as it is published
 * Return: NAN: that channel had none, or there is no sample yet.
 */
double device_value(const struct device_info *info, size_t channel);

/** device_time() - CLOCK_REALTIME of the newest sample, or, where there is none, of the state; 0: neither */
int64_t device_time(const struct device_info *info);

/** struct state - an input or an output changed, or was asked */
struct state {
	enum device_kind kind;
	const char *name;
	bool on;
	int64_t time_us; /* CLOCK_REALTIME; of an edge: the kernel's own time */
};

/** enum count_kind - what an input counts */
enum count_kind {
	COUNT_EDGES,   /* edges */
	COUNT_ON_TIME, /* microseconds in which it was on */
	COUNT_KINDS
};

/* above, a double does not tell one edge from the next */
#define COUNT_TOTAL_MAX 1e15

/** struct count - what an input has counted; its total is start + amount x its scale */
struct count {
	enum count_kind kind;
	double start;	 /* what a command set the total to, in its unit; else 0 */
	uint64_t amount; /* since then */
	uint64_t run;	 /* since iotd was started; not kept over restarts */
};

/** struct message - bytes on their way to the broker; one allocation, message_free() */
struct message {
	struct message *next, *previous; /* for the one queue it is in */
	uint64_t id;			 /* the spool's; 0: not from there */
	int64_t row;			 /* the spool's: in its file; 0: not there */
	int64_t place;	    /* the spool's: the row that it has or would have; 0: not from there */
	int64_t queued_us;  /* CLOCK_BOOTTIME when it came into being; 0 unknown */
	int64_t expires_us; /* CLOCK_BOOTTIME when nobody wants it any more; 0: never */
	uint8_t qos;
	bool retain;
	size_t topic_length;
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

/**
 * message_keep_freed() - whether this thread keeps memory of freed messages for new ones, a bounded amount
 * @keeps: false, as it is at first: what is kept is given back
 *
 * Nothing is kept under a sanitizer, which is to see what is used after it was freed.
 */
void message_keep_freed(bool keeps);

static inline void message_freep(struct message **message)
{
	*message = message_free(*message);
}

/** message_size() - bytes of memory that it stands for */
static inline size_t message_size(const struct message *message)
{
	return sizeof(*message) + message->topic_length + 1 + message->length;
}

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
	bool is_unknown;	       /* of the error: there is nothing of that name */
	const struct reading *reading; /* read of a sensor or counter */
	const struct state *state;     /* read of an input or output, set, pulse, toggle */
	const struct device_info *devices; /* list */
	size_t device_count;
	const struct stats *stats; /* stats, ping */
	int64_t interval_us;	   /* interval: the new one */
	const double *total;	   /* count: the one before; NULL: not known yet */
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
	double total;	     /* count: in the counter's unit */
	void (*done)(struct command *command, const struct command_result *result);
};

/**
 * struct control - the joint through which MQTT (and later D-Bus) has commands carried out;
 * daemon.c fills it
 */
struct control {
	void (*execute)(struct control *control, struct command *command);
};

/** enum command_refusal - why a command was refused */
enum command_refusal {
	REFUSAL_MALFORMED,   /* no JSON, unknown or missing fields, too long */
	REFUSAL_NOT_ALLOWED, /* not in commands.allow */
	REFUSAL_UNKNOWN,     /* names nothing that there is */
	REFUSAL_FAILED,	     /* could not be carried out: offline, an interlock, a fault */
	REFUSAL_RETAINED,
	REFUSAL_DROPPED, /* too many at one time, or iotd is being stopped */
	REFUSAL_KINDS
};

/** command_refusal_name() - "malformed", "not_allowed" … */
const char *command_refusal_name(enum command_refusal refusal);

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
	uint64_t expired;      /* readings that waited longer than mqtt.expiry: dropped */
	uint64_t queued;       /* readings not yet acknowledged, now */
	uint64_t in_flight;    /* of these, handed to the broker */
	uint64_t connects;     /* CONNACKs that said yes */
	uint64_t disconnects;
	uint64_t commands;	   /* carried out with success */
	uint64_t commands_refused; /* answered with an error, ignored as retained, or dropped */
	uint64_t refusals[REFUSAL_KINDS]; /* the same by why: stats_refuse() */
	uint64_t edges;			  /* of inputs */
	uint64_t edges_lost;		  /* by the kernel's sequence numbers */
	uint64_t log_dropped;		  /* log lines that found the ring full */
	uint64_t reloads;		  /* configurations that were taken up */
	uint64_t reloads_refused;
	bool connected;

	/* as of now_us, when they were asked for */
	uint64_t sensors, sensors_offline;
	uint64_t spool_bytes;	   /* of readings, as spool.max_size counts them */
	uint64_t spool_file_bytes; /* what the spool's file takes on the disk; 0: there is none */
	uint64_t memory_bytes;	   /* resident */
	int64_t cpu_us;		   /* of all threads, in user space and in the kernel */

	struct histogram late; /* reads' starts after their due times */
	struct histogram ack; /* from handing a message of QoS 1 or 2 over to its acknowledgement */
};

/** stats_refuse() - one more command is refused */
static inline void stats_refuse(struct stats *stats, enum command_refusal refusal)
{
	stats->commands_refused++;
	stats->refusals[refusal]++;
}
