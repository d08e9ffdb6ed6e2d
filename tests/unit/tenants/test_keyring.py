"""Master keys, data keys: what opens what, and that nothing shows a key."""

import base64
import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from riptide.config import SecuritySettings
from riptide.errors import ConfigError, KeyUnavailable
from riptide.tenants.keyring.data_key import OVERHEAD_BYTES, WrappedKey, make_key, parse_key
from riptide.tenants.keyring.master import load_master_keys, new_master_key, parse_master_keys

ONE, TWO = (base64.b64encode(bytes(range(start, start + 32))).decode() for start in (0, 100))
MASTERS = parse_master_keys(ONE, "here")


def wrapped(tenant: str = "acme", incarnation: str = "a" * 16) -> WrappedKey:
    return make_key(MASTERS, tenant, incarnation, 1)


def test_a_data_key_comes_back() -> None:
    stored = wrapped()
    key = parse_key(stored.model_dump_json().encode(), "acme", "a" * 16, stored.id).unwrapped(MASTERS)
    secret = stored.unwrapped(MASTERS).encrypt(b"value", b"place")
    assert len(secret) == 5 + OVERHEAD_BYTES
    assert b"value" not in secret
    assert key.decrypt(secret, b"place") == b"value"
    assert key.decrypt(secret, b"elsewhere") is None
    assert all(
        key.decrypt(secret[:at] + bytes([secret[at] ^ 1]) + secret[at + 1 :], b"place") is None
        for at in range(len(secret))
    )
    assert all(key.decrypt(secret[:size], b"place") is None for size in range(len(secret)))


@pytest.mark.parametrize("change", [{"tenant": "other"}, {"incarnation": "b" * 16}, {"id": 7}])
def test_a_wrapped_key_is_of_no_use_elsewhere(change: dict[str, object]) -> None:
    stored = wrapped()
    with pytest.raises(KeyUnavailable, match="does not open"):
        stored.model_copy(update=change).unwrapped(MASTERS)
    with pytest.raises(KeyUnavailable, match="is not that key"):
        parse_key(stored.model_copy(update=change).model_dump_json().encode(), "acme", "a" * 16, stored.id)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"format":2}'])
def test_what_is_no_key(data: bytes) -> None:
    with pytest.raises(KeyUnavailable, match="is not that key"):
        parse_key(data, "acme", "a" * 16, 1)


def test_master_keys_are_rotated() -> None:
    stored = wrapped()
    both = parse_master_keys(f"2:{TWO},1:{ONE}", "here")
    secret = stored.unwrapped(MASTERS).encrypt(b"value", b"")
    again = stored.rewrapped(both)
    assert (stored.master, again.master, again.id) == (1, 2, stored.id)
    only_new = parse_master_keys(f"2:{TWO}", "here")
    assert again.unwrapped(only_new).decrypt(secret, b"") == b"value"
    with pytest.raises(KeyUnavailable, match="wrapped by version 1 of the master key, and there is only 2"):
        stored.unwrapped(only_new)
    with pytest.raises(KeyUnavailable, match="another one than it was"):
        stored.unwrapped(parse_master_keys(TWO, "here"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "short",
        ONE[:-4],
        ONE + "AAAA",
        f"0:{ONE}",
        f"x:{ONE}",
        f"1:{ONE},1:{TWO}",
        f"{ONE},{TWO}",
        f"1:{ONE},,",
        "é" * 44,
    ],
)
def test_what_is_no_master_key(text: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^here: (key \d \(not shown\) is none|version 1 is there twice); write"
    ) as error:
        parse_master_keys(text, "here")
    assert ONE not in str(error.value)
    assert TWO not in str(error.value)


def test_keys_are_not_shown() -> None:
    stored = wrapped()
    key = stored.unwrapped(MASTERS)
    assert (repr(MASTERS), repr(key)) == ("MasterKeys(versions 1)", f"DataKey({stored.id})")
    raw = MASTERS.unwrap(
        1,
        base64.b64decode(stored.wrapped),
        b"riptide data key\0acme\0" + b"a" * 16 + f"\0{stored.id}".encode(),
    )
    assert raw.hex() not in stored.model_dump_json()
    assert base64.b64encode(raw).decode() not in stored.model_dump_json()


def test_new_master_keys() -> None:
    made = {new_master_key() for _ in range(10)}
    assert len(made) == 10
    assert all(parse_master_keys(key, "here").current == 1 for key in made)


def test_both_forms_of_base64() -> None:
    raw = bytes([0xFB, 0xFF]) + os.urandom(30)
    plain, safe = base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()
    assert plain != safe
    secret = wrapped_by(plain)
    assert secret.unwrapped(parse_master_keys(safe.rstrip("="), "here")).id == secret.id


def wrapped_by(master: str) -> WrappedKey:
    return make_key(parse_master_keys(master, "here"), "acme", "a" * 16, 1)


def test_where_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"2:{TWO}\n1:{ONE}\n")
    assert load_master_keys(SecuritySettings()) is None
    found = load_master_keys(SecuritySettings(encryption_key_file=str(file)))
    assert found is not None
    assert (found.current, found.versions) == (2, [2, 1])
    with pytest.raises(ConfigError, match="take one"):
        load_master_keys(SecuritySettings(encryption_key_file=str(file), encryption_key=SecretStr(ONE)))
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_master_keys(SecuritySettings(encryption_key_file=str(tmp_path / "none")))
