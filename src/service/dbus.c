/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The connection: sd-bus (sd-bus(3)) in our reactor.
 *
 * sd-bus says which descriptor it waits for, for what, and until when, and all three change with
 * each message: they are asked for anew whenever it was used (look()). It never waits itself, as
 * nothing that does is called: no sd_bus_call(), sd_bus_flush(), sd_bus_request_name(), no
 * credentials that the kernel did not send along.
 *
 * Nobody who floods us shall delay a sensor: a turn processes messages for SLICE_US, then the rest
 * of the reactor has its turn; what is left makes the descriptor ready again. While the bus does
 * not take what we write (more than QUEUED_MAX messages wait) nothing is read, so what waits is
 * bounded, and signals are left out.
 *
 * Without a bus sd-bus waits with inotify for its socket to appear (sd_bus_set_watch_bind()): that
 * costs nothing. Only where even that fails, or a connection was lost, is the next one tried after
 * a pause.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "iotd/clock.h"
#include "iotd/log.h"
#include "objects.h"

#define SYSTEM_BUS   "unix:path=/run/dbus/system_bus_socket"
#define SLICE_US     500LL
#define QUEUED_MAX   256
#define BUFFER_SIZE  (256 * 1024) /* the kernel doubles it */
#define PAUSE_US     (1 * USEC_PER_SEC)
#define PAUSE_MAX_US (30 * USEC_PER_SEC)

static void lose(struct dbus *dbus, int error);

/* --- what sd-bus waits for ------------------------------------------------------------------ */

uint64_t dbus_queued(const struct dbus *dbus)
{
	uint64_t count = 0;

	(void)sd_bus_get_n_queued_write(dbus->bus, &count);
	return count;
}

bool dbus_is_stalled(const struct dbus *dbus)
{
	return dbus_queued(dbus) > QUEUED_MAX;
}

/* Return: 0; negative: it cannot be watched */
static int look_at_descriptor(struct dbus *dbus)
{
	int fd = sd_bus_get_fd(dbus->bus), events = sd_bus_get_events(dbus->bus);

	if (fd < 0 || events < 0) {
		reactor_remove_io(&dbus->io); /* it is closing, and goes on without */
		return 0;
	}
	if (dbus_is_stalled(dbus))
		events &= ~EPOLLIN;
	/* until we have our name, the number may mean another descriptor now */
	if (dbus->io.reactor && dbus->was_there && dbus->io.fd == fd) {
		if (dbus->events == (uint32_t)events)
			return 0;
		dbus->events = (uint32_t)events;
		return reactor_modify_io(&dbus->io, dbus->events);
	}
	reactor_remove_io(&dbus->io);
	dbus->events = (uint32_t)events;
	return reactor_add_io(dbus->parts.reactor, &dbus->io, fd, dbus->events);
}

static int look_at_time(struct dbus *dbus)
{
	struct reactor *reactor = dbus->parts.reactor;
	uint64_t due_us; /* CLOCK_MONOTONIC */
	int64_t left_us;

	if (sd_bus_get_timeout(dbus->bus, &due_us) < 0 || due_us == UINT64_MAX) {
		reactor_stop_timer(&dbus->timer);
		return 0;
	}
	if (due_us == 0) {
		reactor_defer(reactor, &dbus->again);
		return 0;
	}
	left_us = (int64_t)due_us - clock_monotonic_us();
	return reactor_set_timer(reactor, &dbus->timer,
				 reactor_now(reactor) + (left_us > 0 ? left_us : 0));
}

static void look(struct dbus *dbus)
{
	int r = look_at_descriptor(dbus);

	if (r >= 0)
		r = look_at_time(dbus);
	if (r < 0)
		lose(dbus, r);
}

static void process(struct dbus *dbus)
{
	int64_t end_us = clock_monotonic_us() + SLICE_US;
	int r;

	do
		r = sd_bus_process(dbus->bus, NULL);
	while (r > 0 && !dbus_is_stalled(dbus) && clock_monotonic_us() < end_us);
	if (r < 0) {
		lose(dbus, r);
		return;
	}
	if (dbus->told.is_due)
		dbus_note_facts(dbus);
	objects_go_on(dbus);
	look(dbus);
}

static void io_ready(struct reactor_io *io, uint32_t events)
{
	(void)events;
	process(container_of(io, struct dbus, io));
}

static void time_came(struct reactor_timer *timer)
{
	process(container_of(timer, struct dbus, timer));
}

static void go_on(struct reactor_call *call)
{
	struct dbus *dbus = container_of(call, struct dbus, again);

	if (dbus_is_stalled(dbus))
		look(dbus);
	else
		process(dbus);
}

void dbus_touch(struct dbus *dbus)
{
	if (dbus->bus)
		reactor_defer(dbus->parts.reactor, &dbus->again);
}

bool dbus_may_signal(struct dbus *dbus)
{
	if (!dbus->is_owner)
		return false;
	if (!dbus_is_stalled(dbus))
		return true;
	dbus->signals_dropped++;
	return false;
}

/* --- the name ------------------------------------------------------------------------------- */

/* sd-bus asks for 8 MiB, in which 20,000 signals wait for a bus that stands still */
static void limit_buffer(const struct dbus *dbus)
{
	int size = BUFFER_SIZE;

	(void)setsockopt(sd_bus_get_fd(dbus->bus), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static void owned(struct dbus *dbus)
{
	if (dbus->is_owner)
		return;
	limit_buffer(dbus);
	dbus->is_owner = dbus->was_there = true;
	dbus->pause_us = PAUSE_US;
	if (dbus->is_lost)
		log_notice("D-Bus is back, %s too", dbus->name);
	else
		log_info("on D-Bus as %s", dbus->name);
	dbus->is_lost = false;
	dbus_note_facts(dbus);
	if (objects_begin(dbus) < 0)
		log_error("D-Bus: sensors, inputs and outputs have no objects: out of memory");
}

static void queued(struct dbus *dbus)
{
	dbus->was_there = true;
	log_notice("D-Bus: somebody else has the name %s (another iotd? see iotd --instance); "
		   "iotd waits for it",
		   dbus->name);
}

/* the policy may be installed, or mended, later: reopened then */
static void refused(struct dbus *dbus, const sd_bus_error *error)
{
	if (!dbus->is_lost)
		log_warning("D-Bus: iotd may not have the name %s: %s; is org.iotd1.conf in "
			    "/usr/share/dbus-1/system.d? iotd goes on without D-Bus",
			    dbus->name, error->message ? error->message : error->name);
	dbus->is_lost = true;
	dbus->was_there = false;
	(void)reactor_set_timer(dbus->parts.reactor, &dbus->retry,
				reactor_now(dbus->parts.reactor) + PAUSE_MAX_US);
}

static int name_answered(sd_bus_message *reply, void *data, sd_bus_error *error)
{
	const sd_bus_error *fault = sd_bus_message_get_error(reply);
	struct dbus *dbus = data;
	uint32_t answer = 0;

	(void)error;
	if (fault) {
		if (!sd_bus_error_has_name(fault, SD_BUS_ERROR_NO_REPLY))
			refused(dbus, fault);
	} else if (sd_bus_message_read(reply, "u", &answer) >= 0) {
		if (answer == 2) /* DBUS_REQUEST_NAME_REPLY_IN_QUEUE */
			queued(dbus);
		else
			owned(dbus);
	}
	return 0;
}

/* of the bus itself: a stranger may send us a signal of this name, but with another sender */
static int filter(sd_bus_message *message, void *data, sd_bus_error *error)
{
	bool is_ours = sd_bus_message_is_signal(message, "org.freedesktop.DBus", "NameAcquired");
	bool is_lost = sd_bus_message_is_signal(message, "org.freedesktop.DBus", "NameLost");
	const char *sender = sd_bus_message_get_sender(message), *name;
	struct dbus *dbus = data;

	(void)error;
	if ((!is_ours && !is_lost) || !sender || strcmp(sender, "org.freedesktop.DBus") != 0 ||
	    sd_bus_message_read(message, "s", &name) < 0 || strcmp(name, dbus->name) != 0)
		return 0;
	if (is_ours) {
		owned(dbus);
	} else {
		dbus->is_owner = false;
		log_notice("D-Bus: the name %s is taken from iotd", dbus->name);
	}
	return 0;
}

char *dbus_name_new(const char *instance)
{
	cleanup(freep) char *escaped = NULL;
	char *name;

	if (!instance || !*instance)
		return strdup(DBUS_NAME);
	if (sd_bus_path_encode("/x", instance, &escaped) < 0 ||
	    asprintf(&name, "%s.%s", DBUS_NAME, escaped + strlen("/x/")) < 0)
		return NULL;
	return name;
}

/* --- a connection --------------------------------------------------------------------------- */

static void leave(struct dbus *dbus)
{
	reactor_remove_io(&dbus->io);
	reactor_stop_timer(&dbus->timer);
	reactor_cancel_call(&dbus->again);
	dbus->is_owner = dbus->was_there = false;
	if (!dbus->bus)
		return;
	listing_drop(dbus);
	calls_drop(dbus);
	objects_drop(dbus);
	reactor_cancel_call(&dbus->again); /* they may have wanted to answer */
	dbus->bus = sd_bus_close_unref(dbus->bus);
}

static void lose(struct dbus *dbus, int error)
{
	struct reactor *reactor = dbus->parts.reactor;

	if (dbus->was_there)
		log_notice("D-Bus is gone: %s; iotd takes it up again when it is back",
			   strerror(-error));
	else
		log_debug("D-Bus: no connection: %s", strerror(-error));
	dbus->is_lost |= dbus->was_there;
	leave(dbus);
	(void)reactor_set_timer(reactor, &dbus->retry, reactor_now(reactor) + dbus->pause_us);
	dbus->pause_us = dbus->pause_us * 2 < PAUSE_MAX_US ? dbus->pause_us * 2 : PAUSE_MAX_US;
}

static int open_bus(struct dbus *dbus)
{
	const char *address = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");
	int r = sd_bus_new(&dbus->bus);

	if (r >= 0)
		r = sd_bus_set_address(dbus->bus, address && *address ? address : SYSTEM_BUS);
	if (r >= 0)
		r = sd_bus_set_bus_client(dbus->bus, 1);
	if (r >= 0)
		r = sd_bus_set_watch_bind(dbus->bus, 1);
	if (r >= 0)
		r = sd_bus_add_filter(dbus->bus, NULL, filter, dbus);
	if (r >= 0)
		r = manager_add(dbus);
	if (r >= 0)
		r = objects_add(dbus);
	if (r >= 0)
		r = sd_bus_start(dbus->bus);
	if (r >= 0)
		r = sd_bus_request_name_async(dbus->bus, NULL, dbus->name, SD_BUS_NAME_QUEUE,
					      name_answered, dbus);
	return r;
}

static void try_again(struct reactor_timer *timer)
{
	struct dbus *dbus = container_of(timer, struct dbus, retry);
	int r;

	leave(dbus);
	r = open_bus(dbus);
	if (r < 0)
		lose(dbus, r);
	else
		look(dbus);
}

/* --- life ----------------------------------------------------------------------------------- */

int dbus_new(struct dbus **ret, const struct dbus_parts *parts)
{
	cleanup(dbus_freep) struct dbus *dbus = calloc(1, sizeof(*dbus));

	if (!dbus)
		return -ENOMEM;
	dbus->parts = *parts;
	dbus->io.ready = io_ready;
	dbus->timer.fire = time_came;
	dbus->retry.fire = try_again;
	dbus->again.run = go_on;
	dbus->pause_us = PAUSE_US;
	LIST_INIT(&dbus->calls);
	STAILQ_INIT(&dbus->listing.waiting);
	dbus->name = dbus_name_new(parts->instance);
	if (!dbus->name)
		return -ENOMEM;
	try_again(&dbus->retry);
	*ret = take_ptr(dbus);
	return 0;
}

void dbus_stop(struct dbus *dbus)
{
	if (!dbus)
		return;
	dbus->is_stopping = true;
	listing_drop(dbus);
	calls_stop(dbus);
}

struct dbus *dbus_free(struct dbus *dbus)
{
	if (!dbus)
		return NULL;
	dbus->is_stopping = true;
	leave(dbus);
	reactor_stop_timer(&dbus->retry);
	free(dbus->name);
	free(dbus);
	return NULL;
}

void dbus_note_device(struct dbus *dbus, enum device_kind kind, const char *name)
{
	objects_note(dbus, kind, name);
}

void dbus_note_devices(struct dbus *dbus)
{
	if (!dbus || !dbus->bus)
		return;
	listing_restart(dbus);
	if (dbus->objects && objects_look(dbus) < 0)
		lose(dbus, -ENOMEM); /* all is made anew */
}
