"""Whether an API key is valid: one script in the slot of its owner, so that it can be asked together with
what else a request needs to know."""

import hmac
from dataclasses import dataclass
from typing import Any, cast

from riptide.api.access.caller import Caller, Role
from riptide.api.access.key import read_scopes
from riptide.api.access.text import KeyText
from riptide.names import DEFAULT_TENANT
from riptide.store.keys import Keys
from riptide.store.operation import Operation
from riptide.store.script import Script

_VERIFY = Script.load("riptide.api.access", "verify_key.lua")
#: When a key was last used is noted so often at most.
_USED_EVERY_MS = 300_000
_NONE = b"0" * 64


@dataclass(frozen=True, slots=True)
class Refused:
    """Why somebody is not let in. Only the audit trail is told: who tries keys must not learn what is
    wrong."""

    why: str


Verdict = Caller | Refused


def verify(keys: Keys, key: KeyText, *, by_role: bool) -> Operation[Verdict]:
    names = [keys.api_key(key.tenant, key.id), keys.api_key_uses(key.tenant)]
    if key.tenant is not None and key.tenant != DEFAULT_TENANT:
        names.append(keys.record(key.tenant))

    def parse(reply: Any) -> Verdict:
        now, incarnation, *fields = reply
        return _judge(key, int(now), incarnation or b"", fields, by_role=by_role)

    return _VERIFY.call(names, [key.id, key.digest, _USED_EVERY_MS], parse)


def _judge(
    key: KeyText, now_ms: int, incarnation: bytes, fields: list[bytes | None], *, by_role: bool
) -> Verdict:
    digest, old, old_until, expires, revoked, own, role, scopes, name = fields
    shown = key.digest.encode()
    current = hmac.compare_digest(digest or _NONE, shown)
    earlier = hmac.compare_digest(old or _NONE, shown)
    if digest is None:
        return Refused("unknown")
    if not (current or earlier):
        return Refused("wrong secret")
    if revoked:
        return Refused("revoked")
    if expires and int(expires) <= now_ms:
        return Refused("expired")
    if not current and int(old_until or 0) <= now_ms:
        return Refused("rotated")
    if incarnation != (own or b""):
        return Refused("tenant gone")
    assert role is not None
    assert name is not None
    narrowed = read_scopes(scopes.decode() if scopes else None)
    return Caller(
        id=key.id,
        name=name.decode(),
        role=cast(Role, role.decode()),
        tenant=key.tenant,
        scopes=None if narrowed is None else frozenset(narrowed),
        by_role=by_role,
    )
