"""Every hop is checked like the first, and the checked address is the connected one."""

import pytest

from riptide.cache.loaders import LoaderUnavailable, LoadRequest
from riptide.errors import LoaderError, LoaderRefused
from tests.integration.loaders.origin import Names, Script, always, answer, loading, serving


def want(url: str, narrow: tuple[str, ...] | None = None) -> LoadRequest:
    return LoadRequest("acme", "pages", url, narrow)


def pointing(to: str) -> Script:
    return always(answer(302, location=to))


async def test_a_redirect_is_followed_to_an_allowed_host() -> None:
    async with (
        serving(always(answer(body=b"there"))) as end,
        serving(pointing(f"http://end.test:{end.port}/b?token=hidden")) as start,
        loading("start.test", "end.test") as loaders,
    ):
        loaded = await loaders.load("http", want(f"http://start.test:{start.port}/a"))
    assert loaded.value == b"there"
    assert loaded.source == f"http://end.test:{end.port}/b"
    assert end.requests[0].headers["host"] == f"end.test:{end.port}"


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f.1:{port}/",
        "//127.0.0.1:{port}/",
        "http://inside.wide.test:{port}/",  # allowed by its name, refused by its address
        "http://metadata.wide.test/latest/meta-data/",
        "http://user:hidden@start.test:{port}/",
        "file:///etc/passwd",
        "gopher://start.test:{port}/_x",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
    ],
)
async def test_redirects_that_are_refused(location: str) -> None:
    names = Names(metadata_wide_test=[["169.254.169.254"]])
    async with (
        serving(always(answer(body=b"secret"))) as victim,
        serving(pointing(location.format(port=victim.port))) as start,
        loading("start.test", "*.wide.test", names=names) as loaders,
    ):
        with pytest.raises(LoaderRefused, match="redirected to") as caught:
            await loaders.load("http", want(f"http://start.test:{start.port}/a"))
    assert "hidden" not in str(caught.value)
    assert victim.connections == 0


async def test_a_tenant_narrow_list_holds_for_redirects() -> None:
    async with (
        serving(always(answer(body=b"x"))) as end,
        serving(pointing(f"http://end.test:{end.port}/")) as start,
        loading("start.test", "end.test") as loaders,
    ):
        with pytest.raises(LoaderRefused, match="tenant acme"):
            await loaders.load("http", want(f"http://start.test:{start.port}/", ("start.test",)))
    assert end.connections == 0


@pytest.mark.parametrize(("most", "requests"), [(0, 1), (3, 4)])
async def test_a_loop_ends(most: int, requests: int) -> None:
    async with (
        serving(pointing("/again")) as origin,
        loading("origin.test", loader_max_redirects=most) as loaders,
    ):
        with pytest.raises(LoaderError, match=f"more than {most} redirects") as caught:
            await loaders.load("http", want(f"http://origin.test:{origin.port}/"))
    assert type(caught.value) is LoaderError
    assert len(origin.requests) == requests


@pytest.mark.parametrize("location", ["http://[::1", "http://a b/", "http://x:port/", "\x01"])
async def test_a_location_that_is_no_url(location: str) -> None:
    async with serving(pointing(location)) as origin, loading("origin.test") as loaders:
        with pytest.raises(LoaderError):
            await loaders.load("http", want(f"http://origin.test:{origin.port}/"))


async def test_a_redirect_to_nowhere() -> None:
    async with serving(always(answer(301))) as origin, loading("origin.test") as loaders:
        with pytest.raises(LoaderError, match="without a location"):
            await loaders.load("http", want(f"http://origin.test:{origin.port}/"))


async def test_a_name_is_resolved_once_and_the_checked_address_is_connected_to() -> None:
    names = Names(origin_test=[["127.0.0.1"], ["127.0.0.2"]])
    async with (
        serving(always(answer(body=b"checked"))) as first,
        serving(always(answer(body=b"rebound")), "127.0.0.2", first.port) as second,
        loading("origin.test", names=names) as loaders,
    ):
        loaded = await loaders.load("http", want(f"http://origin.test:{first.port}/"))
    assert loaded.value == b"checked"
    assert names.asked == ["origin.test"]
    assert second.connections == 0


async def test_a_new_connection_is_checked_anew() -> None:
    """The first answer allows, the second is loopback: what was right a moment ago proves nothing."""
    names = Names(a_wide_test=[["127.0.0.1"], ["127.0.0.1"]])
    async with (
        serving(always(answer(body=b"x"))) as origin,
        loading("*.wide.test", f"a.wide.test:{origin.port}", names=names) as loaders,
    ):
        await loaders.load("http", want(f"http://a.wide.test:{origin.port}/"))
        names.answers["a.wide.test"] = [["127.0.0.1", "0.0.0.0"]]
        with pytest.raises(LoaderRefused, match="unspecified"):
            await loaders.load("http", want(f"http://a.wide.test:{origin.port}/"))
    assert origin.connections == 1


async def test_a_wildcard_never_opens_loopback() -> None:
    async with (
        serving(always(answer(body=b"secret"))) as victim,
        loading("*.wide.test", names=Names()) as loaders,
    ):
        with pytest.raises(LoaderRefused, match=r"loopback.*without \*"):
            await loaders.load("http", want(f"http://a.wide.test:{victim.port}/"))
    assert victim.connections == 0


async def test_a_dead_address_is_passed_over() -> None:
    names = Names(origin_test=[["127.0.0.3", "127.0.0.1"]])
    async with serving(always(answer(body=b"x"))) as origin, loading("origin.test", names=names) as loaders:
        assert (await loaders.load("http", want(f"http://origin.test:{origin.port}/"))).value == b"x"
    names = Names(origin_test=[["127.0.0.3", "127.0.0.4"]])
    async with loading("origin.test", names=names) as loaders:
        with pytest.raises(LoaderUnavailable):
            await loaders.load("http", want(f"http://origin.test:{origin.port}/"))
