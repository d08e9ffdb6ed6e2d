"""Where `warm` takes its keys from: lists, what is read most, access logs; and whose they are."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from commands.warm import Warm
from riptide.cache.loaders import LoaderUnavailable, LoadRequest
from riptide.config import Settings
from riptide.errors import Dead, InvalidInput, Retry, TenantExists
from riptide.reads.aio_client import aconnect
from riptide.reads.context import Context, make_context
from riptide.store.keys import Keys, partition_of
from riptide.store.operation import Operation
from riptide.streams.job import Job, Progress
from riptide.streams.message import Entry, Message
from tests.servers import Server
from tests.support.deployment import Deployment
from workers.warm import handle

Connect = Callable[..., AbstractAsyncContextManager[Context]]
LINE = '1.1.1.1 - - [21/Nov/2026:12:00:00 +0000] "GET {} HTTP/1.1" 200 5\n'


@pytest.fixture
def connect(valkey: Server, prefix: str) -> Connect:
    @asynccontextmanager
    async def open_context(*tenants: str, **cache: Any) -> AsyncIterator[Context]:
        settings = Settings.model_validate(
            {"cache": {"key_prefix": prefix, **cache}, "tenant": {"enabled": True}}
        )
        rt = await aconnect(valkey.url, settings)
        for tenant in tenants:
            with suppress(TenantExists):
                await rt.tenants.create(tenant)
        async with make_context(rt) as context:
            yield context

    return open_context


class Rows:
    """An origin; what it was asked for, in order."""

    def __init__(self, context: Context, name: str = "rows") -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.fails: set[str] = set()
        context.loaders.register(name, self)

    def __call__(self, request: LoadRequest) -> str:
        self.asked.append((request.tenant, request.namespace, request.key))
        if request.key in self.fails:
            raise LoaderUnavailable("down")
        return request.key


async def run(context: Context, tenant: str = "acme", attempt: int = 1, **body: Any) -> Job:
    command = Warm.model_validate({"loader": "rows", **body}, strict=False)
    message = Message("id", 1, tenant, 0, b"{}", None, "1-0", attempt - 1)
    job = Job(Entry("warm", partition_of(tenant), "1-0", []), message, command)
    await handle([job], context)
    return job


async def read(context: Context, tenant: str, **reads: int) -> None:
    """What workers would have counted: by key `<namespace>_<key>`."""
    keys = Keys(context.settings.cache.key_prefix)
    name = keys.popular(partition_of(tenant), tenant)
    for place, score in reads.items():
        namespace, _, key = place.partition("_")
        await context.rt.store.run(Operation(("ZADD", name, 20_000 + score, f"{namespace}:{key}"), int))


async def test_the_most_useful_come_first(connect: Connect) -> None:
    async with connect("acme", "other", warming_batch_size=1) as context:
        rows = Rows(context)
        await read(context, "acme", pages_a=1, pages_b=5, prices_c=3, pages_d=2)
        await read(context, "other", pages_x=9)
        job = await run(context, source="popular", top=3)
        assert job.outcome_error is None
        assert rows.asked == [("acme", "pages", "b"), ("acme", "prices", "c"), ("acme", "pages", "d")]
        assert job.reached == Progress(3, 3)
        assert (job.result["loaded"], job.result["sources"]) == (3, {"chosen": 3})
        assert await context.cache.get("c", tenant="acme", namespace="prices") == "c"
        await run(context, source="popular", namespace="pages")
        assert rows.asked[3:] == [("acme", "pages", "a")], "the others were there"
        assert (await run(context, source="popular", namespace="nowhere")).result["loaded"] == 0


async def test_a_tenant_s_own_list_goes_before_the_deployment_s(connect: Connect) -> None:
    async with connect("acme", "other", warm_list=("common", "more"), warming_batch_size=1) as context:
        rows = Rows(context)
        await context.rt.tenants.update("acme", settings={"warm_list": ["own", "own2"]})
        for tenant in ("acme", "other", "default"):
            await run(context, tenant, source="list", namespace="pages")
        await run(context, "acme", source="list", top=1)
        assert rows.asked == [
            *[("acme", "pages", key) for key in ("own", "own2")],
            *[(tenant, "pages", key) for tenant in ("other", "default") for key in ("common", "more")],
            ("acme", "default", "own"),
        ]
        for wrong in ("a, b", [1], [""], {"a": 1}):
            with pytest.raises(InvalidInput, match="warm_list"):
                await context.rt.tenants.update("acme", settings={"warm_list": wrong})
            with pytest.raises(InvalidInput, match="warm_list"):
                await context.rt.tenants.create("third", settings={"warm_list": wrong})


async def test_the_configured_access_logs(connect: Connect, tmp_path: Path) -> None:
    log, packed = tmp_path / "a.log", tmp_path / "b.log"
    log.write_text("".join(LINE.format(f"/{name}") for name in "abbccc") + "nonsense\n")
    packed.write_text("".join(LINE.format(f"/{name}") for name in "dddd"))
    where = {"warm_access_logs": (str(log), str(packed)), "warm_base_url": "https://x.example"}
    async with connect("acme", warming_batch_size=1, **where) as context:
        rows = Rows(context)
        job = await run(context, source="access_log", namespace="pages", top=3)
        assert [key for _, _, key in rows.asked] == [f"https://x.example/{name}" for name in "dcb"]
        assert job.result["access_log"] == {
            "lines": 11,
            "urls": 4,
            "malformed": 1,
            "skipped": 0,
            "unplaced": 0,
            "damaged": [],
        }
    async with connect("acme", warm_access_logs=(str(tmp_path / "none"),)) as context:
        Rows(context)
        missing = (await run(context, source="access_log")).outcome_error
        assert isinstance(missing, Dead)
        assert "none cannot be read: No such file" in str(missing)
    async with connect("acme") as context:
        Rows(context)
        job = await run(context, source="access_log")
        assert isinstance(job.outcome_error, Dead)
        assert "warm_access_logs names no file" in str(job.outcome_error)


async def test_all_of_it_for_every_tenant(connect: Connect, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(LINE.format("/logged"))
    where = {"warm_access_logs": (str(log),), "warm_base_url": "https://x.example", "warm_list": ("common",)}
    async with connect("acme", "other", "asleep", warming_batch_size=1, **where) as context:
        rows = Rows(context)
        await context.rt.tenants.update("acme", settings={"warm_list": ["own"]})
        await context.rt.tenants.suspend("asleep", "unpaid")
        await read(context, "acme", pages_a=1)
        await read(context, "default", pages_b=1)
        for _ in range(2):  # run again, as after a crash
            job = await run(context, "default", source="all", every_tenant=True)
            assert job.result["tenants"] == 2
        loaded = {("default", "common"), ("pages", "b"), ("default", "https://x.example/logged")}
        assert {(namespace, key) for tenant, namespace, key in rows.asked if tenant == "default"} == loaded
        assert rows.asked[0] == ("default", "default", "common"), "the list first"
        published = await asyncio.to_thread(published_for, context)
        assert published == {"acme": 1, "other": 1}
        rows.asked.clear()
        for tenant in published:
            await run(context, tenant, source="all")
        assert rows.asked == [("acme", "default", "own"), ("acme", "pages", "a")]


def published_for(context: Context) -> dict[str, int]:
    settings = context.settings
    deployment = Deployment(settings.redis.url.get_secret_value(), settings.cache.key_prefix)
    found: dict[str, int] = {}
    for _, _, fields in deployment.entries("warm"):
        assert fields[b"body"].count(b"every_tenant") == fields[b"body"].count(b'"every_tenant":false')
        tenant = fields[b"tenant"].decode()
        found[tenant] = found.get(tenant, 0) + 1
    deployment.close()
    return found


async def test_what_nobody_named_may_fail(connect: Connect) -> None:
    """It is tried again as others are; what remains is told, and is no dead letter."""
    async with connect("acme") as context:
        rows = Rows(context)
        rows.fails = {"b"}
        await read(context, "acme", pages_a=1, pages_b=2)
        job = await run(context, source="popular")
        assert isinstance(job.outcome_error, Retry)
        last = await run(context, source="popular", attempt=context.settings.workers.max_attempts)
        assert last.outcome_error is None
        assert (last.result["present"], last.result["failed"]) == (1, 1)
        assert last.result["problems"] == ["1 of its keys could not be loaded: b: down"]
        refused = await run(context, source="popular", loader="http")
        assert refused.outcome_error is None
        assert "1 of its keys cannot be loaded" in refused.result["problems"][0]


async def test_a_namespace_has_a_loader_of_its_own(connect: Connect) -> None:
    async with connect("acme", namespace_loaders={"prices": "shop"}) as context:
        rows, shop = Rows(context), Rows(context, "shop")
        await read(context, "acme", prices_a=1)
        await run(context, source="popular", loader=None)
        await run(context, keys=["b"], namespace="prices", loader=None)
        await run(context, keys=["c"], namespace="prices")
        assert shop.asked == [("acme", "prices", "a"), ("acme", "prices", "b")]
        assert rows.asked == [("acme", "prices", "c")]
