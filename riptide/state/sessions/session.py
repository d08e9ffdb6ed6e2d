"""A session, and what one may consist of. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from riptide.errors import InvalidInput

#: Bytes of all fields together, and how many there may be: one script writes them all.
MOST_BYTES, MOST_FIELDS = 1024**2, 256
LONGEST_TTL_SECONDS = 315_360_000  # ten years
_LONGEST_NAME, _LONGEST_TEXT = 128, 2048
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """Whose session it is, and where it came from. `spilled`: its data is in the blob store at present.
    Its id is a secret, and does not show where this is printed."""

    id: str = field(repr=False)
    tenant: str
    user_id: str
    client_ip: str | None
    user_agent: str | None
    source: str | None
    attributes: Mapping[str, Any]
    created_ms: int
    expires_ms: int
    ttl_seconds: int
    spilled: bool


@dataclass(frozen=True, slots=True)
class Session(SessionInfo):
    """The same with its data. `spilled` tells where that was when it was read."""

    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Some sessions; `cursor` is where the next page begins, None: there is none. It names a session."""

    sessions: list[SessionInfo]
    cursor: str | None = field(repr=False)


def check_session_id(session_id: str) -> str:
    """Raises InvalidInput for what cannot be the id of a session, without repeating it: who knows an id may
    have the session."""
    if isinstance(session_id, str) and _ID.match(session_id):
        return session_id
    raise InvalidInput("that is no id of a session: letters, digits, '_' and '-', as `create` made it")


def check_ttl(seconds: int) -> int:
    """Whole seconds. Raises InvalidInput."""
    if type(seconds) is int and 1 <= seconds <= LONGEST_TTL_SECONDS:
        return seconds
    raise InvalidInput(f"ttl is a whole number of seconds from 1 to {LONGEST_TTL_SECONDS:,}")


def check_data(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Raises InvalidInput unless it is a mapping of names to values."""
    if not isinstance(data, Mapping):
        raise InvalidInput("a session's data is a mapping of names to values")
    for name in data:
        check_name(name)
    if len(data) > MOST_FIELDS:
        raise InvalidInput(f"a session has {MOST_FIELDS} fields at most, not {len(data):,}")
    return data


def check_name(name: str) -> str:
    """The name of a field. Raises InvalidInput."""
    return _text("the name of a field", name, _LONGEST_NAME)


def check_user(user_id: str) -> str:
    """Raises InvalidInput."""
    return _text("user_id", user_id, _LONGEST_TEXT)


def metadata(
    user_id: str,
    client_ip: str | None,
    user_agent: str | None,
    source: str | None,
    attributes: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What is kept beside the data: what is given of it. Raises InvalidInput."""
    found: dict[str, Any] = {"user_id": check_user(user_id)}
    for name, value in (("client_ip", client_ip), ("user_agent", user_agent), ("source", source)):
        if value is not None:
            found[name] = _text(name, value, _LONGEST_TEXT)
    if attributes:
        if not isinstance(attributes, Mapping):
            raise InvalidInput("attributes are a mapping of names to values")
        found["attributes"] = {
            _text("the name of an attribute", k, _LONGEST_NAME): v for k, v in attributes.items()
        }
    return found


def digest_of(user_id: str) -> str:
    """What stands for a user in the names on the server: 128 bits, hex."""
    return blake2b(user_id.encode(), digest_size=16).hexdigest()


def _text(what: str, text: str, longest: int) -> str:
    try:
        if isinstance(text, str) and 0 < len(text.encode()) <= longest:
            return text
    except UnicodeEncodeError:
        pass
    raise InvalidInput(f"{what} is a text of 1 to {longest:,} bytes in UTF-8")
