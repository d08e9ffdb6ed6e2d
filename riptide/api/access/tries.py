"""Failed tries, counted by client address in windows of time: in bounded memory, however many clients there
are.

What is counted is told to the audit trail when its window is over: one record for each of the clients that
tried most, and one for all others.
"""

import ipaddress
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache

from riptide.api.access.caller import Caller
from riptide.clock import Clock
from riptide.config import ApiSettings

#: Clients that are counted one by one; more of them in one window are counted together.
MOST_CLIENTS = 10_000
#: Callers that are remembered.
_MOST_CALLERS = 10_000
_TOLD_ALONE = 20
OTHERS = "others"
_IPV6_BITS = 64


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a window: `tries` of one client (or of `clients` others), by what was wrong."""

    client: str
    tries: int
    reasons: dict[str, int]
    clients: int = 1


@dataclass(slots=True)
class _Count:
    tries: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


class Tries:
    """Counts for one process. Threads may share it: a count that two change at once may miss one."""

    def __init__(self, settings: ApiSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._window = -1
        self._counts: dict[str, _Count] = {}
        self._reports: list[Report] = []

    def wait_seconds(self, client: str) -> int:
        """For how long this client must wait before it may try again; 0: it need not. Those that are counted
        together never do: whoever has many addresses could lock out everybody else."""
        self._turn()
        count = self._counts.get(client)
        if count is None or count.tries < self._settings.failed_tries:
            return 0
        length = self._settings.failed_tries_seconds
        return max(1, int((self._window + 1) * length - self._clock.monotonic()) + 1)

    def failed(self, client: str, why: str) -> None:
        self._turn()
        count = self._counts.setdefault(self._place(client), _Count())
        count.tries += 1
        count.reasons[why] += 1

    def take_reports(self, *, all_of_them: bool = False) -> list[Report]:
        """Of windows that are over, each once; with `all_of_them` also what the present one has so far."""
        self._turn()
        if all_of_them:
            self._close()
        reports, self._reports = self._reports, []
        return reports

    def give_back(self, reports: list[Report]) -> None:
        """They could not be told yet."""
        self._reports = reports + self._reports

    def _turn(self) -> None:
        window = int(self._clock.monotonic() // self._settings.failed_tries_seconds)
        if window != self._window:
            self._close()
            self._window = window

    def _close(self) -> None:
        counts, self._counts = self._counts, {}
        ranked = sorted(counts.items(), key=lambda one: (one[0] == OTHERS, -one[1].tries))
        self._reports += [Report(name, one.tries, dict(one.reasons)) for name, one in ranked[:_TOLD_ALONE]]
        if rest := ranked[_TOLD_ALONE:]:
            reasons: Counter[str] = sum((one.reasons for _, one in rest), Counter())
            self._reports.append(Report(OTHERS, reasons.total(), dict(reasons), len(rest)))
        del self._reports[: -4 * _TOLD_ALONE]  # as long as nobody can be told

    def _place(self, client: str) -> str:
        return client if client in self._counts or len(self._counts) < MOST_CLIENTS else OTHERS


class Remembered:
    """Callers that were let in lately, by the digest of what they showed."""

    def __init__(self, settings: ApiSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._callers: OrderedDict[str, tuple[float, Caller]] = OrderedDict()

    def add(self, digest: str, caller: Caller) -> None:
        self._callers.pop(digest, None)  # so that it comes last
        self._callers[digest] = (self._clock.monotonic(), caller)
        while len(self._callers) > _MOST_CALLERS:
            self._callers.popitem(last=False)

    def forget(self, digest: str) -> None:
        self._callers.pop(digest, None)

    def get(self, digest: str) -> Caller | None:
        since, caller = self._callers.get(digest, (float("-inf"), None))
        late = self._clock.monotonic() - since > self._settings.remember_seconds
        return None if late else caller


@lru_cache(maxsize=4096)
def client_name(address: str | None) -> str:
    """By what a client is counted: its address, or of IPv6 the network that one customer has."""
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, _IPV6_BITS), strict=False))
    return str(found)
