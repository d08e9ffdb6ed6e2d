"""Who calls, and who may call an endpoint: one declaration for the check, the OpenAPI document and the tests.

`Annotated[Caller, permit("tenants:read", of="tenant_id")]`
"""

from collections.abc import Callable
from typing import Any

from fastapi import Depends, Request
from fastapi.routing import APIRoute

from riptide.api.access.access import Access
from riptide.api.access.caller import PERMISSIONS, Caller
from riptide.api.access.guard import Shown
from riptide.api.access.verify import Verdict
from riptide.api.problems import Problem
from riptide.store.operation import Flow, Operation, ask

#: Each check of a caller -> the permission that it asks for.
_NEEDED: dict[Callable[..., Any], str] = {}


def permit(permission: str, of: str | None = None) -> Any:
    """A dependency that yields the caller, if they have `permission`; where `of` names a parameter of path or
    query, for the tenant that stands there. Raises Problem 401, 403, 422 or 429; KeyError for what is no
    permission."""
    return _permitted(permission, lambda request, _: None if of is None else _named(request, of))


def permit_own(permission: str) -> Any:
    """The same where the answer holds what the caller may see: a tenant's key sees its own tenant."""
    return _permitted(permission, lambda _, caller: caller.tenant)


def _permitted(permission: str, whose: Callable[[Request, Caller], str | None]) -> Any:
    if permission not in PERMISSIONS:
        raise KeyError(permission)

    async def caller(request: Request) -> Caller:
        found = await identified(request)
        check(found, permission, whose(request, found))
        return found

    _NEEDED[caller] = permission
    return Depends(caller)


def permission_of(route: APIRoute) -> str | None:
    """What the caller of an endpoint must be permitted; None where anybody may call it."""
    asked = (dependency.call for dependency in route.dependant.dependencies)
    return next((_NEEDED[call] for call in asked if call in _NEEDED), None)


async def identified(request: Request) -> Caller:
    """Who calls, whatever they may do. Raises Problem 401 or 429; ServerUnavailable, KeySetUnavailable."""
    access: Access = request.app.state.access
    return await access.identify(*_shown(request))


def identifying(request: Request, permission: str, tenant: str) -> Flow[Caller] | None:
    """The check of an API key as a flow, to be sent along with what is asked; None where it is no key. Raises
    Problem."""
    access: Access = request.app.state.access
    shown = access.begin(*_shown(request))
    asked = access.verify_operation(shown)
    return None if asked is None else _permitting(access, shown, asked, permission, tenant)


def _permitting(
    access: Access, shown: Shown, asked: Operation[Verdict], permission: str, tenant: str
) -> Flow[Caller]:
    found = access.conclude(shown, (yield from ask(asked)))
    check(found, permission, tenant)
    return found


def check(caller: Caller, permission: str, tenant: str | None = None) -> None:
    """Raises Problem 403."""
    if not caller.may(permission, tenant):
        whose = "" if tenant is None else f" for the tenant {tenant[:80]}"
        raise Problem(
            403,
            "forbidden",
            "Forbidden",
            f"This needs the permission {permission}{whose}, which the caller (role {caller.role}) does not "
            "have.",
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


def _shown(request: Request) -> tuple[str | None, str | None]:
    """`Authorization`, or what stands for it; and the client's address."""
    given = request.headers.get("authorization")
    if given is None and (key := request.headers.get("x-api-key")):
        given = f"Bearer {key}"
    return given, None if request.client is None else request.client.host
