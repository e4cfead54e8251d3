# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a file to a subscriber: iotd beside clients that were written for nothing else.

Each run has a broker of its own on loopback, files with numbers in a folder in memory, a watcher
(bench-watch) and one client. The watcher says when the client's readings begin and end to count;
what the client took of processor and memory is asked of /proc at these two moments.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from report import Table

HERE = Path(__file__).parent
# No bus: the others are on none.
ENVIRONMENT = os.environ | {
    "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent/bus",
    "NODE_PATH": "/usr/share/nodejs",
}
CLIENTS = ["C loop", "iotd", "C threads", "Node.js", "asyncio", "collectd"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Broker:
    def __init__(self, folder, port=None):
        self.port = port or free_port()
        config = Path(folder) / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
            "set_tcp_nodelay true\nmax_queued_messages 0\nmax_inflight_messages 0\n"
            "log_dest stderr\nlog_type information\n",
            encoding="ascii",
        )
        self.process = subprocess.Popen(
            ["/usr/sbin/mosquitto", "-c", str(config)], stderr=subprocess.PIPE, text=True
        )
        for line in self.process.stderr:
            if line.rstrip().endswith(" running"):
                return
        raise RuntimeError("the broker does not start")

    def stop(self):
        self.process.kill()
        self.process.communicate()


class Process:
    """A client, as /proc has it."""

    def __init__(self, command, folder):
        self.log = open(Path(folder) / "client.log", "w+b")
        self.began = time.monotonic()
        self.popen = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=ENVIRONMENT)
        self.pid = self.popen.pid

    def read(self, name):
        return Path(f"/proc/{self.pid}/{name}").read_text(encoding="ascii", errors="replace")

    def cpu_us(self):
        """Of those threads too that have ended: the process's clock, clock_getcpuclockid(3)."""
        return time.clock_gettime((~self.pid << 3) | 2) * 1e6

    def wake_ups(self):
        """{thread: how often it has slept}"""
        counts = {}
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            status = (task / "status").read_text("utf-8", "replace")
            counts[task.name] = int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.M)[1])
        return counts

    def wake_ups_since(self, before):
        """A thread that has ended was woken once for that."""
        now = self.wake_ups()
        ended = sum(thread not in now for thread in before)
        return ended + sum(count - before.get(thread, 0) for thread, count in now.items())

    def memory(self):
        status, rollup = self.read("status"), self.read("smaps_rollup")
        private = re.findall(r"^Private_(?:Clean|Dirty):\s*(\d+)", rollup, re.M)
        return {
            "rss_kib": int(re.search(r"^VmRSS:\s*(\d+)", status, re.M)[1]),
            "private_kib": sum(map(int, private)),
            "threads": int(re.search(r"^Threads:\s*(\d+)", status, re.M)[1]),
        }

    def stop(self):
        if self.popen.poll() is not None:
            self.log.seek(0)
            raise RuntimeError(f"the client ended: {self.log.read().decode()[-2000:]}")
        self.popen.terminate()
        try:
            self.popen.wait(5)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self.log.close()


class Work:
    """So many sensors of such an interval, at a quality of service.

    linked: each file is behind a link, as most of /sys/class is. iotd reads those on a worker, what
    lies in memory at its very path it reads itself.
    """

    def __init__(self, count, interval_ms, qos, linked=False):
        self.count, self.interval_ms, self.qos, self.linked = count, interval_ms, qos, linked

    def fill(self, folder):
        folder = behind = Path(folder)
        if self.linked:
            behind = folder / "behind"
            behind.mkdir()
        for i in range(self.count):
            (behind / f"s{i}").write_text(f"{i % 50 + 0.5}\n", encoding="ascii")
            if self.linked:
                (folder / f"s{i}").symlink_to(behind / f"s{i}")

    def key(self, client):
        return ("readings", self.count, self.interval_ms, self.qos, self.linked, client)

    def __str__(self):
        files = ", behind links" if self.linked else ""
        return f"{self.count:,} sensors at {self.interval_ms:,} ms, QoS {self.qos}{files}"


def iotd_command(build, work, port, folder):
    sensors = ",\n".join(
        f'{{ name = "s{i}"; driver = "file"; path = "{folder}/s{i}"; interval = "{work.interval_ms}ms"; }}'
        for i in range(work.count)
    )
    config = Path(folder) / "iotd.conf"
    config.write_text(
        f'device = "bench";\nmqtt = {{ broker = "mqtt://127.0.0.1:{port}"; topic = "bench"; qos = {work.qos};\n'
        "user_properties = false; };\n"  # the others send none
        f'spool = {{ path = "{folder}/spool.db"; }};\nstats = {{ interval = "1h"; }};\n'
        f"sensors = (\n{sensors} );\n",
        encoding="ascii",
    )
    return [str(build / "src" / "iotd"), "--config", str(config)]


def collectd_command(peers, work, port, folder):
    tables = "\n".join(
        f'<Table "{folder}/s{i}">\nInstance "s{i}"\nSeparator " \\n"\n'
        f"<Result>\nType gauge\nValuesFrom 0\n</Result>\n</Table>"
        for i in range(work.count)
    )
    config = Path(folder) / "collectd.conf"
    config.write_text(
        f'Hostname "c"\nFQDNLookup false\nBaseDir "{folder}"\nInterval {work.interval_ms / 1000}\n'
        f'PluginDir "{peers}/usr/lib/collectd"\nTypesDB "{peers}/usr/share/collectd/types.db"\n'
        'LoadPlugin logfile\n<Plugin logfile>\nLogLevel "err"\nFile STDERR\n</Plugin>\n'
        f"LoadPlugin table\n<Plugin table>\n{tables}\n</Plugin>\nLoadPlugin mqtt\n<Plugin mqtt>\n"
        f'<Publish "bench">\nHost "127.0.0.1"\nPort "{port}"\nPrefix "bench/sensor"\nQoS {work.qos}\n'
        "</Publish>\n</Plugin>\n",
        encoding="ascii",
    )
    program = str(peers / "usr" / "sbin" / "collectd")
    return [program, "-f", "-C", str(config), "-P", f"{folder}/collectd.pid"]


def command(build, client, work, port, folder):
    words = [str(port), folder, str(work.count), str(work.interval_ms), str(work.qos)]
    tools = build / "tests" / "bench"
    return {
        "iotd": lambda: iotd_command(build, work, port, folder),
        "C loop": lambda: [str(tools / "client-loop"), *words],
        "C threads": lambda: [str(tools / "client-threads"), *words],
        "asyncio": lambda: [sys.executable, str(HERE / "readings" / "client_asyncio.py"), *words],
        "Node.js": lambda: ["/usr/bin/node", str(HERE / "readings" / "client_node.js"), *words],
        "collectd": lambda: collectd_command(build.parent / "peers", work, port, folder),
    }[client]()


class Run:
    """A broker, a watcher and a client, from `with` to its end."""

    def __init__(self, build, client, work, seconds, wrapper=()):
        self.build, self.client, self.work = build, client, work
        self.seconds, self.wrapper = seconds, wrapper
        self.folder = tempfile.mkdtemp(prefix="iotd-bench-", dir="/dev/shm")
        self.broker = self.watcher = self.process = None

    def __enter__(self):
        work = self.work
        work.fill(self.folder)
        self.broker = Broker(self.folder)
        self.watcher = subprocess.Popen(
            [
                str(self.build / "tests" / "bench" / "bench-watch"),
                *(str(self.broker.port), str(work.count), str(work.interval_ms), str(self.seconds)),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.await_word("ready")
        line = command(self.build, self.client, work, self.broker.port, self.folder)
        self.process = Process([*self.wrapper, *line], self.folder)
        threading.Thread(target=self.end_with_client, daemon=True).start()
        return self

    def end_with_client(self):
        """Who waits for the watcher's next word waits in vain then."""
        self.process.popen.wait()
        self.watcher.kill()

    def __exit__(self, *exception):
        try:
            if self.process:
                self.process.stop()
        finally:
            self.watcher.kill()
            self.watcher.wait()
            self.broker.stop()
            shutil.rmtree(self.folder)

    def await_word(self, word):
        line = self.watcher.stdout.readline().strip()
        if line != word:
            self.process.stop()  # says why it ended
            raise RuntimeError(f"{self.client}: expected {word}, the watcher says {line!r}")

    def measure(self):
        self.await_word("first")
        first_ms = (time.monotonic() - self.process.began) * 1000
        self.await_word("begin")
        cpu_us, wake_ups = self.process.cpu_us(), self.process.wake_ups()
        self.await_word("end")
        cpu_us = self.process.cpu_us() - cpu_us
        wake_ups = self.process.wake_ups_since(wake_ups)
        got = json.loads(self.watcher.stdout.readline())
        got |= {
            "client": self.client,
            "count": self.work.count,
            "interval_ms": self.work.interval_ms,
            "qos": self.work.qos,
            "linked": self.work.linked,
            "seconds": self.seconds,
            "first_ms": first_ms,
            "cpu_us": cpu_us,
            "cpu_us_a_message": cpu_us / got["messages"] if got["messages"] else None,
            "messages_a_cpu_second": got["messages"] * 1e6 / cpu_us if cpu_us else None,
            "wake_ups_a_second": wake_ups / self.seconds,
        }
        return got | self.process.memory()


def compare(bench, clients, work, seconds):
    for _ in range(bench.rounds):
        for client in clients:
            with Run(bench.build, client, work, seconds) as run:
                bench.results.add(work.key(client), run.measure())


def load(bench, work, seconds, clients):
    compare(bench, clients, work, seconds)
    base = work.key("C loop")
    table = Table(
        str(work),
        *("client", "CPU a message", "of the C loop's", "missed", "jitter p50", "p99", "drift"),
        *("RSS", "threads", "first message"),
        meaning="What a user gets from each way to publish the same files: how much processor a "
        "reading takes, whether all are taken, how evenly they come, and what the program holds.",
    )
    for client in clients:
        where = work.key(client)

        def of(key, where=where):
            return bench.results.median(where, key)

        table.add(
            client,
            f"{of('cpu_us_a_message'):,.1f} µs",
            f"{bench.results.ratio(where, base, 'cpu_us_a_message'):.2f}",
            f"{of('missed'):,.0f} of {of('messages') + of('missed'):,.0f}",
            f"{of('jitter_p50_us') / 1000:,.2f} ms",
            f"{of('jitter_p99_us') / 1000:,.2f} ms",
            f"{of('drift_ppm'):,.0f} ppm",
            f"{of('rss_kib'):,.0f} KiB",
            f"{of('threads'):,.0f}",
            f"{of('first_ms'):,.0f} ms",
        )
    table.show()


def idle(bench, seconds):
    work = Work(10, 5000, 0)
    table = Table(
        "10 sensors at 5 s",
        *("client", "wake-ups a second", "CPU a minute"),
        meaning="What a small device pays for iotd when little happens; the processor sleeps between.",
    )
    clients = ("C loop", "iotd", "asyncio")
    compare(bench, clients, work, seconds)
    for client in clients:
        where = work.key(client)
        table.add(
            client,
            f"{bench.results.median(where, 'wake_ups_a_second'):.2f}",
            f"{bench.results.median(where, 'cpu_us') / 1000 * 60 / seconds:.1f} ms",
        )
    table.show()


def round_trips(bench, trips):
    work = Work(1000, 1000, 0)
    for _ in range(bench.rounds):
        for client in ("C loop", "iotd"):
            with Run(bench.build, client, work, 3600) as run:
                run.await_word("first")
                run.await_word("begin")
                ask = str(bench.build / "tests" / "bench" / "bench-ask")
                done = subprocess.run(
                    [ask, str(run.broker.port), str(trips)],
                    check=True,
                    capture_output=True,
                    text=True,
                )
                got = json.loads(done.stdout) | {"client": client, "workload": "round trip"}
                bench.results.add(("trip", client), got)
    table = Table(
        "A command, under 1,000 readings/s",
        *("client", "p50", "of the C loop's", "p99"),
        meaning="From a publish on the command topic to the reply, over the broker both ways. The C "
        "loop answers without a look at the command; iotd parses, checks, does and logs it.",
    )
    for client in ("C loop", "iotd"):
        table.add(
            client,
            f"{bench.results.median(('trip', client), 'trip_p50_us'):,.0f} µs",
            f"{bench.results.ratio(('trip', client), ('trip', 'C loop'), 'trip_p50_us'):.2f}",
            f"{bench.results.median(('trip', client), 'trip_p99_us'):,.0f} µs",
        )
    table.show()


def ceiling(bench, seconds):
    """More is due than can be done: what does a second of processor time bring?"""
    work = Work(1000, 5, 0)
    clients = ("C loop", "iotd")
    compare(bench, clients, work, seconds)
    table = Table(
        "1,000 sensors at 5 ms",
        *("client", "messages a CPU second", "of the C loop's", "a second"),
        meaning="More than can be done: how much comes out of a processor at the ceiling.",
    )
    for client in clients:
        where = work.key(client)
        table.add(
            client,
            f"{bench.results.median(where, 'messages_a_cpu_second'):,.0f}",
            f"{bench.results.ratio(where, work.key('C loop'), 'messages_a_cpu_second'):.2f}",
            f"{bench.results.median(where, 'messages') / seconds:,.0f}",
        )
    table.show()


def totals_in(folder):
    return [
        int(line.split()[1])
        for path in Path(folder).iterdir()
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith(("summary:", "totals:"))
    ]


def instructions(bench, client, work, seconds):
    """For a message, in user space, by callgrind, which counts between the watcher's two words."""
    with tempfile.TemporaryDirectory() as folder:
        wrapper = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"]
        with Run(bench.build, client, work, seconds, wrapper) as run:
            control = ["callgrind_control", str(run.process.pid)]
            run.await_word("first")
            run.await_word("begin")
            subprocess.run([*control, "-z"], check=True, capture_output=True)
            run.await_word("end")
            subprocess.run([*control, "-d"], check=True, capture_output=True)
            messages = json.loads(run.watcher.stdout.readline())["messages"]
            while not (totals := totals_in(folder)):  # what -d asks for is written later
                time.sleep(0.05)
    return max(totals) / messages


def system_calls(bench, client, work, seconds):
    """For a message: {name: how many}."""
    with tempfile.NamedTemporaryFile() as summary:
        with Run(bench.build, client, work, seconds) as run:
            run.await_word("first")
            run.await_word("begin")
            strace = subprocess.Popen(
                ["strace", "-f", "-c", "-o", summary.name, "-p", str(run.process.pid)],
                stderr=subprocess.DEVNULL,
            )
            run.await_word("end")
            strace.send_signal(signal.SIGINT)
            strace.wait()
            messages = json.loads(run.watcher.stdout.readline())["messages"]
        calls = {}
        for line in Path(summary.name).read_text(encoding="ascii").splitlines():
            words = line.split()
            if len(words) >= 5 and words[3].isdigit() and words[-1] != "total":
                calls[words[-1]] = int(words[3]) / messages
    return calls


def counted(bench, seconds):
    table = Table(
        "100 sensors at 100 ms, for a message",
        *("client", "instructions, QoS 0", "QoS 1", "system calls, QoS 0", "which"),
        meaning="In user space, the same on any machine: what a slower processor has to do.",
    )
    for client in ("C loop", "iotd"):
        calls = system_calls(bench, client, Work(100, 100, 0), seconds)
        often = sorted(calls.items(), key=lambda item: -item[1])[:6]
        table.add(
            client,
            *(f"{instructions(bench, client, Work(100, 100, q), seconds):,.0f}" for q in (0, 1)),
            f"{sum(calls.values()):.2f}",
            ", ".join(f"{name} {number:.2f}" for name, number in often if number >= 0.005),
        )
    table.show()


def run(bench, full):
    print("\n## From a file to a subscriber")
    seconds = 20 if full else 4
    for qos in (0, 1):
        load(bench, Work(100, 100, qos), seconds, CLIENTS)
        load(bench, Work(1000, 1000, qos), seconds, CLIENTS)
        if full:
            fast = [client for client in CLIENTS if client != "C threads"]
            load(bench, Work(10_000, 10_000, qos), 40, fast)
    load(bench, Work(100, 100, 0, linked=True), seconds, CLIENTS)
    if not full:
        load(bench, Work(10_000, 10_000, 0), 10, ["C loop", "iotd"])


def run_limits(bench, full):
    print("\n## Commands, the ceiling, nothing to do, and what is counted")
    round_trips(bench, 2000 if full else 500)
    ceiling(bench, 10 if full else 4)
    idle(bench, 60 if full else 20)
    counted(bench, 10 if full else 5)
