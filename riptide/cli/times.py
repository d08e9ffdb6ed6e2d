"""Times and spans of time, as people write them on a command line."""

import re
from datetime import UTC, datetime

from riptide.errors import InvalidInput

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(s|min|m|h|d|w)")
_SPAN = re.compile(rf"(?:{_PART.pattern})+")
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}


def span(option: str, text: str) -> float:
    """Seconds of `90`, `5m` or `1h30m`. Raises InvalidInput."""
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return float(text)
    if _SPAN.fullmatch(text):
        return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    raise InvalidInput(f"{option}: {text[:80]!r} is no span of time: write seconds, or 30s, 5m, 1h30m, 2d")


def moment(option: str, text: str) -> datetime:
    """A time such as `2026-11-21T12:00Z`; UTC where no zone is given. Raises InvalidInput."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            f"{option}: {text[:80]!r} is no time: write 2026-11-21T12:00Z, or with an offset, as in "
            "2026-11-21T13:00+01:00"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
