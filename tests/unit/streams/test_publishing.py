"""What cannot be published is refused before anything is sent, and says what would be right."""

from collections.abc import Iterator
from typing import Any

import pytest

from riptide import Invalidate, Outgoing
from riptide.clock import SystemClock
from riptide.config import StreamsSettings
from riptide.errors import (
    InvalidInput,
    PublishRefused,
    PublishUnknown,
    ServerRefused,
    ServerUnavailable,
    UnknownCommand,
)
from riptide.store.keys import Keys
from riptide.store.operation import Operation
from riptide.streams.publishing import Publisher
from tests.support.commands import Bulk, Noop

MODELS: Any = {"noop": Noop, "invalidate": Invalidate}


@pytest.fixture
def publisher() -> Publisher:
    return Publisher(Keys("p"), StreamsSettings(), MODELS, SystemClock())


def refused(flow: Iterator[Any]) -> InvalidInput:
    """The error that ends a flow before its first step."""
    with pytest.raises(InvalidInput) as caught:
        next(flow)
    assert isinstance(caught.value, ValueError)
    return caught.value


BAD: list[tuple[Any, str]] = [
    (Outgoing(None), "a command is needed, such as riptide.Warm(…), not None"),  # type: ignore[arg-type]
    (Outgoing({}), "not an object of dict"),  # type: ignore[arg-type]
    (Outgoing("warm"), "not an object of str"),  # type: ignore[arg-type]
    (Outgoing(Noop), "not the class Noop"),  # type: ignore[arg-type]
    (Outgoing(Bulk(into="x")), "no command of type 'bulk' is registered here; known are invalidate, noop"),
    (Outgoing(Noop(), tenant=5), "tenant is a tenant's id, as text, not an object of int"),  # type: ignore[arg-type]
    (Outgoing(Noop(), tenant=[]), "not an object of list"),  # type: ignore[arg-type]
    (Outgoing(Noop(), tenant=""), "tenant id '' is not valid"),
    (Outgoing(Noop(), trace=5), "trace is no W3C traceparent, as in 00-"),  # type: ignore[arg-type]
    (Outgoing(Noop(), trace=""), "trace is no W3C traceparent"),
    (Outgoing(Invalidate(all=True)), "invalidate is about one tenant: say which"),
]


@pytest.mark.parametrize(("outgoing", "said"), BAD)
def test_one(publisher: Publisher, outgoing: Any, said: str) -> None:
    assert said in str(refused(publisher.publish(outgoing)))


@pytest.mark.parametrize(
    ("outgoing", "said"), [*BAD, (Noop(), "a riptide.Outgoing(command, tenant=…) is needed")]
)
def test_one_of_a_batch_is_named_by_its_position(publisher: Publisher, outgoing: Any, said: str) -> None:
    error = refused(publisher.publish_many([Outgoing(Noop()), Outgoing(Noop()), outgoing]))
    assert str(error).startswith("commands[2]: ")
    assert said in str(error)


def test_the_kind_of_error_stays(publisher: Publisher) -> None:
    assert isinstance(refused(publisher.publish_many([Outgoing(Bulk(into="x"))])), UnknownCommand)


@pytest.mark.parametrize("batch", [None, 5, Outgoing(Noop())])
def test_no_batch(publisher: Publisher, batch: Any) -> None:
    assert "publish_many takes several riptide.Outgoing, not" in str(refused(publisher.publish_many(batch)))


@pytest.mark.parametrize("batch", ["warm", {"a": 1}, Noop(n=1)])
def test_a_batch_of_something_else(publisher: Publisher, batch: Any) -> None:
    assert "commands[0]: a riptide.Outgoing" in str(refused(publisher.publish_many(batch)))


@pytest.mark.parametrize(
    ("key", "said"), [(5, "an object of int"), ("", "an empty one"), (b"k", "an object of bytes")]
)
def test_idempotency_keys(publisher: Publisher, key: Any, said: str) -> None:
    assert said in str(refused(publisher.publish(Outgoing(Noop()), key)))


@pytest.mark.parametrize("what", [None, ValueError(), ServerUnavailable("x")])
def test_only_an_unknown_attempt_is_repeated(publisher: Publisher, what: Any) -> None:
    assert "publish_again takes the PublishUnknown" in str(refused(publisher.publish_again(what)))


# What an error means for the caller


def ends(flow: Any, error: Exception) -> Exception:
    """What a flow ends with whose first step ends with `error`."""
    next(flow)
    with pytest.raises((ServerUnavailable, ServerRefused)) as caught:
        flow.throw(error)
    return caught.value


UNSENT, LOST = ServerUnavailable("away", maybe_done=False), ServerUnavailable("lost")
REFUSED, REFUSED_LATER = ServerRefused("OOM"), ServerRefused("OOM", maybe_done=True)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    ("error", "kinds"),
    [
        (UNSENT, (ServerUnavailable, ServerUnavailable)),
        (LOST, (PublishUnknown, PublishUnknown)),
        (REFUSED, (PublishRefused, PublishUnknown)),
        (REFUSED_LATER, (PublishUnknown, PublishUnknown)),
    ],
)
def test_errors(
    publisher: Publisher, error: Exception, kinds: tuple[type[Exception], ...], count: int
) -> None:
    """Of two operations in one round the other may have been accepted, though one was refused."""
    batch = [Outgoing(Noop(), tenant=f"t{n}") for n in range(count)]
    assert len({one.tenant for one in batch}) == count
    ended = ends(publisher.publish_many(batch), error)
    assert type(ended) is kinds[count - 1]
    if type(ended) is ServerUnavailable:
        assert "Nothing was published" in str(ended)
        assert not ended.maybe_done


@pytest.mark.parametrize("error", [UNSENT, LOST, REFUSED])
def test_what_once_was_unknown_stays_so(publisher: Publisher, error: Exception) -> None:
    unknown = ends(publisher.publish(Outgoing(Noop())), LOST)
    assert isinstance(unknown, PublishUnknown)
    still = ends(publisher.publish_again(unknown), error)
    assert isinstance(still, PublishUnknown)
    assert still.attempt is unknown.attempt


@pytest.mark.parametrize("error", [UNSENT, REFUSED])
def test_after_a_first_round_the_outcome_is_unknown(error: Exception) -> None:
    settings = StreamsSettings(max_body_bytes=40 * 1024**2)
    publisher = Publisher(Keys("p"), settings, {"bulk": Bulk}, SystemClock())
    flow = publisher.publish_many([Outgoing(Bulk(into="x" * 20 * 1024**2))] * 2)
    first = next(flow)
    assert isinstance(first, Operation), "each needs a round of its own"
    flow.send(first.parse([0, b"1-1"]))
    with pytest.raises(PublishUnknown):
        flow.throw(error)
