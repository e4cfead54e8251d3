# SPDX-License-Identifier: LGPL-2.1-or-later
"""The broker and the line to it fail in every way that a network knows (SPEC 5, issue 3).

A real mosquitto. What a broker does that is no broker's is in test_broker_manners.py; deafness and
outages as such are in test_broker_away.py and test_network.py.
"""

import shutil
import threading
import time

import paho.mqtt.client as mqtt
import pytest

from iotd_broker import paho_client
from iotd_harness import (
    BEAT,
    PATIENCE,
    SLOW,
    History,
    Line,
    assert_beats,
    configuration,
    file_sensor,
    output,
)

INTERVAL = 0.1
PUMP = output("pump", 22)


@pytest.fixture
def client(broker, clients):
    """At QoS 1 mosquitto has sent a reading on when it acknowledges it; at QoS 2 only half."""
    return clients(broker.port, qos=1)


@pytest.fixture
def daemon(simulated, value_file, link):
    """An iotd behind a line that can be cut."""

    def start(url=None, **more):
        sensors = [file_sensor(value_file, name) for name in ("s1", "s2", "s3")]
        more = {"sensors": sensors, "outputs": [PUMP], "env": BEAT, **more}
        one = simulated(url or link.url, **more)
        one.begin = one.supervisor.events.mark()
        return one

    return start


def told(daemon, since=0):
    """The lines of the log that are not about the start."""
    return [line.text for line in daemon.log.all(since=since)]


@pytest.mark.parametrize("protocol", [4, 5])
def test_broker_killed_and_started_again(daemon, broker, client, link, protocol, figures):
    one = daemon(mqtt={"protocol": protocol})
    client.wait("sensor/s1", count=5)
    client.settle()  # what is acknowledged and not delivered dies with a broker without a disk
    seen, mark, log = client.subscriptions(), client.mark(), one.log.mark()
    broker.freeze()  # so that nothing is acknowledged that the client does not get
    one.supervisor.beats(5)
    broker.kill()
    one.supervisor.beats(10)
    link.cut()  # it acknowledges, too, what nobody has subscribed to yet
    broker.start()
    client.wait_subscribed(since=seen)
    link.forward()
    client.wait("status", "online", since=mark)
    figures(f"broker killed and started again, MQTT {protocol}", one, INTERVAL)
    assert_beats(one.supervisor, one.begin)
    assert len(told(one, log)) <= 4, told(one, log)


def test_broker_stopped_and_continued(daemon, broker, client, figures):
    one = daemon(broker.url)
    client.wait("sensor/s1", count=5)
    log = one.log.mark()
    broker.freeze()
    one.supervisor.beats(30)
    broker.thaw()
    figures("broker stopped for 3 s and continued", one, INTERVAL)
    assert_beats(one.supervisor, one.begin)
    assert not told(one, log), "nothing was lost, and nothing is said"


def test_second_broker_of_the_list_takes_over(daemon, broker, client, proxies, figures):
    first, second = proxies(broker.port), proxies(broker.port)
    one = daemon([first.url, second.url])
    client.wait("sensor/s1", count=5)
    mark, log = client.mark(), one.log.mark()
    first.cut()
    one.supervisor.status(lambda text: f"connected to {second.url}" in text)
    client.wait("status", "online", since=mark)
    figures("first broker of two gone", one, INTERVAL)
    assert_beats(one.supervisor, one.begin)
    assert len(told(one, log)) <= 4, told(one, log)


def test_broker_that_moved_to_another_address(
    network, broker, client, proxies, start_iotd, value_file, tmp_path, figures
):
    """Its name is looked up anew for each connection."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n127.0.0.1 broker.test\n", encoding="ascii")
    network.bind(hosts, "/etc/hosts")
    old = proxies(broker.port, network)
    new = proxies(broker.port, network, host="127.0.0.2")
    new.cut()
    new.port = old.port
    one = start_iotd(
        configuration(f"mqtt://broker.test:{old.port}", sensors=[file_sensor(value_file)]),
        prefix=network.prefix,
        env=BEAT,
    )
    client.wait("sensor/air", count=5)
    begin, mark, log = one.supervisor.events.mark(), client.mark(), one.log.mark()
    old.cut()
    one.supervisor.beats(10)
    new.forward()
    with open(hosts, "w", encoding="ascii") as file:  # not a new file: it is bound
        file.write("127.0.0.1 localhost\n127.0.0.2 broker.test\n")
    client.wait("status", "online", since=mark)
    assert new.accepted.all()
    figures("the broker's name has another address", one, INTERVAL)
    assert_beats(one.supervisor, begin)
    assert len(told(one, log)) <= 4, told(one, log)


class TestSlowLine:
    def test_two_seconds_each_way(self, daemon, client, link, figures):
        one = daemon()
        client.wait("sensor/s1", count=5)
        mark, log = client.mark(), one.log.mark()
        link.delay(2)
        one.supervisor.beats(30)
        client.publish("output/pump/set", "on")
        client.state("pump", "on", since=mark)
        assert one.log.mark() == log, "slow is not broken"
        link.delay(0)
        figures("2 s of delay each way", one, INTERVAL)
        assert_beats(one.supervisor, one.begin)

    def test_connecting_takes_four_seconds(self, daemon, client, link, figures):
        link.delay(1)
        one = daemon()
        client.wait("status", "online", timeout=20 * SLOW)
        client.wait("sensor/s1", count=20, timeout=20 * SLOW)
        link.delay(0)
        figures("1 s of delay each way from the start", one, INTERVAL)
        assert_beats(one.supervisor, one.begin)

    def test_one_byte_at_a_time(self, daemon, client, link, figures):
        link.drip(0.0005)
        one = daemon()
        client.wait("sensor/s1", count=5, timeout=20 * SLOW)
        states = ["on", "off"] * 5
        for number, state in enumerate(states):
            client.publish("command", {"command": "set", "name": "pump", "state": state, "id": number})
        got = [m.json for m in client.wait("reply", count=len(states), timeout=20 * SLOW)]
        assert [m["id"] for m in got] == list(range(len(states))), "obeyed in order"
        assert all(m["ok"] for m in got), got
        client.state("pump", "off")
        figures("the broker's bytes come one by one", one, INTERVAL)
        assert_beats(one.supervisor, one.begin)


@pytest.mark.skipif(not shutil.which("nft"), reason="needs nft to lose packets")
def test_every_third_packet_is_lost(
    network, broker, client, proxies, start_iotd, value_file, figures
):
    """30 % loss each way: sch_netem is in few kernels, nftables' numgen in most."""
    relay = proxies(broker.port, network)
    one = start_iotd(
        configuration(relay.url, sensors=[file_sensor(value_file)]),
        prefix=network.prefix,
        env=BEAT,
    )
    client.wait("sensor/air", count=5)
    begin, log = one.supervisor.events.mark(), one.log.mark()
    network.lose(relay.port, percent=30)
    one.supervisor.beats(60)
    network.undrop()
    client.wait("sensor/air", since=client.mark(), count=20, timeout=40 * SLOW)
    figures("30 % of all packets lost for 6 s", one, INTERVAL, breaks=3)
    assert_beats(one.supervisor, begin)
    assert len(told(one, log)) <= 4, told(one, log)


class Rival:
    """A second client with iotd's id, that comes back at once whenever it is thrown out."""

    def __init__(self, port, protocol):
        self.paho = paho_client(client_id="iotd-test", protocol=protocol)
        self.paho.on_disconnect = self._on_disconnect
        self.lost = History("connections that the rival lost")
        self._closing, self._gone = False, threading.Event()
        self.paho.reconnect_delay_set(0.02, 0.02)
        self.paho.connect("127.0.0.1", port)
        self.paho.loop_start()

    def _on_disconnect(self, *_):
        self.lost.add(Line("lost"))
        if self._closing:
            self.paho.disconnect()  # does not come back
            self._gone.set()

    def close(self):
        """Gone when iotd has thrown it out once more: a goodbye could be overtaken by its return."""
        self._closing = True
        assert self._gone.wait(PATIENCE)
        self.paho.loop_stop()


@pytest.mark.parametrize("protocol, version", [(4, mqtt.MQTTv311), (5, mqtt.MQTTv5)])
def test_rival_with_the_same_client_id(daemon, broker, client, protocol, version, figures):
    one = daemon(broker.url, mqtt={"protocol": protocol, "reconnect_max": "1s"})
    client.wait("sensor/s1", count=5)
    log = one.log.mark()
    begin, rival = time.monotonic(), Rival(broker.port, version)
    try:
        one.supervisor.beats(40)  # 4 s
        rival.lost.wait(lambda _: True, count=2)
    finally:
        rival.close()
    lasted = time.monotonic() - begin
    client.publish("rival", "gone")
    client.wait("rival")  # what comes from now on is of the connection that stays: it listens
    client.wait("sensor/s1", since=client.mark(), count=10)
    losses = rival.lost.mark()
    assert 2 <= losses <= max(20 * SLOW, 5 * lasted), "iotd comes back, but not at full speed"
    figures(f"rival with our client id, MQTT {protocol}", one, INTERVAL, breaks=losses + 1)
    lines = told(one, log)
    assert len(lines) <= 4, lines
    if protocol == 5:
        assert "session taken over (0x8e)" in lines[0], lines
    assert_beats(one.supervisor, one.begin)
