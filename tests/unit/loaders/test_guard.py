"""Which addresses are public, and that one bad answer refuses a host."""

from collections.abc import Sequence
from ipaddress import ip_address

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riptide.cache.loaders import LoaderUnavailable
from riptide.cache.loaders.allowlist import HostList
from riptide.cache.loaders.guard import Guard, GuardedBackend, resolve, why_not_public
from riptide.errors import LoaderRefused

PUBLIC = ["8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
EVIL = {
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "::1": "loopback",
    "10.0.0.1": "private",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "100.64.0.1": "private",
    "100.127.255.255": "private",
    "198.18.0.1": "private",
    "192.0.2.1": "private",
    "fc00::1": "private",
    "fd00:ec2::254": "private",
    "fec0::1": "private",
    "2001:db8::1": "private",
    "169.254.169.254": "link-local",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "224.0.0.1": "multicast",
    "239.255.255.250": "multicast",
    "ff02::1": "multicast",
    "0.0.0.0": "unspecified",
    "::": "unspecified",
    "0.1.2.3": "reserved",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "192.0.0.8": "reserved",
    "192.88.99.1": "reserved",
    "::ffff:127.0.0.1": "loopback",
    "::ffff:10.1.2.3": "private",
    "::ffff:169.254.169.254": "link-local",
    "::ffff:0.0.0.0": "unspecified",
    "::127.0.0.1": "reserved",
    "64:ff9b::7f00:1": "loopback",
    "64:ff9b::a9fe:a9fe": "link-local",
    "64:ff9b::a00:1": "private",
    "64:ff9b:1::7f00:1": "reserved",
    "2002:7f00:1::": "reserved",
    "2002:a00:1::1": "reserved",
    "2001:0:7f00:1::": "reserved",
    "5f00::1": "reserved",
    "3fff::1": "reserved",
    "100::1": "private",
    "4000::1": "reserved",
}


def answering(*addresses: str) -> "Resolver":
    return Resolver(addresses)


class Resolver:
    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = addresses
        self.calls = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.calls += 1
        return self.addresses


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert why_not_public(ip_address(address)) is None


@pytest.mark.parametrize(("address", "kind"), EVIL.items())
def test_not_public(address: str, kind: str) -> None:
    assert why_not_public(ip_address(address)) == kind  # whatever this release of Python calls private


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_judged_like_itself(inner: object) -> None:
    mapped, translated = ip_address(f"::ffff:{inner}"), ip_address(f"64:ff9b::{inner}")
    expected = why_not_public(ip_address(str(inner)))
    assert why_not_public(mapped) == why_not_public(translated) == expected


@pytest.mark.parametrize("address", EVIL)
async def test_one_bad_answer_among_good_ones_refuses_the_host(address: str) -> None:
    resolver = answering("8.8.8.8", address, "9.9.9.9")
    with pytest.raises(LoaderRefused, match=r"a\.example\.org"):
        await Guard(lambda: HostList.parse(["*.example.org"]), resolver).addresses("a.example.org", 80)
    assert resolver.calls == 1


@pytest.mark.parametrize(("address", "kind"), EVIL.items())
async def test_a_host_named_exactly_may_be_private_but_never_nowhere(address: str, kind: str) -> None:
    guard = Guard(lambda: HostList.parse(["*.example.org", "a.example.org:80"]), answering(address))
    if kind in {"loopback", "private", "link-local"}:
        assert await guard.addresses("a.example.org", 80)
    else:
        with pytest.raises(LoaderRefused):
            await guard.addresses("a.example.org", 80)
    with pytest.raises(LoaderRefused):  # another port is not what was named
        await guard.addresses("a.example.org", 81)


async def test_no_answer_may_come_later() -> None:
    with pytest.raises(LoaderUnavailable, match="no address"):
        await Guard(lambda: HostList.parse(["a.example"]), answering()).addresses("a.example", 80)


async def test_an_answer_that_is_no_address_is_refused() -> None:
    with pytest.raises(LoaderRefused):
        await Guard(lambda: HostList.parse(["a.example"]), answering("not-an-address")).addresses(
            "a.example", 80
        )


async def test_a_name_that_is_not_found_may_come_later() -> None:
    async def fail(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    with pytest.raises(LoaderUnavailable, match="no such name"):
        await Guard(lambda: HostList.parse(["a.example"]), fail).addresses("a.example", 80)


@pytest.mark.parametrize("spelling", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1", "::1"])
async def test_odd_spellings_of_loopback_are_seen_through(spelling: str) -> None:
    with pytest.raises(LoaderRefused, match="loopback"):
        await Guard(lambda: HostList.parse(["*.example.org"]), resolve).addresses(spelling, 80)


async def test_few_addresses_are_tried() -> None:
    many = [f"8.8.8.{last}" for last in range(100)]
    assert len(await Guard(lambda: HostList.parse([]), answering(*many)).addresses("a.example", 80)) == 4


class Network:
    """Records where connections go; none is made."""

    def __init__(self, dead: set[str]) -> None:
        self.dead = dead
        self.addresses: list[str] = []

    async def connect_tcp(self, host: str, *_: object) -> str:
        self.addresses.append(host)
        if host in self.dead:
            raise httpcore.ConnectError
        return host


async def test_a_rebinding_resolver_gains_nothing() -> None:
    """Public when checked, loopback when asked again: it is not asked again."""
    resolver = answering("8.8.8.8", "9.9.9.9")
    backend = GuardedBackend(Guard(lambda: HostList.parse(["*.example.org"]), resolver))
    network = Network(dead={"8.8.8.8"})
    backend._network = network  # type: ignore[assignment]
    assert await backend.connect_tcp("a.example.org", 80, 5.0) == "9.9.9.9"  # type: ignore[comparison-overlap]
    assert network.addresses == ["8.8.8.8", "9.9.9.9"]
    assert resolver.calls == 1
    resolver.addresses = ["127.0.0.1"]
    with pytest.raises(LoaderRefused):
        await backend.connect_tcp("a.example.org", 80, 5.0)
    assert network.addresses == ["8.8.8.8", "9.9.9.9"]
