"""TLS goes by the name, although the connection goes to a checked address."""

import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from riptide.cache.loaders import LoaderUnavailable, LoadRequest
from riptide.errors import LoaderRefused
from tests.integration.loaders.origin import Script, always, answer, loading, serving


def certificate(folder: Path, *names: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context for `names`, and a client's that trusts only that certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_alternative(text) for text in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + built.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    client = ssl.create_default_context(cadata=built.public_bytes(serialization.Encoding.PEM).decode())
    return server, client


def _alternative(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def want(url: str) -> LoadRequest:
    return LoadRequest("acme", "pages", url)


async def test_the_name_is_sent_and_verified(tmp_path: Path) -> None:
    server, client = certificate(tmp_path, "origin.test")
    asked: list[str | None] = []
    server.sni_callback = lambda _, name, __: asked.append(name)
    async with (
        serving(always(answer(body=b"x")), tls=server) as origin,
        loading("origin.test", "other.test", tls=client) as loaders,
    ):
        loaded = await loaders.load("http", want(f"https://origin.test:{origin.port}/"))
        with pytest.raises(LoaderUnavailable, match="other\\.test"):
            await loaders.load("http", want(f"https://other.test:{origin.port}/"))
    assert loaded.value == b"x"
    assert asked == ["origin.test", "other.test"]
    assert origin.requests[0].headers["host"] == f"origin.test:{origin.port}"
    assert len(origin.requests) == 1


async def test_an_unknown_issuer_is_not_trusted(tmp_path: Path) -> None:
    server, _ = certificate(tmp_path, "origin.test")
    async with serving(always(answer(body=b"x")), tls=server) as origin, loading("origin.test") as loaders:
        with pytest.raises(LoaderUnavailable, match=r"(?i)certificate"):
            await loaders.load("http", want(f"https://origin.test:{origin.port}/"))
    assert origin.requests == []


async def test_tls_is_never_left(tmp_path: Path) -> None:
    server, client = certificate(tmp_path, "origin.test")
    async with serving(always(answer(body=b"plain"))) as plain:
        script: Script = always(answer(307, location=f"http://origin.test:{plain.port}/"))
        async with serving(script, tls=server) as origin, loading("origin.test", tls=client) as loaders:
            with pytest.raises(LoaderRefused, match="from https to http"):
                await loaders.load("http", want(f"https://origin.test:{origin.port}/"))
    assert plain.connections == 0
