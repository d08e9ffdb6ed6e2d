"""Tokens: what is right is let in, and each way of being wrong is refused."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from riptide.api.access.caller import Caller
from riptide.api.access.jwks import KeySet, KeySetUnavailable, read_source, usable_keys
from riptide.api.access.tokens import Tokens
from riptide.api.access.verify import Refused, Verdict
from riptide.clock import SystemClock
from riptide.config import ApiSettings, SecuritySettings, Settings
from riptide.store.operation import Call
from tests.support.clock import StillClock

ISSUER, AUDIENCE = "https://id.example", "riptide"
ED, OTHER_ED = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
RSA = rsa.generate_private_key(65537, 2048)
SHORT_RSA = rsa.generate_private_key(65537, 1024)  # noqa: S505 - it is to be refused
EC, ED448 = ec.generate_private_key(ec.SECP256R1()), ed448.Ed448PrivateKey.generate()


def jwk(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    algorithms = jwt.algorithms.get_default_algorithms()
    kinds = {rsa.RSAPublicKey: "RS256", ec.EllipticCurvePublicKey: "ES256"}
    public = key.public_key()
    name = next((name for kind, name in kinds.items() if isinstance(public, kind)), "EdDSA")
    written: dict[str, Any] = json.loads(algorithms[name].to_jwk(public))
    return written | {"kid": kid} | more


KEYS = {
    "keys": [
        jwk(ED, "ed", use="sig"),
        jwk(RSA, "rsa", alg="RS256"),
        jwk(SHORT_RSA, "short"),
        jwk(EC, "ec"),
        jwk(ED448, "ed448"),
        jwk(OTHER_ED, "enc", use="enc"),
        jwk(RSA, "ps", alg="PS256"),
        {"kty": "oct", "k": "c2VjcmV0LXRoYXQtaXMtcHVibGlj", "kid": "oct", "alg": "HS256"},
        jwk(OTHER_ED, "private") | {"d": "AAAA"},
        "no key",
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "broken2"},
    ]
}
CLAIMS: dict[str, Any] = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "role": "operator"}


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(KEYS))
    return path


def settings(source: object, *, rbac: bool = True, **more: Any) -> Settings:
    api = ApiSettings(jwt_jwks=str(source), jwt_issuer=ISSUER, jwt_audience=AUDIENCE, **more)
    return Settings(api=api, security=SecuritySettings(enable_rbac=rbac))


def judged(tokens: Tokens, token: str) -> Verdict:
    flow = tokens.verify(token)
    try:
        step = next(flow)
        while True:
            assert isinstance(step, Call)
            step.function()
            step = next(flow)
    except StopIteration as end:
        verdict: Verdict = end.value
        return verdict


def at_once(function: Callable[[], Any]) -> Any:
    return function()


@pytest.fixture
def tokens(key_file: Path) -> Tokens:
    return Tokens(settings(key_file), SystemClock(), at_once)


def signed(
    key: Any = ED, kid: str | None = "ed", alg: str = "EdDSA", header: Any = None, **claims: Any
) -> str:
    given = CLAIMS | {"exp": time.time() + 60} | claims
    given = {name: value for name, value in given.items() if value is not None}
    headers = ({} if kid is None else {"kid": kid}) | (header or {})
    return jwt.encode(given, key, algorithm=alg, headers=headers)


def raw(header: dict[str, Any], secret: bytes = b"", **claims: Any) -> str:
    """A token that no library would write."""
    payload = CLAIMS | {"exp": time.time() + 60} | claims
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in (header, payload)
    ]
    text = ".".join(parts)
    signature = hmac.new(secret, text.encode(), hashlib.sha256).digest() if secret else b""
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def public_pem(key: Any) -> bytes:
    encoding = serialization.Encoding.PEM
    found: bytes = key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
    return found


def test_who_is_let_in(tokens: Tokens) -> None:
    assert judged(tokens, signed()) == Caller("jwt:ada", "ada", "operator")
    assert judged(tokens, signed(RSA, "rsa", "RS256", role="viewer")) == Caller("jwt:ada", "ada", "viewer")
    theirs = judged(tokens, signed(role="tenant", tenant="acme", aud=["x", AUDIENCE]))
    assert theirs == Caller("jwt:ada", "ada", "tenant", "acme")


ATTACKS: dict[str, Callable[[], str]] = {
    "no exp": lambda: signed(exp=None),
    "exp is no number": lambda: signed(exp="never"),
    "expired": lambda: signed(exp=time.time() - 60),
    "not yet valid": lambda: signed(nbf=time.time() + 60),
    "issued in the future": lambda: signed(iat=time.time() + 60),
    "no aud": lambda: signed(aud=None),
    "another aud": lambda: signed(aud="shop"),
    "no iss": lambda: signed(iss=None),
    "another iss": lambda: signed(iss=ISSUER + "/"),
    "no sub": lambda: signed(sub=None),
    "empty sub": lambda: signed(sub=""),
    "sub with a line break": lambda: signed(sub="ada\nroot"),
    "no role": lambda: signed(role=None),
    "unknown role": lambda: signed(role="root"),
    "a list of roles": lambda: signed(role=["admin"]),
    "tenant without one": lambda: signed(role="tenant"),
    "admin of a tenant": lambda: signed(role="admin", tenant="acme"),
    "a tenant that leads elsewhere": lambda: signed(role="tenant", tenant="a}:x"),
    "a tenant that is no text": lambda: signed(role="tenant", tenant={"a": 1}),
    "no kid": lambda: signed(kid=None),
    "unknown kid": lambda: signed(kid="nobody"),
    "another key": lambda: signed(OTHER_ED),
    "a key for encryption": lambda: signed(OTHER_ED, "enc"),
    "a private key in the set": lambda: signed(OTHER_ED, "private"),
    "another curve": lambda: signed(ED448, "ed448"),
    "EC": lambda: signed(EC, "ec", "ES256"),
    "a short RSA key": lambda: signed(SHORT_RSA, "short", "RS256"),
    "PS256": lambda: signed(RSA, "ps", "PS256"),
    "RS512 by a key for RS256": lambda: signed(RSA, "rsa", "RS512"),
    "RS256 by the kid of an Ed25519 key": lambda: signed(RSA, "ed", "RS256"),
    "EdDSA by the kid of an RSA key": lambda: signed(ED, "rsa"),
    "critical header": lambda: signed(header={"crit": ["x"], "x": 1}),
    "none": lambda: raw({"alg": "none", "kid": "ed"}),
    "None": lambda: raw({"alg": "NoNe", "kid": "rsa"}),
    "HMAC by the public key": lambda: raw({"alg": "HS256", "kid": "rsa"}, public_pem(RSA)),
    "HMAC by the secret in the set": lambda: raw({"alg": "HS256", "kid": "oct"}, b"secret-that-is-public"),
    "a key of its own": lambda: signed(OTHER_ED, header={"jwk": jwk(OTHER_ED, "ed")}),
    "a key from elsewhere": lambda: signed(OTHER_ED, header={"jku": "https://evil.example/jwks"}),
    "kid that is no text": lambda: raw({"alg": "EdDSA", "kid": ["ed"]}),
    "signature cut off": lambda: signed().rpartition(".")[0] + ".",
    "claims changed": lambda: ".".join(
        (signed().split(".")[0], signed(role="admin").split(".")[1], signed().split(".")[2])
    ),
    "too long": lambda: signed(more="x" * 9000),
    "no token": lambda: "a.b.c",
    "bytes": lambda: "\udcff.\u0000.é",
    "empty parts": lambda: "..",
}


@pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits")
@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_refused(tokens: Tokens, attack: str) -> None:
    token = ATTACKS[attack]()
    verdict = judged(tokens, token)
    assert isinstance(verdict, Refused), verdict
    assert token not in verdict.why


def test_without_roles_any_will_do(key_file: Path) -> None:
    found = judged(Tokens(settings(key_file, rbac=False), SystemClock(), at_once), signed(role="viewer"))
    assert isinstance(found, Caller)
    assert found.may("tenants:write")


class _Source:
    """A key set that is rotated, or cannot be reached, and how often it was read."""

    def __init__(self) -> None:
        self.keys: list[Any] | None = [jwk(ED, "1")]
        self.reads = 0

    def __call__(self, _: str) -> bytes:
        self.reads += 1
        if self.keys is None:
            raise OSError("not there")
        return json.dumps({"keys": self.keys}).encode()


def test_the_set_is_read_again_for_an_unknown_key_now_and_then() -> None:
    api, clock, source = settings("keys.json", jwt_retry_seconds=30).api, StillClock(), _Source()
    found = KeySet(api, clock, source)

    def find(kid: str) -> bool:
        if found.is_due(kid):
            found.refresh(kid)
        return found.find(kid) is not None

    assert find("1")
    for _ in range(100):
        assert not find("2")
    assert source.reads == 1, "unknown keys cost the provider nothing"
    source.keys = [jwk(ED, "2")]
    clock.seconds += 30
    assert find("2")
    assert not find("1"), "a key that was withdrawn"
    source.keys = None
    clock.seconds += 3600
    assert find("2"), "the provider is away: what was read last holds"
    assert source.reads == 3


def test_a_set_that_was_never_read() -> None:
    source = _Source()
    source.keys = None
    found = KeySet(settings("keys.json").api, StillClock(), source)
    for _ in range(3):
        assert found.is_due("1")
        with pytest.raises(KeySetUnavailable):
            found.refresh("1")
    assert source.reads == 1


def test_what_is_no_set(tmp_path: Path) -> None:
    for data in (b"", b"[]", b"{}", b'{"keys": {}}', b"\xff", b"[" * 100_000):
        with pytest.raises(ValueError, match="no JSON Web Key Set"):
            usable_keys(data)
    assert usable_keys(json.dumps(KEYS).encode()).keys() == {"ed", "rsa"}
    large = tmp_path / "large.json"
    large.write_bytes(b" " * (1024 * 1024 + 1))
    with pytest.raises(ValueError, match="larger"):
        read_source(str(large))


def test_settings_that_cannot_work() -> None:
    for given, why in (
        ({"jwt_jwks": "keys.json"}, "need api.jwt_issuer"),
        ({"jwt_jwks": "http://id.example/jwks", "jwt_issuer": "a", "jwt_audience": "b"}, "https"),
        ({"jwt_jwks": "http://localhost:80@id.example/", "jwt_issuer": "a", "jwt_audience": "b"}, "https"),
    ):
        with pytest.raises(ValueError, match=why):
            Settings.model_validate({"api": given})
