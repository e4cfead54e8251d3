/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The whole terminal, as lines of text: taken when it is made and given back when it is freed, when the
 * user stops the program with ^Z, and when a signal ends it. Only lines that changed are written.
 */

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "iotd/base.h"
#include "keys.h"

#define SCREEN_COLUMNS_MAX 1000
#define SCREEN_ROWS_MAX	   1000

struct screen;

/** struct screen_user - who draws; embedded in its owner */
struct screen_user {
	void (*key)(struct screen_user *user, enum key key);
	/* draw anew: the size is another one, or somebody else has written to the terminal */
	void (*redraw)(struct screen_user *user);
};

/** screen_is_possible() - are stdin and stdout a terminal that can do this? */
bool screen_is_possible(void);

/**
 * screen_new() - take the terminal
 * @ret:   set on success only; the caller frees it with screen_free()
 * @event: what it runs on. q, SIGINT, SIGTERM, SIGHUP and SIGQUIT end its loop, with 0
 * @user:  told of everything from the next turn of the loop on
 *
 * Return: 0; -ENOMEM; an errno of the terminal's.
 */
int screen_new(struct screen **ret, sd_event *event, struct screen_user *user);

/** screen_free() - give the terminal back; also of NULL. Return: NULL */
struct screen *screen_free(struct screen *screen);

static inline void screen_freep(struct screen **screen)
{
	*screen = screen_free(*screen);
}

/** screen_columns() - 1 .. SCREEN_COLUMNS_MAX */
size_t screen_columns(const struct screen *screen);

/** screen_rows() - 1 .. SCREEN_ROWS_MAX */
size_t screen_rows(const struct screen *screen);

/**
 * screen_show() - the whole picture
 * @text: lines with '\n', as many as there are rows or fewer; of controls only those that set colours
 *
 * Lines are cut where the screen ends. When the terminal is gone the loop ends. Return: 0; -ENOMEM
 */
int screen_show(struct screen *screen, const char *text);
