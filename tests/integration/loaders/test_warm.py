"""`warm` on a real server, with real origins."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import pytest

from commands.warm import Warm
from riptide.cache.loaders import Loaded, LoadRequest
from riptide.config import Settings, WorkersSettings
from riptide.errors import Dead, LoaderRefused, Retry, TenantExists
from riptide.reads.aio_client import AsyncRipTide, aconnect
from riptide.reads.context import Context, make_context
from riptide.streams.job import Buried, Job, Progress, outcome_of
from riptide.streams.message import Entry, Message
from tests.integration.loaders.origin import Request, answer, serving
from tests.servers import Server
from workers.warm import handle

WHERE: Any = {"tenant": "acme", "namespace": "pages"}
Connect = Callable[..., AbstractAsyncContextManager[Context]]


@pytest.fixture
def connect(valkey: Server, prefix: str) -> Connect:
    @asynccontextmanager
    async def open_context(**cache: Any) -> AsyncIterator[Context]:
        settings = Settings.model_validate(
            {"cache": {"key_prefix": prefix, **cache}, "tenant": {"enabled": True}}
        )
        rt = await aconnect(valkey.url, settings)
        for tenant in ("acme", "other"):
            with suppress(TenantExists):
                await rt.tenants.create(tenant)
        async with make_context(rt) as context:
            yield context

    return open_context


def job_of(*keys: str, attempt: int = 1, **body: Any) -> Job:
    command = Warm.model_validate({"namespace": "pages", **({"keys": keys} if keys else {}), **body})
    message = Message("id", 1, "acme", 0, b"{}", None, "1-0", attempt - 1)
    return Job(Entry("warm", "10", "1-0", []), message, command)


async def run(context: Context, *keys: str, **body: Any) -> Job:
    job = job_of(*keys, **body)
    await handle([job], context)
    return job


class Pages:
    """An origin with pages 0 to 9; each answer tells how often it was asked for that page."""

    def __init__(self) -> None:
        self.asked: dict[str, int] = {}
        self.status: dict[str, int] = {}

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        path = request.path.partition("?")[0]
        self.asked[path] = self.asked.get(path, 0) + 1
        body = f"{path} {self.asked[path]}".encode()
        writer.write(answer(self.status.get(path, 200), body, content_type="text/plain"))


async def test_what_is_missing_is_loaded_and_nothing_else(connect: Connect) -> None:
    pages = Pages()
    pages.status["/gone"] = 404
    async with serving(pages) as origin:
        host = f"127.0.0.1:{origin.port}"
        urls = [f"http://{host}/{name}" for name in ("a", "b", "gone", "here")]
        async with connect(loader_allowed_hosts=(host,), warming_batch_size=2) as context:
            await context.cache.set(urls[3], "mine", **WHERE)
            job = await run(context, *urls, urls[0], ttl=60)
            assert job.outcome_error is None
            seconds = job.result.pop("seconds")
            assert job.result == {"loaded": 2, "present": 1, "absent": 1, "failed": 0, "bytes": 8}
            assert seconds > 0
            assert job.reached == Progress(4, 4), "keys that are settled, of all"
            found = await context.cache.get_many(urls, **WHERE)
            assert found == {urls[0]: b"/a 1", urls[1]: b"/b 1", urls[3]: "mine"}
            entry = await context.cache.entry(urls[0], **WHERE)
            assert (entry.metadata.content_type, entry.metadata.source) == ("text/plain", urls[0])
            assert 0 < entry.expires_in_ms <= 61_000
            assert await context.cache.get(urls[0], tenant="other", namespace="pages") is None

            again = await run(context, *urls)
            assert again.result["present"] == 4  # what the origin has not is remembered too
            refreshed = await run(context, urls[0], urls[3], refresh=True)
            assert refreshed.result["loaded"] == 2
            assert await context.cache.get(urls[0], **WHERE) == b"/a 2"
    assert pages.asked == {"/a": 2, "/b": 1, "/gone": 1, "/here": 1}


async def test_keys_that_are_there_cost_few_round_trips(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect(warming_batch_size=10) as context:
        keys = [f"key {number}" for number in range(1500)]
        await context.cache.set_many(dict.fromkeys(keys, "here"), **WHERE)
        transport = context.rt.store.transport
        trips: list[Any] = []

        def counting(send: Any) -> Any:
            def counted(*args: Any) -> Any:
                trips.append(args)
                return send(*args)

            return counted

        for name in ("send", "send_all"):
            monkeypatch.setattr(transport, name, counting(getattr(transport, name)))
        job = await run(context, *keys)
        assert job.result["present"] == 1500
        assert 0 < len(trips) <= 1500 / context.settings.redis.max_pipeline_size + 5


async def test_a_failure_that_may_pass_is_retried_with_what_is_missing(connect: Connect) -> None:
    pages = Pages()
    pages.status["/b"] = 503
    async with serving(pages) as origin:
        host = f"127.0.0.1:{origin.port}"
        urls = [f"http://{host}/{name}?token=hidden" for name in ("a", "b", "c")]
        async with connect(loader_allowed_hosts=(host,)) as context:
            job = await run(context, *urls)
            assert isinstance(job.outcome_error, Retry)
            assert f"1 of its keys could not be loaded now: http://{host}/b: the" in str(job.outcome_error)
            assert "503" in str(job.outcome_error)
            assert "hidden" not in str(job.outcome_error)
            del pages.status["/b"]
            job = await run(context, *urls, attempt=2)
            assert (job.result["loaded"], job.result["present"]) == (1, 2)
    assert pages.asked == {"/a": 1, "/b": 2, "/c": 1}


async def test_a_refusal_for_good_names_its_keys_and_leaves_the_others_warm(connect: Connect) -> None:
    pages = Pages()
    pages.status["/secret"] = 403
    async with serving(pages) as origin:
        host = f"127.0.0.1:{origin.port}"
        urls = [f"http://{host}/a", f"http://{host}/secret", "http://10.0.0.1/", "ftp://a.example/x"]
        async with connect(loader_allowed_hosts=(host,)) as context:
            job = await run(context, *urls)
            assert isinstance(job.outcome_error, Dead)
            text = str(job.outcome_error)
            assert all(url in text for url in urls[1:])
            assert "3 of its keys cannot be loaded" in text
            assert await context.cache.get(urls[0], **WHERE) == b"/a 1"
            assert isinstance(outcome(job), Buried)


async def test_many_failures_are_named_in_few_words(connect: Connect) -> None:
    async with connect() as context:
        job = await run(context, *(f"http://a.example/{number}" for number in range(500)))
        assert "and 495 more" in str(job.outcome_error)
        assert "CACHE_LOADER_ALLOWED_HOSTS" in str(job.outcome_error)
        assert len(str(job.outcome_error)) < 2000


def outcome(job: Job) -> Any:
    return outcome_of(job, None, WorkersSettings(), random.Random(1))


async def test_an_unknown_loader(connect: Connect) -> None:
    async with connect() as context:
        job = await run(context, "a", loader="os.system")
        assert isinstance(job.outcome_error, LoaderRefused)
        assert "known are http" in str(job.outcome_error)


async def test_the_configured_list(connect: Connect) -> None:
    async with connect(warm_list=("a", "b", "c")) as context:
        context.loaders.register("rows", lambda request: {"key": request.key})
        job = await run(context, source="list", top=2, loader="rows")
        assert job.result["loaded"] == 2
        assert await context.cache.get_many(["a", "b", "c"], **WHERE) == {
            "a": {"key": "a"},
            "b": {"key": "b"},
        }


async def test_what_a_callable_adds_is_kept(connect: Connect) -> None:
    async with connect() as context:
        context.loaders.register("rows", lambda request: Loaded([request.tenant], tags=("t",), ttl=9))
        job = await run(context, "a", loader="rows", ttl=60)
        assert job.result["bytes"] == len('["acme"]')
        entry = await context.cache.entry("a", **WHERE)
        assert entry.metadata.tags == ("t",)
        assert entry.expires_in_ms <= 10_000
        await context.cache.invalidate(tags=["t"], **WHERE)
        assert await context.cache.get("a", **WHERE) is None


async def test_a_value_that_can_be_read_once_is_kept_and_counted(connect: Connect) -> None:
    async with connect() as context:
        context.loaders.register("rows", lambda _: (n for n in range(3)))
        job = await run(context, "a", loader="rows")
        assert await context.cache.get("a", **WHERE) == [0, 1, 2]
        assert job.result["bytes"] == len("[0,1,2]")


async def test_a_value_that_cannot_be_cached_is_for_good(connect: Connect) -> None:
    async with connect(max_entry_size_bytes=100) as context:
        context.loaders.register("large", lambda _: b"x" * 101)
        context.loaders.register("odd", lambda _: object())
        for loader in ("large", "odd"):
            assert isinstance((await run(context, "a", loader=loader)).outcome_error, Dead)


async def test_an_invalidation_in_between_wins(connect: Connect) -> None:
    """What was fetched before it is not stored; the key is loaded again."""
    reached, release, answers = asyncio.Event(), asyncio.Event(), iter(["old", "new"])

    async def rows(request: LoadRequest) -> str:
        value = next(answers)
        if value == "old":
            reached.set()
            await release.wait()
        return value

    async with connect() as context:
        context.loaders.register("rows", rows)
        running = asyncio.create_task(run(context, "a", loader="rows"))
        await reached.wait()
        await context.cache.invalidate(keys=["a"], **WHERE)
        release.set()
        assert (await running).result["loaded"] == 1
        assert await context.cache.get("a", **WHERE) == "new"


async def test_a_key_that_is_always_invalidated_is_retried(connect: Connect) -> None:
    async with connect() as context:
        rt: AsyncRipTide = context.rt

        async def rows(request: LoadRequest) -> str:
            await rt.cache.invalidate(keys=["a"], **WHERE)
            return "old"

        context.loaders.register("rows", rows)
        job = await run(context, "a", loader="rows")
        assert isinstance(job.outcome_error, Retry)
        assert await rt.cache.get("a", **WHERE) is None


async def test_a_key_that_somebody_else_loads_is_waited_for(connect: Connect) -> None:
    """It may be a dead worker's lease: only an entry proves that the work is done."""
    reached, never = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        reached.set()
        await never.wait()

    async with connect(lease_seconds=0.5) as context:
        context.loaders.register("rows", lambda _: "warm")
        reader = asyncio.create_task(context.cache.get_or_load("a", hang, **WHERE))
        await reached.wait()
        job = await run(context, "a", loader="rows")
        assert job.result["loaded"] == 1
        assert await context.cache.get("a", **WHERE) == "warm"
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


async def test_loads_at_a_time_are_bounded_over_all_jobs(connect: Connect) -> None:
    running = most = 0
    full = asyncio.Event()

    async def rows(request: LoadRequest) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 3:
            full.set()
        await full.wait()
        for _ in range(5):  # time for a fourth to come, if it could
            await context.cache.exists("other", **WHERE)
        running -= 1
        return "x"

    async with connect(loader_connections_per_host=3) as context:
        context.loaders.register("rows", rows)
        keys = [[f"{number}-{key}" for key in range(10)] for number in range(3)]
        jobs = await asyncio.gather(*(run(context, *some, loader="rows") for some in keys))
        assert [job.result["loaded"] for job in jobs] == [10, 10, 10]
    assert most == 3


async def test_what_is_there_does_not_wait_for_loads(connect: Connect) -> None:
    async with connect(loader_connections_per_host=1) as context:
        await context.cache.set("a", "x", **WHERE)
        async with context.loaders.background("http", "a"):
            assert (await run(context, "a")).result["present"] == 1


async def test_a_job_that_is_ended_leaves_no_lease_behind(connect: Connect) -> None:
    reached = asyncio.Event()

    async def hang(request: LoadRequest) -> None:
        reached.set()
        await asyncio.Event().wait()

    async with connect() as context:
        context.loaders.register("rows", hang)
        running = asyncio.create_task(run(context, "a", loader="rows"))
        await reached.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert (await context.cache.warm("a", lambda: "x", **WHERE)).outcome == "loaded"


async def test_one_job_of_a_batch_fails_alone(connect: Connect) -> None:
    async with connect() as context:
        context.loaders.register("rows", lambda _: "x")
        jobs = [job_of("a", loader="nobody"), job_of("b", loader="rows")]
        await handle(jobs, context)
        assert isinstance(jobs[0].outcome_error, LoaderRefused)
        assert jobs[1].result["loaded"] == 1
