"""Who may do what: allow rules on a resource and an action."""

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pydantic_core import from_json

from riptide.errors import InvalidInput

MOST_RULES = 1000
_TEXT = re.compile(r"[!-~]{1,200}\Z")
_PATTERN = re.compile(r"[!-)+-~]{0,199}(\*|[!-)+-~])\Z")


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """Allows an action on a resource. Each is exact, or a beginning with `*` after it, as in `pages:*`, or
    `*` for all."""

    resource: str
    action: str

    def allows(self, resource: str, action: str) -> bool:
        return _matches(self.resource, resource) and _matches(self.action, action)

    def __str__(self) -> str:
        return f"{self.action} {self.resource}"


def allowed(rules: Iterable[Rule], resource: str, action: str) -> bool:
    """Without any rule everything is allowed; with one, only what a rule allows."""
    listed = tuple(rules)
    return not listed or any(rule.allows(resource, action) for rule in listed)


def check_rule(resource: str, action: str) -> Rule:
    """Raises InvalidInput."""
    for name, text in (("resource", resource), ("action", action)):
        if not isinstance(text, str) or not _PATTERN.match(text):
            raise InvalidInput(
                f"{name} {repr(text)[:80]} is no pattern: 1 to 200 visible ASCII characters without a space, "
                "and '*' only at the end"
            )
    return Rule(resource, action)


def check_asked(resource: str, action: str) -> None:
    """Raises InvalidInput for what no resource or action can be called."""
    for name, text in (("resource", resource), ("action", action)):
        if not isinstance(text, str) or not _TEXT.match(text):
            raise InvalidInput(
                f"{name} {repr(text)[:80]} is not valid: 1 to 200 visible ASCII characters without a space"
            )


def read_rules(text: str | None) -> tuple[Rule, ...]:
    """Rules as a record holds them."""
    return tuple(Rule(resource, action) for resource, action in from_json(text or "[]"))


def rules_text(rules: Collection[Rule]) -> str:
    """Raises InvalidInput if there are too many."""
    if len(rules) > MOST_RULES:
        raise InvalidInput(f"a tenant has at most {MOST_RULES:,} rules; '*' and prefixes make do with fewer")
    return json.dumps([[rule.resource, rule.action] for rule in sorted(rules)], separators=(",", ":"))


def _matches(pattern: str, text: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern
