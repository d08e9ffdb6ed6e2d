"""What several reports tell of the keys of one tenant, merged for the script that adds it up."""

import math
from collections import defaultdict
from dataclasses import dataclass, field

from commands import RecordAccess
from riptide.store.operation import Arg

#: After which a read counts half.
HALF_LIFE_SECONDS = 86_400


@dataclass(slots=True)
class Asked:
    """Reports with the second at which the server took them, those without keys left out."""

    reports: list[tuple[int, RecordAccess]] = field(default_factory=list)

    def add(self, second: int, report: RecordAccess) -> None:
        if report.keys or report.load_us:
            self.reports.append((second, report))

    def arguments(self) -> list[Arg]:
        """Reads as they count at the newest report, that second, and load times: as count_access.lua wants
        them."""
        newest = max((second for second, _ in self.reports), default=0)
        reads: defaultdict[str, float] = defaultdict(float)
        loads: dict[str, int] = {}
        for second, report in self.reports:
            weight = 2.0 ** ((second - newest) / HALF_LIFE_SECONDS)
            for key, count in report.keys.items():
                reads[member(report.namespace, key)] += count * weight
            loads |= {member(report.namespace, key): took for key, took in report.load_us.items()}
        told: list[Arg] = []
        for name, number in reads.items():
            if number:
                told += (name, math.log2(number))
        return [len(told) // 2, *told, newest, len(loads), *(part for pair in loads.items() for part in pair)]


def member(namespace: str, key: str) -> str:
    """How a key stands on the server. No namespace has a colon."""
    return f"{namespace}:{key}"
