"""`riptide cache show`: an entry as it is, or why a read misses; and looking changes nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest
from typer.testing import CliRunner

import riptide as library
from riptide.cache.looking import Look, look
from riptide.cache.writing import MISSING
from riptide.cli.main import app
from riptide.reads.sync_client import RipTide
from riptide.state.blobs import open_blobs
from riptide.tenants.keyring.master import new_master_key
from tests.support.deployment import Deployment
from tests.support.spilled import spill, spilling_settings
from tests.support.waiting import eventually
from tests.support.workers import environment, write_config

KEY = f"1:{new_master_key()}"


def opened(deployment: Deployment, blobs: Path, key: str | None = KEY) -> RipTide:
    settings = spilling_settings(
        deployment, blobs, tenant={"enable_encryption": True}, security={"encryption_key": key}
    )
    return library.connect(config=settings)


@pytest.fixture
def rt(deployment: Deployment, tmp_path: Path) -> Iterator[RipTide]:
    with opened(deployment, tmp_path / "blobs") as rt:
        rt.tenants.create("acme")
        yield rt


def seen(rt: RipTide, key: str) -> Look:
    core = rt.cache.core
    return rt.store.drive(look(core, rt.store.drive(core.find("acme", None)), key))


def test_a_hit_and_misses(rt: RipTide, deployment: Deployment) -> None:
    cache, client = rt.cache, deployment.client
    cache.set("k", {"words": ["x"] * 500}, tenant="acme", tags=["news"], version="7", ttl=1000)
    found = seen(rt, "k")
    assert found.state == "hit"
    assert found.header is not None
    assert found.entry is not None
    assert (found.header.intact, found.header.tags, found.header.epoch) == (True, 1, found.epoch)
    assert (found.entry.value, found.entry.metadata.version) == ({"words": ["x"] * 500}, "7")
    assert 0 < found.expires_in_ms < 1_003_000
    assert found.stored_bytes == client.strlen(found.name) < found.header.value_bytes

    assert seen(rt, "nothing").state == "absent"
    cache.set("stale", 1, tenant="acme", ttl=0.001, stale=1000)
    eventually(lambda: seen(rt, "stale").state == "expired", "its time to be over")
    stale = seen(rt, "stale").entry
    assert stale is not None
    assert stale.value == 1
    cache.get_or_load("none", lambda: MISSING, default=None, tenant="acme")
    assert seen(rt, "none").state == "negative"

    whole = client.get(found.name)
    client.set(found.name, whole[:-1] + bytes([whole[-1] ^ 1]))
    damaged = seen(rt, "k")
    assert damaged.header is not None
    assert (damaged.state, damaged.header.intact, damaged.expires_in_ms) == ("damaged", False, -1)
    client.set(found.name, b"no entry at all")
    assert (seen(rt, "k").state, seen(rt, "k").header) == ("damaged", None)
    assert client.get(found.name) == b"no entry at all", "looking removes nothing"

    cache.set("old", 1, tenant="acme")
    cache.invalidate_namespace("default", tenant="acme")
    assert seen(rt, "old").state == "invalidated"
    assert cache.stats().damaged == cache.stats().hits == 0, "and counts nothing"


def test_spilled_entries_stay_where_they_are(rt: RipTide, deployment: Deployment) -> None:
    value = token_hex(20_000)  # what can be compressed stays in memory
    rt.cache.set("big", value, tenant="acme", ttl=5000)
    name = seen(rt, "big").name
    spill(rt)
    stub = deployment.client.get(name)
    found = seen(rt, "big")
    assert found.header is not None
    assert found.entry is not None
    assert (found.header.codec, found.entry.value) == ("spilled", value)
    assert found.blob
    blobs = open_blobs(rt.settings.blobs)
    (blob,) = blobs.list("entries/")
    whole = blobs.get(blob.name)
    blobs.put(blob.name, whole[:-1])
    assert seen(rt, "big").state == "damaged"
    blobs.delete(blob.name)
    assert seen(rt, "big").state == "lost"
    assert deployment.client.get(name) == stub, "it was neither brought back nor removed"


def test_encrypted_entries(rt: RipTide, deployment: Deployment, tmp_path: Path) -> None:
    rt.tenants.update("acme", settings={"encryption_enabled": True})
    for key in ("secret", "another"):
        rt.cache.set(key, "plain text", tenant="acme", ttl=5000)
    found = seen(rt, "secret")
    assert found.header is not None
    assert found.entry is not None
    assert (found.entry.value, found.header.key_id > 0) == ("plain text", True)
    with opened(deployment, tmp_path / "blobs", None) as other:
        locked = seen(other, "secret")
        assert (locked.state, locked.entry) == ("key_unavailable", None)
    client = deployment.client
    client.set(found.name, client.get(seen(rt, "another").name))
    assert seen(rt, "secret").state == "foreign", "it is another entry's"


def test_what_an_operator_reads(on_valkey: Deployment, tmp_path: Path) -> None:
    with library.connect(config=on_valkey.settings()) as rt:
        rt.cache.set("k", {"title": "Ænd \x1b[31m"}, tags=["news"], source="cms")
        rt.cache.set("binary", bytes(range(256)) * 4)
    variables = environment(on_valkey, write_config(tmp_path / "riptide.yml"))

    def show(*arguments: str, code: int = 0) -> str:
        told = CliRunner().invoke(app, ["cache", "show", *arguments], env=variables)
        assert told.exit_code == code, told.output
        return told.stdout

    table = show("k", "--value")
    for part in (
        "state        hit",
        "tags         news",
        "source       cms",
        '"title": "Ænd',
        "checksum right",
    ):
        assert part in table
    assert "\x1b" not in table
    hexed = show("binary", "--value")
    assert "00000000  00 01 02" in hexed
    assert "--raw prints all" in hexed
    facts = json.loads(show("binary", "--value", "--json"))
    assert (facts["state"], facts["value"]["hex"][:8]) == ("hit", "00010203")
    assert facts["header"]["epoch"] == facts["namespace_epoch"]
    assert show("k", "--raw").startswith('{"title":"Ænd')
    missed = show("nothing\x1b[31m", code=1)
    assert ("absent" in missed, "\x1b" in missed) == (True, False)
