/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What watch shows: a row for each channel of the daemon's devices, and for each line with a state, with its
 * history. It outlives the daemon. No clock is read and nothing is printed.
 */

#include "device.h"
#include "history.h"

/** struct row - one of them */
struct row {
	struct device *
		device; /* its numbers are those of the newest reading: NAN what that did not have */
	size_t channel;	  /* of the device; none if it has a state */
	double value;	  /* the newest known: a state is 0 or 1; NAN: none */
	uint64_t time_us; /* of the newest in the history */
	bool is_gap;	  /* which is a gap */
	struct history *history;
};

struct board;

/** struct board_filter - names of devices and channels, NAME or NAME.CHANNEL; the caller's */
struct board_filter {
	char **names;
	size_t count; /* 0: everything */
};

/**
 * board_new() - an empty one
 * @ret:     set on success only; the caller frees it with board_free()
 * @filter:  what of the daemon's devices is there
 * @span_us: what histories keep
 * Return: 0; -ENOMEM.
 */
int board_new(struct board **ret, const struct board_filter *filter, int64_t span_us);

/** board_free() - also of NULL. Return: NULL */
struct board *board_free(struct board *board);

static inline void board_freep(struct board **board)
{
	*board = board_free(*board);
}

/**
 * board_update() - the daemon's devices, as they are now; rows that stay keep their histories
 * @devices: taken over on success, and empty then
 * @now_us:  CLOCK_REALTIME: when what is offline has a gap from
 * Return: 0; -ENOMEM, nothing has changed.
 */
int board_update(struct board *board, struct devices *devices, int64_t now_us);

/** board_interrupt() - nothing is known from now on: the daemon is gone */
void board_interrupt(struct board *board, int64_t now_us);

/**
 * board_read() - the signal Reading: of the device called @name, with its time and values next in @message
 * Return: the device; NULL: it is not on the board, or this is no reading
 */
struct device *board_read(struct board *board, const char *name, sd_bus_message *message);

/** board_count() - rows */
size_t board_count(const struct board *board);

/** board_row() - in the order of the daemon's list; valid until board_update() */
const struct row *board_row(const struct board *board, size_t index);

/** board_devices() - all of the daemon's, with rows or without */
const struct devices *board_devices(const struct board *board);

/** board_device() - one of them by its name; NULL: there is none, or it has no row */
struct device *board_device(const struct board *board, const char *name);

/** board_find() - the index of the first row of NAME or NAME.CHANNEL; -1: there is none */
ssize_t board_find(const struct board *board, const char *name);

/**
 * board_lacks() - the first of the filter's names that is on no row; NULL: none
 * A channel of a sensor whose channels are not known yet is not lacking: its row may come.
 */
const char *board_lacks(const struct board *board);

/** row_channel() - NULL: it has a state */
static inline const struct device_channel *row_channel(const struct row *row)
{
	return row->device->channel_count > 0 ? &row->device->channels[row->channel] : NULL;
}

/** filter_has() - is this channel (NULL: the state) of the device wanted? */
bool filter_has(const struct board_filter *filter, const struct device *device,
		const char *channel);

/** device_is_late() - has it said nothing for so many of its intervals? Never of what has no interval, or is offline */
bool device_is_late(const struct device *device, int64_t now_us, unsigned int intervals);
