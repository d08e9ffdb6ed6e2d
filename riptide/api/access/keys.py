"""The API keys of a deployment: make, list, show, rotate, revoke; and the first one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from riptide.api.access.key import (
    ApiKey,
    NewSecret,
    api_key,
    check_name,
    check_role,
    check_scopes,
)
from riptide.api.access.text import KeyText, check_id, new_id, new_text, read_text, tenant_of_id
from riptide.api.access.verify import Verdict, verify
from riptide.config import Settings
from riptide.errors import ConfigError, InvalidInput, MultiTenancyDisabled, RiptideError, UnknownTenant
from riptide.names import DEFAULT_TENANT, check_tenant
from riptide.store.keys import Keys
from riptide.store.operation import Arg, Flow, Operation, ask, ask_all
from riptide.store.script import Script
from riptide.tenants.registry.audit import Audit, Deed, check_actor
from riptide.tenants.registry.tenant import Fields

_PACKAGE = "riptide.api.access"
_MAKE = Script.load(_PACKAGE, "make_key.lua")
_FIRST = Script.load(_PACKAGE, "first_key.lua")
_ROTATE = Script.load(_PACKAGE, "rotate_key.lua")
_REVOKE = Script.load(_PACKAGE, "revoke_key.lua")
_READ = Script.load("riptide.tenants.registry", "read_record.lua")

#: Keys that one tenant, or all operators together, may have.
MOST_KEYS = 1000
_MOST_LISTED = 1000
_DAY_SECONDS = 86_400
LONGEST_SECONDS = 3650 * _DAY_SECONDS
LONGEST_OVERLAP_SECONDS = 90 * _DAY_SECONDS
#: For so long a key that is over stays in the list, and no restore from before that brings it back.
_KEPT_MS = 90 * _DAY_SECONDS * 1000
#: Stands where a tenant is named in the audit trail, for what is no tenant's.
NOBODY = "*"


class UnknownKey(RiptideError):
    """There is no API key of that id."""


class KeyOver(RiptideError):
    """The API key was revoked or has expired, so it cannot be rotated."""


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Keys in order of their ids. `cursor` is what the next page comes after; None: there is none."""

    keys: list[ApiKey]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class FirstKey:
    """The first key of the deployment. `made` is its secret, if this call has made it and was given none."""

    id: str
    made: NewSecret | None


class ApiKeys:
    """Builds the operations and flows on API keys, shared by both faces."""

    def __init__(self, keys: Keys, settings: Settings) -> None:
        self._keys, self._settings = keys, settings
        self._audit = Audit(keys, settings.security)

    def verify(self, key: KeyText) -> Operation[Verdict]:
        """Who shows this key; or why not."""
        return verify(self._keys, key, by_role=self._settings.security.enable_rbac)

    def make(
        self,
        name: str,
        *,
        role: str,
        tenant: str | None,
        scopes: Iterable[str] | None,
        expires_seconds: int | None,
        actor: str | None,
    ) -> Flow[NewSecret]:
        """Raises InvalidInput, UnknownTenant, MultiTenancyDisabled."""
        whose = self._checked_owner(tenant)
        checked = check_role(role, whose)
        fields = {"name": check_name(name), "role": checked, "scopes": check_scopes(scopes, checked)}
        text = new_text(new_id(whose))
        args = self._new(text, fields, _checked_seconds(expires_seconds), check_actor(actor))
        key = _known(text)
        names = self._names(key.id, whose)
        if whose is not None and whose != DEFAULT_TENANT:
            names.append(self._keys.record(whose))
        answer = yield from ask(_MAKE.call(names, args, bytes.decode))
        if answer == "gone":
            raise UnknownTenant(f"there is no tenant {whose}; see 'riptide tenant list'")
        _check_room(answer)
        return NewSecret((yield from self.show(key.id)), text)

    def first(self, given: str | None, actor: str | None) -> Flow[FirstKey]:
        """Make the deployment's first key, of role admin, unless there was one ever; of the text `given`, if
        there is one. However many processes ask, one makes it. Raises ConfigError for a text that is no
        key's."""
        text = given or new_text(new_id(None))
        key = read_text(text)
        if key is None or key.tenant is not None:
            raise ConfigError(
                "api.admin_key (not shown) is no API key for operators; 'riptide access generate' prints one"
            )
        fields = {"name": "first admin key", "role": "admin", "scopes": "*"}
        names = [*self._names(key.id, None), self._keys.control("api-keys:first")]
        args = self._new(text, fields, 0, check_actor(actor))
        answer = yield from ask(_FIRST.call(names, args, bytes.decode))
        _check_room(answer)
        if answer != "made" or given:
            return FirstKey(key.id if answer == "made" else answer, None)
        return FirstKey(key.id, NewSecret((yield from self.show(key.id)), text))

    def show(self, key: str) -> Flow[ApiKey]:
        """Raises UnknownKey, InvalidInput."""
        (found,) = yield from self._facts(tenant_of_id(check_id(key)), [key])
        if found is None:
            raise _unknown(key)
        return found

    def page(self, tenant: str | None, after: str | None, limit: int) -> Flow[KeyPage]:
        """The keys of a tenant; None: those of operators."""
        if type(limit) is not int or not 1 <= limit <= _MOST_LISTED:
            raise InvalidInput(f"limit is a whole number from 1 to {_MOST_LISTED:,}")
        whose = self._checked_owner(tenant)
        start = "" if after is None else check_id(after)
        listed = yield from ask(self._listed(whose))
        ids = sorted(key for key in listed if key > start)
        read = yield from self._facts(whose, ids[:limit])
        found = [one for one in read if one is not None]
        return KeyPage(found, ids[limit - 1] if len(ids) > limit else None)

    def rotate(self, key: str, overlap_seconds: int, actor: str | None) -> Flow[NewSecret]:
        """Give a key another secret; the present one is valid for `overlap_seconds` more. Raises UnknownKey,
        KeyOver, InvalidInput."""
        if type(overlap_seconds) is not int or not 0 <= overlap_seconds <= LONGEST_OVERLAP_SECONDS:
            raise InvalidInput(f"overlap_seconds is a whole number from 0 to {LONGEST_OVERLAP_SECONDS:,}")
        whose, text = tenant_of_id(check_id(key)), new_text(key)
        audit = self._told(key, "rotate-key", actor, {"overlap_seconds": overlap_seconds})
        args: list[Arg] = [key, _known(text).digest, overlap_seconds * 1000, _KEPT_MS, *audit]
        answer = yield from ask(_ROTATE.call(self._names(key, whose), args, bytes.decode))
        if answer == "unknown":
            raise _unknown(key)
        if answer == "over":
            raise KeyOver(f"the API key {key} was revoked or has expired; make another one")
        return NewSecret((yield from self.show(key)), text)

    def revoke(self, key: str, actor: str | None) -> Flow[None]:
        """From the next call on it is refused, for good. Raises UnknownKey, InvalidInput."""
        whose = tenant_of_id(check_id(key))
        args: list[Arg] = [key, _KEPT_MS, *self._told(key, "revoke-key", actor, {})]
        if (yield from ask(_REVOKE.call(self._names(key, whose), args, bytes.decode))) == "unknown":
            raise _unknown(key)

    def _new(self, text: str, fields: Mapping[str, str], seconds: int, actor: str) -> list[Arg]:
        key = _known(text)
        flat = [part for pair in ({**fields, "made_by": actor}).items() for part in pair]
        about = {name: fields[name] for name in ("name", "role", "scopes")} | {"expires_seconds": seconds}
        audit = self._told(key.id, "make-key", actor, about)
        return [key.id, key.digest, MOST_KEYS, seconds * 1000, _KEPT_MS, len(flat), *flat, *audit]

    def _told(self, key: str, operation: str, actor: str | None, about: Mapping[str, Any]) -> list[Arg]:
        deed = Deed(tenant_of_id(key) or NOBODY, check_actor(actor), operation, key)
        return self._audit.arguments(deed, about)

    def _names(self, key: str, tenant: str | None) -> list[str]:
        trail = self._keys.control("audit") if tenant is None else self._keys.audit(tenant)
        return [
            self._keys.api_key(tenant, key),
            self._keys.api_keys(tenant),
            trail,
            self._keys.api_key_uses(tenant),
        ]

    def _facts(self, tenant: str | None, keys: Sequence[str]) -> Flow[list[ApiKey | None]]:
        """Of keys of one owner; None where there is none."""
        if not keys:
            return []
        uses = Operation(("HMGET", self._keys.api_key_uses(tenant), *keys), list)
        asked: list[Operation[Any]] = [uses, *(self._read(tenant, key) for key in keys)]
        used, *read = yield from ask_all(asked)
        return [
            api_key(key, fields, now_ms, int(use or 0)) if fields else None
            for key, use, (now_ms, fields) in zip(keys, used, read, strict=True)
        ]

    def _read(self, tenant: str | None, key: str) -> Operation[tuple[int, Fields]]:
        def parse(reply: Any) -> tuple[int, Fields]:
            now, *flat = (part.decode() for part in reply)
            return int(now), dict(zip(flat[::2], flat[1::2], strict=True))

        return _READ.call([self._keys.api_key(tenant, key)], [], parse)

    def _listed(self, tenant: str | None) -> Operation[list[str]]:
        args = ("ZRANGE", self._keys.api_keys(tenant), 0, -1)
        return Operation(args, lambda reply: [one.decode() for one in reply])

    def _checked_owner(self, tenant: str | None) -> str | None:
        if tenant is None:
            return None
        if check_tenant(tenant) != DEFAULT_TENANT and not self._settings.tenant.enabled:
            raise MultiTenancyDisabled("multi-tenancy is off, so there is only the tenant default")
        return tenant


def _known(text: str) -> KeyText:
    """Of what was just made."""
    found = read_text(text)
    assert found is not None
    return found


def _unknown(key: str) -> UnknownKey:
    return UnknownKey(f"there is no API key {key}; see 'riptide access list'")


def _check_room(answer: str) -> None:
    if answer == "full":
        raise InvalidInput(
            f"there are {MOST_KEYS:,} API keys already; revoke those that nobody uses. A key that is over is "
            "forgotten after 90 days"
        )


def _checked_seconds(seconds: int | None) -> int:
    if seconds is None:
        return 0
    if type(seconds) is int and 1 <= seconds <= LONGEST_SECONDS:
        return seconds
    raise InvalidInput(f"expires_seconds is a whole number from 1 to {LONGEST_SECONDS:,}, ten years")
