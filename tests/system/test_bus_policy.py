# SPDX-License-Identifier: LGPL-2.1-or-later
"""conf/dbus: the bus's policy in a real dbus-daemon, and what its neighbours say. tests/vm/test-dbus has the real polkit.

The policy is about the users root and iotd; in the tests another user of this host plays iotd.
"""

import configparser
import os
import pwd
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from jeepney import DBusAddress, HeaderFields
from jeepney.bus_messages import message_bus

from iotd_bus import MANAGER, NAME, NOBODY, PATH, Bus, DBusError
from iotd_harness import ROOT

FOLDER = Path(os.environ.get("IOTD_SOURCE", ROOT)) / "conf/dbus"
IOTD = "daemon"  # who plays iotd: every Debian has it
INSTANCE = f"{NAME}.attic"
OWNER, DENIED = 1, "org.freedesktop.DBus.Error.AccessDenied"

needs_users = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be other users")


@pytest.fixture
def bus():
    """A bus with nothing but our policy on top of a system bus's own."""
    text = (FOLDER / "org.iotd1.conf").read_text(encoding="utf-8")
    assert text.count('user="iotd"') == 1
    one = Bus(start=False)
    policy = one.folder / "org.iotd1.conf"
    policy.write_text(text.replace('user="iotd"', f'user="{IOTD}"'), encoding="utf-8")
    one.start(f"<include>{policy}</include>")
    yield one
    one.close()


def own(peer, name):
    """RequestName's answer, or the error's name."""
    try:
        return peer.ask_bus(message_bus.RequestName(name))[0]
    except DBusError as error:
        return error.name


@needs_users
def test_nobody_but_iotd_and_root_is_iotd(bus):
    for uid in (pwd.getpwnam(IOTD).pw_uid, 0):
        peer = bus.client(uid)
        for name in (NAME, INSTANCE, f"{NAME}.a.b"):
            assert own(peer, name) == OWNER
        for name in (f"{NAME}x", "org.iotd2", "org.iotd"):
            assert own(peer, name) == DENIED
        for name in (NAME, INSTANCE, f"{NAME}.a.b"):
            peer.ask_bus(message_bus.ReleaseName(name))
    stranger = bus.client(NOBODY)
    for name in (NAME, INSTANCE, f"{NAME}.nobody"):
        assert own(stranger, name) == DENIED


@needs_users
@pytest.mark.parametrize("name", [NAME, INSTANCE])
def test_everybody_may_call_it_and_its_instances(bus, name):
    service = bus.client(pwd.getpwnam(IOTD).pw_uid)
    assert own(service, name) == OWNER
    for uid in (NOBODY, 0):
        caller = bus.client(uid)
        caller.begin("List", address=DBusAddress(PATH, name, MANAGER))
        got = service.messages.wait(
            lambda m, caller=caller: m.header.fields.get(HeaderFields.sender) == caller.name
        )
        assert got.header.fields[HeaderFields.member] == "List"


@needs_users
def test_nothing_else_on_the_bus_is_opened(bus):
    service, caller = bus.client(pwd.getpwnam(IOTD).pw_uid), bus.client(NOBODY)
    # it has none of our names, so a call of our interface is no reason to let it through
    error = caller.refused("List", address=DBusAddress(PATH, service.name, MANAGER))
    assert error.name == DENIED


def test_no_rule_says_more_than_one_thing():
    """Who does not know send_destination_prefix (dbus-broker) leaves it out, and takes what is left for the rule."""
    root = ET.parse(FOLDER / "org.iotd1.conf").getroot()
    rules = [rule for policy in root.iter("policy") for rule in policy]
    assert len(rules) == 4
    for rule in rules:
        [(key, value)] = rule.attrib.items()
        assert (rule.tag, value) == ("allow", NAME)
        assert key in ("own_prefix", "send_destination", "send_destination_prefix")


def test_activation_is_by_the_alias_that_an_enabled_unit_has():
    file = configparser.ConfigParser()
    file.optionxform = str
    file.read(FOLDER / "org.iotd1.service", encoding="utf-8")
    section = file["D-BUS Service"]
    assert (section["Name"], section["Exec"]) == (NAME, "/bin/false")
    units = (FOLDER.parents[1] / "systemd/meson.build").read_text(encoding="utf-8")
    assert re.findall(r"Alias=([\w.-]+)", units) == [section["SystemdService"]]


def test_polkits_action_is_the_one_that_is_asked_for():
    source = (FOLDER.parents[1] / "src/service/permission.c").read_text(encoding="utf-8")
    root = ET.parse(FOLDER / "org.iotd1.policy").getroot()
    [action] = root.iter("action")
    assert f'"{action.get("id")}"' in source
    assert f'action.id == "{action.get("id")}"' in (FOLDER / "org.iotd1.rules").read_text()
    details = re.findall(r"\$\((\w+)\)", action.find("message").text)
    assert details == ["verb", "name"] and all(f'"{detail}"' in source for detail in details)
    implicit = {one.tag: one.text for one in action.find("defaults")}
    assert set(implicit) == {"allow_any", "allow_inactive", "allow_active"}
    assert set(implicit.values()) <= {"auth_admin", "auth_admin_keep"}, "nobody without a password"
    [owner] = action.findall("annotate")
    assert (owner.get("key"), owner.text) == ("org.freedesktop.policykit.owner", "unix-user:iotd")
