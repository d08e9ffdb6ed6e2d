"""Sees what goes over a transport: which calls settle a command or take a worker over, and what was answered.

It reads the calls as the headers of the Lua scripts describe them (KEYS, ARGV, Returns), and shares no code
with those who make them.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from riptide.store.aio import AsyncStore
from riptide.store.script import Script
from tests.support.history import Record, Recorder, now

#: Scripts that take an entry off its consumer's list, with `first entry id` in ARGV[3].
_SETTLING = ("settle.lua", "retry.lua", "bury.lua", "hand_back.lua")
_FENCE = re.compile(r":fence:\{(?P<partition>[^}]+)\}:(?P<consumer>.+)$")
_STREAM = re.compile(r":commands:(?P<kind>[^:]+):(?:slow:)?\{(?P<partition>[^}]+)\}$")


def _names() -> dict[str, str]:
    found: dict[str, str] = {}
    packages = ("riptide.streams", "riptide.cache", "riptide.state", "riptide.tenants.registry")
    for package in (*packages, "riptide.tenants.usage", "riptide.tenants.purge"):
        for file in resources.files(package).joinpath("lua").iterdir():
            if file.name.endswith(".lua"):
                script = Script.load(package, file.name)
                found |= {script.sha: file.name, script.source: file.name}
    return found


_NAMES = _names()


@dataclass(frozen=True, slots=True)
class Call:
    """One command as it is sent: `name` is the script's file, or the command itself."""

    name: str
    keys: Sequence[str]
    args: Sequence[str]

    @classmethod
    def of(cls, sent: Sequence[Any]) -> "Call":
        name = _text(sent[0]).upper()
        if name not in {"EVALSHA", "EVAL"}:
            rest = [_text(part) for part in sent[1:]]
            return cls(name, rest, rest)
        count = int(sent[2])
        keys = [_text(key) for key in sent[3 : 3 + count]]
        script = _NAMES.get(_text(sent[1]), "?.lua")
        # Bodies are not looked at; a script for several commands may carry many.
        return cls(script, keys, [_text(arg) for arg in sent[3 + count :]])


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def observe(store: AsyncStore, recorder: Recorder) -> None:
    """Record every call of `store` that settles a command or takes a worker over, with its answer."""
    transport: Any = store.transport
    send, send_all = transport.send, transport.send_all

    async def observed_send(args: Any) -> Any:
        return (await around([args], lambda: _listed(send(args))))[0]

    async def observed_send_all(commands: Any) -> Any:
        return await around(commands, lambda: send_all(commands))

    async def around(commands: Sequence[Any], exchange: Callable[[], Any]) -> Any:
        sent = now()
        calls = [Call.of(args) for args in commands]
        recorder.add_all([record for call in calls for record in _before(call)])
        replies = await exchange()
        recorder.add_all(
            [r for call, reply in zip(calls, replies, strict=True) for r in _after(call, reply, sent)]
        )
        return replies

    transport.send, transport.send_all = observed_send, observed_send_all


async def _listed(reply: Any) -> list[Any]:
    return [await reply]


def _before(call: Call) -> list[Record]:
    fence = _FENCE.search(call.keys[0]) if call.name == "take_over.lua" else None
    if fence is None:
        return []
    return [{"what": "taking", "worker": fence["consumer"], "partition": fence["partition"]}]


def _after(call: Call, reply: Any, sent: int) -> list[Record]:
    if isinstance(reply, Exception) or not call.keys or (fence := _FENCE.search(call.keys[0])) is None:
        return []
    if call.name == "take_over.lua":
        facts = {"worker": fence["consumer"], "partition": fence["partition"]}
        return [{"what": "taken", "sent": sent, **facts}]
    stream = _STREAM.search(call.keys[1]) if len(call.keys) > 1 else None
    if stream is None:
        return []
    if call.name == "complete.lua":
        # It answers how many were pending: which ones is certain only if that is all or none.
        ids = [(entry, entry) for entry in call.args[1:]]
        each: int | None = min(reply, 1) if reply in {-1, 0, len(ids)} else None
    elif call.name in _SETTLING:
        ids = [(call.args[1], call.args[2])]
        each = -1 if reply == -1 else min(int(reply), 1)
    else:
        return []
    where = f"{stream['kind']}.{stream['partition']}"
    return [
        {
            "what": "ack",
            "script": call.name.removesuffix(".lua"),
            "entry": f"{where}.{entry}",
            "first": f"{where}.{first}",
            "worker": fence["consumer"],
            "partition": fence["partition"],
            "sent": sent,
            "reply": each,
        }
        for entry, first in ids
    ]
