"""Creates a tenant: its id is reserved in the index, its record written, the reservation ended.

Whoever dies on the way leaves a reservation. It is stale after a minute: then the next who wants the id takes
it over, and it gives way where there would be too many tenants.
"""

from collections.abc import Callable, Sequence

from riptide.config import TenantSettings
from riptide.errors import RiptideError, ServerUnavailable, TenantExists, TooManyTenants
from riptide.store.operation import Flow, Operation, ask, ask_all
from riptide.tenants.registry.audit import REFUSED, Audit, Deed
from riptide.tenants.registry.index import Index, Reservation
from riptide.tenants.registry.record import Records
from riptide.tenants.registry.tenant import Fields, Tenant, tenant_of


class Creating:
    def __init__(self, index: Index, records: Records, audit: Audit, settings: TenantSettings) -> None:
        self._index, self._records, self._audit, self._settings = index, records, audit, settings

    def create(self, deed: Deed, incarnation: str, fields: Callable[[int], Fields]) -> Flow[Tenant]:
        """`fields` makes the record, given the server's time. Raises TenantExists and TooManyTenants, and
        notes them."""
        try:
            return (yield from self._create(deed, incarnation, fields))
        except (TenantExists, TooManyTenants) as error:
            yield from self._audit.note(deed, REFUSED, {"why": type(error).__name__}, operators=True)
            raise

    def _create(self, deed: Deed, incarnation: str, fields: Callable[[int], Fields]) -> Flow[Tenant]:
        tenant = deed.tenant
        now_ms = yield from self._reserve(deed, incarnation)
        record = fields(now_ms)
        in_time = yield from ask_all(self._records.write_mirrors(tenant, record, now_ms))
        audit = self._audit.arguments(deed, {"plan": record["plan"], "incarnation": incarnation})
        written = "late"
        if all(in_time):
            written = yield from ask(self._records.write(tenant, record, now_ms, audit))
        if written == "late":
            raise ServerUnavailable(
                f"creating {tenant} took too long, and it was given up: nothing was created; try again in a "
                "minute",
                maybe_done=False,
            )
        yield from ask(self._index.confirm(tenant, incarnation, audit))
        if written == "exists":
            raise _exists(tenant)
        return tenant_of(tenant, record)

    def _reserve(self, deed: Deed, incarnation: str) -> Flow[int]:
        """Answers when the id was reserved, in ms of the server."""
        tenant = deed.tenant
        while True:
            asked = self._index.reserve(tenant, incarnation, deed.actor, self._settings.max_tenants)
            answer = yield from ask(asked)
            if answer.what == "reserved":
                return answer.now_ms
            if answer.what == "stale":
                (earlier,) = answer.earlier
                if (yield from self._written(answer.earlier)) == [True]:
                    yield from ask(self._confirm_for(earlier, incarnation))
                    raise _exists(tenant)
                return answer.now_ms
            if answer.what == "full":
                if not (yield from self._make_room(answer.earlier)):
                    raise TooManyTenants(
                        f"there are {answer.tenants:,} tenants, and tenant.max_tenants allows no more: "
                        "raise it, or delete some"
                    )
            elif answer.what == "creating":
                raise TenantExists(
                    f"the tenant {tenant} is just being created by somebody else; if that fails, its id is "
                    "free again in a minute"
                )
            else:
                raise _exists(tenant)

    def _make_room(self, stale: Sequence[Reservation]) -> Flow[bool]:
        """Settle stale reservations; False if no place came of it."""
        written = yield from self._written(stale)
        kept = [one for one, there in zip(stale, written, strict=True) if there]
        gone = [one for one, there in zip(stale, written, strict=True) if not there]
        yield from ask_all([self._confirm_for(one, one.incarnation) for one in kept])
        released = yield from ask_all([self._index.release(one) for one in gone])
        return any(released)

    def _written(self, reservations: Sequence[Reservation]) -> Flow[list[bool]]:
        """Whether a record came of each. Of a stale one none will come any more."""
        asked = [self._records.fields(one.tenant, ("incarnation",)) for one in reservations]
        found = yield from ask_all(asked)
        return [incarnation is not None for (incarnation,) in found]

    def _confirm_for(self, earlier: Reservation, incarnation: str) -> Operation[bool]:
        """Who created it died before saying so."""
        deed = Deed(earlier.tenant, earlier.actor, "create")
        about = {"incarnation": earlier.incarnation}
        return self._index.confirm(earlier.tenant, incarnation, self._audit.arguments(deed, about))


def _exists(tenant: str) -> RiptideError:
    return TenantExists(f"there is a tenant {tenant} already")
