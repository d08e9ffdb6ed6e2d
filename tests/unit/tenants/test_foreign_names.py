"""No name that could reach another tenant's keys becomes one: it is refused before anything is sent."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import riptide
from commands import Invalidate
from riptide.errors import InvalidInput
from riptide.reads.sync_client import RipTide
from riptide.store.keys import PARTITIONS, Keys
from tests.support.deployment import make_settings

NASTY = [
    *(
        "",
        " ",
        "a}",
        "{b}",
        "}{",
        "a}:pages:x{b",
        "a.1",
        "a.",
        ".a",
        "*",
        "a*",
        "a?",
        "[a]",
        "a\\",
        "-a",
        "_a",
    ),
    *(
        "a\n",
        "\na",
        "a\r\n",
        "a\0",
        "\0",
        "a b",
        "a\tb",
        "A",
        "Acme",
        "ÄÖ",
        "é",
        "a\u0301",
        "\u0661",
        "a\u0662",
    ),
    *(
        "a\uff11",
        "\u200ba",
        "a\u202eb",
        "ａcme",
        "ſ",
        "ı",
        "%2e",
        "a%2e1",
        "%00",
        "a%7D",
        "..",
        "../b",
        "a/b",
    ),
    *(
        "a:b",
        "a|b",
        "a,b",
        "a;b",
        "a'b",
        'a"b',
        "a=b",
        "~epoch",
        "a~",
        "$",
        "a$",
        "@",
        "<a>",
        "&amp;",
        "\ud800",
    ),
    *(
        "a" * 64,
        "a" * 5000,
        "a" * 63 + "\n",
        "{riptide}",
        "{10}",
        "default}",
        "default.0",
        "null\n",
        "a -- x",
    ),
]
#: Things that are no text at all.
STRANGE: list[Any] = [b"acme", 7, 1.5, True, ["acme"], ("acme",), {"acme": 1}, object]


@pytest.fixture(scope="module")
def rt() -> Any:
    """Whatever is sent fails, as nobody listens there."""
    settings = make_settings(
        "redis://127.0.0.1:1", "t", tenant={"enabled": True}, redis={"retry_attempts": 0}
    )
    with riptide.connect(config=settings) as opened:
        yield opened


def with_tenant(rt: RipTide, tenant: Any) -> list[Callable[[], Any]]:
    """Everything that takes a tenant."""
    cache, tenants, quotas = rt.cache, rt.tenants, rt.quotas
    month = "2026-10"
    return [
        lambda: cache.get("k", tenant=tenant),
        lambda: cache.get_many(["k"], tenant=tenant),
        lambda: cache.entry("k", tenant=tenant),
        lambda: cache.inspect("k", tenant=tenant),
        lambda: cache.exists("k", tenant=tenant),
        lambda: cache.set("k", 1, tenant=tenant),
        lambda: cache.set_many({"k": 1}, tenant=tenant),
        lambda: cache.touch("k", 60, tenant=tenant),
        lambda: cache.delete("k", tenant=tenant),
        lambda: cache.invalidate(keys=["k"], tenant=tenant),
        lambda: cache.invalidate(tags=["t"], tenant=tenant),
        lambda: cache.invalidate_namespace("pages", tenant=tenant),
        lambda: cache.clear(tenant=tenant),
        lambda: cache.get_or_load("k", lambda: 1, tenant=tenant),
        lambda: tenants.create(tenant),
        lambda: tenants.show(tenant),
        lambda: tenants.list(after=tenant),
        lambda: tenants.update(tenant, name="x"),
        lambda: tenants.suspend(tenant),
        lambda: tenants.resume(tenant),
        lambda: tenants.disable(tenant),
        lambda: tenants.delete(tenant),
        lambda: list(tenants.export(tenant, entries=True)),
        lambda: tenants.allow(tenant, "*", "*"),
        lambda: tenants.disallow(tenant, "*", "*"),
        lambda: tenants.policies(tenant),
        lambda: tenants.validate_access(tenant, "pages", "read"),
        lambda: tenants.audit(tenant),
        lambda: quotas.check(tenant, {"operations_per_minute": 1}),
        lambda: quotas.lease(tenant).take(),
        lambda: quotas.show(tenant),
        lambda: rt.usage.show(tenant, month),
        lambda: rt.usage.hours(tenant, month),
        lambda: rt.usage.record(tenant, "render"),
        lambda: rt.billing.estimate(tenant, month),
        lambda: rt.billing.close(tenant, month),
        lambda: rt.billing.invoices(tenant),
        lambda: rt.publish(Invalidate(all=True), tenant=tenant),
    ]


@pytest.mark.parametrize("name", [*NASTY, *STRANGE], ids=lambda name: ascii(name)[:30])
def test_refused_by_everything_that_takes_a_tenant(rt: RipTide, name: Any) -> None:
    for call in with_tenant(rt, name):
        with pytest.raises(InvalidInput):
            call()


@given(st.text() | st.from_regex(r"[a-z0-9_.{}:*\n-]{1,8}", fullmatch=True))
def test_any_other_name(rt: RipTide, name: str) -> None:
    assume(not set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-") or name[:1] in ("-", "_", ""))
    for call in with_tenant(rt, name)[::5]:
        with pytest.raises(InvalidInput):
            call()


@pytest.mark.parametrize(
    "name",
    [*(n for n in NASTY if n not in {"a.1", "a.", "default.0"}), *STRANGE],
    ids=lambda n: ascii(n)[:30],
)
def test_namespaces_too(rt: RipTide, name: Any) -> None:
    cache = rt.cache
    for call in (
        lambda: cache.get("k", namespace=name),
        lambda: cache.set("k", 1, namespace=name),
        lambda: cache.invalidate(keys=["k"], namespace=name),
        lambda: cache.invalidate_namespace(name),
        lambda: cache.get_or_load("k", lambda: 1, namespace=name),
    ):
        with pytest.raises(InvalidInput):
            call()


@given(
    st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True),
    st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True),
    st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,20}", fullmatch=True),
)
def test_two_tenants_share_no_key(one: str, other: str, namespace: str) -> None:
    """Whatever their names, shards and namespaces, and where a tenant is called like a partition."""
    assume(one != other)
    keys = Keys("riptide")

    def all_of(tenant: str, shards: int) -> set[str]:
        tags = [tenant] if shards == 1 else [f"{tenant}.{n}" for n in range(shards)]
        own = {build(tenant) for build in (keys.record, keys.audit, keys.invoices, keys.keyring)}
        own |= {build(tag) for tag in tags for build in (keys.account, keys.account_index, keys.namespaces)}
        own |= {keys.entry(tag, namespace, "0" * 32) for tag in tags}
        own |= {keys.tag(tag, namespace, "0" * 16) for tag in tags}
        return own | {keys.usage(p, tenant, "2026-10") for p in PARTITIONS}

    assert not all_of(one, 1) & all_of(other, 16)
    assert not all_of(one, 16) & all_of(other, 16)
