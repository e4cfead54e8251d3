/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tools of fuzz.h. UTF-8 is judged by jansson, not by the code under test. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

#include "iotd/base.h"

static char folder[128];

char *input_until(struct input *input, uint8_t mark, size_t *ret_length)
{
	const uint8_t *end = input->left > 0 ? memchr(input->data, mark, input->left) : NULL;
	size_t length = end ? (size_t)(end - input->data) : input->left;
	char *text = malloc(length + 1);

	must(text);
	input_bytes(input, text, length);
	text[length] = '\0';
	if (end)
		(void)input_byte(input);
	if (ret_length)
		*ret_length = length;
	return text;
}

bool text_is_utf8(const char *text, size_t length)
{
	json_t *string = json_stringn(text, length);
	bool is_utf8 = string;

	json_decref(string);
	return is_utf8;
}

bool text_is_clean(const char *text)
{
	for (const char *at = text; *at != '\0'; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			return false;
	return text_is_utf8(text, strlen(text));
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

static void folder_remove(void)
{
	(void)nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

void folder_enter(void)
{
	const char *base = getenv("IOTD_FUZZ_DIR");

	if (folder[0])
		return;
	if (!base)
		base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	(void)snprintf(folder, sizeof(folder), "%s/iotd-fuzz-XXXXXX", base);
	must(mkdtemp(folder));
	must(atexit(folder_remove) == 0);
	must(chdir(folder) == 0);
}

void file_put(const char *name, const void *data, size_t length)
{
	cleanup(closep) int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd >= 0);
	must(write(fd, data, length) == (ssize_t)length);
}

uint8_t *file_get(const char *name, size_t *ret_length)
{
	cleanup(closep) int fd = open(name, O_RDONLY | O_CLOEXEC);
	struct stat status;
	uint8_t *data;

	if (fd < 0)
		return NULL;
	must(fstat(fd, &status) == 0);
	data = malloc((size_t)status.st_size + 1);
	must(data);
	must(read(fd, data, (size_t)status.st_size) == status.st_size);
	*ret_length = (size_t)status.st_size;
	return data;
}
