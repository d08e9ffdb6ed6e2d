"""What can be done with sessions, as flows that both faces share."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from riptide.config import Settings
from riptide.errors import InvalidInput, RiptideError
from riptide.names import DEFAULT_TENANT, check_tenant
from riptide.state.blobs import Blobs
from riptide.state.sessions.access import Access
from riptide.state.sessions.bounds import check_cursor, check_removed, check_size, exceeded, was_there
from riptide.state.sessions.operations import Created, Over, Place, Spilled, Stored, page
from riptide.state.sessions.packing import DATA, META, Fields, pack, pack_meta
from riptide.state.sessions.restoring import Restoring
from riptide.state.sessions.session import (
    Session,
    SessionInfo,
    SessionPage,
    check_data,
    check_session_id,
    check_ttl,
    check_user,
    digest_of,
    metadata,
)
from riptide.state.spill.figures import SpillFigures, figures_of
from riptide.store.keys import Keys
from riptide.store.operation import Flow, Operation, ask, ask_all
from riptide.tenants.accounts.everybody import everybody
from riptide.tenants.accounts.sessions import SessionLevels, session_levels
from riptide.tenants.facts import KnownTenants
from riptide.tenants.keyring.ring import Blocking, KeyRing
from riptide.tenants.quotas.limits import Limits

_ID_BYTES = 24
_TRIES = 10
_MOST_LISTED = 500


class Sessions:
    """Builds the flows. Safe to share between threads."""

    def __init__(
        self,
        keys: Keys,
        settings: Settings,
        known: KnownTenants,
        ring: KeyRing,
        open_blobs: Callable[[], Blobs],
        blocking: Blocking,
    ) -> None:
        self._keys, self._known = keys, known
        self._access = Access(keys, known, ring)
        self._restoring = Restoring(self._access, open_blobs, blocking)
        self._settings = settings
        self.renew()

    def renew(self) -> None:
        """The settings that tell how many sessions a tenant may have have changed."""
        self._most = Limits(self._settings).defaults["active_sessions"]

    def create(
        self,
        tenant: str | None,
        user_id: str,
        data: Mapping[str, Any],
        ttl: int | None,
        about: Mapping[str, Any],
    ) -> Flow[Session]:
        meta = metadata(user_id, **about)
        seconds = self._settings.state.session_timeout_seconds if ttl is None else check_ttl(ttl)
        plain = pack_meta(meta) | pack(check_data(data))
        check_size(plain)
        write = partial(self._create, seconds, digest_of(user_id), plain)
        place, made = yield from self._access.keeping_up(tenant, secrets.token_hex(_ID_BYTES), write)
        found = Stored(b"", made.created_ms, made.expires, seconds, 1, None, {})
        return Session(*(*_info(place, found, meta), dict(data)))

    def _create(self, seconds: int, user: str, plain: Fields, place: Place) -> Flow[tuple[Place, Created]]:
        fields = yield from self._access.lock(place, plain)
        made = yield from self._access.settled(place, place.create(self._most, seconds, user, fields))
        if isinstance(made, Over):
            raise exceeded(place.facts.tenant, made)
        return place, made

    def get(self, tenant: str | None, session_id: str) -> Flow[Session | None]:
        facts = yield from self._access.facts(tenant)
        place = self._access.place(facts, check_session_id(session_id))
        found = yield from self._restoring.whole(place)
        if found is None:
            return None
        fields = {META: found.meta, **found.fields}
        try:
            values = yield from self._access.unlock(place, fields)
        except RiptideError:
            # The tenant may be another one by now, with other keys.
            facts = yield from self._known.learn(facts.tenant)
            if place.facts.incarnation == facts.incarnation:
                raise
            place = self._access.place(facts, session_id)
            values = yield from self._access.unlock(place, fields)
        meta = values.pop(META)
        first = len(DATA)
        data = {name[first:]: value for name, value in values.items()}
        return Session(*(*_info(place, found, meta), data))

    def update_at_once(
        self, tenant: str | None, session_id: str, values: Mapping[str, Any]
    ) -> Operation[bool | None] | None:
        """The same as `update` in one call, for nearly every change; None: it takes more.

        Where the call answers None nothing was done, and `update` has to.
        """
        facts = self._known.known(DEFAULT_TENANT if tenant is None else check_tenant(tenant))
        if facts is None or facts.key or facts.status != "active":
            return None
        plain = pack(check_data(values))
        check_size(plain)
        return self._access.place(facts, check_session_id(session_id)).update_at_once(plain)

    def update(
        self, tenant: str | None, session_id: str, values: Mapping[str, Any], remove: Sequence[str]
    ) -> Flow[bool]:
        plain, gone = pack(check_data(values)), check_removed(remove, values)
        check_size(plain)
        write = partial(self._update, plain, gone)
        return (yield from self._access.keeping_up(tenant, check_session_id(session_id), write))

    def _update(self, plain: Fields, gone: Sequence[str], place: Place) -> Flow[bool]:
        fields = (yield from self._access.lock(place, plain)) if place.facts.key else plain
        for _ in range(_TRIES):
            changed = yield from self._access.settled(place, place.update(fields, gone))
            if not isinstance(changed, Spilled):
                return was_there(changed)
            yield from self._restoring.restore(place, changed.blob, keep=True)
        raise RiptideError("the session is spilled whenever it is to be changed: try again")

    def replace(self, tenant: str | None, session_id: str, data: Mapping[str, Any]) -> Flow[bool]:
        plain = pack(check_data(data))
        check_size(plain)
        write = partial(self._replace, plain)
        return (yield from self._access.keeping_up(tenant, check_session_id(session_id), write))

    def _replace(self, plain: Fields, place: Place) -> Flow[bool]:
        fields = yield from self._access.lock(place, plain)
        return was_there((yield from self._access.settled(place, place.replace(fields))))

    def touch(self, tenant: str | None, session_id: str) -> Flow[bool]:
        return (yield from self._access.keeping_up(tenant, check_session_id(session_id), self._touch))

    def _touch(self, place: Place) -> Flow[bool]:
        return (yield from self._access.settled(place, place.touch()))

    def terminate(self, tenant: str | None, session_id: str) -> Flow[bool]:
        end = self._terminate
        return (yield from self._access.keeping_up(tenant, check_session_id(session_id), end, active=False))

    def _terminate(self, place: Place) -> Flow[bool]:
        return (yield from self._access.settled(place, place.terminate()))

    def page(
        self, tenant: str | None, user_id: str | None, after: str | None, limit: int
    ) -> Flow[SessionPage]:
        if type(limit) is not int or not 1 <= limit <= _MOST_LISTED:
            raise InvalidInput(f"limit is a whole number from 1 to {_MOST_LISTED}")
        facts = yield from self._access.facts(tenant)
        user = None if user_id is None else digest_of(check_user(user_id))
        first = "-" if user is None else f"[{user}:"
        last = "+" if user is None else f"({user};"  # the sign that follows ':'
        if after is not None:
            first = f"({check_cursor(after)}"
        rows = yield from ask(page(self._keys, facts.tenant, first, last, limit))
        places = [self._access.place(facts, row.id) for row in rows if row.live]
        found = yield from ask_all([place.summary() for place in places])
        infos = []
        for place, one in zip(places, found, strict=True):
            if one is not None:
                meta = (yield from self._access.unlock(place, {META: one.meta}))[META]
                infos.append(SessionInfo(*_info(place, one, meta)))
        return SessionPage(infos, rows[-1].member if len(rows) == limit else None)

    def figures(self) -> Flow[SpillFigures]:
        """What the sessions of all tenants take, and what became of those that were spilled."""
        facts = yield from everybody(self._keys, self._known.settings)
        return figures_of((yield from session_levels(self._keys, [one.tenant for one in facts])))

    def levels(self, tenant: str | None) -> Flow[SessionLevels]:
        """What the tenant's sessions take now."""
        facts = yield from self._access.facts(tenant)
        return (yield from session_levels(self._keys, [facts.tenant]))[0]


def _info(place: Place, found: Stored, meta: Mapping[str, Any]) -> tuple[Any, ...]:
    """The fields of a SessionInfo, in order."""
    given = meta.get
    return (
        place.id,
        place.facts.tenant,
        meta["user_id"],
        given("client_ip"),
        given("user_agent"),
        given("source"),
        given("attributes", {}),
        found.created_ms,
        found.expires * 1000,
        found.ttl,
        found.blob is not None,
    )
