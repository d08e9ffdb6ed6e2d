"""A key that is put back in many parts, by several restores at once."""

from pathlib import Path
from typing import Any

import pytest

from riptide.state.checkpoints.shelf import Shelf
from riptide.state.restore import keys
from riptide.state.restore.restoring import restore
from tests.integration.checkpoints.test_restoring import create
from tests.support.checkpointed import checkpoint_settings, forget
from tests.support.deployment import Deployment

pytestmark = pytest.mark.faults

_DAY = 86_400


class Killed(Exception):
    """Stands for the end of a process that restores."""


def test_two_restores_do_not_mix(
    on_valkey: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another restore begins after two batches of the first one, and is killed after its own first batch.
    What it leaves is no part of a checkpoint, and vanishes."""
    settings, client = checkpoint_settings(on_valkey, tmp_path), on_valkey.client
    create(settings, "acme")
    shelf, many = Shelf(settings), on_valkey.keys.quota("acme", "many")
    client.hset(many, mapping={f"field{n}": n for n in range(3000)})
    whole = client.hgetall(many)
    made = shelf.create().id
    forget(on_valkey)
    monkeypatch.setattr(keys, "_AT_ONCE", 2)
    send: Any = keys._send
    turns: list[int] = []

    def in_turns(*args: Any) -> None:
        send(*args)
        if not any(part.dumped.name.endswith(":many") for part in args[2]):
            return
        turns.append(id(args[-1]))
        if turns == [turns[0]] * 2:
            with pytest.raises(Killed):
                restore(settings, Shelf(settings), made)
        elif turns[-1] != turns[0]:
            raise Killed

    monkeypatch.setattr(keys, "_send", in_turns)
    restore(settings, shelf, made)
    monkeypatch.setattr(keys, "_send", send)
    assert len(set(turns)) == 2
    assert client.hgetall(many) == whole

    left = list(client.scan_iter(f"{on_valkey.prefix}:restoring:*"))
    assert len(left) == 2, "what it was allowed to bring back, and a part of the key"
    assert all(0 < client.ttl(name) <= _DAY for name in left)
    again = shelf.create().id
    forget(on_valkey)
    restore(settings, shelf, again)
    assert client.hgetall(many) == whole
    assert not list(client.scan_iter(f"{on_valkey.prefix}:*restoring*"))
