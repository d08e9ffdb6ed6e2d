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


def identity(reply: Any) -> Any:
    return reply
