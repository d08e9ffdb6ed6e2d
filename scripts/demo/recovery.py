"""Sessions of the readers, and what a checkpoint of all of it is worth once a server is lost."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from riptide import Outgoing, RecordUsage, RipTide
from scripts.demo.facts import Facts, Step
from scripts.demo.orders import Orders
from scripts.demo.origin import TENANTS

_USERS_PER_TENANT = 4
_FIELDS = ("seen", "cart", "language", "last_page")
_TTL_SECONDS = 600


class _State(NamedTuple):
    """What has to come back: by tenant its record, its use by operation, and its sessions."""

    records: dict[str, Any]
    usage: dict[str, Any]
    sessions: dict[str, Mapping[str, Any] | None]


class Recovery:
    """`empty` starts another server with nothing in it, and connects to it."""

    def __init__(
        self, rt: RipTide, facts: Facts, orders: Orders, empty: Callable[[], AbstractContextManager[RipTide]]
    ) -> None:
        self._rt, self._facts, self._orders, self._empty = rt, facts, orders, empty
        self._sessions: list[tuple[str, str]] = []

    def begin(self, step: Step) -> None:
        """Sessions, whose fields are changed all at the same time, and their use."""
        for tenant in TENANTS:
            for user in range(_USERS_PER_TENANT):
                begun = self._rt.sessions.create(f"user-{user}", tenant=tenant, ttl=_TTL_SECONDS)
                self._sessions.append((tenant, begun.id))
        changes = [(*session, field) for session in self._sessions for field in _FIELDS]
        with ThreadPoolExecutor(len(_FIELDS)) as pool:
            list(pool.map(lambda change: self._change(*change), changes))
        for tenant, session_id in self._sessions:
            for field in set(_FIELDS) - set(_data(self._rt, tenant, session_id) or ()):
                self._facts.problem("lost", f"{field} of a session of {tenant}")
        self._orders.carry_out([Outgoing(RecordUsage(operation="login"), t) for t, _ in self._sessions], step)
        step.text = f"{len(self._sessions)} sessions, {len(changes)} fields changed at the same time"

    def restore(self, step: Step) -> None:
        """Write a checkpoint, and bring it back where there is nothing; it must be what it was."""
        before = self._state(self._rt)
        checkpoint = self._rt.checkpoints.create(note="scripts/run")
        with self._empty() as other:
            report = other.checkpoints.restore(checkpoint.id)
            after = self._state(other)
        for what in _differences(before, after):
            self._facts.problem("lost", f"{what} is not what it was, in a server restored from a checkpoint")
        for tenant, session_id in self._sessions:
            self._rt.sessions.terminate(session_id, tenant=tenant)
        sums = sum(len(counted) for counted in before.usage.values())
        step.text = (
            f"{len(TENANTS)} tenants, {len(before.sessions)} sessions and {sums} sums of usage "
            f"in an empty server again, in {report.seconds * 1000:.0f} ms"
        )

    def _change(self, tenant: str, session_id: str, field: str) -> None:
        self._rt.sessions.update(session_id, {field: f"{field} of {tenant}"}, tenant=tenant)

    def _state(self, rt: RipTide) -> _State:
        return _State(
            {tenant: rt.tenants.show(tenant) for tenant in TENANTS},
            {tenant: rt.usage.show(tenant).by_operation for tenant in TENANTS},
            {session_id: _data(rt, tenant, session_id) for tenant, session_id in self._sessions},
        )


def _data(rt: RipTide, tenant: str, session_id: str) -> Mapping[str, Any] | None:
    session = rt.sessions.get(session_id, tenant=tenant)
    return None if session is None else session.data


def _differences(before: _State, after: _State) -> Iterator[str]:
    for name, was in before._asdict().items():
        for key, value in was.items():
            if getattr(after, name)[key] != value:
                yield f"{name} of {key}" if key in TENANTS else "a session"
