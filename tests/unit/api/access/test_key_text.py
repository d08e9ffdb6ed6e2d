"""API keys as text: recognised, never taken apart wrongly, and never shown."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from riptide.api.access.key import NewSecret, api_key
from riptide.api.access.text import check_id, new_id, new_text, read_text, tenant_of_id
from riptide.errors import InvalidInput
from riptide.names import TENANT_PATTERN

TENANTS = st.none() | st.from_regex(TENANT_PATTERN.replace(r"\Z", ""), fullmatch=True)
FIELDS = {"name": "shop", "role": "viewer", "made": "1", "made_by": "ops"}


@given(TENANTS)
@example("a_b-c_d")
@example("rt_")
def test_what_is_made_is_read_again(tenant: str | None) -> None:
    key = new_id(tenant)
    text = new_text(key)
    found = read_text(text)
    assert found is not None
    assert (found.id, found.tenant, tenant_of_id(check_id(key))) == (key, tenant, tenant)
    assert re.fullmatch(r"rt_[^ ]+_[a-z2-7]{52}[0-9a-f]{8}", text)


@given(TENANTS, st.data())
def test_one_character_changed_is_no_key(tenant: str | None, data: st.DataObject) -> None:
    """Told without asking anybody; of other changes the check misses one in four billions."""
    text = new_text(new_id(tenant))
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters().filter(lambda one: one != text[at]))
    assert read_text(text[:at] + other + text[at + 1 :]) is None
    assert read_text(text[:at]) is read_text(text + other) is None


@given(st.text(max_size=200) | st.text("rt_.abcdef0123456789", max_size=90).map("rt_".__add__))
def test_anything_else_is_none(text: str) -> None:
    assert read_text(text) is None


@given(st.text(max_size=100) | st.from_regex(r"[a-z.{}:~*]{1,20}\.?[0-9a-f]{12}", fullmatch=True))
@example("acme.0123456789ab\n")
@example("a}:x.0123456789ab")
def test_an_id_leads_to_no_other_key(text: str) -> None:
    try:
        check_id(text)
    except InvalidInput:
        return
    assert re.fullmatch(r"([a-z0-9][a-z0-9_-]{0,62}\.)?[0-9a-f]{12}", text)


def test_no_two_are_alike_and_a_whole_key_is_not_repeated() -> None:
    key = new_id(None)
    texts = {new_text(key) for _ in range(100)}
    assert len(texts) == 100
    with pytest.raises(InvalidInput) as raised:
        check_id(next(iter(texts)))
    assert next(iter(texts))[-30:] not in str(raised.value)


def test_a_secret_is_in_no_repr() -> None:
    text = new_text(new_id(None))
    found = read_text(text)
    assert found is not None
    made = NewSecret(api_key(found.id, FIELDS, 0), text)
    for shown in (repr(found), repr(made), str(made)):
        assert text[-40:] not in shown
        assert found.digest not in shown
