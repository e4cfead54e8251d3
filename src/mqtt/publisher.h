/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What leaves: replies, retained states, and the readings of the spool, through one window of
 * messages in flight. On the reactor's thread; knows the connection only as struct wire.
 */

#include "iotd/reactor.h"
#include "iotd/spool.h"
#include "labels.h"
#include "wire.h"

struct publisher;

/** struct publisher_events - the joint to who owns it; embedded there */
struct publisher_events {
	/** all that may be sent is sent and acknowledged. Not called from within publisher_*() calls that add something */
	void (*idle)(struct publisher_events *events);
};

/**
 * struct session - a format that numbers what it sends, and has a word of its own (sparkplug.c);
 * embedded there
 */
struct session {
	/** does something of its own wait? @dry: no reading does */
	bool (*waits)(struct session *session, bool dry);
	/** the next of its own, the caller's. Return: 0; -ENOENT; -ENOMEM */
	int (*next)(struct session *session, bool dry, struct message **ret);
	/**
	 * @reading as it is to be sent now: *@ret, the caller's; or left alone: as it is
	 * Return: 0; -EAGAIN something of its own goes first; -ENOMEM
	 */
	int (*dress)(struct session *session, const struct message *reading, struct message **ret);
	/** what next() or dress() gave last was handed over */
	void (*sent)(struct session *session);
};

/** struct publisher_parts - what it works with; all must outlive it */
struct publisher_parts {
	struct reactor *reactor;
	struct wire *wire;
	struct spool *spool;
	struct labels *labels; /* of readings; NULL: they have none */
	struct stats *stats;
	struct publisher_events *events;
	struct session *session; /* NULL: the format has none */
};

/** struct reply - the answer to a command; one allocation, reply_free() */
struct reply {
	struct reply *next;
	char *topic, *payload; /* inside the allocation, as is @correlation */
	void *correlation;     /* NULL: none */
	size_t length, correlation_length;
};

/** reply_new() - copies all; @correlation may be NULL. Return: 0; -ENOMEM */
int reply_new(struct reply **ret, const char *topic, const char *payload, const void *correlation,
	      size_t correlation_length);

/** reply_free() - NULL is fine. Returns NULL */
struct reply *reply_free(struct reply *reply);

/** publisher_new() - not connected. Return: 0; -ENOMEM */
int publisher_new(struct publisher **ret, const struct publisher_parts *parts);

/** publisher_free() - NULL is fine. Returns NULL */
struct publisher *publisher_free(struct publisher *publisher);

/** publisher_up() - connected: all states again, then what waits in the spool */
void publisher_up(struct publisher *publisher, const struct wire_limits *limits);

/** publisher_down() - the connection is gone: readings in flight wait again, replies are dropped */
void publisher_down(struct publisher *publisher);

/** publisher_push() - a reading for the spool; takes @message over */
void publisher_push(struct publisher *publisher, struct message *message);

/** publisher_set_state() - the latest of a retained topic; takes @message over. Return: 0; -ENOMEM (and @message is freed) */
int publisher_set_state(struct publisher *publisher, struct message *message);

/** publisher_forget_state() - as mqtt_forget_state() */
void publisher_forget_state(struct publisher *publisher, const char *topic, bool clear);

/** publisher_repeat_state() - the latest of @topic leaves once more; an unknown one: nothing */
void publisher_repeat_state(struct publisher *publisher, const char *topic);

/** publisher_reply() - takes @reply over. Return: 0; -ENOTCONN; -ENOBUFS too many wait, which is logged (it is freed in both) */
int publisher_reply(struct publisher *publisher, struct reply *reply);

/**
 * publisher_acknowledged() - the end of a message; an unknown one: nothing
 * @reason: as in a PUBACK, >= 0x80 is a refusal
 * @told:   what the broker said about it, in words to stand behind the reason; "": nothing
 */
void publisher_acknowledged(struct publisher *publisher, int mid, int reason, const char *told);

/** publisher_writable() - the wire is no longer full */
void publisher_writable(struct publisher *publisher);

/** publisher_wake() - the session has something to send */
void publisher_wake(struct publisher *publisher);

/** publisher_hold_readings() - hand over no more readings: at the very end */
void publisher_hold_readings(struct publisher *publisher);

/** publisher_has_sent_state() - the latest state of @topic was handed over on this connection */
bool publisher_has_sent_state(const struct publisher *publisher, const char *topic);

/** publisher_is_idle() - true if nothing is in flight and nothing waits that may be sent */
bool publisher_is_idle(const struct publisher *publisher);

static inline void reply_freep(struct reply **reply)
{
	*reply = reply_free(*reply);
}

static inline void publisher_freep(struct publisher **publisher)
{
	*publisher = publisher_free(*publisher);
}
