"""The settings of a tenant that RipTide itself reads, besides the one of encryption."""

from collections.abc import Mapping, Sequence
from typing import Any

from riptide.errors import InvalidInput
from riptide.names import check_key

WARM_LIST = "warm_list"


def warm_list(settings: Mapping[str, Any]) -> Sequence[str] | None:
    """The keys that are warmed for the tenant; None if it has no list. Raises InvalidInput."""
    given = settings.get(WARM_LIST)
    if given is None:
        return None
    if not isinstance(given, list | tuple):
        raise InvalidInput(f"the setting {WARM_LIST} is a list of keys")
    try:
        return [check_key(key) for key in given]
    except InvalidInput as error:
        raise InvalidInput(f"the setting {WARM_LIST}: {error}") from None
