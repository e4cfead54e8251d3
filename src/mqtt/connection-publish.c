/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages on their way out, and their answers. Both go past the library: it takes as much time for a
 * PUBLISH as all the rest of a reading does, and as much again for its PUBACK (packet.c). It does all
 * else, and so uses the first few packet identifiers of a connection, for SUBSCRIBEs.
 *
 * QoS 2: a PUBREC is answered with a PUBREL when what leaves next does, and the PUBCOMP is the message's
 * end. The identifier says of what QoS a message was, so that an answer to another one is found out.
 */
#include <errno.h>
#include <mqtt_protocol.h>

#include "connection-parts.h"
#include "packet.h"

#define ID_FIRST    1024   /* ours from here on: more than a connection has subscriptions */
#define ID_LAST	    0x7fff /* of QoS 1 */
#define ID_QOS_2    0x8000 /* and this */
#define ID_SIZE	    2
#define PACKET_TYPE 0xf0

static int next_id(struct connection *c, int qos)
{
	c->last_id = c->last_id < ID_FIRST || c->last_id == ID_LAST ? ID_FIRST : c->last_id + 1;
	return qos == 2 ? c->last_id | ID_QOS_2 : c->last_id;
}

int connection_publish(struct connection *c, const struct wire_message *message, int *ret_mid)
{
	struct packet packet;
	uint8_t *at;
	int r;

	r = packet_measure(&packet, message, c->protocol == 5, c->packet_max);
	if (r < 0)
		return r;
	at = valve_put(&c->valve, packet.size);
	if (!at) {
		c->lost = MOSQ_ERR_NOMEM;
		return -ENOTCONN;
	}
	*ret_mid = next_id(c, message->qos);
	packet_write(&packet, (uint16_t)*ret_mid, at);
	if (message->qos == 0) /* nobody answers */
		connection_record(c, *ret_mid, 0, false);
	return 0;
}

static void note_release(struct connection *c, int id)
{
	if (c->release_count == WIRE_WINDOW)
		c->lost = MOSQ_ERR_PROTOCOL; /* more than there are in flight */
	else
		c->releases[c->release_count++] = (uint16_t)id;
}

/* MQTT 5.0, sections 3.4, 3.5, 3.7: without a reason it is a yes */
void connection_acknowledged(struct valve_frame *frame)
{
	struct connection *c = container_of(frame, struct connection, valve.frame);
	int id = frame->answer[0] << 8 | frame->answer[1], type = frame->answer_type & PACKET_TYPE;
	int reason = frame->answer_length > ID_SIZE ? frame->answer[ID_SIZE] : 0;

	if (frame->answer_length > ID_SIZE + 1)
		connection_note_reason(c);
	if ((type == CMD_PUBACK) == (id >= ID_QOS_2))
		c->lost = MOSQ_ERR_PROTOCOL;
	else if (type == CMD_PUBREC && reason < MQTT_RC_UNSPECIFIED)
		note_release(c, id);
	else
		connection_record(c, id, reason, false);
}

int connection_release(struct connection *c)
{
	uint8_t *at;

	for (size_t i = 0; i < c->release_count; i++) {
		at = valve_put(&c->valve, PACKET_PUBREL_SIZE);
		if (!at)
			return -ENOMEM;
		packet_write_pubrel(c->releases[i], at);
	}
	c->release_count = 0;
	return 0;
}
