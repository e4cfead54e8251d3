/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Sparkplug B (specification 3.0): topics, and payloads of metrics. Pure, any thread.
 *
 * A payload is made in two steps, because a reading may wait for hours between them: its metrics when
 * it is taken, its number in the session when it is sent.
 */

#include "iotd/model.h"

#define SPARKPLUG_METRICS_MAX (CHANNELS_MAX + 8) /* of one payload */
#define SPARKPLUG_SEQ_COUNT   256		 /* seq and bdSeq: 0 .. 255, and 0 again */
#define SPARKPLUG_STATE	      "state"		 /* the metric of an input's or output's state */
#define SPARKPLUG_REBIRTH     "Node Control/Rebirth"
#define SPARKPLUG_BDSEQ	      "bdSeq"

/** enum metric_type - what a metric is: datatypes Double, Boolean, UInt64, String */
enum metric_type {
	METRIC_NUMBER,
	METRIC_SWITCH,
	METRIC_COUNT,
	METRIC_TEXT
};

/** struct metric - one value of a payload; all strings stay the caller's */
struct metric {
	const char *name;
	const char *unit; /* told at birth, as property "engUnit"; NULL or "": none */
	enum metric_type type;
	bool is_null;	 /* no value is known */
	int64_t time_us; /* CLOCK_REALTIME when it was taken */
	union {
		double number;
		bool on;
		uint64_t count;
		const char *text;
	};
};

/** struct sparkplug_stamp - what is only known when a payload is sent */
struct sparkplug_stamp {
	int64_t time_us; /* CLOCK_REALTIME */
	int seq;	 /* 0 .. 255; -1: none, as in NDEATH */
	bool is_late;	 /* is_historical: it was taken before this session */
};

/**
 * sparkplug_topic_new() - "spBv1.0/GROUP/VERB/NODE" or with @device "…/NODE/DEVICE"
 * @topic: mqtt.topic, whose first level is the group
 * Return: the caller's; NULL: out of memory.
 */
char *sparkplug_topic_new(const char *topic, const char *verb, const char *node,
			  const char *device);

/**
 * sparkplug_payload_new() - a message with @count metrics, without time and seq
 * @count:    0 .. SPARKPLUG_METRICS_MAX
 * @is_birth: with datatypes and units
 * Return: 0; -ENOMEM.
 */
int sparkplug_payload_new(struct message **ret, const char *topic, const struct metric *metrics,
			  size_t count, bool is_birth);

/**
 * sparkplug_payload_finish() - a copy of @message with time and seq, as it is sent
 * Return: 0; -EBADMSG @message is no payload of sparkplug_payload_new(); -ENOMEM.
 */
int sparkplug_payload_finish(struct message **ret, const struct message *message,
			     const struct sparkplug_stamp *stamp);

/** sparkplug_visit - one metric of a payload; valid for the call */
typedef void (*sparkplug_visit)(void *data, const struct metric *metric);

/**
 * sparkplug_payload_parse() - call @visit for each metric that has a name
 *
 * A metric whose value is of a type that iotd does not have is_null. Return: 0; -EBADMSG it is no
 * payload, or memory is short.
 */
int sparkplug_payload_parse(const void *payload, size_t length, sparkplug_visit visit, void *data);

/**
 * sparkplug_payload_switch() - the value of the Boolean metric @name; if there are several, of the last
 * Return: 0; -ENOENT there is none; -EBADMSG as sparkplug_payload_parse().
 */
int sparkplug_payload_switch(const void *payload, size_t length, const char *name, bool *ret);
