"""The synchronous face: `with riptide.connect() as rt`."""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from commands import Command
from riptide.config import Settings
from riptide.errors import PublishUnknown
from riptide.reads.assembly import Parts, assemble
from riptide.reads.sync_cache import Cache
from riptide.store.sync import Store, open_store
from riptide.streams.message import Ref
from riptide.streams.publishing import Outgoing
from riptide.streams.status import Status, status, wait


class RipTide:
    """What a service holds. Threads may share it; so may forked children, which connect anew."""

    def __init__(self, parts: Parts, store: Store) -> None:
        self.settings = parts.settings
        self.store = store
        self.cache = Cache(store, parts.keys, parts.settings.cache, parts.shards)
        self._keys = parts.keys
        self._publisher = parts.publisher

    def publish(
        self, command: Command, *, tenant: str | None = None, key: str | None = None, trace: str | None = None
    ) -> Ref:
        """Publish a command; its reference comes back.

        With an idempotency `key` a second publish within `streams.idempotency_window_seconds` changes nothing
        and answers with the first one's reference. `trace` is a W3C traceparent. Raises InvalidInput,
        UnknownCommand, PublishRefused, or PublishUnknown when the answer was lost.
        """
        return self.store.drive(self._publisher.publish(Outgoing(command, tenant, trace), key))

    def publish_many(self, commands: Iterable[Outgoing]) -> list[Ref]:
        """Publish commands in one round trip (per server of a cluster). Raises as `publish` does."""
        return self.store.drive(self._publisher.publish_many(commands))

    def publish_again(self, unknown: PublishUnknown) -> list[Ref]:
        """Repeat the attempt of a PublishUnknown; what was accepted then is not published twice."""
        return self.store.drive(self._publisher.publish_again(unknown))

    def status(self, ref: Ref | str) -> Status:
        """Where a command stands."""
        return self.store.run(status(self._keys, to_ref(ref)))

    def wait(self, ref: Ref | str, seconds: float) -> Status:
        """Wait until a command is finished, for `seconds` at most; answers its last status."""
        return self.store.drive(wait(self._keys, to_ref(ref), seconds))

    def close(self) -> None:
        """Flush what is buffered, and disconnect."""
        self.cache.close()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()


def to_ref(ref: Ref | str) -> Ref:
    return Ref.parse(ref) if isinstance(ref, str) else ref


def connect(url: str | None = None, config: Settings | str | Path | None = None) -> RipTide:
    """Open the synchronous face.

    `url` wins over the configuration's `redis.url`; `config` is a path, or Settings (default:
    RIPTIDE_CONFIG, else
    config/persistence.yml, else defaults). Raises ConfigError. A standalone server is first reached by the
    first operation.
    """
    parts = assemble(url, config)
    return RipTide(parts, open_store(parts.settings))
