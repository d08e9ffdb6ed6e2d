"""`/commands`: publishing, what became of it, cancelling."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.convertors import Convertor, register_url_convertor

from commands import Command
from riptide.api import models
from riptide.api.access.caller import TENANT_CANCELS, TENANT_COMMANDS, Caller
from riptide.api.answers import accepted, answer, status_facts
from riptide.api.desk import desk
from riptide.api.documented import PUBLISHED, Responses, answers
from riptide.api.errors import of_status
from riptide.api.parameters import AnyTenant, CommandRef, IdempotencyKey, Instant, TenantQuery, Wait
from riptide.api.permits import permit, permit_own
from riptide.api.problems import Problem
from riptide.errors import UnknownCommand
from riptide.streams.message import Ref
from riptide.streams.owner import owner

_KNOWN: Responses = answers(404, 405, 409)


class _Plain(Convertor[str]):
    """A type of command: none has a dot in it."""

    regex = r"[^/.]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class _Dotted(_Plain):
    """A reference: each has one."""

    regex = r"[^/.]*\.[^/]*"


register_url_convertor("kind", _Plain())
register_url_convertor("ref", _Dotted())

#: What needs more than publishing does, because its effect does.
STRONGER = {
    "restore": "state:restore",
    "purge_tenant": "tenants:write",
    "reload": "state:write",
    "checkpoint": "state:write",
    "spill": "state:write",
}

Delay = Annotated[
    float | None, Query(ge=0, le=31_622_400, description="Start it so many seconds later.", examples=[90])
]
At = Annotated[
    Instant | None,
    Query(
        description="Start it then; with `delay`, at the later of both.", examples=["2026-11-21T12:00:00Z"]
    ),
]
Trace = Annotated[
    str | None,
    Header(alias="traceparent", max_length=512, pattern=r"^[!-~]+$", description="A W3C traceparent."),
]


def make_router(known: Mapping[str, type[Command]]) -> APIRouter:
    """An endpoint for each type of command, so that its body is documented and checked as what it is."""
    router = APIRouter(prefix="/commands", tags=["commands"])
    for kind, model in known.items():
        router.add_api_route(
            f"/{kind}",
            _publishing(model),
            methods=["POST"],
            name=f"publish_{kind}",
            summary=f"Publish {kind}",
            description=f"{_meaning(model)}\n\nThe request's body is the command's body.",
            openapi_extra=body_of(model),
            **PUBLISHED,
        )
    for method, endpoint in (("GET", show_command), ("DELETE", cancel_command)):
        router.add_api_route(
            "/{ref:ref}", endpoint, methods=[method], response_model=models.CommandState, responses=_KNOWN
        )
    router.add_api_route("/{kind:kind}", _no_such, methods=["POST"], include_in_schema=False)
    return router


def _publishing(model: type[Command]) -> Callable[..., Any]:
    """What is a tenant's names it, and of some the tenant's own key may publish it."""
    permission = STRONGER.get(model.type, "commands:publish")
    permitted = permit(permission, of="tenant" if model.type in TENANT_COMMANDS else None)

    async def for_tenant(
        request: Request,
        tenant: TenantQuery,
        caller: Annotated[Caller, permitted],
        wait: Wait = None,
        delay: Delay = None,
        at: At = None,
        idempotency_key: IdempotencyKey = None,
        traceparent: Trace = None,
    ) -> Response:
        command = await read_command(request, model)
        check_reach(caller, command)
        await _take(request, caller)
        return await publish(
            request,
            command,
            tenant,
            wait,
            key=_key_of(caller, idempotency_key),
            trace=traceparent,
            delay=_later(delay, at),
        )

    async def for_anybody(
        request: Request,
        caller: Annotated[Caller, permitted],
        tenant: AnyTenant = None,
        wait: Wait = None,
        delay: Delay = None,
        at: At = None,
        idempotency_key: IdempotencyKey = None,
        traceparent: Trace = None,
    ) -> Response:
        return await publish(
            request,
            await read_command(request, model),
            tenant,
            wait,
            key=idempotency_key,
            trace=traceparent,
            delay=_later(delay, at),
        )

    return for_tenant if model.tenant_required else for_anybody


def _key_of(caller: Caller, key: str | None) -> str | None:
    """A tenant's are apart: it must not use up those by which services will record what it used."""
    return f"tenant\0{key}" if key is not None and caller.role == "tenant" else key


def _later(delay: float | None, at: datetime | None) -> float | None:
    """In how many seconds it is to start: what comes last of both."""
    if at is None:
        return delay
    return max(delay or 0.0, at.timestamp() - time.time(), 0.0)


def check_reach(caller: Caller, command: Command) -> None:
    """Raises Problem for what reaches further than the caller."""
    if caller.role == "tenant" and getattr(command, "every_tenant", False):
        raise Problem(403, "forbidden", "Forbidden", "every_tenant is not for a tenant's key")


async def _take(request: Request, caller: Caller) -> None:
    """What a tenant publishes itself is an operation of it: it must not fill the streams that all share.
    Raises QuotaExceeded, TenantNotActive."""
    if caller.tenant is not None:
        decision = await desk(request).rt.quotas.check(caller.tenant, {"operations_per_minute": 1})
        decision.raise_if_refused()


async def publish(
    request: Request, command: Command, tenant: str | None, wait: float | None, **how: Any
) -> Response:
    """202 with its reference, or how it ended. `how` is what `rt.publish` takes besides."""
    found = desk(request)
    ref = await found.rt.publish(command, tenant=tenant, **how)
    return await accepted(request, found, ref, wait)


async def read_command(request: Request, model: type[Command]) -> Command:
    """The request's body as a command, read as from its stream. Raises Problem and MalformedBody."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise of_status(415, "send the body as Content-Type: application/json")
    return model.parse(model.version, await request.body())


async def show_command(
    request: Request,
    ref: CommandRef,
    caller: Annotated[Caller, permit_own("commands:read")],
    wait: Wait = None,
) -> Response:
    """Tell where a command stands, or wait for its end."""
    found, at = Ref.parse(ref), desk(request)
    await _check_own(request, caller, found)
    status = await (at.wait(found, wait) if wait else at.rt.status(found))
    if status.state == "unknown":
        raise _unknown(ref)
    return answer(status_facts(status))


async def cancel_command(
    request: Request, ref: CommandRef, caller: Annotated[Caller, permit_own("commands:cancel")]
) -> Response:
    """Cancel a command that no worker has been given: 200 if it is cancelled, now or earlier; else 409 with
    the state that it has."""
    found, at = Ref.parse(ref), desk(request)
    await _check_own(request, caller, found)
    if caller.role == "tenant" and found.kind not in TENANT_CANCELS:
        raise Problem(403, "forbidden", "Forbidden", f"{found.kind} is not for a tenant's key to cancel")
    status = await at.rt.cancel(found)
    if status.state == "unknown":
        raise _unknown(ref)
    if status.state != "cancelled":
        told = {"state": status.state}
        raise Problem(409, "not-cancellable", "It has begun, or ended", f"it is {status.state}", more=told)
    return answer(status_facts(status))


async def _no_such(
    request: Request, kind: str, caller: Annotated[Caller, permit_own("commands:publish")]
) -> Response:
    known = ", ".join(sorted(desk(request).models))
    raise UnknownCommand(f"no command is of type {kind[:80]!r}; known are {known}")


async def _check_own(request: Request, caller: Caller, ref: Ref) -> None:
    """To a tenant another's commands are unknown, and those that it could not publish, as its purge."""
    if caller.role != "tenant":
        return
    at = desk(request)
    if ref.kind not in TENANT_COMMANDS or await at.rt.store.run(owner(at.keys, ref)) != caller.tenant:
        raise _unknown(str(ref))


def _unknown(ref: str) -> Problem:
    why = f"{ref} was never published here, or so long ago that its entry is gone"
    return Problem(404, "unknown-reference", "There is no such command", why)


def _meaning(model: type[Command]) -> str:
    return (model.__doc__ or "").replace("\n    ", "\n").strip()


def body_of(model: type[Command]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}
    return {"requestBody": {"required": True, "content": content}}
