"""Who may call an endpoint: one declaration for the check, the OpenAPI document and the tests."""

from typing import Any

from fastapi import Depends, Request
from fastapi.routing import APIRoute

from riptide.api.access.access import Access
from riptide.api.access.caller import Caller
from riptide.api.access.depends import NEEDED, authorization_of, check, identified, needs
from riptide.store.operation import Flow, ask


def permit(permission: str, of: str | None = None) -> Any:
    """A dependency that yields the caller. `of` is the parameter of path or query that names whose it is."""
    return Depends(needs(permission, of=of))


def permit_own(permission: str) -> Any:
    """The same where the answer holds what the caller may see: a tenant's key sees its own tenant."""

    async def caller(request: Request) -> Caller:
        found = await identified(request)
        check(found, permission, found.tenant)
        return found

    NEEDED[caller] = permission
    return Depends(caller)


def identifying(request: Request, permission: str, tenant: str) -> Flow[Caller] | None:
    """The check of an API key as a flow, to be sent along with what is asked; None where it is no key. Raises
    Problem."""
    access: Access = request.app.state.access
    shown = access.begin(authorization_of(request), None if request.client is None else request.client.host)
    asked = access.verify_operation(shown)
    if asked is None:
        return None

    def flow() -> Flow[Caller]:
        found = access.conclude(shown, (yield from ask(asked)))
        check(found, permission, tenant)
        return found

    return flow()


def permission_of(route: APIRoute) -> str | None:
    """What the caller of an endpoint must be permitted; None where anybody may call it."""
    asked = (dependency.call for dependency in route.dependant.dependencies)
    return next((NEEDED[call] for call in asked if call in NEEDED), None)
