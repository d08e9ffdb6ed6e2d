"""Rules: what they are, and what they allow."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riptide.errors import InvalidInput
from riptide.tenants.registry.policies import (
    MOST_RULES,
    Rule,
    allowed,
    check_asked,
    check_rule,
    read_rules,
    rules_text,
)

texts = st.text(alphabet="ab:*/", min_size=1, max_size=6)
patterns = st.from_regex(r"\A[ab:/]{0,4}(\*|[ab:/])\Z")
rules = st.builds(check_rule, patterns, patterns)


def test_without_a_rule_everything_is_allowed_and_with_one_only_that() -> None:
    assert allowed([], "pages", "read")
    rule = check_rule("pages:*", "read")
    assert allowed([rule], "pages:1", "read")
    assert allowed([rule], "pages:", "read")
    assert not allowed([rule], "pages", "read")
    assert not allowed([rule], "pages:1", "write")
    assert not allowed([rule], "xpages:1", "read")
    assert allowed([check_rule("*", "*")], "anything", "at-all")
    assert not allowed([check_rule("a", "b")], "a", "bb")


@given(st.lists(rules, max_size=5), texts, texts)
def test_it_is_what_a_slow_reading_of_the_rules_says(given: list[Rule], resource: str, action: str) -> None:
    def matches(pattern: str, text: str) -> bool:
        if not pattern.endswith("*"):
            return pattern == text
        return text[: len(pattern) - 1] == pattern[:-1]

    expected = any(matches(rule.resource, resource) and matches(rule.action, action) for rule in given)
    assert allowed(given, resource, action) == (expected or not given)


@given(st.sets(rules, min_size=1, max_size=8), rules, texts, texts)
def test_one_more_rule_takes_nothing_away_and_order_means_nothing(
    given: set[Rule], more: Rule, resource: str, action: str
) -> None:
    listed = sorted(given)
    assert allowed(listed, resource, action) == allowed(listed[::-1], resource, action)
    assert allowed([*listed, more], resource, action) >= allowed(listed, resource, action)
    assert read_rules(rules_text(given)) == tuple(listed)


@pytest.mark.parametrize(
    "bad", ["", "a*b", "**", "*a", "a b", "a\n", "é", "٣", "a" * 201, "a\x00", None, 5, b"a", ["*"]]
)
def test_what_is_no_pattern_is_refused(bad: Any) -> None:
    for pair in ((bad, "read"), ("pages", bad)):
        with pytest.raises(InvalidInput, match="is no pattern"):
            check_rule(*pair)


@pytest.mark.parametrize("bad", ["", "a b", "a\n", "é", "a" * 201, "\ud800", None, 5, b"a"])
def test_what_cannot_be_asked_is_refused(bad: Any) -> None:
    for pair in ((bad, "read"), ("pages", bad)):
        with pytest.raises(InvalidInput, match="is not valid"):
            check_asked(*pair)
    check_asked("pages:*", "a" * 200)


def test_rules_are_bounded() -> None:
    with pytest.raises(InvalidInput, match="at most 1,000 rules"):
        rules_text({Rule(str(n), "read") for n in range(MOST_RULES + 1)})
