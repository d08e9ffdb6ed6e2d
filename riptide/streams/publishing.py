"""Publishing: a command becomes an entry of its stream, once, however often the attempt is repeated."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from uuid_utils import uuid7

from commands import Command
from riptide.clock import Clock
from riptide.config import StreamsSettings
from riptide.errors import (
    InvalidInput,
    PublishRefused,
    PublishUnknown,
    ServerRefused,
    ServerUnavailable,
    UnknownCommand,
)
from riptide.names import check_tenant
from riptide.store.keys import Keys, partition_of
from riptide.store.operation import Arg, Batch, Flow, Operation
from riptide.store.script import Script
from riptide.streams.lanes import Lane, Lanes
from riptide.streams.message import LONGEST_TEXT, Ref

_PUBLISH = Script.load("riptide.streams", "publish.lua")
_PUBLISH_BATCH = Script.load("riptide.streams", "publish_batch.lua")
_PER_CALL = 500  # commands in one script call: longer ones would hold up everybody else


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A command to publish, for a tenant if it is a tenant's. `trace` is a W3C traceparent."""

    command: Command
    tenant: str | None = None
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """What the server said of one operation: where its commands are, and whether it had been seen before."""

    refs: list[Ref]
    repeated: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to publish, complete, so that repeating it changes nothing; `places` are positions in
    the caller's order."""

    operations: list[Operation[Published]]
    places: list[list[int]]

    def collect(self, answers: Sequence[Published]) -> list[Ref]:
        refs: dict[int, Ref] = {}
        for places, answer in zip(self.places, answers, strict=True):
            refs.update(zip(places, answer.refs, strict=True))
        return [refs[place] for place in range(len(refs))]


class Publisher:
    """Builds attempts and the flows that send them. Shared by both faces."""

    def __init__(
        self,
        keys: Keys,
        settings: StreamsSettings,
        models: Mapping[str, type[Command]],
        clock: Clock,
        only_tenant: str | None = None,
    ) -> None:
        """`only_tenant` is whose a command without a tenant is (None: with multi-tenancy on, it is
        refused)."""
        self._keys = keys
        self._settings = settings
        self._models = models
        self._clock = clock
        self._only_tenant = only_tenant
        self._lanes = Lanes(clock, settings.lane_ttl_seconds)

    def publish(self, outgoing: Outgoing, key: str | None = None) -> Flow[Ref]:
        """Publish one command; with an idempotency `key`, once within `streams.idempotency_window_seconds`.

        Raises InvalidInput, UnknownCommand, PublishRefused, or PublishUnknown when the answer was lost.
        """
        tenant = self._tenant_of(outgoing)
        fields = self._fields(outgoing, tenant)
        if key is None:
            lane, lifetime = self._lanes.borrow(), self._settings.lane_ttl_seconds
        else:
            lane, lifetime = Lane(_key_lane(outgoing, key), 1, 0), self._settings.idempotency_window_seconds
        operation = self._one(outgoing.command.type, partition_of(tenant), lane, lifetime, fields)
        answer = (yield from self._send(Attempt([operation], [[0]])))[0]
        if key is None:
            self._lanes.give_back(lane)
        return answer.refs[0]

    def publish_many(self, batch: Iterable[Outgoing]) -> Flow[list[Ref]]:
        """Publish commands in one round trip per server; references in the same order. Raises as `publish`
        does."""
        partitions: dict[str, list[tuple[int, str, list[Arg]]]] = {}
        for place, outgoing in enumerate(batch):
            tenant = self._tenant_of(outgoing)
            item = (place, outgoing.command.type, self._fields(outgoing, tenant))
            partitions.setdefault(partition_of(tenant), []).append(item)
        attempt, lanes = Attempt([], []), []
        for partition, items in partitions.items():
            for start in range(0, len(items), _PER_CALL):
                chunk = items[start : start + _PER_CALL]
                lane = self._lanes.borrow()
                lanes.append(lane)
                commands = [(kind, fields) for _, kind, fields in chunk]
                attempt.operations.append(self._batch(partition, lane, commands))
                attempt.places.append([place for place, _, _ in chunk])
        answers = yield from self._send(attempt)
        for lane in lanes:
            self._lanes.give_back(lane)
        return attempt.collect(answers)

    def publish_again(self, unknown: PublishUnknown) -> Flow[list[Ref]]:
        """Repeat the attempt of a PublishUnknown; what was accepted then is not published twice."""
        answers = yield from self._send(unknown.attempt)
        return unknown.attempt.collect(answers)

    def _send(self, attempt: Attempt) -> Flow[list[Published]]:
        try:
            if len(attempt.operations) == 1:
                answers = [(yield attempt.operations[0])]
            else:
                answers = yield Batch(attempt.operations)
        except ServerUnavailable as error:
            advice = (
                "Whether the commands were published is not known; publish_again(error) repeats them safely"
            )
            raise PublishUnknown(f"{error}. {advice}", attempt) from error
        except ServerRefused as error:
            if len(attempt.operations) > 1:  # the others may have been accepted
                text = (
                    f"{error}. Part of them may have been published; publish_again(error) repeats them safely"
                )
                raise PublishUnknown(text, attempt) from error
            raise PublishRefused(str(error)) from error
        return answers

    def _tenant_of(self, outgoing: Outgoing) -> str | None:
        if outgoing.tenant is not None:
            return checked_tenant(outgoing.tenant)
        if not outgoing.command.tenant_required:
            return None
        if self._only_tenant is None:
            raise InvalidInput(f"{outgoing.command.type} is about one tenant: say which")
        return self._only_tenant

    def _fields(self, outgoing: Outgoing, tenant: str | None) -> list[Arg]:
        command = outgoing.command
        if self._models.get(command.type) is not type(command):
            known = ", ".join(sorted(self._models))
            raise UnknownCommand(f"no command of type {command.type!r} is registered here; known are {known}")
        body = command.body()
        if len(body) > self._settings.max_body_bytes:
            limit = self._settings.max_body_bytes
            raise InvalidInput(
                f"the body of {command.type} has {len(body)} bytes; streams.max_body_bytes is {limit}"
            )
        now = self._clock.now_ms()
        fields: list[Arg] = ["id", str(uuid7()), "v", command.version, "at", now, "body", body]
        if tenant is not None:
            fields += ("tenant", tenant)
        if outgoing.trace is not None:
            fields += ("trace", _checked_trace(outgoing.trace))
        return fields

    def _one(
        self, kind: str, partition: str, lane: Lane, lifetime: int, fields: list[Arg]
    ) -> Operation[Published]:
        def parse(reply: Any) -> Published:
            repeated = isinstance(reply, list)
            entry_id = reply[0] if repeated else reply
            return Published([Ref(kind, partition, entry_id.decode())], repeated)

        keys = (self._keys.lane(partition, lane.id), self._keys.commands(kind, partition))
        return _PUBLISH.call(keys, (lane.number, lifetime, *fields), parse)

    def _batch(
        self, partition: str, lane: Lane, commands: list[tuple[str, list[Arg]]]
    ) -> Operation[Published]:
        keys = [self._keys.lane(partition, lane.id)]
        index: dict[str, int] = {}
        args: list[Arg] = [lane.number, self._settings.lane_ttl_seconds]
        kinds = []
        for kind, fields in commands:
            if kind not in index:
                keys.append(self._keys.commands(kind, partition))
                index[kind] = len(keys)
            args += (index[kind], len(fields))
            args += fields
            kinds.append(kind)

        def parse(reply: Any) -> Published:
            refs = [
                Ref(kind, partition, entry.decode()) for kind, entry in zip(kinds, reply[1:], strict=True)
            ]
            return Published(refs, reply[0] == 1)

        return _PUBLISH_BATCH.call(keys, args, parse)


@lru_cache(maxsize=4096)
def checked_tenant(name: str) -> str:
    return check_tenant(name)


def _key_lane(outgoing: Outgoing, key: str) -> str:
    """An idempotency key is a lane of its own that only ever carries the number 1."""
    text = f"{outgoing.command.type}\0{outgoing.tenant or ''}\0{key}"
    try:
        return "key-" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    except UnicodeEncodeError:
        raise InvalidInput("the idempotency key is not valid Unicode text") from None


def _checked_trace(trace: str) -> str:
    # Whoever reads it refuses anything longer; a traceparent has 55 characters.
    if len(trace) <= LONGEST_TEXT and trace.isascii():
        return trace
    raise InvalidInput(f"trace is no W3C traceparent: at most {LONGEST_TEXT} ASCII characters")
