"""Whatever arrives as a body is a command or a MalformedBody, and a good one survives the wire."""

import contextlib
import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands import COMMANDS, Command, MalformedBody, UnknownVersion
from commands.schemas import body_schema
from tests.unit.commands.bodies import BODIES

SCHEMAS = {name: jsonschema.Draft202012Validator(body_schema(command)) for name, command in COMMANDS.items()}

any_type = st.sampled_from(sorted(COMMANDS))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def good_bodies(draw: st.DrawFn) -> tuple[type[Command], dict[str, Any]]:
    name = draw(any_type)
    return COMMANDS[name], draw(BODIES[name])


@st.composite
def spoiled_bodies(draw: st.DrawFn) -> tuple[type[Command], dict[str, Any]]:
    """A good body with fields taken away, replaced by any JSON, or added."""
    command, body = draw(good_bodies())
    fields = st.sampled_from(sorted(body_schema(command)["properties"])) | st.text(max_size=10)
    changes = draw(st.dictionaries(fields, json_values, max_size=3))
    for gone in draw(st.sets(st.sampled_from(sorted(body)), max_size=2)) if body else ():
        del body[gone]
    return command, body | changes


def refuses_floats(value: Any) -> bool:
    """JSON Schema takes 1.0 for an integer; on the wire it is refused."""
    if isinstance(value, dict):
        return any(refuses_floats(item) for item in value.values())
    if isinstance(value, list):
        return any(refuses_floats(item) for item in value)
    return isinstance(value, float)


@given(good_bodies())
def test_a_good_body_is_read_and_survives_the_wire(case: tuple[type[Command], dict[str, Any]]) -> None:
    command, body = case
    parsed = command.parse(1, json.dumps(body).encode())
    assert json.loads(parsed.body()) == body
    assert command.parse(1, parsed.body()) == parsed
    SCHEMAS[command.type].validate(body)


@given(spoiled_bodies())
def test_the_schema_and_the_model_agree(case: tuple[type[Command], dict[str, Any]]) -> None:
    command, body = case
    if refuses_floats(body):
        with pytest.raises(MalformedBody):
            command.parse(1, json.dumps(body))
        return
    allowed = SCHEMAS[command.type].is_valid(body)
    try:
        parsed = command.parse(1, json.dumps(body))
    except MalformedBody:
        # A text for a time is the one thing that the schema does not look into.
        assert not allowed or any(isinstance(body.get(name), str) for name in ("at", "timestamp"))
    else:
        assert allowed
        SCHEMAS[command.type].validate(json.loads(parsed.body()))


@given(any_type, st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_refused(name: str, body: bytes) -> None:
    with contextlib.suppress(MalformedBody):
        COMMANDS[name].parse(1, body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"{}"',
        b"{",
        b'{"operation":"a"} {}',
        b'{"operation":"\xff"}',
        b'{"operation":"\\ud800"}',
        b"[" * 1_000_000,
        b'{"operation":' * 100_000,
        b'{"operation":"a","data_bytes":' + b"9" * 1_000_000 + b"}",
        b'{"operation":"a","data_bytes":NaN}',
        b'{"operation":"a","x":' + b"{}," * 10 + b"}",
        b'{"tags":[' + b"0," * 500_000 + b"0]}",
        b"{" + b",".join(b'"k%d":1' % n for n in range(90_000)) + b"}",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_hostile_bodies_are_refused_in_few_words(body: bytes) -> None:
    with pytest.raises(MalformedBody) as caught:
        COMMANDS["record_usage"].parse(1, body)
    assert len(str(caught.value)) < 500


def test_a_message_tells_the_place_and_not_the_value() -> None:
    body = json.dumps({"keys": ["https://example.org/", "sec\ret" * 1000], "ttl": "hunter2", "tt\nl": 1})
    with pytest.raises(MalformedBody) as caught:
        COMMANDS["warm"].parse(1, body)
    message = str(caught.value)
    assert "keys.1" in message
    assert "ttl" in message
    assert "tt\\nl" in message
    assert "hunter2" not in message
    assert "\n" not in message


@pytest.mark.parametrize("version", [-1, 0, 2, 99, 10**30])
def test_a_version_nobody_knows_is_refused(version: int) -> None:
    with pytest.raises(UnknownVersion, match=f"version {version} is unknown"):
        COMMANDS["warm"].parse(version, b'{"keys":["a"]}')
