"""What makes an Apache Kafka a secured one: certificates, users and properties.

Its second listener takes TLS and SCRAM-SHA-512 only, and nothing is allowed there that an access control list does not
allow. The first one is plain, and whoever uses it may do everything: it is for the test itself.
"""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ostraka_issuer.desk.ports import LOCALHOST

_DAYS = 2


@dataclass(frozen=True)
class Certificates:
    """Files in PEM: who vouches for the broker, and the broker's own key and certificate."""

    authority: Path
    broker: Path


def make_certificates(directory: Path) -> Certificates:
    """Make an authority and, for 127.0.0.1, a broker that it vouches for."""
    authority_key, broker_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _certificate("Test authority", authority_key, "Test authority", authority_key, is_authority=True)
    broker = _certificate("Test broker", broker_key, "Test authority", authority_key, is_authority=False)
    private = broker_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    made = Certificates(directory / "authority.pem", directory / "broker.pem")
    made.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    made.broker.write_bytes(private + broker.public_bytes(serialization.Encoding.PEM))
    return made


def secured_properties(certificates: Certificates) -> dict[str, str]:
    """Broker properties, for ``ApacheKafka(extra=…)``."""
    plain, secured = f"PLAINTEXT://{LOCALHOST}:{{port}}", f"SASL_SSL://{LOCALHOST}:{{second_port}}"
    return {
        "listeners": f"{plain},{secured},CONTROLLER://{LOCALHOST}:{{controller_port}}",
        "advertised.listeners": f"{plain},{secured}",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificates.broker),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(certificates.authority),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "allow.everyone.if.no.acl.found": "false",
    }


def user_arguments(passwords: dict[str, str]) -> list[str]:
    """Arguments that create users with these passwords, for ``ApacheKafka(format_arguments=…)``."""
    return [
        part
        for name, password in passwords.items()
        for part in ("--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]")
    ]


def _certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not is_authority:
        names = [x509.IPAddress(ipaddress.ip_address(LOCALHOST))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
