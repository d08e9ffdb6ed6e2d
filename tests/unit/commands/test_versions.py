"""Older bodies are lifted; a command that could not be published cannot be defined."""

from typing import Any, ClassVar

import pytest

from commands import Command, MalformedBody, UnknownVersion


def _to_2(body: dict[str, Any]) -> dict[str, Any]:
    return {"name": body["title"].strip()}


def _to_3(body: dict[str, Any]) -> dict[str, Any]:
    return {"names": [body["name"]]}


class Greet(Command):
    """Version 1 had a title, version 2 a name, version 3 has names."""

    type: ClassVar[str] = "greet"
    version: ClassVar[int] = 3
    upcasters = {1: _to_2, 2: _to_3}  # noqa: RUF012 - the base says ClassVar

    names: list[str]


@pytest.mark.parametrize(
    ("version", "body"), [(1, b'{"title":" Ann "}'), (2, b'{"name":"Ann"}'), (3, b'{"names":["Ann"]}')]
)
def test_every_version_is_read(version: int, body: bytes) -> None:
    assert Greet.parse(version, body) == Greet(names=["Ann"])


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"title":1}', b'{"title":null}', b"\xff", b"[" * 100_000, b'{"title":NaN}']
)
def test_a_malformed_older_body_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedBody, match="greet: "):
        Greet.parse(1, body)


def test_a_lifted_body_is_checked_like_any_other() -> None:
    with pytest.raises(MalformedBody, match=r"names\.0"):
        Greet.parse(2, b'{"name":5}')


@pytest.mark.parametrize("version", [0, 4])
def test_other_versions_are_unknown(version: int) -> None:
    with pytest.raises(UnknownVersion, match="known are 1 to 3"):
        Greet.parse(version, b"{}")


def test_an_upcaster_may_not_be_missing() -> None:
    with pytest.raises(TypeError, match=r"no upcaster from \[2\]"):
        type("Bad", (Command,), {"type": "bad", "version": 3, "upcasters": {1: _to_2}})


@pytest.mark.parametrize("name", ["", "Bad", "a:b", "a}b", "a b", "a\n", "1a", "a" * 64])
def test_a_type_stands_in_a_key_and_is_checked(name: str) -> None:
    with pytest.raises(TypeError, match="type is"):
        type("Bad", (Command,), {"type": name})
