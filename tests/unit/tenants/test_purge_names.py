"""Which keys are a tenant's: all that the builders make for it, and none of anybody else's."""

import inspect
from collections.abc import Iterator

from hypothesis import assume, given
from hypothesis import strategies as st

from riptide.names import TENANT_PATTERN
from riptide.store.keys import PARTITIONS, Keys
from riptide.tenants.purge.names import Names, kind_in

PREFIX = "app:riptide"
TENANT = st.from_regex(TENANT_PATTERN.replace(r"\Z", ""), fullmatch=True)
_VALUES = {"namespace": "pages", "name": "n", "digest": "0" * 32, "period": "2026-10", "kind": "warm"}
_VALUES |= {"entry_id": "1-1", "lane": "key-0", "consumer": "vm.1.0", "partition": PARTITIONS[0]}
_VALUES |= {"token": "t"}


def built(tenant: str, *, own: bool) -> Iterator[tuple[str, str]]:
    """Names of keys by their builder: a tenant's own, or those of partitions and of control."""
    for name, builder in inspect.getmembers(Keys(PREFIX), inspect.ismethod):
        if name.startswith("_"):
            continue
        given: dict[str, object] = {}
        for parameter in inspect.signature(builder).parameters:
            given[parameter] = _VALUES.get(parameter, tenant) if parameter != "slow" else False
        is_own = not {"tenant", "tag"}.isdisjoint(given)
        if is_own == own:
            yield name, builder(**given)


@given(TENANT)
def test_every_builder_s_keys_are_found(tenant: str) -> None:
    names = Names(PREFIX, tenant)
    for builder, key in built(tenant, own=True):
        if builder in {"usage", "seals", "access", "access_processes", "popular", "load_times"}:
            assert names.partition(key) == PARTITIONS[0]
        else:
            assert names.tag(key) == tenant, builder
            sharded = key.replace(f"{{{tenant}}}", f"{{{tenant}.15}}")
            assert names.tag(sharded) == f"{tenant}.15"


@given(TENANT, TENANT | st.sampled_from([*PARTITIONS, "riptide", "app"]))
def test_nobody_else_s_are(tenant: str, other: str) -> None:
    names = Names(PREFIX, tenant)
    for builder, key in built(other, own=False):
        assert names.tag(key) is names.partition(key) is None, builder
    assume(tenant != other)
    for _, key in built(other, own=True):
        assert names.tag(key) is names.partition(key) is None
        for deeper in (f"{PREFIX}:{key}", key.removeprefix("app:"), key.replace("{", "{x{"), f"{key}\n:x"):
            assert names.tag(deeper) is None


def test_names_that_hold_one_another() -> None:
    names, keys = Names(PREFIX, "acme"), Keys(PREFIX)
    for other in ("acme2", "acme-2", "acme_2", "a", "ac", "xacme"):
        assert names.tag(keys.record(other)) is None
        assert names.partition(keys.usage("10", other, "2026-10")) is None
    for tag in ("acme.x", "acme.1.1", "acme.", ".1", "acmex1"):
        assert names.tag(keys.record(tag)) is None
    assert names.tag(keys.namespace("globex", "acme")) is None
    assert names.tag(keys.tag("globex", "acme", "{acme}")) is None


def test_streams_by_their_type() -> None:
    keys = Keys(PREFIX)
    assert kind_in(PREFIX, keys.commands("warm", "10")) == kind_in(PREFIX, keys.slow("warm", "10")) == "warm"
    assert kind_in(PREFIX, keys.dead("warm", "10")) is None
