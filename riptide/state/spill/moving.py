"""Moves the data of some sessions to the blob store.

First a blob is written under a fresh name, then one script swaps the session for a stub, if it has not
changed since it was read. Whoever dies in between leaves a blob to which nothing refers, which the sweeping
removes.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from riptide.errors import RiptideError
from riptide.metrics.instruments import SPILLOVER
from riptide.state.blobs import Blobs
from riptide.state.sessions.operations import Place, Stored
from riptide.state.spill.blob import PREFIX, pack_blob
from riptide.state.spill.operations import Full, Read, read, swap
from riptide.store.keys import Keys
from riptide.store.operation import Call, Flow, ask, ask_all
from riptide.tenants.accounts.account import BEHIND, FactsOutdated
from riptide.tenants.accounts.blobs import Written, fresh_name, member_of, name_in
from riptide.tenants.accounts.sessions import session_levels
from riptide.tenants.keyring.ring import Blocking

_WRITERS = 8
# A tenant's name in it may be that long.
_STUB_BYTES = 200


class Moved(NamedTuple):
    """How many sessions, by how many bytes they became smaller, and the tenants that may have no more
    blobs."""

    sessions: int = 0
    bytes: int = 0
    full: frozenset[str] = frozenset()

    def plus(self, other: "Moved") -> "Moved":
        return Moved(self.sessions + other.sessions, self.bytes + other.bytes, self.full | other.full)


class Moving:
    """`most` is how many bytes of blobs a tenant may have whose record does not say, -1: unlimited."""

    def __init__(
        self, keys: Keys, blobs: Callable[[], Blobs], blocking: Blocking, most: Callable[[], int]
    ) -> None:
        self._keys, self._blobs, self._blocking, self._most = keys, blobs, blocking, most

    def move(self, places: Sequence[Place]) -> Flow[Moved]:
        """Raises BlobError if a blob could not be written, after the others were swapped."""
        found = yield from ask_all([read(place) for place in places])
        todo = [(p, f) for p, f in zip(places, found, strict=True) if f.session and _is_worth_it(f.session)]
        wanted = [(fresh_name(PREFIX, place.facts, one.now_ms), _packed(place, one)) for place, one in todo]
        written: list[Written | RiptideError] = yield Call(
            partial(self._blocking, partial(self._write_all, wanted))
        )
        moved, unused = Moved(), []
        for (place, one), blob in zip(todo, written, strict=True):
            if isinstance(blob, Written):
                freed = yield from self._swap(place, one, blob)
                moved = moved.plus(freed)
                if not freed.sessions:
                    unused.append(name_in(blob.member))
        if unused:
            yield Call(partial(self._blocking, partial(self._remove, unused)))
        for blob in written:
            if isinstance(blob, RiptideError):
                raise blob
        return moved

    def _swap(self, place: Place, found: Read, blob: Written) -> Flow[Moved]:
        while True:
            try:
                freed = yield from ask(swap(place, found, blob, self._most()))
            except FactsOutdated:  # the tenant is being purged, or another one
                return Moved()
            if freed is not BEHIND:
                break
            yield from session_levels(self._keys, [place.facts.tenant])
        if isinstance(freed, Full):
            return Moved(full=frozenset({place.facts.tenant}))
        if not freed:
            return Moved()
        SPILLOVER.add("sessions", "spill")
        return Moved(1, freed)

    def _write_all(self, wanted: Sequence[tuple[str, bytes]]) -> list[Written | RiptideError]:
        with ThreadPoolExecutor(_WRITERS) as pool:
            return list(pool.map(self._write, wanted))

    def _write(self, wanted: tuple[str, bytes]) -> Written | RiptideError:
        name, data = wanted
        started = time.perf_counter()
        try:
            self._blobs().put(name, data)
        except RiptideError as error:
            return error
        took = round((time.perf_counter() - started) * 1e6)
        return Written(member_of(name, len(data)), len(data), took)

    def _remove(self, names: Sequence[str]) -> None:
        """If that fails, they are orphans."""
        for name in names:
            with suppress(RiptideError):
                self._blobs().delete(name)


def _is_worth_it(session: Stored) -> bool:
    """Whether its data takes more than what would stand in its place."""
    return sum(len(name) + len(value) for name, value in session.fields.items()) > _STUB_BYTES


def _packed(place: Place, found: Read) -> bytes:
    assert found.session is not None
    return pack_blob(place.id, found.session.fields)
