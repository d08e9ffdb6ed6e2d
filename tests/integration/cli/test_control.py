"""`riptide workers`, `quiet`, `pause`, `resume`, `cancel`, and publishing for later."""

import json
import os
import pty
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from riptide.cli.times import moment, span
from riptide.errors import InvalidInput
from tests.integration.cli.conftest import Cli
from tests.support.deployment import Deployment
from tests.support.waiting import PATIENCE, eventually
from tests.support.workers import RIPTIDE, WorkerProcess, environment, write_config

#: A worker that stands still for a while keeps its name, and starts nothing again.
STEADY = {"lease_seconds": PATIENCE}


def body(deployment: Deployment, **fields: object) -> str:
    return json.dumps({"into": deployment.prefix} | fields)


def test_pausing_and_quieting(deployment: Deployment, riptide: Cli, tmp_path: Path) -> None:
    assert riptide("workers").out.strip() == "no workers"
    with WorkerProcess(deployment, tmp_path, workers=STEADY) as worker:
        [member] = riptide("workers", "--json").json
        assert (member["name"], member["pid"], member["quiet"]) == (worker.names[0], worker.pid, None)
        assert member["commands"] == ["bulk", "effect", "noop"]
        assert riptide("pause", "effect", "--why", "the [origin] is down").out.strip() == "effect is paused"
        assert (
            riptide("pause", "effect", "--why", "the [origin] is down").out.strip()
            == "effect was paused already"
        )
        shown = riptide("streams").out
        assert "effect is paused since" in shown
        assert ": the [origin] is down" in shown
        rows = {row["kind"]: row["paused"] for row in riptide("streams", "--json").json}
        assert rows["effect"]["why"] == "the [origin] is down"
        assert rows["noop"] is None
        assert riptide("resume", "effect").out.strip() == "effect goes on"
        assert riptide("resume", "effect").out.strip() == "effect was not paused"
        assert "is paused" not in riptide("streams").out

        host = member["name"].split(".")[0]
        assert riptide("quiet", host).out.strip() == f"{member['name']} starts nothing more"
        assert "quiet, by" in riptide("workers").out
        assert riptide("workers", "--json").json[0]["quiet"]["by"].count("@") == 1
        assert "goes on" in riptide("quiet", "--end", host).out
        assert "was not quiet" in riptide("quiet", "--end", host).out


def test_for_later_and_never(deployment: Deployment, riptide: Cli, tmp_path: Path) -> None:
    later = riptide("publish", "effect", "--body", body(deployment), "--delay", "1h30m").out.strip()
    at = (datetime.now(UTC) + timedelta(hours=2)).replace(microsecond=0)
    zoned = at.astimezone().isoformat()
    then = riptide("publish", "effect", "--body", body(deployment), "--at", zoned, "--json").json["ref"]
    shown = riptide("command", then, "--json").json
    assert (shown["state"], shown["due"]) == ("scheduled", at.strftime("%Y-%m-%d %H:%M:%S"))
    for _ in range(2):
        cancelled = riptide("cancel", later, "--json")
        assert (cancelled.code, cancelled.json) == (0, {"ref": later, "state": "cancelled"})
    assert riptide("command", later).code == 1
    with WorkerProcess(deployment, tmp_path, workers=STEADY):
        ended = riptide(
            "publish", "effect", "--body", body(deployment), "--delay", "0.5", "--wait", "30", "--json"
        )
        assert (ended.code, ended.json["state"]) == (0, "done")
        assert riptide("cancel", ended.json["ref"]).code == 1
        runs = riptide("publish", "effect", "--body", body(deployment, seconds=60)).out.strip()
        eventually(lambda: len(deployment.starts(deployment.prefix)) == 2, "its start")
        assert riptide("cancel", runs).code == 3
        assert riptide("cancel", "noop.10.1-1").code == 4
    assert riptide("command", then, "--json").json["state"] == "scheduled"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pause", "nonsense"], "no command is of type 'nonsense'"),
        (["resume", "nonsense"], "no command is of type 'nonsense'"),
        (["quiet", "nonsense"], "no worker is called 'nonsense'; there are: none"),
        (["quiet", "--end", b"\xff"], "no worker"),
        (["cancel", "nonsense"], "is not a reference"),
        (["publish", "noop", "--delay", "soon"], "--delay"),
        (["publish", "noop", "--at", "tomorrow"], "--at"),
        (["publish", "noop", "--delay", "9000d"], "366 days"),
        (["publish", "noop", "--delay", "1", "--at", "2026-11-21T12:00Z"], "either delay or at"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(
    riptide_on_valkey: Cli, arguments: list[str | bytes], said: str
) -> None:
    shown = riptide_on_valkey(*arguments)
    assert (shown.code, said in shown.err) == (2, True), shown.err
    assert len(shown.err.strip().splitlines()) == 1


def test_progress_is_shown_on_a_terminal(on_valkey: Deployment, tmp_path: Path) -> None:
    """While waiting; and by `riptide command`, as text."""
    seen = tmp_path / "seen"
    told = {"into": str(seen), "how": "seen"}
    reader, writer = pty.openpty()
    with WorkerProcess(on_valkey, tmp_path):
        run = subprocess.Popen(
            [RIPTIDE, "publish", "effect", "--body", json.dumps(told), "--wait", "30"],
            env=environment(on_valkey, write_config(tmp_path / "riptide.yml"))
            | {"COLUMNS": "120", "TERM": "xterm"},
            stdout=subprocess.PIPE,
            stderr=writer,
        )
        os.close(writer)
        shown = b""
        while chunk := _read(reader):
            shown += chunk
            if b"half way" in shown and b"50%" in shown:
                seen.touch()
        out, _ = run.communicate(timeout=PATIENCE)
    os.close(reader)
    assert run.returncode == 0
    assert b"state        done" in out
    assert b"half way" in shown
    assert b"50%" in shown


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how Linux says that the other end is closed
        return b""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("1.5", 1.5),
        ("30s", 30),
        ("5m", 300),
        ("5min", 300),
        ("1h30m", 5400),
        ("2d", 172800),
        ("1w", 604800),
    ],
)
def test_spans_of_time(text: str, seconds: float) -> None:
    assert span("--delay", text) == seconds


@pytest.mark.parametrize("text", ["", "m", "5 m", "-5", "1e3", "5x", "5m3"])
def test_what_is_no_span_of_time(text: str) -> None:
    with pytest.raises(InvalidInput, match="--delay"):
        span("--delay", text)


def test_times() -> None:
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    for text in ("2026-11-21T12:00Z", "2026-11-21T12:00", "2026-11-21T13:00+01:00", "2026-11-21 12:00:00Z"):
        assert moment("--at", text) == noon
