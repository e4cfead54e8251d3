/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * polkit's pkttyagent, as systemctl has it: it asks on /dev/tty for us, its parent, unless the session has
 * an agent already (--fallback). It closes NOTIFY_FD when it is ready, or has failed.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"

#define NOTIFY_FD 3
#define READY_MS  5000

/* Return: 0; an errno > 0 */
static int spawn(pid_t *ret, int notify)
{
	char program[] = "pkttyagent", fallback[] = "--fallback", fd[] = "--notify-fd=3";
	char *const arguments[] = { program, fallback, fd, NULL };
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);

	if (r != 0)
		return r;
	r = posix_spawn_file_actions_adddup2(&actions, notify, NOTIFY_FD);
	for (int stream = STDOUT_FILENO; r == 0 && stream <= STDERR_FILENO; stream++)
		r = posix_spawn_file_actions_addopen(&actions, stream, "/dev/null", O_WRONLY, 0);
	if (r == 0)
		r = posix_spawnp(ret, program, &actions, NULL, arguments, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	return r;
}

void agent_start(struct ctl *ctl)
{
	struct pollfd ready = { .events = POLLIN };
	int ends[2], r;

	if (ctl->agent > 0 || geteuid() == 0 || isatty(STDIN_FILENO) != 1)
		return;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	r = spawn(&ctl->agent, ends[1]);
	(void)close(ends[1]);
	ready.fd = ends[0];
	if (r == 0)
		(void)poll(&ready, 1, READY_MS);
	else
		ctl->agent = 0;
	(void)close(ends[0]);
}

void agent_stop(struct ctl *ctl)
{
	if (ctl->agent <= 0)
		return;
	(void)kill(ctl->agent, SIGTERM);
	(void)kill(ctl->agent, SIGCONT);
	(void)waitpid(ctl->agent, NULL, 0);
	ctl->agent = 0;
}
