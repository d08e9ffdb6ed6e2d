"""Publishing: a command becomes an entry of its stream, once, however often the attempt is repeated."""

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from uuid_utils import uuid7

from commands import Command
from riptide.clock import Clock
from riptide.config import StreamsSettings
from riptide.errors import (
    BacklogFull,
    InvalidInput,
    PersistenceOff,
    PublishRefused,
    PublishUnknown,
    ServerRefused,
    ServerUnavailable,
    UnknownCommand,
)
from riptide.names import check_tenant
from riptide.store.keys import Keys, partition_of
from riptide.store.operation import Arg, Batch, Flow
from riptide.streams.attempt import (
    Attempt,
    Composed,
    Published,
    calls_of,
    publish_call,
    publish_one,
    rounds_of,
)
from riptide.streams.lanes import Lane, Lanes
from riptide.streams.message import LONGEST_DELAY_MS, LONGEST_TEXT, Ref

_FULL = re.compile(r"\bFULL (?P<backlog>\d+) (?P<stream>\S+)")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A command to publish, for a tenant if it is a tenant's. `trace` is a W3C traceparent.

    It is started `delay` seconds after it has been published, or not before the time `at` (a datetime with a
    time zone, or Unix seconds); 366 days ahead at most.
    """

    command: Command
    tenant: str | None = None
    trace: str | None = None
    delay: float | timedelta | None = None
    at: datetime | float | None = None


class Publisher:
    """Builds attempts and the flows that send them. Shared by both faces."""

    def __init__(
        self,
        keys: Keys,
        settings: StreamsSettings,
        models: Mapping[str, type[Command]],
        clock: Clock,
        only_tenant: str | None = None,
        *,
        server_counts_delays: bool = True,
    ) -> None:
        """`only_tenant` is whose a command without a tenant is (None: with multi-tenancy on, it is
        refused). Delays are counted by the server's clock, or by `clock`."""
        self._keys = keys
        self._settings = settings
        self._models = models
        self._clock = clock
        self._only_tenant = only_tenant
        self._server_counts_delays = server_counts_delays
        self._lanes = Lanes(clock, settings.lane_ttl_seconds)

    @property
    def repeats_seconds(self) -> float:
        """For so long `publish_again` is safe."""
        return self._settings.lane_ttl_seconds / 2

    @property
    def max_body_bytes(self) -> int:
        """What is larger is refused."""
        return self._settings.max_body_bytes

    def publish(self, outgoing: Outgoing, key: str | None = None, at_least_seconds: int = 0) -> Flow[Ref]:
        """Publish one command; with an idempotency `key`, once within `streams.idempotency_window_seconds`,
        or within `at_least_seconds` where that is longer.

        Raises InvalidInput, UnknownCommand, PublishRefused, ServerUnavailable when nothing was sent, or
        PublishUnknown when the answer was lost.
        """
        composed = self._compose(outgoing)
        if key is None:
            lane, lifetime = self._lanes.borrow(), self._settings.lane_ttl_seconds
        else:
            lane = Lane(_key_lane(outgoing, key), 1, 0)
            lifetime = max(self._settings.idempotency_window_seconds, at_least_seconds)
            # A second publish would run besides the first one as long as that waits.
            lifetime += max(0, delay_of(outgoing, self._clock.now_ms())) // 1000
        most = self._settings.max_backlog
        attempt = Attempt([[publish_one(self._keys, composed, lane, lifetime, most)]], [[0]])
        answer = (yield from _send(attempt))[0]
        if key is None:
            self._lanes.give_back(lane)
        return answer.refs[0]

    def publish_many(self, batch: Iterable[Outgoing]) -> Flow[list[Ref]]:
        """Publish commands in one round trip per server, or in a few if they are large.

        Answers their references in the same order. All are checked before the first is sent; an InvalidInput
        names the position. Raises as `publish` does.
        """
        settings, attempt, lanes = self._settings, Attempt([], []), []
        for calls in rounds_of(calls_of(self._compose_all(batch))):
            borrowed = [self._lanes.borrow() for _ in calls]
            lanes += borrowed
            attempt.rounds.append(
                [
                    publish_call(self._keys, call, lane, settings.lane_ttl_seconds, settings.max_backlog)
                    for call, lane in zip(calls, borrowed, strict=True)
                ]
            )
            attempt.places.extend(call.places for call in calls)
        answers = yield from _send(attempt)
        for lane in lanes:
            self._lanes.give_back(lane)
        return attempt.collect(answers)

    def publish_again(self, unknown: PublishUnknown) -> Flow[list[Ref]]:
        """Repeat the attempt of a PublishUnknown; what was accepted then is not published twice."""
        if not isinstance(unknown, PublishUnknown):
            raise InvalidInput(
                f"publish_again takes the PublishUnknown that was raised, not {_name(unknown)}"
            )
        attempt = unknown.attempt
        del unknown  # the traceback of the next one would keep it, and it those before it
        answers = yield from _send(attempt, again=True)
        return attempt.collect(answers)

    def _compose_all(self, batch: Iterable[Outgoing]) -> Iterator[Composed]:
        try:
            numbered = enumerate(batch)
        except TypeError:
            raise InvalidInput(f"publish_many takes several riptide.Outgoing, not {_name(batch)}") from None
        for place, outgoing in numbered:
            try:
                yield self._compose(outgoing)
            except InvalidInput as error:
                raise type(error)(f"commands[{place}]: {error}") from error

    def _compose(self, outgoing: Outgoing) -> Composed:
        if not isinstance(outgoing, Outgoing):
            raise InvalidInput(f"a riptide.Outgoing(command, tenant=…) is needed, not {_name(outgoing)}")
        command = outgoing.command
        kind = getattr(command, "type", None)
        if not isinstance(kind, str) or self._models.get(kind) is not type(command):
            raise self._unknown(command)
        tenant = self._tenant_of(outgoing)
        body = self._body(command)
        now = self._clock.now_ms()
        fields: list[Arg] = ["id", str(uuid7()), "v", command.version, "at", now, "body", body]
        if tenant is not None:
            fields += ("tenant", tenant)
        if outgoing.trace is not None:
            fields += ("trace", _checked_trace(outgoing.trace))
        if outgoing.delay is not None or outgoing.at is not None:
            fields += ("due", self._due(outgoing, now))
        return Composed(kind, tenant, partition_of(tenant), fields, len(body))

    def _due(self, outgoing: Outgoing, now_ms: int) -> str:
        """Unix milliseconds, or after a plus sign milliseconds from the entry's own time."""
        delay_ms = delay_of(outgoing, now_ms)
        if outgoing.delay is not None and self._server_counts_delays:
            return f"+{delay_ms}"
        return str(max(0, now_ms + delay_ms))

    def _unknown(self, command: object) -> InvalidInput:
        if not isinstance(command, Command):
            return InvalidInput(f"a command is needed, such as riptide.Warm(…), not {_name(command)}")
        known = ", ".join(sorted(self._models))
        return UnknownCommand(f"no command of type {command.type!r} is registered here; known are {known}")

    def _tenant_of(self, outgoing: Outgoing) -> str | None:
        if outgoing.tenant is not None:
            if not isinstance(outgoing.tenant, str):
                raise InvalidInput(f"tenant is a tenant's id, as text, not {_name(outgoing.tenant)}")
            return checked_tenant(outgoing.tenant)
        if not outgoing.command.tenant_required:
            return None
        if self._only_tenant is None:
            raise InvalidInput(f"{outgoing.command.type} is about one tenant: say which")
        return self._only_tenant

    def _body(self, command: Command) -> bytes:
        try:
            body = command.body()
        except ValueError as error:
            raise InvalidInput(f"{command.type} has no JSON form: {error}") from error
        limit = self._settings.max_body_bytes
        if len(body) > limit:
            raise InvalidInput(
                f"the body of {command.type} has {len(body)} bytes; streams.max_body_bytes is {limit}"
            )
        return body


def _send(attempt: Attempt, *, again: bool = False) -> Flow[list[Published]]:
    """`again`: an earlier attempt with the same operations got no answer."""
    answers: list[Published] = []
    several = False
    try:
        for operations in attempt.rounds:
            several = len(operations) > 1
            if several:
                answers += yield Batch(operations)
            else:
                answers.append((yield operations[0]))
    except PersistenceOff:
        raise
    except (ServerUnavailable, ServerRefused) as error:
        refused = isinstance(error, ServerRefused)
        # Of several the others may have been accepted.
        if again or answers or error.maybe_done or (refused and several):
            advice = (
                "Whether the commands were published, or part of them, is not known; "
                "publish_again(error) repeats them safely"
            )
            raise PublishUnknown(f"{error}. {advice}", attempt) from error
        if refused:
            raise _refusal(str(error)) from error
        raise ServerUnavailable(f"{error}. Nothing was published", maybe_done=False) from error
    return answers


def _refusal(error: str) -> PublishRefused:
    full = _FULL.search(error)
    if full is None:
        return PublishRefused(error)
    return BacklogFull(
        f"the backlog of {full['stream']} has reached {int(full['backlog']):,} commands, and "
        "streams.max_backlog allows no more: nothing was published; start more workers, or try again later"
    )


@lru_cache(maxsize=4096)
def checked_tenant(name: str) -> str:
    return check_tenant(name)


def _key_lane(outgoing: Outgoing, key: str) -> str:
    """An idempotency key is a lane of its own that only ever carries the number 1."""
    if not isinstance(key, str) or not key:
        shown = "an empty one" if key == "" else _name(key)
        raise InvalidInput(f"the idempotency key is a text of the caller's choice, not {shown}")
    text = f"{outgoing.command.type}\0{outgoing.tenant or ''}\0{key}"
    try:
        return "key-" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    except UnicodeEncodeError:
        raise InvalidInput("the idempotency key is not valid Unicode text") from None


def delay_of(outgoing: Outgoing, now_ms: int) -> int:
    """In how many milliseconds it is to start; negative for a time that has passed. Raises InvalidInput."""
    delay, at = outgoing.delay, outgoing.at
    if delay is not None and at is not None:
        raise InvalidInput("give either delay or at, not both")
    if delay is not None:
        seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
        milliseconds = _milliseconds("delay", seconds, "seconds, as a number or a timedelta")
        if milliseconds < 0:
            raise InvalidInput(f"delay is {seconds:g} s: it cannot be negative")
    elif at is not None:
        if isinstance(at, datetime) and at.utcoffset() is None:
            raise InvalidInput(f"at is {at}, without a time zone: which one is meant?")
        moment = at.timestamp() if isinstance(at, datetime) else at
        milliseconds = _milliseconds("at", moment, "a datetime or Unix seconds") - now_ms
    else:
        return 0
    if milliseconds > LONGEST_DELAY_MS:
        raise InvalidInput(f"{'delay' if at is None else 'at'} lies more than 366 days ahead")
    return milliseconds


def _milliseconds(name: str, seconds: object, wanted: str) -> int:
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and math.isfinite(seconds):
        return round(seconds * 1000)
    shown = f"{seconds:g}" if isinstance(seconds, float) else _name(seconds)
    raise InvalidInput(f"{name} is {wanted}, not {shown}")


def _checked_trace(trace: str) -> str:
    # Whoever reads it refuses anything longer; a traceparent has 55 characters.
    if isinstance(trace, str) and 0 < len(trace) <= LONGEST_TEXT and trace.isascii():
        return trace
    example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    raise InvalidInput(
        f"trace is no W3C traceparent, as in {example}: at most {LONGEST_TEXT} ASCII characters"
    )


def _name(value: object) -> str:
    """What was passed instead, for a message. Not the value: it may be secret, or long."""
    if value is None:
        return "None"
    return (
        f"the class {value.__name__}" if isinstance(value, type) else f"an object of {type(value).__name__}"
    )
