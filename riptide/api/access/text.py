"""API keys as text: `rt_<id>_<secret><check>`.

The id may be shown to anybody; of a tenant's key it begins with the tenant, as in `acme.4f9a0c2b71d3`, so
that the slot of the key is known before anything is asked. The secret has 256 bits. The check tells a
mistyped or cut-off key, and lets scanners of source code be sure, without asking the server.
"""

import base64
import hashlib
import re
import secrets
import zlib
from dataclasses import dataclass, field

from riptide.errors import InvalidInput
from riptide.names import TENANT_PATTERN

START = "rt_"
_TENANT = TENANT_PATTERN.removeprefix("^").removesuffix(r"\Z")
ID_PATTERN = rf"(?:{_TENANT}\.)?[0-9a-f]{{12}}"
_ID = re.compile(ID_PATTERN, re.ASCII)
_TEXT = re.compile(rf"{START}({ID_PATTERN})_[a-z2-7]{{52}}[0-9a-f]{{8}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class KeyText:
    """What is known of a key's text without asking: nothing in here lets anybody in."""

    id: str
    tenant: str | None
    digest: str = field(repr=False)


def new_id(tenant: str | None) -> str:
    return ("" if tenant is None else f"{tenant}.") + secrets.token_hex(6)


def new_text(key: str) -> str:
    """A new secret for the key of that id."""
    secret = base64.b32encode(secrets.token_bytes(32)).decode().rstrip("=").lower()
    text = f"{START}{key}_{secret}"
    return text + _check(text)


def read_text(text: str) -> KeyText | None:
    """None if that is no key's text."""
    found = _TEXT.fullmatch(text)
    if found is None or text[-8:] != _check(text[:-8]):
        return None
    # A secret of 256 random bits needs no salt and no slow hash: it cannot be guessed.
    return KeyText(found[1], tenant_of_id(found[1]), hashlib.sha256(text.encode()).hexdigest())


def check_id(key: str) -> str:
    """Raises InvalidInput for what is no key's id."""
    if isinstance(key, str) and _ID.fullmatch(key):
        return key
    raise InvalidInput(
        f"{repr(key)[:80]} is no id of an API key: they look like 4f9a0c2b71d3, or acme.4f9a0c2b71d3 of the "
        "tenant acme; see 'riptide access list'"
        if not (isinstance(key, str) and key.startswith(START))
        else "that is a whole API key (not shown); its id is what stands between 'rt_' and the last '_'"
    )


def tenant_of_id(key: str) -> str | None:
    return key.rpartition(".")[0] or None


def _check(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"
