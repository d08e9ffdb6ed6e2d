"""Who lives: heartbeats of all processes in the control slot (docs/architecture.md)."""

import json
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from riptide.store.keys import Keys
from riptide.store.operation import Operation
from riptide.store.script import Script

_BEAT = Script.load("riptide.streams", "beat.lua")
_LIVING = Script.load("riptide.streams", "living.lua")
_FORGET = Script.load("riptide.streams", "forget_member.lua")
_MEMBERS = Script.load("riptide.streams", "members.lua")


@dataclass(frozen=True, slots=True)
class Absent:
    """A member that counts as dead. `kinds` are the types it served; None if that is not known."""

    name: str
    kinds: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Beat:
    """What the server answers to a heartbeat."""

    member: str  # who has beaten
    steady: bool  # False: first beat, or the last one is more than a lease ago
    overdue_in: float  # seconds until the next member would count as dead
    left: int  # how many members have left or been forgotten, ever
    now_ms: int  # the server's time
    quiet: bool  # this process shall start nothing more
    paused: frozenset[str]  # nobody shall start commands of these types
    config: str  # id of the current configuration; empty if there is none yet
    dead: tuple[Absent, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """A process as it describes itself. `process` stays when it has been taken over and goes on under a new
    `name`.

    `running` counts the commands of each type that it was working on at its last heartbeat, `silent_seconds`
    ago. `quiet_ms` is since when (Unix ms) it is asked to start nothing more, and `quiet_by` by whom.
    `config` is the version of the deployment's configuration that it has; empty: what its own file says.
    `position` is, of each type, the reference of the entry that it has settled last.
    """

    name: str
    process: str
    role: str
    host: str
    pid: int
    version: str
    commands: tuple[str, ...]
    running: Mapping[str, int]
    started_ms: int
    silent_seconds: float
    quiet_ms: int | None = None
    quiet_by: str | None = None
    config: str = ""
    position: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Census:
    """All members, the longest silent first; `gone` are quiet processes that are none any more, each with
    since when it has been quiet."""

    now_ms: int
    members: list[Member]
    gone: Mapping[str, int]


def new_member(node_id: str | None) -> str:
    """A name for one incarnation of a process: `<host>.<pid>.<random>`."""
    host = "".join(c if c.isalnum() or c in "-_" else "-" for c in node_id or socket.gethostname())[:63]
    return f"{host}.{os.getpid()}.{secrets.token_hex(4)}"


def introduce(
    role: str,
    versions: Mapping[str, int],
    started_ms: int,
    process: str = "",
    running: Mapping[str, int] | None = None,
    config: str = "",
    position: Mapping[str, str] | None = None,
) -> str:
    """What a member says of itself, as JSON. `versions`: each type it serves -> the newest body it reads."""
    release = version("riptide-persistence")
    facts = {"role": role, "host": socket.gethostname(), "pid": os.getpid(), "version": release}
    served = {"commands": sorted(versions), "versions": dict(versions)}
    now = {"running": dict(running or {}), "config": config, "position": dict(position or {})}
    return json.dumps(facts | served | {"started_ms": started_ms, "process": process} | now)


def _kinds(about: bytes) -> frozenset[str] | None:
    try:
        return frozenset(json.loads(about)["commands"])
    except (ValueError, KeyError, TypeError):
        return None


def _census(reply: Any) -> Census:
    now_ms, quiet, *rows = reply
    asked = {process.decode(): _facts(about) for process, about in zip(quiet[::2], quiet[1::2], strict=True)}
    members = [member_of(now_ms, asked, *row) for row in rows]
    known = {member.process for member in members}
    gone = {process: _number(facts.get("at")) for process, facts in asked.items() if process not in known}
    return Census(now_ms, members, gone)


def member_of(now_ms: int, asked: Mapping[str, dict[str, Any]], *row: bytes) -> Member:
    """Of its name, its last beat (ms), since when it beats, and what it says of itself."""
    name, facts = row[0].decode(), _facts(row[3])
    process = str(facts.get("process") or name)
    quiet = asked.get(process)
    running, commands, position = facts.get("running"), facts.get("commands"), facts.get("position")
    return Member(
        name=name,
        process=process,
        role=str(facts.get("role", "?")),
        host=str(facts.get("host", "?")),
        pid=_number(facts.get("pid")),
        version=str(facts.get("version", "?")),
        commands=tuple(map(str, commands)) if isinstance(commands, list) else (),
        running={kind: _number(count) for kind, count in running.items()}
        if isinstance(running, dict)
        else {},
        started_ms=_number(facts.get("started_ms")),
        silent_seconds=max(0.0, (now_ms - float(row[1])) / 1000),
        quiet_ms=None if quiet is None else _number(quiet.get("at")),
        quiet_by=None if quiet is None else str(quiet.get("by", "")),
        config=str(facts.get("config", "")),
        position={kind: str(ref) for kind, ref in position.items()} if isinstance(position, dict) else {},
    )


def _facts(about: bytes) -> dict[str, Any]:
    """What a member of another release says may lack anything."""
    try:
        facts = json.loads(about)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def _version(about: bytes, kind: str) -> int:
    try:
        return int(json.loads(about)["versions"][kind])
    except (ValueError, KeyError, TypeError):
        return 0


class Members:
    """Builds the operations on the list of members."""

    def __init__(self, keys: Keys) -> None:
        self._beats = keys.control("members")
        self._keys = [self._beats, keys.control("members:since"), keys.control("members:about")]
        self._paused, self._quiet = keys.control("paused"), keys.control("quiet")
        self._config = keys.control("config")

    def beat(self, member: str, lease_ms: int, about: str, process: str = "") -> Operation[Beat]:
        def parse(reply: Any) -> Beat:
            steady, overdue, left, now_ms, quiet, paused, config, *rest = reply
            dead = (Absent(n.decode(), _kinds(a)) for n, a in zip(rest[::2], rest[1::2], strict=True))
            resting = frozenset(kind.decode() for kind in paused)
            return Beat(
                member,
                steady == 1,
                overdue / 1000,
                left,
                now_ms,
                quiet == 1,
                resting,
                config.decode(),
                tuple(dead),
            )

        keys = [*self._keys, self._paused, self._quiet, self._config]
        return _BEAT.call(keys, [member, lease_ms, about, process], parse)

    def census(self) -> Operation[Census]:
        """All members, and what they say of themselves."""
        return _MEMBERS.call([*self._keys, self._quiet], [], _census)

    def forget(self, members: Sequence[str], silent_ms: int = 0) -> Operation[int]:
        """Remove members; with `silent_ms`, only those that have not beaten for so long."""
        return _FORGET.call(self._keys, [silent_ms, *members], int)

    def newest_served(self, kind: str, lease_ms: int, member: str) -> Operation[int]:
        """The newest version of a body of `kind` that a living member reads; 0 if none serves that type.

        `member` asks; as long as it has not been beating for a lease itself, whoever is silent lives.
        """

        def parse(reply: Any) -> int:
            return max((_version(about, kind) for about in reply), default=0)

        _, since, about = self._keys
        return _LIVING.call([self._beats, about, since], [lease_ms, member], parse)

    def is_member(self, name: str) -> Operation[bool]:
        return Operation(("ZSCORE", self._beats, name), lambda reply: reply is not None)
