"""A file is edited: every process has what it says, whole, or nothing has changed anywhere."""

import asyncio
import multiprocessing
import os
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

import riptide
from riptide.clock import SystemClock
from riptide.config import load
from riptide.config.document import Document
from riptide.errors import ConfigError, EntryTooLarge, InvalidInput, QuotaExceeded
from riptide.reads.assembly import assemble
from riptide.state.live.versions import Version
from tests.support.commands import Effect
from tests.support.deployment import Deployment
from tests.support.hosts import Host, agreed, let_pass, refusal, ttl
from tests.support.purged import dump
from tests.support.waiting import PATIENCE, aeventually, eventually


def has(rt: riptide.RipTide, value: int) -> None:
    eventually(lambda: rt.settings.cache.default_ttl_seconds == value, f"a TTL of {value}")


async def test_every_process_has_it_and_gives_it_back(deployment: Deployment, tmp_path: Path) -> None:
    """Workers, synchronous and asynchronous services."""
    host = Host(deployment, tmp_path, **ttl(60))
    with host.worker() as one, riptide.connect(config=host.file) as rt:
        async with await riptide.aconnect(config=host.file) as art:
            told: list[int] = []

            async def tell(cache: Any) -> None:
                await asyncio.sleep(0)
                told.append(cache.default_ttl_seconds)

            art.state.on_change("cache", tell)
            assert rt.settings.cache.default_ttl_seconds == 60
            assert not rt.state.version
            host.replace(**ttl(77))
            version = await asyncio.to_thread(agreed, rt, 3)
            assert art.state.version == rt.state.version == version
            assert rt.settings.cache.default_ttl_seconds == art.settings.cache.default_ttl_seconds == 77
            await aeventually(_said(lambda: told == [77]), "the consumer to hear of it")
            [apart] = await art.state.diff()
            assert (apart.path, apart.before, apart.after, apart.live) == (
                "cache.default_ttl_seconds",
                "60",
                "77",
                True,
            )
            rt.cache.set("k", 1)
            entries = f"{deployment.prefix}:tenant:*:default:[0-9a-f]*"
            [key] = deployment.client.scan_iter(entries, count=5000)
            assert 60 < deployment.client.ttl(key) <= 78, "what is written lives so long"

            done = await art.wait(await art.state.rollback(), PATIENCE)
            assert done.value["changed"] == ["cache.default_ttl_seconds"]
            await asyncio.to_thread(agreed, rt, 3, 3)
            assert art.settings.cache.default_ttl_seconds == 60
            history = await art.state.history()
            assert [one.number for one in history.versions] == [3, 2, 1]
            assert history.versions[0].digest == history.versions[2].digest
            assert history.versions[0].origin.startswith("back to version 1, by ")
        eventually(lambda: len(rt.state.members()) == 2, "the asynchronous service to be off the list")
    assert "configuration switched" in one.log


def test_no_secret_goes_to_the_server_and_each_puts_its_own_variables_in(
    on_valkey: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(on_valkey, tmp_path, **ttl("${OUR_TTL:-60}"))
    monkeypatch.setenv("OUR_TTL", "5")
    secrets = {"blobs": {"s3_secret_access_key": "hunter2"}, "redis": {"password": "${OUR_PASSWORD:-}"}}
    with host.worker(OUR_TTL="6") as worker, riptide.connect(config=host.file) as rt:
        host.write(cache={"default_ttl_seconds": "${OUR_TTL:-61}", "stale_seconds": 9}, **secrets)
        agreed(rt, 2)
        assert rt.settings.cache.default_ttl_seconds == 5
        assert rt.settings.cache.stale_seconds == 9
        given = rt.state.history().versions[0].document.given
        assert given["cache.default_ttl_seconds"] == "${OUR_TTL:-61}"
        monkeypatch.setenv("CACHE_DEFAULT_TTL_SECONDS", "7")
        host.write(cache={"default_ttl_seconds": 100, "stale_seconds": 8}, **secrets)
        eventually(lambda: rt.settings.cache.stale_seconds == 8, "the next version")
        assert rt.settings.cache.default_ttl_seconds == 7, "the environment wins over every version"
        stored = repr(dump(on_valkey)).encode() + b"".join(
            file.read_bytes() for file in (tmp_path / "blobs").rglob("*") if file.is_file()
        )
        assert b"default_ttl_seconds" in stored
        assert b"hunter2" not in stored
        assert b"hunter2" not in worker.log.encode()


def test_what_is_half_written_or_wrong_changes_nothing(on_valkey: Deployment, tmp_path: Path) -> None:
    host = Host(on_valkey, tmp_path, **ttl(60))
    good = host.text(**ttl(61))
    with host.worker() as worker, riptide.connect(config=host.file) as rt:
        # Somebody has it open, and takes his time: every part of it that stands there is valid.
        with host.file.open("w") as writer:
            half = good[: good.index("  cache:\n")]
            writer.write(half)
            writer.flush()
            let_pass()
            assert not rt.state.history().versions
            writer.write(good[len(half) :])
        has(rt, 61)
        before = agreed(rt, 2)
        for text, why in (
            ("", "it is empty"),
            (good[: good.index("  workers:\n")], "the beginning of what it was"),
            (good.rstrip("\n"), "its last line does not end"),
            (host.text(**ttl("soon")), "'soon' is not valid"),
            ("persistence: [\n", "is not YAML"),
            (
                host.text(schedule={"entries": {"x": {"every": "1h", "command": "no"}}}),
                "no command is of type",
            ),
            (host.text(cache={"loader_allowed_hosts": ["a b"]}), "loader_allowed_hosts"),
        ):
            host.file.write_text(text)
            assert str(host.file) in refusal(rt, why).origin
            assert rt.state.history().current == before
        assert worker.log.count("is not taken over; the old one stays") == 7
        assert rt.settings.cache.default_ttl_seconds == 61
        host.write(**ttl(62))
        has(rt, 62)
        assert rt.state.history().refused is None
        # What was meant although it looks cut off.
        short = host.text(**ttl(62))
        host.file.write_text(short[: short.index("  workers:\n")])
        refusal(rt, "run 'riptide config apply'")
        assert rt.wait(rt.state.apply(host.file), PATIENCE).state == "done"
        assert "workers.modules" not in rt.state.history().versions[0].document.given


def test_hosts_with_different_files_do_not_take_turns(on_valkey: Deployment, tmp_path: Path) -> None:
    one = Host(on_valkey, tmp_path, "one", **ttl(60))
    two = Host(on_valkey, tmp_path, "two", cache={"default_ttl_seconds": 60, "stale_seconds": 4})
    with one.worker() as first, two.worker(), riptide.connect(config=one.file) as rt:
        one.write(**ttl(61))
        agreed(rt, 3, 2)
        for host in (one, two):
            os.utime(host.file)
        let_pass()
        assert rt.state.history().current.startswith("2-"), "the other's file says otherwise, and is silent"
        two.write(cache={"default_ttl_seconds": 62, "stale_seconds": 5})
        agreed(rt, 3, 3)
        assert (rt.settings.cache.default_ttl_seconds, rt.settings.cache.stale_seconds) == (62, 5)
        # It starts anew, with the file that it had: that is no change.
        first.terminate()
        assert first.wait() == 0
        with one.worker() as again:
            agreed(rt, 3, 3)
            again.terminate()
            assert again.wait() == 0
        # Edited while nobody watched: that is one.
        one.write(**ttl(63))
        with one.worker():
            agreed(rt, 3, 4)
            assert rt.settings.cache.default_ttl_seconds == 63
            one.write(**ttl(61))
            agreed(rt, 3, 5)
        # So is one that brings back what such an edit said before.
        one.write(**ttl(63))
        with one.worker():
            agreed(rt, 3, 6)
        # A host that is new to the deployment takes what the others have.
        three = Host(on_valkey, tmp_path, "three", **ttl(99))
        with three.worker(), riptide.connect(config=three.file) as late:
            has(late, 63)
            agreed(rt, 4, 6)


def test_a_forked_child_follows_too(on_valkey: Deployment, tmp_path: Path) -> None:
    host = Host(on_valkey, tmp_path, **ttl(60))
    with host.worker(), riptide.connect(config=host.file) as rt:
        eventually(lambda: len(rt.state.members()) == 2, "this process to be listed")
        fork = multiprocessing.get_context("fork")
        ours, theirs = fork.Pipe()
        child = fork.Process(target=_child, args=(rt, theirs))
        child.start()
        eventually(lambda: len(rt.state.members()) == 3, "the child to be listed")
        host.write(**ttl(61))
        assert ours.poll(PATIENCE)
        assert ours.recv() == 61
        child.join(PATIENCE)
        has(rt, 61)


def _child(rt: riptide.RipTide, theirs: Connection) -> None:
    has(rt, 61)
    theirs.send(rt.settings.cache.default_ttl_seconds)
    os._exit(0)


def test_what_is_live_is_applied_and_the_rest_is_named(on_valkey: Deployment, tmp_path: Path) -> None:
    into = on_valkey.prefix
    host = Host(on_valkey, tmp_path, tenant={"enabled": True})
    with host.worker() as worker, riptide.connect(config=host.file) as rt:
        rt.tenants.create("acme")
        rt.cache.set("k", "x" * 3000, tenant="acme", namespace="n")
        slow = rt.publish(Effect(into=into, seconds=0.3))
        assert rt.wait(slow, PATIENCE).state == "done"
        assert {quota.standing.limit for quota in rt.quotas.show("acme")} >= {1000, 100}
        host.write(
            tenant={"enabled": True, "default_ops_quota": 3, "default_memory_quota": "1KiB"},
            cache={"max_entry_size_bytes": "2KiB", "enable_compression": False},
            state={"session_timeout_seconds": 77},
            workers={"handler_timeouts": {"effect": 0.1}, "max_attempts": 1, "concurrency": 3},
            log={"format": "json"},
            schedule={
                "entries": {"often": {"every": 1, "command": "effect", "body": {"into": f"{into}:often"}}}
            },
            redis={"pool_size": 7},
        )
        agreed(rt, 2)
        assert [rt.quotas.check("acme", {"operations_per_minute": 1}).allowed for _ in range(4)] == [
            *[True] * 3,
            False,
        ]
        assert rt.sessions.create("ada", tenant="acme").ttl_seconds == 77
        with pytest.raises(EntryTooLarge):
            rt.cache.set("k", b"x" * 3000, tenant="acme", namespace="n")
        with pytest.raises(QuotaExceeded):
            rt.cache.set("k", b"x" * 2000, tenant="acme", namespace="n")
        letter = rt.wait(rt.publish(Effect(into=into, seconds=600)), PATIENCE)
        assert letter.state == "dead"
        assert "longer than 0.1 s" in (letter.error or "")
        eventually(lambda: on_valkey.starts(f"{into}:often"), "the new schedule to run")
        eventually(lambda: '"event": "scheduled"' in worker.log, "the new form of the log")
        assert rt.state.needs_restart == ("redis.pool_size",)
        assert rt.settings.redis.pool_size == 10
        eventually(lambda: "taken over at the next restart" in worker.log, "the worker to name it")


def test_as_many_handlers_run_as_the_file_says_now(on_valkey: Deployment, tmp_path: Path) -> None:
    into = on_valkey.prefix

    def starts() -> int:
        return len(on_valkey.starts(into))

    # A worker that lost its lease would start all of them again.
    lease = {"lease_seconds": PATIENCE}
    host = Host(on_valkey, tmp_path, workers={"concurrency": 1} | lease)
    with host.worker() as worker, riptide.connect(config=host.file) as rt:
        refs = [rt.publish(Effect(into=into, seconds=600), tenant=f"t{number}") for number in range(4)]
        eventually(lambda: starts() == 1, "one to run")
        host.write(workers={"concurrency": 3} | lease)
        eventually(lambda: starts() == 3, "three to run")
        host.write(workers={"concurrency": 2, "handler_timeouts": {"effect": 0.5}} | lease)
        agreed(rt, 2, 3)
        assert starts() == 3, "what runs goes on"
        [member] = [one for one in rt.workers() if one.process]
        assert member.running["effect"] == 3
        assert len(refs) == 4
        worker.kill()


def test_commands_are_accepted_in_the_order_of_the_stream(on_valkey: Deployment, tmp_path: Path) -> None:
    """Two wait while no worker serves them: the later wins, even if the earlier is carried out again."""
    host = Host(on_valkey, tmp_path, **ttl(60))
    with riptide.connect(config=host.file) as rt:
        host.write(**ttl(61))
        earlier = rt.state.apply(host.file)
        host.write(**ttl(62))
        later = rt.state.apply(host.file)
        with host.worker():
            assert rt.wait(later, PATIENCE).state == "done"
            assert rt.wait(earlier, PATIENCE).final
            has(rt, 62)
            versions: list[Version] = rt.state.history().versions
            accept = rt.state._configuration.versions.accept
            old = versions[-1]
            assert rt.store.run(accept(earlier.entry_id, old.document, "again"))[0] == "late"
            # Late, if a worker has offered what the file says, having come between the two.
            repeated, current = rt.store.run(accept(later.entry_id, versions[0].document, "again"))
            assert repeated in {"same", "late"}
            assert current == versions[0].id
            number = int(rt.state.history().current.partition("-")[0])
            agreed(rt, 2, number)
            assert rt.settings.cache.default_ttl_seconds == 62


def test_an_offer_that_took_long_does_not_outlive_the_edit_after_it(
    on_valkey: Deployment, tmp_path: Path
) -> None:
    """The blob store keeps one process waiting; meanwhile another has offered what the file says now."""
    host = Host(on_valkey, tmp_path, **ttl(60))
    configuration = assemble(None, load(host.file)).configuration
    watcher = configuration.watcher(SystemClock())
    at_it, answers = threading.Event(), threading.Event()
    put = watcher._offering._put

    def slowly(name: str, document: Document) -> None:
        at_it.set()
        assert answers.wait(PATIENCE)
        put(name, document)

    watcher._offering._put = slowly  # type: ignore[method-assign]
    watcher.start()
    try:
        with riptide.connect(config=host.file) as rt:
            known = rt.state._configuration.versions._known(watcher._origin)
            eventually(lambda: on_valkey.client.exists(known), "it to have joined")
            host.write(**ttl(61))
            assert at_it.wait(PATIENCE)
            host.write(**ttl(62))
            with host.worker():
                has(rt, 62)
                answers.set()

                def said() -> list[Any]:
                    return [
                        one.document.given["cache.default_ttl_seconds"] for one in rt.state.history().versions
                    ]

                eventually(lambda: said()[:2] == ["62", "61"], "the late offer, and what the file says")
                agreed(rt, 2, 4)
                has(rt, 62)
    finally:
        answers.set()
        watcher.stop()
        watcher.join(PATIENCE)
    assert not watcher.is_alive()


def test_a_reload_that_names_something_else_is_refused(on_valkey: Deployment, tmp_path: Path) -> None:
    host = Host(on_valkey, tmp_path, **ttl(60))
    with riptide.connect(config=host.file) as rt, host.worker():
        blobs = tmp_path / "blobs"
        blobs.mkdir()
        (blobs / "evil").write_text("{}")
        for blob, digest, why in (
            ("../../etc/passwd", "0" * 64, "no name of a blob"),
            ("evil", "0" * 64, "its SHA-256 differs"),
        ):
            status = rt.wait(rt.publish(riptide.Reload(blob=blob, content_hash=digest)), PATIENCE)
            assert status.state == "dead"
            assert why in (status.error or "")
            refusal(rt, why)
        gone = rt.publish(riptide.Reload(blob="config/none.json", content_hash="0" * 64))
        assert "there is no blob" in (rt.wait(gone, PATIENCE).error or "")
        assert not rt.state.history().current


def test_wrong_questions_are_answered(on_valkey: Deployment, tmp_path: Path) -> None:
    host = Host(on_valkey, tmp_path)
    with riptide.connect(config=host.file) as rt:
        with pytest.raises(InvalidInput, match="there is no section 'cash'"):
            rt.state.on_change("cash", print)
        for call in (rt.state.diff, rt.state.rollback):
            with pytest.raises(InvalidInput, match="no version of the configuration yet"):
                call()
        for number in (0, -1, True, 10**30, "1"):
            with pytest.raises(InvalidInput, match="there is no version"):
                rt.state.rollback(number)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="cannot be read"):
            rt.state.apply(tmp_path / "none.yml")


def _said(condition: Any) -> Any:
    async def asked() -> bool:
        return bool(condition())

    return asked


def test_many_edits_under_load(on_valkey: Deployment, tmp_path: Path) -> None:
    """Thirty in about a second, every third invalid: all end on the same valid version, and nothing fails."""
    into = on_valkey.prefix
    host = Host(on_valkey, tmp_path, **ttl(60))
    with host.worker() as one, host.worker() as two, riptide.connect(config=host.file) as rt:
        refs = []
        for number in range(1, 31):
            if number % 3 == 0:
                text = host.text(**ttl("soon"))[: -number * 3] if number % 2 else "cache: [\n"
                host.file.write_text(text)
            elif number % 2:
                host.replace(**ttl(1000 + number))
            else:
                host.write(**ttl(1000 + number))
            until = time.monotonic() + 1 / 30  # the pace of the edits
            while time.monotonic() < until:
                refs.append(rt.publish(Effect(into=into)))
                rt.cache.set("k", number)
                assert rt.cache.get("k") == number
        host.write(**ttl(2000))

        def all_have_it() -> bool:
            """A late offer may have come after it, and then it has been said again."""
            history, members = rt.state.history(), rt.state.members()
            said = [one.document.given["cache.default_ttl_seconds"] for one in history.versions[:1]]
            same = len(members) == 3 and {one.config for one in members} == {history.current}
            return same and said == ["2000"]

        eventually(all_have_it, "all to have what the file says in the end")
        has(rt, 2000)
        assert {rt.wait(ref, PATIENCE).state for ref in refs} == {"done"}
        accepted = [version.document.given for version in rt.state.history().versions]
        assert {given["cache.default_ttl_seconds"] for given in accepted} <= {
            "60",
            "2000",
            *(str(1000 + number) for number in range(30) if number % 3),
        }
        for worker in (one, two):
            assert worker.returncode is None
            assert "Traceback" not in worker.log
