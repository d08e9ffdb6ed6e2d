"""When a file that somebody edits may be read, and what looks as if its writing was cut off."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from riptide.state.live.file import Content, WatchedFile, being_written, stamp_of, unfinished


class Steps:
    """What happens between two looks, one step after the other; then nothing more."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._steps = list(steps)
        self.taken = 0

    def pause(self, _seconds: float) -> bool:
        self.taken += 1
        if self._steps:
            self._steps.pop(0)()
        return False


def settled(path: Path, *steps: Callable[[], object]) -> tuple[bytes, int]:
    taken = Steps(*steps)
    content = WatchedFile(path, taken.pause).settled()
    assert content is not None
    return content.data, taken.taken


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "a.yml"
    made.write_bytes(b"one\n")
    return made


def test_what_is_still_is_read_after_one_pause(path: Path) -> None:
    assert settled(path) == (b"one\n", 1)


def test_what_changes_is_looked_at_again(path: Path) -> None:
    data, _ = settled(path, lambda: path.write_bytes(b"tw"), lambda: path.write_bytes(b"two\n"))
    assert data == b"two\n"
    new = path.with_name("new")
    new.write_bytes(b"three\n")
    assert settled(path, lambda: new.rename(path))[0] == b"three\n"


def test_as_long_as_somebody_has_it_open_to_write_it_is_not_read(path: Path) -> None:
    """However long nothing moves."""
    writer = path.open("wb")
    writer.write(b"ha")
    writer.flush()
    still = [lambda: None] * 5

    def finish() -> None:
        writer.write(b"lf no more\n")
        writer.close()

    data, taken = settled(path, *still, finish)
    assert data == b"half no more\n"
    assert taken == 7


def test_another_process_that_writes_is_noticed_and_never_disturbed(path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells who writes")
    code = "import sys; f = open(sys.argv[1], 'a'); print('open', flush=True); sys.stdin.read(); f.close()"
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdin is not None
        writer.stdout.readline()
        file = os.open(path, os.O_RDONLY)
        assert being_written(file)
        writer.stdin.close()
        assert writer.wait(60) == 0
        assert not being_written(file)
        os.close(file)
    # Whoever opens it to write while the lease is held waits a moment, and this process lives on.
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            path.write_bytes(b"again\n")

    thread = threading.Thread(target=write)
    thread.start()
    for _ in range(300):
        file = os.open(path, os.O_RDONLY)
        being_written(file)
        os.close(file)
    stop.set()
    thread.join()


def test_no_file_and_the_end_of_watching_are_nothing(tmp_path: Path, path: Path) -> None:
    assert WatchedFile(tmp_path / "none", lambda _: False).settled() is None
    assert WatchedFile(path, lambda _: True).settled() is None
    with pytest.raises(IsADirectoryError):
        WatchedFile(tmp_path, lambda _: False).settled()


@pytest.mark.parametrize(
    ("data", "before", "why"),
    [
        (b"", b"a: 1\n", "empty"),
        (b" \n", None, "empty"),
        (b"a: 1\nb: 36", None, "its last line does not end"),
        (b"a: 1\n", b"a: 1\nb: 2\n", "the beginning of what it was"),
        (b"a: 1\n", b"a: 1\n", None),
        (b"a: 2\n", b"a: 1\nb: 2\n", None),
        (b"a: 1\nb: 2\n", b"a: 1\n", None),
        (b"a: 1\r\n", None, None),
        (b"#" * 2**20 + b"\n", None, "more than 1,048,576 bytes"),
    ],
)
def test_what_looks_cut_off(data: bytes, before: bytes | None, why: str | None) -> None:
    said = unfinished(data, before)
    assert said is None if why is None else said is not None and why in said


def test_a_very_large_file_is_not_read_whole(path: Path) -> None:
    path.write_bytes(b"#" * 3 * 2**20 + b"\n")
    assert len(settled(path)[0]) == 2**20 + 1


def test_each_writing_has_a_stamp_of_its_own(path: Path) -> None:
    seen: list[Content] = []
    for _ in range(2):
        content = WatchedFile(path, lambda _: False).settled()
        assert content is not None
        seen.append(content)
        new = path.with_name("new")
        new.write_bytes(b"one\n")
        new.rename(path)
    assert seen[0].data == seen[1].data
    assert seen[0].stamp != seen[1].stamp


def let_time_pass(directory: Path) -> None:
    """Some kernels tell the time of a change by hundredths of a second."""
    probe = directory / "probe"
    probe.touch()
    before = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == before:
        probe.touch()


def test_what_comes_back_has_another_stamp_than_it_had(tmp_path: Path) -> None:
    """Renamed away and back, or by a link on the way: else it would not be offered again."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.yml").write_text(name)
    link = tmp_path / "current"
    seen = set()
    for number, name in enumerate(("one", "two", "one", "two")):
        let_time_pass(tmp_path)
        new = tmp_path / f"new{number}"
        new.symlink_to(name)
        new.rename(link)
        seen |= {stamp_of(link / "a.yml")}
        assert stamp_of(link / "a.yml") in seen, "the same as long as nothing happens"
    assert len(seen) == 4
    path = tmp_path / "one" / "a.yml"
    before = stamp_of(path)
    let_time_pass(tmp_path)
    path.rename(tmp_path / "away").rename(path)
    assert stamp_of(path) != before
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    assert stamp_of(loop) == stamp_of(tmp_path / "none") == ""
