"""Checks of what is written down: blob store, archive, checkpoints."""

import os
import shutil
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from riptide.doctor.facts import Facts
from riptide.doctor.finding import Check, Finding, fail, few, ok, problems_or, skipped, span, warn
from riptide.errors import BlobError
from riptide.state.archive.status import type_archives
from riptide.state.blobs import open_blobs
from riptide.state.checkpoints.shelf import Shelf

_LEAST_FREE_PERCENT = 5
#: So many intervals may pass, and the time that it takes to write one.
_INTERVALS, _WRITING_SECONDS = 3, 600
_ARCHIVE_SECONDS = 300.0


def blobs(facts: Facts) -> Sequence[Finding]:
    settings = facts.settings.blobs
    try:
        store = open_blobs(settings)
        if not settings.url.startswith("s3://"):
            return _directory(Path(settings.url).absolute())
        list(islice(store.list(), 1))
    except BlobError as error:
        return [fail(str(error), "see blobs.url and its credentials: 'riptide config show --section blobs'")]
    return [ok(f"{store.place} can be read; 'riptide checkpoint create' tries whether it can be written")]


def _directory(root: Path) -> Sequence[Finding]:
    there = next(path for path in (root, *root.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        return [fail(f"{there} is no directory that this user may write", "chown it, or set blobs.url")]
    usage, problems = shutil.disk_usage(there), []
    if usage.free * 100 < usage.total * _LEAST_FREE_PERCENT:
        problems.append(
            fail(f"{usage.free / 2**20:,.0f} MiB are free where {root} is", "make room, or set blobs.url")
        )
    return problems_or(
        problems,
        f"{root}, {usage.free / 2**30:,.1f} GiB free"
        + ("" if there == root else "; made by the first write"),
    )


def blobs_shared(facts: Facts) -> Sequence[Finding]:
    hosts = sorted({one.host for one in [*facts.workers, *facts.services]})
    if facts.settings.blobs.url.startswith("s3://") or len(hosts) < 2:
        return [ok("one store for all")]
    return [
        warn(
            f"a directory, and {len(hosts)} hosts: {few(hosts)}",
            "see that it is the same one on all of them (NFS), or use S3: blobs.url",
        )
    ]


def archive(facts: Facts) -> Sequence[Finding]:
    streams = facts.settings.streams
    if not streams.archive:
        return [skipped("streams.archive is off")]
    kinds = [kind for kind in streams.archive_types if kind in facts.kinds]
    problems = []
    for one in facts.store.drive(type_archives(facts.keys, kinds)):
        waited = one.oldest_seconds or 0.0
        if waited > _ARCHIVE_SECONDS + 3 * streams.archive_seconds:
            lag = "many" if one.lag is None else f"{one.lag:,}"
            tell = warn if one.workers else fail
            problems.append(
                tell(
                    f"{lag} {one.kind} wait for the archive, the first for {span(waited)}; "
                    f"{len(one.workers)} workers write it",
                    "riptide archive status; the log of a worker says why it cannot write, if one runs",
                )
            )
    return problems_or(problems, f"{', '.join(kinds) or 'nothing'}: nothing waits for long")


def checkpoints(facts: Facts) -> Sequence[Finding]:
    return problems_or(list(_checkpoint_problems(facts)), "the newest is young, and all can be read")


def _checkpoint_problems(facts: Facts) -> Iterator[Finding]:
    found, damaged = Shelf(facts.settings).list()
    for problem in damaged:
        yield fail(
            problem, "nothing of it is used: remove its files, and write another: 'riptide checkpoint create'"
        )
    if not found:
        yield warn("there is none", "riptide checkpoint create; running workers write them by themselves")
        return
    newest = max(found, key=lambda one: one.begun_ms)
    age = facts.census.now_ms / 1000 - newest.begun_ms / 1000
    allowed = _INTERVALS * facts.settings.state.checkpoint_interval_seconds + _WRITING_SECONDS
    if age > allowed:
        yield warn(
            f"the newest, {newest.id}, is {span(age)} old; one is written every "
            f"{span(facts.settings.state.checkpoint_interval_seconds)}",
            "riptide checkpoint create; see 'riptide dead list --type checkpoint' for why there was none",
        )
    if newest.kind == "emergency":
        yield warn(
            f"the newest, {newest.id}, is an emergency's: {newest.note}",
            "see server.memory and server.persistence",
        )


CHECKS = (
    Check(
        "state.blobs",
        "whether the blob store can be reached, and has room",
        "Archive, checkpoints, spilled data and wrapped keys lie there.",
        blobs,
        needs_server=False,
    ),
    Check(
        "state.shared",
        "whether several hosts can share the blob store",
        "What one host writes, another must find.",
        blobs_shared,
    ),
    Check(
        "state.archive",
        "how long commands wait for the archive",
        "What is not archived is lost with the server's disk; and its stream is not trimmed.",
        archive,
    ),
    Check(
        "state.checkpoints",
        "the age of the newest checkpoint, and whether their manifests are intact",
        "A restore begins at the newest: the older it is, the more has to be replayed.",
        checkpoints,
    ),
)
