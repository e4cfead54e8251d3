# SPDX-License-Identifier: LGPL-2.1-or-later
"""A network namespace in which packets and names get lost."""

import ctypes
import os
import shlex
import subprocess

from iotd_harness import LIBC, die_with_parent

_CLONE_NEWNET = 0x40000000  # <linux/sched.h>


class Network:
    """A network and mount namespace of its own, with nothing but `lo`; needs root."""

    def __init__(self):
        # pylint: disable=subprocess-popen-preexec-fn,consider-using-with
        self._holder = subprocess.Popen(
            shlex.split("unshare --net --mount --propagation private sh -c 'echo; exec cat'"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=die_with_parent,
        )
        assert self._holder.stdout.readline() == b"\n", "no network namespace (not root?)"
        self.prefix = ("nsenter", f"--target={self._holder.pid}", "--net", "--mount", "--")
        self.run("ip link set lo up")

    def run(self, command):
        return subprocess.run(
            [*self.prefix, *shlex.split(command)], check=True, capture_output=True, encoding="utf-8"
        ).stdout

    def bind(self, source, target):
        """Show the file `source` as `target`, inside only."""
        self.run(f"mount --bind {source} {target}")

    def black_hole(self, address="10.9.0.1/24"):
        """A network whose packets nobody takes: 10.9.0.2 never answers."""
        self.run("ip tuntap add dev hole mode tun")
        self.run(f"ip address add {address} dev hole")
        self.run("ip link set hole up")

    def drop(self, port):
        """Lose every packet to and from `port`, without a word."""
        self._drop(port, "")

    def lose(self, port, percent):
        """Lose so many of the packets to and from `port`, at random."""
        self._drop(port, f"numgen random mod 100 < {percent}")

    def _drop(self, port, when):
        self.run("nft add table inet harness")
        self.run("nft add chain inet harness input { type filter hook input priority 0; }")
        self.run(f"nft add rule inet harness input tcp dport {port} {when} drop")
        self.run(f"nft add rule inet harness input tcp sport {port} {when} drop")

    def undrop(self):
        self.run("nft delete table inet harness")

    def enter(self):
        """Put this thread into the network; give the result to leave()."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self._setns(f"/proc/{self._holder.pid}/ns/net")
        return home

    def leave(self, home):
        self._setns(f"/proc/self/fd/{home}")
        os.close(home)

    @staticmethod
    def _setns(path):
        fd = os.open(path, os.O_RDONLY)
        try:
            if LIBC.setns(fd, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(fd)

    def close(self):
        self._holder.stdin.close()
        self._holder.stdout.close()
        self._holder.wait()
