"""The wire format: fields packed and unpacked, entries read, references parsed."""

import contextlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riptide.errors import InvalidInput
from riptide.streams.message import (
    LONGEST_TEXT,
    MOST_ENTRY_BYTES,
    Entry,
    Malformed,
    Message,
    Ref,
    carried,
    claim_of,
    identity_of,
    is_too_large,
    log_facts,
    original_fields,
    pack_fields,
    read,
    unpack_fields,
)

BODY = [b"body", b"{}"]
LIMIT = 1000


def entry(*fields: bytes, starts: int = 0) -> Entry:
    return Entry("noop", "10", "1700000000000-3", list(fields), starts)


def wrapped(*original: bytes, first: bytes = b"5-1", attempts: bytes = b"2", starts: int = 0) -> Entry:
    """As `promote`, `hand_back` and `revive` put it back, and as the server has confirmed it."""
    packed = pack_fields(list(original))
    return confirmed(
        entry(
            b"id", b"ID", b"at", b"77", b"src", first, b"attempts", attempts, b"orig", packed, starts=starts
        )
    )


def confirmed(entry: Entry) -> Entry:
    entry.returned = claim_of(entry)
    return entry


@given(st.lists(st.binary(max_size=300)))
def test_packing_is_exact(fields: list[bytes]) -> None:
    assert unpack_fields(pack_fields(fields)) == fields


@given(st.binary(max_size=200))
def test_unpacking_anything_else_is_malformed_or_exact(packed: bytes) -> None:
    try:
        fields = unpack_fields(packed)
    except Malformed:
        return
    assert pack_fields(fields) == packed


@given(st.lists(st.binary(max_size=20), min_size=1), st.data())
def test_a_packed_entry_cut_short_is_noticed(fields: list[bytes], data: st.DataObject) -> None:
    packed = pack_fields(fields)
    cut = data.draw(st.integers(0, len(packed) - 1))
    boundaries = {len(pack_fields(fields[:n])) for n in range(len(fields) + 1)}
    if cut not in boundaries:
        with pytest.raises(Malformed, match="cut short"):
            unpack_fields(packed[:cut])


NAMES = st.sampled_from(
    [b"id", b"v", b"tenant", b"at", b"body", b"trace", b"orig", b"src", b"attempts", b"x"]
)
FIELDS = st.lists(
    st.tuples(NAMES | st.binary(max_size=5), st.binary(max_size=30) | st.just(b"1")), min_size=1
)


@given(FIELDS, st.integers(0, 9))
def test_reading_arbitrary_fields_says_what_is_wrong_or_works(
    pairs: list[tuple[bytes, bytes]], starts: int
) -> None:
    given_entry = entry(*[part for pair in pairs for part in pair], starts=starts)
    first, attempts = carried(given_entry)
    command_id, at = identity_of(given_entry)
    assert command_id
    assert at.isdigit()
    assert unpack_fields(original_fields(given_entry))
    try:
        message = read(given_entry, LIMIT)
    except Malformed:
        return
    assert (message.first, message.attempts) == (first, attempts)
    assert message.id == command_id
    assert str(message.at_ms) == str(int(at))


@given(
    st.fixed_dictionaries(
        {
            b"id": st.binary(max_size=8) | st.just(b"x" * 600),
            b"v": st.sampled_from([b"1", b"2", b"", b"-1", b"1.0", b"9" * 16]),
            b"at": st.sampled_from([b"1700000000000", b"0", b"", b"x", b"9" * 16]),
            b"body": st.sampled_from([b"{}", b"", b"x" * (LIMIT + 1)]),
            b"tenant": st.sampled_from([b"acme", b"", b"a b", b"\xff"]),
        }
    ),
    st.integers(0, 9),
    st.randoms(use_true_random=False),
)
def test_fields_mean_the_same_in_any_order(
    fields: dict[bytes, bytes], starts: int, rng: random.Random
) -> None:
    """In the order in which this library publishes them they are read on a shorter way."""
    pairs = list(fields.items())
    rng.shuffle(pairs)
    outcomes = [
        outcome_of_reading(entry(*[part for pair in order for part in pair], starts=starts))
        for order in (fields.items(), pairs, [*fields.items(), (b"x", b"1")])
    ]
    assert outcomes[0] == outcomes[1] == outcomes[2]


def outcome_of_reading(given_entry: Entry) -> Message | str:
    try:
        return read(given_entry, LIMIT)
    except Malformed as error:
        return str(error)


@given(FIELDS)
def test_what_is_put_back_reads_as_it_did(pairs: list[tuple[bytes, bytes]]) -> None:
    """Attempts aside, a retried entry means what the producer's meant, and holds the same fields."""
    source = entry(*[part for pair in pairs for part in pair])
    command_id, at = identity_of(source)
    first, attempts = carried(source)
    packed = original_fields(source)
    back = confirmed(
        Entry(
            "noop",
            "10",
            "1700000009999-0",
            [
                b"id",
                command_id.encode(),
                b"at",
                at.encode(),
                b"src",
                first.encode(),
                b"attempts",
                str(attempts + 1).encode(),
                b"orig",
                packed,
            ],
        )
    )
    assert original_fields(back) == packed
    assert carried(back) == (first, attempts + 1)
    assert identity_of(back) == (command_id, at)
    try:
        message = read(source, LIMIT)
    except Malformed:
        return
    again = read(back, LIMIT)
    message.attempts += 1
    assert again == message


def test_defaults() -> None:
    message = read(entry(*BODY), LIMIT)
    assert (message.version, message.tenant, message.trace) == (1, None, None)
    assert message.at_ms == 1700000000000
    assert message.id == "noop.10.1700000000000-3", "entries of other streams may have the same entry id"


def test_a_wrapped_entry_carries_what_happened() -> None:
    message = read(wrapped(*BODY, b"id", b"theirs", b"tenant", b"acme", starts=1), LIMIT)
    assert (message.id, message.at_ms, message.tenant) == ("ID", 77, "acme")
    assert (message.first, message.attempts) == ("5-1", 3)


@pytest.mark.parametrize(
    "odd",
    [
        wrapped(),
        wrapped(b"body"),
        wrapped(*BODY, first=b"5"),
        wrapped(*BODY, first=b"}{-1"),
        wrapped(*BODY, first=b"5-1\n"),
        wrapped(*BODY, attempts=b""),
        wrapped(*BODY, attempts=b"-1"),
        wrapped(*BODY, attempts=b"9" * 5000),
        entry(*wrapped(*BODY).fields, b"more", b"fields"),
        entry(*wrapped(*BODY).fields[2:], b"id", b"at the end"),
        entry(*wrapped(*BODY).fields),
    ],
)
def test_what_only_looks_like_a_wrapped_entry_is_the_producers_own(odd: Entry) -> None:
    assert unpack_fields(original_fields(odd)) == odd.fields, "no field is lost"
    assert carried(odd) == (odd.id, odd.starts)
    with pytest.raises(Malformed, match="'body' is missing"):
        read(odd, LIMIT)


def test_references() -> None:
    ref = Ref("record_usage", "10", "1763700000000-0")
    assert Ref.parse(str(ref)) == ref
    for text in (
        "",
        ".",
        "a.b",
        "a.b.c",
        "a..1-1",
        "a.b.1-",
        "a.b.-1",
        "a.b.1-1.c",
        "a.b.1-x",
        "a.b.²-1",
        "warm.0.1-",
        "warm.0.-1-1",
        "warm.0.1--1",
        "warm.0.18446744073709551616-1",
        "warm.0.1-99999999999999999999",
        "warm.0.99999999999999999999999-1",
        "x" * 9999,
    ):
        with pytest.raises(InvalidInput, match="is not a reference"):
            Ref.parse(text)


@pytest.mark.parametrize(
    "text", ["a}b.10.1-1", "warm.{10}.1-1", "warm.*.1-1", "wa rm.10.1-1", "Warm.10.1-1", "warm.10\n.1-1"]
)
def test_a_reference_builds_no_foreign_key(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a reference"):
        Ref.parse(text)


@given(st.text())
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidInput):
        assert str(Ref.parse(text)) == text


def test_log_lines_carry_id_reference_and_trace_also_after_a_retry() -> None:
    sent = [b"id", b"one", b"body", b"{}", b"trace", b"00-aa-bb-01"]
    facts = {"command": "noop", "id": "one", "ref": "noop.10.5-0", "trace": "00-aa-bb-01"}
    assert log_facts(Entry("noop", "10", "5-0", sent)) == facts
    again = [b"id", b"one", b"at", b"7", b"src", b"5-0", b"attempts", b"1", b"orig", pack_fields(sent)]
    assert log_facts(confirmed(Entry("noop", "10", "9-0", again))) == facts


def test_log_facts_of_what_cannot_be_read() -> None:
    facts = log_facts(Entry("noop", "10", "5-0", [b"id", b"\xff", b"trace", b"\xfe" * 9999]))
    assert facts["id"] == "\ufffd"
    assert len(facts["trace"]) == LONGEST_TEXT


def test_of_an_entry_too_large_to_give_back_whole_the_values_are_cut() -> None:
    """What is read stays whole: the command may be tried again."""
    body = b'"' + b"b" * 40 * 1024**2 + b'"'
    sent = [b"body", body, b"tenant", b"acme", b"more", b"x" * (MOST_ENTRY_BYTES + 1)]
    huge = entry(*sent)
    message = read(huge, len(body))
    kept = unpack_fields(original_fields(huge))
    assert is_too_large(huge)
    assert kept[:5] == sent[:5]
    assert 0 < len(kept[5]) < MOST_ENTRY_BYTES // 4
    assert kept[5] == sent[5][: len(kept[5])]
    back = confirmed(
        entry(b"id", b"i", b"at", b"1", b"src", b"5-1", b"attempts", b"1", b"orig", original_fields(huge))
    )
    assert read(back, len(body)).body == message.body
    assert not is_too_large(back)


def test_many_large_values_are_cut_too() -> None:
    """Of a name that stands there twice the last one is read."""
    huge = entry(*[b"body", b"x" * 20 * 1024**2] * 4, b"id", b"i" * 20 * 1024**2, b"body", b"{}")
    kept = unpack_fields(original_fields(huge))
    assert kept[-2:] == [b"body", b"{}"]
    assert sum(map(len, kept)) <= MOST_ENTRY_BYTES
    assert kept[::2] == huge.fields[::2]
