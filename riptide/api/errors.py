"""Which problem each error becomes, and how the application answers it."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Match

from commands import MalformedBody, UnknownVersion
from riptide import errors
from riptide.api.access.jwks import KeySetUnavailable
from riptide.api.access.keys import KeyOver, UnknownKey
from riptide.api.problems import MEDIA_TYPE, Problem, retry_after

_MOST_ERRORS, _LONGEST_TEXT = 10, 300
_SOON = {"Retry-After": "1"}
_LATER = {"Retry-After": "5"}
_MUCH_LATER = {"Retry-After": "30"}

#: Error -> status, name, title and headers; the first that fits counts, so the special come first.
TABLE: tuple[tuple[type[Exception], int, str, str, Mapping[str, str]], ...] = (
    (errors.UnknownCommand, 404, "unknown-command", "There is no such command", {}),
    (errors.EntryTooLarge, 413, "entry-too-large", "The value is too large", {}),
    (errors.InvalidInput, 422, "invalid-input", "What was sent cannot work", {}),
    (MalformedBody, 422, "invalid-input", "What was sent cannot work", {}),
    (UnknownVersion, 422, "invalid-input", "What was sent cannot work", {}),
    (errors.ConfigError, 422, "invalid-configuration", "The configuration is wrong", {}),
    (errors.UnknownTenant, 404, "unknown-tenant", "There is no such tenant", {}),
    (errors.TenantExists, 409, "tenant-exists", "There is such a tenant already", {}),
    (errors.TooManyTenants, 409, "too-many-tenants", "There is no room for another tenant", {}),
    (errors.MultiTenancyDisabled, 409, "multi-tenancy-disabled", "Multi-tenancy is off", {}),
    (errors.TenantChanged, 412, "tenant-changed", "The tenant was changed meanwhile", {}),
    (errors.TenantNotActive, 403, "tenant-not-active", "The tenant is not active", {}),
    (errors.QuotaExceeded, 429, "quota-exceeded", "A quota is used up", {}),
    (errors.BacklogFull, 503, "backlog-full", "Too many commands wait already", _LATER),
    (errors.PublishUnknown, 503, "publish-unknown", "Whether it was published is not known", _SOON),
    (errors.ServerRefused, 503, "server-refused", "The server refused", _LATER),
    (errors.ServerUnavailable, 503, "server-unavailable", "The server cannot be reached", _SOON),
    (errors.BlobNotFound, 404, "not-in-blob-store", "The blob store has no such thing", {}),
    (errors.BlobError, 503, "blob-store-failed", "The blob store failed", _LATER),
    (errors.Damaged, 409, "damaged", "What was stored is damaged", {}),
    (errors.KeyUnavailable, 409, "key-unavailable", "The key of encrypted data is not here", {}),
    (UnknownKey, 404, "unknown-key", "Unknown key", {}),
    (KeyOver, 409, "key-over", "Key over", {}),
    (KeySetUnavailable, 503, "key-set-unavailable", "Tokens cannot be checked", _MUCH_LATER),
)
#: What the framework refuses by itself.
_OF_STATUS = {
    400: ("malformed-request", "The request cannot be read"),
    404: ("no-such-endpoint", "There is no such endpoint"),
    405: ("method-not-allowed", "The endpoint has no such method"),
    408: ("too-slow", "The request took too long to arrive"),
    413: ("body-too-large", "The body is too large"),
    415: ("unsupported-media-type", "The body is not of the type that is needed"),
}


def problem_of(error: Exception) -> Problem:
    """What a RiptideError, or a body that is no command, is told as."""
    for kind, status, name, title, headers in TABLE:
        if isinstance(error, kind):
            told, more = _special(error)
            return Problem(status, name, title, str(error), headers={**headers, **told}, more=more)
    return internal()


def _special(error: Exception) -> tuple[Mapping[str, str], Mapping[str, Any]]:
    """Headers and members that tell more of an error."""
    if isinstance(error, errors.QuotaExceeded):
        more = {"limit": error.limit, "remaining": error.remaining, "resource": error.resource}
        return retry_after(error.retry_after), {"violated-policies": list(error.violated), **more}
    if isinstance(error, errors.TenantNotActive):
        return {}, {"tenant-status": error.status, "why": error.why}
    return {}, {}


def internal() -> Problem:
    return Problem(500, "internal-error", "This is a defect of the service; its log tells more")


def of_status(status: int, detail: str = "", headers: Mapping[str, str] | None = None) -> Problem:
    """What is refused before any endpoint sees it."""
    name, title = _OF_STATUS.get(status, ("refused", "The request was refused"))
    return Problem(status, name, title, detail, headers=headers or {})


def _of_validation(error: RequestValidationError) -> Problem:
    """Says what is wrong where, and repeats nothing that was sent."""
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return of_status(400, "the body is no JSON")
    wrong = [
        {"where": ".".join(map(str, one["loc"]))[:_LONGEST_TEXT], "what": str(one["msg"])[:_LONGEST_TEXT]}
        for one in found[:_MOST_ERRORS]
    ]
    detail = "; ".join(f"{one['where']}: {one['what']}" for one in wrong)
    return Problem(422, "invalid-input", "What was sent cannot work", detail, more={"errors": wrong})


def _of_framework(request: Request, error: HTTPException) -> Problem:
    # Of what it says itself nothing is more than the status; of the methods it tells those of one route.
    allowed = {"Allow": _allowed(request)} if error.status_code == 405 else {}
    return of_status(error.status_code, headers={**(error.headers or {}), **allowed})


def _allowed(request: Request) -> str:
    methods: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return ", ".join(sorted(methods))


def respond(problem: Problem) -> Response:
    return Response(problem.body(), problem.status, dict(problem.headers), MEDIA_TYPE)


def _handled(to_problem: Callable[[Request, Any], Problem]) -> Callable[[Request, Any], Any]:
    async def handle(request: Request, error: Any) -> Response:
        return respond(to_problem(request, error))

    return handle


def install(app: Starlette) -> None:
    """Every refusal is a problem, whoever raised it."""
    handlers: tuple[tuple[type[Exception], Callable[[Request, Any], Problem]], ...] = (
        (Problem, lambda _, problem: problem),
        (errors.RiptideError, lambda _, error: problem_of(error)),
        (MalformedBody, lambda _, error: problem_of(error)),
        (UnknownVersion, lambda _, error: problem_of(error)),
        (RequestValidationError, lambda _, error: _of_validation(error)),
        (HTTPException, _of_framework),
        (Exception, lambda *_: internal()),
    )
    for kind, to_problem in handlers:
        app.add_exception_handler(kind, _handled(to_problem))
