"""What a tenant, a namespace, a key and a tag may be called. Checked before any key is built.

One rule for the cache and for commands: what can be written can be invalidated by a command.
"""

import re
from contextlib import suppress

from riptide.errors import InvalidInput

TENANT_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}\Z"
NAMESPACE_PATTERN = r"^[a-z0-9][a-z0-9_.-]{0,62}\Z"
DEFAULT_TENANT = "default"
DEFAULT_NAMESPACE = "default"
MAX_KEY_BYTES = 2048

_TENANT = re.compile(TENANT_PATTERN, re.ASCII)
_NAMESPACE = re.compile(NAMESPACE_PATTERN, re.ASCII)


def check_tenant(name: str) -> str:
    """Return `name` if it is a tenant id; raise InvalidInput otherwise."""
    if isinstance(name, str) and _TENANT.match(name):
        return name
    raise InvalidInput(
        f"tenant id {_shorten(name)} is not valid: "
        "1 to 63 of a-z, 0-9, '_' and '-', beginning with a letter or digit"
    )


def check_namespace(name: str) -> str:
    """Return `name` if it is a namespace; raise InvalidInput otherwise."""
    if isinstance(name, str) and _NAMESPACE.match(name):
        return name
    raise InvalidInput(
        f"namespace {_shorten(name)} is not valid: "
        "1 to 63 of a-z, 0-9, '_', '.' and '-', beginning with a letter or digit"
    )


def check_key(key: str) -> str:
    """Return `key` if it may be the key of an entry; raise InvalidInput otherwise."""
    return _check_text("key", key)


def check_tag(tag: str) -> str:
    """Return `tag` if it may be a tag; raise InvalidInput otherwise. The rule is that of keys."""
    return _check_text("tag", tag)


def _check_text(what: str, text: str) -> str:
    # What is longer in characters is not encoded at all.
    if isinstance(text, str) and 0 < len(text) <= MAX_KEY_BYTES:
        with suppress(UnicodeEncodeError):
            if len(text.encode()) <= MAX_KEY_BYTES:
                return text
    raise InvalidInput(
        f"{what} {_shorten(text)} is not valid: a text of 1 to {MAX_KEY_BYTES:,} bytes in UTF-8"
    )


def _shorten(name: object) -> str:
    text = repr(name)
    return text if len(text) <= 80 else text[:77] + "..."
