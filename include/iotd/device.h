/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Devices: sensors, inputs and outputs as tasks on the reactor. A device that is missing or fails
 * is offline, is tried again with back-off, and comes back by itself.
 */

#include <stdbool.h>

#include "iotd/bus.h"
#include "iotd/settings.h"
#include "iotd/source.h"
#include "iotd/worker.h"

struct sensor;
struct input;
struct output;

/** struct device_events - the joint to the daemon: what devices have to tell; called on the reactor */
struct device_events {
	/** a reading to publish, or one that a command asked for; valid during the call */
	void (*reading)(struct device_events *events, const struct sensor_settings *settings,
			const struct reading *reading);
	/** a reading of an input's count or on_time to publish; valid during the call */
	void (*count)(struct device_events *events, const struct input_settings *settings,
		      const struct reading *reading);
	/** a device went online or offline; also once at its first try */
	void (*status)(struct device_events *events, enum device_kind kind, const char *name,
		       enum device_status status);
	/** the state of an input or output, at the start and at each change */
	void (*state)(struct device_events *events, const struct state *state);
	/**
	 * a read told something of the bus of its sensor: it @hangs, or something on it answered;
	 * NULL: nobody listens
	 */
	void (*bus)(struct device_events *events, const struct sensor_settings *settings,
		    bool hangs);
	/**
	 * what an input has counted has changed: input_count() tells it; ten times a second at most
	 *
	 * NULL: nothing is kept, and a total begins at 0.
	 */
	void (*counted)(struct device_events *events);
	/**
	 * the channels of a sensor are known now, or are others: sensor_is_news()
	 *
	 * NULL: nobody listens.
	 */
	void (*channels)(struct device_events *events, const char *name);
	/**
	 * a device that is offline was tried again in vain: the fault may be another one
	 *
	 * NULL: nobody listens.
	 */
	void (*fault)(struct device_events *events, enum device_kind kind, const char *name);
};

/** struct line_times - what is to move an output later, by reactor_now()'s clock, which all processes share */
struct line_times {
	int64_t back_us;       /* when the time of a command is over; 0: never */
	int64_t limit_from_us; /* since when max_on counts; 0: it does not */
	bool back_on;	       /* where it goes at back_us */
};

/**
 * struct line_store - the joint to where outputs' lines outlive the process; called on the reactor
 *
 * So an output does not move when iotd is restarted, upgraded or killed.
 */
struct line_store {
	/** the line of @output in an earlier run; kept->fd is the caller's then. False: none */
	bool (*take)(struct line_store *store, const char *output, struct gpio_kept *kept,
		     struct line_times *times);
	/** keep @line as that of @output until remove() */
	void (*put)(struct line_store *store, const char *output, const struct gpio_line *line);
	/** for who takes the line next */
	void (*remember)(struct line_store *store, const char *output,
			 const struct line_times *times);
	/** do not keep the line of @output that was at @place any more */
	void (*remove)(struct line_store *store, const char *output, const char *place);
	/** true for a while after remove(): a line that is held may be so by the store, and come free */
	bool (*is_letting_go)(struct line_store *store);
};

/** struct device_parts - what devices work with; all of it must outlive them */
struct device_parts {
	struct reactor *reactor;
	struct device_events *events;
	struct stats *stats;
	int64_t epoch_us;	  /* reactor time that schedules are multiples from */
	struct line_store *store; /* NULL: lines end with the process */
	bool is_once;		  /* --once: nobody tries again, so no message says so */
};

/* --- channels: from a driver's numbers to what is published ---------------------------------- */

struct channel_filter;

/**
 * channel_filter_new() - scale, limits, window, deadband of one sensor
 * @channels: of the opened source; they must outlive the filter
 * Return: 0; -ENOMEM.
 */
int channel_filter_new(struct channel_filter **ret, const struct sensor_settings *settings,
		       const struct channel *channels, size_t count);

/** channel_filter_free() - NULL is fine. Returns NULL */
struct channel_filter *channel_filter_free(struct channel_filter *filter);

/** channel_filter_set_interval() - samples come at this distance from now on; windows and max_age go by it */
void channel_filter_set_interval(struct channel_filter *filter, int64_t interval_us);

/** channel_filter_update() - the same settings, in new memory */
void channel_filter_update(struct channel_filter *filter, const struct sensor_settings *settings);

/** channel_filter_forget() - the next reading is news to every deadband: the sensor was away */
void channel_filter_forget(struct channel_filter *filter);

/** channel_filter_channels() - the channels as they are published: the configuration's units and digits */
const struct channel *channel_filter_channels(const struct channel_filter *filter);

/**
 * channel_filter_sample() - what was given to channel_filter_publish() last: one a channel, NAN if it had none
 * @ret_time_us: CLOCK_REALTIME of it; 0: there is none yet
 * Return: the filter's; NULL there is none yet.
 */
const double *channel_filter_sample(const struct channel_filter *filter, int64_t *ret_time_us);

/**
 * channel_filter_scale() - apply scale, offset and limits to what collect() gave
 * @values:  one a channel, in place; NAN stays NAN (the chip has it not)
 * @fault:   filled on failure
 * Return: 0; -ERANGE a value is outside min .. max; -EDOM it is infinite, or all are NAN.
 */
int channel_filter_scale(const struct channel_filter *filter, double values[static CHANNELS_MAX],
			 char fault[static 192]);

/**
 * channel_filter_publish() - window, deadband and rounding: what of it is to be published now
 * @now_us:  reactor time
 * @time_us: CLOCK_REALTIME of the sample
 * @force:   all of it, as it is (a command asked)
 * Return: how many values @reading has now; 0: nothing to publish.
 */
size_t channel_filter_publish(struct channel_filter *filter,
			      const double values[static CHANNELS_MAX], int64_t now_us,
			      int64_t time_us, bool force, struct reading *reading);

/* --- sensors -------------------------------------------------------------------------------- */

/**
 * sensor_new() - a sensor that is read from the next turn on, then at multiples of its interval
 * @settings: must outlive it
 * @source:   taken over
 * @key:      of its bus; stays the caller's
 * Return: 0; -ENOMEM (@source is freed then too).
 */
int sensor_new(struct sensor **ret, const struct device_parts *parts,
	       const struct sensor_settings *settings, struct source *source,
	       struct worker_key *key);

/** sensor_free() - stop; closes its source on the worker, when that comes back. NULL is fine. Returns NULL */
struct sensor *sensor_free(struct sensor *sensor);

/** sensor_read_callback - @reading is NULL on failure, @fault says why then */
typedef void (*sensor_read_callback)(void *data, int error, const char *fault,
				     const struct reading *reading);

/**
 * sensor_read() - read now, besides the schedule; the reading is also published
 *
 * All who ask before it is taken get the same one, also if it is under way already.
 * Return: 0, @done will be called once, or was; -EBUSY 64 wait for it; -ENOMEM.
 */
int sensor_read(struct sensor *sensor, sensor_read_callback done, void *data);

/** sensor_set_interval() - from now on; until the next reload */
void sensor_set_interval(struct sensor *sensor, int64_t interval_us);

/** sensor_update() - the same configuration, in new memory; an interval that a command set ends */
void sensor_update(struct sensor *sensor, const struct sensor_settings *settings);

/** sensor_settings() - its configuration */
const struct sensor_settings *sensor_settings(const struct sensor *sensor);

/** sensor_info() - its line of the list; no channels while its source is opened for the first time */
void sensor_info(const struct sensor *sensor, struct device_info *ret);

/** sensor_is_news() - its channels or its interval are not those of when sensor_set_news() was told false */
bool sensor_is_news(const struct sensor *sensor);

/** sensor_set_news() - see sensor_is_news() */
void sensor_set_news(struct sensor *sensor, bool is_news);

/** sensor_deadline() - reactor time by which its task must have gone on; the watchdog's measure of progress */
int64_t sensor_deadline(const struct sensor *sensor);

/* --- inputs --------------------------------------------------------------------------------- */

/** input_new() - an input whose line is asked for from the next turn on. @key: of its chip. Return: 0; -ENOMEM */
int input_new(struct input **ret, const struct device_parts *parts,
	      const struct input_settings *settings, const struct gpio *gpio,
	      struct worker_key *key);

/** input_free() - releases the line. NULL is fine. Returns NULL */
struct input *input_free(struct input *input);

/** input_chips_changed() - GPIO chips came or went: look for the line now */
void input_chips_changed(struct input *input);

/** input_update() - the same configuration, in new memory */
void input_update(struct input *input, const struct input_settings *settings);

/** input_settings() - its configuration */
const struct input_settings *input_settings(const struct input *input);

/** input_info() - its line of the list */
void input_info(const struct input *input, struct device_info *ret);

/** input_state() - the last state. Return: 0; -ENODATA not known yet or offline, or a counter */
int input_state(const struct input *input, struct state *ret);

/** input_read_counter() - a counter's reading, also published. Return: 0; -ENODATA offline; -ENOTSUP no counter */
int input_read_counter(struct input *input, struct reading *ret);

/**
 * input_count() - what it has counted up to now, to be kept
 * @ret_is_whole: it is all; false: what came in this run, as the rest is not known: see input_restore()
 * Return: 0; -ENOTSUP neither count nor on_time.
 */
int input_count(struct input *input, struct count *ret, bool *ret_is_whole);

/**
 * input_restore() - what was kept of it, and what it has counted since: it goes on from @count
 * @is_whole: as input_count() told, and as is known by now
 */
void input_restore(struct input *input, const struct count *count, bool is_whole);

/**
 * input_set_total() - its total is @total from now on; a reading with it is published if it is online
 * @total:      0 .. 1e15, in its unit; on_time: seconds
 * @ret_before: what it was; -ENODATA: in this run
 * Return: 0; -ENODATA it is set, but what it was is not known; -ENOTSUP neither count nor on_time; -ERANGE.
 */
int input_set_total(struct input *input, double total, double *ret_before);

/* --- outputs -------------------------------------------------------------------------------- */

/** struct output_rules - joint to the other outputs, for interlocks */
struct output_rules {
	/** the name of an output that @output must never be on together with, and that @is_on; NULL: none */
	const char *(*blocked_by)(struct output_rules *rules, const struct output *output,
				  bool (*is_on)(const struct output *other));
	/** @output has been driven off: wake those that wait for it (output_wake()) */
	void (*went_off)(struct output_rules *rules, const struct output *output);
};

/**
 * output_new() - an output whose line is asked for from the next turn on
 * Return: 0; -ENOMEM.
 */
int output_new(struct output **ret, const struct device_parts *parts,
	       const struct output_settings *settings, const struct gpio *gpio,
	       struct worker_key *key, struct output_rules *rules);

/** output_free() - releases the line as it is, which a store keeps. NULL is fine. Returns NULL */
struct output *output_free(struct output *output);

/** output_remove() - the same, but no store keeps the line: the configuration does not want it any more */
void output_remove(struct output *output);

/** output_callback - @fault says why @error is not 0; @state is where it is now */
typedef void (*output_callback)(void *data, int error, const char *fault,
				const struct state *state);

/**
 * output_set() - drive it
 * @on:     the state asked for
 * @for_us: go back after this; 0: never. "on for" ends off; "off for" ends on if it was on before
 * @done:   called once, when the line is driven or the command is refused; may be NULL
 *
 * Carried out in the order in which they come; a later one ends the going back of an earlier one.
 * Refused: -EBUSY interlock; -ENODEV the line is offline; -EIO; -ECANCELED max_on or another rule
 * came between, or 64 later calls.
 */
void output_set(struct output *output, bool on, int64_t for_us, output_callback done, void *data);

/** output_is_on() - on by intention: where the last command sends it; offline: as output_may_be_on() */
bool output_is_on(const struct output *output);

/** output_may_be_on() - true from the moment it is driven on until it has been driven off; offline: where it was */
bool output_may_be_on(const struct output *output);

/** output_wake() - an interlocked output went off: go on if it waited for that */
void output_wake(struct output *output);

/** output_link_changed() - the broker came or went: on_disconnect counts from here; also once a failed try to connect */
void output_link_changed(struct output *output, bool connected);

/** output_exit() - drive what on_exit says. Return: a future, done when the line is driven; NULL: nothing to do */
struct future *output_exit(struct output *output);

/**
 * output_update() - another configuration for the same line, which does not move for it
 *
 * max_on that is new counts from now, one that changed from when the line went on. If on_disconnect or
 * disconnect_after changed it is to be told again that the link is down: output_link_changed().
 */
void output_update(struct output *output, const struct output_settings *settings);

/** output_chips_changed() - GPIO chips came or went: look for the line now */
void output_chips_changed(struct output *output);

/** output_obey_interlock() - when all are updated: off, if an output that is on too excludes it now */
void output_obey_interlock(struct output *output);

/** output_settings() - its configuration */
const struct output_settings *output_settings(const struct output *output);

/** output_info() - its line of the list */
void output_info(const struct output *output, struct device_info *ret);

/** output_state() - where it is. Return: 0; -ENODATA offline or not driven yet */
int output_state(const struct output *output, struct state *ret);
