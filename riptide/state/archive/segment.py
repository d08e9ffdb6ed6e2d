"""A segment: what one stream held between two ids, as one blob that proves itself.

    "RTSEG" version(1 byte)  length(4)  header  xxh3 of the header(8)
    then chunks:  length(4)  length when unpacked(4)  xxh3 of the frame(8)  zstd frame
    at the end:   0(4)  number of chunks(4)  xxh3 of all checksums of chunks(8)

Numbers are big-endian. The header is JSON: type, partition, after (where the segment before it ended), first,
last, count. A chunk unpacked is what the server answered to XRANGE, in RESP2: `[[id, [name, value, …]], …]`.
"""

import json
import re
import struct
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import IO, Any

import hiredis
import xxhash
import zstandard

from riptide.errors import BlobError, Damaged

MAGIC = b"RTSEG"
VERSION = 1
_LEVEL = 1
_HEAD = struct.Struct(">5sBI")
_CHUNK = struct.Struct(">IIQ")
_LONGEST_HEADER = 64 * 1024
_LONGEST_CHUNK = 2**31
_SPOOL_BYTES = 4 * 1024**2  # of a segment that is being checked, above which it waits on disk
_ENTRY_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}", re.ASCII)
Row = tuple[str, list[bytes]]


@dataclass(frozen=True, slots=True)
class Header:
    """What a segment holds: `count` entries with ids from `first` to `last`, all that came after `after`."""

    type: str
    partition: str
    after: str
    first: str
    last: str
    count: int


class SegmentWriter:
    """Takes chunks as the server sent them; compressed they wait in memory until `finish`."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self._body: list[bytes] = []
        self._sums = xxhash.xxh3_64()
        self.size = 0

    def add(self, raw: bytes | bytearray) -> None:
        """One chunk: the reply to an XRANGE, raw."""
        frame = self._compressor.compress(raw)
        checksum = xxhash.xxh3_64_intdigest(frame)
        head = _CHUNK.pack(len(frame), len(raw), checksum)
        self._body += (head, frame)
        self._sums.update(head[8:])
        self.size += len(head) + len(frame)

    def finish(self, header: Header) -> bytes:
        text = json.dumps(asdict(header)).encode()
        checksum = struct.pack(">Q", xxhash.xxh3_64_intdigest(text))
        end = _CHUNK.pack(0, len(self._body) // 2, self._sums.intdigest())
        return b"".join((_HEAD.pack(MAGIC, VERSION, len(text)), text, checksum, *self._body, end))


class SegmentReader:
    """A segment, checked as a whole before any of it can be read. Memory holds a chunk at a time.

    Raises Damaged, which names the blob, if anything in it is not as it was written.
    """

    def __init__(self, name: str, pieces: Iterable[bytes]) -> None:
        self._name = name
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115
        try:
            for piece in pieces:
                self._file.write(piece)
            self.header = self._check()
        except OSError as error:
            with suppress(OSError):  # what it still has to write
                self._file.close()
            raise BlobError(
                f"segment {name} cannot be read into a temporary file in {tempfile.gettempdir()}: "
                f"{error.strerror or error}. Nothing of it is used; make room there, or set TMPDIR"
            ) from error
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        self._file.close()

    def pages(self) -> Iterator[list[Row]]:
        """The entries, a chunk at a time, in the order of their ids."""
        self._file.seek(0)
        self._read_header()
        for raw in self._chunks():
            yield self._rows(raw)

    def _check(self) -> Header:
        """Every checksum, every count, and that nothing follows."""
        self._file.seek(0)
        header = self._read_header()
        count, first, last = 0, "", ""
        for raw in self._chunks():
            rows = self._rows(raw)
            first = first or rows[0][0]
            last = rows[-1][0]
            count += len(rows)
        if (count, first, last) != (header.count, header.first, header.last):
            raise self._damaged("it does not hold what its header says")
        if self._file.read(1):
            raise self._damaged("something follows its end")
        return header

    def _read_header(self) -> Header:
        magic, version, length = _HEAD.unpack(self._exactly(_HEAD.size))
        if magic != MAGIC:
            raise self._damaged("it is no segment")
        if version != VERSION:
            raise self._damaged(f"its format is {version}; this release reads {VERSION}")
        if length > _LONGEST_HEADER:
            raise self._damaged("its header is too long")
        text = self._exactly(length)
        if struct.unpack(">Q", self._exactly(8))[0] != xxhash.xxh3_64_intdigest(text):
            raise self._damaged("the checksum of its header is wrong")
        try:
            header = Header(**json.loads(text))
            if all(map(_ENTRY_ID.fullmatch, (header.after, header.first, header.last))):
                return header
        except (ValueError, TypeError):
            pass
        raise self._damaged("its header cannot be read")

    def _chunks(self) -> Iterator[bytes]:
        sums, number = xxhash.xxh3_64(), 0
        decompressor = zstandard.ZstdDecompressor()
        while True:
            head = self._exactly(_CHUNK.size)
            length, unpacked, checksum = _CHUNK.unpack(head)
            if length == 0:
                if (unpacked, checksum) != (number, sums.intdigest()):
                    raise self._damaged("a chunk is missing")
                return
            frame = self._exactly(length)
            if checksum != xxhash.xxh3_64_intdigest(frame):
                raise self._damaged(f"the checksum of chunk {number} is wrong")
            sums.update(head[8:])
            number += 1
            yield self._unpack(decompressor, frame, unpacked)

    def _unpack(self, decompressor: zstandard.ZstdDecompressor, frame: bytes, length: int) -> bytes:
        try:
            if zstandard.frame_content_size(frame) == length <= _LONGEST_CHUNK:
                return decompressor.decompress(frame)
        except zstandard.ZstdError:
            pass
        raise self._damaged("a chunk cannot be unpacked")

    def _rows(self, raw: bytes) -> list[Row]:
        reader = hiredis.Reader()
        reader.feed(raw)
        try:
            found: Any = reader.gets()
            return [(entry_id.decode(), fields) for entry_id, fields in found]
        except (hiredis.ProtocolError, TypeError, ValueError, AttributeError):
            raise self._damaged("a chunk holds no entries") from None

    def _exactly(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) != count:
            raise self._damaged("it is cut short")
        return data

    def _damaged(self, why: str) -> Damaged:
        return Damaged(f"segment {self._name} is damaged: {why}. Nothing of it is used")
