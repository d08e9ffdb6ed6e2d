"""Recording and showing usage, for both faces."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from commands import RecordUsage
from riptide.clock import Clock
from riptide.config import ApiSettings
from riptide.errors import InvalidInput
from riptide.store.keys import Keys
from riptide.store.operation import Flow
from riptide.streams.message import Ref
from riptide.streams.publishing import Outgoing, Publisher
from riptide.tenants.facts import KnownTenants
from riptide.tenants.usage.buffer import UsageBuffer
from riptide.tenants.usage.periods import Period, month, month_of
from riptide.tenants.usage.reading import Counted, Usage, read_hours, read_month, usage_of
from riptide.tenants.usage.storage import byte_seconds

#: When it was done: Unix milliseconds, or a datetime with a time zone.
Moment = int | datetime


class UsageFlows:
    def __init__(
        self, keys: Keys, known: KnownTenants, publisher: Publisher, clock: Clock, settings: ApiSettings
    ) -> None:
        self._keys, self._known, self._publisher, self._clock = keys, known, publisher, clock
        self.buffer = UsageBuffer(settings, publisher, clock)

    def show(self, tenant: str, month_name: str | None) -> Flow[Usage]:
        chosen = self._month(month_name)
        stored = yield from byte_seconds(self._keys, self._known, tenant, chosen.name)
        sums = yield from read_month(self._keys, tenant, chosen.name)
        return usage_of(tenant, chosen.name, sums, stored)

    def hours(self, tenant: str, month_name: str | None) -> Flow[dict[str, Counted]]:
        chosen = self._month(month_name)
        yield from self._known.learn(tenant)
        return (yield from read_hours(self._keys, tenant, chosen))

    def record(self, tenant: str, fields: Mapping[str, Any], key: str | None) -> Flow[Ref]:
        try:
            command = RecordUsage(**fields)
        except ValidationError as error:
            raise InvalidInput(_described(error)) from None
        return self._publisher.publish(Outgoing(command, tenant), key)

    def _month(self, name: str | None) -> Period:
        """This month by the clock of this machine, if none is named."""
        return month_of(self._clock.now_ms()) if name is None else month(name)


def _described(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, detail['loc'])) or 'usage'}: {detail['msg']}" for detail in details)
