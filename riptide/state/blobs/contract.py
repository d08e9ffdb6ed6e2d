"""What every blob store can do, and what a blob may be called."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from riptide.errors import InvalidInput

CHUNK_BYTES = 1024**2
_SEGMENT = re.compile(r"[A-Za-z0-9_.:=~+-]{1,200}", re.ASCII)
_LONGEST = 900  # bytes; S3 takes 1,024, its prefix included


@dataclass(frozen=True, slots=True)
class Blob:
    """One blob: its name, and its size in bytes."""

    name: str
    size: int


class Blobs(Protocol):
    """A blob store. Its calls block: asynchronous callers hand them to a thread. Threads may share it.

    Every call raises BlobError when the store cannot be reached or refuses.
    """

    #: Where it is, for people; holds no secret.
    place: str

    def put(self, name: str, data: bytes | Iterable[bytes]) -> None:
        """Store a blob, from a stream if `data` is one. When this returns it is durable; until then nobody
        sees it. A blob of that name is replaced."""
        ...

    def get(self, name: str) -> bytes:
        """The whole blob. Raises BlobNotFound."""
        ...

    def stream(self, name: str) -> Iterator[bytes]:
        """The blob in pieces of about a megabyte. Raises BlobNotFound."""
        ...

    def list(self, prefix: str = "") -> Iterator[Blob]:
        """Blobs below `prefix`, which ends at a `/`, in the order of their names."""
        ...

    def head(self, name: str) -> Blob | None:
        """What is known of one blob; None if there is none."""
        ...

    def delete(self, name: str) -> None:
        """Remove a blob for good; nothing happens if there is none."""
        ...


def check_name(name: str) -> list[str]:
    """The parts of a blob's name; raise InvalidInput if it is none: nothing may lead out of the store."""
    parts = name.split("/")
    if len(name) > _LONGEST or any(not _SEGMENT.fullmatch(part) or part in {".", ".."} for part in parts):
        raise InvalidInput(
            f"{name[:80]!r} is no name of a blob: parts of letters, digits and '_.:=~+-', with '/' between"
        )
    return parts


def check_prefix(prefix: str) -> list[str]:
    """The parts of a prefix, which is empty or ends at a `/`."""
    return check_name(prefix.removesuffix("/")) if prefix else []
