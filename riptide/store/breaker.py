"""The circuit breaker: a server that is gone costs nobody more than a few calls their timeouts.

After some failures in a row it opens: calls are refused at once, and nothing is sent. Meanwhile the server is
probed in the background, one probe at a time, beside all calls. It closes when a probe is answered, or a call
that was on its way already. Pure, but for its log: the transport says what a probe is and starts it.

Services have one, workers none: those have nobody waiting, try again by themselves, and must not miss the
moment in which the server is back.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import redis

from riptide.forking import in_children
from riptide.logger import get_logger
from riptide.store.doubt import NotTried, cause_of, unsent
from riptide.store.wire import Args

Start = Callable[["Breaker"], None]

_log = get_logger("riptide.store")
#: Not all of the last are about the server: a login that it refuses is an answer, and comes quickly.
_OUTAGES = (redis.ConnectionError, redis.TimeoutError, redis.exceptions.ClusterDownError)
_NONE = (redis.AuthenticationError, redis.exceptions.AuthorizationError, NotTried)


def is_outage(error: BaseException) -> bool:
    """Whether an error tells that the server cannot be reached, or cannot serve anybody."""
    return isinstance(error, _OUTAGES) and not isinstance(error, _NONE)


class Breaker:
    """`with breaker:` goes around a call, all its tries included. Threads may share it.

    It opens after `most` failures in a row, 0: never. `start` begins to probe: until `opening` is another
    number, and `answered()` when it is answered. `node` is whom it is about, `key` one of that node's.
    """

    def __init__(
        self,
        most: int,
        start: Start,
        node: str = "",
        key: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most, self._start, self._clock = most, start, clock
        self.node, self.key = node, key
        self._openings = 0
        self.reset()

    def reset(self) -> None:
        """Closed, as in the beginning."""
        self._lock = threading.Lock()
        self._failures, self._since = 0, 0.0
        #: The number of this opening; 0: it is closed.
        self.opening = 0
        #: What the last failure said.
        self.why = ""

    @property
    def seconds(self) -> float:
        """For how long it has been open."""
        return self._clock() - self._since if self.opening else 0.0

    def refuse(self) -> None:
        """Raise redis.ConnectionError if it is open."""
        if self.opening:
            raise unsent(
                NotTried(
                    f"it has not answered for {self.seconds:.0f} s, so nothing is sent to it ({self.why})"
                )
            )

    def __enter__(self) -> None:
        if self.opening:
            self.refuse()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if error is None:
            if self._failures or self.opening:
                self.answered()
        elif is_outage(error):
            self.failed(error)
        elif isinstance(error, redis.ResponseError):
            self.answered()

    def in_vain(self, error: BaseException) -> bool:
        """Whether no further try should follow the one that ended with `error`.

        One that timed out counts as a call would: to be tried again is meant for what fails quickly, and
        passes.
        """
        if isinstance(error, redis.TimeoutError):
            self.failed(error)
        return self.opening > 0

    def failed(self, error: BaseException) -> None:
        with self._lock:
            if self.opening or not self._most:
                return
            self._failures += 1
            if self._failures < self._most:
                return
            self._openings += 1
            self.opening, self._since, self.why = self._openings, self._clock(), cause_of(error)
        _log.warning("the server does not answer: calls are refused until it does", **self._about())
        self._start(self)

    def answered(self) -> None:
        with self._lock:
            seconds, was_open = self.seconds, self.opening > 0
            self._failures = self.opening = 0
        if was_open:
            _log.warning("the server answers again", **self._about(), seconds=round(seconds, 1))

    def _about(self) -> dict[str, str]:
        return {"error": self.why} | ({"node": self.node} if self.node else {})


@dataclass(frozen=True, slots=True)
class Outage:
    """A server, of a cluster the `node`, that has not answered for `seconds`; `why` is what its last failure
    said."""

    node: str
    seconds: float
    why: str


class Guard:
    """The breakers of one store: one, or on a cluster one for each node, so that a dead node stops nobody
    from asking the others."""

    def __init__(self, most: int = 0) -> None:
        self._most = most
        self._breakers: dict[str, Breaker] = {}
        self.start: Start = lambda _: None
        in_children(self, Guard.reset)

    def reset(self) -> None:
        """All are closed. Who probed for a parent does not for its child."""
        for breaker in self:
            breaker.reset()

    @property
    def on(self) -> bool:
        """Whether any of them ever opens."""
        return self._most > 0

    def __iter__(self) -> Iterator[Breaker]:
        return iter(list(self._breakers.values()))

    def of(self, node: str = "", key: str = "") -> Breaker:
        breaker = self._breakers.get(node)
        if breaker is None:
            breaker = self._breakers.setdefault(node, Breaker(self._most, self._begin, node, key))
        return breaker

    def _begin(self, breaker: Breaker) -> None:
        self.start(breaker)

    def outages(self) -> list[Outage]:
        """What cannot be reached at present."""
        return [Outage(one.node, one.seconds, one.why) for one in self if one.opening]


def breaker_of(commands: Sequence[Args], client: Any, guard: Guard) -> AbstractContextManager[None]:
    """That of the node which is asked, as far as the client knows. Where several are asked it is not known
    which of them fails: the calls are refused if one is out of reach, and count for none."""
    if not guard.on:
        return nullcontext()
    breakers = {_breaker_of(args, client, guard) for args in commands}
    if len(breakers) == 1:
        return breakers.pop()
    for breaker in breakers:
        breaker.refuse()
    return nullcontext()


def _breaker_of(args: Args, client: Any, guard: Guard) -> Breaker:
    at = 3 if args[0] in {"EVALSHA", "EVAL"} else 1
    key = str(args[at]) if len(args) > at else ""
    nodes = client and client.nodes_manager.slots_cache.get(client.keyslot(key))
    return guard.of(nodes[0].name if nodes else "", key)
