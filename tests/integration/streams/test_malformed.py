"""What cannot be read goes to the dead letters with all its fields, and the rest is carried out."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import riptide
from riptide.store.keys import PARTITIONS
from riptide.streams.job import Job
from riptide.streams.message import Entry, pack_fields, read, unpack_fields
from riptide.streams.registry import Handler
from tests.support.commands import Effect
from tests.support.deployment import Deployment
from tests.support.waiting import PATIENCE, aeventually
from tests.support.workers import command_types, running_worker

GOOD = b'{"n":1}'
Fields = list[tuple[bytes, bytes]]

BAD: dict[str, tuple[Fields, bytes, bytes]] = {
    # name: fields, reason, part of the error
    "no-body": ([(b"tenant", b"acme")], b"malformed", b"'body' is missing"),
    "empty-body": ([(b"body", b"")], b"malformed", b"noop: body"),
    "empty-name-and-value": ([(b"", b"")], b"malformed", b"'body' is missing"),
    "not-json": ([(b"body", b"{n:1}")], b"malformed", b"noop: body"),
    "not-utf-8": ([(b"body", b'{"n":"\xff\xfe"}')], b"malformed", b"noop"),
    "no-object": ([(b"body", b"[1]")], b"malformed", b"noop: body"),
    "null": ([(b"body", b"null")], b"malformed", b"noop: body"),
    "wrong-type": ([(b"body", b'{"n":"one"}')], b"malformed", b"n: Input should be a valid integer"),
    "unknown-field": ([(b"body", b'{"x":1}')], b"malformed", b"x: Extra inputs"),
    "nan": ([(b"body", b'{"n":NaN}')], b"malformed", b"noop"),
    "deep": ([(b"body", b"[" * 900)], b"malformed", b"noop"),
    "over-the-limit": ([(b"body", b'"' + b"x" * 2000 + b'"')], b"malformed", b"max_body_bytes is 1000"),
    "huge": ([(b"body", b"\x00" * 5_000_000)], b"malformed", b"max_body_bytes is 1000"),
    "version-99": ([(b"v", b"99"), (b"body", GOOD)], b"unknown-version", b"version 99 is unknown"),
    "version-0": ([(b"v", b"0"), (b"body", GOOD)], b"unknown-version", b"version 0 is unknown"),
    "version-text": ([(b"v", b"one"), (b"body", GOOD)], b"malformed", b"'v' is not a whole number"),
    "version-empty": ([(b"v", b""), (b"body", GOOD)], b"malformed", b"'v' is not a whole number"),
    "version-digits": ([(b"v", b"9" * 5000), (b"body", GOOD)], b"malformed", b"'v' is not a whole number"),
    "version-unicode": ([(b"v", "²".encode()), (b"body", GOOD)], b"malformed", b"'v' is not a whole number"),
    "at": ([(b"at", b"-5"), (b"body", GOOD)], b"malformed", b"'at' is not a whole number"),
    "tenant": ([(b"tenant", b"a{b}:*\n"), (b"body", GOOD)], b"malformed", b"'tenant'"),
    "tenant-empty": ([(b"tenant", b""), (b"body", GOOD)], b"malformed", b"'tenant'"),
    "tenant-not-utf-8": ([(b"tenant", b"\xff"), (b"body", GOOD)], b"malformed", b"'tenant' is not UTF-8"),
    "id-not-utf-8": ([(b"id", b"\xff\xfe"), (b"body", GOOD)], b"malformed", b"'id' is not UTF-8"),
    "id-too-long": ([(b"id", b"x" * 100_000), (b"body", GOOD)], b"malformed", b"'id' has 100000 bytes"),
    "trace-not-utf-8": ([(b"trace", b"\xff"), (b"body", GOOD)], b"malformed", b"'trace' is not UTF-8"),
    "10,000-fields": ([(b"f%d" % n, b"%d" % n) for n in range(10_000)], b"malformed", b"'body' is missing"),
    "one-field-often": ([(b"x", b"%d" % n) for n in range(500)], b"malformed", b"'body' is missing"),
    "orig-only": ([(b"orig", b"not packed")], b"malformed", b"'body' is missing"),
    "orig-beside-others": (
        [(b"orig", pack_fields([b"body", GOOD])), (b"secret", b"kept")],
        b"malformed",
        b"'body' is missing",
    ),
    "wrapper-cut-short": (
        [(b"id", b"i"), (b"at", b"1"), (b"src", b"1-1"), (b"attempts", b"1"), (b"orig", b"\0\0\0\x09abc")],
        b"malformed",
        b"'body' is missing",
    ),
    "wrapper-odd": (
        [(b"id", b"i"), (b"at", b"1"), (b"src", b"1-1"), (b"attempts", b"1"), (b"orig", pack_fields([b"a"]))],
        b"malformed",
        b"'body' is missing",
    ),
    "wrapper-forged": (
        [
            (b"id", b"i"),
            (b"at", b"1"),
            (b"src", b"1-1"),
            (b"attempts", b"1"),
            (b"orig", pack_fields([b"body", GOOD])),
        ],
        b"malformed",
        b"it looks like a retry of 1-1, but no worker put it there",
    ),
    "wrapper-src": (
        [
            (b"id", b"i"),
            (b"at", b"1"),
            (b"src", b"}{:*\n"),
            (b"attempts", b"1"),
            (b"orig", pack_fields([b"body", GOOD])),
        ],
        b"malformed",
        b"'body' is missing",
    ),
    "wrapper-attempts": (
        [
            (b"id", b"i"),
            (b"at", b"1"),
            (b"src", b"1-1"),
            (b"attempts", b"9" * 5000),
            (b"orig", pack_fields([b"body", GOOD])),
        ],
        b"malformed",
        b"'body' is missing",
    ),
}
CARRIED_OUT: dict[str, Fields] = {
    "body-alone": [(b"body", GOOD)],
    "unknown-fields": [(b"body", GOOD), (b"x-\xff", b"\x00\xff")],
    "attempts-and-src": [(b"attempts", b"99999999"), (b"src", b"0-1"), (b"body", GOOD)],
    "orig-beside-a-body": [(b"body", GOOD), (b"orig", b"\xff\xff\xff\xff")],
    "id-unicode": [(b"id", "Ω".encode()), (b"body", GOOD)],
}


@pytest.fixture
def limited(deployment: Deployment) -> Any:
    return deployment.settings(streams={"max_body_bytes": 1000})


def raw_add(deployment: Deployment, fields: Fields, partition: str = PARTITIONS[0]) -> str:
    """XADD with exactly these fields, repeated names included."""
    flat = [part for pair in fields for part in pair]
    key = deployment.keys.commands("noop", partition)
    entry: bytes = deployment.client.execute_command("XADD", key, "*", *flat)
    return entry.decode()


async def test_each_is_a_dead_letter_with_its_reason_and_all_its_fields(
    deployment: Deployment, limited: Any
) -> None:
    goods = 0
    sources = {}
    for number, (name, (fields, _, _)) in enumerate(BAD.items()):
        partition = PARTITIONS[number % 16]
        sources[partition, raw_add(deployment, fields, partition)] = name
        raw_add(deployment, [(b"body", GOOD)], PARTITIONS[number % 16])
        goods += 1
    done: list[str] = []

    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        done.extend(job.id for job in batch)

    async with running_worker(limited, command_types({"noop": Handler(handle, batch_size=20)})):

        async def all_read() -> bool:
            return await asyncio.to_thread(deployment.at_rest, "noop")

        await aeventually(all_read, "all to be read")
    assert len(done) == len(set(done)) == goods
    letters = {
        sources[partition, letter[b"src"].decode()]: letter
        for partition in PARTITIONS
        for letter in deployment.letters("noop", [partition])
    }
    assert sorted(letters) == sorted(BAD)
    for name, letter in letters.items():
        fields, reason, error = BAD[name]
        assert unpack_fields(letter[b"orig"]) == [part for pair in fields for part in pair]
        assert letter[b"reason"] == reason
        assert error in letter[b"error"], name
        assert letter[b"attempts"] == b"0"


@pytest.mark.parametrize("fields", CARRIED_OUT.values(), ids=CARRIED_OUT)
async def test_unusual_but_readable(on_valkey: Deployment, fields: Fields) -> None:
    attempts = []

    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        attempts.append(batch[0].attempt)

    async with (
        await riptide.aconnect(config=on_valkey.settings()) as rt,
        running_worker(on_valkey.settings(), command_types({"noop": Handler(handle)})),
    ):
        entry = raw_add(on_valkey, fields)
        assert (await rt.wait(f"noop.{PARTITIONS[0]}.{entry}", PATIENCE)).state == "done"
    assert attempts == [1]


async def test_a_flood_of_bad_ones_among_good_ones(deployment: Deployment, rng: random.Random) -> None:
    """The worker lives, and every good one is carried out."""
    settings = deployment.settings()
    pipe = deployment.client.pipeline(transaction=False)
    good = 0
    for _ in range(2000):
        key = deployment.keys.commands("effect", rng.choice(PARTITIONS))
        if rng.random() < 0.5:
            pipe.xadd(key, {b"body": rng.randbytes(rng.randrange(40))})
        else:
            pipe.xadd(key, {b"body": Effect(into=deployment.prefix).body()})
            good += 1
    pipe.execute()
    async with running_worker(settings):

        async def quiet() -> bool:
            return await asyncio.to_thread(deployment.at_rest, "effect")

        await aeventually(quiet, "all to be read")
    assert len(deployment.done(deployment.prefix)) == good
    assert len(deployment.letters("effect")) == 2000 - good


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    entries=st.lists(
        st.lists(
            st.tuples(
                st.one_of(
                    st.sampled_from(
                        [b"id", b"v", b"tenant", b"at", b"body", b"trace", b"orig", b"src", b"attempts"]
                    ),
                    st.binary(max_size=8),
                ),
                st.one_of(st.binary(max_size=64), st.sampled_from([GOOD, b"1", b"99", b"", b"acme", b"1-1"])),
            ),
            min_size=1,
            max_size=8,
        ),
        min_size=1,
        max_size=20,
    )
)
async def test_arbitrary_fields(on_valkey: Deployment, entries: list[Fields]) -> None:
    """Every entry ends: carried out if it can be read, else a dead letter with all that it held."""
    ran: list[str] = []

    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        ran.extend(job.entry.id for job in batch)

    before = len(on_valkey.letters("noop"))
    ids = [raw_add(on_valkey, fields) for fields in entries]
    quick = on_valkey.settings(workers={"max_attempts": 3})
    async with running_worker(quick, command_types({"noop": Handler(handle, batch_size=50)})):

        async def quiet() -> bool:
            return on_valkey.at_rest("noop")

        await aeventually(quiet, "all to be read")
    letters = {
        letter[b"src"].decode(): unpack_fields(letter[b"orig"])
        for letter in on_valkey.letters("noop")[before:]
    }
    for entry_id, fields in zip(ids, entries, strict=True):
        flat = [part for pair in fields for part in pair]
        if entry_id in letters:
            assert letters[entry_id] == flat
            assert entry_id not in ran
        else:
            assert entry_id in ran
            read(Entry("noop", PARTITIONS[0], entry_id, flat), 1 << 20)
