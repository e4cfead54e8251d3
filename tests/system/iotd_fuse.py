# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files and buses that fail as real ones do: a file system of the tests' own (FUSE).

The kernel's side is real, so a request that is not answered is a system call of iotd that hangs,
as on a dead network file system or a stuck adapter. As there, a process that is killed gets out.
It is mounted in a namespace of its own, which only an iotd with its `prefix` sees. Needs root and
/dev/fuse.
"""

import ctypes
import errno
import itertools
import os
import select
import stat
import struct
import threading

from iotd_harness import LIBC, PATIENCE, Line, History

# <linux/fuse.h>: operations, and what is asked and answered
_LOOKUP, _FORGET, _GETATTR, _OPEN, _READ, _RELEASE, _FLUSH = 1, 2, 3, 14, 15, 18, 25
_INIT, _INTERRUPT, _IOCTL, _BATCH_FORGET = 26, 36, 39, 42
_NAMES = {_LOOKUP: "stat", _GETATTR: "stat", _OPEN: "open", _READ: "read", _IOCTL: "transfer"}
_ASKED = struct.Struct("=IIQQIIII")
_ANSWER = struct.Struct("=IiQ")
_ATTRIBUTES = struct.Struct("=6Q10I")
_ENTRY = struct.Struct("=4QII")
_READ_IN = struct.Struct("=QQI")
_IOCTL_IN = struct.Struct("=QIIQ")
_PARALLEL = 1 << 18  # a folder that is asked for one name can be asked for another
_ROOT = 1
_numbers = itertools.count(_ROOT + 1)  # of files
_DIRECT_IO = 1  # no page cache: each read is asked for
_CLONE_NEWNS, _MS_REC, _MS_PRIVATE = 0x20000, 0x4000, 0x40000  # <linux/sched.h>, <linux/mount.h>

# <linux/i2c-dev.h>, <linux/i2c.h>
_I2C_FUNCS, _I2C_RDWR, _I2C_FUNC_I2C, _I2C_M_RD = 0x0705, 0x0707, 1, 1
_I2C_DATA = struct.Struct("=QI")
_I2C_MESSAGE = struct.Struct("=HHH2xQ")


class Bmp280:
    """The worked example of its data sheet (3.12), for ever: 25.08 °C, 1006.53 hPa."""

    ADDRESS, TEMPERATURE = 0x76, 25.08

    def __init__(self):
        trim = (27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
        self._registers = bytearray(256)
        self._registers[0xD0] = 0x58
        self._registers[0x88:0xA0] = b"".join(struct.pack("<H", n & 0xFFFF) for n in trim)
        for register, raw in ((0xF7, 415148), (0xFA, 519888)):
            self._registers[register : register + 3] = (raw << 4).to_bytes(3, "big")
        self._at = 0
        self.error = 0  # what it fails with, alone

    def write(self, data):
        self._at = data[0]
        for register, value in zip(data[0::2], data[1::2]):
            if register == 0xF4:  # a measurement takes no time
                self._registers[register] = value & 0xFC

    def read(self, length):
        return bytes(self._registers[self._at : self._at + length])


class FaultyFile:
    """A file that can hang and fail; one with chips is the node of an I2C adapter."""

    def __init__(self, path, content, chips):
        self.path = path
        self.nodes = [next(_numbers)]
        self.chips = chips
        self.errors = {}  # {operation: errno}
        self.asked = History(f"requests for {path.name}")
        self._content = content
        self._hanging = set()
        self._waiting = {}  # {number: what answers it}
        self._lock = threading.Lock()

    def write(self, content):
        self._content = content

    def replace(self):
        """From now on it is another file, as after a rename."""
        self.nodes.append(next(_numbers))

    def hang(self, *operations):
        """From now on these get no answer: "stat", "open", "read", "transfer"."""
        self._hanging = set(operations)

    def wait_hung(self, count=1):
        """Wait until iotd hangs in one."""
        self.asked.wait(lambda line: line.text.startswith("hung "), count=count)

    def free(self):
        """It answers again, also what it was asked meanwhile."""
        with self._lock:
            self._hanging = set()
            waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            answer()

    def interrupt(self, number):
        """The one who asked was killed."""
        with self._lock:
            return self._waiting.pop(number, None) is not None

    def delays(self, operation, number, answer):
        with self._lock:
            hangs = operation in self._hanging
            if hangs:
                self._waiting[number] = answer
        self.asked.add(Line(("hung " if hangs else "") + operation))
        return hangs

    def read(self, offset, size):
        return self._content[offset : offset + size]

    def attributes(self):
        mode = stat.S_IFREG | 0o666
        size = len(self._content)
        return _ATTRIBUTES.pack(self.nodes[-1], size, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


class FaultyFiles:
    """A mounted folder of such files."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self._files = []
        self._fd = os.open("/dev/fuse", os.O_RDWR | os.O_NONBLOCK)
        self._end, self._ended = os.pipe()
        self._mounted = History("mounts")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._mounted.wait(lambda line: line.text == "0")
        self.prefix = ("nsenter", f"--mount=/proc/{self._thread.native_id}/ns/mnt", "--")

    def _mount(self):
        """Mount it where only this thread sees it."""
        options = f"fd={self._fd},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        failed = (
            LIBC.unshare(_CLONE_NEWNS)
            or LIBC.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None)
            or LIBC.mount(b"iotd-test", bytes(self.folder), b"fuse", 0, options)
        )
        self._mounted.add(Line(str(ctypes.get_errno() if failed else 0)))

    def file(self, name, content=b"21.37\n", chips=None):
        self._files.append(FaultyFile(self.folder / name, content, chips))
        return self._files[-1]

    def bus(self, name):
        """The node of an I2C adapter with a BMP280 on it."""
        return self.file(name, b"", {Bmp280.ADDRESS: Bmp280()})

    def close(self):
        for one in self._files:
            one.free()
        os.write(self._ended, b"x")
        self._thread.join(PATIENCE)
        for fd in (self._fd, self._end, self._ended):
            os.close(fd)

    def _run(self):
        self._mount()
        while True:
            ready, _, _ = select.select([self._fd, self._end], [], [])
            if self._end in ready:
                return
            try:
                data = os.read(self._fd, 1 << 18)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                    continue  # whoever asked is gone
                return  # unmounted
            _, operation, number, node, _, _, pid, _ = _ASKED.unpack_from(data)
            self._take(operation, number, node, pid, data[_ASKED.size :])

    def _answer(self, number, error, data=b""):
        try:
            os.write(self._fd, _ANSWER.pack(_ANSWER.size + len(data), -error, number) + data)
        except OSError:  # nobody waits for it any more
            pass

    def _find(self, operation, node, data):
        """The file that is asked for; what was replaced still answers for those who have it open."""
        name = data.rstrip(b"\0").decode() if operation == _LOOKUP else None
        for one in self._files:
            if name == one.path.name or (node != _ROOT and node in one.nodes):
                return one
        return None

    def _take(self, operation, number, node, pid, data):
        if operation in (_FORGET, _BATCH_FORGET):
            return
        if operation == _INTERRUPT:
            asked = struct.unpack("=Q", data)[0]
            if any([one.interrupt(asked) for one in self._files]):
                self._answer(asked, errno.EINTR)
            return
        if operation == _INIT:
            init = struct.pack("=4I2H2I2HI28x", 7, 31, 0, _PARALLEL, 0, 0, 4096, 1, 0, 0, 0)
            self._answer(number, 0, init)
            return
        if operation in (_RELEASE, _FLUSH):
            self._answer(number, 0)
            return
        if operation == _GETATTR and node == _ROOT:
            folder = _ATTRIBUTES.pack(_ROOT, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0)
            self._answer(number, 0, bytes(16) + folder)
            return
        one = self._find(operation, node, data)
        name = _NAMES.get(operation)
        if not one or not name:
            self._answer(number, errno.ENOSYS if one else errno.ENOENT)
            return

        def answer():
            error = one.errors.get(name, 0)
            self._answer(number, error, b"" if error else self._serve(one, operation, pid, data))

        if not one.delays(name, number, answer):
            answer()

    def _serve(self, one, operation, pid, data):
        if operation == _LOOKUP:
            return _ENTRY.pack(one.nodes[-1], 0, 0, 0, 0, 0) + one.attributes()
        if operation == _GETATTR:
            return bytes(16) + one.attributes()
        if operation == _OPEN:
            return struct.pack("=QII", 0, _DIRECT_IO, 0)
        if operation == _READ:
            _, offset, size = _READ_IN.unpack_from(data)
            return one.read(offset, size)
        _, _, request, argument = _IOCTL_IN.unpack_from(data)
        return struct.pack("=iIII", _i2c(one, request, argument, pid), 0, 0, 0)


def _i2c(adapter, request, argument, pid):
    """As i2c-dev answers: from and to the memory of the one who asks, as a kernel does."""
    if request not in (_I2C_FUNCS, _I2C_RDWR):
        return 0
    memory = os.open(f"/proc/{pid}/mem", os.O_RDWR)
    try:
        if request == _I2C_FUNCS:
            os.pwrite(memory, struct.pack("=Q", _I2C_FUNC_I2C), argument)
            return 0
        messages, count = _I2C_DATA.unpack(os.pread(memory, _I2C_DATA.size, argument))
        for at in range(count):
            place = messages + at * _I2C_MESSAGE.size
            address, flags, length, buffer = _I2C_MESSAGE.unpack(
                os.pread(memory, _I2C_MESSAGE.size, place)
            )
            chip = adapter.chips.get(address)
            if not chip or chip.error:
                return -(chip.error if chip else errno.ENXIO)
            if flags & _I2C_M_RD:
                os.pwrite(memory, chip.read(length), buffer)
            else:
                chip.write(os.pread(memory, length, buffer))
        return count
    finally:
        os.close(memory)
