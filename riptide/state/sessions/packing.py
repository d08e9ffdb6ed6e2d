"""What a session's fields hold on the server: JSON, encrypted where the tenant wants it (docs/encryption.md).

Each field is encrypted by itself, so that two can be changed at the same time, and is bound to the name of
the session's key, the tenant's incarnation and its own name: it cannot pass for another one.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import from_json

from riptide.errors import Damaged
from riptide.store.json_values import encode_json
from riptide.tenants.keyring.data_key import DataKey

DATA = "d:"
META = "meta"
# No JSON begins with it. Then come the key's id, and what it encrypted.
_ENCRYPTED = b"\x01"
_ID_BYTES = 4

Fields = dict[str, bytes]


def pack(data: Mapping[str, Any]) -> Fields:
    """Fields of a session's data. Raises InvalidInput for what JSON cannot hold."""
    return {
        DATA + name: encode_json(value, f"the field {name[:80]!r} cannot be stored")
        for name, value in data.items()
    }


def pack_meta(meta: Mapping[str, Any]) -> Fields:
    return {META: encode_json(meta, "the metadata cannot be stored")}


def lock(fields: Mapping[str, bytes], key: DataKey, about: bytes) -> Fields:
    """What is to be stored of plain fields. `about` is what they are bound to, beside their names."""
    head = _ENCRYPTED + key.id.to_bytes(_ID_BYTES)
    return {name: head + key.encrypt(plain, about + name.encode()) for name, plain in fields.items()}


def keys_of(values: Iterable[bytes]) -> set[int]:
    """The ids of the keys that are needed to read them."""
    return {int.from_bytes(value[1 : 1 + _ID_BYTES]) for value in values if value[:1] == _ENCRYPTED}


def unlock(fields: Mapping[str, bytes], keys: Mapping[int, DataKey], about: bytes) -> dict[str, Any]:
    """Values by field. Raises Damaged for one that was not written for this place, or was changed since."""
    try:
        if not keys:
            return {name: from_json(value) for name, value in fields.items()}
        return {name: from_json(_plain(name, value, keys, about)) for name, value in fields.items()}
    except ValueError:
        raise Damaged("a field of a session is not what was written there") from None


def _plain(name: str, value: bytes, keys: Mapping[int, DataKey], about: bytes) -> bytes:
    """Raises ValueError."""
    if value[:1] != _ENCRYPTED:
        return value
    key = keys[int.from_bytes(value[1 : 1 + _ID_BYTES])]
    plain = key.decrypt(value[1 + _ID_BYTES :], about + name.encode())
    if plain is None:
        raise ValueError(name)
    return plain
