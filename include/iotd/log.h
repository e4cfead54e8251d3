/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The log. Lines go to the journal with structured fields when stderr is the journal (see
 * systemd.exec(5), $JOURNAL_STREAM), else to stderr, one line a message. sd_journal_sendv() and
 * write() block while their reader is stuck, so between log_start() and log_stop() a line only
 * enters a bounded ring that a thread of its own empties; what does not fit is counted, and the
 * count is logged when there is room again.
 */

#include <stdint.h>
#include <syslog.h>

#include "iotd/base.h"

/** struct log_fields - journal fields of one message; NULL and 0 mean absent */
struct log_fields {
	const char *message_id; /* MESSAGE_ID=, 32 hex digits, an entry of the catalog */
	const char *name;	/* IOTD_NAME=: the sensor, input or output */
	const char *bus;	/* IOTD_BUS= */
	int error;		/* ERRNO=, positive or negative errno */
};

/** log_set_level() - drop what is less urgent than @level (LOG_ERR .. LOG_DEBUG) */
void log_set_level(int level);

/** log_level_from_name() - LOG_* of debug, info, notice, warning or err; -EINVAL for other words */
int log_level_from_name(const char *name);

/**
 * log_start() - write from a thread of its own from now on
 *
 * Call once, after signals are blocked. Return: 0; -EAGAIN no thread to be had; -ENOMEM.
 */
int log_start(void);

/**
 * log_stop() - write out what waits, end the thread, write directly from then on
 *
 * Waits 500 ms at most for a reader that is stuck. Does nothing if log_start() was not called.
 */
void log_stop(void);

/**
 * log_event() - one message with journal fields
 * @level:  LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO or LOG_DEBUG
 * @fields: journal fields, or NULL; copied
 * @format: printf; no newline at its end; cut at 1 KiB
 *
 * From any thread. Never blocks between log_start() and log_stop(). Keeps errno.
 */
void log_event(int level, const struct log_fields *fields, const char *format, ...)
	printf_like(3, 4);

/** log_dropped() - messages that found the ring full, since the start */
uint64_t log_dropped(void);

#define log_error(...)	 log_event(LOG_ERR, NULL, __VA_ARGS__)
#define log_warning(...) log_event(LOG_WARNING, NULL, __VA_ARGS__)
#define log_notice(...)	 log_event(LOG_NOTICE, NULL, __VA_ARGS__)
#define log_info(...)	 log_event(LOG_INFO, NULL, __VA_ARGS__)
#define log_debug(...)	 log_event(LOG_DEBUG, NULL, __VA_ARGS__)
