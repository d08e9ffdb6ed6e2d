"""The versions of the live configuration, in checkpoints."""

import time
from pathlib import Path
from typing import Any

import riptide
from riptide.config.document import Document
from riptide.state.blobs import open_blobs
from riptide.state.live.offering import folder, remove_old
from riptide.state.live.versions import History, Versions
from tests.support.checkpointed import checkpoint_settings, forget
from tests.support.deployment import Deployment


def test_its_history_comes_back(deployment: Deployment, tmp_path: Path) -> None:
    settings = checkpoint_settings(deployment, tmp_path)
    with riptide.connect(config=settings) as rt:
        versions = Versions(deployment.keys)

        def accepted(number: int) -> str:
            document = Document({"cache.default_ttl_seconds": number})
            return rt.store.run(versions.accept(f"{number}-0", document, "one:/etc/riptide.yml"))[1]

        rt.store.run(versions.join("two:/etc/riptide.yml", Document({})))
        for number in (5, 6, 7):
            newest = accepted(number)
        made, history = rt.checkpoints.create(), rt.state.history()
        assert (history.current, len(history.versions)) == (newest, 3)
        forget(deployment)
        assert not rt.state.history().versions
        rt.checkpoints.restore(made.id)
        assert rt.state.history() == history
        assert [one.after for one in rt.state.diff(1)] == [7]
        known = Document({"cache.default_ttl_seconds": 1})
        assert rt.store.run(versions.join("one:/etc/riptide.yml", known)) == history.versions[0].digest

        # It goes on from there; and a history that is there already is not mixed with that of a checkpoint.
        assert accepted(8).startswith("4-")
        later = rt.state.history()
        rt.checkpoints.restore(made.id)
        assert rt.state.history() == later
        forget(deployment)
        other = accepted(9)
        rt.checkpoints.restore(made.id)
        found: History = rt.state.history()
        assert (found.current, [one.number for one in found.versions]) == (other, [1])
        unseen = Document({"cache.default_ttl_seconds": 2})
        assert rt.store.run(versions.join("two:/etc/riptide.yml", unseen)) == unseen.digest


def test_blobs_that_no_reload_needs_are_removed(on_valkey: Deployment, tmp_path: Path) -> None:
    """By their age: versions hold their documents themselves."""
    settings: Any = checkpoint_settings(on_valkey, tmp_path)
    blobs, place = open_blobs(settings.blobs), folder(on_valkey.prefix)
    now, week = round(time.time() * 1000), 7 * 86_400_000
    old, fresh = f"{place}{now - week - 1000}-{'0' * 64}.json", f"{place}{now}-{'1' * 64}.json"
    other = f"config/other/{now - 2 * week}-{'2' * 64}.json"
    for name in (old, fresh, other, f"{place}what-else"):
        blobs.put(name, b"{}")
    remove_old(blobs, on_valkey.prefix)
    assert {blob.name for blob in blobs.list("config/")} == {fresh, other, f"{place}what-else"}
