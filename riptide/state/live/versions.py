"""The versions of a deployment's configuration, in the control slot."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from riptide.config.document import Document, parse_document
from riptide.store.keys import Keys
from riptide.store.operation import Arg, Operation
from riptide.store.script import Script

_ACCEPT = Script.load("riptide.state.live", "accept.lua")
_JOIN = Script.load("riptide.state.live", "join.lua")
_READ = Script.load("riptide.state.live", "read.lua")

#: Versions that are kept, to look at and to go back to.
KEPT = 100
_KNOWN_SECONDS = 90 * 86400
_REFUSED_SECONDS = 7 * 86400
_LONGEST_WHY = 2000


@dataclass(frozen=True, slots=True)
class Version:
    """One version. `id` tells it from one of the same number that a server had before it lost its data; it is
    what processes are listed with. `origin` says where it comes from, `at_ms` when it was accepted (Unix ms,
    server)."""

    number: int
    id: str
    at_ms: int
    origin: str
    digest: str
    document: Document


@dataclass(frozen=True, slots=True)
class Refused:
    """The newest configuration that was refused since one was accepted: when (Unix ms), whose, and why."""

    at_ms: int
    origin: str
    why: str


@dataclass(frozen=True, slots=True)
class History:
    """The id of the current version, empty if there is none yet; versions, the newest first."""

    current: str
    refused: Refused | None
    versions: list[Version]


class Versions:
    """Builds the operations."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._current, self._all = keys.control("config"), keys.control("config:versions")
        self._refused = keys.control("config:refused")

    def join(self, origin: str, document: Document) -> Operation[str]:
        """The digest of a file's document when one of its changes was last accepted, or it was first seen."""
        return _JOIN.call(
            [self._known(origin)], [document.digest, document.text(), _KNOWN_SECONDS], bytes.decode
        )

    def accept(
        self, entry_id: str, document: Document, origin: str, current: Version | None = None
    ) -> Operation[tuple[str, str]]:
        """Make it current: 'accepted', 'same' if it is current, 'late' if a later command's is; and the
        current id.

        Where it says nothing of plans those of `current` stay; 'moved' if that is the current one no more.
        """
        whole, expected = document, ""
        if document.plans is None and current is not None and current.document.plans is not None:
            whole, expected = replace(document, plans=current.document.plans), current.id
        keys = [self._current, self._all, self._known(origin), self._refused]
        args: list[Arg] = [entry_id, whole.digest, whole.text(), origin, KEPT, _KNOWN_SECONDS]
        args += [document.digest, document.text(), expected]
        return _ACCEPT.call(keys, args, lambda reply: (reply[0].decode(), reply[1].decode()))

    def history(self) -> Operation[History]:
        return self._read("all")

    def current(self) -> Operation[Version | None]:
        return _only(self._read("current"))

    def version(self, number: int) -> Operation[Version | None]:
        return _only(self._read(str(number)))

    def refuse(self, origin: str, why: str, now_ms: int) -> Operation[bool]:
        """Remember, for whoever asks, what was refused and why."""
        about = json.dumps({"at": now_ms, "origin": origin, "why": why[:_LONGEST_WHY]})
        return Operation(("SET", self._refused, about, "EX", _REFUSED_SECONDS), bool)

    def _read(self, which: str) -> Operation[History]:
        return _READ.call([self._current, self._all, self._refused], [which], _history)

    def _known(self, origin: str) -> str:
        digest = hashlib.blake2b(origin.encode(), digest_size=16).hexdigest()
        return self._keys.control(f"config:source:{digest}")


def _only(operation: Operation[History]) -> Operation[Version | None]:
    def parse(reply: Any) -> Version | None:
        return next(iter(operation.parse(reply).versions), None)

    return Operation(operation.args, parse, operation.script)


def _history(reply: Any) -> History:
    current, refused, *rows = reply
    found = sorted((_version(json.loads(row)) for row in rows), key=lambda one: -one.number)
    facts = json.loads(refused) if refused else None
    why = None if facts is None else Refused(int(facts["at"]), facts["origin"], facts["why"])
    return History(current.decode(), why, found)


def _version(facts: Mapping[str, Any]) -> Version:
    number, digest = int(facts["number"]), str(facts["digest"])
    document = parse_document(facts["document"])
    return Version(number, f"{number}-{digest[:8]}", int(facts["at"]), str(facts["origin"]), digest, document)
