"""Who gives way when all tenants together hold too much: those furthest over their share. Pure."""

from collections.abc import Sequence
from typing import NamedTuple


class Holding(NamedTuple):
    """What an account holds, and the weight of its claim to a share: what its tenant may hold."""

    bytes: int
    weight: int


def excesses(holdings: Sequence[Holding], most: int) -> list[int]:
    """How many bytes of each have to go so that all together hold `most`.

    Nobody who holds less for its weight gives way before somebody who holds more.
    """
    left, weights = most, sum(holding.weight for holding in holdings)
    level = 0.0
    # By how much each holds for its weight, the least first: who is under the level keeps all it has.
    for holding in sorted(holdings, key=lambda holding: holding.bytes / holding.weight):
        level = left / weights
        if holding.bytes > level * holding.weight:
            break
        left, weights = left - holding.bytes, weights - holding.weight
    else:
        return [0] * len(holdings)
    return [max(0, holding.bytes - int(level * holding.weight)) for holding in holdings]
