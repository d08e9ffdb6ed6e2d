"""The configuration of a running process, which is switched in place (docs/live-configuration.md)."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from riptide.config.catalog import catalog, sections
from riptide.config.loader import Loaded
from riptide.config.models import Settings
from riptide.config.names import LIVE, OWN
from riptide.errors import InvalidInput


@dataclass(frozen=True)
class Switched:
    """What a switch did: settings that changed, and settings that will at the next restart."""

    changed: tuple[str, ...]
    restart: tuple[str, ...]


class Live:
    """`settings`, and whoever wants to hear of their changes. Threads may share it.

    A section is frozen to all but `switch`, which exchanges what it holds at once: whoever has the section
    reads the new values from then on, and never a mixture. `path` is the file of this process; Settings that
    were given as an object have none, and stay as they are. So do those in `Loaded.own`.
    """

    def __init__(self, given: Settings | Loaded) -> None:
        loaded = given if isinstance(given, Loaded) else None
        #: Whether it follows the deployment's configuration.
        self.follows = loaded is not None and _follows(loaded.settings)
        # A copy, because sections that are not given are shared by all Settings.
        self.settings = loaded.settings.model_copy(deep=True) if loaded and self.follows else _plain(given)
        self.path: Path | None = loaded.path if loaded else None
        self.data: bytes | None = loaded.data if loaded else None
        #: Which version of the deployment's configuration this is; empty: what this process began with.
        self.version = ""
        self.restart: tuple[str, ...] = ()
        self._own = loaded.own if loaded else frozenset()
        self._heard: list[tuple[frozenset[str], Callable[[Settings], Any]]] = []
        self._lock = threading.RLock()

    def on_change(self, names: Iterable[str], tell: Callable[[Settings], Any]) -> Callable[[], None]:
        """Call `tell(settings)` after any of the sections `names` has changed; answers what ends that.

        Raises InvalidInput if there is no such section.
        """
        wanted = frozenset(names)
        if unknown := wanted - set(sections()):
            raise InvalidInput(
                f"there is no section {min(unknown)!r}; the sections are {', '.join(sections())}"
            )
        listener = (wanted, tell)
        with self._lock:
            self._heard.append(listener)

        def end() -> None:
            with self._lock:
                if listener in self._heard:
                    self._heard.remove(listener)

        return end

    def forked(self) -> None:
        """In a forked child: the thread that may have held the lock is not here."""
        self._lock = threading.RLock()

    def switch(self, wanted: Settings, version: str, failed: Callable[[Exception], None]) -> Switched:
        """Take over what may change while running, and name the rest. What a listener raises goes to
        `failed`, and keeps nobody else from hearing."""
        with self._lock:
            done = compare(self.settings, wanted, self._own)
            touched = {path.rpartition(".")[0] for path in done.changed}
            for name in touched:
                section = getattr(self.settings, name) if name else self.settings
                values = {
                    setting.name: setting.value(wanted)
                    for path in done.changed
                    if (setting := catalog()[path]).section == name
                }
                object.__setattr__(section, "__dict__", section.__dict__ | values)
            self.version, self.restart = version, done.restart
            listeners = [tell for names, tell in self._heard if names & touched]
            for tell in listeners:
                try:
                    tell(self.settings)
                except Exception as error:  # noqa: BLE001 - one consumer's error is not the others'
                    failed(error)
            return done


def compare(now: Settings, wanted: Settings, own: frozenset[str] = frozenset()) -> Switched:
    """What a switch from `now` to `wanted` would do. Secrets are not looked at: no version holds any."""
    apart = [
        path
        for path, setting in catalog().items()
        if not setting.secret and path not in OWN | own and setting.value(now) != setting.value(wanted)
    ]
    restart = (path for path in apart if path not in LIVE)
    return Switched(tuple(path for path in apart if path in LIVE), tuple(restart))


def _follows(settings: Settings) -> bool:
    return settings.state.enable_hot_reload and settings.enable_persistence


def _plain(given: Settings | Loaded) -> Settings:
    return given.settings if isinstance(given, Loaded) else given
