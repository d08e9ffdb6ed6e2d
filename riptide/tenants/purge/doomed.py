"""Who is being purged, and the operations that go on only as long as that purge does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from riptide.store.keys import Keys
from riptide.store.operation import Arg, Operation
from riptide.store.script import Script
from riptide.tenants.purge.mark import begun
from riptide.tenants.usage.known import digest_of

_PACKAGE = "riptide.tenants.purge"
_CLOSE = Script.load(_PACKAGE, "close_record.lua")
_NOTE_GONE = Script.load(_PACKAGE, "note_gone.lua")
_END_GONE = Script.load(_PACKAGE, "end_gone.lua")
_REMOVE = Script.load(_PACKAGE, "remove.lua")


class PurgeOver(Exception):
    """Somebody else has ended this purge, so that another tenant may have the id."""


def removed_or_over(reply: Any) -> int:
    """How many; raises PurgeOver."""
    if reply < 0:
        raise PurgeOver
    return int(reply)


@dataclass(frozen=True, slots=True)
class Doomed:
    """A tenant that is being purged. `tags` are the hash tags of its keys, its own slot first."""

    keys: Keys
    tenant: str
    incarnation: str
    tags: tuple[str, ...]

    @property
    def digest(self) -> str:
        return digest_of(self.tenant)

    def close(self, tag: str) -> Operation[bool]:
        """Close its record in one slot; False if that is another's by now, or gone."""
        args = [self.incarnation, begun(self.incarnation)]
        return _CLOSE.call([self.keys.record(tag)], args, bool)

    def remove(self, tag: str, names: Sequence[str]) -> Operation[int]:
        """Remove keys of one slot of its own."""
        args = ["incarnation", begun(self.incarnation)]
        return _REMOVE.call([self.keys.record(tag), *names], args, removed_or_over)

    def remove_usage(self, partition: str, names: Sequence[str]) -> Operation[int]:
        args = [f"{self.digest}:state", self.incarnation]
        return _REMOVE.call([self.keys.gone(partition), *names], args, removed_or_over)

    def note_gone(self, partition: str, seconds: int) -> Operation[bool]:
        """Have what it did before dropped in a partition; False if this purge is over."""
        args: list[Arg] = [self.digest, self.incarnation, seconds]
        return _NOTE_GONE.call([self.keys.gone(partition)], args, bool)

    def end_gone(self, partition: str) -> Operation[bool]:
        return _END_GONE.call([self.keys.gone(partition)], [self.digest, self.incarnation], bool)

    def dropped(self, partition: str) -> Operation[int]:
        """How many of its commands in a partition will never run."""
        args = ("HGET", self.keys.gone(partition), f"{self.digest}:commands")
        return Operation(args, lambda reply: int(reply or 0))
