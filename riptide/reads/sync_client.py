"""The synchronous face: `with riptide.connect() as rt`."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from commands import Command
from riptide.config import Loaded, Settings
from riptide.errors import PublishUnknown
from riptide.reads.assembly import Parts, assemble
from riptide.reads.exporting import Export
from riptide.reads.health import Component, Health
from riptide.reads.legacy import LegacyCache
from riptide.reads.metrics import Metrics
from riptide.reads.outage import in_use, say_what_is_off
from riptide.reads.sync_billing import BillingFace
from riptide.reads.sync_cache import Cache
from riptide.reads.sync_checkpoints import Checkpoints
from riptide.reads.sync_flushing import Flushing
from riptide.reads.sync_health import HealthFace
from riptide.reads.sync_keys import KeysFace
from riptide.reads.sync_quotas import QuotasFace
from riptide.reads.sync_sessions import SessionsFace
from riptide.reads.sync_state import StateFace
from riptide.reads.sync_tenants import Tenants
from riptide.reads.sync_usage import UsageFace
from riptide.store.sync import Store, open_store
from riptide.streams.job import Progress
from riptide.streams.members import Member
from riptide.streams.message import Ref
from riptide.streams.publishing import Outgoing
from riptide.streams.resting import Pause
from riptide.streams.status import Status, cancel, status, wait
from riptide.tenants.quotas.charges import Charges


class RipTide:
    """What a service holds. Threads may share it; so may forked children, which connect anew."""

    def __init__(self, parts: Parts, store: Store) -> None:
        self.settings = parts.settings
        self.store = store
        self.cache = Cache(
            store,
            parts.keys,
            parts.settings.cache,
            parts.known,
            ring=parts.ring,
            publisher=parts.reporter,
            spill=parts.spill,
            in_use=lambda: self.in_use,
        )
        export = Export(parts.keys, parts.registry, parts.known, self.cache.core)
        self.tenants = Tenants(store, parts.registry, export)
        charges = Charges(parts.quotas, parts.settings.api)
        self._flushing = Flushing(store, parts.settings.api, parts.usage.buffer, charges)
        self.quotas = QuotasFace(store, parts.quotas, charges=charges, wake=self._flushing.wake)
        self.usage = UsageFace(store, parts.usage, self._flushing)
        self.billing = BillingFace(store, parts.billing)
        self.keys = KeysFace(store, parts.data_keys)
        self.sessions = SessionsFace(store, parts.sessions)
        self.checkpoints = Checkpoints(parts.settings)
        self.ring = parts.ring
        self.state = StateFace(store, parts.configuration, parts.presence)
        self.metrics = Metrics(parts)
        parts.live.on_change(("cache", "tenant"), lambda _: self.cache.core.renew_caps())
        self._keys = parts.keys
        self._publisher = parts.publisher
        self._resting = parts.resting
        self._health = HealthFace(store, parts, self.cache.waiting)

    @property
    def in_use(self) -> bool:
        """Whether the service's own calls should go through RipTide: False sends them on their old path.

        It is `use_persistence_layer` (and `enable_persistence`), which may change while the process runs.
        """
        return in_use(self.settings)

    @property
    def legacy(self) -> LegacyCache:
        """The old cache's interface, in tenant `default`."""
        return LegacyCache(self.cache, self.store, lambda: self.in_use)

    def health(self) -> Health:
        """How everything stands that this process needs, at most a second old. Raises nothing."""
        return self._health.look()

    def watch(self, name: str, tell: Callable[[], Component]) -> None:
        """Let `health` have a further component, by what `tell()` answers."""
        self._health.watch(name, tell)

    def publish(
        self,
        command: Command,
        *,
        tenant: str | None = None,
        key: str | None = None,
        trace: str | None = None,
        delay: float | timedelta | None = None,
        at: datetime | float | None = None,
    ) -> Ref:
        """Publish a command; its reference comes back.

        With an idempotency `key` a second publish within `streams.idempotency_window_seconds` changes nothing
        and answers with the first one's reference. `trace` is a W3C traceparent. It is started `delay`
        seconds from now, or not before `at` (a datetime with a time zone, or Unix seconds), by the server's
        clock. Raises InvalidInput, UnknownCommand, PublishRefused, ServerUnavailable when nothing was sent,
        or PublishUnknown when the answer was lost.
        """
        return self.store.drive(self._publisher.publish(Outgoing(command, tenant, trace, delay, at), key))

    def publish_many(self, commands: Iterable[Outgoing]) -> list[Ref]:
        """Publish commands in one round trip (per server of a cluster), or in a few if they are large.

        All are checked before the first is sent, and an InvalidInput names the position. Raises as `publish`
        does.
        """
        return self.store.drive(self._publisher.publish_many(commands))

    def publish_again(self, unknown: PublishUnknown) -> list[Ref]:
        """Repeat the attempt of a PublishUnknown; what was accepted then is not published twice."""
        flow = self._publisher.publish_again(unknown)
        del unknown  # the traceback of the next one would keep it
        return self.store.drive(flow)

    def status(self, ref: Ref | str) -> Status:
        """Where a command stands."""
        return self.store.run(status(self._keys, to_ref(ref)))

    def wait(
        self, ref: Ref | str, seconds: float, on_progress: Callable[[Progress], Any] | None = None
    ) -> Status:
        """Wait until a command is finished, for `seconds` at most; answers its last status.

        `on_progress` is called with each new progress of it (in the asynchronous face, awaited if it can be).
        """
        return self.store.drive(wait(self._keys, to_ref(ref), seconds, on_progress))

    def cancel(self, ref: Ref | str) -> Status:
        """Cancel a command that no worker has been given: queued, scheduled, or waiting for a retry.

        Answers where it stands: `cancelled`, now or earlier, and then it never runs (again); else `running`,
        `done` and so on, and nothing was changed.
        """
        keep = self.settings.streams.result_ttl_seconds
        return self.store.run(cancel(self._keys, to_ref(ref), keep))

    def pause(self, kind: str, why: str = "") -> bool:
        """Let no worker start another command of type `kind`, from its next heartbeat on (a second).

        What runs goes on. It lasts until `resume`. True if it was not paused before. Raises UnknownCommand.
        """
        return self.store.run(self._resting.pause(kind, why))

    def resume(self, kind: str) -> bool:
        """Let workers start commands of `kind` again; False if it was not paused. Raises UnknownCommand."""
        return self.store.drive(self._resting.resume(kind))

    def paused(self) -> dict[str, Pause]:
        """The paused types, each with since when, by whom and why."""
        return self.store.run(self._resting.paused())

    def workers(self) -> list[Member]:
        """All workers, the longest silent first. One that has not beaten for a lease counts as dead."""
        return self.store.drive(self._resting.members())

    def quiet(self, worker: str) -> Member:
        """Ask one worker process to start nothing more until `end_quiet`, or until it ends.

        What it runs goes on. `worker` is a name that `workers` shows, or the beginning of one. Raises
        InvalidInput if there is no such worker, or several.
        """
        return self.store.drive(self._resting.quiet(worker))

    def end_quiet(self, worker: str) -> bool:
        """Let a quiet worker start commands again; False if it was not quiet. Raises InvalidInput as `quiet`
        does."""
        return self.store.drive(self._resting.end_quiet(worker))

    def close(self) -> None:
        """Flush what is buffered, and disconnect."""
        try:
            self.metrics.close()
            self.state.close()
            self._flushing.close()
            self.cache.close()
        finally:
            self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()


def to_ref(ref: Ref | str) -> Ref:
    """Raises InvalidInput if it is none."""
    return ref if isinstance(ref, Ref) else Ref.parse(ref)


def connect(url: str | None = None, config: Settings | Loaded | str | Path | None = None) -> RipTide:
    """Open the synchronous face.

    `url` wins over the configuration's `redis.url`; `config` is a path, or Settings (default:
    RIPTIDE_CONFIG, else
    config/persistence.yml, else defaults). Raises ConfigError. The server is first reached by the first
    operation. Unless Settings are given, or `state.enable_hot_reload` is off, a thread follows the
    deployment's configuration from now on.
    """
    parts = assemble(url, config)
    rt = RipTide(parts, open_store(parts.settings, guarded=True))
    say_what_is_off(parts.settings)
    rt.state.follow()
    return rt
