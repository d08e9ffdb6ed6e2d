"""The handler of `invalidate`, against a real cache."""

from types import SimpleNamespace
from typing import Any

from commands.invalidate import Invalidate
from riptide.config import CacheSettings
from riptide.errors import Dead, ServerUnavailable
from riptide.reads.aio_cache import AsyncCache
from riptide.store.aio import AsyncStore, open_async_store
from riptide.store.keys import Keys
from tests.servers import Server
from tests.support.anybody import Anybody
from workers.invalidate import handle

from .conftest import settings_for


class FakeJob:
    def __init__(self, command: Invalidate, tenant: str | None = "acme") -> None:
        self.command, self.tenant = command, tenant
        self.error: Exception | None = None

    def fail(self, error: Exception) -> None:
        self.error = error


async def carry_out(cache: Any, *jobs: FakeJob) -> None:
    batch: Any = list(jobs)
    await handle(batch, SimpleNamespace(cache=cache))


async def test_each_form_does_its_part(server: Server, prefix: str) -> None:
    store = open_async_store(settings_for(server))
    cache = AsyncCache(store, Keys(prefix), CacheSettings(), Anybody(Keys(prefix)))
    for namespace in ("default", "pages", "other"):
        for key in "abc":
            await cache.set(key, key, tags=[f"tag {key}"], tenant="acme", namespace=namespace)
    await cache.set("a", 1, tenant="globex")

    async def left(namespace: str) -> str:
        return "".join(await cache.get_many(list("abc"), tenant="acme", namespace=namespace))

    jobs = [
        FakeJob(Invalidate(namespace="pages", keys=["a"], tags=["tag c"])),
        FakeJob(Invalidate(keys=["b"])),
        FakeJob(Invalidate(namespace="other")),
    ]
    await carry_out(cache, *jobs)
    assert [job.error for job in jobs] == [None, None, None]
    assert [await left(name) for name in ("pages", "default", "other")] == ["b", "ac", ""]
    await carry_out(cache, *jobs)
    await carry_out(cache, FakeJob(Invalidate(all=True)))
    assert [await left(name) for name in ("pages", "default", "other")] == ["", "", ""]
    assert await cache.get("a", tenant="globex") == 1
    await cache.aclose()
    await store.close()


async def test_jobs_fail_one_by_one(server: Server, prefix: str) -> None:
    store = open_async_store(settings_for(server))
    cache = AsyncCache(store, Keys(prefix), CacheSettings(), Anybody(Keys(prefix)))
    await cache.set("a", 1, tenant="acme")
    bad, good = FakeJob(Invalidate(keys=["a"]), tenant="a:b"), FakeJob(Invalidate(keys=["a"]))
    await carry_out(cache, bad, good)
    assert isinstance(bad.error, Dead)
    assert good.error is None
    assert await cache.get("a", tenant="acme") is None
    await cache.aclose()
    await store.close()


class Unreachable(AsyncStore):
    def __init__(self) -> None:
        """Has no transport."""
        self.clustered, self.off = True, False

    async def drive(self, flow: Any) -> Any:
        raise ServerUnavailable("cut")


async def test_an_outage_is_the_runtimes_to_judge(prefix: str) -> None:
    cache = AsyncCache(Unreachable(), Keys(prefix), CacheSettings(), Anybody(Keys(prefix)))
    job = FakeJob(Invalidate(keys=["a"]))
    await carry_out(cache, job)
    assert isinstance(job.error, ServerUnavailable)
