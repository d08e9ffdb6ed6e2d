"""What a running deployment does: warming, taking a new configuration over, stopping."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

import riptide
from riptide.config import Settings
from riptide.reads.sync_client import RipTide
from scripts.bench.seed.rows import Row

_ROOT = Path(__file__).parents[3]
_LONGEST, _WARMED, _LOAD_SECONDS = 60.0, 10, 0.05


async def slow_page(request: object) -> str:
    """A loader: renders a page, which takes its time."""
    await asyncio.sleep(_LOAD_SECONDS)
    return f"<h1>{request}</h1>"


COMMANDS: list[type[riptide.Command]] = []
HANDLERS: dict[str, riptide.Handler] = {}
LOADERS = {"slow": slow_page}


class Deployment:
    """A worker process with a configuration file of its own, and a service that follows it."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._file, self._settings, self._folder = folder / "seeds.yml", settings, folder
        self.write(3600)
        environment = os.environ | {"RIPTIDE_CONFIG": str(self._file), "PYTHONPATH": str(_ROOT)}
        program = str(Path(sys.executable).with_name("riptide"))
        with (folder / "worker.log").open("wb") as log:
            self.worker = subprocess.Popen(
                [program, "worker"], cwd=_ROOT, env=environment, stdout=log, stderr=log
            )
        self.rt = riptide.connect(config=self._file)
        _until(self.rt.workers, "the worker to join")

    def write(self, ttl: int) -> None:
        content = {
            "redis": {"url": self._settings.redis.url.get_secret_value()},
            "cache": {
                "key_prefix": self._settings.cache.key_prefix,
                "default_ttl_seconds": ttl,
                "enable_warming": False,
            },
            "blobs": {"url": str(self._folder / "blobs")},
            "workers": {"modules": [__name__]},
            "performance": {"enable_slow_log": False},
        }
        beside = self._file.with_suffix(".new")
        beside.write_text(yaml.safe_dump(content))
        beside.rename(self._file)

    def close(self) -> None:
        self.rt.close()
        if self.worker.poll() is None:
            self.worker.kill()
            self.worker.wait()


def measured(settings: Settings, folder: Path) -> Iterator[Row]:
    deployment = Deployment(settings, folder)
    try:
        yield _warming(deployment.rt)
        yield _reload(deployment)
        yield _shutdown(deployment)
    finally:
        deployment.close()


def _warming(rt: RipTide) -> Row:
    keys = tuple(f"/page/{n}" for n in range(_WARMED))
    started = time.monotonic()
    ended = rt.wait(rt.publish(riptide.Warm(keys=keys, loader="slow"), tenant="default"), _LONGEST)
    took = time.monotonic() - started
    if ended.state != "done" or any(rt.cache.get(key) is None for key in keys):
        raise SystemExit(f"warming ended as {ended.state}: {ended.error}")
    note = f"by a worker; each takes {_LOAD_SECONDS:g} s to load"
    return Row(f"{_WARMED} keys warmed", 1, took, "s", note=note)


def _reload(deployment: Deployment) -> Row:
    """Requests go on while the file is edited, five times."""
    rt, ended = deployment.rt, threading.Event()
    tried, failed = [0], [0]

    def ask() -> None:
        while not ended.is_set():
            tried[0] += 1
            try:
                rt.cache.set("k", 1)
                rt.cache.get("k")
            except riptide.RiptideError:
                failed[0] += 1

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for ttl in range(100, 105):
            deployment.write(ttl)
            _until(lambda ttl=ttl: rt.settings.cache.default_ttl_seconds == ttl, "the new configuration")  # type: ignore[misc]
    finally:
        ended.set()
        asking.join()
    return Row("reload: failed requests", 0, failed[0], "requests", note=f"of {tried[0]:,}, 5 edits")


def _shutdown(deployment: Deployment) -> Row:
    rt, late = deployment.rt, [f"/late/{n}" for n in range(2_000)]
    rt.publish_many(
        [riptide.Outgoing(riptide.Warm(keys=(key,), loader="slow"), tenant="default") for key in late]
    )
    _until(
        lambda: any(value is not None for value in rt.cache.get_many(late).values()),
        "the worker to be at work",
    )
    started = time.monotonic()
    deployment.worker.send_signal(signal.SIGTERM)
    code = deployment.worker.wait(_LONGEST)
    took = time.monotonic() - started
    return Row("shutdown under load", 30, took, "s", note=f"exit code {code}")


def _until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + _LONGEST
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"not within {_LONGEST:g} s: {what}")
        time.sleep(0.02)
