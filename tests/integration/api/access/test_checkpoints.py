"""API keys in checkpoints: brought back without any secret, and what was revoked stays revoked."""

from pathlib import Path

import pytest

from riptide.api.problems import Problem
from riptide.state.blobs import open_blobs
from riptide.state.checkpoints.shelf import Shelf
from riptide.state.restore.restoring import restore
from tests.integration.api.access.conftest import CLIENT, Open, Place
from tests.support.checkpointed import checkpoint_settings, forget
from tests.support.deployment import Deployment


def lets_in(place: Place, text: str) -> bool:
    try:
        place.access.identify(f"Bearer {text}", CLIENT)
    except Problem:
        return False
    return True


@pytest.mark.parametrize("everything", [True, False])
def test_keys_are_restored_and_what_was_revoked_stays_so(
    on_valkey: Deployment, open_place: Open, tmp_path: Path, *, everything: bool
) -> None:
    settings = checkpoint_settings(on_valkey, tmp_path, state={"checkpoint_compression": False})
    place = open_place(on_valkey, blobs={"url": str(tmp_path / "blobs")}, api={"failed_tries": 1000})
    place.rt.tenants.create("acme")
    shop, job = (place.access.create(name, role="tenant", tenant="acme") for name in ("shop", "job"))
    admin, first = place.access.create("ada", role="admin", expires_seconds=3600), place.access.first()
    assert first.made is not None
    shelf = Shelf(settings)
    made = shelf.create()
    blobs = open_blobs(settings.blobs)
    (content,) = (one.name for one in blobs.list("") if one.name.endswith(".ckpt"))
    assert shop.key.id.encode() in blobs.get(content)
    for text in (shop.text, admin.text, first.made.text):
        assert text[-60:].encode() not in blobs.get(content)

    place.access.revoke(job.key.id)
    restore(settings, shelf, made.id)
    assert not lets_in(place, job.text), "a living server knows better"
    forget(on_valkey)
    assert not lets_in(place, shop.text)
    restore(settings, shelf, made.id, tenants=None if everything else ["acme"])
    assert lets_in(place, shop.text)
    assert {key.id for key in place.access.list("acme").keys} == {shop.key.id, job.key.id}
    assert lets_in(place, admin.text) is lets_in(place, first.made.text) is everything
    if everything:
        assert place.access.first() == type(first)(first.id, None)
        assert {key.id for key in place.access.list().keys} == {admin.key.id, first.id}
        assert on_valkey.client.pttl(on_valkey.keys.api_key(None, admin.key.id)) > 0
