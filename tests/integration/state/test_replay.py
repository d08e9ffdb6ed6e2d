"""Replaying: each command once, whatever became of it, from its stream or from the archive."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import pytest

import riptide
from riptide.config import Settings
from riptide.state.blobs import open_blobs
from riptide.state.replay.replaying import (
    CANCELLED,
    COPY,
    COUNTED_ALREADY,
    DEAD,
    PURGED,
    SENT,
    SENT_BEFORE,
    WAITS,
    WOULD_SEND,
    Progress,
    Replay,
)
from riptide.state.replay.selection import Selection
from riptide.state.replay.sources import Archive, Source, Streams
from riptide.state.replay.target import Target, same_server
from riptide.store.keys import GROUP, PARTITIONS, Keys
from riptide.store.sync import Store, open_store
from riptide.tenants.usage.known import digest_of
from tests.servers import ServerProcess
from tests.support.archives import archive_settings, archiving, wait_archived
from tests.support.commands import Bulk, Effect
from tests.support.deployment import Deployment
from tests.support.waiting import eventually
from tests.support.workers import running_worker

P = PARTITIONS[0]


@pytest.fixture
def store(deployment: Deployment) -> Iterator[Store]:
    opened = open_store(deployment.settings())
    yield opened
    opened.close()


def outcomes(progress: Progress) -> Counter[str]:
    found: Counter[str] = Counter()
    for (_, _, outcome), count in progress.tally.items():
        found[outcome] += count
    return found


def replay(
    settings: Settings,
    store: Store,
    source: Source | None = None,
    *,
    chosen: Selection | None = None,
    judging: bool = True,
    dry: bool = False,
    run: str | None = None,
    progress: Progress | None = None,
    kinds: tuple[str, ...] = ("record_usage",),
    saved: Callable[[], None] = lambda: None,
) -> Counter[str]:
    keys = Keys(settings.cache.key_prefix)
    target = Target(store, keys, settings.streams, run)
    done = progress or Progress()
    chosen = chosen or Selection(types=kinds)
    work = Replay(source or Streams(store, keys, kinds), chosen, target, done, judging=judging, dry=dry)
    work.run(saved, lambda _: None)
    return outcomes(done)


def usage(deployment: Deployment, n: int) -> str:
    body = json.dumps({"operation": "page", "operation_count": n})
    return deployment.add("record_usage", {"tenant": "acme", "body": body, "id": f"c{n}"})


def make_group(deployment: Deployment, kind: str = "record_usage") -> None:
    deployment.client.xgroup_create(deployment.keys.commands(kind, P), GROUP, id="0", mkstream=True)


def hand_out(deployment: Deployment, count: int, *, finish: int) -> list[str]:
    """What a worker does: takes `count` entries and acknowledges the first `finish` of them."""
    key = deployment.keys.commands("record_usage", P)
    rows = deployment.client.xreadgroup(GROUP, "me", {key: ">"}, count=count)
    found = rows[key.encode()][0] if isinstance(rows, dict) else rows[0][1]
    ids = [row[0].decode() for row in found]
    if finish:
        deployment.client.xack(key, GROUP, *ids[:finish])
    return ids


def test_usage_is_sent_only_where_it_is_neither_counted_nor_will_be(
    deployment: Deployment, store: Store
) -> None:
    """Counted, being counted, waiting for a retry, back in its stream, dead, not handed out."""
    settings, keys = deployment.settings(), deployment.keys
    make_group(deployment)
    ids = [usage(deployment, n) for n in range(8)]
    hand_out(deployment, 6, finish=5)
    retries = {ids[1]: "99999999999999", ids[2]: "inf"}
    for entry, due in retries.items():
        deployment.client.zadd(keys.retry("record_usage", P), {entry: due})
    deployment.client.xadd(keys.dead("record_usage", P), {"id": "c3", "src": ids[3], "orig": ""})
    expected = {COUNTED_ALREADY: 2, WAITS: 5, DEAD: 1}
    assert replay(settings, store, dry=True) == expected
    assert replay(settings, store) == expected
    assert len(deployment.entries("record_usage")) == 8
    assert replay(settings, store, judging=False, run="again") == {SENT: 8}, "asked to do it in any case"
    assert replay(settings, store, judging=False, run="again") == {SENT_BEFORE: 8, COPY: 8}


def test_a_replayed_command_is_the_same_command(deployment: Deployment, store: Store) -> None:
    """Its id, its time, its fields; a second replay sends neither it nor its copy again."""
    settings = deployment.settings()
    first = deployment.add("noop", {"tenant": "acme", "body": "{}", "x": b"\xff"})
    second = deployment.add("noop", {"id": "mine", "at": "5", "v": "1", "body": "{}", "trace": "t"})
    make_group(deployment, "noop")
    key = deployment.keys.commands("noop", P)
    deployment.client.xreadgroup(GROUP, "me", {key: ">"}, noack=True)
    assert replay(settings, store, kinds=("noop",), dry=True) == {WOULD_SEND: 2}
    assert replay(settings, store, kinds=("noop",)) == {SENT: 2}
    new = [fields for _, _, fields in deployment.entries("noop")][2:]
    assert new == [
        {
            b"tenant": b"acme",
            b"body": b"{}",
            b"x": b"\xff",
            b"id": f"noop.{P}.{first}".encode(),
            b"at": first.partition("-")[0].encode(),
            b"replayed": f"noop.{P}.{first}".encode(),
        },
        {
            b"id": b"mine",
            b"at": b"5",
            b"v": b"1",
            b"body": b"{}",
            b"trace": b"t",
            b"replayed": f"noop.{P}.{second}".encode(),
        },
    ]
    deployment.client.xreadgroup(GROUP, "me", {key: ">"}, noack=True)
    assert replay(settings, store, kinds=("noop",), dry=True) == {SENT_BEFORE: 2, COPY: 2}
    assert replay(settings, store, kinds=("noop",)) == {SENT_BEFORE: 2, COPY: 2}
    assert len(deployment.entries("noop")) == 4


def test_a_cancelled_command_stays_cancelled(deployment: Deployment, store: Store) -> None:
    """Also in the archive, which may hold what was taken out of its stream."""
    settings = deployment.settings()
    first, second = (deployment.add("noop", {"body": "{}"}) for _ in range(2))
    make_group(deployment, "noop")
    deployment.client.hset(deployment.keys.result("noop", P, first), "state", "cancelled")
    key = deployment.keys.commands("noop", P)
    deployment.client.xreadgroup(GROUP, "me", {key: ">"}, noack=True)
    assert replay(settings, store, kinds=("noop",)) == {CANCELLED: 1, SENT: 1}
    assert deployment.entries("noop")[-1][2][b"replayed"].decode() == f"noop.{P}.{second}"


async def test_retried_commands_are_replayed_once(deployment: Deployment, store: Store) -> None:
    """Each was put back into its stream several times: one command still."""
    settings, into = deployment.settings(), deployment.prefix
    commands = [Effect(into=into, end="retry", until_attempt=3, retry_seconds=0.01) for _ in range(5)]
    async with await riptide.aconnect(config=settings) as rt, running_worker(settings):
        refs = [await rt.publish(command, tenant=f"t{n}") for n, command in enumerate(commands)]
        for ref in refs:
            assert (await rt.wait(ref, 60)).state == "done"
    copies = len(deployment.entries("effect")) - 5
    assert copies >= 10
    assert replay(settings, store, kinds=("effect",), dry=True) == {WOULD_SEND: 5, COPY: copies}
    assert replay(settings, store, kinds=("effect",)) == {SENT: 5, COPY: copies}
    # Where their first entries are gone, the first copy stands for them.
    for ref in refs:
        deployment.client.xdel(deployment.keys.commands("effect", ref.partition), ref.entry_id)
    again = replay(settings, store, kinds=("effect",), judging=False, run="x")
    assert again == {SENT: 5, COPY: copies}, (
        "the first copy of each; the rest, and what was replayed, are copies"
    )


def test_by_id_time_and_tenant(on_valkey: Deployment) -> None:
    settings, store = on_valkey.settings(), open_store(on_valkey.settings())
    key = on_valkey.keys.commands("noop", P)
    for n in range(1, 101):
        on_valkey.client.xadd(key, {"tenant": f"t{n % 4}", "body": "{}"}, id=f"{n * 1000}-0")

    def chosen(first: str, last: str, *tenants: str) -> int:
        meant = Selection(first, last, ("noop",), tenants)
        return replay(settings, store, chosen=meant, judging=False, dry=True)[WOULD_SEND]

    assert chosen("0-0", "999999999-0") == 100
    assert chosen("10000-0", "19999-0") == 10
    assert chosen("10000-1", "20000-0") == 10
    assert chosen("0-0", "999999999-0", "t1", "t2") == 50
    store.close()


def test_from_the_archive_into_an_empty_server(deployment: Deployment, store: Store, tmp_path: Path) -> None:
    """All is gone but the archive: every command comes back once, also those that had been counted."""
    settings = archive_settings(deployment, tmp_path, "record_usage")
    make_group(deployment)
    ids = [usage(deployment, n) for n in range(20)]
    with archiving(settings):
        wait_archived(settings, "record_usage")
    hand_out(deployment, 20, finish=20)
    archive = Archive(open_blobs(settings.blobs), settings.cache.key_prefix)
    assert replay(settings, store, archive, dry=True) == {COUNTED_ALREADY: 20}
    for key in (deployment.keys.commands("record_usage", P), deployment.keys.archive(P)):
        deployment.client.delete(key)
    with archiving(settings):  # workers start anew on the empty server
        eventually(lambda: deployment.client.exists(deployment.keys.archive(P)), "the archive's group")
        make_group(deployment)
        assert replay(settings, store, archive) == {SENT: 20}
        assert replay(settings, store, archive) == {SENT_BEFORE: 20}
        wait_archived(settings, "record_usage")
    assert deployment.published_ids(["record_usage"]) == {f"c{n}": 1 for n in range(20)}
    hand_out(deployment, 20, finish=20)
    fresh = Archive(open_blobs(settings.blobs), settings.cache.key_prefix)
    assert replay(settings, store, fresh) == {SENT_BEFORE: 20, COPY: 20}
    assert fresh.holds("record_usage", P, [ids[0], ids[-1], "1-0"]) == [True, True, False]


def test_an_interrupted_replay_goes_on(on_valkey: Deployment) -> None:
    """Killed after it had sent a page and before it had saved that: the page is not sent twice."""
    settings, store = on_valkey.settings(), open_store(on_valkey.settings())
    with riptide.connect(config=settings) as rt:
        rt.publish_many([riptide.Outgoing(Bulk(into="x"), tenant=f"t{n}") for n in range(3000)])
    progress, saves = Progress(), [Progress()]

    def saved() -> None:
        if progress.tally.total() >= 1000:
            raise KeyboardInterrupt
        saves.append(deepcopy(progress))

    with pytest.raises(KeyboardInterrupt):
        replay(settings, store, kinds=("bulk",), judging=False, progress=progress, saved=saved)
    unsaved = outcomes(progress)[SENT] - outcomes(saves[-1])[SENT]
    assert unsaved > 0
    rest = replay(settings, store, kinds=("bulk",), judging=False, progress=saves[-1])
    assert (rest[SENT], rest[SENT_BEFORE]) == (3000 - unsaved, unsaved)
    assert set(on_valkey.published_ids(["bulk"]).values()) == {2}
    store.close()


def test_into_another_server(on_valkey: Deployment, private_server: Callable[..., ServerProcess]) -> None:
    other = Deployment(private_server(aof=False).url, on_valkey.prefix)
    here, there = open_store(on_valkey.settings()), open_store(other.settings())
    make_group(on_valkey)
    for n in range(10):
        usage(on_valkey, n)
    hand_out(on_valkey, 10, finish=10)
    assert same_server(here, here, on_valkey.keys)
    assert not same_server(here, there, on_valkey.keys)
    source = Streams(here, on_valkey.keys, ["record_usage"])
    for expected in ({SENT: 10}, {SENT_BEFORE: 10}):
        assert replay(other.settings(), there, source, judging=False) == expected
    assert len(other.entries("record_usage")) == 10
    assert len(on_valkey.entries("record_usage")) == 10
    other.close()
    here.close()
    there.close()


def test_a_rate_is_kept(on_valkey: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    store = open_store(on_valkey.settings())
    for n in range(50):
        on_valkey.add("noop", {"body": "{}", "n": str(n)})
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    keys = on_valkey.keys
    started = time.monotonic()  # before it takes the time itself
    work = Replay(
        Streams(store, keys, ["noop"]),
        Selection(types=("noop",)),
        Target(store, keys, on_valkey.settings().streams, None),
        Progress(),
        judging=False,
        rate=100,
    )
    work.run(lambda: None, lambda _: None)
    # Sleeping takes no time here, so the last pause is what all of them together would have been.
    assert len(slept) == 5
    assert slept[-1] >= 0.5 - (time.monotonic() - started)
    store.close()


def test_it_waits_while_the_backlog_is_full(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    settings = deployment.settings(streams={"max_backlog": 50})
    store, key = open_store(settings), deployment.keys.commands("noop", P)
    make_group(deployment, "noop")
    for n in range(300):
        deployment.add("noop", {"body": "{}", "n": str(n)})
    waits: list[int] = []

    def work(_: float) -> None:
        """A worker takes what there is while the replay waits."""
        waits.append(deployment.unread("noop"))
        deployment.client.xreadgroup(GROUP, "me", {key: ">"}, noack=True)

    work(0)
    monkeypatch.setattr(time, "sleep", work)
    assert replay(settings, store, kinds=("noop",)) == {SENT: 300}
    store.close()
    assert len(waits) > 1
    assert min(waits) >= 50
    assert max(waits[1:]) < 150, "no more than one call beyond it"


def test_what_a_purged_tenant_did_is_not_done_again(deployment: Deployment, store: Store) -> None:
    """Whether it is judged or not; what a tenant of that name does later is replayed."""
    settings = deployment.settings()
    for n in (1, 2):
        usage(deployment, n)
    purged_ms = int(deployment.entries("record_usage")[-1][1].partition("-")[0]) + 1
    deployment.client.hset(deployment.keys.control("purged"), digest_of("acme"), purged_ms)
    body = json.dumps({"operation": "page"})
    deployment.add("record_usage", {"tenant": "globex", "body": body})
    eventually(lambda: deployment.server_seconds() * 1000 > purged_ms, "the server's clock to move on")
    usage(deployment, 3)
    assert replay(settings, store, dry=True) == {PURGED: 2, WAITS: 2}
    assert replay(settings, store, judging=False) == {PURGED: 2, SENT: 2}
