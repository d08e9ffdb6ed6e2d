"""The public keys that tokens are checked against, from a file or over https; read again now and then.

Reading blocks: it is for a thread of its own. Keys that cannot be used for EdDSA (Ed25519) or RS256 are left
out, so that no token can choose how it is checked.
"""

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riptide.clock import Clock
from riptide.config import ApiSettings
from riptide.errors import ConfigError, RiptideError
from riptide.forking import in_children
from riptide.logger import get_logger

if TYPE_CHECKING:
    import jwt

_MOST_BYTES = 1024 * 1024
_SECONDS = 5.0
_LEAST_RSA_BITS = 2048
_WAYS = {("OKP", "Ed25519"): "EdDSA", ("RSA", None): "RS256"}


class KeySetUnavailable(RiptideError):
    """The key set could not be read, and none was read before."""


class KeySet:
    """Keys by their ids. Threads may share it; many that miss a key make one read it."""

    def __init__(
        self, settings: ApiSettings, clock: Clock, read: Callable[[str], bytes] | None = None
    ) -> None:
        assert settings.jwt_jwks is not None
        self._settings, self._source, self._clock = settings, settings.jwt_jwks, clock
        self._read = read or read_source
        self._keys: Mapping[str, jwt.PyJWK] | None = None
        self._read_at = self._tried_at = float("-inf")
        self._begin()
        in_children(self, KeySet._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()

    def find(self, kid: str) -> "jwt.PyJWK | None":
        return (self._keys or {}).get(kid)

    def is_due(self, kid: str) -> bool:
        """Whether the set should be read, or waited for, before anything is said of `kid`."""
        return self._keys is None or (self._wants(kid) and (self._lock.locked() or self._may_try()))

    def refresh(self, kid: str) -> None:
        """Read it, unless somebody else just did. What was read before stays if that fails; raises
        KeySetUnavailable if there is nothing."""
        with self._lock:
            if self._wants(kid) and self._may_try():
                self._tried_at = self._clock.monotonic()
                try:
                    self._keys = usable_keys(self._read(self._source))
                    self._read_at = self._tried_at
                except (OSError, ValueError, RiptideError) as error:
                    get_logger("riptide.access").warning(
                        "the key set cannot be read", source=self._source, error=str(error)[:200]
                    )
            if self._keys is None:
                raise KeySetUnavailable("the key set of api.jwt_jwks cannot be read; see the log")

    def _wants(self, kid: str) -> bool:
        stale = self._clock.monotonic() - self._read_at >= self._settings.jwt_refresh_seconds
        return stale or self.find(kid) is None

    def _may_try(self) -> bool:
        return self._clock.monotonic() - self._tried_at >= self._settings.jwt_retry_seconds


def read_source(source: str) -> bytes:
    """Raises OSError or ValueError for what cannot be read."""
    if "://" not in source:
        with Path(source).open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    else:
        data = _fetched(source)
    if len(data) > _MOST_BYTES:
        raise ValueError(f"it is larger than {_MOST_BYTES:,} bytes")
    return data


def _fetched(url: str) -> bytes:
    """No redirect is followed: where the keys are is what the configuration says."""
    import httpx

    data = b""
    try:
        with httpx.stream("GET", url, timeout=_SECONDS, follow_redirects=False, trust_env=False) as answer:
            if answer.status_code != 200:
                raise ValueError(f"{url} answered {answer.status_code}")
            for part in answer.iter_bytes():
                data += part
                if len(data) > _MOST_BYTES:
                    break
    except httpx.HTTPError as error:
        raise OSError(f"{url}: {str(error) or type(error).__name__}") from None
    return data


def usable_keys(data: bytes) -> "dict[str, jwt.PyJWK]":
    """The keys of a set that tokens may be signed by. Raises ValueError if it is no key set."""
    try:
        listed = json.loads(data)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("it is no JSON Web Key Set") from None
    if not isinstance(listed, list):
        raise ValueError("it is no JSON Web Key Set")  # noqa: TRY004 - the content is wrong, no argument
    found = {}
    for one in listed:
        if isinstance(one, dict) and (key := _usable(one)) is not None:
            found[one["kid"]] = key
    return found


def _usable(one: Mapping[str, Any]) -> "jwt.PyJWK | None":
    jwt = load_jwt()
    way = _WAYS.get((str(one.get("kty")), one.get("crv") if one.get("kty") == "OKP" else None))
    named = isinstance(one.get("kid"), str) and one.get("alg") in {None, way}
    if way is None or not named or "d" in one or one.get("use") not in {None, "sig"}:
        return None
    try:
        key = jwt.PyJWK(dict(one), algorithm=way)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    return None if way == "RS256" and key.key.key_size < _LEAST_RSA_BITS else key


def load_jwt() -> Any:
    """PyJWT, which only those need who use tokens. Raises ConfigError."""
    try:
        import jwt
    except ImportError:
        raise ConfigError(
            "tokens (api.jwt_jwks) need the extra 'api': pip install riptide-persistence[api]"
        ) from None
    return jwt
