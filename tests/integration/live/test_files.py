"""The file in all the states in which operators and tools leave it: nothing breaks, and it is said why."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import riptide
from riptide.reads.sync_client import RipTide
from tests.support.deployment import Deployment
from tests.support.hosts import Host, refusal, ttl
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess

UTF8_MARK = b"\xef\xbb\xbf"


@contextmanager
def watching(host: Host, **environment: str) -> Iterator[tuple[RipTide, WorkerProcess]]:
    with host.worker(["reload"], **environment) as worker, riptide.connect(config=host.file) as rt:
        yield rt, worker


def has(rt: RipTide, value: int) -> None:
    eventually(lambda: rt.settings.cache.default_ttl_seconds == value, f"a TTL of {value}")


class Mounted:
    """A directory of files as Kubernetes mounts a ConfigMap: one link is exchanged, and all files are new."""

    def __init__(self, host: Host) -> None:
        self._host, self._number = host, 0
        self.directory = host.directory / "mounted"
        self.directory.mkdir()
        self.put(60)
        file = self.directory / host.file.name
        file.symlink_to(Path("..data") / file.name)
        host.file = file

    def put(self, seconds: int) -> Path:
        self._number += 1
        fresh = self.directory / f"..{self._number}"
        fresh.mkdir()
        (fresh / self._host.file.name).write_text(self._host.text(**ttl(seconds)))
        self.link(fresh)
        return fresh

    def link(self, fresh: Path) -> None:
        new = self.directory / "..data_tmp"
        new.symlink_to(fresh.name)
        new.rename(self.directory / "..data")


def test_a_mounted_config_map(on_valkey: Deployment, tmp_path: Path) -> None:
    host = Host(on_valkey, tmp_path)
    mounted = Mounted(host)
    with watching(host) as (rt, _):
        first = mounted.put(61)
        has(rt, 61)
        mounted.put(62)
        has(rt, 62)
        # The same file is there again: it was accepted before, as it is, and must be so once more.
        mounted.link(first)
        has(rt, 61)
        mounted.put(62)
        has(rt, 62)


def test_a_link_to_the_release_in_use(on_valkey: Deployment, tmp_path: Path) -> None:
    """The file's directory is another all at once; nothing happens in the one that was watched."""
    host = Host(on_valkey, tmp_path)
    current = tmp_path / "current"
    for name, seconds in (("one", 60), ("two", 61)):
        (tmp_path / f"release-{name}").mkdir()
        (tmp_path / f"release-{name}" / "riptide.yml").write_text(host.text(**ttl(seconds)))

    def use(name: str) -> None:
        new = tmp_path / "new"
        new.symlink_to(f"release-{name}")
        new.rename(current)

    use("one")
    host.file = current / "riptide.yml"
    with watching(host) as (rt, _):
        for name, seconds in (("two", 61), ("one", 60), ("two", 61)):
            use(name)
            has(rt, seconds)


def test_gone_unreadable_and_back(on_valkey: Deployment, tmp_path: Path) -> None:
    host = Host(on_valkey, tmp_path, **ttl(60))
    with watching(host) as (rt, worker):
        host.file.unlink()
        eventually(lambda: "is gone; the configuration stays" in worker.log, "it to be told")
        host.file.mkdir()
        refusal(rt, "cannot be read: Is a directory")
        host.file.rmdir()
        host.file.symlink_to(host.file.name)
        refusal(rt, "cannot be read: Too many levels of symbolic links")
        assert rt.settings.cache.default_ttl_seconds == 60
        host.file.unlink()
        host.write(**ttl(61))
        has(rt, 61)
        assert worker.log.count("cannot be read") == 2, "each of them once"
        assert "Traceback" not in worker.log


def test_what_editors_of_other_systems_write(on_valkey: Deployment, tmp_path: Path) -> None:
    """With a mark at the beginning, and lines that end as those of DOS and of old Macs."""
    host = Host(on_valkey, tmp_path, **ttl(60))
    with watching(host) as (rt, _):
        for seconds, line in ((61, b"\n"), (62, b"\r\n"), (63, b"\r")):
            text = host.text(**ttl(seconds)).encode()
            host.file.write_bytes(UTF8_MARK + text.replace(b"\n", line))
            has(rt, seconds)


def test_what_is_wrong_is_told_without_what_is_secret(on_valkey: Deployment, tmp_path: Path) -> None:
    host = Host(on_valkey, tmp_path, **ttl(60))
    good = host.text(**ttl(61))
    with watching(host, OUR_SECRET="hunter2") as (rt, worker):
        for text, why in (
            (good.encode().replace(b"61", b"\xff"), "is not UTF-8 text"),
            (b"#" * 2**20 + b"\n", "more than 1,048,576 bytes"),
            (good.replace("default_ttl_seconds", "default_tll_seconds").encode(), "default_tll_seconds"),
            (good.replace("  cache:", "  cash:").encode(), "cash"),
            (good.replace("61", "[61]").encode(), "default_ttl_seconds"),
            (good.replace("61", "${OUR_SECRET}").encode(), "default_ttl_seconds"),
            (good.replace("61", "${NO_SUCH}").encode(), "NO_SUCH is not set"),
            (good.replace("61", "!!python/object/apply:os.getpid []").encode(), "tags (!name)"),
            (b"persistence: &a {cache: *a}\n", "anchors and aliases"),
            (b"[" * 100_000 + b"\n", "is nested too deeply"),
            (good.replace("  cache:\n", "\tcache:\n").encode(), "is not YAML"),
            (b"just a text\n", "must be a mapping"),
            (good.encode() + b"---\n" + good.encode(), "is not YAML"),
        ):
            host.file.write_bytes(text)
            refusal(rt, why)
        refused = rt.state.history().refused
        assert refused is not None
        assert not rt.state.history().current
        host.file.write_text(good)
        has(rt, 61)
        assert "hunter2" not in worker.log
        assert "Traceback" not in worker.log
