# SPDX-License-Identifier: LGPL-2.1-or-later
"""The broker is away, deaf or frozen: iotd measures on, and loses nothing (SPEC 5, issue 2).

The clock of these tests is the watchdog: WATCHDOG=1 comes only while iotd makes progress. That the
schedule was kept shows afterwards, from the times that the readings carry.
"""

import re
import signal
import time

import pytest

from iotd_broker import retained
from iotd_figures import assert_schedule
from iotd_harness import (
    BEAT,
    PATIENCE,
    SLOW,
    assert_beats,
    configuration,
    file_sensor,
    output,
)
from iotd_metronome import longest_gap, longest_monotonic_gap, own_gap

PUMP = output("pump", 22)
DOOR = {"name": "door", "chip": "gpiochip0", "line": 17}


@pytest.fixture
def daemon(simulated, value_file, link):
    """An iotd behind a line that can be cut: a sensor ten times a second, an input, an output."""
    return lambda **more: simulated(
        link.url,
        sensors=[file_sensor(value_file)],
        inputs=[DOOR],
        outputs=[PUMP],
        **{"env": BEAT, **more},
    )


@pytest.mark.parametrize("protocol", [4, 5])
def test_readings_of_an_outage_arrive_later_with_their_own_time(
    daemon, client, link, protocol, figures
):
    one = daemon(mqtt={"protocol": protocol})
    client.wait("sensor/air", count=5)
    mark = client.mark()
    link.cut()
    client.wait("status", "offline", since=mark)
    begin, cut = one.supervisor.events.mark(), client.mark()
    one.supervisor.beats(20)
    assert not client.all(since=cut), "nothing passes a line that is cut"
    link.forward()
    client.wait("status", "online", since=mark)
    client.wait("sensor/air", since=mark, count=25)
    figures(f"line cut for 4 s, MQTT {protocol}", one, 0.1)
    assert_beats(one.supervisor, begin)


@pytest.mark.any_broker
@pytest.mark.parametrize("qos", [1, 2])
def test_many_short_outages_lose_nothing(daemon, broker, client, link, qos):
    if qos == 2 and broker.program == "aedes":
        pytest.skip("aedes 2.0.0-beta.1 takes what a clean session sends for what an old one sent")
    one = daemon(mqtt={"qos": qos, "reconnect_min": "100ms", "reconnect_max": "100ms"})
    client.wait("sensor/air")
    before = one.descriptors()
    for _ in range(10):
        mark = client.mark()
        link.cut()
        link.forward()
        client.wait("status", "online", since=mark)
        client.wait("sensor/air", since=mark, count=2)
    client.settle()
    assert_schedule(client.all("sensor/air"), 0.1)
    deadline = time.monotonic() + PATIENCE
    while one.descriptors() > before + 2:
        assert time.monotonic() < deadline
        one.supervisor.beats(1)


@pytest.mark.any_broker
def test_restarted_broker_gets_everything_again(simulated, broker, client, value_file):
    simulated(
        sensors=[file_sensor(value_file, interval="1h")],
        inputs=[DOOR],
        outputs=[PUMP],
        stats={"interval": "1h"},
    )
    client.result("set", name="pump", state="on")
    client.wait("sensor/air/status", "online")
    seen, mark = client.subscriptions(), client.mark()
    broker.restart()  # without persistence: it has forgotten all
    client.wait_subscribed(since=seen)
    client.wait("status", "online", since=mark)
    client.settle()
    wanted = ["status", "sensor/air/status", "input/door", "output/pump"]
    held = retained(broker.port, wanted=wanted)
    assert held["sensor/air/status"].text == "online"
    assert held["output/pump"].json["state"] == "on"
    client.publish("output/pump/set", "off")
    client.state("pump", "off", since=mark)


def test_state_told_after_an_outage_is_the_present_one(daemon, client, link, value_file):
    one = daemon()
    client.wait("sensor/air/status", "online")
    mark = client.mark()
    link.cut()
    value_file.unlink()
    one.supervisor.beats(15)
    link.forward()
    client.wait("sensor/air/status", "offline", since=mark)
    client.settle()
    door = client.all("input/door", since=mark)
    assert [m.time for m in door] == sorted(m.time for m in door)


def test_broker_that_comes_late(start_iotd, brokers, clients, value_file):
    broker = brokers()
    broker.kill()
    daemon = start_iotd(configuration(broker.url, sensors=[file_sensor(value_file)]), env=BEAT)
    daemon.supervisor.beats(10)
    broker.start()
    client = clients(broker.port)  # may come after the first readings
    client.wait("status", "online")
    client.wait("sensor/air")


@pytest.mark.any_broker
def test_readings_from_before_the_first_connection_arrive(daemon, client, link):
    link.cut()
    one = daemon()
    one.supervisor.beats(15)
    link.forward()
    client.wait("sensor/air", count=18)
    assert_schedule(client.all("sensor/air"), 0.1)


@pytest.fixture(params=["mute", "cut", "slam"])
def broken(request, link):
    """A line that is broken from the start."""
    getattr(link, request.param)()
    return link


def test_iotd_lives_with_a_broken_line(daemon, client, broken):
    one = daemon()
    assert one.ready() < 1 * SLOW
    mark = one.supervisor.events.mark()
    one.supervisor.beats(20)
    assert_beats(one.supervisor, mark)
    broken.forward()
    client.wait("status", "online", timeout=25 * SLOW)
    client.settle()
    assert_schedule(client.all("sensor/air"), 0.1)


def test_iotd_stops_in_time_with_a_broken_line(daemon, broken):
    one = daemon()
    one.supervisor.beats(5)
    code, seconds = one.stop()
    assert code == 0 and seconds < 3 * SLOW
    assert broken


def test_line_that_goes_deaf(daemon, client, link):
    """Connected, then nothing passes any more: the keepalive must notice."""
    one = daemon(mqtt={"keepalive": "5s"})
    client.wait("sensor/air", count=3)
    mark = one.supervisor.events.mark()
    link.mute()
    one.supervisor.disconnected(since=mark, timeout=15 * SLOW)
    assert_beats(one.supervisor, mark)
    seen = client.mark()
    link.forward()
    client.wait("status", "online", since=seen, timeout=25 * SLOW)
    client.settle()
    assert_schedule(client.all("sensor/air"), 0.1)


def test_frozen_broker_delays_nothing_but_its_messages(simulated, broker, client, value_file):
    one = simulated(
        sensors=[file_sensor(value_file)], outputs=[{**PUMP, "max_on": "300ms"}], env=BEAT
    )
    client.result("set", name="pump", state="on")
    client.state("pump", "on")
    broker.freeze()
    mark = one.supervisor.events.mark()
    one.supervisor.beats(30)
    broker.thaw()
    begin, end = client.state("pump", "on"), client.state("pump", "off", count=2)[1]
    assert end.time - begin.time > 0.3 - 0.1 * SLOW
    assert own_gap(begin.time, end.time) < 0.3 + 0.1 * SLOW
    client.wait("sensor/air", count=30)
    client.settle()
    assert_schedule(client.all("sensor/air"), 0.1)
    assert_beats(one.supervisor, mark)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_stop_with_a_frozen_broker(simulated, broker, client, value_file, number):
    one = simulated(sensors=[file_sensor(value_file)])
    client.wait("sensor/air", count=3)
    broker.freeze()
    code, seconds = one.stop(number)
    assert code == 0 and seconds < 3 * SLOW
    broker.thaw()


def test_failure_of_the_line_is_logged_when_it_begins_and_when_it_ends(daemon, client, link):
    def is_about_it(line):
        return re.search("broker|mqtt|connect", line.text, re.I)

    one = daemon()
    client.wait("status", "online")
    one.log.wait(lambda line: "connected to" in line.text)  # it is behind the message
    mark = one.log.mark()
    link.cut()
    one.supervisor.beats(25)
    seen = client.mark()
    link.forward()
    client.wait("status", "online", since=seen)
    client.settle()
    one.log.wait(is_about_it, since=mark, count=2)
    lines = [line.text for line in one.log.all(since=mark)]
    told = [line.text for line in one.log.all(is_about_it, since=mark)]
    assert 2 <= len(told) <= 4, lines
    assert any(str(link.port) in line for line in told), "says which broker"


def test_attempts_back_off(daemon, link):
    link.slam()
    one = daemon(mqtt={"reconnect_min": "100ms", "reconnect_max": "1s"})
    one.supervisor.beats(45)  # 4.5 s
    times = [line.at for line in link.accepted.all()]
    times = [at for at in times if at < times[0] + 4.5]  # the beats of a busy machine take longer
    assert 3 <= len(times) <= 20, times
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert longest_monotonic_gap(times) < 1.6 * SLOW, "at most reconnect_max, jitter included"
    assert max(gaps) > 0.25, "longer than twice reconnect_min, where it began"


def test_memory_is_bounded_and_the_oldest_go_first(simulated, client, link, value_file):
    sensors = [file_sensor(value_file, f"s{i}", interval="10ms") for i in range(10)]
    one = simulated(link.url, sensors=sensors, spool={"path": "", "max_size": "64K"}, env=BEAT)
    client.wait("sensor/s0", count=5)
    mark = client.mark()
    link.cut()
    client.wait("status", "offline", since=mark)
    cut = client.all("sensor/s0")[-1].time
    one.log.wait(lambda line: "discarded" in line.text)
    one.supervisor.beats(40)  # 4 s, 4,000 readings of at least 50 bytes
    link.forward()
    client.wait("status", "online", since=mark)
    client.settle()
    later = [m.time for m in client.all("sensor/s0", match=lambda m: m.time > cut)]
    assert later[0] > cut + 0.5, "the oldest were given up"
    assert longest_gap(later) < 0.1 * SLOW, "the newest were kept, without a hole"
    stats = client.result("stats")
    lost = {k: v for k, v in stats.items() if re.search("drop|discard|lost", k) and v}
    assert lost, stats
    assert any(re.search("drop|discard|lost", line.text) for line in one.log.all())
