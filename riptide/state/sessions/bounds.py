"""What is too much for a session, or for a tenant. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from riptide.errors import InvalidInput, QuotaExceeded
from riptide.state.sessions.operations import Over, Spilled, TooLarge
from riptide.state.sessions.packing import Fields
from riptide.state.sessions.session import MOST_BYTES, MOST_FIELDS, check_name, check_session_id


def check_size(plain: Fields) -> None:
    size = sum(len(name) + len(value) for name, value in plain.items())
    if size > MOST_BYTES:
        raise _too_large(TooLarge(size, 0))


def check_removed(remove: Sequence[str], values: Mapping[str, Any]) -> list[str]:
    if not remove:
        return []
    if isinstance(remove, str):
        raise InvalidInput("fields to be removed are a list of names, not one text")
    found = [check_name(name) for name in dict.fromkeys(remove)]
    if len(found) > MOST_FIELDS or any(name in values for name in found):
        raise InvalidInput(
            f"up to {MOST_FIELDS} fields can be removed, none of which is set at the same time"
        )
    return found


def was_there(changed: int | Spilled | TooLarge) -> bool:
    if isinstance(changed, TooLarge):
        raise _too_large(changed)
    return bool(changed)


def _too_large(would: TooLarge) -> InvalidInput:
    return InvalidInput(
        f"a session holds {MOST_BYTES:,} bytes in {MOST_FIELDS} fields at most, and this one would have "
        f"{would.bytes:,} bytes" + (f" in {would.fields:,} fields" if would.fields > MOST_FIELDS else "")
    )


def exceeded(tenant: str, over: Over) -> QuotaExceeded:
    return QuotaExceeded(
        f"the tenant {tenant} has {over.sessions:,} of {over.most:,} active_sessions: terminate some, wait "
        "until some expire, or give it a higher limit",
        tenant=tenant,
        resource="active_sessions",
        limit=over.most,
        remaining=0,
    )


def check_cursor(cursor: str) -> str:
    """Raises InvalidInput for what no page has as its cursor."""
    user, _, session_id = cursor.partition(":") if isinstance(cursor, str) else ("", "", "")
    if len(user) == 32 and user.isalnum():
        check_session_id(session_id)
        return cursor
    raise InvalidInput("that is no cursor of a page of sessions")
