"""Who lives: heartbeats of all processes in the control slot (DESIGN §4, "Who is dead")."""

import json
import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from riptide.store.keys import Keys
from riptide.store.operation import Operation
from riptide.store.script import Script

_BEAT = Script.load("riptide.streams", "beat.lua")
_FORGET = Script.load("riptide.streams", "forget_member.lua")


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
    members: int  # how many there are, the dead included
    dead: tuple[Absent, ...]


def new_member(node_id: str | None) -> str:
    """A name for one incarnation of a process: `<host>.<pid>.<random>`."""
    host = "".join(c if c.isalnum() or c in "-_" else "-" for c in node_id or socket.gethostname())[:63]
    return f"{host}.{os.getpid()}.{secrets.token_hex(4)}"


def introduce(role: str, commands: Sequence[str], started_ms: int) -> str:
    """What a member says of itself, as JSON."""
    release = version("riptide-persistence")
    facts = {"role": role, "host": socket.gethostname(), "pid": os.getpid(), "version": release}
    return json.dumps(facts | {"commands": list(commands), "started_ms": started_ms})


def _kinds(about: bytes) -> frozenset[str] | None:
    try:
        return frozenset(json.loads(about)["commands"])
    except (ValueError, KeyError, TypeError):
        return None


class Members:
    """Builds the operations on the list of members."""

    def __init__(self, keys: Keys) -> None:
        self._beats = keys.control("members")
        self._keys = [self._beats, keys.control("members:since"), keys.control("members:about")]

    def beat(self, member: str, lease_ms: int, about: str) -> Operation[Beat]:
        def parse(reply: Any) -> Beat:
            steady, overdue, members, *rest = reply
            dead = (Absent(n.decode(), _kinds(a)) for n, a in zip(rest[::2], rest[1::2], strict=True))
            return Beat(member, steady == 1, overdue / 1000, members, tuple(dead))

        return _BEAT.call(self._keys, [member, lease_ms, about], parse)

    def forget(self, members: Sequence[str], silent_ms: int = 0) -> Operation[int]:
        """Remove members; with `silent_ms`, only those that have not beaten for so long."""
        return _FORGET.call(self._keys, [silent_ms, *members], int)

    def is_member(self, name: str) -> Operation[bool]:
        return Operation(("ZSCORE", self._beats, name), lambda reply: reply is not None)
