/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Nothing is kept but the register that each chip's pointer is at: all else is in the files, and a
 * test may look there to see what was written.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "chips.h"

#define REGISTERS 256

static const char *chips_dir;
static uint8_t pointers[128];

void chips_init(const char *dir)
{
	chips_dir = dir;
}

enum fault chips_fault(int *error)
{
	static const char *const words[] = { "", "nack", "stuck", "unplug", "errno" };
	char path[256], word[16] = "";
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/fault", chips_dir);
	file = fopen(path, "re");
	if (!file)
		return FAULT_NONE;
	*error = EIO;
	if (fscanf(file, "%15s %d", word, error) < 1)
		word[0] = '\0';
	(void)fclose(file);

	for (enum fault fault = FAULT_NACK; fault <= FAULT_ERRNO; fault++)
		if (strcmp(word, words[fault]) == 0)
			return fault;
	return FAULT_NONE;
}

static int chips_open(unsigned int address, int flags)
{
	char path[256];

	if (address >= sizeof(pointers))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/%02x", chips_dir, address);
	return open(path, flags | O_CLOEXEC);
}

int chips_write(unsigned int address, const uint8_t *data, size_t length)
{
	int fd = chips_open(address, O_WRONLY);

	if (fd < 0)
		return -ENXIO;
	if (length > 0) {
		size_t room = REGISTERS - data[0];

		pointers[address] = data[0];
		data++;
		length = length - 1 < room ? length - 1 : room;
		if (pwrite(fd, data, length, pointers[address]) < 0)
			perror("fake chip");
		pointers[address] = (uint8_t)(pointers[address] + length);
	}
	(void)close(fd);
	return 0;
}

int chips_read(unsigned int address, uint8_t *data, size_t length)
{
	int fd = chips_open(address, O_RDONLY);

	if (fd < 0)
		return -ENXIO;
	memset(data, 0xff, length);
	if (pread(fd, data, length, pointers[address]) < 0)
		perror("fake chip");
	pointers[address] = (uint8_t)(pointers[address] + length);
	(void)close(fd);
	return 0;
}
