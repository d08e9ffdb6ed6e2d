"""Blobs as files of a directory, each whole and on disk before it has its name.

No path is followed blindly: every part is opened from the directory above it, and a symbolic link is refused,
so that nothing outside the directory can be read or written through it.
"""

import contextlib
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from riptide.errors import BlobError, BlobNotFound, InvalidInput
from riptide.state.blobs.contract import CHUNK_BYTES, Blob, check_name, check_prefix

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITING = "%writing"  # no part of a name can be called that
_STALE_SECONDS = 86400
Parts = list[str]


class LocalBlobs:
    """Blobs below `root`, which is made when the first one is stored."""

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root).absolute()
        self.place = str(self._root)
        self._swept = False

    def put(self, name: str, data: bytes | Iterable[bytes]) -> None:
        """Write a temporary file, sync it, give it its name, and sync the directory that holds the name."""
        *above, last = check_name(name)
        with self._errors(name, writing=True), self._made([]) as root, self._made([_WRITING]) as writing:
            self._sweep(writing)
            temporary = f"{os.getpid()}-{secrets.token_hex(8)}"
            try:
                _write(writing, temporary, [data] if isinstance(data, bytes) else data)
                with _down(root, above, make=True) as directory:
                    os.rename(temporary, last, src_dir_fd=writing, dst_dir_fd=directory)
                    os.fsync(directory)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=writing)
                raise

    def get(self, name: str) -> bytes:
        return b"".join(self.stream(name))

    def stream(self, name: str) -> Iterator[bytes]:
        *above, last = check_name(name)
        with self._errors(name), self._opened(above) as directory:
            file = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            with open(file, "rb", buffering=0) as opened:  # noqa: PTH123 - a descriptor has no path
                while piece := opened.read(CHUNK_BYTES):
                    yield piece

    def list(self, prefix: str = "") -> Iterator[Blob]:
        parts = check_prefix(prefix)
        with self._errors(prefix), contextlib.ExitStack() as stack:
            try:
                directory = stack.enter_context(self._opened(parts))
            except FileNotFoundError:
                return
            yield from _walk(directory, parts)

    def head(self, name: str) -> Blob | None:
        *above, last = check_name(name)
        with self._errors(name):
            try:
                with self._opened(above) as directory:
                    found = os.stat(last, dir_fd=directory, follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                return None
        return Blob(name, found.st_size) if stat.S_ISREG(found.st_mode) else None

    def delete(self, name: str) -> None:
        *above, last = check_name(name)
        with self._errors(name), contextlib.suppress(FileNotFoundError), self._opened(above) as directory:
            os.unlink(last, dir_fd=directory)
            os.fsync(directory)

    @contextlib.contextmanager
    def _opened(self, parts: Parts) -> Iterator[int]:
        root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with _down(root, parts, make=False) as directory:
                yield directory
        finally:
            os.close(root)

    @contextlib.contextmanager
    def _made(self, parts: Parts) -> Iterator[int]:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with _down(root, parts, make=True) as directory:
                yield directory
        finally:
            os.close(root)

    def _sweep(self, writing: int) -> None:
        """Remove what processes that were killed have left half-written."""
        if self._swept:
            return
        self._swept = True
        oldest = time.time() - _STALE_SECONDS
        with os.scandir(writing) as files:
            for file in files:
                with contextlib.suppress(FileNotFoundError):
                    if file.stat(follow_symlinks=False).st_mtime < oldest:
                        os.unlink(file.name, dir_fd=writing)

    @contextlib.contextmanager
    def _errors(self, name: str, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
        except (InvalidInput, BlobError):
            raise
        except FileNotFoundError as error:
            if writing:
                raise BlobError(
                    f"blob {name!r} cannot be written in {self.place}: no such directory"
                ) from error
            raise BlobNotFound(f"there is no blob {name!r} in {self.place}") from None
        except OSError as error:
            raise BlobError(f"blob {name!r} in {self.place}: {error.strerror or error}") from error


@contextlib.contextmanager
def _down(root: int, parts: Parts, *, make: bool) -> Iterator[int]:
    """The directory `parts` below `root`, as a descriptor, opened step by step."""
    current = os.dup(root)
    try:
        for part in parts:
            below = _step(current, part, make=make)
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)


def _step(above: int, part: str, *, make: bool) -> int:
    try:
        return os.open(part, _DIRECTORY, dir_fd=above)
    except FileNotFoundError:
        if not make:
            raise
    with contextlib.suppress(FileExistsError):  # somebody else was faster
        os.mkdir(part, 0o700, dir_fd=above)
        os.fsync(above)
    return os.open(part, _DIRECTORY, dir_fd=above)


def _write(directory: int, name: str, pieces: Iterable[bytes]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(name, flags, 0o600, dir_fd=directory), "wb", buffering=0) as file:  # noqa: PTH123
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[file.write(view) or 0 :]
        os.fsync(file.fileno())


def _walk(directory: int, parts: Parts) -> Iterator[Blob]:
    with os.scandir(directory) as found:
        # By whole names: `a-b` comes before `a/b`, as in S3.
        rows = sorted(found, key=lambda row: row.name + "/" * row.is_dir(follow_symlinks=False))
    for row in rows:
        try:
            below = check_name("/".join([*parts, row.name]))
        except InvalidInput:
            continue  # not one of ours
        if row.is_dir(follow_symlinks=False):
            with contextlib.suppress(FileNotFoundError):
                opened = os.open(row.name, _DIRECTORY, dir_fd=directory)
                try:
                    yield from _walk(opened, below)
                finally:
                    os.close(opened)
        elif row.is_file(follow_symlinks=False):
            with contextlib.suppress(FileNotFoundError):
                size = os.stat(row.name, dir_fd=directory, follow_symlinks=False).st_size
                yield Blob("/".join(below), size)
