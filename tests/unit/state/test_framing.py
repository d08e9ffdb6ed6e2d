"""The content of a checkpoint, without a server."""

import random
from typing import Any

import pytest

from riptide.errors import Damaged
from riptide.state.checkpoints.framing import VERSION, Framer, Frames, Row
from riptide.state.checkpoints.manifest import FORMAT, Manifest, read_manifest


def written(rows: list[Row], *, compress: bool = True) -> tuple[bytes, str]:
    framer = Framer(lambda row: row[0][0] % 2, compress=compress)
    data = b"".join(framer.frames(rows))
    assert len(data) == framer.size
    return data, framer.digest


def rows_of(data: bytes, digest: str) -> list[list[bytes]]:
    frames = Frames("here", [data[:7], data[7:]], digest)
    try:
        found = [*frames.rows(0), *frames.rows(1)]
        assert [*frames.rows(0), *frames.rows(1)] == found, "as often as it is needed"
        return found
    finally:
        frames.close()


@pytest.mark.parametrize("compress", [True, False])
def test_what_was_written_is_read(rng: random.Random, *, compress: bool) -> None:
    rows: list[Row] = [
        [
            rng.choice([b"a", b"b"]),
            *(rng.randbytes(rng.choice([0, 3, 70_000])) for _ in range(rng.randint(1, 8))),
        ]
        for _ in range(60)
    ]
    framer = Framer(lambda row: row[0][0] % 2, compress=compress)
    data = b"".join(framer.frames(rows))
    assert framer.count > 1
    assert rows_of(data, framer.digest) == sorted(rows, key=lambda row: row[0] == b"a")
    assert rows_of(*written([], compress=compress)) == []


@pytest.mark.parametrize("compress", [True, False])
def test_a_byte_flipped_anywhere_or_cut_anywhere(*, compress: bool) -> None:
    data, digest = written([[b"a", b"b" * 40], [b"c"]], compress=compress)
    damaged = [data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :] for at in range(len(data))]
    damaged += [data[:length] for length in range(len(data))]
    damaged += [data + b"x", data + data, b""]
    for other in damaged:
        with pytest.raises(Damaged, match="checkpoint here is damaged"):
            Frames("here", [other], digest)


def test_another_content_and_another_format() -> None:
    data, digest = written([[b"a"]])
    other, _ = written([[b"b"]])
    with pytest.raises(Damaged, match="not the content that its manifest describes"):
        Frames("here", [other], digest)
    older = data[:5] + bytes([VERSION + 1]) + data[6:]
    with pytest.raises(Damaged, match=f"its format is {VERSION + 1}; this release reads {VERSION}"):
        Frames("here", [older], digest)


def manifest(**other: Any) -> Manifest:
    about: dict[str, Any] = {
        "id": "20261121T000000Z-00000000",
        "prefix": "riptide",
        "kind": "manual",
        "begun_ms": 1,
        "seconds": 0.5,
        "tenants": 1,
        "unfinished": 0,
        "keys": {"audit": 2},
        "positions": {"10": "1-0"},
        "frames": 1,
        "size": 9,
        "digest": "00",
        "content": "x",
    }
    return Manifest(**about | other)


def test_manifests() -> None:
    packed = manifest(note="ü").packed()
    assert read_manifest("here", packed) == manifest(note="ü")
    damaged = [
        packed[:at] + bytes([packed[at] ^ 1 << at % 8]) + packed[at + 1 :] for at in range(len(packed))
    ]
    for other in [*damaged, *(packed[:length] for length in range(len(packed)))]:
        with pytest.raises(Damaged, match="checkpoint here is damaged"):
            read_manifest("here", other)
    with pytest.raises(Damaged, match=f"its format is 0; this release reads {FORMAT}"):
        read_manifest("here", manifest(format=0).packed())
