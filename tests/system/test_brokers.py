# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several brokers in order: iotd fails over, comes home, and loses no reading (issue 7)."""

import time

import pytest

from iotd_figures import assert_schedule
from iotd_harness import configuration, file_sensor, free_port
from iotd_tls import Authority


@pytest.fixture
def home(brokers, clients, proxies, tmp_path):
    """The first broker, its line, which can be cut, and a client: home(secure)."""

    def start(secure=False):
        plain, settings = free_port(), "allow_anonymous true\n"
        if secure:
            authority = Authority(tmp_path)
            settings = f"{authority.issue().listener}listener {plain} 127.0.0.1\n{settings}"
        broker = brokers(settings)
        line = proxies(broker.port)
        line.tls = {"tls": {"ca_file": authority.file}} if secure else {}
        line.url = line.url.replace("mqtt:", "mqtts:") if secure else line.url
        return line, clients(plain if secure else broker.port)

    return start


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("protocol", [4, 5])
def test_over_and_home_again_without_a_loss(
    home, broker, client, start_iotd, value_file, protocol, secure
):
    line, at_home = home(secure)
    start_iotd(
        configuration(
            [line.url, broker.url],
            mqtt={"protocol": protocol, **line.tls},
            sensors=[file_sensor(value_file)],
        )
    )
    at_home.wait("sensor/air", count=5)
    assert client.all() == []
    line.cut()
    client.wait("status", "online")
    at_home.wait("status", "offline")
    client.wait("sensor/air", count=5)
    since = at_home.mark()
    line.forward()
    at_home.wait("status", "online", since=since)
    client.wait("status", "offline")
    at_home.wait("sensor/air", since=at_home.mark(), count=5)
    at_home.settle()
    messages = at_home.all("sensor/air") + client.all("sensor/air")
    messages.sort(key=lambda message: message.time)
    assert_schedule(messages, 0.1)
    assert at_home.result("stats")["connects"] == 3


def test_a_home_that_refuses_us_is_none(brokers, broker, client, start_iotd, value_file):
    locked = brokers("allow_anonymous false\n")
    start_iotd(configuration([locked.url, broker.url], sensors=[file_sensor(value_file)]))
    client.wait("status", "online")
    locked.log.wait(lambda line: "not authori" in line.text, count=3)
    client.settle()
    assert client.result("stats")["connects"] == 1
    assert client.all("status", "offline") == []
    assert_schedule(client.all("sensor/air"), 0.1)


def test_the_nearest_to_home_that_answers(
    brokers, broker, clients, proxies, start_iotd, value_file
):
    dead, near = proxies(1), proxies(broker.port)
    dead.cut()
    near.cut()
    last = brokers()
    there, here = clients(last.port), clients(broker.port)
    daemon = start_iotd(
        configuration([dead.url, near.url, last.url], sensors=[file_sensor(value_file)])
    )
    there.wait("status", "online")
    near.forward()
    here.wait("status", "online")
    there.wait("status", "offline")
    daemon.supervisor.status(lambda text: f"connected to {near.url}" in text)
    daemon.log.wait(lambda line: f"leaving {last.url}: {near.url} is there again" in line.text)


def test_a_stop_while_it_looks_for_home(home, broker, client, start_iotd, value_file):
    line, _ = home()
    line.cut()
    daemon = start_iotd(configuration([line.url, broker.url], sensors=[file_sensor(value_file)]))
    client.wait("status", "online")
    line.mute()
    begin = line.accepted.wait(lambda _: True).at
    assert daemon.stop()[0] == 0
    assert time.monotonic() - begin < 10, "the end of the attempt is not awaited"
    client.wait("status", "offline")


def test_two_ways_to_one_broker(broker, client, proxies, start_iotd, value_file):
    """As in a cluster: the connection home ends the other one, which has the same client id."""
    home, away = proxies(broker.port), proxies(broker.port)
    home.cut()
    daemon = start_iotd(configuration([home.url, away.url], sensors=[file_sensor(value_file)]))
    client.wait("status", "online")
    daemon.supervisor.status(lambda text: f"connected to {away.url}" in text)
    home.forward()
    daemon.supervisor.status(lambda text: f"connected to {home.url}" in text)
    client.wait("sensor/air", since=client.mark(), count=5)
    client.settle()
    assert client.all("status")[-1].text == "online"
    assert_schedule(client.all("sensor/air"), 0.1)
