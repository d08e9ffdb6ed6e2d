"""A notice as it is posted: JSON, and a signature over the time and the body."""

import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any

from riptide.streams.job import Job


@dataclass(frozen=True, slots=True)
class Request:
    body: bytes
    headers: dict[str, str]


def request_of(job: Job, secret: str, now: int | None = None) -> Request:
    """`RipTide-Signature` is `t=<Unix seconds>,v1=<hex>`: HMAC-SHA256 of `<t>.<body>` by the secret.
    Receivers compare it in constant time, and refuse a `t` that is minutes old."""
    told: dict[str, Any] = job.command.model_dump(exclude_unset=True, exclude_none=True)
    told = {"id": str(job.ref), "event": told.pop("event"), "tenant": job.tenant, **told}
    body = json.dumps(told).encode()
    at = int(time.time()) if now is None else now
    return Request(
        body,
        {
            "Content-Type": "application/json",
            "User-Agent": "riptide-webhook",
            "RipTide-Delivery": str(job.ref),
            "RipTide-Event": told["event"],
            "RipTide-Signature": f"t={at},v1={signature(secret, at, body)}",
        },
    )


def signature(secret: str, at: int, body: bytes) -> str:
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
