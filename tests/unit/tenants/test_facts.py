"""What a tenant says of itself: what may be said, and how it changes."""

import json
import math
from typing import Any

import pytest

from riptide.errors import InvalidInput
from riptide.tenants.registry.facts import Owner, read_facts
from riptide.tenants.registry.tenant import differences, tenant_of

NONE = read_facts("")


def test_only_what_is_named_changes() -> None:
    facts = NONE.merged(
        name=" Acme Ltd ", owner={"email": "a@example.org", "name": "Ada"}, settings={"a": 1, "b": [True]}
    )
    assert facts.name == "Acme Ltd"
    facts = facts.merged(owner={"email": None, "id": "7"}, settings={"a": None, "c": {"d": None}})
    assert facts.owner == Owner(id="7", name="Ada")
    assert facts.settings == {"b": [True], "c": {"d": None}}
    assert facts.merged(owner=Owner(organization="Sea")).owner.organization == "Sea"
    assert read_facts(facts.json_text()) == facts
    assert facts.merged() == facts


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "x" * 201}, "name: String should have at most 200"),
        ({"name": "a\nb"}, "name: control characters are not allowed"),
        ({"name": 5}, "name: Input should be a valid string"),
        ({"owner": {"email": "nobody"}}, "owner.email: this is no e-mail address"),
        ({"owner": {"mail": "a@b"}}, "owner.mail: Extra inputs"),
        ({"owner": "Ada"}, "owner is a mapping"),
        ({"settings": [1]}, "settings is a mapping"),
        ({"settings": {"a": object()}}, "settings"),
        ({"settings": {5: "a"}}, "settings"),
        ({"metadata": {"a": {1, 2}}}, "metadata"),
    ],
)
def test_what_cannot_be_said_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        NONE.merged(**changes)


def nested(depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(depth):
        found = {"a": found}
    return found


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, "finite number"),
        ({"deep": [math.inf]}, "finite number"),
        ("\ud800", "no place in JSON"),
        ({"\ud800": 1}, "no place in JSON"),
        (nested(220), "no place in JSON"),
        (nested(5000), "settings"),
        ("x" * 70_000, "at most 65,536"),
    ],
)
def test_what_json_cannot_hold_or_is_too_large_is_refused(value: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        NONE.merged(settings={"a": value}).json_text()


def test_nesting_without_end_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidInput):
        NONE.merged(settings={"a": endless}).json_text()


def test_the_audit_trail_is_told_names_of_what_may_be_private_and_values_of_the_rest() -> None:
    fields = {"status": "active", "plan": "free", "limit:memory_bytes": "5", "policies": '[["a","b"]]'}
    secret = NONE.merged(settings={"token": "hush"}, owner={"email": "a@example.org"})
    after = fields | {"plan": "basic", "limit:memory_bytes": "6", "policies": '[["c","d"]]'}
    told = differences(tenant_of("t", fields), tenant_of("t", after | {"facts": secret.json_text()}))
    assert told == {
        "plan": ["free", "basic"],
        "limits": {"memory_bytes": [5, 6]},
        "allowed": ["d c"],
        "disallowed": ["b a"],
        "changed": ["owner", "settings"],
    }
    assert "hush" not in json.dumps(told)
