/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GLib: timers are sources of our own with a ready time in microseconds, as g_timeout_add() drifts and
 * counts in milliseconds; another thread wakes the loop by an idle source.
 */
#include <glib-unix.h>
#include <glib.h>

#include "peer.h"

const char peer_name[] = "GLib";

struct timer_source {
	GSource source;
	int64_t due_us, interval_us;
	size_t i;
};

static GMainLoop *loop;
static GSource **timeouts;

static gboolean fire(GSource *source, GSourceFunc callback, gpointer data)
{
	struct timer_source *timer = (struct timer_source *)source;

	(void)callback;
	(void)data;
	timer->due_us += timer->interval_us;
	g_source_set_ready_time(source, timer->due_us);
	work_fired(timer->i);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs timer_functions = { .dispatch = fire };

void peer_init(size_t count)
{
	timeouts = work_memory(count * sizeof(GSource *));
	loop = g_main_loop_new(NULL, FALSE);
}

void peer_run(void)
{
	g_main_loop_run(loop);
}

void peer_stop(void)
{
	g_main_loop_quit(loop);
}

void peer_timer(size_t i, int64_t first_us, int64_t interval_us)
{
	GSource *source = g_source_new(&timer_functions, sizeof(struct timer_source));
	struct timer_source *timer = (struct timer_source *)source;

	timer->i = i;
	timer->due_us = first_us; /* g_get_monotonic_time() is CLOCK_MONOTONIC */
	timer->interval_us = interval_us;
	g_source_set_ready_time(source, first_us);
	(void)g_source_attach(source, NULL);
}

static gboolean ready(gint fd, GIOCondition condition, gpointer data)
{
	(void)fd;
	(void)condition;
	work_ready(GPOINTER_TO_SIZE(data));
	return G_SOURCE_CONTINUE;
}

void peer_watch(size_t i, int fd)
{
	(void)g_unix_fd_add(fd, G_IO_IN, ready, GSIZE_TO_POINTER(i));
}

void peer_reset(size_t i, int64_t delay_us)
{
	if (!timeouts[i]) {
		timeouts[i] = g_source_new(&timer_functions, sizeof(struct timer_source));
		(void)g_source_attach(timeouts[i], NULL);
	}
	g_source_set_ready_time(timeouts[i], g_get_monotonic_time() + delay_us);
}

static gboolean deferred(gpointer data)
{
	work_deferred(GPOINTER_TO_SIZE(data));
	return G_SOURCE_REMOVE;
}

void peer_defer(size_t i)
{
	(void)g_idle_add(deferred, GSIZE_TO_POINTER(i));
}

static gboolean woken(gpointer data)
{
	(void)data;
	work_woken();
	return G_SOURCE_REMOVE;
}

void peer_wake(void)
{
	(void)g_idle_add_full(G_PRIORITY_DEFAULT, woken, NULL, NULL);
}
