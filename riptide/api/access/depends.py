"""What an endpoint needs of its caller: `Annotated[Caller, Depends(needs("tenants:read",
of="tenant_id"))]`."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request

from riptide.api.access.access import Access
from riptide.api.access.caller import PERMISSIONS, Caller
from riptide.api.access.jwks import KeySetUnavailable
from riptide.api.problems import Problem

#: Each check of a caller -> the permission that it asks for; the OpenAPI document is made of it, too.
NEEDED: dict[Callable[..., Any], str] = {}


def needs(permission: str, *, of: str | None = None) -> Callable[..., Awaitable[Caller]]:
    """A dependency that yields the caller, if they have `permission`; where `of` names a parameter of path or
    query, for the tenant that stands there. Raises Problem 401, 403, 429 or 503; KeyError for what is no
    permission."""
    if permission not in PERMISSIONS:
        raise KeyError(permission)

    async def caller(request: Request) -> Caller:
        found = await identified(request)
        check(found, permission, None if of is None else _named(request, of))
        return found

    NEEDED[caller] = permission
    return caller


async def identified(request: Request) -> Caller:
    """Who calls, whatever they may do. Raises Problem 401, 429 or 503."""
    access: Access = request.app.state.access
    client = None if request.client is None else request.client.host
    try:
        return await access.identify(authorization_of(request), client)
    except KeySetUnavailable as error:
        raise Problem(
            503, "key-set-unavailable", "Tokens cannot be checked", str(error), headers={"Retry-After": "30"}
        ) from None


def check(caller: Caller, permission: str, tenant: str | None = None) -> None:
    """Raises Problem 403."""
    if not caller.may(permission, tenant):
        whose = "" if tenant is None else f" for the tenant {tenant[:80]}"
        raise Problem(
            403,
            "forbidden",
            "Forbidden",
            f"This needs the permission {permission}{whose}, which the caller (role {caller.role}) does not "
            f"have.",
        )


def _named(request: Request, of: str) -> str | None:
    """The tenant that a request is about. Raises Problem 422 if it names several: which one would be
    checked?"""
    if of in request.path_params:
        return str(request.path_params[of])
    given = request.query_params.getlist(of)
    if len(given) > 1:
        raise Problem(422, "invalid-input", "What was sent cannot work", f"{of} is given more than once")
    return given[0] if given else None


def authorization_of(request: Request) -> str | None:
    """`Authorization`, or what stands for it."""
    given = request.headers.get("authorization")
    if given is None and (key := request.headers.get("x-api-key")):
        return f"Bearer {key}"
    return given
