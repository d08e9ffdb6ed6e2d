"""Documents, statuses, limits of size and time, against real servers."""

import asyncio
import gzip
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riptide.cache.loaders import Loaded, LoaderUnavailable, LoadRequest
from riptide.errors import LoaderError, LoaderNotFound, LoaderRefused
from tests.integration.loaders.origin import Names, Request, always, answer, loading, serving
from tests.servers.ports import free_port


def want(url: str) -> LoadRequest:
    return LoadRequest("acme", "pages", url)


async def fetch(data: bytes, **limits: Any) -> Loaded:
    async with serving(always(data)) as origin, loading("origin.test", **limits) as loaders:
        return await loaders.load("http", want(f"http://origin.test:{origin.port}/page?token=hidden"))


async def test_a_document() -> None:
    async with (
        serving(always(answer(body=b"<html>", content_type="text/html"))) as origin,
        loading("origin.test") as loaders,
    ):
        loaded = await loaders.load("http", want(f"http://origin.test:{origin.port}/a%20b?c=d#e"))
    shown = f"http://origin.test:{origin.port}/a%20b"
    assert loaded == Loaded(b"<html>", content_type="text/html", source=shown)
    (request,) = origin.requests
    assert request.line == "GET /a%20b?c=d HTTP/1.1"
    assert request.headers["host"] == f"origin.test:{origin.port}"


async def test_a_packed_document_is_unpacked() -> None:
    loaded = await fetch(answer(body=gzip.compress(b"x" * 5000), content_encoding="gzip"))
    assert loaded.value == b"x" * 5000


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, LoaderNotFound),
        (410, LoaderNotFound),
        (400, LoaderError),
        (401, LoaderError),
        (403, LoaderError),
        (206, LoaderError),
        (204, LoaderError),
        (304, LoaderError),
        (408, LoaderUnavailable),
        (429, LoaderUnavailable),
        (500, LoaderUnavailable),
        (503, LoaderUnavailable),
        (599, LoaderUnavailable),
    ],
)
async def test_statuses(status: int, error: type[LoaderError]) -> None:
    with pytest.raises(error, match=str(status)) as caught:
        await fetch(answer(status))
    assert type(caught.value) is error
    assert "http://origin.test:" in str(caught.value)
    assert "hidden" not in str(caught.value)


async def test_an_empty_allowlist_refuses_before_anything_is_resolved() -> None:
    names = Names()
    async with loading(names=names) as loaders:
        with pytest.raises(LoaderRefused, match="CACHE_LOADER_ALLOWED_HOSTS"):
            await loaders.load("http", want("http://origin.test/"))
    assert names.asked == []


async def test_nothing_of_the_environment_is_used_and_no_cookie_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(always(answer(502))) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        script = always(answer(body=b"x", set_cookie="session=1"))
        async with serving(script) as origin, loading("origin.test") as loaders:
            for _ in range(2):
                await loaders.load("http", want(f"http://origin.test:{origin.port}/"))
    assert proxy.connections == 0
    assert len(origin.requests) == 2
    assert all("cookie" not in request.headers for request in origin.requests)


async def test_a_body_without_end_is_given_up_and_hung_up_on() -> None:
    async def flood(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 4096)
            await writer.drain()

    async with serving(flood) as origin, loading("origin.test", loader_max_bytes=10_000) as loaders:
        with pytest.raises(LoaderRefused, match=r"cache\.loader_max_bytes \(10000\)"):
            await loaders.load("http", want(f"http://origin.test:{origin.port}/"))
        await origin.all_closed.wait()


async def test_a_bomb_is_refused() -> None:
    bomb = gzip.compress(b"\0" * 20_000_000)
    with pytest.raises(LoaderRefused, match="loader_max_bytes"):
        await fetch(answer(body=bomb, content_encoding="gzip"), loader_max_bytes=100_000)


async def test_an_announced_length_is_enough_to_refuse() -> None:
    async def announce(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(content_length="10001"))
        await asyncio.Event().wait()  # not one byte of it will come

    async with serving(announce) as origin, loading("origin.test", loader_max_bytes=10_000) as loaders:
        with pytest.raises(LoaderRefused, match="loader_max_bytes"):
            await loaders.load("http", want(f"http://origin.test:{origin.port}/"))


async def test_the_largest_allowed_body_comes() -> None:
    assert len((await fetch(answer(body=b"x" * 10_000), loader_max_bytes=10_000)).value) == 10_000


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_an_origin_that_drips_is_ended_by_the_total_time(head: bytes) -> None:
    async def drip(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with serving(drip) as origin, loading("origin.test", loader_timeout_seconds=0.2) as loaders:
        with pytest.raises(LoaderUnavailable):
            await loaders.load("http", want(f"http://origin.test:{origin.port}/"))
        await origin.all_closed.wait()


async def test_an_origin_that_says_nothing_is_ended_by_the_total_time() -> None:
    async def silence(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with serving(silence) as origin, loading("origin.test", loader_timeout_seconds=0.2) as loaders:
        with pytest.raises(LoaderUnavailable, match=r"0\.2 s \(cache\.loader_timeout_seconds\)"):
            await loaders.load("http", want(f"http://origin.test:{origin.port}/"))


async def test_what_networks_do_may_pass() -> None:
    with pytest.raises(LoaderUnavailable):
        await fetch(answer(body=b"short", content_length="100"))
    with pytest.raises(LoaderUnavailable):
        await fetch(b"")
    with pytest.raises(LoaderUnavailable):
        await fetch(b"SSH-2.0-OpenSSH_9.2\r\n")
    with pytest.raises(LoaderUnavailable):
        await fetch(b"HTTP/1.1 200 OK\r\ncontent-length: " + b"9" * 6000 + b"\r\n\r\n")
    async with loading("origin.test") as loaders:
        with pytest.raises(LoaderUnavailable, match="ConnectError"):
            await loaders.load("http", want(f"http://origin.test:{free_port()}/"))


async def test_connections_to_one_host_are_bounded_and_hosts_do_not_wait_for_each_other() -> None:
    release, full, started = asyncio.Event(), asyncio.Event(), 0

    async def hold(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal started
        started += 1
        if started == 3:
            full.set()
        await release.wait()
        writer.write(answer(body=b"x"))

    async with (
        serving(hold) as busy,
        serving(always(answer(body=b"y"))) as idle,
        loading("busy.test", "idle.test", loader_connections_per_host=3) as loaders,
    ):
        loads = [
            asyncio.create_task(loaders.load("http", want(f"http://busy.test:{busy.port}/{number}")))
            for number in range(20)
        ]
        await full.wait()
        # While `busy` is full, another host answers.
        await loaders.load("http", want(f"http://idle.test:{idle.port}/"))
        assert busy.open == 3
        release.set()
        assert all(loaded.value == b"x" for loaded in await asyncio.gather(*loads))
    assert busy.most_open == 3
    assert len(busy.requests) == 20


async def test_a_load_that_is_cancelled_gives_its_connection_back() -> None:
    async def hold(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path == "/hang":
            reached.set()
            await asyncio.Event().wait()
        writer.write(answer(body=b"x"))

    reached = asyncio.Event()
    async with serving(hold) as origin, loading("origin.test", loader_connections_per_host=1) as loaders:
        task = asyncio.create_task(loaders.load("http", want(f"http://origin.test:{origin.port}/hang")))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await loaders.load("http", want(f"http://origin.test:{origin.port}/"))).value == b"x"


HEAD = st.sampled_from(
    [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 302 Found\r\nLocation: ", b"HTTP/1.1 200 OK\r\n\r\n"]
)
HEADER = st.sampled_from(
    [
        b"content-encoding: gzip\r\n",
        b"content-length: -1\r\n",
        b"transfer-encoding: chunked\r\n",
        b"location: \xff\xfe\r\n",
    ]
)


@settings(max_examples=150)
@given(HEAD, st.lists(HEADER, max_size=3), st.binary(max_size=200))
async def test_whatever_an_origin_says_is_a_document_or_a_loader_error(
    head: bytes, headers: list[bytes], rest: bytes
) -> None:
    said = ""
    try:
        assert isinstance((await fetch(head + b"".join(headers) + b"\r\n" + rest)).value, bytes)
    except LoaderError as error:
        said = str(error)
    assert "hidden" not in said


@pytest.fixture
async def pydoc() -> AsyncIterator[int]:
    """The port of Python's documentation server: an origin that nobody here wrote."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-m", "pydoc", "-n", "127.0.0.1", "-p", "0"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    greeting = await process.stdout.readline()
    yield int(greeting.decode().rstrip().rstrip("/").rpartition(":")[2])
    process.stdin.write(b"q\n")
    await process.communicate()


async def test_pydoc(pydoc: int) -> None:
    host = f"127.0.0.1:{pydoc}"
    async with loading(host, loader_timeout_seconds=60, names=Names()) as loaders:
        pages = await asyncio.gather(
            *(loaders.load("http", want(f"http://{host}/{name}.html")) for name in ("bisect", "heapq"))
        )
        assert b"Bisection" in pages[0].value
        assert b"heappush" in pages[1].value
        assert all(str(page.content_type).startswith("text/html") for page in pages)
