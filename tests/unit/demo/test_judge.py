"""The demo's judge can find fault: a verdict that cannot be bad would be worth nothing."""

import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from riptide import Invalidate, Outgoing
from riptide.errors import ServerUnavailable
from riptide.streams.message import Ref
from riptide.streams.status import Status
from scripts.demo import addresses, orders
from scripts.demo.facts import Facts, Step
from scripts.demo.orders import Orders
from scripts.demo.origin import MODULES, Origin, Page, edition
from scripts.demo.readers import Readers
from scripts.demo.stop import Stop, Stopped

REF = Ref("invalidate", "10", "1-1")


class Cache:
    """Answers what it was told, whatever is true."""

    def __init__(self, answer: bytes | Exception) -> None:
        self.answer = answer

    def get_or_load(self, *_: Any, **__: Any) -> bytes:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def read(answer: bytes | Exception, floor: int) -> Facts:
    facts = Facts()
    page = Page("acme", "http://127.0.0.1:1/acme_news_1.html", floor=floor)
    rt: Any = SimpleNamespace(cache=Cache(answer))
    Readers(rt, Origin("127.0.0.1", 1, Path()), [page], facts).look(page)
    return facts


def test_an_edition_below_the_floor_is_stale() -> None:
    facts = read(b"<p>Edition&nbsp;41</p>", floor=42)
    assert facts.counts == {"stale": 1}
    assert not facts.well


@pytest.mark.parametrize("text", [b"Edition 42", b"Edition&nbsp;43"])
def test_the_floors_edition_and_later_ones_are_fresh(text: bytes) -> None:
    facts = read(text, floor=42)
    assert facts.well
    assert facts.judged == 1


def test_before_the_first_invalidation_nothing_is_judged() -> None:
    facts = read(b"Edition 1", floor=0)
    assert facts.well
    assert facts.judged == 0


def test_a_page_that_does_not_say_its_edition_is_stale() -> None:
    assert read(b"<title>Error</title>", floor=1).counts == {"stale": 1}


def test_a_read_that_fails_is_a_failure() -> None:
    assert read(ServerUnavailable("gone"), floor=0).counts == {"failed": 1}


def carry_out(status: Status, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Facts:
    monkeypatch.setattr(orders, "_PATIENCE_SECONDS", 0)
    facts, step = Facts(), Step("x")
    rt: Any = SimpleNamespace(publish_many=lambda _: [REF], status=lambda _: status)
    outgoing = [Outgoing(Invalidate(keys=("k",)), "acme")]
    Orders(rt, facts, Stop(), lambda: None).carry_out(outgoing, step, **options)
    return facts


@pytest.mark.parametrize(
    ("state", "problem"),
    [("queued", "lost"), ("running", "lost"), ("retrying", "lost"), ("unknown", "lost"), ("dead", "failed")],
)
def test_a_command_that_does_not_end_well_is_a_problem(
    state: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert carry_out(Status(REF, state), monkeypatch).counts == {problem: 1}


def test_what_should_be_refused_and_is_done_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    assert carry_out(Status(REF, "done"), monkeypatch, expected="dead").counts == {"failed": 1}
    assert carry_out(Status(REF, "dead"), monkeypatch, expected="dead").well


def test_an_edition_is_newer_than_any_before(tmp_path: Path) -> None:
    origin = Origin("127.0.0.1", 1, tmp_path)
    page = Page("acme", "u", tmp_path / "m.py")
    numbers = [origin.edit(page) for _ in range(50)]
    assert numbers == sorted(set(numbers))
    assert edition((tmp_path / "m.py").read_bytes()) == numbers[-1]
    assert Origin("127.0.0.1", 1, tmp_path).edit(page) > numbers[0]


def test_pages_have_addresses_of_their_own_and_are_dealt_to_all_tenants(tmp_path: Path) -> None:
    origin = Origin("127.0.0.1", 1, tmp_path)
    pages = origin.stable(len(MODULES)) + origin.changing()
    assert len({page.url for page in pages}) == len(pages)
    assert len({page.tenant for page in origin.stable(3)}) == 3


def test_the_port_is_remembered_and_changed_only_if_somebody_has_taken_it(tmp_path: Path) -> None:
    file = tmp_path / "port"
    port = addresses.remembered_port(file)
    assert addresses.remembered_port(file) == port
    with socket.create_server((addresses.HOST, port)):
        other = addresses.remembered_port(file)
    assert other != port
    assert addresses.remembered_port(file) == other
    file.write_text("nonsense")
    assert addresses.remembered_port(file)


def test_a_path_too_long_for_a_unix_socket_is_not_used() -> None:
    assert addresses.server_socket(Path("/srv/.riptide")) == Path("/srv/.riptide/valkey.sock")
    assert addresses.server_socket(Path("/srv", "long" * 30, ".riptide")) is None


def test_a_stop_ends_a_pause_at_once() -> None:
    stop = Stop()
    stop.check()
    stop._on_signal(15, None)
    stop._on_signal(2, None)
    with pytest.raises(Stopped):
        stop.pause(3600)
    assert stop.signal == 15
