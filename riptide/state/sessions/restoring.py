"""Sessions whose data was spilled: read from the blob store, and put back."""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property, partial

from riptide.errors import BlobNotFound, RiptideError, ServerRefused
from riptide.metrics.instruments import SPILLOVER
from riptide.state.blobs import Blobs
from riptide.state.sessions.access import Access
from riptide.state.sessions.operations import Place, Stored
from riptide.state.spill.blob import unpack_blob
from riptide.store.operation import Call, Flow, ask
from riptide.tenants.accounts.account import FactsOutdated
from riptide.tenants.accounts.blobs import name_in
from riptide.tenants.keyring.ring import Blocking

_TRIES = 10


class Restoring:
    """The blob store is opened by the first session that needs it; `blocking` calls what blocks."""

    def __init__(self, access: Access, open_blobs: Callable[[], Blobs], blocking: Blocking) -> None:
        self._access, self._open_blobs, self._blocking = access, open_blobs, blocking

    def whole(self, place: Place) -> Flow[Stored | None]:
        """The session with its data, wherever that is. What was spilled is put back."""
        for _ in range(_TRIES):
            found = yield from ask(place.read())
            if found is None or found.blob is None:
                return found
            fields = yield from self.restore(place, found.blob)
            if fields is not None:
                return found.with_fields(fields)
        raise RiptideError("the session is spilled and restored whenever it is to be read: try again")

    def restore(self, place: Place, blob: str, *, keep: bool = False) -> Flow[dict[str, bytes] | None]:
        """Put the data back that is in `blob`, and answer it; None if the session is not in that blob any
        more.

        With `keep` it has to be put back; else it is answered although the server refuses that. Raises
        BlobError, Damaged.
        """
        started, name = time.perf_counter(), name_in(blob)
        try:
            raw: bytes = yield Call(partial(self._blocking, partial(self._blobs.get, name)))
        except BlobNotFound as error:
            found = yield from ask(place.read())
            if found is None or found.blob != blob:
                return None
            raise BlobNotFound(
                f"the data of a session of tenant {place.facts.tenant} was spilled, and is not where it was "
                f"put: {error}. The session stays as it is; see whether blobs.url is the store that the "
                "workers use"
            ) from None
        fields = unpack_blob(raw, name, place.id)
        took = round((time.perf_counter() - started) * 1e6)
        with suppress(*(() if keep else (ServerRefused, FactsOutdated))):
            yield from self._access.settled(place, place.restore(blob, took, fields))
            SPILLOVER.add("sessions", "restore")
        return fields

    @cached_property
    def _blobs(self) -> Blobs:
        return self._open_blobs()
