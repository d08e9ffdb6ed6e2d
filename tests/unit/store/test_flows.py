"""Flows as both stores drive them, over a transport that answers from memory."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from riptide.config import PerformanceSettings
from riptide.errors import ServerRefused, ServerUnavailable
from riptide.store.aio import AsyncStore
from riptide.store.operation import Call, Flow, Operation, Pause, ask, ask_all, identity, together
from riptide.store.slowlog import SlowLog
from riptide.store.sync import Store
from riptide.store.wire import Args

Drive = Callable[[Flow[Any]], Any]


def answer(args: Args) -> Any:
    """ECHO answers with its argument; every other command fails as it is named."""
    name, *rest = args
    if name == "ECHO":
        return rest[0]
    raise {"REFUSE": redis.ResponseError("no"), "LOSE": redis.ConnectionError("gone")}[str(name)]


def answer_or_error(args: Args) -> Any:
    try:
        return answer(args)
    except redis.ResponseError as error:
        return error


class Memory:
    def __init__(self) -> None:
        self.sent: list[int] = []

    def send(self, args: Args) -> Any:
        self.sent.append(1)
        return answer(args)

    def send_all(self, commands: Sequence[Args]) -> list[Any]:
        self.sent.append(len(commands))
        return [answer_or_error(args) for args in commands]

    def close(self) -> None: ...


class AsyncMemory:
    def __init__(self) -> None:
        self.memory = Memory()

    async def send(self, args: Args) -> Any:
        return self.memory.send(args)

    async def send_all(self, commands: Sequence[Args]) -> list[Any]:
        return self.memory.send_all(commands)

    async def close(self) -> None: ...


def slow_log() -> SlowLog:
    return SlowLog(PerformanceSettings())


@pytest.fixture(params=["sync", "async"])
def drive(request: pytest.FixtureRequest) -> Drive:
    if request.param == "sync":
        return Store(Memory(), 2, slow_log()).drive

    def run(flow: Flow[Any]) -> Any:
        async def main() -> Any:
            return await AsyncStore(AsyncMemory(), 2, slow_log()).drive(flow)

        return asyncio.run(main())

    return run


def echo(text: str) -> Operation[str]:
    return Operation(("ECHO", text), str.upper)


def test_operations_are_answered_by_their_values(drive: Drive) -> None:
    def flow() -> Flow[Any]:
        one = yield from ask(echo("a"))
        many = yield from ask_all([echo("b"), echo("c"), echo("d")])
        yield Pause(0.0)
        called = yield Call(lambda: "called")
        return [one, *many, called]

    assert drive(flow()) == ["A", "B", "C", "D", "called"]


def test_a_flow_without_steps(drive: Drive) -> None:
    def flow() -> Flow[Any]:
        return "at once"
        yield

    assert drive(flow()) == "at once"


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (Operation(("REFUSE", "k"), identity), ServerRefused),
        (Operation(("LOSE", "k"), identity), ServerUnavailable),
        (Call(lambda: 1 // 0), ZeroDivisionError),
        (Operation(("ECHO", "k"), int), ValueError),
    ],
    ids=["refused", "lost", "call", "parse"],
)
def test_an_error_is_thrown_into_the_flow(drive: Drive, step: Any, expected: type[Exception]) -> None:
    def careful() -> Flow[Any]:
        try:
            yield step
        except expected as error:
            after = yield from ask(echo("after"))
            return type(error), after

    def careless() -> Flow[Any]:
        yield step

    assert drive(careful()) == (expected, "AFTER")
    with pytest.raises(expected):
        drive(careless())


def test_an_error_in_a_batch_is_thrown_into_the_flow(drive: Drive) -> None:
    def flow() -> Flow[Any]:
        try:
            yield from ask_all([echo("a"), Operation(("REFUSE", "k"), identity), echo("b")])
        except ServerRefused as error:
            return str(error)

    assert drive(flow()) == "no"


def test_the_flows_own_error_reaches_the_caller(drive: Drive) -> None:
    def flow() -> Flow[Any]:
        yield from ask(echo("a"))
        raise LookupError("its own")

    with pytest.raises(LookupError, match="its own"):
        drive(flow())


def test_what_is_slow_and_has_no_key_is_logged() -> None:
    with capture_logs() as lines:
        slow_log().note(Operation(("TIME",), identity), 1.0)
    assert [(line["operation"], line["key"]) for line in lines] == [("TIME", "")]


def asking(text: str, more: str = "") -> Flow[str]:
    found = yield from ask(echo(text))
    return found + ((yield from ask(echo(more))) if more else "")


def failing(error: Exception, step: Operation[Any] | None = None) -> Flow[Any]:
    if step is not None:
        yield step
    raise error


def test_two_flows_ask_their_first_together() -> None:
    memory = Memory()
    drive = Store(memory, 2, slow_log()).drive
    assert drive(together(asking("a", "b"), asking("c", "d"))) == ("AB", "CD")
    assert memory.sent == [2, 1, 1]


def test_of_two_flows_the_first_is_heard_first(drive: Drive) -> None:
    first, second = LookupError("first"), LookupError("second")
    for one in (failing(first), failing(first, echo("a"))):
        with pytest.raises(LookupError, match="first"):
            drive(together(one, failing(second)))
    for other in (failing(second), failing(second, echo("b"))):
        with pytest.raises(LookupError, match="second"):
            drive(together(asking("a", "b"), other))


def test_pieces_of_a_batch_are_bounded() -> None:
    memory = Memory()
    assert Store(memory, 2, slow_log()).run_all([echo(text) for text in "abcde"]) == list("ABCDE")
    assert memory.sent == [2, 2, 1]


async def test_the_asynchronous_driver_awaits_calls() -> None:
    async def later() -> str:
        await asyncio.sleep(0)
        return "later"

    def flow() -> Flow[Any]:
        return (yield Call(later))

    assert await AsyncStore(AsyncMemory(), 2, slow_log()).drive(flow()) == "later"


async def test_cancellation_is_thrown_into_the_flow() -> None:
    waiting, seen = asyncio.Event(), []

    async def forever() -> None:
        waiting.set()
        await asyncio.Event().wait()

    def flow() -> Flow[Any]:
        try:
            yield Call(forever)
        except asyncio.CancelledError:
            seen.append((yield from ask(echo("tidied"))))
            raise
        finally:
            seen.append("finally")

    task = asyncio.create_task(AsyncStore(AsyncMemory(), 2, slow_log()).drive(flow()))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["TIDIED", "finally"]
