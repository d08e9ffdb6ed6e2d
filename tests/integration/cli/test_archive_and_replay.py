"""`riptide archive` and `riptide replay`, as an operator uses them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from riptide.state.archive.names import segments
from riptide.state.blobs import open_blobs
from tests.integration.cli.conftest import Cli, Shown
from tests.servers import ServerProcess
from tests.support.archives import archive_settings, archiving, wait_archived
from tests.support.deployment import Deployment
from tests.support.waiting import PATIENCE, eventually
from tests.support.workers import ROOT, WorkerProcess, environment, write_config

STREAMS = {"archive_types": ["bulk"], "archive_seconds": 0.05}


def cli_for(deployment: Deployment, directory: Path) -> Cli:
    """The command line with the archive of the workers beside it."""
    found = Cli(deployment, directory)
    write_config(directory / "riptide.yml", streams=STREAMS)
    return found


def publish(deployment: Deployment, count: int) -> list[str]:
    return [
        deployment.add("bulk", {"tenant": f"t{n % 2}", "body": json.dumps({"into": deployment.prefix})})
        for n in range(count)
    ]


@pytest.mark.timeout(600)  # some twenty processes, one after the other
def test_workers_archive_and_operators_see_it(deployment: Deployment, tmp_path: Path) -> None:
    riptide = cli_for(deployment, tmp_path)
    publish(deployment, 20)
    fresh = riptide("archive", "status", "--json").json
    assert fresh["types"][0]["lag"] == 20
    by_type = {row["kind"]: row["archive"] for row in riptide("streams", "--json").json}
    assert by_type.pop("bulk")["lag"] == 20
    assert not any(by_type.values()), "the others are not archived"
    assert "archive" in riptide("streams").out
    assert riptide("archive", "list").out.startswith("no segments")
    with WorkerProcess(deployment, tmp_path, streams=STREAMS):
        eventually(lambda: riptide("archive", "status", "--json").json["types"][0]["lag"] == 0, "the archive")
        eventually(lambda: len(deployment.done(deployment.prefix)) == 20, "the work")

        def held() -> list[Shown]:
            shown = riptide("archive", "status", "--json")
            return [shown] if shown.json["types"][0]["workers"] else []

        status = eventually(held, "somebody to hold it")[0].json
        [kind] = status["types"]
        assert status["place"] == str(tmp_path / "blobs")
        assert (kind["type"], kind["archived"], kind["oldest_seconds"]) == ("bulk", 20, None)
        assert len(kind["workers"]) == 1
        assert "bulk" in riptide("archive", "status").out
    listed = riptide("archive", "list", "--json").json
    assert listed
    assert {row["type"] for row in listed} == {"bulk"}
    assert "bulk" in riptide("archive", "list").out
    verified = riptide("archive", "verify", "--json")
    assert (verified.code, verified.json["entries"], verified.json["problems"]) == (0, 20, [])

    # From the archive, as from the stream, once.
    chosen = ("replay", "--type", "bulk", "--cursor", str(tmp_path / "cursor"))
    dry = riptide(*chosen, "--from", "archive", "--dry-run", "--json").json
    assert sorted((row["tenant"], row["outcome"], row["commands"]) for row in dry["commands"]) == [
        ("t0", "would be sent", 10),
        ("t1", "would be sent", 10),
    ]
    assert riptide(*chosen, "--from", "archive", "--tenant", "t0", "--json").json["sent"] == 10
    assert "10 commands sent" in riptide(*chosen).out
    assert "0 commands sent" in riptide(*chosen).out
    assert len(deployment.entries("bulk")) == 40


def test_damage_and_gaps_are_named(on_valkey: Deployment, tmp_path: Path) -> None:
    riptide, settings = cli_for(on_valkey, tmp_path), archive_settings(on_valkey, tmp_path, "bulk")
    for _ in range(3):
        publish(on_valkey, 5)
        with archiving(settings):
            wait_archived(settings, "bulk")
    first, second, third = segments(open_blobs(settings.blobs), settings.cache.key_prefix, "bulk")
    (tmp_path / "blobs" / second.name).unlink()
    broken = tmp_path / "blobs" / third.name
    broken.write_bytes(broken.read_bytes()[:-1])
    verified = riptide("archive", "verify", "--json")
    assert verified.code == 1
    assert third.name in verified.json["problems"][0]
    broken.unlink()
    assert riptide("archive", "verify").code == 0, "what is missing at the end nobody can tell"
    publish(on_valkey, 5)
    with archiving(settings):
        wait_archived(settings, "bulk")
    gaps = riptide("archive", "verify", "--json").json["problems"]
    assert gaps == [f"bulk.10: entries after {first.last} up to {third.last} are missing"]


def test_a_damaged_segment_stops_a_replay_before_anything_of_it_is_sent(
    on_valkey: Deployment, tmp_path: Path
) -> None:
    riptide, settings = cli_for(on_valkey, tmp_path), archive_settings(on_valkey, tmp_path, "bulk")
    publish(on_valkey, 5)
    with archiving(settings):
        wait_archived(settings, "bulk")
    [segment] = segments(open_blobs(settings.blobs), settings.cache.key_prefix, "bulk")
    file = tmp_path / "blobs" / segment.name
    content = bytearray(file.read_bytes())
    content[-30] ^= 1
    file.write_bytes(content)
    shown = riptide("replay", "--from", "archive", "--all", "--cursor", str(tmp_path / "cursor"))
    assert shown.code == 1
    assert segment.name in shown.err
    assert len(on_valkey.entries("bulk")) == 5


def test_usage_that_is_counted_needs_again_and_a_yes(on_valkey: Deployment, tmp_path: Path) -> None:
    riptide = cli_for(on_valkey, tmp_path)
    body = json.dumps({"operation": "page"})
    for _ in range(3):
        on_valkey.add("record_usage", {"tenant": "acme", "body": body})
    key = on_valkey.keys.commands("record_usage", "10")
    on_valkey.client.xgroup_create(key, "workers", id="0")
    on_valkey.client.xreadgroup("workers", "me", {key: ">"}, noack=True)
    chosen = ("replay", "--type", "record_usage", "--cursor", str(tmp_path / "cursor"))
    assert "counted already" in riptide(*chosen).out
    assert riptide(*chosen, "--again", stdin="n\n").code == 1
    assert len(on_valkey.entries("record_usage")) == 3
    assert "3 commands sent" in riptide(*chosen, "--again", stdin="y\n").out
    assert riptide(*chosen, "--again", "--yes", "--json").json["sent"] == 3, "again is again"
    assert len(on_valkey.entries("record_usage")) == 9


def test_what_is_asked_for_must_make_sense(on_valkey: Deployment, tmp_path: Path) -> None:
    riptide, cursor = cli_for(on_valkey, tmp_path), ("--cursor", str(tmp_path / "cursor"))
    wrong: list[tuple[Shown, str]] = [
        (riptide("replay"), "say which"),
        (riptide("replay", "--type", "nonsense", *cursor), "no command is of type 'nonsense'"),
        (riptide("replay", "--from", "archive", "--type", "nonsense", *cursor), "of type 'nonsense'"),
        (riptide("archive", "list", "--type", "nonsense"), "of type 'nonsense'"),
        (riptide("archive", "verify", "--type", "a b"), "of type 'a b'"),
        (riptide("replay", "--since", "soon", *cursor), "is no time"),
        (riptide("replay", "--since", "999999w", *cursor), "is no time"),
        (riptide("replay", "--all", "--cursor", str(tmp_path / "no" / "cursor")), "nothing can be written"),
        (riptide("replay", "--resume", *cursor), "nothing can be resumed"),
        (riptide("replay", "--all", "--into", "http://x", *cursor), "scheme"),
    ]
    for shown, text in wrong:
        assert shown.code == 2, shown.err
        assert text in shown.err


def test_an_interrupted_one_is_resumed(on_valkey: Deployment, tmp_path: Path) -> None:
    """Ctrl-C in the middle; the rest is sent by --resume, and nothing twice."""
    riptide, cursor = cli_for(on_valkey, tmp_path), tmp_path / "cursor"
    publish(on_valkey, 1200)
    key = on_valkey.keys.commands("bulk", "10")
    on_valkey.client.xgroup_create(key, "workers", id="0")
    on_valkey.client.xreadgroup("workers", "me", {key: ">"}, noack=True)
    command = [sys.executable, str(ROOT / "scripts" / "replay.py"), "--type", "bulk", "--rate", "50"]
    given = environment(on_valkey, tmp_path / "riptide.yml")
    with subprocess.Popen([*command, "--cursor", str(cursor)], env=given, cwd=tmp_path) as process:
        eventually(lambda: cursor.exists() and on_valkey.client.xlen(key) > 1200, "the first page")
        process.kill()
        process.wait(PATIENCE)
    part = on_valkey.client.xlen(key)
    assert part < 2400
    assert riptide("replay", "--type", "bulk", "--cursor", str(cursor)).code == 2, (
        "--resume, or delete the file"
    )
    assert riptide("replay", "--resume", "--cursor", str(cursor)).code == 0
    assert on_valkey.client.xlen(key) == 2400
    assert not cursor.exists()


def test_into_another_server(on_valkey: Deployment, alone: Deployment, tmp_path: Path) -> None:
    riptide = cli_for(on_valkey, tmp_path)
    publish(on_valkey, 10)
    alone.prefix, alone.keys = on_valkey.prefix, on_valkey.keys
    chosen = ("replay", "--all", "--cursor", str(tmp_path / "cursor"), "--json")
    assert riptide(*chosen, "--into", alone.url).json["sent"] == 10
    assert riptide(*chosen, "--into", alone.url).json["sent"] == 0
    assert len(alone.entries("bulk")) == 10
    here = riptide(*chosen, "--into", on_valkey.url.replace("127.0.0.1", "localhost")).json
    assert [row["outcome"] for row in here["commands"]] == ["still to be carried out"] * 2, "it is this one"
    assert len(on_valkey.entries("bulk")) == 10


def test_the_archive_outlives_its_server(
    on_valkey: Deployment, private_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    lost = private_server(aof=False)
    gone = Deployment(lost.url, on_valkey.prefix)
    riptide, settings = cli_for(gone, tmp_path), archive_settings(gone, tmp_path, "bulk")
    publish(gone, 10)
    with archiving(settings):
        wait_archived(settings, "bulk")
    gone.close()
    lost.kill()
    chosen = ("replay", "--from", "archive", "--all", "--cursor", str(tmp_path / "cursor"), "--json")
    assert riptide(*chosen, "--into", on_valkey.url).json["sent"] == 10
    assert len(on_valkey.entries("bulk")) == 10


def test_a_worker_is_told_of_a_type_that_does_not_exist(on_valkey: Deployment, tmp_path: Path) -> None:
    riptide = Cli(on_valkey, tmp_path)
    write_config(tmp_path / "riptide.yml", streams={"archive_types": ["usage"]})
    shown = riptide("worker")
    assert (shown.code, "unknown command types: usage" in shown.err) == (2, True)


def test_the_secret_of_another_server_is_not_saved(on_valkey: Deployment, tmp_path: Path) -> None:
    riptide, cursor = cli_for(on_valkey, tmp_path), tmp_path / "cursor"
    publish(on_valkey, 1)
    url = "redis://:hidden-word@127.0.0.1:1"
    shown = riptide("replay", "--all", "--into", url, "--cursor", str(cursor))
    assert shown.code == 1
    assert "hidden-word" not in shown.err + (cursor.read_text() if cursor.exists() else "")
