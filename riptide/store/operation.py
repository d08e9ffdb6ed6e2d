"""What the faces send: pure descriptions of one command, and flows of several.

An operation's logic is written once as `build(args) -> Operation` with its `parse(reply) -> value`. What
takes several steps is a generator that yields operations and receives their values; the synchronous and the
asynchronous store drive the same generator, so no logic exists twice.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from riptide.store.script import Script

T = TypeVar("T")
U = TypeVar("U")
Arg = str | bytes | int | float


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One Redis command and how to read its reply.

    `parse` gets the reply as RESP2 gives it (bytes, int, list or None). Only commands whose reply redis-py
    leaves alone
    may stand here: GET, MGET, DEL, EXISTS, XADD, PTTL and scripts (a test holds this list against the
    client's table).
    """

    args: tuple[Arg, ...]
    parse: Callable[[Any], T]
    script: "Script | None" = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Several operations sent together, one round trip per server; answers with a list of their values."""

    operations: Sequence[Operation[Any]]


@dataclass(frozen=True, slots=True)
class Pause:
    """Ask the driver to sleep for `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Call:
    """Ask the driver to call a user's function; the asynchronous driver awaits what it returns if that can
    be awaited."""

    function: Callable[[], Any]


Step = Operation[Any] | Batch | Pause | Call
Flow = Generator[Step, Any, T]


def ask(operation: Operation[T]) -> Flow[T]:
    """`value = yield from ask(operation)`: a yield with its type."""
    value: T = yield operation
    return value


def ask_all(operations: Sequence[Operation[T]]) -> Flow[list[T]]:
    values: list[T] = yield Batch(operations)
    return values


class _Begun(Generic[T]):
    """A flow up to its first step; what it raised before that, it raises when its turn comes."""

    def __init__(self, flow: Flow[T]) -> None:
        self._flow = flow
        self.step: Step | None = None
        self._ended: Flow[T] | None = None
        self.go_on(lambda: next(flow))

    def go_on(self, resume: Callable[[], Step]) -> None:
        try:
            self.step = resume()
        except StopIteration as end:
            self.step, self._ended = None, _returning(end.value)
        except Exception as error:  # noqa: BLE001 - raised later
            self.step, self._ended = None, _raising(error)

    def take(self, value: Any) -> None:
        self.go_on(lambda: self._flow.send(value))

    def rest(self) -> Flow[T]:
        while self._ended is None:
            assert self.step is not None
            try:
                value = yield self.step
            except Exception as error:  # noqa: BLE001 - the flow's own
                self.go_on(lambda error=error: self._flow.throw(error))  # type: ignore[misc]
            else:
                self.take(value)
        return (yield from self._ended)


def _returning(value: T) -> Flow[T]:
    return value
    yield


def _raising(error: Exception) -> Flow[Any]:
    raise error
    yield


def together(first: Flow[T], second: Flow[U]) -> Flow[tuple[T, U]]:
    """Both flows, their first operations in one round trip. Only when the first has ended well does the
    second count: what that raises before is not heard of."""
    begun = _Begun(first), _Begun(second)
    one, two = begun[0].step, begun[1].step
    if isinstance(one, Operation) and isinstance(two, Operation):
        values = yield Batch((one, two))
        begun[0].take(values[0])
        begun[1].take(values[1])
    done = yield from begun[0].rest()
    return done, (yield from begun[1].rest())


def identity(reply: Any) -> Any:
    return reply
