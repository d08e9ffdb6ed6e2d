"""The benchmark of the peers judges rightly: a comparison that cannot be lost would be worth nothing."""

import sys
from pathlib import Path

import pytest

from scripts.bench.peer import environments
from scripts.bench.peer.apps import job
from scripts.bench.peer.catalog import BATCH, PEERS, RIPTIDE, Peer, choose
from scripts.bench.peer.environments import Unusable, find_python, last_line, programs_of
from scripts.bench.peer.killing import KILLED, WAITING, Aftermath, judge
from scripts.bench.peer.table import COLUMNS, Figures, reach_of, row, verdict
from scripts.bench.peer.throughput import rate

OURS = next(peer for peer in PEERS if peer.name == RIPTIDE)
ARDIQ, ARQ = (next(peer for peer in PEERS if peer.name == name) for name in ("ardiq", "arq"))


def cells(peer: Peer, figures: Figures, ours: dict[int, float]) -> dict[str, str]:
    return dict(zip(COLUMNS, row(peer, figures, ours, 30), strict=True))


def test_every_app_of_the_catalog_is_there() -> None:
    apps = {path.stem for path in Path(job.__file__).parent.glob("on_*.py")}
    assert apps == {peer.app for peer in PEERS}
    assert len({peer.name for peer in PEERS}) == len(PEERS)


def test_every_peer_is_pinned() -> None:
    assert all("==" in package for peer in PEERS for package in peer.packages)


def test_a_choice_keeps_riptide_and_refuses_who_is_unknown() -> None:
    assert [peer.name for peer in choose("ARQ, raw")] == ["raw loop", RIPTIDE, "arq", "arq, tuned"]
    assert choose(None) == list(PEERS)
    with pytest.raises(SystemExit, match="no peer is called rq"):
        choose("rq,arq")


def test_the_rate_leaves_out_the_first_tenth_and_the_end() -> None:
    samples = [(0.0, 10), (5.0, 100), (6.0, 300), (7.0, 500), (8.0, 900), (20.0, 1000)]
    assert rate(samples, 1000) == pytest.approx(800 / 3)


def test_the_rate_of_a_slow_one_is_that_of_all_that_was_seen() -> None:
    assert rate([(0.0, 0), (1.0, 42), (2.0, 84)], 1000) == 42
    assert rate([(0.0, 1000)], 1000) == 0


def test_the_ratio_pairs_the_rounds_that_both_have() -> None:
    figures = Figures(rates={2: 10.0, 3: 20.0})
    shown = cells(ARQ, figures, {1: 1.0, 2: 200.0, 3: 300.0})
    assert shown["RipTide's ratio"] == "17.50"
    assert shown["of rounds"] == "15.00 - 20.00"
    assert shown["reach"] == ">= 10: yes"


def test_a_reach_that_is_missed_is_said() -> None:
    figures = {RIPTIDE: Figures(rates={1: 90.0}), "arq": Figures(rates={1: 10.0})}
    assert verdict([OURS, ARQ], figures) == (False, ["arq: 9.00 x where >= 10 x is the reach"])
    assert cells(ARQ, figures["arq"], figures[RIPTIDE].rates)["reach"] == ">= 10: no"


def test_ardiq_has_a_reach_of_its_own_and_batches_have_none() -> None:
    assert (reach_of(ARDIQ), reach_of(ARQ)) == (3, 10)
    assert [peer.name for peer in PEERS if peer.packages and peer.acknowledges == BATCH] == [
        peer.name for peer in PEERS if peer.packages and reach_of(peer) is None
    ]


def test_who_fails_is_named_with_the_reason() -> None:
    figures = {RIPTIDE: Figures(rates={1: 90.0}), "arq": Figures(problems=["installing: no such version"])}
    assert verdict([OURS, ARQ], figures) == (True, ["arq: installing: no such version"])
    assert cells(ARQ, figures["arq"], {1: 90.0})["commands/s"] == "-"


def test_nothing_is_reached_where_riptide_has_no_figure() -> None:
    assert not verdict([OURS], {RIPTIDE: Figures()})[0]


def test_the_aftermath_of_a_kill() -> None:
    starts = [
        (0, KILLED, 99.0),
        (1, KILLED, 99.5),
        (2, KILLED, 99.6),
        (1, WAITING, 102.5),
        (1, WAITING, 110.0),
        (3, WAITING, 101.0),
    ]
    aftermath = judge({1, 2}, 100.0, starts, {0: 1, 1: 2, 3: 1}, published=5)
    assert aftermath == Aftermath(held=2, again=(2.5,), missing=2, doubled=1)


def test_what_comes_late_or_never_is_said() -> None:
    late = Aftermath(held=3, again=(2.25, 12.0), missing=1, doubled=0)
    shown = cells(ARQ, Figures(kills=[late]), {})
    assert shown["kill -> next start"] == "2.2 - 12.0 s, 1 of 3 > 30 s"
    assert (shown["not back"], shown["doubled"]) == ("1", "0")
    never = Aftermath(held=3, again=(), missing=3, doubled=0)
    assert cells(ARQ, Figures(kills=[never]), {})["kill -> next start"] == "> 30 s"


def test_our_own_python_is_taken_if_it_will_do() -> None:
    assert find_python((3, 11)) == Path(sys.base_prefix) / "bin" / "python3"


def test_a_python_that_nobody_has_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "_pythons", lambda _: iter([sys.executable]))
    with pytest.raises(Unusable, match=r"needs Python 3\.99"):
        find_python((3, 99))


def test_riptide_runs_in_the_projects_own_environment(tmp_path: Path) -> None:
    assert programs_of(OURS, tmp_path) == Path(sys.executable).parent
    assert not list(tmp_path.iterdir())


def test_the_reason_is_the_line_that_names_an_error() -> None:
    assert last_line("x\nERROR: no such version\nnote: try again\n\n") == "ERROR: no such version"
    assert last_line("Traceback\nValueError: bad\n") == "ValueError: bad"
    assert last_line("") == "without a word"
