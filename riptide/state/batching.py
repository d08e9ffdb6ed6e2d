"""Calls that are about many keys at once, as far as slots allow."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from riptide.store.operation import Operation
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


def asked(
    store: Store, groups: Iterable[list[T]], ask: Callable[[list[T]], Operation[list[Any]]]
) -> Iterator[tuple[T, Any]]:
    """Each item of `groups` with its answer. A call may answer about the first ones alone, so that answers do
    not become too large: then it is asked about the others once more."""
    left = list(groups)
    while left:
        replies = store.run_all([ask(group) for group in left])
        for group, reply in zip(left, replies, strict=True):
            yield from zip(group, reply, strict=False)
        pairs = zip(left, replies, strict=True)
        left = [group[len(reply) :] for group, reply in pairs if len(reply) < len(group)]
