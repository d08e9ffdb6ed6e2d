"""The two faces of access: for an event loop, and for threads."""

import asyncio
import sys
from collections.abc import Iterable
from typing import TextIO

from riptide.api.access.caller import Caller
from riptide.api.access.guard import Guard, Shown
from riptide.api.access.key import ApiKey, NewSecret
from riptide.api.access.keys import FirstKey, KeyPage
from riptide.api.access.verify import Verdict
from riptide.clock import Clock, SystemClock
from riptide.config import ApiSettings
from riptide.reads.aio_client import AsyncRipTide
from riptide.reads.sync_client import RipTide
from riptide.store.operation import Operation

DEFAULT_OVERLAP_SECONDS = 86_400


class _Both:
    """What needs no server."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def begin(self, authorization: str | None, client: str | None) -> Shown:
        """First step for who sends more than `verify_operation` in one round trip: what is shown. Raises
        Problem."""
        return self._guard.begin(authorization, client)

    def verify_operation(self, shown: Shown) -> Operation[Verdict] | None:
        """Asks the server who holds the API key that is shown; its value goes to `conclude`. None if it is no
        key."""
        return None if shown.key is None else self._guard.keys.verify(shown.key)

    def conclude(self, shown: Shown, verdict: Verdict) -> Caller:
        """Last step: who it is. Raises Problem 401, and counts that."""
        return self._guard.conclude(shown, verdict)

    def remembered(self, authorization: str | None) -> Caller | None:
        """Who was let in by this within `api.remember_seconds`; for the time that the server cannot be
        reached."""
        return self._guard.remembered(authorization)


class Access(_Both):
    """API keys, and who calls. Belongs to one event loop. Methods mean what those of `SyncAccess` mean."""

    def __init__(self, rt: AsyncRipTide, clock: Clock | None = None) -> None:
        super().__init__(Guard(rt.settings, clock or SystemClock(), asyncio.to_thread))
        self._store, self._settings = rt.store, rt.settings

    async def identify(self, authorization: str | None, client: str | None) -> Caller:
        return await self._store.drive(self._guard.identify(authorization, client))

    async def report(self, *, all_of_them: bool = False) -> None:
        await self._store.drive(self._guard.report(all_of_them=all_of_them))

    async def create(
        self,
        name: str,
        *,
        role: str,
        tenant: str | None = None,
        scopes: Iterable[str] | None = None,
        expires_seconds: int | None = None,
        actor: str | None = None,
    ) -> NewSecret:
        return await self._store.drive(
            self._guard.keys.make(
                name, role=role, tenant=tenant, scopes=scopes, expires_seconds=expires_seconds, actor=actor
            )
        )

    async def show(self, key: str) -> ApiKey:
        return await self._store.drive(self._guard.keys.show(key))

    async def list(self, tenant: str | None = None, *, after: str | None = None, limit: int = 100) -> KeyPage:
        return await self._store.drive(self._guard.keys.page(tenant, after, limit))

    async def rotate(
        self, key: str, *, overlap_seconds: int = DEFAULT_OVERLAP_SECONDS, actor: str | None = None
    ) -> NewSecret:
        return await self._store.drive(self._guard.keys.rotate(key, overlap_seconds, actor))

    async def revoke(self, key: str, *, actor: str | None = None) -> None:
        await self._store.drive(self._guard.keys.revoke(key, actor))

    async def first(self, *, actor: str | None = None) -> FirstKey:
        return await self._store.drive(self._guard.keys.first(_given(self._settings.api), actor))

    async def announce_first(self, to: TextIO | None = None) -> FirstKey:
        found = await self.first(actor="api")
        announce(found, to or sys.stderr)
        return found


class SyncAccess(_Both):
    """API keys, and who calls. Threads may share it."""

    def __init__(self, rt: RipTide, clock: Clock | None = None) -> None:
        super().__init__(Guard(rt.settings, clock or SystemClock(), lambda function: function()))
        self._store, self._settings = rt.store, rt.settings

    def identify(self, authorization: str | None, client: str | None) -> Caller:
        """Who shows `authorization` (`Bearer …`), from the address `client`.

        Raises Problem 401, or 429 after too many failed tries; ServerUnavailable.
        """
        return self._store.drive(self._guard.identify(authorization, client))

    def report(self, *, all_of_them: bool = False) -> None:
        """Tell the audit trail of failed tries; with `all_of_them`, also of those in the present window,
        which is for the end of a process. `identify` does it by itself when a window is over."""
        self._store.drive(self._guard.report(all_of_them=all_of_them))

    def create(
        self,
        name: str,
        *,
        role: str,
        tenant: str | None = None,
        scopes: Iterable[str] | None = None,
        expires_seconds: int | None = None,
        actor: str | None = None,
    ) -> NewSecret:
        """Make a key; its text is in the answer, and nowhere else.

        `tenant` goes with role tenant alone. Raises InvalidInput, UnknownTenant, MultiTenancyDisabled.
        """
        return self._store.drive(
            self._guard.keys.make(
                name, role=role, tenant=tenant, scopes=scopes, expires_seconds=expires_seconds, actor=actor
            )
        )

    def show(self, key: str) -> ApiKey:
        """Raises UnknownKey, InvalidInput."""
        return self._store.drive(self._guard.keys.show(key))

    def list(self, tenant: str | None = None, *, after: str | None = None, limit: int = 100) -> KeyPage:
        """The keys of a tenant, or (None) those of operators: viewer, operator, admin."""
        return self._store.drive(self._guard.keys.page(tenant, after, limit))

    def rotate(
        self, key: str, *, overlap_seconds: int = DEFAULT_OVERLAP_SECONDS, actor: str | None = None
    ) -> NewSecret:
        """Give a key another secret; the present one is valid for `overlap_seconds` more, those before it at
        once no longer. A lifetime begins anew. Raises UnknownKey, KeyOver, InvalidInput."""
        return self._store.drive(self._guard.keys.rotate(key, overlap_seconds, actor))

    def revoke(self, key: str, *, actor: str | None = None) -> None:
        """Refuse a key from the next call on, for good. Raises UnknownKey, InvalidInput."""
        self._store.drive(self._guard.keys.revoke(key, actor))

    def first(self, *, actor: str | None = None) -> FirstKey:
        """Make the first admin key, unless there ever was one: that of `api.admin_key`, or a new one. Of many
        who ask at once, one makes it. Raises ConfigError."""
        return self._store.drive(self._guard.keys.first(_given(self._settings.api), actor))

    def announce_first(self, to: TextIO | None = None) -> FirstKey:
        """The same, for the start of the API: a secret that was made is written to `to` (standard error),
        once."""
        found = self.first(actor="api")
        announce(found, to or sys.stderr)
        return found


def announce(found: FirstKey, to: TextIO) -> None:
    """Show the secret of a first key that was just made; no log ever has it."""
    if found.made is not None:
        print(
            f"The first admin key of this deployment, shown this once:\n\n  {found.made.text}\n\n"
            "Keep it, and make others with it or by 'riptide access create'.",
            file=to,
            flush=True,
        )


def _given(settings: ApiSettings) -> str | None:
    return None if settings.admin_key is None else settings.admin_key.get_secret_value()
