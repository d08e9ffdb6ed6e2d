"""The allowlist and what a URL must be: nothing here needs a network."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riptide.cache.loaders import LoadRequest
from riptide.cache.loaders.allowlist import HostList, host_of
from riptide.cache.loaders.target import admit, follow, parse_url, shown
from riptide.errors import InvalidInput, LoaderError, LoaderRefused

LIST = HostList.parse(
    ["example.org", "*.wide.example", "intra:8080", "[2001:db8::1]", "127.0.0.1:9000", "Bücher.example"]
)


def ask(url: str, hosts: HostList = LIST, narrow: tuple[str, ...] | None = None) -> str:
    target = admit(parse_url(url), hosts, LoadRequest("acme", "pages", url, narrow))
    return f"{target.host}:{target.port}"


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://example.org/", "example.org:80"),
        ("https://EXAMPLE.org", "example.org:443"),
        ("http://example.org.:8000/x?y#z", "example.org:8000"),
        ("http://a.wide.example/", "a.wide.example:80"),
        ("http://a.b.wide.example/", "a.b.wide.example:80"),
        ("http://intra:8080/", "intra:8080"),
        ("http://[2001:DB8:0::1]/", "2001:db8::1:80"),
        ("http://127.0.0.1:9000/", "127.0.0.1:9000"),
        ("http://127。0。0。1:9000/", "127.0.0.1:9000"),
        ("http://bücher.example/", "xn--bcher-kva.example:80"),
        ("http://xn--bcher-kva.example/", "xn--bcher-kva.example:80"),
    ],
)
def test_admitted(url: str, target: str) -> None:
    assert ask(url) == target


@pytest.mark.parametrize(
    "url",
    [
        "http://wide.example/",  # a wildcard means subdomains
        "http://awide.example/",
        "http://example.org.evil.net/",
        "http://sub.example.org/",
        "http://intra/",
        "http://intra:8081/",
        "http://127.0.0.1/",
        "http://127.1:9000/",
        "http://2130706433:9000/",
        "http://0x7f000001:9000/",
        "http://0177.0.0.1:9000/",
        "http://[::ffff:127.0.0.1]:9000/",
        "http://[::ffff:7f00:1]:9000/",
        "http://[fe80::1%25eth0]/",
        "http://127。0。0。1:9001/",
        "http://①②⑦.0.0.1:9000/",
        "http://localhost/",
        "http://user@example.org/",
        "http://user:password@example.org/",
        "http://example.org@evil.net/",
        "http://evil.net#@example.org/",
        "http://evil.net?@example.org/",
        "http://evil.net\\@example.org/",
        "http://example.org%2eevil.net/",
        "http://example.org%00.evil.net/",
        "http://exam%70le.org/",
        "http://example.org:0/",
        "http://example.org:99999/",
        "http://example..org/",
        "http:///path",
        "http:example.org",
        "//example.org/",
        "/example.org",
        "example.org",
        "",
        "file:///etc/passwd",
        "file://example.org/etc/passwd",
        "ftp://example.org/",
        "gopher://example.org:6379/_FLUSHALL",
        "unix:///run/redis.sock",
        "javascript:alert(1)",
        "data:text/plain,x",
        "http://example.org/\r\nHost: evil",
        "http://example.org:80:80/",
        "http://[::1",
        f"http://{'a' * 64}.wide.example/",
        f"http://{'a.' * 200}wide.example/",
        "http://\ud800.wide.example/",
    ],
)
def test_refused(url: str) -> None:
    with pytest.raises(LoaderRefused):
        ask(url)


def test_an_empty_list_says_which_setting_to_set() -> None:
    with pytest.raises(LoaderRefused, match=r"cache\.loader_allowed_hosts.*CACHE_LOADER_ALLOWED_HOSTS"):
        ask("http://example.org/", HostList.parse([]))


def test_a_tenant_narrows_and_never_widens() -> None:
    assert ask("http://a.wide.example/", narrow=("a.wide.example",)) == "a.wide.example:80"
    for url, narrow in [
        ("http://b.wide.example/", ("a.wide.example",)),
        ("http://evil.net/", ("evil.net",)),
        ("http://example.org/", ()),
        ("http://example.org/", ("not a host",)),
    ]:
        with pytest.raises(LoaderRefused):
            ask(url, narrow=narrow)


def test_a_wildcard_does_not_name_a_host() -> None:
    hosts = HostList.parse(["*.wide.example", "a.wide.example:81"])
    assert hosts.names("a.wide.example", 81)
    assert not hosts.names("a.wide.example", 80)
    assert not hosts.names("b.wide.example", 81)


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "*",
        "*.",
        "*.org",
        "*.*",
        "a*.example",
        "*.[::1]",
        "http://a.example",
        "a.example/x",
        "a.example?x",
        "a.example#x",
        "u@a.example",
        "a b",
        "a..b",
        "a.example:99999",
        "a.example:0",
        "[::1",
        "::1",
        "*.127.0.0.1",
    ],
)
def test_entries_that_are_no_hosts(entry: str) -> None:
    with pytest.raises(InvalidInput, match=r"is not a host|is too wide|no valid port"):
        HostList.parse([entry])


def test_redirects_never_leave_tls() -> None:
    with pytest.raises(LoaderRefused, match="https to http"):
        follow(httpx.URL("https://example.org/"), "http://example.org/")
    assert follow(httpx.URL("https://example.org/a/"), "../b").path == "/b"
    assert follow(httpx.URL("http://example.org/"), "//evil.net/x").host == "evil.net"


def test_what_is_shown_holds_no_secret() -> None:
    text = shown("https://user:hidden1@example.org:8443/path?token=hidden2#hidden3")
    assert text == "https://example.org:8443/path"
    assert "hidden" not in shown("http://user:hidden/x@example.org:99x/")
    assert len(shown("http://example.org/" + "x" * 9999)) < 300


URLS = st.one_of(
    st.text(),
    st.from_regex(r"https?://[^\s]{0,40}", fullmatch=True),
    st.builds(
        "{}://{}{}{}{}".format,
        st.sampled_from(["http", "HTTP", "https", "file", ""]),
        st.sampled_from(["", "user@", "u:p@", "@"]),
        st.one_of(
            st.sampled_from(["example.org", "a.wide.example", "[::1]", "127.1", "é.wide.example"]),
            st.text(max_size=20),
        ),
        st.one_of(st.just(""), st.integers(-1, 10**6).map(":{}".format), st.text(max_size=5)),
        st.one_of(st.just("/"), st.text(max_size=30)),
    ),
)


@given(URLS)
def test_any_key_is_admitted_or_refused(key: str) -> None:
    try:
        ask(key)
    except LoaderRefused:
        pass
    else:
        assert LIST.allows(
            str(host_of(parse_url(key))),
            parse_url(key).port or {"http": 80, "https": 443}[parse_url(key).scheme],
        )
    assert isinstance(shown(key), str)


@given(URLS, st.sampled_from(["http", "https"]))
def test_any_location_leads_somewhere_or_is_an_error(location: str, scheme: str) -> None:
    try:
        target = follow(httpx.URL(f"{scheme}://example.org/a"), location)
    except LoaderError:
        return
    assert (scheme, target.scheme) != ("https", "http")


@given(st.text())
def test_any_entry_is_a_host_or_invalid(entry: str) -> None:
    try:
        HostList.parse([entry])
    except InvalidInput:
        return
