"""How sums of usage are put right. Pure.

What a tenant used is what the checkpoint says and what came after it. What the server says of it now may be
less, because it lost something, and goes on growing meanwhile: so the difference is added, and nothing is
overwritten. It may also be more, where some of what came after the checkpoint is kept nowhere: then it stays.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from riptide.state.checkpoints.sums import Fields, Home, period_named
from riptide.tenants.usage.counting import OTHERS

#: Period -> operation and metric -> amount.
Amounts = dict[str, Counter[str]]


@dataclass(slots=True)
class Correction:
    """What is to be added to the sums of a home, by period; and seals: month -> (as it was read, as it is to
    be)."""

    sums: dict[str, dict[str, int]] = field(default_factory=dict)
    seals: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def is_needed(self) -> bool:
        return bool(self.sums) or any(seen != wanted for seen, wanted in self.seals.values())


def correction(stored: Home, later: Mapping[str, Mapping[str, int]], live: Home, now: float) -> Correction:
    """From the sums of a checkpoint and those that came later to what the server says, at a time (Unix s).

    What is sealed stays as it is, if it is there: invoices tell of it. The rest belongs to the generation
    that is open.
    """
    found = Correction()
    for period in sorted({*stored.sums, *later}):
        if kept_until(period) <= now:
            continue
        generation = _note_seal(found, stored, live, period[:7])
        then, present = stored.sums.get(period, {}), live.sums.get(period, {})
        wanted = _wanted(then, later.get(period, {}), present, generation)
        differences = {name: value - present.get(name, 0) for name, value in wanted.items()}
        if differences := {name: value for name, value in differences.items() if value}:
            found.sums[period] = differences
    for month in stored.seals:
        if kept_until(month) > now:
            _note_seal(found, stored, live, month)
    return found


def _note_seal(found: Correction, stored: Home, live: Home, month: str) -> int:
    """Answers the generation that is open."""
    seen = live.seals.get(month, 0)
    generation = max(seen, stored.seals.get(month, 0))
    found.seals[month] = seen, generation
    return generation


def _wanted(then: Fields, later: Mapping[str, int], live: Fields, generation: int) -> dict[str, int]:
    present = _totals(live)
    totals = _totals(then) + _as_counted(later, present)
    totals = Counter({what: value for what, value in totals.items() if value > present[what]})
    wanted: dict[str, int] = {}
    for name in {*then, *live}:
        number, _, what = name.partition("|")
        if int(number) < generation and what in totals:
            wanted[name] = live.get(name, then.get(name, 0))
            totals[what] -= wanted[name]
    return wanted | {f"{generation}|{what}": max(0, value) for what, value in totals.items()}


def _totals(sums: Fields) -> Counter[str]:
    """Of all generations together."""
    found: Counter[str] = Counter()
    for name, value in sums.items():
        found[name.partition("|")[2]] += value
    return found


def _as_counted(later: Mapping[str, int], present: Counter[str]) -> Counter[str]:
    """Where a tenant has too many operations, workers have counted those that were new as others."""
    found: Counter[str] = Counter()
    for what, value in later.items():
        others = f"{OTHERS}|{what.rpartition('|')[2]}"
        found[others if what not in present and others in present else what] += value
    return found


def kept_until(period: str) -> int:
    """Unix seconds."""
    return period_named(period).expires
