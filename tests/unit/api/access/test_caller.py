"""Who may do what."""

import re
from pathlib import Path

import pytest

from riptide.api.access.caller import PERMISSIONS, ROLES, Caller, Role


def caller(role: Role, *scopes: str, by_role: bool = True) -> Caller:
    tenant = "acme" if role == "tenant" else None
    return Caller("1", "one", role, tenant, frozenset(scopes) if scopes else None, by_role)


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_a_role_may_what_the_table_says(permission: str) -> None:
    for role in ROLES:
        assert caller(role).may(permission, "acme") == (role in PERMISSIONS[permission])
        assert not caller(role, "health:read").may(permission, "acme") or permission == "health:read"
        assert caller(role, by_role=False).may(permission, "acme")
    assert caller("tenant").may(permission, "globex") == (permission == "health:read")
    assert caller("tenant").may(permission) == (permission == "health:read")
    assert caller("tenant", by_role=False).may(permission, "globex") == (permission == "health:read")


def test_without_roles_scopes_hold_still() -> None:
    assert not caller("admin", "cache:read", by_role=False).may("keys:write")


def test_nobody_hands_out_more_than_they_have() -> None:
    assert caller("admin").covers("admin", None)
    assert caller("admin").covers("tenant", None)
    narrow = caller("admin", "keys:write", "cache:read")
    assert not narrow.covers("admin", None)
    assert not narrow.covers("viewer", None)
    assert not narrow.covers("admin", ["state:restore"])
    assert narrow.covers("viewer", ["cache:read"])
    assert not caller("admin").covers("admin", ["what a newer release knows"])


def test_the_docs_have_the_same_table() -> None:
    text = (Path(__file__).parents[4] / "docs/access.md").read_text("utf-8")
    told = {}
    for line in text.splitlines():
        if found := re.fullmatch(r"\| `([a-z]+:[a-z]+)` \|(.*)\|", line):
            cells = [cell.strip() for cell in found[2].split("|")]
            told[found[1]] = {role for role, cell in zip(ROLES, cells, strict=True) if cell == "yes"}
    assert told == PERMISSIONS
