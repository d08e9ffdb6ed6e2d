"""What operators ask to rest: types that nobody shall start, and processes that shall start nothing.

Both are kept in the control slot; every worker is told with its next heartbeat. What runs goes on to its end.
"""

import getpass
import json
import os
import socket
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from riptide.errors import InvalidInput, UnknownCommand
from riptide.store.keys import Keys
from riptide.store.operation import Flow, Operation, ask
from riptide.store.script import Script
from riptide.streams.members import Member, Members

_PAUSE = Script.load("riptide.streams", "pause.lua")
_PAUSED = Script.load("riptide.streams", "paused.lua")
_QUIET = Script.load("riptide.streams", "quiet.lua")
_LONGEST_WHY = 500
_FORGET_AFTER_MS = 86_400_000  # a process may be between two names for a moment


@dataclass(frozen=True, slots=True)
class Pause:
    """A paused type: since when (Unix ms), by whom, and why."""

    kind: str
    at_ms: int
    by: str
    why: str


class Resting:
    """Builds what pauses and resumes types, and quiets processes. `kinds` are the types known here."""

    def __init__(self, keys: Keys, kinds: Collection[str]) -> None:
        self._kinds = kinds
        self._members = Members(keys)
        self._paused, self._quiet = keys.control("paused"), keys.control("quiet")
        self._beats = keys.control("members")

    def pause(self, kind: str, why: str = "") -> Operation[bool]:
        """True if `kind` was not paused before. Raises UnknownCommand."""
        text = why.encode("utf-8", "replace").decode()[:_LONGEST_WHY]
        return _PAUSE.call([self._paused], [self._known(kind), who_asks(), text], bool)

    def resume(self, kind: str) -> Flow[bool]:
        """False if `kind` was not paused. Raises UnknownCommand, but a paused type that is not known any more
        can be resumed."""
        found = yield from ask(Operation(("HDEL", self._paused, _text(kind)), bool))
        if not found:
            self._known(kind)
        return found

    def paused(self) -> Operation[dict[str, Pause]]:
        def parse(reply: Any) -> dict[str, Pause]:
            rows = zip(reply[::2], reply[1::2], strict=True)
            return {kind.decode(): _pause(kind.decode(), about) for kind, about in sorted(rows)}

        return _PAUSED.call([self._paused], [], parse)

    def members(self) -> Flow[list[Member]]:
        census = yield from ask(self._members.census())
        return census.members

    def quiet(self, worker: str) -> Flow[Member]:
        """Ask a process to start nothing more. Raises InvalidInput if there is no such worker, or several."""
        census = yield from ask(self._members.census())
        member = _named(worker, census.members)
        old = [process for process, since in census.gone.items() if census.now_ms - since > _FORGET_AFTER_MS]
        args = [member.name, member.process, who_asks(), *old]
        found = yield from ask(_QUIET.call([self._quiet, self._beats], args, bool))
        if not found:
            raise InvalidInput(f"the worker {member.name} has just left")
        return member

    def end_quiet(self, worker: str) -> Flow[bool]:
        """Let it start commands again; False if it was not quiet. Raises InvalidInput as `quiet` does."""
        census = yield from ask(self._members.census())
        process = worker if worker in census.gone else _named(worker, census.members).process
        found: bool = yield self.forget_quiet(process)
        return found

    def forget_quiet(self, process: str) -> Operation[bool]:
        return Operation(("HDEL", self._quiet, process), bool)

    def _known(self, kind: str) -> str:
        if kind not in self._kinds:
            known = ", ".join(sorted(self._kinds))
            raise UnknownCommand(f"no command is of type {_text(kind)!r}; known are {known}")
        return kind


def _text(value: str) -> str:
    return value.encode("utf-8", "replace").decode()


def who_asks() -> str:
    """Who asks, for whoever wonders later."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def _pause(kind: str, about: bytes) -> Pause:
    try:
        facts: Mapping[str, Any] = json.loads(about)
        return Pause(kind, int(facts["at"]), str(facts["by"]), str(facts["why"]))
    except (ValueError, KeyError, TypeError):
        return Pause(kind, 0, "?", "")  # still paused, whoever wrote it


def _named(worker: str, members: Sequence[Member]) -> Member:
    """By its name, or the beginning of one."""
    exact = [member for member in members if member.name == worker]
    found = exact or [member for member in members if worker and member.name.startswith(worker)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(member.name for member in (found or members)) or "none"
    if found:
        raise InvalidInput(f"several workers are called {_text(worker)!r}: {names}")
    raise InvalidInput(f"no worker is called {_text(worker)!r}; there are: {names}")
