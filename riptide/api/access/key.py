"""An API key as the server holds it: everything but the secret."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from riptide.api.access.caller import ROLES, Role, permissions_of
from riptide.api.access.text import tenant_of_id
from riptide.errors import InvalidInput

State = Literal["active", "expired", "revoked"]
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class ApiKey:
    """All times are Unix milliseconds of the server, 0: never. `scopes` are the permissions that its role is
    narrowed to; None: all that the role has. `used_ms` is right to a few minutes. Until `old_until_ms` the
    secret from before the last rotation is valid, too."""

    id: str
    name: str
    role: Role
    tenant: str | None
    scopes: tuple[str, ...] | None
    state: State
    made_ms: int
    made_by: str
    expires_ms: int
    rotated_ms: int
    old_until_ms: int
    revoked_ms: int
    used_ms: int


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A key that was just made or rotated. `text` is its secret, which nobody can ask for again."""

    key: ApiKey
    text: str = field(repr=False)


def api_key(key: str, fields: Mapping[str, str], now_ms: int, used_ms: int = 0) -> ApiKey:
    expires, revoked = int(fields.get("expires", 0)), int(fields.get("revoked", 0))
    return ApiKey(
        id=key,
        name=fields["name"],
        role=cast(Role, fields["role"]),
        tenant=tenant_of_id(key),
        scopes=read_scopes(fields.get("scopes")),
        state="revoked" if revoked else "expired" if 0 < expires <= now_ms else "active",
        made_ms=int(fields["made"]),
        made_by=fields["made_by"],
        expires_ms=expires,
        rotated_ms=int(fields.get("rotated", 0)),
        old_until_ms=int(fields.get("old_until", 0)),
        revoked_ms=revoked,
        used_ms=used_ms,
    )


def read_scopes(text: str | None) -> tuple[str, ...] | None:
    """Scopes as a key holds them: with spaces between; `*` are all."""
    return None if text is None or text == "*" else tuple(text.split())


def check_scopes(scopes: Iterable[str] | None, role: Role) -> str:
    """Scopes as a key holds them. Raises InvalidInput for what the role has not."""
    if scopes is None:
        return "*"
    given = sorted(set(scopes))
    own = permissions_of(role)
    if not given:
        raise InvalidInput("scopes are one permission or more; leave them out for all that the role has")
    for scope in given:
        if scope not in own:
            raise InvalidInput(
                f"scope {repr(scope)[:80]} is none that the role {role} has: {', '.join(sorted(own))}"
            )
    return " ".join(given)


def check_role(role: str, tenant: str | None) -> Role:
    """Raises InvalidInput for what is no role, and unless exactly a tenant's key names one."""
    if role not in ROLES:
        raise InvalidInput(f"role {repr(role)[:80]} is none of {', '.join(ROLES)}")
    if (role == "tenant") != (tenant is not None):
        raise InvalidInput("a key of role tenant names its tenant, and no other key names one")
    return role


def check_name(name: str) -> str:
    """Raises InvalidInput."""
    if isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and name.isprintable():
        return name
    raise InvalidInput(
        f"name is a text of 1 to {LONGEST_NAME} printable characters: who or what uses the key"
    )
