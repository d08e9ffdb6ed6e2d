"""A worker is killed, or its connection cut, before and after every single call of its archiver."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from riptide.config import BlobsSettings
from riptide.state.archive import reading
from riptide.state.blobs import Blobs, open_blobs
from riptide.store.keys import ARCHIVE_GROUP
from tests.servers import Server
from tests.support.archives import gaps
from tests.support.crew import KINDS
from tests.support.observer import Call
from tests.support.proxy import Proxy
from tests.support.scenario import PARTITION, Scenario, concerns
from tests.support.stage import Stage
from tests.support.strikes import strike_everywhere

pytestmark = pytest.mark.faults

#: What has ended is trimmed as soon as it is archived; an archiver's lease is two seconds at least.
STREAMS: dict[str, Any] = {
    "archive": True,
    "archive_types": KINDS,
    "archive_seconds": 0.5,
    "replay_window_seconds": 0.001,
}


def archives(call: Call) -> bool:
    return concerns(call) and (call.name.startswith("archive_") or call.name == "XRANGE")


def unarchived(stage: Stage, blobs: Blobs | None = None) -> str:
    """Every entry that was ever in a stream is in the archive, once; and the archive's group stands at the
    stream's end."""
    blobs = blobs or open_blobs(stage.place.settings().blobs)
    kinds = stage.place.settings().streams.archive_types
    return "; ".join(text for kind in kinds if (text := _unarchived(stage, kind, blobs)))


def _unarchived(stage: Stage, kind: str, blobs: Blobs) -> str:
    key = stage.keys.commands(kind, PARTITION)
    groups = [row for row in stage.client.xinfo_groups(key) if row["name"] == ARCHIVE_GROUP.encode()]
    stream = stage.client.xinfo_stream(key)
    last, total = stream["last-generated-id"], stream["entries-added"]
    if not groups or (groups[0]["last-delivered-id"], groups[0]["lag"]) != (last, 0):
        return f"the archive lags behind {kind}: {groups}"
    saved = stage.client.hmget(stage.keys.archive(PARTITION), f"position:{kind}", f"archived:{kind}")
    if saved != [last, b"%d" % total]:
        return f"its position is {saved}, not {last} after {total}"
    pages = reading.pages(blobs, stage.place.prefix, kind, PARTITION)
    ids = [entry_id for rows, _ in pages for entry_id, _ in rows]
    accepted = {ref.rpartition(".")[2] for _, ref in stage.accepted() if ref.startswith(f"{kind}.")}
    if len(ids) != total or len(set(ids)) != total or accepted - set(ids):
        return f"of {total} entries of {kind} it holds {ids}"
    return "".join(gaps(blobs, stage.place.prefix, kind, PARTITION))


SCENARIO = Scenario(
    "archive",
    plans=[("done",), ("again", "done")],
    bundles=5,
    late=True,
    settings={"streams": STREAMS},
    counts=archives,
    lacks=unarchived,
)


async def test_every_call_to_a_local_archive(valkey: Server, tmp_path: Path) -> None:
    await strike_everywhere(SCENARIO, valkey, tmp_path)


async def test_every_call_to_a_slow_archive_in_s3(
    valkey: Server, tmp_path: Path, s3_url: str, s3_settings: Callable[..., BlobsSettings]
) -> None:
    """Each upload takes longer than a quarter of the lease, which is kept meanwhile."""
    direct = s3_settings()
    with Proxy(s3_url) as proxy:
        proxy.delay = 0.6
        slow = direct.model_copy(update={"s3_endpoint": proxy.url.replace("redis://", "http://")})
        scenario = replace(
            SCENARIO,
            name="archive in S3",
            settings={"streams": STREAMS | {"archive_types": ("bundle",)}, "blobs": slow.model_dump()},
            lacks=lambda stage: unarchived(stage, open_blobs(direct)),
        )
        await strike_everywhere(scenario, valkey, tmp_path)
