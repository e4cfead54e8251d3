/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Loading drivers from a folder: what is taken, and what is refused in which words. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

#include "iotd/drivers.h"
#include "iotd/plugins.h"

static char folder[] = "/tmp/iotd-plugins.XXXXXX";

static const char *path_of(const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void write_file(const char *name, const char *data, size_t length)
{
	FILE *file = fopen(path_of(name), "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(data, 1, length, file), length);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(path_of(name), 0644), 0);
}

/* the file that meson has built from plugins/@plugin.c, as @name */
static void put_as(const char *plugin, const char *name)
{
	static char data[4 << 20];
	char path[512];
	size_t length;
	FILE *file;

	(void)snprintf(path, sizeof(path), IOTD_PLUGINS "/%s.so", plugin);
	file = fopen(path, "re");
	ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
	length = fread(data, 1, sizeof(data), file);
	ck_assert_uint_lt(length, sizeof(data));
	(void)fclose(file);
	write_file(name, data, length);
}

static void put(const char *plugin)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "%s.so", plugin);
	put_as(plugin, name);
}

static void load(void)
{
	ck_assert_int_eq(plugins_load(folder, geteuid()), 0);
}

static size_t count_drivers(void)
{
	size_t count = 0;

	while (plugin_at(count))
		count++;
	return count;
}

static size_t count_faults(void)
{
	size_t count = 0;

	while (plugin_fault_at(count))
		count++;
	return count;
}

/* the one fault that there is begins with FOLDER/@start and has @words */
static void assert_refused(const char *file, const char *words)
{
	load();
	ck_assert_uint_eq(count_faults(), 1);
	ck_assert_msg(strncmp(plugin_fault_at(0)->words, path_of(file), strlen(path_of(file))) == 0,
		      "%s", plugin_fault_at(0)->words);
	ck_assert_msg(strstr(plugin_fault_at(0)->words, words) != NULL, "%s",
		      plugin_fault_at(0)->words);
}

static void assert_fault_of(const char *name, const char *words)
{
	const struct plugin_fault *fault = plugin_fault_find(name);

	ck_assert_msg(fault != NULL, "no fault of %s", name);
	ck_assert_msg(strstr(fault->words, words) != NULL, "%s", fault->words);
	ck_assert_ptr_null(driver_find(name));
}

static void set_up(void)
{
	(void)strcpy(folder, "/tmp/iotd-plugins.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void tear_down(void)
{
	char command[128];

	plugins_unload();
	(void)snprintf(command, sizeof(command), "rm -r %s", folder);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(all_drivers_of_a_file_are_in_the_list_behind_those_built_in)
{
	size_t built_in = 0;

	while (driver_at(built_in))
		built_in++;
	put("pair");
	load();
	ck_assert_uint_eq(count_faults(), 0);
	ck_assert_uint_eq(count_drivers(), 2);
	ck_assert_str_eq(driver_at(built_in)->name, "first");
	ck_assert_str_eq(driver_at(built_in + 1)->name, "second");
	ck_assert_ptr_null(driver_at(built_in + 2));
	ck_assert_ptr_eq(driver_find("second"), driver_at(built_in + 1));
}
END_TEST

START_TEST(a_loaded_driver_calls_iotd)
{
	cleanup(source_freep) struct source *source = NULL;
	double values[CHANNELS_MAX];
	int64_t wait_us = 0;

	put("pair");
	load();
	ck_assert_int_eq(source_new(&source, driver_find("first"), NULL, NULL), 0);
	ck_assert_int_eq(source_open(source), 0);
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EIO);
	ck_assert_str_eq(source->fault, "says first");
}
END_TEST

START_TEST(files_are_loaded_by_name_and_the_first_driver_of_a_name_stays)
{
	put("pair");
	put("single");
	assert_refused("single.so", "driver second: another file has one of that name");
	ck_assert_uint_eq(count_drivers(), 2);
}
END_TEST

START_TEST(each_file_is_loaded_and_not_the_first_one_twice)
{
	put("clash");
	put("faulty");
	put("pair");
	load();
	ck_assert_ptr_nonnull(driver_find("other"));
	ck_assert_ptr_nonnull(driver_find("whole"));
	ck_assert_ptr_nonnull(driver_find("first"));
	ck_assert_uint_eq(count_drivers(), 4);
}
END_TEST

START_TEST(a_driver_that_is_built_in_is_refused_but_not_the_rest_of_its_file)
{
	const struct driver *built_in = driver_find("bme280");

	put("clash");
	assert_refused("clash.so", "driver bme280: iotd has one of that name itself");
	ck_assert_ptr_eq(driver_find("bme280"), built_in);
	ck_assert_ptr_nonnull(driver_find("other"));
}
END_TEST

START_TEST(another_version_of_the_interface_is_told_with_both)
{
	char both[160];

	(void)snprintf(both, sizeof(both),
		       "is built for version %u of the driver interface, and "
		       "this iotd has version %u: build it anew",
		       IOTD_DRIVER_ABI + 1, IOTD_DRIVER_ABI);
	put("future");
	assert_refused("future.so", both);
	assert_fault_of("future", "or take a newer iotd");
	ck_assert_uint_eq(count_drivers(), 0);
}
END_TEST

START_TEST(a_library_that_is_no_driver)
{
	put("bare");
	assert_refused("bare.so", "no symbol iotd_driver");
}
END_TEST

START_TEST(a_function_that_iotd_has_not)
{
	put("lost");
	assert_refused("lost.so", "lost.so: undefined symbol: function_of_another_iotd");
}
END_TEST

START_TEST(a_file_that_is_no_library)
{
	write_file("text.so", "int main;\n", 10);
	put("pair");
	assert_refused("text.so", "text.so: ");
	ck_assert_ptr_null(strstr(plugin_fault_at(0)->words, "/proc/self"));
	ck_assert_uint_eq(count_drivers(), 2);
}
END_TEST

START_TEST(drivers_that_are_not_whole)
{
	put("faulty");
	load();
	assert_fault_of("faulty", "without a proper name");
	assert_fault_of("mute", "no open() or no collect()");
	assert_fault_of("dumb", "neither channels");
	assert_fault_of("odd", "its kind is none");
	assert_fault_of("blank", "neither channels");
	assert_fault_of("vague", "an option without a name");
	ck_assert_uint_eq(count_faults(), 6);
	ck_assert_ptr_nonnull(driver_find("whole"));
}
END_TEST

START_TEST(a_file_that_others_may_write)
{
	static const mode_t modes[] = { 0664, 0646, 0666 };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		put("pair");
		ck_assert_int_eq(chmod(path_of("pair.so"), modes[i]), 0);
		assert_refused("pair.so", "can be written by its group or by others");
		ck_assert_ptr_nonnull(strstr(plugin_fault_at(0)->words, "chmod go-w"));
		plugins_unload();
	}
}
END_TEST

START_TEST(a_file_of_another_user)
{
	put("pair");
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(path_of("pair.so"), 65534, 65534), 0);
	} else {
		ck_assert_int_eq(unlink(path_of("pair.so")), 0);
		ck_assert_int_eq(symlink("/bin/sh", path_of("pair.so")), 0);
	}
	assert_refused("pair.so", "does not belong to root");
	ck_assert_uint_eq(count_drivers(), 0);
}
END_TEST

START_TEST(a_link_is_followed_and_its_target_is_looked_at)
{
	put_as("pair", "pair.so.1");
	ck_assert_int_eq(symlink("pair.so.1", path_of("pair.so")), 0);
	load();
	ck_assert_uint_eq(count_drivers(), 2);
	plugins_unload();
	ck_assert_int_eq(chmod(path_of("pair.so.1"), 0666), 0);
	assert_refused("pair.so", "can be written by its group or by others");
}
END_TEST

START_TEST(a_link_to_nowhere)
{
	ck_assert_int_eq(symlink("none", path_of("pair.so")), 0);
	assert_refused("pair.so", "cannot be opened: No such file or directory");
}
END_TEST

START_TEST(what_is_no_file)
{
	ck_assert_int_eq(mkfifo(path_of("pipe.so"), 0644), 0);
	assert_refused("pipe.so", "is no regular file");
}
END_TEST

START_TEST(other_names_are_no_drivers)
{
	write_file("README", "x", 1);
	write_file(".so", "x", 1);
	write_file(".hidden.so", "x", 1);
	write_file("old.so.dpkg-old", "x", 1);
	load();
	ck_assert_uint_eq(count_faults(), 0);
}
END_TEST

START_TEST(a_folder_that_others_may_write)
{
	put("pair");
	ck_assert_int_eq(chmod(folder, 0775), 0);
	load();
	ck_assert_uint_eq(count_drivers(), 0);
	ck_assert_uint_eq(count_faults(), 1);
	ck_assert_ptr_nonnull(strstr(plugin_fault_at(0)->words, "driver_dir: "));
	ck_assert_ptr_nonnull(strstr(plugin_fault_at(0)->words, folder));
	ck_assert_ptr_nonnull(strstr(plugin_fault_at(0)->words, "can be written by its group"));
}
END_TEST

START_TEST(a_folder_of_another_user)
{
	put("pair");
	ck_assert_int_eq(plugins_load(folder, geteuid() + 1), 0);
	ck_assert_uint_eq(count_drivers(), 0);
	ck_assert_ptr_nonnull(strstr(plugin_fault_at(0)->words, "does not belong to root"));
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_told_unless_it_is_the_default)
{
	if (access(PLUGIN_FOLDER, F_OK) < 0) {
		ck_assert_int_eq(plugins_load(PLUGIN_FOLDER, 0), 0);
		ck_assert_uint_eq(count_faults(), 0);
	}
	ck_assert_int_eq(plugins_load(path_of("none"), 0), 0);
	ck_assert_uint_eq(count_faults(), 1);
	ck_assert_ptr_nonnull(strstr(plugin_fault_at(0)->words,
				     "none: cannot be opened: No such file or directory"));
}
END_TEST

START_TEST(an_empty_folder_is_fine)
{
	load();
	ck_assert_uint_eq(count_faults(), 0);
	ck_assert_uint_eq(count_drivers(), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("plugins");
	TCase *tests = tcase_create("plugins");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, all_drivers_of_a_file_are_in_the_list_behind_those_built_in);
	tcase_add_test(tests, a_loaded_driver_calls_iotd);
	tcase_add_test(tests, files_are_loaded_by_name_and_the_first_driver_of_a_name_stays);
	tcase_add_test(tests, each_file_is_loaded_and_not_the_first_one_twice);
	tcase_add_test(tests, a_driver_that_is_built_in_is_refused_but_not_the_rest_of_its_file);
	tcase_add_test(tests, another_version_of_the_interface_is_told_with_both);
	tcase_add_test(tests, a_library_that_is_no_driver);
	tcase_add_test(tests, a_function_that_iotd_has_not);
	tcase_add_test(tests, a_file_that_is_no_library);
	tcase_add_test(tests, drivers_that_are_not_whole);
	tcase_add_test(tests, a_file_that_others_may_write);
	tcase_add_test(tests, a_file_of_another_user);
	tcase_add_test(tests, a_link_is_followed_and_its_target_is_looked_at);
	tcase_add_test(tests, a_link_to_nowhere);
	tcase_add_test(tests, what_is_no_file);
	tcase_add_test(tests, other_names_are_no_drivers);
	tcase_add_test(tests, a_folder_that_others_may_write);
	tcase_add_test(tests, a_folder_of_another_user);
	tcase_add_test(tests, a_folder_that_is_not_there_is_told_unless_it_is_the_default);
	tcase_add_test(tests, an_empty_folder_is_fine);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
