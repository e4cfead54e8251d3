# SPDX-License-Identifier: LGPL-2.1-or-later
"""Does the harness itself tell the truth? No iotd in here."""

import socket
import sys
import time

import pytest

from iotd_broker import Message, paho_client, properties, retained
from iotd_figures import Tally
from iotd_harness import (
    PATIENCE,
    History,
    Process,
    Supervisor,
    configuration,
    libconfig,
    sanitizer_complaints,
    seconds_of,
)


MOMENT = 0.3  # nobody is waited for longer who is not to answer


def connects(port, patience=PATIENCE):
    """Does an MQTT client get a CONNACK?"""
    with socket.socket() as line:
        line.settimeout(patience)
        try:
            line.connect(("127.0.0.1", port))
            line.sendall(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x05\x00\x01h")
            return line.recv(4) == b"\x20\x02\x00\x00"
        except OSError:
            return False


def test_history_waits_for_what_comes_and_not_for_what_was():
    history = History("words")
    history.add("old")
    mark = history.mark()
    with pytest.raises(AssertionError, match="0 of 1 words"):
        history.wait(lambda word: word == "old", since=mark, timeout=0.01)
    history.add("new")
    assert history.wait(lambda word: True, since=mark) == "new"
    assert history.wait(lambda word: True, count=2) == ["old", "new"]


def test_client_sees_payload_retain_flag_and_properties(broker, clients, client):
    sender = clients(broker.port, subscribe="nothing")
    sender.publish("a", "1", retain=True)
    sender.publish(
        "b", {"x": 1}, qos=2, properties=properties(ResponseTopic="r", CorrelationData=b"\x00\xff")
    )
    assert client.wait("a", "1").retain
    second = client.wait("b")
    assert not second.retain and second.qos == 2 and second.json == {"x": 1}
    assert second.properties.ResponseTopic == "r"
    assert second.properties.CorrelationData == b"\x00\xff"
    assert set(retained(broker.port)) == {"a"}


def test_will_of_a_broken_client_arrives(broker, client):
    victim = paho_client()
    victim.will_set("iotd/test/status", "offline", 1, True)
    victim.connect("127.0.0.1", broker.port)
    victim.loop_start()
    broker.log.wait(lambda line: "New client connected" in line.text, count=2)
    victim.socket().shutdown(socket.SHUT_RDWR)
    assert client.wait("status", "offline").retain
    victim.disconnect()
    victim.loop_stop()


def test_broker_can_be_frozen_killed_and_started_again(broker, client):
    assert connects(broker.port)
    broker.freeze()
    assert not connects(broker.port, MOMENT)
    broker.thaw()
    assert connects(broker.port)
    seen = client.subscriptions()
    broker.kill()
    assert not connects(broker.port)
    broker.start()
    client.wait_subscribed(since=seen)
    client.publish("again", "1")
    client.wait("again", "1")


def test_proxy_cuts_mutes_slams_and_forwards(broker, link):
    assert connects(link.port)
    for mode in (link.cut, link.mute, link.slam):
        mode()
        assert not connects(link.port, MOMENT), mode
        link.forward()
        assert connects(link.port), mode


def test_proxy_drops_what_is_connected(broker, link, clients):
    through = clients(link.port)
    seen = through.subscriptions()
    link.cut()
    link.forward()
    through.wait_subscribed(since=seen)
    through.publish("x", "1")
    through.wait("x", "1")


def test_supervisor_splits_notifications(tmp_path):
    supervisor = Supervisor(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.sendto(b"READY=1\nSTATUS=2 sensors; a=b", supervisor.path)
        daemon.sendto(b"WATCHDOG=1", supervisor.path)
    supervisor.wait("READY", "1")
    assert supervisor.status(lambda text: "sensors" in text) == "2 sensors; a=b"
    supervisor.wait("WATCHDOG")
    supervisor.close()


def test_process_keeps_stderr_exit_code_and_time():
    code = (
        "import sys, time; print('one', file=sys.stderr); time.sleep(0.2);"
        "print(time.monotonic(), file=sys.stderr); sys.exit(3)"
    )
    process = Process([sys.executable, "-c", code], "python")
    process.log.wait(lambda line: line.text == "one")
    begin = time.monotonic()
    seconds = process.wait()
    end, lived_at = time.monotonic(), float(process.log.all()[-1].text)
    assert process.child.returncode == 3
    assert lived_at - begin <= seconds <= end - begin
    assert not process.running


def test_network_namespace_is_separate(network, proxies, broker):
    inside = proxies(broker.port, network)
    assert not connects(inside.port), "the relay listens inside only"
    home = network.enter()
    try:
        assert connects(inside.port)
        network.drop(inside.port)
        assert not connects(inside.port, MOMENT)
        network.undrop()
        assert connects(inside.port)
    finally:
        network.leave(home)
    assert connects(broker.port) and not connects(inside.port)


def test_sanitizers_are_noticed():
    assert sanitizer_complaints("x\n==1==ERROR: AddressSanitizer: heap-use-after-free\n")
    assert sanitizer_complaints("a.c:1:2: runtime error: signed integer overflow")
    assert sanitizer_complaints("WARNING: ThreadSanitizer: data race (pid=1)")
    assert not sanitizer_complaints("sensor air: offline: No such file or directory")


def test_configuration_is_libconfig():
    assert libconfig({"a": [1, 2.5], "b": [{"c": True}], "d": 'x"y'}) == (
        '{ a = [ 1, 2.5 ]; b = ( { c = true; } ); d = "x\\"y"; }'
    )
    assert 'qos = 2;' in configuration("mqtt://x", mqtt={"qos": 2})


def test_time_has_milliseconds_and_utc():
    assert seconds_of("1970-01-01T00:00:01.250Z") == 1.25
    for wrong in ("1970-01-01T00:00:01Z", "1970-01-01 00:00:01.250Z", "1970-01-01T00:00:01.250"):
        with pytest.raises(AssertionError):
            seconds_of(wrong)


def test_tally_tells_twins_from_what_comes_again():
    def tallied(*what):
        tally = Tally("t")
        for word in what:
            topic, payload = "t/sensor/air", '{"time":"2026-11-22T13:15:00.%sZ"}' % word
            if word == "online":
                topic, payload = "t/status", word
            tally.add(Message(topic, payload.encode(), False, 1, None))
        return tally.readings, tally.doubled

    assert tallied("online", "001", "002") == (2, 0)
    assert tallied("online", "001", "001", "002") == (3, 0), "two of one millisecond"
    assert tallied("online", "001", "002", "online", "001", "002", "003") == (3, 2)
    assert tallied("online", "001", "001", "online", "001", "001", "002") == (3, 2), "both again"
