"""`riptide worker`: one worker process."""

import asyncio
import gc
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from riptide.cache.accounts.keeper import Keeper
from riptide.cli import common
from riptide.clock import SystemClock
from riptide.config import Settings
from riptide.errors import ConfigError
from riptide.reads.aio_client import aconnect
from riptide.reads.context import make_context
from riptide.state.archive.archiver import make_archiver
from riptide.state.checkpoints.alarm import Alarm
from riptide.state.spill.keeper import SessionKeeper
from riptide.store.sync import open_store
from riptide.streams.members import new_member
from riptide.streams.registry import CommandType, Registry, load_handlers, load_models
from riptide.streams.worker import Worker
from workers import HANDLERS

STOPPED_AT_ONCE = 130
_KEEPER_SECONDS = 5.0
_ALARM_SECONDS = 5.0  # to give up a checkpoint that it writes
_ARCHIVER_SECONDS = 10.0  # to end what it is writing; what is not written then, others write


def worker_command(
    commands: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Types to carry out, separated by commas.", show_default="all"),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help="Handler calls at a time; wins over workers.concurrency."),
    ] = None,
) -> None:
    """Carry out commands until SIGTERM or Ctrl-C.

    The first signal hands back what has not started and finishes what has; a second one stops at once, and
    other workers take over. Any number of workers may run, on any number of hosts; each type may have pools
    of its own.
    """
    settings = common.settings()
    if concurrency is not None:
        workers = settings.workers.model_copy(update={"concurrency": concurrency})
        settings = settings.model_copy(update={"workers": workers})
    modules = settings.workers.modules
    registry = Registry(load_models(modules), load_handlers(HANDLERS, modules))
    if settings.streams.archive:
        registry.pick(settings.streams.archive_types)  # a type that does not exist is an error
    names = None if commands is None else [name.strip() for name in commands.split(",") if name.strip()]
    if names == []:
        raise ConfigError(
            "--commands names no type: leave it out for all, or name some, as in warm,invalidate"
        )
    calm_collector()
    asyncio.run(_run(settings, registry.pick(names)))


def calm_collector() -> None:
    """A worker makes many containers that soon die; by default the collector walks them for nothing, at a
    quarter of the time."""
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)  # above what some thousand commands in hand are made of


async def _run(settings: Settings, types: list[CommandType]) -> None:
    rt = await aconnect(config=settings)
    beat_store = await asyncio.to_thread(open_store, for_heartbeats(settings))
    try:
        async with make_context(rt) as context:
            worker = Worker(settings, types, rt.store, beat_store, context, SystemClock())
            _stop_on_signals(worker)
            with keeping_accounts(settings), archiving(settings), watching(settings):
                await worker.run()
    finally:
        beat_store.close()


@contextmanager
def archiving(settings: Settings) -> Iterator[None]:
    """Archive meanwhile, in a thread of its own, if the configuration says so."""
    archiver = make_archiver(settings)
    if archiver is None:
        yield
        return
    archiver.start()
    try:
        yield
    finally:
        archiver.stop()
        archiver.join(_ARCHIVER_SECONDS)


@contextmanager
def keeping_accounts(settings: Settings) -> Iterator[None]:
    """Look after the cache's accounts and after sessions meanwhile, in threads of their own."""
    who = new_member(settings.distributed.node_id)
    keepers = [Keeper(settings, who), SessionKeeper(settings, who)]
    for keeper in keepers:
        keeper.start()
    try:
        yield
    finally:
        for keeper in keepers:
            keeper.stop()
        for keeper in keepers:
            keeper.join(_KEEPER_SECONDS)


@contextmanager
def watching(settings: Settings) -> Iterator[None]:
    """Write an emergency checkpoint when a server is in trouble, in a thread of its own."""
    alarm = Alarm(settings)
    alarm.start()
    try:
        yield
    finally:
        alarm.stop()
        alarm.join(_ALARM_SECONDS)


def for_heartbeats(settings: Settings) -> Settings:
    """A heartbeat that hangs on a dead connection must not keep the next one waiting: that would cost the
    lease."""
    interval = settings.distributed.heartbeat_interval_ms
    timeout = min(settings.redis.command_timeout_ms, interval)
    redis = settings.redis.model_copy(
        update={
            "command_timeout_ms": timeout,
            "connection_timeout_ms": min(settings.redis.connection_timeout_ms, interval),
            "retry_attempts": min(settings.redis.retry_attempts, 1),
        }
    )
    return settings.model_copy(update={"redis": redis})


def _stop_on_signals(worker: Worker) -> None:
    loop = asyncio.get_running_loop()
    asked = False

    def stop(_number: int, _frame: object) -> None:
        nonlocal asked
        if asked:
            os.write(2, b"second signal: stopping at once\n")
            os._exit(STOPPED_AT_ONCE)
        asked = True
        os.write(2, b"stopping when what runs is done; a second signal stops at once\n")
        worker.stop_from_signal(loop)

    # Not the loop's own handlers: they wait for the loop, which a handler may hold.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
