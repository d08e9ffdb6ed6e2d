"""Calls that are about many keys at once, as far as slots allow."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from riptide.store.sync import Store

T = TypeVar("T")


def grouped(store: Store, items: Iterable[T], tag: Callable[[T], str], most: int) -> Iterator[list[T]]:
    """`items` in groups of `most` that one call may be about: on a cluster of one hash tag, else of any."""
    groups: dict[str, list[T]] = {}
    for item in items:
        place = tag(item) if store.clustered else ""
        group = groups.setdefault(place, [])
        group.append(item)
        if len(group) == most:
            yield groups.pop(place)
    yield from groups.values()
