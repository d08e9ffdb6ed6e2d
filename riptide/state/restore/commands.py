"""Publishes the unfinished commands of a checkpoint again, where the server knows nothing of them."""

from collections.abc import Callable, Iterator

from riptide.state.archive.names import order
from riptide.state.checkpoints.rows import COMMANDS, Rows
from riptide.state.checkpoints.sums import USAGE
from riptide.state.checkpoints.unfinished import Unfinished, read_unfinished
from riptide.state.replay.commands import Found
from riptide.state.replay.target import Target
from riptide.state.restore.report import Report
from riptide.state.restore.tenants import Tenants

_AT_ONCE = 200


def kept_usage(rows: Rows) -> dict[str, dict[str, list[bytes]]]:
    """Records of usage that were not finished, by partition and first entry. They are counted, not
    published."""
    found: dict[str, dict[str, list[bytes]]] = {}
    for one in _unfinished(rows):
        if one.source.kind == USAGE:
            found.setdefault(one.source.partition, {})[one.source.entry_id] = one.fields
    return {p: dict(sorted(kept.items(), key=lambda item: order(item[0]))) for p, kept in found.items()}


def publish_again(
    rows: Rows, target: Target, tenants: Tenants, purged: Callable[[Found], bool], report: Report
) -> None:
    """Commands of other types. A command that is published again is remembered for a day, and so not sent
    twice."""
    waiting: dict[tuple[str, str], list[Found]] = {}
    for one in _unfinished(rows):
        command = _found(one)
        if one.source.kind == USAGE or not _is_wanted(command, tenants) or purged(command):
            continue
        place = one.source.kind, one.source.partition
        waiting.setdefault(place, []).append(command)
        if len(waiting[place]) >= _AT_ONCE:
            _send(target, place, waiting.pop(place), report)
    for place, commands in waiting.items():
        _send(target, place, commands, report)


def _send(target: Target, place: tuple[str, str], commands: list[Found], report: Report) -> None:
    states = target.states(*place, [one.source.entry_id for one in commands])
    lost = [one for one, state in zip(commands, states, strict=True) if state == "unknown"]
    report.commands += len(lost) if report.dry_run else sum(target.send(*place, lost))


def _is_wanted(command: Found, tenants: Tenants) -> bool:
    if command.tenant is None:
        return tenants.is_chosen("")
    return tenants.incarnation(command.tenant) is not None


def _unfinished(rows: Rows) -> Iterator[Unfinished]:
    return map(read_unfinished, rows(COMMANDS))


def _found(one: Unfinished) -> Found:
    """As it is published again: a delay counts from when it was issued."""
    fields = list(one.fields)
    tenant = None
    for at in range(0, len(fields) - 1, 2):
        if fields[at] == b"tenant":
            tenant = fields[at + 1].decode("utf-8", "replace")
        elif fields[at] == b"due" and fields[at + 1].startswith(b"+") and fields[at + 1][1:].isdigit():
            issued = order(one.source.entry_id)[0]
            fields[at + 1] = b"%d" % (issued + int(fields[at + 1][1:]))
    return Found(one.source, None, tenant, fields)
