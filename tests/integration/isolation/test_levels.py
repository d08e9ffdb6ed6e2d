"""What strong, logical and none change, as docs/isolation.md has it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import riptide
from riptide.errors import QuotaExceeded, TenantNotActive, UnknownTenant
from riptide.reads.sync_client import RipTide
from tests.support.deployment import Deployment

Open = Callable[..., RipTide]
KIB = "x" * 1000


@pytest.fixture
def connect(deployment: Deployment) -> Iterator[Open]:
    with ExitStack() as stack:

        def opened(level: str, **tenant: Any) -> RipTide:
            sections = {"tenant": {"enabled": True, "isolation_level": level, **tenant}}
            return stack.enter_context(riptide.connect(config=deployment.settings(**sections)))

        yield opened


LEVELS = ["strong", "logical", "none"]


def tags_of_entries(deployment: Deployment) -> set[str]:
    names = deployment.client.scan_iter(f"{deployment.prefix}:tenant:*", count=5000)
    return {name.decode().split(":")[2].strip("{}") for name in names}


@pytest.mark.parametrize("level", LEVELS)
def test_whose_keys_entries_are(deployment: Deployment, connect: Open, level: str) -> None:
    rt = connect(level)
    for tenant in ("acme", "globex"):
        rt.tenants.create(tenant)
    rt.cache.set("k", "acme's", tenant="acme")
    shared = level == "none"
    assert rt.cache.get("k", tenant="globex") == ("acme's" if shared else None)
    assert rt.cache.get("k") == ("acme's" if shared else None)
    assert ("acme" in tags_of_entries(deployment)) is not shared
    rt.cache.clear(tenant="globex")
    assert rt.cache.get("k", tenant="acme") == (None if shared else "acme's")


@pytest.mark.parametrize("level", LEVELS)
def test_whether_a_record_is_needed(connect: Open, level: str) -> None:
    rt = connect(level)
    if level == "strong":
        with pytest.raises(UnknownTenant):
            rt.cache.set("k", 1, tenant="acme")
        with pytest.raises(UnknownTenant):
            rt.quotas.check("acme", {"operations_per_minute": 1})
    else:
        rt.cache.set("k", 1, tenant="acme")
        assert rt.quotas.check("acme", {"operations_per_minute": 1})
        assert rt.cache.get("k", tenant="acme") == 1


@pytest.mark.parametrize("level", LEVELS)
def test_whether_its_caps_hold(connect: Open, level: str) -> None:
    rt = connect(level)
    rt.tenants.create("acme", quotas={"cache_entries": 2, "memory_bytes": 100})
    if level == "strong":
        with pytest.raises(QuotaExceeded):
            rt.cache.set("k", KIB, tenant="acme")
    else:
        for number in range(5):
            rt.cache.set(f"k{number}", KIB, tenant="acme")
        assert len(rt.cache.get_many([f"k{n}" for n in range(5)], tenant="acme")) == 5


@pytest.mark.parametrize("level", LEVELS)
def test_rates_are_each_tenants_own(connect: Open, level: str) -> None:
    rt = connect(level)
    for tenant in ("acme", "globex"):
        rt.tenants.create(tenant, quotas={"operations_per_minute": 2})
    assert [rt.quotas.check("acme", {"operations_per_minute": 1}).allowed for _ in range(3)] == [
        True,
        True,
        False,
    ]
    assert rt.quotas.check("globex", {"operations_per_minute": 2})


@pytest.mark.parametrize("level", LEVELS)
def test_what_a_suspension_stops(connect: Open, level: str) -> None:
    rt = connect(level)
    rt.tenants.create("acme")
    rt.cache.set("k", 1, tenant="acme")
    rt.tenants.suspend("acme")
    assert not rt.quotas.check("acme", {"operations_per_minute": 1})
    assert not rt.tenants.validate_access("acme", "pages", "read")
    if level == "none":
        rt.cache.set("k", 2, tenant="acme")
    else:
        with pytest.raises(TenantNotActive):
            rt.cache.set("k", 2, tenant="acme")
    assert rt.cache.get("k", tenant="acme") == (2 if level == "none" else 1), "what is there is read"
