/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * iotctl check: iotd --check with the file that the daemon runs with. A daemon that is not there is no
 * reason not to check what it would start with. The one of $PATH comes first, for who builds iotd.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus.h"
#include "json.h"

#include "iotd/parse.h"

#define CONFIG	  "/etc/iotd"
#define GET	  "org.freedesktop.DBus.Properties"
#define ARGUMENTS 5

/* Return: the file; NULL: it does not say, or is not there */
static char *running_config(struct ctl *ctl)
{
	cleanup(bus_call_free) struct bus_call call = { .interface = GET, .method = "Get" };
	const char *file;
	int status;

	ctl->is_quiet = true;
	status = bus_ask(ctl, &call, "ss", BUS_INTERFACE, "ConfigFile");
	ctl->is_quiet = false;
	if (status != EX_OK || sd_bus_message_read(call.reply, "v", "s", &file) <= 0)
		return NULL;
	return strdup(file);
}

/* Return: the file that an iotd that is started would read; NULL: out of memory */
static char *usual_config(const struct ctl *ctl)
{
	char *file;

	if (!ctl->instance)
		return strdup(CONFIG ".conf");
	return asprintf(&file, CONFIG "/%s.conf", ctl->instance) < 0 ? NULL : file;
}

static char *config_file(struct ctl *ctl, const char *given)
{
	char *file = given ? strdup(given) : running_config(ctl);

	return file || given ? file : usual_config(ctl);
}

static int tell_no_program(const struct ctl *ctl, int error)
{
	return ctl_fail(ctl, EX_UNAVAILABLE, IOTD_PROGRAM " cannot be run: %s", strerror(error));
}

/* Return: the exit code of one that cannot be run; else it does not return */
static int become(const struct ctl *ctl, char *const arguments[static ARGUMENTS])
{
	(void)execvp(arguments[0], arguments);
	if (errno == ENOENT)
		(void)execv(IOTD_PROGRAM, arguments);
	return tell_no_program(ctl, errno);
}

/* --- With --json, what it says is put into an object -------------------------------------------- */

/* Return: 0 with both streams of the program in @ret; an errno > 0 */
static int start(FILE **ret, pid_t *ret_pid, char *const arguments[static ARGUMENTS])
{
	posix_spawn_file_actions_t actions;
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return errno;
	r = posix_spawn_file_actions_init(&actions);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
	if (r == 0)
		r = posix_spawnp(ret_pid, arguments[0], &actions, NULL, arguments, environ);
	if (r == ENOENT)
		r = posix_spawn(ret_pid, IOTD_PROGRAM, &actions, NULL, arguments, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(ends[1]);
	*ret = r == 0 ? fdopen(ends[0], "r") : NULL;
	if (!*ret)
		(void)close(ends[0]);
	return r == 0 && !*ret ? ENOMEM : r;
}

/* Return: a list of lines; NULL: out of memory */
static json_t *read_lines(FILE *file)
{
	cleanup(json_decrefp) json_t *lines = json_array();
	cleanup(freep) char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		text_mend(line);
		if (json_array_append_new(lines, json_string(line)) < 0)
			return NULL;
	}
	return take_ptr(lines);
}

static int check_as_json(const struct ctl *ctl, char *const arguments[static ARGUMENTS],
			 const char *file)
{
	json_t *lines;
	FILE *said = NULL;
	pid_t pid = 0;
	int wait_status, r = start(&said, &pid, arguments);

	if (r != 0)
		return tell_no_program(ctl, r);
	lines = read_lines(said);
	(void)fclose(said);
	if (waitpid(pid, &wait_status, 0) < 0 || !WIFEXITED(wait_status)) {
		json_decref(lines);
		return ctl_fail(ctl, EXIT_FAILURE, "iotd --check did not come to its end");
	}
	r = json_print(ctl, stdout,
		       json_pack("{s:s, s:b, s:o}", "file", file, "ok",
				 WEXITSTATUS(wait_status) == 0, "lines", lines));
	return r != EX_OK ? r : WEXITSTATUS(wait_status);
}

int verb_check(struct ctl *ctl, int argc, char **argv)
{
	cleanup(freep) char *file = config_file(ctl, argc > 0 ? argv[0] : NULL);
	char program[] = "iotd", check[] = "--check", option[] = "-c";
	char *const arguments[ARGUMENTS] = { program, check, option, file, NULL };

	if (!file)
		return ctl_no_memory(ctl);
	return ctl->json ? check_as_json(ctl, arguments, file) : become(ctl, arguments);
}
