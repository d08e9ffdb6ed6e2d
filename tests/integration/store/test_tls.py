"""TLS: certificates are checked both ways, and a failure says what is wrong."""

import datetime
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from riptide.config import Settings
from riptide.errors import ServerUnavailable
from tests.integration.store.faces import Face, op, settings
from tests.servers import ServerProcess
from tests.servers.ports import free_port

Open = Callable[[Settings], Face]


@dataclass(frozen=True)
class Authority:
    """A certificate authority whose files lie in `folder`."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, folder: Path) -> "Authority":
        folder.mkdir()
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(folder.name)
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            _builder(name, name, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .sign(key, hashes.SHA256())
        )
        (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(folder, key, certificate)

    @property
    def file(self) -> str:
        return str(self.folder / "ca.pem")

    def issue(self, name: str, address: str = "127.0.0.1") -> tuple[str, str]:
        """Files of a certificate for `address` and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        certificate = (
            _builder(_name(name), self.certificate.subject, key)
            .add_extension(names, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        files = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return str(files[0]), str(files[1])


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.make(tmp_path / "authority")


@pytest.fixture
def tls_server(
    private_server: Callable[..., ServerProcess], authority: Authority
) -> Callable[..., ServerProcess]:
    """`tls_server(clients="no", address="127.0.0.1")`: Debian's Redis with a certificate for `address`."""

    def start(clients: str = "no", address: str = "127.0.0.1") -> ServerProcess:
        certificate, key = authority.issue("server", address)
        return private_server(
            "redis7",
            aof=False,
            tls_port=free_port(),
            tls_cert_file=certificate,
            tls_key_file=key,
            tls_ca_cert_file=authority.file,
            tls_auth_clients=clients,
        )

    return start


def tls(server: ServerProcess, **redis: Any) -> Settings:
    return settings(f"rediss://127.0.0.1:{server.options['tls_port']}", **({"retry_attempts": 1} | redis))


async def test_a_known_authority(
    tls_server: Callable[..., ServerProcess], authority: Authority, opened: Open
) -> None:
    store = opened(tls(tls_server(), tls_ca_certs=authority.file))
    await store.run(op("SET", "key", "value"))
    assert await store.run_all([op("GET", "key")] * 3) == [b"value"] * 3


async def test_an_unknown_authority_is_refused(
    tls_server: Callable[..., ServerProcess], tmp_path: Path, opened: Open
) -> None:
    server = tls_server()
    other = Authority.make(tmp_path / "other")
    for given in ({"tls_ca_certs": other.file}, {}):
        with pytest.raises(ServerUnavailable, match=r"(?i)certificate verify failed"):
            await opened(tls(server, **given)).run(op("GET", "key"))
    assert await opened(tls(server, tls_verify=False)).run(op("GET", "key")) is None


async def test_a_certificate_for_another_host_is_refused(
    tls_server: Callable[..., ServerProcess], authority: Authority, opened: Open
) -> None:
    server = tls_server(address="127.0.0.2")
    with pytest.raises(ServerUnavailable, match=r"(?i)certificate.*127\.0\.0\.1"):
        await opened(tls(server, tls_ca_certs=authority.file)).run(op("GET", "key"))


async def test_client_certificates(
    tls_server: Callable[..., ServerProcess], authority: Authority, opened: Open
) -> None:
    server = tls_server(clients="yes")
    certificate, key = authority.issue("client")
    with pytest.raises(ServerUnavailable, match="cannot be reached"):
        await opened(tls(server, tls_ca_certs=authority.file)).run(op("GET", "key"))
    own = {"tls_certfile": certificate, "tls_keyfile": key, "tls_ca_certs": authority.file}
    assert await opened(tls(server, **own)).run(op("GET", "key")) is None


async def test_a_missing_file_is_told(
    tls_server: Callable[..., ServerProcess], tmp_path: Path, opened: Open
) -> None:
    with pytest.raises(ServerUnavailable, match="No such file"):
        await opened(tls(tls_server(), tls_ca_certs=str(tmp_path / "none.pem"))).run(op("GET", "key"))
