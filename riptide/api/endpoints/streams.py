"""`/admin/streams` and `/admin/dead`: how the streams stand, and what could not be carried out."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from riptide.api import models
from riptide.api.access.caller import Caller
from riptide.api.answers import answer, moment
from riptide.api.desk import Desk, desk
from riptide.api.documented import answers
from riptide.api.endpoints.commands import STRONGER
from riptide.api.parameters import Limit, RefCursor
from riptide.api.permits import check, permit
from riptide.errors import UnknownCommand
from riptide.state.archive.status import type_archives
from riptide.streams import dead
from riptide.streams.dead import DeadLetter
from riptide.streams.message import Ref
from riptide.streams.overview import overview

router = APIRouter(prefix="/admin", tags=["streams"])
#: Dead letters that one request handles; whoever has more asks again.
_MOST_HANDLED = 1000

OfType = Annotated[str | None, Query(alias="type", min_length=1, description="Only commands of this type.")]
OfError = Annotated[
    str | None,
    Query(min_length=1, description="Only those whose reason or error contains this."),
]
Writes = Annotated[Caller, permit("dead:write")]


@router.get("/streams", response_model=models.Streams, responses=answers())
async def show_streams(request: Request, caller: Annotated[Caller, permit("streams:read")]) -> Response:
    """Show each type's backlog, what is being worked on, retries, dead letters, and whether it is paused."""
    found = desk(request)
    rt, streams = found.rt, found.rt.settings.streams
    kinds = sorted(found.models)
    archived = [kind for kind in streams.archive_types if streams.archive and kind in kinds]
    archives = {one.kind: one for one in await rt.store.drive(type_archives(found.keys, archived))}
    paused = await rt.paused()
    rows = []
    for state in await rt.store.drive(overview(found.keys, kinds, streams)):
        pause, archive = paused.get(state.kind), archives.get(state.kind)
        row = asdict(state) | {"type": state.kind, "paused": None, "archive": None}
        del row["kind"]
        if pause is not None:
            row["paused"] = {"since": moment(pause.at_ms), "by": pause.by, "why": pause.why}
        if archive is not None:
            row["archive"] = {"lag": archive.lag, "oldest_seconds": archive.oldest_seconds}
        rows.append(row)
    return answer({"streams": rows})


@router.get("/dead", response_model=models.DeadPage, responses=answers(404))
async def list_dead(
    request: Request,
    caller: Annotated[Caller, permit("dead:read")],
    kind: OfType = None,
    error: OfError = None,
    limit: Limit = 100,
    cursor: RefCursor = None,
) -> Response:
    """List dead letters by type and partition, each oldest first.

    With a filter a page may have fewer than `limit` although others follow: `cursor` says so.
    """
    found = desk(request)
    after = None if cursor is None else Ref.parse(cursor)
    page = await found.rt.store.drive(dead.page(found.keys, _kinds(found, kind), error, after, limit))
    rows = [_facts(letter) for letter in page.letters]
    return answer({"dead": rows, "cursor": None if page.cursor is None else str(page.cursor)})


@router.post("/dead/retry", response_model=models.DeadOutcome, responses=answers(404))
async def retry_dead(request: Request, caller: Writes, choice: models.DeadChoice) -> Response:
    """Put dead letters back into their streams, to be tried from the start; up to 1,000 at a time.

    What the caller may not publish, as a restore, is refused where it is named, and else left where it is.
    """
    found = desk(request)
    kinds = _kinds(found, choice.type)
    named = kinds if choice.type else [Ref.parse(ref).kind for ref in choice.refs or ()]
    for permission in {STRONGER[kind] for kind in named if kind in STRONGER}:
        check(caller, permission)
    own = [kind for kind in kinds if kind not in STRONGER or caller.may(STRONGER[kind])]

    async def revive(letter: DeadLetter) -> bool:
        return await found.rt.store.run(dead.revive(found.keys, letter))

    return await _each(found, choice, own, revive)


@router.post("/dead/drop", response_model=models.DeadOutcome, responses=answers(404))
async def drop_dead(request: Request, caller: Writes, choice: models.DeadChoice) -> Response:
    """Remove dead letters for good; up to 1,000 at a time."""
    found = desk(request)

    async def drop(letter: DeadLetter) -> bool:
        return await found.rt.store.run(dead.drop(found.keys, letter.ref))

    return await _each(found, choice, _kinds(found, choice.type), drop)


async def _each(found: Desk, choice: models.DeadChoice, kinds: list[str], act: Any) -> Response:
    done = gone = 0
    more = False
    async for letter in _chosen(found, choice, kinds):
        if done + gone == _MOST_HANDLED:
            more = True
            break
        if letter is not None and await act(letter):
            done += 1
        else:
            gone += 1
    return answer({"done": done, "gone": gone, "more": more})


async def _chosen(
    found: Desk, choice: models.DeadChoice, kinds: list[str]
) -> AsyncIterator[DeadLetter | None]:
    """None stands for one that is there no more."""
    if choice.refs is not None:
        for ref in choice.refs:
            letter = await found.rt.store.drive(dead.letter(found.keys, Ref.parse(ref)))
            if letter is None or (letter.ref.kind in kinds and dead.has_error(letter, choice.error)):
                yield letter
        return
    if not (choice.type or choice.error or choice.all):
        return
    after: Ref | None = None
    while True:
        asked = dead.page(found.keys, kinds, choice.error, after, 100)
        page = await found.rt.store.drive(asked)
        for letter in page.letters:
            yield letter
        if (after := page.cursor) is None:
            return


def _kinds(found: Desk, kind: str | None) -> list[str]:
    if kind is None:
        return sorted(found.models)
    if kind not in found.models:
        known = ", ".join(sorted(found.models))
        raise UnknownCommand(f"no command is of type {kind[:80]!r}; known are {known}")
    return [kind]


def _facts(letter: DeadLetter) -> dict[str, Any]:
    return {
        "ref": str(letter.ref),
        "type": letter.ref.kind,
        "died_at": moment(letter.died_ms),
        "tenant": letter.tenant,
        "reason": letter.reason,
        "error": letter.error,
        "attempts": letter.attempts,
        "worker": letter.worker,
        "id": letter.id,
        "source": str(letter.source),
        "issued_at": moment(letter.at_ms),
    }
