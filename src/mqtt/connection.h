/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One connection to a broker, from the name look-up to the end: one struct mosquitto, used once.
 *
 * It has one owner at a time. While a job is out (connecting, closing) that is the worker; between
 * them it is the reactor, in link.c.
 */

#include <mosquitto.h>

#include "commands.h"
#include "iotd/settings.h"
#include "iotd/worker.h"
#include "reason.h"
#include "valve.h"
#include "wire.h"

#define CONNECTION_RECORDS (WIRE_WINDOW + 8) /* what can be acknowledged at a time */
#define CONNECTION_REASONS 4		     /* of these, so many have their reasons told */

/** struct connection_record - a PUBLISH or a SUBSCRIBE is answered */
struct connection_record {
	int mid, reason;
	bool subscribed; /* a SUBACK; @reason is then the granted QoS or >= 0x80 */
};

/** struct connection_will - how `offline` is left with a broker; an MQTT 5 broker that cannot do it refuses us */
struct connection_will {
	int qos; /* 0 or 1 */
	bool retain;
};

/** struct connection - see above */
struct connection {
	struct worker_job job;
	struct mosquitto *handle; /* NULL: not connected */
	bool orphaned;		  /* the link is gone: whoever has it last frees it */
	bool adopted;		  /* the reactor has it */
	bool is_introduced;	  /* a CONNECT, with the will, may have reached a broker */
	struct valve valve;	  /* between @handle and the socket */
	struct tls_context *tls;  /* a reference; NULL: not for mqtts:// */

	/* copies of the settings, for a job may outlive them */
	char *url, *host, *client_id, *username, *password, *password_file;
	struct message *will_message; /* @will has its QoS, and whether it may be retained */
	enum mqtt_scheme scheme;
	int port, protocol, keepalive_s; /* keepalive_s: as the broker wants it, once connected */

	/* how it went */
	char why[384]; /* of a failure, in words */
	struct wire_limits limits;
	size_t packet_max; /* bytes; 0: no limit */
	struct connection_will
		will; /* as it is sent; once answered, as the next one is to be sent */

	/* what was recorded meanwhile; who calls into the library, or publishes, looks at it afterwards */
	bool answered; /* CONNACK, with this reason */
	int connack;
	int lost;				   /* on_disconnect: 0, or why */
	struct reason reason;			   /* of the CONNACK or DISCONNECT */
	struct reason reasons[CONNECTION_REASONS]; /* of what @records say */
	size_t reason_count;
	bool is_old; /* a CONNACK of MQTT 3.1.1 answered our CONNECT of MQTT 5 */
	struct connection_record records[CONNECTION_RECORDS];
	size_t record_count;
	uint16_t releases[WIRE_WINDOW]; /* identifiers of PUBRECs that wait for their PUBREL */
	size_t release_count;
	uint16_t last_id; /* of a PUBLISH; 0: none yet */
	void (*received)(void *data,
			 const struct incoming *incoming); /* NULL: messages are dropped */
	void *received_data;
};

/** connection_new() - to the @broker'th of @settings->brokers; does nothing yet. Return: 0; -ENOMEM */
int connection_new(struct connection **ret, const struct mqtt_settings *settings, size_t broker,
		   const struct message *will_message, const struct connection_will *will);

/** connection_explain() - put into @connection->why what an enum mosq_err_t of it means; errno for MOSQ_ERR_ERRNO is @error */
void connection_explain(struct connection *connection, int code, int error);

/** connection_free() - drops it without a word; its job must be idle. NULL is fine. Returns NULL */
struct connection *connection_free(struct connection *connection);

/**
 * connection_connect() - resolve, connect, log in, on a worker: await @connection->job.future
 *
 * Its result: 0 @handle is connected; -EHOSTUNREACH not, and @why says it; -ENOMEM; -ECANCELED. Takes 10 s at most,
 * and as long as the resolver takes. Return: as worker_run().
 */
int connection_connect(struct connection *connection, struct worker_key *key);

/**
 * connection_take_in() - let in a little of what the broker sent, and have the library read it
 *
 * Return: an enum mosq_err_t; with MOSQ_ERR_ERRNO, errno.
 */
int connection_take_in(struct connection *connection);

/** connection_digest() - have the library read what was let in. Return: an enum mosq_err_t; with MOSQ_ERR_ERRNO, errno */
int connection_digest(struct connection *connection);

/**
 * connection_publish() - put @message behind what waits to be sent; connection_flush() sends it
 * @ret_mid: of the record that says how it ended: with QoS 0 at once
 *
 * The library must want to write nothing. Return: 0; -EINVAL, -EMSGSIZE it can never be sent to this broker; -ENOTCONN
 * the connection is lost.
 */
int connection_publish(struct connection *connection, const struct wire_message *message,
		       int *ret_mid);

/**
 * connection_flush() - send what was published and what the library wrote, as far as the socket takes it
 * @ret_full: there is more, to be sent when the socket is writable
 *
 * Return: an enum mosq_err_t; with MOSQ_ERR_ERRNO, errno.
 */
int connection_flush(struct connection *connection, bool *ret_full);

/** connection_close() - let go of @handle, on a worker. Return: as worker_run() */
int connection_close(struct connection *connection, struct worker_key *key);

/** connection_orphan() - free it now, or as soon as its job is back. NULL is fine. Returns NULL */
struct connection *connection_orphan(struct connection *connection);

static inline void connection_freep(struct connection **connection)
{
	*connection = connection_free(*connection);
}
