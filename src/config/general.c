/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of the file itself (device, log_level, driver_dir) and the groups spool, commands, stats. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load.h"
#include "table.h"

#include "iotd/config.h"
#include "iotd/log.h"
#include "iotd/plugins.h"

#define DEVICE_MAX     128
#define SPOOL_PATH     "/var/lib/iotd/spool.db"
#define SPOOL_PATH_MAX 400 /* leaves room for ".damaged-TIME" */
#define TEXTFILE_MAX   400 /* leaves room for ".tmp" */
#define DIRECTORY_SIZE (SPOOL_PATH_MAX + 1 - sizeof("/spool.db") + 1)

static const char *const level_words[] = { "debug", "info", "notice", "warning", "err", NULL };

static void check_device(struct load *load, const config_setting_t *setting, void *member)
{
	const char *device = *(char **)member;

	if (*device == '\0')
		fault_at(&load->faults, setting, "must not be empty");
	else if (strlen(device) > DEVICE_MAX)
		fault_at(&load->faults, setting, "is longer than %d bytes", DEVICE_MAX);
	else if (strpbrk(device, "/+#") || *device == '$')
		fault_at(&load->faults, setting,
			 "must not hold \"/\", \"+\" or \"#\" nor begin with \"$\": it is a level "
			 "of all topics");
}

static void check_level(struct load *load, const config_setting_t *setting, void *member)
{
	int index;

	if (value_word(&load->faults, setting, level_words, &index))
		*(int *)member = log_level_from_name(level_words[index]);
}

static void check_driver_dir(struct load *load, const config_setting_t *setting, void *member)
{
	const char *path = *(char **)member;
	char written[QUOTE_SIZE];

	if (*path == '\0')
		fault_at(&load->faults, setting, "must not be empty");
	else if (*path != '/')
		fault_at(&load->faults, setting, "%s is no absolute path",
			 fault_quote(written, path));
}

static void check_spool_path(struct load *load, const config_setting_t *setting, void *member)
{
	const char *path = *(char **)member;
	char written[QUOTE_SIZE];

	if (*path != '\0' && *path != '/')
		fault_at(&load->faults, setting,
			 "%s is no absolute path (\"\" keeps readings in memory only)",
			 fault_quote(written, path));
	else if (strlen(path) > SPOOL_PATH_MAX)
		fault_at(&load->faults, setting, "is longer than %d bytes", SPOOL_PATH_MAX);
}

#define ROOT(member) KEY_PLACE(settings, member)

const struct key root_keys[] = {
	{ "device", KEY_STRING, ROOT(device), .check = check_device },
	{ "log_level", KEY_CUSTOM, ROOT(log_level), .check = check_level },
	{ "driver_dir", KEY_STRING, ROOT(driver_dir), .preset = PLUGIN_FOLDER,
	  .check = check_driver_dir },
	{ NULL },
};

#define SPOOL(member) KEY_PLACE(spool_settings, member)

static const struct key spool_keys[] = {
	{ "path", KEY_STRING, SPOOL(path), .preset = SPOOL_PATH, .check = check_spool_path },
	{ "max_size", KEY_SIZE, SPOOL(max_size), .preset = "64M",
	  .range = { 1U << 12, 1ULL << 40 } },
	{ NULL },
};

bool config_spool_equal(const struct spool_settings *a, const struct spool_settings *b)
{
	return table_equal(spool_keys, a, b, 0, SIZE_MAX);
}

/* it is written from iotd's start on, wherever the folder comes from: so only who asks is told */
static void look_for_folder(struct load *load, const config_setting_t *setting, const char *path)
{
	char folder[TEXTFILE_MAX + 1], written[QUOTE_SIZE];
	size_t length = (size_t)(strrchr(path, '/') - path);
	struct stat status;

	memcpy(folder, path, length + 1);
	folder[length > 0 ? length : 1] = '\0';
	if (stat(folder, &status) < 0)
		fault_at(&load->faults, setting, "there must be a folder %s: %s",
			 fault_quote(written, folder), strerror(errno));
	else if (!S_ISDIR(status.st_mode))
		fault_at(&load->faults, setting, "%s is no folder", fault_quote(written, folder));
	else if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
		fault_at(&load->faults, setting, "%s is there and no regular file",
			 fault_quote(written, path));
}

static void check_textfile(struct load *load, const config_setting_t *setting, void *member)
{
	const char *path = *(char **)member;
	char written[QUOTE_SIZE];

	if (*path == '\0')
		return;
	if (*path != '/')
		fault_at(&load->faults, setting, "%s is no absolute path (\"\" writes none)",
			 fault_quote(written, path));
	else if (path[strlen(path) - 1] == '/')
		fault_at(&load->faults, setting,
			 "%s is a folder: name a file in it, such as \"iotd.prom\"",
			 fault_quote(written, path));
	else if (strlen(path) > TEXTFILE_MAX)
		fault_at(&load->faults, setting, "is longer than %d bytes", TEXTFILE_MAX);
	else if (load->looks)
		look_for_folder(load, setting, path);
}

#define STATS(member) KEY_PLACE(stats_settings, member)

static const struct key stats_keys[] = {
	{ "interval", KEY_DURATION, STATS(interval_us), .preset = "60s",
	  .range = { 1e5, 86400e6 } },
	{ "textfile", KEY_STRING, STATS(textfile), .preset = "", .check = check_textfile },
	{ NULL },
};

static void check_allow(struct load *load, const config_setting_t *setting, void *member)
{
	const char *words[COMMAND_KINDS + 1] = { NULL };
	bool *allow = member;
	int kind;

	if (!value_is_list(&load->faults, setting))
		return;
	for (kind = 0; kind < COMMAND_KINDS; kind++) {
		words[kind] = command_kind_name((enum command_kind)kind);
		allow[kind] = false;
	}
	for (int i = 0; i < config_setting_length(setting); i++)
		if (value_word(&load->faults, config_setting_get_elem(setting, (unsigned int)i),
			       words, &kind))
			allow[kind] = true;
}

#define COMMANDS(member) KEY_PLACE(command_settings, member)

static const struct key command_keys[] = {
	{ "enabled", KEY_BOOLEAN, COMMANDS(enabled), .preset = "true" },
	{ "allow", KEY_CUSTOM, COMMANDS(allow), .check = check_allow },
	{ NULL },
};

static void load_group(struct load *load, const struct key *table, const config_setting_t *section,
		       void *target)
{
	if (section && !value_is_group(&load->faults, section))
		section = NULL;
	table_read(load, table, section, target);
}

/* host_name() - the host's name, without what a topic's level must not hold */
static void host_name(struct load *load)
{
	char name[HOST_NAME_MAX + 1];

	if (gethostname(name, sizeof(name)) < 0 || name[0] == '\0')
		(void)snprintf(name, sizeof(name), "localhost");
	name[sizeof(name) - 1] = '\0';
	for (char *at = name; *at != '\0'; at++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.",
			    *at))
			*at = '-';
	table_string(&load->faults, &load->settings->device, name);
}

void load_presets(struct load *load)
{
	load->settings->log_level = LOG_INFO;
	table_presets(&load->faults, root_keys, load->settings);
	host_name(load);
}

/*
 * The instances of iotd@.service have a directory each, and must not share a file: systemd.exec(5),
 * "StateDirectory=", a list with colons.
 */
static bool state_directory(char directory[static DIRECTORY_SIZE])
{
	const char *list = getenv("STATE_DIRECTORY");
	size_t length = list && list[0] == '/' ? strcspn(list, ":") : 0;

	if (length == 0 || length >= DIRECTORY_SIZE)
		return false;
	memcpy(directory, list, length);
	directory[length] = '\0';
	return true;
}

/* without systemd it is where the spool is, if that is anywhere */
static void set_state_directory(struct load *load, const char *given)
{
	const char *path = load->settings->spool.path, *slash = path ? strrchr(path, '/') : NULL;
	char directory[SPOOL_PATH_MAX + 1] = "/var/lib/iotd";

	if (!given && slash && strlen(path) <= SPOOL_PATH_MAX) {
		memcpy(directory, path, (size_t)(slash - path));
		directory[slash - path] = '\0';
	}
	table_string(&load->faults, &load->settings->state_directory, given ? given : directory);
}

void load_spool(struct load *load, const config_setting_t *section)
{
	char directory[DIRECTORY_SIZE], path[SPOOL_PATH_MAX + 1];
	bool is_given = state_directory(directory);

	load_group(load, spool_keys, section, &load->settings->spool);
	set_state_directory(load, is_given ? directory : NULL);
	if (!is_given || (section && config_setting_is_group(section) &&
			  config_setting_get_member(section, "path")))
		return;
	(void)snprintf(path, sizeof(path), "%s/spool.db", directory);
	table_string(&load->faults, &load->settings->spool.path, path);
}

void load_stats(struct load *load, const config_setting_t *section)
{
	load_group(load, stats_keys, section, &load->settings->stats);
}

void load_commands(struct load *load, const config_setting_t *section)
{
	struct command_settings *commands = &load->settings->commands;

	for (int kind = 0; kind < COMMAND_KINDS; kind++)
		commands->allow[kind] = kind != COMMAND_RELOAD && kind != COMMAND_COUNT;
	load_group(load, command_keys, section, commands);
}
