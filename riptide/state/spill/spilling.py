"""Keeps what sessions take in memory below a bound (docs/sessions.md)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from riptide.config import Settings
from riptide.metrics.instruments import PRESSURE
from riptide.state.blobs import Blobs, open_blobs
from riptide.state.spill.choosing import Holding, choose
from riptide.state.spill.moving import Moved, Moving
from riptide.state.spill.sweeping import Sweeping
from riptide.store.keys import Keys
from riptide.store.operation import Flow, ask
from riptide.tenants.accounts.everybody import owners
from riptide.tenants.accounts.pressure import is_full
from riptide.tenants.accounts.sessions import session_levels
from riptide.tenants.facts import Facts
from riptide.tenants.keyring.ring import Blocking
from riptide.tenants.quotas.limits import Limits

_TOGETHER = 16
# What would gain nothing was read, and so comes last when it is chosen from again.
_FRUITLESS = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done: `sessions` whose data was moved, the `bytes` of memory that freed, the `blobs` that were
    removed. `full` are tenants whose storage_bytes allow no more blobs."""

    sessions: int
    bytes: int
    blobs: int
    full: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        return not (self.sessions or self.blobs or self.full)


class Spilling:
    """`blocking` calls what blocks."""

    def __init__(self, keys: Keys, settings: Settings, blocking: Blocking) -> None:
        self._keys, self._settings = keys, settings
        self._moving = Moving(
            keys, lambda: self._blobs, blocking, lambda: Limits(settings).defaults["storage_bytes"]
        )
        self.sweeping = Sweeping(keys, lambda: self._blobs, blocking)

    def spill(
        self,
        tenant: str | None,
        keep_bytes: int | None,
        told: Callable[[int, int], None],
        stopped: Callable[[], bool] = lambda: False,
    ) -> Flow[Outcome]:
        """Move sessions of one tenant, or of all, until at most `keep_bytes` of them are in memory (None: 80
        % of state.session_memory_bytes), and remove blobs that nobody needs.

        `told` hears how many bytes of how many are moved; `stopped` is asked between two steps. Raises
        UnknownTenant, BlobError, ServerUnavailable.
        """
        whose = yield from owners(self._keys, self._settings.tenant, tenant)
        holdings = yield from self._look(whose)
        blobs = yield from self._sweep(holdings)
        total = sum(one.levels.memory_bytes for one in holdings)
        if total == 0:
            return Outcome(0, 0, blobs, ())
        keep = (yield from self._bound(total)) if keep_bytes is None else keep_bytes
        if keep_bytes is None and total > keep:
            PRESSURE.add("sessions")
        moved = yield from self._move(holdings, total - keep, told, stopped)
        return Outcome(moved.sessions, moved.bytes, blobs, tuple(sorted(moved.full)))

    def _look(self, whose: Sequence[Facts]) -> Flow[list[Holding]]:
        """Those that have sessions, or blobs to be removed."""
        levels = yield from session_levels(self._keys, [facts.tenant for facts in whose])
        pairs = zip(whose, levels, strict=True)
        return [Holding(facts, one) for facts, one in pairs if one.sessions or one.due]

    def _bound(self, total: int) -> Flow[int]:
        """Bytes that may stay. Where a server is full, three quarters of what there is, at each look."""
        bound = self._settings.state.session_memory_bytes * 8 // 10
        return min(bound, total * 3 // 4) if (yield from is_full(self._keys)) else bound

    def _move(
        self,
        holdings: list[Holding],
        need: int,
        told: Callable[[int, int], None],
        stopped: Callable[[], bool],
    ) -> Flow[Moved]:
        moved, fruitless = Moved(), 0
        while moved.bytes < need and fruitless < _FRUITLESS:
            places = yield from choose(self._keys, holdings, need - moved.bytes)
            if not places:
                break
            before = moved.sessions
            for start in range(0, len(places), _TOGETHER):
                moved = moved.plus((yield from self._moving.move(places[start : start + _TOGETHER])))
                told(min(moved.bytes, need), need)
                if moved.bytes >= need or stopped():
                    return moved
            fruitless = 0 if moved.sessions > before else fruitless + 1
            left = [one.facts for one in holdings if one.facts.tenant not in moved.full]
            holdings = yield from self._look(left)
        return moved

    def _sweep(self, holdings: Sequence[Holding]) -> Flow[int]:
        removed = 0
        for one in holdings:
            if one.levels.due:
                removed += yield from self.sweeping.sweep(one.facts.tenant)
        if (yield from ask(self.sweeping.is_time())):
            for one in holdings:
                yield from self.sweeping.drop_strays(one.facts.tenant)
            removed += yield from self.sweeping.orphans.sweep()
        return removed

    @cached_property
    def _blobs(self) -> Blobs:
        return open_blobs(self._settings.blobs)
