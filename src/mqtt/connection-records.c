/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the broker tells of a connection. The library's callbacks only record, for they run with its lock held; and it
 * keeps the reasons of MQTT 5 to itself, so the packets that have them are read beside it.
 */
#include <mqtt_protocol.h>
#include <stdlib.h>

#include "connection-parts.h"

#define OLD_CONNACK_SIZE 2 /* bytes: MQTT 3.1.1, section 3.2.2; MQTT 5 has 3 at least */

/*
 * MQTT 3.1.1 brokers do not say how much they take at a time, and mosquitto 2.0.21 with its default
 * max_inflight_messages of 20 acknowledges QoS 2 messages beyond that and silently loses them
 * (tried: 160 of 500 arrived with 64 in flight, all with 20).
 */
#define WINDOW_UNTOLD 20

static void read_limits(struct connection *c, const mosquitto_property *properties)
{
	uint16_t window = c->protocol == 5 ? WIRE_WINDOW : WINDOW_UNTOLD;
	uint16_t keepalive_s = (uint16_t)c->keepalive_s;
	uint32_t packet_max = 0;
	uint8_t qos = 2, retain = 1;

	(void)mosquitto_property_read_int16(properties, MQTT_PROP_RECEIVE_MAXIMUM, &window, false);
	(void)mosquitto_property_read_int16(properties, MQTT_PROP_SERVER_KEEP_ALIVE, &keepalive_s,
					    false);
	(void)mosquitto_property_read_int32(properties, MQTT_PROP_MAXIMUM_PACKET_SIZE, &packet_max,
					    false);
	(void)mosquitto_property_read_byte(properties, MQTT_PROP_MAXIMUM_QOS, &qos, false);
	(void)mosquitto_property_read_byte(properties, MQTT_PROP_RETAIN_AVAILABLE, &retain, false);
	c->limits = (struct wire_limits){
		.window = window < WIRE_WINDOW ? window : WIRE_WINDOW,
		.qos = qos,
		.retain = retain != 0,
	};
	if (c->limits.window == 0)
		c->limits.window = 1; /* MQTT 5.0, 3.2.2.3.3: 0 is a protocol error */
	c->packet_max = packet_max;
	c->keepalive_s = keepalive_s;
}

static void on_connect(struct mosquitto *handle, void *data, int reason, int flags,
		       const mosquitto_property *properties)
{
	struct connection *c = data;

	(void)handle;
	(void)flags;
	c->answered = true;
	c->connack = reason;
	read_limits(c, properties);
}

static void on_disconnect(struct mosquitto *handle, void *data, int reason,
			  const mosquitto_property *properties)
{
	struct connection *c = data;

	(void)handle;
	(void)properties;
	if (c->lost == 0) /* it may be told twice, with the reason of a DISCONNECT only once */
		c->lost = reason;
}

void connection_record(struct connection *c, int mid, int reason, bool subscribed)
{
	if (c->record_count == CONNECTION_RECORDS) {
		c->lost = MOSQ_ERR_PROTOCOL; /* more answers than there were questions */
		return;
	}
	c->records[c->record_count++] = (struct connection_record){ mid, reason, subscribed };
}

static void on_subscribe(struct mosquitto *handle, void *data, int mid, int count,
			 const int *granted, const mosquitto_property *properties)
{
	(void)handle;
	(void)properties;
	connection_record(data, mid, count > 0 ? granted[0] : MQTT_RC_UNSPECIFIED, true);
}

static void on_message(struct mosquitto *handle, void *data,
		       const struct mosquitto_message *message,
		       const mosquitto_property *properties)
{
	struct connection *c = data;
	char *response_topic = NULL;
	void *correlation = NULL;
	uint16_t correlation_length = 0;
	struct incoming incoming;

	(void)handle;
	if (!c->received || !message->topic || message->payloadlen < 0)
		return;
	(void)mosquitto_property_read_string(properties, MQTT_PROP_RESPONSE_TOPIC, &response_topic,
					     false);
	(void)mosquitto_property_read_binary(properties, MQTT_PROP_CORRELATION_DATA, &correlation,
					     &correlation_length, false);
	incoming = (struct incoming){
		.topic = message->topic,
		.payload = message->payload,
		.length = (size_t)message->payloadlen,
		.retained = message->retain,
		.response_topic = response_topic,
		.correlation = correlation,
		.correlation_length = correlation_length,
	};
	c->received(c->received_data, &incoming);
	free(response_topic);
	free(correlation);
}

void connection_listen(struct connection *c)
{
	mosquitto_connect_v5_callback_set(c->handle, on_connect);
	mosquitto_disconnect_v5_callback_set(c->handle, on_disconnect);
	mosquitto_subscribe_v5_callback_set(c->handle, on_subscribe);
	mosquitto_message_v5_callback_set(c->handle, on_message);
}

/* --- reasons in words ----------------------------------------------------------------------- */

void connection_note_reason(struct connection *c)
{
	const struct valve_frame *frame = &c->valve.frame;
	struct reason reason;

	if (!reason_read(&reason, frame->answer_type, frame->answer, frame->answer_length))
		return;
	if (reason.mid == 0)
		c->reason = reason;
	else if (c->reason_count < CONNECTION_REASONS)
		c->reasons[c->reason_count++] = reason;
}

/* what the library does not tell. It is asked before the library reads the same */
static void on_answer(struct valve_frame *frame)
{
	struct connection *c = container_of(frame, struct connection, valve.frame);

	if (frame->answer_length ==
	    OLD_CONNACK_SIZE) /* its code is 1, or why does it speak that? */
		c->is_old = true;
	else
		connection_note_reason(c);
}

void connection_listen_closely(struct connection *c)
{
	c->valve.frame.acknowledged = connection_acknowledged;
	if (c->protocol == 5)
		c->valve.frame.answered = on_answer;
}
