"""The table of the peers: rows, ratios and whether the reach is met."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from scripts.bench.peer.catalog import RIPTIDE, USAGE, Peer
from scripts.bench.peer.killing import Aftermath

COLUMNS = (
    "",
    "commands/s",
    "RipTide's ratio",
    "of rounds",
    "reach",
    "acknowledges",
    "kill -> next start",
    "not back",
    "doubled",
)
REACH_OF_ARDIQ, REACH = 3.0, 10.0
#: How many times as fast as these peers' bare HINCRBY usage is to be counted exactly once.
REACH_OF_USAGE = {"ardiq": 10.0, "taskiq": 25.0, "FastStream, batches": 1.0}


@dataclass
class Figures:
    """What was measured of one peer: commands a second by round, kills, and why something is missing."""

    rates: dict[int, float] = field(default_factory=dict)
    kills: list[Aftermath] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def reach_of(peer: Peer) -> float | None:
    """How many times as fast RipTide is to be, or None where nothing is asked."""
    if not peer.packages or not peer.single:
        return None
    return REACH_OF_ARDIQ if peer.app == "on_ardiq" else REACH


def row(peer: Peer, figures: Figures, ours: Mapping[int, float], patience: float) -> list[str]:
    """One row; `ours` are RipTide's rates in the same rounds."""
    return [
        peer.name,
        f"{statistics.median(figures.rates.values()):,.0f}" if figures.rates else "-",
        *_ratios(peer, figures.rates, ours),
        peer.acknowledges,
        *_after_kills(figures.kills, patience),
    ]


def _ratios(peer: Peer, rates: Mapping[int, float], ours: Mapping[int, float]) -> tuple[str, str, str]:
    reach = reach_of(peer)
    asked = "" if reach is None else f">= {reach:g}"
    ratios = ratios_of(rates, ours)
    if not ratios or peer.name == RIPTIDE:
        return "", "", asked
    ratio = statistics.median(ratios)
    if reach is not None:
        asked += ": yes" if ratio >= reach else ": no"
    return f"{ratio:.2f}", f"{ratios[0]:.2f} - {ratios[-1]:.2f}", asked


def ratios_of(rates: Mapping[int, float], ours: Mapping[int, float]) -> list[float]:
    """How many times as fast RipTide was, in the rounds in which both were measured; in order."""
    return sorted(ours[turn] / rate for turn, rate in rates.items() if rate and turn in ours)


def _after_kills(kills: Sequence[Aftermath], patience: float) -> tuple[str, str, str]:
    if not kills:
        return "", "", ""
    held = sum(kill.held for kill in kills)
    again = sorted(seconds for kill in kills for seconds in kill.again)
    late = f"> {patience:g} s"
    if not again:
        shown = late
    else:
        shown = f"{again[0]:.1f} s" if len(again) == 1 else f"{again[0]:.1f} - {again[-1]:.1f} s"
        if len(again) < held:
            shown += f", {held - len(again)} of {held} {late}"
    missing, doubled = sum(kill.missing for kill in kills), sum(kill.doubled for kill in kills)
    return shown, str(missing), str(doubled)


def verdict(peers: Sequence[Peer], figures: Mapping[str, Figures]) -> tuple[bool, list[str]]:
    """Whether every reach is met by what was measured, and what falls short, or could not be measured."""
    ours = figures[RIPTIDE].rates
    short, ok = [], True
    for peer in peers:
        short += [f"{peer.name}: {problem}" for problem in figures[peer.name].problems]
        reach, rates = reach_of(peer), figures[peer.name].rates
        if reach is None or not (ratios := ratios_of(rates, ours)):
            continue
        if (ratio := statistics.median(ratios)) < reach:
            ok = False
            short.append(f"{peer.name}: {ratio:.2f} x where >= {reach:g} x is the reach")
    for line, met in _of_usage(figures):
        short.append(line)
        ok &= met
    return ok and bool(ours), short


def _of_usage(figures: Mapping[str, Figures]) -> Iterator[tuple[str, bool]]:
    """How `record_usage` compares, and whether that is enough."""
    for name, reach in REACH_OF_USAGE.items():
        if {name, USAGE} <= figures.keys() and (
            ratios := ratios_of(figures[name].rates, figures[USAGE].rates)
        ):
            ratio = statistics.median(ratios)
            met = ratio >= reach
            yield (
                f"{USAGE}: {ratio:.2f} x {name}, where >= {reach:g} x is the reach: {'yes' if met else 'no'}",
                met,
            )
