# SPDX-License-Identifier: LGPL-2.1-or-later
"""conf/examples/home-assistant-card.yaml shows what iotd tells Home Assistant of greenhouse.conf.

Cards and their keys are those of https://www.home-assistant.io/dashboards/cards, each on a page of its own.
"""

import os
import re
from pathlib import Path

import pytest
import yaml

from iotd_homeassistant import PREFIX, HomeAssistant

EXAMPLES = Path(os.environ.get("IOTD_SOURCE", Path(__file__).parents[2])) / "conf/examples"
TOPIC = "iotd/greenhouse-1"

CARDS = {
    "vertical-stack": {"cards"},
    "horizontal-stack": {"cards"},
    "gauge": {"entity", "name", "min", "max", "needle", "segments", "severity"},
    "tile": {"entity", "name", "icon", "tap_action"},
    "button": {"name", "icon", "tap_action"},
    "entities": {"title", "entities"},
    "history-graph": {"title", "hours_to_show", "entities"},
}


@pytest.fixture
def view():
    return yaml.safe_load((EXAMPLES / "home-assistant-card.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def greenhouse(start_iotd, broker):
    """Start what greenhouse.conf says, on our broker and without its hardware."""

    def start():
        text = (EXAMPLES / "greenhouse.conf").read_text(encoding="utf-8")
        text = text.replace("mqtt://broker.example:1883", broker.url)
        text = re.sub(r"\b(username|password_file) = .*;", "", text)
        return start_iotd(text, options=["--simulate"])

    return start


def cards_of(node):
    """All cards, also those in others."""
    for card in node["cards"]:
        yield card
        if "cards" in card:
            yield from cards_of(card)


def entities_of(node):
    for card in cards_of(node):
        yield from [card["entity"]] if "entity" in card else []
        yield from (entry["entity"] for entry in card.get("entities", []))


def entity_id(entity):
    """As Home Assistant makes it when it first sees an entity that has a device: of both names.

    homeassistant/helpers/entity_platform.py and util.slugify(); MQTT's entities have has_entity_name.
    """
    name = f"{entity.config['device']['name']} {entity.config['name']}"
    return f"{entity.platform}.{re.sub('[^a-z0-9]+', '_', name.lower()).strip('_')}"


def test_each_card_is_one_of_home_assistants(view):
    assert view.keys() == {"title", "path", "icon", "cards"}
    for card in cards_of(view):
        assert card.keys() - {"type"} <= CARDS[card["type"]], card
        for entry in card.get("entities", []):
            assert entry.keys() <= {"entity", "name", "icon"}, entry
        if card["type"] == "gauge":
            assert card["entity"].startswith("sensor.") and card["min"] < card["max"]
            for segment in card.get("segments", []):
                assert segment.keys() == {"from", "color"} and card["needle"] is True
        if card["type"] == "tile":
            assert card["entity"].startswith("switch.") and card["tap_action"] == {"action": "toggle"}


def test_each_entity_is_one_that_iotd_tells_of(view, greenhouse, broker, clients):
    house = clients(broker.port, prefix=PREFIX)
    greenhouse()
    wanted = set(entities_of(view))
    assert len(wanted) > 10
    assistant = HomeAssistant()

    def is_known(message):
        assistant.receive(message.topic, message.payload)
        return wanted <= {entity_id(one) for one in assistant.entities.values()}

    house.messages.wait(is_known, hint=f"that tell of {wanted}")


def test_each_sensor_input_and_output_is_on_it(view):
    text = (EXAMPLES / "greenhouse.conf").read_text(encoding="utf-8")
    names = set(re.findall(r'\{ name = "(\w+)"', text))
    shown = {one.partition(".greenhouse_1_")[2].partition("_")[0] for one in entities_of(view)}
    assert len(names) == 9 and names <= shown


def test_what_its_button_sends_waters(view, greenhouse, clients, broker):
    client = clients(broker.port, prefix=TOPIC)
    greenhouse()
    client.state("pump", "off")
    [button] = [card for card in cards_of(view) if card["type"] == "button"]
    action = button["tap_action"]
    assert (action["action"], action["perform_action"]) == ("perform-action", "mqtt.publish")
    assert action.keys() == {"action", "perform_action", "data"}
    assert action["data"].keys() == {"topic", "payload"}
    assert action["data"]["topic"].startswith(TOPIC)
    client.publish(action["data"]["topic"].removeprefix(f"{TOPIC}/"), action["data"]["payload"])
    client.state("pump", "on")
