/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ECMA-48 and xterm's alternate screen, as every terminal of today has them: no terminfo, whose library
 * would be larger than all of iotctl. Automatic wrapping is off, so that a line that is too long is cut by
 * the terminal and spoils nothing. A picture is put between the marks of DEC's private mode 2026
 * (synchronized output): terminals that know it show it whole or not at all, the others ignore them.
 *
 * Signals are events of the loop, so nothing is written in a handler; they must not come while the screen is
 * drawn by halves.
 */
#include "screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

#define ENTER "\033[?1049h\033[?25l\033[?7l\033[2J"
#define LEAVE "\033[0m\033[?7h\033[?25h\033[?1049l"
#define BEGIN "\033[?2026h"
#define END   "\033[?2026l"
#define BYTES 64 /* of keys, at a time */

struct screen {
	sd_event *event;
	struct screen_user *user;
	struct termios before;
	bool is_entered;
	size_t columns, rows;
	char *lines[SCREEN_ROWS_MAX]; /* as the terminal shows them; NULL: not known */
};

bool screen_is_possible(void)
{
	const char *terminal = getenv("TERM");

	return isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 && terminal &&
	       terminal[0] != '\0' && strcmp(terminal, "dumb") != 0;
}

/* --- The terminal ------------------------------------------------------------------------------- */

/* Return: 0; an errno: it is gone */
static int write_all(const char *text, size_t length)
{
	struct pollfd ready = { .fd = STDOUT_FILENO, .events = POLLOUT };

	while (length > 0) {
		ssize_t n = write(STDOUT_FILENO, text, length);

		if (n < 0 && errno == EAGAIN)
			(void)poll(&ready, 1, -1);
		else if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			length -= (size_t)n;
		}
	}
	return 0;
}

static void forget_lines(struct screen *screen)
{
	for (size_t i = 0; i < SCREEN_ROWS_MAX; i++) {
		free(screen->lines[i]);
		screen->lines[i] = NULL;
	}
}

static void measure(struct screen *screen)
{
	struct winsize size = { 0 };

	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	screen->columns = size.ws_col > 0 ? size.ws_col : 80;
	screen->rows = size.ws_row > 0 ? size.ws_row : 24;
	if (screen->columns > SCREEN_COLUMNS_MAX)
		screen->columns = SCREEN_COLUMNS_MAX;
	if (screen->rows > SCREEN_ROWS_MAX)
		screen->rows = SCREEN_ROWS_MAX;
}

/* keys come one by one and are not shown; ^C and ^Z stay signals */
static int enter(struct screen *screen)
{
	struct termios quiet = screen->before;

	quiet.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	quiet.c_cc[VMIN] = 1;
	quiet.c_cc[VTIME] = 0;
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet) < 0)
		return -errno;
	screen->is_entered = true;
	forget_lines(screen);
	measure(screen);
	return write_all(ENTER, strlen(ENTER));
}

static void leave(struct screen *screen)
{
	if (!screen->is_entered)
		return;
	screen->is_entered = false;
	(void)write_all(LEAVE, strlen(LEAVE));
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &screen->before);
}

/* --- What the user does ------------------------------------------------------------------------- */

static int take_keys(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct screen *screen = data;
	char bytes[BYTES];
	ssize_t n = read(fd, bytes, sizeof(bytes));
	enum key key;

	(void)source;
	(void)events;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0) /* the terminal is gone */
		return sd_event_exit(screen->event, 0);
	for (size_t i = 0; i < (size_t)n;) {
		i += key_decode(&key, bytes + i, (size_t)n - i);
		if (key == KEY_QUIT)
			return sd_event_exit(screen->event, 0);
		if (key == KEY_REDRAW) {
			forget_lines(screen);
			screen->user->redraw(screen->user);
		} else if (key != KEY_NONE) {
			screen->user->key(screen->user, key);
		}
	}
	return 0;
}

static int end(sd_event_source *source, const struct signalfd_siginfo *signal, void *data)
{
	struct screen *screen = data;

	(void)source;
	(void)signal;
	return sd_event_exit(screen->event, 0);
}

static int resize(sd_event_source *source, const struct signalfd_siginfo *signal, void *data)
{
	struct screen *screen = data;

	(void)source;
	(void)signal;
	measure(screen);
	forget_lines(screen);
	screen->user->redraw(screen->user);
	return 0;
}

/* ^Z: the shell shall find its terminal as it was. What stops us is a signal that we cannot catch. */
static int suspend(sd_event_source *source, const struct signalfd_siginfo *signal, void *data)
{
	struct screen *screen = data;

	(void)source;
	(void)signal;
	leave(screen);
	(void)raise(SIGSTOP);
	(void)enter(screen);
	screen->user->redraw(screen->user);
	return 0;
}

/* after a SIGSTOP from elsewhere the shell may have used the terminal */
static int resume(sd_event_source *source, const struct signalfd_siginfo *signal, void *data)
{
	struct screen *screen = data;

	(void)source;
	(void)signal;
	(void)enter(screen);
	screen->user->redraw(screen->user);
	return 0;
}

/* --- Life --------------------------------------------------------------------------------------- */

static int listen_to(struct screen *screen)
{
	static const struct {
		int number;
		sd_event_signal_handler_t handler;
	} signals[] = {
		{ SIGINT, end },      { SIGTERM, end },	    { SIGHUP, end },	 { SIGQUIT, end },
		{ SIGWINCH, resize }, { SIGTSTP, suspend }, { SIGCONT, resume },
	};
	sigset_t mask;
	int r;

	(void)sigemptyset(&mask);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)sigaddset(&mask, signals[i].number);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		r = sd_event_add_signal(screen->event, NULL, signals[i].number, signals[i].handler,
					screen);
		if (r < 0)
			return r;
	}
	return sd_event_add_io(screen->event, NULL, STDIN_FILENO, POLLIN, take_keys, screen);
}

int screen_new(struct screen **ret, sd_event *event, struct screen_user *user)
{
	cleanup(screen_freep) struct screen *screen = calloc(1, sizeof(*screen));
	int r;

	if (!screen)
		return -ENOMEM;
	screen->event = event;
	screen->user = user;
	if (tcgetattr(STDIN_FILENO, &screen->before) < 0)
		return -errno;
	r = listen_to(screen);
	if (r < 0)
		return r;
	r = enter(screen);
	if (r < 0)
		return r;
	*ret = take_ptr(screen);
	return 0;
}

struct screen *screen_free(struct screen *screen)
{
	if (!screen)
		return NULL;
	leave(screen);
	forget_lines(screen);
	free(screen);
	return NULL;
}

size_t screen_columns(const struct screen *screen)
{
	return screen->columns;
}

size_t screen_rows(const struct screen *screen)
{
	return screen->rows;
}

/* --- The picture -------------------------------------------------------------------------------- */

/* Return: 1 it has changed, and is written; 0 it has not; -ENOMEM */
static int show_line(struct screen *screen, size_t row, const char *text, size_t length, FILE *to)
{
	const char *shown = screen->lines[row];
	char *line;

	if (shown && strlen(shown) == length && memcmp(shown, text, length) == 0)
		return 0;
	line = strndup(text, length);
	if (!line)
		return -ENOMEM;
	/* erased before, for behind a full line it would take the last character */
	(void)fprintf(to, "\033[%zu;1H\033[2K%s\033[0m", row + 1, line);
	free(screen->lines[row]);
	screen->lines[row] = line;
	return 1;
}

static int write_changes(struct screen *screen, const char *text, FILE *to)
{
	int r;

	for (size_t row = 0; row < screen->rows; row++) {
		size_t length = strcspn(text, "\n");

		r = show_line(screen, row, text, length, to);
		if (r < 0)
			return r;
		text += text[length] == '\n' ? length + 1 : length;
	}
	return 0;
}

int screen_show(struct screen *screen, const char *text)
{
	cleanup(freep) char *changes = NULL;
	size_t size;
	FILE *to;
	int r;

	to = open_memstream(&changes, &size);
	if (!to)
		return -ENOMEM;
	(void)fputs(BEGIN, to);
	r = write_changes(screen, text, to);
	(void)fputs(END, to);
	if (fclose(to) != 0 && r == 0)
		r = -ENOMEM;
	if (r == 0 && size > strlen(BEGIN END) && write_all(changes, size) < 0)
		(void)sd_event_exit(screen->event, 0);
	return r;
}
