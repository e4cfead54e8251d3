/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Buses as drivers and devices see them: an I2C adapter that moves bytes, a GPIO chip that gives
 * out lines. Behind each stands the kernel (src/bus) or an emulation (src/sim). All calls may
 * block and belong on a worker, one at a time a bus, unless it says otherwise.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iotd/i2c.h"
#include "iotd/settings.h"

/* --- I2C ------------------------------------------------------------------------------------ */

struct i2c_bus;

/** struct i2c_transfer - one message between START conditions; as struct i2c_msg of <linux/i2c.h> */
struct i2c_transfer {
	bool read;
	uint16_t length;
	uint8_t *data;
};

/** struct i2c_ops - a kind of adapter */
struct i2c_ops {
	/** run @count (1 or 2) transfers with one address, repeated START between them, STOP at the end */
	int (*transfer)(struct i2c_bus *bus, uint16_t address, struct i2c_transfer *transfers,
			size_t count);
	void (*free)(struct i2c_bus *bus);
};

#define I2C_ADDRESSES 0x80

/** struct i2c_bus - an adapter; embedded in its kind, and zeroed but for @ops */
struct i2c_bus {
	const struct i2c_ops *ops;
	atomic_uint bound[I2C_ADDRESSES]; /* devices at each address: see i2c_is_bound() */
};

/**
 * i2c_bus_new() - an adapter of the kernel (i2c-dev); does not touch it yet
 *
 * The node is opened by the first transfer, and anew after it vanished. timeout_us 0 leaves the
 * adapter's own. Source: Linux Documentation/i2c/dev-interface.rst. Return: 0; -ENOMEM. Any thread.
 */
int i2c_bus_new(struct i2c_bus **ret, const struct i2c_settings *settings);

/** i2c_bus_free() - NULL is fine. Returns NULL. No transfer may be under way */
struct i2c_bus *i2c_bus_free(struct i2c_bus *bus);

/** i2c_device_new() - bind to one address. Return: 0; -EINVAL @address not in 0x08..0x77; -ENOMEM. Any thread */
int i2c_device_new(struct i2c_device **ret, struct i2c_bus *bus, const char *bus_name,
		   uint16_t address);

/** i2c_device_free() - NULL is fine. Returns NULL */
struct i2c_device *i2c_device_free(struct i2c_device *device);

/** i2c_is_bound() - does somebody in this process use @address (.. 0x7f) of @bus? Any thread */
bool i2c_is_bound(struct i2c_bus *bus, uint16_t address);

/**
 * i2c_device_describe_error() - what a transfer's @error means and what to do now, for a person
 *
 * Of -EBUSY, -ENOENT and -EACCES, which are of the host, not of the chip. Reads sysfs, so on a
 * worker. Return: true; false, and @ret is "", for others.
 */
bool i2c_device_describe_error(const struct i2c_device *device, int error, char *ret, size_t size);

static inline void i2c_bus_freep(struct i2c_bus **bus)
{
	*bus = i2c_bus_free(*bus);
}

static inline void i2c_device_freep(struct i2c_device **device)
{
	*device = i2c_device_free(*device);
}

/* --- GPIO ----------------------------------------------------------------------------------- */

struct gpio_line;

/* room for gpio_line's place */
#define GPIO_PLACE_SIZE 96

/** struct gpio_kept - the descriptor of an output's line that outlived the process that asked for it */
struct gpio_kept {
	int fd;
	char place[GPIO_PLACE_SIZE]; /* gpio_line's, as it was then */
};

/** struct gpio_request - what to ask a chip for */
struct gpio_request {
	const struct line_settings *line;
	const struct gpio_kept *kept; /* outputs: take this over if it is that line; NULL: none */
	bool output;
	enum line_edge edge;	  /* inputs */
	int64_t debounce_us;	  /* inputs; 0 none */
	enum output_move initial; /* outputs; MOVE_KEEP: the level that the line has now */
	const char *consumer;	  /* shown by gpioinfo: "iotd:pump" */
};

/** struct gpio_event - an edge */
struct gpio_event {
	int64_t monotonic_us; /* the kernel's own time of the edge, CLOCK_MONOTONIC */
	uint32_t
		sequence; /* counts from 1 for each request; a gap: the kernel's queue overflowed */
	bool on;	  /* the logical state after it (active_low applied) */
};

/** struct gpio_ops - a kind of chip */
struct gpio_ops {
	int (*get)(struct gpio_line *line, bool *ret_on);
	int (*set)(struct gpio_line *line, bool on);
	int (*read_events)(struct gpio_line *line, struct gpio_event *events, size_t count);
	void (*free)(struct gpio_line *line);
};

/** struct gpio_line - a line that is held; embedded in its kind */
struct gpio_line {
	const struct gpio_ops *ops;
	int fd; /* EPOLLIN: events wait; EPOLLHUP, EPOLLERR: the chip is gone. -1: outputs of the emulation */
	/* of an output: which line and how it is held, "gpiochip0.22.active-high.as-is"; "": no other process could use @fd */
	char place[GPIO_PLACE_SIZE];
};

/** struct gpio - where lines come from: gpio_kernel, or gpio_emulated of sim.h */
struct gpio {
	/**
	 * request() - take a line
	 * @fault: on failure, why in words for a person (who holds the line, which lines there are)
	 *
	 * With @request->kept nothing is asked for: the line keeps its level, whatever initial says,
	 * and kept->fd is the line's on success, else still the caller's. Return: 0; -ENOENT no such
	 * chip or line; -EBUSY another program holds it; -EINVAL the chip cannot do what is asked;
	 * -ESTALE kept is another line, held in another way, or its chip was unplugged; -EIO the chip
	 * cannot be asked, or kept is that line and cannot be read now; -EACCES; -ENODEV; -ENOMEM.
	 */
	int (*request)(struct gpio_line **ret, const struct gpio_request *request,
		       char fault[static 192]);
};

/** gpio_kernel - the kernel's GPIO character device by libgpiod >= 2.1 */
extern const struct gpio gpio_kernel;

/** gpio_line_free() - release; the kernel may put the line back to its default. NULL is fine. Returns NULL */
struct gpio_line *gpio_line_free(struct gpio_line *line);

/** gpio_line_get() - the logical state. Return: 0; -ENODEV the chip is gone; -EIO */
int gpio_line_get(struct gpio_line *line, bool *ret_on);

/** gpio_line_set() - drive an output. Return: 0; -ENODEV; -EPERM an input; -EIO */
int gpio_line_set(struct gpio_line *line, bool on);

/**
 * gpio_line_read_events() - take up to @count edges off the queue; never blocks, so on the reactor
 * Return: how many, 0 if none wait (always 0 for an output); -ENODEV the chip is gone; -EIO.
 */
int gpio_line_read_events(struct gpio_line *line, struct gpio_event *events, size_t count);

/** gpio_describe_gone() - that the chip called @chip in the configuration was unplugged, for a person */
void gpio_describe_gone(char fault[static 192], const char *chip);

/**
 * gpio_watch_open() - a descriptor that gets EPOLLIN when GPIO chips come, go or change their permissions
 * @folder: "/dev"
 * Return: the descriptor, which is the caller's; -EMFILE, -ENFILE, -ENOSPC no more of them; -ENOENT; -ENOTDIR; -EACCES; -ENOMEM.
 */
int gpio_watch_open(const char *folder);

/**
 * gpio_watch_read() - take off what waits; never blocks, so on the reactor
 * Return: 1 it is about chips; 0 it is not; a negative errno: @fd is of no use any more.
 */
int gpio_watch_read(int fd);

static inline void gpio_line_freep(struct gpio_line **line)
{
	*line = gpio_line_free(*line);
}
