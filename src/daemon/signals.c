/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The signals that iotd obeys: stop, reload, tell the statistics. */
#include <errno.h>
#include <signal.h>

#include "daemon.h"

static void on_stop_signal(struct reactor_signal *signal)
{
	struct daemon *daemon = signal->number == SIGTERM
					? container_of(signal, struct daemon, terminate)
					: container_of(signal, struct daemon, interrupt);

	future_resolve(&daemon->stop, 0);
}

static void on_statistics_signal(struct reactor_signal *signal)
{
	status_log(container_of(signal, struct daemon, statistics));
}

static void on_reload_signal(struct reactor_signal *signal)
{
	reload_ask(container_of(signal, struct daemon, hangup), NULL);
}

int signals_start(struct daemon *daemon)
{
	int r;

	daemon->terminate.arrived = daemon->interrupt.arrived = on_stop_signal;
	daemon->statistics.arrived = on_statistics_signal;
	daemon->hangup.arrived = on_reload_signal;
	r = reactor_add_signal(daemon->reactor, &daemon->terminate, SIGTERM);
	if (r == 0)
		r = reactor_add_signal(daemon->reactor, &daemon->interrupt, SIGINT);
	if (r == 0)
		r = reactor_add_signal(daemon->reactor, &daemon->statistics, SIGUSR1);
	if (r == 0)
		r = reactor_add_signal(daemon->reactor, &daemon->hangup, SIGHUP);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) /* a broker that closes must not end us */
		r = -errno;
	return r;
}
