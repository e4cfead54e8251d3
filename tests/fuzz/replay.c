/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* main() of a target that is built without libFuzzer: runs it on files, and on all files of folders. */
#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>

#include "fuzz.h"

static int runs;

/* the file as it is: its place in memory is exact, so that sanitizers see one byte too many */
static void run_file(const char *path)
{
	size_t length = 0;
	uint8_t *data = file_get(path, &length), *exact;

	must(data);
	exact = malloc(length > 0 ? length : 1);
	must(exact);
	memcpy(exact, data, length);
	free(data);
	(void)LLVMFuzzerTestOneInput(exact, length);
	free(exact);
	runs++;
}

static void run_folder(const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, alphasort);
	char file[PATH_MAX];

	must(count >= 0);
	for (int i = 0; i < count; i++) {
		(void)snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			run_file(file);
		free(entries[i]);
	}
	free(entries);
}

int main(int argc, char **argv)
{
	struct stat status;

	for (int i = 1; i < argc; i++) {
		must(stat(argv[i], &status) == 0);
		if (S_ISDIR(status.st_mode))
			run_folder(argv[i]);
		else
			run_file(argv[i]);
	}
	(void)printf("%d inputs replayed\n", runs);
	return runs > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
