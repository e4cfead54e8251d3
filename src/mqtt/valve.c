/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The library believes what a packet's header says: it allocates up to 256 MB for five bytes, reads
 * on as long as the broker sends fast enough, copies the payload once more, and keeps each PUBLISH
 * of QoS 2 until the broker releases it. It has no limit for any of that (2.0.21, lib/packet_mosq.c:
 * "FIXME - client case for incoming message received from broker too large"), and to announce a
 * maximum packet size stops only a broker that is honest.
 *
 * So the library never sees the socket: when it is connected, one end of a socket pair takes the
 * socket's number, and all bytes come through here.
 *
 *	broker  <- outer ->  valve  <- inner ->  library
 *
 * With TLS it is the outer side that is encrypted (tls.c), so the lengths are seen there too.
 *
 * From the broker: a little at a time, so that no broker holds the reactor, and read to its end by the
 * library before more is taken. The lengths of the packets are followed (valve-frame.c). A PUBLISH that is too large is
 * cut short, by a smaller length in its header, and the rest is swallowed: what is left is still far over
 * what a command may have, so it gets its error reply, and nobody who may publish to us can cut our line
 * with a large message. Its properties (MQTT 5) stay if they are whole and a payload that is too large
 * remains behind them; else their length becomes 0 and their bytes payload, for the library takes half a
 * property for the end of MQTT. What no broker sends unless it is hostile or broken ends the connection.
 *
 * To the broker: what the library wrote leaves in one send(), and so does a burst of packets that
 * are put here without it (packet.h). What answers these is not shown to the library, which knows
 * nothing of them.
 *
 * A copy each way costs less than what it saves (the library's three reads a packet are on the pair).
 * Rejected: MSG_PEEK before the library reads (how much it consumes is not known), RLIMIT_DATA (hits
 * everybody else too).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "iotd/base.h"
#include "valve.h"

void valve_init(struct valve *valve)
{
	*valve = (struct valve){ .outer = -1, .inner = -1 };
}

int valve_open(struct valve *valve, int fd, int protocol)
{
	cleanup(closep) int outer = fcntl(fd, F_DUPFD_CLOEXEC, 0), inner = -1, theirs = -1;
	cleanup(freep) uint8_t *out = malloc(VALVE_OUT_SIZE);
	int pair[2];

	if (!out)
		return -ENOMEM;
	if (outer < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	inner = pair[0];
	theirs = pair[1];
	if (dup3(theirs, fd, O_CLOEXEC) < 0)
		return -errno;
	valve_init(valve);
	valve->frame.has_properties = protocol == 5;
	valve->outer = take_fd(&outer);
	valve->inner = take_fd(&inner);
	valve->out = take_ptr(out);
	valve->out_size = VALVE_OUT_SIZE;
	return 0;
}

void valve_close(struct valve *valve)
{
	valve->tls = tls_free(valve->tls);
	if (valve->inner >= 0)
		close(valve->inner);
	if (valve->outer >= 0)
		close(valve->outer);
	valve->inner = valve->outer = -1;
	free(valve->out);
	valve->out = NULL;
	valve->out_start = valve->out_end = valve->out_size = 0;
}

/* Return: how many bytes; 0 the end; a negative errno */
static ssize_t valve_receive(struct valve *valve, uint8_t *bytes, size_t size)
{
	ssize_t n;

	if (valve->tls)
		return tls_read(valve->tls, bytes, size);
	n = recv(valve->outer, bytes, size, MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

/* Return: how many bytes; a negative errno */
static ssize_t valve_send(struct valve *valve, const uint8_t *bytes, size_t size)
{
	ssize_t n;

	if (valve->tls)
		return tls_write(valve->tls, bytes, size);
	n = send(valve->outer, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

int valve_fill(struct valve *valve)
{
	uint8_t in[VALVE_IN_SIZE], passed[VALVE_IN_SIZE + VALVE_HEADER_MAX];
	ssize_t n;
	int length;

	n = valve_receive(valve, in, sizeof(in));
	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n <= 0) {
		valve->ended = true;
		return (int)n;
	}
	length = valve_pass(&valve->frame, in, (size_t)n, passed);
	if (length < 0)
		return length;
	if (length == 0)
		return 0;
	/* the pair is empty, and takes far more than this */
	n = send(valve->inner, passed, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return -errno;
	return n == length ? 0 : -ENOBUFS;
}

bool valve_has_more(const struct valve *valve)
{
	return valve->tls && tls_has_more(valve->tls);
}

/* room for @size more bytes behind @out_end. Return: 0; -ENOMEM */
static int valve_make_room(struct valve *valve, size_t size)
{
	size_t wanted = valve->out_size;
	uint8_t *grown;

	if (!valve->out) /* closed */
		return -ENOMEM;
	if (valve->out_start == valve->out_end)
		valve->out_start = valve->out_end = 0;
	if (size <= valve->out_size - valve->out_end)
		return 0;
	while (wanted - valve->out_end < size)
		wanted *= 2;
	grown = realloc(valve->out, wanted);
	if (!grown)
		return -ENOMEM;
	valve->out = grown;
	valve->out_size = wanted;
	return 0;
}

/* what the library wrote, as far as there is room. Return: how many bytes; 0 nothing is left; -ENOMEM */
static ssize_t valve_take(struct valve *valve)
{
	ssize_t n;

	if (valve_make_room(valve, 1) < 0)
		return -ENOMEM;
	n = recv(valve->inner, valve->out + valve->out_end, valve->out_size - valve->out_end,
		 MSG_DONTWAIT);
	if (n <= 0)
		return 0;
	valve->out_end += (size_t)n;
	return n;
}

uint8_t *valve_put(struct valve *valve, size_t size)
{
	ssize_t n = 0;

	while (!valve->is_taken && (n = valve_take(valve)) > 0)
		;
	if (n < 0 || valve_make_room(valve, size) < 0)
		return NULL;
	valve->is_taken = true;
	valve->out_end += size;
	return valve->out + valve->out_end - size;
}

size_t valve_waiting(const struct valve *valve)
{
	return valve->out_end - valve->out_start;
}

/* after a message that was larger than all others */
static void valve_shrink(struct valve *valve)
{
	uint8_t *less = NULL;

	if (valve->out_size > VALVE_OUT_KEPT)
		less = realloc(valve->out, VALVE_OUT_SIZE);
	if (!less)
		return;
	valve->out = less;
	valve->out_size = VALVE_OUT_SIZE;
}

int valve_drain(struct valve *valve)
{
	ssize_t n;

	valve->is_taken = false;
	for (;;) {
		if (valve->out_start == valve->out_end && valve_take(valve) <= 0) {
			valve_shrink(valve);
			return 0;
		}
		n = valve_send(valve, valve->out + valve->out_start,
			       valve->out_end - valve->out_start);
		if (n == -EAGAIN || n == -EINTR)
			return 1;
		/* what a broken socket does not take is lost: why it broke is read from it */
		valve->out_start = n < 0 ? valve->out_end : valve->out_start + (size_t)n;
	}
}
