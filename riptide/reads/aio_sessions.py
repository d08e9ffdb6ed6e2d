"""`rt.sessions`: sessions of tenants' users, asynchronous."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from riptide.state.sessions.session import Session, SessionInfo, SessionPage
from riptide.state.sessions.sessions import Sessions
from riptide.state.spill.figures import SpillFigures
from riptide.store.aio import AsyncStore
from riptide.tenants.accounts.sessions import SessionLevels


class AsyncSessionsFace:
    """Methods mean what those of `SessionsFace` mean."""

    def __init__(self, store: AsyncStore, sessions: Sessions) -> None:
        self._store, self._sessions = store, sessions

    async def create(
        self,
        user_id: str,
        data: Mapping[str, Any] | None = None,
        *,
        tenant: str | None = None,
        ttl: int | None = None,
        client_ip: str | None = None,
        user_agent: str | None = None,
        source: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Session:
        about = {
            "client_ip": client_ip,
            "user_agent": user_agent,
            "source": source,
            "attributes": attributes,
        }
        return await self._store.drive(self._sessions.create(tenant, user_id, data or {}, ttl, about))

    async def get(self, session_id: str, *, tenant: str | None = None) -> Session | None:
        return await self._store.drive(self._sessions.get(tenant, session_id))

    async def update(
        self,
        session_id: str,
        values: Mapping[str, Any] | None = None,
        *,
        remove: Sequence[str] = (),
        tenant: str | None = None,
    ) -> bool:
        if not remove:
            operation = self._sessions.update_at_once(tenant, session_id, values or {})
            if operation is not None and (done := await self._store.run(operation)) is not None:
                return done
        return await self._store.drive(self._sessions.update(tenant, session_id, values or {}, remove))

    async def replace(self, session_id: str, data: Mapping[str, Any], *, tenant: str | None = None) -> bool:
        return await self._store.drive(self._sessions.replace(tenant, session_id, data))

    async def touch(self, session_id: str, *, tenant: str | None = None) -> bool:
        return await self._store.drive(self._sessions.touch(tenant, session_id))

    async def terminate(self, session_id: str, *, tenant: str | None = None) -> bool:
        return await self._store.drive(self._sessions.terminate(tenant, session_id))

    async def page(
        self,
        *,
        tenant: str | None = None,
        user_id: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> SessionPage:
        return await self._store.drive(self._sessions.page(tenant, user_id, after, limit))

    async def list(
        self, *, tenant: str | None = None, user_id: str | None = None
    ) -> AsyncIterator[SessionInfo]:
        cursor: str | None = None
        while True:
            page = await self.page(tenant=tenant, user_id=user_id, after=cursor)
            for one in page.sessions:
                yield one
            if (cursor := page.cursor) is None:
                return

    async def levels(self, *, tenant: str | None = None) -> SessionLevels:
        return await self._store.drive(self._sessions.levels(tenant))

    async def figures(self) -> SpillFigures:
        return await self._store.drive(self._sessions.figures())
