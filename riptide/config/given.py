"""What a file or the environment says, before it is known whether that is right."""

from dataclasses import dataclass, field
from typing import Any

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """Where a value stands, and how it is written there, unexpanded; None for lists and mappings."""

    source: str
    written: str | None


@dataclass(frozen=True)
class Given:
    """One value under the name its author used. `value` is None, text, or lists and mappings of them."""

    name: str
    value: Any
    place: Place
    inner: dict[Location, Place] = field(default_factory=dict)

    @property
    def source(self) -> str:
        return self.place.source


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where."""

    source: str
    text: str

    def __str__(self) -> str:
        return f"{self.source}: {self.text}"
