"""How a flow about sessions gets at a tenant: what is known of it, its account, its data keys."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from riptide.errors import RiptideError
from riptide.names import DEFAULT_TENANT, check_tenant
from riptide.state.sessions.operations import Home, Place
from riptide.state.sessions.packing import Fields, keys_of, lock, unlock
from riptide.store.keys import Keys
from riptide.store.operation import Flow, Operation, Pause, ask
from riptide.tenants.accounts.account import BEHIND, FactsOutdated
from riptide.tenants.accounts.sessions import session_levels
from riptide.tenants.facts import Facts, KnownTenants
from riptide.tenants.keyring.ring import KeyRing

T = TypeVar("T")
# While a tenant is created or purged, what is known of it may be out of date more than once.
_PAUSES_SECONDS = (0.0, 0.01, 0.05, 0.25)
_MOST_HOMES = 10_000


class Access:
    """Safe to share between threads."""

    def __init__(self, keys: Keys, known: KnownTenants, ring: KeyRing) -> None:
        self.keys, self.known, self._ring = keys, known, ring
        self._homes: dict[str, Home] = {}

    def facts(self, tenant: str | None) -> Flow[Facts]:
        """Raises as `KnownTenants.learn`."""
        name = DEFAULT_TENANT if tenant is None else check_tenant(tenant)
        return self.known.known(name) or (yield from self.known.learn(name))

    def place(self, facts: Facts, session_id: str) -> Place:
        home = self._homes.get(facts.tenant)
        if home is None or home.facts is not facts:
            if len(self._homes) >= _MOST_HOMES:
                self._homes = {}
            self._homes[facts.tenant] = home = Home(self.keys, facts)
        return Place(home, session_id)

    def keeping_up(
        self, tenant: str | None, session_id: str, flow: Callable[[Place], Flow[T]], *, active: bool = True
    ) -> Flow[T]:
        """Run a flow by what is known of the tenant: as often as a script says that this is out of date.

        Raises TenantNotActive, unless a tenant that is not `active` may do it, too.
        """
        facts = yield from self.facts(tenant)
        if facts.status != "active":
            facts = yield from self.known.learn(facts.tenant)
        for pause in _PAUSES_SECONDS:
            if active:
                facts.require_active()
            try:
                return (yield from flow(self.place(facts, session_id)))
            except FactsOutdated:
                yield Pause(pause)
                facts = yield from self.known.learn(facts.tenant)
        raise RiptideError(f"the record of tenant {facts.tenant!r} is just being changed: try again")

    def settled(self, place: Place, operation: Operation[T]) -> Flow[T]:
        """The operation's value, after settling the account where that is behind."""
        while (value := (yield from ask(operation))) is BEHIND:
            yield from session_levels(self.keys, [place.facts.tenant])
        return value

    def lock(self, place: Place, plain: Fields) -> Flow[Fields]:
        """What is to be stored. Raises KeyUnavailable, BlobError."""
        facts = place.facts
        if not facts.key:
            return plain
        key = yield from self._ring.key(facts.tenant, facts.key_place, facts.key)
        return lock(plain, key, place.about)

    def unlock(self, place: Place, fields: Mapping[str, bytes]) -> Flow[dict[str, Any]]:
        """Values by field. Raises KeyUnavailable, BlobError, Damaged."""
        keys, facts = {}, place.facts
        for key_id in keys_of(fields.values()):
            keys[key_id] = yield from self._ring.key(facts.tenant, facts.key_place, key_id)
        return unlock(fields, keys, place.about)
