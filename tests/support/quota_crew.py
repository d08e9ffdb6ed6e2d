"""Processes that use up one quota, each with a ledger of what it was allowed; and a checker of ledgers."""

import os
import random
import struct
import time
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from riptide.reads.assembly import assemble
from riptide.reads.sync_quotas import QuotasFace
from riptide.store.sync import open_store
from riptide.tenants.quotas.purse import LIFE_SECONDS
from riptide.tenants.quotas.quotas import Quotas
from tests.support.crew import Place

RATE = "operations_per_minute"
_ROW = struct.Struct("<ddi")
_JUST_BEFORE = 0.05


class Use(NamedTuple):
    """`amount` was allowed at some moment from `before` to `after` (Unix s, the server's machine)."""

    before: float
    after: float
    amount: int


def cycle_of(window_seconds: int) -> int:
    """Seconds after which all that was taken at once is free again."""
    return window_seconds + 3


def use_up(place: Place, window_seconds: int, tenant: str) -> None:
    """The life of a process that wants more than there is, until it is killed.

    All of them come at once. In every other cycle they keep what they were leased for as long as they may,
    so that it is used as close as possible to what they are given in the next one.
    """
    user = User(place, window_seconds, tenant)
    cycle = cycle_of(window_seconds)
    while True:
        time.sleep(cycle - time.time() % cycle)
        if time.time() // cycle % 2:
            while user.take():
                pass
        else:
            user.take(7), user.take(7)
            time.sleep(max(LIFE_SECONDS - _JUST_BEFORE, 0))
            while user.holds():
                user.take(1)


class User:
    """Takes, mostly by a lease, and writes down what it was allowed."""

    def __init__(self, place: Place, window_seconds: int, tenant: str) -> None:
        settings, self._tenant, self._rng = place.settings(), tenant, random.Random()
        parts, store = assemble(None, settings), open_store(settings)
        quotas = Quotas(parts.keys, settings, parts.known, parts.registry, window_seconds)
        self._face = QuotasFace(store, quotas)
        self._lease = self._face.lease(tenant)
        file = place.directory / f"{os.getpid()}.uses"
        self._ledger = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def take(self, amount: int = 0) -> bool:
        """Without an amount, any, and now and then without the lease."""
        direct = not amount and self._rng.random() < 0.05
        amount = amount or self._rng.choice((1, 1, 1, 2, 7))
        before = time.time()
        decision = self._face.check(self._tenant, {RATE: amount}) if direct else self._lease.take(amount)
        if decision:
            os.write(self._ledger, _ROW.pack(before, time.time(), amount))
        return bool(decision)

    def holds(self) -> bool:
        purse = self._lease._purse
        return purse._left > 0 and time.monotonic() < purse._until


def uses(directory: Path) -> list[Use]:
    """All ledgers; what a killed process did not write in full is left out."""
    found = []
    for file in directory.glob("*.uses"):
        rows = file.read_bytes()
        found += [Use(*row) for row in _ROW.iter_unpack(rows[: len(rows) // _ROW.size * _ROW.size])]
    return found


def most_in_a_window(found: Sequence[Use], seconds: float) -> int:
    """The most that was used for certain within one window of that length."""
    sure = [use for use in found if use.after - use.before <= seconds]
    begun, ended = sorted(sure), sorted(sure, key=lambda use: use.after)
    befores, afters = [use.before for use in begun], [use.after for use in ended]
    before_sums = [0, *accumulate(use.amount for use in begun)]
    after_sums = [0, *accumulate(use.amount for use in ended)]
    # What began before the window and is shorter than it has ended before the window does.
    return max(
        after_sums[bisect_right(afters, start + seconds)] - before_sums[bisect_left(befores, start)]
        for start in befores
    )
