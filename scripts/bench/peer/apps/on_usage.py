"""RipTide's own job: `record_usage`, counted exactly once for 50 tenants, instead of a bare HINCRBY."""

from collections.abc import Sequence

import riptide

TENANTS = 50


def fill(numbers: Sequence[int]) -> None:
    with riptide.connect() as rt:
        for n in range(TENANTS):
            rt.tenants.create(f"tenant-{n}", plan="enterprise")
        for at in range(0, len(numbers), 1000):
            part = numbers[at : at + 1000]
            rt.publish_many(
                riptide.Outgoing(riptide.RecordUsage(operation="job", data_bytes=n), f"tenant-{n % TENANTS}")
                for n in part
            )
