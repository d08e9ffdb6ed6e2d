"""How a configuration becomes a `reload`: its document goes to the blob store, its name on the stream.

The same document always has the same name there, so that what is offered twice is written twice as one.
"""

import hashlib
import socket
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
        name = f"config/{self._prefix}/{document.digest}.json"
        yield Call(partial(self._blocking, partial(self._put, name, document)))
        command = Reload(blob=name, content_hash=document.digest, origin=origin[:_LONGEST_ORIGIN])
        key = None if once is None else f"reload:{_short(f'{origin} {once} {document.digest}')}"
        return (yield from self._publisher.publish(Outgoing(command), key))

    def _put(self, name: str, document: Document) -> None:
        self._open_blobs().put(name, document.text().encode())


def origin_of(path: Path, node_id: str | None) -> str:
    """What a file is called among those of all hosts."""
    return f"{node_id or socket.gethostname()}:{path.absolute()}"


def _short(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
