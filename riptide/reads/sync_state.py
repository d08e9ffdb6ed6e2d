"""`rt.state`: the deployment's configuration, synchronous."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from riptide.config.document import Difference
from riptide.reads.sync_following import Follower
from riptide.state.live.configuration import Configuration
from riptide.state.live.services import Presence
from riptide.state.live.versions import History
from riptide.store.sync import Store
from riptide.streams.members import Member
from riptide.streams.message import Ref


class StateFace:
    """Which configuration this process has, who has which, and the way to another.

    Methods that ask the server raise ServerUnavailable.
    """

    def __init__(self, store: Store, configuration: Configuration, presence: Presence) -> None:
        self._store, self._configuration, self._live = store, configuration, configuration.live
        self._presence = presence
        self._follower: Follower | None = None

    @property
    def version(self) -> str:
        """The version that this process has: its number and the beginning of its hash, as in '7-3f2a9c01'.
        Empty: what its own file and environment say."""
        return self._live.version

    @property
    def needs_restart(self) -> tuple[str, ...]:
        """Settings that this version has otherwise than this process, which takes them at its start alone."""
        return self._live.restart

    def on_change(self, section: str, tell: Callable[[Any], Any]) -> Callable[[], None]:
        """Call `tell(settings of the section)` after any of them has changed, in the thread that follows the
        configuration; what it answers is a function that ends this.

        What `tell` raises is logged. Raises InvalidInput if there is no such section.
        """
        return self._live.on_change([section], lambda now: tell(getattr(now, section).model_copy()))

    def history(self) -> History:
        """The versions that are kept, the newest first, and what was refused since the last was accepted."""
        return self._store.run(self._configuration.history())

    def diff(self, before: int | None = None, after: int | None = None) -> list[Difference]:
        """What two versions write differently, by default the current one and the one before it. Raises
        InvalidInput."""
        return self._store.drive(self._configuration.diff(before, after))

    def rollback(self, number: int | None = None) -> Ref:
        """Publish an earlier version again as a `reload`, by default the one before the current.

        Raises InvalidInput, BlobError, and what `publish` raises.
        """
        return self._store.drive(self._configuration.rollback(number))

    def apply(self, path: str | Path | None = None) -> Ref:
        """Publish a file as it is now as a `reload`, by default this process's. Raises ConfigError,
        BlobError, and what `publish` raises."""
        return self._store.drive(self._configuration.apply(path))

    def apply_diff(self, path: str | Path | None = None) -> list[Difference]:
        """What `apply` would change. Raises ConfigError."""
        return self._store.drive(self._configuration.apply_diff(path))

    def members(self) -> list[Member]:
        """Workers, and the other processes that follow the configuration, each with its version."""
        return self._store.drive(self._configuration.members())

    def follow(self) -> None:
        """Follow the configuration from now on, if this process is to; `connect` calls it."""
        if self._live.follows and self._follower is None:
            self._follower = Follower(self._store, self._presence, self._live.forked)
            self._follower.start()

    def close(self) -> None:
        """Follow it no more."""
        if self._follower is not None:
            self._follower.close()
            self._follower = None
