"""Refusals as problem+json (RFC 9457), each with a stable type."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MEDIA_TYPE = "application/problem+json"
#: What a problem's type begins with; the rest is its name, which docs/http-api.md lists.
TYPE_BASE = "urn:riptide:problem:"
#: Where no time helps before somebody gives more: a client that tries again has to wait all the same.
_LONG_SECONDS = 60


@dataclass(eq=False)
class Problem(Exception):  # not frozen: contextlib sets the traceback and context of what it passes on
    """One refusal. `name` is the last part of its type, `headers` go with it, `more` are further members."""

    status: int
    name: str
    title: str
    detail: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    def body(self) -> bytes:
        members: dict[str, Any] = {"type": TYPE_BASE + self.name, "title": self.title, "status": self.status}
        if self.detail:
            members["detail"] = self.detail
        return json.dumps(members | dict(self.more)).encode()

    def raw_headers(self, body: bytes) -> list[tuple[bytes, bytes]]:
        """As ASGI has them, of what `body()` gave."""
        about = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), **self.headers}
        return [(name.lower().encode(), value.encode("latin-1")) for name, value in about.items()]


def retry_after(seconds: float | None) -> dict[str, str]:
    """The header for whom a quota refuses; None: not before something is given back."""
    return {"Retry-After": str(_LONG_SECONDS if seconds is None else max(math.ceil(seconds), 1))}
