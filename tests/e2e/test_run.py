"""scripts/run as a stranger meets it."""

import re
import signal

import httpx
import pytest

from tests.e2e.conftest import Tree
from tests.support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

WELL = "All went well: nothing was lost, nothing failed, nothing stale was read."
PAGES = 12
CHANGING = 12
# A developer's own settings must not lead the demo to another server, or make it fail.
FOREIGN = {
    "REDIS_URL": "redis://no-such-host:1",
    "REDIS_CLUSTER_MODE": "true",
    "REDIS_PASSWORD": "not-for-here",
    "CACHE_KEY_PREFIX": "foreign",
    "RIPTIDE_CONFIG": "/no/such/file.yml",
}


def figure(out: str, name: str) -> str:
    found = re.search(rf"^  {name} +(.*)$", out, re.MULTILINE)
    assert found, out
    return found[1]


def test_once_ends_well_and_the_next_run_finds_its_data(tree: Tree) -> None:
    outs = []
    for _ in range(2):
        run = tree.launch("scripts/run", "--once", "--pages", str(PAGES), **FOREIGN)
        assert run.end() == 0, run.out + run.err
        assert tree.leftovers() == []
        assert WELL in run.out
        assert run.err == ""
        assert "\x1b" not in run.out
        outs.append(run.out)
        check_figures(run.out)
    first, second = outs
    assert figure(first, "found at start").startswith("0 ")
    assert figure(second, "found at start").startswith(f"{PAGES + CHANGING} ")
    assert re.search(rf"^warm +{PAGES} pages by \d+ commands", first, re.MULTILINE)
    assert re.search(rf"^warm +0 pages by .* {PAGES} were there$", second, re.MULTILINE)


def check_figures(out: str) -> None:
    numbers = re.fullmatch(r"(\d+) published, (\d+) done, 1 refused", figure(out, "commands"))
    assert numbers
    assert int(numbers[1]) == int(numbers[2]) + 1
    stale = re.match(r"0 of ([\d,]+) ", figure(out, "stale reads"))
    assert stale
    # At least each changing page after each of its invalidations, and each invalidated page of the library.
    assert int(stale[1].replace(",", "")) > 50
    share = re.search(r"stored as .* \((\d+)%\)", figure(out, "entries"))
    assert share
    assert 0 < int(share[1]) < 50


@pytest.mark.parametrize(("worker", "problem"), [("invalidate", "stale"), ("warm", "lost")])
def test_workers_that_do_nothing_are_found_out(tree: Tree, worker: str, problem: str) -> None:
    idle = "async def handle(batch, ctx):\n    pass\n"
    (tree.directory / f"workers/{worker}.py").write_text(idle)
    run = tree.launch("scripts/run", "--once", "--pages", str(PAGES))
    assert run.end() == 1
    assert "Not all went well" in run.out
    assert re.search(rf"^  {problem}: ", run.out, re.MULTILINE), run.out + run.err
    assert tree.leftovers() == []


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("starting the embedded server", signal.SIGINT),
        ("starting the workers", signal.SIGTERM),
        ("found", signal.SIGINT),
        ("invalidate by key", signal.SIGTERM),
    ],
)
def test_a_signal_at_any_moment_leaves_no_process(tree: Tree, moment: str, number: signal.Signals) -> None:
    run = tree.launch("scripts/run", "--pages", str(PAGES))
    run.wait_for(moment)
    run.send(number)
    assert run.end() == 128 + number, run.out + run.err
    assert tree.leftovers() == []
    assert run.err == ""
    assert not (tree.directory / ".riptide/valkey.sock").exists()


def test_killed_outright_it_takes_its_processes_along(tree: Tree) -> None:
    run = tree.launch("scripts/run", "--pages", str(PAGES))
    run.wait_for("read ")
    run.process.kill()
    run.end()
    eventually(lambda: not tree.leftovers(), "server, origin and workers to end")


def test_it_goes_on_until_told_to_stop_and_refuses_a_second_run_beside_it(tree: Tree) -> None:
    run = tree.launch("scripts/run", "--pages", str(PAGES))
    run.wait_for("It goes on until Ctrl-C")

    notes = tree.directory / ".riptide/demo"
    port, logs = (notes / "port").read_text(), sorted(notes.glob("*.log"))
    before = {log: log.read_bytes() for log in logs}
    beside = tree.launch("scripts/run", "--once")
    assert beside.end() == 1
    assert ".riptide is in use" in beside.err
    assert "Traceback" not in beside.err
    # It has begun nothing of its own, and all that the first one has is as it was.
    assert beside.out.splitlines() == ["starting the embedded server", "stopping workers, origin and server"]
    assert (notes / "port").read_text() == port
    for log in logs:
        assert log.read_bytes().startswith(before[log])

    found = re.search(r"REDIS_URL=(\S+) (\S+) streams", run.out)
    assert found
    look = tree.launch(str(tree.directory / found[2]), "streams", REDIS_URL=found[1])
    assert look.end() == 0, look.err
    assert "invalidate" in look.out

    api = re.search(r"The HTTP API is at (\S+); ", run.out)
    assert api
    make = ("access", "create", "me", "--role", "admin")
    made = tree.launch(str(tree.directory / found[2]), *make, REDIS_URL=found[1])
    assert made.end() == 0, made.err
    key = {"Authorization": f"Bearer {made.out.strip()}"}
    assert httpx.get(f"{api[1]}/admin/streams", headers=key).json()["streams"]
    assert "rt_" not in (notes / "api.log").read_text()

    run.send(signal.SIGTERM)
    assert run.end() == 0, run.out + run.err
    assert tree.leftovers() == []


def test_when_the_workers_are_killed_it_says_so_and_cleans_up(tree: Tree) -> None:
    run = tree.launch("scripts/run", "--pages", str(PAGES))
    run.wait_for("read ")
    tree.kill("honcho", "start")
    assert run.end() == 1
    assert run.err.startswith("error: ")
    assert "Traceback" not in run.err
    assert tree.leftovers() == []


def test_a_file_in_the_place_of_its_data_is_named(tree: Tree) -> None:
    (tree.directory / ".riptide").touch()
    run = tree.launch("scripts/run", "--once")
    assert run.end() == 1
    assert f"error: {tree.directory}/.riptide is not a directory" in run.err


def test_wrong_options_are_refused_before_anything_starts(tree: Tree) -> None:
    for options in (["--pages", "2"], ["--pages", "many"], ["--twice"]):
        run = tree.launch("scripts/run", *options)
        assert run.end() == 2
        assert "usage: scripts/run" in run.err
    assert not (tree.directory / ".riptide").exists()
