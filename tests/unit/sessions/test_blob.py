"""Blobs of spilled sessions: what is read is what was written, whole, and of that session."""

import random

import pytest

from riptide.errors import Damaged
from riptide.state.spill.blob import PREFIX, pack_blob, unpack_blob
from riptide.tenants.accounts.blobs import fresh_name, member_of, name_in, written_ms
from riptide.tenants.facts import DEFAULT, Facts

FIELDS = {"d:cart": b"[1]", "d:ünïcode": b"\x01\x00\xff", "d:empty": b'""'}


def test_what_was_packed_is_unpacked() -> None:
    assert unpack_blob(pack_blob("id", FIELDS), "name", "id") == FIELDS


def test_another_sessions_blob_is_refused() -> None:
    with pytest.raises(Damaged, match="name"):
        unpack_blob(pack_blob("id", FIELDS), "name", "other")


def test_a_byte_flipped_or_missing_anywhere_is_refused(rng: random.Random) -> None:
    good = pack_blob("id", FIELDS)
    for at in range(len(good)):
        for damaged in (good[:at], good[:at] + bytes([good[at] ^ 1 << rng.randrange(8)]) + good[at + 1 :]):
            with pytest.raises(Damaged):
                unpack_blob(damaged, "name", "id")
    with pytest.raises(Damaged):
        unpack_blob(good + b"x", "name", "id")


def test_names_are_fresh_and_tell_since_when() -> None:
    facts = Facts("acme", incarnation="0123")
    one, other = fresh_name(PREFIX, facts, 1_795_000_000_000), fresh_name(PREFIX, facts, 1_795_000_000_000)
    assert one != other
    assert one.startswith("sessions/acme/0123/1795000000000-")
    assert fresh_name(PREFIX, DEFAULT, 1).startswith("sessions/default/0/1-")
    assert written_ms(one) == 1_795_000_000_000
    assert name_in(member_of(one, 77)) == one
    assert written_ms("sessions/acme/0123/other") is None
