"""What a tenant's use of is limited, and which amounts may be limits."""

from collections.abc import Mapping
from typing import get_args

from riptide.config.models.tenant import Resource
from riptide.errors import InvalidInput

#: Rates per minute, levels, and a total per month (`data_transfer_bytes`).
RESOURCES: tuple[str, ...] = get_args(Resource)
UNLIMITED = -1
MOST = 2**50


def check_limits(limits: Mapping[str, int | None]) -> dict[str, int | None]:
    """Limits by resource, each a whole number from 0 to 2^50, or -1: unlimited; None where a limit is taken
    back. Raises InvalidInput."""
    if not isinstance(limits, Mapping):
        raise InvalidInput("quotas are a mapping of resources to limits, as in {'memory_bytes': 104857600}")
    return {check_resource(resource): _check_limit(resource, limit) for resource, limit in limits.items()}


def check_resource(resource: str) -> str:
    """Return `resource` if it is one that can be limited; raise InvalidInput otherwise."""
    if isinstance(resource, str) and resource in RESOURCES:
        return resource
    shown = repr(resource)[:80]
    raise InvalidInput(f"there is no resource {shown}; known are {', '.join(RESOURCES)}")


def _check_limit(resource: str, limit: object) -> int | None:
    if limit is None:
        return None
    if type(limit) is int and UNLIMITED <= limit <= MOST:
        return limit
    raise InvalidInput(
        f"the limit of {resource} is a whole number from 0 to {MOST:,}, or -1 for unlimited; "
        f"not {repr(limit)[:80]}"
    )


def split(limit: int, shards: int, shard: int) -> int:
    """The part of a limit that one of several shards may use; the parts add up to it."""
    if limit == UNLIMITED:
        return UNLIMITED
    share, rest = divmod(limit, shards)
    return share + (shard < rest)
