"""Processes that are no workers: they are listed with their version, as workers are by their heartbeat."""

from collections.abc import Callable
from typing import Any

from riptide.config.live import Live
from riptide.state.live.following import Following
from riptide.store.keys import Keys
from riptide.store.operation import Flow, Operation, ask
from riptide.store.script import Script
from riptide.streams.members import Member, introduce, member_of, new_member

_FOLLOW = Script.load("riptide.state.live", "follow.lua")
_LEAVE = Script.load("riptide.state.live", "leave.lua")
_SERVICES = Script.load("riptide.state.live", "services.lua")
_FORGET_MS = 60_000


class Services:
    """Builds the operations on their list."""

    def __init__(self, keys: Keys) -> None:
        self._current = keys.control("config")
        self._keys = [keys.control("services"), keys.control("services:about")]

    def follow(self, name: str, about: str) -> Operation[str]:
        """Be listed; answers the id of the current configuration, empty if there is none."""
        return _FOLLOW.call([self._current, *self._keys], [name, about, _FORGET_MS], bytes.decode)

    def leave(self, name: str) -> Operation[bool]:
        return _LEAVE.call(self._keys, [name], bool)

    def listed(self) -> Operation[list[Member]]:
        """The longest silent first; one that was killed is listed for a minute."""

        def parse(reply: Any) -> list[Member]:
            now_ms, *rows = reply
            return [
                member_of(now_ms, {}, name, beat, b"0", about)
                for name, beat, about in rows
                if now_ms - float(beat) <= _FORGET_MS
            ]

        return _SERVICES.call(self._keys, [], parse)


class Presence:
    """This process among them, and what it hears there."""

    def __init__(
        self, live: Live, services: Services, following: Following, now_ms: Callable[[], int], role: str
    ) -> None:
        self._live, self._services, self._following = live, services, following
        self._now_ms, self._role = now_ms, role
        self.begin()

    def begin(self) -> None:
        """Under a name of its own; a forked child begins anew."""
        self._name = new_member(self._live.settings.distributed.node_id)
        self._started_ms = self._now_ms()

    @property
    def seconds(self) -> float:
        """Between two signs of life."""
        return self._live.settings.distributed.heartbeat_interval_ms / 1000

    def step(self) -> Flow[None]:
        """One sign of life; take over what is new. Raises RiptideError."""
        about = introduce(self._role, {}, self._started_ms, self._name, config=self._following.version)
        version = yield from ask(self._services.follow(self._name, about))
        yield from self._following.hear(version)

    def leave(self) -> Operation[bool]:
        return self._services.leave(self._name)
