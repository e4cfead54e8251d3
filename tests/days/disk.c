/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The spool's file, which cannot be used for a while (--wrap); else the real one, on a real worker. */
#include "days.h"
#include "spool/store.h"

int real_store_open(struct store **ret, const char *path, bool is_damaged,
		    char aside[static STORE_PATH_SIZE]) REAL(store_open);
int real_store_write(struct store *store, const struct store_change *change,
		     struct store_result *ret) REAL(store_write);
int real_store_load(struct store *store, int64_t first, int64_t last, struct message **messages,
		    size_t limit) REAL(store_load);
int wrap_store_open(struct store **ret, const char *path, bool is_damaged,
		    char aside[static STORE_PATH_SIZE]) WRAP(store_open);
int wrap_store_write(struct store *store, const struct store_change *change,
		     struct store_result *ret) WRAP(store_write);
int wrap_store_load(struct store *store, int64_t first, int64_t last, struct message **messages,
		    size_t limit) WRAP(store_load);

int wrap_store_open(struct store **ret, const char *path, bool is_damaged,
		    char aside[static STORE_PATH_SIZE])
{
	int error = atomic_load(&world.disk_error);

	aside[0] = '\0';
	return error ? error : real_store_open(ret, path, is_damaged, aside);
}

int wrap_store_write(struct store *store, const struct store_change *change,
		     struct store_result *ret)
{
	int error = atomic_load(&world.disk_error);

	return error ? error : real_store_write(store, change, ret);
}

int wrap_store_load(struct store *store, int64_t first, int64_t last, struct message **messages,
		    size_t limit)
{
	int error = atomic_load(&world.disk_error);

	return error ? error : real_store_load(store, first, last, messages, limit);
}
