"""What checkpoints are called, and where they lie.

An id begins with the time at which it was begun, so that ids sort as checkpoints do. A checkpoint is two
blobs: its content, and, written after that is durable, its manifest. What has no manifest is not there.
Contents have names of their own, with the time at which each was begun, for a command may wait long before
it is carried out: where two processes write the same checkpoint, whichever manifest is there in the end tells
of its own content.
"""

import hashlib
import re
import secrets
from datetime import UTC, datetime

from riptide.errors import InvalidInput

_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}", re.ASCII)
_CONTENT = re.compile(rf"({_ID.pattern})\.({_ID.pattern})\.ckpt", re.ASCII)
_STAMP = "%Y%m%dT%H%M%SZ"
_MANIFEST = ".json"


def new_id(now_ms: int) -> str:
    """An id of a checkpoint begun at `now_ms` (Unix ms)."""
    return f"{_stamp(now_ms)}-{secrets.token_hex(4)}"


def id_of_command(ref: str, issued_ms: int) -> str:
    """The id of what a command writes, however often it is tried."""
    return f"{_stamp(issued_ms)}-{hashlib.blake2b(ref.encode(), digest_size=4).hexdigest()}"


def _stamp(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime(_STAMP)


def check_id(checkpoint: str) -> str:
    """Raises InvalidInput: no other name may lead anywhere."""
    if isinstance(checkpoint, str) and _ID.fullmatch(checkpoint):
        return checkpoint
    raise InvalidInput(
        f"{str(checkpoint)[:80]!r} is no id of a checkpoint: they look like 20261120T120500Z-1f3a9c07; see "
        "'riptide checkpoint list'"
    )


def folder(prefix: str) -> str:
    """Deployments that share a store are told apart by their prefix."""
    return f"checkpoint/{prefix}/"


def manifest_name(prefix: str, checkpoint: str) -> str:
    return f"{folder(prefix)}{check_id(checkpoint)}{_MANIFEST}"


def new_content(checkpoint: str, begun_ms: int) -> str:
    """A name for the content of a checkpoint, in its folder; writing it begins at `begun_ms` (Unix ms)."""
    return f"{check_id(checkpoint)}.{new_id(begun_ms)}.ckpt"


def content_name(prefix: str, content: str) -> str:
    """The blob of a content. Raises InvalidInput if that is no name of one."""
    if _CONTENT.fullmatch(content) is None:
        raise InvalidInput(f"{content[:80]!r} is no content of a checkpoint")
    return f"{folder(prefix)}{content}"


def read_manifest_name(file: str) -> str | None:
    """The checkpoint of a blob in the folder, if it is a manifest."""
    checkpoint = file.removesuffix(_MANIFEST)
    return checkpoint if checkpoint != file and _ID.fullmatch(checkpoint) else None


def read_content_name(file: str) -> tuple[str, int] | None:
    """The same if it is a content, and when writing it was begun (Unix ms, whole seconds)."""
    found = _CONTENT.fullmatch(file)
    if found is None:
        return None
    try:
        moment = datetime.strptime(found[2].partition("-")[0], _STAMP).replace(tzinfo=UTC)
    except ValueError:  # 30 February: nothing that was written here
        return None
    return found[1], int(moment.timestamp() * 1000)
