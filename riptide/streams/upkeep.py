"""Keeps streams bounded and remembers how far each group has come (docs/streams.md).

One script per partition does both. A worker runs it once a second where it has been at work, and now and then
everywhere else, so an idle one sends nothing for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from riptide.config import StreamsSettings
from riptide.logger import get_logger
from riptide.store.keys import ARCHIVE_GROUP, GROUP, Keys
from riptide.store.operation import Operation
from riptide.store.script import Script

_UPKEEP = Script.load("riptide.streams", "upkeep.lua")
_CHECKPOINT = "~checkpoint"
_FACTS = 4


@dataclass(frozen=True, slots=True)
class Pinned:
    """A stream that keeps entries beyond its replay window, because `group` still needs the oldest.

    `seconds` is how old that one is; `entries` how many the stream holds. `group` is None where the newest
    checkpoint needs them.
    """

    kind: str
    partition: str
    group: str | None
    seconds: float
    entries: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What one round of upkeep found. `more` tells that another round would trim further."""

    more: bool
    pinned: list[Pinned]


def registered_groups(settings: StreamsSettings, kind: str) -> list[str]:
    """The groups whose position holds a stream of `kind`; any other group may lose entries to the window."""
    archived = settings.archive and kind in settings.archive_types
    return [GROUP, *([ARCHIVE_GROUP] if archived else []), *settings.groups.get(kind, ())]


def upkeep(keys: Keys, settings: StreamsSettings, kinds: Sequence[str], partition: str) -> Operation[Kept]:
    """Trim the streams of one partition as far as nobody needs them, and save the groups' positions."""

    def parse(reply: Any) -> Kept:
        rows = [reply[at : at + _FACTS] for at in range(1, len(reply), _FACTS)]
        return Kept(reply[0] == 1, [_pinned(kinds, partition, row) for row in rows])

    window = round(settings.replay_window_seconds * 1000)
    streams = [keys.commands(kind, partition) for kind in kinds]
    about = [(kind, window, " ".join(registered_groups(settings, kind))) for kind in kinds]
    streams += [keys.slow(kind, partition) for kind in kinds]
    about += [(f"{kind}:slow", 0, GROUP) for kind in kinds]  # what was moved there stands in the other too
    return _UPKEEP.call(
        [keys.positions(partition), keys.floor(partition), *streams],
        [GROUP, settings.replay_window_bytes, *[text for row in about for text in row]],
        parse,
    )


def _pinned(kinds: Sequence[str], partition: str, row: Sequence[Any]) -> Pinned:
    at, holder, ms, entries = row
    name = holder.decode()
    return Pinned(kinds[at], partition, None if name == _CHECKPOINT else name, ms / 1000, entries)


class PinAlarm:
    """Says once that a stream is pinned and by whom, and once that it no longer is."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str | None] = {}
        self._log = get_logger("riptide.streams")

    def note(self, partition: str, kinds: Sequence[str], pinned: Sequence[Pinned]) -> None:
        now = {(pin.kind, partition): pin for pin in pinned}
        for place, pin in now.items():
            if place not in self._known or self._known[place] != pin.group:
                self._known[place] = pin.group
                self._log.warning("stream is pinned beyond its replay window", **_facts(pin))
        for place in [(kind, partition) for kind in kinds]:
            if place in self._known and place not in now:
                del self._known[place]
                self._log.info("stream is no longer pinned", kind=place[0], partition=partition)


def _facts(pin: Pinned) -> Mapping[str, object]:
    holder = "the newest checkpoint" if pin.group is None else f"group {pin.group}"
    return {
        "kind": pin.kind,
        "partition": pin.partition,
        "pinned_by": holder,
        "oldest_seconds": round(pin.seconds),
        "entries": pin.entries,
    }
