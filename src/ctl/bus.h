/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Calls to the running daemon. Any number of them can be under way at a time, for what takes time is
 * the way there and back:
 *
 *	struct bus_call list = { .method = "List" }, stats = { .method = "Stats" };
 *
 *	bus_send(ctl, &list, NULL);
 *	bus_send(ctl, &stats, NULL);
 *	status = bus_wait(ctl);
 *	if (status == EX_OK)
 *		status = bus_answered(ctl, &list);
 *	…
 *	bus_call_free(&list); (or cleanup(bus_call_free))
 *
 * The daemon is never started by a call.
 */

#include <systemd/sd-bus.h>

#include "ctl.h"

#define BUS_PATH      "/org/iotd1"
#define BUS_INTERFACE "org.iotd1.Manager"

#define BUS_QUICK_US	   5000000U   /* for what the daemon knows */
#define BUS_READ_US	   60000000U  /* for what it has to ask of a slow chip, or look for */
#define BUS_INTERACTIVE_US 150000000U /* where polkit may ask a person */

/** struct bus_call - one call; begin with { .method = "List" }, and leave it where it is until it is freed */
struct bus_call {
	const char *interface; /* NULL: BUS_INTERFACE */
	const char *method;
	bool may_ask;	     /* polkit may ask a person for a password: agent.h */
	uint64_t timeout_us; /* 0: BUS_QUICK_US, or BUS_INTERACTIVE_US */

	/* bus.c's */
	struct ctl *ctl;
	sd_bus_slot *slot;
	sd_bus_message *reply; /* NULL: not answered yet */
};

/** bus_open() - connect to the system bus, unless this is done. Return: EX_OK; EX_UNAVAILABLE, said */
int bus_open(struct ctl *ctl);

/**
 * bus_send() - send a call on its way; opens the bus if need be
 * @types: D-Bus types of the arguments behind it; NULL: there are none
 *
 * Return: EX_OK; another code, said. What fails later is found by bus_answered().
 */
int bus_send(struct ctl *ctl, struct bus_call *call, const char *types, ...);

/** bus_wait() - until all calls are answered or have timed out. Return: EX_OK; EX_UNAVAILABLE, said */
int bus_wait(struct ctl *ctl);

/**
 * bus_answered() - was it carried out?
 * Return: EX_OK: read @call->reply, from its beginning; another code: said why in words.
 */
int bus_answered(struct ctl *ctl, const struct bus_call *call);

/** bus_is_unknown() - did it fail because there is no device of that name? After bus_wait(); says nothing */
bool bus_is_unknown(const struct bus_call *call);

/** bus_ask() - send, wait and bus_answered() for a call without company. Return: as bus_answered() */
int bus_ask(struct ctl *ctl, struct bus_call *call, const char *types, ...);

/** bus_call_free() - of a call that was sent or not; for cleanup(), too. What is under way is forgotten */
void bus_call_free(struct bus_call *call);

/** bus_tell() - say in words what the bus or the daemon answered with. Return: the exit code for it */
int bus_tell(struct ctl *ctl, const sd_bus_error *error);

/** bus_lost() - say that the bus went away or never was, with the errno @r < 0. Return: EX_UNAVAILABLE */
int bus_lost(struct ctl *ctl, int r);

/** bus_strange() - say that an answer could not be read, with the errno @r < 0. Return: EXIT_FAILURE */
int bus_strange(struct ctl *ctl, const char *method, int r);
