/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The log: a bounded ring between whoever has something to say and one thread that says it.
 *
 * The journal's socket and a pipe behind stderr block when their reader is stuck (measured: after
 * 11 messages), and the reactor must not. So a line is formatted into a slot of the ring under a
 * mutex that is never held over a write. A full ring drops the new line and counts it; the count is
 * logged when there is room. Fields are copied into the slot, since their owners do not wait.
 *
 * Before log_start() and after log_stop() there is no thread, and the caller writes.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "iotd/clock.h"
#include "iotd/log.h"

#define LINE_SIZE    1024
#define RING_LINES   256
#define STOP_WAIT_US (500 * USEC_PER_MSEC)

struct line {
	int level, error;
	int64_t time_us;
	char message_id[33], name[65], bus[65];
	char text[LINE_SIZE];
};

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	pthread_t thread;
	struct line *ring; /* RING_LINES of them while the thread runs */
	size_t first, count;
	uint64_t dropped, dropped_in_all;
	bool stopping, ended;
	atomic_int level; /* a reload sets it while others log */
	int is_journal;	  /* -1: not looked at yet */
} logger = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER,
	.level = LOG_INFO,
	.is_journal = -1,
};

static const struct {
	const char *name;
	int level;
} levels[] = {
	{ "err", LOG_ERR },   { "warning", LOG_WARNING }, { "notice", LOG_NOTICE },
	{ "info", LOG_INFO }, { "debug", LOG_DEBUG },
};

int log_level_from_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (strcmp(levels[i].name, name) == 0)
			return levels[i].level;
	return -EINVAL;
}

static const char *level_name(int level)
{
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (levels[i].level == level)
			return levels[i].name;
	return "err";
}

void log_set_level(int level)
{
	(void)pthread_mutex_lock(&logger.mutex);
	logger.level = level;
	(void)pthread_mutex_unlock(&logger.mutex);
}

/* stderr is the journal if $JOURNAL_STREAM names its device and inode (systemd.exec(5)) */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat status;
	char ours[48];

	if (!stream || fstat(STDERR_FILENO, &status) < 0)
		return false;
	(void)snprintf(ours, sizeof(ours), "%ju:%ju", (uintmax_t)status.st_dev,
		       (uintmax_t)status.st_ino);
	return strcmp(stream, ours) == 0;
}

static void add_field(struct iovec *fields, int *count, char *buffer, size_t size, const char *key,
		      const char *value)
{
	int length;

	if (*value == '\0')
		return;
	length = snprintf(buffer, size, "%s=%s", key, value);
	if (length < 0)
		return;
	fields[*count].iov_base = buffer;
	fields[*count].iov_len = (size_t)length < size ? (size_t)length : size - 1;
	(*count)++;
}

static bool write_journal(const struct line *line)
{
	char text[LINE_SIZE + 16], priority[16], identifier[32], id[64], name[80], bus[80],
		error[32];
	char digits[16] = "";
	struct iovec fields[7];
	int count = 0;

	add_field(fields, &count, text, sizeof(text), "MESSAGE", line->text);
	(void)snprintf(digits, sizeof(digits), "%d", line->level);
	add_field(fields, &count, priority, sizeof(priority), "PRIORITY", digits);
	add_field(fields, &count, identifier, sizeof(identifier), "SYSLOG_IDENTIFIER", "iotd");
	add_field(fields, &count, id, sizeof(id), "MESSAGE_ID", line->message_id);
	add_field(fields, &count, name, sizeof(name), "IOTD_NAME", line->name);
	add_field(fields, &count, bus, sizeof(bus), "IOTD_BUS", line->bus);
	if (line->error) {
		(void)snprintf(digits, sizeof(digits), "%d", line->error);
		add_field(fields, &count, error, sizeof(error), "ERRNO", digits);
	}
	return sd_journal_sendv(fields, count) == 0;
}

static void write_stderr(const struct line *line)
{
	char buffer[LINE_SIZE + 64], time[CLOCK_UTC_SIZE];
	ssize_t written;
	int length;

	clock_format_utc(time, line->time_us);
	length = snprintf(buffer, sizeof(buffer), "%s %s: %s\n", time, level_name(line->level),
			  line->text);
	if (length <= 0)
		return;
	do
		written = write(STDERR_FILENO, buffer, (size_t)length);
	while (written < 0 && errno == EINTR);
}

static void write_line(const struct line *line)
{
	if (logger.is_journal < 0)
		logger.is_journal = stderr_is_journal();
	if (!logger.is_journal || !write_journal(line))
		write_stderr(line); /* the journal reads that too, without the fields */
}

static void note_dropped(uint64_t dropped)
{
	struct line line = { .level = LOG_WARNING, .time_us = clock_realtime_us() };

	(void)snprintf(line.text, sizeof(line.text),
		       "log: %" PRIu64 " messages dropped: the journal or stderr was not read",
		       dropped);
	write_line(&line);
}

static void *log_thread(void *unused)
{
	struct line line;
	uint64_t dropped;

	(void)unused;
	(void)pthread_mutex_lock(&logger.mutex);
	while (!logger.stopping || logger.count > 0) {
		if (logger.count == 0) {
			(void)pthread_cond_wait(&logger.changed, &logger.mutex);
			continue;
		}
		line = logger.ring[logger.first];
		logger.first = (logger.first + 1) % RING_LINES;
		logger.count--;
		dropped = logger.count == 0 ? logger.dropped : 0;
		logger.dropped -= dropped;
		(void)pthread_mutex_unlock(&logger.mutex);
		write_line(&line);
		if (dropped > 0)
			note_dropped(dropped);
		(void)pthread_mutex_lock(&logger.mutex);
	}
	logger.ended = true;
	(void)pthread_cond_broadcast(&logger.changed);
	(void)pthread_mutex_unlock(&logger.mutex);
	return NULL;
}

int log_start(void)
{
	pthread_condattr_t attributes;
	int r;

	logger.ring = calloc(RING_LINES, sizeof(*logger.ring));
	if (!logger.ring)
		return -ENOMEM;
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&logger.changed, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	logger.stopping = logger.ended = false;
	logger.first = logger.count = 0;
	r = pthread_create(&logger.thread, NULL, log_thread, NULL);
	if (r != 0) {
		free(logger.ring);
		logger.ring = NULL;
		return -EAGAIN;
	}
	return 0;
}

void log_stop(void)
{
	int64_t end_us = clock_monotonic_us() + STOP_WAIT_US;
	struct timespec end = { .tv_sec = end_us / USEC_PER_SEC,
				.tv_nsec = end_us % USEC_PER_SEC * NSEC_PER_USEC };
	bool ended;
	int r = 0;

	if (!logger.ring)
		return;
	(void)pthread_mutex_lock(&logger.mutex);
	logger.stopping = true;
	(void)pthread_cond_broadcast(&logger.changed);
	while (!logger.ended && r == 0)
		r = pthread_cond_timedwait(&logger.changed, &logger.mutex, &end);
	ended = logger.ended;
	(void)pthread_mutex_unlock(&logger.mutex);
	if (!ended)
		return; /* its reader is stuck: leave it the ring */
	(void)pthread_join(logger.thread, NULL);
	(void)pthread_mutex_lock(&logger.mutex); /* a worker may log even now */
	for (; logger.count > 0; logger.count--, logger.first = (logger.first + 1) % RING_LINES)
		write_line(&logger.ring[logger.first]);
	free(logger.ring);
	logger.ring = NULL;
	(void)pthread_mutex_unlock(&logger.mutex);
}

uint64_t log_dropped(void)
{
	uint64_t dropped;

	(void)pthread_mutex_lock(&logger.mutex);
	dropped = logger.dropped_in_all;
	(void)pthread_mutex_unlock(&logger.mutex);
	return dropped;
}

static void copy_field(char *target, size_t size, const char *source)
{
	(void)snprintf(target, size, "%s", source ? source : "");
}

/* half a character of UTF-8 would make the journal show the whole message as "blob data" */
static void cut_at_character(char text[static LINE_SIZE])
{
	size_t at = LINE_SIZE - 1;

	while (at > 0 && ((unsigned char)text[at - 1] & 0xc0U) == 0x80)
		at--;
	if (at > 0 && (unsigned char)text[at - 1] >= 0xc0)
		text[at - 1] = '\0';
}

static printf_like(4, 0) void fill_line(struct line *line, int level,
					const struct log_fields *fields, const char *format,
					va_list arguments)
{
	static const struct log_fields none;
	int length;

	if (!fields)
		fields = &none;
	line->level = level;
	line->time_us = clock_realtime_us();
	line->error = fields->error < 0 ? -fields->error : fields->error;
	copy_field(line->message_id, sizeof(line->message_id), fields->message_id);
	copy_field(line->name, sizeof(line->name), fields->name);
	copy_field(line->bus, sizeof(line->bus), fields->bus);
	length = vsnprintf(line->text, sizeof(line->text), format, arguments);
	if (length >= LINE_SIZE)
		cut_at_character(line->text);
	for (char *c = line->text; *c; c++) /* one line a message, whatever a peer sent us */
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}

void log_event(int level, const struct log_fields *fields, const char *format, ...)
{
	int error = errno;
	struct line *line, direct;
	va_list arguments;

	va_start(arguments, format);
	(void)pthread_mutex_lock(&logger.mutex);
	if (level > logger.level) {
		/* not wanted */
	} else if (!logger.ring) {
		fill_line(&direct, level, fields, format, arguments);
		write_line(&direct);
	} else if (logger.count == RING_LINES) {
		logger.dropped++;
		logger.dropped_in_all++;
	} else {
		line = &logger.ring[(logger.first + logger.count) % RING_LINES];
		fill_line(line, level, fields, format, arguments);
		logger.count++;
		(void)pthread_cond_signal(&logger.changed);
	}
	(void)pthread_mutex_unlock(&logger.mutex);
	va_end(arguments);
	errno = error;
}
