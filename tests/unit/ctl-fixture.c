/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <check.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl-fixture.h"

static sd_bus *bus;
static int other_end = -1;

void messages_open(void)
{
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
			 0);
	other_end = ends[1];
	ck_assert_int_ge(sd_bus_new(&bus), 0);
	ck_assert_int_ge(sd_bus_set_fd(bus, ends[0], ends[0]), 0);
	ck_assert_int_ge(sd_bus_start(bus), 0);
}

void messages_close(void)
{
	bus = sd_bus_close_unref(bus);
	(void)close(other_end);
}

sd_bus_message *message_new_empty(void)
{
	sd_bus_message *message;

	ck_assert_int_ge(sd_bus_message_new_signal(bus, &message, "/a", "a.b", "C"), 0);
	return message;
}

void message_seal(sd_bus_message *message)
{
	ck_assert_int_ge(sd_bus_message_seal(message, 1, 0), 0);
	ck_assert_int_ge(sd_bus_message_rewind(message, true), 0);
}
