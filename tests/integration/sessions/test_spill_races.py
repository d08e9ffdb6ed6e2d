"""Sessions that are read and changed while they are spilled and restored all the time."""

import random
import threading
from pathlib import Path
from typing import Any

import riptide
from riptide.reads.sync_client import RipTide
from tests.integration.sessions.test_spill import blob_names, settings_of, spill
from tests.support.deployment import Deployment

SESSIONS, WRITERS, ROUNDS = 6, 4, 25
TEXT = {"x": "x" * 400}


class Writer(threading.Thread):
    """Has a field of its own in every session; what it reads there must be what it wrote last."""

    def __init__(self, rt: RipTide, field: str, order: list[str]) -> None:
        super().__init__()
        self._rt, self.field, self.order = rt, field, order
        self.wrong: list[Any] = []

    def run(self) -> None:
        last = dict.fromkeys(self.order, 0)
        for session in self.order:
            last[session] += 1
            if not self._rt.sessions.update(session, {self.field: last[session]}, tenant="acme"):
                self.wrong.append((session, "is gone"))
            found = self._rt.sessions.get(session, tenant="acme")
            if found is None or found.data["x"] != TEXT["x"] or found.data[self.field] != last[session]:
                self.wrong.append((session, found))


def test_no_update_is_lost_and_no_read_goes_back(
    deployment: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    settings = settings_of(deployment, tmp_path)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme")
        ids = [rt.sessions.create("ada", TEXT, tenant="acme").id for _ in range(SESSIONS)]
        writers = [Writer(rt, f"f{n}", [rng.choice(ids) for _ in range(ROUNDS)]) for n in range(WRITERS)]
        ended = threading.Event()
        spill(rt)  # so that something comes back, whoever is first

        def keep_spilling() -> None:
            while not ended.is_set():
                spill(rt)

        spiller = threading.Thread(target=keep_spilling)
        for thread in (spiller, *writers):
            thread.start()
        for writer in writers:
            writer.join()
        ended.set()
        spiller.join()
        assert not [wrong for writer in writers for wrong in writer.wrong]
        for session in ids:
            written = {one.field: one.order.count(session) for one in writers if session in one.order}
            found = rt.sessions.get(session, tenant="acme")
            assert found is not None
            assert found.data == TEXT | written
        assert rt.sessions.levels(tenant="acme").total_restored > 0
        for session in ids:
            rt.sessions.terminate(session, tenant="acme")
        spill(rt)
        assert rt.sessions.levels(tenant="acme")[:6] == (False, 0, 0, 0, 0, 0)
        assert not blob_names(settings)
