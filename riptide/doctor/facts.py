"""What checks look at: asked for once, when the first check wants it."""

import time
from collections import defaultdict
from contextlib import ExitStack
from functools import cached_property

from riptide.config import Loaded, Settings
from riptide.doctor.streams import StreamFacts, streams
from riptide.reads.assembly import Parts, assemble
from riptide.state.live.services import Services
from riptide.store.keys import Keys
from riptide.store.nodes import Nodes
from riptide.store.scan import Scan
from riptide.store.sync import Store, open_store
from riptide.streams.members import Census, Member, Members
from riptide.streams.overview import StreamState, overview
from riptide.streams.registry import load_models

_PATIENCE_MS = 3000
#: A worker that has been silent for so many leases would have been taken over by any other.
_LEASES = 4


class Facts:
    """Of one deployment, as it is now. Nothing is written. What asks the server raises ServerUnavailable or
    ServerRefused; to be closed."""

    def __init__(self, loaded: Loaded, deadline: float) -> None:
        """`deadline` is when, by the monotonic clock, all must be done."""
        self.loaded, self.deadline = loaded, deadline
        self.settings = _quick(loaded.settings)
        self.keys = Keys(self.settings.cache.key_prefix)
        self._opened = ExitStack()

    @property
    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()

    @cached_property
    def store(self) -> Store:
        store = open_store(self.settings)
        self._opened.callback(store.close)
        return store

    @cached_property
    def nodes(self) -> Nodes:
        return self._opened.enter_context(Nodes(self.settings, whole=False))

    def scan(self) -> Scan:
        """To be closed by whoever asks."""
        return Scan(self.settings)

    @cached_property
    def infos(self) -> dict[str, dict[str, str]]:
        """What each node says of itself."""
        return {name: parse_info(self.nodes.ask(name, "INFO")) for name in self.nodes.names}

    @cached_property
    def parts(self) -> Parts:
        """Raises ConfigError."""
        return assemble(None, self.settings)

    @cached_property
    def kinds(self) -> list[str]:
        """All types of command that are known here. Raises ConfigError."""
        return sorted(load_models(self.settings.workers.modules))

    @cached_property
    def census(self) -> Census:
        return self.store.run(Members(self.keys).census())

    @cached_property
    def workers(self) -> list[Member]:
        """Those that count as living."""
        lease = self.settings.workers.lease_seconds
        return [one for one in self.census.members if one.silent_seconds <= lease]

    @cached_property
    def services(self) -> list[Member]:
        """Other processes that follow the configuration."""
        return self.store.run(Services(self.keys).listed())

    @cached_property
    def states(self) -> list[StreamState]:
        return self.store.drive(overview(self.keys, self.kinds, self.settings.streams))

    @cached_property
    def streams(self) -> list[StreamFacts]:
        held_ms = round(self.settings.workers.lease_seconds * 1000) * _LEASES
        return self.store.drive(streams(self.keys, self.kinds, held_ms))

    @cached_property
    def streams_by_kind(self) -> dict[str, list[StreamFacts]]:
        found = defaultdict(list)
        for one in self.streams:
            found[one.kind].append(one)
        return found

    def named(self, node: str) -> str:
        """A node as findings speak of it."""
        return node or "the server"

    def close(self) -> None:
        self._opened.close()


def parse_info(text: bytes) -> dict[str, str]:
    """INFO's lines by name."""
    pairs = (line.partition(":") for line in text.decode("utf-8", "replace").splitlines() if ":" in line)
    return {name: value for name, _, value in pairs}


def number(info: dict[str, str], name: str) -> int:
    """0 where it is not said."""
    value = info.get(name, "0")
    return int(value) if value.isdigit() else 0


def _quick(settings: Settings) -> Settings:
    """Under which no look takes long."""
    redis = settings.redis.model_copy(
        update={
            "command_timeout_ms": min(settings.redis.command_timeout_ms, _PATIENCE_MS),
            "connection_timeout_ms": min(settings.redis.connection_timeout_ms, _PATIENCE_MS),
            "retry_attempts": 0,
        }
    )
    return settings.model_copy(update={"redis": redis})
