/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A scan by jobs. A job asks one address, and has the key of the bus: it queues with the bus's
 * sensors, and the next is handed over when it is back, so each sensor comes first that fell due
 * meanwhile.
 *
 * An address where a sensor is configured is not asked: its chip may be measuring, and a command
 * would disturb that. Whether one is, is looked up right before, for a reload may come at any time.
 * The bus itself is borrowed, and stays.
 *
 * What a job works on belongs to itself: when a bus hangs for longer than anybody should wait, the
 * scan goes on without it, and the job is freed when it comes back.
 */
#include <errno.h>
#include <string.h>

#include "scan.h"
#include "scanning.h"

#define NODES_MAX 256

/* what a worker has, while it is out */
struct asking {
	struct worker_job job;
	struct lent_bus bus;
	struct i2c_device device;
	struct scan_answer answer;
	unsigned long nodes[NODES_MAX];
	char path[SCANNING_BUS_SIZE];
	LIST_ENTRY(asking) link; /* among those that are left */
	bool is_left, is_listed; /* nobody waits for it; while there is a scanning it knows */
};

struct scanning {
	struct scanning_parts parts;
	struct worker_key *key; /* for a look into /dev */
	SLIST_HEAD(, scan_wish) wishes;
	LIST_HEAD(, asking) left; /* at most one a bus */
	struct task *task;
	bool is_stopped;

	/* of the scan that is under way */
	char only[SCANNING_BUS_SIZE]; /* the path of the bus; "": all */
	char **paths;
	size_t path_count, path_at;
	struct asking *asking;
	struct scan_text text;
	FILE *out;
	char *found;
	size_t size;
	bool has_failed;
	char fault[sizeof(((struct scan_answer *)NULL)->words)]; /* the first */
};

static int next_bus(struct task *task);
static int next_address(struct task *task);

/* --- the job -------------------------------------------------------------------------------- */

static int ask_address(struct worker_job *job)
{
	struct asking *asking = container_of(job, struct asking, job);

	scan_ask(&asking->device, &asking->answer);
	return 0;
}

static int list_nodes(struct worker_job *job)
{
	struct asking *asking = container_of(job, struct asking, job);

	return (int)scan_list_nodes(asking->nodes, ARRAY_SIZE(asking->nodes));
}

static void asking_end(struct asking *asking)
{
	hardware_return_bus(&asking->bus);
	free(asking);
}

static void job_back(struct worker_job *job)
{
	struct asking *asking = container_of(job, struct asking, job);

	if (!asking->is_left)
		return;
	if (asking->is_listed)
		LIST_REMOVE(asking, link);
	asking_end(asking);
}

static struct asking *asking_new(int (*run)(struct worker_job *job))
{
	struct asking *asking = calloc(1, sizeof(*asking));

	if (asking) {
		asking->job.run = run;
		asking->job.idle = job_back;
	}
	return asking;
}

static void leave(struct scanning *scanning)
{
	struct asking *asking = take_ptr(scanning->asking);

	if (!asking)
		return;
	if (worker_job_is_idle(&asking->job))
		asking_end(asking);
	else {
		asking->is_left = asking->is_listed = true;
		LIST_INSERT_HEAD(&scanning->left, asking, link);
	}
}

/* does its last job still hang? */
static bool is_left(const struct scanning *scanning, const char *path)
{
	const struct asking *asking;

	LIST_FOREACH(asking, &scanning->left, link)
	if (strcmp(asking->path, path) == 0)
		return true;
	return false;
}

/* --- the answer ----------------------------------------------------------------------------- */

static void answer(struct scanning *scanning, int error, const char *text, const char *found)
{
	struct scan_wish *wish;

	while ((wish = SLIST_FIRST(&scanning->wishes))) {
		SLIST_REMOVE_HEAD(&scanning->wishes, link);
		wish->done(wish, error, text, found);
	}
}

static void forget(struct scanning *scanning)
{
	leave(scanning);
	while (scanning->path_count > 0)
		free(scanning->paths[--scanning->path_count]);
	free(take_ptr(scanning->paths));
	scanning->path_at = 0;
	scanning->has_failed = false;
	scanning->fault[0] = '\0';
}

/* the text is complete, or what there is of it is of no use: @error */
static int close_text(struct scanning *scanning, int error)
{
	bool is_wanted = error == 0 && !scanning->has_failed;
	int r = 0;

	if (!scanning->out)
		return error;
	if (scanning->text.sure)
		r = scan_text_end(&scanning->text, is_wanted);
	if (fclose(scanning->out) != 0)
		r = -ENOMEM;
	scanning->out = NULL;
	return error < 0 ? error : r;
}

/* the last step; who is told may ask for the next scan at once */
static int finish(struct task *task, int error)
{
	struct scanning *scanning = task_data(task);
	cleanup(freep) char *found = NULL;
	char fault[sizeof(scanning->fault)];

	error = close_text(scanning, error);
	found = take_ptr(scanning->found);
	if (error == 0 && scanning->has_failed && !scanning->text.has_begun)
		error = -EIO;
	(void)snprintf(fault, sizeof(fault), "%s",
		       error == -EIO || error == -ENOENT ? scanning->fault : strerror(-error));
	forget(scanning);
	scanning->task = task_release(scanning->task);
	answer(scanning, error, error < 0 ? fault : NULL, error < 0 ? NULL : found);
	return 0;
}

static void fail(struct scanning *scanning, const char *words)
{
	scanning->has_failed = true;
	if (!scanning->fault[0])
		(void)snprintf(scanning->fault, sizeof(scanning->fault), "%s", words);
}

/* --- one bus -------------------------------------------------------------------------------- */

static const char *path_at(const struct scanning *scanning)
{
	return scanning->paths[scanning->path_at];
}

/* as a configuration names it */
static const char *bus_name(const struct scanning *scanning, const char *path)
{
	const struct settings *settings = *scanning->parts.settings;

	for (size_t i = 0; i < settings->i2c_count; i++)
		if (strcmp(settings->i2c[i].path, path) == 0)
			return settings->i2c[i].name;
	return strncmp(path, SCAN_NODE, strlen(SCAN_NODE)) == 0 ? path + strlen(SCAN_NODE) : path;
}

/* NULL: nobody */
static const struct sensor_settings *sensor_at(const struct scanning *scanning, const char *path,
					       uint16_t address)
{
	const struct settings *settings = *scanning->parts.settings;

	for (size_t i = 0; i < settings->sensor_count; i++) {
		const struct sensor_settings *sensor = &settings->sensors[i];
		const struct i2c_settings *bus =
			sensor->bus ? settings_find_i2c(settings, sensor->bus) : NULL;

		if (bus && sensor->enabled && sensor->address == address &&
		    strcmp(bus->path, path) == 0)
			return sensor;
	}
	return NULL;
}

/* Return: is it somebody's? Then that is told */
static bool tell_owner(struct scanning *scanning)
{
	const struct asking *asking = scanning->asking;
	uint16_t address = asking->device.address;
	const char *bus = bus_name(scanning, asking->path);
	const struct sensor_settings *sensor = sensor_at(scanning, asking->path, address);

	scanning->text.settings = *scanning->parts.settings;
	if (sensor)
		scan_text_note(&scanning->text, "%s, 0x%02x: sensor \"%s\" reads it", bus, address,
			       sensor->name);
	else if (i2c_is_bound(asking->bus.i2c, address))
		scan_text_note(&scanning->text,
			       "%s, 0x%02x: a sensor that was removed has not let go of it yet",
			       bus, address);
	else
		return false;
	return true;
}

static int bus_ended(struct task *task, const char *fault)
{
	struct scanning *scanning = task_data(task);

	if (fault) {
		fail(scanning, fault);
		if (scanning->path_count > 1 || scanning->text.has_begun)
			scan_text_note(&scanning->text, "%s: %s",
				       bus_name(scanning, path_at(scanning)), fault);
	}
	leave(scanning);
	scanning->path_at++;
	return next_bus(task);
}

static int address_asked(struct task *task, int result)
{
	struct scanning *scanning = task_data(task);
	struct asking *asking = scanning->asking;
	char words[sizeof(scanning->fault)];

	if (!worker_job_is_idle(&asking->job)) {
		(void)snprintf(words, sizeof(words),
			       "%.160s hangs at address 0x%02x: there is no answer from the kernel",
			       asking->path, asking->device.address);
		return bus_ended(task, words);
	}
	if (result < 0) /* it was not asked: the workers are gone */
		return finish(task, result);
	if (asking->answer.error < 0)
		return bus_ended(task, asking->answer.words);
	scanning->text.settings = *scanning->parts.settings;
	scan_text_add(&scanning->text, bus_name(scanning, asking->path), asking->device.address,
		      &asking->answer);
	asking->device.address++;
	return next_address(task);
}

static int next_address(struct task *task)
{
	struct scanning *scanning = task_data(task);
	struct asking *asking = scanning->asking;
	int r;

	while (asking->device.address <= SCAN_LAST && tell_owner(scanning))
		asking->device.address++;
	if (asking->device.address > SCAN_LAST)
		return bus_ended(task, NULL);
	r = worker_run(asking->bus.key, &asking->job);
	if (r < 0)
		return finish(task, r);
	return task_await_for(task, &asking->job.future, scanning->parts.patience_us,
			      address_asked);
}

static int next_bus(struct task *task)
{
	struct scanning *scanning = task_data(task);
	struct asking *asking;
	char words[sizeof(scanning->fault)];
	int r;

	if (scanning->path_at == scanning->path_count)
		return finish(task, 0);
	if (is_left(scanning, path_at(scanning))) {
		(void)snprintf(words, sizeof(words), "%.160s still hangs since the last scan",
			       path_at(scanning));
		return bus_ended(task, words);
	}
	scanning->asking = asking = asking_new(ask_address);
	if (!asking)
		return finish(task, -ENOMEM);
	(void)snprintf(asking->path, sizeof(asking->path), "%s", path_at(scanning));
	r = hardware_lend_bus(scanning->parts.hardware, asking->path, &asking->bus);
	if (r == -ENOENT) {
		(void)snprintf(
			words, sizeof(words),
			"there is no emulated bus %.160s: they are those of the configuration",
			bus_name(scanning, asking->path));
		return bus_ended(task, words);
	}
	if (r < 0)
		return finish(task, r);
	asking->device = (struct i2c_device){ .bus = asking->bus.i2c,
					      .address = SCAN_FIRST,
					      .bus_name = asking->path };
	return next_address(task);
}

/* --- which buses ---------------------------------------------------------------------------- */

static int add_path(struct scanning *scanning, const char *path)
{
	char **grown;

	for (size_t i = 0; i < scanning->path_count; i++)
		if (strcmp(scanning->paths[i], path) == 0)
			return 0;
	grown = reallocarray(scanning->paths, scanning->path_count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	scanning->paths = grown;
	grown[scanning->path_count] = strdup(path);
	if (!grown[scanning->path_count])
		return -ENOMEM;
	scanning->path_count++;
	return 0;
}

static int add_configured(struct scanning *scanning)
{
	const struct settings *settings = *scanning->parts.settings;
	int r = 0;

	for (size_t i = 0; r == 0 && i < settings->i2c_count; i++)
		r = add_path(scanning, settings->i2c[i].path);
	return r;
}

static int all_listed(struct task *task)
{
	struct scanning *scanning = task_data(task);
	int r = add_configured(scanning);

	if (r < 0)
		return finish(task, r);
	if (scanning->path_count == 0) {
		fail(scanning, hardware_is_simulated(scanning->parts.hardware)
				       ? "no I2C bus is configured, so none is emulated"
				       : scan_no_nodes);
		return finish(task, -ENOENT);
	}
	return next_bus(task);
}

static int nodes_listed(struct task *task, int result)
{
	struct scanning *scanning = task_data(task);
	const struct asking *asking = scanning->asking;
	char path[sizeof(SCAN_NODE) + SCAN_NAME_SIZE];
	int r = result < 0 ? result : 0;

	for (int i = 0; r == 0 && i < result; i++) {
		(void)snprintf(path, sizeof(path), SCAN_NODE "i2c-%lu", asking->nodes[i]);
		r = add_path(scanning, path);
	}
	leave(scanning);
	return r < 0 ? finish(task, r) : all_listed(task);
}

static int list_all(struct task *task)
{
	struct scanning *scanning = task_data(task);
	int r;

	if (hardware_is_simulated(scanning->parts.hardware))
		return all_listed(task);
	scanning->asking = asking_new(list_nodes);
	r = scanning->asking ? worker_run(scanning->key, &scanning->asking->job) : -ENOMEM;
	if (r < 0)
		return finish(task, r);
	return task_await_for(task, &scanning->asking->job.future, scanning->parts.patience_us,
			      nodes_listed);
}

static int begin(struct task *task, int result)
{
	struct scanning *scanning = task_data(task);
	int r;

	(void)result;
	scanning->text = (struct scan_text){ 0 };
	scanning->out = open_memstream(&scanning->found, &scanning->size);
	r = scanning->out ? scan_text_begin(&scanning->text, scanning->out) : -ENOMEM;
	if (r == 0 && scanning->only[0])
		r = add_path(scanning, scanning->only);
	if (r < 0)
		return finish(task, r);
	return scanning->only[0] ? next_bus(task) : list_all(task);
}

/* --- who asks ------------------------------------------------------------------------------- */

/* the node of a bus; "" for all. Return: 0; -EINVAL */
static int resolve(const struct scanning *scanning, const char *bus,
		   char path[static SCANNING_BUS_SIZE])
{
	const struct settings *settings = *scanning->parts.settings;
	const struct i2c_settings *known = settings_find_i2c(settings, bus);
	char name[SCAN_NAME_SIZE];
	int length;

	path[0] = '\0';
	if (!bus[0])
		return 0;
	for (size_t i = 0; !known && i < settings->i2c_count; i++)
		if (strcmp(settings->i2c[i].path, bus) == 0)
			known = &settings->i2c[i];
	if (!known && scan_parse_bus(bus, name) < 0)
		return -EINVAL;
	if (known)
		length = snprintf(path, SCANNING_BUS_SIZE, "%s", known->path);
	else
		length = snprintf(path, SCANNING_BUS_SIZE, SCAN_NODE "%s", name);
	return length < SCANNING_BUS_SIZE ? 0 : -EINVAL;
}

static void refuse(struct scan_wish *wish, int error, const char *text)
{
	wish->done(wish, error, text, NULL);
}

void scanning_ask(struct scanning *scanning, struct scan_wish *wish)
{
	char path[SCANNING_BUS_SIZE];
	int r = resolve(scanning, wish->bus, path);

	if (scanning->is_stopped)
		refuse(wish, -ECANCELED, "iotd is being stopped");
	else if (r < 0)
		refuse(wish, r,
		       "no I2C bus: i2c-1, 1, /dev/i2c-1, or one of the configuration is wanted");
	else if (!scanning->task) {
		(void)snprintf(scanning->only, sizeof(scanning->only), "%s", path);
		r = task_spawn(&scanning->task, scanning->parts.reactor, begin, scanning, NULL);
		if (r < 0)
			refuse(wish, r, strerror(-r));
		else
			SLIST_INSERT_HEAD(&scanning->wishes, wish, link);
	} else if (strcmp(scanning->only, path) == 0)
		SLIST_INSERT_HEAD(&scanning->wishes, wish, link);
	else
		refuse(wish, -EBUSY, "another scan is under way; try again when it has ended");
}

/* --- life ----------------------------------------------------------------------------------- */

int scanning_new(struct scanning **ret, const struct scanning_parts *parts)
{
	cleanup(scanning_freep) struct scanning *scanning = calloc(1, sizeof(*scanning));
	int r;

	if (!scanning)
		return -ENOMEM;
	scanning->parts = *parts;
	r = worker_key_new(&scanning->key, parts->workers, 0);
	if (r < 0)
		return r;
	*ret = take_ptr(scanning);
	return 0;
}

void scanning_stop(struct scanning *scanning)
{
	if (!scanning || scanning->is_stopped)
		return;
	scanning->is_stopped = true;
	if (scanning->task) {
		task_cancel(scanning->task);
		(void)task_result(scanning->task);
		scanning->task = task_release(scanning->task);
	}
	(void)close_text(scanning, -ECANCELED);
	free(take_ptr(scanning->found));
	forget(scanning);
	answer(scanning, -ECANCELED, "iotd is being stopped", NULL);
}

struct scanning *scanning_free(struct scanning *scanning)
{
	if (!scanning)
		return NULL;
	scanning_stop(scanning);
	while (!LIST_EMPTY(&scanning->left)) { /* they end by themselves */
		LIST_FIRST(&scanning->left)->is_listed = false;
		LIST_REMOVE(LIST_FIRST(&scanning->left), link);
	}
	worker_key_free(scanning->key);
	free(scanning);
	return NULL;
}
