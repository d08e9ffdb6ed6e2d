"""Blobs that hold what memory had no room for: what they are called, and how long one may be under way.

A name is never used twice, and tells since when there can be such a blob, so that orphans are known.
"""

import secrets
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from riptide.tenants.facts import NO_INCARNATION, Facts

#: So long after it was read something can be swapped for its blob. A blob of twice that age to which nobody
#: refers is an orphan for good.
SWAP_MS = 15 * 60_000
ORPHAN_MS = 2 * SWAP_MS


class SpillBlobs(Protocol):
    """What spilling needs of a blob store. Its calls block, and raise BlobError."""

    def put(self, name: str, data: bytes) -> None: ...
    def get(self, name: str) -> bytes: ...
    def delete(self, name: str) -> None: ...
    def list(self, prefix: str = "") -> Iterator[Any]: ...


class Written(NamedTuple):
    """A blob: what stands for it on the server, its bytes, and how long writing it took."""

    member: str
    size: int
    microseconds: int


def folder_of(prefix: str, tenant: str, incarnation: str) -> str:
    """What the names of all blobs of a tenant's incarnation begin with; `prefix` tells what is in them."""
    return f"{prefix}{tenant}/{incarnation or NO_INCARNATION}/"


def fresh_name(prefix: str, facts: Facts, now_ms: int, rest: str = "") -> str:
    """A name that was never used."""
    return f"{folder_of(prefix, facts.tenant, facts.incarnation)}{now_ms}-{secrets.token_hex(12)}{rest}"


def written_ms(name: str) -> int | None:
    """When a blob of that name was about to be written; None if it is none of these."""
    stamp = name.rpartition("/")[2].partition("-")[0]
    return int(stamp) if stamp.isascii() and stamp.isdigit() else None


def member_of(name: str, size: int) -> str:
    """How a blob stands on the server."""
    return f"{name}:{size}"


def name_in(member: str) -> str:
    return member.rpartition(":")[0]


def size_in(member: str) -> int:
    return int(member.rpartition(":")[2])
