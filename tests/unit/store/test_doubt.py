"""Whether an operation that failed may have been carried out."""

import itertools
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff

from riptide.config import PerformanceSettings
from riptide.errors import ServerRefused, ServerUnavailable
from riptide.store.aio import AsyncPoolTransport, AsyncStore
from riptide.store.doubt import judge, maybe_done, nothing_sent, unsent
from riptide.store.operation import Operation
from riptide.store.pool import Again, AsyncConnections, Connections
from riptide.store.script import Script as Lua
from riptide.store.slowlog import SlowLog
from riptide.store.sync import PoolTransport, Store

LOST, REFUSED = redis.ConnectionError("lost"), redis.ResponseError("OOM")
LOGIN = redis.AuthenticationError("WRONGPASS")


@pytest.mark.parametrize(
    ("error", "sent", "before", "judgement"),
    [
        (LOST, False, False, False),
        (LOST, True, False, True),
        (LOST, False, True, True),
        (REFUSED, True, False, False),
        (REFUSED, True, True, True),
        (LOGIN, True, False, False),
        (LOGIN, False, False, False),
        (LOGIN, False, True, True),
        (redis.TimeoutError(), True, False, True),
        (redis.TimeoutError(), False, False, False),
    ],
)
def test_a_judgement_stays_with_its_error(
    error: Exception, sent: bool, before: bool, judgement: bool
) -> None:
    assert judge(error, sent=sent, before=before) is judgement
    assert maybe_done(error) is judgement


def test_without_a_judgement_only_an_answer_tells() -> None:
    assert maybe_done(redis.ConnectionError())
    assert not maybe_done(redis.ResponseError())
    assert not maybe_done(unsent(redis.ConnectionError()))
    with pytest.raises(redis.TimeoutError) as caught, nothing_sent():
        raise redis.TimeoutError
    assert not maybe_done(caught.value)


# What the transports tell

SCRIPT = Lua.load("riptide.streams", "publish.lua")


def op(*args: str) -> Operation[Any]:
    return Operation(args, lambda reply: reply)


class Script:
    """A connection whose tries go as told, the last again and again: an error while connecting or while
    reading, or an answer."""

    def __init__(self, *tries: tuple[str, Any]) -> None:
        self._tries = itertools.chain(tries, itertools.repeat(tries[-1]))
        self._what: Any = None
        self.is_connected = False

    def connect(self) -> None:
        where, self._what = next(self._tries)
        if where == "connect":
            raise self._what
        self.is_connected = True

    def send_packed_command(self, packed: Any) -> None: ...

    def read_response(self) -> Any:
        if isinstance(self._what, Exception):
            raise self._what
        return self._what

    def disconnect(self, nowait: bool = False) -> None:
        self.is_connected = False


class AsyncScript:
    """The same, awaited."""

    def __init__(self, *tries: tuple[str, Any]) -> None:
        self._inner = Script(*tries)

    @property
    def is_connected(self) -> bool:
        return self._inner.is_connected

    async def connect(self) -> None:
        self._inner.connect()

    async def send_packed_command(self, packed: Any) -> None: ...

    async def read_response(self) -> Any:
        return self._inner.read_response()

    async def disconnect(self, nowait: bool = False) -> None:
        self._inner.disconnect()


AWAY, CUT = ("connect", redis.ConnectionError("refused")), ("read", redis.ConnectionError("cut"))
OOM, NO_LOGIN = ("read", redis.OutOfMemoryError("OOM")), ("connect", redis.AuthenticationError("WRONGPASS"))
NO_SCRIPT, LATE = ("read", redis.exceptions.NoScriptError("none")), ("connect", redis.TimeoutError("timeout"))
ENDS = [
    ([AWAY, AWAY, AWAY], ServerUnavailable, False),
    ([LATE, AWAY, LATE], ServerUnavailable, False),
    ([NO_LOGIN], ServerUnavailable, False),
    ([CUT, AWAY, AWAY], ServerUnavailable, True),
    ([AWAY, CUT, AWAY], ServerUnavailable, True),
    ([AWAY, AWAY, CUT], ServerUnavailable, True),
    ([CUT, NO_LOGIN], ServerUnavailable, True),
    ([OOM], ServerRefused, False),
    ([AWAY, OOM], ServerRefused, False),
    ([CUT, OOM], ServerRefused, True),
    ([CUT, AWAY, OOM], ServerRefused, True),
]


def told(error: Exception) -> bool:
    assert isinstance(error, ServerUnavailable | ServerRefused)
    return error.maybe_done


QUIET = SlowLog(PerformanceSettings(enable_slow_log=False))


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(("tries", "kind", "judgement"), ENDS)
async def test_an_error_tells_whether_anything_was_sent_that_nobody_answered(
    tries: Any, kind: type[Exception], judgement: bool, several: bool
) -> None:
    again = Again(2, NoBackoff())
    operations = [op("GET", "key")] * 2
    sync = Store(PoolTransport(Connections(lambda: Script(*tries), 1, 1), again), 100, QUIET)
    with pytest.raises(kind) as caught:
        sync.run_all(operations) if several else sync.run(operations[0])
    assert told(caught.value) is judgement
    connections = AsyncConnections(lambda: AsyncScript(*tries), 1, 1)
    store = AsyncStore(AsyncPoolTransport(connections, again, 1), 100, QUIET)
    with pytest.raises(kind) as caught:
        await (store.run_all(operations) if several else store.run(operations[0]))
    assert told(caught.value) is judgement


@pytest.mark.parametrize(
    ("tries", "several", "judgement"),
    [
        ([NO_SCRIPT, AWAY], False, False),
        ([CUT, NO_SCRIPT, AWAY], False, True),
        ([NO_SCRIPT, CUT], False, True),
        ([NO_SCRIPT, AWAY], True, True),
    ],
)
async def test_a_script_that_the_server_did_not_know(tries: Any, several: bool, judgement: bool) -> None:
    """It is sent once more, as a whole. Of several others may have been known."""
    again = Again(2, NoBackoff())
    operations = [SCRIPT.call(["key"], [], str)] * (2 if several else 1)

    class Forgetful(Script):
        def read_response(self) -> Any:
            self.is_connected = False  # the next try connects anew, and so takes the next step
            return super().read_response()

    transport = PoolTransport(Connections(lambda: Forgetful(*tries), 1, 1), again)
    with pytest.raises(ServerUnavailable) as caught:
        Store(transport, 100, QUIET).run_all(operations)
    assert caught.value.maybe_done is judgement


async def test_when_all_connections_are_busy_nothing_is_sent() -> None:
    sync = Connections(lambda: Script(AWAY), 1, 0.01)
    sync.acquire()
    with pytest.raises(ServerUnavailable) as caught:
        Store(PoolTransport(sync, Again(0, NoBackoff())), 100, QUIET).run(op("GET", "key"))
    assert not caught.value.maybe_done
    connections = AsyncConnections(lambda: AsyncScript(AWAY), 1, 0.01)
    await connections.acquire()
    transport = AsyncPoolTransport(connections, Again(0, NoBackoff()), 1)
    with pytest.raises(ServerUnavailable) as caught:
        await AsyncStore(transport, 100, QUIET).run(op("GET", "key"))
    assert not caught.value.maybe_done


def test_of_several_pipelines_the_first_may_have_been_carried_out() -> None:
    script = Script(("read", b"value"), ("connect", redis.ConnectionError("refused")))
    transport = PoolTransport(Connections(lambda: script, 1, 1), Again(0, NoBackoff()))
    store = Store(transport, 1, QUIET)
    read = script.read_response

    def once() -> Any:
        script.is_connected = False
        return read()

    script.read_response = once  # type: ignore[method-assign]
    with pytest.raises(ServerUnavailable) as caught:
        store.run_all([op("GET", "key")] * 2)
    assert caught.value.maybe_done
