"""One data key of a tenant: wrapped, as it is stored; unwrapped, as it encrypts."""

import base64
import os
import secrets
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import BaseModel, ConfigDict, ValidationError

from riptide.errors import KeyUnavailable
from riptide.tenants.keyring.master import KEY_BYTES, NONCE_BYTES, MasterKeys

#: What encryption adds to what is encrypted: a nonce before, a tag behind.
OVERHEAD_BYTES = NONCE_BYTES + 16


class WrappedKey(BaseModel):
    """A data key as it is stored: of use only with the master key, and for that tenant and incarnation.

    `id` is a random number: keys that two processes make at the same time never get into each other's way.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    format: Literal[1] = 1
    tenant: str
    incarnation: str
    id: int
    created_ms: int
    master: int
    wrapped: str

    @property
    def _about(self) -> bytes:
        return about(self.tenant, self.incarnation, self.id)

    def unwrapped(self, masters: MasterKeys) -> "DataKey":
        """Raises KeyUnavailable."""
        return DataKey(self.id, masters.unwrap(self.master, base64.b64decode(self.wrapped), self._about))

    def rewrapped(self, masters: MasterKeys) -> "WrappedKey":
        """The same key, wrapped by the newest master key. Raises KeyUnavailable."""
        key = masters.unwrap(self.master, base64.b64decode(self.wrapped), self._about)
        wrapped = base64.b64encode(masters.wrap(key, self._about)).decode()
        return self.model_copy(update={"master": masters.current, "wrapped": wrapped})


def about(tenant: str, incarnation: str, key_id: int) -> bytes:
    """What a wrapped key is bound to."""
    return f"riptide data key\0{tenant}\0{incarnation}\0{key_id}".encode()


def make_key(masters: MasterKeys, tenant: str, incarnation: str, now_ms: int) -> WrappedKey:
    key_id = secrets.randbelow(2**32 - 1) + 1  # 0 stands for no key
    wrapped = masters.wrap(os.urandom(KEY_BYTES), about(tenant, incarnation, key_id))
    return WrappedKey(
        tenant=tenant,
        incarnation=incarnation,
        id=key_id,
        created_ms=now_ms,
        master=masters.current,
        wrapped=base64.b64encode(wrapped).decode(),
    )


def parse_key(data: bytes, tenant: str, incarnation: str, key_id: int) -> WrappedKey:
    """Raises KeyUnavailable if `data` is not what is stored of that key."""
    try:
        found = WrappedKey.model_validate_json(data)
    except ValidationError:
        found = None
    if found is None or (found.tenant, found.incarnation, found.id) != (tenant, incarnation, key_id):
        raise KeyUnavailable(f"what is stored as key {key_id} of tenant {tenant} is not that key")
    return found


class DataKey:
    """Encrypts and decrypts, by AES-256-GCM with random nonces: up to 2^32 times (NIST SP 800-38D, 8.3)."""

    __slots__ = ("_cipher", "id")

    def __init__(self, key_id: int, key: bytes) -> None:
        self.id = key_id
        self._cipher = AESGCM(key)

    def __repr__(self) -> str:
        return f"DataKey({self.id})"

    def encrypt(self, data: bytes, bound_to: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, bound_to)

    def decrypt(self, data: bytes, bound_to: bytes) -> bytes | None:
        """None if it was not encrypted by this key, for this, or was changed since."""
        try:
            return self._cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], bound_to)
        except (InvalidTag, ValueError):
            return None
