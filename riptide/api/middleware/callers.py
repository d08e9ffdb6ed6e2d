"""Callers that show a key of RipTide: who they are, and whether they may act for a tenant.

Who is new is asked for alone: nothing may be taken of a tenant's quota on behalf of somebody who made a key
up. After that the check of the key goes along with that of the quota, in one round trip.
"""

from functools import partial
from typing import TYPE_CHECKING, Any

from riptide.api.middleware.answers import FORBIDDEN, UNAVAILABLE, Refused
from riptide.clock import Clock
from riptide.errors import ServerUnavailable
from riptide.store.operation import Call, Flow, Operation
from riptide.tenants.quotas.purse import LIFE_SECONDS

if TYPE_CHECKING:
    from riptide.api.access.access import Access, SyncAccess
    from riptide.api.access.caller import Caller
    from riptide.api.access.guard import Shown

_MOST_KNOWN = 10_000
#: Whoever may publish commands for a tenant may make requests for it: its own keys, operators', admins'.
_PERMISSION = "commands:publish"


class _Known:
    """Somebody who has been identified. `operation` asks again; None for a token, which needs no server."""

    __slots__ = ("at", "caller", "operation", "shown")

    def __init__(self, caller: "Caller", at: float, shown: "Shown", operation: Operation[Any] | None) -> None:
        self.caller, self.at, self.shown, self.operation = caller, at, shown, operation


class Proof:
    """A check of a key that is sent along with something else."""

    __slots__ = ("_callers", "_client", "_known", "_tenant", "_text", "_verdict", "operation")

    def __init__(self, callers: "Callers", text: str, client: str | None, tenant: str, known: _Known) -> None:
        assert known.operation is not None
        self._callers, self._text, self._client, self._tenant = callers, text, client, tenant
        self._known, self._verdict = known, None
        self.operation = Operation(known.operation.args, self._note, known.operation.script)

    def _note(self, reply: Any) -> None:
        assert self._known.operation is not None
        self._verdict = self._known.operation.parse(reply)

    def conclude(self) -> None:
        """Once it was sent. Raises Refused, and Problem 401."""
        self._callers.conclude(self._text, self._client, self._tenant, self._known, self._verdict)


class Callers:
    """Those of one client. Threads may share it."""

    def __init__(self, access: "Access | SyncAccess", clock: Clock) -> None:
        self._access, self._clock = access, clock
        self._known: dict[str, _Known] = {}

    def begin(
        self, authorization: str | None, client: str | None, tenant: str, *, leased: bool
    ) -> Flow[Proof | None]:
        """Let in who may act for `tenant`, if what was sent along with what follows proves it; None: it is
        known well enough. Raises Refused, and Problem 401 or 429."""
        known = None if authorization is None else self._known.get(authorization)
        fresh = known is not None and leased and self._clock.monotonic() - known.at < LIFE_SECONDS
        if known is None or not (fresh or known.operation):
            known, fresh = (yield from self._identify(authorization, client)), True
        _require(known.caller, tenant)
        if fresh or authorization is None:
            return None
        return Proof(self, authorization, client, tenant, known)

    def _identify(self, authorization: str | None, client: str | None) -> Flow[_Known]:
        try:
            caller = yield Call(partial(self._access.identify, authorization, client))
        except ServerUnavailable:
            caller = self._access.remembered(authorization)
            if caller is None:
                raise Refused(UNAVAILABLE) from None
        assert authorization is not None  # or nobody would have been identified
        shown = self._access.begin(authorization, client)
        operation = self._access.verify_operation(shown)
        if len(self._known) >= _MOST_KNOWN:
            self._known = {}
        known = self._known[authorization] = _Known(caller, self._clock.monotonic(), shown, operation)
        return known

    def end(self) -> Flow[None]:
        yield Call(partial(self._access.report, all_of_them=True))

    def conclude(
        self, authorization: str, client: str | None, tenant: str, known: _Known, verdict: Any
    ) -> None:
        """What the server said of somebody known; None: it said nothing."""
        access = self._access
        if verdict is None:
            if access.remembered(authorization) is None:
                raise Refused(UNAVAILABLE)
        elif isinstance(verdict, type(known.caller)):
            known.caller = access.conclude(known.shown, verdict)
            _require(known.caller, tenant)
        else:
            self._known.pop(authorization, None)
            access.conclude(access.begin(authorization, client), verdict)  # raises Problem
        known.at = self._clock.monotonic()


def _require(caller: "Caller", tenant: str) -> None:
    if not caller.may(_PERMISSION, tenant):
        raise Refused(FORBIDDEN)
