# SPDX-License-Identifier: LGPL-2.1-or-later
"""mqtts://: who is believed, who is refused in which words, what a renewed file does (issue 7).

The CA and all certificates are made here. Brokers are mosquitto; where it cannot be told to behave
so, Python's own TLS with the scripted MQTT server of iotd_peer.py.
"""

import signal
import socket
import ssl
import time
import warnings

import pytest

from iotd_harness import (
    SLOW,
    History,
    configuration,
    file_sensor,
    free_port,
    run_iotd,
)
from iotd_metronome import longest_gap
from iotd_tls import Authority

KEY, OTHER_KEY = "0123456789abcdef", "fedcba9876543210"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def stranger(tmp_path):
    """A CA that nobody knows."""
    return Authority(tmp_path, "other CA")


@pytest.fixture
def secure(brokers):
    """Start a broker with TLS, and a listener without for the test itself: secure(settings)."""

    def start(settings):
        plain = free_port()
        broker = brokers(f"{settings}listener {plain} 127.0.0.1\nallow_anonymous true\n")
        broker.plain = plain
        broker.url = f"mqtts://127.0.0.1:{broker.port}"
        return broker

    return start


@pytest.fixture
def client_of(clients):
    return lambda broker: clients(broker.plain)


@pytest.fixture
def tls_peers(peers):
    """Start servers of Python's TLS that speak MQTT: tls_peers(context, met=None)."""

    def start(context, met=None):
        def behave(session):
            with context.wrap_socket(session.socket, server_side=True) as session.socket:
                if met:
                    met(session.socket)
                session.greet()
                session.serve()

        peer = peers(behave)
        peer.url = f"mqtts://127.0.0.1:{peer.port}"
        return peer

    return start


@pytest.fixture
def start(start_iotd, value_file):
    """Start an iotd: start(url, **keys of mqtt.tls)."""

    def run(url, mqtt=None, env=None, options=(), **tls):
        text = configuration(
            url, mqtt={**({"tls": tls} if tls else {}), **(mqtt or {})},
            sensors=[file_sensor(value_file)],
        )
        return start_iotd(text, env=env, options=options)

    return run


def refusal(daemon):
    """The line that says why there is no connection: the first one."""
    return daemon.log.wait(
        lambda line: "cannot connect to" in line.text, timeout=20 * SLOW
    ).text


def hang_up(daemon):
    since = daemon.supervisor.events.mark()
    daemon.signal(signal.SIGHUP)
    daemon.supervisor.wait("RELOADING", "1", since=since)
    daemon.supervisor.wait("READY", "1", since=since)


def assert_never_came(broker):
    assert not broker.log.all(lambda line: " as iotd-test" in line.text)


# --- what works --------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("protocol", [4, 5])
def test_readings_arrive(secure, client_of, authority, start, host, protocol):
    broker = secure(authority.issue().listener)
    client = client_of(broker)
    url = f"mqtts://{host}:{broker.port}"
    daemon = start(url, ca_file=authority.file, mqtt={"protocol": protocol})
    client.wait("status", "online")
    client.wait("sensor/air", count=5)
    assert client.result("ping")
    daemon.supervisor.status(lambda text: f"connected to {url}" in text)
    assert daemon.stop()[0] == 0
    client.wait("status", "offline")


def test_not_a_byte_leaves_in_the_clear(peers, authority, start):
    heard = History("first bytes")
    peer = peers(lambda session: heard.add(session.socket.recv(4096)))
    start(
        f"mqtts://127.0.0.1:{peer.port}",
        ca_file=authority.file,
        mqtt={"username": "iotd", "password": "secret"},
    )
    for data in heard.wait(lambda data: True, count=20, timeout=40 * SLOW):
        assert data[:2] == b"\x16\x03", data  # RFC 8446, 5.1: a handshake
        assert b"MQTT" not in data and b"secret" not in data


def test_the_host_and_the_protocol_are_asked_for(tls_peers, authority, start):
    asked = History("host names")
    context = authority.server(authority.issue())
    context.sni_callback = lambda _socket, name, _context: asked.add(name)
    context.set_alpn_protocols(["other", "mqtt"])
    met = History("protocols")
    peer = tls_peers(context, lambda line: met.add(line.selected_alpn_protocol()))
    start(f"mqtts://localhost:{peer.port}", ca_file=authority.file, alpn="mqtt")
    assert met.wait(lambda protocol: True) == "mqtt"
    assert asked.all()[0] == "localhost"


def test_an_address_is_no_host_name(tls_peers, authority, start):
    asked = History("host names")
    context = authority.server(authority.issue())
    context.sni_callback = lambda _socket, name, _context: asked.add(name)
    start(tls_peers(context).url, ca_file=authority.file)
    assert asked.wait(lambda name: True, hint="or none") is None


def test_the_systems_cas_are_the_default(secure, client_of, authority, start):
    """SSL_CERT_FILE is OpenSSL's: where the system's are."""
    broker = secure(authority.issue().listener)
    start(broker.url, env={"SSL_CERT_FILE": str(authority.file)})
    client_of(broker).wait("status", "online")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate(tls_peers, authority, start, version):
    ours, met = authority.issue(["greenhouse"]), History("certificates")
    context = authority.server(authority.issue(), version, clients=True)
    peer = tls_peers(context, lambda line: met.add(line.getpeercert()))
    start(peer.url, ca_file=authority.file, **ours.keys)
    assert int(met.wait(lambda one: True)["serialNumber"], 16) == ours.serial
    peer.messages.wait(lambda message: message.topic.endswith("/sensor/air"))


def test_certificate_and_key_in_one_file(secure, client_of, authority, start, tmp_path):
    broker = secure(authority.issue().listener + authority.demand)
    ours, both = authority.issue(), tmp_path / "both.pem"
    both.write_bytes(ours.certificate.read_bytes() + ours.key.read_bytes())
    start(broker.url, ca_file=authority.file, cert_file=both)
    client_of(broker).wait("status", "online")


def test_credentials_of_systemd(secure, client_of, authority, start, tmp_path):
    broker = secure(authority.issue().listener + authority.demand)
    ours, folder = authority.issue(), tmp_path / "credentials"
    folder.mkdir()
    for name, file in (("ca", authority.file), ("cert", ours.certificate), ("key", ours.key)):
        (folder / f"tls-{name}").write_bytes(file.read_bytes())
    start(broker.url, env={"CREDENTIALS_DIRECTORY": str(folder)})
    client_of(broker).wait("status", "online")


@pytest.mark.parametrize("size", [14000, 20000, 300000])  # in a TLS record, in two, in many
def test_large_messages_are_answered_and_cut(secure, client_of, authority, start_iotd, size):
    broker = secure(authority.issue().listener)
    client = client_of(broker)
    tls = {"tls": {"ca_file": authority.file}}
    start_iotd(configuration(broker.url, mqtt=tls, stats={"interval": "1h"}))  # all else is quiet
    client.wait("status", "online")
    for _ in range(5):
        since = client.mark()
        client.publish("command", b"x" * size)
        client.wait("reply", match=lambda message: not message.json["ok"], since=since)
    assert client.result("stats")["connects"] == 1


def test_readings_of_an_outage_arrive(secure, client_of, authority, start, proxies):
    broker = secure(authority.issue().listener)
    client, link = client_of(broker), proxies(broker.port)
    start(f"mqtts://127.0.0.1:{link.port}", ca_file=authority.file)
    client.wait("sensor/air", count=3)
    link.cut()
    client.wait("status", "offline")
    link.slam()  # during the handshake
    link.accepted.wait(lambda line: line.text == "slam", count=3)
    since = client.mark()
    link.forward()
    client.wait("status", "online", since=since)
    client.settle()
    times = [message.time for message in client.all("sensor/air")]
    assert longest_gap(times) < 0.3 * SLOW


# --- who is refused ----------------------------------------------------------------------------


CERTIFICATES = {
    "expired": ({"days": (-10, -1)}, "the broker's certificate has expired, on 20"),
    "not yet": ({"days": (1, 10)}, "the broker's certificate is not valid yet, until 20"),
    "another host": (
        {"hosts": ["other.test"]},
        'is for another host: for DNS:other.test, and not for "127.0.0.1"',
    ),
    "half a name": (
        {"hosts": ["127.0.0.2", "*.0.0.1"]},
        "is for another host",
    ),
}


@pytest.mark.parametrize("what", CERTIFICATES)
def test_a_bad_certificate(secure, authority, start, what):
    made_with, words = CERTIFICATES[what]
    broker = secure(authority.issue(**made_with).listener)
    line = refusal(start(broker.url, ca_file=authority.file))
    assert words in line
    assert_never_came(broker)


def test_a_certificate_for_the_address_is_none_for_the_name(secure, authority, start):
    broker = secure(authority.issue(["127.0.0.1", "*.localhost", "local*"]).listener)
    line = refusal(start(f"mqtts://localhost:{broker.port}", ca_file=authority.file))
    assert "is for another host: for IP Address:127.0.0.1" in line
    assert 'and not for "localhost"' in line
    assert_never_came(broker)


def test_an_unknown_ca(secure, authority, stranger, start):
    broker = secure(stranger.issue().listener)
    line = refusal(start(broker.url, ca_file=authority.file))
    assert 'from an unknown CA, "CN = other CA"' in line and "mqtt.tls.ca_file" in line
    assert_never_came(broker)


def test_the_systems_cas_do_not_know_ours(secure, authority, start):
    broker = secure(authority.issue().listener)
    assert 'from an unknown CA, "CN = test CA"' in refusal(start(broker.url))
    assert_never_came(broker)


def test_a_revoked_certificate(secure, client_of, authority, start):
    bad, good = authority.issue(), authority.issue()
    crl = authority.with_crl(bad)
    broker = secure(bad.listener)
    line = refusal(start(broker.url, ca_file=crl))
    assert "the broker's certificate is revoked" in line
    assert_never_came(broker)
    broker = secure(good.listener)
    start(broker.url, ca_file=crl)
    client_of(broker).wait("status", "online")


def test_a_crl_that_is_out_of_date(secure, authority, start):
    broker = secure(authority.issue().listener)
    crl = authority.with_crl(days=(-10, -1))
    assert "the CRL in mqtt.tls.ca_file is out of date" in refusal(start(broker.url, ca_file=crl))


def test_verification_can_be_switched_off_and_that_is_told_once(
    secure, client_of, stranger, start
):
    broker = secure(stranger.issue(["other.test"], days=(-10, -1)).listener)
    client = client_of(broker)
    daemon = start(broker.url, verify=False)
    client.wait("status", "online")
    since = client.mark()
    broker.restart()
    client.wait("status", "online", since=since)
    daemon.log.wait(lambda line: "mqtt.tls.verify is false" in line.text)
    told = daemon.log.all(lambda line: "mqtt.tls.verify is false" in line.text)
    assert len(told) == 1, daemon.text()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_broker_that_wants_a_client_certificate(tls_peers, authority, start, version):
    context = authority.server(authority.issue(), version, clients=True)
    line = refusal(start(tls_peers(context).url, ca_file=authority.file))
    assert "the broker refuses us: it wants a client certificate" in line


def test_mosquitto_wants_a_client_certificate(secure, authority, start):
    broker = secure(authority.issue().listener + authority.demand)
    line = refusal(start(broker.url, ca_file=authority.file))
    assert "the broker refuses us: it wants a client certificate" in line


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_that_the_broker_does_not_take(
    tls_peers, authority, stranger, start, version
):
    context = authority.server(authority.issue(), version, clients=True)
    line = refusal(start(tls_peers(context).url, ca_file=authority.file, **stranger.issue().keys))
    assert "it does not know the CA of our certificate" in line


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_our_own_certificate_has_expired(tls_peers, authority, start, version):
    context = authority.server(authority.issue(), version, clients=True)
    ours = authority.issue(days=(-10, -1))
    line = refusal(start(tls_peers(context).url, ca_file=authority.file, **ours.keys))
    assert "our certificate has expired" in line


def test_a_key_that_is_another_ones(secure, authority, start):
    broker = secure(authority.issue().listener)
    keys = {**authority.issue().keys, "key_file": str(authority.issue().key)}
    line = refusal(start(broker.url, ca_file=authority.file, **keys))
    assert f'the key in "{keys["key_file"]}" does not belong to the certificate in' in line
    assert_never_came(broker)


def test_a_key_that_is_encrypted(secure, authority, start):
    broker = secure(authority.issue().listener)
    ours = authority.issue(passphrase=b"secret")
    assert "is encrypted" in refusal(start(broker.url, ca_file=authority.file, **ours.keys))


@pytest.mark.parametrize("key", ["ca_file", "cert_file", "key_file"])
def test_a_file_with_something_else_in_it(secure, authority, start, value_file, key):
    broker = secure(authority.issue().listener)
    keys = {"ca_file": authority.file, **authority.issue().keys, key: value_file}
    line = refusal(start(broker.url, **keys))
    assert f'"{value_file}" has no' in line and "that can be used" in line


def test_a_file_that_is_gone_and_comes_back(secure, client_of, authority, start, tmp_path):
    broker = secure(authority.issue().listener)
    client, aside = client_of(broker), tmp_path / "aside"
    daemon = start(broker.url, ca_file=authority.file, options=["--log-level", "debug"])
    client.wait("status", "online")
    authority.file.rename(aside)
    broker.restart()
    words = f'cannot read "{authority.file}": no such file or directory'
    daemon.log.wait(lambda line: words in line.text)
    since = client.mark()
    aside.rename(authority.file)
    client.wait("status", "online", since=since)


def test_an_old_version_of_tls(tls_peers, authority, start):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = authority.server(authority.issue(), ssl.TLSVersion.TLSv1_1)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    line = refusal(start(tls_peers(context).url, ca_file=authority.file))
    assert "speaks no version of TLS that we do: 1.2 or 1.3" in line or "old version" in line


def test_a_server_without_our_protocol_may_go_on(tls_peers, authority, start):
    """RFC 7301 has it refuse us (alert 120), but not all do."""
    context = authority.server(authority.issue())
    context.set_alpn_protocols(["other"])
    met = History("protocols")
    start(
        tls_peers(context, lambda line: met.add(line.selected_alpn_protocol())).url,
        ca_file=authority.file,
        alpn="mqtt",
    )
    assert met.wait(lambda protocol: True, hint="or none") is None


def test_a_broker_without_tls(broker, start):
    line = refusal(start(f"mqtts://127.0.0.1:{broker.port}"))
    assert "port for TLS" in line or "does not speak TLS" in line


def test_an_answer_that_is_not_tls(peers, start):
    peer = peers(lambda session: session.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    line = refusal(start(f"mqtts://127.0.0.1:{peer.port}"))
    assert "does not speak TLS" in line


@pytest.mark.parametrize("count", [1, 100])
def test_a_broker_that_is_gone_in_the_handshake(peers, start, count):
    peer = peers(lambda session: session.socket.recv(count))
    line = refusal(start(f"mqtts://127.0.0.1:{peer.port}"))
    assert "closed the connection during the TLS handshake" in line


def test_a_silent_server_costs_nothing_but_time(peers, start):
    def behave(session):
        while session.socket.recv(4096):
            pass

    daemon = start(f"mqtts://127.0.0.1:{peers(behave).port}")
    before = daemon.cpu()
    assert "says nothing in TLS" in refusal(daemon)
    assert daemon.cpu() - before < 0.5 * SLOW


def test_a_stop_does_not_wait_for_a_silent_server(peers, start):
    peer = peers(lambda session: session.socket.recv(4096) and session.socket.recv(4096))
    daemon = start(f"mqtts://127.0.0.1:{peer.port}")
    begin = peer.accepted.wait(lambda _: True).at
    assert daemon.stop()[0] == 0
    assert time.monotonic() - begin < 10, "the end of the attempt is not awaited"


# --- PSK: mosquitto speaks TLS 1.2 with it; for 1.3 see tests/unit/test-tls.c --------------------


@pytest.fixture
def psk(secure, start, tmp_path):
    """Start a broker that knows `greenhouse` by KEY, and an iotd: psk(identity, key)."""
    known = tmp_path / "known"
    known.write_text(f"greenhouse:{KEY}\n", encoding="ascii")

    def run(identity, key, env=None):
        broker = secure(f"psk_hint test\npsk_file {known}\n")
        ours, keys = tmp_path / "psk", {"psk_identity": identity}
        if key:
            ours.write_text(f"{key}\n", encoding="ascii")
            keys["psk_file"] = ours
        return broker, start(broker.url, env=env, **keys)

    return run


def test_a_psk(psk, client_of):
    broker, daemon = psk("greenhouse", KEY.upper())
    client_of(broker).wait("status", "online")
    assert KEY not in daemon.text().lower()


def test_a_psk_from_a_credential(psk, client_of, tmp_path):
    (tmp_path / "tls-psk").write_text(KEY, encoding="ascii")
    broker, _ = psk("greenhouse", None, env={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    client_of(broker).wait("status", "online")


def test_a_wrong_psk(psk):
    broker, daemon = psk("greenhouse", OTHER_KEY)
    assert "it has another PSK for our identity" in refusal(daemon)
    assert_never_came(broker)


def test_an_unknown_psk_identity(psk):
    broker, daemon = psk("attic", KEY)
    assert "know our PSK identity" in refusal(daemon)
    assert_never_came(broker)


@pytest.mark.parametrize("key", ["no hexadecimal", "abc", ""])
def test_a_file_without_a_psk(psk, key):
    _, daemon = psk("greenhouse", f"{key}\n")
    assert 'has no PSK' in refusal(daemon)


def test_a_certificate_is_no_psk(secure, authority, start, tmp_path):
    """Whoever has a certificate, a good one even, has not proved to know the key."""
    broker = secure(authority.issue().listener)
    (tmp_path / "psk").write_text(KEY, encoding="ascii")
    line = refusal(start(broker.url, psk_identity="greenhouse", psk_file=tmp_path / "psk"))
    assert "does not take our PSK" in line or "takes no PSK" in line
    assert_never_came(broker)


# --- files that are renewed ----------------------------------------------------------------------


def test_a_reload_takes_a_renewed_certificate(tls_peers, authority, start):
    ours, met = authority.issue(), History("certificates")
    context = authority.server(authority.issue(), clients=True)
    peer = tls_peers(context, lambda line: met.add(int(line.getpeercert()["serialNumber"], 16)))
    daemon = start(peer.url, ca_file=authority.file, **ours.keys)
    peer.messages.wait(lambda message: message.topic.endswith("/status"))
    hang_up(daemon)
    renewed = authority.issue()
    ours.replace_by(renewed)
    assert met.all() == [ours.serial], "the same files are no reason to connect anew"
    hang_up(daemon)
    assert met.wait(lambda serial: serial == renewed.serial)
    hang_up(daemon)
    said = lambda message: message.topic.endswith("/status") and message.payload == b"offline"
    peer.messages.wait(said)
    assert met.all() == [ours.serial, renewed.serial]


def test_a_reload_with_half_a_renewal_is_refused(tls_peers, authority, start):
    ours, met = authority.issue(), History("certificates")
    context = authority.server(authority.issue(), clients=True)
    peer = tls_peers(context, lambda line: met.add(int(line.getpeercert()["serialNumber"], 16)))
    daemon = start(peer.url, ca_file=authority.file, **ours.keys)
    peer.messages.wait(lambda message: message.topic.endswith("/status"))
    renewed = authority.issue()
    renewed.key.rename(ours.key)
    hang_up(daemon)
    line = daemon.log.wait(lambda line: "reload refused" in line.text).text
    assert f'mqtt.tls: the key in "{ours.key}" does not belong to the certificate' in line
    since = peer.messages.mark()
    peer.messages.wait(lambda message: message.topic.endswith("/sensor/air"), since=since)
    assert met.all() == [ours.serial]
    renewed.certificate.rename(ours.certificate)
    hang_up(daemon)
    assert met.wait(lambda serial: serial == renewed.serial)


def test_the_next_connection_takes_a_renewed_certificate(tls_peers, authority, start):
    ours, met = authority.issue(), History("certificates")
    lines = History("connections")

    def meet(line):
        lines.add(line)
        met.add(int(line.getpeercert()["serialNumber"], 16))

    context = authority.server(authority.issue(), clients=True)
    peer = tls_peers(context, meet)
    start(peer.url, ca_file=authority.file, **ours.keys)
    peer.messages.wait(lambda message: message.topic.endswith("/status"))
    renewed = authority.issue()
    ours.replace_by(renewed)
    lines.all()[0].shutdown(socket.SHUT_RDWR)
    assert met.wait(lambda serial: serial == renewed.serial)


def test_check_names_the_file_that_cannot_be_read(tmp_path):
    config = tmp_path / "t.conf"
    config.write_text(
        'mqtt = { broker = "mqtts://a";\n  tls = { ca_file = "/no/where"; }; };', encoding="ascii"
    )
    done = run_iotd("--check", "--config", config)
    assert done.returncode == 78
    assert done.stderr == (
        f'{config}:2: mqtt.tls.ca_file: cannot read "/no/where": No such file or directory\n'
    )
