"""`/admin/keys`: the API keys."""

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from riptide.api.access.access import Access
from riptide.api.access.caller import Caller, Role
from riptide.api.access.key import check_scopes
from riptide.api.access.models import KeyFacts, KeyPageFacts, KeyWish, NewKeyFacts, Rotation, TenantKey
from riptide.api.access.text import ID_PATTERN
from riptide.api.answers import location
from riptide.api.documented import answers
from riptide.api.parameters import TENANT, Limit
from riptide.api.permits import permit
from riptide.api.problems import Problem

router = APIRouter(prefix="/admin/keys", tags=["keys"])

_Id = Annotated[str, Path(pattern=rf"^{ID_PATTERN}$", max_length=76, examples=["acme.4f9a0c2b71d3"])]
_Reader = Annotated[Caller, permit("keys:read")]
_Writer = Annotated[Caller, permit("keys:write")]


async def _access(request: Request) -> Access:
    access: Access = request.app.state.access
    return access


_Access = Annotated[Access, Depends(_access)]


@router.get("", summary="List keys", responses=answers(404, 409))
async def list_keys(
    access: _Access,
    _caller: _Reader,
    tenant: Annotated[
        str | None,
        Query(pattern=TENANT, description="Whose; left out, those of operators.", examples=["acme"]),
    ] = None,
    limit: Limit = 100,
    cursor: Annotated[
        str | None,
        Query(pattern=rf"^{ID_PATTERN}$", max_length=76, description="Go on where a page ended."),
    ] = None,
) -> KeyPageFacts:
    """The keys of a tenant, or those of operators (viewer, operator, admin), in order of their ids. Those
    that were revoked or have expired are there for 90 days."""
    page = await access.list(tenant, after=cursor, limit=limit)
    return KeyPageFacts(keys=[KeyFacts.of(key) for key in page.keys], cursor=page.cursor)


@router.post("", status_code=201, summary="Make a key", responses=answers(404, 409, 415))
async def make_key(
    request: Request, access: _Access, caller: _Writer, wish: KeyWish, response: Response
) -> NewKeyFacts:
    """The secret is in the answer, and can never be asked for again. Nobody makes a key that may do more than
    they."""
    check_scopes(wish.scopes, wish.role)
    _check_covers(caller, wish.role, wish.scopes)
    made = await access.create(
        wish.name,
        role=wish.role,
        tenant=wish.tenant if isinstance(wish, TenantKey) else None,
        scopes=wish.scopes,
        expires_seconds=wish.expires_in_seconds,
        actor=caller.actor,
    )
    response.headers.update(location(request, f"/admin/keys/{made.key.id}"))
    response.headers["Cache-Control"] = "no-store"
    return NewKeyFacts.of(made)


@router.get("/{key_id}", summary="Show a key", responses=answers(404))
async def show_key(access: _Access, _caller: _Reader, key_id: _Id) -> KeyFacts:
    """A key, without its secret."""
    return KeyFacts.of(await access.show(key_id))


@router.delete("/{key_id}", status_code=204, summary="Revoke a key", responses=answers(404))
async def revoke_key(access: _Access, caller: _Writer, key_id: _Id) -> None:
    """It is refused from the next call on, for good."""
    await access.revoke(key_id, actor=caller.actor)


@router.post("/{key_id}/rotate", summary="Rotate a key", responses=answers(404, 409, 415))
async def rotate_key(
    access: _Access, caller: _Writer, key_id: _Id, response: Response, rotation: Rotation | None = None
) -> NewKeyFacts:
    """Another secret for the same key. The one before stays valid for `overlap_seconds`; a lifetime begins
    anew."""
    how = rotation or Rotation()
    key = await access.show(key_id)
    _check_covers(caller, key.role, key.scopes)
    made = await access.rotate(key_id, overlap_seconds=how.overlap_seconds, actor=caller.actor)
    response.headers["Cache-Control"] = "no-store"
    return NewKeyFacts.of(made)


def _check_covers(caller: Caller, role: Role, scopes: Iterable[str] | None) -> None:
    if not caller.covers(role, scopes):
        raise Problem(
            403,
            "forbidden",
            "Forbidden",
            "The key may do more than the caller, whose scopes are narrower: nobody gives what they do not "
            "have.",
        )
