# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands and their replies (SPEC 4)."""

import json
import re
import statistics
import time

import pytest

from iotd_broker import properties
from iotd_harness import SLOW, TIME, file_sensor, output
from iotd_metronome import longest_gap

PUMP = output("pump", 22)
DOOR = {"name": "door", "chip": "gpiochip0", "line": 17}
SET_ON = {"command": "set", "name": "pump", "state": "on"}
ROUNDED = 0.002  # times have whole milliseconds, and clocks may be slewed
FIELDS = {  # with which a command succeeds
    "read": {"name": "air"},
    "set": {"name": "pump", "state": "off"},
    "pulse": {"name": "pump", "for": "10ms"},
    "toggle": {"name": "pump"},
    "interval": {"name": "air", "interval": "2h"},
}


@pytest.fixture
def daemon(simulated, client, value_file):
    """A sensor `air` read once an hour, an input `door`, an output `pump`."""

    def start(interval="1h", **more):
        one = simulated(
            sensors=[file_sensor(value_file, interval=interval, unit="°C")],
            inputs=[DOOR],
            outputs=[PUMP],
            **more,
        )
        for topic in ("sensor/air", "sensor/air/status", "output/pump"):
            client.wait(topic)
        return one

    return start


def replies(client, since=0):
    return [m.json for m in client.all("reply", since=since)]


@pytest.mark.any_broker
def test_ping_tells_version_and_uptime(daemon, client):
    daemon()
    result = client.result("ping")
    assert re.match(r"\d+\.\d+", result["version"])
    assert isinstance(result["uptime"], (int, float)) and 0 <= result["uptime"] < 60 * SLOW


def test_reply_is_not_retained(daemon, client):
    daemon()
    client.settle()
    assert not client.wait("reply").retain


@pytest.mark.parametrize(
    "number",
    [
        *(7, -1, 0, 1.5, 9007199254740993, 2**63 - 1, None, True, False),
        *("seven", "", "ü", 'a"b\\c', "a\0b"),
        *([], [1, {"a": [None]}], {}, {"z": 1, "a": 2}),
    ],
    ids=json.dumps,
)
def test_id_of_any_type_comes_back(daemon, client, number):
    daemon()
    client.publish("command", {"command": "ping", "id": number})
    text = client.wait("reply").text
    reply = json.loads(text)
    assert reply["id"] == number and type(reply["id"]) is type(number)
    assert list(reply) == ["id", "ok", "result"]


def test_command_without_id_is_answered_too(daemon, client):
    daemon()
    client.publish("command", {"command": "ping"})
    reply = client.wait("reply").json
    assert reply["ok"] is True and reply.get("id") is None


def test_read_reads_now_and_publishes(daemon, client, value_file):
    daemon()
    mark = client.mark()
    value_file.write_text("18.25", encoding="ascii")
    result = client.result("read", name="air")
    assert list(result) == ["time", "value"] and result["value"] == 18.25
    assert re.fullmatch(TIME, result["time"])
    assert client.wait("sensor/air", since=mark).json == result


def test_read_of_a_sensor_that_fails(daemon, client, value_file):
    daemon()
    value_file.unlink()
    assert "No such file" in client.error("read", name="air")
    client.wait("sensor/air/status", "offline")


def test_read_publishes_in_spite_of_a_deadband(simulated, client, value_file):
    simulated(sensors=[file_sensor(value_file, interval="1h", value={"deadband": 10.0})])
    client.wait("sensor/air")
    mark = client.mark()
    result = client.result("read", name="air")
    assert client.wait("sensor/air", since=mark).json == result


@pytest.mark.any_broker
def test_set_moves_an_output(daemon, client):
    daemon()
    for state in ("on", "off", "on"):
        mark = client.mark()
        client.result("set", name="pump", state=state)
        client.state("pump", state, since=mark)


def test_set_for_a_while(daemon, client):
    daemon()
    mark, asked = client.mark(), time.time()
    client.result("set", name="pump", state="on", **{"for": "300ms"})
    client.state("pump", "on", since=mark)
    assert client.state("pump", "off", since=mark).time - asked > 0.3 - ROUNDED


def test_pulse_is_on_and_off_again(daemon, client):
    daemon()
    mark, asked = client.mark(), time.time()
    client.result("pulse", name="pump", **{"for": "250ms"})
    client.state("pump", "on", since=mark)
    assert client.state("pump", "off", since=mark).time - asked > 0.25 - ROUNDED


def test_toggle_is_the_other_state(daemon, client):
    daemon()
    for state in ("on", "off"):
        mark = client.mark()
        client.result("toggle", name="pump")
        client.state("pump", state, since=mark)


def test_interval_changes_the_schedule(daemon, client):
    daemon()
    mark = client.mark()
    client.result("interval", name="air", interval="100ms")
    times = [m.time for m in client.wait("sensor/air", since=mark, count=22)][1:]
    # none was later than an interval
    assert times[-1] - times[0] > 2.0 - 0.1 - ROUNDED
    assert longest_gap([times[0], times[-1]]) < 2.0 + 0.1 + ROUNDED
    client.result("interval", name="air", interval="1h")
    client.settle()  # but for one that is under way
    mark = client.mark()
    client.wait("stats", count=2, since=mark)
    assert len(client.all("sensor/air", since=mark)) <= 1


def test_list_names_everything(daemon, client, value_file):
    daemon()
    entries = client.result("list")
    assert isinstance(entries, list), "an array of objects"
    entries = {entry["name"]: entry for entry in entries}
    assert set(entries) == {"air", "door", "pump"}
    assert {name: entry["kind"] for name, entry in entries.items()} == {
        "air": "sensor", "door": "input", "pump": "output",
    }
    air = entries["air"]
    assert air["driver"] == "file" and air["status"] == "online"
    assert "°C" in json.dumps(air, ensure_ascii=False)
    assert air["interval"] in ("1h", 3600, 3600.0)
    value_file.unlink()
    client.error("read", name="air")
    client.wait("sensor/air/status", "offline")
    assert {e["name"]: e for e in client.result("list")}["air"]["status"] == "offline"


def test_stats_are_those_of_the_topic(daemon, client):
    daemon()
    published = client.wait("stats").json
    assert set(client.result("stats")) - {"time"} == set(published) - {"time"}


# a command with its fields, what its error must contain
REFUSED = {
    "unknown sensor": ({"command": "read", "name": "airr"}, 'no sensor named "airr"'),
    "unknown output": (
        {"command": "set", "name": "pumpe", "state": "on"}, 'no output named "pumpe"',
    ),
    "sensor as output": ({"command": "toggle", "name": "air"}, 'no output named "air"'),
    "output as sensor": (
        {"command": "interval", "name": "pump", "interval": "1s"}, 'no sensor named "pump"',
    ),
    "unknown command": ({"command": "dance"}, '"dance"'),
    "no command": ({"name": "air"}, "command"),
    "command of the wrong type": ({"command": 7}, "command"),
    "empty command": ({"command": ""}, "command"),
    "unknown field": ({"command": "ping", "colour": "red"}, '"colour"'),
    "field of another command": ({"command": "read", "name": "air", "state": "on"}, '"state"'),
    "name missing": ({"command": "read"}, "name"),
    "name of the wrong type": ({"command": "read", "name": ["air"]}, "name"),
    "state missing": ({"command": "set", "name": "pump"}, "state"),
    "state unknown": ({"command": "set", "name": "pump", "state": "maybe"}, "state"),
    "time missing": ({"command": "pulse", "name": "pump"}, "for"),
    "time no duration": ({"command": "pulse", "name": "pump", "for": "soon"}, "for"),
    "time of nothing": ({"command": "pulse", "name": "pump", "for": "0s"}, "for"),
    "time negative": ({"command": "pulse", "name": "pump", "for": "-1s"}, "for|-1s"),
    "interval missing": ({"command": "interval", "name": "air"}, "interval"),
    "interval no duration": ({"command": "interval", "name": "air", "interval": "x"}, "interval"),
    "interval of nothing": ({"command": "interval", "name": "air", "interval": "0s"}, "1 ?ms"),
    "reload is not in the default": ({"command": "reload"}, "not allowed"),
    "count is not in the default": (
        {"command": "count", "name": "door", "total": 1}, "not allowed",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_command_has_an_error_and_changes_nothing(daemon, client, case):
    daemon()
    command, pattern = REFUSED[case]
    mark = client.mark()
    client.publish("command", {**command, "id": [1, "x"]})
    reply = client.wait("reply").json
    assert list(reply) == ["id", "ok", "error"]
    assert reply["id"] == [1, "x"] and reply["ok"] is False
    assert re.search(pattern, reply["error"]), reply
    client.settle()
    assert not client.all("output/#", since=mark, match=lambda m: not m.topic.endswith("/set"))
    assert not client.all("sensor/#", since=mark)


@pytest.mark.parametrize(
    "payload",
    [
        *("", "ping", "7", "null", '"ping"', "[]", '["ping"]', "{", '{"command":"ping"'),
        *('{"command":"ping"} x', "{'command':'ping'}", '{"command":"ping","command":"list"}'),
        *(b"\xff\xfe\xfd", b"\0\0\0", "[" * 4096, '{"a":' * 800),
        '{"command":"read","name":"air\\u0000x"}',
    ],
    ids=lambda payload: repr(payload[:20]),
)
def test_what_is_no_command_gets_an_error(daemon, client, payload):
    one = daemon()
    client.publish("command", payload)
    reply = client.wait("reply").json
    assert reply["ok"] is False and reply["error"]
    client.settle()
    assert one.running


def padded(size):
    """A ping of that many bytes."""
    text = json.dumps({"command": "ping", "id": ""})
    return text.replace('""', '"' + "x" * (size - len(text)) + '"')


def test_4096_bytes_are_enough(daemon, client):
    daemon()
    client.publish("command", padded(4096))
    assert client.wait("reply").json["ok"] is True


@pytest.mark.parametrize("size", [4097, 100_000, 5_000_000])
def test_over_4096_bytes_is_refused(daemon, client, size):
    one = daemon()
    client.publish("command", padded(size))
    reply = client.wait("reply").json
    assert reply["ok"] is False and "4096" in reply["error"]
    assert one.running


def test_allow_names_what_is_allowed(daemon, client):
    daemon(commands={"allow": ["ping"]})
    client.settle()
    for command in ("list", "read", "set"):
        assert "not allowed" in client.error(command, **FIELDS.get(command, {}))


def test_default_commands_are_allowed(daemon, client):
    daemon()
    for command in ("ping", "list", "stats", "read", "set", "pulse", "toggle", "interval"):
        client.result(command, **FIELDS.get(command, {}))


def test_disabled_commands_do_nothing(daemon, client):
    daemon(commands={"enabled": False})
    client.publish("command", {"command": "ping", "id": 1})
    client.publish("command", SET_ON)
    client.wait("command", count=2)
    client.wait("stats", count=3, since=client.mark())
    assert not [reply for reply in replies(client) if reply["ok"]]
    assert [m.json["state"] for m in client.all("output/pump")] == ["off"]


@pytest.mark.any_broker
def test_retained_command_is_ignored(simulated, broker, client):
    client.publish("command", {**SET_ON, "id": 1}, retain=True)
    client.wait("command")
    simulated(outputs=[PUMP])
    client.wait("output/pump")
    client.settle()
    assert [m.json["state"] for m in client.all("output/pump")] == ["off"]
    assert not [reply for reply in replies(client) if reply.get("id") == 1]


@pytest.mark.any_broker
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_each_command_is_done_once(daemon, client, qos):
    daemon()
    for number in range(50):
        client.publish("command", {"command": "toggle", "name": "pump", "id": number}, qos=qos)
    client.wait("reply", count=50)
    client.settle()
    assert [r["id"] for r in replies(client)][:50] == list(range(50)), "in order"
    assert client.all("output/pump")[-1].json["state"] == "off"
    client.result("toggle", name="pump")
    client.settle()
    assert client.all("output/pump")[-1].json["state"] == "on"


@pytest.mark.any_broker(protocol=5)
def test_response_topic_and_correlation_data(daemon, client):
    daemon()
    wish = properties(ResponseTopic="answers/for me", CorrelationData=b"\x00\xff\x01")
    client.publish("command", {"command": "ping", "id": 3}, properties=wish)
    answer = client.wait(match=lambda m: m.topic == "answers/for me")
    assert answer.json["id"] == 3 and answer.json["ok"] is True
    assert answer.properties.CorrelationData == b"\x00\xff\x01"
    client.settle()
    assert 3 not in [reply["id"] for reply in replies(client)], "not on T/reply as well"


def test_errors_use_the_response_topic_too(daemon, client):
    daemon()
    wish = properties(ResponseTopic="answers", CorrelationData=b"c")
    client.publish("command", "nonsense", properties=wish)
    answer = client.wait(match=lambda m: m.topic == "answers")
    assert answer.json["ok"] is False and answer.properties.CorrelationData == b"c"


@pytest.mark.any_broker(protocol=5)
def test_correlation_data_without_response_topic(daemon, client):
    daemon()
    wish = properties(CorrelationData=b"x" * 1000)
    client.publish("command", {"command": "ping"}, properties=wish)
    assert client.wait("reply").properties.CorrelationData == b"x" * 1000


@pytest.mark.parametrize(
    "topic",
    [
        *("iotd/test/command", "iotd/test/output/pump/set", "iotd/test/status"),
        *("/", "ü", "a" * 60000),
    ],
    ids=lambda topic: repr(topic[:30]),
)
def test_evil_response_topic_does_no_harm(daemon, broker, client, topic):
    one = daemon()
    broker.log.wait(lambda line: " as iotd-test " in line.text)
    mark = broker.log.mark()
    wish = properties(ResponseTopic=topic)  # mosquitto itself refuses wildcards and an empty one
    client.publish("command", {"command": "ping", "id": 1}, properties=wish)
    client.settle()
    client.settle()
    assert one.running
    told = broker.log.all(lambda line: "iotd-test" in line.text, since=mark)
    assert not told, "it stays connected"
    assert len(client.all("command")) < 10, "and does not answer itself"
    assert [m.json["state"] for m in client.all("output/pump")] == ["off"]


def test_flood_of_bad_commands_is_logged_in_a_few_lines_and_counted(daemon, client):
    one = daemon()
    before = client.result("stats")
    one.log.wait(lambda line: "connected to" in line.text)
    mark = one.log.mark()
    for number in range(1000):
        client.publish("command", "nonsense" if number % 2 else {"command": "dance"})
    client.wait("reply", match=lambda m: not m.json["ok"], count=1000)
    after = client.result("stats")
    one.log.wait(lambda _: True, since=mark)
    lines = [line.text for line in one.log.all(since=mark)]
    assert 1 <= len(lines) <= 5, lines
    counters = [key for key in after if re.search("error|refus|reject|bad|fail|invalid", key)]
    risen = {key: after[key] - before.get(key, 0) for key in counters}
    assert 1000 in risen.values(), (risen, after)


@pytest.mark.slow
def test_commands_are_answered_quickly(daemon, client):
    daemon()
    client.settle()
    spent = []
    for _ in range(50):
        begin = time.monotonic()
        client.result("ping")
        spent.append(time.monotonic() - begin)
    assert statistics.median(spent) < 0.02 * SLOW, spent
    assert sorted(spent)[-3] < 0.035 * SLOW, "no Nagle: a delayed acknowledgement is 40 ms"
