"""What both faces of a cache share: keys, codec, counters, the server's time. It sends nothing."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from riptide.cache.access.exporting import watch
from riptide.cache.access.tally import Tallies, Tally
from riptide.cache.accounts.caps import caps_of
from riptide.cache.codec import Codec
from riptide.cache.popularity.demand import Demand, Room
from riptide.cache.server_time import ServerTime
from riptide.cache.space import Digests, Space
from riptide.cache.spill.spill import Spill
from riptide.clock import Clock, SystemClock
from riptide.config import CacheSettings
from riptide.errors import InvalidInput, PersistenceOff, RiptideError, ServerUnavailable, UnknownTenant
from riptide.forking import in_children
from riptide.names import DEFAULT_NAMESPACE, DEFAULT_TENANT, check_namespace, check_tenant
from riptide.store.keys import Keys
from riptide.store.operation import Flow, Pause
from riptide.tenants.accounts.account import FactsOutdated
from riptide.tenants.facts import Facts, KnownTenants
from riptide.tenants.keyring.ring import KeyRing

_MOST_SPACES = 10_000
LONGEST_TTL_SECONDS = 315_360_000  # ten years
#: No lease lasts longer, so no stamp of an invalidated tag has to.
LONGEST_LEASE_SECONDS = 3600
_LOOK_AGAIN_SECONDS = 1.0
# While a tenant is created or purged, its record in one slot is another than in the next.
_PAUSES_SECONDS = (0.0, 0.01, 0.05, 0.25)

T = TypeVar("T")


class Core:
    """Safe to share between threads."""

    def __init__(
        self,
        keys: Keys,
        settings: CacheSettings,
        tenants: KnownTenants,
        clock: Clock | None = None,
        *,
        ring: KeyRing | None = None,
        spill: Spill | None = None,
        clustered: bool = True,
    ) -> None:
        """`ring` has the keys of tenants whose data is encrypted, `spill` moves entries to the blob store and
        back; `clustered` tells whether keys of different
        slots need calls of their own."""
        self.keys, self.settings, self.tenants = keys, settings, tenants
        self.ring, self.spill = ring, spill
        self.clock = clock or SystemClock()
        self.codec = Codec(settings)
        self.tallies = Tallies()
        #: Whether it is counted which keys are read, and for how many there is room.
        self.counts_keys, self.room = False, Room()
        #: Called when a namespace is met, and after a fork met anew.
        self.on_new_space: Callable[[], None] = lambda: None
        self.time = ServerTime(self.clock)
        self.clustered = clustered
        self._digests = Digests(settings.version)
        self._spaces: dict[tuple[str | None, str | None], Space] = {}
        self._looked: dict[str, float] = {}
        self.renew_caps()
        in_children(self, Core.leave_to_parent)
        watch(self, self.tallies)

    def renew_caps(self) -> None:
        """The settings that tell how much a tenant may hold have changed."""
        self.caps = caps_of(self.settings, self.tenants.settings)
        self._spaces.clear()

    @property
    def lease_ms(self) -> int:
        """How long a lease of the cache lasts."""
        return round(min(self.settings.lease_seconds, LONGEST_LEASE_SECONDS) * 1000)

    def space(self, tenant: str | None, namespace: str | None) -> Space | None:
        """The namespace's place; None if this process does not know the tenant yet: see `find`.

        Raises InvalidInput for names that must not become keys.
        """
        try:
            return self._spaces[tenant, namespace]
        except (KeyError, TypeError):
            return self._make(tenant, namespace)

    def find(self, tenant: str | None, namespace: str | None) -> Flow[Space]:
        """The same after learning what is needed of the tenant. Raises as `KnownTenants.learn`."""
        while (space := self.space(tenant, namespace)) is None:
            yield from self.tenants.learn(DEFAULT_TENANT if tenant is None else tenant)
        return space

    def bear(self, error: ServerUnavailable) -> None:
        """Take an outage for a miss, or raise it, as `cache.on_outage` says. Where persistence is switched
        off all reads are misses."""
        if self.settings.on_outage == "raise" and not isinstance(error, PersistenceOff):
            raise error

    def stranger(self, tenant: str | None, namespace: str | None) -> Space:
        """A place for a tenant of whom nothing can be learnt: what is loaded is packed for it, and nothing is
        sent there. Raises InvalidInput."""
        facts = Facts(DEFAULT_TENANT if tenant is None else check_tenant(tenant))
        name = DEFAULT_NAMESPACE if namespace is None else namespace
        return Space(self.keys, self._digests, facts, name, self.caps, self.tallies.others)

    def _make(self, tenant: str | None, namespace: str | None) -> Space | None:
        owner = DEFAULT_TENANT if tenant is None else check_tenant(tenant)
        name = DEFAULT_NAMESPACE if namespace is None else check_namespace(namespace)
        facts = self.tenants.known(owner)
        if facts is None:
            return None
        tally = self.tallies.of(facts)
        space = Space(
            self.keys, self._digests, facts, name, self.caps, tally, self._demand(facts, name, tally)
        )
        if len(self._spaces) >= _MOST_SPACES:
            self._spaces.clear()
        self._spaces[tenant, namespace] = space
        self.on_new_space()
        return space

    def _demand(self, facts: Facts, namespace: str, tally: Tally) -> Demand | None:
        """Keys of an encrypted tenant never leave the process that uses them."""
        if not self.counts_keys or facts.key or tally is self.tallies.others:
            return None
        return tally.demands.of(namespace, self.settings.popular_keys, self.room)

    def start_over(self) -> None:
        """Meet all tenants anew: more were met than are counted one by one."""
        self.tallies.start_over()
        self.room = Room()
        self._spaces.clear()

    def leave_to_parent(self) -> None:
        """In a forked child: what was counted before is not its own."""
        for tally in self.tallies:
            tally.leave_to_parent()
        self.room = Room()
        self._spaces.clear()

    def renew(self, space: Space) -> Flow[Space]:
        """The same place by what the tenant's record says now. Raises as `KnownTenants.learn`."""
        owner = space.tenant
        for (tenant, namespace), known in list(self._spaces.items()):
            if known.tenant == owner:
                self._spaces.pop((tenant, namespace), None)
        yield from self.tenants.learn(owner)
        return (yield from self.find(owner, space.name))

    def keep_up(self, space: Space, flow: Callable[[Space], Flow[T]]) -> Flow[T]:
        """Run a flow where the tenant's keys are now: as often as a script says that they are elsewhere.

        Raises as `KnownTenants.learn`.
        """
        for pause in _PAUSES_SECONDS:
            try:
                return (yield from flow(space))
            except FactsOutdated:
                yield Pause(pause)
                space = yield from self.renew(space)
        raise RiptideError(f"the record of tenant {space.tenant!r} is just being changed: try again")

    def look_again(self, space: Space) -> Flow[None]:
        """Where a whole namespace is empty the tenant may be another one by now, whose keys are elsewhere.

        Learns that for reads to come, once a second at most.
        """
        if space.tenant == DEFAULT_TENANT:
            return
        now = self.clock.monotonic()
        if now - self._looked.get(space.tenant, -_LOOK_AGAIN_SECONDS) < _LOOK_AGAIN_SECONDS:
            return
        if len(self._looked) >= _MOST_SPACES:
            self._looked.clear()
        self._looked[space.tenant] = now
        with suppress(UnknownTenant):
            yield from self.renew(space)


def milliseconds(seconds: Any, what: str, *, least: int = 1) -> int:
    """Whole milliseconds. Raises InvalidInput unless `seconds` is a number, `least` ms to ten years."""
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if number and least <= seconds * 1000 and seconds <= LONGEST_TTL_SECONDS:
        whole: int = round(seconds * 1000)
        return whole
    raise InvalidInput(f"{what} is a number of seconds from {least / 1000} to {LONGEST_TTL_SECONDS}")
