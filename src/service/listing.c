/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * List, and GetManagedObjects: ten thousand devices make megabytes, and tenths of a second. So an
 * answer is made in pieces, a piece a turn of the reactor, one answer at a time, and the next one
 * is not begun before the bus has taken what was sent. Between pieces the reactor looks at its
 * descriptors: hence a timer, and no deferred call.
 *
 * Devices that come or go meanwhile (a reload) begin it anew: an answer is never of two
 * configurations.
 */
#include <errno.h>

#include "iotd/clock.h"
#include "objects.h"

#define PIECE	      24 /* devices a turn */
#define QUEUED_MOST   16 /* messages that wait to be written when an answer is begun */
#define LOOK_AGAIN_US (10 * USEC_PER_MSEC)

static void again(struct dbus *dbus, int64_t delay_us)
{
	struct reactor *reactor = dbus->parts.reactor;

	(void)reactor_set_timer(reactor, &dbus->listing.timer, reactor_now(reactor) + delay_us);
}

/* Return: 1 all devices are in; 0 not yet; negative */
static int add_piece(struct dbus *dbus)
{
	struct dbus_joint *joint = dbus->parts.joint;
	struct listing *listing = &dbus->listing;
	bool is_of_objects = listing_is_of_objects(dbus);
	struct device_info info;
	int r = 0;

	for (int i = 0; r >= 0 && i < PIECE; i++) {
		if (!joint->device(joint, listing->at, &info))
			return 1;
		r = is_of_objects ? properties_object(listing->reply, &info)
				  : values_device(listing->reply, &info);
		listing->at++;
	}
	return r < 0 ? r : 0;
}

static int begin(struct listing *listing)
{
	const struct call *call = STAILQ_FIRST(&listing->waiting);
	int r = call_reply(call, &listing->reply);

	listing->at = 0;
	return r < 0 ? r
		     : sd_bus_message_open_container(
			       listing->reply, 'a', call->is_of_objects ? "{oa{sa{sv}}}" : "a{sv}");
}

bool listing_is_of_objects(const struct dbus *dbus)
{
	const struct listing *listing = &dbus->listing;

	return listing->reply && STAILQ_FIRST(&listing->waiting)->is_of_objects;
}

/* Return: false: not done yet */
static bool go_on(struct dbus *dbus)
{
	struct listing *listing = &dbus->listing;
	struct call *call = STAILQ_FIRST(&listing->waiting);
	int r = listing->reply ? 0 : begin(listing);

	if (r >= 0)
		r = add_piece(dbus);
	if (r == 0)
		return false;
	if (r > 0)
		r = sd_bus_message_close_container(listing->reply);
	STAILQ_REMOVE_HEAD(&listing->waiting, waiting);
	call_done(call, take_ptr(listing->reply), r);
	objects_go_on(dbus);
	return true;
}

/* what changed since the last answer is told before the next one is begun (objects.c) */
static bool has_to_wait(const struct dbus *dbus)
{
	const struct call *call = STAILQ_FIRST(&dbus->listing.waiting);

	return dbus_queued(dbus) > QUEUED_MOST || (call->is_of_objects && !objects_are_told(dbus));
}

static void run(struct reactor_timer *timer)
{
	struct listing *listing = container_of(timer, struct listing, timer);
	struct dbus *dbus = container_of(listing, struct dbus, listing);

	if (STAILQ_EMPTY(&listing->waiting))
		return;
	if (!listing->reply && has_to_wait(dbus)) {
		objects_go_on(dbus);
		again(dbus, LOOK_AGAIN_US);
		return;
	}
	if (!go_on(dbus) || !STAILQ_EMPTY(&listing->waiting))
		again(dbus, 0);
}

void listing_begin(struct call *call)
{
	struct listing *listing = &call->dbus->listing;
	bool is_first = STAILQ_EMPTY(&listing->waiting);

	listing->timer.fire = run;
	STAILQ_INSERT_TAIL(&listing->waiting, call, waiting);
	if (is_first)
		run(&listing->timer);
}

void listing_restart(struct dbus *dbus)
{
	dbus->listing.reply = sd_bus_message_unref(dbus->listing.reply);
}

void listing_drop(struct dbus *dbus)
{
	struct listing *listing = &dbus->listing;
	struct call *call;

	reactor_stop_timer(&listing->timer);
	listing_restart(dbus);
	while ((call = STAILQ_FIRST(&listing->waiting))) {
		STAILQ_REMOVE_HEAD(&listing->waiting, waiting);
		call_refuse(call, REFUSAL_DROPPED, ERROR_STOPPING, "iotd is being stopped");
	}
}
