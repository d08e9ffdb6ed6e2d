"""What a tenant or a namespace may be called. Checked before any key is built (DESIGN §2)."""

import re

from riptide.errors import InvalidInput

TENANT_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}\Z"
NAMESPACE_PATTERN = r"^[a-z0-9][a-z0-9_.-]{0,62}\Z"
DEFAULT_TENANT = "default"
DEFAULT_NAMESPACE = "default"

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


def _shorten(name: object) -> str:
    text = repr(name)
    return text if len(text) <= 80 else text[:77] + "..."
