"""The directory of blobs: nothing leads out of it, nothing half-written is seen."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from riptide.config import BlobsSettings
from riptide.errors import BlobError
from riptide.state.blobs import open_blobs
from riptide.state.blobs.local import LocalBlobs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "blobs"


def test_nothing_is_made_before_something_is_stored(root: Path) -> None:
    blobs = LocalBlobs(root)
    assert blobs.head("a") is None
    assert list(blobs.list()) == []
    blobs.delete("a")
    assert not root.exists()
    blobs.put("a", b"1")
    assert root.stat().st_mode & 0o777 == 0o700
    assert (root / "a").stat().st_mode & 0o777 == 0o600


def test_a_link_to_the_outside_is_not_followed(root: Path, tmp_path: Path) -> None:
    blobs = LocalBlobs(root)
    blobs.put("in/a", b"1")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (root / "out").symlink_to(outside)
    (root / "in" / "link").symlink_to(outside / "secret")
    for name in ("out/secret", "in/link"):
        with pytest.raises(BlobError):
            blobs.get(name)
    with pytest.raises(BlobError):
        blobs.put("out/new", b"1")
    assert blobs.head("in/link") is None
    assert [blob.name for blob in blobs.list()] == ["in/a"]
    blobs.put("in/link", b"mine")  # takes the link's place
    assert (outside / "secret").read_bytes() == b"secret"
    assert [file.name for file in outside.iterdir()] == ["secret"]


def test_where_nothing_can_be_written_is_told() -> None:
    with pytest.raises(BlobError, match="blob 'a' cannot be written in /proc/nowhere"):
        LocalBlobs("/proc/nowhere").put("a", b"1")  # nobody may make one there, not even root


def test_the_directory_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    root.mkdir(parents=True)
    (tmp_path / "link").symlink_to(root)
    LocalBlobs(tmp_path / "link").put("a", b"1")
    assert (root / "a").read_bytes() == b"1"


def test_until_it_is_whole_nobody_sees_it(root: Path) -> None:
    blobs = LocalBlobs(root)
    blobs.put("a", b"old")

    def pieces() -> Iterator[bytes]:
        yield b"new"
        assert blobs.get("a") == b"old"
        assert [blob.name for blob in blobs.list()] == ["a"]
        yield b"er"

    blobs.put("a", pieces())
    assert blobs.get("a") == b"newer"
    assert not list((root / "%writing").iterdir())


def test_a_kill_while_writing_leaves_only_what_is_swept(root: Path) -> None:
    LocalBlobs(root).put("a", b"1")
    fresh, stale = root / "%writing" / "fresh", root / "%writing" / "stale"
    for file in (fresh, stale):
        file.write_bytes(b"half")
    os.utime(stale, (1, 1))
    LocalBlobs(root).put("b", b"2")
    assert fresh.exists(), "another process may be writing it"
    assert not stale.exists()
    assert [blob.name for blob in LocalBlobs(root).list()] == ["a", "b"]


def test_it_is_on_disk_before_it_has_its_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def noted(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*args: Any, **named: Any) -> Any:
            done.append(name)
            return real(*args, **named)

        return call

    for name in ("fsync", "rename"):
        monkeypatch.setattr(os, name, noted(name))
    blobs = LocalBlobs(root)
    blobs.put("a/b", b"1")
    at = done.index("rename")
    assert "fsync" in done[:at]
    assert done[at + 1 :] == ["fsync"], "the directory that holds the name"


def test_a_full_disk_is_an_error_that_names_the_blob(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BlobError, match=r"'a/b' in .*No space left"):
        LocalBlobs(root).put("a/b", b"1")


def test_relative_to_where_the_process_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_blobs(BlobsSettings()).put("a", b"1")
    assert (tmp_path / "data" / "a").exists()


@pytest.mark.parametrize(
    "url", ["ftp://x/y", "s3://", "s3://B", "s3://bucket//x", "s3://user:pw@bucket/x", ""]
)
def test_what_is_no_store(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        BlobsSettings(url=url)
