"""How a configuration becomes a `reload`: its document goes to the blob store, its name on the stream.

The blob is needed until the `reload` is carried out: a version holds its document itself. It is called by
when it was offered, so that old ones can be removed.
"""

import hashlib
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from commands.reload import Reload
from riptide.config.document import Document
from riptide.state.blobs.contract import Blobs
from riptide.store.operation import Call, Flow
from riptide.streams.message import Ref
from riptide.streams.publishing import Outgoing, Publisher

#: Calls something that blocks: at once, or in a thread that can be awaited.
Blocking = Callable[[Callable[[], Any]], Any]
_LONGEST_ORIGIN = 500
#: A `reload` that was not carried out for so long has to be offered again.
_KEPT_MS = 7 * 86_400_000


class Offering:
    """`open_blobs` is called when something is first offered."""

    def __init__(
        self, prefix: str, publisher: Publisher, open_blobs: Callable[[], Blobs], blocking: Blocking
    ) -> None:
        self._prefix, self._publisher = prefix, publisher
        self._open_blobs, self._blocking = open_blobs, blocking

    def blocking_by(self, blocking: Blocking) -> "Offering":
        """The same for whoever makes blocking calls in another way."""
        return Offering(self._prefix, self._publisher, self._open_blobs, blocking)

    def offer(self, document: Document, origin: str, once: str | None = None) -> Flow[Ref]:
        """Publish a `reload`; with `once`, one time for all who offer this document with the same text.

        Raises BlobError, and what publishing raises.
        """
        name = f"{folder(self._prefix)}{time.time_ns() // 1_000_000}-{document.digest}.json"
        yield Call(partial(self._blocking, partial(self._put, name, document)))
        command = Reload(blob=name, content_hash=document.digest, origin=origin[:_LONGEST_ORIGIN])
        key = None if once is None else f"reload:{_short(f'{origin} {once} {document.digest}')}"
        return (yield from self._publisher.publish(Outgoing(command), key))

    def _put(self, name: str, document: Document) -> None:
        self._open_blobs().put(name, document.text().encode())


def folder(prefix: str) -> str:
    """Where the blobs of a deployment's configurations are."""
    return f"config/{prefix}/"


def remove_old(blobs: Blobs, prefix: str) -> None:
    """Remove those that no `reload` can need any more. Raises BlobError."""
    oldest = time.time() * 1000 - _KEPT_MS
    for blob in blobs.list(folder(prefix)):
        stamp = blob.name.rpartition("/")[2].partition("-")[0]
        if stamp.isascii() and stamp.isdigit() and int(stamp) < oldest:
            blobs.delete(blob.name)


def origin_of(path: Path, node_id: str | None) -> str:
    """What a file is called among those of all hosts."""
    return f"{node_id or socket.gethostname()}:{path.absolute()}"


def _short(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
