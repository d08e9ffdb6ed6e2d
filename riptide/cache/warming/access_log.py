"""What an access log says was read: Common and Combined Log Format, plain or gzip, a line at a time.

Only answered reads count: GET with 2xx or 304. A line that cannot be read is counted, and nothing more.
"""

import gzip
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from riptide.cache.popularity.demand import Reads, Room
from riptide.errors import InvalidInput
from riptide.names import check_key

_LINE = re.compile(
    rb'\S+ \S+ [^\[]+ \[[^\]]+\] "(?P<request>(?:[^"\\]|\\.)*)" (?P<status>[0-9]{3}) (?:[0-9]+|-)(?: .*)?'
)
_ESCAPED = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|(.))")
_PLACED = re.compile(r"https?://[^/]", re.IGNORECASE)
_LONGEST_LINE = 16 * 1024
_GZIP = b"\x1f\x8b"
_LEAST = 100_000


@dataclass(slots=True)
class Logged:
    """URLs and how often they were read, as many as `most`: of more the half that was read less is forgotten.

    Of the `lines`, `skipped` are other methods and answers, `unplaced` paths without a URL to put before
    them; `damaged` names compressed files that end before their end.
    """

    reads: Reads
    lines: int = 0
    malformed: int = 0
    skipped: int = 0
    unplaced: int = 0
    damaged: list[str] = field(default_factory=list)

    @classmethod
    def enough_for(cls, top: int) -> "Logged":
        """To choose the `top` ones from."""
        most = max(_LEAST, 2 * top)
        return cls(Reads(most, Room(most)))

    def told(self) -> dict[str, Any]:
        return {
            "lines": self.lines,
            "urls": len(self.reads),
            "malformed": self.malformed,
            "skipped": self.skipped,
            "unplaced": self.unplaced,
            "damaged": self.damaged,
        }

    def add_file(self, path: Path, base: str | None) -> None:
        """Read a whole file; `base` is put before paths. Raises OSError."""
        with path.open("rb") as plain:
            packed = plain.read(len(_GZIP)) == _GZIP
            plain.seek(0)
            if not packed:
                self._add_lines(plain, base)
                return
            try:
                with gzip.open(plain) as unpacked:
                    self._add_lines(unpacked, base)
            except (EOFError, zlib.error, gzip.BadGzipFile):
                self.damaged.append(path.name)

    def _add_lines(self, lines: "IO[bytes] | gzip.GzipFile", base: str | None) -> None:
        cut = False
        while line := lines.readline(_LONGEST_LINE):
            rest, cut = cut, not line.endswith(b"\n")
            if not rest:  # what follows a line's first piece was counted with it
                self.add_line(line if len(line) < _LONGEST_LINE else b"", base)

    def add_line(self, line: bytes, base: str | None) -> None:
        self.lines += 1
        match = _LINE.fullmatch(line.rstrip(b"\r\n"))
        request = match["request"].split(b" ") if match else []
        if match is None or not 2 <= len(request) <= 3:
            self.malformed += 1
            return
        status = int(match["status"])
        if request[0] != b"GET" or not (200 <= status < 300 or status == 304):
            self.skipped += 1
            return
        self._add_target(request[1], base)

    def _add_target(self, target: bytes, base: str | None) -> None:
        try:
            url = _ESCAPED.sub(_unescaped, target).decode()
            placed = _PLACED.match(url) is not None
            if placed or (url.startswith("/") and base is not None):
                self.reads[check_key(url if placed else base.rstrip("/") + url if base else url)] += 1
            elif url.startswith("/"):
                self.unplaced += 1
            else:
                self.malformed += 1
        except (UnicodeDecodeError, InvalidInput):  # too long for a key
            self.malformed += 1


def _unescaped(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 16)]) if match[1] else match[2]
