"""Where commands are replayed to: what the server knows of them, and sending each once."""

import hashlib
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from riptide.config import StreamsSettings
from riptide.state.replay.commands import REPLAYED, Found
from riptide.store.keys import GROUP, Keys
from riptide.store.operation import Arg, Operation
from riptide.store.script import Script
from riptide.store.sync import Store
from riptide.streams.message import Ref
from riptide.tenants.usage.known import digest_of, state_of

_STATES = Script.load("riptide.state", "replay_states.lua")
_SEND = Script.load("riptide.state", "replay_send.lua")
_RANGE = Script.load("riptide.streams", "range.lua")
_PAGE = 100
_ARGS_PER_CALL = 900
_BYTES_PER_CALL = 8 * 1024**2
_PROBE_SECONDS = 60
_FULL_SECONDS = 0.5


class Target:
    """A server that commands are sent to. `run` tells one replay with `--again` from others; without it
    every replay of a command is the same one. `incarnation` tells of a tenant whose it has to be: what it did
    is not sent once it is purged."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        settings: StreamsSettings,
        run: str | None,
        incarnation: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._store = store
        self._incarnation = incarnation
        self._keys = keys
        self._settings = settings
        self._run = run or ""
        self._dead: dict[tuple[str, str], set[str]] = {}

    def states(self, kind: str, partition: str, ids: Sequence[str]) -> list[str]:
        """Of each command: waits, done, dead, cancelled or unknown."""
        keys = [
            self._keys.commands(kind, partition),
            self._keys.retry(kind, partition),
            self._keys.archive(partition),
            self._keys.counted(partition),
            *(self._keys.result(kind, partition, entry) for entry in ids),
        ]
        states: list[str] = self._store.run(_STATES.call(keys, [GROUP, kind, *ids], _texts))
        dead = self.dead_sources(kind, partition)
        return [
            "dead" if entry in dead and state != "waits" else state
            for entry, state in zip(ids, states, strict=True)
        ]

    def send(self, kind: str, partition: str, commands: Sequence[Found]) -> list[bool]:
        """Publish commands of one stream; of each whether it was sent now, or had been before.

        Waits while the stream's backlog is full.
        """
        calls, start = [], 0
        while start < len(commands):
            end = _fitting(commands, start)
            calls.append(self._send(kind, partition, commands[start:end]))
            start = end
        sent: list[bool] = []
        for call, answers in zip(calls, self._store.run_all(calls), strict=True):
            sent += answers or self._once_there_is_room(call)
        return sent

    def _once_there_is_room(self, call: Operation[list[bool]]) -> list[bool]:
        while True:
            time.sleep(_FULL_SECONDS)
            if answers := self._store.run(call):
                return answers

    def _send(self, kind: str, partition: str, commands: Sequence[Found]) -> Operation[list[bool]]:
        keys = [
            self._keys.commands(kind, partition),
            self._keys.slow(kind, partition),
            self._keys.full(kind, partition),
            self._keys.gone(partition),
        ]
        args: list[Arg] = [self._settings.idempotency_window_seconds, self._settings.max_backlog]
        for command in commands:
            fields = _marked(command)
            keys.append(self._keys.lane(partition, self._lane(command.source)))
            tenant = command.tenant or ""
            incarnation = self._incarnation(tenant)
            args += (state_of(tenant) if incarnation else "", incarnation or "", len(fields), *fields)
        return _SEND.call(keys, args, _truths)

    def sent_before(self, partition: str, commands: Sequence[Found]) -> list[bool]:
        """Of each command whether a replay has sent it, as far as that is remembered."""
        keys = [self._keys.lane(partition, self._lane(command.source)) for command in commands]
        return self._store.run_all([Operation(("EXISTS", key), bool) for key in keys])

    def purged_ms(self, tenants: Collection[str]) -> dict[str, int]:
        """When those of `tenants` that were purged here were (Unix ms, the server's)."""
        names = sorted(tenants)
        key = self._keys.control("purged")
        found: dict[str, int] = {}
        for start in range(0, len(names), _ARGS_PER_CALL):
            some = names[start : start + _ARGS_PER_CALL]
            stamps: list[Any] = self._store.run(Operation(("HMGET", key, *map(digest_of, some)), list))
            found |= {name: int(stamp) for name, stamp in zip(some, stamps, strict=True) if stamp}
        return found

    def _lane(self, source: Ref) -> str:
        text = f"{source}\0{self._run}"
        return "replay-" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def dead_sources(self, kind: str, partition: str) -> set[str]:
        """First entries of all dead letters of a stream, looked up once: who dies later has been handed out
        by then."""
        stream = kind, partition
        if stream not in self._dead:
            self._dead[stream] = set(self._dead_rows(kind, partition))
        return self._dead[stream]

    def _dead_rows(self, kind: str, partition: str) -> list[str]:
        found: list[str] = []
        start = "-"
        while True:
            page = self._store.run(_RANGE.call([self._keys.dead(kind, partition)], [start, "+", _PAGE], list))
            for _, flat in page:
                fields = dict(zip(flat[::2], flat[1::2], strict=True))
                if b"src" in fields:
                    found.append(fields[b"src"].decode("utf-8", "replace"))
            if len(page) < _PAGE:
                return found
            start = f"({page[-1][0].decode()}"


def same_server(one: Store, other: Store, keys: Keys) -> bool:
    """Whether both lead to the same data, however they are addressed."""
    token, key = secrets.token_hex(16), keys.control("replay:probe")
    one.run(Operation(("SET", key, token, "EX", _PROBE_SECONDS), bool))
    return bool(other.run(Operation(("GET", key), lambda reply: reply == token.encode())))


def _texts(reply: Any) -> list[str]:
    return [row.decode() for row in reply]


def _truths(reply: Any) -> list[bool]:
    return [row == 1 for row in reply]


def _marked(command: Found) -> list[bytes]:
    """With the reference of what is repeated, in the place of that of an earlier replay."""
    kept = command.fields
    if REPLAYED in kept[::2]:
        pairs = zip(kept[::2], kept[1::2], strict=False)
        kept = [part for pair in pairs if pair[0] != REPLAYED for part in pair]
    return [*kept, REPLAYED, str(command.source).encode()]


def _fitting(commands: Sequence[Found], start: int) -> int:
    """Where a call that begins at `start` must end, so that it holds up nobody else."""
    args, size, end = 0, 0, start
    while end < len(commands):
        args += len(commands[end].fields) + 6
        size += sum(map(len, commands[end].fields))
        if end > start and (args > _ARGS_PER_CALL or size > _BYTES_PER_CALL):
            break
        end += 1
    return end
