/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Devices by name. All devices of the kind are looked at, so that a name that several have is told
 * and not guessed, and a name that none has is told with those that there are.
 *
 * The parent of a device tells twins apart: a PCI address, an I2C client, a platform device; these
 * do not change from boot to boot as the numbers of the folders do. A class device links to it
 * (`device`); a device of the bus iio lies in its folder. A thermal zone may have none.
 */

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "sysfs.h"

#define NAME_SIZE  128
#define WORDS_SIZE 192 /* a fault has no more */

/* a list for people: "coretemp, acpitz" */
struct words {
	char text[WORDS_SIZE];
	size_t count;
};

struct identity {
	const char *folder; /* the last part of its path */
	char names[2][NAME_SIZE];
	char parent[NAME_SIZE];
};

const char *sysfs_root(void)
{
	const char *root = secure_getenv("IOTD_SYSFS");

	return root && *root != '\0' ? root : "/sys";
}

static void words_add(struct words *words, const char *word)
{
	if (words->count > 0)
		sysfs_append(words->text, sizeof(words->text), ", ");
	sysfs_append(words->text, sizeof(words->text), word);
	words->count++;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* --- who a device is ------------------------------------------------------------------------ */

/* the device that the one at @folder belongs to; "" if there is none */
static void read_parent(const struct sysfs_kind *kind, const char *folder,
			char ret[static NAME_SIZE])
{
	char path[PATH_MAX], real[PATH_MAX];
	const char *parent;

	*ret = '\0';
	(void)snprintf(path, sizeof(path), "%s/device", folder);
	if (realpath(path, real)) {
		sysfs_append(ret, NAME_SIZE, last_part(real));
		return;
	}
	if (!realpath(folder, real))
		return;
	*strrchr(real, '/') = '\0';
	parent = last_part(real);
	/* a folder of the class, or of all devices, is no device */
	if (strcmp(parent, last_part(kind->folder)) != 0 && strcmp(parent, "devices") != 0)
		sysfs_append(ret, NAME_SIZE, parent);
}

static void identify(struct source *source, const struct sysfs_kind *kind, const char *folder,
		     struct identity *ret)
{
	*ret = (struct identity){ .folder = last_part(folder) };
	for (size_t i = 0; i < ARRAY_SIZE(kind->names); i++)
		if (kind->names[i])
			sysfs_line(source, folder, kind->names[i], ret->names[i], NAME_SIZE);
	read_parent(kind, folder, ret->parent);
}

/* what people call it */
static const char *name_of(const struct identity *identity)
{
	for (size_t i = 0; i < ARRAY_SIZE(identity->names); i++)
		if (identity->names[i][0])
			return identity->names[i];
	return identity->folder;
}

/* what no other is called */
static void only_name_of(const struct identity *identity, char *ret, size_t size)
{
	if (identity->parent[0])
		(void)snprintf(ret, size, "%s@%s", name_of(identity), identity->parent);
	else
		(void)snprintf(ret, size, "%s", identity->folder);
}

static bool is_at(const char *folder, const char *path)
{
	char real[PATH_MAX], above[PATH_MAX];
	size_t length;

	if (!realpath(folder, real) || !realpath(path, above))
		return false;
	length = strlen(above);
	return strncmp(real, above, length) == 0 && (real[length] == '/' || real[length] == '\0');
}

/* NAME, or NAME@PARENT */
static bool is_name(const char *wanted, const char *name, const char *parent)
{
	size_t length = strlen(name);

	if (length == 0 || strncmp(wanted, name, length) != 0)
		return false;
	wanted += length;
	return *wanted == '\0' || (*wanted == '@' && strcmp(wanted + 1, parent) == 0);
}

static bool is_called(const struct identity *identity, const char *wanted)
{
	if (strcmp(identity->folder, wanted) == 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(identity->names); i++)
		if (is_name(wanted, identity->names[i], identity->parent))
			return true;
	return false;
}

/* --- the one that is wanted ----------------------------------------------------------------- */

struct hunt {
	struct source *source;
	const struct sysfs_kind *kind;
	const char *wanted, *folder; /* of the last that fits */
	struct words there, fitting;
};

static void hunt_look(struct hunt *hunt, const char *folder)
{
	char only_name[2 * NAME_SIZE + 1];
	struct identity identity;

	identify(hunt->source, hunt->kind, folder, &identity);
	words_add(&hunt->there, name_of(&identity));
	if (*hunt->wanted == '/' ? !is_at(folder, hunt->wanted)
				 : !is_called(&identity, hunt->wanted))
		return;
	only_name_of(&identity, only_name, sizeof(only_name));
	words_add(&hunt->fitting, only_name);
	hunt->folder = folder;
}

static int hunt_result(const struct hunt *hunt, char **ret)
{
	struct source *source = hunt->source;
	const char *what = hunt->kind->what, *is = *hunt->wanted == '/' ? "at" : "called";

	if (hunt->there.count == 0)
		return source_fail(source, -ENODEV,
				   "no %s is %s %s, nor is there any other: is its kernel "
				   "driver loaded?",
				   what, is, hunt->wanted);
	if (hunt->fitting.count == 0)
		return source_fail(source, -ENODEV, "no %s is %s %s; there are: %s", what, is,
				   hunt->wanted, hunt->there.text);
	if (hunt->fitting.count > 1)
		return source_fail(source, -ENOTUNIQ, "%zu %ss are %s %s: name one of %s",
				   hunt->fitting.count, what, is, hunt->wanted, hunt->fitting.text);
	*ret = strdup(hunt->folder);
	return *ret ? 0 : -ENOMEM;
}

int sysfs_find(struct source *source, const struct sysfs_kind *kind, const char *wanted, char **ret)
{
	struct hunt hunt = { .source = source, .kind = kind, .wanted = wanted };
	char pattern[PATH_MAX];
	glob_t all;
	int r;

	(void)snprintf(pattern, sizeof(pattern), "%s/%s/%s", sysfs_root(), kind->folder,
		       kind->pattern);
	r = glob(pattern, 0, NULL, &all);
	if (r != 0 && r != GLOB_NOMATCH)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < all.gl_pathc; i++)
		hunt_look(&hunt, all.gl_pathv[i]);
	r = hunt_result(&hunt, ret);
	globfree(&all);
	return r;
}
