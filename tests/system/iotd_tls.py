# SPDX-License-Identifier: LGPL-2.1-or-later
"""Certificates made for a test: an authority, those that it signs, and its revocations."""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOCAL = ("localhost", "127.0.0.1")


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _day(number):
    return datetime.utcnow() + timedelta(days=number)


def _alternative(host):
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


@dataclass
class Identity:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path
    x509: x509.Certificate

    @property
    def serial(self):
        return self.x509.serial_number

    @property
    def keys(self):
        """Of mqtt.tls, for a client."""
        return {"cert_file": str(self.certificate), "key_file": str(self.key)}

    @property
    def listener(self):
        """Of mosquitto's configuration."""
        return f"certfile {self.certificate}\nkeyfile {self.key}\n"

    def replace_by(self, other):
        """A renewed certificate, under the same names."""
        other.key.rename(self.key)
        other.certificate.rename(self.certificate)


class Authority:
    """A CA with its files in `folder`."""

    def __init__(self, folder, name="test CA"):
        self._folder = Path(folder)
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._count = 0
        certificate = self._build(self._name, self._key.public_key(), (-30, 30))
        certificate = certificate.add_extension(x509.BasicConstraints(True, None), True)
        self._certificate = certificate.sign(self._key, hashes.SHA256())
        self.file = self._write(f"{name.replace(' ', '-')}.pem", self._pem(self._certificate))

    def _write(self, name, data):
        path = self._folder / name
        path.write_bytes(data)
        return path

    @staticmethod
    def _pem(item):
        return item.public_bytes(serialization.Encoding.PEM)

    def _build(self, subject, public, days):
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name)
        builder = builder.public_key(public).serial_number(x509.random_serial_number())
        return builder.not_valid_before(_day(days[0])).not_valid_after(_day(days[1]))

    def issue(self, hosts=LOCAL, days=(-1, 30), passphrase=None):
        """A certificate for these hosts, good from one day to the other."""
        self._count += 1
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._build(_name(f"number {self._count}"), key.public_key(), days)
        names = x509.SubjectAlternativeName([_alternative(host) for host in hosts])
        certificate = builder.add_extension(names, False).sign(self._key, hashes.SHA256())
        form = serialization.NoEncryption()
        if passphrase:
            form = serialization.BestAvailableEncryption(passphrase)
        stem = f"{self.file.stem}-{self._count}"
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, form
        )
        return Identity(
            self._write(f"{stem}.crt", self._pem(certificate)),
            self._write(f"{stem}.key", pem),
            certificate,
        )

    def with_crl(self, *revoked, days=(-1, 30)):
        """A file with this CA and a CRL that has these certificates."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._name)
        builder = builder.last_update(_day(days[0])).next_update(_day(days[1]))
        for one in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(one.serial)
            builder = builder.add_revoked_certificate(entry.revocation_date(_day(-1)).build())
        crl = builder.sign(self._key, hashes.SHA256())
        return self._write("ca-and-crl.pem", self._pem(self._certificate) + self._pem(crl))

    @property
    def demand(self):
        """Of mosquitto's configuration: clients need a certificate of this CA."""
        return f"cafile {self.file}\nrequire_certificate true\n"

    def server(self, identity, version=None, clients=False):
        """Python's TLS for a server; `version`: the only one; `clients`: they need certificates."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(identity.certificate, identity.key)
        if version:
            context.minimum_version = context.maximum_version = version
        if clients:
            context.load_verify_locations(self.file)
            context.verify_mode = ssl.CERT_REQUIRED
        return context
