"""Checkpoints under test: settings, servers that forget, and what must be there again afterwards."""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from riptide.config import Settings
from riptide.store.keys import partition_of
from tests.support.deployment import Deployment
from tests.support.purged import HOUR, Dump, dump
from tests.support.usage import KIND, Sums, counted

#: The first words of keys that a checkpoint brings back as they were.
_BROUGHT_BACK = ("registry", "invoice", "usage", "dead", "audit")


def checkpoint_settings(deployment: Deployment, directory: Path, **sections: Any) -> Settings:
    """With many tenants, and an archive that is never late."""
    streams = {"archive_types": (KIND,), "archive_seconds": 0.02} | sections.pop("streams", {})
    given = {"tenant": {"enabled": True}, "blobs": {"url": str(directory / "blobs")}} | sections
    return deployment.settings(streams=streams, **given)


def forget(deployment: Deployment) -> None:
    """The server loses all that it has of a deployment."""
    for name in list(deployment.client.scan_iter(f"{deployment.prefix}:*", count=5000)):
        deployment.client.delete(name)


def tells_of_restore(place: bytes, value: Any) -> bool:
    """Whether it is a line of the audit trail about a restore: each leaves its own."""
    return b":audit:" in place and value[b"operation"] == b"restore"


def brought_back(deployment: Deployment) -> Dump:
    """Of all that is there what a checkpoint holds as it is."""
    starts = tuple(f"{deployment.prefix}:{word}:".encode() for word in _BROUGHT_BACK)
    return {
        place: value
        for place, value in dump(deployment).items()
        if place.startswith(starts)
        and f":{HOUR}|".encode() not in place  # that is over for more than 35 days
        and not tells_of_restore(place, value)
    }


class Ledger:
    """Sends usage by a bare XADD, and keeps books of it by itself."""

    def __init__(self, deployment: Deployment, tenants: Iterable[str], rng: random.Random) -> None:
        self._deployment, self._tenants, self._rng = deployment, list(tenants), rng
        self.operations = dict.fromkeys(self._tenants, 0)
        self.bytes = dict.fromkeys(self._tenants, 0)

    def add(self, count: int) -> None:
        for _ in range(count):
            tenant = self._rng.choice(self._tenants)
            n, size = self._rng.randint(1, 1000), self._rng.randint(0, 10**9)
            body = {"operation": self._rng.choice("ab"), "operation_count": n, "data_bytes": size}
            self._deployment.add(KIND, {"tenant": tenant, "body": json.dumps(body)}, partition_of(tenant))
            self.operations[tenant] += n
            self.bytes[tenant] += size

    def check(self) -> None:
        """The months' sums and the hours' sums are what was sent."""
        sums = self.sums()
        for tenant in self._tenants:
            for metric, books in (("operations", self.operations), ("data_bytes", self.bytes)):
                found = {hourly: _total(sums, tenant, metric, hourly=hourly) for hourly in (True, False)}
                assert found == {True: books[tenant], False: books[tenant]}, (tenant, metric)

    def sums(self) -> Sums:
        return counted(self._deployment.client, self._deployment.keys, self._tenants)


def _total(sums: Sums, tenant: str, metric: str, *, hourly: bool) -> int:
    return sum(
        amount
        for (whose, period, _, _, what), amount in sums.items()
        if (whose, what, "T" in period) == (tenant, metric, hourly)
    )
