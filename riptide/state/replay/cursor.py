"""A replay's progress in a file, so that one that was interrupted can go on."""

import json
import os
import secrets
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from riptide.errors import InvalidInput
from riptide.state.replay.replaying import Progress
from riptide.state.replay.selection import Selection

_FORMAT = 1


@dataclass(slots=True)
class Cursor:
    """What was asked for, and how far it is. `into` is the other server's URL without its password, if there
    is one; `run` tells a replay with `--again` from every other."""

    origin: str
    selection: Selection
    into: str | None
    again: bool
    run: str = field(default_factory=lambda: secrets.token_hex(8))
    progress: Progress = field(default_factory=Progress)

    def save(self, path: Path) -> None:
        """All of it or nothing: a new file takes the place of the old one. Raises InvalidInput if it cannot
        be written."""
        facts = {
            "format": _FORMAT,
            "origin": self.origin,
            "selection": asdict(self.selection),
            "into": self.into,
            "again": self.again,
            "run": self.run,
            "cursors": self.progress.cursors,
            "finished": sorted(self.progress.finished),
            "tally": [[*names, count] for names, count in self.progress.tally.items()],
        }
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            temporary.write_text(json.dumps(facts), "utf-8")
            temporary.replace(path)
        except OSError as error:
            raise InvalidInput(f"progress cannot be kept in {path}: {error.strerror}") from None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises InvalidInput if there is none, or it cannot be read."""
        try:
            return cls._of(json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            raise InvalidInput(f"no replay is saved in {path}; nothing can be resumed") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f"{path} holds no saved replay: {error}") from None

    @classmethod
    def _of(cls, facts: dict[str, Any]) -> Self:
        if facts["format"] != _FORMAT:
            raise ValueError(f"its format is {facts['format']}")
        chosen = facts["selection"]
        progress = Progress(
            dict(facts["cursors"]),
            set(facts["finished"]),
            Counter({(kind, tenant, outcome): count for kind, tenant, outcome, count in facts["tally"]}),
        )
        selection = Selection(
            chosen["first"], chosen["last"], tuple(chosen["types"]), tuple(chosen["tenants"])
        )
        return cls(facts["origin"], selection, facts["into"], facts["again"], facts["run"], progress)
