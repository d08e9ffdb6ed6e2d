"""API keys: from being made to being revoked, in a tenant's life and after it."""

import time
from dataclasses import replace
from typing import Any

import pytest

from riptide.api.access.caller import Caller
from riptide.api.access.keys import KeyOver, UnknownKey
from riptide.api.problems import Problem
from riptide.errors import InvalidInput, UnknownTenant
from tests.integration.api.access.conftest import CLIENT, Open, Place
from tests.support.deployment import Deployment
from tests.support.waiting import eventually


def refused(place: Place, text: str) -> bool:
    try:
        place.access.identify(f"Bearer {text}", CLIENT)
    except Problem as problem:
        return (problem.status, problem.name) == (401, "unauthenticated")
    return False


def test_the_life_of_a_key(deployment: Deployment, open_place: Open) -> None:
    place, other = (open_place(deployment, api={"failed_tries": 1000}) for _ in range(2))
    place.rt.tenants.create("acme")
    made = place.access.create(
        "shop", role="tenant", tenant="acme", scopes=["cache:read", "tenants:read"], actor="ops:ada"
    )
    text, key = made.text, made.key.id
    caller = Caller(key, "shop", "tenant", "acme", frozenset({"cache:read", "tenants:read"}))
    for scheme in ("Bearer", "bearer", "BEARER  "):
        assert other.access.identify(f"{scheme} {text} ", CLIENT) == caller
    assert (made.key.state, made.key.made_by, made.key.tenant) == ("active", "ops:ada", "acme")
    used = other.access.show(key).used_ms
    assert abs(used - time.time() * 1000) < 60_000
    assert not refused(other, text)
    assert other.access.show(key).used_ms == used, "noted now and then only"

    again = place.access.rotate(key, overlap_seconds=3600, actor="ops:ada")
    assert again.text != text
    assert not refused(other, text)
    assert not refused(other, again.text)
    third = place.access.rotate(key, overlap_seconds=1, actor="ops:bob")
    assert refused(other, text), "only one secret from before is valid"
    eventually(lambda: refused(other, again.text), "the overlap to end")
    assert not refused(other, third.text)

    place.access.revoke(key, actor="ops:eve")
    assert refused(other, third.text), "at once, in every process"
    place.access.revoke(key, actor="ops:eve")
    with pytest.raises(KeyOver):
        place.access.rotate(key)
    (listed,) = place.access.list("acme").keys
    assert (listed.id, listed.state) == (key, "revoked")
    trail = [(one.operation, one.resource, one.actor) for one in place.told("acme")][1:]
    assert trail == [
        ("make-key", key, "ops:ada"),
        ("rotate-key", key, "ops:ada"),
        ("rotate-key", key, "ops:bob"),
        ("revoke-key", key, "ops:eve"),
    ]
    everything = (
        f"{place.told('acme')} {place.told()} {place.access.list('acme')} {deployment_dump(deployment)}"
    )
    for secret in (text, again.text, third.text):
        assert secret[-60:] not in everything


def deployment_dump(deployment: Deployment) -> str:
    """Whatever the server holds of keys."""
    names = deployment.client.scan_iter(f"{deployment.prefix}:*", count=1000)
    kinds = {name: deployment.client.type(name) for name in names}
    return str([deployment.client.hgetall(name) for name, kind in kinds.items() if kind == b"hash"])


def test_keys_of_operators_expire_and_begin_anew(place: Place) -> None:
    short = place.access.create("night job", role="operator", expires_seconds=1)
    lasting = place.access.create("ada", role="admin", expires_seconds=3600)
    assert lasting.key.expires_ms - lasting.key.made_ms == 3_600_000
    eventually(lambda: refused(place, short.text), "the key to expire")
    with pytest.raises(KeyOver):
        place.access.rotate(short.key.id)
    rotated = place.access.rotate(lasting.key.id, overlap_seconds=0).key
    assert rotated.expires_ms > lasting.key.expires_ms
    assert refused(place, lasting.text)
    first = place.access.first()
    assert first.made is not None
    assert not refused(place, first.made.text)
    states = {key.id: key.state for key in place.access.list().keys}
    assert states == {short.key.id: "expired", lasting.key.id: "active", first.id: "active"}


def test_a_tenant_s_keys_go_with_it(deployment: Deployment, open_place: Open) -> None:
    """Suspended it is still known; from the beginning of its purge on its keys are nobody's, and they stay
    that if another tenant gets its id."""
    place = open_place(deployment)
    first = place.rt.tenants.create("acme")
    made = place.access.create("shop", role="tenant", tenant="acme")
    place.rt.tenants.suspend("acme")
    assert place.access.identify(f"Bearer {made.text}", CLIENT).tenant == "acme"
    record, keys = deployment.keys.record("acme"), deployment.keys
    deployment.client.hset(record, "incarnation", f"{first.incarnation}-purging")
    assert refused(place, made.text)
    with pytest.raises(UnknownTenant):
        place.access.create("late", role="tenant", tenant="acme")
    deployment.client.hset(record, "incarnation", "another")
    assert refused(place, made.text)
    deployment.client.delete(record)
    assert refused(place, made.text)
    assert deployment.client.exists(keys.api_key("acme", made.key.id))


def test_the_tenant_default_may_have_keys_without_a_record(on_valkey: Deployment, open_place: Open) -> None:
    place = open_place(on_valkey, tenant={"enabled": False})
    made = place.access.create("shop", role="tenant", tenant="default")
    assert place.access.identify(f"Bearer {made.text}", None).tenant == "default"


def test_pages_and_what_cannot_be(on_one: Place) -> None:
    ids = sorted(on_one.access.create(f"key {number}", role="viewer").key.id for number in range(5))
    first = on_one.access.list(limit=3)
    rest = on_one.access.list(after=first.cursor, limit=3)
    assert [key.id for key in first.keys + rest.keys] == ids
    assert rest.cursor is None
    for wrong in (
        {"role": "root"},
        {"role": "tenant"},
        {"role": "admin", "tenant": "acme"},
        {"role": "viewer", "scopes": []},
        {"role": "viewer", "scopes": ["keys:write"]},
        {"role": "viewer", "scopes": ["nothing"]},
        {"role": "viewer", "expires_seconds": 0},
        {"role": "viewer", "name": "a\nb"},
    ):
        with pytest.raises(InvalidInput):
            on_one.access.create(**({"name": "x"} | wrong))
    for lost in (on_one.access.show, on_one.access.rotate, on_one.access.revoke):
        with pytest.raises(UnknownKey):
            lost("0123456789ab")
        with pytest.raises(InvalidInput):
            lost("x}:y.0123456789ab")


def test_security_enable_rbac_off(on_valkey: Deployment, open_place: Open) -> None:
    place = open_place(on_valkey, security={"enable_rbac": False})
    made = place.access.create("shop", role="viewer")
    caller = place.access.identify(f"Bearer {made.text}", None)
    assert caller == replace(caller, role="viewer", by_role=False)
    assert caller.may("state:restore")


async def test_the_asynchronous_face_and_one_round_trip_with_a_quota(on_valkey: Deployment) -> None:
    from riptide.api.access.access import Access
    from riptide.reads.aio_client import aconnect

    async with await aconnect(config=on_valkey.settings(tenant={"enabled": True})) as rt:
        access = Access(rt)
        await rt.tenants.create("acme")
        made = await access.create("shop", role="tenant", tenant="acme")
        authorization = f"Bearer {made.text}"
        assert access.remembered(authorization) is None
        shown = access.begin(authorization, CLIENT)
        quota: Any = rt.quotas.flows.check("acme", {"operations_per_minute": 1})
        asked = access.verify_operation(shown)
        assert asked is not None
        verdict, decision = await rt.store.run_all([asked, next(quota)])
        caller = access.conclude(shown, verdict)
        assert (caller.tenant, access.remembered(authorization)) == ("acme", caller)
        assert decision is not None
        await access.rotate(made.key.id, overlap_seconds=0)
        with pytest.raises(Problem):
            await access.identify(authorization, CLIENT)
        assert access.remembered(authorization) is None
        page = await access.list("acme")
        assert [key.id for key in page.keys] == [made.key.id]
        await access.revoke(made.key.id)
        assert (await access.show(made.key.id)).state == "revoked"
