"""Which tenants' data is encrypted, and by which key: made, named in the record, made anew.

A key is durable before a record names it, and every key stays until its tenant is purged: what was encrypted
by it can be read as long as it is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from riptide.clock import Clock
from riptide.config import Settings
from riptide.errors import InvalidInput, TenantChanged
from riptide.names import DEFAULT_TENANT, check_tenant
from riptide.store.keys import Keys
from riptide.store.operation import Flow, Operation, ask, ask_all
from riptide.store.script import Script
from riptide.tenants.facts import DEFAULT, NO_INCARNATION
from riptide.tenants.keyring.data_key import WrappedKey
from riptide.tenants.keyring.ring import KeyRing
from riptide.tenants.purge.mark import begun
from riptide.tenants.registry.audit import Audit, Deed, check_actor
from riptide.tenants.registry.changing import Changing, unknown
from riptide.tenants.registry.record import Records
from riptide.tenants.registry.tenant import Tenant, tenant_of

_NAME_KEY = Script.load("riptide.tenants.keyring", "name_key.lua")
SETTING = "encryption_enabled"


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """`key` encrypts what is written now, 0: nothing is encrypted. `masters` says how many of the tenant's
    `keys` each version of the master key wraps."""

    tenant: str
    key: int
    since_ms: int
    keys: int
    masters: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class SpareKey:
    """A key that was made for a change of one incarnation's record; 0: none was needed."""

    incarnation: str
    id: int

    def fields(self, found: Tenant, *, encrypted: bool) -> dict[str, str | None]:
        """Of the record as it shall be. Raises TenantChanged where this is the key of another one."""
        if encrypted == bool(found.key):
            return {}
        if encrypted and (not self.id or found.incarnation != self.incarnation):
            raise TenantChanged(f"the tenant {found.id} was changed by somebody else: try again")
        return {"key": str(self.id) if encrypted else "0"}


class DataKeys:
    """Builds the flows on them."""

    def __init__(self, keys: Keys, settings: Settings, ring: KeyRing, clock: Clock) -> None:
        self._keys, self._ring, self._clock = keys, ring, clock
        self._allowed = settings.tenant.enable_encryption
        self.at_rest = settings.security.enable_encryption_at_rest
        self._records, audit = Records(keys), Audit(keys, settings.security)
        self._changing = Changing(self._records, audit)

    def wanted(self, given: Mapping[str, Any]) -> bool:
        """Whether a tenant with such settings is to be encrypted. Raises InvalidInput if that cannot be."""
        chosen = given.get(SETTING)
        if chosen is not None and type(chosen) is not bool:
            raise InvalidInput(f"the setting {SETTING} is true or false")
        if self.at_rest:
            if chosen is False:
                raise InvalidInput(
                    f"{SETTING} cannot be off: security.enable_encryption_at_rest encrypts all tenants"
                )
            return True
        if chosen and not self._allowed:
            raise InvalidInput(f"{SETTING}: tenant.enable_encryption is off, so no tenant can be encrypted")
        if chosen and self._ring.masters is None:
            raise InvalidInput(
                f"{SETTING}: there is no master key; set security.encryption_key or "
                "security.encryption_key_file ('riptide keys generate' makes one)"
            )
        return bool(chosen)

    def make(self, tenant: str, incarnation: str) -> Flow[int]:
        """A new key's id; nobody uses it before a record names it."""
        return (yield from self._ring.make(tenant, incarnation, self._clock.now_ms())).id

    def drop(self, tenant: str, incarnation: str, key_id: int) -> Flow[None]:
        """Destroy a key that no record has named."""
        yield from self._ring.drop(tenant, incarnation, key_id)

    def rotate(self, tenant: str, actor: str | None) -> Flow[KeyStatus]:
        """Give an encrypted tenant a new key, and wrap its older ones by the newest master key. One that is
        not encrypted any more, or closed, gets no new key.

        Raises InvalidInput if it has no keys; UnknownTenant, KeyUnavailable, BlobError.
        """
        deed = Deed(check_tenant(tenant), check_actor(actor), "rotate_key", "keys")
        if deed.tenant == DEFAULT_TENANT:
            key, revision = yield from self._default_key()
            self._check_encrypted(deed.tenant, key)
            yield from self._name_default(revision + 1)
            yield from self._ring.rewrap(deed.tenant, NO_INCARNATION)
        else:
            found = yield from self._read(deed.tenant)
            self._check_encrypted(deed.tenant, (yield from self.status(deed.tenant)).keys)
            if found.key and found.status != "disabled":
                yield from self.renew(deed, found)
            yield from self._ring.rewrap(deed.tenant, found.incarnation)
            if (yield from self._read(deed.tenant)).incarnation == begun(found.incarnation):
                # What a purge had destroyed may have been put back just now.
                yield from self._ring.destroy(deed.tenant, found.incarnation)
                raise unknown(deed.tenant)
        return (yield from self.status(deed.tenant))

    def renew(self, deed: Deed, found: Tenant) -> Flow[Tenant]:
        """Name a new key in the record, unless another was named since `found`. Raises TenantChanged."""
        made = yield from self.make(found.id, found.incarnation)

        def edit(now: Tenant, _: int) -> dict[str, str | None]:
            if now.incarnation != found.incarnation:
                raise TenantChanged(f"the tenant {found.id} is another one by now")
            return {"key": str(made)} if now.key == found.key else {}

        after = yield from self._changing.change(deed, edit)
        if after.key != made:
            yield from self.drop(found.id, found.incarnation, made)
        return after

    def require(self, tenant: str) -> Flow[None]:
        """Where all tenants are to be encrypted: see that this one has a key."""
        if tenant == DEFAULT_TENANT:
            key, revision = yield from self._default_key()
            if not key:
                yield from self._name_default(revision + 1)
            return
        found = yield from self._read(tenant)
        if not found.key:
            yield from self.renew(Deed(tenant, "riptide", "encrypt"), found)

    def status(self, tenant: str) -> Flow[KeyStatus]:
        """Raises UnknownTenant; KeyUnavailable for a blob that is none of its keys; BlobError."""
        if check_tenant(tenant) == DEFAULT_TENANT:
            key, incarnation = (yield from self._default_key())[0], NO_INCARNATION
        else:
            found = yield from self._read(tenant)
            key, incarnation = found.key, found.incarnation
        stored = yield from self._ring.stored(tenant, incarnation)
        return _status(tenant, key, stored)

    def _read(self, tenant: str) -> Flow[Tenant]:
        stored = yield from ask(self._records.read(tenant))
        if not stored.fields:
            raise unknown(tenant)
        return tenant_of(tenant, stored.fields)

    def _check_encrypted(self, tenant: str, keys: int) -> None:
        """Raises InvalidInput where there are none."""
        if not keys:
            raise InvalidInput(
                f"the data of tenant {tenant} is not encrypted: switch it on by "
                f"'riptide tenant update {tenant} --encrypted'"
                if tenant != DEFAULT_TENANT
                else "the tenant default is not encrypted: switch security.enable_encryption_at_rest on"
            )

    # The default tenant has no record: what stands in its place names its key, and nothing else.

    def _default_key(self) -> Flow[tuple[int, int]]:
        """Key id and revision."""
        key, revision = yield from ask(self._records.fields(DEFAULT_TENANT, ("key", "revision")))
        return int(key or 0), int(revision or 0)

    def _name_default(self, revision: int) -> Flow[None]:
        made = yield from self.make(DEFAULT_TENANT, NO_INCARNATION)
        if not (yield from ask(self._name(DEFAULT_TENANT, revision, made))):
            yield from self.drop(DEFAULT_TENANT, NO_INCARNATION, made)
            return
        yield from ask_all([self._name(tag, revision, made) for tag in DEFAULT.tags])

    def _name(self, tag: str, revision: int, key_id: int) -> Operation[int]:
        return _NAME_KEY.call([self._keys.record(tag)], [revision, key_id], int)


def _status(tenant: str, key: int, stored: list[WrappedKey]) -> KeyStatus:
    masters: dict[int, int] = {}
    for one in stored:
        masters[one.master] = masters.get(one.master, 0) + 1
    since = next((one.created_ms for one in stored if one.id == key), 0)
    return KeyStatus(tenant, key, since, len(stored), masters)
