"""A segment gives back what was put in, or says that it is damaged; there is nothing in between."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riptide.errors import Damaged
from riptide.state.archive.names import Segment, order, segment_name
from riptide.state.archive.segment import Header, Row, SegmentReader, SegmentWriter


def resp(rows: Sequence[Row]) -> bytes:
    """As the server writes it."""

    def bulk(value: bytes) -> bytes:
        return b"$%d\r\n%b\r\n" % (len(value), value)

    parts = [b"*%d\r\n" % len(rows)]
    for entry_id, fields in rows:
        parts += [b"*2\r\n", bulk(entry_id.encode()), b"*%d\r\n" % len(fields), *map(bulk, fields)]
    return b"".join(parts)


def segment(*chunks: Sequence[Row]) -> bytes:
    writer = SegmentWriter()
    for rows in chunks:
        writer.add(resp(rows))
    rows = [row for chunk in chunks for row in chunk]
    return writer.finish(Header("noop", "10", "0-0", rows[0][0], rows[-1][0], len(rows)))


def read(data: bytes) -> list[Row]:
    reader = SegmentReader("the-name", [data[at : at + 7] for at in range(0, len(data), 7)])
    try:
        return [row for page in reader.pages() for row in page]
    finally:
        reader.close()


ROWS: list[Row] = [(f"17-{n}", [b"body", b"{}", b"n", str(n).encode()]) for n in range(10)]


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.builds("{}-{}".format, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)),
                st.lists(st.binary(max_size=50), min_size=2, max_size=6),
            ),
            min_size=1,
            max_size=5,
        ),
        min_size=1,
        max_size=4,
    )
)
def test_what_goes_in_comes_out(chunks: list[list[Row]]) -> None:
    assert read(segment(*chunks)) == [row for chunk in chunks for row in chunk]


def test_every_damaged_byte_is_noticed() -> None:
    whole = segment(ROWS[:5], ROWS[5:])
    assert read(whole) == ROWS
    for at in range(len(whole)):
        for bit in (1, 128):
            broken = bytearray(whole)
            broken[at] ^= bit
            with pytest.raises(Damaged, match="the-name"):
                read(bytes(broken))


def test_every_cut_is_noticed() -> None:
    whole = segment(ROWS[:5], ROWS[5:])
    for length in range(len(whole)):
        with pytest.raises(Damaged, match="the-name"):
            read(whole[:length])
    with pytest.raises(Damaged, match="follows its end"):
        read(whole + b"\0")


def test_a_chunk_that_was_taken_out_or_moved_is_noticed() -> None:
    one, two = segment(ROWS[:5], ROWS[5:]), segment(ROWS[5:], ROWS[:5])
    start = len(one) - len(one.split(b"}", 1)[1]) + 8
    for other in (one[:start] + two[start:], one[:start] + one[-16:]):
        with pytest.raises(Damaged):
            read(other)


def test_nothing_is_given_out_before_all_is_checked(rng: random.Random) -> None:
    whole = bytearray(segment(ROWS[:5], ROWS[5:]))
    whole[-20] ^= 1  # in the last chunk
    with pytest.raises(Damaged):
        SegmentReader("x", [bytes(whole)])


def test_a_newer_format_says_so() -> None:
    whole = bytearray(segment(ROWS))
    whole[5] = 9
    with pytest.raises(Damaged, match="its format is 9; this release reads 1"):
        read(bytes(whole))


def test_names_sort_as_ids_do(rng: random.Random) -> None:
    ids = [
        f"{rng.randrange(10 ** rng.randint(1, 19))}-{rng.randrange(10 ** rng.randint(1, 19))}"
        for _ in range(200)
    ]
    names = {entry: segment_name("riptide", Header("noop", "10", "0-0", entry, entry, 1)) for entry in ids}
    assert sorted(ids, key=order) == sorted(ids, key=names.__getitem__)
    assert isinstance(Segment(names[ids[0]], 1, "noop", "10", ids[0], ids[0]).name, str)
