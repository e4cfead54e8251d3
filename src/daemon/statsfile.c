/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A job at a time: remove what stands at a former path, write PATH.tmp, rename it to PATH. So a reader sees
 * the old file or the new one, never a part; and the collector, which takes what ends in .prom, never sees PATH.tmp.
 * Nothing is flushed to the disk: after a power cut there is another run, with other figures.
 *
 * The mode is 0644 whatever the umask, because the collector is another user. PATH.tmp is made anew each time,
 * never followed or appended to: the folder may be writable for others.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "statsfile.h"

#include "iotd/clock.h"
#include "iotd/log.h"

/* the journal's catalog explains these (iotd.catalog) */
#define MESSAGE_ID_TEXTFILE_FAULT "384fdfd2263445509eaac11b6a7a1b1a"
#define MESSAGE_ID_TEXTFILE_WORKS "de1c43318d5e49c394837e213fbebef3"

#define MODE	0644
#define HANG_US (10 * USEC_PER_SEC)

struct statsfile {
	struct reactor *reactor;
	struct worker_key *key;
	struct future stopped;
	struct reactor_call *again;
	bool is_stopping;
	bool is_elsewhere; /* asked for another path while the job was out */
	bool is_faulty;	   /* told, and not over */
	int64_t failed_us, began_us;

	/* with the worker while the job is out */
	struct worker_job job;
	char path[STATSFILE_PATH_SIZE];	   /* to be written; "": nothing */
	char written[STATSFILE_PATH_SIZE]; /* by this run, and there; "": nothing */
	struct figures *figures;
};

/* --- on the worker -------------------------------------------------------------------------- */

/* takes @fd over */
static int fill(int fd, const struct figures *figures)
{
	FILE *file = fdopen(fd, "w");
	int r;

	if (!file) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	r = fchmod(fd, MODE) < 0 ? -errno : 0;
	errno = EIO;
	metrics_write(file, figures);
	if (r == 0 && (fflush(file) != 0 || ferror(file)))
		r = -errno;
	if (fclose(file) != 0 && r == 0)
		r = -errno;
	return r;
}

/* a device or a pipe must not be replaced by a file because of a wrong path */
static int check_place(const char *path)
{
	struct stat status;

	if (lstat(path, &status) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(status.st_mode))
		return -EISDIR;
	return S_ISREG(status.st_mode) ? 0 : -ENODEV;
}

static int write_file(const char *path, const struct figures *figures)
{
	char temporary[STATSFILE_PATH_SIZE + 4];
	int fd, r;

	r = check_place(path);
	if (r < 0)
		return r;
	(void)snprintf(temporary, sizeof(temporary), "%s.tmp", path);
	(void)unlink(temporary); /* of a run that was killed */
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, MODE);
	if (fd < 0)
		return -errno;
	r = fill(fd, figures);
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(temporary);
	return r;
}

static int statsfile_job(struct worker_job *job)
{
	struct statsfile *statsfile = container_of(job, struct statsfile, job);
	bool is_moved = strcmp(statsfile->path, statsfile->written) != 0;
	int r;

	if (statsfile->written[0] && is_moved) {
		(void)unlink(statsfile->written);
		statsfile->written[0] = '\0';
	}
	if (!statsfile->path[0])
		return 0;
	r = write_file(statsfile->path, statsfile->figures);
	if (r == 0)
		memcpy(statsfile->written, statsfile->path, sizeof(statsfile->written));
	return r;
}

/* --- telling -------------------------------------------------------------------------------- */

static const char *describe(int error)
{
	switch (-error) {
	case ETIMEDOUT:
		return "no answer, its file system hangs";
	case ENODEV:
		return "it is no regular file";
	case EROFS:
		return "Read-only file system; in a unit with ProtectSystem=strict the folder must "
		       "be in "
		       "ReadWritePaths=, see iotd(8), STATISTICS";
	case EACCES:
		return "Permission denied; iotd's user must be able to make files in its folder, "
		       "see "
		       "iotd(8), STATISTICS";
	default:
		return strerror(-error);
	}
}

static void tell(struct statsfile *statsfile, int error)
{
	struct log_fields fields = { .message_id = MESSAGE_ID_TEXTFILE_FAULT, .error = error };
	int64_t now_us = reactor_now(statsfile->reactor);

	if ((error < 0) == statsfile->is_faulty)
		return;
	statsfile->is_faulty = error < 0;
	if (error < 0) {
		statsfile->failed_us = now_us;
		log_event(LOG_WARNING, &fields,
			  "statistics: %s cannot be written: %s; trying again", statsfile->path,
			  describe(error));
		return;
	}
	fields.message_id = MESSAGE_ID_TEXTFILE_WORKS;
	log_event(LOG_NOTICE, &fields, "statistics: %s is written again after %lld s",
		  statsfile->path, (long long)((now_us - statsfile->failed_us) / USEC_PER_SEC));
}

/* --- on the reactor ------------------------------------------------------------------------- */

static void start(struct statsfile *statsfile)
{
	int r;

	statsfile->began_us = reactor_now(statsfile->reactor);
	r = worker_run(statsfile->key, &statsfile->job);
	if (r == 0)
		return;
	statsfile->figures = figures_free(statsfile->figures);
	if (statsfile->is_stopping)
		future_resolve(&statsfile->stopped, 0);
	else
		tell(statsfile, r);
}

/* no job is out */
static void end(struct statsfile *statsfile)
{
	statsfile->path[0] = '\0';
	if (statsfile->written[0])
		start(statsfile);
	else
		future_resolve(&statsfile->stopped, 0);
}

static void job_back(struct worker_job *job)
{
	struct statsfile *statsfile = container_of(job, struct statsfile, job);
	int result = job->future.result;

	statsfile->figures = figures_free(statsfile->figures);
	if (result == -ECANCELED) /* the workers are gone */
		return;
	if (statsfile->is_stopping) {
		end(statsfile);
		return;
	}
	tell(statsfile, result);
	if (statsfile->is_elsewhere)
		reactor_defer(statsfile->reactor, statsfile->again);
	statsfile->is_elsewhere = false;
}

bool statsfile_is_due(struct statsfile *statsfile, const char *path)
{
	if (worker_job_is_idle(&statsfile->job))
		return !statsfile->is_stopping && (path[0] || statsfile->written[0]);
	if (reactor_now(statsfile->reactor) - statsfile->began_us >= HANG_US)
		tell(statsfile, -ETIMEDOUT);
	/* the same path is written again anyway, but who has moved it may have an hour to wait */
	statsfile->is_elsewhere |= strcmp(path, statsfile->path) != 0;
	return false;
}

void statsfile_write(struct statsfile *statsfile, const char *path, struct figures *figures)
{
	assert(worker_job_is_idle(&statsfile->job) && !statsfile->is_stopping);
	if (strcmp(path, statsfile->path) != 0) {
		statsfile->is_faulty = false; /* that was another file */
		(void)snprintf(statsfile->path, sizeof(statsfile->path), "%s", path);
	}
	statsfile->figures = figures;
	start(statsfile);
}

struct future *statsfile_stop(struct statsfile *statsfile)
{
	statsfile->is_stopping = true;
	if (worker_job_is_idle(&statsfile->job))
		end(statsfile);
	return &statsfile->stopped;
}

int statsfile_new(struct statsfile **ret, struct reactor *reactor, struct workers *workers,
		  struct reactor_call *again)
{
	struct statsfile *statsfile = calloc(1, sizeof(*statsfile));
	int r;

	if (!statsfile)
		return -ENOMEM;
	statsfile->reactor = reactor;
	statsfile->again = again;
	statsfile->job.run = statsfile_job;
	statsfile->job.idle = job_back;
	future_init(&statsfile->stopped, reactor, NULL);
	r = worker_key_new(&statsfile->key, workers, 0);
	if (r < 0) {
		free(statsfile);
		return r;
	}
	*ret = statsfile;
	return 0;
}

struct statsfile *statsfile_free(struct statsfile *statsfile)
{
	if (!statsfile)
		return NULL;
	worker_key_free(statsfile->key);
	figures_free(statsfile->figures);
	free(statsfile);
	return NULL;
}
