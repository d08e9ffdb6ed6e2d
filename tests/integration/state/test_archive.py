"""The archive copies streams, each entry once, whoever writes it and whatever happens on the way."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

import riptide
from riptide.config import BlobsSettings, Settings
from riptide.errors import BlobError, Damaged
from riptide.state.archive import reading
from riptide.state.archive.names import segments
from riptide.state.archive.operations import PartitionArchive
from riptide.state.blobs import Blobs, open_blobs
from riptide.store.keys import ARCHIVE_GROUP, PARTITIONS, Keys
from riptide.store.keys import GROUP as WORKERS
from riptide.store.sync import open_store
from riptide.streams.upkeep import upkeep
from tests.support.archives import (
    archive_settings,
    archived,
    archiving,
    in_streams,
    lag,
    problems,
    wait_archived,
)
from tests.support.commands import Noop
from tests.support.deployment import Deployment
from tests.support.waiting import PATIENCE, eventually


def publish(deployment: Deployment, count: int) -> None:
    with riptide.connect(config=deployment.settings()) as rt:
        rt.publish_many([riptide.Outgoing(Noop(n=n), tenant=f"t{n % 40}") for n in range(count)])


def test_everything_is_copied_once_and_in_order(deployment: Deployment, tmp_path: Path) -> None:
    settings = archive_settings(deployment, tmp_path)
    publish(deployment, 1500)
    deployment.add("noop", {"body": b"\r\n*2\r\n$3\r\n\xff\x00", "": "", "tenant": "acme"})
    deployment.add("noop", {"body": "x" * 3_000_000})
    future = deployment.keys.commands("noop", PARTITIONS[3])
    deployment.client.xadd(future, {"body": "{}"}, id="9999999999999-0")
    with archiving(settings):
        wait_archived(settings)
        publish(deployment, 500)
        wait_archived(settings)
    assert archived(settings) == in_streams(deployment)
    assert not problems(settings)


def test_it_registers_before_it_has_archived_anything(deployment: Deployment, tmp_path: Path) -> None:
    """So that nothing is trimmed before it has been copied."""
    settings = archive_settings(deployment, tmp_path, archive_seconds=3600)
    publish(deployment, 100)
    keys = [deployment.keys.commands("noop", partition) for partition in PARTITIONS]

    def positions() -> list[bytes]:
        groups = [deployment.client.xinfo_groups(key) for key in keys if deployment.client.exists(key)]
        return [
            row["last-delivered-id"]
            for rows in groups
            for row in rows
            if row["name"] == ARCHIVE_GROUP.encode()
        ]

    with archiving(settings):
        eventually(lambda: len(positions()) == len(PARTITIONS), "the groups")
    assert set(positions()) == {b"0-0"}
    assert lag(settings) == 100
    assert not archived(settings)


def test_large_backlogs_become_several_segments(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = archive_settings(on_valkey, tmp_path, archive_segment_bytes=1024)
    publish(on_valkey, 20_000)
    with archiving(settings):
        wait_archived(settings)
    found = list(segments(open_blobs(settings.blobs), settings.cache.key_prefix, "noop"))
    assert len(found) >= 20_000 // 1000, "each ends with the read that filled it"
    assert archived(settings) == in_streams(on_valkey)
    assert not problems(settings)


def test_much_is_archived_before_its_time(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = archive_settings(on_valkey, tmp_path, archive_seconds=3600, archive_segment_bytes=2048)
    publish(on_valkey, 5000)
    with archiving(settings):
        eventually(lambda: lag(settings) < 5000, "the fullest streams to be archived")
    held, there = archived(settings), in_streams(on_valkey)
    assert all(held[partition] == there[partition] for partition in held)


def test_two_archivers_share_the_work(deployment: Deployment, tmp_path: Path) -> None:
    settings = archive_settings(deployment, tmp_path)
    with archiving(settings, "one"), archiving(settings, "two"):
        for _ in range(5):
            publish(deployment, 200)
        wait_archived(settings)
    assert archived(settings) == in_streams(deployment)
    assert not problems(settings)


def test_a_lease_is_given_back_at_the_end(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = archive_settings(on_valkey, tmp_path)
    store, keys = open_store(settings), Keys(settings.cache.key_prefix)
    first = PartitionArchive(keys, ["noop"], PARTITIONS[0])
    with archiving(settings, "one"):
        eventually(lambda: store.run(first.status())[0].owner == "one", "the lease to be taken")
    taken = store.run(first.take("two", 60_000))
    store.close()
    assert taken.token == 2


def test_who_lost_the_lease_moves_nothing(deployment: Deployment, tmp_path: Path) -> None:
    """A zombie that wakes up with a segment in hand: its token is stale, and the new owner's is not."""
    settings = archive_settings(deployment, tmp_path)
    partition = PARTITIONS[0]
    first, second = (deployment.add("noop", {"body": "{}"}) for _ in range(2))
    store, ops = open_store(settings), PartitionArchive(Keys(settings.cache.key_prefix), ["noop"], partition)
    zombie = store.run(ops.take("zombie", 1))
    eventually(lambda: store.run(ops.take("heir", 60_000)).token, "the lease to end")
    heir = store.run(ops.take("heir", 60_000))
    assert zombie.token is not None
    assert heir.token == zombie.token + 1
    assert store.run(ops.take("zombie", 1)).token is None
    assert store.run(ops.move(zombie.token, "noop", "0-0", second, 2)) == -1
    assert store.run(ops.move(heir.token, "noop", "0-0", first, 1)) == 1
    assert store.run(ops.move(heir.token, "noop", "0-0", first, 1)) == 0, "only forward"
    assert store.run(ops.move(heir.token, "noop", second, second, 1)) == 0, "never over a gap"
    [stream] = store.run(ops.take("heir", 60_000)).streams
    store.close()
    assert (stream.position, stream.count) == (first, 1)


class Failing:
    """A blob store whose next `put`s end in an error, before or after they were carried out."""

    def __init__(self, inner: Blobs, plan: Iterable[str]) -> None:
        self._inner = inner
        self._plan = list(plan)
        self.place = inner.place
        self.done = threading.Event()

    def put(self, name: str, data: bytes | Iterable[bytes]) -> None:
        if not self._plan:
            self.done.set()
            return self._inner.put(name, data)
        if self._plan.pop(0) == "after":
            self._inner.put(name, data)
        raise BlobError("as planned")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_an_outage_of_the_blob_store_loses_nothing(on_valkey: Deployment, tmp_path: Path) -> None:
    """Also one that ends after the segment was stored and before anybody heard so: it is written twice."""
    settings = archive_settings(on_valkey, tmp_path)
    on_valkey.add("noop", {"body": "{}", "n": "0"})
    failing: Any = Failing(open_blobs(settings.blobs), ["before", "after"])
    with archiving(settings, blobs=failing):
        # One more before each try: segments that begin alike and end differently.
        for n in range(1, 20):
            on_valkey.add("noop", {"body": "{}", "n": str(n)})
        assert failing.done.wait(60)
        wait_archived(settings)
    assert archived(settings) == in_streams(on_valkey)
    assert not problems(settings)


def test_overlapping_segments_are_read_once(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = archive_settings(on_valkey, tmp_path)
    for n in range(50):
        on_valkey.add("noop", {"body": "{}", "n": str(n)})
    with archiving(settings):
        wait_archived(settings)
    # As if the position had been lost with the server's last second.
    on_valkey.client.xgroup_setid(on_valkey.keys.commands("noop", PARTITIONS[0]), ARCHIVE_GROUP, "0")
    for n in range(50, 60):
        on_valkey.add("noop", {"body": "{}", "n": str(n)})
    with archiving(settings):
        wait_archived(settings)
    assert len(list(segments(open_blobs(settings.blobs), settings.cache.key_prefix, "noop"))) == 2
    assert archived(settings) == in_streams(on_valkey)


def test_a_group_that_was_lost_goes_on_where_it_was(deployment: Deployment, tmp_path: Path) -> None:
    settings = archive_settings(deployment, tmp_path)
    publish(deployment, 200)
    with archiving(settings):
        wait_archived(settings)
        for partition in PARTITIONS:
            deployment.client.xgroup_destroy(deployment.keys.commands("noop", partition), ARCHIVE_GROUP)
        publish(deployment, 200)
        wait_archived(settings)
    assert archived(settings) == in_streams(deployment)
    blobs, prefix = open_blobs(settings.blobs), settings.cache.key_prefix
    starts = []
    for segment in segments(blobs, prefix, "noop"):
        with reading.opened(blobs, prefix, segment) as reader:
            starts.append((segment.partition, reader.header.after))
    assert len(starts) == len(set(starts)), "no segment was written twice"


def test_a_server_that_lost_everything_is_archived_from_its_new_start(
    alone: Deployment, tmp_path: Path
) -> None:
    settings = archive_settings(alone, tmp_path)
    publish(alone, 200)
    before = in_streams(alone)
    with archiving(settings):
        wait_archived(settings)
        alone.client.flushall()
        publish(alone, 300)
        after = in_streams(alone)
        wait_archived(settings)
    held = archived(settings)
    for partition, rows in held.items():
        assert rows == before.get(partition, []) + after.get(partition, [])
    assert not problems(settings)


def test_a_key_that_is_no_stream_stops_nobody(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = archive_settings(on_valkey, tmp_path, "noop", "effect")
    on_valkey.client.set(on_valkey.keys.commands("noop", PARTITIONS[0]), "x")
    on_valkey.add("effect", {"body": "{}"})
    with archiving(settings):
        wait_archived(settings, "effect")
    assert archived(settings, "effect") == in_streams(on_valkey, "effect")


def test_a_damaged_segment_is_named_and_nothing_of_it_is_used(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = archive_settings(on_valkey, tmp_path)
    on_valkey.add("noop", {"body": "{}"})
    with archiving(settings):
        wait_archived(settings)
    [segment] = segments(open_blobs(settings.blobs), settings.cache.key_prefix, "noop")
    file = tmp_path / "blobs" / segment.name
    content = bytearray(file.read_bytes())
    content[-40] ^= 1
    file.write_bytes(content)
    with pytest.raises(Damaged, match=segment.name):
        archived(settings)


def held(settings: Settings) -> dict[str, list[str]]:
    """Partition -> the last id of each segment."""
    found: dict[str, list[str]] = {}
    for segment in segments(open_blobs(settings.blobs), settings.cache.key_prefix, "noop"):
        found.setdefault(segment.partition, []).append(segment.last)
    return found


def test_old_segments_are_deleted_but_for_the_last(deployment: Deployment, tmp_path: Path) -> None:
    used, idle = PARTITIONS[:2]
    for_ever = archive_settings(deployment, tmp_path)
    for n in range(1, 4):  # of 1970
        for partition in (used, idle):
            deployment.client.xadd(deployment.keys.commands("noop", partition), {"body": "{}"}, id=f"{n}-0")
        with archiving(for_ever):
            wait_archived(for_ever)
    new = deployment.add("noop", {"body": "{}"}, used)
    with archiving(for_ever):
        wait_archived(for_ever)
    assert held(for_ever) == {used: ["1-0", "2-0", "3-0", new], idle: ["1-0", "2-0", "3-0"]}
    with archiving(archive_settings(deployment, tmp_path, archive_retention_days=1)):
        eventually(lambda: held(for_ever) == {used: [new], idle: ["3-0"]}, "the old segments to go")
    assert not problems(for_ever)


class Undeletable:
    """A blob store from which nothing may be deleted."""

    def __init__(self, inner: Blobs) -> None:
        self._inner = inner
        self.refused = threading.Event()

    def delete(self, name: str) -> None:
        self.refused.set()
        raise BlobError(f"{name} may not be deleted")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_what_cannot_be_deleted_does_not_stop_the_archive(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = archive_settings(on_valkey, tmp_path, archive_retention_days=1)
    key = on_valkey.keys.commands("noop", PARTITIONS[0])
    for n in range(1, 3):
        on_valkey.client.xadd(key, {"body": "{}"}, id=f"{n}-0")
        with archiving(archive_settings(on_valkey, tmp_path)):
            wait_archived(settings)
    blobs: Any = Undeletable(open_blobs(settings.blobs))
    with archiving(settings, blobs=blobs):
        assert blobs.refused.wait(PATIENCE)
        publish(on_valkey, 100)
        wait_archived(settings)
    assert archived(settings) == in_streams(on_valkey)


def test_nothing_is_trimmed_before_it_is_archived(deployment: Deployment, tmp_path: Path) -> None:
    """Carried out, and beyond the replay window, it waits for the archive, also before that has begun."""
    settings = archive_settings(deployment, tmp_path, replay_window_seconds=0.001)
    partition = PARTITIONS[0]
    key = deployment.keys.commands("noop", partition)
    for n in range(1000):
        deployment.add("noop", {"body": "{}", "n": str(n)})
    before = in_streams(deployment)
    deployment.client.xgroup_create(key, WORKERS, id="0")
    deployment.client.xreadgroup(WORKERS, "me", {key: ">"}, noack=True)
    store = open_store(settings)

    def trimmed() -> int:
        store.run(upkeep(deployment.keys, settings.streams, ["noop"], partition))
        return 1000 - int(deployment.client.xlen(key))

    assert trimmed() == 0
    with archiving(settings):
        wait_archived(settings)
    assert trimmed() > 0
    store.close()
    assert archived(settings) == before


def test_into_s3(deployment: Deployment, tmp_path: Path, s3_settings: Callable[..., BlobsSettings]) -> None:
    plain = archive_settings(deployment, tmp_path)
    settings = plain.model_copy(update={"blobs": s3_settings("/deep")})
    publish(deployment, 1000)
    with archiving(settings):
        wait_archived(settings)
    assert archived(settings) == in_streams(deployment)
