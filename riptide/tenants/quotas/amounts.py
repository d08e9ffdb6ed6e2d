"""Which resources are rates, totals or levels, and which amounts of them can be asked for."""

from collections.abc import Mapping

from riptide.errors import InvalidInput
from riptide.tenants.resources import RESOURCES, check_resource

#: Within any window of 60 s.
RATES = ("operations_per_minute", "data_per_minute_bytes")
#: Within a calendar month, in UTC.
TOTALS = ("data_transfer_bytes",)
#: How much there is at once. They are compared, never taken: what holds them counts them where they change.
LEVELS = tuple(resource for resource in RESOURCES if resource not in (*RATES, *TOTALS))
#: Levels that the accounts of a tenant's cache tell.
CACHED = ("memory_bytes", "cache_entries")
#: Levels that the account of its sessions tells.
OF_SESSIONS = ("active_sessions", "storage_bytes")

MOST = 2**40


def check_amounts(amounts: Mapping[str, int]) -> dict[str, int]:
    """Amounts by resource, whole numbers up to 2^40. None of them may be negative, and only bytes can be 0.
    Raises InvalidInput."""
    if not isinstance(amounts, Mapping) or not amounts:
        raise InvalidInput(
            "what is asked for is a mapping of resources to amounts, as in {'operations_per_minute': 1}"
        )
    return {resource: check_amount(resource, amount) for resource, amount in amounts.items()}


def check_amount(resource: str, amount: int) -> int:
    least = 0 if check_resource(resource).endswith("_bytes") else 1
    if type(amount) is int and least <= amount <= MOST:
        return amount
    raise InvalidInput(
        f"an amount of {resource} is a whole number from {least} to {MOST:,}, not {repr(amount)[:80]}"
    )
