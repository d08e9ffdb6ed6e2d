"""Reading access logs: which lines count, whatever else stands in the file."""

import gzip
import random
from pathlib import Path

import pytest

from riptide.cache.warming.access_log import Logged

BASE = "https://a.example/site/"
WHEN = "[21/Nov/2026:12:00:00 +0000]"


def line(request: str, status: int = 200, rest: str = "123") -> str:
    return f'192.0.2.1 - - {WHEN} "{request}" {status} {rest}'


def read(*lines: str, base: str | None = BASE) -> Logged:
    logged = Logged.enough_for(10)
    for text in lines:
        logged.add_line(text.encode("latin-1"), base)
    return logged


def counts(logged: Logged) -> tuple[int, int, int]:
    return logged.malformed, logged.skipped, logged.unplaced


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (line("GET /a?b=c HTTP/1.1"), "https://a.example/site/a?b=c"),
        (line("GET /a HTTP/1.1", 304, "-"), "https://a.example/site/a"),
        (line("GET /a HTTP/2.0", 206, '5 "https://x/?q=\\"y\\"" "Mozilla/5.0 (X11)"'), BASE + "a"),
        (line("GET /a HTTP/1.1", rest='5 "-" "-" 0.003 "more"'), BASE + "a"),
        (line("GET /a"), BASE + "a"),
        (line("GET http://b.example/c HTTP/1.1"), "http://b.example/c"),
        (line(r"GET /\x22\xc3\xa4\"\\ HTTP/1.1"), BASE + '"ä"\\'),
        (f'::1 - Ada Lovelace {WHEN} "GET /a HTTP/1.1" 200 1', BASE + "a"),
        (line("GET /a HTTP/1.1") + "\r\n", BASE + "a"),
    ],
)
def test_what_counts(text: str, url: str) -> None:
    logged = read(text)
    assert (dict(logged.reads), counts(logged)) == ({url: 1}, (0, 0, 0))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (line("POST /a HTTP/1.1"), (0, 1, 0)),
        (line("HEAD /a HTTP/1.1"), (0, 1, 0)),
        (line("GET /a HTTP/1.1", 404), (0, 1, 0)),
        (line("GET /a HTTP/1.1", 301), (0, 1, 0)),
        (line("GET /a HTTP/1.1", 500), (0, 1, 0)),
        ("", (1, 0, 0)),
        ("nonsense", (1, 0, 0)),
        (line("-"), (1, 0, 0)),
        (line("GET * HTTP/1.1"), (1, 0, 0)),
        (line(r"GET /\xff HTTP/1.1"), (1, 0, 0)),
        (line("GET /" + "x" * 3000 + " HTTP/1.1"), (1, 0, 0)),
        (line("GET /a b HTTP/1.1"), (1, 0, 0)),
        (line("GET /a HTTP/1.1").replace('" 200', " 200"), (1, 0, 0)),
        (line("GET /a HTTP/1.1")[:-10], (1, 0, 0)),
        ("\x00" * 100, (1, 0, 0)),
    ],
)
def test_what_does_not(text: str, expected: tuple[int, int, int]) -> None:
    logged = read(text)
    assert (dict(logged.reads), counts(logged), logged.lines) == ({}, expected, 1)


def test_paths_need_a_url_to_stand_before_them() -> None:
    logged = read(line("GET /a HTTP/1.1"), line("GET http://b.example/ HTTP/1.1"), base=None)
    assert (dict(logged.reads), logged.unplaced) == ({"http://b.example/": 1}, 1)


def test_files_plain_and_gzip_whatever_is_in_them(tmp_path: Path, rng: random.Random) -> None:
    lines = [line(f"GET /{number % 10} HTTP/1.1") for number in range(100)]
    lines[50:50] = ["x" * 100_000, "", "\x00\xff"]
    plain = "\n".join(lines).encode("latin-1")
    (tmp_path / "plain").write_bytes(plain)
    (tmp_path / "packed").write_bytes(gzip.compress(plain[:3000]) + gzip.compress(plain[3000:]))
    for name in ("plain", "packed"):
        logged = Logged.enough_for(10)
        logged.add_file(tmp_path / name, BASE)
        assert (logged.lines, counts(logged), logged.damaged) == (103, (3, 0, 0), [])
        assert dict(logged.reads) == {f"{BASE}{number}": 10 for number in range(10)}
    whole = (tmp_path / "packed").read_bytes()
    for _ in range(20):
        at = rng.randrange(2, len(whole))
        broken = whole[:at] if rng.random() < 0.5 else whole[:at] + rng.randbytes(8) + whole[at + 8 :]
        (tmp_path / "broken").write_bytes(broken)
        logged = Logged.enough_for(10)
        logged.add_file(tmp_path / "broken", BASE)
        assert logged.lines == sum(counts(logged)) + logged.reads.total()
    (tmp_path / "broken").write_bytes(whole[: len(whole) // 2])
    logged.add_file(tmp_path / "broken", BASE)
    assert "broken" in logged.damaged


def test_memory_is_bounded() -> None:
    logged = Logged.enough_for(1)
    for number in range(150_000):
        logged.add_line(line(f"GET /{number} HTTP/1.1").encode(), BASE)
        if number % 1000 == 0:
            logged.add_line(line("GET /often HTTP/1.1").encode(), BASE)
    assert len(logged.reads) <= 100_000
    assert logged.reads[f"{BASE}often"] == 150
