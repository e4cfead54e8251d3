# SPDX-License-Identifier: LGPL-2.1-or-later
"""Dead name servers and lost packets, each in a network namespace of its own (issue 2).

iotd runs inside with nothing but `lo`; the relay listens inside and talks to the broker outside.
"""

import shutil

import pytest

from iotd_figures import assert_schedule
from iotd_harness import (
    BEAT,
    SLOW,
    assert_beats,
    configuration,
    file_sensor,
)


@pytest.fixture
def inside(network, broker, proxies, start_iotd, value_file):
    """The relay inside, and start(host) for an iotd that looks for it as `host`."""
    relay = proxies(broker.port, network)

    def start(host="127.0.0.1", **mqtt):
        text = configuration(
            f"mqtt://{host}:{relay.port}",
            mqtt=mqtt,
            sensors=[file_sensor(value_file, interval="50ms")],
        )
        return start_iotd(text, prefix=network.prefix, env=BEAT)

    start.port = relay.port
    return start


@pytest.fixture
def dead_dns(network, tmp_path):
    """Every name server is silent; call the result to make a name known after all."""

    def bound(name, text):
        path = tmp_path / name
        path.write_text(text, encoding="ascii")
        network.bind(path, f"/etc/{name}")
        return path

    def start(options):
        network.black_hole()
        bound("resolv.conf", f"nameserver 10.9.0.2\noptions {options}\n")
        bound("nsswitch.conf", "hosts: files dns\n")
        hosts = bound("hosts", "127.0.0.1 localhost\n")

        def reveal(name):
            with open(hosts, "a", encoding="ascii") as file:
                file.write(f"127.0.0.1 {name}\n")

        return reveal

    return start


def assert_kept_time(daemon, client, mark):
    assert_beats(daemon.supervisor, mark)
    assert_schedule(client.all("sensor/air"), 0.05)


def test_dead_dns_delays_nobody(inside, dead_dns, client):
    reveal = dead_dns("timeout:3 attempts:1")
    daemon = inside("broker.test")
    assert daemon.ready() < 1 * SLOW
    mark = daemon.supervisor.events.mark()
    daemon.supervisor.beats(25)
    reveal("broker.test")
    client.wait("status", "online", timeout=25 * SLOW)
    client.settle()
    assert len(client.all("sensor/air")) >= 25
    assert_kept_time(daemon, client, mark)


def test_stop_during_a_look_up_of_dead_dns(inside, dead_dns):
    dead_dns("timeout:15 attempts:2")
    daemon = inside("broker.test")
    daemon.supervisor.beats(5)
    code, seconds = daemon.stop()
    assert code == 0 and seconds < 3 * SLOW


def test_dead_dns_is_told_in_the_log_and_the_status(inside, dead_dns):
    dead_dns("timeout:1 attempts:1")
    daemon = inside("broker.test")
    daemon.log.wait(lambda line: "broker.test" in line.text)
    assert "; connected to" not in daemon.supervisor.status(lambda text: "spooled" in text)


@pytest.mark.skipif(not shutil.which("nft"), reason="needs nft to lose packets")
class TestLostPackets:
    def test_connection_that_was_up_survives_or_is_made_anew(self, inside, network, client):
        daemon = inside()
        client.wait("sensor/air", count=3)
        mark = daemon.supervisor.events.mark()
        network.drop(inside.port)
        daemon.supervisor.beats(25)
        network.undrop()
        client.wait("sensor/air", since=client.mark(), count=50, timeout=30 * SLOW)
        client.settle()
        assert_kept_time(daemon, client, mark)

    def test_no_answer_to_the_first_packet(self, inside, network, client):
        network.drop(inside.port)
        daemon = inside()
        assert daemon.ready() < 1 * SLOW
        mark = daemon.supervisor.events.mark()
        daemon.supervisor.beats(25)
        network.undrop()
        client.wait("status", "online", timeout=30 * SLOW)
        client.settle()
        assert_kept_time(daemon, client, mark)

    def test_stop_while_packets_are_lost(self, inside, network, client):
        daemon = inside()
        client.wait("sensor/air", count=3)
        network.drop(inside.port)
        daemon.supervisor.beats(5)
        code, seconds = daemon.stop()
        assert code == 0 and seconds < 3 * SLOW

    def test_stop_while_the_connection_is_not_answered(self, inside, network):
        network.drop(inside.port)
        daemon = inside()
        daemon.supervisor.beats(3)
        code, seconds = daemon.stop()
        assert code == 0 and seconds < 3 * SLOW

    def test_keepalive_notices_lost_packets(self, inside, network, client):
        daemon = inside(keepalive="5s")
        client.wait("sensor/air", count=3)
        mark = daemon.supervisor.events.mark()
        network.drop(inside.port)
        daemon.supervisor.disconnected(since=mark, timeout=15 * SLOW)
        network.undrop()
        client.wait("sensor/air", since=client.mark(), count=100, timeout=40 * SLOW)
        client.settle()
        assert_kept_time(daemon, client, mark)
