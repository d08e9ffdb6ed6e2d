"""The lasting record of purges, in the blob store: a server that is lost takes its own with it.

It tells no tenant: a blob is called like the incarnation, and holds a digest of the id.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from riptide.errors import Damaged
from riptide.state.blobs import Blobs
from riptide.state.checkpoints.sealed import seal, unseal
from riptide.state.clock import clock
from riptide.store.operation import Call, Flow, ask
from riptide.tenants.keyring.ring import Blocking
from riptide.tenants.purge.purging import Destroy
from riptide.tenants.usage.known import digest_of


@dataclass(frozen=True, slots=True)
class Purged:
    """One tenant that is gone: digest of its id, its incarnation, and when it was purged (Unix ms)."""

    digest: str
    incarnation: str
    at_ms: int


def remember(blobs: Blobs, prefix: str, tenant: str, incarnation: str, at_ms: int) -> None:
    """Durable when this returns; the first time counts. Raises BlobError."""
    name = f"{_folder(prefix)}{incarnation}.json"
    if blobs.head(name) is None:
        blobs.put(name, seal(json.dumps({"digest": digest_of(tenant), "at_ms": at_ms}).encode()))


def remembered(blobs: Blobs, prefix: str) -> Iterator[Purged]:
    """All purges of a deployment. Raises BlobError, Damaged."""
    for blob in blobs.list(_folder(prefix)):
        if (text := unseal(blobs.get(blob.name))) is None:
            raise Damaged(
                f"the note of a purge, {blob.name}, is damaged: what must not come back is not known for "
                "certain. Put it back as it was; nothing was restored"
            )
        about = json.loads(text)
        yield Purged(about["digest"], _incarnation_in(blob.name), about["at_ms"])


def remembered_incarnations(blobs: Blobs, prefix: str) -> set[str]:
    """Whose purges are written down. Raises BlobError."""
    return {_incarnation_in(blob.name) for blob in blobs.list(_folder(prefix))}


def remembering(blobs: Blobs, prefix: str, destroy: Destroy, blocking: Blocking) -> Destroy:
    """`destroy`, after the purge has been written down: from then on no checkpoint brings the tenant back."""

    def both(tenant: str, incarnation: str) -> Flow[int]:
        now_ms = yield from ask(clock(prefix))
        yield Call(partial(blocking, partial(remember, blobs, prefix, tenant, incarnation, now_ms)))
        return (yield from destroy(tenant, incarnation))

    return both


def _incarnation_in(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".json")


def _folder(prefix: str) -> str:
    return f"purged/{prefix}/"
