"""Fields of sessions: encrypted for one place, and read nowhere else."""

import os

import pytest

from riptide.errors import Damaged, InvalidInput
from riptide.state.sessions.packing import keys_of, lock, pack, unlock
from riptide.tenants.keyring.data_key import DataKey

KEY, OTHER = DataKey(7, os.urandom(32)), DataKey(8, os.urandom(32))
DATA = {"n": 1, "text": "ünïcode", "nothing": None, "list": [{"a": 1.5}]}


def test_plain_fields() -> None:
    fields = pack(DATA)
    assert not keys_of(fields.values())
    assert unlock(fields, {}, b"here") == {f"d:{name}": value for name, value in DATA.items()}


def test_fields_of_several_keys_and_none() -> None:
    fields = pack(DATA)
    mixed = (
        fields
        | lock({"d:n": fields["d:n"]}, KEY, b"here")
        | lock({"d:list": fields["d:list"]}, OTHER, b"here")
    )
    assert keys_of(mixed.values()) == {7, 8}
    assert unlock(mixed, {7: KEY, 8: OTHER}, b"here") == unlock(fields, {}, b"here")


def test_they_are_bound_to_their_place_and_name() -> None:
    locked = lock(pack({"a": 1, "b": 2}), KEY, b"here")
    swapped = {"d:a": locked["d:b"], "d:b": locked["d:a"]}
    for fields, about in ((locked, b"there"), (swapped, b"here"), ({"d:a": locked["d:a"][:-1]}, b"here")):
        with pytest.raises(Damaged):
            unlock(fields, {7: KEY}, about)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(InvalidInput, match="the field 'a' cannot be stored"):
        pack({"a": object()})
    with pytest.raises(Damaged):
        unlock({"d:a": b"{"}, {}, b"here")
