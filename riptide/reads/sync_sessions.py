"""`rt.sessions`: sessions of tenants' users, synchronous."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from riptide.state.sessions.session import Session, SessionInfo, SessionPage
from riptide.state.sessions.sessions import Sessions
from riptide.state.spill.figures import SpillFigures
from riptide.store.sync import Store
from riptide.tenants.accounts.sessions import SessionLevels


class SessionsFace:
    """Without a `tenant` it is the tenant 'default'.

    All raise InvalidInput, UnknownTenant, MultiTenancyDisabled, ServerUnavailable; what writes raises
    TenantNotActive; with encrypted tenants KeyUnavailable. Where a session's data was spilled, reading and
    changing it raise BlobError if it cannot be had now, and Damaged if it is not what was written.
    """

    def __init__(self, store: Store, sessions: Sessions) -> None:
        self._store, self._sessions = store, sessions

    def create(
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
        """Begin a session, under an id that nobody can guess. `data` are values that JSON can hold, by name.

        It lives for `ttl` seconds (default: state.session_timeout_seconds) after it was created, changed or
        touched last. Raises QuotaExceeded if the tenant has as many sessions as its `active_sessions` allow.
        """
        about = {
            "client_ip": client_ip,
            "user_agent": user_agent,
            "source": source,
            "attributes": attributes,
        }
        return self._store.drive(self._sessions.create(tenant, user_id, data or {}, ttl, about))

    def get(self, session_id: str, *, tenant: str | None = None) -> Session | None:
        """The session; None if there is none, or none any more. Reading does not prolong it."""
        return self._store.drive(self._sessions.get(tenant, session_id))

    def update(
        self,
        session_id: str,
        values: Mapping[str, Any] | None = None,
        *,
        remove: Sequence[str] = (),
        tenant: str | None = None,
    ) -> bool:
        """Set single fields, and remove others; those that are not named stay, whoever changes them
        meanwhile.

        False if there is no such session.
        """
        if not remove:
            operation = self._sessions.update_at_once(tenant, session_id, values or {})
            if operation is not None and (done := self._store.run(operation)) is not None:
                return done
        return self._store.drive(self._sessions.update(tenant, session_id, values or {}, remove))

    def replace(self, session_id: str, data: Mapping[str, Any], *, tenant: str | None = None) -> bool:
        """Put other data in place of all there was; False if there is no such session."""
        return self._store.drive(self._sessions.replace(tenant, session_id, data))

    def touch(self, session_id: str, *, tenant: str | None = None) -> bool:
        """Let it live for its whole time again; False if there is no such session."""
        return self._store.drive(self._sessions.touch(tenant, session_id))

    def terminate(self, session_id: str, *, tenant: str | None = None) -> bool:
        """End it; False if there is no such session. Also of a tenant that is not active."""
        return self._store.drive(self._sessions.terminate(tenant, session_id))

    def page(
        self,
        *,
        tenant: str | None = None,
        user_id: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> SessionPage:
        """Some of a tenant's sessions, or of one user's, without their data: up to 500; `after` is the
        `cursor` of the page before. Those of one user come together."""
        return self._store.drive(self._sessions.page(tenant, user_id, after, limit))

    def list(self, *, tenant: str | None = None, user_id: str | None = None) -> Iterator[SessionInfo]:
        """All of them, page by page. One that begins or ends meanwhile may be missing."""
        cursor: str | None = None
        while True:
            page = self.page(tenant=tenant, user_id=user_id, after=cursor)
            yield from page.sessions
            if (cursor := page.cursor) is None:
                return

    def levels(self, *, tenant: str | None = None) -> SessionLevels:
        """How many there are, and what they take."""
        return self._store.drive(self._sessions.levels(tenant))

    def figures(self) -> SpillFigures:
        """What those of all tenants take, and what was spilled and restored."""
        return self._store.drive(self._sessions.figures())
