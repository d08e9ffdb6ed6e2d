"""Master keys: given by the operator, several versions at a time, never stored by RipTide."""

import base64
import binascii
import os
import re
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from riptide.config import SecuritySettings
from riptide.errors import ConfigError, KeyUnavailable

KEY_BYTES = 32
NONCE_BYTES = 12  # other lengths are accepted by the library, and weaker
_ONE = re.compile(r"(?:([1-9][0-9]{0,8}):)?([A-Za-z0-9+/_-]{43}=?)", re.ASCII)
_FORM = "write <version>:<32 bytes in base64>, several with commas between, the newest first"


class MasterKeys:
    """Wraps with the first of the keys, unwraps with whichever it was wrapped by. Its repr tells versions."""

    def __init__(self, keys: dict[int, AESGCM]) -> None:
        self._keys = keys
        self.current = next(iter(keys))

    def __repr__(self) -> str:
        return f"MasterKeys(versions {', '.join(map(str, self._keys))})"

    @property
    def versions(self) -> list[int]:
        return list(self._keys)

    def wrap(self, key: bytes, about: bytes) -> bytes:
        """Nonce and ciphertext; only who names the same `about` can unwrap it."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._keys[self.current].encrypt(nonce, key, about)

    def unwrap(self, version: int, wrapped: bytes, about: bytes) -> bytes:
        """Raises KeyUnavailable if there is no such master key, or it is another than it was."""
        if version not in self._keys:
            raise KeyUnavailable(
                f"this key was wrapped by version {version} of the master key, and there is only "
                f"{', '.join(map(str, self._keys))}: add that version to security.encryption_key"
            )
        try:
            return self._keys[version].decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], about)
        except InvalidTag:
            raise KeyUnavailable(
                f"version {version} of the master key does not open this key: it is another one than it was "
                f"wrapped by, or what is stored was changed"
            ) from None


def load_master_keys(settings: SecuritySettings) -> MasterKeys | None:
    """The keys of `security.encryption_key`, or of the file that `security.encryption_key_file` names.

    None if neither is set. Raises ConfigError, which never shows a key; also if all data is to be encrypted,
    and there is none.
    """
    if settings.encryption_key is not None and settings.encryption_key_file is not None:
        raise ConfigError("security.encryption_key and security.encryption_key_file are both set: take one")
    if settings.encryption_key is not None:
        return parse_master_keys(settings.encryption_key.get_secret_value(), "security.encryption_key")
    if settings.encryption_key_file is None:
        if settings.enable_encryption_at_rest:
            raise ConfigError(
                "security.enable_encryption_at_rest is on, and there is no master key: set "
                "security.encryption_key or security.encryption_key_file ('riptide keys generate' makes one)"
            )
        return None
    try:
        text = Path(settings.encryption_key_file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(
            f"security.encryption_key_file: {settings.encryption_key_file} cannot be read: {why}"
        ) from None
    return parse_master_keys(text, "security.encryption_key_file")


def parse_master_keys(text: str, source: str) -> MasterKeys:
    """Raises ConfigError that names `source`."""
    keys: dict[int, AESGCM] = {}
    for number, part in enumerate(re.split(r"[,\s]+", text.strip()), 1):
        found = _ONE.fullmatch(part)
        key = _decoded(found[2]) if found else None
        if found is None or key is None:
            raise ConfigError(f"{source}: key {number} (not shown) is none; {_FORM}")
        version = int(found[1] or 1)
        if version in keys:
            raise ConfigError(f"{source}: version {version} is there twice; {_FORM}")
        keys[version] = AESGCM(key)
    return MasterKeys(keys)


def _decoded(text: str) -> bytes | None:
    try:
        key = base64.b64decode(
            text.rstrip("=") + "=", altchars=b"-_" if set(text) & set("-_") else None, validate=True
        )
    except binascii.Error:
        return None
    return key if len(key) == KEY_BYTES else None


def new_master_key() -> str:
    """A fresh one, as the setting wants it."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()
