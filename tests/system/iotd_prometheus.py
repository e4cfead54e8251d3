# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prometheus and its node_exporter, as real programs: who reads stats.textfile.

They are those of Debian's packages prometheus and prometheus-node-exporter: in PATH, or in the folder
that IOTD_PEERS names, where ./dev test puts them.
"""

import json
import os
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from iotd_harness import PATIENCE, Process, free_port


def peer(name):
    """The path of another project's program."""
    path = f"{os.environ.get('IOTD_PEERS', '')}:{os.environ['PATH']}"
    return shutil.which(name, path=path) or pytest.skip(f"no {name}: ./dev test fetches it")


class NodeExporter:
    """A node_exporter with nothing but its textfile collector."""

    def __init__(self, folder):
        self.address = f"127.0.0.1:{free_port()}"
        self._process = Process(
            [
                peer("prometheus-node-exporter"),
                "--collector.disable-defaults",
                "--collector.textfile",
                f"--collector.textfile.directory={folder}",
                f"--web.listen-address={self.address}",
            ],
            "node_exporter",
        )
        self._process.log.wait(lambda line: re.search("(?i)listening on", line.text))

    def scrape(self):
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=PATIENCE) as answer:
            return answer.read().decode("utf-8")

    def wait(self, *patterns):
        """Scrape until all of these are lines of it."""
        deadline = time.monotonic() + PATIENCE
        while missing := self._missing(patterns):
            assert time.monotonic() < deadline, (missing, self.scrape()[-4000:])

    def _missing(self, patterns):
        told = self.scrape()
        return [p for p in patterns if not re.search(f"^{p}$", told, re.M)]

    def close(self):
        self._process.kill()


class Prometheus:
    """A Prometheus that scrapes these addresses each half second."""

    def __init__(self, folder, *addresses):
        self.address = f"127.0.0.1:{free_port()}"
        config = folder / "prometheus.yml"
        config.write_text(
            "global: { scrape_interval: 500ms, scrape_timeout: 500ms }\n"
            f"scrape_configs: [ {{ job_name: node, static_configs: [ {{ targets: {json.dumps(addresses)} }} ] }} ]\n",
            encoding="ascii",
        )
        self._process = Process(
            [
                peer("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder}/tsdb",
                f"--web.listen-address={self.address}",
            ],
            "prometheus",
        )
        self._process.log.wait(lambda line: "ready to receive web requests" in line.text)

    def ask(self, path, **parameters):
        """What its API says to that; an AssertionError with its words if it refuses."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as refused:
            raise AssertionError(f"{parameters}: {refused.read().decode()}") from refused

    def query(self, expression):
        """The series of an expression now: [{"metric": {label: value}, "value": [time, text]}]."""
        return self.ask("query", query=expression)["result"]

    def close(self):
        self._process.kill()
