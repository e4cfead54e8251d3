/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The way home: while we are connected to a later broker of the list, is an earlier one there
 * again? On the reactor's thread.
 */

#include "connection.h"
#include "link.h"

/** struct home - embedded in the link; zeroed: at home */
struct home {
	/** the will of the next try, valid until the next call; NULL: out of memory */
	const struct message *(*will)(struct home *home);
	/** the one given last may have reached a broker */
	void (*spent)(struct home *home);
	/** @there is connected to broker @index, and the callee's from now on */
	void (*found)(struct home *home, struct connection *there, size_t index);
	const struct link_parts *parts; /* to be set, as are the next three and the joints */
	struct connection_will *wills;	/* of each broker */
	struct tls_context *tls;	/* NULL: no broker is mqtts:// */
	struct worker_key *key;		/* its own: a look-up that hangs holds up nobody else */
	struct task *task;		/* private from here on */
	struct connection *there;
	struct reactor_call tell;
	size_t at, away; /* looks for broker @at; those before @away are nearer home */
};

/** home_leave() - connected to broker @away: from now on look for those before it, until one is found. 0: nothing */
void home_leave(struct home *home, size_t away);

/** home_stop() - look no more. Not looking already is fine */
void home_stop(struct home *home);
