"""The content of a checkpoint: rows in frames, each frame with its checksum.

    "RTCKP" version(1 byte)  how frames are packed(1 byte: 0 not at all, 1 zstd)
    then frames:  what it is about(1)  length(4)  length when unpacked(4)  xxh3 of the frame(8)  frame
    at the end:   0(1)  0(4)  number of frames(4)  xxh3 of the heads of all frames(8)

Numbers are big-endian. A frame unpacked is rows one after the other, each an array of binary strings in
RESP2. Writing and reading hold one frame, about a megabyte, at a time.
"""

import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import IO, Any

import hiredis
import xxhash
import zstandard

from riptide.errors import BlobError, Damaged

MAGIC = b"RTCKP"
VERSION = 1
_LEVEL = 1
_HEAD = struct.Struct(">5sBB")
_FRAME = struct.Struct(">BIIQ")
_FRAME_BYTES = 1024**2
_LONGEST_FRAME = 2**31
_SPOOL_BYTES = 4 * 1024**2  # of a checkpoint that is being checked, above which it waits on disk
Row = Sequence[bytes]


class Framer:
    """Makes the content from rows. A frame is about one thing, as `about` tells of a row (0 to 255), so that
    others can be passed over. When `frames` has ended, `count`, `size` and `digest` are those of the
    content."""

    def __init__(self, about: Callable[[Row], int], *, compress: bool) -> None:
        self._about = about
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL) if compress else None
        self._heads = xxhash.xxh3_64()
        self._whole = xxhash.xxh3_128()
        self.count = self.size = 0

    @property
    def digest(self) -> str:
        return self._whole.hexdigest()

    def frames(self, rows: Iterable[Row]) -> Iterator[bytes]:
        """The content, in pieces."""
        yield self._noted(_HEAD.pack(MAGIC, VERSION, int(self._compressor is not None)))
        waiting: dict[int, list[bytes]] = {}
        sizes: dict[int, int] = {}
        for row in rows:
            packed = hiredis.pack_command(tuple(row))  # type: ignore[arg-type]  # as in store/wire.py
            about = self._about(row)
            waiting.setdefault(about, []).append(packed)
            sizes[about] = sizes.get(about, 0) + len(packed)
            if sizes[about] >= _FRAME_BYTES:
                yield self._frame(about, b"".join(waiting.pop(about)))
                sizes[about] = 0
        for about, left in waiting.items():
            yield self._frame(about, b"".join(left))
        yield self._noted(_FRAME.pack(0, 0, self.count, self._heads.intdigest()))

    def _frame(self, about: int, raw: bytes) -> bytes:
        frame = raw if self._compressor is None else self._compressor.compress(raw)
        head = _FRAME.pack(about, len(frame), len(raw), xxhash.xxh3_64_intdigest(frame))
        self._heads.update(head)
        self.count += 1
        return self._noted(head + frame)

    def _noted(self, piece: bytes) -> bytes:
        self._whole.update(piece)
        self.size += len(piece)
        return piece


class Frames:
    """The content of a checkpoint, checked as a whole before any of it can be read, as often as it is needed.

    It is fetched once, into a temporary file; to be closed. Raises Damaged, which names the blob; BlobError
    if there is no room for the file.
    """

    def __init__(self, name: str, pieces: Iterable[bytes], digest: str) -> None:
        """`digest` is what the manifest says of it."""
        self._name = name
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115
        try:
            whole = xxhash.xxh3_128()
            for piece in pieces:
                whole.update(piece)
                self._file.write(piece)
            for _ in self._unpacked(None):
                pass
            if whole.hexdigest() != digest:
                raise self._damaged("it is not the content that its manifest describes")
        except OSError as error:
            with suppress(OSError):  # what it still has to write
                self._file.close()
            raise BlobError(
                f"checkpoint {name} cannot be read into a temporary file in {tempfile.gettempdir()}: "
                f"{error.strerror or error}. Nothing of it is used; make room there, or set TMPDIR"
            ) from error
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        self._file.close()

    def rows(self, about: int) -> Iterator[list[bytes]]:
        """All rows about one thing, from the first on. One reader at a time."""
        for raw in self._unpacked(about):
            yield from self._parsed(raw)

    def _unpacked(self, wanted: int | None) -> Iterator[bytes]:
        """Frames about one thing, or about any."""
        self._file.seek(0)
        decompressor = self._begin()
        heads, number = xxhash.xxh3_64(), 0
        while True:
            head = self._exactly(_FRAME.size)
            about, length, unpacked, checksum = _FRAME.unpack(head)
            if length == 0:
                if (about, unpacked, checksum) != (0, number, heads.intdigest()):
                    raise self._damaged("a frame is missing")
                break
            heads.update(head)
            number += 1
            if wanted not in {None, about}:
                self._file.seek(length, 1)
                continue
            frame = self._exactly(length)
            if checksum != xxhash.xxh3_64_intdigest(frame):
                raise self._damaged(f"the checksum of frame {number} is wrong")
            yield frame if decompressor is None else self._unpack(decompressor, frame, unpacked)
        if self._file.read(1):
            raise self._damaged("something follows its end")

    def _begin(self) -> zstandard.ZstdDecompressor | None:
        """Read the head; answers what unpacks frames, None where they are not packed."""
        magic, version, packing = _HEAD.unpack(self._exactly(_HEAD.size))
        if magic != MAGIC:
            raise self._damaged("it is no checkpoint")
        if version != VERSION:
            raise self._damaged(f"its format is {version}; this release reads {VERSION}")
        if packing not in {0, 1}:
            raise self._damaged("how it is packed is unknown")
        return zstandard.ZstdDecompressor() if packing else None

    def _unpack(self, decompressor: zstandard.ZstdDecompressor, frame: bytes, length: int) -> bytes:
        try:
            if zstandard.frame_content_size(frame) == length <= _LONGEST_FRAME:
                return decompressor.decompress(frame)
        except zstandard.ZstdError:
            pass
        raise self._damaged("a frame cannot be unpacked")

    def _parsed(self, raw: bytes) -> Iterator[list[bytes]]:
        reader: Any = hiredis.Reader()
        reader.feed(raw)
        try:
            while (row := reader.gets()) is not False:
                if not isinstance(row, list) or not row:
                    raise self._damaged("a frame holds no rows")
                yield row
        except hiredis.ProtocolError:
            raise self._damaged("a frame holds no rows") from None
        if reader.has_data():
            raise self._damaged("a row is cut short")

    def _exactly(self, count: int) -> bytes:
        # Not what the head says, where that is damaged: memory is taken as there is data.
        data = self._file.read(min(count, _LONGEST_FRAME))
        if len(data) != count:
            raise self._damaged("it is cut short")
        return data

    def _damaged(self, why: str) -> Damaged:
        return Damaged(f"checkpoint {self._name} is damaged: {why}. Nothing of it is used")
