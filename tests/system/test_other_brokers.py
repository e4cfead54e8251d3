# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is particular to brokers that are not the mosquitto of today.

That the rest is the same with them show the tests that are marked any_broker, all over this folder.
"""

import pytest

from iotd_broker import properties
from iotd_harness import PATIENCE, configuration, file_sensor


@pytest.mark.any_broker
def test_broker_says_what_it_is_supposed_to_speak(iotd, broker, client):
    iotd()
    client.wait("status", "online")
    assert f"(p{5 if broker.protocol == 5 else 2}, c1, k30" in broker.connection("iotd-test")


@pytest.mark.any_broker(only=["aedes-3.1.1"])
def test_protocol_5_with_a_broker_of_3_1_1_is_told(broker, start_iotd, client, value_file):
    sensors = [file_sensor(value_file)]
    daemon = start_iotd(configuration(broker.url, mqtt={"protocol": 5}, sensors=sensors))
    line = daemon.log.wait(lambda line: broker.url in line.text).text
    assert "does not speak this version (see mqtt.protocol)" in line, line
    daemon.stop()
    start_iotd(configuration(broker.url, mqtt={"protocol": 4}, sensors=sensors))
    client.wait("sensor/air", count=3)


@pytest.mark.any_broker(protocol=5)
def test_broker_hands_on_what_mqtt_5_adds(iotd, client, value_file):
    iotd(mqtt={"expiry": "1h"}, sensors=[file_sensor(value_file, unit="°C")])
    told = client.wait("sensor/air").properties
    assert 3600 - PATIENCE <= told.MessageExpiryInterval <= 3600
    assert told.UserProperty == [("device", "test"), ("unit", "°C")]
    wish = properties(ResponseTopic="answers", CorrelationData=b"\x00\xff")
    client.publish("command", {"command": "ping"}, properties=wish)
    answer = client.wait(match=lambda m: m.topic == "answers")
    assert answer.properties.CorrelationData == b"\x00\xff"
    assert answer.properties.ContentType == "application/json"
