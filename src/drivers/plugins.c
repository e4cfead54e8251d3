/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Drivers from files. A file is opened, what was opened is looked at, and just that is given to dlopen(),
 * by /proc/self/fd: no rename can put another file between the look and the load. The descriptor
 * stays open as long as the file is loaded: dlopen() knows what it has by its path, so a number that
 * comes a second time would get it the first file again.
 *
 * The version of the interface is read before anything else that the file holds. Each driver is looked
 * over before it is in the list, so that a bad one is told here and not found by a crash.
 */

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "iotd/drivers.h"
#include "iotd/parse.h"
#include "iotd/plugins.h"

#define SUFFIX	     ".so"
#define DRIVERS_MOST 256 /* of one file: more are a list without an end */

struct plugin {
	void *handle;
	int fd;
};

struct entry {
	const struct driver *driver;
};

/* The list of drivers is the process's, and so is this part of it. */
static struct {
	struct plugin *plugins;
	struct entry *drivers;
	struct plugin_fault *faults;
	size_t plugin_count, driver_count, fault_count;
} loaded;

/* one file while it is loaded */
struct loading {
	const char *folder, *file;
	uid_t owner;
	struct plugin plugin;
};

/* --- What is told --------------------------------------------------------------------------- */

static int fault_add(const char *name, char *words)
{
	struct plugin_fault fault = { .name = strdup(name), .words = words };
	struct plugin_fault *grown =
		reallocarray(loaded.faults, loaded.fault_count + 1, sizeof(*grown));

	if (grown)
		loaded.faults = grown;
	if (!grown || !fault.name) {
		free(fault.name);
		free(words);
		return -ENOMEM;
	}
	loaded.faults[loaded.fault_count++] = fault;
	return 0;
}

/* fault() - about the file, or with @name about that driver of it. Return: 0; -ENOMEM */
static int printf_like(3, 4)
	fault(const struct loading *loading, const char *name, const char *format, ...)
{
	cleanup(freep) char *words = NULL, *stem = NULL;
	char *line = NULL;
	va_list arguments;
	int r;

	va_start(arguments, format);
	r = vasprintf(&words, format, arguments);
	va_end(arguments);
	if (r < 0) {
		words = NULL;
		return -ENOMEM;
	}
	stem = strndup(loading->file, strlen(loading->file) - strlen(SUFFIX));
	if (!stem)
		return -ENOMEM;
	if (asprintf(&line, "%s/%s: %s", loading->folder, loading->file, words) < 0)
		return -ENOMEM;
	return fault_add(name ? name : stem, line);
}

/* --- Whose it is ---------------------------------------------------------------------------- */

/* why what @fd is must not be trusted, NULL: it may be */
static const char *mistrust(int fd, bool is_folder, uid_t owner)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return strerror(errno);
	if (is_folder ? !S_ISDIR(status.st_mode) : !S_ISREG(status.st_mode))
		return is_folder ? "is no directory" : "is no regular file";
	if (status.st_uid != owner)
		return "does not belong to root, and drivers run with all that iotd may do: "
		       "chown root";
	if (status.st_mode & (S_IWGRP | S_IWOTH))
		return "can be written by its group or by others, and drivers run with all that "
		       "iotd may do: chmod go-w";
	return NULL;
}

/* --- What a driver must have ---------------------------------------------------------------- */

static bool is_kind(enum driver_kind kind)
{
	return strcmp(driver_kind_name(kind), "unknown") != 0;
}

static bool is_channel(const struct channel *channel)
{
	return memchr(channel->name, '\0', sizeof(channel->name)) && parse_name(channel->name) &&
	       memchr(channel->unit, '\0', sizeof(channel->unit)) && channel->digits >= 0 &&
	       channel->digits <= 9;
}

static bool has_channels(const struct driver *driver)
{
	if (!driver->channels)
		return driver->channel_count == 0 && driver->describe;
	for (size_t i = 0; i < driver->channel_count && i < CHANNELS_MAX; i++)
		if (!is_channel(&driver->channels[i]))
			return false;
	return driver->channel_count >= 1 && driver->channel_count <= CHANNELS_MAX;
}

static bool has_options(const struct driver *driver)
{
	if (driver->option_count > 0 && !driver->options)
		return false;
	for (size_t i = 0; i < driver->option_count; i++)
		if (!driver->options[i].name ||
		    (driver->options[i].type == OPTION_GROUPS && !driver->options[i].members))
			return false;
	return true;
}

static const char *incomplete(const struct driver *driver)
{
	if (!is_kind(driver->kind))
		return "its kind is none of driver.h";
	if (!has_channels(driver))
		return "has neither channels (1 to 64, with names, units and 0 to 9 digits) nor "
		       "describe()";
	if (!has_options(driver))
		return "has an option without a name or without members";
	if (!driver->open || !driver->collect)
		return "has no open() or no collect()";
	return NULL;
}

static bool is_loaded(const char *name)
{
	const struct driver *driver;

	for (size_t i = 0; (driver = plugin_at(i)); i++)
		if (strcmp(driver->name, name) == 0)
			return true;
	return false;
}

/* --- Loading -------------------------------------------------------------------------------- */

/* Return: 1 it is in the list; 0 it is refused; -ENOMEM */
static int take_driver(const struct loading *loading, const struct driver *driver)
{
	struct entry *grown;
	const char *words;

	if (!driver->name || !parse_name(driver->name))
		return fault(loading, NULL, "has a driver without a proper name");
	if (is_loaded(driver->name))
		return fault(loading, driver->name, "driver %s: another file has one of that name",
			     driver->name);
	if (driver_find(driver->name))
		return fault(loading, driver->name,
			     "driver %s: iotd has one of that name itself; give this one another",
			     driver->name);
	words = incomplete(driver);
	if (words)
		return fault(loading, driver->name, "driver %s: %s", driver->name, words);

	grown = reallocarray(loaded.drivers, loaded.driver_count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	loaded.drivers = grown;
	loaded.drivers[loaded.driver_count++] = (struct entry){ driver };
	return 1;
}

/* Return: how many are in the list; -ENOMEM */
static int take_drivers(const struct loading *loading, const struct driver_module *module)
{
	int taken = 0, r;

	if (!module->drivers || !module->drivers[0])
		return fault(loading, NULL, "holds no driver");
	for (size_t i = 0; i < DRIVERS_MOST && module->drivers[i]; i++) {
		r = take_driver(loading, module->drivers[i]);
		if (r < 0)
			return r;
		taken += r;
	}
	return taken;
}

/* The first part of what dlerror() says is the path that it was given, which tells nobody anything. */
static const char *loader_words(const char *path)
{
	const char *words = dlerror();

	if (!words)
		return "cannot be loaded";
	if (strncmp(words, path, strlen(path)) == 0 && words[strlen(path)] == ':')
		return words + strlen(path) + strspn(words + strlen(path), ": ");
	return words;
}

/* Return: how many drivers are in the list; -ENOMEM */
static int take_module(struct loading *loading)
{
	const struct driver_module *module;
	char path[40];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", loading->plugin.fd);
	loading->plugin.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!loading->plugin.handle)
		return fault(loading, NULL, "%s (this iotd has version %u of the driver interface)",
			     loader_words(path), IOTD_DRIVER_ABI);
	module = dlsym(loading->plugin.handle, "iotd_driver");
	if (!module)
		return fault(loading, NULL,
			     "is no driver of iotd: it has no symbol iotd_driver (see "
			     "iotd-driver(3))");
	if (module->abi != IOTD_DRIVER_ABI)
		return fault(loading, NULL,
			     "is built for version %u of the driver interface, and this iotd has "
			     "version %u: build it anew with the headers of this iotd%s",
			     module->abi, IOTD_DRIVER_ABI,
			     module->abi > IOTD_DRIVER_ABI ? ", or take a newer iotd" : "");
	return take_drivers(loading, module);
}

static void plugin_close(struct plugin *plugin)
{
	if (plugin->handle)
		(void)dlclose(plugin->handle);
	closep(&plugin->fd);
}

static int plugin_keep(struct plugin *plugin)
{
	struct plugin *grown =
		reallocarray(loaded.plugins, loaded.plugin_count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	loaded.plugins = grown;
	loaded.plugins[loaded.plugin_count++] = *plugin;
	return 0;
}

static int load_file(struct loading *loading, int folder_fd)
{
	size_t driver_count = loaded.driver_count;
	const char *words;
	int r;

	/* non-blocking for a FIFO of that name */
	loading->plugin.fd =
		openat(folder_fd, loading->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (loading->plugin.fd < 0)
		return fault(loading, NULL, "cannot be opened: %s", strerror(errno));
	words = mistrust(loading->plugin.fd, false, loading->owner);
	r = words ? fault(loading, NULL, "%s", words) : take_module(loading);
	if (r > 0 && plugin_keep(&loading->plugin) == 0)
		return 0;
	plugin_close(&loading->plugin);
	loaded.driver_count = driver_count; /* what is not kept is not used */
	return r > 0 ? -ENOMEM : r;
}

static int is_plugin(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name), suffix = strlen(SUFFIX);

	return entry->d_name[0] != '.' && length > suffix &&
	       strcmp(entry->d_name + length - suffix, SUFFIX) == 0;
}

static int load_files(const char *folder, int fd, uid_t owner)
{
	struct dirent **entries;
	int count = scandirat(fd, ".", &entries, is_plugin, alphasort), r = 0;

	if (count < 0)
		return errno == ENOMEM ? -ENOMEM : 0;
	for (int i = 0; i < count; i++) {
		struct loading loading = { folder, entries[i]->d_name, owner, { NULL, -1 } };

		if (r == 0)
			r = load_file(&loading, fd);
		free(entries[i]);
	}
	free((void *)entries);
	return r;
}

static int fault_folder(const char *folder, const char *what, const char *words)
{
	char *line;

	if (asprintf(&line, "driver_dir: %s: %s%s", folder, what, words) < 0)
		return -ENOMEM;
	return fault_add("", line);
}

int plugins_load(const char *folder, uid_t owner)
{
	cleanup(closep) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *words;

	if (fd < 0 && errno == ENOENT && strcmp(folder, PLUGIN_FOLDER) == 0)
		return 0;
	if (fd < 0)
		return fault_folder(folder, "cannot be opened: ", strerror(errno));
	words = mistrust(fd, true, owner);
	if (words)
		return fault_folder(folder, "no driver is loaded from it: it ", words);
	return load_files(folder, fd, owner);
}

void plugins_unload(void)
{
	for (size_t i = 0; i < loaded.plugin_count; i++)
		plugin_close(&loaded.plugins[i]);
	for (size_t i = 0; i < loaded.fault_count; i++) {
		free(loaded.faults[i].name);
		free(loaded.faults[i].words);
	}
	free(loaded.plugins);
	free(loaded.drivers);
	free(loaded.faults);
	memset(&loaded, 0, sizeof(loaded));
}

/* --- Looking -------------------------------------------------------------------------------- */

const struct driver *plugin_at(size_t index)
{
	return index < loaded.driver_count ? loaded.drivers[index].driver : NULL;
}

const struct plugin_fault *plugin_fault_at(size_t index)
{
	return index < loaded.fault_count ? &loaded.faults[index] : NULL;
}

const struct plugin_fault *plugin_fault_find(const char *name)
{
	for (size_t i = 0; i < loaded.fault_count; i++)
		if (strcmp(loaded.faults[i].name, name) == 0)
			return &loaded.faults[i];
	return NULL;
}
