"""Finds keys that would stay for ever: those without a lifetime that nothing is known to bound."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from riptide.store.keys import PARTITIONS
from tests.support.waiting import PATIENCE

_P = r"\{[0-9]+\}"
_KIND = r"[a-z][a-z0-9_]*"
#: Keys that may stay, and how many of each there may be in all: what bounds them is said beside.
#: `kinds` stands for the number of command types, `members` for that of living processes.
ALLOWED: dict[str, str] = {
    rf"commands:{_KIND}:(slow:)?{_P}": "2 * kinds * partitions",  # one stream each; its length: retention
    rf"retry:{_KIND}:{_P}(:bodies)?": "2 * kinds * partitions",  # empty ones vanish
    rf"dead:{_KIND}:{_P}": "kinds * partitions",  # operators drop dead letters
    rf"fence:{_P}:.+": "members * partitions",  # goes with its consumer
    rf"(position|floor|archive):{_P}": "3 * partitions",  # a hash: one field for each type
    r"control:\{[^}]+\}:.+": "20",  # what all processes agree on; a key each, not one each time
    r"tenant:\{[^}]+\}:~generation": "10_000",  # one for each tenant that ever used tags
}

_LOOK_SECONDS = 0.1


def leaked(client: Any, prefix: str, *, kinds: int, members: int) -> list[str]:
    """What is wrong with the keys under `prefix`: a line for each key, or pattern, that is not bounded.

    `kinds`: how many command types there are; `members`: how many processes live.
    """
    numbers = {"kinds": kinds, "members": members, "partitions": len(PARTITIONS)}
    found: Counter[str] = Counter()
    wrong = []
    for key in lasting(client, prefix):
        pattern = next((one for one in ALLOWED if re.fullmatch(one, key)), None)
        if pattern is None:
            wrong.append(f"{prefix}:{key} has no lifetime, and nothing bounds it")
        else:
            found[pattern] += 1
    for pattern, count in found.items():
        most = _product(ALLOWED[pattern], numbers)
        if count > most:
            wrong.append(f"{count} keys {pattern}; there should be {ALLOWED[pattern]} = {most} at most")
    return wrong


def wait_for_no_leaks(client: Any, prefix: str, *, kinds: int, members: int) -> None:
    """Wait until nothing is leaked: what the dead leave goes when others have found them dead.

    AssertionError tells what is leaked when patience ends.
    """
    deadline = time.monotonic() + PATIENCE
    while wrong := leaked(client, prefix, kinds=kinds, members=members):
        assert time.monotonic() < deadline, "\n".join(wrong)
        time.sleep(_LOOK_SECONDS)


def lasting(client: Any, prefix: str) -> Iterator[str]:
    """Keys under `prefix` that have no lifetime, without the prefix."""
    for key in client.scan_iter(f"{prefix}:*", count=1000):
        if client.pttl(key) == -1:
            yield key.decode().removeprefix(f"{prefix}:")


def _product(formula: str, numbers: dict[str, int]) -> int:
    product = 1
    for factor in formula.split(" * "):
        product *= numbers.get(factor) or int(factor)
    return product
